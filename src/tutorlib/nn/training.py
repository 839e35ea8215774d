"""The outer loop that the papers share: Adam on a flat vector, with looks, checkpoints and a stop where it diverges."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from tutorlib.lab import Context
from tutorlib.lab.checkpoint import Rows
from tutorlib.lab.errors import NonFiniteError, bad_argument, checked, expect_fields
from tutorlib.lab.finite import expect_finite
from tutorlib.nn.adam import Moments, adam_step, no_moments
from tutorlib.shapes import Float, Tensor

Estimate = Callable[[Tensor, Any], tuple[Tensor, Tensor]]
"""theta and the step's own generator in; the gradient to descend along and the loss out. For a stack of thetas there is
a list of generators, one for each, and one loss for each."""
Look = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Descent:
    """How to descend."""

    steps: int
    rate: float
    """Adam's learning rate"""
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    clip: float = math.inf
    """largest norm of a gradient"""
    looks: int = 1
    """how often to stop and look, evenly spaced, the last step included"""

    def __post_init__(self) -> None:
        expect_fields(
            self,
            counts=("steps", "looks"),
            positive=("rate", "eps", "clip"),
            shares=("beta1", "beta2"),
            endless=("clip",),
        )
        if self.steps % self.looks:
            raise bad_argument("looks", self.looks, f"a divisor of steps={self.steps}")


class Trained(NamedTuple):
    """What a descent leaves."""

    theta: Float[Tensor, "*cells parameters"]
    losses: Float[Tensor, "steps *cells"]
    looks: list[Tensor]
    """what ``look`` returned, each time"""


@checked(most={"seed": 2**63 - 1, "step": 2**63 - 1})
def step_generator(seed: int, step: int, device: torch.device) -> torch.Generator:
    """Return the generator of step number ``step``: a pure function of its arguments, so a run can go on anywhere."""
    (word,) = np.random.SeedSequence((seed, step)).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(word) >> 1)


@checked(most={"seed": 2**63 - 1}, positive=("rates",))
def descend(
    theta: Float[Tensor, "*cells parameters"],
    estimate: Estimate,
    settings: Descent,
    seed: int | Sequence[int],
    context: Context,
    look: Look | None = None,
    title: str = "meta-training",
    rates: Sequence[float] | None = None,
) -> Trained:
    """Descend from ``theta`` along what ``estimate`` returns.

    With a sequence of seeds, ``theta`` is a stack of as many independent runs; ``rates`` may then give each a learning
    rate of its own. The state is kept in the context's checkpoint at every look, and taken up from there. Raises
    ``NonFiniteError`` if a loss or a gradient is not finite; the checkpoint then still holds the last finite state.
    """
    theta = theta.to(context.device)
    rate = settings.rate if rates is None else torch.tensor(rates, device=context.device).unsqueeze(-1)
    moments, begin = no_moments(theta), 0
    losses: list[Tensor] = []
    looks: list[Tensor] = []
    every = settings.steps // settings.looks

    def like(step: int) -> dict[str, Any]:
        kept = {"theta": theta, "moments": list(moments), "losses": Rows(step)}
        return kept | {"looks": Rows(step // every if look else 0)}

    points = range(every, settings.steps + 1, every)
    if context.checkpoint and (saved := context.checkpoint.resume(context.device, "step", points, like)):
        theta, moments, begin = saved["theta"], Moments(*saved["moments"]), saved["step"]
        losses, looks = list(saved["losses"]), saved["looks"]
    context.progress.start(settings.steps, title)
    context.progress.advance(begin)
    for step in range(begin, settings.steps):
        g, loss = estimate(theta, _generators(seed, step, context.device))
        if math.isfinite(settings.clip):
            g = g * (settings.clip / g.norm(dim=-1, keepdim=True)).clamp(max=1.0)
        theta, moments = adam_step(theta, moments, g, step, rate, settings.beta1, settings.beta2, settings.eps)
        losses.append(loss)
        if (step + 1) % every == 0:
            _refuse_non_finite(torch.stack(losses), theta, settings)
            seeds, advice = [seed] if isinstance(seed, int) else seed, f"a smaller rate than {settings.rate} may help"
            expect_finite({"Adam's state": moments}, f"after step {step + 1} of {settings.steps}", seeds, advice)
            if look:
                looks.append(look(theta))
            if context.checkpoint:
                kept = {"theta": theta, "moments": list(moments), "step": step + 1}
                context.checkpoint.save(kept | {"losses": torch.stack(losses), "looks": looks})
            context.progress.advance(every)
    context.progress.close()
    return Trained(theta, torch.stack(losses), looks)


def _generators(seed: int | Sequence[int], step: int, device: torch.device) -> torch.Generator | list[torch.Generator]:
    """Return the generator of a step, or those of the same step of several runs."""
    if isinstance(seed, int):
        return step_generator(seed, step, device)
    return [step_generator(own, step, device) for own in seed]


def _refuse_non_finite(losses: Tensor, theta: Tensor, settings: Descent) -> None:
    bad = (~losses.isfinite()).nonzero()
    if len(bad) or not bool(theta.isfinite().all()):
        step = int(bad[0, 0]) if len(bad) else len(losses) - 1
        found = f"loss={losses[tuple(bad[0])].item()}" if len(bad) else "a gradient that is not finite"
        raise NonFiniteError(
            f"{found} at step {step + 1} of {settings.steps}: expected finite numbers; the last finite checkpoint is "
            f"kept, a smaller rate than {settings.rate} may help"
        )


__all__ = ["Descent", "Estimate", "Look", "Trained", "descend", "step_generator"]
