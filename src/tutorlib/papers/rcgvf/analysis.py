"""Numbers drawn from the records of RC-GVF: what its figures show and its claims judge."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from tutorlib.lab import Interval, Record, interval, select
from tutorlib.lab.errors import bad_argument, choose
from tutorlib.lab.reading import field_of
from tutorlib.lab.seeds import expect_inside
from tutorlib.papers.rcgvf.fading import Fading
from tutorlib.papers.rcgvf.passes import PASSES

METHODS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "PPO": {"method": "ppo"},
        "RND": {"method": "rnd"},
        "NovelD": {"method": "noveld"},
        "RC-GVF": {"method": "rcgvf", "bonus": "product", "gamma_z": 0.6, "heads": 2},
    }
)
"""Methods of ``rcgvf.lock`` as a reader knows them, and the fields of their configurations."""

BLIND: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "PPO": {"method": "ppo", "counts": False},
        "RND": {"method": "rnd", "counts": False},
        "NovelD": {"method": "noveld", "counts": False},
        "AGAC": {"method": "agac", "counts": False},
        "RC-GVF": {"method": "rcgvf", "counts": False, "panorama": False},
    }
)
"""Methods of ``rcgvf.minigrid`` that know nothing of counts, and see what the policy sees."""

PRIVILEGED: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "PPO + counts": {"method": "ppo", "counts": True},
        "NovelD + counts": {"method": "noveld", "counts": True},
        "AGAC + counts": {"method": "agac", "counts": True},
        "RC-GVF, panorama": {"method": "rcgvf", "counts": False, "panorama": True},
    }
)
"""Methods of ``rcgvf.privileged``: knowing counts, or RC-GVF, whose bonus looks all round."""

PARTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "RC-GVF": METHODS["RC-GVF"],
        "no future": {"bonus": "product", "gamma_z": 0.0},
        "discount 0.3": {"bonus": "product", "gamma_z": 0.3},
        "discount 0.9": {"bonus": "product", "gamma_z": 0.9},
        "error only": {"bonus": "error"},
        "disagreement only": {"bonus": "variance"},
        "4 predictors": {"bonus": "product", "gamma_z": 0.6, "heads": 4},
        "RND, large": {"bonus": "norm"},
        "RND": METHODS["RND"],
    }
)
"""RC-GVF taken apart: the first and the last stand in ``rcgvf.lock``, the others in ``rcgvf.ablations``."""

EDGES: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "rcgvf.ablations": {"error only": 0.5, "disagreement only": 3.0, "RND, large": 2.5},
        "rcgvf.minigrid": {"RND": 2e-3, "NovelD": 4e-3, "AGAC": 4e-4, "RC-GVF": 2.0},
        "rcgvf.rooms": {"RND": 2e-3, "NovelD": 4e-3, "AGAC": 4e-4, "RC-GVF": 2.0},
        "rcgvf.privileged": {"AGAC + counts": 1e-3, "RC-GVF, panorama": 2.0},
    }
)
"""Best weights of the records that lie at an end of those that were tried, so that another may be better."""


# Weights.


def weight_of(record: Record) -> float:
    """Return the weight of the record's bonus: AGAC's own, that of counts where they are paid for, else beta."""
    c = record.config
    if c["method"] in ("agac", "ppo") and c.get("counts"):
        return float(c["beta_counts"])
    return float(c["adversary" if c["method"] == "agac" else "beta"])


def by_weight(records: Sequence[Record]) -> dict[float, list[Record]]:
    """Return the records of each weight, in order of it and then of seed."""
    weights = sorted({weight_of(r) for r in records})
    return {w: sorted((r for r in records if weight_of(r) == w), key=lambda r: r.seed) for w in weights}


Score = Callable[[Sequence[Record]], tuple[float, ...]]
"""What weights are compared by: of the runs of one weight, numbers of which the first that differs decides."""


def at_best(records: Sequence[Record], score: Score, label: str = "") -> list[Record]:
    """Return the runs of the weight that scores highest over these very runs; of equals the smallest.

    A best weight at an edge of those that were tried is accepted only where ``EDGES`` names it, under the experiment
    and ``label``. One weight alone is no choice.

    It was not chosen on seeds of its own, which is kind to a method: for figures that say so, and for the methods that
    ours is compared with. Raises ``UsageError`` unless each weight has the same seeds, at least 2, and for a best
    weight at any other edge.
    """
    weights = by_weight(records)
    seeds = {weight: [r.seed for r in runs] for weight, runs in weights.items()}
    first = next(iter(seeds.values()), [])
    if len(first) < 2 or len(set(first)) < len(first) or any(other != first for other in seeds.values()):
        raise bad_argument("seeds", seeds, "the same seeds for each weight, at least 2")
    best = max(weights, key=lambda weight: score(weights[weight]))
    if len(weights) > 1:
        named = EDGES.get(records[0].experiment, {})
        expect_inside("weight", best, list(weights), {"weight": [named[label]]} if label in named else {})
    return weights[best]


# The lock.


def reached(record: Record, frames: float | int = float("inf")) -> float:
    """Return the farthest column up to ``frames``; raise ``UsageError`` if the first evaluation came later."""
    evals = record.metrics["evals"]
    columns = [column for at, column in zip(evals["frames"], evals["farthest"], strict=True) if at <= frames]
    if not columns:
        raise bad_argument("frames", frames, f"at least {evals['frames'][0]}")
    return float(columns[-1])


def farthest(records: Sequence[Record], frames: float | int = float("inf")) -> list[float]:
    """Return the farthest column of each record up to ``frames``."""
    return [reached(r, frames) for r in records]


def explored(records: Sequence[Record]) -> tuple[float, float]:
    """Return the mean farthest column, at the end and over all evaluations: the lock compares weights by them."""
    return float(np.mean(farthest(records))), float(np.mean([r.metrics["evals"]["farthest"] for r in records]))


def methods(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Return the runs of each method of ``rcgvf.lock`` at its best weight."""
    return {label: at_best(select(records, **fields), explored, label) for label, fields in METHODS.items()}


