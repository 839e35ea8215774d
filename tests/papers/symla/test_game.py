"""The game of the bandit explorer: each player against a plain re-write, Thompson sampling against its posterior."""

import math

import pytest
import torch
from scipy import stats

from tutorlib.data.counter import words
from tutorlib.envs.bandits import BernoulliBandit
from tutorlib.lab import UsageError
from tutorlib.papers.symla.game import (
    RANGES,
    STREAMS,
    Memory,
    beta_draws,
    drawn,
    numbered,
    play,
    symla,
    thompson,
    ucb1,
    uniform,
)
from tutorlib.papers.symla.model import SymLA

BANDITS = [3, 70, 999_999]
PULLS = 30


def of(bandit, use, t, n):
    """Uniforms of a numbered bandit as Python numbers."""
    found = words(bandit, STREAMS[use], torch.tensor(t), n)
    return [((word >> 9) + 0.5) / 2**23 for word in found.tolist()]


def lived(bandit, arms, player):
    """A life on a bandit with uniform arms, pull by pull; ``player(t, actions, rewards)`` names the next arm."""
    p = of(bandit, "arms", 0, 1 + arms)[1:]
    actions, rewards, regret = [], [], []
    for t in range(PULLS):
        a = player(t, actions, rewards)
        actions.append(a)
        rewards.append(float(of(bandit, "rewards", t, 1)[0] < p[a]))
        regret.append((regret[-1] if regret else 0.0) + max(p) - p[a])
    return p, actions, rewards, regret


def assert_lived(course, arms, players):
    """Hold a course of ``BANDITS`` against plain lives."""
    for i, (bandit, player) in enumerate(zip(BANDITS, players, strict=True)):
        p, actions, rewards, regret = lived(bandit, arms, player)
        assert course.p[i].tolist() == p
        assert course.actions[i].tolist() == actions
        assert course.rewards[i].tolist() == rewards
        assert course.regret[i].tolist() == pytest.approx(regret)
    assert len({tuple(row) for row in course.actions.tolist()}) > 1 or arms == 1


def counts(arms, actions, rewards):
    """Wins and pulls of each arm."""
    wins = [sum(r for a, r in zip(actions, rewards, strict=True) if a == b) for b in range(arms)]
    return wins, [actions.count(b) for b in range(arms)]


def largest(values):
    return max(range(len(values)), key=values.__getitem__)


class PlainSymLA:
    """SymLA with loops over sub-RNNs: 'symla-idea-update' for one row, number by number."""

    def __init__(self, theta, arms, bandit, h=16, m=8):
        self.arms, self.bandit, self.H, self.M = arms, bandit, h, m
        sizes = {"w_m": (m, 4 * h), "w_b": (m, 4 * h), "w_F": (m, 4 * h), "w_B": (m, 4 * h), "w_r": (1, 4 * h)}
        sizes |= {"w_h": (h, 4 * h), "beta": (4 * h,), "v_F": (h, m), "o_F": (m,), "v_B": (h, m), "o_B": (m,)}
        start = 0
        for name, size in sizes.items():
            setattr(self, name, theta[start : start + math.prod(size)].view(size))
            start += math.prod(size)
        assert start == len(theta) == 3472
        self.h, self.c = ([torch.zeros(h, dtype=theta.dtype) for _ in range(arms)] for _ in range(2))
        self.forward = [torch.zeros(m, dtype=theta.dtype) for _ in range(arms)]
        self.backward = torch.zeros(m, dtype=theta.dtype)

    def __call__(self, t, actions, rewards):
        a, r = (actions[-1], rewards[-1]) if t else (None, 0.0)
        for _ in range(2):
            before = list(self.forward)
            for b in range(self.arms):
                z = self.w_m[0] + r * self.w_r[0] + self.backward @ self.w_B + self.beta
                z = z + before[b] @ self.w_F + self.h[b] @ self.w_h + (self.w_b[0] if b == a else 0)
                i, g, f, o = z.chunk(4)
                self.c[b] = (f + 1).sigmoid() * self.c[b] + (i - 1).sigmoid() * g.tanh()
                self.h[b] = o.sigmoid() * self.c[b].tanh()
                self.forward[b] = self.h[b] @ self.v_F + self.o_F
            self.backward = sum(h @ self.v_B + self.o_B for h in self.h) / self.arms
        gumbel = [-math.log(-math.log(u)) for u in of(self.bandit, "symla", t, self.arms)]
        return largest([10 * float(m[0]) + n for m, n in zip(self.forward, gumbel, strict=True)])


