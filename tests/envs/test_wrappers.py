"""Wrappers: the world inside stays what it was, and what is shown can be turned back."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lives import live, random_lives, uniform

from tutorlib.envs import (
    Acrobot,
    BernoulliBandit,
    CartPole,
    ContextualBandit,
    Duplicated,
    HeartGrid,
    MountainCar,
    Padded,
    Permuted,
    Projected,
    Reordered,
    Rewarded,
    SignFlipped,
)
from tutorlib.lab import UsageError

FEW = settings(max_examples=25, deadline=None)
INSIDE = (CartPole(episode=6), Acrobot(), MountainCar(), HeartGrid(size=2), ContextualBandit(3, 4, shuffled=True))


def play(env, agent, start, noise, gumbel):
    """Return rewards and actions of the agent a = argmax(agent(o) + gumbel)."""
    state, rewards, actions = env.start(start), [], []
    for u, g in zip(noise, gumbel, strict=True):
        action = (agent(env.observe(state)) + g).argmax(-1)
        state, reward, _ = env.step(state, action, u)
        rewards.append(reward)
        actions.append(action)
    return torch.stack(rewards), torch.stack(actions)


@pytest.mark.parametrize("env", [CartPole(), Acrobot(), ContextualBandit(4, 4), HeartGrid(size=3)], ids=str)
def test_a_permuted_agent_lives_the_same_life_in_a_permuted_environment(env):
    """Permute observations, actions and the noise of sampling, and nothing has changed: 'symla-idea-induction'."""
    lives, steps = 20, 40
    hidden = Permuted(env)
    start = uniform(lives, hidden.start_noise, dtype=torch.float64)
    noise = uniform(steps, lives, env.step_noise, seed=1, dtype=torch.float64)
    gumbel = -(-uniform(steps, lives, env.actions, seed=2, dtype=torch.float64).log()).log()
    w = torch.randn(env.observations, env.actions, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    inside = play(env, lambda o: o.double() @ w, start[:, : env.start_noise], noise, gumbel)

    orders = hidden.start(start)
    p, q = orders.observation, orders.action
    # Weights and noise in the order in which each life shows things: w'[i, b] = w[p_i, q_b], g'_b = g_{q_b}.
    shown = w[p.unsqueeze(-1), q.unsqueeze(-2)]
    moved = gumbel.gather(-1, q.expand_as(gumbel))
    outside = play(hidden, lambda o: (o.double().unsqueeze(-2) @ shown).squeeze(-2), start, noise, moved)
    assert torch.equal(outside[0], inside[0])
    assert torch.equal(q.expand(steps, -1, -1).gather(-1, outside[1].unsqueeze(-1)).squeeze(-1), inside[1])
    assert not torch.equal(outside[1], inside[1]), "the actions have other names"
    unmoved = play(hidden, lambda o: (o.double().unsqueeze(-2) @ shown).squeeze(-2), start, noise, gumbel)
    assert not torch.equal(unmoved[1], outside[1]), "with other noise it is another life"


def test_all_permutations_are_equally_likely_and_independent():
    env = Permuted(ContextualBandit(3, 3))
    state = env.start(uniform(36_000, env.start_noise))
    pairs, counts = torch.cat([state.observation, state.action], dim=-1).unique(dim=0, return_counts=True)
    assert len(pairs) == 36
    assert torch.equal(state.action.sort(-1).values, torch.arange(3).expand(36_000, 3))
    assert ((counts - 1000) ** 2 / 1000.0).sum() < 70, "chi-square with 35 degrees of freedom, p > 0.0004"


@pytest.mark.parametrize(("observations", "actions"), [(True, False), (False, True)])
def test_one_side_can_be_left_as_it_is(observations, actions):
    inside = CartPole()
    env = Permuted(inside, shuffle_observations=observations, shuffle_actions=actions)
    assert env.start_noise == 4 + (4 if observations else 2)
    state = env.start(uniform(500, env.start_noise))
    identity = [torch.arange(4).expand(500, 4), torch.arange(2).expand(500, 2)]
    assert torch.equal(state.observation, identity[0]) != observations
    assert torch.equal(state.action, identity[1]) != actions


def test_a_permutation_in_the_middle_of_life():
    inside, steps, at = CartPole(episode=3), 12, 5
    env = Permuted(inside, at=at)
    actions = torch.randint(2, (steps, 60), generator=torch.Generator().manual_seed(0))
    start, noise = uniform(60, env.start_noise), uniform(steps, 60, 4, seed=1)
    lives = live(env, actions, start, noise)
    p, q = lives.states[0].observation, lives.states[0].action
    # Inside, the actions from step ``at`` on are other ones; episodes end on the way and change nothing about that.
    meant = torch.cat([actions[:at], q.expand(steps - at, -1, -1).gather(-1, actions[at:].unsqueeze(-1)).squeeze(-1)])
    expected = live(inside, meant, start[:, :4], noise)
    assert torch.equal(lives.rewards, expected.rewards)
    assert torch.equal(lives.ended, expected.ended)
    assert torch.equal(lives.observations[:at], expected.observations[:at])
    turned = expected.observations.gather(-1, p.expand(steps + 1, -1, -1))
    assert torch.equal(lives.observations[at:], turned[at:])
    assert not torch.equal(turned[at:], expected.observations[at:])


orders = st.sampled_from(INSIDE).flatmap(
    lambda env: st.tuples(
        st.just(env), st.permutations(range(env.observations)), st.permutations(range(env.actions)), st.integers(0, 999)
    )
)


def inverse(order):
    return tuple(sorted(range(len(order)), key=order.__getitem__))


@FEW
@given(orders)
def test_reordering_back_is_no_change(drawn):
    env, p, q, seed = drawn
    there = Reordered(env, tuple(p), tuple(q))
    back = Reordered(there, inverse(p), inverse(q))
    plain, both = random_lives(env, 8, 3, seed=seed), random_lives(back, 8, 3, seed=seed)
    assert torch.equal(both.observations, plain.observations)
    assert torch.equal(both.rewards, plain.rewards)
    # One way alone: entry i shows entry p_i, action a does action q_a.
    actions = torch.randint(env.actions, (8, 3), generator=torch.Generator().manual_seed(seed))
    noise = (uniform(3, env.start_noise), uniform(8, 3, env.step_noise, seed=1))
    shown, inside = live(there, actions, *noise), live(env, torch.tensor(q)[actions], *noise)
    assert torch.equal(shown.observations, inside.observations[..., list(p)])
    assert torch.equal(shown.rewards, inside.rewards)


@FEW
@given(st.sampled_from(INSIDE), st.integers(0, 999))
def test_what_is_drawn_for_a_lifetime_can_be_turned_back(env, seed):
    actions = torch.randint(env.actions, (6, 4), generator=torch.Generator().manual_seed(seed))
    noise = uniform(6, 4, env.step_noise, seed=seed)

    def lives(outer, actions=actions):
        start = uniform(4, outer.start_noise, seed=seed)
        return live(outer, actions, start, noise), live(env, actions, start[:, : env.start_noise], noise)

    shown, plain = lives(Permuted(env, shuffle_actions=False))
    back = shown.states[0].observation.argsort(-1).expand(7, -1, -1)
    assert torch.equal(shown.observations.gather(-1, back), plain.observations)
    shown, plain = lives(Projected(env))
    back = torch.einsum("nij,tni->tnj", shown.states[0].matrix, shown.observations)
    assert torch.allclose(back, plain.observations, atol=1e-5)
    assert torch.equal(shown.rewards, plain.rewards)
    shown, plain = lives(SignFlipped(env))
    assert torch.equal(shown.states[0].sign * shown.observations, plain.observations)
    assert torch.equal(shown.rewards, plain.rewards)


@FEW
@given(
    st.sampled_from(INSIDE),
    st.floats(0.1, 10) | st.floats(-10, -0.1),
    st.floats(-5, 5),
    st.integers(1, 4),
    st.integers(0, 5),
)
def test_what_is_added_can_be_taken_away(env, scale, shift, copies, zeros):
    plain = random_lives(env, 6, 3)
    scaled = random_lives(Rewarded(env, scale, shift), 6, 3)
    assert torch.allclose(scaled.rewards, scale * plain.rewards + shift, atol=1e-5)
    back = random_lives(Rewarded(Rewarded(env, scale, shift), 1 / scale, -shift / scale), 6, 3)
    assert torch.allclose(back.rewards, plain.rewards, atol=1e-4)
    n = env.observations
    many = random_lives(Duplicated(env, copies), 6, 3).observations
    assert many.shape[-1] == copies * n
    assert all(torch.equal(part, plain.observations) for part in many.split(n, dim=-1))
    padded = random_lives(Padded(env, zeros), 6, 3).observations
    assert padded.shape[-1] == n + zeros
    assert torch.equal(padded[..., :n], plain.observations)
    assert (padded[..., n:] == 0).all()


def test_projections_are_orthogonal_and_uniform():
    env = Projected(CartPole())
    n, lives = env.observations, 6000
    q = env.start(uniform(lives, env.start_noise)).matrix.double()
    assert torch.allclose(q @ q.mT, torch.eye(n, dtype=torch.float64).expand(lives, n, n), atol=1e-5)
    # Entries of a uniform orthogonal matrix: mean 0, E x^2 = 1 / n, E x^4 = 3 / (n (n + 2)).
    for power, moment in ((1, 0.0), (2, 1 / n), (3, 0.0), (4, 3 / (n * (n + 2)))):
        found = (q**power).mean(0)
        assert (found - moment).abs().max() < 4.5 * float((q**power).std()) / math.sqrt(lives), power
    rotations = (torch.linalg.det(q) > 0).double().mean()
    assert abs(rotations - 0.5) < 4 * 0.5 / math.sqrt(lives), "half of them turn, half reflect"


def test_signs_are_fair_and_independent():
    env = SignFlipped(MountainCar())
    sign = env.start(uniform(8000, env.start_noise)).sign
    counts = sign.unique(dim=0, return_counts=True)[1]
    assert len(counts) == 4
    assert ((counts - 2000) ** 2 / 2000.0).sum() < 18, "chi-square with 3 degrees of freedom, p > 0.0004"


def test_rewards_can_be_centred_and_swapped():
    plain = random_lives(BernoulliBandit(), 30, 20).rewards
    assert torch.equal(random_lives(Rewarded(BernoulliBandit(), 2.0, -1.0), 30, 20).rewards, 2 * plain - 1)
    swapped = random_lives(HeartGrid(size=3, swapped=True), 30, 20).rewards
    assert torch.equal(random_lives(Rewarded(HeartGrid(size=3), -1.0), 30, 20).rewards, swapped)


def test_wrappers_nest_in_any_order():
    wrappers = (Permuted, Projected, SignFlipped, Duplicated, Padded, Rewarded)
    plain = random_lives(CartPole(episode=5), 12, 3, seed=4)
    for first, second in itertools.product(wrappers, repeat=2):
        env = second(first(CartPole(episode=5)))
        lives = random_lives(env, 12, 3, seed=4)
        assert lives.observations.shape[-1] == env.observations
        assert torch.equal(lives.ended[4::5], plain.ended[4::5])
    twice = Permuted(Permuted(CartPole()), at=2)
    state = twice.start(uniform(3, twice.start_noise))
    assert twice.start_noise == 4 + 6 + 6
    assert not torch.equal(state.observation, state.inner.observation), "each draws its own"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda e: Permuted(e, shuffle_observations=False, shuffle_actions=False), "shuffle_actions=False: expected"),
        (lambda e: Permuted(e, at=-1), "at=-1: expected a whole number from 0"),
        (lambda e: Reordered(e, (0, 1, 2)), r"observation_order=\(0, 1, 2\): expected a permutation of 0..3"),
        (lambda e: Reordered(e, (0, 1, 2, 2)), "observation_order=.*expected a permutation"),
        (lambda e: Reordered(e, None, (1, 2)), r"action_order=\(1, 2\): expected a permutation of 0..1"),
        (lambda e: Duplicated(e, copies=0), "copies=0: expected a whole number from 1"),
        (lambda e: Padded(e, zeros=-1), "zeros=-1: expected a whole number from 0"),
        (lambda e: Rewarded(e, scale=float("nan")), "scale=nan: expected a finite number"),
        (lambda e: Rewarded(e, shift=float("inf")), "shift=inf: expected a finite number"),
    ],
)
def test_wrappers_that_cannot_be(make, message):
    with pytest.raises(UsageError, match=message):
        make(CartPole())
