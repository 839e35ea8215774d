"""What is measured of a run of GPICL: its learning curves on many test sets, and those of the reference learners."""

from collections.abc import Sequence

import torch

from tutorlib.lab import Context, Metrics, Trial
from tutorlib.nn import FlatModule
from tutorlib.papers.gpicl import baselines
from tutorlib.papers.gpicl.algorithm import Config, hyper, learning_curve, meta_train, phase
from tutorlib.papers.gpicl.problem import (
    FEATURES,
    INFINITE,
    UNSEEN,
    BaseSet,
    TaskLaw,
    base_sets,
    blob_set,
    character_set,
    meta_batch,
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
    test = c.bases[1]
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


def run_meta_training(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Meta-train ``trials`` and return for each what it learned.

    Metrics: ``phase``; for each of ``meta_test_sets`` the accuracy of the first prediction (``<set>_first``), the
    mean of the last ten (``<set>_last``) and the learning curve (``<set>_curve``); ``nearest_last``, what 1-NN
    reaches on the unseen tasks; and the course of meta-training at ``looks`` (steps): ``look_loss`` (mean since the
    look before), ``look_seen`` and ``look_unseen`` (a learning curve each) and ``look_phase``.
    """
    sets = [meta_test_sets(trial.config, trial.seed, SEQUENCES) for trial in trials]

    def evaluate(f: FlatModule, theta: Float[Tensor, "runs parameters"]) -> Float[Tensor, "runs sets time"]:
        curves = [_curve(f, theta, sets, name, LOOK_SEQUENCES) for name in ("seen", "unseen")]
        return torch.stack(curves, dim=1)

    trained = meta_train(trials, context, evaluate)
    losses = trained.losses.unflatten(0, (trials[0].config.num_evals, -1)).mean(dim=1)  # (looks, runs)
    course = torch.stack(trained.evals, dim=1)  # (runs, looks, sets, time)
    names = {name for own in sets for name in own}
    curves = {name: _curve(trained.f, trained.theta, sets, name, SEQUENCES) for name in sorted(names)}
    return [
        _metrics(trial.config, {n: curves[n][i] for n in sets[i]}, course[i], losses[:, i], sets[i]["unseen"])
        for i, trial in enumerate(trials)
    ]


def _curve(
    f: FlatModule,
    theta: Float[Tensor, "runs parameters"],
    sets: Sequence[dict[str, Sequences]],
    name: str,
    sequences: int,
) -> Float[Tensor, "runs time"]:
    """Return each run's learning curve on the first ``sequences`` of its test set called ``name``."""
    # A run without this set is shown its seen tasks instead; nobody reads that row.
    x = torch.stack([s.get(name, s["seen"])[0][:sequences] for s in sets]).to(theta.device)
    y = torch.stack([s.get(name, s["seen"])[1][:sequences] for s in sets]).to(theta.device)
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
    every = c.steps // c.num_evals
    return metrics | {
        "looks": [every * (i + 1) for i in range(c.num_evals)],
        "look_loss": _rounded(losses),
        "look_seen": [_rounded(curve) for curve in course[:, 0]],
        "look_unseen": [_rounded(curve) for curve in course[:, 1]],
        "look_phase": [named(seen, unseen) for seen, unseen in course],
    }


def _rounded(values: Tensor) -> list[float]:
    return [round(value, 3) for value in values.tolist()]


def run_references(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Return the learning curves of the reference learners on the unseen tasks that this seed is tested on."""
    return [_references(trial) for trial in trials]


SGD_RATES = (0.03, 0.1, 0.3)


def _references(trial: Trial) -> Metrics:
    c = trial.config
    x, y = meta_test_sets(c, trial.seed, SEQUENCES)["unseen"]
    guesses = {
        "nearest": baselines.nearest_neighbour(x, y, c.classes),
        "means": baselines.class_means(x, y, c.classes),
        "ridge": baselines.ridge(x, y, c.classes),
    }
    for lr in SGD_RATES:
        start = torch.Generator().manual_seed(trial.seed)
        guesses[f"sgd_{lr}"] = baselines.online_sgd(x, y, c.classes, start, lr)
    curves = {name: baselines.accuracy(guess, y) for name, guess in guesses.items()}
    # Online SGD stands for its best rate on these very tasks: the comparison is kind to it, and says so.
    curves["sgd"] = max((curves[f"sgd_{lr}"] for lr in SGD_RATES), key=lambda curve: _ends(curve)[1])
    metrics: Metrics = {}
    for name, curve in curves.items():
        metrics[f"{name}_last"], metrics[f"{name}_curve"] = round(_ends(curve)[1], 4), _rounded(curve)
    return metrics


def run_plateau(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Meta-train ``trials`` and return when each left the plateau.

    Metrics: at ``looks`` (steps) the ``look_loss`` (mean since the look before) and ``look_last``, the accuracy on
    unseen tasks (mean of the last ten positions); ``exit``, the first look at which that is 0.1 above chance, or 0 if
    there is none; and ``unseen_last`` at the end.
    """
    sets = [meta_test_sets(trial.config, trial.seed, SEQUENCES) for trial in trials]

    def evaluate(f: FlatModule, theta: Float[Tensor, "runs parameters"]) -> Float[Tensor, "runs"]:
        return _curve(f, theta, sets, "unseen", LOOK_SEQUENCES)[:, -LAST:].mean(dim=1)

    trained = meta_train(trials, context, evaluate)
    final = _curve(trained.f, trained.theta, sets, "unseen", SEQUENCES)
    c = trials[0].config
    losses = trained.losses.unflatten(0, (c.num_evals, -1)).mean(dim=1)  # (looks, runs)
    course = torch.stack(trained.evals)  # (looks, runs)
    looks = [c.steps // c.num_evals * (i + 1) for i in range(c.num_evals)]
    found = []
    for i in range(len(trials)):
        left = (course[:, i] > 1 / c.classes + 0.1).nonzero().flatten().tolist()
        found.append(
            {
                "exit": looks[left[0]] if left else 0,
                "unseen_last": round(_ends(final[i])[1], 4),
                "unseen_curve": _rounded(final[i]),
                "looks": looks,
                "look_loss": _rounded(losses[:, i]),
                "look_last": _rounded(course[:, i]),
            }
        )
    return found


TABLES = ("wine", "breast-cancer", "iris")
FOREIGN = ("mnist-test", "fashion-mnist-test", "kmnist-test", "digits")


def foreign_sets(c: Config, seed: int, sequences: int, names: Sequence[str]) -> dict[str, Sequences]:
    """Return sequences of unseen tasks made of many data sets, as the columns of Table 1.

    ``names`` are base sets, shown by images that never meta-train. With them come Random, Omniglot (each sequence
    takes its own C characters) and scikit-learn's tables. Inputs of all sets have the scale of meta-training.
    """
    energy = c.bases[0].energy()
    unseen = UNSEEN + torch.arange(sequences)
    bases = [base_sets(name, c.classes, c.rank, c.pixels, c.inputs)[1] for name in names]
    sets = {}
    for base in (*bases, *(table_set(name, c.inputs) for name in TABLES)):
        law = TaskLaw(c.inputs, base.z.shape[1], c.classes)
        sets[base.name] = meta_test_sequences(base.scaled(energy), law, seed, unseen, c.length)
    x, y = random_set(seed, sequences, c.length, c.inputs, c.classes)
    return sets | {
        "random": (x * (energy / c.inputs) ** 0.5, y),
        "omniglot": character_set(seed, sequences, c.length, c.law, energy),
    }


def _columns(c: Config) -> tuple[str, ...]:
    """Return the base sets that a run is tested on: all four, or those seen through the same frozen network."""
    return tuple(FEATURES[:3]) if c.dataset in FEATURES else FOREIGN


def run_table(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Meta-train ``trials`` and return for each of ``foreign_sets`` the first and last accuracy and the curve."""
    sets = [foreign_sets(trial.config, trial.seed, SEQUENCES, _columns(trial.config)) for trial in trials]
    trained = meta_train(trials, context)
    found: list[Metrics] = [{} for _ in trials]
    for name in sets[0]:
        for own, theta, metrics in zip(sets, trained.theta, found, strict=True):
            x, y = (part.unsqueeze(0).to(context.device) for part in own[name])
            metrics.update(_set_metrics(name, learning_curve(trained.f, theta.unsqueeze(0), x, y)[0].cpu()))
    return found


def _set_metrics(name: str, curve: Float[Tensor, "time"]) -> Metrics:
    first, last = _ends(curve)
    return {f"{name}_first": round(first, 4), f"{name}_last": round(last, 4), f"{name}_curve": _rounded(curve)}


MAML_STEPS, MAML_LR = 600, 0.1


def run_table_references(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Return ``<learner>_<set>_last``: what the reference learners reach on each of ``foreign_sets``.

    MAML is meta-trained on the tasks that GPICL is meta-trained on; its inner rate was not tuned.
    """
    return [_table_references(trial) for trial in trials]


def _table_references(trial: Trial) -> Metrics:
    c, cpu = trial.config, torch.device("cpu")
    base, h = c.bases[0], hyper([trial], cpu)
    meta_batches = (
        meta_batch(base, c.law, h.seed, step, h.tasks, h.biased, c.batch, c.length) for step in range(MAML_STEPS)
    )
    batches = ((x[0], y[0]) for x, y in meta_batches)
    generator = torch.Generator().manual_seed(trial.seed)
    theta = baselines.maml(baselines.start_weights((), c.inputs, 64, c.classes, generator), batches, MAML_LR)
    metrics: Metrics = {}
    for name, (x, y) in foreign_sets(c, trial.seed, SEQUENCES // 2, _columns(c)).items():
        guesses = {
            "nearest": baselines.nearest_neighbour(x, y, c.classes),
            "means": baselines.class_means(x, y, c.classes),
            "ridge": baselines.ridge(x, y, c.classes),
            "probe": baselines.linear_probe(x, y, c.classes, last=LAST),
            "maml": baselines.maml_guesses(theta, x, y, MAML_LR),
        }
        for lr in SGD_RATES:
            start = torch.Generator().manual_seed(trial.seed)
            guesses[f"sgd_{lr}"] = baselines.online_sgd(x, y, c.classes, start, lr)
        last = {name: _ends(baselines.accuracy(guess, y))[1] for name, guess in guesses.items()}
        last["sgd"] = max(last[f"sgd_{lr}"] for lr in SGD_RATES)  # its best rate on these very tasks
        metrics |= {f"{learner}_{name}_last": round(value, 4) for learner, value in last.items()}
    return metrics


GAMES = 12


def run_games(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Meta-train ``trials`` on points of a plane and return games on unseen tasks, to be played beside the model.

    Metrics: ``game_points`` (games, time, 2), ``game_labels`` (games, time), ``game_probabilities`` (games, time,
    classes), ``unseen_curve`` and ``nearest_curve`` (time), and ``unseen_last``.
    """
    trained = meta_train(trials, context)
    found = []
    for trial, theta in zip(trials, trained.theta, strict=True):
        x, y = meta_test_sets(trial.config, trial.seed, SEQUENCES)["unseen"]
        with torch.no_grad():
            logits = trained.f(theta, x.to(theta.device), y.to(theta.device)).cpu()
        curve = baselines.accuracy(logits.argmax(dim=-1), y)
        nearest = baselines.accuracy(baselines.nearest_neighbour(x, y, trial.config.classes), y)
        found.append(
            {
                "unseen_last": round(_ends(curve)[1], 4),
                "unseen_curve": _rounded(curve),
                "nearest_curve": _rounded(nearest),
                "game_points": [[_rounded(point) for point in game] for game in x[:GAMES]],
                "game_labels": y[:GAMES].tolist(),
                "game_probabilities": [[_rounded(p) for p in game] for game in logits[:GAMES].softmax(dim=-1)],
            }
        )
    return found