@pytest.mark.parametrize("arms", [2, 5])
def test_symla_is_the_plain_one(arms):
    theta = 2 * SymLA(1, arms).initial_parameters(torch.Generator().manual_seed(1)).double()
    course = symla(theta, BernoulliBandit(arms), PULLS, numbered(torch.tensor(BANDITS)))
    assert_lived(course, arms, [PlainSymLA(theta, arms, bandit) for bandit in BANDITS])


def test_symla_takes_an_agent_of_the_environment_only():
    theta = SymLA(1, 3).initial_parameters(torch.Generator().manual_seed(0))
    draw = numbered(torch.tensor(BANDITS))
    other = SymLA(1, 3, self_messages=False)
    small = other.initial_parameters(torch.Generator().manual_seed(0))
    assert symla(small, BernoulliBandit(3), 5, draw, other).actions.shape == (3, 5)
    with pytest.raises(UsageError, match=r"agent=SymLA\(.*: expected 1 observation and 4 actions"):
        symla(theta, BernoulliBandit(4), 5, draw, SymLA(1, 3))
    with pytest.raises(UsageError, match="theta="):
        symla(theta[1:], BernoulliBandit(3), 5, draw)
    with pytest.raises(UsageError, match="pulls=0: expected at least 1"):
        symla(theta, BernoulliBandit(3), 0, draw)


@pytest.mark.parametrize("arms", [2, 5])
def test_thompson_is_the_plain_one(arms):
    def plain(bandit):
        def player(t, actions, rewards):
            wins, tries = counts(arms, actions, rewards)
            e = iter([-math.log(u) for u in of(bandit, "thompson", t, 2 * arms + t)])
            draws = []
            for won, n in zip(wins, tries, strict=True):
                above = sum(next(e) for _ in range(int(1 + won)))
                below = sum(next(e) for _ in range(int(1 + n - won)))
                draws.append(above / (above + below))
            assert next(e, None) is None  # all numbers are used
            return largest(draws)

        return player

    course = thompson(BernoulliBandit(arms), PULLS, numbered(torch.tensor(BANDITS)))
    assert_lived(course, arms, [plain(bandit) for bandit in BANDITS])


@pytest.mark.parametrize("arms", [2, 5])
def test_ucb1_is_the_plain_one(arms):
    def player(t, actions, rewards):
        if t < arms:
            return t
        pairs = zip(*counts(arms, actions, rewards), strict=True)
        return largest([won / n + math.sqrt(2 * math.log(t) / n) for won, n in pairs])

    assert_lived(ucb1(BernoulliBandit(arms), PULLS, numbered(torch.tensor(BANDITS))), arms, [player] * 3)


def test_random_pulls_are_the_plain_ones_and_uniform():
    players = [lambda t, _, __, bandit=bandit: int(5 * of(bandit, "random", t, 1)[0]) for bandit in BANDITS]
    assert_lived(uniform(BernoulliBandit(5), PULLS, numbered(torch.tensor(BANDITS))), 5, players)
    found = uniform(BernoulliBandit(5), 100, drawn(torch.Generator().manual_seed(0), 400)).actions
    assert stats.chisquare(found.flatten().bincount(minlength=5)).pvalue > 1e-3


@pytest.mark.parametrize(("won", "lost"), [(0, 0), (3, 1), (0, 12), (40, 30)])
def test_draws_have_the_law_of_the_posterior(won, lost):
    """Beta(1 + s, 1 + f) in the middle of three arms, whose neighbours do not disturb it."""
    lives = 4000
    wins = torch.tensor([5.0, won, 0.0], dtype=torch.float64).expand(lives, 3)
    tries = torch.tensor([9.0, won + lost, 2.0], dtype=torch.float64).expand(lives, 3)
    u = drawn(torch.Generator().manual_seed(won + lost), lives)("thompson", 0, 6 + 11 + won + lost)
    draws = beta_draws(wins, tries, -torch.log(u))
    assert stats.kstest(draws[:, 1], stats.beta(1 + won, 1 + lost).cdf).pvalue > 1e-3
    assert stats.kstest(draws[:, 2], stats.beta(1, 3).cdf).pvalue > 1e-3
    assert abs(float(torch.corrcoef(draws.T)[0, 1])) < 4 / math.sqrt(lives)


def test_thompson_pulls_an_arm_as_often_as_it_is_the_best_one_in_the_posterior():
    """After one pull that paid, the two draws are Beta(2, 1) and Beta(1, 1): the first is larger in 2 of 3 cases."""
    lives = 6000
    course = thompson(BernoulliBandit(2, "easy"), 2, drawn(torch.Generator().manual_seed(2), lives))
    again = (course.actions[:, 0] == course.actions[:, 1])[course.rewards[:, 0] == 1].double()
    other = (course.actions[:, 0] == course.actions[:, 1])[course.rewards[:, 0] == 0].double()
    assert float(again.mean()) == pytest.approx(2 / 3, abs=4 * 0.5 / math.sqrt(len(again)))
    assert float(other.mean()) == pytest.approx(1 / 3, abs=4 * 0.5 / math.sqrt(len(other)))


