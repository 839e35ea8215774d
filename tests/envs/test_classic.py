"""Classic control beside Gymnasium, step by step, and what lifetimes add: rewards, limits, new episodes."""

import math

import gymnasium
import numpy as np
import pytest
import torch
from lives import live, random_lives, uniform

from tutorlib.envs import (
    Acrobot,
    CartPole,
    ControlState,
    MountainCar,
    acrobot_dynamics,
    cartpole_dynamics,
    mountaincar_dynamics,
)
from tutorlib.envs.classic import acrobot_reaches, cartpole_fails, mountaincar_energy, mountaincar_reaches
from tutorlib.lab import UsageError

# Gymnasium's name, our physics and end, numbers of actions and of entries of the state.
CARTPOLE = ("CartPole-v1", cartpole_dynamics, cartpole_fails, 2, 4)
ACROBOT = ("Acrobot-v1", acrobot_dynamics, acrobot_reaches, 3, 4)
MOUNTAINCAR = ("MountainCar-v0", mountaincar_dynamics, mountaincar_reaches, 3, 2)
SYSTEMS = pytest.mark.parametrize("system", [CARTPOLE, ACROBOT, MOUNTAINCAR], ids=lambda system: system[0])


def gym_step(env, state, action):
    """Return Gymnasium's next state (before it rounds to float32), reward and end, from any state."""
    env.state = np.array(state) if len(state) == 4 else tuple(state)
    env.steps_beyond_terminated = None
    _, reward, terminated, _, _ = env.step(int(action))
    return np.array(env.state, dtype=np.float64), reward, terminated


def gym_run(name, actions, policy, steps, seed):
    """Return Gymnasium's states [steps + 1, n], actions, rewards and ends from its own first state."""
    env = gymnasium.make(name).unwrapped
    env.reset(seed=seed)
    states, chosen, rewards, ends = [np.array(env.state, dtype=np.float64)], [], [], []
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        chosen.append(policy(states[-1], rng, actions))
        state, reward, end = gym_step(env, states[-1], chosen[-1])
        states.append(state)
        rewards.append(reward)
        ends.append(end)
    return tuple(torch.tensor(np.array(x)) for x in (states, chosen, rewards, ends))


def at_random(state, rng, actions):
    return int(rng.integers(actions))


def pumping(state, rng, actions):
    """Push in the direction of the last velocity, which gains energy in both hills and links."""
    return actions - 1 if state[-1] >= 0 else 0


def balancing(state, rng, actions):
    return int(state[2] + 0.3 * state[3] + 0.05 * state[0] + 0.1 * state[1] + 0.1 * rng.normal() > 0)


def run_free(dynamics, first, actions):
    states = [first]
    for action in actions:
        states.append(dynamics(states[-1], action))
    return torch.stack(states)


@pytest.mark.parametrize(
    ("system", "policy"),
    [
        (CARTPOLE, balancing),
        (CARTPOLE, at_random),
        (ACROBOT, at_random),
        (MOUNTAINCAR, at_random),
        (MOUNTAINCAR, pumping),
    ],
    ids=lambda part: getattr(part, "__name__", part[0] if isinstance(part, tuple) else None),
)
def test_trajectories_are_gymnasiums_over_500_steps(system, policy):
    name, dynamics, _, actions, _ = system
    runs = [gym_run(name, actions, policy, 500, seed)[:2] for seed in (0, 1, 2, 5)]
    expected, chosen = (torch.stack(parts, dim=1) for parts in zip(*runs, strict=True))
    found = run_free(dynamics, expected[0], chosen)
    assert found.dtype == torch.float64
    # Rounding errors of 1e-16 grow by less than a thousandfold in these runs, even in Acrobot.
    error = (found - expected).abs() / (1 + expected.abs())
    assert error.max() < 1e-10


