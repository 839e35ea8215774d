"""What all environments promise, how often their events happen, the open grid, and what is refused."""

import pytest
import torch
from lives import leaves, live, random_lives, uniform
from mbrl_plain import bank, generator, walk

from tutorlib.envs import Environment
from tutorlib.lab import UsageError
from tutorlib.papers.mbrl import problem
from tutorlib.papers.mbrl.exact import flute_values, maze_values
from tutorlib.papers.mbrl.maze import MazeState, ProcMaze, carve, maze_bank
from tutorlib.papers.mbrl.problem import ButtonGrid, ButtonState, FluteState, OpenGrid, OpenState, PanFlute, moved

ENVIRONMENTS = {
    "flute": PanFlute(3),
    "buttons": ButtonGrid(4, 2),
    "maze": ProcMaze(3),
    "maze-bank": ProcMaze(4, bank(4, 20)),
    "open": OpenGrid(3),
}
every = pytest.mark.parametrize("env", ENVIRONMENTS.values(), ids=ENVIRONMENTS)


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
    """What a perfect model does: go on from a state that was kept, with the same random numbers."""
    actions = torch.randint(env.actions, (60, 8), generator=generator(0))
    noise = uniform(60, 8, env.step_noise, seed=1)
    lives = live(env, actions, uniform(8, env.start_noise), noise)
    for t in range(0, 60, 7):
        after, reward, done = env.transition(lives.states[t], actions[t], noise[t])
        assert torch.equal(reward, lives.rewards[t])
        assert torch.equal(done, lives.ended[t])
        assert torch.equal(env.observe(after)[~done], lives.observations[t + 1][~done])


# Events


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
