"""Runs that were stopped go on bit by bit as if nothing had happened; starts and the model's width are settings."""

import dataclasses
from pathlib import Path

import pytest
import torch

from tutorlib.lab import Checkpoint, Context, UsageError
from tutorlib.lab.errors import CheckpointError, NonFiniteError
from tutorlib.papers.mbrl import algorithm, offline
from tutorlib.papers.mbrl.algorithm import AGENTS, Config, begin, pack, train, unpack
from tutorlib.papers.mbrl.offline import Offline, learn

ONLINE = Config(
    environment="maze",
    size=2,
    steps=24,
    warm_up=6,
    copy_every=4,
    batch=4,
    length=3,
    capacity=10,
    hidden=8,
    layers=1,
    look_every=6,
    look_episodes=2,
    look_length=5,
)
EXAMPLE = Offline(pipes=2, transitions=30, updates=20, copy_every=3, batch=4, length=3, hidden=8, layers=1, looks=4)


class StoppedError(Exception):
    """The run was killed here."""


@pytest.fixture(autouse=True)
def few_mazes(monkeypatch):
    monkeypatch.setattr("tutorlib.papers.mbrl.config.MAZES", 5)
    monkeypatch.setattr(algorithm, "KEEP", 1)


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


def same(learner, other):
    for mine, theirs in zip(pack(learner), pack(other), strict=True):
        for a, b in zip(mine, theirs, strict=True) if isinstance(mine, list) else [(mine, theirs)]:
            assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


@pytest.mark.parametrize("agent", AGENTS)
def test_a_stopped_run_goes_on_bit_by_bit(tmp_path: Path, monkeypatch, agent):
    config = dataclasses.replace(ONLINE, agent=agent)
    checkpoint = Checkpoint(tmp_path / "run.ckpt", "a")
    undisturbed = train(config, [3, 4], Context())
    update = stopping(algorithm, monkeypatch, 9)  # after step 15
    with pytest.raises(StoppedError):
        train(config, [3, 4], Context(checkpoint=checkpoint))
    kept = checkpoint.load()
    assert (kept["done"], kept["steps"]) == (12, [6, 12])
    assert kept["replay"][0].shape[:2] == (2, 10), "the ring is full"
    monkeypatch.setattr(algorithm, "update", update)
    resumed = train(config, [3, 4], Context(checkpoint=checkpoint))
    same(resumed.learner, undisturbed.learner)
    assert resumed.steps == undisturbed.steps == [6, 12, 18, 24]
    assert torch.equal(resumed.looks, undisturbed.looks)


def test_of_replay_only_what_is_filled_is_kept(tmp_path: Path):
    checkpoint = Checkpoint(tmp_path / "run.ckpt", "a")
    config = dataclasses.replace(ONLINE, agent="perfect", capacity=5_000, steps=12)
    train(config, [0], Context(checkpoint=checkpoint))
    kept = checkpoint.load()
    assert all(part.shape[1] == 12 for part in kept["replay"])
    assert len(kept["replay"]) == 5 + 3, "with the states, of three parts"
    assert checkpoint.path.stat().st_size < 100_000


def test_a_checkpoint_is_kept_at_every_so_many_looks(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(algorithm, "KEEP", 3)
    done = []
    checkpoint = Checkpoint(tmp_path / "run.ckpt", "a")
    monkeypatch.setattr(checkpoint, "save", lambda state: done.append(state["done"]))
    train(dataclasses.replace(ONLINE, agent="er"), [0], Context(checkpoint=checkpoint))
    assert done == [18, 24]


def test_a_finished_run_is_not_trained_again(tmp_path: Path, monkeypatch):
    for number, (run, config) in enumerate(((train, ONLINE), (learn, EXAMPLE))):
        checkpoint = Checkpoint(tmp_path / f"{number}.ckpt", "a")
        first = run(config, [0], Context(checkpoint=checkpoint))
        with monkeypatch.context() as patch:
            for module in (algorithm, offline):
                patch.delattr(module, "update")
            again = run(config, [0], Context(checkpoint=checkpoint))
        same(first.learner, again.learner)


@pytest.mark.parametrize("agent", AGENTS)
def test_the_example_goes_on_bit_by_bit(tmp_path: Path, monkeypatch, agent):
    config = dataclasses.replace(EXAMPLE, agent=agent)
    checkpoint = Checkpoint(tmp_path / "run.ckpt", "a")

    def look(setting, learner, replay, updates):
        return learner.q.norm(dim=-1) + updates

    undisturbed = learn(config, [3, 4], Context(), look)
    update = stopping(offline, monkeypatch, 12)
    with pytest.raises(StoppedError):
        learn(config, [3, 4], Context(checkpoint=checkpoint), look)
    assert checkpoint.load()["done"] == 10
    monkeypatch.setattr(offline, "update", update)
    resumed = learn(config, [3, 4], Context(checkpoint=checkpoint), look)
    same(resumed.learner, undisturbed.learner)
    assert resumed.updates == [5, 10, 15, 20]
    assert torch.equal(torch.stack(resumed.looks), torch.stack(undisturbed.looks))


def test_the_checkpoint_of_other_cells_is_refused(tmp_path: Path):
    learn(EXAMPLE, [0], Context(checkpoint=Checkpoint(tmp_path / "run.ckpt", "a")))
    with pytest.raises(CheckpointError, match="expected the state of configuration b"):
        learn(EXAMPLE, [0], Context(checkpoint=Checkpoint(tmp_path / "run.ckpt", "b")))


def test_a_run_that_diverges_leaves_the_last_finite_state(tmp_path: Path):
    checkpoint = Checkpoint(tmp_path / "run.ckpt", "a")
    with pytest.raises(NonFiniteError, match="Q is not finite after update 5"):
        learn(dataclasses.replace(EXAMPLE, agent="er", rate=1e30), [0], Context(checkpoint=checkpoint))
    assert checkpoint.load() is None


def test_a_learner_packs_and_unpacks():
    _, learner = begin(ONLINE, [0, 1], torch.device("cpu"))
    same(unpack(pack(learner)), learner)


# Settings of the ablations


def lessons(config, monkeypatch):
    """Return how many transitions Q and the model learn from in an update."""
    found = []
    dqn_loss, simple_loss = algorithm.dqn_loss, algorithm.simple_loss
    monkeypatch.setattr(
        algorithm, "dqn_loss", lambda net, theta, copy, b, gamma: found.append(b.reward.shape[1])
        or dqn_loss(net, theta, copy, b, gamma)
    )  # fmt: skip
    monkeypatch.setattr(
        algorithm, "simple_loss", lambda model, theta, b: found.append(-b.reward.shape[1])
        or simple_loss(model, theta, b)
    )  # fmt: skip
    learn(dataclasses.replace(config, updates=1, looks=1), [0], Context())
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
