"""Grid worlds beside a plain re-write with coordinates and lists, and the laws of what is placed at random."""

import pytest
import torch
from lives import live, uniform

from tutorlib.envs import DarkRoom, HeartGrid, HeartState
from tutorlib.envs.grids import move, other_cell
from tutorlib.lab import UsageError

MOVES = {0: (-1, 0), 1: (1, 0), 2: (0, -1), 3: (0, 1), 4: (0, 0)}


def moved(cell, action, size):
    """Return the cell after a move, in rows and columns."""
    row, column = divmod(cell, size)
    row, column = row + MOVES[action][0], column + MOVES[action][1]
    inside = 0 <= row < size and 0 <= column < size
    return row * size + column if inside else cell


def free(u, size, *taken):
    cells = [cell for cell in range(size**2) if cell not in taken]
    return cells[int(u * len(cells))]


class Hearts:
    """The same game with numbers."""

    def __init__(self, size, swapped, episode, u):
        self.size, self.swapped, self.episode = size, swapped, episode
        self.place(u)

    def place(self, u):
        self.t = 0
        self.agent = free(u[0], self.size)
        self.heart = free(u[1], self.size, self.agent)
        self.trap = free(u[2], self.size, self.agent, self.heart)

    def step(self, action, u):
        self.agent, self.t, reward = moved(self.agent, action, self.size), self.t + 1, 0
        if self.agent == self.heart:
            reward, self.heart = 1, free(u[0], self.size, self.agent, self.trap)
        elif self.agent == self.trap:
            reward, self.trap = -1, free(u[0], self.size, self.agent, self.heart)
        ended = self.t == self.episode
        if ended:
            self.place(u)
        return (-reward if self.swapped else reward), ended


@pytest.mark.parametrize(("size", "swapped", "episode"), [(2, False, None), (3, True, 7), (5, False, 20)])
def test_hearts_and_traps_are_those_of_the_plain_game(size, swapped, episode):
    env = HeartGrid(size, swapped, episode)
    actions = torch.randint(4, (150, 8), generator=torch.Generator().manual_seed(0))
    start, noise = uniform(8, 3), uniform(150, 8, env.step_noise, seed=1)
    lives = live(env, actions, start, noise)
    seen = set()
    for i in range(8):
        game = Hearts(size, swapped, episode, start[i].tolist())
        for t in range(150):
            reward, ended = game.step(int(actions[t, i]), noise[t, i].tolist())
            state = [int(part[i]) for part in lives.states[t + 1]]
            if episode is None:
                assert state[:3] == [game.agent, game.heart, game.trap]
                assert not lives.ended[t, i]
            else:
                assert state == [game.agent, game.heart, game.trap, game.t]
                assert bool(lives.ended[t, i]) == ended
            assert float(lives.rewards[t, i]) == reward
            seen.add(reward)
    assert seen == {-1, 0, 1}


def test_swapping_changes_the_rewards_alone():
    actions = torch.randint(4, (60, 30), generator=torch.Generator().manual_seed(0))
    noise = (uniform(30, 3), uniform(60, 30, 1, seed=1))
    plain, swapped = (live(HeartGrid(4, swapped=swapped), actions, *noise) for swapped in (False, True))
    assert torch.equal(plain.observations, swapped.observations)
    assert torch.equal(plain.rewards, -swapped.rewards)
    assert plain.rewards.abs().sum() > 50


def test_planes_show_the_three_cells():
    env = HeartGrid(size=5)
    assert env.observations == 75
    state = env.start(uniform(40, 3))
    planes = env.observe(state).unflatten(-1, (3, 25))
    assert torch.equal(planes.sum(-1), torch.ones(40, 3))
    assert torch.equal(planes.argmax(-1), torch.stack(state[:3], dim=-1))


def test_the_relative_view_shows_the_way_to_both_items():
    env = HeartGrid(size=4, view="relative")
    assert env.observations == 28
    assert HeartGrid(size=5, view="relative").observations == 36
    state = env.start(uniform(300, 3))
    parts = env.observe(state).unflatten(-1, (4, 7))
    assert torch.equal(parts.sum(-1), torch.ones(300, 4))
    offset = parts.argmax(-1) - 3
    for i in range(300):
        agent = divmod(int(state.agent[i]), 4)
        for first, item in ((0, state.heart[i]), (2, state.trap[i])):
            row, column = divmod(int(item), 4)
            assert offset[i, first : first + 2].tolist() == [row - agent[0], column - agent[1]]
    assert offset.min() == -3
    assert offset.max() == 3


