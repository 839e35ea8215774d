"""RL^2: the recurrent policy of the MetaRNN, trained by policy gradients (PPO) in place of evolution strategies.

A lifetime is one sequence for the policy gradient: the memory runs through it, and an episode's end cuts neither the
memory nor the return, because what is learned in one episode pays off in the next. Everything is in a batch of
lifetimes; the loops are those over time.

Which of the two the paper trained is not known; this is the second black-box baseline.
"""

from dataclasses import dataclass

import torch

from tutorlib.envs import Environment
from tutorlib.lab.errors import NonFiniteError, bad_argument, expect_fields
from tutorlib.nn import adam_step, clip_by_norm, no_moments, step_generator
from tutorlib.papers.symla.algorithm import Life, draw_noise, lifetime
from tutorlib.papers.symla.model import MetaRNN, one_hot
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
    epochs: int = 8
    """Adam steps on each batch"""
    rate: float = 0.02
    """Adam's learning rate"""
    gamma: float = 0.99
    """discount"""
    lam: float = 0.3
    """lambda of the generalised advantage estimate. On bandits, where nothing but what is learned carries over from
    step to step, .95 left PPO at chance for as long as we tried, and .3 did not"""
    clip: float = 0.2
    """how far the ratio may move from 1 and still be rewarded"""
    entropy: float = 0.01
    """weight of the policy's entropy"""
    value: float = 0.5
    """weight of the squared error of the values"""
    largest: float = 0.5
    """largest norm of a gradient"""

    def __post_init__(self) -> None:
        expect_fields(
            self,
            counts=("iterations", "length", "epochs"),
            sizes=("lifetimes",),
            positive=("rate", "clip", "largest"),
            not_negative=("entropy", "value"),
            shares=("gamma", "lam"),
        )


def replay(
    agent: MetaRNN, theta: Float[Tensor, "parameters"], life: Life
) -> tuple[Float[Tensor, "lifetimes time actions"], Float[Tensor, "lifetimes time"]]:
    """Return the log-probabilities of all actions and the values at each step of ``life``, differentiable in theta.

    theta is the agent's, followed by the weights and the offset of a linear value head on its memory.
    """
    policy, head = theta[: agent.parameters], theta[agent.parameters :]
    o, r, taken = life.observations, life.rewards, one_hot(life.actions, agent.actions)
    if o is None:
        raise bad_argument("life.observations", None, "observations: ask lifetime to keep them")
    parts, h = agent.prepare(policy), agent.start(policy, theta.new_zeros(len(r), 0))
    a, before = torch.zeros_like(taken[:, 0]), torch.zeros_like(r[:, 0])
    logits, values = [], []
    for t in range(r.shape[1]):
        h, y = agent.step(parts, h, o[:, t], a, before)
        logits.append(y)
        values.append(h.h @ head[:-1] + head[-1])
        a, before = taken[:, t], r[:, t]
    return torch.stack(logits, dim=1).log_softmax(dim=-1), torch.stack(values, dim=1)


def ppo(
    agent: MetaRNN, env: Environment, config: PPOConfig, seed: int, device: torch.device | None = None
) -> tuple[Float[Tensor, "parameters"], Float[Tensor, "iterations"]]:
    """Train ``agent`` in ``env`` by PPO; return the agent's theta and the mean reward of a step in each batch.

    Raises ``NonFiniteError`` if a reward or the objective is not finite.
    """
    start = agent.initial_parameters(torch.Generator().manual_seed(seed))
    theta = torch.cat([start, torch.zeros(agent.hidden + 1)]).to(device or torch.device("cpu"))
    moments, course = no_moments(theta), []
    for iteration in range(config.iterations):
        noise = draw_noise(agent, env, config.lifetimes, config.length, step_generator(seed, iteration, theta.device))
        with torch.no_grad():
            life = lifetime(agent, theta[: agent.parameters], env, noise, keep_observations=True)
            before, values = replay(agent, theta, life)
            advantage = _advantages(life.rewards, values, config)
            returns = advantage + values
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
            log_before = before.gather(-1, life.actions.unsqueeze(-1)).squeeze(-1)
        for epoch in range(config.epochs):
            theta = theta.detach().requires_grad_()
            log_pi, v = replay(agent, theta, life)
            ratio = (log_pi.gather(-1, life.actions.unsqueeze(-1)).squeeze(-1) - log_before).exp()
            policy = policy_loss(ratio.flatten(), advantage.flatten(), config.clip)
            error = (v - returns).square().mean()
            loss = policy - config.entropy * entropy(log_pi.flatten(0, 1)) + config.value * error
            (g,) = torch.autograd.grad(loss, theta)
            with torch.no_grad():
                g = clip_by_norm(g, config.largest)
                theta, moments = adam_step(theta, moments, g, iteration * config.epochs + epoch, config.rate)
        course.append(life.rewards.mean())
    rewards = torch.stack(course)
    if not bool(theta.isfinite().all()):
        bad = (~rewards.isfinite()).nonzero()
        step = int(bad[0]) + 1 if len(bad) else config.iterations
        raise NonFiniteError(f"theta is not finite after batch {step} of {config.iterations}: expected finite numbers")
    return theta.detach()[: agent.parameters], rewards


def _advantages(
    rewards: Float[Tensor, "lifetimes time"], values: Float[Tensor, "lifetimes time"], config: PPOConfig
) -> Float[Tensor, "lifetimes time"]:
    """Return the advantages of whole lives: no episode's end cuts them, and after the end of life the value is 0."""
    never = torch.zeros_like(rewards.T, dtype=torch.bool)
    return advantages(rewards.T, values.T, torch.zeros_like(values[:, 0]), never, config.gamma, config.lam).T
