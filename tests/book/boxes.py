"""What of a page in a browser is cut, too small, or scrolls without a sign: code, tables, figures, explorers."""

from typing import Any

from playwright.sync_api import Page

MEASURE = """() => {
  const found = [], article = document.querySelector("article") ?? document.querySelector("main");
  const room = article.getBoundingClientRect();
  const name = e => `${e.tagName} ${e.className.baseVal ?? e.className}: ` +
    (e.alt ?? e.textContent).trim().replace(/\\s+/g, " ").slice(0, 60);
  let scroll = 0;
  for (const e of article.querySelectorAll("*")) {
    // Formulas are measured elsewhere, and what is there for screen readers alone is not seen.
    if (e.closest("mjx-container, .visually-hidden, .math") || !e.checkVisibility()) continue;
    const { overflowX, maskImage } = getComputedStyle(e);
    if (overflowX !== "visible" && e.scrollWidth > e.clientWidth + 1) {
      scroll += 1;
      const more = (e.dataset.more ?? "").includes("right") && maskImage !== "none";
      if (!["auto", "scroll"].includes(overflowX) || !more) found.push(`cut, or without a sign: ${name(e)}`);
    }
    if (!e.matches("pre, table, img, svg, figure, figcaption, details, p")) continue;
    const { right, left } = e.getBoundingClientRect();
    let scrolls = e.parentElement;  // what scrolls may be wider
    while (scrolls !== article && getComputedStyle(scrolls).overflowX === "visible") scrolls = scrolls.parentElement;
    if (scrolls === article && (right > room.right + 1 || left < room.left - 1)) found.push(`too wide: ${name(e)}`);
  }
  // On a phone letters have 9 pixels. In a figure of full size 8 points, the least of tutorlib.show.faults, are 12.2.
  for (const image of article.querySelectorAll("a.image-reference > img")) {
    const scale = image.getBoundingClientRect().width / image.getAttribute("width");
    if (innerWidth < 500 && image.checkVisibility() && (8 * 110) / 72 * scale < 9)
      found.push(`too small, ${scale}: ${name(image)}`);
  }
  const small = text => {
    const size = parseFloat(getComputedStyle(text).fontSize) * Math.abs(text.getScreenCTM()?.d ?? 1);
    if (innerWidth < 500 && text.checkVisibility() && text.textContent.trim() && size < 9)
      found.push(`letters of ${size.toFixed(1)} pixels: ${name(text)}`);
  };
  for (const text of article.querySelectorAll("svg text")) if (!text.closest("mjx-container")) small(text);
  for (const host of article.querySelectorAll(".tutorlib-explorer *")) {
    const words = [...host.shadowRoot?.querySelectorAll(":not(style)") ?? []].flatMap(e => [...e.childNodes])
      .filter(node => node.nodeType === Node.TEXT_NODE).map(node => node.data);
    for (const word of words) if (/[$^\\\\]|[a-zA-Zα-ω]_\\w/.test(word)) found.push(`raw notation: ${word}`);
    for (const text of host.shadowRoot?.querySelectorAll("text") ?? []) small(text);
  }
  return { found, scroll };
}"""


def measured(page: Page) -> dict[str, Any]:
    """Return what is wrong, a sentence each, as ``found``, and how many boxes scroll sideways, as ``scroll``."""
    result: dict[str, Any] = page.evaluate(MEASURE)
    return result
