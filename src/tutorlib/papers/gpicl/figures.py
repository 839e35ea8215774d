"""Figures of GPICL: records in, Matplotlib axes out."""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from tutorlib.lab import Record, interval, table
from tutorlib.lab.errors import bad_argument
from tutorlib.papers.gpicl.algorithm import PHASES
from tutorlib.papers.gpicl.analysis import COLUMNS, batch_runs, column, power_law, sizes, task_counts, tasks_label, vote
from tutorlib.papers.gpicl.baselines import ceiling
from tutorlib.show.style import REFERENCE, SEEN, UNSEEN, interval_band, style

# Warm colours work on seen tasks only, cold ones on unseen tasks too; pale, since they fill areas.
PHASE_COLOURS = MappingProxyType(
    dict(zip(PHASES, ("#d3d6da", "#dd7e33", "#ebb84d", "#89caef", "#2a86bd"), strict=True))
)
SHORT = dict(zip(PHASES, ("–", "M", "I", "P", "G"), strict=True))
REFERENCES = (("nearest", "1-NN"), ("means", "class means"), ("sgd", "online SGD"))


def curves_of(records: Sequence[Record], name: str, part: str = "curve") -> np.ndarray:
    """Return a learning curve, or another list in the metrics called ``name``, as an array of (records, time)."""
    return np.array([record.metrics[name][part] for record in records])


def draw_curves(ax: Axes, curves: np.ndarray, label: str, colour: str, **line: Any) -> None:
    """Draw learning curves (runs, time) over the number of examples seen: each run thin, their mean thick."""
    seen = np.arange(curves.shape[1])
    for curve in curves:
        ax.plot(seen, curve, color=colour, alpha=0.35, linewidth=0.8)
    ax.plot(seen, curves.mean(axis=0), color=colour, label=label, **line)


def draw_references(ax: Axes, references: Sequence[Record], classes: int) -> None:
    """Draw the ceiling and the reference learners, dashed and dotted, over the number of examples seen."""
    length = len(references[0].metrics["nearest"]["curve"])
    ax.plot(ceiling(classes, length), color="black", linestyle="-", linewidth=0.9, label="ceiling")
    for (name, label), dash in zip(REFERENCES, ("--", "-.", ":"), strict=True):
        curve = curves_of(references, name).mean(axis=0)
        ax.plot(curve, color=REFERENCE, linestyle=dash, linewidth=1.2, label=label)
    ax.set(xlabel="examples seen", ylabel="accuracy", ylim=(0.15, 1.02))


def draw_loss(ax: Axes, records: Sequence[Record], label: str, colour: str) -> None:
    """Draw the meta-training loss of runs of one configuration over steps: each run thin, their mean thick."""
    steps = records[0].metrics["evals"]["steps"]
    losses = curves_of(records, "evals", "loss")
    for loss in losses:
        ax.plot(steps, loss, color=colour, alpha=0.35, linewidth=0.8)
    ax.plot(steps, losses.mean(axis=0), color=colour, label=label)


def draw_transition(ax: Axes, records: Sequence[Record], width: int, bias: float) -> None:
    """Draw the gain within a sequence (last minus first prediction) over the number of tasks, as in Fig. 4.

    The band is a 95 % interval over seeds; dots are the single runs.
    """
    frame = table(records)
    frame = frame[(frame["width"] == width) & (frame["bias"] == bias)]
    for name, colour, label in (("seen", SEEN, "seen tasks"), ("unseen", UNSEEN, "unseen tasks")):
        intervals = []
        for place, tasks in enumerate(task_counts(frame)):
            gain = frame[frame["tasks"] == tasks][f"{name}.last"] - frame[frame["tasks"] == tasks][f"{name}.first"]
            ax.plot(np.full(len(gain), place), gain, ".", color=colour, alpha=0.5, markersize=4)
            intervals.append(interval(gain.tolist()))
        interval_band(ax, range(len(intervals)), intervals, label=label, colour=colour)
    ax.set_xticks(range(len(task_counts(frame))), [tasks_label(k) for k in task_counts(frame)])
    ax.set(xlabel="number of tasks K", ylabel="last minus first accuracy")


