"""Evolution strategies: the gradient of a smoothed loss, from losses alone.

The smoothed loss is J(theta) = E_eps L(theta + sigma eps) with eps ~ N(0, I). Its gradient is
E[L(theta + sigma eps) eps] / sigma, by the log-derivative of the normal density. eps and -eps are equally likely, so

    grad J = E[eps (L(theta + sigma eps) - L(theta - sigma eps))] / (2 sigma):

antithetic pairs. The two members of a pair must see the same data, the same environments and the same noise (common
random numbers), or the difference is mostly noise.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from tutorlib.lab.errors import bad_argument, checked, expect_fields
from tutorlib.shapes import Float, Tensor

Losses = Callable[[Float[Tensor, "members parameters"]], Float[Tensor, "members"]]


@dataclass(frozen=True)
class Population:
    """How members are drawn around theta."""

    pairs: int
    """N antithetic pairs, so 2 N members"""
    sigma: float
    """sd of the perturbations"""
    ranks: bool = False
    """whether losses are replaced by their centred ranks: their scale then does not matter"""

    def __post_init__(self) -> None:
        expect_fields(self, counts=("pairs",), most={"pairs": 1_000_000}, positive=("sigma",))


@checked(counts=("pairs",), most={"pairs": 1_000_000})
def perturbations(
    theta: Float[Tensor, "parameters"], pairs: int, generator: torch.Generator
) -> Float[Tensor, "pairs parameters"]:
    """Return eps, one row for each pair."""
    return torch.randn(pairs, len(theta), generator=generator, device=theta.device, dtype=theta.dtype)


@checked(positive=("sigma",))
def members(
    theta: Float[Tensor, "parameters"], eps: Float[Tensor, "pairs parameters"], sigma: float
) -> Float[Tensor, "members parameters"]:
    """Return theta + sigma eps for all pairs, then theta - sigma eps."""
    return theta + sigma * torch.cat([eps, -eps])


@checked()
def centred_ranks(losses: Float[Tensor, "members"]) -> Float[Tensor, "members"]:
    """Return for each loss its rank, from -1/2 (the smallest) to 1/2; equal losses share the mean of their ranks."""
    below = (losses.unsqueeze(1) > losses).sum(dim=1)
    equal = (losses.unsqueeze(1) == losses).sum(dim=1)
    rank = below + (equal - 1) / 2
    return rank / (len(losses) - 1) - 0.5


@checked(positive=("sigma",))
def gradient(
    eps: Float[Tensor, "pairs parameters"], losses: Float[Tensor, "members"], sigma: float
) -> Float[Tensor, "parameters"]:
    """Return the estimate (1/N) sum_p eps_p (L_p+ - L_p-) / (2 sigma); ``losses`` are in the order of ``members``."""
    if len(losses) != 2 * len(eps):
        raise bad_argument("losses", losses, f"{2 * len(eps)} losses, two for each of {len(eps)} pairs")
    plus, minus = losses.chunk(2)
    return (plus - minus) @ eps / (2 * sigma * len(eps))


@checked()
def estimate(
    losses_of: Losses, theta: Float[Tensor, "parameters"], population: Population, generator: torch.Generator
) -> tuple[Float[Tensor, "parameters"], Float[Tensor, ""]]:
    """Return the gradient of the smoothed loss and the mean loss of the members.

    ``losses_of`` gets all members, first theta + sigma eps for each pair and then theta - sigma eps, and must show both
    members of a pair the same data.
    """
    eps = perturbations(theta, population.pairs, generator)
    with torch.no_grad():
        losses = losses_of(members(theta, eps, population.sigma))
    shaped = centred_ranks(losses) if population.ranks else losses
    return gradient(eps, shaped, population.sigma), losses.mean()


__all__ = ["Population", "centred_ranks", "estimate", "gradient", "members", "perturbations"]
