"""The objective evolved in place of differentiated: evolution strategies over the same network (the idea of EPG).

A generation is a lifetime: each member of it is an objective, fresh agents learn with it alone, and what they earn at
the end is its fitness. Members share all their luck, so that they differ in the objective only. Then fresh agents learn
with what was found, as in ``training``. How EPG sets its own numbers is not known here; these are ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from tutorlib.evolution import centred_ranks, gradient, members, perturbations
from tutorlib.lab import Context, Trial
from tutorlib.lab.batching import common
from tutorlib.lab.errors import bad_argument, expect_fields
from tutorlib.lab.loop import repeat
from tutorlib.nn import Moments, adam_step, no_moments, step_generator
from tutorlib.papers.metagenrl.config import Config, Setting, setting_of
from tutorlib.papers.metagenrl.population import Iteration, Life, begin, drawn, flat
from tutorlib.shapes import Float, Tensor

WAYS = ("learned 0", "evolved")
"""by which fresh agents learn: the objective before its evolution, and after it"""
LUCK = 1 << 42
"""added to the number of a generation: noise that is no other's"""


@dataclass(frozen=True)
class Evolved:
    """How an objective is evolved."""

    base: Config = field(default_factory=Config)
    """the environments, the objective, the agents, and the tests; its population takes no part"""
    pairs: int = 3
    """antithetic pairs of members"""
    life: int = 300
    """iterations of a generation"""
    generations: int = 2
    sigma: float = 0.1
    """standard deviation of members around the mean"""
    es_lr: float = 0.03
    """of Adam, along the estimated gradient of centred ranks"""

    def __post_init__(self) -> None:
        expect_fields(self, counts=("life", "generations", "pairs"), positive=("sigma", "es_lr"))
        longest = max(env.horizon for env in setting_of(self.base, torch.device("cpu"), self.base.environments).envs)
        if self.life < longest:
            raise bad_argument("life", self.life, f"at least {longest}, the length of the longest episode")

    @property
    def environment_steps(self) -> int:
        """Steps of environments that all generations take."""
        return 2 * self.pairs * len(self.base.environments) * self.base.copies * self.life * self.generations


class State(NamedTuple):
    """All that changes in a run."""

    alpha: Float[Tensor, "runs weights"]
    """the mean"""
    moments: Moments
    start: Float[Tensor, "runs weights"]
    """alpha before the first generation"""
    tried: Float[Tensor, "runs members weights"]
    """the generation's objectives"""
    members: Life
    fresh: Life


class Logged(NamedTuple):
    """What an iteration logs."""

    fitness: Float[Tensor, "runs"]
    """the members' mean, where a generation ended; else 0"""


def settings(config: Evolved, runs: int, device: torch.device) -> tuple[Setting, Setting]:
    """Return the setting of a generation, one agent of each member in each environment, and that of the tests."""
    c = config.base
    sizes = setting_of(c, device, (*c.environments, *c.test_environments)).ac
    how = {"runs": runs, "observations": sizes.observations, "actions": sizes.actions}
    return (
        setting_of(c, device, c.environments, twins=2 * config.pairs, per=1, **how),
        setting_of(c, device, c.test_environments, twins=len(WAYS), per=c.test_agents, **how),
    )


def host_generators(seeds: Sequence[int], number: int) -> list[torch.Generator]:
    """Return generators of the host for generation ``number``, one for each run."""
    return [step_generator(seed, LUCK + number, torch.device("cpu")) for seed in seeds]


def born(config: Evolved, setting: Setting, state: State, seeds: Sequence[int], number: int) -> State:
    """Return the state at the start of generation ``number``: its members, and agents that know nothing."""
    device = state.alpha.device
    generators = host_generators(seeds, number)
    life = begin(setting, generators, config.life, device)
    eps = perturbations(torch.zeros(state.alpha.shape), config.pairs, generators).to(device)
    return state._replace(members=life, tried=members(state.alpha, eps, config.sigma))


