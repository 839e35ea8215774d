"""The illustrative example: what Q becomes of K random transitions of a small flute, and of nothing else (2211.02222).

The paper's own example is unknown; this one stands for it. All patterns of a small flute can be listed, so Q is held
against the exact q*: where the data were, where the flute can get to but the data were not, and beyond. Agents are
those of the online algorithm with the same updates; only the data stay what they are.
"""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, fields, replace
from typing import NamedTuple

import torch

from tutorlib.envs.tensors import as_integer, one_hot, pick
from tutorlib.lab import Context
from tutorlib.lab.errors import bad_argument, expect_fields
from tutorlib.lab.loop import repeat
from tutorlib.nn import step_generator
from tutorlib.papers.mbrl.algorithm import Nothing, update
from tutorlib.papers.mbrl.algorithm import learn as learn_once
from tutorlib.papers.mbrl.config import Config, Learning
from tutorlib.papers.mbrl.exact import (
    FluteTable,
    flute_patterns,
    flute_reachable,
    flute_table,
    flute_values,
    pattern_number,
)
from tutorlib.papers.mbrl.learner import Learner, Setting, begin, phi_noise, read, uniforms
from tutorlib.papers.mbrl.model import SimpleModel
from tutorlib.papers.mbrl.problem import PanFlute
from tutorlib.rl import Experience, Replay, add, empty_replay
from tutorlib.shapes import Bool, Float, Int, Tensor

GROUPS = ("all", "reachable", "seen", "unseen", "beyond")
"""patterns: all; those that the flute can get to; of these those that an action of the data began in, and the others;
and those that the flute never gets to"""
AVERAGED = 240
"""steps that a rate is the mean of, after as many that do not count: whole rounds of 2, 3, 4 or 5 pipes"""


@dataclass(frozen=True)
class Offline(Learning):
    """One run. The defaults were chosen here, where they are not the paper's; its example is unknown."""

    _: KW_ONLY
    pipes: int = 4
    """n; there are 2^(n (n + 1) / 2) patterns, 1024 for 4 pipes"""
    transitions: int = 200
    """K, at least a batch, of uniformly random actions from empty pipes on"""
    updates: int = 2500
    target_period: int = 100
    """updates after which Q^- becomes Q"""
    num_evals: int = 5
    """how many evaluations, evenly spaced, the last update included"""
    lr: float = 5e-4
    model_lr: float = 1e-3
    temperature: float = 0.1
    """of the softmax over Q by which rollouts act"""
    hidden: int = 100
    layers: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_fields(
            self,
            counts=("transitions", "updates", "target_period", "num_evals"),
            minimum={"pipes": 2},
            maximum={"pipes": 5},
        )
        if self.updates % self.num_evals:
            raise bad_argument("num_evals", self.num_evals, f"a divisor of updates={self.updates}")
        if self.transitions < self.batch:
            raise bad_argument("transitions", self.transitions, f"at least batch={self.batch}")
        _ = self.online, self.env  # they refuse what no run can have

    @property
    def online(self) -> Config:
        """The same agent, as the online algorithm knows it."""
        values = {shared.name: getattr(self, shared.name) for shared in fields(Learning)}
        return Config(environment="flute", size=self.pipes, capacity=self.transitions, **values)

    @property
    def env(self) -> PanFlute:
        """The flute; it has at most 5 pipes, so that its patterns can be listed."""
        if self.pipes > 5:
            raise bad_argument("pipes", self.pipes, "at most 5: all patterns are listed")
        return PanFlute(self.pipes)


# The data


def collect(setting: Setting, seeds: Sequence[int], transitions: int, device: torch.device) -> Replay:
    """Return K transitions of uniformly random actions from empty pipes on; a seed has the same ones for all agents."""
    env = setting.env
    generators = [step_generator(seed, 0, device) for seed in seeds]
    u = uniforms(generators, (transitions, 1 + env.step_noise), device)
    state = env.start(u[:, :1, : env.start_noise])
    keeps = setting.config.agent == "perfect"
    replay = empty_replay(env.observations, state if keeps else (), len(seeds), transitions, device)
    for t in range(transitions):
        a = as_integer(u[:, t : t + 1, 0], env.actions)
        after, r, done = env.transition(state, a, u[:, t : t + 1, 1:])
        seen = env.observe(after)
        add(replay, t, Experience(env.observe(state), a, r, seen, done, state if keeps else ()))
        state = after
    return replay


# The truth


class Listed(NamedTuple):
    """A flute written out."""

    patterns: Float[Tensor, "patterns cells"]
    values: Float[Tensor, "patterns actions"]
    """q*"""
    table: FluteTable
    reachable: Bool[Tensor, "patterns"]
    event: float
    """probability that all pipes sound by themselves"""


