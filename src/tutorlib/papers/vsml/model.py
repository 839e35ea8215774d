"""The networks of VSML (2012.14905): layers whose weights are sub-RNNs, swept forwards and backwards.

A layer is a grid of sub-RNNs (``tutorlib.nn.grid``). A dense layer from A to B units has A x B of them. A
convolution has one grid of (kernel offsets x input channels) x (output channels), without a place of its own: the
same states are ticked at every output position, and after each micro tick the new state is the mean over positions.

All of a network's layers share one theta, or each has its own (``layerwise``: the ablation of weight sharing).
"""

import math
from dataclasses import dataclass, field
from itertools import pairwise

import torch

from tutorlib.lab.errors import bad_argument, checked, expect_fields
from tutorlib.nn.grid import (
    GridConfig,
    GridParameters,
    GridState,
    grid_tick,
    incoming,
    initial_parameters,
    micro_tick,
    send,
    split,
    zero_state,
)
from tutorlib.nn.initial import truncated_normal
from tutorlib.papers.vsml.problem import truncated_normal as standard_truncated
from tutorlib.shapes import Float, Int, Tensor

INPUT, ERROR, LABEL, OUTPUT = 0, 0, 1, 1
"""Channels of the outer messages, counted from 0: x into rows, the error and the label into columns, the prediction."""


@dataclass(frozen=True)
class Dense:
    """A fully connected layer: one sub-RNN for each pair of an input and an output."""

    rows: int
    """A, its inputs"""
    columns: int
    """B, its outputs"""

    def __post_init__(self) -> None:
        expect_fields(self, sizes=("rows", "columns"))

    @property
    def inputs(self) -> int:
        """How many messages it reads from below."""
        return self.rows

    @property
    def outputs(self) -> int:
        """How many messages it sends on."""
        return self.columns

    @property
    def fan(self) -> int:
        """The A of the initial states' sd, 1/sqrt(A)."""
        return self.rows

    def start(self, grid: GridConfig, members: tuple[int, ...], sequences: int, like: Tensor) -> GridState:
        """Return its state before anything was seen, all zeros."""
        return zero_state(grid, members, sequences, self.rows, self.columns, like)

    def tick(self, p: GridParameters, state: GridState, m: Tensor, mb: Tensor, grid: GridConfig) -> GridState:
        """Return its state after one tick."""
        return grid_tick(p, state, m, mb, grid)


