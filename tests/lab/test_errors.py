"""The checks of a configuration's numbers."""

import math
from dataclasses import dataclass, replace

import pytest

from tutorlib.lab import UsageError
from tutorlib.lab.errors import expect_fields


@dataclass(frozen=True)
class Numbers:
    n: object = 1
    x: float = 0.5
    y: float = 0.0
    p: float = 1.0

    def check(self) -> None:
        expect_fields(self, counts=("n",), positive=("x",), not_negative=("y",), shares=("p",))


def test_numbers_at_the_edge_of_what_may_be_pass() -> None:
    for own in (Numbers(), Numbers(p=0.0), Numbers(n=10**9, x=1e-30, y=1e30)):
        own.check()


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ({"n": 0}, "n=0: expected a whole number from 1"),
        ({"n": 1.0}, r"n=1\.0: expected a whole number from 1"),
        ({"x": 0.0}, r"x=0\.0: expected a positive number"),
        ({"x": math.inf}, "x=inf: expected a positive number"),
        ({"x": math.nan}, "x=nan: expected a positive number"),
        ({"y": -1e-9}, "y=-1e-09: expected a number that is not negative"),
        ({"y": math.inf}, "y=inf"),
        ({"p": 1.01}, r"p=1\.01: expected a number from 0 to 1"),
        ({"p": math.nan}, "p=nan"),
    ],
)
def test_the_first_that_cannot_be_is_named(own: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        replace(Numbers(), **own).check()
