"""One weight and two answers: what regression and the evaluator make of them. Episodes stand in test_algorithm."""

from dataclasses import replace

import pytest
import torch

from tutorlib.envs.simulated import Simulated
from tutorlib.lab import Context, Trial
from tutorlib.papers.gogepo import problem
from tutorlib.papers.gogepo.algorithm import train
from tutorlib.papers.gogepo.config import Config
from tutorlib.papers.gogepo.model import Policy
from tutorlib.papers.gogepo.problem import answer_by_evaluator, answer_by_regression, two_peaks

STARTS = torch.tensor([-1.4, -0.3, 0.01, 0.5, 1.2])


def test_the_return_has_two_peaks_and_a_hole():
    theta = torch.tensor([-1.0, 0.0, 1.0, 2.0])
    assert two_peaks(theta).tolist() == [1.0, 0.0, 1.0, -8.0]


def test_regression_ends_between_the_modes_and_the_evaluator_at_one_of_them():
    seen = torch.tensor([1.0, -1.0, 1.0, -1.0])
    by_regression = answer_by_regression(seen, STARTS, 200, 0.05)[-1]
    torch.testing.assert_close(by_regression, torch.zeros(5), atol=1e-6, rtol=0)
    assert two_peaks(by_regression).abs().max() < 1e-6
    by_evaluator = answer_by_evaluator(1.0, STARTS, 4000, 0.02)
    assert by_evaluator.shape == (4000, 5)
    assert by_evaluator[-1].sign().tolist() == STARTS.sign().tolist()
    assert (two_peaks(by_evaluator[-1]) > 0.99).all()


@pytest.mark.parametrize("command", [1.0, 0.5, 0.1])
def test_each_step_is_the_gradient_of_the_loss(command):
    g = STARTS.clone().double().requires_grad_()
    (two_peaks(g) - command).square().sum().backward()
    found = answer_by_evaluator(command, STARTS.double(), 1, 0.01)[0]
    torch.testing.assert_close(found, STARTS.double() - 0.01 * g.grad)
    seen = torch.tensor([0.3, 1.1], dtype=torch.double)
    g = STARTS.clone().double().requires_grad_()
    (g.unsqueeze(1) - seen).square().mean(dim=1).sum().backward()
    torch.testing.assert_close(answer_by_regression(seen, STARTS.double(), 1, 0.01)[0], STARTS.double() - 0.01 * g.grad)


def test_at_the_hole_the_evaluator_has_no_slope_and_a_loss_that_noise_leaves():
    still = answer_by_evaluator(1.0, torch.zeros(1), 50, 0.02)
    assert (still == 0).all()
    nudged = answer_by_evaluator(1.0, torch.full((1,), 1e-3), 4000, 0.02)
    assert float(two_peaks(nudged[-1])) > 0.99


def test_a_bonus_for_each_step_is_left_out_of_what_is_learned_from(monkeypatch):
    world = problem.WORLDS["point"]
    small = Config(
        environment="point", steps=100, episodes=4, horizon=9, width=8, block=4, embedding=2, net_width=8, states=3,
        eval_episodes=2, sweep_every=2, sweep_commands=2, sweep_episodes=1,
    )  # fmt: skip
    plain = train([Trial(small, 3)], Context()).state
    monkeypatch.setattr(problem, "WORLDS", {"point": replace(world, bonus=2.0)})
    monkeypatch.setattr("tutorlib.papers.gogepo.algorithm.WORLDS", problem.WORLDS)
    with_bonus = train([Trial(small, 3)], Context())
    assert float(with_bonus.state.buffer.r[0, 0]) == pytest.approx(float(plain.buffer.r[0, 0]) - 2.0 * 9, rel=1e-5)
    assert float(with_bonus.state.best) == float(with_bonus.state.buffer.r.max())
    assert float(with_bonus.log.greedy.max()) > float(with_bonus.state.best) - 18 + 10, "an evaluation keeps it"


def test_play_stops_when_all_episodes_are_known_to_have_ended():
    env = Simulated("Pendulum-v1", 3, 1, limit=2.0, horizon=1000)
    policy = Policy(3, 1, 2.0, (4,))
    theta = torch.zeros(1, 2, policy.size)
    steps = []

    class Counted(Simulated):
        def advance(self, state, action):
            steps.append(1)
            return super().advance(state, action)

    counted = Counted("Pendulum-v1", 3, 1, limit=2.0, horizon=1000)
    played = problem.play(
        counted, policy, theta, problem.no_statistics(1, 3, torch.device("cpu")), torch.rand(1, 2, 1, 1)
    )
    assert len(steps) == 200 < env.horizon
    assert played.steps.flatten().tolist() == [200, 200]


def test_the_robots_have_the_ranges_of_the_papers_code():
    worlds = problem.WORLDS
    assert [(worlds[n].low, worlds[n].high) for n in ("inverted-pendulum", "swimmer", "hopper")] == [
        (0, 1000), (-100, 365), (-100, 3000),
    ]  # fmt: skip
    assert [worlds[n].bonus for n in ("inverted-pendulum", "swimmer", "hopper")] == [0, 0, 1]
    for name, n in (("inverted-pendulum", 67_329), ("swimmer", 68_610), ("hopper", 69_635)):
        assert Config(environment=name).policy.size == n
