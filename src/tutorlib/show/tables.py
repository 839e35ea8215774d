"""Results as tables: of HTML on a page and in a notebook, of plain text elsewhere.

The classes are those of the book's style sheet; without it a table is a plain one, and says the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from numbers import Real
from typing import Any

import pandas as pd

from tutorlib.lab.claims import Claim, judge
from tutorlib.lab.errors import bad_argument, checked
from tutorlib.show.notebook import number


@dataclass(frozen=True)
class Table:
    """What a notebook shows of rows and columns."""

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


@checked(minimum={"digits": 1}, maximum={"digits": 17})
def table(columns: Mapping[str, Sequence[Any]] | pd.DataFrame, caption: str = "", digits: int = 3) -> Table:
    """Return ``columns`` as a table whose first column names its rows.

    Args:
        columns: the entries of each column by its head: words, numbers, intervals, or anything with a text of its own.
            A frame's index is left out.
        caption: what the table shows, in a line above it.
        digits: significant digits of numbers that are not whole. Give the text where a column needs other ones.

    Raises:
        UsageError: if there is no column, or columns have different lengths.
    """
    heads = [str(head) for head, _ in columns.items()]
    bodies = [list(body) for _, body in columns.items()]
    if not bodies or len({len(body) for body in bodies}) > 1:
        raise bad_argument("columns", {h: len(b) for h, b in zip(heads, bodies, strict=True)}, "columns of one length")
    words = [[_words(entry, digits) for entry in body] for body in bodies]
    kinds = ["number" if body and all(_is_number(e) for e in body) else "words" for body in bodies]
    head = "".join(
        f'<th scope="col" class="{kind}">{escape(name)}</th>' if name else "<td></td>"
        for name, kind in zip(heads, kinds, strict=True)
    )
    rows = []
    for first, *others in zip(*words, strict=True):
        cells = (f'<td class="{k}">{escape(w)}</td>' for w, k in zip(others, kinds[1:], strict=True))
        rows.append(f'<tr><th scope="row" class="{kinds[0]}">{escape(first)}</th>{"".join(cells)}</tr>')
    html = _html("results", caption, f"<thead><tr>{head}</tr></thead>", ["<tbody>", *rows, "</tbody>"])
    plain = pd.DataFrame(dict(zip(heads, words, strict=True))).to_string(index=False)
    return Table(html, f"{caption}\n{plain}" if caption else plain)


@checked()
def verdicts(claims: Iterable[Claim]) -> Table:
    """Return a table of ``claims`` as the records judge them: each with its parts, and with what speaks against it."""
    bodies, lines = [], []
    for claim in claims:
        evidence = judge(claim)
        identity = claim.id.partition(".")[2] or claim.id
        measured = f"{evidence.interval}, {evidence.interval.sample}" if evidence.interval else ""
        rows = [_row(f"<strong>{escape(identity)}</strong> {escape(claim.sentence)}", evidence.verdict, measured)]
        lines.append(f"{identity}  {evidence.verdict} ({claim.scale})  {measured}".rstrip())
        lines.append(f"    {claim.sentence}")
        for name, part in evidence.parts.items() if len(evidence.parts) > 1 else ():
            interval = str(part.interval) if part.interval else ""
            label = f"{escape(name)}: {escape(part.why)}" if part.why else escape(name)
            rows.append(_row(label, part.verdict, interval, part=True))
            lines.append(f"      {name}: {part}")
        for sentence in evidence.against:
            rows.append(f'<tr class="against"><td colspan="3">Against it: {escape(sentence)}</td></tr>')
            lines.append(f"      Against it: {sentence}")
        bodies.append(f"<tbody>{''.join(rows)}</tbody>")
    names = ("Claim", "Verdict", "Measured, 95 % interval")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    return Table(_html("verdicts", "", f"<thead><tr>{head}</tr></thead>", bodies), "\n".join(lines))


def _row(claim: str, verdict: str, measured: str, part: bool = False) -> str:
    badge = f'<span class="verdict verdict-{verdict.replace(" ", "-")}">{verdict}</span>'
    kind = ' class="part"' if part else ""
    return f'<tr{kind}><th scope="row">{claim}</th><td>{badge}</td><td class="number">{escape(measured)}</td></tr>'


def _html(kind: str, caption: str, head: str, rows: Iterable[str]) -> str:
    title = [f"<caption>{escape(caption)}</caption>"] if caption else []
    lines = [f'<div class="table-box"><table class="{kind}">', *title, head, *rows, "</table></div>"]
    return "\n".join(lines)


def _is_number(entry: Any) -> bool:
    return isinstance(entry, Real) and not isinstance(entry, bool)


def _words(entry: Any, digits: int) -> str:
    """Return an entry as text; a number of NumPy or torch is one of Python's."""
    plain = entry.item() if getattr(entry, "ndim", None) == 0 else entry
    return number(plain, digits) if isinstance(plain, int | float) and not isinstance(plain, bool) else str(plain)


__all__ = ["Table", "table", "verdicts"]
