"""What an annotation asks of a value: whole numbers, tensors with named axes, tuples of these, and so on.

``check_of`` turns an annotation into a function that finds what does not fit. Tensors are judged by their shape, their
type and their device, never by their values, so nothing waits for a GPU; the checks are plain Python on constants,
which ``torch.compile`` folds away.
"""

import collections.abc as abc
import inspect
import math
import numbers
from collections.abc import Callable, Iterator
from functools import cache
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

import torch
from numpy.typing import ArrayLike
from torch import Tensor

Sizes = dict[str, Any]
"""Sizes of the axes that have been seen in this call, by name; of a starred name a tuple."""
Fault = tuple[str, Any, str]
"""What does not fit: where it stands below the argument, such as ``[2]``, what stands there, and what was expected."""
Check = Callable[[Any, Sizes], Fault | None]

LARGEST = 2**63 - 1
"""Whole numbers above fit into no tensor."""


def is_whole(value: object) -> bool:
    """Return whether ``value`` is a whole number that fits into 64 bits; True and False are none."""
    if type(value) is not int and (isinstance(value, bool | Tensor) or not isinstance(value, numbers.Integral)):
        return False
    return bool(-LARGEST - 1 <= value <= LARGEST)  # type: ignore[operator]


def is_number(value: object) -> bool:
    """Return whether ``value`` is a number: not NaN, True or False; infinity is one."""
    if type(value) is float:
        return value == value
    if isinstance(value, bool | Tensor) or not isinstance(value, numbers.Real):
        return False
    return is_whole(value) if isinstance(value, numbers.Integral) else bool(value == value)  # NumPy's are not bools


def shown(value: object) -> str:
    """Return ``value`` in a few words: a tensor by its shape and type, what is long by its beginning."""
    if isinstance(value, Tensor):
        return f"a {str(value.dtype).removeprefix('torch.')} tensor of shape {tuple(value.shape)} on {value.device}"
    try:
        text = repr(value)
    except Exception as error:  # of a number with more digits than Python writes, say
        return f"a {type(value).__name__} that cannot be shown ({type(error).__name__})"
    return text if len(text) <= 200 else f"{text[:197]}..."


def _holds(expected: str, holds: Callable[[Any], bool]) -> Check:
    def check(value: Any, sizes: Sizes) -> Fault | None:
        return None if holds(value) else ("", value, expected)

    return check


def _anything(value: Any, sizes: Sizes) -> None:
    return None


def _is_device(value: object) -> bool:
    try:
        return isinstance(value, torch.device) or (isinstance(value, str) and torch.device(value) is not None)
    except RuntimeError:
        return False


_PLAIN: dict[Any, tuple[str, Callable[[Any], bool]]] = {
    bool: ("True or False", lambda v: type(v) is bool or type(v).__name__ in ("bool_", "bool")),
    int: ("a whole number", is_whole),
    float: ("a number", is_number),
    str: ("text", lambda v: isinstance(v, str)),
    bytes: ("bytes", lambda v: isinstance(v, bytes)),
    NoneType: ("None", lambda v: v is None),
    Tensor: ("a tensor", lambda v: isinstance(v, Tensor)),
    torch.device: ("a device, such as torch.device('cpu')", _is_device),
    torch.dtype: ("a torch.dtype", lambda v: isinstance(v, torch.dtype)),
    torch.Generator: ("a torch.Generator", lambda v: isinstance(v, torch.Generator)),
}


@cache
def check_of(hint: Any) -> Check:
    """Return the check of values against the annotation ``hint``; what it does not know fits."""
    if hint is Any or hint is object or hint == ArrayLike:  # NumPy itself says what is no array
        return _anything
    if hint in _PLAIN:
        return _holds(*_PLAIN[hint])
    if is_typeddict(hint):
        return _entries(hint)
    if isinstance(hint, type) and hasattr(hint, "dim_str"):  # jaxtyping's
        return _shaped(hint.__name__.partition("[")[0], hint.dim_str)
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        shapes = [note for note in inner[1:] if hasattr(note, "axes")]
        return _shaped(shapes[0].kind, shapes[0].axes) if shapes else check_of(inner[0])
    if origin in (Required, NotRequired):
        return check_of(inner[0])
    if origin in (Union, UnionType):
        if set(inner) == {torch.device, str}:
            return check_of(torch.device)
        return _one_of(inner)
    if origin is Literal:
        return _holds(
            f"one of {', '.join(map(repr, inner))}", lambda v: any(type(v) is type(x) and v == x for x in inner)
        )
    if hint is tuple or origin is tuple:
        return _tuple(inner)
    base = origin or hint
    if base in (list, abc.Sequence, abc.Collection, abc.Iterable, abc.Iterator):
        return _sequence(base, inner[0] if inner else Any)
    if base in (dict, abc.Mapping):
        return _mapping(*(inner or (Any, Any)))
    if base is abc.Callable:
        return _holds("a function", callable)
    if base is type:
        return _holds("a class", inspect.isclass)
    if inspect.isclass(base):
        if getattr(base, "_is_protocol", False) and not getattr(base, "_is_runtime_protocol", False):
            return _anything
        if issubclass(base, tuple) and hasattr(base, "_fields"):
            return _named_tuple(base)
        name = base.__name__
        return _holds(
            f"{'an' if name[0] in 'AEIOU' else 'a'} {name}", lambda v: isinstance(v, base) and not inspect.isclass(v)
        )
    return _anything


