"""SymLA (2109.10781): meta-train an agent by evolution strategies so that it learns within its lifetime.

A lifetime is L steps in one environment, several episodes long: where an episode ends the environment starts anew,
and the agent's memory does not. The meta-objective is the reward of the whole lifetime (see 'symla-idea-objective' in
the chapter), and theta climbs it by the difference between antithetic perturbations (the derivation
'symla-idea-antithetic'). Meta-testing: theta is fixed, the same loop.

``lifetime`` is the inner loop and ``meta_train`` the outer one. The loop over time is the only Python loop: a
population of agents in a batch of environments is one tensor. Everything random in a lifetime is drawn before it
(``draw_noise``) and shared by the whole population, so that two members differ by their theta alone. Several runs of
meta-training are one more axis: each has its own population, and its own luck.

Unknown in the paper and chosen here: population, sigma, learning rate, lifetimes, generations.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch.utils import _pytree as pytree

from tutorlib import nn
from tutorlib.envs import Environment
from tutorlib.envs.tensors import one_hot
from tutorlib.evolution import Generators, Population, estimate
from tutorlib.lab import Context, Trial
from tutorlib.lab.batching import common
from tutorlib.lab.errors import UsageError, bad_argument, checked, expect_fields
from tutorlib.nn import Descent, Trained, descend
from tutorlib.nn.training import Evaluate
from tutorlib.papers.symla.model import AGENTS, STARTS, Agent, MetaRNN, SymLA
from tutorlib.papers.symla.problem import ENVIRONMENTS, PERMUTED, make
from tutorlib.shapes import Bool, Float, Int, Tensor


class Noise(NamedTuple):
    """All that is random in a batch of lifetimes; ``*shared`` is nothing, or ``runs 1``: what a run's members share."""

    start: Float[Tensor, "*shared lifetimes start_noise"]
    """uniforms that draw the environments: arms, goals, permutations"""
    memory: Float[Tensor, "..."]
    """``[*shared, lifetimes, *start_noise]``: normals for the memory at the start; none where it starts from zeros"""
    step: Float[Tensor, "time *shared lifetimes step_noise"]
    """uniforms of the environments' steps"""
    gumbel: Float[Tensor, "time *shared lifetimes actions"]
    """Gumbel noise: a_t = argmax(logits + gumbel_t) has the law softmax(logits)"""


class Life(NamedTuple):
    """What happened in a batch of lifetimes."""

    task: Any
    """the environments' state before the first step, which holds what was drawn for the lifetime"""
    rewards: Float[Tensor, "*members lifetimes time"]
    actions: Int[Tensor, "*members lifetimes time"]
    ended: Bool[Tensor, "*members lifetimes time"]
    """whether an episode ended with this step"""
    observations: Float[Tensor, "*members lifetimes time observations"] | None = None
    """o_t, where they were asked for"""


@checked()
def draw_noise(agent: Agent, env: Environment, lifetimes: int, length: int, generator: Generators) -> Noise:
    """Return the noise of ``lifetimes`` lifetimes of ``length`` steps, on the generator's device.

    A sequence of generators draws that of as many runs.
    """
    if not isinstance(generator, torch.Generator):
        each = zip(*(draw_noise(agent, env, lifetimes, length, stream) for stream in generator), strict=True)
        start, memory, step, gumbel = each
        early = (torch.stack(part).unsqueeze(1) for part in (start, memory))
        return Noise(*early, *(torch.stack(part, dim=1).unsqueeze(2) for part in (step, gumbel)))
    for name, value in (("lifetimes", lifetimes), ("length", length)):
        if value < 1:
            raise bad_argument(name, value, "at least 1")

    return Noise(
        start=nn.uniform(generator, lifetimes, env.start_noise),
        memory=torch.randn(lifetimes, *agent.start_noise, generator=generator, device=generator.device),
        step=nn.uniform(generator, length, lifetimes, env.step_noise),
        gumbel=nn.gumbel(generator, length, lifetimes, env.actions),
    )


class Now(NamedTuple):
    """What goes from one step of a lifetime to the next; an agent knows ``*members`` as one axis, or none."""

    e: Any
    """the environments' state"""
    h: Any
    """the agent's memory"""
    a: Float[Tensor, "*members lifetimes actions"]
    """the last action, one-hot; zeros before the first"""
    r: Float[Tensor, "*members lifetimes"]
    """the last reward"""


Live = Callable[..., tuple]
"""``live``, or the same done in another way."""
STEPS = 10
"""steps of a lifetime in a graph where lifetimes are compiled"""


