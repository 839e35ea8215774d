"""Predictors under a policy that never changes: the mixed policy, two corridors, a chain with known values."""

import math
from dataclasses import replace

import pytest
import torch

from tutorlib.lab import Cell, Context, UsageError
from tutorlib.lab.errors import NonFiniteError
from tutorlib.papers.rcgvf.algorithm import Config, draw_noise, initial_state
from tutorlib.papers.rcgvf.model import predict, run
from tutorlib.papers.rcgvf.prediction import (
    LEFT,
    RIGHT,
    Chain,
    Fading,
    Maze,
    exact_values,
    explore_maze,
    fade,
    first_predictions,
    maze_bonus,
    maze_targets,
    mixed_policy,
    remembered,
    scaled,
    seen,
    spread,
    walk,
)

SMALL = Config(
    horizon=5, actions=4, envs=20, steps=10, updates=6, minibatch=50, epochs=2, d=6, hidden_z=8, hidden=8, width=4,
    looks=2, rate=5e-3,
)  # fmt: skip
CPU = torch.device("cpu")


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_mixed_policy_knows_the_right_action_in_its_share_of_steps():
    e = initial_state(SMALL, [0, 1], CPU).e
    p = mixed_policy(SMALL, 0.5, e).exp()
    assert torch.allclose(p.sum(-1), torch.ones(2, 20))
    for s in range(2):
        for n in range(20):
            best = int(e.table[s, n, int(e.row[s, n]), int(e.column[s, n])])
            assert float(p[s, n, best]) == pytest.approx(0.5 + 0.5 / 4)
            assert float(p[s, n, best - 1]) == pytest.approx(0.5 / 4)


def test_predictors_that_diverge_stop_and_say_so():
    fast = replace(SMALL, rate=1e30, updates=2, looks=1)
    with pytest.raises(
        NonFiniteError, match=r"^\w+ is not finite after update 2 of 2 \(seed 7\): .* than 1e\+30 may help$"
    ):
        fade([Cell(Fading(fast), 7)], Context())
    with pytest.raises(
        NonFiniteError, match=r"^\w+ is not finite after walk 1 of 2 \(seed 7\): .* than 1e\+38 may help$"
    ):
        explore_maze(Maze(walks=2, looks=2, rate=1e38), 7, CPU)


def test_a_walk_is_the_mixed_policy_in_the_lock():
    c = replace(SMALL, envs=200)
    state = initial_state(c, [0], CPU)
    past, after = walk(c, 0.6, state.e, draw_noise(c, [0], 0, CPU))
    again = state.e
    went = stays = 0
    noise = draw_noise(c, [0], 0, CPU)
    for t in range(c.steps):
        assert torch.allclose(past.o[:, t], c.env.observe(again))
        assert torch.equal(past.columns[:, t], again.good_column)
        log_p = mixed_policy(c, 0.6, again)
        chosen = log_p.gather(-1, past.actions[:, t].unsqueeze(-1)).squeeze(-1)
        assert torch.allclose(past.log_pi[:, t], chosen)
        good = again.row < 2
        again, r, ended = c.env.step(again, past.actions[:, t], noise.step[:, t])
        assert torch.equal(past.r[:, t], r)
        assert torch.equal(past.ended[:, t], ended)
        went, stays = went + int((good & (r != 0)).sum()), stays + int(good.sum())
    assert torch.equal(after.row, again.row)
    assert went / stays == pytest.approx(0.6 + 0.4 / 4, abs=0.05)
    assert past.ended[:, 4].all()
    assert not past.ended[:, 5].any()
    assert (past.v == 0).all()


def test_the_scale_of_z():
    state = initial_state(SMALL, [0, 1], CPU)
    o = normal(2, 7, SMALL.env.observations)
    plain, larger = (run(SMALL.z.layers(s.zeta), o) for s in (state, scaled(SMALL, state, 3.0)))
    assert torch.allclose(larger, 3 * plain, rtol=1e-4, atol=1e-5)


def test_predictors_side_by_side_are_the_predictors_one_by_one():
    configs = [Fading(SMALL), Fading(replace(SMALL, gamma_z=0.9)), Fading(replace(SMALL, gamma_z=0.0, beta=3.0))]
    cells = [Cell(config, seed) for config, seed in zip(configs, (0, 1, 0), strict=True)]
    together = fade(cells, Context())
    assert together.log.bonus.shape == (6, 3)
    for i, cell in enumerate(cells):
        alone = fade([cell], Context())
        for name in ("bonus", "error", "disagreement"):
            assert torch.allclose(getattr(together.log, name)[:, i], getattr(alone.log, name)[:, 0], rtol=1e-4)
        assert torch.equal(together.log.visits[:, i], alone.log.visits[:, 0])
        assert len(alone.looks) == 2
        assert torch.allclose(together.looks[1][i], alone.looks[1][0], atol=1e-5)


def test_predictors_learn_what_the_policy_shows():
    found = fade([Cell(Fading(replace(SMALL, updates=40)), 0)], Context()).log
    assert found.error[-5:].mean() < 0.7 * found.error[0]
    assert found.bonus[-5:].mean() < 0.3 * found.bonus[0]
    again = fade([Cell(Fading(replace(SMALL, updates=40), right=0.9), 0)], Context()).log
    assert again.visits.sum(0)[0, -1] > 2 * found.visits.sum(0)[0, -1]


