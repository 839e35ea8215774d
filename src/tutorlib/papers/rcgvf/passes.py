"""The passes over what a rollout brought: whole ones, or those of the released code, which leave out frames.

In every second pass, counted from the first of all updates, the released code shifts the segments of ``bptt`` frames by
half of their length, and what no longer fits is left out: the first ``bptt // 2`` frames of each environment, and its
last ``bptt - bptt // 2``. In the lock, where ``bptt`` is 1, that is the last step of each rollout, which alone pays the
prize where a rollout is one episode. In MiniGrid, the memories in front of shifted segments are those that the pass
before has left, made by weights that have learned since; so memories within segments are refreshed in every pass.
"""

import torch
from einops import rearrange

from tutorlib.lab.errors import bad_argument, choose
from tutorlib.shapes import Int, Tensor

PASSES = ("whole", "released")


def expect_passes(passes: str, steps: int, bptt: int = 1) -> None:
    """Raise ``UsageError`` unless ``passes`` is one of ``PASSES`` and every pass has something to go through."""
    if choose("passes", passes, PASSES) == "released" and steps <= bptt:
        raise bad_argument(
            "num_steps", steps, f"more than {bptt} for passes='released': every second pass leaves some out"
        )


def leaves_out(passes: str, number: int) -> bool:
    """Return whether pass ``number``, counted from 0 over all updates, leaves out frames."""
    return passes == "released" and number % 2 == 1


def steps_before(passes: str, number: int, parts: int, envs: int, minibatch: int) -> int:
    """Return how many minibatches the passes before pass ``number`` had.

    ``parts``: segments of a whole pass, of which ``minibatch`` are taken at once; a pass that leaves out frames has one
    for each of ``envs`` less, and its last minibatch may be smaller.
    """
    whole, less = parts // minibatch, -(-(parts - envs) // minibatch)
    odd = number // 2 if passes == "released" else 0
    return (number - odd) * whole + odd * less


def kept(order: Int[Tensor, "seeds parts"], n: int) -> Int[Tensor, "seeds n"]:
    """Return the numbers below ``n`` of each order, in that order."""
    later = (order >= n).long().argsort(dim=-1, stable=True)  # a sort and no mask, so that shapes are known
    return order.gather(-1, later[:, :n])


def segments(x: Tensor, bptt: int) -> Tensor:
    """Return ``[seeds, time, envs, ...]`` as ``[seeds, segments, bptt, ...]``, segments of one environment each."""
    return rearrange(x, "s (n l) p ... -> s (n p) l ...", l=bptt)


def span(time: int, bptt: int, shifted: bool) -> slice:
    """Return the steps of ``time`` that segments of ``bptt`` cover: all, or those of shifted segments."""
    return slice(bptt // 2, time - bptt + bptt // 2) if shifted else slice(0, time)


def refreshed(memory: Tensor, newer: Tensor, order: Int[Tensor, "seeds segments"], bptt: int, shifted: bool) -> Tensor:
    """Return memories ``[seeds, time, envs, entries]`` with those within segments replaced by newer ones.

    ``newer``: ``[seeds, segments, bptt - 1, entries]``, before all frames but the first of each segment, in ``order``.
    """
    envs, steps = memory.shape[2], span(memory.shape[1], bptt, shifted)
    rows = torch.arange(len(order), device=order.device).unsqueeze(-1)
    within = newer[rows, order.argsort(dim=-1)]
    whole = torch.cat([segments(memory[:, steps], bptt)[:, :, :1], within], dim=2)
    middle = rearrange(whole, "s (n p) l m -> s (n l) p m", p=envs)
    return torch.cat([memory[:, : steps.start], middle, memory[:, steps.stop :]], dim=1)


__all__ = ["PASSES", "expect_passes", "kept", "leaves_out", "refreshed", "segments", "span", "steps_before"]
