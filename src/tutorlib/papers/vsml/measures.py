"""What is measured of a run of VSML: its course, its accuracies on other data at other sizes, and those of others."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch

from tutorlib.lab import Context, Metrics, Trial, rounded
from tutorlib.nn import eval_generator
from tutorlib.papers.vsml import cloning, descent, special_cases
from tutorlib.papers.vsml.algorithm import Learner, Start, learner, meta_train, tasks
from tutorlib.papers.vsml.config import Config
from tutorlib.papers.vsml.problem import CHARACTERS, Streams, files, half_of, sample
from tutorlib.shapes import Float, Tensor

WINDOWS = ((0, 50), (50, 100), (100, 200), (200, 500), (500, 1000), (1000, 2000))
"""examples over which accuracies are averaged"""
BIN = 10
"""examples in one point of a recorded curve"""
TEST = 2**40
"""Number of the step whose generator draws meta-test streams; no meta-training takes so many steps."""
ESCAPE = 0.87
"""A run has left the plateau where its loss is below this share of log B, the loss of guessing."""

DIGITS = Streams(kinds=("digits",), inputs=64, classes=10, length=500, side=8, part="test")
MNIST = replace(DIGITS, kinds=("mnist",), inputs=196, side=14)

TRANSFER: Mapping[str, tuple[Streams, int]] = {
    "prototypes": (Streams(length=200), 64),
    "prototypes-64": (Streams(inputs=64, classes=10, length=200), 16),
    "digits": (replace(DIGITS, length=1000), 16),
    "digits-projected": (replace(DIGITS, projection="fresh"), 16),
    "digits-shuffled": (replace(DIGITS, shuffled="fresh"), 16),
    "digits-4x4": (replace(DIGITS, inputs=16, side=4), 16),
    "digits-12x12": (replace(DIGITS, inputs=144, side=12, length=200), 16),
    "digits-3": (replace(DIGITS, classes=3, length=200), 32),
    "digits-5": (replace(DIGITS, classes=5, length=200), 32),
    "random": (Streams(kinds=("random",), inputs=64, classes=10, length=200), 16),
    "sum-sign": (Streams(kinds=("sum-sign",), inputs=64, classes=2, length=500), 16),
    "mnist": (MNIST, 8),
    "fashion-mnist": (replace(MNIST, kinds=("fashion-mnist",)), 8),
    "kmnist": (replace(MNIST, kinds=("kmnist",)), 8),
}
"""Meta-test sets by name: streams, and how many sequences of them. The paper's: 28 x 28 pixels, 2,000 examples."""

PAPER_SEQUENCES = 32
"""sequences of a meta-test set in the paper's code"""
PAPER_TEST = Streams(
    ("mnist",), 784, 10, length=2000, side=28, part="official-test", permuted=False, scaling="unfiltered"
)
_SHOWN: Mapping[str, Streams] = {
    "": PAPER_TEST,
    "-5": replace(PAPER_TEST, classes=5, subset=(5, 8, 1, 4, 2)),
    "-21x21": replace(PAPER_TEST, inputs=441, side=21),
    "-48x48": replace(PAPER_TEST, inputs=2304, side=48),
    "-projected": replace(PAPER_TEST, projection="fresh"),
    "-shuffled": replace(PAPER_TEST, shuffled="fixed"),
}
PAPER_TRANSFER: Mapping[str, Streams] = {
    name + also: replace(streams, kinds=(name,))
    for name in ("mnist", "fashion-mnist")
    for also, streams in _SHOWN.items()
}
"""Figs. 6 and 7: the code's meta-tests of one theta, at other sizes too."""


def transfer_sets(c: Config) -> Mapping[str, tuple[Streams, int]]:
    """Return the meta-test sets of a run by name: those of ``TRANSFER``, or the paper's where it meta-trains as there.

    Of a few-shot learner it is new characters.
    """
    if half_of(c.streams.part) == c.streams.part:
        return TRANSFER
    if set(c.streams.kinds) & set(CHARACTERS):
        return {c.streams.kinds[0]: (replace(c.streams, part="official-test"), 16 * PAPER_SEQUENCES)}
    return {name: (streams, PAPER_SEQUENCES) for name, streams in PAPER_TRANSFER.items()}


