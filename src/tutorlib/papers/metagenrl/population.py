"""Agents that live side by side: how they act, what they remember, and one iteration of their learning (1910.04098).

An iteration is one step of every copy of every agent's environment, one update of critics and, every second time, of
policies and of the objective. The paper lets whole episodes end first and then makes as many updates as there were
steps. What is random is drawn before a step, from a generator for each run.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F

from tutorlib.lab import Context
from tutorlib.nn import Moments, adam_step, clip_by_norm, no_moments
from tutorlib.papers.metagenrl.algorithm import act, critic_gradient, meta_gradient, policy_gradient
from tutorlib.papers.metagenrl.config import Config, Setting
from tutorlib.rl.td3 import polyak
from tutorlib.rl.windows import Steps, WindowReplay, Windows, add_steps, empty_windows, windows_from
from tutorlib.shapes import Bool, Float, Tensor


class Learner(NamedTuple):
    """All that agents learn; the first axis is one of runs, the second one of agents."""

    phi: Float[Tensor, "runs agents parameters"]
    theta: Float[Tensor, "runs agents critics"]
    target_phi: Float[Tensor, "runs agents parameters"]
    target_theta: Float[Tensor, "runs agents critics"]
    phi_moments: Moments
    theta_moments: Moments
    phi_updates: Float[Tensor, "runs agents 1"]
    theta_updates: Float[Tensor, "runs agents 1"]


class Shared(NamedTuple):
    """The objective that the agents of a run share."""

    alpha: Float[Tensor, "runs weights"]
    mean: Float[Tensor, "runs weights"]
    """the running mean of alpha, by which policies learn"""
    moments: Moments
    updates: Float[Tensor, "runs 1"]


class Place(NamedTuple):
    """Where agents are in their environments."""

    envs: tuple[Any, ...]
    """states of each environment, ``[runs, agents of it, lanes, ...]``"""
    o: Float[Tensor, "runs agents lanes observations"]
    total: Float[Tensor, "runs agents lanes"]
    """rewards of the episode so far"""
    returns: Float[Tensor, "runs agents lanes 2"]
    """of the last two finished episodes; of the only one twice; 0 before there is one"""
    finished: Bool[Tensor, "runs agents lanes"]
    """whether an episode has ended"""


class Life(NamedTuple):
    """All that changes while agents live."""

    learner: Learner
    replay: WindowReplay
    """``[runs, agents, lanes, ...]``, written in place: of a run that is set back, it keeps what was stored since"""
    place: Place


class Noise(NamedTuple):
    """What is random in an iteration. Agents that differ in how they learn alone share it."""

    action: Float[Tensor, "runs agents lanes actions"]
    """normal"""
    first: Float[Tensor, "runs agents lanes actions"]
    """uniform, in (-1, 1)"""
    start: Float[Tensor, "runs agents lanes noise"]
    """uniform, of first states"""
    critic: Float[Tensor, "runs agents windows 2"]
    """uniform, which windows"""
    target: Float[Tensor, "runs agents windows time actions"]
    """normal"""
    policy: Float[Tensor, "runs agents windows 2"]
    meta: Float[Tensor, "runs agents windows 2"]


def flat(x: Any) -> Any:
    """Return a tensor, or a tuple of them, with runs and agents in one axis."""
    return x.flatten(0, 1) if isinstance(x, Tensor) else type(x)(*(flat(part) for part in x))


def split(x: Any, runs: int) -> Any:
    """Return a tensor, or a tuple of them, with runs and agents in two axes again."""
    return x.unflatten(0, (runs, -1)) if isinstance(x, Tensor) else type(x)(*(split(part, runs) for part in x))


# Noise


def _twins(setting: Setting, draw: Callable[..., Tensor], *shape: int) -> Tensor:
    """Return numbers for each agent of a run, the same for twins: ``[agents, *shape]``."""
    numbers = draw(len(setting.envs), 1, setting.per, *shape)
    return numbers.expand(-1, setting.twins, *numbers.shape[2:]).flatten(0, 2)


def drawn(setting: Setting, generators: Sequence[torch.Generator], device: torch.device, policy: bool) -> Noise:
    """Return the noise of an iteration, each run's from its own generator; ``policy``: whether policies learn in it."""
    c, ac = setting.config, setting.ac
    start, batch = max(env.step_noise for env in setting.envs), c.batch if policy else 0
    parts = []
    for g in generators:

        def uniform(*shape: int, g: torch.Generator = g) -> Tensor:
            return torch.rand(*shape, generator=g, device=device).clamp(min=1e-7)

        def normal(*shape: int, g: torch.Generator = g) -> Tensor:
            return torch.randn(*shape, generator=g, device=device)

        parts.append(
            Noise(
                _twins(setting, normal, c.copies, ac.actions),
                2 * _twins(setting, uniform, c.copies, ac.actions) - 1,
                _twins(setting, uniform, c.copies, start),
                _twins(setting, uniform, c.batch, 2),
                _twins(setting, normal, c.batch, c.window, ac.actions),
                _twins(setting, uniform, batch, 2),
                _twins(setting, uniform, batch * (c.inner_steps + 1), 2),
            )
        )
    return Noise(*(torch.stack(part) for part in zip(*parts, strict=True)))


