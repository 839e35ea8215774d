"""Bandits: the laws of the families, pulls, the regret, and contexts."""

import math

import pytest
import torch
from lives import random_lives, uniform
from scipy import stats

from tutorlib.envs import BanditState, BernoulliBandit, ContextualBandit, OrderState, expected_regret
from tutorlib.lab import UsageError

N = 20_000


def arms(seed=0, **options):
    env = BernoulliBandit(**options)
    return env.start(uniform(N, env.start_noise, seed=seed)).p


def is_uniform(x, low, high):
    return stats.kstest(x.double().numpy(), "uniform", args=(low, high - low)).pvalue > 1e-3


def near(share, expected, count=N):
    """Return whether a share of ``count`` chances is within 4 standard errors of ``expected``."""
    return abs(float(share) - expected) <= 4 * math.sqrt(expected * (1 - expected) / count)


@pytest.mark.parametrize("n", [2, 3, 10])
def test_independent_arms_are_uniform_and_independent(n):
    p = arms(arms=n)
    assert p.shape == (N, n)
    assert all(is_uniform(column, 0, 1) for column in p.T)
    assert (torch.corrcoef(p.T) - torch.eye(n)).abs().max() < 4 / math.sqrt(N)


def test_dependent_arms_add_up_to_one():
    p = arms(family="dependent")
    assert is_uniform(p[:, 0], 0, 1)
    assert torch.allclose(p.sum(1), torch.ones(N))


@pytest.mark.parametrize(("family", "good", "rest"), [("easy", 0.9, 0.1), ("medium", 0.75, 0.25), ("hard", 0.6, 0.4)])
@pytest.mark.parametrize("n", [2, 5])
def test_one_arm_is_good_by_chance(family, good, rest, n):
    p = arms(family=family, arms=n)
    assert p.dtype == torch.float32
    values, counts = p.unique(return_counts=True)
    assert torch.allclose(values, torch.tensor([rest, good]))
    assert counts.tolist() == [N * (n - 1), N]
    for arm in range(n):
        assert near((p.argmax(1) == arm).double().mean(), 1 / n)


def test_biased_arms_and_flipped_ones():
    p = arms(family="biased")
    assert is_uniform(p[:, 0], 0.5, 1)
    assert is_uniform(p[:, 1], 0, 0.5)
    assert abs(torch.corrcoef(p.T)[0, 1]) < 4 / math.sqrt(N)
    q = arms(family="flipped")
    assert is_uniform(q[:, 0], 0, 0.5)
    assert is_uniform(q[:, 1], 0.5, 1)


@pytest.mark.parametrize("bias", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_the_bias_is_the_probability_that_the_first_arm_is_better(bias):
    p = arms(bias=bias)
    assert near((p[:, 0] > p[:, 1]).double().mean(), bias)
    # The pair itself is that of two independent uniform numbers: its larger one has the law x^2.
    assert stats.kstest(p.amax(1).double().numpy(), lambda x: x**2).pvalue > 1e-3
    assert stats.kstest(p.amin(1).double().numpy(), lambda x: 1 - (1 - x) ** 2).pvalue > 1e-3
    if bias == 0.5:
        assert is_uniform(p[:, 0], 0, 1)
        assert abs(torch.corrcoef(p.T)[0, 1]) < 4 / math.sqrt(N)


def test_pulls_pay_with_the_probability_of_their_arm():
    p = torch.tensor([0.05, 0.5, 0.8])
    state = BanditState(p.expand(3 * N, 3))
    action = torch.arange(3).repeat(N)
    env = BernoulliBandit(arms=3)
    after, reward, ended = env.step(state, action, uniform(3 * N, 1))
    assert after is state
    assert not ended.any()
    assert set(reward.unique().tolist()) == {0.0, 1.0}
    for arm in range(3):
        assert near(reward[action == arm].double().mean(), float(p[arm]))


def test_a_bandit_stays_for_the_lifetime_and_shows_nothing():
    lives = random_lives(BernoulliBandit(arms=4), 20, 6)
    assert all(torch.equal(state.p, lives.states[0].p) for state in lives.states)
    assert torch.equal(lives.observations, torch.ones(21, 6, 1))


# Expected regret of 50 random pulls: 50 E[max p - mean p].
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 50 / 6),
        ({"family": "dependent"}, 12.5),
        ({"family": "easy"}, 20.0),
        ({"family": "medium"}, 12.5),
        ({"family": "hard"}, 5.0),
        ({"family": "biased"}, 12.5),
        ({"family": "flipped"}, 12.5),
        ({"arms": 5}, 50 * (5 / 6 - 1 / 2)),
        ({"bias": 1.0}, 50 / 6),
    ],
    ids=str,
)
def test_the_regret_of_random_pulls(options, expected):
    env = BernoulliBandit(**options)
    state = env.start(uniform(4000, env.start_noise))
    action = torch.randint(env.actions, (4000, 50), generator=torch.Generator().manual_seed(0))
    regret = expected_regret(state, action).sum(-1)
    assert abs(regret.mean() - expected) < 4 * max(float(regret.std()), 0.1) / math.sqrt(4000)


