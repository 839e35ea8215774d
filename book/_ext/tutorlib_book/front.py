"""What the opening page has beside words: a game that lives, and a map whose boxes are links."""

import re
from html import escape
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from tutorlib import papers
from tutorlib.lab import recorded
from tutorlib_book.chapters import CHAPTERS

BOX = re.compile(r'<rect data-paper="(\w+)" (x="\d+" y="\d+" width="\d+" height="\d+" rx="\d+")')
MAP = "_static/map.svg"


def setup(app: Sphinx) -> None:
    app.add_directive("be-the-learner", BeTheLearner)
    app.add_directive("paper-map", PaperMap)


class BeTheLearner(SphinxDirective):
    """``{be-the-learner}``: the game of the GPICL chapter, made from the same record."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()  # the record is no file of the book
        (game,) = recorded("gpicl.games")
        explorer = papers.room("gpicl", "explorers").learner_explorer(game)
        return [nodes.raw("", explorer.html, format="html")]


class PaperMap(SphinxDirective):
    """``{paper-map}``: the map of the papers. A box leads to its chapter, and to the paper where there is none yet."""

    option_spec = {"name": directives.unchanged}  # noqa: RUF012 - as docutils has it
    has_content = True

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()  # a chapter may appear
        path = Path(self.env.srcdir) / Path(self.env.docname).parent / MAP
        self.env.note_dependency(str(path))
        pages, links = self.env.found_docs, {}
        for chapter in CHAPTERS:
            page = self.env.app.builder.get_relative_uri(self.env.docname, chapter.page(pages))
            ready = chapter.ready(pages)
            words = f"{chapter.name}: {'the chapter' if ready else 'the paper, on arXiv'}"
            links[chapter.slug] = (page if ready else chapter.paper, words)
        drawing = with_links(path.read_text(encoding="utf-8"), links)
        drawn = nodes.raw("", f'<div class="map-box">{drawing}</div>', format="html")
        figure = nodes.figure("", drawn, nodes.caption("", " ".join(self.content)), classes=["paper-map"])
        self.add_name(figure)
        return [figure]


def with_links(drawing: str, links: dict[str, tuple[str, str]]) -> str:
    """Return ``drawing`` with a link over the box of each paper: its address and its words, by slug."""
    laid = "".join(
        f'<a href="{escape(links[slug][0])}" aria-label="{escape(links[slug][1])}"><rect {place}/></a>\n'
        for slug, place in BOX.findall(drawing)
    )
    return drawing.replace("</svg>", f"{laid}</svg>")
