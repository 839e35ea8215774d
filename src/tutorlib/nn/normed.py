"""Perceptrons of many networks side by side, with layer normalisation after the activation where it is asked for.

The weights of a network are one flat vector: for each layer the weights ``[in, out]``, the biases and, where it is
normalised, gains and offsets. A stack of networks is ``[nets, parameters]``; each has a batch of its own.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType

import torch
import torch.nn.functional as F

from tutorlib.lab.errors import bad_argument, checked, expect_fields
from tutorlib.shapes import Float, Tensor


def mixed(x: Float[Tensor, "*batch units"]) -> Float[Tensor, "*batch units"]:
    """Return max(x, 0) for the first half of the units and x^2 for the second."""
    return _halves(x, torch.relu, torch.square)


def _halves(x: Tensor, first: Callable[[Tensor], Tensor], second: Callable[[Tensor], Tensor]) -> Tensor:
    a, b = x.tensor_split(2, dim=-1)
    return torch.cat([first(a), second(b)], dim=-1)


ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {"relu": torch.relu, "tanh": torch.tanh, "mixed": mixed}
)
"""of hidden layers"""
SLOPES: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {
        "relu": lambda x: (x > 0).to(x.dtype),
        "tanh": lambda x: 1 - x.tanh().square(),
        "mixed": lambda x: _halves(x, lambda first: (first > 0).to(x.dtype), lambda second: 2 * second),
    }
)
"""of the activations"""
INITIALS = ("glorot", "fan-in")
"""Glorot's uniform weights and biases 0; or both uniform up to 1 / sqrt(inputs)."""


