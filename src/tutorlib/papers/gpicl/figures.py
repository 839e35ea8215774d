"""Figures of GPICL: records in, Matplotlib axes or an explorer out."""

from collections import Counter
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from tutorlib.lab import Record, interval, table
from tutorlib.papers.gpicl.algorithm import PHASES
from tutorlib.papers.gpicl.baselines import ceiling
from tutorlib.papers.gpicl.experiments import LAST
from tutorlib.show.explorer import Explorer
from tutorlib.show.grid import Phase, Reference, grid_data
from tutorlib.show.style import REFERENCE, SEEN, UNSEEN, band, png, style

# Warm colours work on seen tasks only, cold ones on unseen tasks too; pale, since they fill areas.
PHASE_COLOURS = MappingProxyType(
    dict(zip(PHASES, ("#d3d6da", "#dd7e33", "#ebb84d", "#89caef", "#2a86bd"), strict=True))
)
_SHORT = dict(zip(PHASES, ("–", "M", "I", "P", "G"), strict=True))
_MEANING = dict(
    zip(
        PHASES,
        (
            "no better than guessing at the end of a sequence",
            "right on seen tasks from the first example on; lost on unseen ones",
            "works out which seen task it faces, then answers; lost on unseen ones",
            "gains from the examples of an unseen task, but stays far below 1-NN",
            "learns unseen tasks from their examples",
        ),
        strict=True,
    )
)

METRICS = (
    ("unseen_last", "unseen tasks, last 10 predictions"),
    ("unseen_first", "unseen tasks, first prediction"),
    ("seen_last", "seen tasks, last 10 predictions"),
    ("seen_first", "seen tasks, first prediction"),
)
REFERENCES = (("nearest", "1-NN"), ("means", "class means"), ("sgd", "online SGD"))


def tasks_label(tasks: int | str) -> str:
    """Return K as a reader writes it: a power of two, or infinity."""
    if tasks == "inf":
        return "∞"
    exponent = int(tasks).bit_length() - 1
    if 2**exponent != tasks:
        return str(tasks)
    return "2" + str(exponent).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def mean_curve(records: Sequence[Record], name: str) -> np.ndarray:
    """Return the metric ``name`` (a learning curve) as an array of (records, time)."""
    return np.array([record.metrics[name] for record in records])


def draw_curves(ax: Axes, curves: np.ndarray, label: str, colour: str, **line: Any) -> None:
    """Draw learning curves (runs, time) over the number of examples seen: each run thin, their mean thick."""
    seen = np.arange(curves.shape[1])
    for curve in curves:
        ax.plot(seen, curve, color=colour, alpha=0.35, linewidth=0.8)
    ax.plot(seen, curves.mean(axis=0), color=colour, label=label, **line)


def draw_references(ax: Axes, references: Sequence[Record], classes: int) -> None:
    """Draw the ceiling and the reference learners, dashed and dotted, over the number of examples seen."""
    length = len(references[0].metrics["nearest_curve"])
    ax.plot(ceiling(classes, length), color="black", linestyle="-", linewidth=0.9, label="ceiling")
    for (name, label), dash in zip(REFERENCES, ("--", "-.", ":"), strict=True):
        curve = mean_curve(references, f"{name}_curve").mean(axis=0)
        ax.plot(curve, color=REFERENCE, linestyle=dash, linewidth=1.2, label=label)
    ax.set(xlabel="examples seen", ylabel="accuracy", ylim=(0.15, 1.02))


def draw_loss(ax: Axes, records: Sequence[Record], label: str, colour: str) -> None:
    """Draw the meta-training loss of runs of one configuration over steps: each run thin, their mean thick."""
    steps = records[0].metrics["looks"]
    losses = mean_curve(records, "look_loss")
    for loss in losses:
        ax.plot(steps, loss, color=colour, alpha=0.35, linewidth=0.8)
    ax.plot(steps, losses.mean(axis=0), color=colour, label=label)


