"""Learners to compare with, and the ceiling that no learner passes.

Each learner reads x (sequences, time, inputs) and y (sequences, time) and returns its guess of every y_j from the
examples before j alone. With no example it guesses label 0, which is right once in C where labels are permuted.
"""

import math
from collections.abc import Callable, Iterable
from functools import partial
from math import comb
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import einsum

from tutorlib.lab.errors import checked
from tutorlib.shapes import Float, Int, Tensor

Guesses = Int[Tensor, "sequences time"]
Inputs = Float[Tensor, "sequences time inputs"]
Labels = Int[Tensor, "sequences time"]


def ceiling(classes: int, length: int) -> Float[Tensor, "time"]:
    """Return the best possible accuracy after j = 0, 1, ... examples of balanced classes under permuted labels.

    acc_j = 1 - (1 - 1/C)^j + P(U >= 1)/C: either the query's class was shown, or the guess is among the U that
    were not. See the derivation 'gpicl-idea-ceiling' in the chapter.
    """
    c = classes
    unseen = [1.0 - sum((-1) ** i * comb(c, i) * (1.0 - i / c) ** j for i in range(c + 1)) for j in range(length)]
    return torch.tensor([1.0 - (1.0 - 1.0 / c) ** j + unseen[j] / c for j in range(length)])  # gpicl-idea-ceiling


def nearest_neighbour(x: Inputs, y: Labels, classes: int) -> Guesses:
    """Return the label of the nearest earlier example (1-NN, Euclidean)."""
    distance = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
    now_or_later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu()
    nearest = distance.masked_fill(now_or_later, math.inf).argmin(dim=-1)
    return _nothing_at_first(y.gather(1, nearest))


AT_ONCE = 2**27
"""Entries of the largest tensors that a reference learner holds; where its sequences have more, it takes fewer."""