def live(
    agent: Agent,
    env: Environment,
    parts: Any,
    now: Now,
    gumbel: Float[Tensor, "time *shared lifetimes actions"],
    noise: Float[Tensor, "time *shared lifetimes step_noise"],
    keep_observations: bool = False,
) -> tuple:
    """Return what there is after some steps in a row, and their rewards, actions and ends, if asked observations too.

    ``parts``: the agent's parameters as its ``prepare`` has them. All but the first have the steps on their first axis.
    """
    e, h, a, r = now
    lifetimes, brought = a.shape[-2], []
    for t in range(len(gumbel)):
        o = env.observe(e)
        members = o.shape[:-2]
        # symla-idea-metarnn: h_t from h_{t-1}, o_t, a_{t-1}, r_{t-1}
        h, logits = agent.step(parts, h, o.reshape(*r.shape, agent.observations), a, r)
        logits = logits.reshape(*members, lifetimes, agent.actions)
        action = (logits + gumbel[t]).argmax(dim=-1)  # a_t ~ softmax(logits), symla-idea-gumbel
        e, reward, end = env.step(e, action, noise[t])  # begins a new episode by itself; h stays
        a = one_hot(action, agent.actions).to(logits).reshape(a.shape)
        r = reward.reshape(r.shape)
        brought.append((reward, action, end, o) if keep_observations else (reward, action, end))
    return Now(e, h, a, r), *(torch.stack(steps) for steps in zip(*brought, strict=True))


def live_in(context: Context) -> Live:
    """Return ``live``, as graphs of ``STEPS`` steps each if the run is to be compiled."""
    if not context.compile:
        return live
    graph = context.compiled(live)

    def run(agent: Agent, env: Environment, parts: Any, now: Now, gumbel: Tensor, noise: Tensor, keep: bool) -> tuple:
        # Each tensor laid out on its own, as a graph returns them: or the first piece would be another graph.
        now, brought = pytree.tree_map_only(Tensor, lambda x: x.clone(memory_format=torch.contiguous_format), now), []
        for own_gumbel, own_noise in zip(gumbel.split(STEPS), noise.split(STEPS), strict=True):
            now, *steps = graph(agent, env, parts, now, own_gumbel, own_noise, keep)
            brought.append(steps)
        return now, *(torch.cat(steps) for steps in zip(*brought, strict=True))

    return run


def lifetime(
    agent: Agent,
    theta: Float[Tensor, "*members parameters"],
    env: Environment,
    noise: Noise,
    keep_observations: bool = False,
    live: Live = live,
) -> Life:
    """Return rewards and actions of all members in all lifetimes: the inner loop, 'symla-idea-metarnn' step by step.

    The members of several runs, each with lifetimes of its own, are ``theta`` ``[runs, members, parameters]``. Raises
    ``UsageError`` if the agent has not the environment's numbers of observations and actions.
    """
    for name in ("observations", "actions"):
        if getattr(agent, name) != getattr(env, name):
            raise bad_argument(f"agent.{name}", getattr(agent, name), f"the environment's, {getattr(env, name)}")
    members, lifetimes = theta.shape[:-1], noise.start.shape[-2]
    # An agent knows one axis of members, or none: one network is a plain product, and no batch of one.
    inside = () if math.prod(members) == 1 else (math.prod(members),)
    theta = theta.reshape(*inside, theta.shape[-1])

    task = env.start(noise.start.expand(*members, -1, -1))  # e ~ p(e); every member meets the same ones
    shape = (lifetimes, *agent.start_noise)
    h = agent.start(theta, noise.memory.expand(*members, *shape).reshape(*inside, *shape))
    a, r = theta.new_zeros(*inside, lifetimes, agent.actions), theta.new_zeros(*inside, lifetimes)
    now = Now(task, h, a, r)
    _, *brought = live(agent, env, agent.prepare(theta), now, noise.gumbel, noise.step, keep_observations)
    return Life(task, *(steps.movedim(0, len(members) + 1).contiguous() for steps in brought))