def parts(lock: Sequence[Record], ablations: Sequence[Record]) -> dict[str, list[Record]]:
    """Return the runs of RC-GVF, of its parts and of RND, each at its best weight."""
    return {
        label: at_best(select(lock if label in METHODS else ablations, **fields), explored, label)
        for label, fields in PARTS.items()
    }


def by_passes(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Return the runs of ``rcgvf.passes`` by which passes they have."""
    return {passes: select(records, passes=passes) for passes in PASSES}


def differences(ours: Sequence[Record], theirs: Sequence[Record], frames: float | int = float("inf")) -> list[float]:
    """Return how much farther ``ours`` came than ``theirs``, one number for each seed."""
    return [a - b for a, b in zip(farthest(ours, frames), farthest(theirs, frames), strict=True)]


def course(records: Sequence[Record], name: str = "farthest") -> tuple[list[int], list[Interval]]:
    """Return frames and, at each of them, the mean over seeds of a metric of ``run_lock``, with its interval."""
    values = np.array([r.metrics["evals"][name] for r in records], float)
    return list(records[0].metrics["evals"]["frames"]), [interval(column.tolist()) for column in values.T]


def share_of_episodes(records: Sequence[Record]) -> np.ndarray:
    """Return the share of episodes that were in a good row of each column, mean over seeds, [evals, columns]."""
    return np.mean([r.metrics["evals"]["reached"] for r in records], axis=0)


# MiniGrid, and the lock with other passes.


def mean_return(records: Sequence[Record]) -> list[float]:
    """Return the mean return of an episode over the whole course, all evaluations alike, of each record."""
    return [float(np.mean(r.metrics["evals"]["returns"])) for r in records]


def return_differences(ours: Sequence[Record], theirs: Sequence[Record]) -> list[float]:
    """Return how much larger the mean return of ``ours`` is than that of ``theirs``, one number for each seed."""
    return [a - b for a, b in zip(mean_return(ours), mean_return(theirs), strict=True)]


def mean_return_of_all(records: Sequence[Record]) -> tuple[float]:
    """Return the mean of ``mean_return``: what weights are compared by in MiniGrid."""
    return (float(np.mean(mean_return(records))),)


def grid_methods(records: Sequence[Record], which: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Record]]:
    """Return the runs of the methods ``which``, ``BLIND`` or ``PRIVILEGED``, each at its best weight."""
    return {label: at_best(select(records, **fields), mean_return_of_all, label) for label, fields in which.items()}


LEARNED = 0.9
"""share of successes from which on a run in MiniGrid has learned its task"""
LOST = 0.1
"""share of successes below which it has lost it again"""


def learned(records: Sequence[Record]) -> list[Record]:
    """Return the runs in MiniGrid that succeeded in at least ``LEARNED`` of the episodes of some evaluation."""
    return [r for r in records if max(r.metrics["evals"]["success"]) >= LEARNED]


def collapsed(records: Sequence[Record]) -> list[Record]:
    """Return the runs that had learned, and at the end succeed in less than ``LOST`` of their episodes."""
    return [r for r in learned(records) if r.metrics["evals"]["success"][-1] < LOST]


# Fading under a fixed policy.


def discount(gamma_z: float) -> str:
    """Return gamma_z in words that need no formula: "no future", or "discount 0.9"."""
    return f"discount {gamma_z:g}" if gamma_z else "no future"


CURVES: Mapping[str, str] = MappingProxyType({"error": "error", "disagreement": "disagreement", "bonus": "product"})
"""Metrics of ``run_dissipation`` for RC-GVF, and what they are."""

PLAIN = Fading.right, Fading.scale
"""the policy and the scale of Z where nothing is said"""


def fading(records: Sequence[Record], gamma_z: float) -> list[Record]:
    """Return the runs of RC-GVF's predictors with ``gamma_z`` under the usual policy, of the usual Z."""
    right, scale = PLAIN
    return select(records, method="rcgvf", bonus="product", gamma_z=gamma_z, right=right, scale=scale)


def discounts(records: Sequence[Record]) -> list[float]:
    """Return the values of gamma_z that ``fading`` knows."""
    right, scale = PLAIN
    runs = select(records, method="rcgvf", bonus="product", right=right, scale=scale)
    return sorted({float(field_of(r, "gamma_z")) for r in runs})


def curve(records: Sequence[Record], name: str) -> np.ndarray:
    """Return the mean over seeds of a metric at each update, [updates]."""
    return np.mean([r.metrics[name] for r in records], axis=0)


def falls(records: Sequence[Record], name: str, first: int, last: int) -> list[float]:
    """Return the metric at update ``first`` over that at ``last``, counted from 1, for each seed."""
    return [r.metrics[name][first - 1] / r.metrics[name][last - 1] for r in records]


def powers(records: Sequence[Record], method: str, update: int) -> list[float]:
    """Return p for each seed, where the bonus of an update grows like c^p from the smallest to the largest scale of Z.

    RC-GVF's at gamma_z = 0.6.
    """
    runs = select(records, method=choose("method", method, ("rcgvf", "rnd")), right=PLAIN[0])
    if method == "rcgvf":
        runs = select(runs, gamma_z=0.6, bonus="product")
    scales = sorted({float(r.config["scale"]) for r in runs})
    low, high = (select(runs, scale=scale) for scale in (scales[0], scales[-1]))
    return [
        float(np.log(b.metrics["bonus"][update - 1] / a.metrics["bonus"][update - 1]) / np.log(scales[-1] / scales[0]))
        for a, b in zip(low, high, strict=True)
    ]


def policy_gap(records: Sequence[Record], gamma_z: float) -> list[float]:
    """Return how far predictions of the first column differ between two policies, for each seed.

    It is the length of the difference over the length of the predictions of the usual policy, after as many updates as
    the other policy had.
    """
    usual = fading(records, gamma_z)
    runs = select(records, method="rcgvf", bonus="product", gamma_z=gamma_z, scale=PLAIN[1])
    other = [r for r in runs if r.config["right"] != PLAIN[0]]
    gaps = []
    for a, b in zip(usual, other, strict=True):
        usually, otherwise = a.metrics["evals"], b.metrics["evals"]
        place = usually["updates"].index(otherwise["updates"][-1])
        one, two = np.array(usually["first"][place]), np.array(otherwise["first"][-1])
        gaps.append(float(np.linalg.norm(one - two) / np.linalg.norm(one)))
    return gaps


def special_case(records: Sequence[Record]) -> list[float]:
    """Return, for each seed, by which share the bonus of RND and that of its special case differ at most."""
    rnd = select(records, method="rnd", scale=PLAIN[1])
    same = select(records, bonus="norm", method="rcgvf")
    return [
        float(np.abs(np.array(a.metrics["bonus"]) / np.array(b.metrics["bonus"]) - 1).max())
        for a, b in zip(rnd, same, strict=True)
    ]


# Two corridors.


def unseen_share(records: Sequence[Record]) -> list[float]:
    """Return the share of what both corridors pay at the end that the one pays which was never entered."""
    shares = []
    for r in records:
        visited, unvisited = (r.metrics["evals"][name]["cell"][-1] for name in ("visited", "unvisited"))
        shares.append(unvisited / (visited + unvisited))
    return shares


def kept(records: Sequence[Record]) -> list[float]:
    """Return what the corridor that was never entered pays at the end, over what it paid at the beginning."""
    courses = [r.metrics["evals"]["unvisited"]["cell"] for r in records]
    return [course[-1] / course[0] for course in courses]


def lost(records: Sequence[Record]) -> list[float]:
    """Return the share of its bonus before learning that the corridor which was walked through has lost at the end."""
    courses = [r.metrics["evals"]["visited"]["cell"] for r in records]
    return [1 - course[-1] / course[0] for course in courses]


def maze_table(records: Sequence[Record]) -> pd.DataFrame:
    """Return ``unseen_share`` and ``kept`` for each kind of predictor, as intervals."""
    rows = {}
    for label, runs in maze_groups(records).items():
        rows[label] = {"share": interval(unseen_share(runs)), "kept": interval(kept(runs))}
    return pd.DataFrame(rows).T


def maze_groups(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Return the runs of ``rcgvf.aliasing`` by what their predictors look at."""
    groups = {"RND": select(records, method="rnd")}
    for memory, words in ((True, "memory"), (False, "no memory")):
        for gamma in sorted({float(r.config["gamma_z"]) for r in records}):
            runs = [
                r
                for r in records
                if (r.config["method"], r.config["memory"], r.config["gamma_z"]) == ("rcgvf", memory, gamma)
            ]
            if runs:
                groups[f"{words}, {discount(gamma)}"] = sorted(runs, key=lambda r: r.seed)
    return groups
