"""Numbers drawn from the records of SymLA: what its figures show and its claims judge.

Records hold, for each test, means of a step. Here they become what a reader knows: the regret of a whole life,
failures in 1,000 steps, the share of right actions.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import pandas as pd

from tutorlib.lab import Interval, Metrics, Record, interval, select
from tutorlib.papers.symla.problem import ARMS, MATRIX

AGENTS: Mapping[str, str] = MappingProxyType({"symla": "SymLA", "meta-rnn": "MetaRNN"})
"""Agents as a reader knows them."""


def scale(record: Record) -> float:
    """Return what a mean of a step is multiplied by: L for bandits and grids, 1000 for control, else 1."""
    name = record.config["environment"]
    if name in ("bandit", "heart-grid", "dark-room"):
        return float(record.config["length"])
    return 1.0 if name == "contextual-bandit" else 1000.0


def metrics_of(record: Record, test: str, player: str = "") -> Metrics:
    """Return the metrics of ``test``; of a record of ``symla.references``, those of ``player``."""
    metrics: Metrics = (record.metrics[player] if player else record.metrics)[test]
    return metrics


def values(records: Sequence[Record], test: str, part: str = "mean", player: str = "") -> list[float]:
    """Return one number for each record: what it scored in ``test``; ``part``: mean, first or last (quarter of life).

    ``player``: whose score, in records of ``symla.references``. In the test ``cartpole`` of a grid's agent it is
    failures in 1,000 steps.
    """
    return [metrics_of(r, test, player)[part] * (1000.0 if test == "cartpole" else scale(r)) for r in records]


def between(records: Sequence[Record], test: str, start: int, stop: int, player: str = "") -> list[float]:
    """Return failures in 1,000 steps from point ``start`` of a curve to the one before ``stop``, one for each record.

    A curve over a life on CartPole has 20 points. In the first of them few poles have had the time to fall.
    """
    curves = [metrics_of(r, test, player)["curve"][start:stop] for r in records]
    return [1000 * sum(curve) / len(curve) for curve in curves]


def score(records: Sequence[Record], test: str, part: str = "mean", player: str = "") -> Interval:
    """Return the mean of ``values`` over seeds, with its interval."""
    return interval(values(records, test, part, player))


def regret_matrix(records: Sequence[Record], agent: str) -> pd.DataFrame:
    """Return the regret of a life, families of meta-training (rows) x of meta-test (columns), as intervals (Fig. 3)."""
    return pd.DataFrame(
        {test: {train: score(select(records, agent=agent, family=train), test) for train in MATRIX} for test in MATRIX}
    )


def diagonal_ratios(records: Sequence[Record]) -> dict[str, list[float]]:
    """Return SymLA's regret over the MetaRNN's where both were meta-trained, by family, one ratio for each seed."""
    return {
        family: [
            ours / theirs
            for ours, theirs in zip(
                values(select(records, agent="symla", family=family), family),
                values(select(records, agent="meta-rnn", family=family), family),
                strict=True,
            )
        ]
        for family in MATRIX
    }


def random_regret(references: Sequence[Record], test: str) -> list[float]:
    """Return the regret of a life of random pulls, one for each seed."""
    return values(select(references, environment="bandit"), test, player="random")


def arms_table(records: Sequence[Record], references: Sequence[Record]) -> pd.DataFrame:
    """Return the regret of a life over the number of arms: SymLA of two independent arms, and references (Fig. 4)."""
    ours = select(records, agent="symla", family="independent")
    theirs = select(references, environment="bandit")
    rows = {"SymLA, trained with 2": {n: score(ours, f"arms {n}") for n in ARMS}}
    for name, label in (("thompson", "Thompson sampling"), ("ucb", "UCB1"), ("random", "random")):
        rows[label] = {n: score(theirs, f"arms {n}", player=name) for n in ARMS}
    return pd.DataFrame(rows).T


def differences(records: Sequence[Record], test: str, other: str) -> list[float]:
    """Return the score in ``test`` minus that in ``other``, one for each seed."""
    return [a - b for a, b in zip(values(records, test), values(records, other), strict=True)]


def improvement(records: Sequence[Record], references: Sequence[Record], test: str) -> list[float]:
    """Return how much less often than random an agent fails on CartPole, for each seed, in 1,000 steps."""
    random = values(select(references, environment="cartpole"), test, player="random")
    return [r - ours for r, ours in zip(random, values(records, test), strict=True)]


def plateau(record: Record, threshold: float) -> int:
    """Return the first evaluation (generation) at which theta's score was above ``threshold``, or 0 if none was."""
    evals = record.metrics["evals"]
    return next((g for g, value in zip(evals["steps"], evals["score"], strict=True) if value > threshold), 0)


def orders_table(records: Sequence[Record]) -> pd.DataFrame:
    """Return failures in 1,000 steps for each order of observations and actions (rows), one column for each seed."""
    columns = {r.seed: pd.Series(r.metrics["orders"]["mean"], r.metrics["orders"]["names"]) * 1000 for r in records}
    return pd.DataFrame(columns)


def order_curves(records: Sequence[Record]) -> dict[str, list[list[float]]]:
    """Return failures in 1,000 steps over life for each order, one curve for each seed."""
    names = records[0].metrics["orders"]["names"]
    curves = zip(*(r.metrics["orders"]["curve"] for r in records), strict=True)
    return {name: [[1000 * v for v in curve] for curve in by_seed] for name, by_seed in zip(names, curves, strict=True)}
