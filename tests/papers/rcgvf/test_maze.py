"""Two corridors that look alike: targets and bonuses against loops, and what each method pays."""

import math
from dataclasses import replace

import pytest
import torch

from tutorlib.lab import Context, UsageError
from tutorlib.lab.errors import NonFiniteError
from tutorlib.papers.rcgvf.maze import LEFT, RIGHT, Maze, explore_maze, maze_bonus, maze_targets, remembered, seen

MAZE = Maze(length=4, walks=60, num_evals=6, d=5, hidden=16)
CPU = torch.device("cpu")


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_walk_in_the_maze():
    assert seen(MAZE, LEFT).argmax(-1).tolist() == [0, 1, 1, 1, 1, 2]
    assert seen(MAZE, RIGHT).argmax(-1).tolist() == [0, 1, 1, 1, 1, 3]
    left, right = remembered(MAZE, LEFT), remembered(MAZE, RIGHT)
    assert left[:, :2].tolist() == [[0, 0], *5 * [[1, 0]]]
    assert right[:, :2].tolist() == [[0, 0], *5 * [[0, 1]]]
    assert torch.equal(left[:, 2:], torch.eye(6))
    assert torch.equal(left[:, 2:], right[:, 2:])
    for own in (Maze("rnd"), Maze(memory=False)):
        assert (remembered(own, LEFT) == 0).all()


def test_targets_in_the_maze_are_the_plain_recursion():
    z, v = normal(6, 5), normal(2, 6, 5, seed=1)
    found = maze_targets(replace(MAZE, gamma_z=0.8, lambda_z=0.3), z, v)
    for k in range(2):
        for j in range(5):
            g = after = 0.0  # nothing after the end
            for t in reversed(range(6)):
                g = float(z[t, j]) + 0.8 * (0.3 * g + 0.7 * after)
                after = float(v[k, t, j])
                assert float(found[k, t, j]) == pytest.approx(g, abs=1e-5)
    assert torch.equal(maze_targets(Maze("rnd"), z, v[:1])[0], z)


def test_the_bonus_in_the_maze():
    z, v = normal(6, 5), normal(2, 6, 5, seed=1)
    c = replace(MAZE, gamma_z=0.0)
    found = maze_bonus(c, z, v)
    for t in range(6):
        plain = 0.0
        for j in range(5):
            a, b, target = float(v[0, t, j]), float(v[1, t, j]), float(z[t, j])
            plain += (a - b) ** 2 / 2 * ((a - target) ** 2 + (b - target) ** 2) / 2
        assert float(found[t]) == pytest.approx(plain, rel=1e-4)
    length = [math.dist(z[t].tolist(), v[0, t].tolist()) for t in range(6)]
    assert maze_bonus(Maze("rnd"), z, v[:1]).tolist() == pytest.approx(length, rel=1e-5)


def test_rnd_is_blind_and_memory_sees():
    rnd = explore_maze(replace(MAZE, method="rnd"), 0, Context())
    assert rnd.shape == (7, 2, 6)
    assert torch.allclose(rnd[:, LEFT, :-1], rnd[:, RIGHT, :-1], atol=1e-6)
    assert rnd[-1, RIGHT, 1:-1].mean() < 0.3 * rnd[0, RIGHT, 1:-1].mean()
    assert rnd[-1, RIGHT, -1] > rnd[-1, LEFT, -1], "the end itself is new"
    ours = explore_maze(MAZE, 0, Context())
    assert ours[-1, RIGHT, 1:-1].mean() > 10 * ours[-1, LEFT, 1:-1].mean()


def test_walks_are_a_function_of_the_seed():
    short = replace(MAZE, walks=6)
    one, again, other = (explore_maze(short, seed, Context()) for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.allclose(one[0], other[0])


def test_without_memory_heads_disagree_alike_in_both_corridors():
    found = explore_maze(replace(MAZE, memory=False, gamma_z=0.0), 0, Context())
    assert torch.allclose(found[:, LEFT, :-1], found[:, RIGHT, :-1], rtol=1e-4, atol=1e-9)


def test_predictors_that_diverge_stop_and_say_so():
    with pytest.raises(
        NonFiniteError, match=r"^loss of step 1 of 2 is not finite \(seed 7\): .* than 1e\+38 may help$"
    ):
        explore_maze(Maze(walks=2, num_evals=2, lr=1e38), 7, Context())


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"method": "ppo"}, "method='ppo'"),
        ({"length": 0}, "length=0"),
        ({"gamma_z": 1.5}, "gamma_z=1.5"),
        ({"lr": 0.0}, "lr=0.0"),
        ({"num_evals": 7}, "num_evals=7: expected a divisor of walks=400"),
        ({"heads": 1}, "heads=1"),
    ],
)
def test_bad_input_is_named(own, message):
    with pytest.raises(UsageError, match=message):
        Maze(**own)
