"""Data of the ``curves_explorer`` module: a few choosers, one chart of curves, and a readout of numbers.

Everything is computed beforehand: each curve, number and mark says which choosers it depends on (``over``) and holds
one entry for each combination of their values. The module itself is ``curves_explorer.mjs``; ``curves_data`` is the
only description of what it reads.
"""

import math
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal, NotRequired, TypedDict

from matplotlib.figure import Figure

from tutorlib.lab.errors import UsageError, bad_argument, checked, choose
from tutorlib.show.explorer import rounded
from tutorlib.show.packing import pack, unpack
from tutorlib.show.style import CYCLE, METHODS, NAMES, REFERENCE, fit_title, style

MAX_LABEL = 18
"""Most characters in the label of a line, which stands beside the chart."""
MAX_LINES = 4
"""Most lines that are not thin: so many colours can be told apart."""
LOG_DECIMALS = 4
"""Decimals of the logarithms of a curve on a logarithmic axis: the curve is exact to 0.012 %."""
DASHES = ("-", "--", ":", "-.")


class Chooser(TypedDict):
    """One knob: a short name, its words on the page, its values as texts or numbers, and what it looks like."""

    name: str
    label: str
    values: Sequence[str | float]
    kind: NotRequired[Literal["slider", "buttons"]]
    """a slider if not said"""


class Scale(TypedDict):
    """One axis of the chart: its words and its ends; ``log`` makes it logarithmic."""

    label: str
    low: float
    high: float
    log: NotRequired[bool]


class Line(TypedDict):
    """One line of the chart: its words, and numbers nested as ``[*over][position]``; ``thin`` is for comparisons.

    A method of ``style.METHODS`` has its colour; others have those of the chart, in order, and thin ones are grey.
    """

    label: str
    values: Any
    over: NotRequired[Sequence[str]]
    """names of the choosers that it depends on, in the order of nesting; all of them if not said"""
    thin: NotRequired[bool]


class Mark(TypedDict):
    """One place to point out, such as an escape from a plateau: its words, and ``x`` and ``y`` nested as ``[*over]``.

    An ``x`` of ``None`` leaves the mark out; without ``y`` it is an upright line.
    """

    label: str
    x: Any
    y: NotRequired[Any]
    over: NotRequired[Sequence[str]]


class Number(TypedDict):
    """One entry of the readout: a short name, its words, and numbers or words nested as ``[*over]``."""

    name: str
    label: str
    values: Any
    over: NotRequired[Sequence[str]]


@checked(maximum={"decimals": 9})
def curves_data(
    *,
    title: str,
    choosers: Sequence[Chooser],
    x: Scale,
    y: Scale,
    positions: Sequence[float | int],
    lines: Sequence[Line],
    numbers: Sequence[Number] = (),
    marks: Sequence[Mark] = (),
    start: Mapping[str, int] | None = None,
    note: str = "",
    decimals: int = 3,
) -> dict[str, Any]:
    """Return the data of the ``curves_explorer`` module, checked and packed.

    Arrays are nested lists or NumPy arrays; ``None`` stands for a missing entry, at any depth.

    Args:
        title: heading of the figure.
        choosers: the knobs, at least one, in the order in which they are shown.
        x: horizontal axis of the chart.
        y: vertical axis; what lies beyond its ends is drawn at its edge.
        positions: places on the horizontal axis at which all lines have their numbers.
        lines: the curves, at most four of them not thin.
        numbers: the readout, in the order in which it is shown; four significant digits are kept.
        marks: places to point out.
        start: per chooser name, the index at the start; 0 if not given.
        note: what a reader must know to read the numbers.
        decimals: decimals of the lines that are kept where the vertical axis is linear.

    Raises:
        UsageError: if a shape, a name, an index or a number does not fit; the message names the entry.
    """
    sizes = _sizes(choosers)
    across, up = _scale("x", x), _scale("y", y)
    places = [("positions", len(_positions(positions, across)))]
    if not 1 <= sum(not line.get("thin", False) for line in lines) <= MAX_LINES:
        raise bad_argument("lines", len(lines), f"1 to {MAX_LINES} that are not thin")
    return {
        "title": title,
        "note": note,
        "choosers": [_chooser(chooser) for chooser in choosers],
        "x": across,
        "y": up,
        "positions": _positions(positions, across),
        "decimals": decimals,
        "lines": [_line(line, sizes, places, up, decimals) for line in lines],
        "numbers": _numbers(numbers, sizes),
        "marks": [_mark(mark, sizes, across, up) for mark in marks],
        "start": _start(start or {}, sizes),
    }


