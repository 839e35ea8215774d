"""Numbers drawn from the records of GPICL: what its figures show and its claims judge."""

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from tutorlib.lab import Interval, Metrics, Record, interval, table
from tutorlib.papers.gpicl.algorithm import PHASES, Config
from tutorlib.papers.gpicl.model import network


def tasks_label(tasks: int | str) -> str:
    """Return K as a reader writes it: a power of two, or infinity."""
    if tasks == "inf":
        return "∞"
    exponent = int(tasks).bit_length() - 1
    if 2**exponent != tasks:
        return str(tasks)
    return "2" + str(exponent).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def task_counts(frame: pd.DataFrame) -> list[int | str]:
    """Return the numbers of tasks in a table of runs, in ascending order, endless tasks last."""
    return sorted(set(frame["tasks"]), key=lambda k: float("inf") if k == "inf" else float(k))


def vote(phases: Sequence[str]) -> tuple[str, int, int]:
    """Return the commonest phase (the earlier in ``PHASES`` on a tie), its votes, and the number of seeds."""
    counts = Counter(phases)
    name = max(PHASES, key=lambda phase: (counts[phase], -PHASES.index(phase)))
    return name, counts[name], len(phases)


COLUMNS = MappingProxyType(
    {
        "mnist": "MNIST",
        "fashion-mnist": "Fashion",
        "kmnist": "KMNIST",
        "digits": "digits",
        "random": "Random",
        "omniglot": "Omniglot-10",
        "wine": "wine",
        "breast-cancer": "breast cancer",
        "iris": "iris",
    }
)
"""Data sets of the table, as a reader knows them."""
LEARNERS = MappingProxyType(
    {
        "sgd": "online SGD",
        "maml": "MAML",
        "nearest": "1-NN",
        "means": "class means",
        "ridge": "ridge",
        "probe": "linear probe",
    }
)


def column(name: str) -> str:
    """Return the metric's data set without the part that it was taken from."""
    return name.removesuffix("-test").removesuffix("-features")


def _row(runs: Sequence[Metrics]) -> dict[str, Any]:
    """Return for each data set in ``runs`` the interval of its ``last`` accuracy."""
    return {column(name): interval([run[name]["last"] for run in runs]) for name in runs[0]}


def ten_class_runs(
    records: Sequence[Record], dataset: str, architecture: str = "transformer"
) -> dict[int, list[Record]]:
    """Return the runs of ``gpicl.table`` meta-trained on ``dataset``, by their number of steps, the fewest first."""
    runs = [r for r in records if (r.config["architecture"], r.config["dataset"]) == (architecture, dataset)]
    return {
        steps: [r for r in runs if r.config["steps"] == steps] for steps in sorted({r.config["steps"] for r in runs})
    }


def methods_table(
    records: Sequence[Record],
    references: Sequence[Record],
    others: Mapping[str, Sequence[Metrics]] = MappingProxyType({}),
) -> pd.DataFrame:
    """Return Table 1: methods x data sets, intervals over seeds of the accuracy after the last examples.

    ``records`` are of ``gpicl.table``, ``references`` of ``gpicl.table-references``. A row of a meta-trained network
    names its data set of meta-training and its number of steps. ``others`` are learners of other chapters, by name:
    their metrics for each set that they were tested on, with ``last`` among them.
    """
    rows = {label: _row([r.metrics[name] for r in references]) for name, label in LEARNERS.items()}
    for architecture, label in (("lstm", "LSTM"), ("transformer", "GPICL")):
        for dataset in sorted({r.config["dataset"] for r in records}, key=lambda d: list(COLUMNS).index(column(d))):
            for steps, runs in ten_class_runs(records, dataset, architecture).items():
                rows[f"{label}, {COLUMNS[column(dataset)]}, {steps} steps"] = _row([r.metrics for r in runs])
    rows |= {label: _row(runs) for label, runs in others.items()}
    frame = pd.DataFrame({label: {COLUMNS[n]: row[n] for n in COLUMNS if n in row} for label, row in rows.items()}).T
    return frame[[name for name in COLUMNS.values() if name in frame]]


