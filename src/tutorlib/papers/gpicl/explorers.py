"""Explorers of GPICL: records in, interactive figures out."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch

from tutorlib.lab import Record, table
from tutorlib.lab.errors import bad_argument
from tutorlib.papers.gpicl.algorithm import PHASES, Config, Hyper, State, adam
from tutorlib.papers.gpicl.analysis import task_counts, tasks_label, vote
from tutorlib.papers.gpicl.baselines import ceiling, nearest_neighbour
from tutorlib.papers.gpicl.figures import PHASE_COLOURS, REFERENCES, SHORT, curves_of, phase_picture
from tutorlib.papers.gpicl.measures import EVAL_SEQUENCES, LAST, SEQUENCES
from tutorlib.show.curves import curves_data, curves_picture
from tutorlib.show.explorer import Explorer
from tutorlib.show.grid import Phase, Reference, grid_data
from tutorlib.show.guess import guess_data, guess_picture
from tutorlib.show.style import png

_MEANING = dict(
    zip(
        PHASES,
        (
            "no better than guessing at the end of a sequence",
            "knows most of a seen task from the first input on, and may gain a little; lost on unseen ones",
            "gains most within the sequence, on seen tasks alone; lost on unseen ones",
            "gains from the examples of an unseen task, but ends below 0.6 of the way from chance to 1-NN",
            "learns unseen tasks from their examples, to above 0.6 of the way from chance to 1-NN",
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


def phase_explorer(records: Sequence[Record], references: Sequence[Record]) -> Explorer:
    """Return the explorer over the phase map: tasks x width, a slider over meta-training, a toggle for the bias.

    Every number is the mean over the seeds of the records, at the steps at which meta-training was evaluated. The last
    of them shows the final curves and phases, which stand on more sequences than the looks before and are those that
    the chapter's text and claims speak of.
    """
    frame = table(records)
    biases, ks, widths = sorted(set(frame["bias"])), task_counts(frame), sorted(set(frame["width"]))
    steps = frame["evals.steps"].iloc[0]
    seeds = frame["seed"].nunique()
    groups = dict(list(frame.groupby(["bias", "tasks", "width"])))
    # Learning curves of each cell: (seeds, evals, time).
    curves = {
        name: {key: _with_last(runs[f"evals.{name}"], runs[f"{name}.curve"]) for key, runs in groups.items()}
        for name in ("seen", "unseen")
    }
    phases = {
        key: [[*course[:-1], end] for course, end in zip(runs["evals.phase"], runs["phase"], strict=True)]
        for key, runs in groups.items()
    }

    def nested(value: Any) -> list:
        """Return value(cell, eval) nested as [bias][eval][tasks][width]."""
        return [[[[value((b, k, w), i) for w in widths] for k in ks] for i in range(len(steps))] for b in biases]

    def ends(metric: str) -> list[list]:
        """Return mean, lowest and highest over the seeds of a metric such as ``unseen_last``."""
        name, end = metric.split("_")
        part = slice(-LAST, None) if end == "last" else slice(0, 1)
        per_seed = {key: curve[:, :, part].mean(axis=2) for key, curve in curves[name].items()}
        return [nested(lambda cell, i, f=f: f(per_seed[cell][:, i])) for f in (np.mean, np.min, np.max)]

    spread = {name: ends(name) for name, _ in METRICS}
    votes = nested(lambda cell, i: vote([course[i] for course in phases[cell]]))
    classes, length = int(frame["classes"].iloc[0]), int(frame["length"].iloc[0])
    kinds: list[Phase] = [
        {"name": p, "short": SHORT[p], "colour": PHASE_COLOURS[p], "meaning": _MEANING[p]} for p in PHASES
    ]
    lines: list[Reference] = [{"label": "ceiling", "values": ceiling(classes, length).tolist()}]
    lines += [
        {"label": label, "values": curves_of(references, name).mean(axis=0).tolist()}
        for name, label in REFERENCES
        if name != "means"
    ]
    data = grid_data(
        title="What a meta-trained Transformer becomes",
        x={"label": "model width", "values": [str(w) for w in widths]},
        y={"label": "number of tasks K", "values": [tasks_label(k) for k in ks]},
        slider={"label": "meta-training step", "values": steps},
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
        start={"step": len(steps) - 1, "toggle": len(biases) - 1},
        note=(
            f"Recorded study at a reduced setting: 8x8 digits, {classes} classes, {length - 1} examples, 2 layers, "
            f"{steps[-1]} steps, {seeds} seeds. Seen tasks are shown as in meta-training: "
            f"with bias, that share of them takes the fixed permutation. The paper: 10 classes, 99 examples, 4 layers, "
            f"50,000 steps or more, widths 2 to 512, 2⁰ to 2²⁵ tasks. Numbers at the last step stand on {SEQUENCES:,} "
            f"sequences, those before on {EVAL_SEQUENCES}."
        ),
        decimals=3,
    )
    label = "Phase map of GPICL: accuracy and learning curves over number of tasks, model width, step and bias"
    return Explorer("grid_explorer", data, label, png(phase_picture(records)))


def _with_last(courses: Iterable[list], ends: Iterable[list]) -> np.ndarray:
    """Return the learning curves (seeds, looks, time) of runs, with the final one in the place of the last look."""
    return np.array([[*course[:-1], end] for course, end in zip(courses, ends, strict=True)])


def _map(nested: list, f: Any) -> list:
    """Apply ``f`` to the leaves of lists of lists."""
    return [_map(item, f) if isinstance(item, list) else f(item) for item in nested]


EPSILONS = (1e-4, 1e-6, 1e-8, 1e-10, 1e-12, 1e-14, 1e-16, None)
"""Values of Adam's epsilon in the epsilon calculator; None is the sign variant."""
GRADIENTS = tuple(float(f"1e{exponent}") for exponent in range(-12, 0))
"""Sizes of the gradient in the epsilon calculator."""
MUCH = 100
"""One number is much smaller than another if it is this many times smaller."""