def test_without_a_future_one_head_and_the_norm_are_rnd():
    small = replace(SMALL, method="rnd", layers=1, heads=1)
    rnd = fade([Cell(Fading(small), 2)], Context())
    same = fade([Cell(Fading(replace(small, method="rcgvf", bonus="norm", gamma_z=0.0)), 2)], Context())
    assert torch.allclose(rnd.log.bonus, same.log.bonus, rtol=1e-4)


def test_first_predictions_are_those_of_the_first_column():
    c = replace(SMALL, noise=0.0)
    state = initial_state(c, [0, 1], CPU)
    found = first_predictions(c, state)
    for s in range(2):
        place = int((state.e.row[s] == 0).nonzero()[0])
        o = c.env.observe(state.e)[s : s + 1, place : place + 1]
        v = predict(c.predictor, 2, state.phi[s : s + 1], o)
        assert torch.allclose(found[s], v[0, :, 0].mean(dim=0), atol=1e-5)
    noisy = first_predictions(SMALL, state)
    assert torch.allclose(noisy, found), "seen without noise"


def test_cells_of_another_shape_are_refused():
    for other in (Fading(SMALL, right=0.4), Fading(SMALL, scale=2.0), Fading(replace(SMALL, d=5))):
        with pytest.raises(UsageError, match="expected cells that differ in learner.beta"):
            fade([Cell(Fading(SMALL), 0), Cell(other, 0)], Context())


# Two corridors.

MAZE = Maze(length=4, walks=60, looks=6, d=5, hidden=16)


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
    rnd = explore_maze(replace(MAZE, method="rnd"), 0, CPU)
    assert rnd.shape == (7, 2, 6)
    assert torch.allclose(rnd[:, LEFT, :-1], rnd[:, RIGHT, :-1], atol=1e-6)
    assert rnd[-1, RIGHT, 1:-1].mean() < 0.3 * rnd[0, RIGHT, 1:-1].mean()
    assert rnd[-1, RIGHT, -1] > rnd[-1, LEFT, -1], "the end itself is new"
    ours = explore_maze(MAZE, 0, CPU)
    assert ours[-1, RIGHT, 1:-1].mean() > 10 * ours[-1, LEFT, 1:-1].mean()
    assert torch.equal(ours, explore_maze(MAZE, 0, CPU))
    assert not torch.allclose(ours[0], explore_maze(MAZE, 1, CPU)[0])


def test_without_memory_heads_disagree_alike_in_both_corridors():
    found = explore_maze(replace(MAZE, memory=False, gamma_z=0.0), 0, CPU)
    assert torch.allclose(found[:, LEFT, :-1], found[:, RIGHT, :-1], rtol=1e-4, atol=1e-9)


# The chain.


def test_exact_values_are_the_discounted_sums():
    z = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
    found = exact_values(z, 0.7)
    p = torch.tensor([[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]], dtype=torch.float64) / 2
    total, power = torch.zeros(4, dtype=torch.float64), torch.eye(4, dtype=torch.float64)
    for k in range(200):
        total = total + 0.7**k * (power @ z)
        power = power @ p
    assert torch.allclose(found, total)


def test_the_spread_of_targets_has_the_known_ends():
    c = Chain(states=5, gamma_z=0.6, walks=4000, steps=15)
    found = spread(c, (0.0, 0.5, 1.0), seed=3)
    generator = torch.Generator().manual_seed(3)
    z = torch.randn(5, generator=generator, dtype=torch.float64)
    v = exact_values(z, 0.6)
    wrong = v + torch.randn(5, generator=generator, dtype=torch.float64)
    bias = variance = 0.0
    for s in range(5):  # one step, then the wrong prediction
        one, two = float(wrong[s - 1]), float(wrong[(s + 1) % 5])
        bias += (float(z[s]) + 0.6 * (one + two) / 2 - float(v[s])) ** 2 / 5
        variance += 0.36 * (one - two) ** 2 / 4 / 5
    assert float(found.bias[0]) == pytest.approx(bias, rel=0.1, abs=0.01)
    assert float(found.variance[0]) == pytest.approx(variance, rel=0.1)
    assert found.bias[2] < 0.01 < found.bias[0]
    assert found.bias[0] > found.bias[1] > found.bias[2]
    none = spread(replace(c, gamma_z=0.0), (0.0, 1.0), seed=3)
    assert none.bias.tolist() == pytest.approx([0.0, 0.0], abs=1e-9)
    assert none.variance.tolist() == pytest.approx([0.0, 0.0], abs=1e-9)


@pytest.mark.parametrize(
    ("kind", "own", "message"),
    [
        (Fading, {"learner": SMALL, "right": 1.0}, "right=1.0: expected a number from 0, below 1"),
        (Fading, {"learner": SMALL, "scale": 0.0}, "scale=0.0: expected a positive number"),
        (Fading, {"learner": replace(SMALL, method="ppo")}, "learner.method='ppo'"),
        (Maze, {"method": "ppo"}, "method='ppo'"),
        (Maze, {"length": 0}, "length=0"),
        (Maze, {"gamma_z": 1.5}, "gamma_z=1.5"),
        (Maze, {"rate": 0.0}, "rate=0.0"),
        (Maze, {"looks": 7}, "looks=7: expected a divisor of walks=400"),
        (Maze, {"heads": 1}, "heads=1"),
        (Chain, {"states": 2}, "states=2: expected a whole number from 3"),
        (Chain, {"gamma_z": 1.0}, "gamma_z=1.0"),
        (Chain, {"wrong": -1.0}, "wrong=-1.0"),
    ],
)
def test_bad_input_is_named(kind, own, message):
    with pytest.raises(UsageError, match=message):
        kind(**own)
