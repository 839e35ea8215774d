"""Explorers of RC-GVF: records in, interactive figures out."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tutorlib.lab import Record, select
from tutorlib.lab.errors import bad_argument
from tutorlib.papers.rcgvf.analysis import CURVES, curve, discounts, fading
from tutorlib.show.curves import Line, Number, curves_data, curves_picture
from tutorlib.show.explorer import Explorer
from tutorlib.show.style import png

VIEWS = ("as it is", "relative to update 1")


def fading_explorer(records: Sequence[Record]) -> Explorer:
    """Return the explorer of ``rcgvf.dissipation``: gamma_z -> error, disagreement, product and RND over updates.

    Raises ``UsageError`` if records are of another experiment.
    """
    if not records or any(r.experiment != "rcgvf.dissipation" for r in records):
        raise bad_argument("records", sorted({r.experiment for r in records}), "records of rcgvf.dissipation")
    gammas = discounts(records)
    runs = {gamma: fading(records, gamma) for gamma in gammas}
    rnd = curve(select(records, method="rnd", scale=1.0), "bonus")
    curves = {name: {gamma: curve(records, name) for gamma, records in runs.items()} for name in CURVES}
    lines: list[Line] = [
        {"label": label, "values": [[_viewed(curves[name][gamma], view) for view in VIEWS] for gamma in gammas]}
        for name, label in CURVES.items()
    ]
    lines.append({"label": "RND", "values": [_viewed(rnd, view) for view in VIEWS], "over": ["view"], "thin": True})
    numbers: list[Number] = [
        {"name": name, "label": f"{label}, first update over last",
         "values": [float(curves[name][gamma][0] / curves[name][gamma][-1]) for gamma in gammas], "over": ["gamma"]}
        for name, label in CURVES.items()
    ]  # fmt: skip
    ends = [value for line in lines for value in _leaves(line["values"])]
    c = runs[gammas[0]][0].config
    data = curves_data(
        title="How a bonus fades under a fixed policy",
        choosers=[
            {"name": "gamma", "label": "discount", "values": gammas},
            {"name": "view", "label": "show it", "kind": "buttons", "values": list(VIEWS)},
        ],
        x={"label": "update", "low": 1, "high": len(rnd)},
        y={"label": "mean of a step", "low": _power(min(ends), math.floor), "high": _power(max(ends), math.ceil),
           "log": True},
        positions=list(range(1, len(rnd) + 1)),
        lines=lines,
        numbers=numbers,
        start={"gamma": gammas.index(0.6)},
        note=(
            f"Predictors alone, in a lock of {c['learner']['horizon']} columns; the policy takes the right action in "
            f"{c['right']:.0%} of steps and any action in the others, and never changes. Sums over {c['learner']['d']} "
            f"pseudo-rewards, means over steps and {len(runs[gammas[0]])} seeds, before learning from an update. RND's "
            f"bonus is a length, the others are squares and their product; each method weighs its own with β."
        ),
    )  # fmt: skip
    label = "Error, disagreement and their product over updates under a fixed policy, for four discounts, and RND"
    return Explorer("curves_explorer", data, label, png(curves_picture(data)))


def _viewed(values: np.ndarray, view: str) -> list[float]:
    """Return a curve as it is, or over its first entry."""
    return (values if view == VIEWS[0] else values / values[0]).tolist()


def _leaves(nested: list) -> list[float]:
    """Return the numbers of nested lists in order."""
    return [leaf for entry in nested for leaf in (_leaves(entry) if isinstance(entry, list) else [entry])]


def _power(value: float, end: Callable[[float], int]) -> float:
    """Return the power of 10 next to ``value``, below with ``math.floor`` and above with ``math.ceil``."""
    return 10.0 ** end(math.log10(value))


def lock_explorer(groups: Mapping[str, Sequence[Record]]) -> Explorer:
    """Return the replay of ``rcgvf.lock``: frames -> the share of episodes that were in a good row of each column.

    ``groups`` are the runs of at most four methods by label, one for each seed. Raises ``UsageError`` if records
    are of another experiment, or groups differ in their seeds.
    """
    runs = [r for group in groups.values() for r in group]
    if not runs or any(r.experiment != "rcgvf.lock" for r in runs):
        raise bad_argument("groups", sorted({r.experiment for r in runs}), "records of rcgvf.lock")
    seeds = {label: [r.seed for r in group] for label, group in groups.items()}
    first = next(iter(seeds.values()))
    if any(other != first for other in seeds.values()):
        raise bad_argument("seeds", seeds, "the same seeds for each method")
    c, frames = runs[0].config, runs[0].metrics["evals"]["frames"]
    reached = {label: _with_mean([r.metrics["evals"]["reached"] for r in group]) for label, group in groups.items()}
    far = {label: _with_mean([r.metrics["evals"]["farthest"] for r in group]) for label, group in groups.items()}
    greedy = {label: _with_mean([r.metrics["evals"]["greedy"] for r in group]) for label, group in groups.items()}
    shown = (("far", "farthest column so far", far), ("greedy", "return of its best actions", greedy))
    numbers: list[Number] = [
        {"name": f"{name}{i}", "label": f"{label}, {words}", "values": values[label].T}
        for name, words, values in shown
        for i, label in enumerate(groups)
    ]
    smallest = c["horizon"] / (c["num_envs"] * c["num_steps"] * c["updates"] // c["num_evals"] * len(first))
    data = curves_data(
        title="How far into the lock",
        choosers=[
            {"name": "frames", "label": "thousand frames", "values": [f"{n / 1000:g}" for n in frames]},
            {"name": "seed", "label": "runs", "kind": "buttons",
             "values": [f"mean of {len(first)}", *(f"seed {seed}" for seed in first)]},
        ],
        x={"label": "column", "low": 0, "high": c["horizon"] - 1},
        y={"label": "share of episodes in a good row", "low": _power(smallest, math.floor), "high": 1.0, "log": True},
        positions=list(range(c["horizon"])),
        # What was never reached has no place on a logarithmic axis.
        lines=[{"label": label, "values": _or_none(shares.swapaxes(0, 1))} for label, shares in reached.items()],
        numbers=numbers,
        start={"frames": len(frames) - 1},
        note=(
            f"A lock of {c['horizon']} columns and {c['actions']} actions (the paper's has 100 columns); each seed has "
            f"a lock of its own. Shares are taken over the episodes since the place of the slider before; "
            f"{c['num_envs']} environments learn together. The end pays 10, each right action on the way costs "
            f"1/{c['horizon'] - 1}. Each method has the best of three weights β, chosen on these very seeds "
            f"({_betas(groups)})."
        ),
    )  # fmt: skip
    label = "Share of episodes that reach each column of the lock, for RC-GVF and other bonuses, over training"
    return Explorer("curves_explorer", data, label, png(curves_picture(data)))


def _with_mean(values: Sequence) -> np.ndarray:
    """Return what each seed has, [seeds, ...], after their mean: [1 + seeds, ...]."""
    seeds = np.array(values, float)
    return np.concatenate([seeds.mean(axis=0, keepdims=True), seeds])


def _or_none(values: np.ndarray) -> list:
    """Return nested lists with ``None`` for 0."""
    return [_or_none(entry) if entry.ndim else (float(entry) or None) for entry in values]


def _betas(groups: Mapping[str, Sequence[Record]]) -> str:
    """Return the weights in words, those of methods that have any."""
    said = []
    for label, group in groups.items():
        betas = sorted({f"{r.config['beta']:g}" for r in group if r.config["method"] != "ppo"}, key=float)
        if betas:
            said.append(f"{label}: {' or '.join(betas)}")
    return "; ".join(said)