def draw_transition(ax: Axes, records: Sequence[Record], width: int, bias: float) -> None:
    """Draw the gain within a sequence (last minus first prediction) over the number of tasks, as in Fig. 4.

    The band is a 95 % bootstrap interval over seeds; dots are the single runs.
    """
    frame = table(records)
    frame = frame[(frame["width"] == width) & (frame["bias"] == bias)]
    for name, colour, label in (("seen", SEEN, "seen tasks"), ("unseen", UNSEEN, "unseen tasks")):
        rows = []
        for place, tasks in enumerate(_tasks(frame)):
            gain = frame[frame["tasks"] == tasks][f"{name}_last"] - frame[frame["tasks"] == tasks][f"{name}_first"]
            ax.plot(np.full(len(gain), place), gain, ".", color=colour, alpha=0.5, markersize=4)
            found = interval(gain.tolist())
            rows.append((place, found.value, found.low, found.high))
        band(ax, *np.array(rows).T, label=label, colour=colour)
    ax.set_xticks(range(len(_tasks(frame))), [tasks_label(k) for k in _tasks(frame)])
    ax.set(xlabel="number of tasks K", ylabel="last minus first accuracy")


def draw_phases(ax: Axes, records: Sequence[Record], bias: float) -> None:
    """Draw the phase map of one bias: the commonest phase of the seeds, and how many of them agree."""
    frame = table(records)
    frame = frame[frame["bias"] == bias]
    ks, widths = _tasks(frame), sorted(set(frame["width"]))
    colours = np.ones((len(ks), len(widths), 3))
    for i, k in enumerate(ks):
        for j, width in enumerate(widths):
            name, votes, seeds = _vote(frame[(frame["tasks"] == k) & (frame["width"] == width)]["phase"].tolist())
            colours[i, j] = to_rgb(PHASE_COLOURS[name])
            ax.text(j, i, f"{_SHORT[name]}\n{votes}/{seeds}", ha="center", va="center", fontsize=9, color="black")
    ax.imshow(colours, origin="lower", aspect="auto")
    ax.set_xticks(range(len(widths)), [str(w) for w in widths])
    ax.set_yticks(range(len(ks)), [tasks_label(k) for k in ks])
    ax.grid(visible=False)
    ax.set(xlabel="model width", ylabel="number of tasks K", title=f"bias {bias:g}")


def _tasks(frame: pd.DataFrame) -> list[int | str]:
    return sorted(set(frame["tasks"]), key=lambda k: float("inf") if k == "inf" else float(k))


def _vote(phases: Sequence[str]) -> tuple[str, int, int]:
    """Return the commonest phase (the earlier in ``PHASES`` on a tie), its votes, and the number of seeds."""
    counts = Counter(phases)
    name = max(PHASES, key=lambda phase: (counts[phase], -PHASES.index(phase)))
    return name, counts[name], len(phases)


def phase_picture(records: Sequence[Record]) -> Figure:
    """Return the phase map at the end of meta-training, one panel for each bias."""
    with style():
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        biases = sorted({record.config["bias"] for record in records})
        for ax, bias in zip(np.atleast_1d(figure.subplots(1, len(biases), sharey=True)), biases, strict=True):
            draw_phases(ax, records, bias)
        key = "   ".join(f"{_SHORT[name]} {name}" for name in PHASES)
        figure.supxlabel(f"{key}\nvotes: seeds that ended in this phase", fontsize=8.5)
    return figure


