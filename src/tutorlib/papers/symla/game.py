"""Whole lives on Bernoulli bandits: SymLA beside Thompson sampling, UCB1 and random pulls.

The three rivals know that they play a bandit; none was trained, and all take any number of arms. SymLA takes any
number of arms, too: the grid has a column for each.

A random number of a life has an address: what it is for, the pull, and its place. It comes from a generator, or, for
bandits with a number, from the counter-based generator. Numbered bandits are those that the explorer plays in the
browser (``show/bandit_explorer.mjs``), where every player pulls the same arms.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch

from tutorlib.data.counter import as_uniform, words
from tutorlib.envs.bandits import GAPS, BernoulliBandit, expected_regret
from tutorlib.envs.tensors import one_hot
from tutorlib.lab.errors import bad_argument, checked, choose
from tutorlib.papers.symla.model import SymLA
from tutorlib.shapes import Float, Int, Tensor

STREAMS: Mapping[str, int] = MappingProxyType({"arms": 0, "rewards": 1, "symla": 2, "thompson": 3, "random": 4})
"""What random numbers are for, and the stream of the counter-based generator that they come from."""

RANGES: Mapping[str, tuple[tuple[float, float], tuple[float, float]]] = MappingProxyType(
    {"independent": ((0.0, 1.0), (0.0, 1.0))} | {name: ((p, p), (q, q)) for name, (p, q) in GAPS.items()}
)
"""Families of bandits that take any number of arms: ranges of the success probabilities of the one good arm and of the
others, as the explorer draws them."""

Draw = Callable[[str, int, int], Tensor]
"""``draw(use, t, n)`` returns n uniforms in (0, 1) for each life at pull t, float64 [lives, n]; use is of STREAMS."""


class Course(NamedTuple):
    """What happened in a batch of lives."""

    p: Float[Tensor, "lives arms"]
    """success probabilities"""
    actions: Int[Tensor, "lives pulls"]
    rewards: Float[Tensor, "lives pulls"]
    regret: Float[Tensor, "lives pulls"]
    """what the pulls were expected to pay less than the best arm, summed up to and with each pull"""


class Memory(NamedTuple):
    """What a player may know before a pull."""

    t: int
    """pulls so far"""
    chosen: Float[Tensor, "lives arms"]
    """the last pull, one-hot; zeros before the first"""
    reward: Float[Tensor, "lives"]
    """what it paid; 0 before the first"""
    wins: Float[Tensor, "lives arms"]
    """pulls of each arm that paid"""
    tries: Float[Tensor, "lives arms"]
    """pulls of each arm"""


def numbered(bandits: Int[Tensor, "lives"]) -> Draw:
    """Return the uniforms of numbered bandits: functions of number, use, pull and place alone."""

    def draw(use: str, t: int, n: int) -> Tensor:
        pull = torch.full_like(bandits, t)
        return as_uniform(words(bandits, STREAMS[choose("use", use, STREAMS)], pull, n)).double()

    return draw


@checked()
def drawn(generator: torch.Generator, lives: int) -> Draw:
    """Return fresh uniforms of a generator for so many lives, on its device."""

    def draw(use: str, t: int, n: int) -> Tensor:
        whole = torch.randint(2**23, (lives, n), generator=generator, device=generator.device)
        return (whole.double() + 0.5) * 2.0**-23  # the values that numbered ones can take; neither 0 nor 1

    return draw


@torch.no_grad()
def play(env: BernoulliBandit, pulls: int, draw: Draw, player: Callable[[Memory], Tensor]) -> Course:
    """Return lives of ``player``, which maps what it knows to the arm that it pulls next, [lives].

    Under one ``numbered`` draw all players meet the same bandits and the same luck in each pull. Raises ``UsageError``
    if there is no pull.
    """
    if pulls < 1:
        raise bad_argument("pulls", pulls, "at least 1")
    state = env.start(draw("arms", 0, env.start_noise))
    nothing = torch.zeros_like(state.p)
    memory = Memory(0, nothing, nothing[:, 0], nothing, nothing)
    actions, rewards = [], []
    for t in range(pulls):
        action = player(memory)
        state, reward, _ = env.step(state, action, draw("rewards", t, env.step_noise))
        chosen = one_hot(action, env.arms).to(nothing)
        wins = memory.wins + chosen * reward.unsqueeze(-1)
        memory = Memory(t + 1, chosen, reward, wins, memory.tries + chosen)
        actions.append(action)
        rewards.append(reward)
    a, r = torch.stack(actions, dim=-1), torch.stack(rewards, dim=-1)
    return Course(state.p, a, r, expected_regret(state, a).cumsum(dim=-1))


def symla(
    theta: Float[Tensor, "parameters"], env: BernoulliBandit, pulls: int, draw: Draw, agent: SymLA | None = None
) -> Course:
    """Return lives of SymLA: a grid of one row, a constant 1, and a column for each arm.

    Its update is 'symla-idea-update' in the chapter.
    It computes in the precision of ``theta``; in the browser that is float64. ``agent`` is for sizes that are not the
    default ones. Raises ``UsageError`` if it is no agent for ``env``.
    """
    agent = agent or SymLA(env.observations, env.actions)
    if (agent.observations, agent.actions) != (env.observations, env.actions):
        raise bad_argument("agent", agent, f"{env.observations} observation and {env.actions} actions")
    parts = agent.prepare(theta)
    h = None

    def player(memory: Memory) -> Tensor:
        nonlocal h
        a, r = memory.chosen.to(theta), memory.reward.to(theta)
        h = agent.start(theta, theta.new_zeros(len(r), *agent.start_noise)) if h is None else h
        h, logits = agent.step(parts, h, torch.ones_like(a[:, :1]), a, r)
        gumbel = -torch.log(-torch.log(draw("symla", memory.t, env.arms)))
        return (logits + gumbel).argmax(dim=-1)  # a_t ~ softmax(logits)

    return play(env, pulls, draw, player)


def beta_draws(
    wins: Float[Tensor, "lives arms"], tries: Float[Tensor, "lives arms"], e: Float[Tensor, "lives n"]
) -> Float[Tensor, "lives arms"]:
    """Return one draw from each posterior Beta(1 + wins, 1 + losses), made of exponential numbers ``e`` of mean 1.

    For whole k and l, Beta(k, l) is the law of G / (G + H), with sums G of k and H of l such numbers. Each row of ``e``
    is cut into the pieces that its arms need, one after the other; in all they need n = 2 arms + pulls.
    """
    pieces = torch.stack([1 + wins, 1 + tries - wins], dim=-1).flatten(-2)
    ends = e.cumsum(dim=-1).gather(-1, pieces.cumsum(dim=-1).long() - 1)
    sums = ends.diff(dim=-1, prepend=torch.zeros_like(ends[:, :1])).unflatten(-1, (-1, 2))
    return sums[..., 0] / sums.sum(dim=-1)


def thompson(env: BernoulliBandit, pulls: int, draw: Draw) -> Course:
    """Return lives of Thompson sampling: pull the arm with the largest draw from the posteriors.

    The prior of each p_b is uniform; after s pulls that paid and f that did not, the posterior is Beta(1 + s, 1 + f).
    """

    def player(memory: Memory) -> Tensor:
        e = -torch.log(draw("thompson", memory.t, 2 * env.arms + memory.t))
        return beta_draws(memory.wins, memory.tries, e).argmax(dim=-1)

    return play(env, pulls, draw, player)


def ucb1(env: BernoulliBandit, pulls: int, draw: Draw) -> Course:
    """Return lives of UCB1: each arm once, then the largest mean + sqrt(2 ln t / n), n pulls of the arm among t.

    The first of equal arms is pulled. (Auer, Cesa-Bianchi and Fischer, 2002)
    """

    def player(memory: Memory) -> Tensor:
        if memory.t < env.arms:
            return torch.full_like(memory.reward, memory.t, dtype=torch.long)
        log_t = torch.log(torch.full_like(memory.tries, memory.t))
        return (memory.wins / memory.tries + torch.sqrt(2 * log_t / memory.tries)).argmax(dim=-1)

    return play(env, pulls, draw, player)


def uniform(env: BernoulliBandit, pulls: int, draw: Draw) -> Course:
    """Return lives of random pulls."""
    return play(env, pulls, draw, lambda memory: (draw("random", memory.t, 1)[:, 0] * env.arms).long())


__all__ = [
    "RANGES",
    "STREAMS",
    "Course",
    "Draw",
    "Memory",
    "beta_draws",
    "drawn",
    "numbered",
    "play",
    "symla",
    "thompson",
    "ucb1",
    "uniform",
]