def _named_tuple(base: Any) -> Check:
    """Return the check of a tuple with names: what holds tensors holds tensors; their shapes are left alone."""
    hints = get_type_hints(base, include_extras=True)
    needed = [(f"{name}", i) for i, name in enumerate(base._fields) if _is_tensor(hints.get(name))]
    expected = f"a {base.__name__}"

    def check(value: Any, sizes: Sizes) -> Fault | None:
        if not isinstance(value, base):
            return "", value, expected
        for name, i in needed:
            if not isinstance(value[i], Tensor):
                return f".{name}", value[i], "a tensor"
        return None

    return check


def _is_tensor(hint: Any) -> bool:
    note = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    return note is Tensor or (isinstance(hint, type) and hasattr(hint, "dim_str"))


def expected_of(hint: Any) -> str:
    """Return in words what ``hint`` asks for."""
    fault = check_of(hint)(_NOTHING, {})
    return fault[2] if fault else "anything"


def holds_floats(hint: Any) -> bool:
    """Return whether ``hint`` lets a float through, itself or in a tuple or list."""
    return hint is float or any(holds_floats(inner) for inner in get_args(hint))


class _Nothing:
    """Fits nothing but what is not checked."""


_NOTHING = _Nothing()


def _one_of(hints: tuple[Any, ...]) -> Check:
    checks = [check_of(hint) for hint in hints]
    if _anything in checks:
        return _anything
    expected = " or ".join(dict.fromkeys(expected_of(hint) for hint in hints))

    def check(value: Any, sizes: Sizes) -> Fault | None:
        deeper = None
        for one in checks:
            fault = one(value, sizes)
            if fault is None:
                return None
            if fault[0] or (isinstance(value, Tensor) and "shape" in fault[2]):
                deeper = fault  # the right kind with something wrong inside says more
        return deeper or ("", value, expected)

    return check


def _tuple(inner: tuple[Any, ...]) -> Check:
    if not inner:
        return _holds("a tuple", lambda v: isinstance(v, tuple))
    if len(inner) == 2 and inner[1] is ...:
        each, what = check_of(inner[0]), f"a tuple, each entry {expected_of(inner[0])}"

        def entries(value: Any, sizes: Sizes) -> Fault | None:
            if not isinstance(value, tuple):
                return "", value, what
            return _first((f"[{i}]", each(entry, sizes)) for i, entry in enumerate(value))

        return entries
    checks = [check_of(hint) for hint in inner]
    expected = f"a tuple of {', '.join(expected_of(hint) for hint in inner)}"

    def fixed(value: Any, sizes: Sizes) -> Fault | None:
        if not isinstance(value, tuple) or len(value) != len(checks):
            return "", value, expected
        return _first((f"[{i}]", one(entry, sizes)) for i, (one, entry) in enumerate(zip(checks, value, strict=True)))

    return fixed


def _first(faults: Iterator[tuple[str, Fault | None]]) -> Fault | None:
    for where, fault in faults:
        if fault is not None:
            return where + fault[0], fault[1], fault[2]
    return None


def _sequence(base: Any, hint: Any) -> Check:
    each, what = check_of(hint), f"a list, each entry {expected_of(hint)}"

    def check(value: Any, sizes: Sizes) -> Fault | None:
        if isinstance(value, str | bytes | abc.Mapping | Tensor) or not isinstance(value, abc.Iterable):
            return "", value, what
        if base in (abc.Iterable, abc.Iterator) and not isinstance(value, abc.Sequence):
            return None  # what can be read but once is not read here
        if base is list and not isinstance(value, list):
            return "", value, what
        if not isinstance(value, abc.Sequence):
            if not hasattr(value, "__len__") or isinstance(value, abc.Set):
                return "", value, what
            value = value.tolist() if hasattr(value, "tolist") else list(value)
            if not isinstance(value, list):  # an array without axes
                return "", value, what
        return _first((f"[{i}]", each(entry, sizes)) for i, entry in enumerate(value))

    return check


