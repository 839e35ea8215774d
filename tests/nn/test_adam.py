"""Adam as a pure function, against torch's."""

import pytest
import torch

from tutorlib.nn import Moments, adam_, adam_step, no_moments


def test_it_is_torch_adam() -> None:
    g = torch.Generator().manual_seed(0)
    theta = torch.randn(7, generator=g, dtype=torch.float64)
    reference = theta.clone().requires_grad_()
    optimizer = torch.optim.Adam([reference], lr=0.03, betas=(0.8, 0.95), eps=1e-6)
    moments = no_moments(theta)
    for step in range(20):
        gradient = torch.randn(7, generator=g, dtype=torch.float64)
        theta, moments = adam_step(theta, moments, gradient, step, 0.03, 0.8, 0.95, 1e-6)
        reference.grad = gradient
        optimizer.step()
    torch.testing.assert_close(theta, reference.detach(), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("beta1", "step"), [(0.9, 0), (0.9, 7), (0.0, 0), (0.0, 7)])
def test_the_formula_for_a_compiler_is_the_same_step(monkeypatch: pytest.MonkeyPatch, beta1: float, step: int) -> None:
    generator = torch.Generator().manual_seed(0)
    theta, g = torch.randn(2, 2, 40, generator=generator, dtype=torch.float64)
    number = torch.tensor(step, dtype=torch.float64)
    own = adam_step(theta, Moments(g, g.square()), g, number, 0.1, beta1)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    compiled = adam_step(theta, Moments(g, g.square()), g, number, 0.1, beta1)
    torch.testing.assert_close(compiled, own, rtol=1e-13, atol=1e-13)


def test_cells_of_a_stack_do_not_touch() -> None:
    g = torch.Generator().manual_seed(0)
    theta, gradient = torch.randn(3, 5, generator=g), torch.randn(3, 5, generator=g)
    lrs = torch.tensor([[0.1], [0.2], [0.3]])
    together, _ = adam_step(theta, no_moments(theta), gradient, 0, lrs)
    for cell in range(3):
        alone, _ = adam_step(theta[cell], no_moments(theta[cell]), gradient[cell], 0, lrs[cell])
        assert torch.equal(together[cell], alone)


def test_in_place_it_is_the_same_step_and_nothing_else_changes() -> None:
    g = torch.Generator().manual_seed(0)
    theta, gradient = torch.randn(2, 5, generator=g, dtype=torch.float64), torch.randn(2, 5, generator=g).double()
    expected, moments = adam_step(theta, no_moments(theta), gradient, 0, 0.03, 0.8, 0.95, 1e-6)
    expected, moments = adam_step(expected, moments, -2 * gradient, 1, 0.02, 0.8, 0.95, 1e-6)
    own, kept = no_moments(theta), gradient.clone()
    adam_(theta, own, gradient, 0, 0.03, 0.8, 0.95, 1e-6)
    assert torch.equal(gradient, kept)
    adam_(theta, own, -2 * gradient, 1, 0.02, 0.8, 0.95, 1e-6)
    for found, known in zip((theta, *own), (expected, *moments), strict=True):
        torch.testing.assert_close(found, known, rtol=0, atol=1e-12)
    assert isinstance(own, Moments)


def test_runs_that_began_at_different_times_have_numbers_of_their_own() -> None:
    generator = torch.Generator().manual_seed(0)
    theta, m, g = (torch.randn(3, 4, generator=generator, dtype=torch.double) for _ in range(3))
    moments, numbers = Moments(m, m.square()), torch.tensor([[0.0], [7.0], [5000.0]], dtype=torch.double)
    after, kept = adam_step(theta, moments, g, numbers, 0.1)
    for i in range(3):
        n = slice(i, i + 1)
        alone, own = adam_step(theta[n], Moments(m[n], m[n].square()), g[n], int(numbers[i]), 0.1)
        torch.testing.assert_close(after[n], alone)
        torch.testing.assert_close(kept.v[n], own.v)
    in_float32, _ = adam_step(theta.float(), Moments(m.float(), m.square().float()), g.float(), numbers.float(), 0.1)
    torch.testing.assert_close(in_float32.double(), after, rtol=1e-5, atol=1e-5)
