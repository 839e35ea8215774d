"""Figures of VSML: records in, Matplotlib axes out."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tutorlib.lab import Record, interval
from tutorlib.papers.vsml.analysis import (
    LEARNERS,
    SETS,
    best_online,
    curve_intervals,
    jump,
    matrix,
    stream_name,
    variants,
)
from tutorlib.papers.vsml.descent import ADAM_RATES, SGD_RATES
from tutorlib.papers.vsml.experiments import MATRIX_TRAIN
from tutorlib.papers.vsml.measures import BIN, MATRIX_TEST
from tutorlib.show.style import BASELINE, BLACK, HEAT, OURS, PURPLE, REFERENCE, SKY, interval_band, style, whiskers


def draw_online(ax: Axes, learned: Sequence[Record], references: Sequence[Record], name: str, last: int = 500) -> None:
    """Draw online accuracy over examples on one set, as in Fig. 6: VSML, and the best of SGD and Adam early and late.

    Bands are 95 % intervals over seeds; each point is a mean of 10 examples.
    """
    early, late = (best_online(references, name, window) for window in ("0_50", "100_200"))
    curves: list[tuple] = [(learned, (name,), "VSML", {"colour": OURS})]
    dashed, dotted = {"colour": BASELINE, "linestyle": "--"}, {"colour": REFERENCE, "linestyle": ":"}
    curves.append((references, (early, name), f"{_words(early)} (best at first)", dashed))
    if late != early:
        curves.append((references, (late, name), f"{_words(late)} (best later)", dotted))
    for runs, path, label, look in curves:
        intervals = curve_intervals(runs, *path)
        seen = BIN * (np.arange(len(intervals)) + 0.5)
        seen = seen[seen < last]
        interval_band(ax, seen, intervals[: len(seen)], label=label, **look)
    ax.set(xlabel="examples seen", ylabel="accuracy", title=SETS[name], ylim=(0, 1.02))


def _words(learner: str) -> str:
    """Return ``sgd_0.03`` as a reader writes it."""
    name, rate = learner.split("_")
    return f"{'SGD' if name == 'sgd' else 'Adam'}, rate {rate}"


def draw_losses(ax: Axes, groups: Mapping[str, Sequence[Record]]) -> None:
    """Draw the meta-loss over meta-steps: each run thin, the mean of a group thick; a ring where a run escapes."""
    colours = (OURS, PURPLE, SKY, BASELINE)
    for (label, records), colour in zip(groups.items(), colours, strict=False):
        losses = np.array([r.metrics["evals"]["loss"] for r in records])
        steps = (np.arange(losses.shape[1]) + 1) * records[0].config["steps"] // losses.shape[1]
        for record, loss in zip(records, losses, strict=True):
            ax.plot(steps, loss, color=colour, alpha=0.35, linewidth=0.8)
            if record.metrics["escape"]:
                at = steps.tolist().index(record.metrics["escape"])
                ax.plot(steps[at], loss[at], "o", color=colour, fillstyle="none")
        ax.plot(steps, losses.mean(axis=0), color=colour, label=label)
    ax.set(xlabel="meta-steps", ylabel="meta-loss (nats)", ylim=(0, None))


def draw_matrix(ax: Axes, records: Sequence[Record], learner: str) -> None:
    """Draw accuracy on examples 101 to 200, by meta-training set (rows) and meta-test set (columns), as in Fig. 8."""
    accuracies = matrix(records, learner, MATRIX_TRAIN, list(MATRIX_TEST))
    rows = [name for name in MATRIX_TRAIN if any(name == row for row, _ in accuracies)]
    numbers = np.array([[accuracies[row, column].value for column in MATRIX_TEST] for row in rows])
    ax.imshow(numbers, cmap="cividis", vmin=0.0, vmax=1.0, aspect="auto")
    for (i, j), value in np.ndenumerate(numbers):
        ax.text(j, i, f"{value:.2f}"[1:] if value < 0.995 else "1", ha="center", va="center", fontsize=8,
                color="white" if value < 0.55 else "black")  # fmt: skip
    ax.set_xticks(range(len(MATRIX_TEST)), list(MATRIX_TEST), rotation=55, ha="right")
    ax.set_yticks(range(len(rows)), rows)
    ax.grid(visible=False)
    ax.set(title=LEARNERS[learner])


def draw_learners(ax: Axes, records: Sequence[Record], trained: str, test: str) -> None:
    """Draw online accuracy over examples of ``test`` for every learner that was meta-trained on ``trained``.

    Bands are 95 % intervals over seeds; each point is a mean of 10 examples.
    """
    looks = dict(zip(LEARNERS, ((OURS, "-"), (BASELINE, "-"), (PURPLE, "--"), (SKY, "-."), (REFERENCE, "--"),
                                (REFERENCE, ":")), strict=True))  # fmt: skip
    for name, (colour, line) in looks.items():
        runs = [r for r in records if r.config["learner"] == name]
        runs = [r for r in runs if stream_name(r.config["streams"], MATRIX_TRAIN) == trained]
        if runs:
            intervals = curve_intervals(runs, test)
            seen = BIN * (np.arange(len(intervals)) + 0.5)
            interval_band(ax, seen, intervals, label=LEARNERS[name], colour=colour, linestyle=line)
    ax.set(xlabel="examples seen", ylabel="accuracy", title=test, ylim=(0, 1.02))


def draw_trace(ax: Axes, probabilities: Sequence[Sequence[float]], labels: Sequence[int], title: str) -> None:
    """Draw the probabilities that a learner gives along a stream of digits: a column for each example, dots for the
    right classes."""
    p = np.array(probabilities).T
    ax.imshow(p, cmap=HEAT, vmin=0.0, vmax=1.0, aspect="auto", origin="lower", interpolation="nearest")
    ax.plot(range(len(labels)), labels, ".", color="#d55e00", markersize=4, label="label")
    ax.grid(visible=False)
    ax.set(xlabel="example", ylabel="class", title=title, xlim=(-0.5, len(labels) - 0.5))


def draw_windows(ax: Axes, learned: Sequence[Record], names: Sequence[str], window: str = "100_200") -> None:
    """Draw accuracy on examples 101 to 200 at sizes, orders and projections never trained, as in Fig. 7."""
    for place, name in enumerate(names):
        around = interval([r.metrics[name][window] for r in learned])
        ax.bar(place, around.value, color=OURS, width=0.7)
        whiskers(ax, [place], [around])
        chance = 1 / {"digits-3": 3, "digits-5": 5, "prototypes": 4, "sum-sign": 2}.get(name, 10)
        ax.plot([place - 0.35, place + 0.35], [chance, chance], color=BLACK, linestyle=":")  # seen on the bar too
    ax.set_xticks(range(len(names)), [SETS[name] for name in names], rotation=40, ha="right")
    ax.set(ylabel="accuracy, examples 101-200", ylim=(0, 1.02))


def draw_one_shot(ax: Axes, learned: Sequence[Record], references: Sequence[Record], learners: Sequence[str]) -> None:
    """Draw the probability of a label before it was shown once and after, for the same image and for another one."""
    shots = {"VSML": [r.metrics["one_shot"] for r in learned]}
    shots |= {_words(name): [r.metrics[name]["one_shot"] for r in references] for name in learners}
    bars = (("before", "before"), ("other", "another image of the class"), ("same", "the same image"))
    for offset, ((metric, label), colour) in enumerate(zip(bars, (REFERENCE, SKY, OURS), strict=True)):
        intervals = [interval([shot[metric] for shot in runs]) for runs in shots.values()]
        places = np.arange(len(shots)) + 0.27 * (offset - 1)
        ax.bar(places, [f.value for f in intervals], width=0.25, color=colour, label=label)
        whiskers(ax, places, intervals)
    ax.set_xticks(range(len(shots)), list(shots))
    ax.set(ylabel="probability of the label", ylim=(0, 1.02))


def draw_jumps(ax: Axes, learned: Sequence[Record], references: Sequence[Record], name: str) -> None:
    """Draw by how much ONE labelled digit raises its label's probability, over all rates of SGD and Adam.

    ``name`` is ``same`` (for the same image again) or ``other`` (for another image of the class). VSML, which has no
    rate, is level. Bands are 95 % intervals over seeds.
    """
    ours = interval(jump(learned, (), name))
    ends = (min(*SGD_RATES, *ADAM_RATES), max(*SGD_RATES, *ADAM_RATES))
    interval_band(ax, ends, [ours, ours], label="VSML", colour=OURS)
    for kind, rates, colour, line in (("sgd", SGD_RATES, BASELINE, "--"), ("adam", ADAM_RATES, REFERENCE, ":")):
        intervals = [interval(jump(references, (f"{kind}_{rate:g}",), name)) for rate in rates]
        label = "SGD" if kind == "sgd" else "Adam"
        interval_band(ax, rates, intervals, label=label, colour=colour, linestyle=line, marker="o", markersize=3)
    ax.set_xscale("log")
    ax.set(xlabel="learning rate", ylabel="rise of the probability", ylim=(0, 1.02))


def draw_cloning(ax: Axes, records: Sequence[Record], kind: str, network: str) -> None:
    """Draw the accuracy of cloned backpropagation beside exact SGD along the same streams, as in Fig. 4."""
    runs = [r for r in records if kind in r.metrics]
    # Where the two agree, the dashes lie on a wider line, and both are seen.
    looks = {
        "clone": ("clone", OURS, {"linestyle": "-", "linewidth": 3.0}),
        "exact": ("SGD itself", BLACK, {"linestyle": "--", "linewidth": 1.2}),
    }
    for side, (label, colour, line) in looks.items():
        intervals = curve_intervals(runs, kind, network, side)
        interval_band(ax, 50 * (np.arange(len(intervals)) + 0.5), intervals, label=label, colour=colour, **line)
    ax.set(xlabel="examples seen", ylabel="accuracy", title=f"{kind}, {network}", ylim=(0, 1.02))


def overview(records: Sequence[Record], references: Sequence[Record]) -> Figure:
    """Return the chapter in one picture: the plateau, the race on digits, and one-shot association."""
    learned = variants(records)["bptt"]
    with style():
        figure = Figure(figsize=(9.0, 3.0), layout="constrained")
        first, second, third = figure.subplots(1, 3)
        draw_losses(first, {"VSML": learned})
        draw_online(second, learned, references, "digits")
        second.legend(loc="lower right")
        draw_one_shot(third, learned, references, ["sgd_0.1"])
        third.legend(loc="upper right")
    return figure
