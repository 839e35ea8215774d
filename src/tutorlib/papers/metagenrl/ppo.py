"""PPO with a Gaussian policy: fresh agents that learn on policy, in as many steps as those of ``training`` take.

The mean of the policy is pi_phi(s), a network like theirs; its standard deviation is one learnt number for each action.
An episode that time alone ended is worth V of its last state from there, as in the other ways to learn.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from tutorlib.lab import Context, Trial
from tutorlib.lab.batching import common
from tutorlib.lab.errors import bad_argument, expect_fields
from tutorlib.lab.loop import repeat
from tutorlib.nn import Moments, NormedMLP, adam_step, clip_by_norm, no_moments, slope, step_generator
from tutorlib.papers.metagenrl.algorithm import act
from tutorlib.papers.metagenrl.config import Config, Setting, setting_of
from tutorlib.papers.metagenrl.population import Place, begin, flat, moved, split
from tutorlib.rl import advantages, policy_loss
from tutorlib.shapes import Float, Tensor


@dataclass(frozen=True)
class PPO:
    """How fresh agents learn by PPO. Its numbers are those of common codes, but for the rate, which is tuned."""

    base: Config = field(default_factory=Config)
    """the environments of the tests, the agents, and how long they learn"""
    rollout: int = 50
    """iterations between two times of learning"""
    update_epochs: int = 10
    """how often each step is learnt from"""
    minibatches: int = 4
    lr: float = 3e-4
    gae_lambda: float = 0.95
    clip_coef: float = 0.2
    vf_coef: float = 0.5
    ppo_max_grad_norm: float = 0.5
    first_log_std: float = 0.0
    """of the policy before training"""

    def __post_init__(self) -> None:
        expect_fields(
            self,
            counts=("rollout", "update_epochs", "minibatches"),
            positive=("lr", "clip_coef", "ppo_max_grad_norm"),
            not_negative=("vf_coef",),
            shares=("gae_lambda",),
        )
        if self.base.test_steps % self.rollout:
            raise bad_argument("rollout", self.rollout, f"a divisor of test_steps={self.base.test_steps}")
        if self.rollout * self.base.copies % self.minibatches:
            steps = self.rollout * self.base.copies
            raise bad_argument("minibatches", self.minibatches, f"a divisor of {steps}, the steps of a rollout")


class Rollout(NamedTuple):
    """Steps that agents learn from."""

    o: Float[Tensor, "nets steps observations"]
    action: Float[Tensor, "nets steps actions"]
    log_pi: Float[Tensor, "nets steps"]
    """before learning"""
    advantage: Float[Tensor, "nets steps"]
    returns: Float[Tensor, "nets steps"]


class State(NamedTuple):
    """All that changes while agents learn."""

    theta: Float[Tensor, "runs agents parameters"]
    """of the policy's mean, its log standard deviations, and of V"""
    moments: Moments
    place: Place


class Logged(NamedTuple):
    """What is kept of each rollout."""

    returns: Float[Tensor, "runs agents"]


def settings(config: PPO, runs: int, device: torch.device) -> tuple[Setting, NormedMLP]:
    """Return the setting of the agents, and V."""
    c = config.base
    setting = setting_of(c, device, c.test_environments, runs=runs, per=c.test_agents)
    return setting, NormedMLP(setting.ac.observations, 1, c.hidden, epsilon=c.norm_epsilon)


def parts_of(setting: Setting, theta: Float[Tensor, "nets parameters"]) -> tuple[Tensor, Tensor, Tensor]:
    """Return the parameters of the mean, the log standard deviations, and the parameters of V."""
    n, actions = setting.ac.policy.parameters, setting.ac.actions
    return theta[:, :n], theta[:, n : n + actions], theta[:, n + actions :]


def log_density(
    setting: Setting,
    mean: Float[Tensor, "nets steps actions"],
    log_std: Float[Tensor, "nets actions"],
    action: Float[Tensor, "nets steps actions"],
) -> Float[Tensor, "nets steps"]:
    """Return log N(action; mean, std^2), over the actions that each environment has."""
    log_std = log_std.unsqueeze(1)
    z = (action - mean) * (-log_std).exp()
    each = -0.5 * z.square() - log_std - 0.5 * math.log(2 * math.pi)
    return (each * setting.used.unsqueeze(1)).sum(dim=-1)


def chosen(
    setting: Setting,
    theta: Float[Tensor, "nets parameters"],
    o: Float[Tensor, "nets lanes observations"],
    normal: Float[Tensor, "nets lanes actions"],
) -> tuple[Float[Tensor, "nets lanes actions"], Float[Tensor, "nets lanes"]]:
    """Return actions of the policy, which environments cut to their bounds, and their log-densities."""
    phi, log_std, _ = parts_of(setting, theta)
    mean = act(setting, phi, o)
    a = mean + log_std.exp().unsqueeze(1) * normal * setting.used.unsqueeze(1)
    return a, log_density(setting, mean, log_std, a)