@dataclass(frozen=True)
class NormedMLP:
    """Hidden layers of equal size, then a linear one, as a function of flat parameter vectors."""

    inputs: int
    outputs: int
    hidden: int = 350
    """units of a hidden layer"""
    layers: int = 2
    """hidden layers"""
    activation: str = "relu"
    """one of ``ACTIVATIONS``"""
    normed: bool = True
    """whether a layer normalisation with gains and offsets follows each activation"""
    open: bool = True
    """whether the last layer is linear; else it is one of the hidden layers' kind"""
    epsilon: float = 1e-12
    """added to a variance"""
    constant_mean: bool = False
    """whether a variance takes its mean for a constant: first derivatives are the same, second ones are wrong. So did
    TensorFlow, in which papers of its time differentiate twice"""
    sizes: list[tuple[int, int]] = field(init=False, repr=False, compare=False)
    """inputs and outputs of each layer"""
    pieces: list[int] = field(init=False, repr=False, compare=False)
    """lengths of the parts of theta"""

    def __post_init__(self) -> None:
        expect_fields(
            self,
            sizes=("inputs", "outputs", "hidden"),
            maximum={"layers": 64},
            choices={"activation": tuple(ACTIVATIONS)},
            positive=("epsilon",),
        )
        # Worked out once: a step asks many times, and a compiled one could not.
        object.__setattr__(self, "sizes", list(pairwise([self.inputs, *self.layers * [self.hidden], self.outputs])))
        object.__setattr__(self, "pieces", [k for i, (n, m) in enumerate(self.sizes) for k in self._lengths(i, n, m)])

    def _bent(self, layer: int) -> bool:
        """Return whether an activation follows this layer."""
        return not self.open or layer < self.layers

    def _lengths(self, layer: int, n: int, m: int) -> list[int]:
        return [n * m, m, *([m, m] if self.normed and self._bent(layer) else [])]

    @property
    def parameters(self) -> int:
        """The length of theta."""
        return sum(self.pieces)

    @checked(sizes=("nets", "fan_in", "fan_out"), choices={"initial": INITIALS}, not_negative=("last",))
    def initial_parameters(
        self,
        nets: int,
        generator: torch.Generator,
        initial: str = "glorot",
        last: float = 1.0,
        fan_in: int | None = None,
        fan_out: int | None = None,
    ) -> Float[Tensor, "nets parameters"]:
        """Return theta before training, drawn on the generator's device.

        ``initial``: one of ``INITIALS``. ``last``: the last layer's weights and biases are this much larger.
        ``fan_in``, ``fan_out``: how many of the inputs and outputs are in use, where others are padding.
        """
        parts = []
        for i, (n, m) in enumerate(self.sizes):
            used_in = fan_in or n if i == 0 else n
            used_out = fan_out or m if i == self.layers else m
            bound = math.sqrt(6 / (used_in + used_out)) if initial == "glorot" else 1 / math.sqrt(used_in)
            scale = last if i == self.layers else 1.0
            w, b = (
                (2 * torch.rand(nets, k, generator=generator, device=generator.device) - 1) * (scale * bound)
                for k in (n * m, m)
            )
            parts += [w, torch.zeros_like(b) if initial == "glorot" else b]
            if len(self._lengths(i, n, m)) > 2:
                parts += [torch.ones_like(b), torch.zeros_like(b)]
        return torch.cat(parts, dim=-1)

    @checked()
    def __call__(
        self, theta: Float[Tensor, "nets parameters"], x: Float[Tensor, "nets *batch inputs"]
    ) -> Float[Tensor, "nets *batch outputs"]:
        """Return each network's outputs for its own batch, which may have any number of axes.

        Raises ``UsageError`` if theta or x does not fit this network.
        """
        if theta.shape[-1] != self.parameters:
            raise bad_argument("theta", theta, f"{self.parameters} parameters in the last axis")
        if x.dim() < 2 or x.shape[-1] != self.inputs or len(x) != len(theta):
            raise bad_argument("x", x, f"a batch for each of {len(theta)} networks, with {self.inputs} inputs last")
        parts = iter(theta.split(self.pieces, dim=-1))
        y = x.reshape(len(x), -1, self.inputs)
        for i, shape in enumerate(self.sizes):
            w, b = next(parts).unflatten(-1, shape), next(parts)
            y = torch.baddbmm(b.unsqueeze(-2), y, w)
            if self._bent(i):
                y = ACTIVATIONS[self.activation](y)
                if self.normed:
                    gain, offset = next(parts), next(parts)
                    y = self._normalised(y) * gain.unsqueeze(-2) + offset.unsqueeze(-2)
        return y.reshape(*x.shape[:-1], self.outputs)

    def moved(
        self,
        theta: Float[Tensor, "nets parameters"],
        direction: Float[Tensor, "nets parameters"],
        x: Float[Tensor, "nets *batch inputs"],
    ) -> tuple[Float[Tensor, "nets *batch outputs"], Float[Tensor, "nets *batch outputs"]]:
        """Return the outputs, and how fast they change where theta moves along ``direction``: a derivative forwards.

        Raises as a call does.
        """
        parts, turns = (iter(t.split(self.pieces, dim=-1)) for t in (theta, direction))
        y, dy = x.reshape(len(x), -1, self.inputs), torch.zeros_like(x).reshape(len(x), -1, self.inputs)
        for i, shape in enumerate(self.sizes):
            w, b, dw, db = next(parts).unflatten(-1, shape), next(parts), next(turns).unflatten(-1, shape), next(turns)
            dy = torch.baddbmm(db.unsqueeze(-2), y, dw) + dy @ w
            y = torch.baddbmm(b.unsqueeze(-2), y, w)
            if self._bent(i):
                dy = dy * SLOPES[self.activation](y)
                y = ACTIVATIONS[self.activation](y)
                if self.normed:
                    gain, offset, dgain, doffset = (next(t).unsqueeze(-2) for t in (parts, parts, turns, turns))
                    sd = (y.var(dim=-1, keepdim=True, correction=0) + self.epsilon).sqrt()
                    y = self._normalised(y)
                    along = (y * dy).mean(dim=-1, keepdim=True)
                    dy = (dy - dy.mean(dim=-1, keepdim=True) - y * along) / sd
                    y, dy = y * gain + offset, dy * gain + y * dgain + doffset
        return y.reshape(*x.shape[:-1], self.outputs), dy.reshape(*x.shape[:-1], self.outputs)

    def _normalised(self, y: Tensor) -> Tensor:
        if not self.constant_mean:
            return F.layer_norm(y, y.shape[-1:], eps=self.epsilon)
        mean = y.mean(dim=-1, keepdim=True)
        variance = (y - mean.detach()).square().mean(dim=-1, keepdim=True)
        return (y - mean) / (variance + self.epsilon).sqrt()


__all__ = ["ACTIVATIONS", "INITIALS", "NormedMLP", "mixed"]
