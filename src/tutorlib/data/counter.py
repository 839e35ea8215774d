"""A counter-based random generator: number n of stream s under a key is a pure function of (key, s, n).

Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), in int64 tensor arithmetic.
Nothing is stored and nothing advances, so a random object with a number (a task, a batch) can be computed again at
any time, in any order, on any device, inside ``torch.func.vmap``. The words are equal everywhere; the floats made
from them agree to rounding.
"""

import math
from collections.abc import Sequence

import torch

from tutorlib.lab.dry import rehearsal
from tutorlib.lab.errors import bad_argument, checked
from tutorlib.shapes import Float, Int, Tensor

_WORD = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10

Word = Int[Tensor, "..."] | int
"""A 32-bit word (or several), held in int64 because torch has no unsigned 32-bit arithmetic."""


@checked()
def philox(counter: Sequence[Word], key: Sequence[Word]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the four output words of Philox4x32-10 for the four words of a ``counter`` and the two of a ``key``.

    Each word is an int64 tensor (or int) with values in [0, 2^32); shapes broadcast.
    """
    for name, operand, n in (("counter", counter, 4), ("key", key, 2)):
        if len(operand) != n:
            raise bad_argument(name, operand, f"{n} words")
    given = [word for word in (*counter, *key) if isinstance(word, Tensor)]
    device = given[0].device if given else None
    # A number is filled in where the tensors are: to copy it there would make a step wait for the host.
    c0, c1, c2, c3, k0, k1 = torch.broadcast_tensors(*(_at(word, device) for word in (*counter, *key)))
    # The two halves of the round function are the two rows of one tensor, so a round is 7 operations, not 14.
    even, odd, k = torch.stack([c0, c2]), torch.stack([c1, c3]), torch.stack([k0, k1])
    row = torch.arange(2, device=c0.device).view((2,) + (1,) * c0.dim())
    multiplier, weyl = (first + row * (second - first) for first, second in (_MULTIPLIERS, _WEYL))
    for i in range(_ROUNDS):
        # An int64 product wraps modulo 2^64, so its bits are those of the unsigned 32 x 32 -> 64 product.
        product = (even * multiplier).flip(0)
        even, odd = ((product >> 32) ^ odd ^ (k + i * weyl)) & _WORD, product & _WORD
    return even[0], odd[0], even[1], odd[1]


def _at(word: Word, device: torch.device | None) -> Int[Tensor, "..."]:
    """Return ``word`` as a tensor, a number on ``device``."""
    return word if isinstance(word, Tensor) else torch.full((), word, dtype=torch.int64, device=device)


@checked(counts=("n",), maximum={"n": 100_000_000, "stream": _WORD})
def words(
    key: Int[Tensor, "*#batch"] | int, stream: int, index: Int[Tensor, "*#batch"], n: int
) -> Int[Tensor, "*batch n"]:
    """Return ``n`` random 32-bit words for each entry of ``index``, to be turned into numbers by the functions below.

    ``key`` (a seed) and ``index`` may be any non-negative int64 values, of shapes that broadcast; ``stream`` < 2^32
    separates uses of one key. Raises ``UsageError`` if ``n`` < 1 or ``stream`` is not a 32-bit word.
    """
    # In a dry run, what is drawn beside a loop: shapes are enough.
    if not torch.compiler.is_compiling() and index.device.type == "cpu" and rehearsal():
        batch = torch.broadcast_shapes(key.shape if isinstance(key, Tensor) else (), index.shape)
        return index.new_empty(*batch, n)
    # Counter: (index low, index high, block, stream); one block gives four words.
    block = torch.arange(-(-n // 4), device=index.device)
    key = _at(key, index.device).to(index.device).unsqueeze(-1)
    number = index.unsqueeze(-1)
    counter = (number & _WORD, number >> 32, block, torch.full_like(block, stream))
    return torch.stack(philox(counter, (key & _WORD, key >> 32)), dim=-1).flatten(-2)[..., :n]


@checked()
def as_uniform(w: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Return float32 numbers in (0, 1), one for each word."""
    # 23 bits and a half step: exact in float32, and neither 0, whose logarithm is not finite, nor 1.
    return ((w >> 9).float() + 0.5) * 2.0**-23


@checked()
def as_normal(w: Int[Tensor, "*batch n"]) -> Float[Tensor, "*batch n"]:
    """Return float32 standard normal numbers, one for each of an even number of words (Box-Muller)."""
    if w.shape[-1] % 2:
        raise bad_argument("w", tuple(w.shape), "an even number of words: Box-Muller makes normals in pairs")
    u, v = as_uniform(w).chunk(2, dim=-1)
    radius, angle = torch.sqrt(-2.0 * torch.log(u)), (2.0 * math.pi) * v
    return torch.cat([radius * torch.cos(angle), radius * torch.sin(angle)], dim=-1)


@checked()
def as_integers(w: Int[Tensor, "*#batch"], high: Int[Tensor, "*#batch"] | int) -> Int[Tensor, "*batch"]:
    """Return integers in [0, ``high``), one for each word; ``high`` is at most 2^31 and broadcasts against ``w``.

    Fixed-point scaling of a 32-bit word; its deviation from uniform is below ``high`` / 2^32.
    """
    if isinstance(high, int) and not 1 <= high <= 2**31:
        raise bad_argument("high", high, "an integer in [1, 2^31]")
    return (w * high) >> 32


@checked()
def as_permutation(w: Int[Tensor, "*batch n"]) -> Int[Tensor, "*batch n"]:
    """Return a uniform random permutation of 0..n-1 for each row of n words."""
    # Sorting random words permutes uniformly; the position in the low digits breaks ties alike on every device.
    n = w.shape[-1]
    return torch.argsort(w * n + torch.arange(n, device=w.device), dim=-1)


__all__ = ["as_integers", "as_normal", "as_permutation", "as_uniform", "philox", "words"]
