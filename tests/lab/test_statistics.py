import math

import numpy as np
import pytest
from scipy.stats import beta, ttest_1samp

from tutorlib.lab import Interval, UsageError, coverage, interval, share

SAMPLES = [
    [0.91, 0.93, 0.88, 0.95, 0.90],
    [0.0, 0.0, 0.0, 0.0, 1.0],
    [-3.0, 2.0],
    [1e-6, 2e-6, 5e-6, 3e-6, 8e-6, 1e-6],
    list(np.random.default_rng(3).exponential(size=12)),
]


@pytest.mark.parametrize("values", SAMPLES, ids=len)
def test_the_interval_is_that_of_students_test(values: list[float]):
    found = interval(values, "networks")
    expected = ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-9)
    assert found.value == pytest.approx(np.mean(values))
    assert (found.count, found.unit, found.sample) == (len(values), "networks", f"{len(values)} networks")


def test_a_known_interval():
    """Of 1 to 5 the standard deviation is sqrt(5/2), and t of 4 degrees of freedom is 2.776."""
    found = interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert found.high - found.value == pytest.approx(2.776445 * math.sqrt(2.5 / 5), rel=1e-6)
    assert found.value - found.low == pytest.approx(found.high - found.value)


def test_equal_values_make_a_point():
    assert interval([0.5] * 5) == Interval(0.5, 0.5, 0.5, 5)
    assert interval([0.0] * 5) == Interval(0.0, 0.0, 0.0, 5)
    nearly = interval([1e8, 1e8 + 1e-8, 1e8])  # differences that rounding makes are none
    assert nearly.low <= nearly.value <= nearly.high


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([], "one finite number per seed, of at least 2 seeds"),
        ([1.0], "of at least 2 seeds"),
        ([1.0, math.nan], r"values\[1\]=nan: expected a number"),
        ([math.inf, 1.0], r"values\[0\]=inf: expected a finite number"),
    ],
)
def test_values_that_make_no_interval_are_refused(values: list[float], says: str):
    with pytest.raises(UsageError, match=says):
        interval(values)


def test_a_unit_that_nobody_samples_is_refused():
    with pytest.raises(UsageError, match="^unit='seed': expected one of seeds, networks, draws of data, meta-seeds"):
        interval([1.0, 2.0], "seed")
    with pytest.raises(UsageError, match="^unit='runs'"):
        Interval(1.0, 0.0, 2.0, 5, "runs")


@pytest.mark.parametrize(("true", "of"), [(0, 5), (3, 5), (5, 5), (7, 10), (10, 10)])
def test_a_share_has_the_exact_binomial_interval(true: int, of: int):
    found = share([True] * true + [False] * (of - true), "draws of data")
    assert found.value == true / of
    assert found.low == pytest.approx(beta.ppf(0.025, true, of - true + 1) if true else 0.0)
    assert found.high == pytest.approx(beta.ppf(0.975, true + 1, of - true) if true < of else 1.0)
    assert found.sample == f"{of} draws of data"


def test_ten_of_ten_are_not_all():
    assert share([True] * 10).low == pytest.approx(0.6915, abs=1e-4)
    with pytest.raises(UsageError, match="at least one outcome"):
        share([])


PROMISED = {"normal": (0.95, 0.95, 0.95), "skewed": (0.88, 0.90, 0.92), "bimodal": (0.94, 0.94, 0.95)}


@pytest.mark.parametrize("law", coverage.LAWS)
@pytest.mark.parametrize("place", range(3), ids=coverage.SIZES.__getitem__)
def test_the_t_interval_holds_the_mean_as_often_as_is_promised(law: str, place: int):
    """For bells always; for skewed laws, with few values, less often than its name says."""
    found = coverage.coverage(law, coverage.SIZES[place])
    assert found == pytest.approx(PROMISED[law][place], abs=0.007)


def test_simulated_intervals_are_those_that_judge():
    draws = coverage.LAWS["skewed"](np.random.default_rng(5), (200, 5))
    found = [interval(list(draw)) for draw in draws]
    assert coverage.coverage("skewed", 5, 200) == np.mean([own.low <= 0.0 <= own.high for own in found])


@pytest.mark.parametrize("law", coverage.LAWS)
def test_the_simulated_laws_have_mean_zero(law: str):
    draws = coverage.LAWS[law](np.random.default_rng(0), (1000, 200))
    assert draws.mean() == pytest.approx(0.0, abs=4 * draws.std() / math.sqrt(draws.size))


@pytest.mark.parametrize("count", coverage.SIZES)
def test_the_exact_interval_holds_every_share_as_often_as_it_says(count: int):
    assert coverage.least_coverage(count) >= 0.95


@pytest.mark.parametrize("true", [0.1, 0.5, 0.93])
def test_counted_coverage_is_that_of_simulated_outcomes(true: float):
    drawn = np.random.default_rng(1).binomial(10, true, 20_000)
    ends = [share([True] * k + [False] * (10 - k)) for k in range(11)]
    covered = np.mean([ends[k].low <= true <= ends[k].high for k in drawn])
    assert covered >= coverage.least_coverage(10) - 0.004


def test_an_interval_reads_well():
    assert str(Interval(0.5, 0.41239, 0.6, 5)) == "0.500 [0.412, 0.600]"
    assert str(Interval(-0.0002, -0.00049, 0.0001, 5)) == "0.000 [0.000, 0.000]"  # no zero has a sign
    assert str(Interval(-0.1, -0.2, -0.0, 5)) == "-0.100 [-0.200, 0.000]"
