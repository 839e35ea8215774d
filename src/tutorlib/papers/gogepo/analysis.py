"""Numbers drawn from the records of GoGePo: what its figures show and its claims judge."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from tutorlib.lab import Record, select, tuned
from tutorlib.lab.errors import bad_argument, checked, choose

METHODS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "GoGePo": {"generator_steps": 19, "command": "best"},
        "noise alone": {"generator_steps": 0, "command": "first"},
    }
)
"""Lines of ``gogepo.mountaincar`` as a reader knows them, and the fields of their configurations."""
LAST = 0.1
"""share of a run's steps at its end over which its returns are averaged"""
INSIDE = (0.05, 0.95)
"""quantiles of the returns that a run has seen, between which commands are judged"""


def late(record: Record, name: str) -> float:
    """Return the mean of ``name``, an entry of the course, over the episodes of the last tenth of the run's steps.

    An episode counts by its steps, so that long ones weigh what they take.
    """
    course = record.metrics["course"]
    steps = np.asarray(course["steps"], dtype=float)
    lengths = np.diff(steps, prepend=0.0)
    within = np.clip(steps - (1 - LAST) * steps[-1], 0.0, lengths)  # of the first episode, the part that is in it
    return float(np.average(np.asarray(course[name], dtype=float), weights=within))


@checked(counts=("every",))
def at_steps(record: Record, name: str, every: int) -> tuple[list[int], list[float]]:
    """Return multiples of ``every`` steps, and ``name`` after the last episode that had ended by then.

    Before the first end, it is what came with that. This is the curve that evaluations every so many steps would draw.
    """
    course = record.metrics["course"]
    steps, values = course["steps"], course[name]
    at = list(range(every, steps[-1] + 1, every))
    return at, [values[max(int(np.searchsorted(steps, t, side="right")) - 1, 0)] for t in at]


def response(record: Record, stage: int = -1) -> tuple[np.ndarray, np.ndarray]:
    """Return the commands of a stage's sweep that lie among the returns that the run had seen, and what they achieved.

    Commands beyond ``INSIDE``, quantiles of the returns of episodes up to that stage, are left out.
    """
    course, sweeps = record.metrics["course"], record.metrics["sweeps"]
    if "inside" in sweeps:
        ends = sweeps["inside"][stage]
    else:
        until = sweeps["steps"][stage]
        seen = [r for r, steps in zip(course["returns"], course["steps"], strict=True) if steps <= until]
        ends = np.quantile(seen, INSIDE) if seen else []
    if len(ends) == 0:
        raise bad_argument("stage", stage, "a stage that comes after an episode")
    low, high = ends
    commands = np.asarray(sweeps["commands"], dtype=float)
    inside = (commands >= low) & (commands <= high)
    return commands[inside], np.asarray(sweeps["achieved"][stage], dtype=float)[inside]


def correlation(record: Record, stage: int = -1) -> float:
    """Return Pearson's correlation of command and achieved return over ``response``; 0 where either is constant."""
    return _correlation(*response(record, stage))


def _correlation(commands: Any, achieved: Any) -> float:
    if len(commands) < 2 or np.ptp(commands) == 0 or np.ptp(achieved) == 0:
        return 0.0
    return float(np.corrcoef(commands, achieved)[0, 1])


def error(record: Record, stage: int = -1) -> float:
    """Return the mean distance of achieved from commanded return over ``response``, as a share of the sweep's range."""
    commands, achieved = response(record, stage)
    everywhere = record.metrics["sweeps"]["commands"]
    if len(commands) == 0:
        raise bad_argument("stage", stage, "a stage with a command among the returns that were seen")
    return float(np.abs(achieved - commands).mean() / (everywhere[-1] - everywhere[0]))


def answered(record: Record, low: float, high: float, stage: int = -1) -> float | None:
    """Return the share of the commands of ``response`` from ``low`` to ``high`` that earn a return in there, too.

    None where there is no such command.
    """
    commands, achieved = response(record, stage)
    there = achieved[(commands >= low) & (commands <= high)]
    return float(((there >= low) & (there <= high)).mean()) if len(there) else None


def following(record: Record, mode: str, name: str) -> float:
    """Return Pearson's correlation of what a generator of ``gogepo.modes`` was asked for and what it achieved.

    ``mode``: one or two, of the buffer; ``name``: evaluator, regression or untrained. 0 where either is constant.
    """
    achieved = record.metrics[mode]
    return _correlation(achieved["commands"], achieved[name])


def missing(lines: Mapping[str, Sequence[Record]], seeds: Sequence[int]) -> str:
    """Return which of ``lines`` lack runs of ``seeds``, in words; nothing where none does.

    Such as "GoGePo has 3 of 20 seeds, noise alone has none".
    """
    lacking = []
    for name, records in lines.items():
        count = len({r.seed for r in records} & set(seeds))
        if count < len(set(seeds)):
            lacking.append(f"{name} has {f'{count} of {len(set(seeds))} seeds' if count else 'none'}")
    return ", ".join(lacking)


def rates(records: Sequence[Record], method: str, world: str) -> dict[str, float]:
    """Return the rate and the noise with which a method does best in a small world, on the seeds for tuning.

    The measure is the mean return without noise over the last tenth of the steps. Raises ``UsageError`` for a best
    value at the edge of what was tried, which is not accepted.
    """
    runs = select(records, method=method, environment=world)
    return tuned(runs, lambda group: float(np.mean([late(record, "greedy") for record in group])), ("lr", "noise"))


def rate_of_modes(records: Sequence[Record], name: str) -> float:
    """Return the rate with which the evaluator's loss, or regression, follows commands best on the seeds for tuning.

    ``name``: evaluator or regression. The measure is the mean correlation where there are two modes. Raises
    ``UsageError`` for a best rate at the edge of what was tried.
    """
    field = {"evaluator": "lr", "regression": "regression_lr"}[choose("name", name, ("evaluator", "regression"))]
    best = tuned(records, lambda group: float(np.mean([following(record, "two", name) for record in group])), (field,))
    return float(best[field])


def leads(records: Sequence[Record], name: str, others: Sequence[Record], other: str) -> list[float]:
    """Return by how much ``late`` of one entry is more in ``records`` than of another in ``others``, seed by seed."""
    if [r.seed for r in records] != [r.seed for r in others]:
        raise bad_argument("others", [r.seed for r in others], f"records of seeds {[r.seed for r in records]}")
    return [late(one, name) - late(two, other) for one, two in zip(records, others, strict=True)]


__all__ = [
    "INSIDE", "LAST", "METHODS", "answered", "at_steps", "correlation", "error", "following", "late", "leads",
    "missing", "rate_of_modes", "rates", "response",
]  # fmt: skip
