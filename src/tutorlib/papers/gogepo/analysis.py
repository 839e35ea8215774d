"""Numbers drawn from the records of GoGePo: what its figures show and its claims judge."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from tutorlib.lab import Record
from tutorlib.lab.errors import bad_argument, checked

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


def following(record: Record, mode: str, name: str) -> float:
    """Return Pearson's correlation of what a generator of ``gogepo.modes`` was asked for and what it achieved.

    ``mode``: one or two, of the buffer; ``name``: evaluator, regression or untrained. 0 where either is constant.
    """
    achieved = record.metrics[mode]
    return _correlation(achieved["commands"], achieved[name])


def leads(records: Sequence[Record], name: str, others: Sequence[Record], other: str) -> list[float]:
    """Return by how much ``late`` of one entry is more in ``records`` than of another in ``others``, seed by seed."""
    if [r.seed for r in records] != [r.seed for r in others]:
        raise bad_argument("others", [r.seed for r in others], f"records of seeds {[r.seed for r in records]}")
    return [late(one, name) - late(two, other) for one, two in zip(records, others, strict=True)]


__all__ = ["INSIDE", "LAST", "METHODS", "at_steps", "correlation", "error", "following", "late", "leads", "response"]
