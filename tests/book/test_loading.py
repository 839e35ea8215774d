"""What a first visit loads and how much that weighs, and the theme, which is there before anything is painted."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page
from soup import Soups
from toc import PAGES
from visitor import MODES

FIRST = "book/intro"
IDEAS = [page for page in PAGES if page.endswith("/idea")]
LIMIT = 450_000
HEAVIER = {"notebooks/gogepo/idea": 540_000}
"""Pages that weigh more: GoGePo's has a generator at five stages, 95 kB, which it loads before anybody asks for it."""


@pytest.fixture
def fresh(chromium: Browser) -> Iterator[BrowserContext]:
    """A window whose reader has never been here."""
    context = chromium.new_context(**MODES["light"])
    yield context
    context.close()


def weights(page: Page, address: str, place: str) -> dict[str, int]:
    """Return how many bytes each answer takes, compressed, that a first visit asks for."""
    answers = {}
    page.on("response", lambda response: answers.setdefault(response.url, response))
    page.goto(f"{address}{place}.html")
    page.wait_for_selector("html:not(:has(.math)), html[data-formulas=drawn]")
    page.wait_for_load_state("networkidle")
    return {
        url.removeprefix(address): len(gzip.compress(response.body(), 6))
        for url, response in list(answers.items())
        if response.status == 200
    }


@pytest.mark.parametrize("place", [FIRST, *IDEAS])
def test_a_first_visit_is_light(fresh: BrowserContext, address: str, place: str) -> None:
    loaded = weights(fresh.new_page(), address, place)
    assert not [name for name in loaded if "search" in name]
    assert any("mathjax/core.js" in name for name in loaded) == (place != FIRST)
    assert 100_000 < sum(loaded.values()) <= HEAVIER.get(place, LIMIT)


def test_only_the_search_page_loads_the_index(site: Path, soups: Soups) -> None:
    for page, soup in soups.items():
        index = soup.select('script[src*="searchindex.js"], script[src*="searchtools.js"]')
        assert len(index) == (2 if page == "search" else 0), page
        waiting = [image.get("loading") for image in soup.select("img")]
        assert set(waiting) <= {"lazy"}, page


def test_style_sheets_have_the_icons_that_pages_show_and_no_others() -> None:
    from tutorlib_book.loading import without_icons

    style = 'a{color:red}.fa-sun:before,.fa-day:before{content:"1"}.fa-moon:before{content:"2"}.fa-x{color:blue}'
    assert without_icons(style, {"day"}) == style.replace('.fa-moon:before{content:"2"}', "")


# The theme

WATCH = """(() => {
  window.themes = [];
  const note = () => {
    const now = document.documentElement?.dataset.theme;
    if (now && now !== window.themes.at(-1)?.[0]) window.themes.push([now, performance.now()]);
  };
  new MutationObserver(note).observe(document, { attributes: true, subtree: true, childList: true });
})()"""
LATER = "**/pydata-sphinx-theme.js*"


@pytest.mark.parametrize(("system", "chosen", "expected"), [
    ("dark", None, "dark"),
    ("light", None, "light"),
    ("light", "dark", "dark"),
    ("dark", "light", "light"),
    ("dark", "auto", "dark"),
])  # fmt: skip
def test_the_theme_is_there_before_the_first_paint(
    chromium: Browser, address: str, system: str, chosen: str | None, expected: str
) -> None:
    context = chromium.new_context(color_scheme=system)  # type: ignore[arg-type]
    page = context.new_page()
    if chosen:
        page.goto(f"{address}search.html")
        page.evaluate("mode => localStorage.setItem('mode', mode)", chosen)
    page.add_init_script(WATCH)
    page.goto(f"{address}{FIRST}.html", wait_until="load")
    page.wait_for_timeout(100)
    seen = [(theme, time) for theme, time in page.evaluate("themes") if theme != "auto"]  # which the page comes with
    assert [theme for theme, _ in seen] == [expected]
    painted = page.evaluate("performance.getEntriesByName('first-paint')[0].startTime")
    assert seen[0][1] < painted
    context.close()


def test_the_theme_needs_no_script_that_comes_later(chromium: Browser, address: str) -> None:
    context = chromium.new_context(color_scheme="dark")
    context.route(LATER, lambda route: route.abort())
    page = context.new_page()
    page.goto(f"{address}{FIRST}.html")
    assert page.get_attribute("html", "data-theme") == "dark"
    context.close()
