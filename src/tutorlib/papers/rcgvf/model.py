"""The networks of RC-GVF (2211.10282) on the lock: MLPs without memory, with ReLU between their layers.

Networks of one shape run side by side, in batched products: the weights are a stack ``[nets, parameters]`` of flat
vectors. ``nets`` are seeds, or seeds times heads. Flat, because an optimiser and the norm of a gradient are then a few
lines, for each seed on its own.

Three of them (in the released code's sizes): the actor-critic, one trunk with the logits and the value
as its last layer; Z, random and never trained; and K predictors, which share nothing.
"""

import math
from dataclasses import dataclass

import torch

from tutorlib.lab.errors import bad_argument, checked, expect_fields
from tutorlib.nn import Layers, parameter_count, run_layers, split_layers
from tutorlib.shapes import Float, Tensor


@dataclass(frozen=True)
class MLP:
    """A multi-layer perceptron as a function of its weights."""

    sizes: tuple[int, ...]
    """entries of the input, of each hidden layer, and of the output"""

    def __post_init__(self) -> None:
        expect_fields(self, sizes=("sizes",))
        if len(self.sizes) < 2:
            raise bad_argument("sizes", self.sizes, "at least two sizes")

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Entries in and out of each layer."""
        return list(zip(self.sizes[:-1], self.sizes[1:], strict=True))

    @property
    def parameters(self) -> int:
        """The number of weights and biases."""
        return parameter_count(self.shapes)

    @checked()
    def initial(self, generator: torch.Generator) -> Float[Tensor, "parameters"]:
        """Return the start of Z and of predictors: all uniform in (-1, 1) / sqrt(n), n entries into the layer."""
        return torch.cat(
            [(2 * torch.rand((n + 1) * m, generator=generator) - 1) / math.sqrt(n) for n, m in self.shapes]
        )

    @checked()
    def initial_unit(self, generator: torch.Generator) -> Float[Tensor, "parameters"]:
        """Return the start of the actor-critic: normal weights, those into a unit scaled to length 1; no biases."""
        parts = []
        for n, m in self.shapes:
            w = torch.randn(n, m, generator=generator)
            parts += [(w / w.norm(dim=0)).flatten(), torch.zeros(m)]  # a column of w goes into one unit
        return torch.cat(parts)

    def layers(self, theta: Float[Tensor, "nets parameters"]) -> Layers:
        """Return ``theta`` in its parts; raise ``UsageError`` if its length is not this network's."""
        return split_layers(theta, self.shapes)


def run(layers: Layers, x: Float[Tensor, "nets batch inputs"]) -> Float[Tensor, "nets batch outputs"]:
    """Return each network's output for its own batch."""
    return run_layers(layers, x, torch.relu)


@dataclass(frozen=True)
class Apart:
    """An actor and a critic that share nothing, as one flat vector of weights: the actor's, then the critic's."""

    actor: MLP
    critic: MLP

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Entries in and out of each layer."""
        return [*self.actor.shapes, *self.critic.shapes]

    @property
    def parameters(self) -> int:
        """The number of weights and biases."""
        return parameter_count(self.shapes)

    def initial_unit(self, generator: torch.Generator) -> Float[Tensor, "parameters"]:
        """Return the start of both, as for one network."""
        return torch.cat([self.actor.initial_unit(generator), self.critic.initial_unit(generator)])

    def layers(self, theta: Float[Tensor, "nets parameters"]) -> Layers:
        """Return ``theta`` in its parts; raise ``UsageError`` if its length is not this network's."""
        return split_layers(theta, self.shapes)


def policy_and_value(
    layers: Layers, o: Float[Tensor, "seeds batch observations"], shared: bool = True
) -> tuple[Float[Tensor, "seeds batch actions"], Float[Tensor, "seeds batch"]]:
    """Return the actor's logits and the critic's value: the last output, or that of the critic of ``Apart``."""
    if not shared:
        half = len(layers) // 2  # actor and critic have as many layers
        return run(layers[:half], o), run(layers[half:], o).squeeze(-1)
    y = run(layers, o)
    return y[..., :-1], y[..., -1]


def predict(
    net: MLP, heads: int, phi: Float[Tensor, "seeds parameters"], o: Float[Tensor, "seeds batch observations"]
) -> Float[Tensor, "seeds heads batch d"]:
    """Return V^(k)(o) of the K predictors of each seed, whose weights follow each other in ``phi``."""
    every = net.layers(phi.unflatten(-1, (heads, -1)).flatten(0, 1))  # [seeds x heads, ...]: one product for all
    return run(every, o.repeat_interleave(heads, dim=0)).unflatten(0, (len(o), heads))