def selected(config: Evolved, setting: Setting, state: State, number: int) -> tuple[State, Float[Tensor, "runs"]]:
    """Return the state after the step of ES at the end of generation ``number``, and the members' mean fitness."""
    returns = state.members.place.returns.mean(dim=(-1, -2))  # [runs, agents]
    fitness = returns.unflatten(1, (len(setting.envs), setting.twins, setting.per)).mean(dim=(1, 3))
    eps = (state.tried[:, : config.pairs] - state.alpha.unsqueeze(1)) / config.sigma
    g = gradient(eps, centred_ranks(-fitness), config.sigma)
    alpha, moments = adam_step(state.alpha, state.moments, g, number, config.es_lr)
    return state._replace(alpha=alpha, moments=moments), fitness.mean(dim=1)


class Course(NamedTuple):
    """What runs leave."""

    state: State
    fitness: Float[Tensor, "generations runs"]


def evolve(trials: Sequence[Trial], context: Context) -> Course:
    """Evolve objectives and test them on fresh agents, one run for each of ``trials``, which differ in seeds.

    For what is kept, and for runs that diverge, see ``lab.loop.repeat``.
    """
    config: Evolved = common(trials, ())
    c, seeds, device = config.base, [trial.seed for trial in trials], context.device
    living, testing = settings(config, len(seeds), device)
    growing, learning = Iteration(living, context), Iteration(testing, context)
    whole, nothing = config.generations * config.life, torch.zeros(len(seeds), device=device)
    ahead = torch.tensor([1.0, 0.0, 0.0], device=device)
    by_objective = [ahead.expand(len(setting.used), -1) for setting in (living, testing)]

    def advanced(
        iteration: Iteration, life: Life, alpha: Tensor, weights: Tensor, number: int, draw: int
    ) -> Life:  # fmt: skip
        """Return agents after an iteration in which they learn by the objectives ``alpha``, one for each twin."""
        setting = iteration.setting
        due = number % c.delay == c.delay - 1 and iteration.learns(number)
        noise = drawn(setting, [step_generator(seed, draw, device) for seed in seeds], device, due)
        life = iteration.lived(life, noise, number)
        if not due:
            return life
        each = alpha.repeat_interleave(setting.per, dim=1).repeat(1, len(setting.envs), 1)
        return iteration.taught(life, flat(each), weights, noise, number, (True, False, False))

    def step(state: State, number: int) -> tuple[State, Logged]:
        if number >= whole:
            alpha = torch.stack([state.start, state.alpha], dim=1)
            life = advanced(learning, state.fresh, alpha, by_objective[1], number - whole, number)
            return state._replace(fresh=life), Logged(nothing)
        generation, moment = divmod(number, config.life)
        if moment == 0:
            state = born(config, living, state, seeds, generation)
        life = advanced(growing, state.members, state.tried, by_objective[0], moment, number)
        state = state._replace(members=life)
        if moment < config.life - 1:
            return state, Logged(nothing)
        state, fitness = selected(config, living, state, generation)
        return state, Logged(fitness)

    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    alpha = torch.cat([c.objective.initial_parameters(1, g, c.initial) for g in generators]).to(device)
    first = State(
        alpha, no_moments(alpha), alpha.clone(), alpha.unsqueeze(1).repeat(1, 2 * config.pairs, 1),
        begin(living, generators, config.life, device), begin(testing, generators, c.test_steps, device),
    )  # fmt: skip
    course = repeat(
        step, first, whole + c.test_steps, context, title="evolving an objective", seeds=seeds, log=Logged,
        advice="a smaller es_lr may help",
    )  # fmt: skip
    return Course(course.state, course.log.fitness[config.life - 1 : whole : config.life])


__all__ = [
    "WAYS",
    "Course",
    "Evolved",
    "Logged",
    "State",
    "born",
    "evolve",
    "selected",
    "settings",
]
