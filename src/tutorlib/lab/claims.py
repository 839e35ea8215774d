"""Claims: a sentence of an abstract, the paper's number where known, and a check over recorded results.

The page "How we judge" says in plain words what is asked here.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from tutorlib.lab.errors import MOST, bad_argument, checked, choose, expect_fields
from tutorlib.lab.records import NoRecordsError, WithdrawnError
from tutorlib.lab.seeds import TEST_SEEDS, TUNING_SEEDS, expect_seeds
from tutorlib.lab.statistics import Interval
from tutorlib.lab.verdicts import HOLDS, OF_PARTS, UNTESTED, VERDICTS, Part, combine, lowest, rejudged

SCALES = ("live", "reduced", "the paper's own")
"""How large the runs behind a verdict are; a column of its own, which caps no verdict."""


def _expect_date(name: str, text: str) -> None:
    try:
        date.fromisoformat(text)
    except ValueError:
        raise bad_argument(name, text, "a day such as 2026-11-30") from None


@dataclass(frozen=True)
class Change:
    """A bar that was changed, or a part that was added, after the bars had been fixed. It can only lower a verdict."""

    date: str
    """the day, such as 2026-11-30"""
    reason: str
    """one sentence"""
    part: str
    """the name of the part"""
    earlier: float | None
    """the bar before; None: the part was added"""
    now: float | None = None
    """the bar since then; None: the part has none"""

    def __post_init__(self) -> None:
        expect_fields(self)
        _expect_date("date", self.date)
        if not self.reason:
            raise bad_argument("reason", self.reason, "one sentence")
        if self.earlier is not None and self.now is None:
            raise bad_argument("now", self.now, f"a bar, since there was one of {self.earlier:g}")


@dataclass(frozen=True)
class Terms:
    """What was fixed before the study ran."""

    fixed: str
    """the day on which the bars were fixed, such as 2026-11-30"""
    bars: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """the bar of each part that has one, by the part's name"""
    conditions: tuple[str, ...] = ()
    """what else must be so for the verdict to mean something, in sentences"""
    seeds: tuple[int, ...] = ()
    """the test seeds"""
    tuning: tuple[int, ...] = ()
    """the seeds on which something was chosen by its results; none: nothing was"""
    changes: tuple[Change, ...] = ()
    """what was changed since, in order"""

    def __post_init__(self) -> None:
        expect_fields(self, maximum={"seeds": MOST, "tuning": MOST})
        _expect_date("fixed", self.fixed)
        expect_seeds("seeds", self.seeds, TEST_SEEDS)
        expect_seeds("tuning", self.tuning, TUNING_SEEDS)
        for before, after in pairwise((self.fixed, *(change.date for change in self.changes))):
            if after < before:
                raise bad_argument("changes", after, f"days in order, none before {before}")
        for name in {change.part for change in self.changes}:
            changes = [change for change in self.changes if change.part == name]
            for old, new in pairwise(changes):
                if new.earlier != old.now:
                    raise bad_argument("earlier", new.earlier, f"the bar of {name} since {old.date}, {old.now}")
            if changes[-1].now != self.bars.get(name):
                raise bad_argument("now", changes[-1].now, f"the bar of {name}, {self.bars.get(name)}")


@dataclass(frozen=True)
class Evidence:
    """What the records say about a claim."""

    parts: Mapping[str, Part] = field(default_factory=lambda: MappingProxyType({}))
    """what is found of each part, by its name; none: nothing is recorded"""
    shown: str = ""
    """the part whose number stands beside the verdict; none is named: the first"""
    detail: str = ""
    """what was measured, in sentences"""
    against: tuple[str, ...] = ()
    """recorded results that speak against the claim, in sentences"""
    verdict: str = ""
    """one of ``VERDICTS``; not given: what the parts say together. One that is given can only be lower"""

    def __post_init__(self) -> None:
        expect_fields(self)
        combined = combine(self.parts) if self.parts else UNTESTED
        given = choose("verdict", self.verdict, VERDICTS) if self.verdict else combined
        if lowest([combined, given]) != given:
            raise bad_argument("verdict", given, f"{combined}, as its parts say, or a lower one")
        if self.parts:
            choose("shown", self.shown or next(iter(self.parts)), self.parts)
        if given == HOLDS and all(part.interval is None for part in self.parts.values()):
            raise bad_argument("parts", list(self.parts), "at least one that was sampled, for a verdict that holds")
        object.__setattr__(self, "verdict", given)

    @property
    def interval(self) -> Interval | None:
        """The number beside the verdict; none if nothing was tested, where it would look like a result."""
        if self.verdict == UNTESTED or not self.parts:
            return None
        return self.parts[self.shown or next(iter(self.parts))].interval


