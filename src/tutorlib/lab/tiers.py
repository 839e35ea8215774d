"""The three tiers, and that of tuning. A tier is data (configurations and seeds), never a branch in an algorithm."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise, product
from typing import Any, TypeVar

from tutorlib.lab.errors import bad_argument, checked, choose, expect_dataclass, expect_fields

TUNING = "tuning"
"""The tier of runs among which something is chosen by its results: a rate, a weight, a world, a budget, a bar."""
TIERS = ("live", TUNING, "study", "paper")
TEST_SEEDS, TUNING_SEEDS = range(1000), range(1000, 2000)
"""Seeds of runs that test, and of runs among which something is chosen. No seed is in both."""

C = TypeVar("C")


@dataclass(frozen=True)
class Tier:
    """What an experiment runs at one tier: every configuration with every seed."""

    configs: tuple[Any, ...]
    """frozen dataclasses of one type"""
    seeds: tuple[int, ...]
    """seeds of the independent runs of each configuration"""

    def __post_init__(self) -> None:
        expect_fields(self, maximum={"seeds": 2**63 - 1})


@checked()
def grid(base: C, **axes: Sequence[Any]) -> tuple[C, ...]:
    """Return ``base`` with every combination of the values of ``axes``, the last axis fastest."""
    expect_dataclass("base", base)
    for name in axes:
        choose("axes", name, [field.name for field in fields(base)])  # type: ignore[arg-type]
    return tuple(replace(base, **dict(zip(axes, values, strict=True))) for values in product(*axes.values()))  # type: ignore[type-var]


@checked()
def seeds_of(tier: str) -> range:
    """Return the seeds that runs of ``tier`` may have: ``TUNING_SEEDS`` for tuning, else ``TEST_SEEDS``."""
    return TUNING_SEEDS if tier == TUNING else TEST_SEEDS


@checked()
def expect_seeds(name: str, seeds: Sequence[int], known: range) -> None:
    """Raise ``UsageError`` for the first of ``seeds`` that is not among those ``known``, of tests or of tuning."""
    for seed in seeds:
        if seed not in known:
            kind = "tuning" if known == TUNING_SEEDS else "tests"
            raise bad_argument(name, seed, f"seeds of {kind}, from {known.start} to {known.stop - 1}")


@checked()
def pick_tier(name: str | None = None) -> str:
    """Return the tier called ``name``, else ``TUTORLIB_TIER``, else ``live``; ``UsageError`` if unknown."""
    if name is not None:
        return choose("tier", name, TIERS)
    return choose("TUTORLIB_TIER", os.environ.get("TUTORLIB_TIER") or "live", TIERS)


_MOST_SEEDS = 10_000


@checked()
def parse_seeds(text: str) -> tuple[int, ...]:
    """Return the seeds that ``text`` names: ``3`` is seeds 0, 1, 2; ``4,7`` and ``2-5`` name them one by one.

    Raises ``UsageError`` if ``text`` names none, or more than 10,000.
    """
    expected = "how many (3), a list (4,7) or a range (2-5)"
    parts = [part.split("-") for part in text.replace(" ", "").split(",")]
    if not all(len(part) <= 2 and all(re.fullmatch("[0-9]{1,19}", end) for end in part) for part in parts):
        raise bad_argument("seeds", text, expected)
    spans = [range(int(part[0]), int(part[-1]) + 1) for part in parts]
    if len(parts) == 1 and len(parts[0]) == 1:
        spans = [range(int(parts[0][0]))]
    if not all(spans):
        raise bad_argument("seeds", text, expected)
    if sum(span.stop - span.start for span in spans) > _MOST_SEEDS:
        raise bad_argument("seeds", text, f"at most {_MOST_SEEDS} seeds; a single seed is written as 7-7")
    return tuple(dict.fromkeys(seed for span in spans for seed in span))


@checked(maximum={"seeds": 2**63 - 1})
def seeds_text(seeds: Sequence[int]) -> str:
    """Return the text from which ``parse_seeds`` reads ``seeds``."""
    if not seeds:
        raise bad_argument("seeds", list(seeds), "at least one seed")
    if all(after == before + 1 for before, after in pairwise(seeds)):
        return f"{seeds[0]}-{seeds[-1]}"
    return ",".join(map(str, seeds))
