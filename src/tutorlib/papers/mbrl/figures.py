"""Figures of model-based generalisation: records in, Matplotlib axes out. Bands and bars are 95 % intervals."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tutorlib.lab import Record, interval, select
from tutorlib.lab.errors import bad_argument
from tutorlib.lab.verdicts import FEWEST
from tutorlib.papers.mbrl.analysis import (
    AGENTS,
    AT,
    advantage,
    class_label,
    classes,
    course,
    ensembles,
    errors,
    evals,
    factor,
    fitting,
    gaps,
    last,
    narrowing,
    online,
    seen_at,
    stops,
    transition_counts,
)
from tutorlib.papers.mbrl.offline import best_rate
from tutorlib.show.style import BASELINE, METHODS, OURS, PURPLE, REFERENCE, SKY, WIDTH, interval_band, style, whiskers

COLOURS: Mapping[str, str] = MappingProxyType({agent: METHODS[label] for agent, label in AGENTS.items()})
"""of agents; the perfect model, which nobody has, is black"""
MF, MB = r"$Q_{\mathrm{MF}}$", r"$Q_{\mathrm{MB}}$"
"""the sets of values, as formulas write them"""


def draw_sets(ax: Axes, records: Sequence[Record], bits: int, more: int = 0) -> None:
    """Draw the sizes of Q_MB and Q_MF over the number of transitions, for one class of models."""
    runs = select(records, bits=bits, more=more)
    for name, label, colour in (("free", f"model-free, {MF}", BASELINE), ("based", f"model-based, {MB}", OURS)):
        sizes = np.array([r.metrics[name] for r in runs])
        intervals = [interval(column.tolist()) for column in sizes.T]
        interval_band(ax, range(sizes.shape[1]), intervals, label=label, colour=colour)
    ax.set(xlabel="transitions", ylabel="value functions left", yscale="log", title=class_label(bits, more))


def draw_gaps(ax: Axes, records: Sequence[Record]) -> None:
    """Draw how many times larger Q_MF is than Q_MB after ``AT`` transitions, one bar for each class; 1: no gap."""
    by_class = {class_label(*c): interval(gaps(records, *c)) for c in classes(records)}
    ax.bar(range(len(by_class)), [f.value for f in by_class.values()], color=OURS, alpha=0.75)
    whiskers(ax, range(len(by_class)), list(by_class.values()))
    ax.axhline(1.0, color=REFERENCE, linestyle="--", linewidth=1.2)
    ax.set_xticks(range(len(by_class)), list(by_class), rotation=20, ha="right")
    ax.set(ylabel=f"{MF} over {MB}, {AT} transitions")


def draw_errors(ax: Axes, records: Sequence[Record], group: str = "all") -> None:
    """Draw the error of Q in a group of patterns over the number of transitions: dots are seeds, lines medians.

    Numbers of transitions that leave a seed no pattern of the group are left out.
    """
    for agent in AGENTS:
        points: dict[int, Sequence[float]] = {}
        for k in transition_counts(records):
            runs = [r for r in records if r.config["agent"] == agent and r.config["transitions"] == k]
            if runs and all(r.metrics["patterns"][group] for r in runs):
                points[k] = errors(runs, group)
        _dots_and_medians(ax, points, AGENTS[agent], COLOURS[agent])
    ax.set(xlabel="random transitions", ylabel="error of Q", xscale="log", yscale="log")


def draw_rates(ax: Axes, records: Sequence[Record]) -> None:
    """Draw the reward of a step of the greedy policy over the number of transitions, beside the best player's."""
    for agent in AGENTS:
        runs = [r for r in records if r.config["agent"] == agent]
        points = {
            k: last([r for r in runs if r.config["transitions"] == k], "rate")
            for k in sorted({r.config["transitions"] for r in runs})
        }
        _dots_and_medians(ax, points, AGENTS[agent], COLOURS[agent])
    best = best_rate(records[0].config["pipes"])
    ax.axhline(best, color=REFERENCE, linestyle="--", linewidth=1.2, label="best player")
    ax.set(xlabel="random transitions", ylabel="reward of a step", xscale="log", ylim=(0, None))


def _dots_and_medians(ax: Axes, points: Mapping[int, Sequence[float]], label: str, colour: str) -> None:
    if not points:
        return
    for x, values in points.items():
        ax.plot([x] * len(values), values, "o", color=colour, alpha=0.4, markersize=3)
    ax.plot(list(points), [float(np.median(values)) for values in points.values()], color=colour, label=label)


def draw_spreads(ax: Axes, records: Sequence[Record], period: int, where: str = "unseen") -> None:
    """Draw how far apart networks are that fit the same data, over updates: er, simple and perfect models.

    Where fewer than five draws of data have enough members that fit, nothing is drawn.
    """
    for agent in ("er", "simple", "perfect"):
        points = []
        for stop in stops(records):
            seeds = fitting(records, (agent,), period, stop)
            if len(seeds) >= FEWEST:
                runs = [r for r in ensembles(records, agent, period) if r.seed in seeds]
                points.append((stop, interval([seen_at(r, "spread", stop, where) for r in runs])))
        if points:
            x, intervals = zip(*points, strict=True)
            interval_band(ax, x, intervals, label=AGENTS[agent], colour=COLOURS[agent], marker="o", markersize=4)
    ax.set(xlabel="update", ylabel="spread of Q", ylim=(0, None))


