"""The outer loop: what it computes, how it stops, and how it goes on."""

from pathlib import Path

import pytest
import torch

from tutorlib.lab import Checkpoint, Context
from tutorlib.lab.errors import NonFiniteError, UsageError
from tutorlib.nn import Descent, adam_step, descend, eval_generator, no_moments, step_generator

TARGET = torch.tensor([1.0, -2.0, 3.0])


def noisy(theta: torch.Tensor, generators: list[torch.Generator]) -> tuple[torch.Tensor, torch.Tensor]:
    """The gradient and the value of ``|theta - TARGET|^2 / 2`` of each run, with noise on the gradient."""
    error = theta - TARGET
    noise = torch.stack([torch.randn(3, generator=own) for own in generators])
    return error + 0.01 * noise, error.square().sum(dim=-1) / 2


def by_hand(seed: int, lr: float, steps: int) -> torch.Tensor:
    """One run, written out."""
    theta, moments = torch.zeros(1, 3), no_moments(torch.zeros(1, 3))
    for step in range(steps):
        g, _ = noisy(theta, [step_generator(seed, step, torch.device("cpu"))])
        theta, moments = adam_step(theta, moments, g, step, lr)
    return theta[0]


def test_it_descends_along_the_estimates_with_adam() -> None:
    settings = Descent(steps=300, lr=0.05, num_evals=3)
    found = descend(torch.zeros(1, 3), noisy, settings, [5], Context(), lambda theta: theta.sum(dim=-1))
    assert torch.equal(found.theta, by_hand(5, 0.05, 300).unsqueeze(0))
    assert (found.theta - TARGET).abs().max() < 0.1
    assert found.losses.shape == (300, 1)
    assert found.losses[0] == TARGET.square().sum() / 2
    assert len(found.evals) == 3
    assert torch.equal(found.evals[-1], found.theta.sum(dim=-1))


def test_runs_have_seeds_and_rates_of_their_own() -> None:
    settings, runs = Descent(steps=20, lr=0.05), {5: 0.05, 6: 0.05, 7: 0.2}
    found = descend(torch.zeros(3, 3), noisy, settings, list(runs), Context(), lrs=list(runs.values()))
    assert found.losses.shape == (20, 3)
    for theta, (seed, lr) in zip(found.theta, runs.items(), strict=True):
        torch.testing.assert_close(theta, by_hand(seed, lr, 20))


@pytest.mark.parametrize(("changes", "said"), [
    ({"seeds": [1]}, r"seeds=\[1\]: expected one for each of the 2 runs of theta"),
    ({"lrs": [0.1]}, r"lrs=\[0.1\]: expected one for each of the 2 runs of theta"),
])  # fmt: skip
def test_each_run_has_a_seed_and_a_rate(changes: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        descend(**{"theta": torch.zeros(2, 3), "estimate": noisy, "settings": Descent(2, 0.1), "seeds": [0, 1],
                   "context": Context()} | changes)  # fmt: skip


def test_large_gradients_are_clipped() -> None:
    seen = []

    def steep(theta: torch.Tensor, generators: list[torch.Generator]) -> tuple[torch.Tensor, torch.Tensor]:
        # one run's gradient is large at first, and the other's is not
        g = torch.tensor([[300.0, 400.0, 0.0] if not seen else [0.3, 0.4, 0.0], [0.3, 0.4, 0.0]])
        seen.append(g)
        return g, g.norm(dim=-1)

    clipped = descend(torch.zeros(2, 3), steep, Descent(steps=2, lr=0.1, max_grad_norm=1.0), [0, 1], Context()).theta
    for run, first in enumerate(([0.6, 0.8, 0.0], [0.3, 0.4, 0.0])):
        theta, moments = torch.zeros(3), no_moments(torch.zeros(3))
        for step, g in enumerate((first, [0.3, 0.4, 0.0])):
            theta, moments = adam_step(theta, moments, torch.tensor(g), step, 0.1)
        torch.testing.assert_close(clipped[run], theta)


def test_a_killed_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    settings, start = Descent(steps=40, lr=0.05, num_evals=8), torch.zeros(2, 3)
    whole = descend(start, noisy, settings, [1, 2], Context(), torch.clone)
    calls = 0

    def killed(theta: torch.Tensor, generators: list[torch.Generator]) -> tuple[torch.Tensor, torch.Tensor]:
        nonlocal calls
        calls += 1
        if calls == 23:
            raise KeyboardInterrupt
        return noisy(theta, generators)

    context = Context(checkpoint=Checkpoint(tmp_path / "state.pt", "a"), save_every=0.0)
    with pytest.raises(KeyboardInterrupt):
        descend(start, killed, settings, [1, 2], context, torch.clone)
    resumed = descend(start, noisy, settings, [1, 2], context, torch.clone)
    assert torch.equal(resumed.theta, whole.theta)
    assert torch.equal(resumed.losses, whole.losses)
    assert torch.equal(torch.stack(resumed.evals), torch.stack(whole.evals))


def test_a_diverging_run_says_which_rate_was_too_large() -> None:
    def diverging(theta: torch.Tensor, generators: list[torch.Generator]) -> tuple[torch.Tensor, torch.Tensor]:
        g, losses = noisy(theta, generators)
        return g, losses / 0.0

    said = r"loss of step 1 of 40 is not finite .seed 1.: .* a smaller lr than 0.05 may help"
    with pytest.raises(NonFiniteError, match=said):
        descend(torch.zeros(1, 3), diverging, Descent(40, 0.05, num_evals=4), [1], Context())


def test_steps_have_generators_of_their_own() -> None:
    cpu = torch.device("cpu")
    draws = {(s, t): torch.randn(4, generator=step_generator(s, t, cpu)) for s in (0, 1) for t in (0, 1)}
    assert torch.equal(draws[0, 1], torch.randn(4, generator=step_generator(0, 1, cpu)))
    assert len({tuple(draw.tolist()) for draw in draws.values()}) == 4


def test_evaluations_have_the_numbers_after_those_of_training() -> None:
    cpu = torch.device("cpu")
    steps = [torch.randn(4, generator=step_generator(3, number, cpu)) for number in range(8)]
    evals = [torch.randn(4, generator=eval_generator(3, 5, cpu, number)) for number in range(3)]
    assert [evals[place].tolist() for place in range(3)] == [steps[place].tolist() for place in (5, 6, 7)]
    assert torch.equal(torch.randn(4, generator=eval_generator(3, 5, cpu)), steps[5])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"steps": 0}, "steps=0"),
        ({"lr": -1.0}, "lr=-1.0: expected a positive number"),
        ({"max_grad_norm": 0.0}, "max_grad_norm=0.0"),
        ({"num_evals": 3}, "num_evals=3: expected a divisor of steps=10"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Descent(**{"steps": 10, "lr": 0.1} | settings)