def _sizes(choosers: Sequence[Chooser]) -> dict[str, int]:
    """Return how many values each chooser has, by name."""
    names = [chooser["name"] for chooser in choosers]
    _names("choosers", names)
    if not names:
        raise bad_argument("choosers", names, "at least one")
    if "scheme" in names:
        raise bad_argument("choosers name", "scheme", "another name: the page keeps light or dark under this one")
    return {chooser["name"]: len(chooser["values"]) for chooser in choosers}


def _names(what: str, names: Sequence[str]) -> None:
    """Raise ``UsageError`` unless all names can stand in an attribute of the page, and differ."""
    for name in names:
        if not re.fullmatch("[a-z][a-z0-9_]*", name) or names.count(name) > 1:
            raise bad_argument(f"{what} name", name, "different names in lower case")


def _chooser(chooser: Chooser) -> dict[str, Any]:
    """Return a chooser with its values as different texts."""
    texts = [value if isinstance(value, str) else f"{value:g}" for value in chooser["values"]]
    if not texts or len(set(texts)) < len(texts):
        raise bad_argument(f"{chooser['name']} values", texts, "at least one value, all different")
    kind = choose(f"{chooser['name']} kind", chooser.get("kind", "slider"), ["slider", "buttons"])
    return {"name": chooser["name"], "label": chooser["label"], "values": texts, "kind": kind}


def _scale(name: str, scale: Scale) -> dict[str, Any]:
    """Return an axis whose ends are in order, and above 0 if it is logarithmic."""
    low, high, log = scale["low"], scale["high"], scale.get("log", False)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise bad_argument(f"{name} low and high", (low, high), "two finite numbers, the first one smaller")
    if log and low <= 0:
        raise bad_argument(f"{name} low", low, "a positive number on a logarithmic axis")
    return {"label": scale["label"], "low": low, "high": high, "log": log}


def _positions(positions: Sequence[float | int], x: Mapping[str, Any]) -> list[float | int]:
    """Return the positions, which increase and lie on the axis; whole ones as whole numbers."""
    values = [float(position) for position in positions]
    inside = len(values) > 1 and x["low"] <= values[0] and values[-1] <= x["high"]
    if not inside or any(a >= b for a, b in pairwise(values)):
        raise bad_argument("positions", values, f"at least two, increasing, from {x['low']:g} to {x['high']:g}")
    return [int(p) if p.is_integer() else rounded(p, 6) for p in values]


