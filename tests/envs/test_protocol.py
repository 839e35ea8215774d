"""What every environment promises: shapes, batches, shared noise, no waiting for a device; names and refusals."""

import inspect

import jaxtyping
import pytest
import torch
from lives import EVERY, leaves, live, name_of, random_actions, random_lives, uniform

from tutorlib import envs
from tutorlib.envs import (
    BY_NAME,
    CONTROL,
    BernoulliBandit,
    CartPole,
    CartUp,
    Checked,
    ControlEnvironment,
    DarkRoom,
    HeartGrid,
    Lock,
    MiniGrid,
    Pend,
    Wrapper,
    check_action,
    check_noise,
    control_environment,
    environment,
    key_corridor,
)
from tutorlib.lab import UsageError

every = pytest.mark.parametrize("env", EVERY, ids=name_of)


@every
def test_shapes_and_types(env):
    lives = random_lives(env, 12, 3, 2)
    assert lives.observations.shape == (13, 3, 2, env.observations)
    assert lives.rewards.shape == lives.ended.shape == (12, 3, 2)
    assert lives.observations.dtype == lives.rewards.dtype == torch.float32
    assert lives.ended.dtype == torch.bool
    assert lives.observations.isfinite().all()
    for first, last in zip(leaves(lives.states[0]), leaves(lives.states[-1]), strict=True):
        assert first.shape[:2] == (3, 2)
        assert (first.shape, first.dtype) == (last.shape, last.dtype), "a state keeps its form"


@every
def test_a_batch_is_its_lives_one_by_one(env):
    actions = random_actions(env, 15, 3, 2, seed=3)
    start, step = uniform(3, 2, env.start_noise), uniform(15, 3, 2, env.step_noise, seed=1)
    together = live(env, actions, start, step)
    for i in range(3):
        for j in range(2):
            alone = live(env, actions[:, i, j], start[i, j], step[:, i, j])
            # Vector and scalar code of sines differ in the last digit.
            assert torch.allclose(alone.observations, together.observations[:, i, j], atol=1e-5)
            assert torch.allclose(alone.rewards, together.rewards[:, i, j], atol=1e-5)
            assert torch.equal(alone.ended, together.ended[:, i, j])


@every
def test_members_can_share_their_noise(env):
    members, lifetimes, steps = 3, 4, 15
    actions = random_actions(env, steps, members, lifetimes, seed=5)
    start, step = uniform(lifetimes, env.start_noise), uniform(steps, lifetimes, env.step_noise, seed=1)
    # Every member has a copy of the noise: the plain way.
    own = live(env, actions, start.repeat(members, 1, 1), step.unsqueeze(1).repeat(1, members, 1, 1))
    expanded = live(env, actions, start.expand(members, -1, -1), step)
    assert torch.allclose(expanded.rewards, own.rewards, atol=1e-6)
    assert torch.equal(expanded.ended, own.ended)
    assert torch.allclose(expanded.observations, own.observations, atol=1e-5)
    state = env.start(start.unsqueeze(0))  # even the first state is shared
    for t in range(steps):
        state, reward, ended = env.step(state, actions[t], step[t])
        assert torch.allclose(reward, own.rewards[t], atol=1e-6)
        assert torch.equal(ended, own.ended[t])
    seen = env.observe(state).expand(members, -1, -1)
    assert torch.allclose(seen, own.observations[-1], atol=1e-5)


@every
def test_a_life_is_a_function_of_its_noise_and_changes_no_state(env):
    first = random_lives(env, 10, 6)
    kept = [leaf.clone() for leaf in leaves(first.states[0])]
    again = random_lives(env, 10, 6)
    assert torch.equal(first.observations, again.observations)
    env.step(first.states[0], random_actions(env, 6), uniform(6, env.step_noise, seed=9))
    assert all(torch.equal(a, b) for a, b in zip(kept, leaves(first.states[0]), strict=True))
    drawn = env.start_noise and not isinstance(env, HeartGrid)
    other = random_lives(env, 10, 6, seed=100)
    assert not drawn or not torch.equal(first.rewards + first.observations[1:].sum(-1), other.observations[1:].sum(-1))


@every
def test_no_value_is_read_and_no_device_is_hidden(env):
    """A tensor on the meta device has no values: reading one, or mixing in a tensor of the CPU's, is an error."""
    if isinstance(env, MiniGrid):  # it lives on the device of its levels
        env = MiniGrid(env.levels.to("meta"), env.max_steps)
    state = env.start(torch.rand(4, env.start_noise, device="meta"))
    for _ in range(2):
        action = random_actions(env, 4).to("meta")
        state, reward, ended = env.step(state, action, torch.rand(4, env.step_noise, device="meta"))
        for tensor in (*leaves(state), reward, ended, env.observe(state)):
            assert tensor.device.type == "meta"


@every
def test_noise_of_the_wrong_size_is_refused(env):
    state, action = env.start(uniform(5, env.start_noise)), random_actions(env, 5)
    with pytest.raises(UsageError, match=rf"u=\(5, {env.start_noise + 1}\): expected .* ends with {env.start_noise}$"):
        env.start(uniform(5, env.start_noise + 1))
    with pytest.raises(UsageError, match=rf"u=\(5, {env.step_noise + 2}\): expected"):
        env.step(state, action, uniform(5, env.step_noise + 2))