def test_the_three_begin_in_every_arrangement_alike():
    state = HeartGrid(size=2).start(uniform(24_000, 3))
    places, counts = torch.stack(state[:3], dim=-1).unique(dim=0, return_counts=True)
    assert len(places) == 24, "4 x 3 x 2 arrangements"
    assert ((counts - 1000) ** 2 / 1000.0).sum() < 52, "chi-square with 23 degrees of freedom, p > 0.0005"


def test_an_item_comes_back_in_every_empty_cell_alike():
    n = 14_000
    cells = [torch.full((n,), cell) for cell in (4, 5, 8, 0)]  # the agent walks right, onto the heart
    after, reward, _ = HeartGrid(size=3).step(HeartState(*cells), torch.full((n,), 3), uniform(n, 1))
    assert (reward == 1).all()
    assert (after.agent == 5).all()
    assert (after.trap == 8).all()
    where, counts = after.heart.unique(return_counts=True)
    assert where.tolist() == [0, 1, 2, 3, 4, 6, 7]
    assert ((counts - n / 7) ** 2 / (n / 7)).sum() < 24, "chi-square with 6 degrees of freedom, p > 0.0005"


def test_the_last_uniform_of_all_is_still_a_cell():
    u = torch.tensor(1 - 2.0**-24)
    for cells in range(3, 60):
        assert other_cell(u, cells, torch.tensor(0), torch.tensor(cells - 1)) == cells - 2
        assert other_cell(u, cells, torch.tensor(cells - 1)) == cells - 2


def test_walls_stop_moves():
    for size in (2, 3, 5):
        for action in MOVES:
            found = move(torch.arange(size**2), torch.tensor(action), size).tolist()
            assert found == [moved(cell, action, size) for cell in range(size**2)]


@pytest.mark.parametrize(("size", "episode", "middle"), [(2, 5, 3), (3, 4, 4), (5, 20, 12)])
def test_the_dark_room_is_the_plain_game(size, episode, middle):
    env = DarkRoom(size, episode)
    actions = torch.randint(5, (100, 20), generator=torch.Generator().manual_seed(0))
    lives = live(env, actions, uniform(20, 1), uniform(100, 20, 0))
    goals = lives.states[0].goal
    assert all(torch.equal(state.goal, goals) for state in lives.states), "one goal for the lifetime"
    assert lives.rewards.sum() > 0
    for i in range(20):
        cell = middle
        for t in range(100):
            assert lives.observations[t, i].nonzero().tolist() == [[cell]]
            cell = moved(cell, int(actions[t, i]), size)
            assert float(lives.rewards[t, i]) == (cell == int(goals[i]))
            last = t % episode == episode - 1
            assert bool(lives.ended[t, i]) == last
            cell = middle if last else cell


def test_goals_are_anywhere_but_in_the_middle():
    goal = DarkRoom(size=3).start(uniform(8000, 1)).goal
    where, counts = goal.unique(return_counts=True)
    assert where.tolist() == [0, 1, 2, 3, 5, 6, 7, 8]
    assert ((counts - 1000) ** 2 / 1000.0).sum() < 26, "chi-square with 7 degrees of freedom, p > 0.0005"


def test_staying_on_the_goal_pays_in_every_step():
    env = DarkRoom(size=3)
    state = env.start(uniform(1))._replace(goal=torch.tensor(1))
    total = 0.0
    for action in (0, 4, 4, 1, 4):
        state, reward, _ = env.step(state, torch.tensor(action), uniform(0))
        total += float(reward)
    assert total == 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: HeartGrid(size=1), "size=1: expected a whole number from 2"),
        (lambda: HeartGrid(episode=0), "episode=0: expected a whole number from 1"),
        (lambda: HeartGrid(view="plane"), "view='plane'.*did you mean 'planes'"),
        (lambda: DarkRoom(size=1), "size=1"),
        (lambda: DarkRoom(episode=0), "episode=0"),
    ],
)
def test_grids_that_cannot_be(make, message):
    with pytest.raises(UsageError, match=message):
        make()
