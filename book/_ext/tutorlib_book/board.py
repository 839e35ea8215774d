"""The scoreboard: a matrix of all chapters and their claims, and a line per claim that opens.

Both are made from recorded results when the book is built. The matrix stands on the opening page, too.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from tutorlib import papers
from tutorlib.lab import Claim, Evidence, Terms, judge
from tutorlib.lab.verdicts import VERDICTS
from tutorlib_book.chapters import CHAPTERS, Chapter
from tutorlib_book.tables import SIGNS, Details, Summary, badge, doc, word_class

PAGE = "book/scoreboard"
EMPTY = "in preparation"

Judged = Mapping[str, Sequence[tuple[Claim, Evidence]]]


def setup(app: Sphinx) -> None:
    app.add_directive("claims-matrix", ClaimsMatrix)
    app.add_directive("scoreboard", Scoreboard)


def judged() -> Judged:
    """Return the claims of each paper, by its slug, with what the records say of them."""
    by_paper: dict[str, list[tuple[Claim, Evidence]]] = {}
    for claim in papers.claims():
        by_paper.setdefault(claim.id.partition(".")[0], []).append((claim, judge(claim)))
    return by_paper


class ClaimsMatrix(SphinxDirective):
    """``{claims-matrix}``: a row per paper, a coloured mark per claim, each a link to its line on the scoreboard."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()  # the records are not files of the book, so judge them at each build
        builder, here = self.env.app.builder, self.env.docname
        by_paper = judged()
        chapters = {
            chapter.slug: builder.get_relative_uri(here, chapter.page(self.env.found_docs)) for chapter in CHAPTERS
        }
        board = builder.get_relative_uri(here, PAGE) if here != PAGE else ""
        return [nodes.raw("", matrix(by_paper, chapters, board), format="html"), legend(by_paper)]