@dataclass(frozen=True)
class Convolution:
    """A convolution over square images of ``side`` pixels, features in the order (row, column, channel).

    Half a kernel of zeros is padded on every side, so the first window has its middle on the first pixel.
    """

    side: int
    channels_in: int
    channels_out: int = 8
    kernel: int = 3
    """an odd number"""
    stride: int = 2

    def __post_init__(self) -> None:
        expect_fields(self, sizes=("side", "channels_in", "channels_out", "kernel", "stride"))
        if self.kernel % 2 == 0:
            raise bad_argument("kernel", self.kernel, "an odd number, so that half of it can be padded on both sides")

    @property
    def out_side(self) -> int:
        """Side of the image that it sends on."""
        return -(-self.side // self.stride)

    @property
    def inputs(self) -> int:
        """How many messages it reads from below."""
        return self.side**2 * self.channels_in

    @property
    def outputs(self) -> int:
        """How many messages it sends on."""
        return self.out_side**2 * self.channels_out

    @property
    def fan(self) -> int:
        """The A of the initial states' sd, 1/sqrt(A); the code takes the first axis of the kernel."""
        return self.kernel

    def windows(self, device: torch.device | None = None) -> Int[Tensor, "positions offsets"]:
        """Return the pixel under each kernel offset at each output position; ``side ** 2`` stands for the padding."""
        first = torch.arange(self.out_side, device=device) * self.stride - self.kernel // 2
        at = first.unsqueeze(1) + torch.arange(self.kernel, device=device)
        inside = (at >= 0) & (at < self.side)
        pixel = at[:, None, :, None] * self.side + at[None, :, None, :]
        seen = inside[:, None, :, None] & inside[None, :, None, :]
        return torch.where(seen, pixel, self.side**2).flatten(0, 1).flatten(1, 2)

    def start(self, grid: GridConfig, members: tuple[int, ...], sequences: int, like: Tensor) -> GridState:
        """Return its state before anything was seen, all zeros."""
        state = zero_state(grid, members, sequences, self.kernel**2 * self.channels_in, self.channels_out, like)
        forward = like.new_zeros(*members, sequences, self.outputs, grid.message)
        return state._replace(forward=forward, backward=like.new_zeros(*members, sequences, self.inputs, grid.message))

    def tick(self, p: GridParameters, state: GridState, m: Tensor, mb: Tensor, grid: GridConfig) -> GridState:
        """Return its state after one tick at all positions."""
        windows = self.windows(m.device)
        positions, offsets = windows.shape
        shape = m.shape[:-2]  # members and sequences
        # Forward messages: gather the window of each position; the padding is silent.
        image = m.unflatten(-2, (self.side**2, self.channels_in))
        image = torch.cat([image, image.new_zeros(*shape, 1, *image.shape[-2:])], dim=-3)
        rows = image[..., windows.flatten(), :, :].reshape(*shape, positions, offsets * self.channels_in, grid.message)
        columns = mb.unflatten(-2, (positions, self.channels_out))
        # [*members, sequences x positions, rows, columns, 4H]: positions are more sequences under the same theta
        z = incoming(p, rows.flatten(-4, -3), columns.flatten(-4, -3))
        h, c = state.h, state.c
        for _ in range(grid.micro_ticks):
            # The same states at every position, as so many sequences; what they become is averaged at once.
            own_h, own_c = (
                part.unsqueeze(-4).expand(*shape, positions, *part.shape[-3:]).flatten(-5, -4) for part in (h, c)
            )
            own_h, own_c = micro_tick(p, z, own_h, own_c)
            h, c = (part.unflatten(-4, (shape[-1], positions)).mean(dim=-4) for part in (own_h, own_c))
        # [*members, sequences x positions, columns or rows, message], from the last tick's h before its mean
        forward, backward = send(p, own_h, grid)
        forward = forward.unflatten(-3, (shape[-1], positions)).flatten(-3, -2)
        # Backward messages: each pixel gets the mean over kernel offsets, those that never touch it counting as 0.
        sent = backward.unflatten(-3, (shape[-1], positions)).unflatten(-2, (offsets, self.channels_in))
        back = image.new_zeros(*shape, self.side**2 + 1, self.channels_in, grid.message)
        back = back.index_add(len(shape), windows.flatten(), sent.flatten(-4, -3) / offsets)
        return GridState(h, c, forward, back[..., :-1, :, :].flatten(-3, -2))


Layer = Dense | Convolution


@dataclass(frozen=True)
class Network:
    """Layers of sub-RNNs and how they are swept."""

    layers: tuple[Layer, ...]
    grid: GridConfig = field(default_factory=GridConfig)
    layerwise: bool = False
    """whether each layer has a theta of its own [no: all share one]"""
    backward_pass: bool = False
    """whether a second sweep, from the last layer to the first, follows on the same example"""
    separate_backward: bool = False
    """whether that sweep has parameters of its own"""
    feed_label: bool = False
    """whether the label is fed beside the error"""

    def __post_init__(self) -> None:
        expect_fields(self)
        if not self.layers:
            raise bad_argument("layers", self.layers, "at least one")
        for below, above in pairwise(self.layers):
            if below.outputs != above.inputs:
                raise bad_argument("layers", (below, above), f"one that reads {below.outputs} messages after the first")
        if self.grid.message < 2:
            raise bad_argument("message", self.grid.message, "at least 2: the error and the label have a channel each")
        if self.separate_backward and not self.backward_pass:
            raise bad_argument("separate_backward", True, "False without backward_pass")
        if self.grid.self_messages or self.grid.aux:
            raise bad_argument("grid", self.grid, "no self-messages and no aux input, which are SymLA's")

    @property
    def inputs(self) -> int:
        """Entries of an input x."""
        return self.layers[0].inputs

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.layers[-1].outputs

    @property
    def thetas(self) -> int:
        """How many parameter vectors of a grid theta holds."""
        return (len(self.layers) if self.layerwise else 1) * (2 if self.separate_backward else 1)

    @property
    def parameters(self) -> int:
        """The number of meta-variables V_M."""
        return self.thetas * self.grid.parameters

    @property
    def variables(self) -> int:
        """The number of learned variables V_L: h and c of all sub-RNNs."""
        pairs = (
            layer.rows * layer.columns
            if isinstance(layer, Dense)
            else layer.kernel**2 * layer.channels_in * layer.channels_out
            for layer in self.layers
        )
        return 2 * self.grid.hidden * sum(pairs)

    @checked()
    def initial_parameters(self, generator: torch.Generator) -> Float[Tensor, "parameters"]:
        """Return theta before meta-training."""
        return torch.cat([initial_parameters(self.grid, generator) for _ in range(self.thetas)])

    def split(self, theta: Float[Tensor, "*members parameters"]) -> tuple[list[GridParameters], list[GridParameters]]:
        """Return the parameters of each layer in the forward and in the backward sweep."""
        if theta.shape[-1] != self.parameters:
            raise bad_argument("theta", tuple(theta.shape), f"{self.parameters} entries in the last axis")
        parts = [split(part.contiguous(), self.grid) for part in theta.split(self.grid.parameters, dim=-1)]
        count = len(self.layers) if self.layerwise else 1
        sweeps = [
            (part * len(self.layers))[: len(self.layers)] for part in (parts[:count], parts[count:] or parts[:count])
        ]
        return sweeps[0], sweeps[1]

    def start(
        self,
        members: tuple[int, ...],
        sequences: int,
        like: Tensor,
        generator: torch.Generator | list[torch.Generator] | None = None,
        batch: int = 1,
    ) -> list[GridState]:
        """Return the layers' states before the first example.

        All zeros but for the first half of c, which is normal with sd 1/sqrt(A), cut at two sd; without a
        ``generator`` it is zero too. Each run of ``batch`` sequences, which learn together, starts from one state.
        One generator for many members is that of an evolution strategy, where both members of a pair start alike:
        the first half of the members draws, and the second half repeats it. A list has one generator for each member.
        """
        states = []
        for layer in self.layers:
            state = layer.start(self.grid, members, sequences, like)
            half = self.grid.hidden // 2
            kept, grid = state.c[..., half:], (*state.c.shape[-3:-1], half)
            shape = (*members, sequences // batch, *grid)
            if isinstance(generator, list):
                noise = torch.stack([_truncated(shape[1:], layer.fan, each, like) for each in generator])
            elif generator is not None and members:
                if members[0] % 2:
                    raise bad_argument("members", members[0], "an even number: pairs that start alike")
                noise = _truncated((members[0] // 2, *shape[1:]), layer.fan, generator, like).repeat(2, 1, 1, 1, 1)
            elif generator is not None:
                noise = _truncated(shape, layer.fan, generator, like)
            else:
                noise = like.new_zeros(shape)
            noise = noise.repeat_interleave(batch, dim=-4) if batch > 1 else noise
            states.append(state._replace(c=torch.cat([noise, kept], dim=-1)))
        return states


def _truncated(shape: tuple[int, ...], fan: int, generator: torch.Generator, like: Tensor) -> Tensor:
    """Return normal numbers with sd 1/sqrt(fan), cut at two sd.

    On a CPU they are the recorded studies', which draw again what lies beyond. To look whether anything does would make
    a device wait in every meta-step, so there they come through the inverse of the distribution.
    """
    sd = 1 / math.sqrt(fan)
    if like.device.type == "cpu":
        return truncated_normal(shape, sd, generator, like.device, like.dtype)
    return sd * standard_truncated(shape, generator, like)


def forward_sweep(
    net: Network,
    parts: list[GridParameters],
    states: list[GridState],
    m: Float[Tensor, "*members sequences inputs message"],
    mb: Float[Tensor, "*members sequences classes message"],
) -> list[GridState]:
    """Tick layers 1..K: each reads what the layer below has just sent, and what the layer above sent a sweep ago."""
    states = list(states)
    for k, layer in enumerate(net.layers):
        below = states[k - 1].forward if k else m
        above = states[k + 1].backward if k + 1 < len(states) else mb
        states[k] = layer.tick(parts[k], states[k], below, above, net.grid)
    return states


def backward_sweep(
    net: Network,
    parts: list[GridParameters],
    states: list[GridState],
    m: Float[Tensor, "*members sequences inputs message"],
    mb: Float[Tensor, "*members sequences classes message"],
) -> list[GridState]:
    """Tick layers K..1: each reads what the layer above has just sent, and what the layer below sent last."""
    states = list(states)
    for k in reversed(range(len(net.layers))):
        below = states[k - 1].forward if k else m
        above = states[k + 1].backward if k + 1 < len(states) else mb
        states[k] = net.layers[k].tick(parts[k], states[k], below, above, net.grid)
    return states


def dense(sizes: tuple[int, ...], **settings: object) -> Network:
    """Return a network of dense layers with ``sizes`` units, inputs first; ``settings`` are fields of ``Network``."""
    if len(sizes) < 2 or min(sizes) < 1:
        raise bad_argument("sizes", sizes, "at least inputs and classes, all positive")
    return Network(tuple(Dense(a, b) for a, b in pairwise(sizes)), **settings)  # type: ignore[arg-type]


def convolutional(
    side: int, channels: int, classes: int, convolutions: int = 1, hidden: tuple[int, ...] = (), **settings: object
) -> Network:
    """Return ``convolutions`` convolutions of 8 channels with stride 2, then dense layers with ``hidden`` units."""
    if min(side, channels, classes, convolutions) < 1:
        raise bad_argument("sizes", (side, channels, classes, convolutions), "positive whole numbers")
    layers: list[Convolution] = []
    for _ in range(convolutions):
        layers.append(Convolution(side, channels))
        side, channels = layers[-1].out_side, layers[-1].channels_out
    top = dense((layers[-1].outputs, *hidden, classes))
    return Network((*layers, *top.layers), **settings)  # type: ignore[arg-type]
