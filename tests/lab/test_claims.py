import json
from pathlib import Path

import pytest

from tutorlib.lab import Change, Claim, Evidence, Terms, UsageError, interval, judge, records
from tutorlib.lab.claims import SCALES
from tutorlib.lab.errors import RecordError
from tutorlib.lab.verdicts import (
    CONTRADICTED,
    CONTRADICTED_IN_PART,
    HOLDS,
    IN_PART,
    INCONCLUSIVE,
    UNTESTED,
    below,
    exceeds,
    fact,
    untested,
)

FIVE = [0.80, 0.82, 0.79, 0.85, 0.81]
TERMS = Terms("2026-11-30", {"high": 0.5}, ("Networks train.",), tuple(range(5)), (1000,))
GOOD, BAD, MAYBE = exceeds(FIVE, 0.5), exceeds(FIVE, 0.9), exceeds(FIVE, 0.81)


def claim(check, terms: Terms = TERMS) -> Claim:
    return Claim("paper.C1", "It works.", "0.9", check, terms)


def test_the_verdict_is_that_of_the_parts():
    found = Evidence({"a": GOOD, "b": MAYBE}, "b", "measured", ("c is slow",))
    assert (found.verdict, found.interval) == (IN_PART, interval(FIVE))
    assert Evidence({"a": GOOD, "b": BAD}).verdict == CONTRADICTED_IN_PART
    assert Evidence().verdict == UNTESTED


def test_a_given_verdict_can_only_be_lower():
    assert Evidence({"a": GOOD}, verdict=IN_PART).verdict == IN_PART
    with pytest.raises(UsageError, match="^verdict='holds': expected inconclusive, as its parts say, or a lower one$"):
        Evidence({"a": MAYBE}, verdict=HOLDS)
    with pytest.raises(UsageError, match="^verdict='holds': expected not tested here"):
        Evidence(verdict=HOLDS)
    with pytest.raises(UsageError, match="^verdict='hold': expected one of holds, in part"):
        Evidence({"a": GOOD}, verdict="hold")


def test_nothing_holds_without_a_sample():
    with pytest.raises(UsageError, match=r"^parts=\['a'\]: expected at least one that was sampled"):
        Evidence({"a": fact(True)})
    assert Evidence({"a": fact(True), "b": GOOD}).verdict == HOLDS
    assert Evidence({"a": exceeds(FIVE[:4], 0.5)}).verdict == UNTESTED


def test_no_number_stands_beside_what_is_not_tested():
    assert Evidence({"a": exceeds(FIVE[:4], 0.5)}).interval is None
    assert Evidence({"a": exceeds(FIVE, 0.5, alive=())}).interval is None
    assert Evidence({"a": GOOD}).interval == interval(FIVE)
    with pytest.raises(UsageError, match="^shown='b': expected one of a"):
        Evidence({"a": GOOD}, "b")


def test_a_claim_without_records_is_not_tested():
    missing = claim(lambda: Evidence() if records.recorded("gpicl.no_such_study") else None)
    for unknown in (Claim("paper.C1", "It works.", "0.9"), missing):
        assert judge(unknown) == Evidence(detail="No study is recorded yet.")


def test_a_claim_is_what_its_check_says():
    evidence = Evidence({"high": GOOD}, "high", "measured", ("c is slow",))
    assert judge(claim(lambda: evidence)) == evidence


def test_a_claim_with_a_check_has_terms_and_a_known_scale():
    with pytest.raises(UsageError, match="^terms=None: expected what was fixed before the study"):
        Claim("paper.C1", "It works.", "0.9", lambda: Evidence({"high": GOOD}))
    with pytest.raises(UsageError, match="^scale='small': expected one of live, reduced, the paper's own"):
        Claim("paper.C1", "It works.", "0.9", scale="small")
    assert all(Claim("paper.C1", "It works.", "0.9", scale=scale).scale == scale for scale in SCALES)


def test_the_scale_caps_nothing():
    for scale in SCALES:
        own = Claim("paper.C1", "It works.", "0.9", lambda: Evidence({"high": GOOD}), TERMS, scale)
        assert judge(own).verdict == HOLDS


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({"high": exceeds(FIVE, 0.4)}, "^high=0.4: expected the bar that was fixed, 0.5$"),
        ({"high": GOOD, "more": exceeds(FIVE, 0.4)}, "^more=0.4: expected the bar that was fixed, None$"),
        ({"other": fact(True), "more": GOOD}, "high, whose bar was fixed; a part can be added, never removed"),
        ({"high": fact(True), "more": untested("")}, "^high='holds': expected a judgement by the bar that was fixed"),
    ],
    ids=["moved", "unlisted", "removed", "without"],
)
def test_only_the_bars_that_were_fixed_judge(parts, says):
    if says.startswith("^high='holds'"):
        parts = {**parts, "sampled": exceeds(FIVE, 0.5)}
        terms = Terms("2026-11-30", {"high": 0.5, "sampled": 0.5})
    else:
        terms = TERMS
    with pytest.raises(UsageError, match=says):
        judge(claim(lambda: Evidence(parts, verdict=CONTRADICTED), terms))


