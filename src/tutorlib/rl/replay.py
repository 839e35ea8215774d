"""Experience replay: the last transitions of each seed, sampled uniformly and with repetition.

The memory is written in place, for it is large; everything else in this package returns what is new. What is random is
made from uniforms in (0, 1) that the caller drew.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from tutorlib.lab.errors import MOST, bad_argument, checked
from tutorlib.shapes import Bool, Float, Int, Tensor

MOST_KEPT = 100_000_000
"""The most transitions that are kept for a seed."""


class Experience(NamedTuple):
    """Real transitions."""

    o: Float[Tensor, "seeds batch observations"]
    action: Int[Tensor, "seeds batch"]
    reward: Float[Tensor, "seeds batch"]
    next: Float[Tensor, "seeds batch observations"]
    """what was seen after the step; where the episode ended, the last thing seen in it"""
    done: Bool[Tensor, "seeds batch"]
    state: Any
    """of the environment before the step, () if it was not kept"""


class Replay(NamedTuple):
    """The last transitions of each seed, a ring; entries are overwritten in place, bits are kept in bytes."""

    o: Tensor
    action: Tensor
    reward: Tensor
    next: Tensor
    done: Tensor
    state: Any


def _map(f: Callable[[Tensor], Tensor], state: Any) -> Any:
    """Return a state, a NamedTuple of tensors or (), with ``f`` applied to each of them."""
    return type(state)(*(f(part) for part in state)) if state else state


@checked(sizes=("observations", "seeds"), counts=("capacity",), maximum={"capacity": MOST_KEPT})
def empty_replay(observations: int, state: Any, seeds: int, capacity: int, device: torch.device) -> Replay:
    """Return a ring for ``capacity`` transitions; ``state`` is one ``[seeds, 1, ...]`` like those to keep, or ().

    Raises ``UsageError`` for counts below 1.
    """
    if state != () and not (isinstance(state, tuple) and all(isinstance(part, Tensor) for part in state)):
        raise bad_argument("state", state, "a tuple of tensors, or ()")

    def zeros(*shape: int, dtype: torch.dtype) -> Tensor:
        return torch.zeros(seeds, capacity, *shape, dtype=dtype, device=device)

    seen = zeros(observations, dtype=torch.uint8)
    kept = _map(lambda part: zeros(*part.shape[2:], dtype=part.dtype), state)
    action, reward = zeros(dtype=torch.long), zeros(dtype=torch.float32)
    return Replay(seen, action, reward, seen.clone(), zeros(dtype=torch.bool), kept)


@checked(maximum={"t": MOST})
def add(replay: Replay, t: int, b: Experience) -> None:
    """Write one transition of each seed, ``b`` with a batch of one, as number ``t``; the oldest one gives way."""
    at = t % replay.reward.shape[1]
    for kept, new in zip(replay[:-1], b[:-1], strict=True):
        kept[:, at] = new[:, 0]
    for kept, new in zip(replay.state, b.state, strict=True):
        kept[:, at] = new[:, 0]


@checked(maximum={"added": MOST, "minimum": MOST})
def num_stored(replay: Replay, added: int, minimum: int = 1) -> int:
    """Return how many of the ``added`` transitions so far replay still holds.

    Raises ``UsageError`` if these are fewer than ``minimum``, such as a batch, or none.
    """
    stored = min(added, replay.reward.shape[1])
    if stored < max(minimum, 1):
        raise bad_argument("added", added, f"at least {max(minimum, 1)} transitions in replay before any is sampled")
    return stored


def sample_from(replay: Replay, among: int | Tensor, u: Float[Tensor, "seeds batch"]) -> Experience:
    """Return transitions drawn by ``u`` alike and with repetition of the first ``among``, all that ``replay`` holds.

    In a compiled step ``among`` is a tensor: a number would be compiled anew.
    """
    which = (u * among).long()  # see ``as_integer``
    seed = torch.arange(len(u), device=u.device).unsqueeze(-1)
    o, action, reward, following, done = (part[seed, which] for part in replay[:-1])
    state = _map(lambda part: part[seed, which], replay.state)
    return Experience(o.float(), action, reward, following.float(), done, state)


@checked(maximum={"added": MOST, "minimum": MOST})
def sample(replay: Replay, added: int, u: Float[Tensor, "seeds batch"], minimum: int = 1) -> Experience:
    """Return transitions of the ``added`` ones so far, drawn alike and with repetition by ``u``.

    Raises ``UsageError`` if replay holds fewer than ``minimum``, such as a batch, or none.
    """
    if len(u) != len(replay.reward):
        raise bad_argument("u", u, f"one row for each of {len(replay.reward)} seeds")
    return sample_from(replay, num_stored(replay, added, minimum), u)


__all__ = ["Experience", "Replay", "add", "empty_replay", "num_stored", "sample", "sample_from"]
