"""RL^2: the recurrent policy of the MetaRNN, trained by policy gradients (PPO) in place of evolution strategies.

A lifetime is one sequence for the policy gradient: the memory runs through it, and an episode's end cuts neither the
memory nor the return, because what is learned in one episode pays off in the next. Everything is in a batch of
lifetimes; the loops are those over time.

Which of the two the paper trained is not known; this is the second black-box baseline.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch

from tutorlib.envs import Environment
from tutorlib.envs.tensors import one_hot
from tutorlib.lab import Context
from tutorlib.lab.errors import bad_argument, expect_fields
from tutorlib.lab.loop import repeat
from tutorlib.nn import Moments, adam_step, clip_by_norm, no_moments, slope, step_generator
from tutorlib.papers.symla.algorithm import Life, draw_noise, lifetime
from tutorlib.papers.symla.model import MetaRNN
from tutorlib.rl import advantages, entropy, policy_loss
from tutorlib.shapes import Float, Tensor


@dataclass(frozen=True)
class PPOConfig:
    """How RL^2 is trained. All was chosen here, on one seed and batches of 64 lives; nothing is from the paper."""

    iterations: int = 100
    """batches of lifetimes"""
    lifetimes: int = 64
    """in a batch"""
    length: int = 50
    """L, steps of a lifetime"""
    update_epochs: int = 8
    """Adam steps on each batch"""
    lr: float = 0.02
    """Adam's learning rate"""
    gamma: float = 0.99
    """discount"""
    gae_lambda: float = 0.3
    """lambda of the generalised advantage estimate. On bandits, where nothing but what is learned carries over from
    step to step, .95 left PPO at chance for as long as we tried, and .3 did not"""
    clip_coef: float = 0.2
    """how far the ratio may move from 1 and still be rewarded"""
    ent_coef: float = 0.01
    """weight of the policy's entropy"""
    vf_coef: float = 0.5
    """weight of the squared error of the values"""
    max_grad_norm: float = 0.5
    """largest norm of a gradient"""

    def __post_init__(self) -> None:
        expect_fields(
            self,
            counts=("iterations", "length", "update_epochs"),
            sizes=("lifetimes",),
            positive=("lr", "clip_coef", "max_grad_norm"),
            not_negative=("ent_coef", "vf_coef"),
            shares=("gamma", "gae_lambda"),
        )


def replay(
    agent: MetaRNN, theta: Float[Tensor, "parameters"], life: Life
) -> tuple[Float[Tensor, "lifetimes time actions"], Float[Tensor, "lifetimes time"]]:
    """Return the log-probabilities of all actions and the values at each step of ``life``, differentiable in theta.

    theta is the agent's, followed by the weights and the offset of a linear value head on its memory.
    """
    policy, head = theta[: agent.parameters], theta[agent.parameters :]
    o, r, taken = life.observations, life.rewards, one_hot(life.actions, agent.actions).to(theta)
    if o is None:
        raise bad_argument("life.observations", None, "observations: ask lifetime to keep them")
    parts, h = agent.prepare(policy), agent.start(policy, theta.new_zeros(len(r), 0))
    a, before = torch.zeros_like(taken[:, 0]), torch.zeros_like(r[:, 0])
    logits, values = [], []
    for t in range(r.shape[1]):  # the memory is made anew: with another theta it is another one
        h, y = agent.step(parts, h, o[:, t], a, before)
        logits.append(y)
        values.append(h.h @ head[:-1] + head[-1])
        a, before = taken[:, t], r[:, t]
    return torch.stack(logits, dim=1).log_softmax(dim=-1), torch.stack(values, dim=1)


class Learning(NamedTuple):
    """What changes while PPO trains; the first axis is that of the one run."""

    theta: Float[Tensor, "1 parameters"]
    """the agent's, followed by the value head"""
    moments: Moments


class Log(NamedTuple):
    """What is kept of each batch."""

    reward: Float[Tensor, "*iterations 1"]
    """mean of a step"""


def ppo(
    agent: MetaRNN, env: Environment, config: PPOConfig, seed: int, context: Context
) -> tuple[Float[Tensor, "parameters"], Float[Tensor, "iterations"]]:
    """Train ``agent`` in ``env`` by PPO; return the agent's theta and the mean reward of a step in each batch.

    For what is kept, and where it stops, see ``lab.loop.repeat``.
    """
    start = agent.initial_parameters(torch.Generator().manual_seed(seed))
    theta = torch.cat([start, torch.zeros(agent.hidden + 1)]).to(context.device).unsqueeze(0)

    def step(state: Learning, number: int) -> tuple[Learning, Log]:
        generator = step_generator(seed, number, context.device)
        return learn(agent, env, config, state, number, generator)

    course = repeat(
        step,
        Learning(theta, no_moments(theta)),
        config.iterations,
        context,
        title="PPO",
        seeds=[seed],
        log=Log,
        advice=f"a smaller lr than {config.lr} may help",
    )
    return course.state.theta[0, : agent.parameters], course.log.reward[:, 0]


def learn(
    agent: MetaRNN,
    env: Environment,
    config: PPOConfig,
    state: Learning,
    number: int,
    generator: torch.Generator,
) -> tuple[Learning, Log]:
    """Return the state after batch ``number`` of lifetimes, counted from 0: live, look back, and some Adam steps."""
    theta, moments = state
    noise = draw_noise(agent, env, config.lifetimes, config.length, generator)
    with torch.no_grad():
        life = lifetime(agent, theta[0, : agent.parameters], env, noise, keep_observations=True)
        before, values = replay(agent, theta[0], life)
        advantage = _advantages(life.rewards, values, config)
        returns = advantage + values
        # Over lives and steps together; a batch of equal advantages would divide by 0.
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        log_before = before.gather(-1, life.actions.unsqueeze(-1)).squeeze(-1)

    def objective(theta: Float[Tensor, "1 parameters"]) -> Float[Tensor, "1"]:
        log_pi, v = replay(agent, theta[0], life)
        ratio = (log_pi.gather(-1, life.actions.unsqueeze(-1)).squeeze(-1) - log_before).exp()
        policy = policy_loss(ratio.flatten(), advantage.flatten(), config.clip_coef)
        error = (v - returns).square().mean()
        loss = policy - config.ent_coef * entropy(log_pi.flatten(0, 1)) + config.vf_coef * error
        return loss.unsqueeze(0)

    for epoch in range(config.update_epochs):
        g = clip_by_norm(slope(objective, theta), config.max_grad_norm)
        theta, moments = adam_step(theta, moments, g, number * config.update_epochs + epoch, config.lr)
    return Learning(theta, moments), Log(life.rewards.mean().unsqueeze(0))


def _advantages(
    rewards: Float[Tensor, "lifetimes time"], values: Float[Tensor, "lifetimes time"], config: PPOConfig
) -> Float[Tensor, "lifetimes time"]:
    """Return the advantages of whole lives: no episode's end cuts them, and after the end of life the value is 0."""
    never = torch.zeros_like(rewards.T, dtype=torch.bool)
    return advantages(rewards.T, values.T, torch.zeros_like(values[:, 0]), never, config.gamma, config.gae_lambda).T
