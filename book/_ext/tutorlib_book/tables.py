"""The scoreboard, made from recorded results, and the status of the notebooks, made from their last execution."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from tutorlib import papers
from tutorlib.lab import Claim, Evidence, coverage, judge
from tutorlib.lab.verdicts import VERDICTS

STATUS = Path("notebooks/status.json")

logger = logging.getLogger(__name__)


def setup(app: Sphinx) -> None:
    app.add_directive("scoreboard", Scoreboard)
    app.add_directive("coverage", Coverage)
    app.add_directive("notebook-status", NotebookStatus)


class Scoreboard(SphinxDirective):
    """``{scoreboard}``: per paper a table of its claims, the verdicts, our values, and what the paper reports."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()  # the records are not files of the book, so judge them at each build
        judged: dict[str, list[tuple[Claim, Evidence]]] = {}
        for claim in papers.claims():
            judged.setdefault(claim.id.partition(".")[0], []).append((claim, judge(claim)))
        return [node for paper, rows in judged.items() for node in self.paper(paper, rows)]

    def paper(self, paper: str, rows: Sequence[tuple[Claim, Evidence]]) -> list[nodes.Node]:
        chapter = doc(f"notebooks/{paper}/results", self.env.docname)
        counts = tally(evidence.verdict for _, evidence in rows)
        made = table(
            [nodes.Text("Claims of the chapter "), chapter, nodes.Text(f". {counts}.")],
            {"Claim": 23, "Verdict": 16, "Scale": 10, "Measured here": 34, "The paper reports": 17},
            [claim_cells(claim, evidence) for claim, evidence in rows],
        )
        made["classes"].append("scoreboard")
        return [made]


def claim_cells(claim: Claim, evidence: Evidence) -> list[list[nodes.Node]]:
    """Return the five cells of one claim, each a list of paragraphs."""
    measured: list[nodes.Node] = []
    if evidence.interval:
        number = nodes.inline(text=str(evidence.interval), classes=["number"])
        measured.append(nodes.paragraph("", "", number, nodes.Text(f", {evidence.interval.sample}")))
    if evidence.detail:
        measured.append(nodes.paragraph(text=evidence.detail))
    if len(evidence.parts) > 1:
        items = (nodes.list_item("", nodes.paragraph(text=f"{name}: {part}")) for name, part in evidence.parts.items())
        measured.append(nodes.bullet_list("", *items))
    measured += [nodes.paragraph(text=f"Against it: {words}") for words in evidence.against]
    if claim.budget:
        measured.append(nodes.paragraph(text=f"Budget: {claim.budget}"))
    return [
        [nodes.paragraph("", "", nodes.strong(text=claim.id)), nodes.paragraph(text=claim.sentence)],
        [nodes.paragraph("", "", badge(evidence.verdict))],
        [nodes.paragraph(text=claim.scale)],
        measured,
        [nodes.paragraph(text=claim.reported)],
    ]


def tally(verdicts: Iterable[str]) -> str:
    """Return how often each verdict occurs, in words: "2 × holds, 1 × not tested here"."""
    counts = Counter(verdicts)
    return ", ".join(f"{counts[verdict]} × {verdict}" for verdict in VERDICTS if counts[verdict])


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


def status_nodes(status: dict[str, Any], here: str) -> list[nodes.Node]:
    """Return a sentence on the environment and a table with one row per notebook."""
    versions = ", ".join(f"{name} {number}" for name, number in sorted(status["packages"].items()))
    rows = [
        [
            [nodes.paragraph("", "", doc(f"notebooks/{name}", here, name))],
            [nodes.paragraph(text=f"{entry['seconds']:.0f} s")],
            [nodes.paragraph(text=str(entry["cells"]))],
            [nodes.paragraph(text=str(entry["checked"]))],
            [nodes.paragraph("", "", badge("passed" if entry["passed"] else "failed"))],
        ]
        for name, entry in sorted(status["notebooks"].items())
    ]
    return [
        nodes.paragraph(text=f"Executed on {status['device']} with Python {status['python']}, {versions}."),
        table(
            [nodes.Text("The notebooks at their last execution")],
            {"Notebook": 40, "Run time": 15, "Code cells": 15, "Compared": 15, "Result": 15},
            rows,
        ),
    ]


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
    return nodes.inline(text=word, classes=["verdict", "verdict-" + word.replace(" ", "-")])


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
