"""Signatures and docstrings on the API pages."""

from typing import Any

from docutils import nodes
from numpy.typing import ArrayLike
from sphinx.addnodes import desc_annotation
from sphinx.application import Sphinx
from sphinx.ext.napoleon import Config, GoogleDocstring
from sphinx.util.typing import stringify_annotation

LONGEST_VALUE = 36  # a narrow page has no room for more


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", sections)
    app.connect("autodoc-process-signature", signature)
    app.connect("object-description-transform", shorten_values)


def sections(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Let sections such as ``Args:`` become field lists, as sphinx.ext.napoleon does.

    Not by that extension itself, because it takes the words before a colon in the docstring of an attribute for
    the attribute's type.
    """
    if what in ("module", "class", "exception", "function", "method"):
        lines[:] = GoogleDocstring(list(lines), Config(), app, what, name, obj, options).lines()


def signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, parameters: str | None, result: str | None
) -> tuple[str | None, str | None]:
    """Let ``ArrayLike`` keep its name, and a default that a factory makes read as "...".

    Sphinx would write the union that ``ArrayLike`` stands for, and cannot parse ``<factory>``.
    """
    if parameters:
        union = stringify_annotation(ArrayLike, "smart")
        parameters = parameters.replace(union, "~numpy.typing.ArrayLike").replace("<factory>", "...")
    return parameters, result


def shorten_values(app: Sphinx, domain: str, objtype: str, content: nodes.Element) -> None:
    """Leave out the value of a constant where it is long, such as a whole experiment."""
    for line in content.parent[:-1]:
        for value in list(line.findall(desc_annotation)):
            if value.astext().lstrip().startswith("=") and len(value.astext()) > LONGEST_VALUE:
                line.remove(value)
