"""The experiments of GPICL: one entry per figure, each with its tiers. Reduced settings stand here and nowhere else."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from tutorlib.lab import Cell, Context, Experiment, Metrics, Tier, grid
from tutorlib.nn import FlatModule
from tutorlib.papers.gpicl import baselines
from tutorlib.papers.gpicl.algorithm import Config, learning_curve, meta_train, phase, shape
from tutorlib.papers.gpicl.problem import (
    INFINITE,
    UNSEEN,
    BaseSet,
    TaskLaw,
    base_sets,
    blob_set,
    meta_test_sequences,
    random_set,
    seen_tasks,
    table_set,
)
from tutorlib.shapes import Float, Int, Tensor

LOOK_SEQUENCES = 256
"""sequences behind each point of a curve during meta-training"""
SEQUENCES = 1024
"""sequences behind a final number"""
LAST = 10
"""the last accuracy of a run is the mean over this many positions"""

Sequences = tuple[Float[Tensor, "sequences time inputs"], Int[Tensor, "sequences time"]]


def meta_test_sets(c: Config, seed: int, sequences: int) -> dict[str, Sequences]:
    """Return the meta-test sequences of a run: seen and unseen tasks on test images, and data sets it never saw.

    ``seen`` is the distribution of meta-training, a share ``bias`` with the fixed permutation included; for a biased
    run ``own`` shows the same tasks with their own permutations alone.
    """
    test = base_sets(c.dataset, c.classes, c.rank, c.pixels)[1]
    tasks = INFINITE if c.tasks == "inf" else int(c.tasks)
    seen, unseen = seen_tasks(seed, tasks, sequences, c.batch * c.steps), UNSEEN + torch.arange(sequences)

    def shown(base: BaseSet, k: Int[Tensor, "sequences"], bias: float = 0.0) -> Sequences:
        # A set of another kind has coordinates of its own, and is always shown through Gaussian projections.
        law = c.law if base is test else TaskLaw(c.inputs, base.z.shape[1], c.classes)
        return meta_test_sequences(base, law, seed, k, c.length, bias)

    sets = {
        "seen": shown(test, seen, c.bias),
        "unseen": shown(test, unseen),
        "random": random_set(seed, sequences, c.length, c.inputs, c.classes),
        "blobs": blob_set(seed, sequences, c.length, c.inputs, c.classes),
        "wine": shown(table_set("wine", c.inputs), unseen),
    }
    return sets | ({"own": shown(test, seen)} if c.bias else {})


def run_meta_training(cells: Sequence[Cell], context: Context) -> list[Metrics]:
    """Meta-train ``cells`` and return for each what it learned.

    Metrics: ``phase``; for each of ``meta_test_sets`` the accuracy of the first prediction (``<set>_first``), the
    mean of the last ten (``<set>_last``) and the learning curve (``<set>_curve``); ``nearest_last``, what 1-NN
    reaches on the unseen tasks; and the course of meta-training at ``looks`` (steps): ``look_loss`` (mean since the
    look before), ``look_seen`` and ``look_unseen`` (a learning curve each) and ``look_phase``.
    """
    sets = [meta_test_sets(cell.config, cell.seed, SEQUENCES) for cell in cells]

    def look(f: FlatModule, theta: Float[Tensor, "*cells parameters"]) -> Float[Tensor, "cells sets time"]:
        curves = [_curve(f, theta, sets, name, LOOK_SEQUENCES) for name in ("seen", "unseen")]
        return torch.stack(curves, dim=1)

    trained = meta_train(cells, context, look)
    losses = trained.losses.view(cells[0].config.evaluations, -1, len(cells)).mean(dim=1)
    course = torch.stack(trained.looks, dim=1)  # (cells, looks, sets, time)
    names = {name for own in sets for name in own}
    curves = {name: _curve(trained.f, trained.theta, sets, name, SEQUENCES) for name in sorted(names)}
    return [
        _metrics(cell.config, {n: curves[n][i] for n in sets[i]}, course[i], losses[:, i], sets[i]["unseen"])
        for i, cell in enumerate(cells)
    ]


def _curve(
    f: FlatModule,
    theta: Float[Tensor, "*cells parameters"],
    sets: Sequence[dict[str, Sequences]],
    name: str,
    sequences: int,
) -> Float[Tensor, "cells time"]:
    """Return each cell's learning curve on the first ``sequences`` of its test set called ``name``."""
    # A cell without this set is shown its seen tasks instead; nobody reads that row.
    x = torch.stack([s.get(name, s["seen"])[0][:sequences] for s in sets]).to(theta.device)
    y = torch.stack([s.get(name, s["seen"])[1][:sequences] for s in sets]).to(theta.device)
    if theta.dim() == 1:
        return learning_curve(f, theta, x[0], y[0]).unsqueeze(0).cpu()
    return learning_curve(f, theta, x, y).cpu()