def listed(env: PanFlute, gamma: float = 0.9, device: torch.device | None = None) -> Listed:
    """Return all patterns of a flute, with what is true of them."""
    return Listed(
        flute_patterns(env.pipes, device),
        flute_values(env, gamma, device),
        flute_table(env, device),
        flute_reachable(env, device),
        env.event,
    )


def groups(replay: Replay, reachable: Bool[Tensor, "patterns"]) -> dict[str, Bool[Tensor, "seeds patterns"]]:
    """Return which patterns belong to each of ``GROUPS``."""
    number = pattern_number(replay.o)
    nothing = torch.zeros(len(number), len(reachable), dtype=torch.bool, device=number.device)
    seen, can = nothing.scatter(1, number, True), reachable.expand_as(nothing)
    members = (torch.ones_like(nothing), can, seen, can & ~seen, ~can)
    return dict(zip(GROUPS, members, strict=True))


# What is measured


def rmse(
    q: Float[Tensor, "seeds patterns actions"],
    exact: Float[Tensor, "patterns actions"],
    where: Bool[Tensor, "seeds patterns"],
) -> Float[Tensor, "seeds"]:
    """Return the root of the mean of (q - q*)^2 over the patterns of ``where`` and all actions; 0 if it has none."""
    square = (q.double() - exact).square().mean(dim=-1)
    return ((square * where).sum(dim=-1) / where.sum(dim=-1).clamp(min=1)).sqrt()


def rate(
    table: FluteTable, event: float, action: Int[Tensor, "seeds patterns"], averaged: int = AVERAGED
) -> Float[Tensor, "seeds"]:
    """Return the expected reward of a step of a policy that takes ``action`` in each pattern, exactly, in the long run.

    The law of the pattern is pushed through the table from empty pipes on; ``averaged`` steps pass before it counts.
    """
    quiet, sounds = pick(table.quiet, action), pick(table.event, action)
    p = torch.zeros(action.shape, dtype=torch.double, device=action.device)
    p[:, 0] = 1.0
    total = p.new_zeros(len(p))
    for t in range(2 * averaged):
        if t >= averaged:
            total = total + (p * table.reward).sum(dim=-1) / averaged
        p = torch.zeros_like(p).scatter_add(1, quiet, (1 - event) * p).scatter_add(1, sounds, event * p)
    return total


def uniform_rate(env: PanFlute) -> float:
    """Return the expected reward of a step of uniformly random actions, in the long run.

    All ends are set by themselves with probability p, else pipe i's by a press i steps ago. Presses of different steps
    are independent, and so are those of one: with 1 / n^n all pipes were pressed at the right times.
    """
    return env.event + (1 - env.event) * env.pipes**-env.pipes


def best_rate(pipes: int) -> float:
    """Return the reward of a step of the best player, who plays the pipes in turn: 1/n + 1/n^2 - 1/n^3."""
    return 1 / pipes + 1 / pipes**2 - 1 / pipes**3  # mbrl-method-best


def missed(
    model: SimpleModel, theta: Float[Tensor, "seeds parameters"], truth: Listed
) -> Float[Tensor, "seeds patterns actions"]:
    """Return 1 for each pair of a pattern and an action of which the model's likeliest next pattern is a wrong one.

    The right one, where it is 0, is what follows if the pipes do not sound by themselves.
    """
    patterns, actions = truth.table.quiet.shape
    x = truth.patterns.repeat_interleave(actions, dim=0).expand(len(theta), -1, -1)
    a = one_hot(torch.arange(actions, device=theta.device).repeat(patterns), actions).expand(len(theta), -1, -1)
    likeliest = pattern_number((model.predict(theta, x, a).next > 0).float()).view(-1, patterns, actions)
    return (likeliest != truth.table.quiet).double()


def misses(
    model: SimpleModel,
    theta: Float[Tensor, "seeds parameters"],
    truth: Listed,
    where: Bool[Tensor, "seeds patterns"],
) -> Float[Tensor, "seeds"]:
    """Return for which share of pairs (pattern of ``where``, action) the model's likeliest next pattern is wrong."""
    wrong = missed(model, theta, truth).mean(dim=-1)
    return (wrong * where).sum(dim=-1) / where.sum(dim=-1).clamp(min=1)


def measures(agent: str) -> list[tuple[str, ...]]:
    """Return the names of what ``measure`` returns, such as ``rmse`` and the group, or ``rate``."""
    groups = GROUPS[2:] if agent == "simple" else ()
    return [*(("rmse", group) for group in GROUPS), ("rate",), *(("missed", group) for group in groups)]