def test_the_regret_is_max_p_less_p_of_the_action():
    p = uniform(2, 3, 4)
    action = torch.randint(4, (2, 3, 7), generator=torch.Generator().manual_seed(0))
    whole = expected_regret(BanditState(p), action)
    assert whole.shape == (2, 3, 7)
    for i in range(2):
        for j in range(3):
            for t in range(7):
                expected = max(p[i, j].tolist()) - float(p[i, j, action[i, j, t]])
                assert float(whole[i, j, t]) == pytest.approx(expected, abs=1e-6)
    assert torch.equal(expected_regret(BanditState(p), action[..., 2]), whole[..., 2])
    for wrong in (action[0, 0], action.unsqueeze(0)):
        with pytest.raises(UsageError, match=r"action=.*: expected the batch axes \(2, 3\)"):
            expected_regret(BanditState(p), wrong)


def test_the_regret_knows_permuted_arms():
    p, order = torch.tensor([[0.9, 0.2, 0.5]]), torch.tensor([[2, 0, 1]])  # shown: 0.5, 0.9, 0.2
    state = OrderState(BanditState(p), torch.zeros(1, 1, dtype=torch.long), order, torch.tensor([0]))
    regret = expected_regret(state, torch.tensor([[0, 1, 2]]))
    assert torch.allclose(regret, torch.tensor([[0.4, 0.0, 0.7]]))
    waiting = state._replace(wait=torch.tensor([3]))
    assert torch.allclose(expected_regret(waiting, torch.tensor([[0, 1, 2]])), torch.tensor([[0.0, 0.7, 0.4]]))


def test_contexts_with_the_identity():
    env = ContextualBandit(3, 5)
    lives = random_lives(env, 200, 50)
    context = lives.observations.argmax(-1)
    assert (lives.observations.sum(-1) == 1).all()
    counts = torch.bincount(context.flatten(), minlength=3).double() / context.numel()
    assert all(near(share, 1 / 3, context.numel()) for share in counts)
    right, wrong = (
        env.step(lives.states[4], context[4], uniform(50, 1)),
        env.step(lives.states[4], (context[4] + 1) % 5, uniform(50, 1)),
    )
    assert (right[1] == 1).all()
    assert (wrong[1] == -1).all()
    assert not lives.ended.any()


def test_shuffled_contexts_ask_for_every_choice_of_actions_alike():
    env = ContextualBandit(3, 4, shuffled=True)
    state = env.start(uniform(24_000, env.start_noise))
    maps, counts = state.correct.unique(dim=0, return_counts=True)
    assert len(maps) == 24, "4 x 3 x 2 maps to different actions"
    assert all(len(set(row.tolist())) == 3 for row in maps)
    assert ((counts - 1000) ** 2 / 1000.0).sum() < 52, "chi-square with 23 degrees of freedom, p > 0.0005"
    answer = state.correct.gather(1, state.context.unsqueeze(1)).squeeze(1)
    after, reward, _ = env.step(state, answer, uniform(24_000, 1))
    assert (reward == 1).all()
    assert torch.equal(after.correct, state.correct)
    assert (env.step(state, (answer + 1) % 4, uniform(24_000, 1))[1] == -1).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arms": 1}, "arms=1: expected a whole number from 2"),
        ({"arms": 0}, "arms=0"),
        ({"family": "esy"}, "family='esy'.*did you mean 'easy'"),
        ({"family": "dependent", "arms": 3}, "arms=3: expected 2 with family='dependent'"),
        ({"family": "biased", "arms": 3}, "arms=3: expected 2 with family='biased'"),
        ({"bias": 1.5}, "bias=1.5: expected a number from 0 to 1"),
        ({"bias": float("nan")}, "bias=nan"),
        ({"bias": 0.5, "arms": 3}, "bias=0.5: expected None, unless"),
        ({"bias": 0.5, "family": "easy"}, "bias=0.5: expected None, unless"),
    ],
    ids=str,
)
def test_bandits_that_cannot_be(options, message):
    with pytest.raises(UsageError, match=message):
        BernoulliBandit(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"contexts": 0}, "contexts=0: expected a whole number from 1"),
        ({"contexts": 4, "actions": 3}, "actions=3: expected a whole number from 4"),
        ({"contexts": 1, "actions": 1}, "actions=1: expected a whole number from 2"),
    ],
    ids=str,
)
def test_contextual_bandits_that_cannot_be(options, message):
    with pytest.raises(UsageError, match=message):
        ContextualBandit(**options)
