"""Replay of windows: some consecutive steps of one episode, drawn from finished episodes.

Each agent acts in several copies of its environment, ``lanes``. Every iteration writes one step of each lane at one
place of a ring, in place, so its oldest steps give way one by one. An episode is drawn first, all alike, then where the
window begins in it; an episode that is shorter than a window is drawn whole, and padded with zeros at its end.

What is random is made from uniforms in (0, 1) that the caller drew.
"""

from typing import NamedTuple

import torch

from tutorlib.lab.errors import MOST, MOST_SIZE, bad_argument, checked
from tutorlib.shapes import Bool, Float, Int, Tensor

MOST_STEPS = 100_000_000
"""The most steps that are kept for a lane."""


class Steps(NamedTuple):
    """One step of each lane."""

    o: Float[Tensor, "nets lanes observations"]
    action: Float[Tensor, "nets lanes actions"]
    reward: Float[Tensor, "nets lanes"]
    next: Float[Tensor, "nets lanes observations"]
    """what was seen after the step; where the episode ended, the last thing seen in it"""
    done: Float[Tensor, "nets lanes"]
    """1 where nothing is worth anything after the step, else 0"""
    ended: Bool[Tensor, "nets lanes"]
    """whether the episode ended with the step, done or not"""


class Windows(NamedTuple):
    """Consecutive steps."""

    o: Float[Tensor, "nets batch time observations"]
    action: Float[Tensor, "nets batch time actions"]
    reward: Float[Tensor, "nets batch time"]
    next: Float[Tensor, "nets batch time observations"]
    done: Float[Tensor, "nets batch time"]
    mask: Float[Tensor, "nets batch time"]
    """1 for steps, 0 for padding after them"""


class WindowReplay(NamedTuple):
    """The last steps of each lane, ``[nets, lanes, capacity, ...]``, a ring that is written in place."""

    o: Tensor
    action: Tensor
    reward: Tensor
    next: Tensor
    done: Tensor
    ended: Tensor
    begun: Tensor
    """number of the iteration in which the step's episode began"""
    since: Tensor
    """``[nets, lanes]``, the same of the episode that is under way"""


@checked(sizes=("observations", "actions", "nets", "lanes"), counts=("capacity",), maximum={"capacity": MOST_STEPS})
def empty_windows(
    observations: int, actions: int, nets: int, lanes: int, capacity: int, device: torch.device
) -> WindowReplay:
    """Return a ring for the last ``capacity`` steps of each lane. Raises ``UsageError`` for counts below 1."""

    def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.zeros(nets, lanes, *shape, dtype=dtype, device=device)

    seen, one = zeros(capacity, observations), zeros(capacity)
    return WindowReplay(
        seen,
        zeros(capacity, actions),
        one,
        seen.clone(),
        one.clone(),
        zeros(capacity, dtype=torch.bool),
        zeros(capacity, dtype=torch.long),
        zeros(dtype=torch.long),
    )


@checked(maximum={"number": MOST})
def add_steps(replay: WindowReplay, number: int, steps: Steps) -> None:
    """Write one step of each lane, in place, as that of iteration ``number``, counted from 0 without a gap."""
    at = number % replay.reward.shape[2]
    for kept, new in zip(replay[:6], steps, strict=True):
        kept[:, :, at] = new
    replay.begun[:, :, at] = replay.since
    replay.since.copy_(torch.where(steps.ended, number + 1, replay.since))


def _finished(replay: WindowReplay, written: int | Tensor) -> Bool[Tensor, "nets steps"]:
    """Return which steps are the last of an episode whose first step is still kept, the lanes in one row."""
    whole = replay.begun >= written - replay.reward.shape[2]
    return (replay.ended & whole).flatten(1)


@checked(maximum={"written": MOST})
def num_finished(replay: WindowReplay, written: int | Int[Tensor, ""]) -> Int[Tensor, "nets"]:
    """Return how many finished episodes of each agent are kept whole, after ``written`` iterations."""
    return _finished(replay, written).sum(dim=1)


def windows_from(replay: WindowReplay, written: int | Tensor, length: int, u: Float[Tensor, "nets batch 2"]) -> Windows:
    """Return windows of ``length`` steps after ``written`` iterations, drawn with repetition by ``u``.

    Of an agent without a finished episode all is padding. In a compiled step ``written`` is a tensor.
    """
    capacity = replay.reward.shape[2]
    count = _finished(replay, written).cumsum(dim=1)
    chosen = (u[..., 0] * count[:, -1:]).long() + 1
    last = torch.searchsorted(count, chosen).clamp(max=count.shape[1] - 1)  # the step that ends episode ``chosen``
    net = torch.arange(len(u), device=u.device).unsqueeze(-1)
    begun = replay.begun.flatten(1)[net, last]
    steps = (last % capacity - begun) % capacity + 1
    offset = (u[..., 1] * (steps - length + 1).clamp(min=1)).long()
    time = torch.arange(length, device=u.device)
    mask = (time < steps.unsqueeze(-1)) & (count[:, -1] > 0)[:, None, None]
    places = (begun + offset).unsqueeze(-1) + time
    flat = (last // capacity * capacity).unsqueeze(-1) + places % capacity

    def taken(kept: Tensor) -> Tensor:
        part = kept.flatten(1, 2)[net.unsqueeze(-1), flat]
        return part * mask.reshape(*mask.shape, *(1 for _ in part.shape[3:]))

    o, action, reward, following, done = (taken(kept) for kept in replay[:5])
    return Windows(o, action, reward, following, done, mask.to(u.dtype))


@checked(maximum={"written": MOST}, counts=("length",))
def sample_windows(replay: WindowReplay, written: int, length: int, u: Float[Tensor, "nets batch 2"]) -> Windows:
    """Return ``windows_from`` the replay, and look first whether it can be.

    Raises ``UsageError`` if an agent has no finished episode yet, or none of ``length`` steps. This reads values, so a
    GPU is waited for.
    """
    if len(u) != len(replay.reward):
        raise bad_argument("u", u, f"one row for each of {len(replay.reward)} agents")
    ends = _finished(replay, written)
    if not bool(ends.any(dim=1).all()):
        raise bad_argument("written", written, "iterations after which each agent has finished an episode")
    if length > MOST_SIZE or length > (longest := longest_episode(replay, written)):
        limit = longest if length <= MOST_SIZE else MOST_SIZE
        raise bad_argument("length", length, f"at most {limit}, the longest episode that each agent has finished")
    return windows_from(replay, written, length, u)


@checked(maximum={"written": MOST})
def longest_episode(replay: WindowReplay, written: int) -> int:
    """Return the smallest, over agents, of the lengths of their longest finished episodes; this waits for a GPU."""
    capacity = replay.reward.shape[2]
    place = torch.arange(capacity, device=replay.begun.device)
    lengths = ((place - replay.begun) % capacity + 1).flatten(1) * _finished(replay, written)
    return int(lengths.amax(dim=1).min())


__all__ = [
    "Steps",
    "WindowReplay",
    "Windows",
    "add_steps",
    "empty_windows",
    "longest_episode",
    "num_finished",
    "sample_windows",
    "windows_from",
]