def _ends(curve: Tensor) -> tuple[float, float]:
    """Return the accuracy of the first prediction and the mean of the last ten."""
    return curve[0].item(), curve[-LAST:].mean().item()


def _metrics(
    c: Config,
    curves: dict[str, Float[Tensor, "time"]],
    course: Float[Tensor, "looks sets time"],
    losses: Float[Tensor, "looks"],
    unseen: Sequences,
) -> Metrics:
    x, y = unseen
    nearest = _ends(baselines.accuracy(baselines.nearest_neighbour(x, y, c.classes), y))[1]

    def named(seen: Tensor, unseen: Tensor) -> str:
        return phase(_ends(seen), _ends(unseen), 1 / c.classes, nearest, c.tasks == "inf")

    metrics: Metrics = {"phase": named(curves["seen"], curves["unseen"]), "nearest_last": round(nearest, 4)}
    for name, curve in curves.items():
        first, last = _ends(curve)
        metrics[f"{name}_first"], metrics[f"{name}_last"] = round(first, 4), round(last, 4)
        metrics[f"{name}_curve"] = _rounded(curve)
    every = c.steps // c.evaluations
    return metrics | {
        "looks": [every * (i + 1) for i in range(c.evaluations)],
        "look_loss": _rounded(losses),
        "look_seen": [_rounded(curve) for curve in course[:, 0]],
        "look_unseen": [_rounded(curve) for curve in course[:, 1]],
        "look_phase": [named(seen, unseen) for seen, unseen in course],
    }


def _rounded(values: Tensor) -> list[float]:
    return [round(value, 3) for value in values.tolist()]


def run_references(cells: Sequence[Cell], context: Context) -> list[Metrics]:
    """Return the learning curves of the reference learners on the unseen tasks that this seed is tested on."""
    return [_references(cell) for cell in cells]


SGD_RATES = (0.03, 0.1, 0.3)


def _references(cell: Cell) -> Metrics:
    c = cell.config
    x, y = meta_test_sets(c, cell.seed, SEQUENCES)["unseen"]
    guesses = {
        "nearest": baselines.nearest_neighbour(x, y, c.classes),
        "means": baselines.class_means(x, y, c.classes),
        "ridge": baselines.ridge(x, y, c.classes),
    }
    for rate in SGD_RATES:
        start = torch.Generator().manual_seed(cell.seed)
        guesses[f"sgd_{rate}"] = baselines.online_sgd(x, y, c.classes, start, rate)
    curves = {name: baselines.accuracy(guess, y) for name, guess in guesses.items()}
    # Online SGD stands for its best rate on these very tasks: the comparison is kind to it, and says so.
    curves["sgd"] = max((curves[f"sgd_{rate}"] for rate in SGD_RATES), key=lambda curve: _ends(curve)[1])
    metrics: Metrics = {}
    for name, curve in curves.items():
        metrics[f"{name}_last"], metrics[f"{name}_curve"] = round(_ends(curve)[1], 4), _rounded(curve)
    return metrics


LIVE = Config()
PAPER = Config(
    classes=10,
    dataset="mnist",
    inputs=3072,
    rank=784,
    pixels=32,
    length=100,
    width=256,
    layers=4,
    heads=8,
    batch=128,
    steps=100_000,
    evaluations=100,
)

