"""What GoGePo is compared with: one policy in place of a generator, random search, and regression on weights.

- ``train_single``: PSSVF, the ablation with one policy. The evaluator is GoGePo's; theta climbs V_w(theta) itself.
- ``train_ars``: augmented random search (Mania et al. 2018, V2-t), with the same deep policies. No network is learned:
  theta moves along differences of returns of antithetic pairs.
- ``regression_step``: the generator learns the stored weights, E (G_rho(r) - theta)^2, and no evaluator is asked.

All begin with the policy that GoGePo's untrained generator writes for its first command with the same seed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from tutorlib.lab import Context, Trial
from tutorlib.lab.batching import column, common
from tutorlib.lab.errors import bad_argument, checked, expect_fields
from tutorlib.lab.loop import repeat
from tutorlib.nn import adam_step, slope, step_generator
from tutorlib.papers.gogepo.algorithm import (
    Config,
    Learner,
    Setting,
    State,
    Trained,
    begin_with,
    kept_where,
    train,
)
from tutorlib.papers.gogepo.model import Generator
from tutorlib.papers.gogepo.problem import Statistics, no_statistics, play
from tutorlib.shapes import Bool, Float, Int, Tensor

# One policy: PSSVF.


@dataclass(frozen=True)
class One:
    """A writer that knows one policy: rho is theta, whatever is asked for."""

    generator: Generator
    """that writes the policy to begin with"""
    command: float
    """for which it does"""

    def initial(self, generator: torch.Generator) -> Float[Tensor, "weights"]:
        """Return the policy that the untrained generator of this seed writes."""
        rho = self.generator.initial(generator).unsqueeze(0)
        return self.generator.generate(rho, torch.full_like(rho[:, :1], self.command))[0, 0]

    def generate(
        self, rho: Float[Tensor, "runs weights"], c: Float[Tensor, "runs policies"]
    ) -> Float[Tensor, "runs policies weights"]:
        """Return the one policy for each command."""
        return rho.unsqueeze(1).expand(-1, c.shape[1], -1)


def one_of(config: Config) -> One:
    """Return the writer of one policy that stands beside the generator of ``config``."""
    return One(config.generator, config.input_for(config.first_command))


def begin_single(config: Config, seeds: Sequence[int], device: torch.device) -> tuple[Setting, State]:
    """Return a batch of runs of PSSVF before the first episode."""
    return begin_with(one_of(config), config, seeds, device)


def ascent_step(setting: Setting, learner: Learner, r: Tensor, step: int | Tensor) -> Learner:
    """Return the learner after a step of Adam, at rate ``generator_lr``, along the gradient of V_w(theta) in theta."""
    g = slope(lambda theta: -setting.evaluator.value(learner.w, theta.unsqueeze(1))[:, 0], learner.rho)
    theta, moments = adam_step(learner.rho, learner.rho_moments, g, step, setting.lr)
    return learner._replace(rho=theta, rho_moments=moments)


def train_single(trials: Sequence[Trial], context: Context) -> Trained:
    """Run PSSVF: GoGePo's loop with one policy, so ``rho`` is theta and ``generator_lr`` its rate."""
    return train(trials, context, begin_single, ascent_step)


# Random search: ARS.

SEARCH_VARIES = ("lr", "noise")
"""Fields in which runs of ARS side by side may differ, besides the seed."""


@dataclass(frozen=True)
class Ars:
    """One run of augmented random search."""

    base: Config = field(default_factory=Config)
    """the world, the steps, the policy and the evaluations; what it says of learning is not used"""
    lr: float = 0.1
    """alpha"""
    noise: float = 0.1
    """nu: deviation of a perturbation, entry by entry"""
    pairs: int = 4
    """N, directions of an iteration; each is two episodes"""
    top: int = 2
    """b, directions that count: those with the best return in either episode"""
    iterations: int = 125
    """at most"""

    def __post_init__(self) -> None:
        expect_fields(self, counts=("iterations",), sizes=("pairs",), minimum={"top": 1}, positive=("lr", "noise"))
        if self.top > self.pairs:
            raise bad_argument("top", self.top, f"at most pairs={self.pairs}")


class ArsState(NamedTuple):
    """All that changes while runs search."""

    theta: Float[Tensor, "runs weights"]
    statistics: Statistics
    best: Float[Tensor, "runs"]
    """the best return of an episode so far"""
    used: Int[Tensor, "runs"]
    """steps in the environment so far"""


class ArsLog(NamedTuple):
    """What each iteration tells."""

    r: Float[Tensor, "runs"]
    """mean return of the perturbed policies"""
    best: Float[Tensor, "runs"]
    used: Int[Tensor, "runs"]
    played: Bool[Tensor, "runs"]
    """whether there was an iteration: not if the run's steps were used up before"""
    greedy: Float[Tensor, "runs"]
    """after the step, the mean return of theta itself"""


