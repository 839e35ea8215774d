"""One weight and two answers: what regression and the evaluator make of them. Episodes stand in test_algorithm."""

import pytest
import torch

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
