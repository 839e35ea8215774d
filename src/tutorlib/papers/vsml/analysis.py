"""Numbers drawn from the records of VSML: what its figures show and its claims judge."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from tutorlib.lab import Interval, Record, interval
from tutorlib.lab.errors import bad_argument
from tutorlib.lab.seeds import expect_inside
from tutorlib.papers.vsml.descent import ADAM_RATES, SGD_RATES
from tutorlib.papers.vsml.problem import Streams
from tutorlib.shapes import Float, Tensor

ONLINE = tuple(f"sgd_{lr:g}" for lr in SGD_RATES) + tuple(f"adam_{lr:g}" for lr in ADAM_RATES)
"""Learners of ``vsml.references``."""
SETS = MappingProxyType(
    {
        "prototypes": "prototypes, 8 → 4",
        "prototypes-64": "prototypes, 64 → 10",
        "digits": "digits, 8 x 8",
        "digits-projected": "digits, projected",
        "digits-shuffled": "digits, shuffled",
        "digits-4x4": "digits, 4 x 4",
        "digits-12x12": "digits, 12 x 12",
        "digits-3": "digits, 3 classes",
        "digits-5": "digits, 5 classes",
        "random": "Random",
        "sum-sign": "Sum Sign",
        "mnist": "MNIST, 14 x 14",
        "fashion-mnist": "Fashion-MNIST, 14 x 14",
        "kmnist": "KMNIST, 14 x 14",
    }
)
"""Meta-test sets as a reader knows them."""
LEARNERS = MappingProxyType(
    {
        "vsml": "VSML",
        "meta-rnn": "Meta RNN",
        "fast-weight-memory": "fast-weight memory",
        "delta-rule": "delta rule",
        "hebbian": "Hebbian",
        "oja": "Oja",
    }
)
"""Learners that are meta-trained, as a reader knows them."""


def streams_of(config: Mapping[str, Any]) -> Streams:
    """Return the streams in a record's configuration as the dataclass that they were."""
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in config.items()
    }
    return Streams(**fields)


def theta_of(record: Record) -> Float[Tensor, "parameters"]:
    """Return the meta-variables that a run of ``vsml.learn`` ended with."""
    return torch.tensor(record.metrics["theta"])


