"""Tables made when the book is built: how often intervals hold the truth, and the status of the notebooks.

With the pieces that tables and the scoreboard (``board.py``) are made of.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from tutorlib.lab import coverage
from tutorlib_book.chapters import CHAPTERS

STATUS = Path("notebooks/status.json")
KINDS = ("idea", "method", "results")  # what every chapter has; other pages share a column
"""The notebooks that a chapter can have, in the order in which they are read."""

SIGNS = {
    "holds": "✓",
    "in part": "◐",
    "inconclusive": "?",
    "not tested here": "–",
    "contradicted in part": "◔",
    "contradicted": "✗",
    "passed": "✓",
    "failed": "✗",
}
"""What a badge shows before its word, and a mark in place of it; the style sheet has the same and the colours."""

logger = logging.getLogger(__name__)


def setup(app: Sphinx) -> None:
    app.add_directive("coverage", Coverage)
    app.add_directive("notebook-status", NotebookStatus)
    app.add_node(Details, html=(open_details, close_details))
    app.add_node(Summary, html=(open_summary, close_summary))


class Details(nodes.General, nodes.Element):
    """A piece of a page that opens; its first child is the ``Summary``."""


class Summary(nodes.General, nodes.TextElement):
    """The line that stands there while the piece around it is closed."""


def open_details(self: Any, node: nodes.Element) -> None:
    self.body.append(self.starttag(node, "details"))


def close_details(self: Any, node: nodes.Element) -> None:
    self.body.append("</details>\n")


def open_summary(self: Any, node: nodes.Element) -> None:
    self.body.append(self.starttag(node, "summary", ""))


def close_summary(self: Any, node: nodes.Element) -> None:
    self.body.append("</summary>\n")


class Coverage(SphinxDirective):
    """``{coverage}``: how often intervals hold the truth, simulated when the page is built."""

    def run(self) -> list[nodes.Node]:
        rows = [
            [[nodes.paragraph(text=cell)] for cell in row]
            for row in (
                *(
                    [f"Student's t, {law} law", *(f"{100 * coverage.coverage(law, n):.1f} %" for n in coverage.SIZES)]
                    for law in coverage.LAWS
                ),
                [
                    "exact binomial, at the share where it is lowest",
                    *(f"{100 * coverage.least_coverage(n):.1f} %" for n in coverage.SIZES),
                ],
            )
        ]
        caption = "How often a 95 % interval holds the truth"
        heads = {"Interval": 46, **{f"of {n}": 18 for n in coverage.SIZES}}
        made = table([nodes.Text(caption)], heads, rows)
        made["classes"].append("coverage")
        return [made]


class NotebookStatus(SphinxDirective):
    """``{notebook-status}``: when and how each notebook was last executed, from ``notebooks/status.json``."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()  # the file may also appear or vanish
        path = Path(self.env.srcdir) / STATUS
        try:
            status = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError) as error:
            logger.warning("no status of the notebooks (%s)", error, location=self.get_location())
            return []
        pages = {name.removeprefix("notebooks/") for name in self.env.found_docs if name.startswith("notebooks/")}
        for name in sorted(pages ^ set(status["notebooks"])):
            message = "notebooks/%s: expected both a page of the book and an entry in %s"
            logger.warning(message, name, STATUS, location=self.get_location())
        return status_nodes(status, self.env.docname)


def status_nodes(status: Mapping[str, Any], here: str) -> list[nodes.Node]:
    """Return the matrix of the notebooks, a sentence on the environment, and a line per chapter that opens."""
    versions = ", ".join(f"{name} {number}" for name, number in sorted(status["packages"].items()))
    entries = status["notebooks"]
    made: list[nodes.Node] = [
        nodes.raw("", status_matrix(entries), format="html"),
        nodes.paragraph(text=f"Executed on {status['device']} with Python {status['python']}, {versions}."),
    ]
    for chapter in CHAPTERS:
        executed = notebooks_of(entries, chapter.slug)
        if not executed:
            continue
        word = "passed" if all(entry["passed"] for entry in executed.values()) else "failed"
        cells, compared = (sum(entry[key] for entry in executed.values()) for key in ("cells", "checked"))
        total = duration(sum(entry["seconds"] for entry in executed.values()))
        words = f" {len(executed)} notebooks, {total}, {compared} of {cells} code cells compared"
        head = Summary("", "", nodes.strong(text=chapter.name), nodes.Text(" "), badge(word), nodes.Text(words))
        rows = [
            [
                [nodes.paragraph("", "", doc(f"notebooks/{chapter.slug}/{kind}", here, kind))],
                [nodes.paragraph(text=duration(entry["seconds"]))],
                [nodes.paragraph(text=str(entry["cells"]))],
                [nodes.paragraph(text=str(entry["checked"]))],
                [nodes.paragraph("", "", badge("passed" if entry["passed"] else "failed"))],
            ]
            for kind, entry in executed.items()
        ]
        heads = {"Notebook": 32, "Run time": 17, "Code cells": 17, "Compared": 17, "Result": 17}
        made.append(Details("", head, table([nodes.Text(chapter.name)], heads, rows), classes=["claim", "notebooks"]))
    return made


