"""ButtonGrid beside a plain re-write with lists, and the shortest way to all its buttons."""

from collections import deque

import pytest
import torch
from lives import live, uniform
from mbrl_plain import generator, seen_of, walk

from tutorlib.papers.mbrl.exact import button_steps
from tutorlib.papers.mbrl.problem import ButtonGrid, ButtonState, distinct_cells


def buttons_of(u, cells):
    """Return different cells, by lists."""
    left = list(range(cells))
    return [left.pop(int(x * len(left))) for x in u]


@pytest.mark.parametrize(("size", "m"), [(2, 1), (3, 2), (4, 3)])
def test_the_buttons_are_the_plain_game(size, m):
    env = ButtonGrid(size, m, chance=0.05)
    actions, start = torch.randint(5, (150, 6), generator=generator()), uniform(6, 1 + m)
    noise = uniform(150, 6, 2 + m, seed=1)
    lives = live(env, actions, start, noise)
    paid = 0
    for i in range(6):
        agent = int(start[i, 0] * size**2)
        button, on = buttons_of(start[i, 1:].tolist(), size**2), m * [False]
        for t in range(150):
            shown = seen_of(lives.observations[t, i], 3)
            lit = sorted(b for b, x in zip(button, on, strict=True) if x)
            dark = sorted(b for b, x in zip(button, on, strict=True) if not x)
            assert shown == [[agent], lit, dark]
            u, success = noise[t, i].tolist(), all(on)
            assert float(lives.rewards[t, i]) == success
            paid += success
            before, agent = agent, walk(agent, int(actions[t, i]), size)
            if agent != before and agent in button:
                on[button.index(agent)] ^= True
            if u[0] < 0.05:
                on = m * [True]
            if success:
                agent, button, on = int(u[1] * size**2), buttons_of(u[2:], size**2), m * [False]
    assert paid > 20
    assert not lives.ended.any()


def press(env, state, *actions):
    """Return the states and rewards after actions, with no event."""
    states, rewards = [], []
    for action in actions:
        state, reward, _ = env.step(state, torch.tensor(action), torch.full((env.step_noise,), 0.99))
        states.append(state)
        rewards.append(float(reward))
    return states, rewards


def test_a_button_is_toggled_by_those_who_enter():
    env = ButtonGrid(3, 2)
    state = ButtonState(torch.tensor(1), torch.tensor([0, 8]), torch.tensor([False, False]))
    # Left onto the button, bump into the border twice, stay; right, off it; left again.
    states, rewards = press(env, state, 2, 2, 1, 0, 4, 2)
    assert [bool(s.on[0]) for s in states] == [True, True, True, True, True, False]
    assert not any(bool(s.on[1]) for s in states)
    assert sum(rewards) == 0


def test_success_pays_one_step_late_and_begins_anew():
    env = ButtonGrid(3, 1)
    state = ButtonState(torch.tensor(1), torch.tensor([0]), torch.tensor([False]))
    (on, new), rewards = press(env, state, 2, 4)
    assert bool(on.on[0])
    assert rewards == [0, 1]
    assert not new.on.any()
    assert [int(new.agent), int(new.button[0])] == [8, 8], "where the uniforms say, not where the move led"


def test_buttons_lie_in_every_arrangement_alike():
    found = distinct_cells(uniform(24_000, 3), 4)
    places, counts = found.unique(dim=0, return_counts=True)
    assert len(places) == 24, "4 x 3 x 2 arrangements"
    assert ((counts - 1000) ** 2 / 1000.0).sum() < 52, "chi-square with 23 degrees of freedom, p > 0.0005"


def plain_button_steps(size, agent, button, on):
    """Breadth-first search, by hand."""
    begin = (agent, tuple(on))
    queue, steps = deque([begin]), {begin: 0}
    while queue:
        agent, on = queue.popleft()
        if all(on):
            return steps[agent, on]
        for a in range(5):
            cell = walk(agent, a, size)
            after = tuple(x ^ (cell != agent and b == cell) for b, x in zip(button, on, strict=True))
            if (cell, after) not in steps:
                steps[cell, after] = steps[agent, on] + 1
                queue.append((cell, after))
    return None


def test_the_way_to_all_buttons_is_the_shortest():
    for size, m in ((2, 2), (3, 3), (5, 1)):
        env = ButtonGrid(size, m)
        state = env.start(uniform(30, 1 + m, seed=size))
        state = state._replace(on=uniform(30, m, seed=9) < 0.4)
        found = button_steps(env, state).tolist()
        plain = [plain_button_steps(size, *(part[i].tolist() for part in state)) for i in range(30)]
        assert found == plain
        assert 0 in found
    two = ButtonGrid(3, 2)
    assert abs(float(button_steps(two, two.start(uniform(4000, 3))).double().mean()) - 3.5) < 0.1
    three = ButtonGrid(4, 3)
    assert abs(float(button_steps(three, three.start(uniform(1000, 4))).double().mean()) - 6.0) < 0.25
