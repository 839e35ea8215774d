"""The outer loop that the papers share: Adam on flat vectors, with evaluations, checkpoints and stops at divergence."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from tutorlib.lab import Context
from tutorlib.lab.errors import bad_argument, checked, expect_fields
from tutorlib.lab.loop import repeat
from tutorlib.nn.adam import Moments, adam_step, clip_by_norm, no_moments
from tutorlib.shapes import Float, Tensor

Estimate = Callable[[Float[Tensor, "runs parameters"], list[torch.Generator]], tuple[Tensor, Tensor]]
"""The runs' thetas and, for each run, the step's own generator in; the gradients ``[runs, parameters]`` to descend
along and the losses ``[runs]`` out."""
Evaluate = Callable[[Float[Tensor, "runs parameters"]], Tensor]


@dataclass(frozen=True)
class Descent:
    """How to descend."""

    steps: int
    lr: float
    """Adam's learning rate"""
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    max_grad_norm: float = math.inf
    """largest norm of a gradient"""
    num_evals: int = 1
    """how often to stop and evaluate, evenly spaced, the last step included"""

    def __post_init__(self) -> None:
        expect_fields(
            self,
            counts=("steps", "num_evals"),
            positive=("lr", "eps", "max_grad_norm"),
            shares=("beta1", "beta2"),
            endless=("max_grad_norm",),
        )
        if self.steps % self.num_evals:
            raise bad_argument("num_evals", self.num_evals, f"a divisor of steps={self.steps}")


class Trained(NamedTuple):
    """What a descent leaves."""

    theta: Float[Tensor, "runs parameters"]
    losses: Float[Tensor, "steps runs"]
    evals: list[Tensor]
    """what ``evaluate`` returned, each time"""


@checked(maximum={"seed": 2**63 - 1, "step": 2**63 - 1})
def step_generator(seed: int, step: int, device: torch.device) -> torch.Generator:
    """Return the generator of step number ``step``: a pure function of its arguments, so a run can go on anywhere."""
    return _numbered(seed, step, device)


@checked(maximum={"seed": 2**63 - 1, "trained": 2**62, "number": 2**62})
def eval_generator(seed: int, trained: int, device: torch.device, number: int = 0) -> torch.Generator:
    """Return the generator of evaluation ``number`` of a run whose training has the step numbers below ``trained``.

    It is that of the step ``trained + number``, so an evaluation meets nothing that training draws, leaves training as
    it is without it, and is the same after a resume.
    """
    return _numbered(seed, trained + number, device)


def _numbered(seed: int, number: int, device: torch.device) -> torch.Generator:
    (word,) = np.random.SeedSequence((seed, number)).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(word) >> 1)


@checked(maximum={"seeds": 2**63 - 1}, positive=("lrs",))
def descend(
    theta: Float[Tensor, "runs parameters"],
    estimate: Estimate,
    settings: Descent,
    seeds: Sequence[int],
    context: Context,
    evaluate: Evaluate | None = None,
    title: str = "meta-training",
    lrs: Sequence[float] | None = None,
) -> Trained:
    """Descend from ``theta``, independent runs side by side, along what ``estimate`` returns.

    ``seeds``: one for each run. ``lrs`` may give each a learning rate of its own. For what is kept, and for runs that
    diverge, see ``lab.loop.repeat``. Raises ``UsageError`` unless there are as many seeds, and learning rates, as runs.
    """
    for name, given in (("seeds", seeds), ("lrs", lrs)):
        if given is not None and len(given) != len(theta):
            raise bad_argument(name, list(given), f"one for each of the {len(theta)} runs of theta")
    theta = theta.to(context.device)
    # [runs, 1], so that each run's learning rate meets its own row of theta
    lr = settings.lr if lrs is None else torch.tensor(lrs, device=context.device).unsqueeze(-1)

    def step(state: Descending, number: int) -> tuple[Descending, Tensor]:
        g, losses = estimate(state.theta, [step_generator(seed, number, context.device) for seed in seeds])
        g = clip_by_norm(g, settings.max_grad_norm) if math.isfinite(settings.max_grad_norm) else g
        b1, b2 = settings.beta1, settings.beta2
        return Descending(*adam_step(state.theta, state.moments, g, number, lr, b1, b2, settings.eps)), losses

    def seen(state: Descending, done: int) -> Tensor:
        assert evaluate is not None
        return evaluate(state.theta)

    course = repeat(
        step,
        Descending(theta, no_moments(theta)),
        settings.steps,
        context,
        title=title,
        seeds=seeds,
        eval_every=settings.steps // settings.num_evals,
        evaluate=seen if evaluate else None,
        advice=f"a smaller lr than {settings.lr} may help",
    )
    return Trained(course.state.theta, course.log, course.evals)


class Descending(NamedTuple):
    """What changes during a descent."""

    theta: Float[Tensor, "runs parameters"]
    moments: Moments


__all__ = ["Descent", "Estimate", "Evaluate", "Trained", "descend", "eval_generator", "step_generator"]