def _in_parts(learner: Callable[[Inputs, Labels], Guesses], x: Inputs, y: Labels, entries: int) -> Guesses:
    """Return the guesses of ``learner``, which holds ``entries`` numbers for each sequence. Sequences do not touch."""
    few = max(1, AT_ONCE // entries)
    return torch.cat([learner(*part) for part in zip(x.split(few), y.split(few), strict=True)])


def class_means(x: Inputs, y: Labels, classes: int) -> Guesses:
    """Return the label whose earlier examples have the nearest mean."""
    return _in_parts(partial(_class_means, classes=classes), x, y, x.shape[1] * classes * x.shape[2])


def _class_means(x: Inputs, y: Labels, classes: int) -> Guesses:
    shown = _before(F.one_hot(y, classes).to(x.dtype))  # (sequences, time, classes): examples seen of each class
    total = _before(einsum(F.one_hot(y, classes).to(x.dtype), x, "s t c, s t n -> s t c n"))
    mean = total / shown.clamp(min=1.0).unsqueeze(-1)
    distance = (mean - x.unsqueeze(2)).square().sum(-1).masked_fill(shown == 0, math.inf)
    return _nothing_at_first(distance.argmin(dim=-1))


def ridge(x: Inputs, y: Labels, classes: int, penalty: float = 1.0) -> Guesses:
    """Return the largest output of ridge regression from earlier inputs (and a constant) to one-hot labels."""
    _, time, n = x.shape
    if n > 4 * time:  # few examples of many numbers: the same solution, from products of examples with one another
        return _in_parts(partial(_dual_ridge, classes=classes, penalty=penalty), x, y, time**3)
    return _in_parts(partial(_ridge, classes=classes, penalty=penalty), x, y, time * (n + 1) ** 2)


def _ridge(x: Inputs, y: Labels, classes: int, penalty: float) -> Guesses:
    x = F.pad(x, (0, 1), value=1.0)
    one_hot = F.one_hot(y, classes).to(x.dtype)
    gram = _before(einsum(x, x, "s t n, s t m -> s t n m")) + penalty * torch.eye(x.shape[-1], device=x.device)
    weights = torch.linalg.solve(gram, _before(einsum(x, one_hot, "s t n, s t c -> s t n c")))
    return _nothing_at_first(einsum(x, weights, "s t n, s t n c -> s t c").argmax(dim=-1))


def _dual_ridge(x: Inputs, y: Labels, classes: int, penalty: float) -> Guesses:
    """Return the same guesses: X^T (X X^T + penalty I)^-1 Y over the examples before, the others masked out."""
    gram = einsum(x, x, "s t n, s j n -> s t j") + 1.0
    time = x.shape[1]
    before = torch.ones(time, time, device=x.device).tril(diagonal=-1)  # (query, example)
    kept = gram.unsqueeze(1) * before[:, :, None] * before[:, None, :] + penalty * torch.eye(time, device=x.device)
    one_hot = F.one_hot(y, classes).to(x.dtype).unsqueeze(1) * before.unsqueeze(-1)
    weights = torch.linalg.solve(kept, one_hot)  # (sequences, query, example, classes)
    return _nothing_at_first(einsum(gram, weights, "s t j, s t j c -> s t c").argmax(dim=-1))


def linear_probe(
    x: Inputs, y: Labels, classes: int, penalty: float = 0.1, steps: int = 60, last: int | None = None
) -> Guesses:
    """Return the guesses of logistic regression, fitted anew to the examples before each position.

    Minimises mean cross-entropy + penalty / (2 j) ``|W|^2`` over j examples (the constant has no penalty), by ``steps``
    of Nesterov's accelerated gradient. ``last``: fit at that many last positions only; the guesses before are 0.
    """
    s, time, n = x.shape
    first = time - min(last or time, time)
    x, one_hot = F.pad(x, (0, 1), value=1.0), F.one_hot(y, classes).to(x.dtype)
    shown = torch.ones(time, time, device=x.device).tril(diagonal=-1)[first:]  # (query, example)
    count = shown.sum(dim=1).clamp(min=1.0)
    weight = shown / count.unsqueeze(1)
    decay = (penalty / count)[:, None, None] * F.pad(torch.ones(n, device=x.device), (0, 1)).unsqueeze(1)
    # The cross-entropy's curvature is at most half of the largest |x|^2, and the penalty adds its own.
    largest = x.square().sum(-1).amax(dim=1)[:, None, None, None]
    lr = 1.0 / (0.5 * largest + decay.amax(dim=(1, 2))[:, None, None])
    w = before = x.new_zeros(s, time - first, n + 1, classes)
    for step in range(steps):
        ahead = w + step / (step + 3.0) * (w - before)
        error = einsum(x, ahead, "s j n, s t n c -> s t j c").softmax(dim=-1) - one_hot.unsqueeze(1)
        g = einsum(x, error * weight.unsqueeze(-1), "s j n, s t j c -> s t n c") + decay * ahead
        w, before = ahead - lr * g, w
    guesses = einsum(x[:, first:], w, "s t n, s t n c -> s t c").argmax(dim=-1)
    return _nothing_at_first(torch.cat([torch.zeros_like(y[:, :first]), guesses], dim=1))


class Weights(NamedTuple):
    """A network with one hidden ReLU layer, or one for each sequence."""

    w1: Float[Tensor, "*sequences inputs hidden"]
    b1: Float[Tensor, "*sequences hidden"]
    w2: Float[Tensor, "*sequences hidden classes"]
    b2: Float[Tensor, "*sequences classes"]


@checked()
def initial_parameters(
    shape: tuple[int, ...], n: int, hidden: int, classes: int, generator: torch.Generator
) -> Weights:
    """Return ``shape`` networks with torch's default start: uniform in +-1/sqrt(fan-in)."""

    def start(fan_in: int, *size: int) -> Tensor:
        return (2 * torch.rand(*shape, *size, generator=generator) - 1) / math.sqrt(fan_in)

    return Weights(start(n, n, hidden), start(n, hidden), start(hidden, hidden, classes), start(hidden, classes))


def sgd_logits(start: Weights, x: Inputs, y: Labels, lr: float) -> Float[Tensor, "sequences time classes"]:
    """Return the outputs of networks that take one SGD step on each example after their output for it.

    ``start`` has one network for each sequence. Its gradients are written out, so all of them run as one batch, and
    the result can itself be differentiated: that is what second-order MAML does.
    """
    w1, b1, w2, b2 = start
    outputs = []
    for j in range(x.shape[1]):
        h = (einsum(x[:, j], w1, "s n, s n h -> s h") + b1).relu()
        logits = einsum(h, w2, "s h, s h c -> s c") + b2
        outputs.append(logits)
        d2 = logits.softmax(dim=-1) - F.one_hot(
            y[:, j], logits.shape[-1]
        )  # gradient of the cross-entropy at the logits
        d1 = einsum(d2, w2, "s c, s h c -> s h") * (h > 0)
        w2, b2 = w2 - lr * einsum(h, d2, "s h, s c -> s h c"), b2 - lr * d2
        w1, b1 = w1 - lr * einsum(x[:, j], d1, "s n, s h -> s n h"), b1 - lr * d1
    return torch.stack(outputs, dim=1)


@checked()
def online_sgd(
    x: Inputs, y: Labels, classes: int, generator: torch.Generator, lr: float = 0.1, hidden: int = 64
) -> Guesses:
    """Return the guesses of a one-hidden-layer ReLU network that takes one SGD step on each example after its guess."""
    start = initial_parameters((len(x),), x.shape[-1], hidden, classes, generator)
    return sgd_logits(Weights(*(w.to(x.device) for w in start)), x, y, lr).argmax(dim=-1)


Batch = tuple[Inputs, Labels]


def maml(start: Weights, batches: Iterable[Batch], lr: float = 0.1, meta_lr: float = 3e-3) -> Weights:
    """Return the start from which online SGD does best: MAML (second order), one Adam step for each meta-batch.

    The objective is that of GPICL, the mean cross-entropy over all positions; its gradient goes through every inner
    SGD step. ``start`` is one network.
    """
    theta = Weights(*(w.clone().requires_grad_() for w in start))
    optimizer = torch.optim.Adam(theta, lr=meta_lr)
    for x, y in batches:
        logits = sgd_logits(_copies(theta, len(x)), x, y, lr)
        optimizer.zero_grad()
        F.cross_entropy(logits.flatten(0, 1), y.flatten()).backward()
        torch.nn.utils.clip_grad_norm_(theta, 1.0)
        optimizer.step()
    return Weights(*(w.detach() for w in theta))


def maml_guesses(theta: Weights, x: Inputs, y: Labels, lr: float = 0.1) -> Guesses:
    """Return the guesses of online SGD that starts every sequence from the weights that ``maml`` found."""
    return sgd_logits(_copies(theta, len(x)), x, y, lr).argmax(dim=-1)


def _copies(theta: Weights, sequences: int) -> Weights:
    """Return one network for each sequence, all equal to ``theta``."""
    return Weights(*(w.expand(sequences, *w.shape) for w in theta))


def accuracy(guesses: Guesses, y: Labels) -> Float[Tensor, "time"]:
    """Return the share of right guesses at each position."""
    return (guesses == y).float().mean(dim=0)


def _before(terms: Float[Tensor, "sequences time ..."]) -> Float[Tensor, "sequences time ..."]:
    """Return the sums over the positions strictly before each position."""
    return terms.cumsum(dim=1) - terms


def _nothing_at_first(guesses: Guesses) -> Guesses:
    """Return the guesses with label 0 at the first position, where there is nothing to learn from."""
    return torch.cat([torch.zeros_like(guesses[:, :1]), guesses[:, 1:]], dim=1)
