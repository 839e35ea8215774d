"""Seeds: those that test and those that tune are disjoint, and what was chosen by results was chosen on the latter."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from tutorlib.lab.errors import bad_argument, checked
from tutorlib.lab.kinds import is_number
from tutorlib.lab.reading import field_of
from tutorlib.lab.records import Record
from tutorlib.lab.tiers import TEST_SEEDS, TUNING_SEEDS, expect_seeds, seeds_of

_NO_ENDS: Mapping[str, Sequence[Any]] = MappingProxyType({})


@checked()
def tuned(
    records: Sequence[Record],
    score: Callable[[Sequence[Record]], float],
    over: Sequence[str],
    ends: Mapping[str, Sequence[Any]] = _NO_ENDS,
) -> dict[str, Any]:
    """Return the values of the fields ``over`` with which the tuning records score highest; of equals the first.

    ``score`` takes the records of one choice, in order of seed, and returns a number of which more is better. All
    choices have the same seeds. A best number at the edge of its range, among choices that are otherwise the same, says
    that the range is too narrow and is not accepted, unless it is named in ``ends`` as an end that the field has by
    nature, such as ``{"beta": [0.0]}``.

    Raises ``UsageError`` for records with test seeds, for choices whose seeds are not the same, and for a best value at
    an edge.
    """
    if not records or not over:
        raise bad_argument("records" if over else "over", list(over), "at least one")
    expect_seeds("records", sorted({r.seed for r in records}), TUNING_SEEDS)
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for record in sorted(records, key=lambda r: r.seed):
        groups.setdefault(tuple(field_of(record, name) for name in over), []).append(record)
    seeds = {choice: [r.seed for r in group] for choice, group in groups.items()}
    first = next(iter(seeds.values()))
    if len(set(first)) < len(first) or any(each != first for each in seeds.values()):
        raise bad_argument("seeds", seeds, "the same seeds for each choice, each once")
    best = max(sorted(groups, key=repr), key=lambda choice: score(groups[choice]))
    for place, name in enumerate(over):
        rest = best[:place], best[place + 1 :]
        tried = [c[place] for c in groups if (c[:place], c[place + 1 :]) == rest]
        if all(map(is_number, tried)):  # what is no number has no edge
            expect_inside(name, best[place], tried, ends)
    return dict(zip(over, best, strict=True))


@checked()
def expect_inside(
    name: str, value: float | int, tried: Sequence[float | int], ends: Mapping[str, Sequence[Any]] = _NO_ENDS
) -> None:
    """Raise ``UsageError`` if ``value``, the best of the numbers ``tried``, is the smallest or the largest of them.

    Beyond an edge another may be better. A value that ``ends`` lists under ``name`` is accepted: one at which the field
    ends by nature, or one whose user says that it lies at an edge.
    """
    if not tried:
        raise bad_argument("tried", list(tried), "at least one number")
    low, high = min(tried), max(tried)
    if not low < value < high and value not in ends.get(name, ()):
        raise bad_argument(name, value, f"a best value inside the range that was tried, {low:g} to {high:g}: widen it")


__all__ = ["TEST_SEEDS", "TUNING_SEEDS", "expect_inside", "expect_seeds", "seeds_of", "tuned"]
