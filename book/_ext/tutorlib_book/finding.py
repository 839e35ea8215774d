"""The search: an index of words without TeX, and an order of results that suits readers (static/search.js)."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", index_words_only)
    app.connect("html-page-context", add_order)


def index_words_only(app: Sphinx) -> None:
    """Leave the formulas out of what goes into the index."""
    if app.builder.format != "html":
        return
    index = app.builder.index_page  # type: ignore[attr-defined]

    def without_formulas(page: str, doctree: nodes.document, title: str) -> None:
        index(page, wordy(doctree), title)

    app.builder.index_page = without_formulas  # type: ignore[attr-defined]


def wordy(doctree: nodes.document) -> nodes.document:
    """Return a copy of a page without its formulas."""
    words = doctree.deepcopy()
    for formula in list(words.findall(lambda node: isinstance(node, nodes.math | nodes.math_block))):
        formula.parent.remove(formula)
    return words


def add_order(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    if page == "search":
        app.add_js_file("search.js", loading_method="defer")