LEARNING = Experiment(
    name="gpicl.learning",
    title="Four meta-training runs: memorise, identify, learn to learn, stay on the plateau",
    figure="Figs. 2 to 4 and 8, at one width",
    run=run_meta_training,
    shape=shape,
    tiers={
        "live": Tier(
            configs=(
                Config(tasks=16, steps=250, evaluations=5),
                Config(tasks=256, steps=600, evaluations=6),
                Config(bias=0.9, steps=1600, evaluations=16),
                Config(bias=0.0, steps=1600, evaluations=16),
            ),
            seeds=(0, 1),
        ),
    },
)
"""The method notebook's live runs (section 9a's CI cell)."""

PHASES = Experiment(
    name="gpicl.phases",
    title="Phase map: what a network becomes, over number of tasks, width and bias",
    figure="Fig. 2b, 2c and Fig. 8",
    run=run_meta_training,
    shape=shape,
    tiers={
        "live": Tier(grid(Config(steps=400), tasks=(16, "inf"), width=(16, 64), bias=(0.0, 0.9)), seeds=(0,)),
        "study": Tier(
            grid(
                Config(steps=2400, evaluations=12),
                tasks=(16, 64, 256, 1024, 4096, "inf"),
                width=(16, 64),
                bias=(0.0, 0.9),
            ),
            seeds=(0, 1, 2, 3, 4),
        ),
        "paper": Tier(
            grid(PAPER, tasks=tuple(2**i for i in range(26)), width=tuple(2**i for i in range(1, 10))),
            seeds=(0, 1, 2),
        ),
    },
)

REFERENCES = Experiment(
    name="gpicl.references",
    title="Learning curves of 1-NN, class means, ridge regression and online SGD on unseen tasks",
    figure="Table 1, its SGD row",
    run=run_references,
    tiers={
        "live": Tier((LIVE,), seeds=(0,)),
        "study": Tier((LIVE,), seeds=(0, 1, 2, 3, 4)),
    },
)

BIASED = Config(bias=0.9)

SINGLE = Experiment(
    name="gpicl.single",
    title="What fits into an MLP that sees one example: seen tasks over number of tasks and hidden size",
    figure="Fig. 2a",
    run=run_meta_training,
    shape=shape,
    tiers={
        "live": Tier(
            grid(Config(architecture="mlp", steps=200, evaluations=2, length=8, batch=64), tasks=(4, 1024)), seeds=(0,)
        ),
        # 512 inputs in a step, as 64 tasks of 8: the network sees each alone.
        "study": Tier(
            grid(
                Config(architecture="mlp", steps=2000, evaluations=4, length=8, batch=64, rate=3e-3),
                tasks=(4, 16, 64, 256, 1024, 4096),
                width=(8, 32, 128, 512),
            ),
            seeds=(0, 1, 2, 3, 4),
        ),
        "paper": Tier(
            grid(
                replace(PAPER, architecture="mlp", length=2, batch=64),
                tasks=tuple(2**i for i in range(26)),
                width=tuple(2**i for i in range(1, 11)),
            ),
            seeds=(0, 1, 2),
        ),
    },
)

STATE = Experiment(
    name="gpicl.state",
    title="What the learned algorithm needs: accessible state or parameters, over architectures and sizes",
    figure="Fig. 5, and the LSTM row of Table 1",
    run=run_meta_training,
    shape=shape,
    tiers={
        "live": Tier(
            (
                replace(BIASED, architecture="lstm", steps=400, evaluations=4),
                replace(BIASED, architecture="outer-product", heads=2, head_dim=8, steps=400, evaluations=4),
            ),
            seeds=(0,),
        ),
        "study": Tier(
            (
                *grid(replace(BIASED, architecture="lstm"), width=(16, 64, 256)),
                *grid(replace(BIASED, architecture="outer-product", heads=4), head_dim=(4, 8, 16)),
                *grid(BIASED, head_dim=(2, 8, 32)),
            ),
            seeds=(0, 1, 2, 3, 4),
        ),
        "paper": Tier(
            (
                *grid(replace(PAPER, architecture="lstm", bias=0.9), width=(64, 256, 1024)),
                *grid(replace(PAPER, architecture="outer-product", bias=0.9), head_dim=(8, 16, 32)),
                *grid(replace(PAPER, bias=0.9), width=(64, 256)),
            ),
            seeds=(0, 1, 2),
        ),
    },
)

EXPERIMENTS = (LEARNING, PHASES, REFERENCES, SINGLE, STATE)