def _mapping(key: Any, hint: Any) -> Check:
    names, each = check_of(key), check_of(hint)
    what = f"a mapping from {expected_of(key)} to {expected_of(hint)}"

    def check(value: Any, sizes: Sizes) -> Fault | None:
        if not isinstance(value, abc.Mapping):
            return "", value, what
        for name in value:
            if names(name, sizes):
                return "", value, what
        return _first((f"[{name!r}]", each(entry, sizes)) for name, entry in value.items())

    return check


def _entries(hint: Any) -> Check:
    kinds = {name: check_of(inner) for name, inner in get_type_hints(hint).items()}
    needed = [name for name in kinds if name in hint.__required_keys__]
    what = f"a mapping with {', '.join(needed)}"

    def check(value: Any, sizes: Sizes) -> Fault | None:
        if not isinstance(value, abc.Mapping) or any(name not in value for name in needed):
            return "", value, what
        for name, one in kinds.items():
            if name in value and (fault := one(value[name], sizes)) is not None:
                deeper, wrong, expected = fault
                if isinstance(wrong, float) and math.isnan(wrong):
                    expected = f"{expected}, not NaN"
                return f"[{name!r}]{deeper}", wrong, expected
        return None

    return check


_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8)


def _shaped(kind: str, axes: str) -> Check:
    """Return the check of a tensor with axes like jaxtyping's: ``*batch``, ``#batch``, ``4``, ``_``, ``...``."""
    tokens = axes.split()
    starred = [i for i, token in enumerate(tokens) if token.startswith("*") or token == "..."]
    at = starred[0] if starred else None
    before = tokens if at is None else tokens[:at]
    after = [] if at is None else tokens[at + 1 :]
    required = len(before) + len(after)
    words = {"Float": "a tensor of floats", "Int": "a tensor of integers", "Bool": "a tensor of True and False"}
    expected = f"{words[kind]} of shape [{axes}]"

    def of_kind(dtype: torch.dtype) -> bool:
        if kind == "Float":
            return dtype.is_floating_point
        return dtype in _INTEGERS if kind == "Int" else dtype == torch.bool

    def check(value: Any, sizes: Sizes) -> Fault | None:
        if not isinstance(value, Tensor) or not of_kind(value.dtype):
            return "", value, expected
        shape = value.shape
        n = len(shape)
        if n < required or (at is None and n > required):
            return "", value, expected
        fits = True
        for token, size in zip(before, shape, strict=False):
            fits = fits and _fits(token, size, sizes)
        if at is not None:
            fits = fits and _fits_all(tokens[at], tuple(shape[at : n - len(after)]), sizes)
            for token, size in zip(after, shape[n - len(after) :], strict=True):
                fits = fits and _fits(token, size, sizes)
        if fits:
            return None
        known = ", ".join(
            f"{token}={sizes[token]}" for token in dict.fromkeys(t.lstrip("*#") for t in tokens) if token in sizes
        )
        return "", value, f"{expected} where {known}" if known else expected

    return check


def _fits(token: str, size: int, sizes: Sizes) -> bool:
    if token == "_" or "{" in token:
        return True
    if token.isdigit():
        return size == int(token)
    name = token.lstrip("#")
    known = sizes.get(name)
    if known is None or (token[0] == "#" and known == 1):
        sizes[name] = size
        return True
    return known == size or (token[0] == "#" and size == 1)


def _fits_all(token: str, shape: tuple[int, ...], sizes: Sizes) -> bool:
    if token == "...":
        return True
    name = token.lstrip("*#")
    known = sizes.get(name)
    if "#" not in token:  # others may broadcast, but to no other shape
        fits = known is None or (shape == known if f"={name}" in sizes else shape == _joined(known, shape))
        sizes[name] = sizes[f"={name}"] = shape
        return fits
    if known is None:
        sizes[name] = shape
        return True
    joined = _joined(known, shape)
    if joined is None or sizes.get(f"={name}", joined) != joined:
        return False
    sizes[name] = joined
    return True


def _joined(known: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the shape to which both broadcast, or None."""
    longer, shorter = (known, shape) if len(known) >= len(shape) else (shape, known)
    joined = list(longer)
    for i in range(1, len(shorter) + 1):
        if joined[-i] == 1:
            joined[-i] = shorter[-i]
        elif shorter[-i] not in (1, joined[-i]):
            return None
    return tuple(joined)
