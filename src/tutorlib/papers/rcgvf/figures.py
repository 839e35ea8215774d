"""Figures of RC-GVF: records in, Matplotlib axes out. Bands and bars are means over seeds with 95 % intervals."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from matplotlib.axes import Axes

from tutorlib.lab import Record, interval, select, withdrawals
from tutorlib.lab.errors import bad_argument
from tutorlib.papers.rcgvf import analysis
from tutorlib.papers.rcgvf.analysis import by_weight, curve, discounts, fading, farthest, share_of_episodes
from tutorlib.show.style import BASELINE, BLUE, CYCLE, METHODS, OURS, PURPLE, REFERENCE, interval_band, whiskers

COLOURS: Mapping[str, str] = MappingProxyType(
    {label: METHODS[label] for label in ("RC-GVF", "RND", "NovelD", "AGAC", "PPO")}
)
"""RC-GVF, what it is compared with, and what has no bonus"""

Groups = Mapping[str, Sequence[Record]]
"""Runs by the label that the legend gives them."""


def colour_of(label: str) -> str:
    """Return the colour of a method, whatever it knows, and that of parts of RC-GVF."""
    return COLOURS.get(label.split(" + ")[0].split(", ")[0], PURPLE)


def _expect_groups(groups: Groups) -> None:
    if not groups:
        raise bad_argument("groups", sorted(groups), "at least one group")


def draw_course(ax: Axes, groups: Groups, name: str = "farthest", ylabel: str = "farthest column") -> None:
    """Draw a metric of ``run_lock`` over frames, one line for each group. Raises ``UsageError`` without groups."""
    _expect_groups(groups)
    for label, records in groups.items():
        frames, intervals = analysis.course(records, name)
        interval_band(ax, [n / 1000 for n in frames], intervals, label=label, colour=colour_of(label))
    ax.set(xlabel="thousand frames", ylabel=ylabel)


def draw_betas(ax: Axes, groups: Groups) -> None:
    """Draw the farthest column at the end over the weight beta; ``groups`` are all runs of a method.

    Methods without several weights are dashed lines.
    """
    _expect_groups(groups)
    for label, records in groups.items():
        weights, colour = by_weight(records), colour_of(label)
        intervals = [interval(farthest(runs)) for runs in weights.values()]
        if len(weights) == 1:
            ax.axhline(intervals[0].value, color=colour, linestyle="--", linewidth=1.2, label=label)
        else:
            interval_band(ax, list(weights), intervals, label=label, colour=colour, marker="o")
    ax.set_xscale("log")
    ax.set(xlabel="β", ylabel="farthest column", ylim=(0, None))


def draw_farthest(ax: Axes, groups: Groups) -> None:
    """Draw the farthest column at the end as bars, one for each group; dots are seeds."""
    _expect_groups(groups)
    _draw_bars(ax, {label: farthest(records) for label, records in groups.items()})
    ax.set(xlabel="farthest column", xlim=(0, None))


def _draw_bars(ax: Axes, groups: Mapping[str, Sequence[float]]) -> None:
    for place, (label, values) in enumerate(groups.items()):
        mean, colour = interval(values), colour_of(label)
        ax.barh(place, mean.value, 0.7, color=colour, alpha=0.75)
        whiskers(ax, [place], [mean], horizontal=True)
        ax.plot(values, [place] * len(values), ".", color="black", markersize=3)
    ax.set_yticks(range(len(groups)), list(groups))
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)


def mark_withdrawn(ax: Axes, experiment: str) -> None:
    """Write "withdrawn" across the axes if records of ``experiment``, which they show, are withdrawn."""
    if withdrawals(experiment):
        ax.text(
            0.5, 0.5, "withdrawn", transform=ax.transAxes, ha="center", va="center", rotation=20, fontsize=20,
            color="black", alpha=0.45, zorder=10,
        )  # fmt: skip


def draw_visits(ax: Axes, records: Sequence[Record]) -> None:
    """Draw the share of episodes that reached a good row of each column, over frames; dark is none, bright is all.

    Colours are logarithmic, from one episode in a thousand on.
    """
    share = share_of_episodes(records)
    frames = records[0].metrics["evals"]["frames"]
    ax.imshow(
        np.log10(np.maximum(share, 1e-3)).T, origin="lower", aspect="auto", vmin=-3.0, vmax=0.0,
        extent=(0.0, frames[-1] / 1000, -0.5, share.shape[1] - 0.5),
    )  # fmt: skip
    ax.grid(visible=False)
    ax.set(xlabel="thousand frames", ylabel="column")


def draw_fading(ax: Axes, records: Sequence[Record], name: str) -> None:
    """Draw a metric of ``run_dissipation`` over updates, one line for each gamma_z, on a logarithmic axis."""
    for gamma, colour in zip(discounts(records), CYCLE, strict=False):
        values = curve(fading(records, gamma), name)
        ax.plot(np.arange(1, len(values) + 1), values, color=colour, label=analysis.discount(gamma))
    ax.set_yscale("log")
    ax.set(xlabel="update", ylabel=analysis.CURVES[name])


def draw_scales(ax: Axes, records: Sequence[Record], update: int) -> None:
    """Draw the bonus of an update over the scale c of Z for RC-GVF (gamma_z = 0.6) and RND, relative to that at c = 1.

    Thin lines are c^4 and c.
    """
    lines = (("RC-GVF", {"method": "rcgvf", "bonus": "product", "gamma_z": 0.6}, 4), ("RND", {"method": "rnd"}, 1))
    for label, fields, power in lines:
        runs = select(records, right=analysis.PLAIN[0], **fields)
        scales = sorted({float(r.config["scale"]) for r in runs})
        means = np.array([curve(select(runs, scale=c), "bonus")[update - 1] for c in scales])
        ax.plot(scales, means / means[scales.index(1.0)], "o-", color=colour_of(label), label=label)
        ax.plot(scales, np.array(scales) ** power, color=REFERENCE, linewidth=1.0, linestyle=":")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xticks(scales, [f"{c:g}" for c in scales])
    ax.minorticks_off()
    ax.set(xlabel="scale c of Z", ylabel="bonus, relative to c = 1")


def draw_maze(ax: Axes, records: Sequence[Record], title: str = "") -> None:
    """Draw what both corridors pay over the walks through one of them, relative to what they paid before the first."""
    for name, colour, words in (("visited", BLUE, "walked"), ("unvisited", PURPLE, "never entered")):
        values = np.array([r.metrics["evals"][name]["cell"] for r in records])
        values = (values / values[:, :1]).mean(axis=0)
        dash = "--" if name == "unvisited" else "-"
        ax.plot(records[0].metrics["evals"]["walks"], values, color=colour, linestyle=dash, label=words)
    ax.set_yscale("log")
    ax.set(xlabel="walks", ylabel="bonus, relative to the start", title=title)


def draw_lambda(ax: Axes, records: Sequence[Record]) -> None:
    """Draw squared bias, variance and their sum over lambda_z, means over seeds."""
    lambdas = records[0].metrics["lambdas"]
    bias, variance = (curve(records, name) for name in ("bias", "variance"))
    lines = ((bias, BLUE, "-", "bias²"), (variance, BASELINE, "-", "variance"), (bias + variance, OURS, "--", "sum"))
    for values, colour, dash, words in lines:
        ax.plot(lambdas, values, color=colour, linestyle=dash, label=words)
    ax.set(xlabel=r"$\lambda_z$", ylabel="of a target", ylim=(0, None))
