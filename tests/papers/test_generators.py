"""Randomness comes from a generator that is passed: None is refused, and never stands for the global one."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tutorlib.lab import UsageError
from tutorlib.papers.mbrl import algorithm as mbrl
from tutorlib.papers.mbrl.maze import maze_bank
from tutorlib.papers.mbrl.model import MLP as QNetwork
from tutorlib.papers.rcgvf import algorithm as rcgvf
from tutorlib.papers.rcgvf.model import MLP
from tutorlib.papers.vsml.model import dense
from tutorlib.papers.vsml.problem import Streams, sample

CALLS: dict[str, Callable[[Any], Any]] = {
    "vsml sample": lambda g: sample(Streams(), 1, g),
    "vsml initial": lambda g: dense((2, 3)).initial_parameters(g),
    "rcgvf uniform": lambda g: rcgvf.uniform(g, 2),
    "rcgvf initial": lambda g: MLP((2, 3)).initial(g),
    "rcgvf initial_unit": lambda g: MLP((2, 3)).initial_unit(g),
    "mbrl initial": lambda g: QNetwork(2, 3).initial_parameters(1, g),
    "mbrl maze bank": lambda g: maze_bank(2, 1, g),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
def test_no_generator_is_refused_and_a_generator_is_taken(call: Callable[[Any], Any]) -> None:
    call(torch.Generator().manual_seed(0))
    with pytest.raises(UsageError, match="generator=None"):
        call(None)


def test_a_missing_generator_among_several_is_named() -> None:
    with pytest.raises(UsageError, match=r"generators\[0\]=None"):
        mbrl.uniforms([None], (2,), torch.device("cpu"))  # type: ignore[list-item]
