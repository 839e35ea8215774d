"""D, the buffer of GoGePo: policies and their returns, of which newer ones are sampled more often (2207.01570)."""

from typing import NamedTuple

import torch

from tutorlib.lab.errors import checked
from tutorlib.shapes import Float, Tensor


class Buffer(NamedTuple):
    """D, a ring of policies and their returns, written in place: a run that is set back keeps what it stored since."""

    theta: Float[Tensor, "runs capacity weights"]
    r: Float[Tensor, "runs capacity"]


@checked(counts=("stored",), not_negative=("exponent",))
def recency_weights(stored: int, exponent: float, device: torch.device) -> Float[Tensor, "stored"]:
    """Return the probabilities of ``stored`` policies, oldest first: that of the k-th newest is as k^-exponent."""
    weights = torch.arange(stored, 0, -1, device=device, dtype=torch.double) ** -exponent
    return weights / weights.sum()  # gogepo-idea-recency


@checked()
def recency_table(capacity: int, exponent: float, device: torch.device) -> Float[Tensor, "capacity"]:
    """Return the sums of k^-exponent for k = 1, 1..2, ...: one table for every number of stored policies."""
    ranks = torch.arange(1, capacity + 1, device=device, dtype=torch.double)
    return (ranks**-exponent).cumsum(dim=0).float()


@checked(maximum={"newest": 2**31})
def sample(
    buffer: Buffer, table: Float[Tensor, "capacity"], newest: int, u: Float[Tensor, "runs batch"]
) -> tuple[Float[Tensor, "runs batch weights"], Float[Tensor, "runs batch"]]:
    """Return policies and their returns, drawn with replacement by ``u``, uniforms; pair number ``newest`` came last.

    Pairs are counted from 0. The k-th newest has a share of the sum of the table up to what is stored.
    """
    capacity = buffer.r.shape[1]
    stored = min(newest + 1, capacity)
    k = torch.searchsorted(table[:stored], u * table[stored - 1], right=True).clamp(max=stored - 1)  # 0: the newest
    place = (newest - k) % capacity
    theta = buffer.theta.gather(1, place.unsqueeze(-1).expand(-1, -1, buffer.theta.shape[-1]))
    return theta, buffer.r.gather(1, place)


__all__ = ["Buffer", "recency_table", "recency_weights", "sample"]
