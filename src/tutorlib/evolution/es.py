"""Evolution strategies: the gradient of a smoothed loss, from losses alone.

The smoothed loss is J(theta) = E_eps L(theta + sigma eps) with eps ~ N(0, I). Its gradient is
E[L(theta + sigma eps) eps] / sigma, by the log-derivative of the normal density. eps and -eps are equally likely, so

    grad J = E[eps (L(theta + sigma eps) - L(theta - sigma eps))] / (2 sigma):

antithetic pairs. The two members of a pair must see the same data, the same environments and the same noise (common
random numbers), or the difference is mostly noise.

Axes: ``*runs`` is either nothing (one theta) or one axis of independent runs, each with a generator of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from tutorlib.lab.errors import bad_argument, checked, expect_fields
from tutorlib.shapes import Float, Tensor

Losses = Callable[[Float[Tensor, "*runs members parameters"]], Float[Tensor, "*runs members"]]
Generators = torch.Generator | Sequence[torch.Generator]
"""One for a single theta; for an axis of runs, as many as there are."""


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
        expect_fields(self, counts=("pairs",), maximum={"pairs": 1_000_000}, positive=("sigma",))


@checked(counts=("pairs",), maximum={"pairs": 1_000_000})
def perturbations(
    theta: Float[Tensor, "*runs parameters"], pairs: int, generator: Generators
) -> Float[Tensor, "*runs pairs parameters"]:
    """Return eps, one row for each pair.

    Raises ``UsageError`` if there are not as many generators as runs.
    """
    alone = isinstance(generator, torch.Generator)
    generators = [generator] if isinstance(generator, torch.Generator) else list(generator)
    if theta.shape[:-1] != (() if alone else (len(generators),)):
        expected = "one generator for one theta, and one for each run"
        raise bad_argument("generator", 1 if alone else len(generators), f"{expected} of theta={tuple(theta.shape)}")
    drawn = [
        torch.randn(pairs, theta.shape[-1], generator=stream, device=theta.device, dtype=theta.dtype)
        for stream in generators
    ]
    return drawn[0] if alone else torch.stack(drawn)


@checked(positive=("sigma",))
def members(
    theta: Float[Tensor, "*runs parameters"], eps: Float[Tensor, "*runs pairs parameters"], sigma: float
) -> Float[Tensor, "*runs members parameters"]:
    """Return theta + sigma eps for all pairs, then theta - sigma eps."""
    return theta.unsqueeze(-2) + sigma * torch.cat([eps, -eps], dim=-2)


@checked()
def centred_ranks(losses: Float[Tensor, "*runs members"]) -> Float[Tensor, "*runs members"]:
    """Return for each loss its rank, from -1/2 (the smallest) to 1/2; equal losses share the mean of their ranks."""
    below = (losses.unsqueeze(-1) > losses.unsqueeze(-2)).sum(dim=-1)
    equal = (losses.unsqueeze(-1) == losses.unsqueeze(-2)).sum(dim=-1)
    rank = below + (equal - 1) / 2
    return rank / (losses.shape[-1] - 1) - 0.5


@checked(positive=("sigma",))
def gradient(
    eps: Float[Tensor, "*runs pairs parameters"], losses: Float[Tensor, "*runs members"], sigma: float
) -> Float[Tensor, "*runs parameters"]:
    """Return the estimate (1/N) sum_p eps_p (L_p+ - L_p-) / (2 sigma); ``losses`` are in the order of ``members``."""
    pairs = eps.shape[-2]
    if losses.shape[-1] != 2 * pairs:
        raise bad_argument("losses", losses, f"{2 * pairs} losses, two for each of {pairs} pairs")
    plus, minus = losses.chunk(2, dim=-1)
    return ((plus - minus).unsqueeze(-2) @ eps).squeeze(-2) / (2 * sigma * pairs)


@checked()
def estimate(
    losses_of: Losses, theta: Float[Tensor, "*runs parameters"], population: Population, generator: Generators
) -> tuple[Float[Tensor, "*runs parameters"], Float[Tensor, "*runs"]]:
    """Return the gradient of the smoothed loss and the mean loss of the members.

    ``losses_of`` gets all members, first theta + sigma eps for each pair and then theta - sigma eps, and must show both
    members of a pair the same data.
    """
    eps = perturbations(theta, population.pairs, generator)
    with torch.no_grad():
        losses = losses_of(members(theta, eps, population.sigma))
    shaped = centred_ranks(losses) if population.ranks else losses
    return gradient(eps, shaped, population.sigma), losses.mean(dim=-1)


__all__ = ["Generators", "Population", "centred_ranks", "estimate", "gradient", "members", "perturbations"]
