"""What can be wrong with the formulas of a page that a browser shows."""

from typing import Any

from playwright.sync_api import Page

MEASURE = """() => {
  const shown = selector => [...document.querySelectorAll(selector)].filter(e => e.checkVisibility());
  const name = box => (box.querySelector("annotation, math") ?? box).textContent.trim().slice(0, 60);
  const found = [];
  for (const box of document.querySelectorAll(".math")) {
    const drawn = box.querySelector("mjx-container");
    if (!drawn) found.push(`not drawn: ${name(box)}`);
    else if (!drawn.querySelector("mjx-assistive-mml math")) found.push(`not for screen readers: ${name(box)}`);
    else if (drawn.querySelector("mjx-merror")) found.push(`not TeX that the site can draw: ${name(box)}`);
  }
  for (const drawn of document.querySelectorAll("mjx-container[tabindex]")) found.push(`a tab stop: ${name(drawn)}`);
  let scroll = 0;
  for (const box of shown(".math")) {
    const drawn = box.querySelector("mjx-container");
    if (!drawn) continue;
    // Where it stands: its own box, or the block around an inline formula. A table scrolls as a whole.
    let place = box;
    while (getComputedStyle(place).display.startsWith("inline") && place !== box.closest("article"))
      place = place.parentElement;
    const style = getComputedStyle(box), room = place.getBoundingClientRect(), own = drawn.getBoundingClientRect();
    const wide = own.right > room.right + 2 || own.left < room.left - 2 || box.scrollWidth > box.clientWidth + 1;
    const scrolls = style.overflowX === "auto" && box.tabIndex === 0 && box.getAttribute("aria-label");
    const sign = box.dataset.more === "right" && style.maskImage !== "none";
    if (style.overflowX !== "visible" && box.scrollWidth > box.clientWidth + 1) scroll += 1;
    if (wide && !box.closest("table") && !(scrolls && sign)) found.push(`cut: ${name(box)}`);
    // No box on the way up may hide what sticks out above or below. (Of mjx-ext a part is hidden on purpose.)
    const glyphs = [...drawn.querySelectorAll("mjx-c, mjx-stretchy-v")].filter(e => !e.closest("mjx-ext"))
      .map(e => e.getBoundingClientRect());
    const top = Math.min(...glyphs.map(r => r.top)), bottom = Math.max(...glyphs.map(r => r.bottom));
    for (let e = drawn; e.tagName !== "ARTICLE" && e !== document.body; e = e.parentElement) {
      if (getComputedStyle(e).overflowY === "visible") continue;
      const { top: upper, bottom: lower } = e.getBoundingClientRect();
      if (top < upper - 0.5 || bottom > lower + 0.5) found.push(`clipped: ${name(box)}`);
    }
  }
  return { found, scroll };
}"""


def measured(page: Page) -> dict[str, Any]:
    """Return what is wrong, a sentence each, as ``found``, and how many formulas scroll, as ``scroll``."""
    result: dict[str, Any] = page.evaluate(MEASURE)
    return result


__all__ = ["measured"]