def _over(name: str, entry: Mapping[str, Any], sizes: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return name and size of the choosers that an entry depends on."""
    names = [choose(f"{name} over", chooser, sizes) for chooser in entry.get("over", sizes)]
    if len(set(names)) < len(names):
        raise bad_argument(f"{name} over", names, "each chooser once")
    return [(chooser, sizes[chooser]) for chooser in names]


def _line(
    line: Line, sizes: Mapping[str, int], places: list[tuple[str, int]], y: Mapping[str, Any], decimals: int
) -> dict[str, Any]:
    """Return a line with its numbers packed: on a logarithmic axis their logarithms to base 10."""
    name = f"line {line['label']!r}"
    if not 1 <= len(line["label"]) <= MAX_LABEL:
        raise bad_argument(f"label of {name}", line["label"], f"1 to {MAX_LABEL} characters")
    over = _over(name, line, sizes)
    values = _logarithms(name, line["values"]) if y["log"] else line["values"]
    packed = pack(name, values, [*over, *places], LOG_DECIMALS if y["log"] else decimals)
    names = [chooser for chooser, _ in over]
    shown = {"label": line["label"], "over": names, "values": packed, "thin": line.get("thin", False)}
    return shown | ({"colour": NAMES[METHODS[line["label"]]]} if line["label"] in METHODS else {})


def _logarithms(name: str, array: Any) -> Any:
    """Return nested numbers as their logarithms to base 10."""
    if hasattr(array, "tolist"):
        array = array.tolist()
    if isinstance(array, list | tuple):
        return [_logarithms(f"{name}[{i}]", entry) for i, entry in enumerate(array)]
    if isinstance(array, int | float) and not isinstance(array, bool) and not math.isnan(array):
        if not 0 < array < math.inf:
            raise bad_argument(name, array, "a positive number on a logarithmic axis, or None")
        return math.log10(array)
    return array  # what is no number is for ``pack`` to refuse


def _numbers(numbers: Sequence[Number], sizes: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return the readout with its values nested as lists."""
    _names("numbers", [number["name"] for number in numbers])
    result = []
    for number in numbers:
        name = f"number {number['name']!r}"
        over = _over(name, number, sizes)
        values = rounded(_nested(name, number["values"], over, words=True), 4)
        names = [chooser for chooser, _ in over]
        result.append({"name": number["name"], "label": number["label"], "over": names, "values": values})
    return result


def _mark(mark: Mark, sizes: Mapping[str, int], x: Mapping[str, Any], y: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mark with its places nested as lists."""
    name = f"mark {mark['label']!r}"
    over = _over(name, mark, sizes)
    packed: dict[str, Any] = {"label": mark["label"], "over": [chooser for chooser, _ in over]}
    for end, axis in (("x", x), ("y", y)):
        values = _nested(f"{name} {end}", mark.get(end), over, words=False)
        _inside(f"{name} {end}", values, axis)
        packed[end] = rounded(values, 6)
    return packed


def _inside(name: str, array: Any, axis: Mapping[str, Any]) -> None:
    """Raise ``UsageError`` naming the first number that lies beyond the ends of the axis."""
    if isinstance(array, list):
        for i, entry in enumerate(array):
            _inside(f"{name}[{i}]", entry, axis)
    elif array is not None and not axis["low"] <= array <= axis["high"]:
        raise bad_argument(name, array, f"a number from {axis['low']:g} to {axis['high']:g}, the ends of the axis")


def _nested(name: str, array: Any, over: list[tuple[str, int]], words: bool) -> Any:
    """Return ``array`` as nested lists after a check of its shape and its entries."""
    if hasattr(array, "tolist"):
        array = array.tolist()
    if array is None or (not over and words and isinstance(array, str)):
        return array
    if not over:
        if isinstance(array, bool) or not isinstance(array, int | float) or not math.isfinite(array):
            raise bad_argument(name, array, f"a finite number, {'a text, ' if words else ''}or None")
        return array
    chooser, size = over[0]
    if not isinstance(array, list | tuple) or len(array) != size:
        got = len(array) if isinstance(array, list | tuple) else type(array).__name__
        raise UsageError(f"{name} has length {got}: expected {size}, one entry for each value of {chooser}")
    return [_nested(f"{name}[{i}]", entry, over[1:], words) for i, entry in enumerate(array)]


def _start(start: Mapping[str, int], sizes: Mapping[str, int]) -> dict[str, int]:
    """Return an index for each chooser."""
    for name, value in start.items():
        choose("start", name, sizes)
        if not isinstance(value, int) or not 0 <= value < sizes[name]:
            raise bad_argument(f"start {name}", value, f"an index from 0 to {sizes[name] - 1}")
    return {name: start.get(name, 0) for name in sizes}


@checked()
def curves_picture(data: Mapping[str, Any]) -> Figure:
    """Return the chart of ``curves_data`` at its start as a picture, for where no script runs."""
    with style():
        figure = Figure(layout="constrained")
        ax = figure.subplots()
        thick, thin = iter(CYCLE), iter(DASHES * len(data["lines"]))
        for line in data["lines"]:
            values = [None if v is None else 10**v if data["y"]["log"] else v for v in _at(line, data, unpacked=True)]
            look: dict[str, Any] = {"color": REFERENCE, "linewidth": 1.2, "linestyle": next(thin)}
            first = line is next(other for other in data["lines"] if not other["thin"])
            look = look if line["thin"] else {"color": next(thick), "linewidth": 3.2 if first else 1.6}
            look |= {"color": METHODS[line["label"]]} if line["label"] in METHODS else {}
            ax.plot(data["positions"], [math.nan if v is None else v for v in values], label=line["label"], **look)
        for mark in data["marks"]:
            x, y = (_at({**mark, "values": mark[end]}, data) for end in ("x", "y"))
            if x is not None:
                look = {"color": "black", "linewidth": 1, "fillstyle": "none"}
                ax.axvline(x, linestyle="--", label=mark["label"] if y is None else None, **look)
                if y is not None:
                    ax.plot([x], [y], "o--", label=mark["label"], **look)
        for name, axis in (("x", data["x"]), ("y", data["y"])):
            ax.set(**{f"{name}label": axis["label"], f"{name}scale": "log" if axis["log"] else "linear"})
            ax.set(**{f"{name}lim": (axis["low"], axis["high"])})
        chosen = [f"{c['label']}: {c['values'][data['start'][c['name']]]}" for c in data["choosers"]]
        fit_title(ax, f"{data['title']}\n{', '.join(chosen)}")
        ax.legend()
    return figure


def _at(entry: Mapping[str, Any], data: Mapping[str, Any], unpacked: bool = False) -> Any:
    """Return the values of an entry at the start."""
    values = unpack(entry["values"]) if unpacked else entry["values"]
    for name in entry["over"]:
        values = None if values is None else values[data["start"][name]]
    return values
