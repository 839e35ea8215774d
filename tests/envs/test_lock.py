"""The combination lock beside a plain re-write, and what is known of its returns and observations."""

import pytest
import torch
from lives import leaves, live, uniform
from scipy.linalg import hadamard as scipys

from tutorlib.envs.lock import Lock, LockState, hadamard
from tutorlib.envs.protocol import Environment
from tutorlib.lab import UsageError


class Plain:
    """The same lock with numbers and lists."""

    def __init__(self, horizon, actions, u):
        self.horizon, numbers = horizon, [int(x * actions) for x in u[: 2 * horizon]]
        self.right = [numbers[:horizon], numbers[horizon:]]
        self.reset(u[2 * horizon])

    def reset(self, u):
        self.row, self.column = int(u * 2), 0

    def step(self, action, u):
        reward = 0.0
        if self.row != 2:
            if action == self.right[self.row][self.column]:
                self.row, reward = int(u * 2), -1 / (self.horizon - 1)
            else:
                self.row = 2
        self.column += 1
        if self.column < self.horizon:
            return reward, False
        reward = 10.0 if self.row != 2 else 0.0
        self.reset(u)
        return reward, True


@pytest.mark.parametrize(("horizon", "actions"), [(2, 2), (3, 2), (4, 3), (7, 2)])
def test_a_lock_is_the_plain_lock(horizon, actions):
    env = Lock(horizon, actions)
    a = torch.randint(actions, (120, 30), generator=torch.Generator().manual_seed(0))
    start, noise = uniform(30, env.start_noise), uniform(120, 30, env.step_noise, seed=1)
    lives = live(env, a, start, noise)
    seen = set()
    for i in range(30):
        plain = Plain(horizon, actions, start[i].tolist())
        for t in range(120):
            reward, ended = plain.step(int(a[t, i]), noise[t, i, 0].item())
            state = lives.states[t + 1]
            assert state.table[i].tolist() == plain.right
            assert (int(state.row[i]), int(state.column[i])) == (plain.row, plain.column)
            assert int(state.good_column[i]) == (plain.column if plain.row < 2 else -1)
            assert float(lives.rewards[t, i]) == pytest.approx(reward)
            assert bool(lives.ended[t, i]) == ended
            seen.add((round(reward, 3), ended))
    assert len(seen) == 4, "a right action, a wrong one, the prize, and an end without it"


def test_the_lock_is_that_of_the_papers_code(golden):
    known = {name: torch.from_numpy(x) for name, x in golden("rl/rcgvf_lock_env").items()}
    env = Lock(int(known["horizon"]), 10, float(known["noise_sd"]))
    row, column = known["row"].long(), known["column"].long()
    state = LockState(known["table"].long().expand(4, -1, -1), row[0], column[0], known["noise"][0])
    assert (env.observe(state) - known["observation"][0]).abs().max() < 1e-9
    for t, action in enumerate(known["action"].long()):
        noise = torch.special.ndtr(known["noise"][t + 1])
        chance = (row[t + 1].clamp(max=1) + 0.5) / 2  # where the row is 2, any: the lock itself must say so
        state, reward, ended = env.step(state, action, torch.cat([chance.unsqueeze(-1), noise], dim=-1))
        assert torch.equal(state.row, row[t + 1])
        assert torch.equal(state.column, column[t + 1])
        assert torch.equal(ended, known["done"][t])
        assert (reward - known["reward"][t]).abs().max() < 1e-9
        assert (env.observe(state) - known["observation"][t + 1]).abs().max() < 1e-9
    assert {round(x, 3) for x in known["reward"].flatten().tolist()} == {-0.053, 0.0, 10.0}


