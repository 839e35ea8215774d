"""Online gradient descent, which VSML (2012.14905) is compared with: one step of SGD or Adam for each example.

It is written out, without autograd, so that many streams run as one batch. The answer to example t comes from the
examples before t and from x_t alone.
"""

import math
from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F

from tutorlib.lab.errors import bad_argument
from tutorlib.papers.vsml.problem import truncated_normal
from tutorlib.shapes import Float, Int, Tensor

SQUASH = 100.0
"""Every model's outputs are SQUASH tanh(z / SQUASH)."""
SGD_RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
"""Learning rates among which online SGD takes its best [.01]."""
ADAM_RATES = (0.0003, 0.001, 0.003, 0.01, 0.03)
"""Learning rates among which online Adam takes its best [.001]."""
HIDDEN = 160
"""tanh units of the two-layer network of SGD and Adam"""

Inputs = Float[Tensor, "*batch time inputs"]
Labels = Int[Tensor, "*batch time"]
Logits = Float[Tensor, "*batch time classes"]
Gradients = list[Tensor]
Update = Callable[[int, Gradients], Gradients]
"""(number of the example, gradients) to the changes of the weights"""


def squash(z: Tensor) -> Tensor:
    """Return 100 tanh(z / 100), which keeps a diverging learner finite."""
    return SQUASH * torch.tanh(z / SQUASH)


def online_sgd(
    x: Inputs, y: Labels, classes: int, lr: float, hidden: int = 0, generator: torch.Generator | None = None
) -> Logits:
    """Return the logits of a network that takes one step of SGD on each example after its answer to it.

    ``hidden``: tanh units of a hidden layer; none is softmax regression. Weights start as ``initial_parameters`` says.
    Raises ``UsageError`` if x and y do not fit, or for a ``lr`` that is not positive.
    """
    check_lr(lr)
    return descend_online(x, y, classes, lambda t, g: [-lr * part for part in g], hidden, generator)


def online_adam(
    x: Inputs,
    y: Labels,
    classes: int,
    lr: float,
    hidden: int = 0,
    generator: torch.Generator | None = None,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
) -> Logits:
    """Return the logits of a network that takes one step of Adam on each example after its answer to it.

    Arguments and errors are those of ``online_sgd``.
    """
    check_lr(lr)
    m: list[Tensor] = []
    v: list[Tensor] = []

    def adam(t: int, g: Gradients) -> Gradients:
        if t == 0:
            m[:], v[:] = ([torch.zeros_like(part) for part in g] for _ in range(2))
        changes = []
        for i, part in enumerate(g):
            m[i] = beta1 * m[i] + (1 - beta1) * part
            v[i] = beta2 * v[i] + (1 - beta2) * part.square()
            m_hat, v_hat = m[i] / (1 - beta1 ** (t + 1)), v[i] / (1 - beta2 ** (t + 1))
            changes.append(-lr * m_hat / (v_hat.sqrt() + eps))
        return changes

    return descend_online(x, y, classes, adam, hidden, generator)


def descend_online(
    x: Inputs, y: Labels, classes: int, update: Update, hidden: int, generator: torch.Generator | None
) -> Logits:
    """Return the logits of networks, one for each stream, that ``update`` changes after each example.

    With e = dCE/dz, and z the outputs before they are squashed, the gradients are::

        one layer    z = x W + b                             dW = x e^T, db = e
        two layers   h = tanh(x W_1 + b_1), z = h W_2 + b_2  dW_2 = h e^T, db_2 = e,
                     d = (1 - h^2) * (W_2 e)                 dW_1 = x d^T, db_1 = d
    """
    check_stream(x, y, classes)
    weights = initial_parameters(x, classes, hidden, generator)
    answers = []
    for t in range(x.shape[-2]):
        x_t, h = x[..., t, :], x[..., t, :]
        if hidden:
            h = torch.tanh(affine(x_t, *weights[:2]))
        logits = squash(affine(h, *weights[-2:]))
        answers.append(logits)
        error = logits.softmax(dim=-1) - F.one_hot(y[..., t], classes)
        e = error * (1 - (logits / SQUASH).square())  # the derivative of the squashing is 1 - tanh^2
        g = [outer(h, e), e]
        if hidden:
            d = (1 - h.square()) * (weights[2] @ e.unsqueeze(-1)).squeeze(-1)
            g = [outer(x_t, d), d, *g]
        weights = [w + change for w, change in zip(weights, update(t, g), strict=True)]
    return torch.stack(answers, dim=-2)


def initial_parameters(x: Inputs, classes: int, hidden: int, generator: torch.Generator | None) -> list[Tensor]:
    """Return W and b of each layer, one network for each stream of ``x``.

    Matrices are normal with sd 1/sqrt(inputs), cut at two sd, and offsets 0. Without a ``generator`` the matrix of
    softmax regression is 0 too. Raises ``UsageError`` if a hidden layer has no generator: units that start alike
    would stay alike.
    """
    if hidden < 0:
        raise bad_argument("hidden", hidden, "0 (softmax regression) or a positive whole number")
    if hidden and generator is None:
        raise bad_argument("generator", generator, f"a torch.Generator, to start hidden={hidden} units apart")
    sizes = (x.shape[-1], hidden, classes) if hidden else (x.shape[-1], classes)
    weights = []
    for a, b in pairwise(sizes):
        shape = (*x.shape[:-2], a, b)
        w = truncated_normal(shape, generator) / math.sqrt(a) if generator else x.new_zeros(shape)
        weights += [w.to(x), x.new_zeros(*x.shape[:-2], b)]
    return weights


def affine(x: Float[Tensor, "*batch a"], w: Float[Tensor, "*batch a b"], b: Float[Tensor, "*batch b"]) -> Tensor:
    """Return x w + b."""
    return (x.unsqueeze(-2) @ w).squeeze(-2) + b


def outer(x: Float[Tensor, "*batch a"], e: Float[Tensor, "*batch b"]) -> Float[Tensor, "*batch a b"]:
    """Return x e^T."""
    return x.unsqueeze(-1) * e.unsqueeze(-2)


def check_lr(lr: float) -> None:
    """Raise ``UsageError`` unless ``lr`` is positive and finite."""
    if not 0 < lr < math.inf:
        raise bad_argument("lr", lr, "a positive number")


def check_stream(x: Tensor, y: Tensor, classes: int) -> None:
    """Raise ``UsageError`` unless x has one label for each example, all of ``classes`` classes."""
    if classes < 1:
        raise bad_argument("classes", classes, "a positive whole number")
    check_shapes(x, y)
    if not bool(((y >= 0) & (y < classes)).all()):
        raise bad_argument("y", f"labels from {int(y.min())} to {int(y.max())}", f"labels from 0 to {classes - 1}")


def check_shapes(x: Tensor, y: Tensor) -> None:
    """Raise ``UsageError`` unless there are examples and each has a label."""
    if y.shape != x.shape[:-1] or y.numel() == 0:
        raise bad_argument("y", tuple(y.shape), f"one label for each of x's examples, {tuple(x.shape[:-1])}")