def test_regret_of_the_rivals_is_what_is_known_of_them():
    """Random pulls lose gap x pulls x share of bad arms; UCB1 and Thompson sampling ever less for each pull."""
    lives = 400

    def regrets(player):
        draw = drawn(torch.Generator().manual_seed(3), lives)
        return player(BernoulliBandit(4, "easy"), 200, draw).regret.mean(dim=0)

    lost = regrets(uniform)
    assert float(lost[-1]) == pytest.approx(0.8 * 200 * 3 / 4, abs=4 * 0.35 * math.sqrt(200 / lives))
    for player, bound in ((thompson, 12.0), (ucb1, 40.0)):
        course = regrets(player)
        assert 1.0 < float(course[-1]) < bound
        assert float(course[-1] - course[100]) < 0.5 * float(course[99])


def test_all_players_meet_the_same_luck():
    """Whoever plays a numbered bandit, pull t of arm b pays the same, and the bandit is that of the environment."""
    env, draw = BernoulliBandit(2), numbered(torch.arange(1, 21))
    first, second = uniform(env, 60, draw), ucb1(env, 60, draw)
    same = first.actions == second.actions
    assert 0.2 < float(same.double().mean()) < 0.9
    assert torch.equal(first.rewards[same], second.rewards[same])
    assert torch.equal(first.p, env.start(draw("arms", 0, 3)).p)
    assert torch.equal(first.p, second.p)


def test_numbered_lives_do_not_depend_on_each_other():
    env = BernoulliBandit(3)
    together = thompson(env, 20, numbered(torch.tensor(BANDITS)))
    alone = thompson(env, 20, numbered(torch.tensor(BANDITS[1:2])))
    assert torch.equal(together.actions[1], alone.actions[0])


def test_a_generator_makes_the_same_lives_again_and_other_ones_later():
    generator = torch.Generator().manual_seed(5)
    env = BernoulliBandit(3)
    one, two = (thompson(env, 20, drawn(generator, 8)) for _ in range(2))
    again = thompson(env, 20, drawn(torch.Generator().manual_seed(5), 8))
    assert torch.equal(one.actions, again.actions)
    assert not torch.equal(one.actions, two.actions)


def test_what_a_player_knows_is_what_happened():
    """Memory before each pull, held against the course."""
    seen: list[Memory] = []

    def player(memory):
        seen.append(memory)
        return torch.tensor([memory.t % 3, 1])

    course = play(BernoulliBandit(3, "hard"), 9, numbered(torch.tensor([1, 2])), player)
    assert seen[0].chosen.sum() == seen[0].reward.sum() == seen[0].tries.sum() == 0
    for t, memory in enumerate(seen[1:], start=1):
        assert memory.t == t
        assert memory.chosen.argmax(dim=-1).tolist() == course.actions[:, t - 1].tolist()
        assert torch.equal(memory.reward, course.rewards[:, t - 1])
        for life in range(2):
            wins, tries = counts(3, course.actions[life, :t].tolist(), course.rewards[life, :t].tolist())
            assert memory.wins[life].tolist() == wins
            assert memory.tries[life].tolist() == tries
    assert 0 < course.rewards.sum() < 18


@pytest.mark.parametrize("family", RANGES)
def test_ranges_are_those_of_the_environment(family):
    """What the explorer draws from the ranges is the environment's bandit."""
    draw = numbered(torch.arange(1, 200))
    u = draw("arms", 0, 5)
    good = (4 * u[:, :1]).long() == torch.arange(4)
    low, high = torch.tensor(RANGES[family], dtype=torch.float64).T
    which = torch.where(good, 0, 1)
    expected = low[which] + (high - low)[which] * u[:, 1:]
    assert torch.allclose(BernoulliBandit(4, family).start(u).p, expected, atol=1e-7)


def test_uses_have_streams_of_their_own():
    draw = numbered(torch.tensor([4]))
    found = {use: tuple(draw(use, 3, 4)[0].tolist()) for use in STREAMS}
    assert len(set(found.values())) == len(STREAMS) == 5
    assert found["symla"] == tuple(of(4, "symla", 3, 4))
    with pytest.raises(UsageError, match=r"use='thomson': .*did you mean 'thompson'"):
        draw("thomson", 0, 1)