@dataclass(frozen=True)
class Config:
    """One meta-training run. Defaults were found to work here; the paper's are unknown."""

    agent: str = "symla"
    """symla or meta-rnn"""
    environment: str = "bandit"
    """one of ``problem.ENVIRONMENTS``"""
    family: str = "independent"
    """bandits: one of ``tutorlib.envs.FAMILIES``; else unused"""
    sizes: str = "2"
    """bandits: arms; contextual bandit: contexts and actions; grids: side. Several, such as "2,3,5", share the
    lifetimes of a generation"""
    bias: float = 0.5
    """bandits of independent arms: the probability that the first of two arms is the better one"""
    permuted: str = "none"
    """what is permuted anew in each lifetime of meta-training: none, observations, actions or both"""
    length: int = 50
    """L, steps of a lifetime"""
    pairs: int = 32
    """N antithetic pairs, so 2 N members of the population"""
    lifetimes: int = 8
    """E, environments of a generation, the same for all members"""
    sigma: float = 0.1
    """sd of the perturbations"""
    lr: float = 0.03
    """Adam's learning rate"""
    generations: int = 200
    """steps of the outer loop"""
    num_evals: int = 10
    """how often meta-training stops to evaluate, evenly spaced, the last generation included"""
    hidden: int = 16
    """H of a sub-RNN, or size of the MetaRNN's LSTM [32]"""
    message: int = 8
    """M, channels of a message; the MetaRNN has none"""
    initial: str = "zeros"
    """SymLA's states at birth: zeros or random"""
    self_messages: bool = True
    """whether SymLA's sub-RNNs read their layer's own messages"""

    def __post_init__(self) -> None:
        expect_fields(
            self,
            counts=("length", "generations", "num_evals"),
            sizes=("pairs", "lifetimes", "hidden", "message"),
            positive=("sigma", "lr"),
            shares=("bias",),
            choices={"agent": AGENTS, "environment": ENVIRONMENTS, "permuted": PERMUTED, "initial": STARTS},
        )
        if len(self.environments) > self.lifetimes:
            raise bad_argument("sizes", self.sizes, f"at most as many as lifetimes={self.lifetimes}")
        if self.generations % self.num_evals:
            raise bad_argument("num_evals", self.num_evals, f"a divisor of generations={self.generations}")
        if len({agent.parameters for agent in self.agents}) > 1:
            raise bad_argument("sizes", self.sizes, f"one size: a theta of {self.agent} fits no other")

    @property
    def population(self) -> Population:
        """How members are drawn; their fitness counts by rank."""
        return Population(self.pairs, self.sigma, ranks=True)

    @property
    def descent(self) -> Descent:
        """The outer loop's settings."""
        return Descent(self.generations, self.lr, num_evals=self.num_evals)

    @property
    def environments(self) -> tuple[Environment, ...]:
        """The environments of meta-training, one for each size."""
        try:
            sizes = [int(size) for size in self.sizes.split(",")]
        except ValueError:
            raise bad_argument("sizes", self.sizes, "whole numbers with commas between them, such as 2,3,5") from None
        try:
            return tuple(make(self.environment, size, self.family, self.bias, self.permuted) for size in sizes)
        except UsageError as error:
            if hasattr(self, str(error).partition("=")[0]):
                raise
            # It names what an environment calls its size, which nobody has set here.
            raise bad_argument("sizes", self.sizes, f"sizes of environments that there are ({error})") from None

    @property
    def agents(self) -> tuple[Agent, ...]:
        """An agent for each of the environments, all with the same theta."""
        return tuple(self.agent_in(env) for env in self.environments)

    def agent_in(self, env: Environment) -> Agent:
        """Return the agent for the observations and actions of ``env``."""
        if self.agent == "meta-rnn":
            return MetaRNN(env.observations, env.actions, self.hidden)
        return SymLA(
            env.observations,
            env.actions,
            self.hidden,
            self.message,
            initial=self.initial,
            self_messages=self.self_messages,
        )


@checked()
def fitness(
    config: Config, theta: Float[Tensor, "*runs members parameters"], generator: Generators, live: Live = live
) -> Float[Tensor, "*runs members"]:
    """Return the mean reward of a step, over fresh lifetimes that all members share: sum_t r_t / L, gamma = 1."""
    total: Tensor = theta.new_zeros(theta.shape[:-1])
    each = config.lifetimes // len(config.environments)
    for env, agent in zip(config.environments, config.agents, strict=True):
        noise = draw_noise(agent, env, each, config.length, generator)
        total = total + lifetime(agent, theta, env, noise, live=live).rewards.mean(dim=(-2, -1))
    return total / len(config.environments)


def meta_train(trials: Sequence[Trial], context: Context, evaluate: Evaluate | None = None) -> Trained:
    """Meta-train thetas by evolution strategies: the outer loop (see 'symla-idea-antithetic').

    grad_theta E[F(phi)], phi ~ N(theta, sigma^2 I), is estimated from N antithetic pairs, with centred ranks in place
    of F; Adam takes the step. The losses in what is returned are minus the mean reward of a step, averaged over the
    population. ``trials`` differ in their seeds alone and are trained side by side; ``evaluate`` gets all their
    thetas.

    Raises ``NonFiniteError`` if a reward is not finite, and ``UsageError`` for trials that differ in more.
    """
    config: Config = common(trials)
    seeds = [trial.seed for trial in trials]
    start = [config.agents[0].initial_parameters(torch.Generator().manual_seed(seed)) for seed in seeds]
    inner = live_in(context)

    def step(theta: Tensor, generators: list[torch.Generator]) -> tuple[Tensor, Tensor]:
        return estimate(lambda phi: -fitness(config, phi, generators, inner), theta, config.population, generators)

    return descend(torch.stack(start), step, config.descent, seeds, context, evaluate)
