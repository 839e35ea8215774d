"""Code cells of the pages: each check is in a line that opens, and what is folded has a name."""

import json
from collections.abc import Mapping

import pytest
from bs4 import BeautifulSoup
from docutils import nodes
from toc import PAGES, ROOT

Soups = Mapping[str, BeautifulSoup]

NOTEBOOKS = [page for page in PAGES if page.startswith("notebooks/")]


def checks_of(page: str) -> list[str]:
    """Return what a notebook's cells checked, as they printed it."""
    cells = json.loads((ROOT / f"{page}.ipynb").read_text(encoding="utf-8"))["cells"]
    printed = [
        line for cell in cells if not {"hide-cell"} & set(cell["metadata"].get("tags", ()))
        for output in cell.get("outputs", ()) for line in "".join(output.get("text", "")).splitlines()
    ]  # fmt: skip
    return [line.removeprefix("PASS:").strip() for line in printed if line.startswith("PASS:")]


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_what_was_checked_is_a_line_that_opens(soups: Soups, page: str) -> None:
    soup = soups[page]
    assert "PASS:" not in soup.get_text()
    shown = [item.get_text() for item in soup.select("details.checks li")]
    assert set(checks_of(page)) <= set(shown)
    for line in soup.select("details.checks"):
        assert not line.has_attr("open")
        assert line.summary is not None
        count = len(line.select("li"))
        assert line.summary.get_text().startswith("checked: ")
        assert line.summary.get_text().endswith("statement" if count == 1 else "statements")


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_what_is_folded_has_a_name(soups: Soups, page: str) -> None:
    from tutorlib_book.cells import FOLDED

    folded = [summary.get_text(" ", strip=True) for summary in soups[page].select("details.hide > summary")]
    assert folded, "the imports at least"
    names = {name for name, _ in FOLDED.values()}
    assert {name.partition(" Hide")[0] for name in folded} <= names


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("import numpy as np\nfrom torch import nn", "imports"),
        ("from tutorlib.show import notebook\n\ngenerator = notebook.begin(seed=0)", "imports"),
        ("check('a', 1 < 2)\nfor n in (1, 2):\n    near('b', n, 1.0, 2.0)", "check"),
        ("x = 1\ncheck('a', x < 2)", ""),
        ("print(1)", ""),
        ("%pip install tutorlib", ""),
        ("", ""),
    ],
)
def test_imports_and_checks_are_known_by_their_code(site: object, source: str, kind: str) -> None:
    from tutorlib_book.cells import kind_of

    assert kind_of(source) == kind


def test_what_else_was_printed_stays(site: object) -> None:
    from tutorlib_book.cells import gather

    output = nodes.literal_block("", "mean 0.5\nPASS: a < b\nPASS:   c is 1\nend")
    parent = nodes.container("", output)
    gather(output)
    rest, quiet = parent.children
    assert rest.astext() == "mean 0.5\nend"
    assert quiet.astext().startswith('<details class="checks"><summary>checked: two statements</summary>')
    assert "<li>a &lt; b</li><li>c is 1</li>" in quiet.astext()