ONE_SHOT = replace(DIGITS, length=3)
ONE_SHOT_SEQUENCES = 256
TRACE = 60
"""examples of the first stream of ``WATCHED`` whose probabilities are recorded"""
WATCHED = ("digits", "mnist")
"""the sets that are looked into: of those of a run, the one that it is tested on"""


def meta_test_streams(streams: Streams, sequences: int, seed: int, batch: int = 1) -> tuple[Tensor, Tensor]:
    """Return the meta-test streams of a seed: the same for every learner that sees ``batch`` examples at once."""
    return tasks(streams, sequences, eval_generator(seed, TEST, torch.device("cpu")), batch)


def one_shot_streams(seed: int, same: bool, of: Streams = ONE_SHOT) -> tuple[Tensor, Tensor]:
    """Return streams whose second example has the class of the first: the same image, or another one of the class."""
    x, y = meta_test_streams(of, 20 * ONE_SHOT_SEQUENCES, seed)
    if same:
        x[:, 1], y[:, 1] = x[:, 0], y[:, 0]
    kept = (y[:, 0] == y[:, 1]).nonzero().flatten()[:ONE_SHOT_SEQUENCES]
    return x[kept], y[kept]


def windows(right: Float[Tensor, "time"]) -> dict[str, float]:
    """Return the mean accuracy in each of ``WINDOWS`` that the stream reaches, by name (``0_50``)."""
    reached = [(first, last) for first, last in WINDOWS if last <= len(right)]
    return {f"{first}_{last}": rounded(right[first:last].mean()) for first, last in reached}