@dataclass(frozen=True)
class Claim:
    """A sentence of a paper, and how we check it."""

    id: str
    """such as ``gpicl.C1``"""
    sentence: str
    """the claim in our words"""
    reported: str
    """what the paper reports, where it is known, and how well"""
    check: Callable[[], Evidence] | None = None
    """reads shipped records and judges; None: no study yet"""
    terms: Terms | None = None
    """what was fixed before the study; a claim that has a check has them"""
    scale: str = "reduced"
    """one of ``SCALES``"""
    budget: str = ""
    """what each run was given, and how that compares with the paper, in words"""

    def __post_init__(self) -> None:
        expect_fields(self, choices={"scale": SCALES})
        if self.check is not None and self.terms is None:
            raise bad_argument("terms", self.terms, "what was fixed before the study, for a claim with a check")


@checked()
def judge(claim: Claim) -> Evidence:
    """Return what the shipped records say about ``claim``; without any that stand it is not tested.

    The verdict is the lower one of what today's bars say and what each earlier bar says, and of what the parts say with
    and without those that were added later. Raises ``UsageError`` unless the parts that were judged, and their bars,
    are those of the claim's ``terms``.
    """
    if claim.check is None or claim.terms is None:
        return Evidence(detail="No study is recorded yet.")
    try:
        evidence = claim.check()
    except WithdrawnError as error:
        return Evidence(detail=f"Not tested until it is recorded again. {error}")
    except NoRecordsError:
        return Evidence(detail="No study is recorded yet.")
    return _lowered(evidence, claim.terms) if evidence.parts else evidence


@checked()
def summary(claim: Claim) -> dict[str, Any]:
    """Return a claim and what the records say about it as plain values, ready for JSON.

    ``value``, ``low``, ``high``, ``count`` and ``unit`` are those of the interval beside the verdict, or None.
    """
    evidence, terms = judge(claim), claim.terms
    return {
        "id": claim.id,
        "verdict": evidence.verdict,
        "scale": claim.scale,
        **_plain(evidence.interval),
        "budget": claim.budget,
        "seeds": list(terms.seeds) if terms else [],
        "tuning": list(terms.tuning) if terms else [],
        "sentence": claim.sentence,
        "reported": claim.reported,
        "detail": evidence.detail,
        "against": list(evidence.against),
        "parts": [
            {
                "part": name,
                "verdict": part.verdict,
                **_plain(part.interval),
                "bar": part.bar,
                "opposite": part.opposite,
                "side": part.side if part.bar is not None else None,
                "why": part.why,
            }
            for name, part in evidence.parts.items()
        ],
        "fixed": terms.fixed if terms else None,
        "conditions": list(terms.conditions) if terms else [],
        "changes": [asdict(change) for change in terms.changes] if terms else [],
    }


def _plain(interval: Interval | None) -> dict[str, Any]:
    names = ("value", "low", "high", "count", "unit")
    return {name: getattr(interval, name) if interval else None for name in names}


def _lowered(evidence: Evidence, terms: Terms) -> Evidence:
    """Return what is found with the parts, and the verdict, as low as the earlier terms make them."""
    _expect_bars(evidence.parts, terms)
    parts, added = dict(evidence.parts), set()
    for change in terms.changes:
        part = parts[choose("part", change.part, parts)]
        if change.earlier is None:
            added.add(change.part)
        elif part.bar is not None:
            before = rejudged(evidence.parts[change.part], change.earlier).verdict
            parts[change.part] = replace(part, verdict=max(part.verdict, before, key=OF_PARTS.index))
    first = {name: part for name, part in parts.items() if name not in added}
    verdict = lowest([evidence.verdict, combine(parts), *([combine(first)] if first else [])])
    return replace(evidence, parts=parts, verdict=verdict)


def _expect_bars(parts: Mapping[str, Part], terms: Terms) -> None:
    for name in terms.bars:
        if name not in parts:
            raise bad_argument("parts", list(parts), f"{name}, whose bar was fixed; a part can be added, never removed")
    for name, part in parts.items():
        if part.bar is not None and part.bar != terms.bars.get(name):
            raise bad_argument(name, part.bar, f"the bar that was fixed, {terms.bars.get(name)}")
        if part.bar is None and name in terms.bars and part.verdict != UNTESTED:
            raise bad_argument(name, part.verdict, f"a judgement by the bar that was fixed, {terms.bars[name]:g}")