def follow(env, wrong_at=None):
    """Return the rewards of an episode that follows a*, but for one wrong action."""
    state = env.start(uniform(64, env.start_noise))
    noise, rewards = uniform(env.horizon, 64, env.step_noise, seed=2), []
    for t in range(env.horizon):
        assert (state.column == t).all()
        table = state.table[torch.arange(64), state.row.clamp(max=1), t]
        action = (table + 1) % env.actions if t == wrong_at else table
        state, reward, ended = env.step(state, action, noise[t])
        assert (ended == (t == env.horizon - 1)).all()
        rewards.append(reward)
    assert (state.column == 0).all()
    assert (state.row < 2).all(), "the next episode has begun"
    return torch.stack(rewards)


@pytest.mark.parametrize("horizon", [2, 20, 100])
def test_the_best_return_is_nine(horizon):
    rewards = follow(Lock(horizon))
    assert torch.allclose(rewards.sum(0), torch.full((64,), 9.0), atol=1e-5)
    assert (rewards[-1] == 10).all()
    assert torch.allclose(rewards[:-1], torch.tensor(-1 / (horizon - 1)))


def test_the_prize_is_what_it_is_set_to():
    rewards = follow(Lock(20, prize=3.0))
    assert (rewards[-1] == 3).all()
    assert torch.allclose(rewards.sum(0), torch.full((64,), 2.0), atol=1e-5)


@pytest.mark.parametrize("wrong_at", [0, 1, 7, 19])
def test_a_wrong_action_leaves_the_costs_of_the_right_ones(wrong_at):
    rewards = follow(Lock(20), wrong_at)
    assert torch.allclose(rewards.sum(0), torch.full((64,), -wrong_at / 19), atol=1e-6)


def test_the_observation_is_row_and_column_with_noise_and_mixed():
    env = Lock(20)
    assert (env.entries, env.observations) == (24, 32)
    assert (Lock().entries, Lock().observations) == (104, 128)
    assert Lock(12).observations == 16, "16 entries need no zeros"
    state = env.start(uniform(400, env.start_noise))
    actions, noise = torch.zeros(400, dtype=torch.long), uniform(400, env.step_noise, seed=1)
    for _ in range(2):
        # The square of the Hadamard matrix is D times the identity.
        plain = env.observe(state) @ torch.tensor(scipys(32)).float() / 32
        for i in range(400):
            place = [0.0] * 32
            place[int(state.row[i])] = place[3 + int(state.column[i])] = 1.0
            expected = torch.tensor(place)
            expected[:24] += 0.1 * state.noise[i]
            assert torch.allclose(plain[i], expected, atol=1e-5)
        state, _, _ = env.step(state, actions, noise)
    assert abs(float(state.noise.mean())) < 0.05
    assert float(state.noise.std()) == pytest.approx(1, abs=0.03)


def test_without_noise_equal_places_look_equal():
    env = Lock(20, noise=0.0)
    state = env.start(uniform(400, env.start_noise))
    seen = env.observe(state)
    first = seen[state.row == 0]
    assert 0 < len(first) < 400
    assert torch.equal(first, first[:1].expand_as(first))
    assert not torch.equal(first[0], seen[state.row == 1][0])


def test_the_matrix_is_sylvesters():
    for n in (1, 2, 16, 128):
        found = hadamard(n, torch.float64, torch.device("cpu"))
        assert found.tolist() == scipys(n).tolist()
        assert torch.equal(found @ found, n * torch.eye(n, dtype=torch.float64))
    for n, expected in ((0, "a whole number from 1"), (6, "a power of 2"), (100, "a power of 2")):
        with pytest.raises(UsageError, match=f"n={n}: expected {expected}"):
            hadamard(n, torch.float32, torch.device("cpu"))


