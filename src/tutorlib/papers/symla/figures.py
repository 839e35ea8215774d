"""Figures of SymLA: records in, Matplotlib axes out. Bands and bars are means over seeds with 95 % intervals."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from tutorlib.lab import Interval, Record, interval, select
from tutorlib.lab.errors import bad_argument
from tutorlib.papers.symla.analysis import arms_table, metrics_of, orders_table, regret_matrix, scale, score
from tutorlib.papers.symla.problem import ARMS, MATRIX
from tutorlib.show.style import BASELINE, HEAT, OURS, PURPLE, REFERENCE, SKY, interval_band, whiskers

COLOURS: Mapping[str, str] = MappingProxyType(
    {"symla": OURS, "meta-rnn": BASELINE, "augmented": PURPLE, "rl2": SKY, "references": REFERENCE}
)
"""SymLA, the MetaRNN, the MetaRNN that was meta-trained with random permutations or by PPO, and what was not trained"""

Groups = Mapping[str, Sequence[Record]]
"""Runs of one configuration by the label that the legend gives them."""


def colour_of(records: Sequence[Record]) -> str:
    """Return the colour of the agent behind ``records``."""
    c, study = records[0].config, records[0].experiment.removeprefix("symla.")
    if study in COLOURS:
        return COLOURS[study]
    return COLOURS["augmented" if c["agent"] == "meta-rnn" and c["permuted"] != "none" else c["agent"]]


def draw_matrix(ax: Axes, records: Sequence[Record], agent: str, largest: float = 13.0) -> AxesImage:
    """Draw the regret of a life, families of meta-training x of meta-test, as in Fig. 3; colours end at ``largest``.

    Dark is low. Returns the image, for a colour bar.
    """
    matrix = regret_matrix(records, agent)
    numbers = np.array([[cell.value for cell in row] for row in matrix.to_numpy()])
    image = ax.imshow(numbers, cmap=HEAT, vmin=0.0, vmax=largest, aspect="auto")
    for (i, j), value in np.ndenumerate(numbers):
        ax.text(j, i, f"{value:.1f}", ha="center", va="center", color="white" if value < largest / 2 else "black")
    ax.set_xticks(range(len(MATRIX)), list(MATRIX), rotation=30, ha="right")
    ax.set_yticks(range(len(MATRIX)), list(MATRIX))
    ax.grid(visible=False)
    ax.set(xlabel="family of meta-test", ylabel="family of meta-training")
    return image


def draw_arms(ax: Axes, records: Sequence[Record], references: Sequence[Record]) -> None:
    """Draw the regret of a life over the number of arms, as in Fig. 4: SymLA of two arms beside the references."""
    dashes = ("-", "--", "-.", ":")
    for (label, row), dash in zip(arms_table(records, references).iterrows(), dashes, strict=True):
        colour = OURS if dash == "-" else REFERENCE
        draw_intervals(ax, ARMS, row.tolist(), str(label), colour, linestyle=dash)
    ax.set_xscale("log")
    ax.set_xticks(ARMS, [str(n) for n in ARMS])
    ax.minorticks_off()
    ax.set(xlabel="arms in meta-test", ylabel="regret of a life", ylim=(0, None))


def draw_intervals(
    ax: Axes, x: Sequence[float] | Sequence[int], intervals: Sequence[Interval], label: str, colour: str, **line: Any
) -> None:
    """Draw intervals over ``x`` as dots on a line with its band."""
    interval_band(ax, x, intervals, label=label, colour=colour, marker="o", **line)


def draw_bars(ax: Axes, groups: Groups, tests: Mapping[str, str], ylabel: str, part: str = "mean") -> None:
    """Draw the score in each of ``tests`` (name in the records: words) as bars, one for each group; dots are seeds.

    Raises ``UsageError`` if there is nothing to draw.
    """
    if not groups or not tests:
        raise bad_argument("groups", sorted(groups), "at least one group and one test")
    width = 0.8 / len(groups)
    for place, (label, records) in enumerate(groups.items()):
        x = np.arange(len(tests)) + (place - (len(groups) - 1) / 2) * width
        intervals = [score(records, test, part) for test in tests]
        colour = colour_of(records)
        ax.bar(x, [f.value for f in intervals], 0.9 * width, color=colour, alpha=0.75, label=label)
        whiskers(ax, x, intervals)
    ax.set_xticks(range(len(tests)), list(tests.values()))
    ax.set(ylabel=ylabel)


def draw_random(ax: Axes, references: Sequence[Record], environment: str, test: str) -> None:
    """Draw what random actions score in ``test``, as a dashed line."""
    level = score(select(references, environment=environment), test, player="random")
    ax.axhline(level.value, color=REFERENCE, linestyle="--", linewidth=1.2, label="random")


def draw_course(ax: Axes, groups: Groups, ylabel: str) -> None:
    """Draw the score of a step over the generations of meta-training: each run thin, the mean of a group thick."""
    for label, records in groups.items():
        courses = np.array([r.metrics["evals"]["score"] for r in records]) * scale(records[0])
        steps, colour = records[0].metrics["evals"]["steps"], colour_of(records)
        for course in courses:
            ax.plot(steps, course, color=colour, alpha=0.35, linewidth=0.8)
        ax.plot(steps, courses.mean(axis=0), color=colour, label=label)
    ax.set(xlabel="generation", ylabel=ylabel)


def draw_life(
    ax: Axes,
    groups: Groups,
    test: str,
    ylabel: str,
    factor: float = 1.0,
    length: int | None = None,
    player: str = "",
) -> None:
    """Draw the score of a step, times ``factor``, over a lifetime in ``test``.

    ``length``: steps of such a life, where they are not those of meta-training. ``player``: see ``analysis.values``.
    """
    for label, records in groups.items():
        curves = np.array([metrics_of(r, test, player)["curve"] for r in records]) * factor
        intervals = [interval(values.tolist()) for values in curves.T]
        steps = (np.arange(curves.shape[1]) + 0.5) * (length or records[0].config["length"]) / curves.shape[1]
        interval_band(ax, steps, intervals, label=label, colour=colour_of(records))
    ax.set(xlabel="step of life", ylabel=ylabel)


def draw_orders(ax: Axes, groups: Groups) -> None:
    """Draw failures on CartPole in all orders of observations and actions, sorted, the mean over seeds of each."""
    for label, records in groups.items():
        means = np.sort(orders_table(records).mean(axis=1).to_numpy())
        ax.plot(np.arange(1, len(means) + 1), means, color=colour_of(records), label=label)
    ax.set(xlabel="order of observations and actions, best first", ylabel="failures in 1,000 steps", ylim=(0, None))
