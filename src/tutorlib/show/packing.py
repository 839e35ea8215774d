"""Arrays of numbers as short text, so that the data of an explorer stay small.

An array becomes whole numbers in units of ``10**-decimals``, each written with the same few digits of base 64: two
digits hold a thousandth of an accuracy, which takes five characters as JSON. ``parts.mjs`` reads them with its own
``unpack``.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, TypedDict

from tutorlib.lab.errors import MOST, UsageError, bad_argument, checked

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
"""Digits of base 64; none of them needs escaping in JSON or in HTML."""


class Packed(TypedDict):
    """A packed array: its shape, the unit and the smallest of its numbers, and the text of ``width`` digits each."""

    shape: list[int]
    decimals: int
    low: int
    width: int
    text: str


@checked(maximum={"decimals": 9, "top": MOST})
def pack(name: str, array: Any, axes: Sequence[tuple[str, int]], decimals: int, top: int | None = None) -> Packed:
    """Return ``array`` packed: exact to ``decimals`` decimals.

    Args:
        name: how error messages call the array.
        array: nested lists or a NumPy array; ``None`` stands for what is missing, at any depth.
        axes: name and length of each axis, the outermost first.
        decimals: decimals that are kept.
        top: if given, the entries must be whole numbers from 0 to ``top``.

    Raises:
        UsageError: if a length or an entry does not fit; the message names the entry.
    """
    if hasattr(array, "tolist"):
        array = array.tolist()
    whole = list(_leaves(name, array, list(axes), decimals, top))
    present = [number for number in whole if number is not None]
    low = min(present, default=0)
    codes = [0 if number is None else number - low + 1 for number in whole]  # 0 stands for what is missing
    width = 1
    while 64**width <= max(codes, default=0):
        width += 1
    text = "".join(DIGITS[code // 64**place % 64] for code in codes for place in reversed(range(width)))
    return {"shape": [size for _, size in axes], "decimals": decimals, "low": low, "width": width, "text": text}


def _leaves(name: str, array: Any, axes: list[tuple[str, int]], decimals: int, top: int | None) -> Iterator[int | None]:
    """Yield the entries in order as whole numbers in units of ``10**-decimals``, or ``None``."""
    if array is None:
        yield from [None] * math.prod(size for _, size in axes)
    elif not axes:
        if isinstance(array, bool) or not isinstance(array, int | float) or not math.isfinite(array):
            raise bad_argument(name, array, "a finite number, or None for a missing entry")
        if top is not None and not (isinstance(array, int) and 0 <= array <= top):
            raise bad_argument(name, array, f"a whole number from 0 to {top}")
        yield round(array * 10**decimals)
    else:
        axis, size = axes[0]
        if not isinstance(array, list | tuple) or len(array) != size:
            got = len(array) if isinstance(array, list | tuple) else type(array).__name__
            raise UsageError(f"{name} has length {got}: expected {size}, one entry for each value of {axis}")
        for i, entry in enumerate(array):
            yield from _leaves(f"{name}[{i}]", entry, axes[1:], decimals, top)


@checked()
def unpack(packed: Packed) -> Any:
    """Return the nested lists that ``packed`` holds, to its decimals, with ``None`` for what is missing."""
    width, text = packed["width"], packed["text"]
    codes = []
    for start in range(0, len(text), width):
        code = 0
        for digit in text[start : start + width]:
            code = 64 * code + DIGITS.index(digit)
        codes.append(code)
    entries: list[Any] = [_number(code, packed) for code in codes]
    for size in reversed(packed["shape"][1:]):
        entries = [entries[i : i + size] for i in range(0, len(entries), size)]
    return entries if packed["shape"] else entries[0]


def _number(code: int, packed: Packed) -> int | float | None:
    if code == 0:
        return None
    whole = packed["low"] + code - 1
    return whole / 10 ** packed["decimals"] if packed["decimals"] else whole