def power_law(batches: Sequence[int], exits: Sequence[float]) -> tuple[float, float]:
    """Return (L_1, a) of L(B) = L_1 B^-a, the line through log exits over log batches (least squares)."""
    slope, offset = np.polyfit(np.log(batches), np.log(exits), 1)
    return float(np.exp(offset)), float(-slope)


def batch_exponents(records: Sequence[Record]) -> list[float]:
    """Return the exponent a of the plateau's length over the task batch, one for each seed.

    Reads the runs of ``gpicl.plateau`` that differ in their batch alone. A run that never left its plateau has no
    length, and its seed's exponent is fitted to the others.
    """
    frame = batch_runs(records)
    return [
        power_law(runs["batch"].tolist(), runs["exit"].astype(float).tolist())[1]
        for _, runs in frame[frame["exit"] > 0].groupby("seed")
    ]


def batch_runs(records: Sequence[Record]) -> pd.DataFrame:
    """Return the runs of ``gpicl.plateau`` that differ in their batch alone, as a table."""
    frame = table(records)
    return frame[(frame["bias"] == 0.9) & (frame["eps"] == 1e-12) & (frame["optimizer"] == "adam")]


def sizes(record: Record) -> tuple[int, int]:
    """Return the state size and the number of parameters of a run's network."""
    model = Config(**record.config).model
    return model.state_size, sum(p.numel() for p in network(model).parameters())


def rank_correlations(records: Sequence[Record]) -> list[tuple[float, float]]:
    """Return for each seed Spearman's correlation of the accuracy on unseen tasks with state size and parameters."""
    result = []
    for seed in sorted({r.seed for r in records}):
        runs = [r for r in records if r.seed == seed]
        accuracy = [r.metrics["unseen"]["last"] for r in runs]
        state, parameters = zip(*(sizes(r) for r in runs), strict=True)
        result.append((float(spearmanr(state, accuracy).statistic), float(spearmanr(parameters, accuracy).statistic)))
    return result


def over_networks(records: Sequence[Record]) -> tuple[Interval, Interval]:
    """Return Spearman's correlation of accuracy with state size minus that with parameters, and the first alone.

    The accuracy of a network, on unseen tasks, is the mean of its seeds. What is sampled are networks: the interval is
    the jackknife's, Student's over the pseudo-values n c - (n - 1) c_i, where c_i leaves network i out, about c itself
    and within what a correlation, or a difference of two, can be.
    """
    by_network: dict[str, list[Record]] = {}
    for r in records:
        by_network.setdefault(str(sorted(r.config.items())), []).append(r)
    networks = list(by_network.values())
    accuracy = np.array([np.mean([r.metrics["unseen"]["last"] for r in runs]) for runs in networks])
    state, parameters = np.array([sizes(runs[0]) for runs in networks]).T

    def correlations(kept: np.ndarray) -> np.ndarray:
        alone, other = (spearmanr(size[kept], accuracy[kept]).statistic for size in (state, parameters))
        return np.array([alone - other, alone])

    everyone, n = np.arange(len(networks)), len(networks)
    whole = correlations(everyone)
    pseudo = np.array([n * whole - (n - 1) * correlations(np.delete(everyone, i)) for i in everyone])
    result = []
    for value, values, most in zip(whole.tolist(), pseudo.T, (2.0, 1.0), strict=True):
        around = interval(values.tolist(), "networks")
        half = (around.high - around.low) / 2
        result.append(Interval(value, max(-most, value - half), min(most, value + half), n, "networks"))
    return result[0], result[1]


def size_correlation(records: Sequence[Record]) -> float:
    """Return Spearman's correlation of the state size with the number of parameters, over the networks of records."""
    state, parameters = zip(*sorted({sizes(r) for r in records}), strict=True)
    return float(spearmanr(state, parameters).statistic)


def on_plateau(record: Record) -> bool:
    """Return whether the last predictions on unseen tasks are less than 0.1 above chance at the end of a run."""
    return bool(record.metrics["unseen"]["last"] < 1 / record.config["classes"] + 0.1)