def variants(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Return the runs of ``vsml.learn`` by what trained them: ``bptt`` (+1, 0), ``bptt-slow`` (+5, -5), and ``es``."""
    by_name: dict[str, list[Record]] = {"bptt": [], "bptt-slow": [], "es": []}
    for record in sorted(records, key=lambda r: r.seed):
        c = record.config
        by_name["es" if c["estimator"] == "es" else "bptt" if c["forget_bias"] == 1.0 else "bptt-slow"].append(record)
    return {name: runs for name, runs in by_name.items() if runs}


def metric(record: Record, *path: str) -> Any:
    """Return the metric that lies at ``path``, such as ``"sgd_0.1", "digits", "0_50"``."""
    value: Any = record.metrics
    for name in path:
        value = value[name]
    return value


def values(records: Sequence[Record], *path: str) -> list[float]:
    """Return the number at ``path`` for each seed, in the order of the seeds."""
    return [float(metric(r, *path)) for r in sorted(records, key=lambda r: r.seed)]


EDGES: Mapping[tuple[str, str], tuple[str, ...]] = MappingProxyType(
    {
        ("digits", "0_50"): ("adam_0.03",),
        ("digits", "50_100"): ("adam_0.03",),
        ("digits-4x4", "100_200"): ("sgd_0.3",),
        ("digits-4x4", "200_500"): ("adam_0.03",),
        ("sum-sign", "200_500"): ("adam_0.0003",),
    }
)
"""By set and window, best learners of the records whose rate lies at an end of those tried, so that another may be
better. For the first 50 digits .1 is not: the chapter computes it."""


def best_online(references: Sequence[Record], name: str, window: str, learners: Sequence[str] = ONLINE) -> str:
    """Return the learner of ``vsml.references`` with the highest mean accuracy in a window of a set.

    Chosen on the very streams that it is compared on: the comparison is kind to it. A best learner whose rate lies at
    an edge of those of its kind is accepted only where ``EDGES`` names it; else ``UsageError``.
    """
    means = {learner: float(np.mean(values(references, learner, name, window))) for learner in learners}
    best = max(means, key=lambda learner: means[learner])
    kind = _kind(best)
    named = [_rate(learner) for learner in EDGES.get((name, window), ()) if _kind(learner) == kind]
    rates = [_rate(learner) for learner in learners if _kind(learner) == kind]
    if len(rates) > 1:  # one alone is no choice
        expect_inside(f"{kind}'s rate", _rate(best), rates, {f"{kind}'s rate": named})
    return best


def _kind(learner: str) -> str:
    return learner.split("_")[0]


def _rate(learner: str) -> float:
    return float(learner.split("_")[1])


def lead(learned: Sequence[Record], references: Sequence[Record], name: str, window: str) -> list[float]:
    """Return VSML's accuracy in a window of a set minus that of the best online learner there, seed by seed."""
    best = best_online(references, name, window)
    ours, theirs = (
        {r.seed: metric(r, *path) for r in runs}
        for runs, path in ((learned, (name, window)), (references, (best, name, window)))
    )
    return [ours[seed] - theirs[seed] for seed in sorted(ours) if seed in theirs]


def jump(records: Sequence[Record], learner: tuple[str, ...], name: str) -> list[float]:
    """Return by how much one labelled digit raises the probability of its label, seed by seed.

    ``learner`` is the path to its metrics: none in ``vsml.learn``, such as ``("sgd_0.01",)`` in ``vsml.references``.
    ``name``: for the ``same`` image again, or for an ``other`` one of its class.
    """
    before, after = (values(records, *learner, "one_shot", what) for what in ("before", name))
    return [b - a for a, b in zip(before, after, strict=True)]


def curve_intervals(records: Sequence[Record], *path: str) -> list[Interval]:
    """Return the mean over seeds of the ``curve`` of what lies at ``path``, each point with its 95 % interval."""
    curves = np.array([metric(r, *path, "curve") for r in records])
    return [interval(column.tolist()) for column in curves.T]


def stream_name(streams: Mapping[str, Any], named: Mapping[str, Streams]) -> str:
    """Return under which name ``named`` holds the streams of a record's configuration.

    Raises ``UsageError`` if it does not hold them.
    """
    wanted = streams_of(streams)
    for name, other in named.items():
        if other == wanted:
            return name
    raise bad_argument("streams", wanted, f"one of {', '.join(named)}")


def matrix(
    records: Sequence[Record],
    learner: str,
    trained: Mapping[str, Streams],
    tested: Sequence[str],
    window: str = "100_200",
) -> dict[tuple[str, str], Interval]:
    """Return the accuracy of a learner by (meta-training set, meta-test set), with intervals over seeds."""
    runs: dict[str, list[Record]] = {}
    for record in records:
        if record.config["learner"] == learner:
            runs.setdefault(stream_name(record.config["streams"], trained), []).append(record)
    return {(name, test): interval(values(of_name, test, window)) for name, of_name in runs.items() for test in tested}


def off_diagonal(records: Sequence[Record], learner: str, trained: Mapping[str, Streams], tested: Sequence[str],
                 window: str = "100_200", rows: Sequence[str] = ()) -> dict[int, float]:  # fmt: skip
    """Return by seed the mean accuracy of a learner over all pairs of different meta-training and meta-test sets.

    A meta-training set of several kinds is left out: nothing is off its diagonal but what it leaves out. With ``rows``
    only these meta-training sets count.
    """
    by_seed: dict[int, list[float]] = {}
    for record in records:
        name = stream_name(record.config["streams"], trained)
        counts = name in rows if rows else not name.startswith("all")
        if record.config["learner"] == learner and counts:
            accuracies = [record.metrics[test][window] for test in tested if test != name]
            by_seed.setdefault(record.seed, []).extend(accuracies)
    return {seed: float(np.mean(accuracies)) for seed, accuracies in sorted(by_seed.items())}


def off_plateau(records: Sequence[Record], learner: str, trained: Mapping[str, Streams]) -> tuple[str, ...]:
    """Return the meta-training sets on which every run of a learner left the plateau, in the order of ``trained``."""
    escapes: dict[str, list[int]] = {}
    for record in records:
        if record.config["learner"] == learner:
            name = stream_name(record.config["streams"], trained)
            escapes.setdefault(name, []).append(record.metrics["escape"])
    return tuple(name for name in trained if all(escapes.get(name, [0])))
