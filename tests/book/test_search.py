"""The search: what it finds first, and that it speaks in words."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page
from visitor import Visitor


def results(visitor: Visitor, words: str) -> tuple[Page, list[str]]:
    """Return the search page and the addresses of what it found for ``words``, best first."""
    page = visitor.visit("light", f"search.html?q={words}")
    page.wait_for_selector("#search-results .search-summary:has-text('finished')")
    found = page.eval_on_selector_all("#search-results ul.search > li > a", "links => links.map(a => a.pathname)")
    return page, [re.sub(r".*?/tutorlib/|\.html$", "", path) for path in found]


@pytest.mark.browser
def test_install_finds_the_guide_first(visitor: Visitor) -> None:
    _, found = results(visitor, "install")
    assert found[0] == "book/guide"


@pytest.mark.browser
@pytest.mark.parametrize("words", ["plateau", "checkpoint", "record", "curiosity"])
def test_chapters_stand_above_the_pages_of_the_library(visitor: Visitor, words: str) -> None:
    _, found = results(visitor, words)
    library = [place.startswith("book/api/") for place in found]
    assert not all(library)
    assert library == sorted(library), found


@pytest.mark.browser
def test_what_is_shown_is_words(visitor: Visitor) -> None:
    page, found = results(visitor, "gradient")
    assert len(found) > 5
    page.wait_for_selector(f"#search-results li:nth-child({len(found)}) p.context")
    shown = page.eval_on_selector_all("#search-results p.context", "all => all.map(p => p.textContent)")
    assert len(shown) > 5
    assert not [text for text in shown if "\\" in text or "$" in text]
    assert not visitor.problems


def test_no_tex_is_in_the_index(site: Path) -> None:
    text = (site / "searchindex.js").read_text(encoding="utf-8")
    terms = json.loads(text[text.index("(") + 1 : text.rindex(")")])["terms"]
    assert {"plateau", "gradient"} <= set(terms)
    assert not {"mathbb", "tfrac", "varepsilon", "begin{align}"} & set(terms)  # code may hold "mathrm"
