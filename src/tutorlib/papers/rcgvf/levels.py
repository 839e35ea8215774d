"""Where the levels of MiniGrid's episodes come from: one bank for all, or new ones in every update.

The released code draws a new level for every episode. Here episodes draw from a bank, for levels are made one by one
and episodes begin many at a time. With ``renew`` the bank is a ring: each update makes ``renew`` new levels, its
episodes draw from these alone, and a level stays in its place for as long as an episode may still be in it.
"""

from functools import cache, lru_cache

import torch

from tutorlib.envs.minigrid_levels import Levels, join_levels
from tutorlib.envs.minigrid_rooms import TASKS
from tutorlib.shapes import Float, Tensor


@cache
def bank(task: str, number: int, device: torch.device) -> Levels:
    """Return ``number`` levels of ``task``, always the same."""
    return TASKS[task].levels(number, torch.Generator().manual_seed(0)).to(device)


@lru_cache(maxsize=64)
def _made(task: str, renew: int, number: int, device: torch.device) -> Levels:
    """Return the levels that update ``number`` makes."""
    return TASKS[task].levels(renew, torch.Generator().manual_seed(number + 1)).to(device)


def places(max_steps: int, steps: int) -> int:
    """Return how many updates' levels the ring holds: an episode of ``max_steps`` begun in one may end in the last."""
    return 2 + (max_steps - 1) // steps


def ring(task: str, renew: int, number: int, num_updates_held: int, device: torch.device) -> Levels:
    """Return the levels of update ``number``, ``renew`` for each update held, each where it was in the update before.

    Places that are not filled yet hold the first levels, which no episode draws.
    """
    last = range(number - num_updates_held + 1, number + 1)
    made = {update % num_updates_held: max(update, 0) for update in last}
    return join_levels([_made(task, renew, made[place], device) for place in range(num_updates_held)])


def offered(u: Float[Tensor, "*batch one"], number: int, num_updates_held: int) -> Float[Tensor, "*batch one"]:
    """Return uniforms with which the ring gives levels of update ``number`` alone."""
    below = u.clamp(max=1 - 1e-5)  # or rounding might lead to the next place
    return (number % num_updates_held + below) / num_updates_held


__all__ = ["bank", "offered", "places", "ring"]
