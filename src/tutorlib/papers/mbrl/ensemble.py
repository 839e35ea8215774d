"""Networks that fit the same data: how far apart are they elsewhere, with a model and without (2211.02222)?

The theorem speaks of sets of value functions. A set of networks is an ensemble: members that differ in their first
weights and in their luck, and of which those count whose Bellman residual on the data is small. Where the members are
apart, the data leave the value open. Without a model a member obeys the equations of the data, and no others. With one
it learns a model from the same data, and obeys the equations that the model states for all pairs (s, a).

The world is a small flute without its event: it is deterministic, as the theorem is proved here, so that networks with
and without a model can obey the same data exactly. Data are distinct pairs (s, a) drawn from all, as in
``measures.drawn``. All of them, or all pairs of the world, are in each update: what is left are the targets.
"""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch.utils import _pytree as pytree

from tutorlib.envs.tensors import one_hot
from tutorlib.lab import Context
from tutorlib.lab.errors import bad_argument, expect_fields
from tutorlib.lab.loop import repeat
from tutorlib.nn import slope, step_generator
from tutorlib.papers.mbrl.algorithm import Nothing, dqn_loss, model_step, optimised
from tutorlib.papers.mbrl.config import Config
from tutorlib.papers.mbrl.learner import Learner, Setting, begin, uniforms
from tutorlib.papers.mbrl.losses import as_replayed
from tutorlib.papers.mbrl.model import SimpleModel
from tutorlib.papers.mbrl.offline import Listed, listed, missed, rate
from tutorlib.papers.mbrl.problem import PanFlute
from tutorlib.papers.mbrl.rollouts import Transitions
from tutorlib.rl import Experience
from tutorlib.shapes import Bool, Float, Int, Tensor

WHERE = ("seen", "unseen")
"""pairs of the data, and all others"""


