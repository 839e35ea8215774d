"""Environments of Gymnasium in a batch: the episodes are Gymnasium's, and what cannot be used is one sentence."""

import gymnasium
import numpy as np
import pytest
import torch

from tutorlib.envs import MountainCarContinuous, simulated
from tutorlib.envs.simulated import Simulated
from tutorlib.lab.errors import TutorlibError, UsageError

CAR = Simulated("MountainCarContinuous-v0", 2, 1, horizon=999)
PENDULUM = Simulated("Pendulum-v1", 3, 1, limit=2.0, horizon=200)


def uniforms(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_its_episodes_are_those_of_the_same_environment_as_tensors():
    ours, state = MountainCarContinuous(), CAR.start(uniforms(2, 3, 1))
    twin = ours.start(torch.zeros(2, 3, 1))._replace(x=state.x)
    over = torch.zeros(2, 3, dtype=torch.bool)
    for t in range(300):
        action = 2 * uniforms(2, 3, 1, seed=t) - 1
        action = torch.where(state.x[..., 1:] > 0, action.abs(), -action.abs())  # which swings the car up
        state, reward, ended = CAR.advance(state, action)
        twin, expected, reached = ours.advance(twin, action)
        going = ~over
        torch.testing.assert_close(CAR.observe(state)[going], ours.observe(twin)[going], rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(reward[going], expected[going], rtol=1e-4, atol=1e-5)
        assert torch.equal(ended[going], reached[going])
        assert (reward[over] == 0).all()
        over = over | ended
    assert over.any(), "some reach the flag"
    assert CAR.finished(state) == bool(over.all())


def test_an_episode_that_ended_stays_and_all_of_them_are_known():
    short = Simulated("Pendulum-v1", 3, 1, limit=2.0, horizon=500)  # Gymnasium ends it after 200
    state = short.start(uniforms(2, 1))
    for t in range(200):
        assert not short.finished(state)
        state, _, ended = short.advance(state, torch.zeros(2, 1))
        assert bool(ended.all()) == (t == 199)
    assert short.finished(state)
    after, reward, ended = short.advance(state, torch.ones(2, 1))
    assert torch.equal(after.x, state.x)
    assert (reward == 0).all()
    assert ended.all()
    assert not short.finished(short.start(uniforms(2, 1))), "the next ones have begun"


def test_the_same_uniforms_are_the_same_first_states():
    one, again, other = (PENDULUM.start(uniforms(4, 1, seed=seed)).x for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert len({tuple(row) for row in one.tolist()}) == 4
    env = gymnasium.make("Pendulum-v1")
    seed = int(float(uniforms(4, 1)[2].double()) * simulated.SEEDS)
    np.testing.assert_allclose(env.reset(seed=seed)[0], one[2], rtol=1e-6)


def test_what_does_not_fit_is_named():
    with pytest.raises(UsageError, match="observations=4: expected 3, as Pendulum-v1 has it"):
        Simulated("Pendulum-v1", 4, 1, limit=2.0).start(uniforms(1, 1))
    with pytest.raises(UsageError, match=r"limit=1.0: expected 2, as Pendulum-v1"):
        Simulated("Pendulum-v1", 3, 1).start(uniforms(1, 1))
    with pytest.raises(UsageError, match="name='CartPole-v1': expected an environment whose action_space is a Box"):
        Simulated("CartPole-v1", 4, 1).start(uniforms(1, 1))
    with pytest.raises(UsageError, match="name='FrozenLake-v1': expected an environment whose observation_space is a"):
        Simulated("FrozenLake-v1", 4, 1).start(uniforms(1, 1))
    with pytest.raises(UsageError, match="name='Pendulum-v99': expected an environment that Gymnasium has"):
        Simulated("Pendulum-v99", 3, 1).start(uniforms(1, 1))
    state = PENDULUM.start(uniforms(1, 1))
    with pytest.raises(UsageError, match=r"action=2.5: expected numbers from -2 to 2"):
        PENDULUM.advance(state, torch.full((1, 1), 2.5))
    with pytest.raises(UsageError, match="action=nan"):
        PENDULUM.advance(state, torch.full((1, 1), torch.nan))
    with pytest.raises(UsageError, match="horizon=0"):
        Simulated("Pendulum-v1", 3, 1, horizon=0)


def test_a_missing_extra_is_one_sentence(monkeypatch):
    def missing(name, **options):
        raise gymnasium.error.DependencyNotInstalled("MuJoCo is not installed")

    robot = Simulated("Hopper-v5", 11, 3)
    monkeypatch.setattr(simulated, "_KEPT", {})
    monkeypatch.setattr(gymnasium, "make", missing)
    with pytest.raises(
        TutorlibError, match=r"^Hopper-v5 needs a simulator that is not installed, of the extra control"
    ):
        robot.start(uniforms(1, 1))
    monkeypatch.setattr(simulated, "gymnasium", None)
    with pytest.raises(TutorlibError, match=r"^Hopper-v5 needs Gymnasium and its simulators, the extra control: pip"):
        robot.start(uniforms(1, 1))