def draw_phases(ax: Axes, records: Sequence[Record], bias: float) -> None:
    """Draw the phase map of one bias: the commonest phase of the seeds, and how many of them agree."""
    frame = table(records)
    frame = frame[frame["bias"] == bias]
    ks, widths = task_counts(frame), sorted(set(frame["width"]))
    colours = np.ones((len(ks), len(widths), 3))
    for i, k in enumerate(ks):
        for j, width in enumerate(widths):
            name, votes, seeds = vote(frame[(frame["tasks"] == k) & (frame["width"] == width)]["phase"].tolist())
            colours[i, j] = to_rgb(PHASE_COLOURS[name])
            ax.text(j, i, f"{SHORT[name]}\n{votes}/{seeds}", ha="center", va="center", fontsize=9, color="black")
    ax.imshow(colours, origin="lower", aspect="auto")
    ax.set_xticks(range(len(widths)), [str(w) for w in widths])
    ax.set_yticks(range(len(ks)), [tasks_label(k) for k in ks])
    ax.grid(visible=False)
    ax.set(xlabel="model width", ylabel="number of tasks K", title=f"bias {bias:g}")


def phase_picture(records: Sequence[Record]) -> Figure:
    """Return the phase map at the end of meta-training, one panel for each bias."""
    with style():
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        biases = sorted({record.config["bias"] for record in records})
        for ax, bias in zip(np.atleast_1d(figure.subplots(1, len(biases), sharey=True)), biases, strict=True):
            draw_phases(ax, records, bias)
        key = "   ".join(f"{SHORT[name]} {name}" for name in PHASES)
        figure.supxlabel(f"{key}\nvotes: seeds that ended in this phase", fontsize=8.5)
    return figure


def draw_accuracies(ax: Axes, records: Sequence[Record], metric: str, title: str) -> None:
    """Draw the mean of ``metric`` over seeds as a map of number of tasks over width, as in Fig. 2; 0 to 1."""
    frame = table(records)
    means = frame.groupby(["tasks", "width"])[metric].mean()
    ks, widths = task_counts(frame), sorted(set(frame["width"]))
    values = np.array([[means[k, width] for width in widths] for k in ks])
    ax.imshow(values, origin="lower", aspect="auto", cmap="cividis", vmin=0.0, vmax=1.0)
    for (i, j), value in np.ndenumerate(values):
        ax.text(
            j, i, f"{value:.2f}"[1:] if value < 0.995 else "1", ha="center", va="center", fontsize=8,
            color="white" if value < 0.55 else "black",
        )  # fmt: skip
    ax.set_xticks(range(len(widths)), [str(w) for w in widths])
    ax.set_yticks(range(len(ks)), [tasks_label(k) for k in ks])
    ax.grid(visible=False)
    ax.set(xlabel="width", ylabel="number of tasks K", title=title)


def draw_transfer(ax: Axes, records: Sequence[Record], tested: str) -> None:
    """Draw the learning curves on one data set, one for each data set of meta-training, as in Fig. 3.

    ``tested`` is the data set that is learned, such as ``mnist-test``. Bands are 95 % intervals over seeds.
    """
    runs = [r for r in records if r.config["architecture"] == "transformer"]
    if not runs:
        raise bad_argument("records", f"{len(records)} runs, no Transformer", "runs of gpicl.table")
    for dataset in sorted({r.config["dataset"] for r in runs}):
        curves = curves_of([r for r in runs if r.config["dataset"] == dataset], tested)
        intervals = [interval(values.tolist()) for values in curves.T]
        label = f"meta-trained on {COLUMNS[column(dataset)]}"
        interval_band(ax, range(len(intervals)), intervals, label=label, colour=SETS[column(dataset)])
    ax.plot(ceiling(10, curves.shape[1]), color="black", linewidth=0.9, label="ceiling")
    ax.set(xlabel="examples seen", ylabel="accuracy", title=f"tested on {COLUMNS[column(tested)]}", ylim=(0, 1.02))


SETS = MappingProxyType({"mnist": "#2a86bd", "fashion-mnist": "#dd7e33", "kmnist": "#3a9b6f", "digits": "#a163a8"})


