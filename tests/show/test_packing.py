import json
from itertools import chain
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tutorlib.lab.errors import UsageError
from tutorlib.show.packing import pack, unpack

NUMBERS = st.none() | st.floats(-1e6, 1e6) | st.integers(-1000, 1000)


@given(st.lists(st.lists(NUMBERS, min_size=3, max_size=3), min_size=1, max_size=6), st.integers(0, 6))
def test_unpacked_is_what_was_packed_to_its_decimals(array: list[list[Any]], decimals: int) -> None:
    packed = pack("a", array, [("row", len(array)), ("column", 3)], decimals)
    got = unpack(json.loads(json.dumps(packed)))
    assert [len(row) for row in got] == [3] * len(array)
    for kept, given_ in zip(chain(*got), chain(*array), strict=True):
        assert kept == (None if given_ is None else pytest.approx(given_, abs=0.51 * 10**-decimals, rel=1e-12))


def test_a_missing_branch_and_a_number_alone() -> None:
    packed = pack("a", [[1, 2], None], [("row", 2), ("column", 2)], 0)
    assert unpack(packed) == [[1, 2], [None, None]]
    assert unpack(pack("a", 0.5, [], 1)) == 0.5
    assert unpack(pack("a", None, [], 1)) is None


def test_accuracies_take_two_characters_each() -> None:
    packed = pack("a", np.linspace(0, 1, 1001), [("time", 1001)], 3)
    assert len(packed["text"]) == 2002
    assert unpack(packed)[1000] == 1.0


@pytest.mark.parametrize(
    ("array", "top", "message"),
    [
        ([[0.1, float("nan")]], None, r"a\[0\]\[1\]=nan: expected a finite number, or None"),
        ([[0.1, True]], None, r"a\[0\]\[1\]=True: expected a finite number"),
        ([[0.1]], None, r"a\[0\] has length 1: expected 2, one entry for each value of time"),
        ([0.1], None, r"a\[0\] has length float: expected 2"),
        ([[0, 3]], 2, r"a\[0\]\[1\]=3: expected a whole number from 0 to 2"),
        ([[0, 0.5]], 2, r"a\[0\]\[1\]=0.5: expected a whole number"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(array: Any, top: int | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        pack("a", array, [("run", 1), ("time", 2)], 3, top)
