"""Numbers that networks start from, drawn alike by every version of torch."""

import torch

from tutorlib.lab.dry import rehearsal
from tutorlib.lab.errors import checked
from tutorlib.shapes import Float, Tensor


@checked(sizes=("shape",), positive=("sd",))
def truncated_normal(
    shape: tuple[int, ...],
    sd: float,
    generator: torch.Generator,
    device: torch.device | None = None,
    dtype: torch.dtype | None = None,
) -> Float[Tensor, "*shape"]:
    """Return normal numbers of mean 0 and deviation ``sd`` before the cut, none beyond two ``sd``.

    What lies beyond is drawn again, and with it every number, until all are inside: so the numbers are those of
    ``torch.nn.init.trunc_normal_`` in torch 2.13, where the recorded studies were made. That function draws other
    numbers in other versions. Without a ``device`` they are drawn where ``generator`` is.

    Raises ``UsageError`` if ``sd`` is not a positive number.
    """
    like = torch.empty(shape, device=device or generator.device, dtype=dtype)
    if like.is_meta or rehearsal():  # nothing is drawn there, and a look would find numbers outside again and again
        return like
    drawn = like.normal_(0, sd, generator=generator)
    while (outside := drawn.abs() > 2 * sd).any():
        drawn = torch.where(outside, torch.empty_like(drawn).normal_(0, sd, generator=generator), drawn)
    return drawn


__all__ = ["truncated_normal"]