@SYSTEMS
def test_each_step_is_gymnasiums_from_wild_states(system):
    """Far from the start: fast turns, angles to be wrapped, walls, velocities to be cut; with its ends."""
    name, dynamics, ends, actions, n = system
    env = gymnasium.make(name).unwrapped
    wide = {"CartPole-v1": (5, 5, 0.5, 5), "Acrobot-v1": (math.pi, math.pi, 12.5, 28), "MountainCar-v0": (1, 0.07)}[
        name
    ]
    states = (2 * uniform(600, n, dtype=torch.float64) - 1) * torch.tensor(wide, dtype=torch.float64)
    if name == "MountainCar-v0":
        states[:, 0] = 0.9 * states[:, 0] - 0.3
        states[:200, 0], states[:200, 1] = -1.2 + 0.03 * uniform(200), -0.07 * uniform(200, seed=1)
        states[200:300, 0], states[200:300, 1] = 0.55, -states[200:300, 1].abs()
    if name == "CartPole-v1":
        states[300:] *= 0.5  # about half of these have not failed
    chosen = torch.randint(actions, (600,), generator=torch.Generator().manual_seed(0))
    found = dynamics(states, chosen)
    kinds = set()
    for i in range(600):
        expected, _, terminated = gym_step(env, states[i].tolist(), chosen[i])
        assert torch.allclose(found[i], torch.tensor(expected), rtol=1e-11, atol=1e-11), (states[i], chosen[i])
        assert bool(ends(found[i])) == terminated
        kinds.add(terminated)
    assert kinds == {True, False}


