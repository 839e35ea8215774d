"""The tick of a grid of parameter-shared sub-RNNs, on which VSML (2012.14905) and SymLA (2109.10781) stand.

A layer from A inputs to B outputs holds A x B tiny LSTMs. All share the parameters theta; each has its own state
s_ab = (h_ab, c_ab). Sub-RNN (a, b) reads the forward message m_a of its row and the backward message mb_b of its
column, and writes two messages of its own, which are reduced (a mean or a sum) over rows and over columns:

    z_ab = m_a w_m + mb_b w_b + h_ab w_h + beta               (i, g, f, o) = z_ab
    c_ab <- sigmoid(f) c_ab + sigmoid(i) tanh(g)              h_ab <- sigmoid(o) tanh(c_ab)
    F_b = reduce_a (h_ab v_F + o_F)                           B_a = reduce_b (h_ab v_B + o_B)

SymLA adds to z_ab the layer's own messages of the tick before, F_b w_F + B_a w_B, and a scalar for all, r w_r.

Two identities make it fast (see 'vsml-idea-factorised' and 'vsml-idea-commute' in VSML's chapter). z is a sum over
rows, columns and sub-RNNs, so the first two terms are computed for A rows and B columns and broadcast: only h_ab w_h is
a product for each sub-RNN. And a linear map commutes with a sum over the grid, so messages are reduced first and mapped
afterwards; a LayerNorm between the two forbids that, and is then done the long way.

Axes: ``*members`` is either nothing (one theta) or one axis of parameter vectors, such as the population of an
evolution strategy; ``sequences`` are independent grids under the same theta.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from einops import einsum

from tutorlib.lab.errors import MOST_SIZE, bad_argument, checked, expect_fields
from tutorlib.nn.initial import truncated_normal
from tutorlib.shapes import Float, Tensor

REDUCTIONS = ("mean", "sum")


@dataclass(frozen=True)
class GridConfig:
    """Sizes of a sub-RNN and how sub-RNNs talk. Defaults are those of VSML's code."""

    hidden: int = 16
    """H, entries of h and of c"""
    message: int = 8
    """M, channels of a message"""
    aux: int = 0
    """scalars that every sub-RNN reads; SymLA: 1, the reward"""
    self_messages: bool = False
    """whether sub-RNN (a, b) also reads F_b and B_a of the tick before (SymLA)"""
    forget_bias: float = 5.0
    """added to f"""
    input_bias: float = -5.0
    """added to i"""
    micro_ticks: int = 2
    """updates of the states in one tick, under the same incoming messages"""
    reduce: str = "mean"
    """mean (the code) or sum (the paper's equations)"""
    layer_norm: bool = False
    """whether messages are normalised before they are reduced"""
    refresh: bool = False
    """whether outgoing messages are made after each micro tick, and not after the last alone"""

    def __post_init__(self) -> None:
        expect_fields(
            self, sizes=("hidden", "message", "micro_ticks"), maximum={"aux": MOST_SIZE}, choices={"reduce": REDUCTIONS}
        )

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The parts of theta in their order, by name: shapes of the matrices (from, to) and of the offsets."""
        h, m = self.hidden, self.message
        parts: dict[str, tuple[int, ...]] = {"w_m": (m, 4 * h), "w_b": (m, 4 * h)}
        if self.self_messages:
            parts |= {"w_F": (m, 4 * h), "w_B": (m, 4 * h)}
        if self.aux:
            parts |= {"w_r": (self.aux, 4 * h)}
        parts |= {"w_h": (h, 4 * h), "beta": (4 * h,)}
        parts |= {"v_F": (h, m), "o_F": (m,), "v_B": (h, m), "o_B": (m,)}
        if self.layer_norm:
            parts |= {"scale_F": (m,), "offset_F": (m,), "scale_B": (m,), "offset_B": (m,)}
        return parts

    @property
    def parameters(self) -> int:
        """The number of meta-variables, entries of theta."""
        return sum(math.prod(shape) for shape in self.shapes.values())


class GridParameters(NamedTuple):
    """theta in its parts, made ready for ``grid_tick`` by ``split``.

    The gates' fixed biases are in ``beta``. The columns of g are doubled: tanh(g) is computed as
    2 sigmoid(2 g) - 1, so that all four gates are one sigmoid, which is also three times as fast as tanh on a CPU.
    """

    w_m: Float[Tensor, "*members message gates"]
    w_b: Float[Tensor, "*members message gates"]
    w_F: Float[Tensor, "*members message gates"] | None
    w_B: Float[Tensor, "*members message gates"] | None
    w_r: Float[Tensor, "*members aux gates"] | None
    w_h: Float[Tensor, "*members hidden gates"]
    beta: Float[Tensor, "*members gates"]
    v_F: Float[Tensor, "*members hidden message"]
    o_F: Float[Tensor, "*members message"]
    v_B: Float[Tensor, "*members hidden message"]
    o_B: Float[Tensor, "*members message"]
    norm_F: tuple[Tensor, Tensor] | None
    norm_B: tuple[Tensor, Tensor] | None


class GridState(NamedTuple):
    """What a layer remembers: the learned variables h and c, and the messages that it sent last."""

    h: Float[Tensor, "*members sequences rows columns hidden"]
    c: Float[Tensor, "*members sequences rows columns hidden"]
    forward: Float[Tensor, "*members sequences columns message"]
    """F_b, what the layer sends on"""
    backward: Float[Tensor, "*members sequences rows message"]
    """B_a, what it sends back"""


@checked()
def initial_parameters(config: GridConfig, generator: torch.Generator) -> Float[Tensor, "parameters"]:
    """Return theta before meta-training: matrices normal with sd 1/sqrt(inputs), cut at two sd, and offsets 0.

    The LSTM's matrices count as one, with all of a sub-RNN's inputs. Scales of a LayerNorm start at 1.
    """
    inputs = sum(shape[0] for name, shape in config.shapes.items() if name.startswith("w_"))
    pieces = []
    for name, shape in config.shapes.items():
        if name.startswith(("w_", "v_")):
            sd = 1 / math.sqrt(inputs if name.startswith("w_") else config.hidden)
            start = truncated_normal(shape, sd, generator)
        else:
            start = torch.full(shape, float(name.startswith("scale")), device=generator.device)
        pieces.append(start.flatten())
    return torch.cat(pieces)


@checked()
def split(theta: Float[Tensor, "*members parameters"], config: GridConfig) -> GridParameters:
    """Return theta in its parts; do this once, and not in every tick.

    Raises ``UsageError`` if theta has not the length that ``config`` asks for.
    """
    if theta.dim() not in (1, 2) or theta.shape[-1] != config.parameters:
        raise bad_argument("theta", tuple(theta.shape), f"({config.parameters},) or (members, {config.parameters})")
    sizes = [math.prod(shape) for shape in config.shapes.values()]
    part = {
        name: piece.unflatten(-1, shape)
        for (name, shape), piece in zip(config.shapes.items(), theta.split(sizes, dim=-1), strict=True)
    }
    gate = torch.ones(4, config.hidden, device=theta.device, dtype=theta.dtype)
    fixed = torch.zeros_like(gate)  # filled on the device: a list of numbers would be a copy from the host
    gate[1] = 2.0  # tanh(g) = 2 sigmoid(2 g) - 1
    fixed[0], fixed[2] = config.input_bias, config.forget_bias
    gate, fixed = gate.flatten(), fixed.flatten()
    part["beta"] = part["beta"] + fixed
    gates = {name: part[name] * gate if name in part else None for name in ("w_m", "w_b", "w_F", "w_B", "w_r", "w_h")}
    return GridParameters(
        **gates,  # type: ignore[arg-type]
        beta=part["beta"] * gate,
        v_F=part["v_F"],
        o_F=part["o_F"],
        v_B=part["v_B"],
        o_B=part["o_B"],
        norm_F=(part["scale_F"], part["offset_F"]) if config.layer_norm else None,
        norm_B=(part["scale_B"], part["offset_B"]) if config.layer_norm else None,
    )


@checked(sizes=("members", "sequences", "rows", "columns"))
def zero_state(
    config: GridConfig, members: tuple[int, ...], sequences: int, rows: int, columns: int, like: Tensor
) -> GridState:
    """Return the state in which nothing was learned and nothing was sent; dtype and device are those of ``like``.

    Raises ``UsageError`` if there is no sequence, row or column.
    """
    cells = like.new_zeros(*members, sequences, rows, columns, config.hidden)
    forward = like.new_zeros(*members, sequences, columns, config.message)
    return GridState(cells, cells, forward, like.new_zeros(*members, sequences, rows, config.message))


@checked()
def grid_tick(
    p: GridParameters,
    state: GridState,
    m: Float[Tensor, "*members sequences rows message"],
    mb: Float[Tensor, "*members sequences columns message"],
    config: GridConfig,
    r: Float[Tensor, "*members sequences aux"] | None = None,
) -> GridState:
    """Return the state after one tick under forward messages ``m`` into rows and backward ones ``mb`` into columns.

    ``r`` are the scalars that every sub-RNN reads. The messages that the layer sends stand in the returned state.
    """
    h, c, forward, backward = state
    if m.shape[-2] != h.shape[-3] or mb.shape[-2] != h.shape[-2]:
        raise bad_argument(
            "m and mb", (m.shape[-2], mb.shape[-2]), f"messages for {h.shape[-3]} rows and {h.shape[-2]} columns"
        )
    # [*members, sequences, rows, 4H] and [*members, sequences, columns, 4H]: no product for each sub-RNN
    rows, columns = _product(m, p.w_m), _product(mb, p.w_b) + p.beta[..., None, None, :]
    if p.w_r is not None and r is not None:
        columns = columns + (r @ p.w_r).unsqueeze(-2)
    for tick in range(config.micro_ticks):
        if tick == 0 or config.refresh:
            if p.w_F is not None and p.w_B is not None:
                z = _over_grid(rows + _product(backward, p.w_B), columns + _product(forward, p.w_F))
            else:
                z = _over_grid(rows, columns)
        h, c = micro_tick(p, z, h, c)
        if config.refresh or tick == config.micro_ticks - 1:
            forward, backward = send(p, h, config)
    return GridState(h, c, forward, backward)


def incoming(
    p: GridParameters,
    m: Float[Tensor, "*members sequences rows message"],
    mb: Float[Tensor, "*members sequences columns message"],
) -> Float[Tensor, "*members sequences rows columns gates"]:
    """Return the part of z_ab that does not depend on h_ab: what comes in from outside the grid."""
    return _over_grid(_product(m, p.w_m), _product(mb, p.w_b) + p.beta[..., None, None, :])


def micro_tick(
    p: GridParameters,
    z: Float[Tensor, "*members sequences rows columns gates"],
    h: Float[Tensor, "*members sequences rows columns hidden"],
    c: Float[Tensor, "*members sequences rows columns hidden"],
) -> tuple[Tensor, Tensor]:
    """Return h and c of all sub-RNNs after one update; ``z`` is what comes in."""
    cells = h.shape[-4:-1]
    if torch.compiler.is_compiling():  # a compiler fuses the plain formulas, z included, and finds their gradient
        i, g, f, o = (z + (h.flatten(-4, -2) @ p.w_h).unflatten(-2, cells)).sigmoid().chunk(4, dim=-1)
        c = f * c + i * (2 * g - 1)
        return o * (2 * (2 * c).sigmoid() - 1), c
    h, c = _Cell.apply(*(part.flatten(-4, -2) for part in (z, h, c)), p.w_h)
    return h.unflatten(-2, cells), c.unflatten(-2, cells)


def send(
    p: GridParameters, h: Float[Tensor, "*members sequences rows columns hidden"], config: GridConfig
) -> tuple[Tensor, Tensor]:
    """Return the messages that sub-RNNs with these h send on, F_b, and back, B_a."""
    return _send(h, p.v_F, p.o_F, p.norm_F, -3, config), _send(h, p.v_B, p.o_B, p.norm_B, -2, config)


def _over_grid(rows: Tensor, columns: Tensor) -> Tensor:
    """Return the sum of what comes by rows and by columns, for each sub-RNN."""
    return rows.unsqueeze(-2) + columns.unsqueeze(-3)


def _product(x: Tensor, w: Tensor) -> Tensor:
    """Return x w for x with two axes between those of the members and its last; w has a matrix for each member."""
    return (x.flatten(-3, -2) @ w).unflatten(-2, x.shape[-3:-1])


class _Cell(torch.autograd.Function):
    """All sub-RNNs' LSTM, with its gradient written out: half the passes over memory that autograd would make."""

    @staticmethod
    def forward(
        ctx: Any, incoming: Tensor, h: Tensor, c: Tensor, w_h: Tensor
    ) -> tuple[Tensor, Tensor]:  # incoming [*members, cells, 4H]; h, c [*members, cells, H]; w_h [*members, H, 4H]
        product = torch.baddbmm if w_h.dim() == 3 else torch.addmm
        gates = product(incoming, h, w_h).sigmoid_()
        i, g, f, o = gates.chunk(4, dim=-1)
        new = torch.addcmul(f * c, i, 2 * g - 1)  # c <- sigmoid(f) c + sigmoid(i) tanh(g)
        tanh = (2 * new).sigmoid_().mul_(2).sub_(1)
        ctx.save_for_backward(gates, tanh, h, c, w_h)
        return o * tanh, new

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        gates, tanh, h, c, w_h = ctx.saved_tensors
        i, g, f, o = gates.chunk(4, dim=-1)
        dh, dc = grads
        dc = torch.addcmul(dc, dh * o, 1 - tanh.square())
        dz = torch.empty_like(gates)
        di, dg, df, do = dz.chunk(4, dim=-1)
        torch.mul(dc, 2 * g - 1, out=di)
        torch.mul(dc, 2 * i, out=dg)
        torch.mul(dc, c, out=df)
        torch.mul(dh, tanh, out=do)
        dz.mul_(gates).mul_(1 - gates)  # the gradient of the sigmoid
        return dz, dz @ w_h.mT, dc * f, h.mT @ dz


def _send(
    h: Tensor, v: Tensor, offset: Tensor, norm: tuple[Tensor, Tensor] | None, axis: int, config: GridConfig
) -> Tensor:
    """Return the messages reduced over ``axis`` of the grid: -3 over rows (F_b), -2 over columns (B_a)."""
    if norm is None:
        if config.reduce == "mean":
            return _product(h.mean(dim=axis), v) + offset[..., None, None, :]
        return _product(h.sum(dim=axis), v) + h.shape[axis] * offset[..., None, None, :]
    scale, shift = (part[..., None, None, None, :] for part in norm)
    sent = einsum(h, v, "... e a b h, ... h m -> ... e a b m") + offset[..., None, None, None, :]
    sent = F.layer_norm(sent, sent.shape[-1:]) * scale + shift
    return sent.mean(dim=axis) if config.reduce == "mean" else sent.sum(dim=axis)


__all__ = [
    "GridConfig",
    "GridParameters",
    "GridState",
    "grid_tick",
    "incoming",
    "initial_parameters",
    "micro_tick",
    "send",
    "split",
    "zero_state",
]