def phase_explorer(records: Sequence[Record], references: Sequence[Record]) -> Explorer:
    """Return the explorer over the phase map: tasks x width, a slider over meta-training, a toggle for the bias.

    Every number is the mean over the seeds of the records, at the looks that meta-training stopped for.
    """
    frame = table(records)
    biases, ks, widths = sorted(set(frame["bias"])), _tasks(frame), sorted(set(frame["width"]))
    looks = frame["looks"].iloc[0]
    seeds = frame["seed"].nunique()
    groups = dict(list(frame.groupby(["bias", "tasks", "width"])))
    # Learning curves of each cell: (seeds, looks, time).
    curves = {
        name: {key: np.array(runs[f"look_{name}"].tolist()) for key, runs in groups.items()}
        for name in ("seen", "unseen")
    }

    def nested(value: Any) -> list:
        """Return value(cell, look) nested as [bias][look][tasks][width]."""
        return [[[[value((b, k, w), i) for w in widths] for k in ks] for i in range(len(looks))] for b in biases]

    def ends(metric: str) -> list[list]:
        """Return mean, lowest and highest over the seeds of a metric such as ``unseen_last``."""
        name, end = metric.split("_")
        part = slice(-LAST, None) if end == "last" else slice(0, 1)
        per_seed = {key: curve[:, :, part].mean(axis=2) for key, curve in curves[name].items()}
        return [nested(lambda cell, i, f=f: f(per_seed[cell][:, i])) for f in (np.mean, np.min, np.max)]

    spread = {name: ends(name) for name, _ in METRICS}
    votes = nested(lambda cell, i: _vote([phases[i] for phases in groups[cell]["look_phase"]]))
    classes, length = int(frame["classes"].iloc[0]), int(frame["length"].iloc[0])
    kinds: list[Phase] = [
        {"name": p, "short": _SHORT[p], "colour": PHASE_COLOURS[p], "meaning": _MEANING[p]} for p in PHASES
    ]
    lines: list[Reference] = [{"label": "ceiling", "values": ceiling(classes, length).tolist()}]
    lines += [
        {"label": label, "values": mean_curve(references, f"{name}_curve").mean(axis=0).tolist()}
        for name, label in REFERENCES
        if name != "means"
    ]
    data = grid_data(
        title="What a meta-trained Transformer becomes",
        x={"label": "model width", "values": [str(w) for w in widths]},
        y={"label": "number of tasks K", "values": [tasks_label(k) for k in ks]},
        slider={"label": "meta-training step", "values": looks},
        toggle={
            "label": "share of sequences with the fixed permutation",
            "values": [f"{b:g}" for b in biases],
        },
        metrics=[{"name": name, "label": label, "low": 0.2, "high": 1.0} for name, label in METRICS],
        values={name: spread[name][0] for name, _ in METRICS},
        low={name: spread[name][1] for name, _ in METRICS},
        high={name: spread[name][2] for name, _ in METRICS},
        phases=kinds,
        phase=_map(votes, lambda vote: PHASES.index(vote[0])),
        votes=_map(votes, lambda vote: vote[1]),
        seeds=seeds,
        chart={
            "x": "examples seen",
            "y": "accuracy",
            "low": 0.0,
            "high": 1.0,
            "positions": list(range(length)),
            "curves": [
                {
                    "label": label,
                    "values": nested(lambda cell, i, n=name: curves[n][cell][:, i].mean(axis=0).tolist()),
                }
                for name, label in (("seen", "seen tasks"), ("unseen", "unseen tasks"))
            ],
            "references": lines,
        },
        marker={
            "x": len(widths) - 1,
            "y": len(ks) - 1,
            "text": "nearest to the paper's Table 1 (2²⁵ tasks, width 256)",
        },
        start={"step": len(looks) - 1, "toggle": len(biases) - 1},
        note=(
            f"Recorded study at a reduced setting: 8x8 digits, {classes} classes, {length - 1} examples, 2 layers, "
            f"{looks[-1]} steps, {seeds} seeds. Seen tasks are shown as in meta-training: "
            f"with bias, that share of them takes the fixed permutation. The paper: 10 classes, 99 examples, 4 layers, "
            f"50,000 steps or more, widths 2 to 512, 2⁰ to 2²⁵ tasks."
        ),
        decimals=3,
    )
    label = "Phase map of GPICL: accuracy and learning curves over number of tasks, model width, step and bias"
    return Explorer("grid_explorer", data, label, png(phase_picture(records)))


def _map(nested: list, f: Any) -> list:
    """Apply ``f`` to the leaves of lists of lists."""
    return [_map(item, f) if isinstance(item, list) else f(item) for item in nested]


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
            ax.plot(mean_curve(references, "nearest_curve").mean(axis=0), "--", color=REFERENCE, label="1-NN")
            draw_curves(ax, mean_curve(chosen, "seen_curve"), "tasks of meta-training", SEEN)
            draw_curves(ax, mean_curve(chosen, "unseen_curve"), "tasks never seen", UNSEEN)
            ax.set(title=title, xlabel="examples seen", ylim=(0.15, 1.02))
        figure.axes[0].set_ylabel("accuracy")
        figure.axes[1].legend(loc="center right")
    return figure
