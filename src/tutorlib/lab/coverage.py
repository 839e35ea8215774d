"""How often intervals hold the truth: simulated for Student's t, counted for the exact binomial.

The page "How we judge" shows these tables, and a test holds what they promise.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from scipy.stats import binom, t

from tutorlib.lab.errors import checked
from tutorlib.lab.statistics import LEVEL, share

SIZES = (5, 10, 20)
"""sizes of samples"""
SAMPLES = 20_000
"""simulated samples for each law and size: a share of them is sure to 0.3 points (two standard errors)"""
MOST_UNITS = 100
"""largest sample that is simulated or counted"""
SHARES = tuple(round(0.01 * k, 2) for k in range(1, 100))
"""true shares for which the exact binomial is counted"""


def _bimodal(generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Draw runs that end at 0 or at 1, half of each in the mean, with noise of 0.1 around both."""
    return generator.integers(0, 2, shape) + 0.1 * generator.normal(size=shape) - 0.5


Law = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]

LAWS: Mapping[str, Law] = MappingProxyType(
    {
        "normal": lambda generator, shape: generator.normal(size=shape),
        "skewed": lambda generator, shape: generator.exponential(size=shape) - 1.0,
        "bimodal": _bimodal,
    }
)
"""Laws with mean 0: the bell, the exponential, and runs that end on one of two sides."""


@checked(choices={"law": LAWS}, minimum={"count": 2, "samples": 1}, maximum={"count": MOST_UNITS, "samples": 100_000})
def coverage(law: str, count: int, samples: int = SAMPLES) -> float:
    """Return the share of simulated samples of ``count`` values of ``law`` whose t interval holds the true mean.

    The generator is fixed, so it returns the same number each time.
    """
    draws = LAWS[law](np.random.default_rng(count), (samples, count))
    half = t.ppf((1 + LEVEL) / 2, count - 1) * draws.std(axis=1, ddof=1) / np.sqrt(count)
    return float((np.abs(draws.mean(axis=1)) <= half).mean())


@checked(minimum={"count": 1}, maximum={"count": MOST_UNITS})
def least_coverage(count: int) -> float:
    """Return the smallest probability, over true ``SHARES``, that the exact binomial interval holds the true share.

    Nothing is simulated: the probabilities of all outcomes are added up.
    """
    ends = [share([True] * k + [False] * (count - k)) for k in range(count + 1)]
    low, high = np.array([e.low for e in ends]), np.array([e.high for e in ends])
    true = np.array(SHARES)[:, None]
    chances = binom.pmf(np.arange(count + 1), count, true)
    return float((chances * ((low <= true) & (true <= high))).sum(axis=1).min())
