import numpy as np
import pytest

from tutorlib.lab import Interval, UsageError, interval, share
from tutorlib.lab.verdicts import (
    CONTRADICTED,
    CONTRADICTED_IN_PART,
    HOLDS,
    IN_PART,
    INCONCLUSIVE,
    UNTESTED,
    VERDICTS,
    Part,
    alive,
    below,
    combine,
    exceeds,
    fact,
    lowest,
    rejudged,
    unasked,
    untested,
)

FIVE = [0.80, 0.82, 0.79, 0.85, 0.81]


def test_a_plain_bar_is_its_own_opposite():
    low, high = interval(FIVE).low, interval(FIVE).high
    assert exceeds(FIVE, 0.5) == Part(HOLDS, interval(FIVE), 0.5, 0.5)
    assert exceeds(FIVE, 0.81).verdict == INCONCLUSIVE
    assert exceeds(FIVE, 0.9).verdict == CONTRADICTED
    assert exceeds(FIVE, low).verdict == exceeds(FIVE, high).verdict == INCONCLUSIVE  # an end on the bar is not beyond
    assert exceeds([0.5] * 5, 0.5).verdict == INCONCLUSIVE
    assert exceeds([0.5] * 5, 0.4).verdict == HOLDS
    assert exceeds([0.5] * 5, 0.6).verdict == CONTRADICTED


@pytest.mark.parametrize(
    ("lead", "verdict"),
    [(0.3, HOLDS), *((lead, INCONCLUSIVE) for lead in (0.1, 0.05, 0.0, -0.05, -0.1)), (-0.3, CONTRADICTED)],
)
def test_a_margin_is_contradicted_only_beyond_the_opposite_margin(lead: float, verdict: str):
    values = [lead - 0.01, lead, lead + 0.01, lead, lead]
    assert exceeds(values, 0.1, -0.1).verdict == verdict
    assert below([-value for value in values], -0.1, 0.1).verdict == verdict


def test_below_is_the_mirror_of_exceeds():
    for bar in (0.5, 0.81, 0.9):
        assert below([-v for v in FIVE], -bar).verdict == exceeds(FIVE, bar).verdict
    assert below(FIVE, 0.9) == Part(HOLDS, interval(FIVE), 0.9, 0.9, "below")


def test_an_opposite_bar_on_the_wrong_side_is_refused():
    with pytest.raises(UsageError, match=r"^opposite=0.2: expected the other side of the bar, 0.1 or less$"):
        exceeds(FIVE, 0.1, 0.2)
    with pytest.raises(UsageError, match=r"^opposite=0.0: expected the other side of the bar, 0.1 or more$"):
        below(FIVE, 0.1, 0.0)


def test_fewer_than_five_units_test_nothing():
    found = exceeds(FIVE[:4], 0.1, unit="networks")
    assert (found.verdict, found.why) == (UNTESTED, "fewer than 5 networks")
    assert str(found).endswith("(not tested here: fewer than 5 networks)")
    assert below(FIVE[:4], 0.1).verdict == UNTESTED


def test_a_share_is_judged_by_its_own_interval():
    ten = share([True] * 10)
    assert exceeds(ten, 0.6).verdict == HOLDS
    assert exceeds(ten, 0.7).verdict == INCONCLUSIVE  # though all values are equal
    assert exceeds(ten, 0.6).interval == ten


def test_a_threshold_that_is_the_mean_is_passed_as_seldom_as_the_level_says():
    draws = np.random.default_rng(0).normal(size=(2000, 5))
    found = [exceeds(list(draw), 0.0).verdict for draw in draws]
    for verdict in (HOLDS, CONTRADICTED):
        assert found.count(verdict) / len(found) == pytest.approx(0.025, abs=0.012)


def test_learners_that_do_not_beat_random_test_nothing():
    random = [0.1, 0.2, 0.15, 0.12, 0.18]
    good, same = [x + 0.5 + 0.01 * i for i, x in enumerate(random)], [0.2, 0.1, 0.18, 0.12, 0.15]
    assert alive({"ours": good, "theirs": same}, random) == ("ours",)
    assert alive({"ours": same}, random) == ()
    assert alive({"ours": [-x for x in good]}, [-x for x in random], lower=True) == ("ours",)
    assert alive({"ours": [0.9, 0.8, 0.9, 0.8, 0.9]}, 0.25) == ("ours",)
    assert alive({"ours": good[:4]}, random[:4]) == ()  # too few to say
    lead = [a - b for a, b in zip(good, same, strict=True)]
    assert exceeds(lead, 0.1, alive=("ours",)).verdict == HOLDS
    dead = exceeds(lead, 0.1, alive=())
    assert (dead.verdict, dead.why) == (UNTESTED, "no learner beats random")
    with pytest.raises(UsageError, match="as many values as ours has, 5"):
        alive({"ours": good}, random[:4])
    with pytest.raises(UsageError, match="at least one learner"):
        alive({}, 0.25)


