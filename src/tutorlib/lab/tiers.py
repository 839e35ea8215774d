"""The three tiers. A tier is data (configurations and seeds), never a branch in an algorithm."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, TypeVar

from tutorlib.lab.errors import bad_argument, choose

TIERS = ("live", "study", "paper")

C = TypeVar("C")


@dataclass(frozen=True)
class Tier:
    """What an experiment runs at one tier: every configuration with every seed."""

    configs: tuple[Any, ...]
    """frozen dataclasses of one type"""
    seeds: tuple[int, ...]
    """seeds of the independent runs of each configuration"""


def grid(base: C, **axes: Sequence[Any]) -> tuple[C, ...]:
    """Return ``base`` with every combination of the values of ``axes``, the last axis fastest."""
    return tuple(replace(base, **dict(zip(axes, values, strict=True))) for values in product(*axes.values()))  # type: ignore[type-var]


def pick_tier(name: str | None = None) -> str:
    """Return the tier called ``name``, else ``TUTORLIB_TIER``, else ``live``; raise ``UsageError`` if unknown."""
    if name is not None:
        return choose("tier", name, TIERS)
    return choose("TUTORLIB_TIER", os.environ.get("TUTORLIB_TIER") or "live", TIERS)


def parse_seeds(text: str) -> tuple[int, ...]:
    """Return the seeds that ``text`` names: ``3`` is seeds 0, 1, 2; ``4,7`` and ``2-5`` name them one by one."""
    try:
        if text.isdigit():
            seeds = tuple(range(int(text)))
        else:
            parts = [part.split("-") for part in text.split(",")]
            seeds = tuple(s for part in parts for s in range(int(part[0]), int(part[-1]) + 1))
    except ValueError:
        seeds = ()
    if not seeds:
        raise bad_argument("seeds", text, "how many (3), a list (4,7) or a range (2-5)")
    return seeds
