"""Errors that a user can mend: each is one sentence with the argument, its value and what was expected."""

from collections.abc import Iterable
from difflib import get_close_matches


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
