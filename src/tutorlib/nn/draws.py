"""Uniform and Gumbel numbers, from a generator and on its device."""

import torch

from tutorlib.lab.errors import MOST_SIZE, checked
from tutorlib.shapes import Float, Tensor


@checked(maximum={"shape": MOST_SIZE})
def uniform(generator: torch.Generator, *shape: int) -> Float[Tensor, "..."]:
    """Return numbers in (0, 1) of ``shape``, which may hold a 0: no numbers."""
    # rand may return 0, of which there is no logarithm and no normal number.
    return torch.rand(shape, generator=generator, device=generator.device).clamp(min=1e-7)


@checked(sizes=("shape",))
def gumbel(generator: torch.Generator, *shape: int) -> Float[Tensor, "..."]:
    """Return Gumbel noise of ``shape``: argmax(logits + noise) is a sample of softmax(logits)."""
    return -(-uniform(generator, *shape).log()).log()


__all__ = ["gumbel", "uniform"]
