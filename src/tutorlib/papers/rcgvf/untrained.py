"""What can be known of a world before anything learns in it: what bonuses pay, and what chance finds.

Weights of one bonus in networks of two sizes cannot be compared as they are, for R^i has another scale in each. What
can be compared is what a step is paid before learning. And where actions at random often succeed, no bonus is needed,
so nothing is said about bonuses there.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch

from tutorlib.envs.lock import Lock
from tutorlib.lab import Trial
from tutorlib.lab.errors import checked
from tutorlib.nn import uniform
from tutorlib.papers.rcgvf import recurrent
from tutorlib.papers.rcgvf.algorithm import hyper
from tutorlib.papers.rcgvf.memory import ACTIONS
from tutorlib.papers.rcgvf.recurrent_config import Config


@checked()
def first_pay(c: Config, seeds: Sequence[int]) -> list[float]:
    """Return what a step of the first rollout is paid besides, by networks that have learned nothing, for each seed."""
    device = torch.device("cpu")
    env, h = c.env(device), hyper([Trial(c, seed) for seed in seeds], device)
    state = recurrent.initial_state(c, env, seeds, device)
    past, *_ = recurrent.rollout(c, env, state, recurrent.draw_noise(c, seeds, 0, device))
    return recurrent.curiosity(c, h, state, past).reward.mean(dim=(1, 2)).tolist()


@checked()
def matching_weight(c: Config, d: int, beta: float, seeds: Sequence[int]) -> float:
    """Return the weight with which ``c`` pays before learning what it would with ``d`` and ``beta``, seeds' mean."""
    ours, theirs = (sum(first_pay(replace(c, beta=1.0, d=size), seeds)) for size in (c.d, d))
    return beta * theirs / ours


@checked(minimum={"rounds": 1})
def random_play(c: Config, rounds: int, generator: torch.Generator) -> tuple[int, int]:
    """Return how many episodes end with success under actions at random, and how many end at all.

    ``rounds``: how many times the longest episode is played, in each of ``num_envs`` environments.
    """
    env = c.env(torch.device("cpu"))
    state, won, ended = env.start(uniform(generator, 1, c.num_envs, 1)), 0, 0
    for _ in range(rounds * env.max_steps):
        action = torch.randint(ACTIONS, (1, c.num_envs), generator=generator)
        state, reward, done = env.step(state, action, uniform(generator, 1, c.num_envs, 1))
        won, ended = won + int((done & (reward > 0)).sum()), ended + int(done.sum())
    return won, ended


@checked(not_negative=("episodes",))
def random_farthest(lock: Lock, episodes: int) -> float:
    """Return the expected farthest column in whose good rows actions at random come in so many episodes.

    An episode comes to column k or farther with probability A^-k, and farther than H - 1 there is nothing. The farthest
    of N episodes is the sum over k of the probability that one of them does, 1 - (1 - A^-k)^N.
    """
    columns = range(1, lock.horizon)
    return sum(-math.expm1(episodes * math.log1p(-(float(lock.actions) ** -k))) for k in columns)


__all__ = ["first_pay", "matching_weight", "random_farthest", "random_play"]