@SYSTEMS
def test_float32_follows_for_a_while(system):
    name, dynamics, _, actions, _ = system
    expected, chosen, _, _ = gym_run(name, actions, at_random, 40, seed=3)
    found = run_free(dynamics, expected[0].float(), chosen)
    assert found.dtype == torch.float32
    assert torch.allclose(found.double(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("system", "env", "policy"),
    [(CARTPOLE, CartPole(), at_random), (ACROBOT, Acrobot(), pumping), (MOUNTAINCAR, MountainCar(), pumping)],
    ids=lambda part: getattr(part, "__name__", None) or str(part)[:12],
)
def test_episodes_end_where_gymnasiums_do(system, env, policy):
    name, _, _, actions, _ = system
    limit = gymnasium.spec(name).max_episode_steps
    assert env.episode == limit
    lengths = []
    for seed in range(2):
        states, chosen, rewards, ends = gym_run(name, actions, policy, limit, seed)
        length = int(ends.int().argmax()) + 1
        assert ends[length - 1], "this policy brings the episode to its end"
        state = ControlState(states[0], torch.tensor(0))
        for t in range(length):
            state, reward, ended = env.step(state, chosen[t], uniform(env.step_noise, dtype=torch.float64))
            assert bool(ended) == (t == length - 1)
            last = {"CartPole-v1": -1.0, "Acrobot-v1": 0.0, "MountainCar-v0": 0.0}[name]
            other = {"CartPole-v1": 0.0, "Acrobot-v1": -1.0, "MountainCar-v0": -1.0}[name]
            assert float(reward) == (last if ended else other)
            if name == "Acrobot-v1":
                assert float(reward) == float(rewards[t]), "Acrobot's rewards are Gymnasium's own"
        lengths.append(length)
    assert max(lengths) < limit


@pytest.mark.parametrize(("env", "low", "high"), [(CartPole(), -0.05, 0.05), (Acrobot(), -0.1, 0.1)])
def test_first_states_fill_their_box(env, low, high):
    x = env.start(uniform(4000, 4)).x
    assert x.min() > low
    assert x.max() < high
    assert torch.allclose(x.mean(0), torch.zeros(4), atol=4 * (high - low) / math.sqrt(12 * 4000))
    assert torch.allclose(x.std(0), torch.full((4,), (high - low) / math.sqrt(12)), rtol=0.05)


def test_the_first_position_of_the_car():
    x = MountainCar().start(uniform(4000, 1)).x
    assert x[:, 0].min() > -0.6
    assert x[:, 0].max() < -0.4
    assert abs(x[:, 0].mean() + 0.5) < 4 * 0.2 / math.sqrt(12 * 4000)
    assert (x[:, 1] == 0).all()


def test_observations_are_scaled_by_fixed_constants():
    t = torch.tensor(0)
    seen = CartPole().observe(ControlState(torch.tensor([2.4, -2.0, 0.21, 1.0]), t))
    assert torch.allclose(seen, torch.tensor([1.0, -1.0, 1.0, 0.5]))
    seen = Acrobot().observe(ControlState(torch.tensor([0.3, -2.0, 4 * math.pi, -4.5 * math.pi]), t))
    angles = [math.cos(0.3), math.sin(0.3), math.cos(-2.0), math.sin(-2.0)]
    assert torch.allclose(seen, torch.tensor([*angles, 1.0, -0.5]))
    for x, expected in (([-1.2, 0.07], [-1.0, 1.0]), ([0.6, -0.035], [1.0, -0.5])):
        assert torch.allclose(
            MountainCar().observe(ControlState(torch.tensor(x), t)), torch.tensor(expected), atol=1e-6
        )


def test_a_random_policy_fails_about_45_times_in_1000_steps():
    lives = random_lives(CartPole(), 400, 1000)
    failures = -lives.rewards[50:].mean() * 1000  # an episode lasts 22 steps on average; the first 50 are not typical
    assert abs(failures - 45) < 1.5
    assert torch.equal(lives.rewards == -1, lives.ended), "no episode comes near the limit"


@pytest.mark.parametrize("env", [CartPole(episode=11), Acrobot(episode=11), MountainCar(episode=11)], ids=str)
def test_a_new_episode_begins_from_the_steps_own_noise(env):
    actions = torch.randint(env.actions, (40, 64), generator=torch.Generator().manual_seed(0))
    noise = uniform(40, 64, env.step_noise, seed=1)
    lives = live(env, actions, uniform(64, env.start_noise), noise)
    ended = 0
    for t in range(40):
        state, end = lives.states[t + 1], lives.ended[t]
        assert torch.equal(state.x[end], env.start(noise[t]).x[end])
        assert (state.t[end] == 0).all()
        assert torch.equal(state.t[~end], lives.states[t].t[~end] + 1)
        assert (state.x[~end] != env.start(noise[t]).x[~end]).any(dim=-1).all()
        ended += int(end.sum())
    assert ended >= 3 * 64
    assert max(int(state.t.max()) for state in lives.states) == 10, "the 11th step ends the episode"


def test_the_limit_ends_an_episode_without_a_failure():
    env = CartPole(episode=3)
    lives = random_lives(env, 9, 50)
    assert torch.equal(lives.ended, torch.tensor([False, False, True] * 3).unsqueeze(1).expand(9, 50))
    assert (lives.rewards == 0).all()


def test_a_failure_in_the_last_step_still_counts():
    falling = ControlState(torch.tensor([0.0, 0.0, 0.2, 3.0]), torch.tensor(499))
    _, reward, ended = CartPole().step(falling, torch.tensor(0), uniform(4))
    assert ended
    assert reward == -1


def test_the_bonus_of_mountaincar_is_the_energy_gained():
    plain, shaped = MountainCar(), MountainCar(shaped=3.0)
    actions = torch.randint(3, (200, 8), generator=torch.Generator().manual_seed(0))
    noise = (uniform(8, 1), uniform(200, 8, 1, seed=1))
    without, lives = live(plain, actions, *noise), live(shaped, actions, *noise)
    assert torch.equal(without.ended, lives.ended)
    assert (without.rewards == -1).all()
    assert lives.ended[-1].all(), "one whole episode"
    last = mountaincar_dynamics(lives.states[-2].x, actions[-1])
    gained = 3 * (mountaincar_energy(last) - mountaincar_energy(lives.states[0].x))
    assert torch.allclose((lives.rewards - without.rewards).sum(0), gained, atol=1e-3)
    assert gained.abs().max() > 0.01


def test_the_energy_of_the_car():
    bottom, flag = torch.tensor([-math.pi / 6, 0.0]), torch.tensor([0.5, 0.0])
    assert abs(mountaincar_energy(bottom)) < 1e-6
    assert abs(mountaincar_energy(flag) - 1) < 1e-6
    # Where nothing pushes it is constant in continuous time: p' = v and v' = -.0025 cos 3p.
    x = (uniform(50, 2, dtype=torch.float64) - 0.6).requires_grad_()
    mountaincar_energy(x).sum().backward()
    change = x.grad[:, 0] * x[:, 1] - x.grad[:, 1] * 0.0025 * (3 * x[:, 0]).cos()
    assert change.abs().max() < 1e-12
    assert x.grad.abs().max() > 1


@pytest.mark.parametrize("cls", [CartPole, Acrobot, MountainCar])
@pytest.mark.parametrize("episode", [0, -3, 2.5])
def test_a_limit_that_is_none_is_refused(cls, episode):
    with pytest.raises((UsageError, TypeError), match="episode"):
        cls(episode=episode)


@pytest.mark.parametrize("shaped", [float("nan"), float("inf")])
def test_a_bonus_that_is_not_finite_is_refused(shaped):
    with pytest.raises(UsageError, match="shaped="):
        MountainCar(shaped=shaped)
