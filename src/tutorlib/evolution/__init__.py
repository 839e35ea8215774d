"""Evolution strategies."""

from tutorlib.evolution.es import Population, centred_ranks, estimate, gradient, members, perturbations

__all__ = ["Population", "centred_ranks", "estimate", "gradient", "members", "perturbations"]
