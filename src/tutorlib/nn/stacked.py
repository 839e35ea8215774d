"""Linear layers of many networks of one shape, side by side: flat weights in, one batched product per layer out.

The weights of a network are one flat vector, so an optimiser, and the norm of a gradient, are a few lines for each
network on its own. A stack of networks is ``[nets, parameters]``, and every network has a batch of its own.
"""

from collections.abc import Callable, Sequence

import torch

from tutorlib.lab.errors import bad_argument, checked
from tutorlib.shapes import Float, Tensor

Layers = list[tuple[Tensor, Tensor]]
"""weights ``[nets, in, out]`` and biases ``[nets, 1, out]`` of each layer"""


@checked(sizes=("shapes",))
def parameter_count(shapes: Sequence[tuple[int, int]]) -> int:
    """Return the number of weights and biases of layers with these entries in and out."""
    return sum((n + 1) * m for n, m in shapes)


@checked()
def split_layers(theta: Float[Tensor, "nets parameters"], shapes: Sequence[tuple[int, int]]) -> Layers:
    """Return flat weights in their parts, each layer's weights before its biases.

    Raises ``UsageError`` if their number is not that of ``shapes``.
    """
    if theta.shape[-1] != parameter_count(shapes):
        raise bad_argument("theta", tuple(theta.shape), f"{parameter_count(shapes)} parameters in the last axis")
    parts = theta.split([k for n, m in shapes for k in (n * m, m)], dim=-1)
    return [
        (w.unflatten(-1, shape), b.unsqueeze(-2)) for w, b, shape in zip(parts[::2], parts[1::2], shapes, strict=True)
    ]


@checked()
def run_layers(
    layers: Layers, x: Float[Tensor, "nets batch inputs"], activation: Callable[[Tensor], Tensor]
) -> Float[Tensor, "nets batch outputs"]:
    """Return each network's output for its own batch; ``activation`` stands between layers, not after the last."""
    nets, entries = x.shape[0], x.shape[-1]
    for i, (w, b) in enumerate(layers):
        if w.shape[:-1] != (nets, entries):
            raise bad_argument(f"layers[{i}]", w, f"weights [{nets}, {entries}, ...] for what comes before")
        entries = w.shape[-1]
        x = torch.baddbmm(b, activation(x) if i else x, w)
    return x


@checked()
def slope(
    loss: Callable[[Tensor], Float[Tensor, "nets"]], theta: Float[Tensor, "nets parameters"]
) -> Float[Tensor, "nets parameters"]:
    """Return the gradient of each network's own loss; networks do not touch, so it is that of the sum."""
    if torch.compiler.is_compiling():  # a graph has no tape
        return torch.func.grad(lambda parameters: loss(parameters).sum())(theta)
    theta = theta.detach().requires_grad_()
    with torch.enable_grad():
        (g,) = torch.autograd.grad(loss(theta).sum(), theta)
    return g


__all__ = ["Layers", "parameter_count", "run_layers", "slope", "split_layers"]
