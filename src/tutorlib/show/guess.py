"""Data of the ``guess_explorer`` module: a game in which the reader learns to label points, beside a recorded model.

Points appear one by one in the plane. The reader names the label of each before it is shown, as the model had to.
The module itself is ``guess_explorer.mjs``; ``guess_data`` is the only description of what it reads.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
from matplotlib.figure import Figure

from tutorlib.lab.errors import UsageError, bad_argument, checked
from tutorlib.show.packing import pack, unpack
from tutorlib.show.style import BLUE, GREEN, GREY, ORANGE, PURPLE, REFERENCE, SKY, VERMILLION, YELLOW, fit_title, style

CLASSES = (
    ("A", BLUE, "circle", "o"),
    ("B", ORANGE, "square", "s"),
    ("C", GREEN, "triangle", "^"),
    ("D", PURPLE, "diamond", "D"),
    ("E", SKY, "pentagon", "p"),
    ("F", VERMILLION, "wedge", "v"),
    ("G", YELLOW, "star", "*"),
    ("H", GREY, "hexagon", "h"),
)
"""Letter, colour, shape on the page and Matplotlib's marker of each class: one of the three is always enough."""


class Game(TypedDict):
    """One sequence of points and what the model and 1-NN said of each before its label was shown.

    Shapes: ``points`` [time, 2], ``labels`` [time], ``probabilities`` [time, classes], ``nearest`` [time].
    """

    points: Any
    labels: Any
    probabilities: Any
    nearest: Any


@checked()
def guess_data(
    *,
    title: str,
    classes: int,
    games: Sequence[Game],
    ceiling: Sequence[float | int],
    model_curve: Sequence[float | int],
    nearest_curve: Sequence[float | int],
    note: str = "",
) -> dict[str, Any]:
    """Return the data of the ``guess_explorer`` module, checked and packed.

    Arrays are nested lists or NumPy arrays. The three curves are accuracies after 0, 1, ... examples; the chart
    shows shares of right guesses so far, so their running means are kept.

    Args:
        title: heading of the figure.
        classes: number of classes C, 2 to 8.
        games: at least one, all of the same length.
        ceiling: the best possible accuracy, [time].
        model_curve: the model's mean accuracy over many sequences, [time].
        nearest_curve: the mean accuracy of 1-NN over many sequences, [time].
        note: what a reader must know, such as the setting of the recorded model.

    Raises:
        UsageError: if a shape, a label, a probability or an accuracy does not fit; the message names the entry.
    """
    if not isinstance(classes, int) or not 2 <= classes <= len(CLASSES):
        raise bad_argument("classes", classes, f"a whole number from 2 to {len(CLASSES)}")
    if not games:
        raise bad_argument("games", games, "at least one game")
    length = len(games[0]["labels"])
    time = ("position", length)
    shape = [("game", len(games)), time]
    if length < 2:
        raise bad_argument("games[0]['labels'] length", length, "at least 2")

    def column(name: str, axes: list[tuple[str, int]], decimals: int, top: int | None = None) -> dict[str, Any]:
        return {name: pack(f"games {name}", [_list(game[name]) for game in games], axes, decimals, top)}  # type: ignore[literal-required]

    packed: dict[str, Any] = {"title": title, "note": note}
    packed["classes"] = [{"letter": a, "colour": b, "shape": c} for a, b, c, _ in CLASSES[:classes]]
    packed |= column("points", [*shape, ("x and y", 2)], 3)
    packed |= column("labels", shape, 0, classes - 1)
    packed |= column("probabilities", [*shape, ("class", classes)], 3)
    packed |= column("nearest", shape, 0, classes - 1)
    for name in ("points", "labels", "probabilities", "nearest"):
        _complete(f"games {name}", unpack(packed[name]))
    for i, game in enumerate(games):
        _check_probabilities(f"games[{i}]", _list(game["probabilities"]))
    curves = (("ceiling", ceiling), ("model, mean", model_curve), ("1-NN, mean", nearest_curve))
    packed["curves"] = [
        {"label": label, "values": pack(label, _running(label, values, length), [time], 3)} for label, values in curves
    ]
    return packed


def _list(array: Any) -> Any:
    """Return an array as nested lists."""
    return array.tolist() if hasattr(array, "tolist") else array


def _check_probabilities(name: str, rows: Any) -> None:
    """Raise ``UsageError`` unless each row holds probabilities that sum to 1, up to rounding to three decimals."""
    for j, row in enumerate(rows):
        for k, p in enumerate(row):
            if not 0 <= p <= 1:
                raise bad_argument(f"{name}['probabilities'][{j}][{k}]", p, "a number from 0 to 1")
        if abs(sum(row) - 1) > 0.001 * len(row):
            raise bad_argument(f"sum of {name}['probabilities'][{j}]", round(sum(row), 4), "1")


def _complete(name: str, array: Any) -> None:
    """Raise ``UsageError`` naming the first entry that is missing."""
    if array is None:
        raise bad_argument(name, array, "no missing entry")
    if isinstance(array, list):
        for i, entry in enumerate(array):
            _complete(f"{name}[{i}]", entry)


def _running(name: str, accuracies: Any, length: int) -> list[float]:
    """Return the mean of the accuracies up to each position."""
    values = [float(value) for value in accuracies]
    if len(values) != length:
        raise UsageError(f"{name} has length {len(values)}: expected {length}, one entry for each position of a game")
    for j, value in enumerate(values):
        if not (math.isfinite(value) and -1e-6 <= value <= 1 + 1e-6):
            raise bad_argument(f"{name}[{j}]", value, "an accuracy from 0 to 1")
    return (np.cumsum(values) / np.arange(1, length + 1)).tolist()


@checked()
def guess_picture(data: Mapping[str, Any]) -> Figure:
    """Return the first game, played to its end by model and 1-NN, as a picture for where no script runs."""
    names = ("points", "labels", "probabilities", "nearest")
    points, labels, probabilities, nearest = (np.array(unpack(data[name])[0]) for name in names)
    after = np.arange(1, len(labels) + 1)
    with style():
        figure = Figure(figsize=(7.2, 3.2), layout="constrained")
        plane, chart = figure.subplots(1, 2)
        for k, (letter, colour, _, marker) in enumerate(CLASSES[: len(data["classes"])]):
            of_class = points[labels == k]
            plane.plot(*of_class.T, marker, color=colour, markersize=8, markeredgecolor="black", label=letter)
        plane.set(aspect="equal")
        fit_title(plane, data["title"], share=0.5)
        plane.legend()
        for (label, guesses), colour in zip(
            (("model, this game", probabilities.argmax(axis=1)), ("1-NN, this game", nearest)),
            (BLUE, ORANGE),
            strict=True,
        ):
            chart.plot(after, np.cumsum(guesses == labels) / after, color=colour, label=label)
        for curve, dash in zip(data["curves"], ("-", "--", "-."), strict=True):
            chart.plot(after, unpack(curve["values"]), dash, color=REFERENCE, linewidth=1.2, label=curve["label"])
        chart.set(xlabel="points shown", ylabel="share right so far", ylim=(0, 1.02))
        chart.legend()
    return figure
