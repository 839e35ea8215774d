"""The outer loop: what it computes, how it stops, and how it goes on."""

from pathlib import Path

import pytest
import torch

from tutorlib.lab import Checkpoint, Context
from tutorlib.lab.errors import NonFiniteError, UsageError
from tutorlib.nn import Descent, adam_step, descend, no_moments, step_generator

TARGET = torch.tensor([1.0, -2.0, 3.0])


def noisy(theta: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """The gradient and the value of ``|theta - TARGET|^2 / 2``, with noise on the gradient."""
    error = theta - TARGET
    return error + 0.01 * torch.randn(3, generator=generator), error.square().sum() / 2


def test_it_descends_along_the_estimates_with_adam() -> None:
    settings = Descent(steps=300, rate=0.05, looks=3)
    found = descend(torch.zeros(3), noisy, settings, 5, Context(), lambda theta: theta.sum())
    theta, moments = torch.zeros(3), no_moments(torch.zeros(3))
    for step in range(300):
        g, _ = noisy(theta, step_generator(5, step, torch.device("cpu")))
        theta, moments = adam_step(theta, moments, g, step, 0.05)
    assert torch.equal(found.theta, theta)
    assert (found.theta - TARGET).abs().max() < 0.1
    assert found.losses.shape == (300,)
    assert found.losses[0] == TARGET.square().sum() / 2
    assert len(found.looks) == 3
    assert found.looks[-1] == theta.sum()


def test_large_gradients_are_clipped() -> None:
    seen = []

    def steep(theta: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        g = torch.tensor([300.0, 400.0, 0.0]) if not seen else torch.tensor([0.3, 0.4, 0.0])
        seen.append(g)
        return g, g.norm()

    clipped = descend(torch.zeros(3), steep, Descent(steps=2, rate=0.1, clip=1.0), 0, Context()).theta
    theta, moments = torch.zeros(3), no_moments(torch.zeros(3))
    for step, g in enumerate((torch.tensor([0.6, 0.8, 0.0]), torch.tensor([0.3, 0.4, 0.0]))):
        theta, moments = adam_step(theta, moments, g, step, 0.1)
    torch.testing.assert_close(clipped, theta)


def test_a_killed_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    settings = Descent(steps=40, rate=0.05, looks=8)
    whole = descend(torch.zeros(3), noisy, settings, 1, Context(), torch.clone)
    calls = 0

    def killed(theta: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        nonlocal calls
        calls += 1
        if calls == 23:
            raise KeyboardInterrupt
        return noisy(theta, generator)

    context = Context(checkpoint=Checkpoint(tmp_path / "state.pt", "a"), save_every=0.0)
    with pytest.raises(KeyboardInterrupt):
        descend(torch.zeros(3), killed, settings, 1, context, torch.clone)
    resumed = descend(torch.zeros(3), noisy, settings, 1, context, torch.clone)
    assert torch.equal(resumed.theta, whole.theta)
    assert torch.equal(resumed.losses, whole.losses)
    assert torch.equal(torch.stack(resumed.looks), torch.stack(whole.looks))


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_a_diverging_run_stops_and_keeps_the_last_finite_state(tmp_path: Path, what: str) -> None:
    calls = 0

    def diverging(theta: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        nonlocal calls
        calls += 1
        g, loss = noisy(theta, generator)
        bad = torch.tensor(torch.nan)
        if calls < (14 if what == "loss" else 20):
            return g, loss
        return (g, bad) if what == "loss" else (g * bad, loss)

    checkpoint = Checkpoint(tmp_path / "state.pt", "a")
    said = (
        f"{'loss of step 14' if what == 'loss' else 'theta after step 20'} of 40 is not finite .seed 1.: .* than 0.05"
    )
    with pytest.raises(NonFiniteError, match=said):
        descend(torch.zeros(3), diverging, Descent(40, 0.05, looks=4), 1, Context(checkpoint=checkpoint))
    kept = checkpoint.of_run(0).load()
    assert kept is not None
    assert kept["step"] == 10
    assert all(part.isfinite().all() for part in kept["state"])


def test_steps_have_generators_of_their_own() -> None:
    cpu = torch.device("cpu")
    draws = {(s, t): torch.randn(4, generator=step_generator(s, t, cpu)) for s in (0, 1) for t in (0, 1)}
    assert torch.equal(draws[0, 1], torch.randn(4, generator=step_generator(0, 1, cpu)))
    assert len({tuple(draw.tolist()) for draw in draws.values()}) == 4


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"steps": 0}, "steps=0"),
        ({"rate": -1.0}, "rate=-1.0: expected a positive number"),
        ({"clip": 0.0}, "clip=0.0"),
        ({"looks": 3}, "looks=3: expected a divisor of steps=10"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Descent(**{"steps": 10, "rate": 0.1} | settings)
