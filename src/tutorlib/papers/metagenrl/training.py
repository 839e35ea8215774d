"""A run: a population learns an objective, and then fresh agents learn with it in other environments (1910.04098).

The fresh agents begin alike, and meet the same luck, whatever they learn by: the objective at several moments of its
meta-training, the first of them before it, off-policy REINFORCE with GAE, or DDPG. All take as many steps.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from tutorlib.lab import Context, Trial
from tutorlib.lab.batching import common
from tutorlib.lab.loop import repeat
from tutorlib.nn import no_moments, step_generator
from tutorlib.papers.metagenrl.algorithm import alignment
from tutorlib.papers.metagenrl.config import Config, Setting, setting_of
from tutorlib.papers.metagenrl.population import (
    Iteration,
    Life,
    Shared,
    begin,
    drawn,
    flat,
    fresh_policies,
    renewed,
    share_learned,
    split,
)
from tutorlib.shapes import Float, Tensor

VARIES: tuple[str, ...] = ()
"""fields in which runs side by side may differ, besides the seed"""
RESETS, LOOKS = 1 << 40, 1 << 41
"""added to the number of an iteration: noise that is no other's"""


class State(NamedTuple):
    """All that changes in a run."""

    population: Life
    shared: Shared
    snapshots: Float[Tensor, "runs moments weights"]
    """the objective before meta-training, and after each M-th part of it"""
    fresh: Life


class Logged(NamedTuple):
    """What an iteration logs of the objective; all else is looked at."""

    loss: Float[Tensor, "runs"]
    """the population's mean of -E Q1(s, pi_phi'(s)) before the step of alpha; 0 where there was none"""
    learnt: Float[Tensor, "runs"]
    """1 where alpha made a step, else 0"""


class Look(NamedTuple):
    """What is seen of runs at a moment."""

    population: Float[Tensor, "looks runs environments agents"]
    """returns, the mean of the last two episodes in all copies; 0 before there are any"""
    fresh: Float[Tensor, "looks runs environments ways agents"]
    """the same of fresh agents"""
    alignment: Float[Tensor, "looks runs environments agents"]
    """of the population: the mean cosine of -dL/da and dQ/da"""


class Trained(NamedTuple):
    """What runs leave."""

    state: State
    iterations: list[int]
    """before each look"""
    looks: Look
    log: Logged


def ways(config: Config) -> list[str]:
    """Return the names of the ways to learn that are compared: ``learned 0`` is untrained, ``learned M`` the last."""
    return [*(f"learned {i}" for i in range(config.snapshots + 1)), "gae", "ddpg"]


def weights_of(config: Config, device: torch.device) -> Float[Tensor, "ways 3"]:
    """Return the weights of the three parts of a policy's loss for each way to learn."""
    learned = config.snapshots + 1
    rows = torch.zeros(learned + 2, 3, device=device)
    rows[:learned, 0] = 1
    rows[learned, 2] = 1
    rows[learned + 1, 1] = 1
    return rows


def rates_of(config: Config, device: torch.device) -> Float[Tensor, "ways 1"]:
    """Return the rate of the policy of each way to learn."""
    rates = [*(config.snapshots + 1) * [config.policy_lr], config.gae_lr, config.ddpg_lr]
    return torch.tensor(rates, device=device).unsqueeze(-1)


def settings(config: Config, runs: int, device: torch.device) -> tuple[Setting, Setting]:
    """Return the population's setting and that of the fresh agents."""
    per = config.agents // len(config.environments)
    twins = len(ways(config))
    return (
        setting_of(config, device, config.environments, runs=runs, per=per),
        setting_of(config, device, config.test_environments, runs=runs, twins=twins, per=config.test_agents),
    )


def first_state(config: Config, seeds: Sequence[int], device: torch.device) -> State:
    """Return runs before their first iteration."""
    population, fresh = settings(config, len(seeds), device)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    objective = population.objective
    alpha = torch.cat([objective.initial_parameters(1, g, config.initial) for g in generators]).to(device)
    shared = Shared(alpha, alpha.clone(), no_moments(alpha), torch.zeros(len(seeds), 1, device=device))
    lives = [
        begin(setting, generators, n, device) for setting, n in ((population, config.steps), (fresh, config.test_steps))
    ]
    return State(lives[0], shared, alpha.unsqueeze(1).repeat(1, config.snapshots + 1, 1), lives[1])


