"""Verdicts: what an interval says of a bar, and what the parts of a claim say together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tutorlib.lab.errors import bad_argument, checked, expect_fields
from tutorlib.lab.statistics import UNITS, Interval, interval

HOLDS, IN_PART, INCONCLUSIVE, UNTESTED, CONTRADICTED_IN_PART, CONTRADICTED = (
    "holds",
    "in part",
    "inconclusive",
    "not tested here",
    "contradicted in part",
    "contradicted",
)
VERDICTS = (HOLDS, IN_PART, INCONCLUSIVE, UNTESTED, CONTRADICTED_IN_PART, CONTRADICTED)
"""The verdicts, from the highest to the lowest."""
OF_PARTS = (HOLDS, INCONCLUSIVE, UNTESTED, CONTRADICTED)
"""The verdicts that a single part can have."""
FEWEST = 5
"""units of which a test needs at least so many"""

DEAD = "no learner beats random"
"""why a comparison is not tested in which nobody is ``alive``"""

Side = Literal["above", "below"]


@dataclass(frozen=True)
class Part:
    """What is found of one part of a claim."""

    verdict: str
    """one of ``OF_PARTS``"""
    interval: Interval | None = None
    """the number that decides; None where nothing was sampled, such as for a count that must be 0"""
    bar: float | None = None
    """the number beyond which the whole interval must lie"""
    opposite: float | None = None
    """the number on whose other side the whole interval must lie to contradict"""
    side: Side = "above"
    """on which side of the bar the part holds"""
    why: str = ""
    """why it is not tested, in words"""

    def __post_init__(self) -> None:
        expect_fields(self, choices={"verdict": OF_PARTS})

    def __str__(self) -> str:
        words = f"{self.verdict}: {self.why}" if self.why else self.verdict
        return f"{self.interval} ({words})" if self.interval else words


@checked(choices={"unit": UNITS})
def exceeds(
    values: Sequence[float] | Interval,
    bar: float,
    opposite: float | None = None,
    *,
    unit: str = "seeds",
    alive: Sequence[str] | None = None,
) -> Part:
    """Return what ``values`` say of "the mean exceeds ``bar``".

    Holds if the whole interval lies above ``bar``, is contradicted if the whole interval lies below ``opposite``, and
    is inconclusive otherwise. Where ``bar`` is a plain threshold, ``opposite`` is the threshold itself, which is what
    None means. Where ``bar`` is a margin, "A exceeds B by more than d" on values A - B, give ``opposite=-d``: between
    -d and d the two are too close to say. Equal values on the bar are inconclusive.

    Of fewer than 5 units it is not tested, nor if ``alive`` is given and empty: then no learner in the comparison
    beats random (see ``alive``). An ``Interval``, such as that of a ``share``, stands for its values.

    Raises ``UsageError`` if ``opposite`` is above ``bar``.
    """
    if opposite is not None and opposite > bar:
        raise bad_argument("opposite", opposite, f"the other side of the bar, {bar:g} or less")
    return _judged(values, bar, bar if opposite is None else opposite, "above", unit, alive)


@checked(choices={"unit": UNITS})
def below(
    values: Sequence[float] | Interval,
    bar: float,
    opposite: float | None = None,
    *,
    unit: str = "seeds",
    alive: Sequence[str] | None = None,
) -> Part:
    """Return what ``values`` say of "the mean lies below ``bar``": ``exceeds`` the other way round."""
    if opposite is not None and opposite < bar:
        raise bad_argument("opposite", opposite, f"the other side of the bar, {bar:g} or more")
    return _judged(values, bar, bar if opposite is None else opposite, "below", unit, alive)


def _judged(
    values: Sequence[float] | Interval,
    bar: float,
    opposite: float,
    side: Side,
    unit: str,
    alive: Sequence[str] | None,
) -> Part:
    measured = values if isinstance(values, Interval) else interval(values, unit)
    why = ""
    if measured.count < FEWEST:
        why = f"fewer than {FEWEST} {measured.unit}"
    elif alive is not None and not alive:
        why = DEAD
    verdict = UNTESTED if why else _of(measured, bar, opposite, side)
    return Part(verdict, measured, bar, opposite, side, why)


def _of(measured: Interval, bar: float, opposite: float, side: Side) -> str:
    if side == "above":
        return HOLDS if measured.low > bar else CONTRADICTED if measured.high < opposite else INCONCLUSIVE
    return HOLDS if measured.high < bar else CONTRADICTED if measured.low > opposite else INCONCLUSIVE


@checked()
def rejudged(part: Part, bar: float) -> Part:
    """Return ``part`` with another bar; an opposite bar that mirrored the old one, or equalled it, does so again.

    Raises ``UsageError`` for a part without a bar.
    """
    if part.interval is None or part.bar is None or part.opposite is None:
        raise bad_argument("part", part, "a part that has a bar")
    opposite = bar if part.opposite == part.bar else -bar if part.opposite == -part.bar else part.opposite
    verdict = part.verdict if part.verdict == UNTESTED else _of(part.interval, bar, opposite, part.side)
    return Part(verdict, part.interval, bar, opposite, part.side, part.why)


@checked()
def fact(true: bool) -> Part:
    """Return the part of a claim that is counted, not sampled: it holds or is contradicted, with no interval."""
    return Part(HOLDS if true else CONTRADICTED)


@checked()
def untested(why: str) -> Part:
    """Return the part of a claim that no study tests, with the reason."""
    return Part(UNTESTED, why=why)


@checked(choices={"unit": UNITS})
def alive(
    learners: Mapping[str, Sequence[float]],
    random: Sequence[float] | float,
    *,
    lower: bool = False,
    unit: str = "seeds",
) -> tuple[str, ...]:
    """Return the names of the learners that beat random: the whole interval of their lead lies above 0.

    ``random`` is what acting at random scores, one value for each unit of each learner, or the level of chance where it
    is known. ``lower`` says that less is better. A comparison is tested only if a learner in it is alive: give
    the result to ``exceeds``.

    Raises ``UsageError`` if there are no learners, or they have not as many values as ``random``.
    """
    if not learners:
        raise bad_argument("learners", dict(learners), "at least one learner")
    names = []
    for name, values in learners.items():
        line = [float(random)] * len(values) if isinstance(random, int | float) else list(random)
        if len(line) != len(values):
            raise bad_argument("random", len(line), f"as many values as {name} has, {len(values)}")
        leads = [(b - a) if lower else (a - b) for a, b in zip(values, line, strict=True)]
        if len(leads) >= FEWEST and interval(leads, unit).low > 0:
            names.append(name)
    return tuple(names)


@checked()
def combine(parts: Mapping[str, Part]) -> str:
    """Return the verdict on a claim whose named ``parts`` are judged.

    - *holds* if all parts do.
    - *contradicted* if all parts are; *contradicted in part* if some are.
    - *in part* if some hold and none is contradicted.
    - *inconclusive* if none holds and none is contradicted, but at least one was tested; else *not tested here*.

    A part that is counted (``fact``) is a condition: where it holds it is left out, unless there are no other parts.

    Raises ``UsageError`` if there are no parts.
    """
    if not parts:
        raise bad_argument("parts", dict(parts), "at least one part")
    sampled = [part for part in parts.values() if part.verdict != HOLDS or part.interval]
    verdicts = {part.verdict for part in sampled or parts.values()}
    if len(verdicts) == 1:
        return verdicts.pop()
    if CONTRADICTED in verdicts:
        return CONTRADICTED_IN_PART
    return IN_PART if HOLDS in verdicts else INCONCLUSIVE


@checked()
def unasked(parts: Mapping[str, Part]) -> str:
    """Return the verdict on a claim had nobody asked of its ``parts`` whether a learner in them is ``alive``.

    Where that is asked since a study was seen, the verdict is the ``lowest`` of this one and of what parts say now.
    """
    before = {
        name: replace(part, verdict=_of(part.interval, part.bar, part.opposite, part.side), why="")
        if part.why == DEAD and part.interval and part.bar is not None and part.opposite is not None
        else part
        for name, part in parts.items()
    }
    return combine(before)


@checked(choices={"verdicts": VERDICTS})
def lowest(verdicts: Sequence[str]) -> str:
    """Return the lowest of ``verdicts``; raise ``UsageError`` if there are none."""
    if not verdicts:
        raise bad_argument("verdicts", list(verdicts), "at least one verdict")
    return max(verdicts, key=VERDICTS.index)