def ppo_gradient(
    setting: Setting, value: NormedMLP, config: PPO, theta: Float[Tensor, "nets parameters"], batch: Rollout
) -> Float[Tensor, "nets parameters"]:
    """Return the gradient of PPO's loss over a minibatch, cut to its norm; its advantages are standardised first."""
    off = batch.advantage - batch.advantage.mean(dim=1, keepdim=True)
    advantage = off / (off.square().mean(dim=1, keepdim=True).sqrt() + 1e-8)

    def loss(theta: Tensor) -> Tensor:
        phi, log_std, v = parts_of(setting, theta)
        now = log_density(setting, act(setting, phi, batch.o), log_std, batch.action)
        error = (value(v, batch.o).squeeze(-1) - batch.returns).square().mean(dim=1)
        return policy_loss((now - batch.log_pi).exp(), advantage, config.clip_coef) + config.vf_coef * error

    return clip_by_norm(slope(loss, theta), config.ppo_max_grad_norm)


def ppo(trials: Sequence[Trial], context: Context) -> tuple[State, Float[Tensor, "rollouts runs agents"]]:
    """Let fresh agents learn by PPO, one run for each of ``trials``, which differ in seeds.

    Return the last state, and after each rollout the mean return of each agent's last two episodes.

    For what is kept, and for runs that diverge, see ``lab.loop.repeat``.
    """
    config: PPO = common(trials, ())
    c, seeds, device = config.base, [trial.seed for trial in trials], context.device
    setting, value = settings(config, len(seeds), device)
    choose, learn = context.compiled(chosen), context.compiled(ppo_gradient)
    first_noise = max(env.step_noise for env in setting.envs)
    whole = config.rollout * c.copies

    def drawn(generators: list[torch.Generator], draw: str, *shape: int) -> Tensor:
        return torch.stack([getattr(torch, draw)(*shape, generator=g, device=device) for g in generators])

    def rolled(state: State, generators: list[torch.Generator]) -> tuple[Rollout, Place]:
        theta, place, kept = flat(state.theta), state.place, []
        *_, v = parts_of(setting, theta)
        shape = config.rollout, setting.each, c.copies
        normal = drawn(generators, "randn", *shape, setting.ac.actions)
        start = drawn(generators, "rand", *shape, first_noise).clamp(min=1e-7)
        for t in range(config.rollout):
            a, log_pi = choose(setting, theta, flat(place.o), flat(normal[:, t]))
            steps, place = moved(setting, place, split(a, len(seeds)), start[:, t])
            now = flat(steps)
            kept.append((now.o, a, log_pi, now.reward, now.next, now.done, now.ended))
        o, a, log_pi, reward, after, done, ended = (torch.stack(part) for part in zip(*kept, strict=True))

        def value_at(o: Tensor) -> Tensor:  # [time, nets, lanes, observations]
            return value(v, o.transpose(0, 1)).squeeze(-1).transpose(0, 1)

        values, following = value_at(o), value_at(after)
        # Where time alone ended an episode, what would have come is worth V.
        reward = reward + c.gamma * following * (ended.float() - done)
        advantage = advantages(reward, values, following[-1], ended, c.gamma, config.gae_lambda)

        def by_agent(x: Tensor) -> Tensor:
            return x.transpose(0, 1).flatten(1, 2)

        parts = (o, a, log_pi, advantage, advantage + values)
        return Rollout(*(by_agent(part) for part in parts)), place

    def step(state: State, number: int) -> tuple[State, Logged]:
        generators = [step_generator(seed, number, device) for seed in seeds]
        rollout, place = rolled(state, generators)
        theta, moments = flat(state.theta), flat(state.moments)
        updates = number * config.update_epochs * config.minibatches
        for _ in range(config.update_epochs):
            order = drawn(generators, "rand", setting.each, whole).flatten(0, 1).argsort(dim=-1)
            for taken in order.chunk(config.minibatches, dim=1):
                rows = torch.arange(len(theta), device=device).unsqueeze(1)
                batch = Rollout(*(part[rows, taken] for part in rollout))
                g = learn(setting, value, config, theta, batch)
                theta, moments = adam_step(theta, moments, g, updates, config.lr)
                updates += 1
        runs = len(seeds)
        return State(split(theta, runs), split(moments, runs), place), Logged(place.returns.mean(dim=(-1, -2)))

    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    life = begin(setting, generators, 1, device)
    each = len(setting.envs) * setting.per
    v = torch.stack([value.initial_parameters(each, g, c.initial) for g in generators]).to(device)
    log_std = torch.full((len(seeds), each, setting.ac.actions), config.first_log_std, device=device)
    theta = torch.cat([life.learner.phi, log_std, v], dim=-1)
    first = State(theta, no_moments(theta), life.place)
    advice = "a smaller lr may help"
    rollouts = c.test_steps // config.rollout
    course = repeat(step, first, rollouts, context, title="PPO", seeds=seeds, log=Logged, advice=advice)
    return course.state, course.log.returns


__all__ = ["PPO", "Logged", "Rollout", "State", "chosen", "log_density", "parts_of", "ppo", "ppo_gradient", "settings"]
