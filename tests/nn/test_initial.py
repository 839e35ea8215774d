"""Numbers that networks start from: known draws, their law, and one generator behind them."""

import math
from pathlib import Path

import pytest
import torch

import tutorlib
from tutorlib.lab import UsageError
from tutorlib.nn import truncated_normal

KNOWN = {
    (10,): (-0.7025111, 4.0533113, 0.7704980, 0.5262958),
    (3, 7): (2.9530063, 8.8135090, -0.5629199, 0.9351037),
    (64, 20): (12.1941662, 455.2445068, -0.5629199, 0.0550326),
}
"""What ``trunc_normal_`` of torch 2.13 draws with seed 0 and sd 1/2: the sum, that of the absolute values, the first
number, and the generator's next. Written down, because other versions draw other numbers."""


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("shape", KNOWN)
def test_the_draws_are_those_of_the_recorded_studies(shape):
    generator = seeded()
    drawn = truncated_normal(shape, 0.5, generator)
    assert drawn.shape == shape
    found = [drawn.sum(), drawn.abs().sum(), drawn.flatten()[0], torch.rand((), generator=generator)]
    assert list(map(float, found)) == pytest.approx(KNOWN[shape], rel=1e-5)


def test_the_law_is_the_normal_one_within_two_deviations():
    drawn = truncated_normal((400, 500), 0.3, seeded(), dtype=torch.float64)
    assert drawn.dtype == torch.float64
    assert 0.599 < float(drawn.abs().max()) <= 0.6
    # A normal law that is cut at two deviations has 0.8796 of its deviation, and 0.7153 of it within one.
    within = math.erf(1 / math.sqrt(2)) / math.erf(math.sqrt(2))
    assert float((drawn.abs() < 0.3).double().mean()) == pytest.approx(within, abs=0.004)
    assert float(drawn.std()) == pytest.approx(0.8796 * 0.3, rel=0.005)
    assert abs(float(drawn.mean())) < 0.002


def test_only_the_passed_generator_is_drawn_from():
    before = torch.get_rng_state()
    generator = seeded()
    one, two = (truncated_normal((40,), 1.0, generator) for _ in range(2))
    assert not torch.equal(one, two)
    assert torch.equal(one, truncated_normal((40,), 1.0, seeded()))
    assert torch.equal(before, torch.get_rng_state())


def test_nothing_is_drawn_on_a_device_without_numbers():
    generator = seeded()
    assert truncated_normal((3, 2), 1.0, generator, torch.device("meta")).shape == (3, 2)
    assert torch.equal(generator.get_state(), seeded().get_state())


@pytest.mark.parametrize("sd", [0.0, -1.0, math.nan, math.inf])
def test_a_deviation_that_is_none_is_refused(sd):
    with pytest.raises(UsageError, match=r"^sd=.*: expected a positive number$"):
        truncated_normal((2,), sd, seeded())


def test_no_other_initialiser_of_torch_is_called():
    """Those of ``torch.nn.init`` change their draws with versions."""
    folder = Path(tutorlib.__file__).parent
    calls = [p.name for p in folder.rglob("*.py") if "nn.init." in p.read_text(encoding="utf-8").replace("``", "")]
    assert calls == ["initial.py"]  # its docstring