@dataclass(frozen=True)
class Ensemble:
    """One ensemble on one draw of the data. What is not the paper's was chosen here, on tuning seeds."""

    agent: str = "simple"
    """``er``: the data alone; ``simple``: a learned model; ``perfect``: the true one"""
    _: KW_ONLY
    pipes: int = 3
    """n; there are 2^(n (n + 1) / 2) patterns, 64 for 3 pipes, and n actions in each"""
    pairs: int = 48
    """K, of the data; all different"""
    members: int = 6
    """networks that learn from the same data"""
    tolerance: float = 0.05
    """root of the mean squared Bellman residual on the data up to which a member fits them; a reward is 1"""
    updates: int = 3000
    target_period: int = 25
    """updates after which Q^- becomes Q"""
    num_evals: int = 6
    """how many looks, evenly spaced, the last update included: the times at which learning may stop"""
    lr: float = 1e-3
    """Adam's learning rate for Q"""
    model_lr: float = 1e-3
    gamma: float = 0.9
    hidden: int = 64
    layers: int = 2

    def __post_init__(self) -> None:
        expect_fields(
            self,
            counts=("pairs", "updates", "target_period", "num_evals"),
            sizes=("hidden", "layers"),
            minimum={"pipes": 2, "members": 2},
            maximum={"pipes": 4, "members": 1000},
            positive=("tolerance", "lr", "model_lr"),
            choices={"agent": ("er", "simple", "perfect")},
        )
        if self.updates % self.num_evals:
            raise bad_argument("num_evals", self.num_evals, f"a divisor of updates={self.updates}")
        if self.pairs >= self.all_pairs:
            raise bad_argument("pairs", self.pairs, f"fewer than all {self.all_pairs} pairs")
        if not 0 < self.gamma < 1:
            raise bad_argument("gamma", self.gamma, "a number between 0 and 1")

    @property
    def all_pairs(self) -> int:
        """How many pairs of a pattern and an action there are."""
        return 2 ** (self.pipes * (self.pipes + 1) // 2) * self.pipes

    @property
    def env(self) -> PanFlute:
        """The flute, whose ends never sound by themselves."""
        return PanFlute(self.pipes, chance=0.0)

    @property
    def online(self) -> Config:
        """The same networks, as the online algorithm knows them."""
        return Config(
            self.agent,
            environment="flute",
            size=self.pipes,
            lr=self.lr,
            model_lr=self.model_lr,
            gamma=self.gamma,
            hidden=self.hidden,
            layers=self.layers,
        )


# The data


class World(NamedTuple):
    """What the members of all runs are given; the first axis is that of all members of all runs."""

    truth: Listed
    seen: Bool[Tensor, "runs patterns actions"]
    """which pairs are in the data"""
    data: Experience
    """the pairs of the data and what follows"""
    every: Experience
    """all pairs and what follows: what only the perfect model knows"""


def answers(truth: Listed, state: Int[Tensor, "batch pairs"], action: Int[Tensor, "batch pairs"]) -> Experience:
    """Return what follows actions in patterns, by their numbers, in a flute without its event."""
    following, reward = truth.table.quiet[state, action], truth.table.reward[state].float()
    done = torch.zeros_like(state, dtype=torch.bool)
    return Experience(truth.patterns[state], action, reward, truth.patterns[following], done, ())


def world(config: Ensemble, seeds: Sequence[int], device: torch.device) -> World:
    """Return the data of each seed, K different pairs of all alike; a seed has the same ones for all agents."""
    c, truth = config, listed(config.env, config.gamma, device)
    cpu = torch.device("cpu")  # whatever the device, a seed has the same data
    drawn = [torch.randperm(c.all_pairs, generator=step_generator(seed, 0, cpu))[: c.pairs] for seed in seeds]
    pairs = torch.stack(drawn).to(device)
    seen = torch.zeros(len(pairs), c.all_pairs, dtype=torch.bool, device=device).scatter(1, pairs, True)
    of_member = pairs.repeat_interleave(c.members, dim=0)
    every = torch.arange(c.all_pairs, device=device).expand(len(of_member), -1)
    data, whole = (answers(truth, which // c.pipes, which % c.pipes) for which in (of_member, every))
    return World(truth, seen.unflatten(1, (-1, c.pipes)), data, whole)


def member_seeds(seed: int, members: int) -> list[int]:
    """Return the seeds of the first weights and of the luck of the members of one run."""
    return [int(word) >> 1 for word in np.random.SeedSequence((seed, 1)).generate_state(members, np.uint64)]


# Learning


def learn(
    setting: Setting,
    learner: Learner,
    data: Experience,
    every: Experience,
    step: int | Tensor,
    u: Float[Tensor, "members noise"],
) -> Learner:
    """Return all members after one step: of the model, if they learn one, and of Q on its answers.

    Without a model Q learns from the pairs of the ``data``; with one from all pairs, with what the updated model
    answers, sampled by ``u``. ``step``: updates before this one.
    """
    b = as_replayed(data if setting.config.agent == "er" else every)
    if isinstance(setting.model, SimpleModel):
        learner = model_step(setting, learner, data, u, step)
        b = imagined(setting.model, learner.model, every, u)
    g = slope(lambda theta: dqn_loss(setting.net, theta, learner.target_params, b, setting.config.gamma), learner.q)
    q, moments = optimised(setting, learner.q, learner.q_moments, g, step, setting.lr)
    return learner._replace(q=q, q_moments=moments)


@torch.no_grad()
def imagined(
    model: SimpleModel, theta: Float[Tensor, "members parameters"], every: Experience, u: Float[Tensor, "members noise"]
) -> Transitions:
    """Return what a model answers to the pairs of ``every``, whose own answers are not looked at."""
    a = one_hot(every.action, model.actions)
    following = model.transition(theta)(every.o, a, u.view_as(every.o))
    reward, c = model.outcome(theta, every.o, a)
    return Transitions(every.o, every.action, reward, following, c, torch.ones_like(c))


class Learned(NamedTuple):
    """What a batch of runs leaves."""

    setting: Setting
    learner: Learner
    """with a first axis of runs and a second one of members"""
    world: World
    updates: list[int]
    """before each look"""
    evals: list[Tensor]
    """what ``measure`` returned, each time"""


def train(config: Ensemble, seeds: Sequence[int], context: Context) -> Learned:
    """Let the members of each seed's ensemble learn; for runs that diverge see ``lab.loop.repeat``."""
    c, device = config, context.device
    members = [member for seed in seeds for member in member_seeds(seed, c.members)]
    setting, learner = begin(c.online, members, device)
    setting, given = setting._replace(env=c.env), world(c, seeds, device)
    every, learning = c.updates // c.num_evals, context.compiled(learn)
    noise = given.every.o[0].numel() if setting.model else 0

    def step(state: Learner, number: int) -> tuple[Learner, Nothing]:
        learner = together(state)
        if number % c.target_period == 0:
            learner = learner._replace(target_params=learner.q.clone())  # no alias: a compiled step asks
        u = uniforms([step_generator(member, number, device) for member in members], (noise,), device)
        at = torch.full((), number, dtype=torch.double, device=device)
        after = learning(setting, learner._replace(updates=0), given.data, given.every, at, u)
        return by_run(after._replace(updates=number + 1), len(seeds)), Nothing()

    course = repeat(
        step,
        by_run(learner, len(seeds)),
        c.updates,
        context,
        title=f"{c.agent}, {c.pairs} pairs, {c.members} members",
        seeds=seeds,
        eval_every=every,
        evaluate=lambda state, updates: measure(c, setting, together(state), given),
        log=Nothing,
    )
    return Learned(setting, course.state, given, list(range(every, c.updates + 1, every)), course.evals)


def together(learner: Learner) -> Learner:
    """Return the members of all runs along one axis."""
    result: Learner = pytree.tree_map(lambda x: x.flatten(0, 1) if isinstance(x, Tensor) else x, learner)
    return result


def by_run(learner: Learner, runs: int) -> Learner:
    """Return the members by run."""
    result: Learner = pytree.tree_map(lambda x: x.unflatten(0, (runs, -1)) if isinstance(x, Tensor) else x, learner)
    return result


# What is measured


def residual(
    q: Float[Tensor, "*batch patterns actions"], truth: Listed, gamma: float
) -> Float[Tensor, "*batch patterns actions"]:
    """Return Q(s, a) - [r + gamma max_a' Q(s', a')] of all pairs, by what truly follows."""
    return q - (truth.table.reward[:, None] + gamma * q.amax(dim=-1)[..., truth.table.quiet])


def rms(
    x: Float[Tensor, "*batch patterns actions"], where: Bool[Tensor, "*#batch patterns actions"]
) -> Float[Tensor, "*batch"]:
    """Return the root of the mean square over the pairs of ``where``."""
    return ((x.square() * where).sum(dim=(-2, -1)) / where.sum(dim=(-2, -1))).sqrt()


def spread(
    q: Float[Tensor, "runs members patterns actions"], fits: Bool[Tensor, "runs members"]
) -> Float[Tensor, "runs patterns actions"]:
    """Return the standard deviation of Q over the members that fit, pair by pair; 0 where fewer than two do."""
    w = fits[..., None, None].to(q.dtype)
    count = w.sum(dim=1)
    mean = (w * q).sum(dim=1) / count.clamp(min=1)
    return ((w * (q - mean.unsqueeze(1)).square()).sum(dim=1) / (count - 1).clamp(min=1)).sqrt()


def measures(config: Ensemble) -> list[tuple[str, ...]]:
    """Return the names of what ``measure`` returns."""
    each = ("spread", "shape", "error")
    missed = [("missed", where) for where in WHERE] if config.agent == "simple" else []
    names = [(name, where) for name in each for where in WHERE]
    return [*(("residual", str(i)) for i in range(config.members)), ("fit",), *names, ("rate",), *missed]


@torch.no_grad()
def measure(config: Ensemble, setting: Setting, learner: Learner, given: World) -> Float[Tensor, "measures runs"]:
    """Return what is known of the ensembles.

    ``residual`` of each member on the data; ``fit``, how many are within the tolerance. Of those that fit: ``spread``,
    the root of the mean over pairs of the variance of Q over members; ``shape``, the same after each member's mean over
    all pairs is taken off; ``error`` of Q, and ``rate``, the reward of a step of the greedy policy, means over members;
    ``missed``, for which share of pairs a member's model expects a wrong next pattern, too.
    """
    truth, runs = given.truth, len(given.seen)
    flat = setting.net(learner.q, truth.patterns.expand(len(learner.q), -1, -1)).double()
    q = flat.unflatten(0, (runs, -1))
    parts = {"seen": given.seen, "unseen": ~given.seen}
    off = rms(residual(q, truth, config.gamma), given.seen.unsqueeze(1))
    fits = off <= config.tolerance
    count = fits.sum(dim=1)

    def mean(of_member: Float[Tensor, "runs members"]) -> Float[Tensor, "runs"]:
        return (of_member * fits).sum(dim=1) / count.clamp(min=1)

    shape = q - q.mean(dim=(-2, -1), keepdim=True)
    values = [*off.unbind(dim=1), count.double()]
    values += [rms(spread(x, fits), where) for x in (q, shape) for where in parts.values()]
    values += [mean(rms(q - truth.values, where.unsqueeze(1))) for where in parts.values()]
    values.append(mean(rate(truth.table, truth.event, flat.argmax(dim=-1)).view_as(off)))
    if isinstance(setting.model, SimpleModel):
        wrong = missed(setting.model, learner.model, truth).unflatten(0, (runs, -1))
        values += [mean(rms(wrong, where.unsqueeze(1)).square()) for where in parts.values()]
    return torch.stack(values)


__all__ = [
    "WHERE",
    "Ensemble",
    "Learned",
    "World",
    "answers",
    "by_run",
    "imagined",
    "learn",
    "measure",
    "measures",
    "member_seeds",
    "residual",
    "rms",
    "spread",
    "together",
    "train",
    "world",
]
