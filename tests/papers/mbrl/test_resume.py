"""Runs that were stopped go on bit by bit as if nothing had happened; starts and the model's width are settings."""

import dataclasses
from pathlib import Path

import pytest
import torch
from torch.utils._pytree import tree_leaves

from tutorlib.lab import Checkpoint, Context, UsageError
from tutorlib.lab.errors import CheckpointError, NonFiniteError
from tutorlib.papers.mbrl import algorithm, offline
from tutorlib.papers.mbrl.algorithm import AGENTS, Config, begin, train
from tutorlib.papers.mbrl.offline import Offline, learn

ONLINE = Config(
    environment="maze",
    size=2,
    steps=24,
    learning_starts=6,
    target_period=4,
    batch=4,
    length=3,
    capacity=10,
    hidden=8,
    layers=1,
    eval_every=6,
    eval_episodes=2,
    eval_length=5,
)
EXAMPLE = Offline(
    pipes=2, transitions=30, updates=20, target_period=3, batch=4, length=3, hidden=8, layers=1, num_evals=4
)


class StoppedError(Exception):
    """The run was killed here."""


@pytest.fixture(autouse=True)
def few_mazes(monkeypatch):
    monkeypatch.setattr("tutorlib.papers.mbrl.config.MAZES", 5)


def stopping(module, monkeypatch, after):
    """Let the run stop in the middle of an update."""
    update, calls = algorithm.update, []

    def deadly(*arguments):
        calls.append(1)
        if len(calls) > after:
            raise StoppedError
        return update(*arguments)

    monkeypatch.setattr(module, "update", deadly)
    return update


def always(path: Path) -> Context:
    """Return a context that keeps the state after each step."""
    return Context(checkpoint=Checkpoint(path / "run.ckpt", "a"), save_every=0.0)


def same(one, other):
    mine, theirs = tree_leaves(one), tree_leaves(other)
    assert len(mine) == len(theirs)
    for a, b in zip(mine, theirs, strict=True):
        assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


@pytest.mark.parametrize("agent", AGENTS)
def test_a_stopped_run_goes_on_bit_by_bit(tmp_path: Path, monkeypatch, agent):
    config = dataclasses.replace(ONLINE, agent=agent)
    undisturbed = train(config, [3, 4], Context())
    update = stopping(algorithm, monkeypatch, 9)  # in step 15, after its transition was stored
    context = always(tmp_path)
    with pytest.raises(StoppedError):
        train(config, [3, 4], context)
    assert context.checkpoint.load()["step"] == 15, "the ring, of 10, has begun anew"
    monkeypatch.setattr(algorithm, "update", update)
    resumed = train(config, [3, 4], context)
    same(resumed, undisturbed)
    assert resumed.steps == [6, 12, 18, 24]
    with monkeypatch.context() as patch:
        patch.delattr(algorithm, "update")
        same(train(config, [3, 4], context), undisturbed)  # a finished run is not trained again


@pytest.mark.parametrize("agent", AGENTS)
def test_the_example_goes_on_bit_by_bit(tmp_path: Path, monkeypatch, agent):
    config = dataclasses.replace(EXAMPLE, agent=agent)

    def evaluate(setting, learner, replay, updates):
        return learner.q.norm(dim=-1) + updates

    undisturbed = learn(config, [3, 4], Context(), evaluate)
    update = stopping(offline, monkeypatch, 12)
    context = always(tmp_path)
    with pytest.raises(StoppedError):
        learn(config, [3, 4], context, evaluate)
    assert context.checkpoint.load()["step"] == 12
    monkeypatch.setattr(offline, "update", update)
    resumed = learn(config, [3, 4], context, evaluate)
    same(resumed[1:], undisturbed[1:])
    assert resumed.updates == [5, 10, 15, 20]


def test_a_run_does_not_go_on_where_its_luck_cannot(tmp_path: Path):
    config = dataclasses.replace(ONLINE, agent="er")
    context = always(tmp_path)
    train(config, [3], context)
    kept = context.checkpoint.load()
    context.checkpoint.save(kept | {"device": "cuda"})
    with pytest.raises(CheckpointError, match=r"expected a run that began on cpu, found one of cuda"):
        train(config, [3], context)


@pytest.mark.parametrize("agent", ["er", "simple"])
def test_a_run_that_diverges_beside_others_is_noted_and_they_go_on(tmp_path: Path, agent):
    config, seeds = dataclasses.replace(ONLINE, agent=agent), [3, 4, 5]
    checkpoint, gone = Checkpoint(tmp_path / "run.ckpt", "a", ["x", "y", "z"]), {}
    beside = train(config, seeds, Context(checkpoint=checkpoint, diverged=gone), lrs=[1e-3, 1e30, 1e-3])
    alone = train(config, seeds, Context(), lrs=[1e-3, 1e-3, 1e-3])
    assert gone == {1: 12}
    for i in (0, 2):
        assert torch.equal(beside.evals[:, i], alone.evals[:, i])
        assert torch.equal(beside.learner.q[i], alone.learner.q[i])
    assert beside.learner.q[1].isfinite().all()
    assert checkpoint.of_run(1).load()["step"] == 6


def test_an_example_that_diverges_is_an_error_where_nobody_takes_notes():
    with pytest.raises(NonFiniteError, match=r"^q after step 5 of 20 is not finite \(seed 0\)"):
        learn(dataclasses.replace(EXAMPLE, agent="er", lr=1e30), [0], Context())


# Settings of the ablations


def lessons(config, monkeypatch):
    """Return how many transitions Q and the model learn from in an update."""
    found = []
    dqn_loss, simple_loss = algorithm.dqn_loss, algorithm.simple_loss
    monkeypatch.setattr(
        algorithm, "dqn_loss", lambda net, theta, target_params, b, gamma: found.append(b.reward.shape[1])
        or dqn_loss(net, theta, target_params, b, gamma)
    )  # fmt: skip
    monkeypatch.setattr(
        algorithm, "simple_loss", lambda model, theta, b: found.append(-b.reward.shape[1])
        or simple_loss(model, theta, b)
    )  # fmt: skip
    learn(dataclasses.replace(config, updates=1, num_evals=1), [0], Context())
    monkeypatch.undo()
    return found


def test_starts_of_rollouts_may_be_others_than_the_models_batch(monkeypatch):
    assert lessons(EXAMPLE, monkeypatch) == [-4, 12]
    more = dataclasses.replace(EXAMPLE, starts=6, length=2)
    assert lessons(more, monkeypatch) == [-4, 12]
    assert lessons(dataclasses.replace(more, agent="er"), monkeypatch) == [12]
    assert lessons(dataclasses.replace(more, agent="perfect"), monkeypatch) == [12]
    assert more.online.transitions == 12


def test_the_model_may_be_of_another_width():
    wide, narrow = (dataclasses.replace(ONLINE, model_hidden=n) for n in (16, 3))
    for config, units in ((ONLINE, 8), (wide, 16), (narrow, 3)):
        model = config.model(config.world())
        assert {net.hidden for net in model.nets.values()} == {units}
        assert begin(config, [0], torch.device("cpu"))[0].net.hidden == 8


@pytest.mark.parametrize("name", ["starts", "model_hidden"])
def test_settings_that_cannot_be(name):
    with pytest.raises(UsageError, match=f"{name}=-1: expected a whole number from 0"):
        Config(**{name: -1})
