"""Evolution strategies."""

from tutorlib.evolution.es import (
    Generators,
    Population,
    centred_ranks,
    estimate,
    gradient,
    members,
    perturbations,
)

__all__ = ["Generators", "Population", "centred_ranks", "estimate", "gradient", "members", "perturbations"]
