"""The environments beside plain re-writes with lists, the laws of what is random, and the known exact values."""

import math
from collections import deque
from itertools import product

import pytest
import torch
from lives import leaves, live, random_lives, uniform

from tutorlib.envs import Environment
from tutorlib.lab import UsageError
from tutorlib.papers.mbrl import problem
from tutorlib.papers.mbrl.exact import (
    button_steps,
    flute_patterns,
    flute_reachable,
    flute_values,
    maze_action_values,
    maze_distances,
    maze_values,
    pattern_number,
)
from tutorlib.papers.mbrl.maze import MazeState, ProcMaze, carve, maze_bank, maze_noise, open_cell
from tutorlib.papers.mbrl.problem import (
    ButtonGrid,
    ButtonState,
    FluteState,
    OpenGrid,
    OpenState,
    PanFlute,
    distinct_cells,
    moved,
)

WAYS = [(0, 0), (-1, 0), (0, -1), (1, 0), (0, 1)]  # stay, up, left, down, right


def bank(size, mazes, seed=0):
    return maze_bank(size, mazes, torch.Generator().manual_seed(seed))


ENVIRONMENTS = {
    "flute": PanFlute(3),
    "buttons": ButtonGrid(4, 2),
    "maze": ProcMaze(3),
    "maze-bank": ProcMaze(4, bank(4, 20)),
    "open": OpenGrid(3),
}
every = pytest.mark.parametrize("env", ENVIRONMENTS.values(), ids=ENVIRONMENTS)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def walk(cell, action, size):
    row, column = cell // size + WAYS[action][0], cell % size + WAYS[action][1]
    return row * size + column if 0 <= row < size and 0 <= column < size else cell


def seen_of(observation, channels):
    """Return the cells in which each channel shows a one; the channel is fastest."""
    planes = observation.view(-1, channels)
    assert set(observation.unique().tolist()) <= {0.0, 1.0}
    return [planes[:, c].nonzero().flatten().tolist() for c in range(channels)]


# What all promise


@every
def test_shapes_batches_and_shared_noise(env):
    assert isinstance(env, Environment)
    lives = random_lives(env, 10, 3, 2)
    assert lives.observations.shape == (11, 3, 2, env.observations)
    assert lives.observations.dtype == lives.rewards.dtype == torch.float32
    assert lives.rewards.shape == lives.ended.shape == (10, 3, 2)
    assert lives.ended.dtype == torch.bool
    for first, last in zip(leaves(lives.states[0]), leaves(lives.states[-1]), strict=True):
        assert (first.shape, first.dtype) == (last.shape, last.dtype)
        assert first.shape[:2] == (3, 2)
    actions = torch.randint(env.actions, (10, 3, 2), generator=generator(3))
    start, step = uniform(2, env.start_noise), uniform(10, 2, env.step_noise, seed=1)
    shared = live(env, actions, start.expand(3, -1, -1), step)
    copied = live(env, actions, start.repeat(3, 1, 1), step[:, None].repeat(1, 3, 1, 1))
    assert torch.equal(shared.observations, copied.observations)
    assert torch.equal(shared.rewards, copied.rewards)
    alone = live(env, actions[:, 1, 0], start[0], step[:, 0])
    assert torch.equal(alone.observations, shared.observations[:, 1, 0])
    assert torch.equal(alone.rewards, shared.rewards[:, 1, 0])


@every
def test_a_step_is_the_transition_from_the_stored_state_until_an_episode_ends(env):
    """What a perfect model does: go on from a state that was kept, with the same luck."""
    actions = torch.randint(env.actions, (60, 8), generator=generator(0))
    noise = uniform(60, 8, env.step_noise, seed=1)
    lives = live(env, actions, uniform(8, env.start_noise), noise)
    for t in range(0, 60, 7):
        after, reward, done = env.transition(lives.states[t], actions[t], noise[t])
        assert torch.equal(reward, lives.rewards[t])
        assert torch.equal(done, lives.ended[t])
        assert torch.equal(env.observe(after)[~done], lives.observations[t + 1][~done])


# PanFlute


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


# ButtonGrid


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