def test_a_part_that_was_not_studied_may_stand_for_a_bar():
    assert judge(claim(lambda: Evidence({"high": untested("no study yet"), "b": fact(True)}))).verdict == UNTESTED


def changed(*changes: Change, bars=None) -> Terms:
    return Terms("2026-11-01", bars or {"high": changes[-1].now}, changes=changes)


@pytest.mark.parametrize(
    ("earlier", "now", "verdict"),
    [
        (0.5, 0.6, HOLDS),
        (0.9, 0.5, CONTRADICTED),  # a bar that is moved out of the way helps nothing
        (0.81, 0.5, INCONCLUSIVE),
        (0.5, 0.9, CONTRADICTED),  # a harder one counts
        (0.9, 0.81, CONTRADICTED),
    ],
)
def test_a_later_bar_only_lowers_the_verdict(earlier: float, now: float, verdict: str):
    terms = changed(Change("2026-11-02", "It was a slip.", "high", earlier, now))
    found = judge(claim(lambda: Evidence({"high": exceeds(FIVE, now)}), terms))
    assert found.verdict == found.parts["high"].verdict == verdict


def test_a_bar_below_is_held_to_its_earlier_place_too():
    terms = changed(Change("2026-11-02", "It was a slip.", "high", 0.5, 0.9))
    assert judge(claim(lambda: Evidence({"high": below(FIVE, 0.9)}), terms)).verdict == CONTRADICTED


def test_of_several_changes_each_counts():
    changes = Change("2026-11-02", "One.", "high", 0.9, 0.6), Change("2026-11-03", "Two.", "high", 0.6, 0.5)
    assert judge(claim(lambda: Evidence({"high": GOOD}), changed(*changes))).verdict == CONTRADICTED
    with pytest.raises(UsageError, match="^earlier=0.7: expected the bar of high since 2026-11-02, 0.6$"):
        changed(changes[0], Change("2026-11-03", "Two.", "high", 0.7, 0.5))


def test_a_part_that_was_added_only_lowers_the_verdict():
    added = Change("2026-11-02", "It was forgotten.", "later", None, 0.5)
    terms = Terms("2026-11-01", {"high": 0.5, "later": 0.5}, changes=(added,))

    def together(first, later):
        parts = {"high": first, "later": later}
        bars = {name: part.bar for name, part in parts.items()}
        terms = Terms(
            "2026-11-01", bars, changes=(Change("2026-11-02", "It was forgotten.", "later", None, later.bar),)
        )
        return judge(claim(lambda: Evidence(parts), terms)).verdict

    assert judge(claim(lambda: Evidence({"high": GOOD, "later": GOOD}), terms)).verdict == HOLDS
    assert together(GOOD, MAYBE) == IN_PART
    assert together(MAYBE, GOOD) == INCONCLUSIVE  # it adds nothing to hold on to
    assert together(BAD, GOOD) == CONTRADICTED
    assert together(GOOD, BAD) == CONTRADICTED_IN_PART


def test_a_change_names_a_part_that_is_judged():
    terms = Terms("2026-11-01", {"high": 0.5}, changes=(Change("2026-11-02", "Why.", "hihg", None),))
    with pytest.raises(UsageError, match="^part='hihg': expected one of high .did you mean 'high'"):
        judge(claim(lambda: Evidence({"high": GOOD}), terms))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"fixed": "yesterday"}, "^fixed='yesterday': expected a day such as 2026-11-30$"),
        ({"seeds": (0, 1000)}, "^seeds=1000: expected seeds of tests, from 0 to 999$"),
        ({"tuning": (999,)}, "^tuning=999: expected seeds of tuning, from 1000 to 1999$"),
        ({"changes": (Change("2026-10-31", "Why.", "high", 0.6, 0.5),)}, "^changes='2026-10-31': expected days in or"),
        ({"changes": (Change("2026-11-02", "Why.", "high", 0.6, 0.4),)}, "^now=0.4: expected the bar of high, 0.5$"),
    ],
    ids=lambda own: next(iter(own)) if isinstance(own, dict) else "",
)
def test_terms_that_cannot_be_are_refused(fields, says):
    with pytest.raises(UsageError, match=says):
        Terms(**{"fixed": "2026-11-01", "bars": {"high": 0.5}} | fields)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"date": "2026-13-01"}, "^date='2026-13-01'"),
        ({"reason": ""}, "^reason='': expected one sentence"),
        ({"now": None}, "^now=None: expected a bar, since there was one of 0.6"),
    ],
)
def test_changes_that_cannot_be_are_refused(fields, says):
    with pytest.raises(UsageError, match=says):
        Change(**{"date": "2026-11-01", "reason": "Why.", "part": "high", "earlier": 0.6, "now": 0.5} | fields)


@pytest.mark.parametrize("content", [b'{"format": 1, "expe', json.dumps({"format": 99}).encode()])
def test_records_that_cannot_be_read_are_no_missing_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content):
    path = tmp_path / "paper" / "recorded" / "study-study.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    monkeypatch.setattr(records, "files", lambda package: tmp_path)
    with pytest.raises(RecordError, match="study-study.json"):
        judge(claim(lambda: Evidence(detail=str(len(records.recorded("paper.study"))))))
    path.unlink()
    assert judge(claim(lambda: records.recorded("paper.study"))).verdict == UNTESTED
