"""What every loop of the papers does with a checkpoint that it cannot have written, and with numbers that diverge.

What stands on ``lab.loop`` alone is held to it by the tests of that: GPICL, VSML and SymLA.
"""

import importlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tutorlib.lab import Cell, Checkpoint, Context
from tutorlib.lab.errors import CheckpointError, NonFiniteError
from tutorlib.papers.mbrl import algorithm as mbrl
from tutorlib.papers.mbrl.offline import Offline, learn
from tutorlib.papers.rcgvf import algorithm as rcgvf

MBRL = mbrl.Config(
    agent="simple", environment="flute", size=2, steps=12, warm_up=4, copy_every=4, batch=4, length=3, capacity=10,
    hidden=8, layers=1, look_every=6, look_episodes=2, look_length=5,
)  # fmt: skip
OFFLINE = Offline(pipes=2, transitions=30, updates=12, copy_every=3, batch=4, length=3, hidden=8, layers=1, looks=2)
LOCK = rcgvf.Config(
    horizon=4, actions=3, envs=4, steps=6, updates=4, minibatch=12, epochs=1, d=4, hidden_z=4, hidden=4, width=4,
    looks=2,
)  # fmt: skip


LOOPS: dict[str, tuple[str, str, int, Callable[[Context], object]]] = {
    "rcgvf": ("tutorlib.papers.rcgvf.algorithm.adam_", "step", 2, lambda c: rcgvf.train([Cell(LOCK, 0)], c)),
    "mbrl": ("tutorlib.papers.mbrl.algorithm.adamw_step", "done", 6, lambda c: mbrl.train(MBRL, [0], c)),
    # Without a model, so that Q's own state is all there is to look at.
    "mbrl, replay": (
        "tutorlib.papers.mbrl.algorithm.adamw_step",
        "done",
        6,
        lambda c: mbrl.train(replace(MBRL, agent="er"), [0], c),
    ),
    "mbrl.offline": ("tutorlib.papers.mbrl.algorithm.adamw_step", "done", 6, lambda c: learn(OFFLINE, [0], c)),
}
"""what takes Adam's step, how it counts, its first look, and the loop"""


@pytest.fixture(autouse=True)
def every_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mbrl, "KEEP", 1)


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