# Before the first step


def fresh_policies(setting: Setting, generators: Sequence[torch.Generator]) -> Float[Tensor, "runs agents parameters"]:
    """Return policies before training, each with the bounds of its environment's own sizes; twins are alike."""
    return torch.stack([_networks(setting, g, policy=True) for g in generators])


def _networks(setting: Setting, g: torch.Generator, *, policy: bool) -> Tensor:
    c, ac = setting.config, setting.ac
    rows = []
    for env in setting.envs:
        inside = env.observations + (0 if policy else env.action_size)
        if policy:
            theta = ac.policy.initial_parameters(setting.per, g, c.initial, c.last_scale, inside, env.action_size)
        else:
            two = ac.critic.initial_parameters(2 * setting.per, g, c.initial, 1.0, inside)
            theta = two.reshape(setting.per, -1)
        rows.append(theta.expand(setting.twins, -1, -1).flatten(0, 1))
    return torch.cat(rows)


def begin(setting: Setting, generators: Sequence[torch.Generator], iterations: int, device: torch.device) -> Life:
    """Return agents before their first step, their replay empty; the generators are those of the host."""
    c, ac, runs = setting.config, setting.ac, len(generators)
    phi = fresh_policies(setting, generators).to(device)
    theta = torch.stack([_networks(setting, g, policy=False) for g in generators]).to(device)
    start = max(env.start_noise for env in setting.envs)
    u = torch.stack([_twins(setting, lambda *s, g=g: torch.rand(*s, generator=g), c.copies, start) for g in generators])
    u = u.clamp(min=1e-7).to(device)
    each = setting.twins * setting.per
    states = tuple(
        env.start(part[..., : env.start_noise]) for env, part in zip(setting.envs, u.split(each, dim=1), strict=True)
    )
    capacity = max(1, min(c.capacity // c.copies, iterations))
    replay = split(
        empty_windows(ac.observations, ac.actions, runs * setting.each, c.copies, capacity, device), runs
    )  # fmt: skip
    zero = torch.zeros(runs, setting.each, 1, device=device)
    learner = Learner(
        phi, theta, phi.clone(), theta.clone(), no_moments(phi), no_moments(theta), zero, zero.clone()
    )  # fmt: skip
    total = torch.zeros(runs, setting.each, c.copies, device=device)
    none = total.new_zeros(*total.shape, 2), torch.zeros_like(total, dtype=torch.bool)
    return Life(learner, replay, Place(states, observed(setting, states), total, *none))


def observed(setting: Setting, states: tuple[Any, ...]) -> Float[Tensor, "runs agents lanes observations"]:
    """Return what all agents see, padded to the longest observation."""
    seen = [env.observe(state) for env, state in zip(setting.envs, states, strict=True)]
    return torch.cat([F.pad(o, (0, setting.ac.observations - o.shape[-1])) for o in seen], dim=1)


# One iteration


def acted(
    setting: Setting,
    phi: Float[Tensor, "runs agents parameters"],
    place: Place,
    noise: Noise,
    at_random: Bool[Tensor, ""],
) -> tuple[Steps, Place]:
    """Return the steps of all copies, and where agents are after them.

    Actions are the policy's with normal noise, cut to the limit, or uniform ones ``at_random``.
    """
    c = setting.config
    chosen = act(setting, flat(phi), flat(place.o)) + c.exploration * flat(noise.action)
    a = torch.where(at_random, c.limit * flat(noise.first), chosen.clamp(-c.limit, c.limit))
    return moved(setting, place, split(a * setting.used[:, None], len(phi)), noise.start)


def moved(
    setting: Setting,
    place: Place,
    a: Float[Tensor, "runs agents lanes actions"],
    start: Float[Tensor, "runs agents lanes noise"],
) -> tuple[Steps, Place]:
    """Return the steps of all copies by actions ``a``, and where agents are after them; ``start``: of first states."""
    each = setting.twins * setting.per
    after, rewards, ends, timed, renewed = [], [], [], [], []
    parts = zip(setting.envs, place.envs, a.split(each, dim=1), start.split(each, dim=1), strict=True)
    for env, state, action, u in parts:
        end, reward, ended = env.advance(state, action[..., : env.action_size])
        after.append(end)
        rewards.append(reward)
        ends.append(ended)
        timed.append(end.t >= env.horizon)
        renewed.append(env.renew(end, ended, u[..., : env.step_noise]))
    reward, ended = torch.cat(rewards, dim=1), torch.cat(ends, dim=1)
    done = (ended if setting.config.time_limit_ends else ended & ~torch.cat(timed, dim=1)).float()
    steps = Steps(place.o, a, reward, observed(setting, tuple(after)), done, ended)
    total, over = place.total + reward, ended.unsqueeze(-1)
    before = torch.where(place.finished, place.returns[..., 1], total)
    returns = torch.where(over, torch.stack([before, total], dim=-1), place.returns)
    states = tuple(renewed)
    still = torch.where(ended, 0.0, total)
    return steps, Place(states, observed(setting, states), still, returns, place.finished | ended)


def critics_learnt(
    setting: Setting, learner: Learner, w: Windows, noise: Float[Tensor, "nets windows time actions"]
) -> Learner:
    """Return the agents after one step of their critics."""
    agents, runs = flat(learner), len(learner.phi)
    g = critic_gradient(setting, agents.theta, agents.target_phi, agents.target_theta, w, noise)
    theta, moments = adam_step(agents.theta, agents.theta_moments, g, agents.theta_updates, setting.config.critic_lr)
    return split(agents._replace(theta=theta, theta_moments=moments, theta_updates=agents.theta_updates + 1), runs)


def policies_learnt(
    setting: Setting,
    learner: Learner,
    alpha: Float[Tensor, "nets weights"],
    weights: Float[Tensor, "nets 3"],
    lr: Float[Tensor, "nets 1"],
    w: Windows,
    terms: tuple[bool, bool, bool],
) -> Learner:
    """Return the agents after one step of their policies, at a rate of each, and of the copies that follow."""
    c, agents, runs = setting.config, flat(learner), len(learner.phi)
    g = policy_gradient(setting, agents.phi, agents.theta, alpha, weights, w, terms)
    phi, moments = adam_step(agents.phi, agents.phi_moments, g, agents.phi_updates, lr)
    agents = agents._replace(
        phi=phi,
        phi_moments=moments,
        phi_updates=agents.phi_updates + 1,
        target_phi=polyak(agents.target_phi, phi, c.polyak),
        target_theta=polyak(agents.target_theta, agents.theta, c.polyak),
    )
    return split(agents, runs)


def objective_learnt(setting: Setting, shared: Shared, learner: Learner, w: Windows) -> tuple[Shared, Tensor]:
    """Return the objective after one step, and each run's loss of it before: the mean of all agents' gradients."""
    c, agents, runs = setting.config, flat(learner), len(learner.phi)
    alpha = shared.alpha.repeat_interleave(setting.each, dim=0)
    g, losses = meta_gradient(setting, alpha, agents.phi, agents.theta, w, c.second_order)
    g = split(clip_by_norm(g, c.max_grad_norm), runs).mean(dim=1)
    after, moments = adam_step(shared.alpha, shared.moments, g, shared.updates, c.meta_lr)
    mean = polyak(shared.mean, after, c.average)
    return Shared(after, mean, moments, shared.updates + 1), split(losses, runs).mean(dim=1)


def renewed(
    learner: Learner, fresh: Float[Tensor, "runs agents parameters"], u: Float[Tensor, "runs agents"], share: float
) -> Learner:
    """Return the agents, of which a ``share`` has the policy that is ``fresh``: what it has learnt is gone."""
    here = (u < share).unsqueeze(-1)
    zero = torch.zeros_like(fresh)
    m, v = learner.phi_moments
    return learner._replace(
        phi=torch.where(here, fresh, learner.phi),
        target_phi=torch.where(here, fresh, learner.target_phi),
        phi_moments=Moments(torch.where(here, zero, m), torch.where(here, zero, v)),
        phi_updates=torch.where(here, 0.0, learner.phi_updates),
    )


class Iteration:
    """The steps of an iteration, compiled where that is asked for, and what they need besides the state."""

    def __init__(self, setting: Setting, context: Context, lr: Float[Tensor, "nets 1"] | None = None) -> None:
        """``lr``: the rate of each policy, if it is not ``policy_lr`` for all."""
        self.setting, self.device = setting, context.device
        nets, rate = len(setting.used), setting.config.policy_lr
        self.lr = torch.full((nets, 1), rate, device=context.device) if lr is None else lr
        self.act, self.critics = context.compiled(acted), context.compiled(critics_learnt)
        self.policies, self.objective = context.compiled(policies_learnt), context.compiled(objective_learnt)

    def learns(self, number: int) -> bool:
        """Return whether agents learn in iteration ``number``: all have finished an episode by then."""
        return number + 1 >= max(env.horizon for env in self.setting.envs)

    def lived(self, life: Life, noise: Noise, number: int) -> Life:
        """Return agents after acting once and, if they learn, after one step of their critics."""
        setting, c = self.setting, self.setting.config
        early = torch.full((), number < c.random_steps, dtype=torch.bool, device=self.device)
        steps, place = self.act(setting, life.learner.phi, life.place, noise, early)
        add_steps(flat(life.replay), number, flat(steps))  # in place, which a compiled step may not do
        after = life._replace(place=place)
        if not self.learns(number):
            return after
        w = self.windows(after, noise.critic, number)
        return after._replace(learner=self.critics(setting, after.learner, w, flat(noise.target)))

    def windows(self, life: Life, u: Float[Tensor, "runs agents windows 2"], number: int) -> Windows:
        """Return windows of each agent's own replay after iteration ``number``."""
        return windows_from(flat(life.replay), number + 1, self.setting.config.window, flat(u))

    def taught(
        self, life: Life, alpha: Tensor, weights: Tensor, noise: Noise, number: int, terms: tuple[bool, bool, bool]
    ) -> Life:
        """Return agents after one step of their policies, by ``alpha`` and ``weights`` of each, ``[nets, ...]``."""
        w = self.windows(life, noise.policy, number)
        return life._replace(learner=self.policies(self.setting, life.learner, alpha, weights, self.lr, w, terms))


def share_learned(config: Config, number: int) -> float:
    """Return p, the weight of the learned objective in meta-training, where DDPG has 1 - p."""
    return min(1.0, max(0.0, (number - config.hold) / config.anneal))


__all__ = [
    "Iteration",
    "Learner",
    "Life",
    "Noise",
    "Shared",
    "acted",
    "begin",
    "critics_learnt",
    "drawn",
    "flat",
    "fresh_policies",
    "moved",
    "objective_learnt",
    "observed",
    "policies_learnt",
    "renewed",
    "share_learned",
    "split",
]