def curve(right: Float[Tensor, "time"]) -> list[float]:
    """Return the mean accuracy of every ``BIN`` examples."""
    return rounded(right[: len(right) // BIN * BIN].view(-1, BIN).mean(dim=1))


def accuracies(right: Float[Tensor, "time"]) -> Metrics:
    """Return the metrics of one set: the accuracy in each of ``windows``, and the ``curve``."""
    return {**windows(right), "curve": curve(right)}


@torch.no_grad()
def probabilities(run: Learner, theta: Tensor, x: Tensor, y: Tensor, seed: int) -> Tensor:
    """Return the probabilities [sequences, time, classes] that a learner gives before each label."""
    return run(theta, x, y, eval_generator(seed, TEST, x.device, 1)).softmax(dim=-1)


def right_answers(p: Tensor, y: Tensor) -> Float[Tensor, "time"]:
    """Return the share of sequences whose likeliest class is right, at each position."""
    return (p.argmax(dim=-1) == y).float().mean(dim=0).cpu()


def of_label(p: Tensor, y: Tensor, t: int) -> float:
    """Return the mean probability of the right label at position ``t``."""
    return rounded(p[:, t].gather(1, y[:, t : t + 1]).mean())


def trace(p: Tensor) -> list[list[float]]:
    """Return the probabilities along the first ``TRACE`` examples of the first stream."""
    return rounded(p[0, :TRACE])


def course(losses: Float[Tensor, "steps"], num_evals: int, classes: int) -> Metrics:
    """Return the course of a meta-training: of ``evals`` the mean ``loss`` since the evaluation before; the last of
    them, ``loss``; and ``escape``, the step of the first evaluation off the plateau, or 0 if there is none.
    """
    means = losses.cpu().view(num_evals, -1).mean(dim=1)
    every = len(losses) // num_evals
    left = (means < ESCAPE * math.log(classes)).nonzero().flatten().tolist()
    return {
        "escape": every * (left[0] + 1) if left else 0,
        "loss": rounded(means[-1]),
        "evals": {"loss": rounded(means)},
    }


def run_learn(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Meta-train ``trials`` of one shape as one batch, and meta-test each on all of ``transfer_sets``, at sizes that
    meta-training never had. Learners with convolutions take the sets whose inputs are square images.

    Metrics: those of ``course`` and, for each set, of ``accuracies``, of a few-shot set the ``last`` accuracy;
    ``one_shot``: the probability of a digit's label ``before`` anything was shown, and when the ``same`` image or
    an``other`` one of its class follows at once; ``trace``: the ``probabilities`` along the first stream of digits,
    with its ``labels``; ``theta``.

    Of a compiled run only meta-training is compiled: each meta-test set has a size, and so would have a graph, of its
    own.
    """
    trained = meta_train(trials, context)
    runs = zip(trials, trained.theta, trained.losses.unbind(dim=1), strict=True)
    return [_learned(trial, theta, losses) for trial, theta, losses in runs]


def _learned(trial: Trial, theta: Float[Tensor, "parameters"], losses: Float[Tensor, "steps"]) -> Metrics:
    c = trial.config
    metrics = course(losses, c.num_evals, c.streams.classes)
    for name, (streams, sequences) in transfer_sets(c).items():
        if c.convolutions and not c.is_image(streams.inputs):
            continue
        x, y = (part.to(theta.device) for part in meta_test_streams(streams, sequences, trial.seed, c.batch))
        p = probabilities(learner(c, streams.inputs, streams.classes), theta, x, y, trial.seed)
        right = right_answers(p, y)
        metrics[name] = {"last": rounded(right[-1])} if name in CHARACTERS else accuracies(right)
        if name in WATCHED and "trace" not in metrics:
            metrics["trace"] = {"probabilities": trace(p), "labels": y[0, :TRACE].tolist()}
            of = replace(streams, length=3)
            if not c.convolutions or c.is_image(of.inputs):
                metrics["one_shot"] = _one_shot(learner(replace(c, batch=1), of.inputs, 10), theta, trial.seed, of)
    return metrics | {"theta": rounded(theta)}


def _one_shot(run: Learner, theta: Tensor, seed: int, of: Streams = ONE_SHOT) -> Metrics:
    result: Metrics = {}
    for name, same in (("same", True), ("other", False)):
        x, y = (part.to(theta.device) for part in one_shot_streams(seed, same, of))
        p = probabilities(run, theta, x, y, seed)
        result |= {"before": of_label(p, y, 0), name: of_label(p, y, 1)}
    return result


def online_learners(classes: int, hidden: int = 0) -> dict[str, Learner]:
    """Return online SGD and Adam by name, such as ``sgd_0.01``, at every rate of the grid.

    They are softmax regression, or, with ``hidden`` tanh units, ``sgd-deep_0.01``.
    """

    def of(learn: Callable, lr: float) -> Learner:
        def run(theta: Tensor, x: Tensor, y: Tensor, generator: Start) -> Tensor:
            return learn(x, y, classes, lr, hidden, generator if hidden else None)

        return run

    deep = "-deep" if hidden else ""
    result = {f"sgd{deep}_{lr:g}": of(descent.online_sgd, lr) for lr in descent.SGD_RATES}
    return result | {f"adam{deep}_{lr:g}": of(descent.online_adam, lr) for lr in descent.ADAM_RATES}


def run_references(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Return what online SGD and Adam reach on the ``transfer_sets``, at each rate of the grid.

    Metrics: for each learner (``sgd_0.01``) those of ``run_learn``, but for the course and the labels. They have no
    theta; the configuration names the setting only.
    """
    return [_references(trial) for trial in trials]


def _references(trial: Trial) -> Metrics:
    metrics: Metrics = {}
    nothing = torch.zeros(0)
    sets = transfer_sets(trial.config)
    # The code has both, and the two-layer network at its own meta-tests alone.
    depths = (0,) if sets is TRANSFER else (0, descent.HIDDEN)
    watched = next(name for name in WATCHED if name in sets)
    for name, (streams, sequences) in sets.items():
        x, y = meta_test_streams(streams, sequences, trial.seed)
        for label, run in (pair for hidden in depths for pair in online_learners(streams.classes, hidden).items()):
            p = probabilities(run, nothing, x, y, trial.seed)
            metrics.setdefault(label, {})[name] = accuracies(right_answers(p, y))
            if name == watched:
                metrics[label]["trace"] = {"probabilities": trace(p)}
    of = replace(sets[watched][0], length=3)
    for label, run in (pair for hidden in depths for pair in online_learners(10, hidden).items()):
        metrics[label]["one_shot"] = _one_shot(run, nothing, trial.seed, of)
    return metrics


def run_plateau(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Meta-train trials of one shape as one batch and return the metrics of ``course`` for each."""
    losses = meta_train(trials, context).losses
    c = trials[0].config
    return [course(of_run, c.num_evals, c.streams.classes) for of_run in losses.unbind(dim=1)]


SMALL = Streams(inputs=16, classes=4, length=50, side=4)
"""The matrix's size: 4 x 4 pixels, the first four classes, 50 examples. The paper's: 28 x 28, ten, 500."""
PICTURES = replace(SMALL, kinds=("digits",), permuted=False)
"""Labels of images keep their meaning in meta-training, as in the paper: that is what can be overfitted."""
TESTED = replace(PICTURES, part="test", length=200)
MATRIX_TEST: Mapping[str, Streams] = {
    "digits": TESTED,
    "digits-projected": replace(TESTED, projection="fresh"),
    "digits-shuffled": replace(TESTED, shuffled="fresh"),
    "digits-renamed": replace(TESTED, permuted=True),
    "mnist": replace(TESTED, kinds=("mnist",)),
    "fashion-mnist": replace(TESTED, kinds=("fashion-mnist",)),
    "kmnist": replace(TESTED, kinds=("kmnist",)),
    "random": replace(SMALL, kinds=("random",), length=200),
    "sum-sign": replace(SMALL, kinds=("sum-sign",), length=200),
    "prototypes": replace(SMALL, length=200),
}
MATRIX_SEQUENCES = 64
PAPER_MATRIX = ("mnist", "fashion-mnist", "random-fixed", "emnist", "kmnist", "sum-sign")
"""Fig. 8: the code's meta-tests"""


def matrix_sets(c: Config) -> Mapping[str, Streams]:
    """Return the sets that a run of the matrix is tested on: those of ``MATRIX_TEST``, or the paper's where it
    meta-trains as there. VSML has as many outputs as a set has classes; the others have what they were made for."""
    if half_of(c.streams.part) == c.streams.part:
        return MATRIX_TEST
    sizes = {name: {"emnist": 62, "sum-sign": 2}.get(name, 10) for name in PAPER_MATRIX}
    if c.learner == "vsml":
        return {name: replace(PAPER_TEST, kinds=(name,), classes=size) for name, size in sizes.items()}
    classes = c.streams.classes
    shown = {name: size if size < classes else 0 for name, size in sizes.items()}
    return {name: replace(PAPER_TEST, kinds=(name,), classes=classes, shown=shown[name]) for name in sizes}


def run_matrix(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Meta-train trials of one shape as one batch; return for each the metrics of ``course`` and, for every set of
    ``matrix_sets``, those of ``accuracies``. Of a compiled run only meta-training is compiled."""
    trained = meta_train(trials, context)
    result = []
    for trial, theta, losses in zip(trials, trained.theta, trained.losses.unbind(dim=1), strict=True):
        c = trial.config
        metrics = course(losses, c.num_evals, c.streams.classes)
        sets = matrix_sets(c)
        sequences = MATRIX_SEQUENCES if sets is MATRIX_TEST else PAPER_SEQUENCES
        for name, streams in sets.items():
            drawn = meta_test_streams(streams, sequences, trial.seed, c.batch)
            x, y = (part.to(context.device) for part in drawn)
            run = learner(c, streams.inputs, streams.classes)
            metrics[name] = accuracies(right_answers(probabilities(run, theta, x, y, trial.seed), y))
        result.append(metrics)
    return result


def data_of(*streams: Streams) -> tuple[str, ...]:
    """Return the parts of data sets that these streams are read from."""
    return tuple(dict.fromkeys(part for stream in streams for part in files(stream)))


def data_of_learn(c: Config) -> tuple[str, ...]:
    """Return what a run of ``run_learn`` reads."""
    return data_of(c.streams, *(streams for streams, _ in transfer_sets(c).values()))


def data_of_references(c: Config) -> tuple[str, ...]:
    """Return what a run of ``run_references`` reads."""
    return data_of(*(streams for streams, _ in transfer_sets(c).values()))


def data_of_matrix(c: Config) -> tuple[str, ...]:
    """Return what a run of ``run_matrix`` reads."""
    return data_of(c.streams, *matrix_sets(c).values())


def data_of_plateau(c: Config) -> tuple[str, ...]:
    """Return what a run of ``run_plateau`` reads."""
    return data_of(c.streams)


def data_of_cloning(c: cloning.Config) -> tuple[str, ...]:
    """Return what a run of ``run_cloning`` reads."""
    return data_of(*(_cloning_streams(kind, c) for kind in c.kinds))


WINDOW = 50
"""examples in a point of an online accuracy curve"""
LAST = 200
"""a run's last accuracy is the mean over this many examples"""


def run_cloning(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Clone backpropagation into ``trials``, then train networks with the clone and with gradient descent itself.

    Metrics: those of ``cloning.imitation``; the course of cloning, ``evals``, at ``steps`` the ``rmse`` (since the
    evaluation before, of y, e', w and b). Then for each image set and in it for each network (``shallow``: no hidden
    layer, ``deep``: one), from equal initial parameters on equal streams: of the ``clone`` and of ``exact`` gradient
    descent the ``curve`` (online accuracy in windows of 50 examples) and ``last`` (mean over the last 200); the ``gap``
    there, exact - clone; and ``agree``, the correlation over connections of the w that the two end with.

    Nothing is fitted to images, so their split has no meaning here: streams come from the part that meta-trains
    elsewhere, which for MNIST and Fashion-MNIST is four in five images of the official test part, or, where the kind
    says so, the official training part.
    """
    return [_cloning(trial, context) for trial in trials]


def _cloning_streams(kind: str, c: cloning.Config) -> Streams:
    side, name = 8 if kind == "digits" else c.side, kind.removesuffix(cloning.OFFICIAL)
    return Streams((name,), side**2, 10, c.length, side, "train" if name == kind else "official-train")


def _cloning(trial: Trial, context: Context) -> Metrics:
    c: cloning.Config = trial.config
    clone = cloning.clone_backprop(trial, context)
    course = clone.errors.view(c.num_evals, -1, 4).mean(dim=1).sqrt()
    metrics: Metrics = {
        "evals": {
            "steps": [c.steps // c.num_evals * (i + 1) for i in range(c.num_evals)],
            "rmse": rounded(course),
        },
    }
    for name, sizes in cloning.imitation(clone.theta, trial.seed, c).items():
        metrics[name] = {what: rounded(size) for what, size in sizes.items()}
    # Streams and initial parameters are those of the seed, made on the CPU: the same on every device.
    generator = torch.Generator().manual_seed(trial.seed)
    for kind in c.kinds:
        side = 8 if kind == "digits" else c.side
        name = kind.removesuffix(cloning.OFFICIAL)
        x, y = sample(_cloning_streams(kind, c), c.streams, generator)
        for depth, hidden in (("shallow", ()), ("deep", (c.width,))):
            initial = cloning.initial_layers((side**2, *hidden, 10), c.streams, generator)
            metrics.setdefault(name, {})[depth] = _race(clone.theta, initial, x, y, c)
    return metrics


def _race(theta: Tensor, initial: list[tuple[Tensor, Tensor]], x: Tensor, y: Tensor, c: cloning.Config) -> Metrics:
    """Return the metrics of one network on one image set."""
    x, y = x.to(theta.device), y.to(theta.device)
    initial = [(w.to(theta.device), b.to(theta.device)) for w, b in initial]
    planted = [cloning.planted(w, b, c) for w, b in initial]
    states, clones = cloning.online(cloning.cloned(theta, c), planted, x, y)
    weights, exacts = cloning.online(cloning.exact(c.eta), initial, x, y)
    pairs = [(cloning.slots(state)[0], w) for state, (w, _) in zip(states, weights, strict=True)]
    ends = torch.stack([torch.cat([side.flatten() for side in sides]) for sides in zip(*pairs, strict=True)])
    metrics: Metrics = {"agree": rounded(torch.corrcoef(ends)[0, 1])}
    for side, logits in (("clone", clones), ("exact", exacts)):
        right = (logits.argmax(dim=-1) == y).float().mean(dim=0)  # over streams
        means = torch.stack([part.mean() for part in right.split(WINDOW)])
        metrics[side] = {"curve": rounded(means), "last": rounded(right[-LAST:].mean())}
    gap = metrics["exact"]["last"] - metrics["clone"]["last"]
    return metrics | {"gap": rounded(torch.tensor(gap, dtype=torch.float64))}


def run_special_cases(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Return the ``gap`` by which each of ``special_cases.CASES`` differs from its own formula, relative."""
    every = [special_cases.gaps(trial.seed, trial.config.steps) for trial in trials]
    return [
        {"gap": {name: rounded(torch.tensor(gap, dtype=torch.float64)) for name, gap in gaps.items()}} for gaps in every
    ]
