import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import bootstrap

from tutorlib.lab import Claim, Evidence, Interval, UsageError, interval, judge, records
from tutorlib.lab.claims import FAILS, HOLDS, IN_PART, UNTESTED, VERDICTS, above, weakest
from tutorlib.lab.errors import RecordError

SAMPLES = [
    [0.91, 0.93, 0.88, 0.95, 0.90],
    [0.0, 0.0, 0.0, 0.0, 1.0],
    [-3.0, 2.0],
    [1e-6, 2e-6, 5e-6, 3e-6, 8e-6, 1e-6],
    list(np.random.default_rng(3).exponential(size=12)),
]


@pytest.mark.parametrize("values", SAMPLES, ids=len)
def test_the_interval_is_that_of_scipy(values: list[float]):
    found = interval(values)
    digits = 12 - math.floor(math.log10(max(map(abs, values))))
    expected = bootstrap(
        (np.array(values),),
        lambda resample, axis: np.mean(resample, axis=axis).round(digits),  # equal means are equal to the last digit
        confidence_level=0.95,
        n_resamples=9999,
        method="BCa",
        rng=np.random.default_rng(0),
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-9)
    assert found.value == pytest.approx(np.mean(values))
    assert found.seeds == len(values)
    assert found.low < found.value < found.high
    assert interval(values) == found  # nothing is left to chance


@pytest.mark.parametrize("scale", [3.0, 0.1, 1 / 7])
def test_no_end_of_an_interval_hangs_on_rounding(scale: float):
    """Means that are equal but for rounding are counted as equal, so the unit of the values does not matter."""
    for draw in np.random.default_rng(1).normal(1.0, size=(20, 5)):
        one, other = interval(list(draw)), interval(list(scale * draw))
        assert (scale * one.low, scale * one.high) == pytest.approx((other.low, other.high), rel=1e-9)


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


# Measured once with 20,000 samples; fewer here, within four standard errors.
@pytest.mark.parametrize(("seeds", "expected"), [(5, 0.838), (6, 0.859), (8, 0.886)])
def test_the_interval_covers_the_mean_as_often_as_its_description_says(seeds: int, expected: float):
    samples = 1000
    draws = np.random.default_rng(seeds).normal(size=(samples, seeds))
    found = bootstrap((draws,), np.mean, axis=1, n_resamples=2000, rng=np.random.default_rng(0)).confidence_interval
    covered = ((found.low < 0.0) & (found.high > 0.0)).mean()
    assert covered == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / samples))
    assert f"{100 * expected:.0f} %" in interval.__doc__


def test_a_threshold_that_is_the_mean_is_passed_as_often_as_the_description_says():
    draws = np.random.default_rng(0).normal(size=(250, 5))
    share = np.mean([above(list(draw), 0.0)[0] == HOLDS for draw in draws])
    assert share == pytest.approx(0.08, abs=4 * math.sqrt(0.08 * 0.92 / len(draws)))
    assert "8 % of cases" in above.__doc__


def test_verdicts_of_above():
    high = [0.80, 0.82, 0.79, 0.85, 0.81]
    assert above(high, 0.5) == (HOLDS, interval(high))
    assert above(high, 0.81)[0] == IN_PART
    assert above(high, 0.9)[0] == FAILS
    assert above(high, interval(high).low)[0] == IN_PART
    assert above(high, interval(high).value)[0] == FAILS
    assert above(high[:4], 0.1)[0] == UNTESTED
    assert above([0.5] * 5, 0.5)[0] == FAILS


def test_the_weakest_of_several_verdicts():
    assert weakest([HOLDS, HOLDS]) == HOLDS
    assert weakest([FAILS, FAILS]) == FAILS
    assert weakest([HOLDS, FAILS]) == IN_PART
    assert weakest([IN_PART, HOLDS]) == IN_PART
    assert weakest([IN_PART, FAILS]) == IN_PART
    for verdict in VERDICTS:
        assert weakest([verdict]) == verdict
        assert weakest([verdict, UNTESTED]) == UNTESTED
    with pytest.raises(UsageError, match="at least one part"):
        weakest([])


@pytest.mark.parametrize("found", [None, Interval(1.0, 0.9, 1.1, 4), Interval(1.0, 0.9, 1.1, 0)])
def test_nothing_holds_over_fewer_than_five_seeds(found: Interval | None):
    seeds = found.seeds if found else 0
    with pytest.raises(UsageError, match=f"^verdict='holds': expected an interval over at least 5 seeds, not {seeds}$"):
        Evidence(HOLDS, found)
    for verdict in (IN_PART, FAILS, UNTESTED):
        assert Evidence(verdict, found).verdict == verdict
    assert Evidence(HOLDS, Interval(1.0, 0.9, 1.1, 5)).verdict == HOLDS


def test_an_unknown_verdict_is_refused():
    with pytest.raises(UsageError, match="^verdict='hold': expected one of holds, holds in part"):
        Evidence("hold")


def claim(check) -> Claim:
    return Claim("paper.C1", "It works.", "0.9", check)


def test_a_claim_without_records_is_not_yet_tested():
    for untested in (claim(None), claim(lambda: Evidence(HOLDS) if records.recorded("gpicl.no_such_study") else None)):
        assert judge(untested) == Evidence(UNTESTED, detail="No study is recorded yet.")


def test_a_claim_is_what_its_check_says():
    evidence = Evidence(FAILS, Interval(0.1, 0.0, 0.2, 5), "measured")
    assert judge(claim(lambda: evidence)) == evidence


@pytest.mark.parametrize("content", [b'{"format": 1, "expe', json.dumps({"format": 99}).encode()])
def test_records_that_cannot_be_read_are_no_missing_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content):
    path = tmp_path / "paper" / "recorded" / "study-study.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    monkeypatch.setattr(records, "files", lambda package: tmp_path)
    with pytest.raises(RecordError, match="study-study.json"):
        judge(claim(lambda: Evidence(UNTESTED, detail=str(len(records.recorded("paper.study"))))))
    path.unlink()
    assert judge(claim(lambda: records.recorded("paper.study"))).verdict == UNTESTED


def test_an_interval_reads_well():
    assert str(Interval(0.5, 0.41239, 0.6, 5)) == "0.500 [0.412, 0.600]"
