"""Intervals: what a few independent measurements say about a mean, and yes-or-no outcomes about a share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, t

from tutorlib.lab.errors import MOST, bad_argument, checked, expect_fields

UNITS = ("seeds", "networks", "draws of data", "meta-seeds")
"""What is sampled independently: each of them gives one value."""
LEVEL = 0.95
"""share of repetitions in which an interval holds the truth, where its conditions are met"""


@dataclass(frozen=True)
class Interval:
    """A mean, or a share, of independent measurements and its 95 % confidence interval."""

    value: float
    low: float
    high: float
    count: int
    """how many units were sampled"""
    unit: str = "seeds"
    """one of ``UNITS``"""

    def __post_init__(self) -> None:
        expect_fields(self, maximum={"count": MOST}, choices={"unit": UNITS})

    def __str__(self) -> str:
        return f"{self.value:z.3f} [{self.low:z.3f}, {self.high:z.3f}]"  # z: no zero has a sign

    @property
    def sample(self) -> str:
        """What was sampled, in words: ``5 seeds``."""
        return f"{self.count} {self.unit}"


@checked(choices={"unit": UNITS})
def interval(values: Sequence[float], unit: str = "seeds") -> Interval:
    """Return the mean of ``values``, one for each independent ``unit``, with Student's 95 % t interval.

    Give differences within pairs (the same seed) where two things are compared. The interval is mean ± t s / sqrt(n),
    with n - 1 degrees of freedom. It holds the mean of a normal law in 95 % of samples of any size; for skewed laws it
    does so less often (``tutorlib.lab.coverage`` says how often). Equal values give a point: they show no spread,
    which is not to say that there is none. Outcomes that are yes or no belong to ``share``.

    Raises ``UsageError`` if there are fewer than 2 values, or one is not finite.
    """
    sample = np.asarray(values, dtype=float)
    if len(sample) < 2 or not np.isfinite(sample).all():
        raise bad_argument("values", list(values), "one finite number per seed, of at least 2 seeds")
    mean = float(sample.mean())
    if np.ptp(sample) <= 1e-12 * np.abs(sample).max():  # equal but for rounding
        return Interval(mean, float(sample.min()), float(sample.max()), len(sample), unit)
    half = float(t.ppf((1 + LEVEL) / 2, len(sample) - 1) * sample.std(ddof=1) / np.sqrt(len(sample)))
    return Interval(mean, mean - half, mean + half, len(sample), unit)


@checked(choices={"unit": UNITS})
def share(outcomes: Sequence[bool], unit: str = "seeds") -> Interval:
    """Return the share of ``outcomes`` that are true, with the exact binomial 95 % interval (Clopper-Pearson).

    It holds the true share in at least 95 % of samples, whatever the share and the size: ten of ten say [0.69, 1].
    Raises ``UsageError`` if there are no outcomes.
    """
    if not outcomes:
        raise bad_argument("outcomes", list(outcomes), "at least one outcome")
    bounds = binomtest(sum(map(bool, outcomes)), len(outcomes)).proportion_ci(LEVEL, "exact")
    return Interval(
        sum(map(bool, outcomes)) / len(outcomes), float(bounds.low), float(bounds.high), len(outcomes), unit
    )
