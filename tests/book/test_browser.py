"""The built pages in Chromium, served from a folder of a web server as a project's pages are.

What their explorers show stands in ``test_published.py``.
"""

import gzip
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from boxes import measured as measured_boxes
from formulas import measured, without_glyph
from playwright.sync_api import Browser, Page
from toc import PAGES
from visitor import MODES, Visitor

pytestmark = pytest.mark.browser

MADE = ["search", "genindex", "py-modindex"]  # pages that no file of the book stands for
MAX_BYTES = 600_000
MAX_HEIGHT = 20_000
"""pixels of a page that is 1280 wide; a taller one is split at a natural joint"""
MAX_SECONDS = 1.5
"""of one core, until a page and its formulas are drawn and it answers"""
FONTS = "_static/mathjax/output/chtml/fonts/woff-v2"
COMPRESSED = {".html", ".css", ".js", ".svg", ".json"}

THEME = {
    # rule: (a piece of each element that breaks it, why it stays)
    "region": ("navbar-brand", "the theme's title at the top of the sidebar stands in no landmark"),
}
"""What axe-core holds against every page of the theme; everything else is a fault of ours."""


CONTRAST = "color-contrast"

KINDS_OF_TEXT = """() => {
  // What decides an element's contrast: colour and size of its letters, and all that is painted under them.
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const kinds = new Map();
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !element.checkVisibility()) continue;
    const {color, fontSize, fontWeight, textShadow} = getComputedStyle(element);
    const kind = [color, fontSize, fontWeight, textShadow];
    for (let e = element; e; e = e.parentElement) {
      const {backgroundColor, backgroundImage, opacity, filter, position} = getComputedStyle(e);
      kind.push([backgroundColor, backgroundImage, opacity, filter, position === "static" ? "" : position]);
    }
    const key = JSON.stringify([...new Set(kind.map(part => JSON.stringify(part)))]);
    kinds.set(key, [...(kinds.get(key) ?? []), element].slice(0, SAMPLES));
  }
  document.querySelectorAll("[data-contrast]").forEach(e => e.removeAttribute("data-contrast"));
  const fields = document.querySelectorAll("input, select, textarea");  // whose text is no text node
  [...kinds.values(), ...fields].flat().forEach(e => e.setAttribute("data-contrast", ""));
}""".replace("SAMPLES", "3")
"""Marks three elements of each kind of text: on a page of 14,000 elements axe-core takes 20 s to measure all."""


def faults(page: Page, rules: Sequence[str] = ()) -> dict[str, list[str]]:
    """Return the elements that break a rule of axe-core, by rule; ``rules`` names some instead of all."""
    options: dict[str, Any] = {"resultTypes": ["violations"], "preload": False}  # it would load style sheets again
    if rules:
        options["runOnly"] = [rule for rule in rules if rule != CONTRAST]
    else:
        options["rules"] = {CONTRAST: {"enabled": False}}
    found = Axe().run(page, options=options).response["violations"] if options.get("runOnly", True) else []
    if not rules or CONTRAST in rules:
        page.evaluate(KINDS_OF_TEXT)
        only = {"resultTypes": ["violations"], "preload": False, "runOnly": [CONTRAST]}
        found += Axe().run(page, {"include": [["[data-contrast]"]]}, only).response["violations"]
    return {rule["id"]: [node["html"] for node in rule["nodes"]] for rule in found}


