"""Learners to compare with, and the ceiling that no learner passes.

Each learner reads x (sequences, time, inputs) and y (sequences, time) and returns its guess of every y_j from the
examples before j alone. With no example it guesses label 0, which is right once in C where labels are permuted.
"""

import math
from math import comb

import torch
import torch.nn.functional as F
from einops import einsum

from tutorlib.shapes import Float, Int, Tensor

Guesses = Int[Tensor, "sequences time"]
Inputs = Float[Tensor, "sequences time inputs"]
Labels = Int[Tensor, "sequences time"]


def ceiling(classes: int, length: int) -> Float[Tensor, "time"]:
    """Return the best possible accuracy after j = 0, 1, ... examples of balanced classes under permuted labels.

    acc_j = 1 - (1 - 1/C)^j + P(U >= 1)/C: either the query's class was shown, or the guess is among the U that
    were not (section 3.4, step 5).
    """
    c = classes
    unseen = [1.0 - sum((-1) ** i * comb(c, i) * (1.0 - i / c) ** j for i in range(c + 1)) for j in range(length)]
    return torch.tensor([1.0 - (1.0 - 1.0 / c) ** j + unseen[j] / c for j in range(length)])


def nearest_neighbour(x: Inputs, y: Labels, classes: int) -> Guesses:
    """Return the label of the nearest earlier example (1-NN, Euclidean)."""
    distance = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
    now_or_later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu()
    nearest = distance.masked_fill(now_or_later, math.inf).argmin(dim=-1)
    return _nothing_at_first(y.gather(1, nearest))


def class_means(x: Inputs, y: Labels, classes: int) -> Guesses:
    """Return the label whose earlier examples have the nearest mean."""
    shown = _before(F.one_hot(y, classes).to(x.dtype))  # (sequences, time, classes): examples seen of each class
    total = _before(einsum(F.one_hot(y, classes).to(x.dtype), x, "s t c, s t n -> s t c n"))
    mean = total / shown.clamp(min=1.0).unsqueeze(-1)
    distance = (mean - x.unsqueeze(2)).square().sum(-1).masked_fill(shown == 0, math.inf)
    return _nothing_at_first(distance.argmin(dim=-1))


def ridge(x: Inputs, y: Labels, classes: int, penalty: float = 1.0) -> Guesses:
    """Return the largest output of ridge regression from earlier inputs (and a constant) to one-hot labels."""
    x = F.pad(x, (0, 1), value=1.0)
    one_hot = F.one_hot(y, classes).to(x.dtype)
    gram = _before(einsum(x, x, "s t n, s t m -> s t n m")) + penalty * torch.eye(x.shape[-1], device=x.device)
    weights = torch.linalg.solve(gram, _before(einsum(x, one_hot, "s t n, s t c -> s t n c")))
    return _nothing_at_first(einsum(x, weights, "s t n, s t n c -> s t c").argmax(dim=-1))


def online_sgd(
    x: Inputs, y: Labels, classes: int, generator: torch.Generator, rate: float = 0.1, hidden: int = 64
) -> Guesses:
    """Return the guesses of a one-hidden-layer ReLU network that takes one SGD step on each example after its guess.

    Every sequence trains a network of its own; gradients are written out, so all of them run as one batch.
    """
    s, time, n = x.shape

    def start(fan_in: int, *shape: int) -> Tensor:
        return (2 * torch.rand(s, *shape, generator=generator).to(x.device) - 1) / math.sqrt(fan_in)

    w1, b1, w2, b2 = (
        start(n, n, hidden),
        start(n, hidden),
        start(hidden, hidden, classes),
        start(hidden, classes),
    )
    guesses = []
    for j in range(time):
        h = (einsum(x[:, j], w1, "s n, s n h -> s h") + b1).relu()
        logits = einsum(h, w2, "s h, s h c -> s c") + b2
        guesses.append(logits.argmax(dim=-1))
        d2 = logits.softmax(dim=-1) - F.one_hot(y[:, j], classes)  # gradient of the cross-entropy at the logits
        d1 = einsum(d2, w2, "s c, s h c -> s h") * (h > 0)
        w2, b2 = w2 - rate * einsum(h, d2, "s h, s c -> s h c"), b2 - rate * d2
        w1, b1 = w1 - rate * einsum(x[:, j], d1, "s n, s h -> s n h"), b1 - rate * d1
    return torch.stack(guesses, dim=1)


def accuracy(guesses: Guesses, y: Labels) -> Float[Tensor, "time"]:
    """Return the share of right guesses at each position."""
    return (guesses == y).float().mean(dim=0)


def _before(terms: Float[Tensor, "sequences time ..."]) -> Float[Tensor, "sequences time ..."]:
    """Return the sums over the positions strictly before each position."""
    return terms.cumsum(dim=1) - terms


def _nothing_at_first(guesses: Guesses) -> Guesses:
    """Return the guesses with label 0 at the first position, where there is nothing to learn from."""
    return torch.cat([torch.zeros_like(guesses[:, :1]), guesses[:, 1:]], dim=1)