def test_chances_of_events():
    assert ButtonGrid().event == pytest.approx(0.001)
    assert PanFlute().event == pytest.approx(0.04)
    assert OpenGrid().event == pytest.approx(0.01)
    assert [1 / ProcMaze(n).event for n in (3, 4, 5, 6)] == pytest.approx([70, 100, 170, 210])


def test_events_happen_as_often_as_they_should():
    u = torch.linspace(0, 1, 100_001)[:-1, None] + 5e-6  # every thousandth of a percent once
    n = len(u)
    stay = torch.zeros(n, dtype=torch.long)
    env = ButtonGrid(3, 2)
    off = ButtonState(stay, torch.tensor([4, 8]).expand(n, 2), torch.zeros(n, 2, dtype=torch.bool))
    after, _, _ = env.step(off, stay, torch.cat([u, torch.full((n, 3), 0.5)], dim=-1))
    assert abs(int(after.on.all(dim=-1).sum()) - n / 90) <= 2
    maze = ProcMaze(3)
    wall = torch.zeros(n, 9, dtype=torch.bool)
    moved_on, _, _ = maze.transition(MazeState(stay, stay + 8, wall), stay, u)
    assert abs(int((moved_on.agent == 8).sum()) - n / 70) <= 2
    grid, _, _ = OpenGrid(4).transition(OpenState(stay), stay, u)
    assert abs(int((grid.agent == 15).sum()) - n / 40) <= 2


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


# ProcMaze


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


# OpenGrid


def test_the_open_grid_is_the_plain_game():
    env = OpenGrid(3, chance=0.1)
    actions, start, noise = torch.randint(5, (100, 6), generator=generator()), uniform(6, 1), uniform(100, 6, 2, seed=1)
    lives = live(env, actions, start, noise)
    for i in range(6):
        agent = int(start[i, 0] * 9)
        for t in range(100):
            assert lives.observations[t, i].nonzero().tolist() == [[agent]]
            ended, (event, new) = agent == 8, noise[t, i].tolist()
            assert float(lives.rewards[t, i]) == -1
            assert bool(lives.ended[t, i]) == ended
            agent = 8 if event < 0.1 else walk(agent, int(actions[t, i]), 3)
            agent = int(new * 9) if ended else agent
    assert lives.ended.sum() > 20


def test_the_border_stops_moves():
    for size in (2, 3, 5):
        for action in range(5):
            found = moved(torch.arange(size**2), torch.tensor(action), size).tolist()
            assert found == [walk(cell, action, size) for cell in range(size**2)]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PanFlute(1), "pipes=1: expected a whole number from 2"),
        (lambda: PanFlute(chance=1.5), "chance=1.5: expected a number from 0 to 1"),
        (lambda: ButtonGrid(2, 5), "buttons=5: expected at most one in each of 4 cells"),
        (lambda: ButtonGrid(2, 0), "buttons=0"),
        (lambda: ProcMaze(1), "size=1"),
        (lambda: ProcMaze(3, bank(4, 2)), "mazes=\\(2, 16\\): expected walls of shape \\(mazes, 9\\)"),
        (lambda: OpenGrid(1), "size=1"),
        (lambda: maze_bank(3, 0, generator()), "mazes=0"),
        (lambda: carve(uniform(4, 5), 3), "u=\\(4, 5\\)"),
        (lambda: flute_values(PanFlute(6)), "pipes=6: expected at most 65536 patterns, not 2097152"),
        (lambda: flute_values(PanFlute(3), 1.0), "gamma=1.0"),
        (lambda: maze_values(bank(3, 1), torch.tensor([0]), 0.1, 1.5), "gamma=1.5"),
        (lambda: maze_values(bank(3, 1), torch.tensor([0]), 1.0), "event=1.0: expected a probability below 1"),
        (lambda: PanFlute(3).with_cells(torch.zeros(5)), "observation=\\(5,\\)"),
        (lambda: ProcMaze(3).step(ProcMaze(3).start(uniform(21)), torch.tensor(0), uniform(3)), "u=\\(3,\\)"),
    ],
)
def test_what_cannot_be(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def test_every_public_name_is_there():
    assert all(hasattr(problem, name) for name in problem.__all__)
    assert isinstance(PanFlute(2).start(uniform(0)), FluteState)
