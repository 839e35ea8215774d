"""Records that nobody computed, to see that figures, claims and explorers follow what records say."""

import json
from dataclasses import asdict, replace
from typing import Any

from tutorlib.lab import Record
from tutorlib.papers.vsml import experiments, measures
from tutorlib.papers.vsml.analysis import ONLINE
from tutorlib.papers.vsml.config import Config
from tutorlib.papers.vsml.special_cases import CASES

SEEDS = (0, 1, 2, 3, 4)
SOURCE = {"device": "CPU (x86_64)"}


def jitter(seed: int) -> float:
    return 0.002 * seed


def record(name: str, config: Config, seed: int, metrics: dict[str, Any]) -> Record:
    return Record(name, "study", json.loads(json.dumps(asdict(config))), seed, metrics, 1.0, SOURCE)


def accuracies(level: dict[str, float], seed: int) -> dict[str, Any]:
    """Metrics of all transfer sets: the accuracy of each window is ``level[window]`` and a little of the seed."""
    own = {window: value + jitter(seed) for window, value in level.items()}
    return {name: {**own, "curve": [0.5 + jitter(seed)] * 50} for name in measures.TRANSFER}


def learned(**level: float) -> list[Record]:
    """Runs of ``vsml.learn`` in all three variants."""
    level = {"0_50": 0.6, "50_100": 0.75, "100_200": 0.85, "200_500": 0.85, "500_1000": 0.85} | level
    found = []
    for config in (experiments.FAST, experiments.SLOW, experiments.ES):
        for seed in SEEDS:
            metrics = accuracies(level, seed)
            metrics |= {
                "escape": config.steps // config.num_evals * 4,
                "loss": 0.3,
                "evals": {"loss": [1.39] * 3 + [0.4] * (config.num_evals - 3)},
            }
            metrics["one_shot"] = {"before": 0.1, "same": 0.7 + jitter(seed), "other": 0.4 + jitter(seed)}
            metrics["trace"] = {"probabilities": [[0.1] * 10] * 60, "labels": [3] * 60}
            metrics["theta"] = [0.0] * 2384
            found.append(record("vsml.learn", config, seed, metrics))
    return found


def references(**level: float) -> list[Record]:
    """Runs of ``vsml.references``, in which a rate of .03 is the best of SGD and all others are far behind."""
    level = {"0_50": 0.4, "50_100": 0.6, "100_200": 0.75, "200_500": 0.9, "500_1000": 0.92} | level
    found = []
    for seed in SEEDS:
        metrics: dict[str, Any] = {}
        for name in ONLINE:
            share = 1.0 if name == "sgd_0.03" else 0.3
            metrics[name] = accuracies({window: share * value for window, value in level.items()}, seed)
            metrics[name]["one_shot"] = {"before": 0.1, "same": 0.3, "other": 0.15}
            metrics[name]["trace"] = {"probabilities": [[0.1] * 10] * 60}
        found.append(record("vsml.references", experiments.FAST, seed, metrics))
    return found


def matrix(on: float = 0.9, off: float = 0.7, rnn_off: float = 0.3) -> list[Record]:
    """Runs of ``vsml.matrix`` for VSML and the Meta RNN: ``on`` and ``off`` the diagonal."""
    found = []
    for train, streams in experiments.MATRIX_TRAIN.items():
        for name, away in (("vsml", off), ("meta-rnn", rnn_off)):
            config = replace(experiments.TABLE, streams=streams, learner=name)
            for seed in SEEDS:
                metrics: dict[str, Any] = {"loss": 0.5, "escape": 10, "evals": {"loss": [1.0] * 12}}
                for test in measures.MATRIX_TEST:
                    accuracy = (on if test == train else away) + jitter(seed)
                    metrics[test] = {"100_200": accuracy, "curve": [accuracy] * 20}
                found.append(record("vsml.matrix", config, seed, metrics))
    return found


def longer(off: float = 0.3, stuck: tuple[str, ...] = ()) -> list[Record]:
    """Runs of ``vsml.longer``: the Meta RNN, on its plateau still where meta-trained on one of ``stuck``."""
    found = []
    for train, streams in experiments.MATRIX_TRAIN.items():
        for seed in SEEDS:
            escape = 0 if train in stuck and seed == 2 else 650
            metrics: dict[str, Any] = {"loss": 0.5, "escape": escape, "evals": {"loss": [1.0] * 20}}
            for test in measures.MATRIX_TEST:
                accuracy = (0.9 if test == train else off) + jitter(seed)
                metrics[test] = {"100_200": accuracy, "curve": [accuracy] * 20}
            found.append(record("vsml.longer", replace(experiments.LONG, streams=streams), seed, metrics))
    return found


def special(oja: float = 1e-15, others: float = 2e-16) -> list[Record]:
    """Runs of ``vsml.special``: by how much Oja's rule and the other cases differ."""
    gaps = dict.fromkeys(CASES, others) | {"oja": oja}
    return [Record("vsml.special", "study", {"steps": 50}, seed, {"gap": gaps}, 1.0, SOURCE) for seed in SEEDS]


def cloned(gap: float = 0.02, deep: float = 0.05) -> list[Record]:
    """Runs of ``vsml.cloning``."""
    found = []
    for seed in SEEDS:
        metrics: dict[str, Any] = {}
        for kind in ("digits", "mnist", "fashion-mnist"):
            for network, own in (("shallow", gap), ("deep", deep)):
                metrics.setdefault(kind, {})[network] = {
                    "gap": own + jitter(seed),
                    "clone": {"last": 0.8 - own, "curve": [0.5] * 12},
                    "exact": {"last": 0.8, "curve": [0.6] * 12},
                }
        found.append(Record("vsml.cloning", "study", {"eta": 0.1}, seed, metrics, 1.0, SOURCE))
    return found


def plateau() -> list[Record]:
    """Runs of ``vsml.plateau``, whose losses and escapes differ in every combination."""
    found = []
    for cell in experiments.PLATEAU.trials("study"):
        c = cell.config
        slow = abs(c.input_bias) + c.streams.classes
        escape = int(5 * slow) + 5 * cell.seed if slow < 9 else 0
        losses = [
            round(1.3 - 0.01 * look - 0.001 * cell.seed - c.lr - 0.001 * c.streams.length, 3) for look in range(40)
        ]
        metrics = {"escape": escape, "loss": losses[-1], "evals": {"loss": losses}}
        found.append(record("vsml.plateau", c, cell.seed, metrics))
    return found