def draw_batches(ax: Axes, records: Sequence[Record]) -> None:
    """Draw the plateau's length over the task batch, log-log, with the fitted power law, as in Fig. 7b."""
    frame = batch_runs(records)
    left = frame[frame["exit"] > 0]
    ax.plot(left["batch"], left["exit"], ".", color=UNSEEN, alpha=0.6, label="runs")
    batches = sorted(set(frame["batch"]))
    scale, a = power_law(left["batch"].tolist(), left["exit"].astype(float).tolist())
    ax.plot(batches, [scale * b**-a for b in batches], color=REFERENCE, label=f"all runs: $B^{{-{a:.2f}}}$")
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set(xlabel="task batch B", ylabel="steps on the plateau")


def draw_exits(ax: Axes, groups: dict[str, Sequence[Record]], colour: str = UNSEEN) -> None:
    """Draw when the runs of each group left the plateau; those that never did stand at the top, as triangles."""
    for place, records in enumerate(groups.values()):
        exits = np.array([r.metrics["exit"] for r in records], dtype=float)
        budget = max(r.metrics["evals"]["steps"][-1] for r in records)
        spread = place + np.linspace(-0.15, 0.15, len(exits))
        ax.plot(spread[exits > 0], exits[exits > 0], ".", color=colour, markersize=6)
        ax.plot(spread[exits == 0], np.full((exits == 0).sum(), budget), "^", color=SEEN, markersize=6)
    ax.set_xticks(range(len(groups)), list(groups))
    ax.set(ylabel="step at which the plateau ends", ylim=(0, None))


def draw_ends(ax: Axes, records: Sequence[Record]) -> None:
    """Draw the accuracy on unseen tasks with which each run ended, over the number of tasks; dotted: guessing, 1-NN."""
    frame = table(records)
    ks = task_counts(frame)
    for place, tasks in enumerate(ks):
        ends = np.sort(frame[frame["tasks"] == tasks]["unseen.last"].to_numpy())
        ax.plot(place + np.linspace(-0.2, 0.2, len(ends)), ends, "o", color=UNSEEN, markersize=5)
    for level in (1 / records[0].config["classes"], frame["nearest.last"].mean()):
        ax.axhline(level, color=REFERENCE, linewidth=0.9, linestyle=":")
    ax.set_xticks(range(len(ks)), [tasks_label(k) for k in ks])
    ax.set(xlabel="number of tasks K", ylabel="accuracy on unseen tasks", ylim=(0, 1))


ARCHITECTURES = MappingProxyType(
    {
        "transformer": ("Transformer", "o", "#2a86bd"),
        "lstm": ("LSTM", "s", "#dd7e33"),
        "outer-product": ("outer-product LSTM", "^", "#3a9b6f"),
    }
)


def draw_sizes(ax: Axes, records: Sequence[Record], axis: int) -> None:
    """Draw accuracy on unseen tasks over the state size (``axis`` 0) or the number of parameters (1), as in Fig. 5."""
    for architecture, (label, marker, colour) in ARCHITECTURES.items():
        runs = [r for r in records if r.config["architecture"] == architecture]
        if runs:
            ax.plot([sizes(r)[axis] for r in runs], [r.metrics["unseen"]["last"] for r in runs], marker,
                    color=colour, label=label, alpha=0.75)  # fmt: skip
    ax.set_xscale("log")
    ax.set(xlabel=("state size", "parameters")[axis], ylabel="accuracy on unseen tasks")


def overview(records: Sequence[Record], references: Sequence[Record]) -> Figure:
    """Return the chapter in one picture: the learning curves of three phases, from the recorded study at width 64."""
    panels = (
        ("16 tasks: memorises", 16, 0.0),
        ("256 tasks: recognises", 256, 0.0),
        ("endless tasks: learns", "inf", 0.9),
    )
    with style():
        figure = Figure(figsize=(9.0, 3.0), layout="constrained")
        for ax, (title, tasks, bias) in zip(figure.subplots(1, 3, sharey=True), panels, strict=True):
            chosen = [
                r for r in records if (r.config["tasks"], r.config["bias"], r.config["width"]) == (tasks, bias, 64)
            ]
            ax.plot(curves_of(references, "nearest").mean(axis=0), "--", color=REFERENCE, label="1-NN")
            draw_curves(ax, curves_of(chosen, "seen"), "tasks of meta-training", SEEN)
            draw_curves(ax, curves_of(chosen, "unseen"), "tasks never seen", UNSEEN)
            ax.set(title=title, xlabel="examples seen", ylim=(0.15, 1.02))
        figure.axes[0].set_ylabel("accuracy")
        figure.axes[1].legend(loc="center right")
    return figure
