"""Built pages on paper, as Chromium prints them: what is there, what is not, and that nothing is cut."""

import io
import re

import pytest
from playwright.sync_api import Page
from pypdf import PageObject, PdfReader
from toc import PAGES
from visitor import MODES, Visitor

pytestmark = pytest.mark.browser

WIDTH = 657  # pixels of a column on A4: 210 mm less two margins of 18 mm
EXPLORERS = ["notebooks/gpicl/method", "notebooks/symla/results", "book/intro"]
PRINTED = [page for page in PAGES if page.startswith("notebooks/")] + ["book/intro", "book/scoreboard", "book/status"]
PRINTED += ["book/notation", "book/api/index", "book/api/gpicl"]

VISIBLE = "all => all.filter(e => e.checkVisibility()).map(e => e.outerHTML.slice(0, 200))"

TOO_WIDE = """width => [...document.querySelectorAll("article *")].filter(e => {
  const inside = e.parentElement.closest("svg, mjx-container");
  if (inside || !e.checkVisibility() || e.matches(".visually-hidden")) return false;
  const clips = ["hidden", "auto", "scroll"].includes(getComputedStyle(e).overflowX);
  return e.getBoundingClientRect().right > width + 1 || (clips && e.scrollWidth > e.clientWidth + 1);
}).map(e => `${e.tagName} ${e.className} ${e.getBoundingClientRect().right}: ${e.textContent.slice(0, 60)}`)"""


def on_paper(visitor: Visitor, mode: str, place: str) -> Page:
    page = visitor.visit(mode, f"{place}.html")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": WIDTH, "height": 900})
    return page


@pytest.fixture
def paper(visitor: Visitor):
    """Open a page as it is printed; afterwards the window is as it was."""
    used = {}

    def visit(place: str, mode: str = "light") -> Page:
        page = on_paper(visitor, mode, place)
        used.setdefault(mode, page)
        return page

    yield visit
    for mode, page in used.items():
        page.emulate_media(media="null")
        page.set_viewport_size(MODES[mode]["viewport"])
    assert visitor.problems == []


@pytest.mark.parametrize("place", PRINTED)
def test_nothing_on_a_printed_page_is_wider_than_the_paper(paper, place: str) -> None:
    assert paper(place).evaluate(TOO_WIDE, WIDTH) == []


@pytest.mark.parametrize("place", ["notebooks/gpicl/method", "book/scoreboard", "book/api/lab"])
def test_a_printed_page_has_its_article_and_no_navigation(paper, place: str) -> None:
    page = paper(place)
    kinds = "nav, header, aside, button, dialog, a.headerlink, .prev-next-footer, .onlyprint, .bd-sidebar-primary"
    assert page.locator(kinds).evaluate_all(VISIBLE) == []
    assert page.locator("h1 >> visible=true").count() == 1


@pytest.mark.parametrize("place", EXPLORERS)
def test_a_picture_stands_in_place_of_an_explorer(paper, place: str) -> None:
    page = paper(place)
    boxes = page.locator(".tutorlib-explorer")
    assert boxes.count() >= 1
    assert boxes.evaluate_all(VISIBLE) == []
    pictures = page.locator(".tutorlib-explorer + .on-paper").evaluate_all(
        "all => all.map(e => [e.checkVisibility(), e.naturalWidth > 300, e.alt.length > 20])"
    )
    assert pictures == [[True, True, True]] * boxes.count()
    page.emulate_media(media="null")
    assert page.locator(".on-paper").evaluate_all(VISIBLE) == []


def test_solutions_are_open_on_paper_and_other_folded_code_is_not_there(paper) -> None:
    page = paper("notebooks/gpicl/results")
    solutions = page.locator(".tag_hide-cell details.hide")
    assert solutions.count() >= 4
    assert set(solutions.locator("> summary").all_inner_texts()) == {"The code of the solution"}
    words = page.locator("details.solution")
    assert words.count() >= 4
    assert words.locator("> p").evaluate_all("all => all.every(e => e.getBoundingClientRect().height > 10)")
    assert solutions.locator("pre").evaluate_all("all => all.every(e => e.getBoundingClientRect().height > 10)")
    assert page.locator("div.cell:not(.tag_hide-cell) details.hide").evaluate_all(VISIBLE) == []
    assert page.locator("details.checks ul").evaluate_all("all => all.every(e => !e.checkVisibility())")


def test_a_dark_page_is_printed_light_and_is_dark_again(paper) -> None:
    page = paper("notebooks/gpicl/method", "dark and narrow")
    assert page.get_attribute("html", "data-theme") == "dark"
    look = "() => [document.documentElement.dataset.theme, getComputedStyle(document.querySelector('pre')).color]"
    dark = page.evaluate(look)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    light = page.evaluate(look)
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert light[0] == "light"
    assert max(map(int, re.findall(r"\d+", light[1])[:3])) < 100
    assert page.evaluate(look) == dark


def lowest(sheet: PageObject) -> float:
    """Return how high above the bottom edge the lowest text of a sheet stands, in points; the footer apart."""
    heights = []

    def note(text: str, cm: list[float], tm: list[float], *_: object) -> None:
        if text.strip():
            heights.append(tm[4] * cm[1] + tm[5] * cm[3] + cm[5])

    sheet.extract_text(visitor_text=note)
    return min((height for height in heights if height > 60), default=1000)


@pytest.mark.parametrize("place", ["notebooks/gpicl/interventions"])
def test_no_sheet_but_the_last_is_half_empty(visitor: Visitor, place: str) -> None:
    page = visitor.visit("light", f"{place}.html")
    reader = PdfReader(io.BytesIO(page.pdf(prefer_css_page_size=True, print_background=True)))
    assert len(reader.pages) >= 5
    heights = {number: lowest(sheet) for number, sheet in enumerate(reader.pages[:-1], start=1)}
    assert {number: height for number, height in heights.items() if height > 842 / 2} == {}
    said = " ".join(sheet.extract_text() for sheet in reader.pages)
    assert "Suggest edit" not in said
