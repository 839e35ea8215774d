"""Numbers drawn from the records of MetaGenRL: what its figures show and its claims judge.

A score of a run is the mean over its test environments of what its fresh agents earn, so that one number stands for
each meta-seed.
"""

from collections.abc import Callable, Sequence

import numpy as np

from tutorlib.lab import Record
from tutorlib.lab.errors import bad_argument, checked, choose
from tutorlib.lab.seeds import tuned

UNTRAINED, GAE, DDPG, EVOLVED, PPO = "learned 0", "gae", "ddpg", "evolved", "ppo"
"""ways to learn that are held against the learned objective"""
RATES = {"learned": "policy_lr", GAE: "gae_lr", DDPG: "ddpg_lr"}
"""what each way to learn calls its rate"""


@checked()
def learned(record: Record, moment: int | None = None) -> str:
    """Return the name of the way to learn by the objective after a ``moment`` of meta-training; None: the last."""
    return f"learned {record.config['snapshots'] if moment is None else moment}"


@checked()
def final(record: Record, environment: str, way: str) -> float:
    """Return the mean return of the fresh agents in their last two episodes."""
    ways = record.metrics["returns"][choose("environment", environment, record.metrics["returns"])]
    return float(np.mean(ways[choose("way", way, ways)]))


@checked()
def chance(record: Record, environment: str) -> float:
    """Return what the fresh agents earned while their actions were uniform, before any of them learnt.

    Raises ``UsageError`` if nobody looked at them at the end of that time.
    """
    c, evals = record.config, record.metrics["evals"]
    at = c["steps"] + c["random_steps"]
    if at not in evals["iterations"]:
        raise bad_argument("record", evals["iterations"], f"a look after iteration {at}, the last at random")
    return float(evals["fresh"][environment][DDPG][evals["iterations"].index(at)])


def environments(record: Record) -> list[str]:
    """Return the environments of the fresh agents."""
    return list(record.metrics["returns"])


def score(record: Record, way: str | None = None) -> float:
    """Return ``final`` of a way to learn, by default the learned objective, as a mean over environments."""
    return float(np.mean([final(record, name, way or learned(record)) for name in environments(record)]))


def level(record: Record, way: str | None = None) -> float:
    """Return the mean of the learning curve of a way to learn, from its first update to the end, over environments."""
    c, evals = record.config, record.metrics["evals"]
    later = [i for i, t in enumerate(evals["iterations"]) if t > c["steps"] + c["random_steps"]]
    curves = [evals["fresh"][name][way or learned(record)] for name in environments(record)]
    return float(np.mean([[curve[i] for i in later] for curve in curves]))


def spread(record: Record, way: str) -> float:
    """Return the standard deviation of ``final`` between the agents of a run, as a mean over environments."""
    returns = record.metrics["returns"]
    return float(np.mean([np.std(returns[name][way], ddof=1) for name in returns]))


def leads(
    records: Sequence[Record], environment: str, over: str | None, way: Callable[[Record], str] = learned
) -> list[float]:
    """Return by how much the learned objective earns more in ``environment`` than another way, run by run.

    ``over`` None: than agents at random.
    """
    return [
        final(r, environment, way(r)) - (chance(r, environment) if over is None else final(r, environment, over))
        for r in records
    ]


@checked()
def rates(records: Sequence[Record]) -> dict[str, float]:
    """Return the rate of each way to learn with which its ``score`` is best in the tuning records.

    Raises ``UsageError`` if that is the lowest or the highest that was tried.
    """
    best = {}
    for way, field in RATES.items():

        def mean_score(group: Sequence[Record], way: str = way) -> float:
            return float(np.mean([score(r, None if way == "learned" else way) for r in group]))

        best[way] = float(tuned(records, mean_score, [field])[field])
    return best


__all__ = [
    "DDPG",
    "EVOLVED",
    "GAE",
    "PPO",
    "RATES",
    "UNTRAINED",
    "chance",
    "environments",
    "final",
    "leads",
    "learned",
    "level",
    "rates",
    "score",
    "spread",
]
