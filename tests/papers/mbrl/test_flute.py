"""PanFlute beside a plain re-write with lists, and the known exact values of its patterns."""

import math
from itertools import product

import pytest
import torch
from lives import live, random_lives, uniform
from mbrl_plain import generator

from tutorlib.papers.mbrl.exact import flute_patterns, flute_reachable, flute_values, pattern_number
from tutorlib.papers.mbrl.problem import PanFlute


def play(pipes, action, event):
    """Return pipes, a list of lists, after a step, and the reward."""
    reward = float(all(pipe[-1] for pipe in pipes))
    after = [[int(i == action), *pipe[:-1]] for i, pipe in enumerate(pipes)]
    if event:
        for pipe in after:
            pipe[-1] = 1
    return after, reward


@pytest.mark.parametrize("n", [2, 3, 5])
def test_the_flute_is_the_plain_game(n):
    env = PanFlute(n)
    assert (env.observations, env.actions) == (n * (n + 1) // 2, n)
    actions, noise = torch.randint(n, (120, 6), generator=generator()), uniform(120, 6, 1, seed=1)
    lives = live(env, actions, uniform(6, 0), noise)
    paid = 0
    for i in range(6):
        pipes = [(j + 1) * [0] for j in range(n)]
        for t in range(120):
            assert lives.observations[t, i].tolist() == [x for pipe in pipes for x in pipe]
            pipes, reward = play(pipes, int(actions[t, i]), float(noise[t, i, 0]) < 1 / n**2)
            assert float(lives.rewards[t, i]) == reward
            paid += reward
    assert paid > 5
    assert not lives.ended.any()
    outside = ~torch.ones(n, n).tril().bool()
    assert not any(state.cells[..., outside].any() for state in lives.states)


def test_a_chord_pays_one_step_after_its_last_press():
    env = PanFlute(3, chance=0.0)
    state, rewards = env.start(uniform(0)), []
    for action in (2, 1, 0, 1, 1):
        state, reward, _ = env.step(state, torch.tensor(action), uniform(1))
        rewards.append(float(reward))
    assert rewards == [0, 0, 0, 1, 0]


@pytest.mark.parametrize("n", [4, 5])
def test_cycling_pays_what_is_known(n):
    """1/n + 1/n^2 - 1/n^3 in each step."""
    env, total = PanFlute(n), 0.0
    state = env.start(uniform(4000, 0))
    for t in range(100):
        state, reward, _ = env.step(state, torch.full((4000,), n - 1 - t % n), uniform(4000, 1, seed=t))
        total += float(reward.mean()) if t >= n else 0.0
    assert abs(total / (100 - n) - (1 / n + 1 / n**2 - 1 / n**3)) < 0.004


@pytest.mark.parametrize(("n", "empty", "largest"), [(3, 3.391, 4.952), (4, 2.351, 4.016)])
def test_the_known_values_of_flutes(n, empty, largest):
    q = flute_values(PanFlute(n), 0.9)
    v = q.amax(dim=-1)
    assert q.shape == (2 ** (n * (n + 1) // 2), n)
    assert round(float(v[0]), 3) == empty
    assert round(float(v.max()), 3) == largest
    assert float(v.min()) == float(v[0])
    assert int(q[0].argmax()) == n - 1


def test_more_known_values_of_the_flute_with_four_pipes():
    env = PanFlute(4)
    q, reachable = flute_values(env, 0.9), flute_reachable(env)
    assert len(q) == 1024
    assert int(reachable.sum()) == 120
    assert [round(x, 3) for x in q[0].tolist()] == [2.172, 2.172, 2.172, 2.351]
    assert round(float(q.square().mean().sqrt()), 2) == 2.41
    assert round(float(q[reachable].square().mean().sqrt()), 2) == 2.49


def test_flute_values_are_those_of_plain_value_iteration():
    """With pipes as lists, a dictionary of values, and another discount and chance."""
    env = PanFlute(2, chance=0.3)
    q = flute_values(env, 0.7)
    states = [((a,), (b, c)) for a, b, c in product((0, 1), repeat=3)]
    v = dict.fromkeys(states, 0.0)
    for _ in range(100):
        plain = {}
        for s, a in product(states, (0, 1)):
            total = 0.0
            for event, p in ((False, 0.7), (True, 0.3)):
                after, reward = play([list(pipe) for pipe in s], a, event)
                total += p * (reward + 0.7 * v[tuple(map(tuple, after))])
            plain[s, a] = total
        v = {s: max(plain[s, 0], plain[s, 1]) for s in states}
    for s in states:
        number = sum(x << j for j, x in enumerate(x for pipe in s for x in pipe))
        assert q[number].tolist() == pytest.approx([plain[s, 0], plain[s, 1]], abs=1e-9)


def test_reachable_patterns_are_those_that_are_met():
    for n in (3, 4):
        quiet = flute_reachable(PanFlute(n, chance=0.0))
        assert int(quiet.sum()) == n * math.factorial(n) + 1, "the empty flute is met once, before the first press"
        assert quiet[0]
    env = PanFlute(3)
    met = pattern_number(random_lives(env, 300, 40).observations).unique()
    assert torch.equal(met, flute_reachable(env).nonzero().flatten())


def test_patterns_are_numbered():
    every_pattern = flute_patterns(3)
    assert every_pattern[5].tolist() == [1, 0, 1, 0, 0, 0]
    assert torch.equal(pattern_number(every_pattern), torch.arange(64))
    env = PanFlute(3)
    assert torch.equal(env.observe(env.with_cells(every_pattern)), every_pattern)