def train(trials: Sequence[Trial], context: Context) -> Trained:
    """Meta-train a population and meta-test what it learnt, one run for each of ``trials``, which differ in seeds.

    For what is kept, replay included, and for runs that diverge, see ``lab.loop.repeat``.
    """
    c: Config = common(trials, VARIES)
    seeds, device = [trial.seed for trial in trials], context.device
    population, fresh = settings(c, len(seeds), device)
    moments = {c.steps * (i + 1) // c.snapshots: i + 1 for i in range(c.snapshots)}

    def by_way(x: Tensor) -> Tensor:
        return x.repeat_interleave(c.test_agents, dim=0).repeat(len(seeds) * len(c.test_environments), 1)

    teaching = Iteration(population, context)
    testing, weights_by_way = Iteration(fresh, context, by_way(rates_of(c, device))), by_way(weights_of(c, device))
    nothing = torch.zeros(len(seeds), device=device)
    ahead = torch.zeros(len(seeds) * c.agents, 3, device=device)

    def step(state: State, number: int) -> tuple[State, Logged]:
        generators = [step_generator(seed, number, device) for seed in seeds]
        if number < c.steps:
            return teach(state, generators, number)
        return test(state, generators, number - c.steps), Logged(nothing, nothing)

    def teach(state: State, generators: list[torch.Generator], number: int) -> tuple[State, Logged]:
        due = number % c.delay == c.delay - 1 and teaching.learns(number)
        noise = drawn(population, generators, device, due)
        life, shared, snapshots = teaching.lived(state.population, noise, number), state.shared, state.snapshots
        log = Logged(nothing, nothing)
        if due:
            p = share_learned(c, number)
            weights = ahead + torch.stack([torch.full((), w, device=device) for w in (p, 1 - p, 0.0)])
            alpha = shared.mean.repeat_interleave(c.agents, dim=0)
            life = teaching.taught(life, alpha, weights, noise, number, (p > 0, p < 1, False))
            if number >= c.meta_starts:
                w = teaching.windows(life, noise.meta, number)
                shared, loss = teaching.objective(population, shared, life.learner, w)
                log = Logged(loss, nothing + 1)
        if c.reset and number % c.reset_every == c.reset_every - 1:
            host = [step_generator(seed, RESETS + number, torch.device("cpu")) for seed in seeds]
            new = fresh_policies(population, host).to(device)
            u = torch.stack([torch.rand(c.agents, generator=g) for g in host]).to(device)
            life = life._replace(learner=renewed(life.learner, new, u, c.reset))
        if number + 1 in moments:
            at = moments[number + 1]
            snapshots = torch.cat([snapshots[:, :at], shared.mean.unsqueeze(1), snapshots[:, at + 1 :]], dim=1)
        return State(life, shared, snapshots, state.fresh), log

    def test(state: State, generators: list[torch.Generator], number: int) -> State:
        due = number % c.delay == c.delay - 1 and testing.learns(number)
        noise = drawn(fresh, generators, device, due)
        life = testing.lived(state.fresh, noise, number)
        if due:
            alpha = torch.cat([state.snapshots, *2 * [state.snapshots[:, -1:]]], dim=1)  # the others do not read it
            alpha = alpha.repeat_interleave(c.test_agents, dim=1).repeat(1, len(c.test_environments), 1)
            life = testing.taught(life, flat(alpha), weights_by_way, noise, number, (True, True, True))
        return state._replace(fresh=life)

    def seen(state: State, done: int) -> Tensor:
        generators = [step_generator(seed, LOOKS + done, device) for seed in seeds]
        written = min(done, c.steps)
        w = teaching.windows(state.population, drawn(population, generators, device, False).critic, written - 1)
        agents = flat(state.population.learner)
        alpha = state.shared.mean.repeat_interleave(c.agents, dim=0)
        cosine = split(alignment(population, alpha, agents.phi, agents.theta, w), len(seeds))
        returns = [life.place.returns.mean(dim=(-1, -2)) for life in (state.population, state.fresh)]
        return torch.cat([*returns, cosine], dim=1)

    every = (c.steps + c.test_steps) // c.num_evals
    course = repeat(
        step,
        first_state(c, seeds, device),
        c.steps + c.test_steps,
        context,
        title="MetaGenRL",
        seeds=seeds,
        eval_every=every,
        evaluate=seen,
        log=Logged,
        advice="a smaller meta_lr, or inner_scale='normalised', may help",
    )
    parts = torch.stack(course.evals).split([c.agents, fresh.each, c.agents], dim=-1)
    shape = (len(c.environments), -1)
    looks = Look(
        parts[0].unflatten(-1, shape),
        parts[1].unflatten(-1, (len(c.test_environments), len(ways(c)), c.test_agents)),
        parts[2].unflatten(-1, shape),
    )
    return Trained(course.state, [every * (i + 1) for i in range(len(course.evals))], looks, course.log)


__all__ = [
    "VARIES",
    "Logged",
    "Look",
    "State",
    "Trained",
    "first_state",
    "rates_of",
    "settings",
    "train",
    "ways",
    "weights_of",
]
