"""PPO's losses against plain loops, and seeds that do not touch."""

import math

import pytest
import torch

from tutorlib.lab import UsageError
from tutorlib.nn import clip_by_norm
from tutorlib.rl import entropy, policy_loss, value_loss


def test_the_policy_loss():
    ratio = torch.tensor([[1.5, 0.5, 1.5, 0.5, 1.1], [1.0, 1.0, 1.0, 1.0, 1.0]])
    advantage = torch.tensor([[1.0, 1.0, -1.0, -1.0, 2.0], [1.0, 2.0, 3.0, 4.0, 5.0]])
    found = policy_loss(ratio, advantage, 0.2)
    assert found.tolist() == pytest.approx([-(1.2 + 0.5 - 1.5 - 0.8 + 2.2) / 5, -3.0], abs=1e-6)


def test_a_ratio_far_from_one_moves_the_policy_only_back():
    ratio = torch.tensor([1.5, 0.5, 1.5, 0.5], requires_grad=True)
    (g,) = torch.autograd.grad(policy_loss(ratio, torch.tensor([1.0, 1.0, -1.0, -1.0]), 0.2), ratio)
    assert g.tolist() == pytest.approx([0, -0.25, 0.25, 0])


def test_the_value_loss():
    v, old, returns = (torch.randn(3, 50, generator=torch.Generator().manual_seed(i)) for i in range(3))
    found = value_loss(v, old, returns, 0.2)
    for s in range(3):
        plain = 0.0
        for new, before, target in zip(v[s].tolist(), old[s].tolist(), returns[s].tolist(), strict=True):
            near = before + min(max(new - before, -0.2), 0.2)
            plain += max((new - target) ** 2, (near - target) ** 2)
        assert float(found[s]) == pytest.approx(plain / 50, rel=1e-5)


def test_a_value_that_came_far_enough_is_left_alone():
    v = torch.tensor([1.0, 0.1, -1.0], requires_grad=True)  # before: 0; far closer, a little closer, far away
    (g,) = torch.autograd.grad(value_loss(v, torch.zeros(3), torch.full((3,), 2.0), 0.2), v)
    assert g.tolist() == pytest.approx([0, 2 * (0.1 - 2) / 3, 2 * (-1 - 2) / 3])


def test_entropy():
    probabilities = torch.tensor([[[0.5, 0.5], [0.9, 0.1]], [[0.5, 0.5], [0.5, 0.5]]])
    plain = (math.log(2) - 0.9 * math.log(0.9) - 0.1 * math.log(0.1)) / 2
    assert entropy(probabilities.log()).tolist() == pytest.approx([plain, math.log(2)], abs=1e-6)
    assert float(entropy(torch.full((3, 5), 0.2).log())) == pytest.approx(math.log(5), abs=1e-6)


def test_each_seed_is_cut_by_its_own_norm():
    g = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0], [30.0, 40.0]])
    found = clip_by_norm(g, 2.5)
    assert torch.allclose(found, torch.tensor([[1.5, 2.0], [0.3, 0.4], [0.0, 0.0], [1.5, 2.0]]))
    for own, alone in zip(g, found, strict=True):
        assert torch.allclose(clip_by_norm(own, 2.5), alone)


def test_the_sum_over_seeds_has_each_seeds_own_gradient():
    g = torch.Generator().manual_seed(0)
    theta, x, a = torch.randn(2, 4, generator=g), torch.randn(2, 9, 4, generator=g), torch.randn(2, 9, generator=g)

    def gradient(theta, x, a):
        theta = theta.clone().requires_grad_()
        ratio = (x @ theta.unsqueeze(-1)).squeeze(-1).exp()
        return torch.autograd.grad((policy_loss(ratio, a, 0.2) + value_loss(ratio, a, 2 * a, 0.2)).sum(), theta)[0]

    together = gradient(theta, x, a)
    for s in range(2):
        assert torch.allclose(gradient(theta[s], x[s], a[s]), together[s], atol=1e-6)


def test_axes_before_the_batch_are_seeds():
    g = torch.Generator().manual_seed(1)
    log_pi = torch.randn(2, 3, 5, 4, generator=g).log_softmax(dim=-1)
    x, y, z = torch.rand(3, 2, 3, 5, generator=g)
    together = (entropy(log_pi), policy_loss(x, y, 0.1), value_loss(x, y, z, 0.1), clip_by_norm(x, 0.5))
    assert [found.shape for found in together] == [(2, 3), (2, 3), (2, 3), (2, 3, 5)]
    for s in range(2):
        alone = entropy(log_pi[s]), policy_loss(x[s], y[s], 0.1), value_loss(x[s], y[s], z[s], 0.1)
        for one, all_of_them in zip((*alone, clip_by_norm(x[s], 0.5)), together, strict=True):
            assert torch.allclose(one, all_of_them[s])


@pytest.mark.parametrize("call", [lambda x: entropy(x.long()), lambda x: clip_by_norm(x.long(), 1.0)])
def test_whole_numbers_are_no_gradients_and_no_probabilities(call):
    with pytest.raises(UsageError, match=r"(log_pi|g)="):
        call(torch.ones(2, 3))


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan")])
def test_bad_input_is_named(wrong):
    x = torch.ones(2, 3)
    with pytest.raises(UsageError, match=f"clip_coef={wrong}: expected a positive number"):
        policy_loss(x, x, wrong)
    with pytest.raises(UsageError, match=f"clip_coef={wrong}"):
        value_loss(x, x, x, wrong)
    with pytest.raises(UsageError, match=f"max_norm={wrong}"):
        clip_by_norm(x, wrong)