def ours(found: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return ``found`` without what the theme is excused for."""
    left = {
        rule: [html for html in elements if rule not in THEME or THEME[rule][0] not in html]
        for rule, elements in found.items()
    }
    return {rule: elements for rule, elements in left.items() if elements}


def brightness(page: Page, selector: str) -> float:
    """Return how bright the background of an element is, from 0 to 1."""
    colour = page.eval_on_selector(selector, "element => getComputedStyle(element).backgroundColor")
    red, green, blue = (int(part) for part in re.findall(r"\d+", colour)[:3])
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255


@cache
def transferred(path: Path) -> int:
    """Return how many bytes a file takes on its way; pictures and fonts are compressed already."""
    content = path.read_bytes()
    return len(gzip.compress(content)) if path.suffix in COMPRESSED else len(content)


@pytest.mark.parametrize("place", [*PAGES, *MADE])
@pytest.mark.parametrize("mode", MODES)
def test_page(visitor: Visitor, site: Path, mode: str, place: str) -> None:
    page = visitor.visit(mode, f"{place}.html")
    assert not visitor.problems
    weight = sum(transferred(site / name) for name in visitor.requested)
    assert 50_000 < weight <= MAX_BYTES
    assert not [name for name in visitor.requested if "webfonts" in name], "an icon is not in the small fonts"
    assert 0.01 < visitor.seconds <= MAX_SECONDS
    formulas, boxes = measured(page), measured_boxes(page)
    assert not formulas["found"] + boxes["found"]
    if mode == "light":
        assert brightness(page, "body") > 0.85
        assert not formulas["scroll"]
        assert not boxes["scroll"]
        assert not without_glyph(page, site / FONTS)
        assert not ours(faults(page))
    else:  # the rules that depend on colours and on widths; the others have seen this page
        assert brightness(page, "body") < 0.15
        assert not ours(faults(page, ["color-contrast", "scrollable-region-focusable"]))
        # Tables and code scroll within their own boxes, the page does not.
        widths = page.evaluate("[document.documentElement.scrollWidth, document.querySelector('main').scrollWidth]")
        assert max(widths) <= MODES[mode]["viewport"]["width"]


def full_height(page: Page) -> int:
    """Return how tall a page is with all its pictures, which else come, and take room, as a reader gets near."""
    page.evaluate("""() => Promise.all([...document.images].map(image => {
      image.loading = "eager";
      return image.decode();
    }))""")
    return int(page.evaluate("document.documentElement.scrollHeight"))


@pytest.mark.parametrize("place", [page for page in PAGES if page.startswith("notebooks/")])
def test_a_page_of_a_notebook_is_not_too_tall(visitor: Visitor, place: str) -> None:
    page = visitor.visit("light", f"{place}.html")
    at_first = page.evaluate("document.documentElement.scrollHeight")
    assert at_first <= full_height(page) <= MAX_HEIGHT
    assert not visitor.problems


def test_one_pale_word_among_many_is_found(visitor: Visitor) -> None:
    page = visitor.visit("light", f"{PAGES[0]}.html")
    page.evaluate("""() => [...document.querySelectorAll("main p")].filter(p => p.checkVisibility()).at(-1)
      .insertAdjacentHTML("beforeend", '<b id="pale" style="color: #999; background: #fff">pale</b>')""")
    for rules in ([], [CONTRAST]):
        found = ours(faults(page, rules))
        assert set(found) == {CONTRAST}
        (element,) = found[CONTRAST]
        assert 'id="pale"' in element


def test_the_theme_still_has_the_faults_that_it_is_excused_for(visitor: Visitor) -> None:
    assert set(faults(visitor.visit("light", "search.html"))) == set(THEME)


def test_the_first_address_leads_to_the_first_page(visitor: Visitor) -> None:
    page = visitor.visit("light", "")
    page.wait_for_url(f"**/{PAGES[0]}.html")


def test_search_finds_a_word_of_the_glossary(visitor: Visitor) -> None:
    page = visitor.visit("light", "search.html?q=plateau")
    page.wait_for_selector("#search-results .search-summary:has-text('finished')")
    found = page.eval_on_selector_all("#search-results li a", "links => links.map(a => a.textContent)")
    assert "Glossary" in found
    assert not visitor.problems


def test_the_switch_makes_a_page_dark_and_light(visitor: Visitor) -> None:
    page = visitor.visit("light", f"{PAGES[0]}.html")
    switch = page.locator(".theme-switch-button >> visible=true")
    seen = []
    for _ in range(3):  # light, dark, and what the system says
        switch.click()
        page.evaluate("Promise.all(document.getAnimations().map(fading => fading.finished))")
        seen.append(page.get_attribute("html", "data-theme"))
        assert (brightness(page, "body") < 0.5) == (seen[-1] == "dark")
        assert not ours(faults(page, ["color-contrast"]))
    page.evaluate("localStorage.clear()")
    assert set(seen) == {"light", "dark"}


def test_a_table_of_results_has_no_light_panel_behind_it_in_the_dark(visitor: Visitor) -> None:
    page = visitor.visit("dark and narrow", "notebooks/gpicl/results.html")
    panels = page.locator(".text_html:has(> .table-box)")
    grounds = panels.evaluate_all("panels => panels.map(panel => getComputedStyle(panel).backgroundColor)")
    assert grounds
    assert set(grounds) == {"rgba(0, 0, 0, 0)"}


def test_the_rules_that_pages_are_served_under_allow_no_script_in_a_page(visitor: Visitor) -> None:
    page = visitor.visit("light", f"{PAGES[0]}.html")
    page.evaluate("""() => {
      document.addEventListener("securitypolicyviolation", ({ violatedDirective }) => {
        document.body.dataset.refused = (document.body.dataset.refused ?? "") + violatedDirective + " ";
      });
      const script = document.createElement("script");
      script.textContent = "document.body.dataset.ran = 'yes'";
      document.body.append(script);
      document.body.insertAdjacentHTML("beforeend", "<b id=pressed onclick='document.body.dataset.ran = 1'>x</b>");
      document.querySelector("#pressed").click();
      import(URL.createObjectURL(new Blob([""], { type: "text/javascript" }))).catch(() => {});
    }""")
    page.wait_for_selector("body[data-refused*='script-src-elem script-src-attr script-src-elem']")
    assert page.get_attribute("body", "data-ran") is None
    visitor.problems.clear()  # which are these three


def test_the_buttons_of_the_theme_do_what_they_say(visitor: Visitor) -> None:
    page = visitor.visit("light", f"{PAGES[0]}.html")
    page.evaluate("for (const name of ['print', 'toggleFullScreen']) window[name] = () => { document.title = name }")
    for name in ("print", "toggleFullScreen"):
        page.locator(f"[data-press={name}]").dispatch_event("click")
        assert page.title() == name


def test_explorers_live_on_pages_that_are_opened_from_the_disk(chromium: Browser, site: Path) -> None:
    """As ``make book`` says: no server, no network. A browser loads no module and no data from there, only scripts."""
    context = chromium.new_context(offline=True)
    page = context.new_page()
    found = 0
    for place in PAGES:
        expected = (site / f"{place}.html").read_text(encoding="utf-8").count('class="tutorlib-explorer"')
        if expected:
            page.goto((site / f"{place}.html").as_uri(), wait_until="domcontentloaded")
            page.wait_for_selector(".tutorlib-explorer .fallback", state="detached")
            assert page.locator(".tutorlib-explorer svg").count() >= expected
            found += expected
    context.close()
    assert found >= 8