def test_a_question_that_comes_late_raises_no_verdict():
    """Dead comparisons are judged as if nobody had asked; all else stays, whatever the reason."""
    for values, verdict in (([0.9] * 5, HOLDS), (FIVE, INCONCLUSIVE), ([0.1] * 5, CONTRADICTED)):
        assert unasked({"a": exceeds(values, 0.81, alive=())}) == verdict
        assert unasked({"a": below([-x for x in values], -0.81, alive=())}) == verdict
    assert unasked({"a": exceeds([0.9] * 4, 0.8, alive=())}) == UNTESTED  # of too few
    assert unasked({"a": untested("no study")}) == UNTESTED
    assert unasked({"a": exceeds(FIVE, 0.5, alive=()), "b": exceeds(FIVE, 0.9)}) == CONTRADICTED_IN_PART


def part(verdict: str) -> Part:
    return Part(verdict, Interval(1.0, 0.9, 1.1, 5))


@pytest.mark.parametrize("verdict", [HOLDS, INCONCLUSIVE, UNTESTED, CONTRADICTED])
def test_what_is_counted_and_holds_is_a_condition(verdict: str):
    assert combine({"a": part(verdict), "b": fact(True)}) == verdict
    assert combine({"a": part(verdict), "b": part(verdict), "c": fact(False)}) == (
        CONTRADICTED if verdict == CONTRADICTED else CONTRADICTED_IN_PART
    )


@pytest.mark.parametrize(
    ("verdicts", "together"),
    [
        ([HOLDS], HOLDS),
        ([HOLDS, HOLDS], HOLDS),
        ([HOLDS, INCONCLUSIVE], IN_PART),
        ([HOLDS, UNTESTED], IN_PART),
        ([HOLDS, CONTRADICTED], CONTRADICTED_IN_PART),
        ([INCONCLUSIVE, CONTRADICTED], CONTRADICTED_IN_PART),
        ([UNTESTED, CONTRADICTED], CONTRADICTED_IN_PART),
        ([CONTRADICTED, CONTRADICTED], CONTRADICTED),
        ([INCONCLUSIVE, INCONCLUSIVE], INCONCLUSIVE),
        ([INCONCLUSIVE, UNTESTED], INCONCLUSIVE),
        ([UNTESTED, UNTESTED], UNTESTED),
    ],
)
def test_parts_together(verdicts: list[str], together: str):
    assert combine({str(i): part(v) for i, v in enumerate(verdicts)}) == together
    assert combine({str(i): part(v) for i, v in enumerate(reversed(verdicts))}) == together


def test_no_parts_have_no_verdict():
    with pytest.raises(UsageError, match="at least one part"):
        combine({})
    with pytest.raises(UsageError, match="at least one verdict"):
        lowest([])
    with pytest.raises(UsageError, match="^verdict='in part': expected one of holds, inconclusive"):
        Part(IN_PART)


def test_the_lowest_verdict():
    assert [lowest(VERDICTS[i:]) for i in range(6)] == [CONTRADICTED] * 6
    assert [lowest(VERDICTS[: i + 1]) for i in range(6)] == list(VERDICTS)


def test_another_bar_judges_the_same_interval():
    found = exceeds(FIVE, 0.5)
    assert rejudged(found, 0.9) == exceeds(FIVE, 0.9)
    assert rejudged(exceeds(FIVE, 0.1, -0.1), 0.9) == exceeds(FIVE, 0.9, -0.9)
    assert rejudged(exceeds(FIVE, 0.5, 0.3), 0.9) == exceeds(FIVE, 0.9, 0.3)
    assert rejudged(below(FIVE, 0.9), 0.5) == below(FIVE, 0.5)
    assert rejudged(exceeds(FIVE[:4], 0.5), 0.1).verdict == UNTESTED
    for barless in (fact(True), untested("no study")):
        with pytest.raises(UsageError, match="a part that has a bar"):
            rejudged(barless, 0.1)


def test_what_is_counted_needs_no_interval():
    assert fact(True).verdict == HOLDS
    assert fact(False).verdict == CONTRADICTED
    assert str(untested("no study yet")) == "not tested here: no study yet"
    assert str(Part(HOLDS, Interval(1.0, 0.9, 1.1, 5))) == "1.000 [0.900, 1.100] (holds)"
