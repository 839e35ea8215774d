"""Many right answers: the evaluator's loss and regression on weights, taught by the same stored policies.

Two runs of GoGePo begin with other numbers, and end with other policies for the same returns. Their policies together
are a buffer with two modes; those of one of them alone are a buffer with one. On each, one generator learns by the
evaluator's loss, and another regresses on the weights. Both begin alike, see the same batches, and take as many steps.

A stored return was measured when observations were normalised in another way, so all returns are measured anew, with
the statistics of all of the buffer's runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar, cast

import torch
from torch.utils import _pytree as pytree

from tutorlib.lab import Context, Metrics, Trial, rounded
from tutorlib.lab.batching import column, common
from tutorlib.lab.errors import expect_fields
from tutorlib.lab.loop import repeat
from tutorlib.lab.progress import Silent
from tutorlib.nn import step_generator
from tutorlib.papers.gogepo.algorithm import (
    Learner,
    Setting,
    Trained,
    begin,
    evaluator_loss,
    evaluator_step,
    generator_step,
    train,
)
from tutorlib.papers.gogepo.analysis import INSIDE
from tutorlib.papers.gogepo.baselines import regression_step
from tutorlib.papers.gogepo.config import Config
from tutorlib.papers.gogepo.contest import DIGITS, reduced
from tutorlib.papers.gogepo.problem import Statistics, play
from tutorlib.shapes import Float, Tensor

VARIES = ("lr", "regression_lr")
"""Fields in which runs side by side may differ, besides the seed."""
PARTNER = 500
"""the second run of a buffer has the seed of the first and so much more"""
BEST = 0.75
"""quantile of returns from which on policies are good ones, of which it is told how far apart two runs' are"""


@dataclass(frozen=True)
class Modes:
    """One pair of buffers, and four generators that learn from them."""

    base: Config = field(default_factory=lambda: reduced("pend"))
    """how the stored policies came about, and what networks learn from them"""
    lr: float = 3e-4
    """of the generator that learns by the evaluator's loss"""
    regression_lr: float = 3e-4
    """of the one that regresses on weights"""
    rounds: int = 120
    each: int = 10
    """in a round, steps of the evaluator and of either generator"""
    measured: int = 4
    """episodes behind the return of a stored policy"""
    commands: int = 21
    """that a trained generator is asked for, evenly between the quantiles ``INSIDE`` of the buffer's returns"""
    episodes: int = 8
    """behind what each achieves"""

    def __post_init__(self) -> None:
        expect_fields(
            self, counts=("rounds", "each", "measured", "episodes"), minimum={"commands": 2},
            maximum={"commands": 1000}, positive=("lr", "regression_lr"),
        )  # fmt: skip


class Pool(NamedTuple):
    """Stored policies, of one mode and of two; those of one mode are there twice, so that both are as many."""

    theta: Float[Tensor, "runs 2 policies weights"]
    r: Float[Tensor, "runs 2 policies"]
    """measured anew"""
    statistics: Statistics
    """of the observations of all episodes behind each, with an axis of modes after the runs"""
    apart: Float[Tensor, "runs"]
    """how far the means of good policies of both runs are apart, in deviations of one run's"""


class Pupils(NamedTuple):
    """The generators, with an axis of modes after the runs."""

    asked: Learner
    """by the evaluator's loss"""
    copied: Learner
    """by regression on weights"""


T = TypeVar("T")


def _flat(parts: T) -> T:
    """Return tensors whose axes of runs and of modes are one axis of runs."""
    return cast(T, pytree.tree_map(lambda x: x.flatten(0, 1), parts))


def _apart(parts: T) -> T:
    """Return tensors with an axis of two modes after the runs: the opposite of ``_flat``."""
    return cast(T, pytree.tree_map(lambda x: x.unflatten(0, (-1, 2)), parts))


def together(one: Statistics, two: Statistics) -> Statistics:
    """Return the statistics of what either has seen (Chan's sum)."""
    seen = one.seen + two.seen
    share = (two.seen / seen.clamp(min=1)).unsqueeze(-1)
    off = two.mean - one.mean
    squares = one.squares + two.squares + one.seen.unsqueeze(-1) * share * off.square()
    return Statistics(seen, one.mean + share * off, squares)


def pooled(c: Modes, trained: Trained, seeds: Sequence[int]) -> Pool:
    """Return the buffers of runs that were trained in pairs, first all the first ones and then their partners."""
    buffer, statistics = trained.state.buffer, trained.state.statistics
    theta, r = (torch.stack(part.chunk(2), dim=1) for part in (buffer.theta, buffer.r))  # [runs, 2, policies, ...]
    first, second = (Statistics(*part) for part in zip(*(x.chunk(2) for x in statistics), strict=True))
    both = torch.stack([torch.cat([theta[:, 0], theta[:, 0]], dim=1), theta.flatten(1, 2)], dim=1)
    known = Statistics(*(torch.stack(pair, dim=1) for pair in zip(first, together(first, second), strict=True)))
    env, device = c.base.env, theta.device
    u = torch.stack(
        [
            torch.rand(2, both.shape[2], c.measured, env.start_noise, generator=g, device=device)
            for g in (step_generator(seed, c.rounds, device) for seed in seeds)
        ]
    )
    measured = play(env, trained.setting.policy, _flat(both), _flat(known), _flat(u)).returns.mean(dim=-1)
    good = (r >= r.quantile(BEST, dim=-1, keepdim=True)).to(r.dtype).unsqueeze(-1)
    mean = (good * theta).sum(dim=2) / good.sum(dim=2)
    variance = (good * (theta - mean.unsqueeze(2)).square()).sum(dim=2) / good.sum(dim=2)
    apart = (mean[:, 0] - mean[:, 1]).square().mean(dim=-1) / variance.mean(dim=(1, 2))
    return Pool(both, _apart(measured), known, apart.sqrt())