def steady_step(sizes: Sequence[float], eps: float | None, steps: int = 20) -> list[float]:
    """Return how far one step of Adam moves a parameter in units of alpha, for a steady gradient of each size.

    Made by ``algorithm.adam`` itself, as its last of ``steps`` steps; its sign variant if ``eps`` is None.
    """
    g = torch.tensor([sizes], dtype=torch.float64)  # [1, sizes]: one run
    c = Config(optimizer="adam" if eps else "sign", warmup=1)
    one = torch.ones(1, dtype=torch.float64)
    whole = torch.zeros(1, dtype=torch.int64)
    h = Hyper(seed=whole, tasks=whole, biased=whole, lr=one, eps=one * (eps or 1.0))
    before = state = State(torch.zeros_like(g), torch.zeros_like(g), torch.zeros_like(g))
    for step in range(steps):
        before, state = state, adam(state, g, step, c, h)
    return (before.theta - state.theta)[0].tolist()


def epsilon_explorer() -> Explorer:
    """Return the epsilon calculator: what becomes of a steady gradient of some size under Adam with some epsilon."""
    grid = [float(f"{10 ** (quarter / 4):.6g}") for quarter in range(-48, -3)]
    curves = [steady_step(grid, eps) for eps in EPSILONS]
    chosen = np.array([steady_step(GRADIENTS, eps) for eps in EPSILONS])  # (epsilons, gradients)
    names = [_power(eps) if eps else "sign" for eps in EPSILONS]
    over = ("eps", "gradient")
    data = curves_data(
        title="How far does Adam move a parameter?",
        choosers=[
            {"name": "gradient", "label": "size of the gradient |g|", "values": [_power(g) for g in GRADIENTS]},
            {"name": "eps", "label": "Adam's ε (sign: ε → 0)", "values": names, "kind": "buttons"},
        ],
        x={"label": "size of the gradient |g|", "low": 1e-12, "high": 0.1, "log": True},
        y={"label": "step in units of α", "low": 1e-9, "high": 10.0, "log": True},
        positions=grid,
        lines=[
            {"label": "default ε", "values": curves[EPSILONS.index(1e-8)], "over": (), "thin": True},
            {"label": "chosen ε", "values": curves, "over": ("eps",)},
        ],
        marks=[{"label": "chosen |g|", "x": [GRADIENTS] * len(EPSILONS), "y": chosen, "over": over}],
        numbers=[
            {"name": "step", "label": "step / α = |g| / (|g| + ε)", "values": chosen, "over": over},
            {
                "name": "longer",
                "label": "times longer for ε → 0: 1 + ε / |g|",
                "values": chosen[EPSILONS.index(None)] / chosen,
                "over": over,
            },
            {
                "name": "regime",
                "label": "Adam",
                "values": [[_regime(g, eps) for g in GRADIENTS] for eps in EPSILONS],
                "over": over,
            },
        ],
        start={"gradient": GRADIENTS.index(1e-10), "eps": EPSILONS.index(1e-8)},
        note=(
            "A steady gradient g: both bias-corrected moments have settled, m̂ = g and v̂ = g². Gradients that change "
            "from batch to batch leave |m̂| below √v̂, and the step is shorter. Grey: ε = 10⁻⁸, the default of most "
            "libraries."
        ),
    )
    label = "Epsilon calculator: the step of Adam over the size of a steady gradient, for several values of epsilon"
    return Explorer("curves_explorer", data, label, png(curves_picture(data)))


