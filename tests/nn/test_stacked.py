"""Stacked layers against torch's own, one network at a time."""

import pytest
import torch
from torch import nn

from tutorlib.lab import UsageError
from tutorlib.nn import FlatModule, parameter_count, run_layers, split_layers
from tutorlib.nn.stacked import slope

SHAPES = [(3, 5), (5, 4), (4, 2)]


def test_each_network_runs_its_own_weights_on_its_own_batch():
    generator = torch.Generator().manual_seed(0)
    theta = torch.randn(2, parameter_count(SHAPES), generator=generator)
    x = torch.randn(2, 6, 3, generator=generator)
    layers = split_layers(theta, SHAPES)
    found = run_layers(layers, x, torch.tanh)
    for i in range(2):
        theirs = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2))
        assert parameter_count(SHAPES) == sum(p.numel() for p in theirs.parameters())
        begin = 0
        with torch.no_grad():
            for layer, (n, m) in zip((theirs[0], theirs[2], theirs[4]), SHAPES, strict=True):
                layer.weight.copy_(theta[i, begin : begin + n * m].view(n, m).T)
                layer.bias.copy_(theta[i, begin + n * m : begin + n * m + m])
                begin += n * m + m
        assert torch.allclose(found[i], theirs(x[i]), atol=1e-6)


def test_weights_of_another_length_are_refused():
    with pytest.raises(UsageError, match=r"theta=\(2, 7\): expected 54 parameters"):
        split_layers(torch.zeros(2, 7), SHAPES)


@pytest.mark.parametrize("compiling", [False, True])
def test_each_network_has_the_slope_of_its_own_loss(compiling: bool, monkeypatch: pytest.MonkeyPatch):
    """In both ways to find it, each the one that is for it: a compiled graph has no tape."""
    taped = []

    def loss(theta: torch.Tensor) -> torch.Tensor:
        taped.append(not torch._C._functorch.is_functorch_wrapped_tensor(theta))
        return (theta**3).sum(dim=-1)

    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: compiling)
    theta = torch.arange(6.0).view(2, 3)
    with torch.no_grad():
        assert torch.equal(slope(loss, theta), 3 * theta**2)
    assert taped == [not compiling]


def test_a_flat_module_runs_one_vector_and_a_stack_of_them():
    """A stack has one input for each; one vector takes its input whole."""
    module = FlatModule(nn.Linear(3, 2))
    theta = torch.randn(4, module.size, generator=torch.Generator().manual_seed(0))
    x = torch.arange(60.0).view(4, 5, 3)
    found = module(theta, x)
    assert found.shape == (4, 5, 2)
    for i in range(4):
        expected = x[i] @ theta[i, :6].view(2, 3).T + theta[i, 6:]
        torch.testing.assert_close(found[i], expected)
        torch.testing.assert_close(module(theta[i], x[i]), expected)