class Scoreboard(SphinxDirective):
    """``{scoreboard}``: per paper a heading and a line for each of its claims, which opens."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        names = {chapter.slug: chapter for chapter in CHAPTERS}
        return [self.paper(names[slug], rows) for slug, rows in judged().items()]

    def paper(self, chapter: Chapter, rows: Sequence[tuple[Claim, Evidence]]) -> nodes.section:
        made = nodes.section("", nodes.title(text=chapter.name), ids=[chapter.slug], names=[chapter.slug])
        if chapter.ready(self.env.found_docs):
            results = doc(f"notebooks/{chapter.slug}/results", self.env.docname, f"{chapter.name}'s results")
        else:  # it is being built: its claims have bars, and no page has results
            results = doc(chapter.page(self.env.found_docs), self.env.docname, f"{chapter.name}'s preview")
        counts = tally(evidence.verdict for _, evidence in rows)
        made += nodes.paragraph("", f"{counts}: ", results, classes=["tally"])
        made += [line(claim, evidence) for claim, evidence in rows]
        return made


def anchor(claim: Claim) -> str:
    """Return the name by which links lead to the line of a claim."""
    return "claim-" + claim.id.replace(".", "-")


def matrix(by_paper: Judged, chapters: Mapping[str, str], board: str) -> str:
    """Return the matrix as HTML.

    Args:
        found: the judged claims of each paper that has any, by its slug.
        chapters: the address of each chapter, by its slug.
        board: the address of the scoreboard, empty on that page itself.
    """
    width = max(map(len, by_paper.values()))
    head = "".join(f'<th scope="col">C{number}</th>' for number in range(1, width + 1))
    rows = []
    for chapter in CHAPTERS:
        cells = "".join(mark(claim, evidence, board) for claim, evidence in by_paper.get(chapter.slug, ()))
        missing = width - len(by_paper.get(chapter.slug, ()))
        if missing:
            words = "" if cells else EMPTY
            cells += f'<td class="none" colspan="{missing}">{words}</td>'
        name = f'<th scope="row"><a href="{chapters[chapter.slug]}">{escape(chapter.name)}</a></th>'
        rows.append(f"<tr>{name}{cells}</tr>\n")
    caption = "<caption>The ten papers and their claims. Each mark leads to its line on the scoreboard.</caption>"
    return (
        f'<div class="matrix-box"><table class="matrix">\n{caption}\n<thead><tr><th scope="col">Paper</th>{head}</tr>'
        f"</thead>\n<tbody>\n{''.join(rows)}</tbody>\n</table></div>\n"
    )


def mark(claim: Claim, evidence: Evidence, board: str) -> str:
    """Return the cell of one claim: a sign in a colour, with words for screen readers and for a pointer that rests."""
    paper, _, number = claim.id.partition(".")
    words = escape(f"{paper} {number}: {evidence.verdict}")
    return (
        f'<td><a class="mark {word_class(evidence.verdict)}" href="{board}#{anchor(claim)}" aria-label="{words}" '
        f'title="{words}. {escape(claim.sentence)}">{SIGNS[evidence.verdict]}</a></td>'
    )


def legend(by_paper: Judged) -> nodes.paragraph:
    """Return a line with each verdict that occurs, as a badge, and how often it does."""
    counts = Counter(evidence.verdict for rows in by_paper.values() for _, evidence in rows)
    made = nodes.paragraph("", classes=["legend"])
    for verdict in VERDICTS:
        if counts[verdict]:
            both = nodes.inline("", "", badge(verdict), nodes.Text(f" {counts[verdict]}"))
            made += [both, nodes.Text(" ")]
    return made


def line(claim: Claim, evidence: Evidence) -> Details:
    """Return the line of one claim: badge, number and sentence, and what opens below them."""
    number = claim.id.partition(".")[2]
    head = Summary("", "", nodes.strong(text=number), nodes.Text(" "), badge(evidence.verdict))
    if evidence.interval:
        measured = f"{evidence.interval}, {evidence.interval.sample}"
        head += [nodes.Text(" "), nodes.inline(text=measured, classes=["number"])]
    head += [nodes.Text(" "), nodes.inline(text=claim.sentence, classes=["sentence"])]
    return Details("", head, *facts(claim, evidence), ids=[anchor(claim)], classes=["claim"])


def facts(claim: Claim, evidence: Evidence) -> list[nodes.Node]:
    """Return what stands below the line of a claim: what was measured, and in which setting, as a list of terms."""
    measured: list[nodes.Node] = [nodes.paragraph(text=evidence.detail)] if evidence.detail else []
    if len(evidence.parts) > 1:
        items = (nodes.list_item("", nodes.paragraph(text=f"{name}: {part}")) for name, part in evidence.parts.items())
        measured.append(nodes.bullet_list("", *items))
    entries: dict[str, list[nodes.Node]] = {
        "Measured": measured,
        "Against it": [nodes.paragraph(text=words) for words in evidence.against],
        **(terms(claim.terms) if claim.terms and evidence.parts else {}),
        "Scale": [nodes.paragraph(text=claim.scale)],
        "Budget": [nodes.paragraph(text=claim.budget)] if claim.budget else [],
        "The paper reports": [nodes.paragraph(text=claim.reported)],
    }
    listed = (
        nodes.definition_list_item("", nodes.term(text=name), nodes.definition("", *content))
        for name, content in entries.items()
        if content
    )
    return [nodes.definition_list("", *listed)]


def terms(fixed: Terms) -> dict[str, list[nodes.Node]]:
    """Return what was fixed before a study ran, and what was changed since, a paragraph for each reason."""
    tuning = f"; {seeds(fixed.tuning)} for tuning" if fixed.tuning else ""
    reasons: dict[tuple[str, str], list[str]] = {}
    for change in fixed.changes:
        reasons.setdefault((change.date, change.reason), []).append(change.part)
    changes = [f"{date}, {'; '.join(parts)}: {reason}" for (date, reason), parts in reasons.items()]
    return {
        "Seeds": [nodes.paragraph(text=f"{seeds(fixed.seeds)}{tuning}")],
        "Conditions": [nodes.paragraph(text=words) for words in fixed.conditions],
        f"Changed since {fixed.fixed}": [nodes.paragraph(text=words) for words in changes],
    }


def seeds(numbers: Collection[int]) -> str:
    """Return seeds in words: ``0 to 4``, or one by one where some in between are missing."""
    ordered = sorted(numbers)
    if len(ordered) > 2 and ordered == list(range(ordered[0], ordered[-1] + 1)):
        return f"{ordered[0]} to {ordered[-1]}"
    return ", ".join(map(str, ordered)) or "none"


def tally(verdicts: Iterable[str]) -> str:
    """Return how often each verdict occurs, in words: "2 × holds, 1 × not tested here"."""
    counts = Counter(verdicts)
    return ", ".join(f"{counts[verdict]} × {verdict}" for verdict in VERDICTS if counts[verdict])
