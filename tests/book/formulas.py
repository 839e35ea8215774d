"""What can be wrong with the formulas of a page that a browser shows."""

from functools import cache
from pathlib import Path
from typing import Any

from fontTools.ttLib import TTFont
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


DRAWN = """() => [...new Set([...document.querySelectorAll("mjx-c")].map(e => {
  const { fontFamily, content } = getComputedStyle(e, "::before");
  return fontFamily + "@@" + content;
}))].map(pair => pair.split("@@"))"""
FILES = """() => [...document.styleSheets].filter(sheet => sheet.ownerNode.id === "MJX-CHTML-styles")
  .flatMap(sheet => [...sheet.cssRules]).filter(rule => rule instanceof CSSFontFaceRule)
  .map(rule => [rule.style.fontFamily, rule.style.src.match(/([^\\/]+)\\.woff/)[1]])"""


@cache
def characters(font: Path) -> frozenset[int]:
    """Return the characters that a font holds."""
    return frozenset(TTFont(font).getBestCmap())


def without_glyph(page: Page, fonts: Path) -> list[str]:
    """Return the characters of formulas that none of their fonts, the files in the folder ``fonts``, holds."""
    names = dict(page.evaluate(FILES))
    missing = []
    for families, content in page.evaluate(DRAWN):
        held = {c for family in families.split(", ") for c in characters(fonts / f"{names[family]}.woff")}
        missing += [f"{families}: {character}" for character in content.strip('"') if ord(character) not in held]
    return missing