def status_matrix(entries: Mapping[str, Any]) -> str:
    """Return the matrix of the notebooks as HTML: a row per chapter, a mark and a time per notebook."""
    rows = []
    for chapter in CHAPTERS:
        marks = {kind: notebook_mark(chapter.slug, kind, e) for kind, e in notebooks_of(entries, chapter.slug).items()}
        further = "".join(mark for kind, mark in marks.items() if kind not in KINDS)
        cells = "".join(f"<td>{part}</td>" for part in (*(marks.get(kind, "") for kind in KINDS), further))
        if not marks:
            cells = f'<td class="none" colspan="{len(KINDS) + 1}">in preparation</td>'
        rows.append(f'<tr><th scope="row">{escape(chapter.name)}</th>{cells}</tr>\n')
    head = "".join(f'<th scope="col">{kind.capitalize()}</th>' for kind in (*KINDS, "further pages"))
    return (
        '<div class="matrix-box"><table class="matrix notebooks">\n'
        "<caption>The notebooks at their last execution</caption>\n"
        f'<thead><tr><th scope="col">Chapter</th>{head}</tr></thead>\n'
        f"<tbody>\n{''.join(rows)}</tbody>\n</table></div>\n"
    )


def notebooks_of(entries: Mapping[str, Any], slug: str) -> dict[str, Any]:
    """Return the entries of a chapter's notebooks by kind: first what every chapter has, then its further pages."""
    executed = {name.removeprefix(f"{slug}/"): entry for name, entry in entries.items() if name.startswith(f"{slug}/")}
    return {kind: executed[kind] for kind in sorted(executed, key=lambda kind: (kind not in KINDS, kind))}


def notebook_mark(slug: str, kind: str, entry: Mapping[str, Any]) -> str:
    """Return the mark of a notebook, a link to its page; that of a further page has its name, since no column has."""
    word, time = "passed" if entry["passed"] else "failed", duration(entry["seconds"])
    words = escape(f"{slug} {kind}: {word}, {time}")
    said = [SIGNS[word], time.replace(" ", "\N{NO-BREAK SPACE}"), *([] if kind in KINDS else [kind])]
    return (
        f'<a class="mark {word_class(word)}" href="../notebooks/{slug}/{kind}.html" aria-label="{words}" '
        f'title="{words}">{" ".join(said)}</a>'
    )


def duration(seconds: float) -> str:
    """Return a time as a reader says it: ``42 s``, or ``3.2 min`` from 100 seconds on."""
    return f"{seconds:.0f} s" if seconds < 99.5 else f"{seconds / 60:.1f} min"


def doc(name: str, here: str, text: str | None = None) -> pending_xref:
    """Return a link to a page of the book, with its title unless ``text`` is given; a dead one is a warning."""
    return pending_xref(
        "",
        nodes.inline(text=text or name, classes=["doc"]),
        refdomain="std",
        reftype="doc",
        reftarget=f"/{name}",
        refexplicit=text is not None,
        refdoc=here,
        refwarn=True,
    )


def badge(word: str) -> nodes.inline:
    """Return ``word`` as a badge; its colour only repeats what the word says."""
    return nodes.inline(text=word, classes=["verdict", word_class(word)])


def word_class(word: str) -> str:
    """Return the class that gives a verdict or a result its colour."""
    return "verdict-" + word.replace(" ", "-")


def table(
    caption: Sequence[nodes.Node], heads: dict[str, int], rows: Iterable[Sequence[Sequence[nodes.Node]]]
) -> nodes.table:
    """Return a table with a caption and a head per column with its width; the first cell of a row is its head."""

    def row(cells: Iterable[Sequence[nodes.Node]]) -> nodes.row:
        return nodes.row("", *(nodes.entry("", *cell) for cell in cells))

    columns = [nodes.colspec(colwidth=width, stub=int(i == 0)) for i, width in enumerate(heads.values())]
    head = nodes.thead("", row([nodes.paragraph(text=text)] for text in heads))
    body = nodes.tbody("", *(row(cells) for cells in rows))
    group = nodes.tgroup("", *columns, head, body, cols=len(heads))
    return nodes.table("", nodes.title("", "", *caption), group, classes=["colwidths-given"])
