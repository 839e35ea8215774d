"""How bonuses fade in the lock: predictors alone, under a policy that never changes (a case of ours for 2211.10282).

Error, disagreement and their product are looked at as predictors learn. The paper argues in words that the product
falls where the error alone stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch

from tutorlib.envs.lock import GOOD, LockState
from tutorlib.envs.tensors import one_hot, pick
from tutorlib.lab import Context, Trial
from tutorlib.lab.batching import common
from tutorlib.lab.errors import bad_argument, expect_fields
from tutorlib.lab.loop import repeat
from tutorlib.papers.rcgvf.algorithm import (
    Batch,
    Log,
    Noise,
    Rollout,
    State,
    descend,
    draw_noise,
    hyper,
    initial_state,
    look_back,
    predictor_objective,
    shuffled,
)
from tutorlib.papers.rcgvf.config import VARIES as LEARNER_VARIES
from tutorlib.papers.rcgvf.config import Config
from tutorlib.papers.rcgvf.methods import TABLE
from tutorlib.papers.rcgvf.model import predict
from tutorlib.shapes import Float, Tensor


@dataclass(frozen=True)
class Fading:
    """Predictors in the lock, under a policy that takes the right action more often than chance."""

    learner: Config
    """all but its policy; its bonus is looked at and never paid"""
    right: float = 0.5
    """share of steps in which the policy knows the right action; in the others it takes any"""
    scale: float = 1.0
    """c: Z is multiplied by it"""

    def __post_init__(self) -> None:
        expect_fields(self, positive=("scale",))
        if not 0 <= self.right < 1:
            raise bad_argument("right", self.right, "a number from 0, below 1")
        if TABLE[self.learner.method].curiosity is None:
            raise bad_argument("learner.method", self.learner.method, "a method with predictors")


VARIES = tuple(f"learner.{name}" for name in LEARNER_VARIES)
"""fields in which runs side by side may differ, besides the seed"""


def mixed_policy(c: Config, right: float, e: LockState) -> Float[Tensor, "*batch actions"]:
    """Return the logarithms of pi(a) = right [a = a*] + (1 - right) / A."""
    best = pick(e.table.flatten(-2), e.row.clamp(max=GOOD - 1) * c.horizon + e.column)
    return (right * one_hot(best, c.actions) + (1 - right) / c.actions).log()


@torch.no_grad()
def walk(c: Config, right: float, e: LockState, noise: Noise) -> tuple[Rollout, LockState]:
    """Return what T steps of the mixed policy bring, and the environments after them. There is no critic: v is 0."""
    env = c.env
    observations, actions, log_pi, rewards, done, columns = [], [], [], [], [], []
    for t in range(c.num_steps):
        log_p = mixed_policy(c, right, e)
        a = (log_p + noise.gumbel[:, t]).argmax(dim=-1)
        observations.append(env.observe(e))
        columns.append(e.good_column)
        e, r, end = env.step(e, a, noise.step[:, t])
        actions.append(a)
        log_pi.append(log_p.gather(-1, a.unsqueeze(-1)).squeeze(-1))
        rewards.append(r)
        done.append(end)
    observations.append(env.observe(e))
    o = torch.stack(observations, dim=1)
    return Rollout(
        o=o,
        actions=torch.stack(actions, dim=1),
        log_pi=torch.stack(log_pi, dim=1),
        v=o.new_zeros(o.shape[:3]),
        r=torch.stack(rewards, dim=1),
        done=torch.stack(done, dim=1),
        columns=torch.stack(columns, dim=1),
    ), e


def scaled(c: Config, state: State, scale: float) -> State:
    """Return ``state`` with ``scale`` Z in place of Z, which is its last layer times ``scale``."""
    zeta, last = state.zeta.clone(), (c.hidden_z + 1) * c.d  # weights and biases of the last layer stand last
    zeta[:, -last:] *= scale  # rcgvf-idea-scale
    return state._replace(zeta=zeta)


def learn(c: Config, state: State, batch: Batch, noise: Noise, number: int) -> State:
    """Return the state after the predictors have learned from update ``number``, as they do in RC-GVF."""
    phi, moments = state.phi, state.phi_moments
    step = number * c.update_epochs * (c.frames // c.minibatch_size)
    for epoch in range(c.update_epochs):
        parts = [shuffled(x, noise.order[:, epoch]).split(c.minibatch_size, dim=1) for x in batch]
        for part in zip(*parts, strict=True):
            loss = partial(predictor_objective, c, b=Batch(*part))
            phi, moments = descend(loss, phi, moments, step, c.predictor_lr * c.lr, c.max_grad_norm)
            step += 1
    return state._replace(phi=phi.detach(), phi_moments=moments)


@torch.no_grad()
def first_predictions(c: Config, state: State) -> Float[Tensor, "seeds d"]:
    """Return what the heads predict on average in row 0 of column 0, seen without noise."""
    table = state.e.table[:, 0]
    zero = torch.zeros(len(table), dtype=torch.long, device=table.device)
    start = LockState(table, zero, zero, state.phi.new_zeros(len(table), c.env.entries))
    return predict(c.predictor, c.ensemble, state.phi, c.env.observe(start).unsqueeze(1)).mean(dim=1).squeeze(1)


class Faded(NamedTuple):
    """What predictors leave."""

    log: Log
    """with a first axis of updates"""
    evals: list[Tensor]
    """``first_predictions``, each time"""


def fade(trials: Sequence[Trial], context: Context) -> Faded:
    """Train the predictors of ``trials``, whose configurations are ``Fading``, side by side.

    For what is kept, and for runs that diverge, see ``lab.loop.repeat``. Raises ``UsageError`` for trials that
    differ in more.
    """
    config: Fading = common(trials, VARIES)
    c, seeds = config.learner, [trial.seed for trial in trials]
    h = hyper([Trial(trial.config.learner, trial.seed) for trial in trials], context.device)

    def step(state: State, number: int) -> tuple[State, Log]:
        noise = draw_noise(c, seeds, number, context.device)
        past, e = walk(c, config.right, state.e, noise)
        batch, log = look_back(c, h, state, past)
        return learn(c, state._replace(e=e), batch, noise, number), log

    course = repeat(
        step,
        scaled(c, initial_state(c, seeds, context.device), config.scale),
        c.updates,
        context,
        title=f"{c.method}, {len(trials)} side by side",
        seeds=seeds,
        eval_every=c.updates // c.num_evals,
        evaluate=lambda state, done: first_predictions(c, state),
        log=Log,
        advice=f"a smaller lr than {c.lr} may help",
    )
    return Faded(course.log, course.evals)


__all__ = [
    "VARIES",
    "Faded",
    "Fading",
    "fade",
    "first_predictions",
    "learn",
    "mixed_policy",
    "scaled",
    "walk",
]
