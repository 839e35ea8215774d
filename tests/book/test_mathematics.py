"""Formulas: MathJax comes with the site, and what its boxes do. ``test_browser.py`` measures those of every page."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from formulas import measured, without_glyph
from playwright.sync_api import Browser, Page
from soup import Soups
from toc import PAGES
from tree import pins
from visitor import MODES, Visitor

PAGE = "notebooks/vsml/idea"
MATHJAX = "_static/mathjax"


def test_the_site_brings_along_the_parts_of_mathjax_that_it_loads(site: Path, soups: Soups) -> None:
    folder = site / MATHJAX
    assert "Apache License" in (folder / "LICENSE").read_text(encoding="utf-8")
    assert f'"{pins()["django-static-mathjax"].rsplit(".", 1)[0]}"' in (folder / "core.js").read_text(encoding="utf-8")
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert not [name for name in files if "menu" in name or "sre" in name or "svg" in name]
    assert sum((folder / name).stat().st_size for name in files) < 1_300_000
    with_formulas = [page for page in PAGES if soups[page].select_one(".math")]
    assert len(with_formulas) >= 20
    for page in PAGES:
        loaded = [urlsplit(str(e["src"])).path for e in soups[page].select("script[src]")]
        ours = [name for name in loaded if name.endswith((f"{MATHJAX}/startup.js", "_static/formulas.js"))]
        assert len(ours) == (2 if page in with_formulas else 0), f"{page}: {ours}"


def test_no_page_names_a_file_elsewhere_that_it_would_load(soups: Soups) -> None:
    for page, soup in soups.items():
        loaded = [
            e.get("src") or e.get("href") for e in soup.select("[src], link[rel~=stylesheet], link[rel~=preload]")
        ]
        assert not [name for name in map(str, loaded) if "//" in name and not name.startswith("data:")], page


def test_formulas_can_be_read_without_scripts(chromium: Browser, address: str) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}{PAGE}.html")
    assert r"The state \(s\in\mathbb R^N\) is updated by" in page.inner_text("article")
    assert page.locator("article .math >> visible=true").count() > 150
    context.close()


@pytest.fixture
def narrow(visitor: Visitor) -> Page:
    return visitor.visit("dark and narrow", f"{PAGE}.html")


def test_a_wide_formula_shows_where_it_goes_on(narrow: Page) -> None:
    wide = narrow.locator("div.math.scrolls").first
    wide.focus()
    assert wide.get_attribute("data-more") == "right"
    assert "rgba(0, 0, 0, 0)" in wide.evaluate("box => getComputedStyle(box).maskImage")
    narrow.keyboard.press("ArrowRight")
    narrow.wait_for_selector(".math.scrolls[data-more='left right'], .math.scrolls[data-more='left ']")
    wide.evaluate("box => { box.scrollLeft = 9999 }")
    narrow.wait_for_selector(".math.scrolls[data-more='left ']")


def test_a_formula_that_fits_in_a_wider_window_stops_to_scroll(narrow: Page) -> None:
    narrow.set_viewport_size(MODES["light"]["viewport"])
    narrow.wait_for_selector("article:not(:has(.math.scrolls))")
    assert not narrow.locator(".math[tabindex], .math[role]").count()
    narrow.set_viewport_size(MODES["dark and narrow"]["viewport"])
    narrow.wait_for_selector("div.math.scrolls")


BROKEN = {
    "cut": ".math.scrolls { overflow: hidden !important }",
    "clipped": ".math.scrolls { padding-block: 0 !important; height: 1em }",
}


@pytest.mark.parametrize("fault", BROKEN)
def test_what_is_cut_or_clipped_is_found(narrow: Page, fault: str) -> None:
    assert not measured(narrow)["found"]
    narrow.add_style_tag(content=BROKEN[fault])
    assert [line for line in measured(narrow)["found"] if line.startswith(fault)]


def test_what_is_not_drawn_or_has_a_tab_stop_is_found(narrow: Page) -> None:
    narrow.evaluate("""() => {
      const [first, second, third] = document.querySelectorAll("mjx-container");
      first.remove();
      second.tabIndex = 0;
      third.querySelector("mjx-assistive-mml").remove();
    }""")
    kinds = {line.partition(":")[0] for line in measured(narrow)["found"]}
    assert kinds == {"not drawn", "a tab stop", "not for screen readers"}


def test_a_character_that_its_font_lacks_is_found(narrow: Page, site: Path) -> None:
    fonts = site / MATHJAX / "output/chtml/fonts/woff-v2"
    assert not without_glyph(narrow, fonts)
    sign = narrow.locator("mjx-c.TEX-A").first.get_attribute("class")
    assert sign
    narrow.add_style_tag(content=f".{'.'.join(sign.split())}::before {{ content: '\\224D' !important }}")
    assert "≍" in "".join(without_glyph(narrow, fonts))
