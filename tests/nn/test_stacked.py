"""Stacked layers against torch's own, one network at a time."""

import pytest
import torch
from torch import nn

from tutorlib.lab import UsageError
from tutorlib.nn import parameter_count, run_layers, split_layers

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
