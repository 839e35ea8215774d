"""What lambda_z does to targets, on a chain whose true values are known (a case of ours for 2211.10282)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from einops import rearrange

from tutorlib.lab.errors import bad_argument, expect_fields
from tutorlib.papers.rcgvf.bonus import targets
from tutorlib.shapes import Float, Tensor


@dataclass(frozen=True)
class Chain:
    """A ring of states with a pseudo-reward each, walked at random, and predictions that are wrong by known errors."""

    states: int = 7
    """on the ring; a step goes to one of the two neighbours"""
    gamma_z: float = 0.9
    wrong: float = 1.0
    """standard deviation of the predictions' errors over states"""
    steps: int = 20
    """T: a target bootstraps at its end at the latest"""
    walks: int = 4000
    """from each state"""

    def __post_init__(self) -> None:
        expect_fields(
            self,
            sizes=("states", "steps", "walks"),
            minimum={"states": 3, "walks": 2},
            not_negative=("wrong",),
        )
        if not 0 <= self.gamma_z < 1:
            raise bad_argument("gamma_z", self.gamma_z, "a number from 0, below 1")


def exact_values(z: Float[Tensor, "states"], gamma_z: float) -> Float[Tensor, "states"]:
    """Return v = (I - gamma_z P)^-1 z of the random walk on the ring."""
    identity = torch.eye(len(z), dtype=z.dtype)
    p = (identity.roll(1, dims=1) + identity.roll(-1, dims=1)) / 2  # to either neighbour
    return torch.linalg.solve(identity - gamma_z * p, z)


class Spread(NamedTuple):
    """How the first target of a walk is spread around the true value, averaged over states."""

    bias: Float[Tensor, "lambdas"]
    """mean of (E G - v)^2"""
    variance: Float[Tensor, "lambdas"]
    """mean of Var G"""


def spread(c: Chain, lambdas: Sequence[float], seed: int) -> Spread:
    """Return squared bias and variance of targets for each lambda_z, over the same walks."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(c.states, generator=generator, dtype=torch.float64)
    v = exact_values(z, c.gamma_z)
    wrong = v + c.wrong * torch.randn(c.states, generator=generator, dtype=torch.float64)
    moves = 2 * torch.randint(0, 2, (c.steps, c.states, c.walks), generator=generator) - 1
    start = torch.arange(c.states).unsqueeze(-1).expand(-1, c.walks)
    place = torch.cat([start[None], start + moves.cumsum(dim=0)]) % c.states  # [T + 1, states, walks]
    place = rearrange(place, "t s w -> t (s w)")
    n = len(lambdas)
    z_t, v_t = z[place[:-1]], wrong[place]
    g = targets(
        z_t.float().expand(n, -1, -1).unsqueeze(-1),
        v_t[:-1].float().expand(n, 1, -1, -1).unsqueeze(-1),
        v_t[-1].float().expand(n, 1, -1).unsqueeze(-1),
        torch.zeros(n, c.steps, place.shape[1], dtype=torch.bool),
        torch.full((n,), c.gamma_z),
        torch.tensor(list(lambdas)),
    )[:, 0, 0, :, 0]
    g = rearrange(g, "l (s w) -> l s w", s=c.states).double()
    return Spread((g.mean(dim=-1) - v).square().mean(dim=-1), g.var(dim=-1).mean(dim=-1))


__all__ = ["Chain", "Spread", "exact_values", "spread"]
