"""ProcMaze beside plain searches and a plain re-write with lists, its known statistics, and its exact values."""

import math
from collections import deque

import pytest
import torch
from lives import live, uniform
from mbrl_plain import bank, generator, seen_of, walk

from tutorlib.papers.mbrl.exact import maze_action_values, maze_distances, maze_values
from tutorlib.papers.mbrl.maze import ProcMaze, carve, maze_noise, open_cell


def plain_maze(u, size):
    """Randomised depth-first search with a list, on the same uniforms."""

    def beside(cell):
        return [other for a in range(1, 5) if (other := walk(cell, a, size)) != cell]

    visited = {int(u[0] * size**2)}
    stack = list(visited)
    t = 0
    while stack:
        t += 1
        current = stack.pop()
        fits = [c for c in beside(current) if c not in visited and [b for b in beside(c) if b in visited] == [current]]
        if fits:
            stack.append(current)
            chosen = fits[int(u[t] * len(fits))]
            visited.add(chosen)
            stack.append(chosen)
    return [cell not in visited for cell in range(size**2)]


@pytest.mark.parametrize("size", [2, 3, 4, 6])
def test_mazes_are_those_of_plain_search(size):
    u = uniform(25, maze_noise(size), seed=size)
    assert carve(u, size).tolist() == [plain_maze(row.tolist(), size) for row in u]
    assert torch.equal(carve(u.view(5, 5, -1), size).view(25, -1), carve(u, size))


def test_the_known_statistics_of_small_mazes():
    wall = bank(3, 20_000, seed=1)
    assert len(wall.unique(dim=0)) == 18
    assert abs(float((~wall).sum(dim=-1).double().mean()) - 6.7) < 0.06
    env = ProcMaze(3, wall)
    state = env.start(uniform(20_000, 3))
    distance = maze_distances(state.wall, state.goal).gather(-1, state.agent[:, None]).double()
    assert abs(float(distance.mean()) - 2.10) < 0.05
    best = maze_values(state.wall, state.goal, env.event, gamma=1.0).gather(-1, state.agent[:, None])
    assert abs(float(best.mean()) - -3.07) < 0.05


def test_the_known_statistics_of_larger_mazes():
    for size, cells, far, best in ((4, 11.5, 3.50, -4.43), (5, 17.2, 5.03, -5.94)):
        env = ProcMaze(size, bank(size, 4000, seed=size))
        state = env.start(uniform(4000, 3))
        assert abs(float((~state.wall).sum(dim=-1).double().mean()) - cells) < 0.1
        distance = maze_distances(state.wall, state.goal).gather(-1, state.agent[:, None]).double()
        assert abs(float(distance.mean()) - far) < 0.2
        v = maze_values(state.wall, state.goal, env.event, gamma=1.0).gather(-1, state.agent[:, None])
        assert abs(float(v.mean()) - best) < 0.2


def test_agent_and_goal_begin_in_every_open_cell_alike():
    wall = torch.tensor([False, True, False, False, True, True, False, True, True])
    where, counts = open_cell(uniform(12_000), wall.expand(12_000, 9)).unique(return_counts=True)
    assert where.tolist() == [0, 2, 3, 6]
    assert ((counts - 3000) ** 2 / 3000.0).sum() < 18, "chi-square with 3 degrees of freedom, p > 0.0005"
    last = torch.full((1,), 1 - 2.0**-24)
    assert open_cell(last, wall[None]).tolist() == [6]