def run_modes(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Teach generators by stored policies, all trials side by side; trials of one seed share the policies.

    Metrics: ``one`` and ``two``, for buffers of one mode and of two: the ``commands``, and for each of them the mean
    return, without noise, that was achieved by the generator that learned by the evaluator's loss (``evaluator``), by
    the one that regressed on weights (``regression``), and by both before they learned (``untrained``). ``apart``: how
    far the means of both runs' good policies are apart, in deviations of one run's policies.
    """
    c: Modes = common(trials, VARIES)
    device, seeds = context.device, [trial.seed for trial in trials]
    distinct = list(dict.fromkeys(seeds))
    stored = [Trial(c.base, seed) for seed in (*distinct, *(seed + PARTNER for seed in distinct))]
    # They are not kept, but made again: a run that is taken up anew has the same ones.
    aside = replace(context, checkpoint=None, diverged=None, progress=Silent())
    pool = pooled(c, train(stored, aside), distinct)
    place = torch.tensor([distinct.index(seed) for seed in seeds], device=device)
    pool = cast(Pool, pytree.tree_map(lambda x: x[place], pool))
    setting, start = begin(c.base, seeds, device)
    learner: Learner = pytree.tree_map(lambda x: x.unsqueeze(1).repeat(1, 2, *(1,) * (x.dim() - 1)), start.learner)
    asking, copying = (
        setting._replace(lr=column(trials, name, device).repeat_interleave(2).unsqueeze(-1)) for name in VARIES
    )
    of_evaluator, of_generator = context.compiled(evaluator_step), context.compiled(generator_step)
    of_regression = context.compiled(regression_step)
    theta, r = _flat((pool.theta, pool.r))
    rows = torch.arange(len(r), device=device).unsqueeze(-1)

    @torch.no_grad()
    def step(state: Pupils, number: int) -> tuple[Pupils, Tensor]:
        generators = [step_generator(seed, number, device) for seed in seeds]
        u = torch.stack([torch.rand(c.each, 2, c.base.batch, generator=g, device=device) for g in generators])
        which = (u * r.shape[1]).long().repeat_interleave(2, dim=0)  # both modes take policies of the same numbers
        asked, copied = _flat(state)
        for i in range(c.each):
            at = torch.full((), number * c.each + i, dtype=torch.double, device=device)
            of_values, of_policies = which[:, i, 0], which[:, i, 1]
            asked = of_evaluator(asking, asked, theta[rows, of_values], r[rows, of_values], at)
            asked = of_generator(asking, asked, r[rows, of_policies], at)
            copied = of_regression(copying, copied, theta[rows, of_policies], r[rows, of_policies], at)
        loss = evaluator_loss(asking, asked.w, theta[rows, of_values], r[rows, of_values])
        return _apart(Pupils(asked, copied)), _apart(loss).mean(dim=-1)

    course = repeat(step, Pupils(learner, learner), c.rounds, context, title="teaching by stored policies", seeds=seeds)
    return _metrics(c, setting, pool, learner, course.state, seeds)


@torch.no_grad()
def _metrics(
    c: Modes, setting: Setting, pool: Pool, before: Learner, after: Pupils, seeds: Sequence[int]
) -> list[Metrics]:
    device = pool.r.device
    ends = pool.r.quantile(torch.tensor(INSIDE, device=device), dim=-1)  # [2, runs, modes]
    commands = torch.lerp(ends[0, ..., None], ends[1, ..., None], torch.linspace(0, 1, c.commands, device=device))
    # Not the generators of the rounds, nor that of the measuring.
    generators = [step_generator(seed, c.rounds + 1, device) for seed in seeds]
    shape = (1, c.episodes, c.base.env.start_noise)
    u = torch.stack([torch.rand(shape, generator=g, device=device) for g in generators])
    starts = u.repeat_interleave(2, dim=0).expand(-1, c.commands, -1, -1)
    achieved = {}
    for name, learner in (("evaluator", after.asked), ("regression", after.copied), ("untrained", before)):
        theta = setting.generator.generate(_flat(learner.rho), c.base.input_for(_flat(commands)))
        played = play(c.base.env, setting.policy, theta, _flat(pool.statistics), starts)
        achieved[name] = _apart(played.returns.mean(dim=-1))
    return [
        {
            mode: {"commands": rounded(commands[i, place], DIGITS)}
            | {name: rounded(values[i, place], DIGITS) for name, values in achieved.items()}
            for place, mode in enumerate(("one", "two"))
        }
        | {"apart": rounded(pool.apart[i], DIGITS)}
        for i in range(len(seeds))
    ]


__all__ = ["PARTNER", "VARIES", "Modes", "Pool", "Pupils", "pooled", "run_modes", "together"]