def test_rows_and_right_actions_are_drawn_alike():
    env = Lock(3, actions=5)
    state = env.start(uniform(10_000, env.start_noise))
    counts = torch.stack([(state.table == a).sum(0) for a in range(5)])
    assert ((counts - 2000) ** 2 / 2000.0).sum() < 60, "chi-square, 6 entries of 4 degrees of freedom, p > 0.00005"
    assert abs(float((state.row == 0).float().mean()) - 0.5) < 0.02
    right = state.table[torch.arange(10_000), state.row, 0]
    after, _, _ = env.step(state, right, uniform(10_000, env.step_noise, seed=1))
    for before in (0, 1):
        assert abs(float((after.row[state.row == before] == 0).float().mean()) - 0.5) < 0.03
    dead, _, _ = env.step(state, (right + 1) % 5, uniform(10_000, env.step_noise, seed=1))
    assert (dead.row == 2).all()


def test_environments_of_one_seed_share_a_lock():
    env = Lock(4)
    u = uniform(2, 3, env.start_noise)
    own = env.start(u).table
    assert not torch.equal(own[0, 0], own[0, 1])
    u[..., : env.table_noise] = u[:, :1, : env.table_noise]
    shared = env.start(u)
    assert torch.equal(shared.table, own[:, :1].expand_as(own))
    assert not torch.equal(shared.noise[0, 0], shared.noise[0, 1])


def test_the_promises_of_the_protocol():
    env = Lock(5, actions=3)
    assert isinstance(env, Environment)
    actions = torch.randint(3, (12, 3, 2), generator=torch.Generator().manual_seed(3))
    start, step = uniform(3, 2, env.start_noise), uniform(12, 3, 2, env.step_noise, seed=1)
    together = live(env, actions, start, step)
    assert together.observations.shape == (13, 3, 2, 16)
    assert together.observations.dtype == together.rewards.dtype == torch.float32
    for first, last in zip(leaves(together.states[0]), leaves(together.states[-1]), strict=True):
        assert (first.shape, first.dtype) == (last.shape, last.dtype)
    for i in range(3):
        for j in range(2):
            alone = live(env, actions[:, i, j], start[i, j], step[:, i, j])
            assert torch.allclose(alone.observations, together.observations[:, i, j], atol=1e-5)
            assert torch.equal(alone.rewards, together.rewards[:, i, j])
    # All three members meet the same luck.
    copied = live(env, actions, start[:1].expand(3, -1, -1), step[:, :1].expand(-1, 3, -1, -1))
    state = env.start(start[:1])  # even the first state is shared
    for t in range(12):
        state, reward, ended = env.step(state, actions[t], step[t, :1])
        assert torch.equal(reward, copied.rewards[t])
        assert torch.equal(ended, copied.ended[t])
        assert torch.allclose(env.observe(state), copied.observations[t + 1], atol=1e-5)
    double = live(env, actions, start.double(), step.double())
    assert double.observations.dtype == double.rewards.dtype == torch.float64


def test_no_value_is_read_and_no_device_is_hidden():
    env = Lock(6)
    state = env.start(torch.rand(4, env.start_noise, device="meta"))
    for _ in range(2):
        action = torch.zeros(4, dtype=torch.long, device="meta")
        state, reward, ended = env.step(state, action, torch.rand(4, env.step_noise, device="meta"))
        assert isinstance(state, LockState)
        for tensor in (*state, state.good_column, reward, ended, env.observe(state)):
            assert tensor.device.type == "meta"


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"horizon": 1}, "horizon=1: expected a whole number from 2"),
        ({"actions": 1}, "actions=1: expected a whole number from 2"),
        ({"noise": -0.1}, "noise=-0.1: expected a number that is not negative"),
        ({"noise": float("nan")}, "noise=nan"),
    ],
)
def test_locks_that_cannot_be(own, message):
    with pytest.raises(UsageError, match=message):
        Lock(**own)


def test_noise_of_the_wrong_size_is_refused():
    env = Lock(4)
    state = env.start(uniform(5, env.start_noise))
    with pytest.raises(UsageError, match=r"u=\(5, 18\): expected .* ends with 17"):
        env.start(uniform(5, 18))
    with pytest.raises(UsageError, match=r"u=\(5, 8\): expected .* ends with 9"):
        env.step(state, torch.zeros(5, dtype=torch.long), uniform(5, 8))
