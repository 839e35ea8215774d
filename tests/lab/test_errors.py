"""The checks of arguments and of configurations."""

import inspect
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NotRequired, TypedDict

import numpy as np
import pytest
import torch

from tutorlib.lab import UsageError
from tutorlib.lab.errors import checked, expect_fields
from tutorlib.shapes import Float, Int, Tensor


class Entry(TypedDict):
    """A mapping with names."""

    label: str
    values: Sequence[float]
    more: NotRequired[Any]


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


# What a function's annotations ask for


@checked(counts=("n",), maximum={"n": 100}, shares=("p",), choices={"kind": ("mean", "sum")}, endless=("clip",))
def mixed(
    x: Float[Tensor, "*batch inputs"],
    index: Int[Tensor, "*#batch"],
    n: int = 1,
    *others: Float[Tensor, "inputs"],
    p: float | Float[Tensor, "inputs"] = 0.5,
    kind: str = "mean",
    clip: float = math.inf,
    generator: torch.Generator | None = None,
    sizes: tuple[int, ...] = (),
    named: Sequence[Entry] = (),
    device: torch.device | str = "cpu",
) -> str:
    """Return a word."""
    return "taken"


X, WHICH = torch.zeros(2, 3, 4), torch.zeros(3, dtype=torch.long)


