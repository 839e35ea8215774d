"""Figures of GoGePo: records in, Matplotlib axes out. Bands are means over seeds with 95 % intervals."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection

from tutorlib.lab import Interval, Record, interval
from tutorlib.lab.errors import bad_argument, checked
from tutorlib.papers.gogepo.analysis import at_steps, following
from tutorlib.show.style import BASELINE, HEAT, METHODS, OURS, REFERENCE, interval_band

STAGES = 5
"""stages that a figure of commands shows: the first, the last, and evenly between"""
CHAINS = "plasma"
"""colour map of the stages; the darkest is the first"""
PUPILS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"evaluator": ("by the evaluator", OURS), "regression": ("by regression", BASELINE)}
)
"""Generators of ``gogepo.modes``: what a legend says of how they learn, and their colour."""

Groups = Mapping[str, Sequence[Record]]
"""Runs by the label that the legend gives them, one of ``show.style.METHODS``."""


def colour_of(label: str) -> str:
    """Return the colour of a method, the same in all figures."""
    return METHODS[label]


@checked(counts=("every",))
def draw_course(ax: Axes, groups: Groups, name: str = "greedy", every: int = 1000) -> None:
    """Draw an entry of the course over steps, one line for each group, as far as all its runs go.

    ``greedy`` is the return, without noise, for the command "best so far"; ``returns`` those of the policies that
    explore. A group of one run is a line without a band. Raises ``UsageError`` without groups or runs.
    """
    _expect(groups)
    for label, records in groups.items():
        curves = [at_steps(record, name, every)[1] for record in records]
        points = min(map(len, curves))
        steps = every * np.arange(1, points + 1) / 1000
        columns = zip(*(curve[:points] for curve in curves), strict=True)
        interval_band(ax, steps, [_mean(values) for values in columns], label=label, colour=colour_of(label))
    ax.set(xlabel="thousand steps", ylabel="return")


def _expect(groups: Groups) -> None:
    if not groups or not all(groups.values()):
        raise bad_argument("groups", {k: len(v) for k, v in groups.items()}, "at least one group, and runs in each")


def _mean(values: Sequence[float]) -> Interval:
    """Return the mean with its interval; of one value an interval of no width."""
    return interval(list(values)) if len(values) > 1 else Interval(values[0], values[0], values[0], 1)


def stages_shown(count: int) -> list[int]:
    """Return the places of up to ``STAGES`` of ``count`` stages, evenly spaced, the first and the last among them."""
    return sorted({round(place) for place in np.linspace(0, count - 1, STAGES)})


def _colour(place: int, of: int) -> Any:
    return cast(Any, mpl.colormaps[CHAINS])(0.05 + 0.8 * place / max(1, of - 1))


@checked()
def draw_sweeps(ax: Axes, records: Sequence[Record]) -> None:
    """Draw what is earned for each command at five stages of training, with the diagonal: means over runs.

    The stages of a run are tenths of its steps; the interval over runs is drawn for the last. Raises ``UsageError``
    without runs.
    """
    if not records:
        raise bad_argument("records", [], "at least one run")
    commands = np.asarray(records[0].metrics["sweeps"]["commands"], dtype=float)
    count = min(len(record.metrics["sweeps"]["achieved"]) for record in records)
    shown = stages_shown(count)
    ax.plot(commands, commands, "--", color=REFERENCE, linewidth=1, label="equal")
    for place, stage in enumerate(shown):
        rows = [record.metrics["sweeps"]["achieved"][stage] for record in records]
        steps = np.mean([record.metrics["sweeps"]["steps"][stage] for record in records]) / 1000
        spans = [_mean(values) for values in zip(*rows, strict=True)]
        colour, label = mpl.colors.to_hex(_colour(place, len(shown))), f"{steps:.0f} thousand steps"
        if stage == shown[-1]:
            interval_band(ax, commands, spans, label=label, colour=colour)
        else:
            ax.plot(commands, [span.value for span in spans], color=colour, linewidth=1.3, label=label)
    room = 0.05 * np.ptp(commands)
    ax.set(xlabel="asked", ylabel="earned", ylim=(commands.min() - room, commands.max() + room))


@checked()
def draw_map(ax: Axes, record: Record) -> PathCollection:
    """Draw policies of a run's buffer by what they do, coloured by their return, and its generator's chains.

    A chain joins the policies for rising commands at one stage of training. Returns the dots, for a colour bar.
    """
    drawn = record.metrics["map"]
    x, y = np.asarray(drawn["policies"], dtype=float).T
    dots = ax.scatter(x, y, c=drawn["returns"], cmap=HEAT, s=14, linewidth=0)
    shown, steps = stages_shown(len(drawn["chains"])), record.metrics["sweeps"]["steps"]
    for place, stage in enumerate(shown):
        colour = _colour(place, len(shown))
        ax.plot(
            *np.asarray(drawn["chains"][stage]).T, "o-", color=colour, markersize=3.5, linewidth=1.1,
            markerfacecolor="white", label=f"{steps[stage] / 1000:.0f} thousand steps",
        )  # fmt: skip
    first, second = (f"{100 * share:.0f} %" for share in drawn["shares"])
    ax.set(xlabel=f"first axis ({first} of the variance)", ylabel=f"second axis ({second})")
    ax.grid(visible=False)
    return dots


@checked()
def draw_answers(ax: Axes, records: Sequence[Record], stage: int = -1) -> None:
    """Draw what each run alone earns for each command at a ``stage``: a mean over runs hides where each one jumps.

    Raises ``UsageError`` without runs.
    """
    _expect({"records": records})
    commands = np.asarray(records[0].metrics["sweeps"]["commands"], dtype=float)
    ax.plot(commands, commands, "--", color=REFERENCE, linewidth=1, label="equal")
    marks = "os^Dv<>P"
    for place, record in enumerate(records):
        achieved = record.metrics["sweeps"]["achieved"][stage]
        ax.plot(
            commands, achieved, marker=marks[place % len(marks)], color=OURS, markersize=3, linewidth=1,
            label=f"seed {record.seed}",
        )  # fmt: skip
    room = 0.05 * np.ptp(commands)
    ax.set(xlabel="asked", ylabel="earned", ylim=(commands.min() - room, commands.max() + room))


@checked()
def draw_modes(ax: Axes, records: Sequence[Record]) -> None:
    """Draw how well generators of ``gogepo.modes`` follow commands, on buffers of one run and of two: a line a seed.

    Raises ``UsageError`` without runs.
    """
    _expect({"records": records})
    for place, mode in enumerate(("one", "two")):
        at = 3 * place + np.arange(len(PUPILS))
        pairs = [[following(record, mode, name) for name in PUPILS] for record in records]
        for pair in pairs:
            ax.plot(at, pair, color=REFERENCE, linewidth=0.8)
        for x, values, (label, colour) in zip(at, zip(*pairs, strict=True), PUPILS.values(), strict=True):
            ax.plot([x] * len(values), values, "o", color=colour, label=None if place else label)
    ax.set(xticks=[0.5, 3.5], xticklabels=["policies of one run", "policies of two runs"], xlim=(-0.8, 4.8))
    ax.set(ylabel="correlation", ylim=(-1.05, 1.05))


__all__ = [
    "PUPILS", "Groups", "colour_of", "draw_answers", "draw_course", "draw_map", "draw_modes", "draw_sweeps",
    "stages_shown",
]  # fmt: skip