@torch.no_grad()
def measure(
    setting: Setting, learner: Learner, truth: Listed, members: dict[str, Tensor], generators: Sequence[torch.Generator]
) -> Float[Tensor, "measures seeds"]:
    """Return the error of Q in each group, the rate of the greedy policy, and the misses of a simple model by group.

    Where Q reads a latent state, it is given one sample of each pattern's.
    """
    seeds = len(learner.q)
    o = truth.patterns.expand(seeds, -1, -1)
    phi = phi_noise(setting, o.shape[1], generators, o.device)
    q = setting.net(learner.q, read(setting, learner, o, phi))
    values = [rmse(q, truth.values, where) for where in members.values()]
    values.append(rate(truth.table, truth.event, q.argmax(dim=-1)))
    if isinstance(setting.model, SimpleModel):
        values += [misses(setting.model, learner.model, truth, members[group]) for group in GROUPS[2:]]
    return torch.stack(values)


# Learning


Evaluate = Callable[[Setting, Learner, Replay, int], Tensor]
"""what to keep, of a setting, a learner, its data, and how many updates there were"""


class Learned(NamedTuple):
    """What a batch of runs leaves."""

    setting: Setting
    learner: Learner
    replay: Replay
    updates: list[int]
    """before each evaluation"""
    evals: list[Tensor]
    """what ``evaluate`` returned, each time"""


def learn(config: Offline, seeds: Sequence[int], context: Context, evaluate: Evaluate | None = None) -> Learned:
    """Let one agent for each seed learn from its K transitions.

    The learner is kept, and the data are drawn anew when it is taken up; for the rest, and for runs that diverge, see
    ``lab.loop.repeat``.
    """
    c, device = config, context.device
    setting, learner = begin(c.online, seeds, device)
    replay = collect(setting, seeds, c.transitions, device)
    every = c.updates // c.num_evals
    learning = context.compiled(learn_once)

    def step(learner: Learner, number: int) -> tuple[Learner, Nothing]:
        if number % c.target_period == 0:
            learner = learner._replace(target_params=learner.q.clone())  # no alias: a compiled step asks
        generators = [step_generator(seed, 1 + number, device) for seed in seeds]  # 0 is that of the data
        return update(setting, learner, replay, c.transitions, generators, learning), Nothing()

    course = repeat(
        step,
        learner,
        c.updates,
        context,
        title=f"{c.agent}, {c.transitions} transitions",
        seeds=seeds,
        eval_every=every,
        evaluate=(lambda learner, updates: evaluate(setting, learner, replay, updates)) if evaluate else None,
        log=Nothing,
    )
    return Learned(setting, course.state, replay, list(range(every, c.updates + 1, every)), course.evals)


# Dreams


class Dream(NamedTuple):
    """What a simple model imagines of a sequence of actions, beside what is true."""

    truth: Float[Tensor, "times cells"]
    """the patterns, if the pipes never sound by themselves"""
    probability: Float[Tensor, "steps cells"]
    """of each cell after each step, where the dream then was"""
    dreamt: Float[Tensor, "times cells"]
    """samples, from which the dream goes on"""
    official: Float[Tensor, "times cells"]
    """the same with logits for probabilities, as the paper's code samples"""


def tune(pipes: int, steps: int) -> list[int]:
    """Return the actions of the best player from empty pipes on: n - 1, ..., 1, 0, again and again."""
    if steps < 1:
        raise bad_argument("steps", steps, "a whole number from 1")
    return [pipes - 1 - t % pipes for t in range(steps)]


@torch.no_grad()
def imagined(
    env: PanFlute,
    model: SimpleModel,
    theta: Float[Tensor, "parameters"],
    actions: Sequence[int],
    u: Float[Tensor, "steps cells"],
) -> Dream:
    """Return what a model imagines of ``actions`` from empty pipes on, its noise being ``u``, beside what is true."""
    theta = theta.unsqueeze(0)
    state = env.start(u.new_zeros(1, 1, env.start_noise))
    quiet = u.new_ones(1, 1, env.step_noise)  # above every chance of the event
    truth, probability = [env.observe(state)], []
    dreams = {sampler: [env.observe(state)] for sampler in (False, True)}
    for action, noise in zip(actions, u, strict=True):
        a = torch.full((1, 1), action, device=u.device)
        state, _, _ = env.transition(state, a, quiet)
        truth.append(env.observe(state))
        for official, dreamt in dreams.items():
            variant = replace(model, official_bernoulli_logit=official)
            prediction = variant.predict(theta, dreamt[-1], one_hot(a, env.actions))
            if not official:
                probability.append(prediction.next.sigmoid())
            dreamt.append(variant.sample(prediction, noise.view(1, 1, -1)))
    parts = (truth, probability, dreams[False], dreams[True])
    return Dream(*(torch.cat(part, dim=1)[0] for part in parts))


__all__ = [
    "GROUPS",
    "Dream",
    "Evaluate",
    "Learned",
    "Listed",
    "Offline",
    "best_rate",
    "collect",
    "groups",
    "imagined",
    "learn",
    "listed",
    "measure",
    "measures",
    "missed",
    "misses",
    "rate",
    "rmse",
    "tune",
    "uniform_rate",
]
