"""What is measured of a run of GPICL: its learning curves on many test sets, and those of the reference learners."""

from collections.abc import Sequence

import torch

from tutorlib.lab import Context, Metrics, Trial, rounded
from tutorlib.nn import FlatModule
from tutorlib.papers.gpicl import baselines
from tutorlib.papers.gpicl.algorithm import Config, hyper, learning_curve, meta_train, phase
from tutorlib.papers.gpicl.problem import (
    FEATURES,
    IMAGES,
    INFINITE,
    OFFICIAL,
    OFFICIAL_FEATURES,
    UNSEEN,
    BaseSet,
    TaskLaw,
    base_sets,
    blob_set,
    character_set,
    files,
    meta_batch,
    meta_test_sequences,
    official_test,
    random_set,
    seen_tasks,
    table_set,
)
from tutorlib.shapes import Float, Int, Tensor

EVAL_SEQUENCES = 256
"""sequences behind each point of a curve during meta-training"""
SEQUENCES = 1024
"""sequences behind a final number"""
OFFICIAL_SEQUENCES = 512
"""the same with the official sets, the fewest of the paper's: an input has 3072 numbers there"""
LAST = 10
"""the last accuracy of a run is the mean over this many positions"""

Sequences = tuple[Float[Tensor, "sequences time inputs"], Int[Tensor, "sequences time"]]


def meta_test_sets(c: Config, seed: int, sequences: int) -> dict[str, Sequences]:
    """Return the meta-test sequences of a run: seen and unseen tasks on test images, and data sets it never saw.

    ``seen`` is the distribution of meta-training, a share ``bias`` with the fixed permutation included; for a biased
    run ``permuted`` shows the same tasks with their own permutations alone. A run on an official set is shown the
    paper's other set of meta-training (Figs. 3 and 4) and Random beside its own tasks.
    """
    test, official = c.bases[1], c.dataset in OFFICIAL
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
    }
    if official:
        others = [name for name in META_TRAINED if name != c.dataset]
        sets |= {name: shown(_at_scale(name, c, c.bases[0].energy()), unseen) for name in others}
    else:
        sets["blobs"] = blob_set(seed, sequences, c.length, c.inputs, c.classes)
        sets["wine"] = shown(table_set("wine", c.inputs), unseen)
    return sets | ({"permuted": shown(test, seen)} if c.bias else {})


