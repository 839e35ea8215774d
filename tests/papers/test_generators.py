"""Randomness comes from a generator that is passed, never from the global one; evaluations have generators of their
own."""

import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from papers_tiny import EXPERIMENTS, tiny

from tutorlib.lab import UsageError
from tutorlib.lab.experiment import Context, Trial
from tutorlib.nn import training
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


@pytest.mark.parametrize("name", ["rcgvf.lock", "vsml.cloning", "mbrl.online", "mbrl.offline"])
def test_no_evaluation_draws_what_training_draws(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside training, and after it: no generator of an evaluation has a number that training has."""
    asked: dict[str, set[tuple[int, int]]] = {"step_generator": set(), "eval_generator": set()}
    made = training._numbered

    def numbered(seed: int, number: int, device: torch.device) -> torch.Generator:
        asked[sys._getframe(1).f_code.co_name].add((seed, number))
        return made(seed, number, device)

    monkeypatch.setattr(training, "_numbered", numbered)
    experiment = EXPERIMENTS[name]
    experiment.run([Trial(tiny(experiment)[-1], 3)], Context())
    assert all(asked.values())
    assert asked["step_generator"].isdisjoint(asked["eval_generator"])
