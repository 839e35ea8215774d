"""Data of the ``grid_explorer`` module: a heat map over two axes, a slider, a toggle, a chart of one cell.

The module itself is ``grid_explorer.mjs``; ``grid_data`` is the only description of what it reads.
"""

import math
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NotRequired, TypedDict

from tutorlib.lab.errors import bad_argument, checked, choose
from tutorlib.show.packing import pack


class Axis(TypedDict):
    """One axis of a grid: its words on the page, and its values as texts or numbers."""

    label: str
    values: Sequence[str | float]


class Metric(TypedDict):
    """One number per cell: its key in ``values``, its words, and the ends of its colour scale."""

    name: str
    label: str
    low: float
    high: float


class Phase(TypedDict):
    """One kind of outcome: its name, one or two letters for a cell, a colour, and what it means."""

    name: str
    short: str
    colour: str
    meaning: NotRequired[str]


class Curve(TypedDict):
    """One line of the chart: its words, and numbers nested as ``[toggle][slider][y][x][position]``."""

    label: str
    values: Any


class Reference(TypedDict):
    """One thin line of the chart, the same for all cells: its words, and a number per position."""

    label: str
    values: Sequence[float | None]


class Chart(TypedDict):
    """The chart of the selected cell: words and ends of its axes, its positions, and its lines."""

    x: str
    y: str
    low: float
    high: float
    positions: Sequence[float]
    curves: Sequence[Curve]
    references: Sequence[Reference]


class Marker(TypedDict):
    """A cell to point out: its indices, and why."""

    x: int
    y: int
    text: str


@checked(counts=("seeds",), maximum={"decimals": 9})
def grid_data(
    *,
    title: str,
    x: Axis,
    y: Axis,
    slider: Axis,
    toggle: Axis,
    metrics: Sequence[Metric],
    values: Mapping[str, Any],
    chart: Chart,
    low: Mapping[str, Any] | None = None,
    high: Mapping[str, Any] | None = None,
    range_label: str = "lowest to highest seed",
    phases: Sequence[Phase] = (),
    phase: Any = None,
    votes: Any = None,
    seeds: int = 1,
    marker: Marker | None = None,
    start: Mapping[str, int | str] | None = None,
    note: str = "",
    decimals: int = 3,
) -> dict[str, Any]:
    """Return the data of the ``grid_explorer`` module, checked and packed.

    Arrays are nested lists or NumPy arrays indexed ``[toggle][slider][y][x]``; ``None`` stands for a missing
    entry, at any depth. They are packed as short text (``tutorlib.show.packing``): the numbers of ``values``,
    ``low``, ``high`` and the chart are exact to ``decimals`` decimals.

    Args:
        title: heading of the figure.
        x: horizontal axis of the heat map.
        y: vertical axis; its first value is the lowest row.
        slider: axis of the slider. An axis with one value shows no control.
        toggle: axis of the radio buttons.
        metrics: the numbers of a cell, in the order in which they are listed.
        values: per metric name, its values (means over seeds).
        chart: the line chart of the selected cell; at most four curves.
        low: per metric name, lower ends of a range to show beside the value.
        high: per metric name, upper ends of that range.
        range_label: what that range is.
        phases: kinds of outcome; adds "phase" to the colourings and makes it the first choice.
        phase: indices into ``phases``.
        votes: how many of the ``seeds`` fell into the phase.
        seeds: number of seeds behind every cell.
        marker: a cell to point out, for instance the paper's setting; it is selected at the start.
        start: selection at the start: any of ``x``, ``y``, ``step``, ``toggle`` (indices) and ``metric`` (the
            name of a metric, or "phase").
        note: what a reader must know to read the numbers, such as the reduced setting beside the paper's.
        decimals: decimals that are kept.

    Raises:
        UsageError: if a shape, a name, an index, a colour or a number does not fit; the message names the
            entry.
    """
    axes = {"x": x, "y": y, "slider": slider, "toggle": toggle}
    packed: dict[str, Any] = {name: _axis(name, axis) for name, axis in axes.items()}
    shape = [(name, len(axes[name]["values"])) for name in ("toggle", "slider", "y", "x")]
    names = [metric["name"] for metric in metrics]
    for name in names:
        if not re.fullmatch("[a-z][a-z0-9_]*", name) or name == "phase" or names.count(name) > 1:
            raise bad_argument("metrics name", name, "different names in lower case, none of them 'phase'")
    for metric in metrics:
        _interval(f"metrics {metric['name']}", metric["low"], metric["high"])
    if not names or set(values) != set(names):
        raise bad_argument("values", sorted(values), f"one array for each of the metrics {names}")
    packed |= {"title": title, "note": note, "range": range_label, "decimals": decimals}
    packed["metrics"] = [dict(metric) for metric in metrics]
    for name, arrays in (("values", values), ("low", low), ("high", high)):
        if arrays is not None:
            entries = {choose(name, key, names): array for key, array in arrays.items()}
            packed[name] = {key: pack(f"{name}[{key!r}]", entries[key], shape, decimals) for key in entries}
    packed["chart"] = _chart(chart, shape, decimals)
    if phases:
        packed |= {"phases": [_phase(entry) for entry in phases], "seeds": seeds}
        for name, array, top in (("phase", phase, len(phases) - 1), ("votes", votes, seeds)):
            packed[name] = None if array is None else pack(name, array, shape, 0, top)
    elif phase is not None or votes is not None:
        raise bad_argument("phases", phases, "the names of the phases that `phase` and `votes` speak of")
    if marker is not None:
        packed["marker"] = {"text": marker["text"], "x": _index("marker x", marker["x"], shape[3][1])}
        packed["marker"]["y"] = _index("marker y", marker["y"], shape[2][1])
    if start is not None:
        packed["start"] = _start(start, dict(shape), [*names, "phase"] if phases else names)
    return packed