@checked(minimum={"top": 1})
def ars_direction(
    eps: Float[Tensor, "runs pairs weights"],
    plus: Float[Tensor, "runs pairs"],
    minus: Float[Tensor, "runs pairs"],
    top: int,
) -> Float[Tensor, "runs weights"]:
    """Return (1 / (b s)) sum (r+ - r-) eps over the ``top`` directions, s being the deviation of their returns.

    Returns that are all the same say nothing, and give 0. Raises ``UsageError`` if there are fewer directions.
    """
    if top > plus.shape[1]:
        raise bad_argument("top", top, f"at most {plus.shape[1]} directions")
    chosen = torch.maximum(plus, minus).topk(top, dim=1).indices
    plus, minus = plus.gather(1, chosen), minus.gather(1, chosen)
    eps = eps.gather(1, chosen.unsqueeze(-1).expand(-1, -1, eps.shape[-1]))
    deviation = torch.cat([plus, minus], dim=1).std(dim=1, unbiased=False)
    weight = (plus - minus) / (top * deviation.clamp(min=1e-8)).unsqueeze(1)
    return (weight.unsqueeze(1) @ eps).squeeze(1)


class Searched(NamedTuple):
    """What a batch of runs of ARS leaves."""

    state: ArsState
    log: ArsLog
    """with a first axis of iterations"""


def train_ars(trials: Sequence[Trial], context: Context) -> Searched:
    """Search, all trials side by side; a run whose steps are used up stays as it is."""
    c: Ars = common(trials, SEARCH_VARIES)
    base, device, seeds = c.base, context.device, [trial.seed for trial in trials]
    policy, env, writer = base.policy, base.env, one_of(base)
    theta = torch.stack([writer.initial(torch.Generator().manual_seed(seed)) for seed in seeds]).to(device)
    rates, deviations = (column(trials, name, device).unsqueeze(-1) for name in SEARCH_VARIES)
    zeros = torch.zeros(len(seeds), device=device)
    start = ArsState(theta, no_statistics(len(seeds), policy.observations, device), zeros, zeros.long())

    @torch.no_grad()
    def step(state: ArsState, number: int) -> tuple[ArsState, ArsLog]:
        generators = [step_generator(seed, number, device) for seed in seeds]

        def drawn(*shape: int, normal: bool = False) -> Tensor:
            draw = torch.randn if normal else torch.rand
            return torch.stack([draw(shape, generator=g, device=device) for g in generators])

        eps = drawn(c.pairs, policy.size, normal=True)
        members = state.theta.unsqueeze(1) + deviations.unsqueeze(-1) * torch.cat([eps, -eps], dim=1)
        u = drawn(2 * c.pairs, 1, env.start_noise)
        played = play(env, policy, members, state.statistics, u, normalise=number > 0, learn=True)
        r = played.returns.squeeze(-1)
        plus, minus = r.chunk(2, dim=1)
        going = state.used < base.steps
        top = r.max(dim=1).values
        new = ArsState(
            state.theta + rates * ars_direction(eps, plus, minus, c.top),
            played.statistics,
            top if number == 0 else torch.maximum(state.best, top),
            state.used + played.steps.sum(dim=(1, 2)),
        )
        after = kept_where(going, new, state)
        starts = drawn(1, base.eval_episodes, env.start_noise)
        greedy = play(env, policy, after.theta.unsqueeze(1), after.statistics, starts).returns.mean(dim=(1, 2))
        return after, ArsLog(r.mean(dim=1), after.best, after.used, going, greedy)

    course = repeat(step, start, c.iterations, context, title=f"random search in {base.environment}", seeds=seeds,
                    log=ArsLog, advice=f"a smaller lr than {c.lr} may help")  # fmt: skip
    return Searched(course.state, course.log)


# Regression on weights.


@checked()
def regression_loss(
    setting: Setting,
    rho: Float[Tensor, "runs generator"],
    theta: Float[Tensor, "runs batch weights"],
    r: Float[Tensor, "runs batch"],
) -> Float[Tensor, "runs"]:
    """Return the mean of (G_rho(r) - theta)^2, summed over weights: what hindsight would teach a generator."""
    return (setting.generator.generate(rho, setting.config.input_for(r)) - theta).square().sum(dim=-1).mean(dim=-1)


def regression_step(setting: Setting, learner: Learner, theta: Tensor, r: Tensor, step: int | Tensor) -> Learner:
    """Return the learner after a step of Adam along the regression's loss, at rate ``generator_lr``."""
    g = slope(lambda rho: regression_loss(setting, rho, theta, r), learner.rho)
    rho, moments = adam_step(learner.rho, learner.rho_moments, g, step, setting.lr)
    return learner._replace(rho=rho, rho_moments=moments)


__all__ = [
    "SEARCH_VARIES",
    "Ars",
    "ArsLog",
    "ArsState",
    "One",
    "Searched",
    "ars_direction",
    "ascent_step",
    "begin_single",
    "one_of",
    "regression_loss",
    "regression_step",
    "train_ars",
    "train_single",
]