@pytest.mark.parametrize(
    "own",
    [
        {},
        {"index": torch.zeros(2, 1, dtype=torch.int32)},
        {"p": 1},
        {"p": torch.full((4,), 7.0)},
        {"clip": math.inf},
        {"generator": torch.Generator()},
        {"sizes": (1, 2)},
        {"named": [{"label": "a", "values": [1, 2.5]}, {"label": "b", "values": np.arange(3.0), "more": None}]},
        {"x": X.to("meta"), "index": WHICH.to("meta")},
    ],
)
def test_what_fits_is_taken(own: dict) -> None:
    assert mixed(**{"x": X, "index": WHICH} | own) == "taken"


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ({"x": X.long()}, r"^x=a int64 tensor of shape \(2, 3, 4\) on cpu: expected a tensor of floats of shape"),
        ({"x": [1.0]}, r"^x=\[1\.0\]: expected a tensor of floats"),
        ({"x": torch.tensor(1.0)}, "^x=.* shape"),
        ({"index": torch.zeros(5, dtype=torch.long)}, r"^index=.*\[\*#batch\] where batch=\(2, 3\)"),
        ({"index": torch.zeros(7, 2, 3, dtype=torch.long)}, "^index="),
        ({"index": WHICH.to("meta")}, "^index=.* on meta: expected a tensor on cpu, where the others are"),
        ({"n": 0}, "^n=0: expected a whole number from 1 to 100"),
        ({"n": 101}, "^n=101: expected a whole number from 1 to 100"),
        ({"n": 1.0}, r"^n=1\.0: expected a whole number"),
        ({"n": True}, "^n=True: expected a whole number"),
        ({"n": None}, "^n=None: expected a whole number"),
        ({"n": 10**5000}, "^n=a int that cannot be shown"),
        ({"p": math.nan}, "^p=nan: expected a number from 0 to 1"),
        ({"p": torch.zeros(5)}, r"^p=.*\[inputs\] where inputs=4"),
        ({"kind": "men"}, "^kind='men'.*did you mean 'mean'"),
        ({"kind": None}, "^kind=None: expected text"),
        ({"clip": math.nan}, "^clip=nan: expected a number"),
        ({"generator": 0}, "^generator=0: expected a Generator|^generator=0: expected a torch.Generator"),
        ({"sizes": (1, 2.5)}, r"^sizes\[1\]=2\.5: expected a whole number"),
        ({"sizes": [1]}, r"^sizes=\[1\]: expected a tuple"),
        ({"named": "a"}, "^named='a': expected a list"),
        ({"named": [{"label": "a"}]}, r"^named\[0\]=.*: expected a mapping with label, values"),
        ({"named": [{"label": "a", "values": [math.nan]}]}, r"^named\[0\]\['values'\]\[0\]=nan"),
        ({"device": "cupboard"}, "^device='cupboard': expected a device"),
    ],
)
def test_what_does_not_fit_is_named(own: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        mixed(**{"x": X, "index": WHICH} | own)


def test_arguments_without_a_name_are_checked_too() -> None:
    assert mixed(X, WHICH, 1, torch.zeros(4), torch.zeros(4)) == "taken"
    with pytest.raises(UsageError, match="^others=.*inputs=4"):
        mixed(X, WHICH, 1, torch.zeros(4), torch.zeros(3))


def test_an_axis_whose_size_is_a_number_has_that_size() -> None:
    @checked()
    def pushed(state: Float[Tensor, "*batch 2"]) -> str:
        return "taken"

    assert pushed(torch.zeros(5, 2)) == "taken"
    for size in (0, 1, 3):
        with pytest.raises(UsageError, match="^state=.*2"):
            pushed(torch.zeros(5, size))


def test_a_checked_function_compiles_as_one_graph() -> None:
    @checked(positive=("scale",))
    def scaled(x: Float[Tensor, "n"], scale: float) -> Tensor:
        return x * scale

    compiled = torch.compile(scaled, fullgraph=True, backend="eager")
    assert compiled(torch.ones(3), 2.0).tolist() == [2.0, 2.0, 2.0]


def test_a_checked_function_keeps_its_name_and_its_words() -> None:
    assert mixed.__name__ == "mixed"
    assert mixed.__doc__ == "Return a word."
    assert list(inspect.signature(mixed).parameters)[:3] == ["x", "index", "n"]


def test_shapes_are_checked_without_jaxtyping() -> None:
    script = (
        "import sys; sys.modules['jaxtyping'] = None\n"
        "import torch\n"
        "from tutorlib.rl import td_loss\n"
        "from tutorlib.lab import UsageError\n"
        "x = torch.zeros(2, 3)\n"
        "assert td_loss(x, x, x).shape == (2,)\n"
        "try:\n"
        "    td_loss(x, x[:, :2], x)\n"
        "except UsageError as error:\n"
        "    assert str(error).startswith('target=a float32 tensor of shape (2, 2)'), error\n"
        "else:\n"
        "    raise SystemExit('taken')\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)


@dataclass(frozen=True)
class Inner:
    """A configuration within another one."""

    size: int = 1

    def __post_init__(self) -> None:
        expect_fields(self, sizes=("size",))


@dataclass(frozen=True)
class Outer:
    """A configuration of every kind of field."""

    inner: Inner = Inner()
    flag: bool = False
    word: str = "a"
    rate: float = 0.1
    widths: tuple[int, ...] = ()
    episode: int | None = None

    def __post_init__(self) -> None:
        expect_fields(self, sizes=("widths",), counts=("episode",))


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ({"inner": None}, "^inner=None: expected an Inner"),
        ({"inner": Inner}, "^inner=.*: expected an Inner"),
        ({"flag": 1}, "^flag=1: expected True or False"),
        ({"word": 1}, "^word=1: expected text"),
        ({"rate": "0.1"}, "^rate='0.1': expected a number"),
        ({"rate": math.inf}, "^rate=inf: expected a finite number"),
        ({"widths": (3, 0)}, r"^widths\[1\]=0: expected a whole number from 1"),
        ({"widths": (3, 65_537)}, r"^widths\[1\]=65537: expected a whole number from 1 to 65,536"),
        ({"episode": 0}, "^episode=0: expected a whole number from 1"),
        ({"episode": "1"}, "^episode='1': expected a whole number"),
        ({"episode": 10**9 + 1}, "^episode=1000000001: expected a whole number from 1 to 1,000,000,000"),
    ],
)
def test_a_field_is_held_to_its_annotation(own: dict, words: str) -> None:
    assert Outer(rate=1, widths=(3, 4), episode=5)
    with pytest.raises(UsageError, match=words):
        Outer(**own)


def test_rules_of_one_class_may_differ_between_its_members():
    @dataclass(frozen=True)
    class Limited:
        most: int
        n: int

        def __post_init__(self) -> None:
            expect_fields(self, maximum={"n": self.most})

    assert Limited(5, 3)
    with pytest.raises(UsageError, match="n=3: expected a whole number from 0 to 1"):
        Limited(1, 3)