def run_meta_training(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Meta-train ``trials`` and return for each what it learned.

    Metrics: ``phase``; for each of ``meta_test_sets``, by name, the accuracy of the ``first`` prediction, the mean of
    the ``last`` ten and the learning ``curve``; the same ``last`` of ``nearest``, 1-NN on the unseen tasks; and the
    course of meta-training, ``evals``: at ``steps`` the ``loss`` (mean since the evaluation before), the learning
    curves on ``seen`` and ``unseen`` tasks, and the ``phase``.
    """
    sets = [meta_test_sets(trial.config, trial.seed, final_sequences(trial.config)) for trial in trials]

    def evaluate(f: FlatModule, theta: Float[Tensor, "runs parameters"]) -> Float[Tensor, "runs sets time"]:
        curves = [_curve(f, theta, sets, name, EVAL_SEQUENCES) for name in ("seen", "unseen")]
        return torch.stack(curves, dim=1)

    trained = meta_train(trials, context, evaluate)
    losses = trained.losses.unflatten(0, (trials[0].config.num_evals, -1)).mean(dim=1)  # (evals, runs)
    course = torch.stack(trained.evals, dim=1)  # (runs, evals, sets, time)
    names = {name for by_name in sets for name in by_name}
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
    course: Float[Tensor, "evals sets time"],
    losses: Float[Tensor, "evals"],
    unseen: Sequences,
) -> Metrics:
    x, y = unseen
    nearest = _ends(baselines.accuracy(baselines.nearest_neighbour(x, y, c.classes), y))[1]

    def named(seen: Tensor, unseen: Tensor) -> str:
        return phase(_ends(seen), _ends(unseen), 1 / c.classes, nearest, c.tasks == "inf")

    return {
        "phase": named(curves["seen"], curves["unseen"]),
        "nearest": {"last": rounded(torch.tensor(nearest))},
        **{name: _summary(curve) for name, curve in curves.items()},
        "evals": {
            "steps": _eval_steps(c),
            "loss": rounded(losses),
            "seen": rounded(course[:, 0]),
            "unseen": rounded(course[:, 1]),
            "phase": [named(seen, unseen) for seen, unseen in course],
        },
    }


def _summary(curve: Float[Tensor, "time"]) -> Metrics:
    """Return the metrics of a learning curve: its ends and itself."""
    return {"first": rounded(curve[0]), **_last(curve), "curve": rounded(curve)}


def _last(curve: Float[Tensor, "time"]) -> Metrics:
    return {"last": rounded(curve[-LAST:].mean())}


def _eval_steps(c: Config) -> list[int]:
    """Return the numbers of steps after which a run is evaluated."""
    return [c.steps // c.num_evals * (i + 1) for i in range(c.num_evals)]


def run_references(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Return for each reference learner ``last`` and ``curve`` on the unseen tasks that this seed is tested on."""
    return [_references(trial) for trial in trials]


SGD_RATES = (0.03, 0.1, 0.3)


def _references(trial: Trial) -> Metrics:
    c = trial.config
    x, y = meta_test_sets(c, trial.seed, final_sequences(c))["unseen"]
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
    return {name: {**_last(curve), "curve": rounded(curve)} for name, curve in curves.items()}


def run_plateau(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Meta-train ``trials`` and return when each left the plateau.

    Metrics: ``evals``, at ``steps`` the ``loss`` (mean since the evaluation before) and ``last``, the accuracy on
    unseen tasks (mean of the last ten positions); ``exit``, the first of these steps at which that is 0.1 above
    chance, or 0 if there is none; and ``last`` and ``curve`` of ``unseen`` at the end.
    """
    sets = [meta_test_sets(trial.config, trial.seed, final_sequences(trial.config)) for trial in trials]

    def evaluate(f: FlatModule, theta: Float[Tensor, "runs parameters"]) -> Float[Tensor, "runs"]:
        return _curve(f, theta, sets, "unseen", EVAL_SEQUENCES)[:, -LAST:].mean(dim=1)

    trained = meta_train(trials, context, evaluate)
    final = _curve(trained.f, trained.theta, sets, "unseen", SEQUENCES)
    c = trials[0].config
    losses = trained.losses.unflatten(0, (c.num_evals, -1)).mean(dim=1)  # (evals, runs)
    course = torch.stack(trained.evals)  # (evals, runs)
    steps = _eval_steps(c)
    result = []
    for i in range(len(trials)):
        left = (course[:, i] > 1 / c.classes + 0.1).nonzero().flatten().tolist()
        result.append(
            {
                "exit": steps[left[0]] if left else 0,
                "unseen": {**_last(final[i]), "curve": rounded(final[i])},
                "evals": {"steps": steps, "loss": rounded(losses[:, i]), "last": rounded(course[:, i])},
            }
        )
    return result


TABLES = ("wine", "breast-cancer", "iris")
FOREIGN = ("mnist-test", "fashion-mnist-test", "kmnist-test", "digits")
META_TRAINED = IMAGES[:2]
"""the paper's sets of meta-training"""


def final_sequences(c: Config) -> int:
    """Return how many sequences are behind a final number of a run."""
    return min(SEQUENCES, OFFICIAL_SEQUENCES) if c.dataset in OFFICIAL else SEQUENCES


def data_of(c: Config) -> tuple[str, ...]:
    """Return the parts of data sets that a run reads which is tested on its own tasks."""
    others = META_TRAINED if c.dataset in OFFICIAL else ()
    return tuple(dict.fromkeys(files(c.dataset) + tests_of(*others)))


def data_of_table(c: Config) -> tuple[str, ...]:
    """Return the parts of data sets that a run reads which is tested on those of the table."""
    omniglot = () if c.dataset in OFFICIAL else tuple(f"omniglot/background_small{i}" for i in (1, 2))
    return tuple(dict.fromkeys(files(c.dataset) + tests_of(*_columns(c)) + omniglot))


def tests_of(*names: str) -> tuple[str, ...]:
    """Return the parts of data sets that base sets are read from which nobody meta-trains on."""
    return tuple(part for part in files(*names) if not part.endswith("/train"))


def _at_scale(name: str, c: Config, energy: float) -> BaseSet:
    """Return the part of a base set that never meta-trains, at the scale of a run's own inputs."""
    if name in OFFICIAL and name != c.dataset:
        return official_test(name, c.classes, c.pixels).scaled(energy)
    return base_sets(name, c.classes, c.rank, c.pixels, c.inputs)[1].scaled(energy)


def foreign_sets(c: Config, seed: int, sequences: int, names: Sequence[str]) -> dict[str, Sequences]:
    """Return sequences of unseen tasks made of many data sets, as the columns of Table 1.

    ``names`` are base sets, shown by images that never meta-train. With them comes Random and, where they are not the
    paper's, Omniglot (each sequence takes its own C characters) and scikit-learn's tables. Inputs of all sets have the
    scale of meta-training.
    """
    energy = c.bases[0].energy()
    unseen = UNSEEN + torch.arange(sequences)
    bases = [_at_scale(name, c, energy) for name in names]
    official = c.dataset in OFFICIAL
    sets = {}
    for base in (*bases, *(table_set(name, c.inputs).scaled(energy) for name in (() if official else TABLES))):
        law = TaskLaw(c.inputs, base.z.shape[1], c.classes)
        sets[base.name] = meta_test_sequences(base, law, seed, unseen, c.length)
    x, y = random_set(seed, sequences, c.length, c.inputs, c.classes)
    sets["random"] = x * (energy / c.inputs) ** 0.5, y
    return sets if official else sets | {"omniglot": character_set(seed, sequences, c.length, c.law, energy)}


def _columns(c: Config) -> tuple[str, ...]:
    """Return the base sets that a run is tested on: those seen through the same frozen network; the paper's five; or
    the four of the reduced table."""
    return next((names for names in (FEATURES[:3], OFFICIAL_FEATURES, IMAGES) if c.dataset in names), FOREIGN)


def run_table(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Meta-train ``trials`` and return ``first``, ``last`` and ``curve`` for each of ``foreign_sets``."""
    for c in {trial.config for trial in trials}:
        for name in _columns(c):  # what cannot be read is an error before meta-training, not after it
            _at_scale(name, c, 1.0)
    trained = meta_train(trials, context)
    result: list[Metrics] = []
    for trial, theta in zip(trials, trained.theta, strict=True):
        c, metrics = trial.config, {}
        for name, sequences in foreign_sets(c, trial.seed, final_sequences(c), _columns(c)).items():
            x, y = (part.unsqueeze(0).to(context.device) for part in sequences)
            metrics[name] = _summary(learning_curve(trained.f, theta.unsqueeze(0), x, y)[0].cpu())
        result.append(metrics)
    return result


MAML_STEPS, MAML_LR = 600, 0.1


def run_table_references(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Return for each reference learner and each of ``foreign_sets`` the ``last`` accuracy that it reaches there.

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
    theta = baselines.maml(baselines.initial_parameters((), c.inputs, 64, c.classes, generator), batches, MAML_LR)
    metrics: Metrics = {}
    for name, (x, y) in foreign_sets(c, trial.seed, final_sequences(c) // 2, _columns(c)).items():
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
        ends = {learner: _last(baselines.accuracy(guess, y)) for learner, guess in guesses.items()}
        # The best rate on these very tasks.
        ends["sgd"] = max((ends[f"sgd_{lr}"] for lr in SGD_RATES), key=lambda end: end["last"])
        for learner, end in ends.items():
            metrics.setdefault(learner, {})[name] = end
    return metrics


GAMES = 12


def run_games(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Meta-train ``trials`` on points of a plane and return games on unseen tasks, to be played beside the model.

    Metrics: of ``games`` the ``points`` (games, time, 2), ``labels`` (games, time) and ``probabilities`` (games, time,
    classes); ``curve`` (time) and ``last`` of ``unseen``, and ``curve`` of ``nearest``.
    """
    trained = meta_train(trials, context)
    result = []
    for trial, theta in zip(trials, trained.theta, strict=True):
        x, y = meta_test_sets(trial.config, trial.seed, final_sequences(trial.config))["unseen"]
        with torch.no_grad():
            logits = trained.f(theta, x.to(theta.device), y.to(theta.device)).cpu()
        curve = baselines.accuracy(logits.argmax(dim=-1), y)
        nearest = baselines.accuracy(baselines.nearest_neighbour(x, y, trial.config.classes), y)
        result.append(
            {
                "unseen": {**_last(curve), "curve": rounded(curve)},
                "nearest": {"curve": rounded(nearest)},
                "games": {
                    "points": rounded(x[:GAMES]),
                    "labels": y[:GAMES].tolist(),
                    "probabilities": rounded(logits[:GAMES].softmax(dim=-1)),
                },
            }
        )
    return result