def _axis(name: str, axis: Axis) -> dict[str, Any]:
    """Return an axis with its values as different texts."""
    texts = [value if isinstance(value, str) else f"{value:g}" for value in axis["values"]]
    if not texts or len(set(texts)) < len(texts):
        raise bad_argument(f"{name} values", texts, "at least one value, all different")
    return {"label": axis["label"], "values": texts}


def _phase(phase: Phase) -> dict[str, Any]:
    """Return a phase whose colour and letters fit a cell."""
    if not re.fullmatch("#[0-9a-fA-F]{6}", phase["colour"]):
        raise bad_argument(f"colour of phase {phase['name']!r}", phase["colour"], "six digits, as '#009e73'")
    if not 1 <= len(phase["short"]) <= 2:
        raise bad_argument(f"short of phase {phase['name']!r}", phase["short"], "one or two letters")
    return dict(phase)


def _chart(chart: Chart, shape: list[tuple[str, int]], decimals: int) -> dict[str, Any]:
    """Return the chart with its lines packed."""
    _interval("chart", chart["low"], chart["high"])
    positions = [float(position) for position in chart["positions"]]
    if len(positions) < 2 or any(a >= b for a, b in pairwise(positions)):
        raise bad_argument("chart positions", positions, "at least two, increasing")
    if not 1 <= len(chart["curves"]) <= 4:
        raise bad_argument("chart curves", len(chart["curves"]), "1 to 4 curves")
    line = ("positions", len(positions))
    curves: list[dict[str, Any]] = []
    for curve in chart["curves"]:
        name = curve["label"]
        curves.append({"label": name, "values": pack(f"curve {name!r}", curve["values"], [*shape, line], decimals)})
    references: list[dict[str, Any]] = []
    for entry in chart["references"]:
        name = entry["label"]
        references.append({"label": name, "values": pack(f"reference {name!r}", entry["values"], [line], decimals)})
    whole = [int(position) if position.is_integer() else position for position in positions]
    return {**chart, "positions": whole, "curves": curves, "references": references}


def _start(start: Mapping[str, int | str], sizes: Mapping[str, int], metrics: Sequence[str]) -> dict[str, int | str]:
    """Return the selection at the start after a check of its names and indices."""
    sizes = {**sizes, "step": sizes["slider"]}
    legal: dict[str, int | str] = {}
    for name, value in start.items():
        if choose("start", name, ["x", "y", "step", "toggle", "metric"]) == "metric":
            legal[name] = choose("start metric", str(value), metrics)
        else:
            legal[name] = _index(f"start {name}", value, sizes[name])
    return legal


def _index(name: str, value: object, size: int) -> int:
    """Return ``value`` if it is an index into ``size`` entries."""
    if not isinstance(value, int) or not 0 <= value < size:
        raise bad_argument(name, value, f"an index from 0 to {size - 1}")
    return value


def _interval(name: str, low: float | int, high: float | int) -> None:
    """Raise ``UsageError`` unless ``low`` lies below ``high`` and both are finite."""
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise bad_argument(f"{name} low and high", (low, high), "two finite numbers, the first one smaller")
