"""What every loop of the papers does with a checkpoint that it cannot have written, and with numbers that diverge.

GPICL and model-based generalisation are on the shared loop, whose tests are in ``lab/test_loop.py``.
"""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tutorlib.lab import Cell, Checkpoint, Context
from tutorlib.lab.errors import CheckpointError, NonFiniteError
from tutorlib.nn import Descent, descend
from tutorlib.papers.rcgvf import algorithm as rcgvf
from tutorlib.papers.vsml import cloning

LOCK = rcgvf.Config(
    horizon=4, actions=3, envs=4, steps=6, updates=4, minibatch=12, epochs=1, d=4, hidden_z=4, hidden=4, width=4,
    looks=2,
)  # fmt: skip
CLONING = cloning.Config(hidden=4, batch=4, steps=8, looks=2, warmup=2)


def descent(context: Context) -> object:
    return descend(torch.zeros(3), lambda theta, g: (theta - 1, theta.sum()), Descent(8, 0.1, looks=2), 1, context)


LOOPS: dict[str, tuple[str, str, int, Callable[[Context], object]]] = {
    "descend": ("tutorlib.nn.training.adam_step", "step", 4, descent),
    "vsml.cloning": (
        "tutorlib.papers.vsml.cloning.adam_step",
        "step",
        4,
        lambda c: cloning.clone_backprop(Cell(CLONING, 0), c),
    ),
    "rcgvf": ("tutorlib.papers.rcgvf.algorithm.adam_", "update", 2, lambda c: rcgvf.train([Cell(LOCK, 0)], c)),
}
"""what takes Adam's step, how it counts, its first look, and the loop"""


def first_tensor(state: Any) -> tuple[Any, Any]:
    """Return the container of the first floating tensor in a state, and its place there."""
    for key, value in list(state.items() if isinstance(state, dict) else enumerate(state)):
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            return state, key
        if isinstance(value, list | dict) and (found := first_tensor(value))[0] is not None:
            return found
    return None, None


@pytest.mark.parametrize("name", LOOPS)
def test_a_checkpoint_of_other_content_is_refused(tmp_path: Path, name: str):
    _, counter, first, loop = LOOPS[name]
    checkpoint = Checkpoint(tmp_path / "run.ckpt", "a")
    loop(Context(checkpoint=checkpoint))
    loop(Context(checkpoint=checkpoint))  # what it wrote itself it takes up
    whole = checkpoint.load()
    assert whole is not None

    def refused(change: Callable[[dict[str, Any]], object]) -> None:
        state = checkpoint.load()
        assert state is not None
        change(state)
        checkpoint.save(state)
        with pytest.raises(CheckpointError, match="expected a state that this run can go on from, found"):
            loop(Context(checkpoint=checkpoint))
        checkpoint.save(whole)

    refused(lambda state: state.update({counter: 99}))
    refused(lambda state: state.update({counter: first + 1}))
    refused(lambda state: state.update({counter: first}))  # the rest is that of another step
    for key in whole:
        refused(lambda state, key=key: state.pop(key))

    def other_dtype(state: dict[str, Any]) -> None:
        where, key = first_tensor(state)
        where[key] = where[key].double()

    refused(other_dtype)


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("part", ["theta", "v"])
def test_what_is_not_finite_is_never_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, part: str):
    place, _, _, loop = LOOPS[name]
    module, _, function = place.rpartition(".")
    adam = getattr(importlib.import_module(module), function)
    checkpoint = Checkpoint(tmp_path / "run.ckpt", "a")

    def poisoned(*arguments: Any, **options: Any) -> Any:
        after = adam(*arguments, **options)
        if after is None:  # in place
            theta, moments = arguments[:2]
            (theta if part == "theta" else moments.v).add_(torch.inf)  # later steps are zero, and theta stays finite
            return None
        theta, moments = after
        if part == "theta":
            return theta / 0.0, moments
        return theta, moments._replace(**{moments._fields[1]: moments[1] + torch.inf})

    monkeypatch.setattr(place, poisoned)
    with pytest.raises(NonFiniteError, match=r"finite") as error:
        loop(Context(checkpoint=checkpoint))
    assert "\n" not in str(error.value)
    assert checkpoint.load() is None