@pytest.mark.parametrize("banked", [False, True])
def test_the_maze_is_the_plain_game(banked):
    size = 3
    mazes = bank(size, 7) if banked else None
    env = ProcMaze(size, mazes, chance=0.1)
    actions, start = torch.randint(5, (80, 6), generator=generator()), uniform(6, env.start_noise)
    noise = uniform(80, 6, env.step_noise, seed=1)
    lives = live(env, actions, start, noise)

    def begin(u):
        wall = mazes[int(u[2] * 7)].tolist() if banked else plain_maze(u[2:], size)
        cells = [cell for cell in range(9) if not wall[cell]]
        return wall, cells[int(u[0] * len(cells))], cells[int(u[1] * len(cells))]

    ends = 0
    for i in range(6):
        wall, agent, goal = begin(start[i].tolist())
        for t in range(80):
            walls, open_ = ([c for c in range(9) if wall[c] == w] for w in (True, False))
            assert seen_of(lives.observations[t, i], 4) == [[agent], [goal], walls, open_]
            u, ended = noise[t, i].tolist(), agent == goal
            assert float(lives.rewards[t, i]) == -1
            assert bool(lives.ended[t, i]) == ended
            ends += ended
            target = walk(agent, int(actions[t, i]), size)
            agent = agent if wall[target] else target
            agent = goal if u[0] < 0.1 else agent
            if ended:
                wall, agent, goal = begin(u[1:])
    assert ends > 30


def plain_distance(wall, agent, goal, size):
    queue, steps = deque([agent]), {agent: 0}
    while queue:
        cell = queue.popleft()
        for a in range(1, 5):
            other = walk(cell, a, size)
            if not wall[other] and other not in steps:
                steps[other] = steps[cell] + 1
                queue.append(other)
    return steps.get(goal, size**2)


def test_distances_are_those_of_breadth_first_search():
    env = ProcMaze(5, bank(5, 8))
    state = env.start(uniform(8, 3, seed=4))
    found = maze_distances(state.wall, state.goal)
    for i in range(8):
        wall, goal = state.wall[i].tolist(), int(state.goal[i])
        plain = [25 if wall[cell] else plain_distance(wall, cell, goal, 5) for cell in range(25)]
        assert found[i].tolist() == plain


def test_the_way_to_the_goal_returns_its_length_and_one_more():
    env = ProcMaze(4, bank(4, 50), chance=0.0)
    state = env.start(uniform(200, 3, seed=2))
    distance = maze_distances(state.wall, state.goal)
    begin = distance.gather(-1, state.agent[:, None]).squeeze(-1)
    v = maze_values(state.wall, state.goal, env.event, gamma=1.0).gather(-1, state.agent[:, None]).squeeze(-1)
    assert torch.equal(v, -(begin + 1).double())
    total, alive = torch.zeros(200), torch.ones(200)
    for t in range(int(begin.max()) + 1):
        action = maze_action_values(env, state, 1.0).argmax(dim=-1)
        state, reward, done = env.transition(state, action, uniform(200, 1, seed=t))
        total += alive * reward
        alive = alive * ~done
    assert alive.sum() == 0
    assert torch.equal(total, -(begin + 1).float())


def test_who_begins_on_the_goal_is_done_with_the_next_step():
    env = ProcMaze(3, bank(3, 5))
    state = env.start(uniform(9, 3))
    state = state._replace(agent=state.goal)
    for action in range(5):
        after, reward, ended = env.step(state, torch.full((9,), action), uniform(9, env.step_noise))
        assert ended.all()
        assert (reward == -1).all()
        assert (~after.wall).gather(-1, after.agent[:, None]).all()


def test_maze_values_solve_bellmans_equation():
    """With the chance of being put onto the goal, and the discount."""
    env = ProcMaze(4, bank(4, 30), chance=0.07)
    state = env.start(uniform(30, 3))
    v = maze_values(state.wall, state.goal, 0.07, 0.9)
    size = 4
    for i in range(30):
        wall, goal = state.wall[i].tolist(), int(state.goal[i])
        for cell in range(16):
            if wall[cell]:
                assert v[i, cell] == -math.inf
                continue
            here = state._replace(agent=torch.full((30,), cell))
            targets = [cell if wall[walk(cell, a, size)] else walk(cell, a, size) for a in range(5)]
            q = [-1 + 0.9 * (0.93 * float(v[i, t]) - 0.07) if cell != goal else -1.0 for t in targets]
            assert float(v[i, cell]) == pytest.approx(max(q), abs=1e-12)
            if i == 0:
                assert maze_action_values(env, here, 0.9)[0].tolist() == pytest.approx(q, abs=1e-12)