def test_batches_that_do_not_fit_are_refused():
    env = CartPole()
    state = env.start(uniform(5, 4))
    with pytest.raises(jaxtyping.TypeCheckError):
        env.step(state, torch.zeros(4, dtype=torch.long), uniform(5, 4))
    with pytest.raises(jaxtyping.TypeCheckError):
        env.step(state, torch.zeros(5, dtype=torch.long), uniform(4, 4))


def test_actions_are_checked_where_it_is_asked_for():
    env = BernoulliBandit(arms=3)
    check_action(env, torch.tensor([[0, 2], [1, 1]]))
    check_action(env, torch.tensor(2))
    for wrong in (3, -1):
        with pytest.raises(UsageError, match=f"action={wrong}: expected 0 to 2"):
            check_action(env, torch.tensor([0, wrong, 1]))
    with pytest.raises(UsageError, match="action=torch.float32: expected an integer type"):
        check_action(env, torch.zeros(2))
    with pytest.raises(UsageError, match="action=torch.bool"):
        check_action(env, torch.zeros(2, dtype=torch.bool))


def test_continuous_actions_are_checked_where_it_is_asked_for():
    env = CartUp()
    check_action(env, torch.tensor([[0.5], [-1.0]]))
    for wrong in (1.5, -1.25, float("nan")):
        with pytest.raises(UsageError, match=f"action={wrong:.4}.*: expected entries from -1 to 1"):
            check_action(env, torch.tensor([[0.0], [wrong]]))
    with pytest.raises(UsageError, match=r"action=\(2,\): expected a shape that ends with 1"):
        check_action(env, torch.zeros(2))
    with pytest.raises(UsageError, match="action=torch.int64: expected a floating-point type"):
        check_action(env, torch.zeros(2, 1, dtype=torch.long))


@pytest.mark.parametrize("wrong", [0.0, 1.0, -0.5, float("nan"), float("inf")])
def test_noise_is_checked_where_it_is_asked_for(wrong):
    u = torch.full((2, 3), 0.5)
    check_noise("u", u, 3)
    u[1, 2] = wrong
    with pytest.raises(UsageError, match=rf"u={wrong}: expected uniforms in \(0, 1\)"):
        check_noise("u", u, 3)
    with pytest.raises(UsageError, match="u=torch.int64: expected a floating-point type"):
        check_noise("u", torch.ones(2, 3, dtype=torch.long), 3)


def test_a_checked_environment_is_the_same_and_refuses():
    env, checked = CartPole(), Checked(CartPole())
    assert torch.equal(random_lives(env, 30, 4).observations, random_lives(checked, 30, 4).observations)
    state, u = checked.start(uniform(4, 4)), uniform(4, 4)
    with pytest.raises(UsageError, match="action=2: expected 0 to 1"):
        checked.step(state, torch.tensor([0, 1, 2, 0]), u)
    with pytest.raises(UsageError, match="u=nan"):
        checked.step(state, torch.zeros(4, dtype=torch.long), u * float("nan"))
    with pytest.raises(UsageError, match="u=1"):
        checked.start(u + 1)


def test_environments_by_name():
    assert environment("cartpole", episode=9) == CartPole(episode=9)
    assert environment("bandit", arms=4) == BernoulliBandit(arms=4)
    with pytest.raises(UsageError, match="did you mean 'cartpole'"):
        environment("cartpol")
    with pytest.raises(UsageError, match="option='arm': expected one of arms, family, bias .did you mean 'arms'"):
        environment("bandit", arm=3)
    with pytest.raises(UsageError, match="size=1"):
        environment("heart-grid", size=1)
    assert environment("lock", horizon=7) == Lock(horizon=7)
    levels = key_corridor(2, torch.Generator().manual_seed(0))
    assert environment("minigrid", levels=levels, max_steps=9).max_steps == 9
    with pytest.raises(UsageError, match="option='rows': expected one of levels, max_steps"):  # it is no option
        environment("minigrid", levels=levels, max_steps=9, rows=3)


def test_environments_of_control_by_name():
    assert control_environment("pend", gravity=15.0) == Pend(gravity=15.0)
    with pytest.raises(UsageError, match="did you mean 'cartup'"):
        control_environment("cartpole")
    with pytest.raises(UsageError, match="option='torqe': expected one of .*did you mean 'torque'"):
        control_environment("pend", torqe=1.0)


def test_every_environment_has_a_name_and_every_public_one_is_tried():
    protocols = (envs.Environment, ControlEnvironment)
    classes = {c for _, c in inspect.getmembers(envs, inspect.isclass) if hasattr(c, "step") and c not in protocols}
    plain = {c for c in classes if not issubclass(c, Wrapper)}
    assert plain == {*BY_NAME.values(), *CONTROL.values()}
    tried = {type(env) for env in EVERY}
    assert classes - tried == {Wrapper, Checked}
    assert DarkRoom in tried
    assert set(envs.__all__) >= {c.__name__ for c in classes}
