"""The chain with known values: exact ones against sums, and the spread of targets at its known ends."""

from dataclasses import replace

import pytest
import torch

from tutorlib.lab import UsageError
from tutorlib.papers.rcgvf.chain import Chain, exact_values, spread


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
    ("own", "message"),
    [
        ({"states": 2}, "states=2: expected a whole number from 3"),
        ({"gamma_z": 1.0}, "gamma_z=1.0"),
        ({"wrong": -1.0}, "wrong=-1.0"),
    ],
)
def test_bad_input_is_named(own, message):
    with pytest.raises(UsageError, match=message):
        Chain(**own)
