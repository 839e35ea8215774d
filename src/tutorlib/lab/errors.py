"""Errors that a user can mend: each is one sentence with the argument, its value and what was expected."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from functools import wraps
from inspect import Parameter, signature
from types import MappingProxyType
from typing import Any, TypeVar, get_type_hints

import torch
from torch import Tensor

from tutorlib.lab.kinds import Check, Sizes, check_of, holds_floats, is_number, is_whole, shown

F = TypeVar("F", bound=Callable[..., Any])

MOST = 1_000_000_000
"""The largest count, such as of steps."""
MOST_SIZE = 65_536
"""The largest size, such as of a layer or a batch: memory grows with the product of a few of them."""

SOURCE = "git+https://github.com/tutorlib/tutorlib"
"""Where pip finds the package until its first release, from which on it is empty: then the name alone is enough."""


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


def short_of_memory(error: BaseException) -> bool:
    """Return whether ``error`` is how Python, its loader, or torch on any device, says that memory is short."""
    words = ("can't allocate memory", "not enough memory", "can't start new thread", "failed to map segment")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(word in str(error) for word in words)


def bad_argument(name: str, value: object, expected: str) -> UsageError:
    """Return the error for argument ``name`` with ``value``, saying what was ``expected``."""
    return UsageError(f"{name}={shown(value)}: expected {expected}")


def install_line(extra: str) -> str:
    """Return the command that installs this package with its ``extra``."""
    return f"pip install 'tutorlib[{extra}]{' @ ' if SOURCE else ''}{SOURCE}'"


def choose(name: str, value: str, choices: Iterable[str]) -> str:
    """Return ``value`` if it is one of ``choices``; raise ``UsageError`` with the nearest spelling if not."""
    if not isinstance(choices, Iterable):
        raise bad_argument("choices", choices, "a list of texts")
    known = [str(choice) for choice in choices]
    if isinstance(value, str) and value in known:
        return value
    near = get_close_matches(str(value), known, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise bad_argument(name, value, f"one of {', '.join(known)}{hint}")


_NONE: Mapping[str, Any] = MappingProxyType({})
Rule = Callable[[str, Any], None]


class Rules:
    """What numbers are held to beyond their kind, by the names of fields or arguments.

    ``counts`` are whole numbers from 1 to a thousand million, ``sizes`` from 1 to 65,536; ``minimum`` and ``maximum``
    give other ends of whole numbers (without an end below they begin at 0). ``positive`` and ``not_negative`` say so of
    numbers, ``shares`` lie in [0, 1], ``choices`` are one of the given texts. Numbers are finite, but for those in
    ``endless``, which may be infinite. What holds for a name holds for each entry of a tuple or list.
    """

    def __init__(
        self,
        *,
        counts: Iterable[str] = (),
        sizes: Iterable[str] = (),
        minimum: Mapping[str, int] = _NONE,
        maximum: Mapping[str, int] = _NONE,
        positive: Iterable[str] = (),
        not_negative: Iterable[str] = (),
        shares: Iterable[str] = (),
        endless: Iterable[str] = (),
        choices: Mapping[str, Iterable[str]] = _NONE,
    ) -> None:
        ends = dict.fromkeys(counts, (1, MOST)) | dict.fromkeys(sizes, (1, MOST_SIZE))
        for name in (*minimum, *maximum):
            low, high = ends.get(name, (0, MOST))
            ends[name] = (minimum.get(name, low), maximum.get(name, high))
        self.rules: dict[str, Rule] = {name: _whole(*bounds) for name, bounds in ends.items()}
        kinds: tuple[tuple[Iterable[str], str, Callable[[Any], bool]], ...] = (
            (positive, "a positive number", lambda x: x > 0),
            (not_negative, "a number that is not negative", lambda x: x >= 0),
            (shares, "a number from 0 to 1", lambda x: 0 <= x <= 1),
        )
        for names, expected, holds in kinds:
            self.rules |= {name: _real(expected, holds, name in endless) for name in names}
        self.rules |= {name: _chosen(tuple(known)) for name, known in choices.items()}
        self.endless = frozenset(endless)

    def of(self, name: str, hint: Any) -> Rule | None:
        """Return what values of ``name``, annotated with ``hint``, are held to; None if to nothing more than that."""
        rule, finite = self.rules.get(name), name not in self.endless and holds_floats(hint)
        if rule is None and not finite:
            return None

        def one(where: str, value: Any) -> None:
            if rule is not None:
                rule(where, value)
            if finite and isinstance(value, float) and not math.isfinite(value):
                raise bad_argument(where, value, "a finite number")

        def expect(where: str, value: Any) -> None:
            if isinstance(value, tuple | list):
                for i, entry in enumerate(value):
                    if isinstance(entry, int | float | str):
                        one(f"{where}[{i}]", entry)
            elif value is not None and not isinstance(value, Tensor):
                one(where, value)

        return expect


def _whole(low: int, high: int) -> Rule:
    def expect(where: str, value: Any) -> None:
        if not is_whole(value) or not low <= value <= high:
            bounded = high not in (MOST, MOST_SIZE) or (is_whole(value) and value > high)
            raise bad_argument(where, value, f"a whole number from {low}" + (f" to {high:,}" if bounded else ""))

    return expect


def _real(expected: str, holds: Callable[[Any], bool], endless: bool) -> Rule:
    if endless:
        expected += ", or infinity"

    def expect(where: str, value: Any) -> None:
        if not is_number(value) or not holds(value) or (not endless and value == math.inf):
            raise bad_argument(where, value, expected)

    return expect


def _chosen(known: tuple[str, ...]) -> Rule:
    def expect(where: str, value: Any) -> None:
        choose(where, value, known)

    return expect


Plan = tuple[str, Check, Rule | None]
"""A name, what its annotation asks for, and the rule of its numbers."""
_plans: dict[Any, list[Plan]] = {}


def expect_dataclass(name: str, value: object) -> None:
    """Raise ``UsageError`` unless ``value`` is a configuration: an instance of a dataclass."""
    if not is_dataclass(value) or isinstance(value, type):
        raise bad_argument(name, value, "a configuration, an instance of a dataclass")


def expect_fields(config: Any, **rules: Any) -> None:
    """Raise ``UsageError`` for the first field of ``config``, a dataclass, that cannot be what it is said to be.

    Each field must be of the kind that its annotation says: no text for a number, no True for a count, no NaN. What
    else holds for numbers is said by ``rules``, the arguments of ``Rules``.
    """
    if torch.compiler.is_compiling():  # one like it was checked before
        return
    # The rules of a class do not change, and some classes are made in every step of a run.
    key = (type(config), *((rule, _frozen(argument)) for rule, argument in rules.items()))
    if (plans := _plans.get(key)) is None:
        hints, limits = get_type_hints(type(config), include_extras=True), Rules(**rules)
        plans = _plans[key] = [
            (f.name, check_of(hints[f.name]), limits.of(f.name, hints[f.name])) for f in fields(config) if f.init
        ]
    sizes: Sizes = {}
    for name, check, rule in plans:
        value = getattr(config, name)
        fault = check(value, sizes)
        if rule is not None and (fault is None or not fault[0]):  # its words are the better ones
            rule(name, value)
        if fault is not None:
            raise bad_argument(name + fault[0], *fault[1:])


def _frozen(rule: Any) -> tuple:
    """Return the names of a rule, with what is said of each, as a key."""
    if not isinstance(rule, Mapping):
        return tuple(rule)
    return tuple((name, said if isinstance(said, int) else tuple(said)) for name, said in rule.items())


def checked(**rules: Any) -> Callable[[F], F]:
    """Return a decorator that holds the arguments of a public function to their annotations and to ``rules``.

    The annotation says the kind, and of a tensor its type and the names of its axes, which must agree among the
    arguments of a call; ``rules`` are the arguments of ``Rules``. What does not fit ends in a ``UsageError`` that names
    the argument. Tensors are judged without their values, so it may stand at functions within a training step.
    """
    limits = Rules(**rules)

    def decorate(function: F) -> F:
        hints = get_type_hints(function, include_extras=True)
        every = list(signature(function).parameters.values())
        parameters = [p for p in every if p.kind is not Parameter.VAR_KEYWORD]
        others = check_of(hints.get(every[-1].name, Any)) if len(every) > len(parameters) else None
        all_hints = [(p.name, hints.get(p.name, Any)) for p in parameters]
        plans: list[Plan] = [(name, check_of(hint), limits.of(name, hint)) for name, hint in all_hints]
        named = {plan[0]: plan for plan in plans}
        placed = [plan for plan, p in zip(plans, parameters, strict=True) if p.kind is not Parameter.KEYWORD_ONLY]
        more = placed[-1] if placed and parameters[len(placed) - 1].kind is Parameter.VAR_POSITIONAL else None

        @wraps(function)
        def boundary(*args: Any, **kwargs: Any) -> Any:
            if torch.compiler.is_compiling():  # tracing finds what does not fit
                return function(*args, **kwargs)
            given = list(zip(placed, args, strict=False))
            if more is not None:
                given += [(more, value) for value in args[len(placed) :]]
            for name, value in kwargs.items():
                if name in named:
                    given.append((named[name], value))
                elif others is not None:
                    given.append(((name, others, None), value))
            sizes: Sizes = {}
            place = None
            for (name, check, rule), value in given:
                fault = check(value, sizes)
                if rule is not None and (fault is None or not fault[0]):
                    rule(name, value)
                if fault is not None:
                    raise bad_argument(name + fault[0], *fault[1:])
                if isinstance(value, Tensor) and value.dim():
                    if place is not None and value.device != place:
                        raise bad_argument(name, value, f"a tensor on {place}, where the others are")
                    place = value.device
            return function(*args, **kwargs)

        return boundary  # type: ignore[return-value]

    return decorate
