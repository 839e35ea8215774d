"""Special cases: a grid and an older formula agree to rounding, and no longer do when either is another one."""

import pytest
import torch

from tutorlib.lab import UsageError
from tutorlib.papers.vsml import special_cases
from tutorlib.papers.vsml.special_cases import CASES, INPUTS, OUTPUTS, Config, gaps, message, tick


def test_every_case_agrees_to_rounding() -> None:
    found = gaps(3, 50)
    assert list(found) == list(CASES)
    assert max(found.values()) < 1e-13


@pytest.mark.parametrize("name", ["fast_weights", "hebb", "oja", "learned_rule"])
def test_a_cell_that_hears_its_neighbour_disagrees(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def shifted(cell, w, m, mb):
        return cell(w, m.roll(1)[:, None], mb[None, :])

    monkeypatch.setattr(special_cases, "tick", shifted)
    assert gaps(3, 50)[name] > 1e-3


def test_a_meta_rnn_with_other_biases_disagrees(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = special_cases.GridConfig
    ours = plain(forget_bias=4.9)

    def tick_of_another(parts, state, m, mb, config):
        return grid_tick(parts, state, m, mb, ours)

    grid_tick, split = special_cases.grid_tick, special_cases.split
    monkeypatch.setattr(special_cases, "split", lambda theta, config: split(theta, ours))
    monkeypatch.setattr(special_cases, "grid_tick", tick_of_another)
    assert gaps(3, 50)["meta_rnn"] > 1e-3


def test_fast_weights_are_sums_of_outer_products() -> None:
    ours, theirs = CASES["fast_weights"](torch.Generator().manual_seed(0), 1)
    g = torch.Generator().manual_seed(0)
    key, value = (special_cases.normal(g, 1, n)[0] for n in (INPUTS, OUTPUTS))
    assert torch.equal(theirs[: INPUTS * OUTPUTS].view(INPUTS, OUTPUTS), torch.outer(key, value))
    assert torch.allclose(ours, theirs)


def test_a_tick_gives_each_sub_rnn_its_row_and_its_column() -> None:
    w, m, mb = torch.zeros(2, 3), torch.tensor([1.0, 2.0]), torch.tensor([10.0, 20.0, 30.0])
    assert tick(lambda w, m, mb: m + mb, w, m, mb).tolist() == [[11.0, 21.0, 31.0], [12.0, 22.0, 32.0]]
    assert message(torch.ones(2, 3), m).tolist() == [3.0, 3.0, 3.0]


def test_oja_keeps_weights_finite_and_hebb_does_not() -> None:
    g = torch.Generator
    (_, oja), (_, hebb) = (CASES[name](g().manual_seed(0), 2000) for name in ("oja", "hebb"))
    assert oja.view(INPUTS, OUTPUTS).norm(dim=0).max() < 2
    assert not hebb.abs().max() < 1e6


@pytest.mark.parametrize("steps", [0, -1])
def test_bad_input_is_named(steps: int) -> None:
    with pytest.raises(UsageError, match=f"steps={steps}"):
        Config(steps=steps)
