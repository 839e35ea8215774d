"""Uniform numbers are inside (0, 1), and Gumbel noise makes samples of a softmax."""

import pytest
import torch

from tutorlib.nn import gumbel, uniform


def test_uniform_numbers_are_inside_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    u = uniform(torch.Generator().manual_seed(0), 4, 1000)
    assert u.shape == (4, 1000)
    assert u.mean().item() == pytest.approx(0.5, abs=0.02)
    monkeypatch.setattr(torch, "rand", lambda shape, generator, device: torch.zeros(shape, device=device))
    assert float(uniform(torch.Generator(), 3).min()) > 0
    assert gumbel(torch.Generator(), 3).isfinite().all()


def test_no_numbers_can_be_drawn() -> None:
    """What an agent does not need is empty; the generator stays where it was."""
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    assert uniform(generator, 4, 0).shape == (4, 0)
    assert torch.equal(generator.get_state(), before)


def test_the_largest_of_logits_and_gumbel_noise_is_a_sample_of_their_softmax() -> None:
    logits = torch.tensor([0.0, 1.0, -1.0])
    n = 40_000
    drawn = (logits + gumbel(torch.Generator().manual_seed(0), n, 3)).argmax(dim=-1).bincount(minlength=3) / n
    assert torch.allclose(drawn, logits.softmax(dim=-1), atol=0.01)
