"""MountainCarContinuous beside Gymnasium's, step by step, and what episodes add: limits, new starts, bad input."""

import gymnasium
import numpy as np
import pytest
import torch

from tutorlib.envs import ControlState, MountainCarContinuous, continuous_mountaincar_dynamics
from tutorlib.envs.continuous import continuous_mountaincar_reaches
from tutorlib.lab import UsageError

STEPS = 500


def gym_run(choose, seed, steps=STEPS):
    """Return Gymnasium's states [steps + 1, 2], actions [steps, 1], rewards and ends, from its own first state.

    It keeps its state in float32. The flag stops nothing: the next step goes on from there.
    """
    env = gymnasium.make("MountainCarContinuous-v0").unwrapped
    env.reset(seed=seed)
    rng = np.random.default_rng(seed)
    env.state = env.state.astype(np.float32)
    states, actions, rewards, ends = [env.state], [], [], []
    for _ in range(steps):
        actions.append(choose(states[-1], rng))
        state, reward, end, _, _ = env.step(actions[-1])
        states.append(state)
        rewards.append(float(reward))
        ends.append(end)
    return [torch.tensor(np.array(x)) for x in (states, actions, rewards, ends)]


def at_random(state, rng):
    """Beyond 1, too: that pushes no more, and is paid."""
    return rng.uniform(-1.5, 1.5, size=1)


def pumping(state, rng):
    """Push along the velocity: this reaches the flag, and the wall on the left."""
    return np.array([1.0 if state[1] >= 0 else -1.0])


def holding(state, rng):
    return np.array([np.clip(-20 * state[0] - 9, -1, 1)], dtype=np.float64)


RUNS = pytest.mark.parametrize("choose", [at_random, pumping, holding])


@RUNS
def test_500_steps_are_gymnasiums(choose):
    runs = [gym_run(choose, seed) for seed in (0, 1, 2)]
    expected, actions, rewards, ends = (torch.stack(parts, dim=1) for parts in zip(*runs, strict=True))
    env = MountainCarContinuous(horizon=10_000)
    x, u = expected[0], torch.full((3, 1), 0.5)
    for t in range(STEPS):
        # As Gymnasium: computed in double precision, and kept in single.
        state = ControlState(x.double(), torch.zeros(3, dtype=torch.long))
        _, reward, ended = env.step(state, actions[t].double(), u.double())
        x = continuous_mountaincar_dynamics(state.x, actions[t].double()).float()
        assert (x - expected[t + 1]).abs().max() < 1e-6
        assert (reward - rewards[t]).abs().max() < 1e-6
        assert torch.equal(ended, ends[t])
    assert ends.any() == (choose is pumping)
    if choose is pumping:
        assert (expected[..., 0] == np.float32(-1.2)).any(), "the wall was met"


@RUNS
def test_single_precision_stays_near_for_500_steps(choose):
    expected, actions, *_ = gym_run(choose, 3)
    states = [expected[0]]
    for action in actions.float():
        states.append(continuous_mountaincar_dynamics(states[-1], action))
    assert (torch.stack(states) - expected).abs().max() < 1e-4


def test_an_episode_is_gymnasiums_with_its_time_limit():
    """Gymnasium's own wrapper ends an episode after 999 steps."""
    limit = gymnasium.spec("MountainCarContinuous-v0").max_episode_steps
    env = MountainCarContinuous()
    assert env.horizon == limit == 999
    state = env.start(torch.tensor([[0.25], [0.75]]))
    torch.testing.assert_close(state.x, torch.tensor([[-0.55, 0.0], [-0.45, 0.0]]))
    total, lengths = torch.zeros(2), torch.zeros(2, dtype=torch.long)
    playing = torch.ones(2, dtype=torch.bool)
    for _ in range(limit):
        push = torch.stack([torch.where(state.x[0, 1] >= 0, 1.0, -1.0), torch.tensor(0.0)]).unsqueeze(-1)
        state, reward, ended = env.step(state, push, torch.full((2, 1), 0.5))
        total += torch.where(playing, reward, 0.0)
        lengths += playing
        playing &= ~ended
    assert not playing.any()
    assert lengths[0] < 200
    assert lengths[1] == limit
    torch.testing.assert_close(total, torch.tensor([100 - 0.1 * float(lengths[0]), 0.0]))


def test_the_next_episode_begins_where_its_uniform_says():
    env = MountainCarContinuous(horizon=1)
    state = env.start(torch.full((4, 1), 0.1))
    after, _, ended = env.step(state, torch.zeros(4, 1), torch.tensor([[0.0], [0.25], [0.5], [1.0]]))
    assert ended.all()
    assert (after.t == 0).all()
    torch.testing.assert_close(after.x[:, 0], torch.tensor([-0.6, -0.55, -0.5, -0.4]))
    assert torch.equal(env.observe(after), after.x)


def test_a_step_is_an_advance_and_a_renewal():
    """Without the second an episode goes on past its end."""
    env = MountainCarContinuous(horizon=2)
    state, u = env.start(torch.full((3, 1), 0.3)), torch.full((3, 1), 0.7)
    for _ in range(2):
        before, push = state, torch.tensor([[0.5], [0.0], [-1.0]])
        state, reward, ended = env.step(before, push, u)
        after, same, over = env.advance(before, push)
        assert torch.equal(reward, same)
        assert torch.equal(ended, over)
        for one, other in zip(env.renew(after, over, u), state, strict=True):
            assert torch.equal(one, other)
    assert ended.all()
    assert after.t.tolist() == [2, 2, 2]
    assert (after.x[:, 0] - before.x[:, 0]).abs().max() < 0.01
    torch.testing.assert_close(state.x[:, 0], torch.full((3,), -0.46))


def test_the_flag_is_reached_by_a_car_that_does_not_roll_back():
    x = torch.tensor([[0.45, 0.0], [0.45, -0.01], [0.449, 0.05], [0.5, 0.01]])
    assert continuous_mountaincar_reaches(x).tolist() == [True, False, False, True]


def test_the_batch_broadcasts():
    env = MountainCarContinuous()
    state = env.start(torch.rand(3, 1, 4, 1))
    after, reward, ended = env.step(state, torch.rand(3, 2, 4, 1), torch.rand(4, 1))
    assert after.x.shape == (3, 2, 4, 2)
    assert reward.shape == ended.shape == (3, 2, 4)


def test_bad_input_is_named():
    env = MountainCarContinuous()
    state = env.start(torch.rand(3, 1))
    with pytest.raises(UsageError, match="action="):
        env.step(state, torch.rand(3, 2), torch.rand(3, 1))
    with pytest.raises(UsageError, match="u="):
        env.step(state, torch.rand(3, 1), torch.rand(3, 2))
    with pytest.raises(UsageError, match="u="):
        env.start(torch.rand(3, 2))
    with pytest.raises(UsageError, match="horizon=0"):
        MountainCarContinuous(horizon=0)
