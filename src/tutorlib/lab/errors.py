"""Errors that a user can mend: each is one sentence with the argument, its value and what was expected."""

import math
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any


class TutorlibError(Exception):
    """Base of every error that the library raises on purpose; the command line prints it and exits with 2."""


class UsageError(TutorlibError, ValueError):
    """An argument that cannot be used."""


class RecordError(TutorlibError):
    """A recorded result that is torn, or of another format version."""


class CheckpointError(TutorlibError):
    """A checkpoint that is torn, or belongs to another configuration."""


class NonFiniteError(TutorlibError, ArithmeticError):
    """A loss that is no longer a number; the last good checkpoint was kept."""


class SweepError(TutorlibError):
    """Cells of a sweep that failed."""


class StorageError(TutorlibError, OSError):
    """A file or a folder that the system refuses to write or to read."""


def refused_by_system(name: str, path: object, expected: str, error: OSError) -> StorageError:
    """Return the error for the file or folder ``path``, called ``name``, with the system's own reason."""
    return StorageError(f"{name}={str(path)!r}: expected {expected} ({error.strerror or error})")


def bad_argument(name: str, value: object, expected: str) -> UsageError:
    """Return the error for argument ``name`` with ``value``, saying what was ``expected``."""
    return UsageError(f"{name}={value!r}: expected {expected}")


def choose(name: str, value: str, choices: Iterable[str]) -> str:
    """Return ``value`` if it is one of ``choices``; raise ``UsageError`` with the nearest spelling if not."""
    known = list(choices)
    if value in known:
        return value
    near = get_close_matches(str(value), known, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise bad_argument(name, value, f"one of {', '.join(known)}{hint}")


def expect_fields(
    config: object,
    *,
    counts: Iterable[str] = (),
    positive: Iterable[str] = (),
    not_negative: Iterable[str] = (),
    shares: Iterable[str] = (),
) -> None:
    """Raise ``UsageError`` for the first named field of ``config`` that cannot be what it is said to be.

    ``counts`` are whole numbers from 1; ``positive`` and ``not_negative`` numbers are finite; ``shares`` lie in [0, 1].
    """
    rules: tuple[tuple[Iterable[str], Callable[[Any], bool], str], ...] = (
        (counts, lambda n: isinstance(n, int) and n >= 1, "a whole number from 1"),
        (positive, lambda x: 0 < x < math.inf, "a positive number"),
        (not_negative, lambda x: 0 <= x < math.inf, "a number that is not negative"),
        (shares, lambda x: 0 <= x <= 1, "a number from 0 to 1"),
    )
    for names, holds, expected in rules:
        for name in names:
            if not holds(getattr(config, name)):
                raise bad_argument(name, getattr(config, name), expected)