def draw_narrowing(ax: Axes, records: Sequence[Record], periods: Sequence[int], name: str = "spread") -> None:
    """Draw how many times larger the spread on unseen pairs is without a model, over updates, for copies of Q.

    ``name``: ``spread``, or ``shape``. Nothing is drawn where fewer than five draws of data count.
    """
    for place, (period, marker) in enumerate(zip(periods, "os^", strict=False)):
        points = [
            (stop, logs) for stop in stops(records) if len(logs := narrowing(records, period, stop, name)) >= FEWEST
        ]
        x = [stop + 60 * (place - 1) for stop, _ in points]
        intervals = [factor(logs, "draws of data") for _, logs in points]
        ax.plot(x, [f.value for f in intervals], marker, color=(OURS, SKY, PURPLE)[place], label=f"every {period}")
        whiskers(ax, x, intervals)
    ax.axhline(1.0, color=REFERENCE, linestyle="--", linewidth=1.2)
    ax.set(xlabel="update", ylabel="spread without over with a model", yscale="log")
    ax.set_yticks((0.5, 1, 2, 4), ("0.5", "1", "2", "4"))
    ax.minorticks_off()


def draw_misses(ax: Axes, records: Sequence[Record]) -> None:
    """Draw the share of steps that a simple model expects to end wrongly, in each group, over its updates."""
    for group, label, colour in (
        ("seen", "in patterns of the data", OURS),
        ("unseen", "in others that are reached", SKY),
        ("beyond", "in those never reached", PURPLE),
    ):
        shares = np.array(evals(records, "missed", group))
        intervals = [interval(column.tolist()) for column in shares.T]
        interval_band(ax, records[0].metrics["evals"]["updates"], intervals, label=label, colour=colour)
    ax.set(xlabel="update", ylabel="wrong next patterns", ylim=(0, None))


def draw_ablation(ax: Axes, groups: Mapping[Any, Sequence[Record]], name: str, group: str = "all") -> None:
    """Draw the error of Q for each value of a setting, dots being seeds and bars medians (``analysis.ablated``)."""
    if not groups:
        raise bad_argument("groups", list(groups), "at least one group of runs")
    for place, runs in enumerate(groups.values()):
        values = errors(runs, group)
        ax.bar(place, float(np.median(values)), color=COLOURS[runs[0].config["agent"]], alpha=0.5)
        ax.plot([place] * len(values), values, "o", color="black", markersize=3)
    ax.set_xticks(range(len(groups)), [str(value) for value in groups])
    ax.set(xlabel=name, ylabel="error of Q")


def draw_courses(ax: Axes, records: Sequence[Record], environment: str, data: str, best: float | None = None) -> None:
    """Draw what the greedy policies do over steps in the environment, as in Fig. 4; ``best``: a line for the best.

    Evaluations before the first update are left out.
    """
    for agent in AGENTS:
        courses = [course(r) for r in online(records, environment, data, agent)]
        scores = np.array([values for _, values in courses])
        intervals = [interval(column.tolist()) for column in scores.T]
        interval_band(ax, courses[0][0], intervals, label=AGENTS[agent], colour=COLOURS[agent])
    if best is not None:
        ax.axhline(best, color=REFERENCE, linestyle="--", linewidth=1.2, label="best")
    ax.set(xlabel="step in the environment", ylabel="return" if environment == "maze" else "reward of a step")


def draw_advantages(ax: Axes, records: Sequence[Record], environment: str) -> None:
    """Draw by how much each agent's score exceeds that of replay, with much and with little data."""
    others = [agent for agent in AGENTS if agent != "er"]
    width = 0.8 / len(others)
    for place, agent in enumerate(others):
        intervals = [interval(advantage(records, environment, data, agent)) for data in ("much", "little")]
        x = np.arange(2) + (place - (len(others) - 1) / 2) * width
        ax.bar(x, [f.value for f in intervals], 0.9 * width, color=COLOURS[agent], alpha=0.75, label=AGENTS[agent])
        whiskers(ax, x, intervals)
    ax.axhline(0.0, color=REFERENCE, linewidth=1.2)
    ax.set_xticks(range(2), ["much data", "little data"])
    ax.set(ylabel="score minus replay's")


def dream_picture(record: Record, place: int = -1) -> Figure:
    """Return a figure of a dream at an evaluation, the last one if not said: truth, probabilities, and the dream."""
    truth, evals = record.metrics["truth"], record.metrics["evals"]
    rows = (
        ("truth", truth),
        ("probability", evals["probability"][place]),
        ("dream", evals["dreamt"][place]),
    )
    with style():
        figure = Figure(figsize=(WIDTH, 2.6), layout="constrained")
        for ax, (title, cells) in zip(figure.subplots(1, 3, sharey=True), rows, strict=True):
            first = len(truth) - len(cells)  # of the patterns before any action there is no probability
            steps, places = np.array(cells).shape
            ends = (first - 0.5, first + steps - 0.5, -0.5, places - 0.5)
            ax.imshow(np.array(cells).T, origin="lower", aspect="auto", vmin=0, vmax=1, extent=ends)
            ax.grid(visible=False)
            ax.set(title=title, xlabel="step", xlim=(-0.5, len(truth) - 0.5))
        figure.axes[0].set(ylabel="cell of the flute")
    return figure
