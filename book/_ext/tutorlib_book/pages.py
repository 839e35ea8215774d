"""Repairs of what the theme and docutils make of a page."""

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

STATIC = Path(__file__).parent / "static"

AFTER_THEME = 502  # the theme makes its buttons at priority 501

REPLACED = {
    # Roles that ARIA deprecates, and a list whose children are no list items (bibliography).
    ' role="doc-biblioentry"': "",
    '<div role="list" class="citation-list">': '<div class="citation-list">',
    # The empty corner of a table of pandas is no head of anything.
    "<th></th>": "<td></td>",
}
SIGNATURE = re.compile(r'<dt class="sig .*?</dt>', re.DOTALL)
PARAMETERS = {"<dl>": '<span class="parameters">', "<dd>": "<span>", "</dl>": "</span>", "</dd>": "</span>"}


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", add_static_files)
    app.connect("html-page-context", repair, priority=AFTER_THEME)
    app.add_post_transform(RemoteImagesInWords)


def add_static_files(app: Sphinx) -> None:
    app.config.html_static_path.append(str(STATIC))
    app.add_css_file("tutorlib.css")


def repair(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Change what is about to be written of one page."""
    context["body"] = SIGNATURE.sub(valid_signature, replaced(context.get("body", ""), REPLACED))
    edit_the_text_form(context)
    name_the_toggles(context)


def replaced(text: str, by: dict[str, str]) -> str:
    for old, new in by.items():
        text = text.replace(old, new)
    return text


def valid_signature(match: re.Match[str]) -> str:
    """Return a signature whose parameters stand on lines of their own without a list that lacks its terms."""
    return replaced(match[0], PARAMETERS)


def edit_the_text_form(context: dict[str, Any]) -> None:
    """Let the edit button of a notebook lead to the .md of its pair: the .ipynb is made from it."""
    for group in context["header_buttons"]:
        for button in group.get("buttons", ()):
            if button.get("label") == "source-edit-button" and button["url"].endswith(".ipynb"):
                button["url"] = button["url"].removesuffix(".ipynb") + ".md"


def name_the_toggles(context: dict[str, Any]) -> None:
    """Give the buttons that unfold a part of the navigation a name; the theme gives them an icon only."""
    make = context["generate_toctree_html"]

    def named(**arguments: Any) -> Any:
        navigation = make(**arguments)
        for summary in navigation.select("summary"):
            summary["aria-label"] = "show or hide the pages below"
        return navigation

    context["generate_toctree_html"] = named


class RemoteImagesInWords(SphinxPostTransform):
    """Put its words in place of an image that lies elsewhere, such as a badge: a page loads nothing from outside."""

    default_priority = 5
    formats = ("html",)

    def run(self, **_: Any) -> None:
        for image in list(self.document.findall(nodes.image)):
            if "://" in image["uri"] or any("://" in uri for uri in image.get("candidates", {}).values()):
                image.replace_self(nodes.Text(image.get("alt", image["uri"])))
