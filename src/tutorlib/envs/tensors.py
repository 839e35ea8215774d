"""Small functions over tensors that environments share. None of them waits for a device."""

import torch

from tutorlib.shapes import Float, Int, Tensor


def as_integer(u: Float[Tensor, "*batch"], n: int) -> Int[Tensor, "*batch"]:
    """Return integers in [0, ``n``), uniform where ``u`` is uniform in (0, 1)."""
    return (u * n).long()  # the largest float below 1, times n, is rounded to a float below n


def as_permutation(u: Float[Tensor, "*batch n"]) -> Int[Tensor, "*batch n"]:
    """Return a permutation of 0..n-1 for each row, uniform where ``u`` is uniform: the order that sorts it."""
    return u.argsort(dim=-1, stable=True)


def pick(values: Tensor, index: Int[Tensor, "*#batch"]) -> Tensor:
    """Return ``values[..., index]`` entry by entry: one of the last axis; the axes before it broadcast."""
    batch = torch.broadcast_shapes(values.shape[:-1], index.shape)
    return values.expand(*batch, -1).gather(-1, index.expand(batch).unsqueeze(-1)).squeeze(-1)


def reorder(values: Tensor, order: Int[Tensor, "*#batch n"]) -> Tensor:
    """Return the last axis of ``values`` in another order, entry i being ``values[..., order[i]]``; axes broadcast."""
    shape = torch.broadcast_shapes(values.shape, order.shape)
    return values.expand(shape).gather(-1, order.expand(shape))


def one_hot(index: Int[Tensor, "*batch"], n: int) -> Float[Tensor, "*batch {n}"]:
    """Return 1 at ``index`` and 0 elsewhere."""
    # Not torch's: on a CPU that one reads the values to check them, which costs time and which no compiled graph can.
    return (index.unsqueeze(-1) == torch.arange(n, device=index.device)).float()


__all__ = ["as_integer", "as_permutation", "one_hot", "pick", "reorder"]