def _power(value: float) -> str:
    """Return a power of ten as a reader writes it."""
    return "10" + f"{round(np.log10(value)):d}".translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _regime(g: float, eps: float | None) -> str:
    """Return what Adam amounts to for a steady gradient of size ``g``."""
    if eps is None:
        return "moves by α along the sign of the gradient, whatever its size"
    if g * MUCH <= eps * (1 + 1e-9):
        return f"behaves as SGD with rate α/ε = {_power(1 / eps)} α"
    if eps * MUCH <= g * (1 + 1e-9):
        return "moves by α, whatever the size of the gradient"
    return "is between the two: a smaller gradient makes a smaller step"


def learner_explorer(record: Record) -> Explorer:
    """Return the game of the experiment ``gpicl.games``: the reader learns from examples beside the recorded model.

    Reads of ``games`` the ``points`` (games, time, 2), ``labels`` (games, time) and ``probabilities`` (games, time,
    classes), and ``curve`` (time) of ``unseen`` and ``nearest``.

    Raises:
        UsageError: if the record is of another experiment, or a metric does not fit; the message names it.
    """
    if record.experiment != "gpicl.games":
        raise bad_argument("record.experiment", record.experiment, "'gpicl.games'")
    needed = {"games": ("points", "labels", "probabilities"), "unseen": ("curve",), "nearest": ("curve",)}
    m = record.metrics
    missing = [f"{name}.{part}" for name, parts in needed.items() for part in parts if part not in m.get(name, ())]
    if missing:
        raise bad_argument("record.metrics", sorted(m), f"also {', '.join(missing)}")
    games, classes, length = m["games"], int(record.config["classes"]), int(record.config["length"])
    points, labels = torch.tensor(games["points"]), torch.tensor(games["labels"])
    nearest = nearest_neighbour(points, labels, classes).tolist()
    data = guess_data(
        title="Be the learner",
        classes=classes,
        games=[
            {"points": p, "labels": y, "probabilities": q, "nearest": n}
            for p, y, q, n in zip(games["points"], games["labels"], games["probabilities"], nearest, strict=True)
        ],
        ceiling=ceiling(classes, length).tolist(),
        model_curve=m["unseen"]["curve"],
        nearest_curve=m["nearest"]["curve"],
        note=(
            f"Each game is a task that the model never met in meta-training: {classes} labels, {length} points. The "
            f"model sees what you see, and its weights do not change during a game. 1-NN answers with the label of "
            f"the nearest point shown so far. Every line is a share of right answers so far; the grey ones are means "
            f"over many games. Ceiling: the most that any learner can expect while labels are still unseen."
        ),
    )
    label = "Be the learner: guess the labels of points one by one, beside a recorded model and 1-NN"
    return Explorer("guess_explorer", data, label, png(guess_picture(data)))
