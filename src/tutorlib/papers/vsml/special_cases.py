"""What VSML contains (claim C1): older ideas, each computed twice, by a grid of sub-RNNs and by its own formula.

A sub-RNN (a, b) sees its own state w_ab, the message m_a of its row and the message mb_b of its column, and nothing
else. All in double precision, so that what differs by rounding and what differs can be told apart.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch

from tutorlib.lab.errors import checked, expect_fields
from tutorlib.nn import grid_tick, split, zero_state
from tutorlib.nn.grid import GridConfig, initial_parameters
from tutorlib.shapes import Float, Tensor

INPUTS, OUTPUTS = 6, 4
"""A and B, rows and columns of a grid"""


@dataclass(frozen=True)
class Config:
    """How long each comparison runs."""

    steps: int = 50
    """examples or ticks"""

    def __post_init__(self) -> None:
        expect_fields(self, counts=("steps",))


Cell = Callable[[Tensor, Tensor, Tensor], Tensor]
"""w_ab, m_a, mb_b -> the new w_ab, for all sub-RNNs at once"""
Pair = tuple[Tensor, Tensor]
"""the same quantity twice: by the grid, and by the formula of old"""


def tick(cell: Cell, w: Float[Tensor, "a b"], m: Float[Tensor, "a"], mb: Float[Tensor, "b"]) -> Tensor:
    """Return the states after one tick: the same cell everywhere, and from outside only its row's and column's part."""
    return cell(w, m[:, None], mb[None, :])


def message(w: Float[Tensor, "a b"], m: Float[Tensor, "a"]) -> Float[Tensor, "b"]:
    """Return the forward messages, each a sum over a column of what its sub-RNNs send, w_ab m_a."""
    return (w * m[:, None]).sum(dim=0)


@checked()
def normal(generator: torch.Generator, *shape: int) -> Tensor:
    """Return standard normal numbers in double precision."""
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@checked()
def meta_rnn(g: torch.Generator, steps: int) -> Pair:
    """A Meta RNN is a grid with one sub-RNN: the states of ``nn.grid`` beside those of ``torch.nn.LSTMCell``."""
    config = GridConfig(hidden=16, message=8)
    theta = initial_parameters(config, g).double()
    pieces = theta.split([math.prod(shape) for shape in config.shapes.values()])
    part = {n: piece.view(shape) for (n, shape), piece in zip(config.shapes.items(), pieces, strict=True)}
    gates = torch.arange(64).view(4, 16)[[0, 2, 1, 3]].flatten()  # ours: i g f o, torch's: i f g o
    biases = torch.tensor([config.input_bias, 0.0, config.forget_bias, 0.0]).double().repeat_interleave(16)
    lstm = torch.nn.LSTMCell(16, 16).double()
    values = {
        "weight_ih": torch.cat([part["w_m"], part["w_b"]])[:, gates].T,
        "weight_hh": part["w_h"][:, gates].T,
        "bias_ih": (part["beta"] + biases)[gates],
        "bias_hh": torch.zeros(64).double(),
    }
    state, hc = zero_state(config, (), 1, 1, 1, theta), (torch.zeros(1, 16).double(), torch.zeros(1, 16).double())
    for _ in range(steps):
        m, mb = normal(g, 1, 1, 8), normal(g, 1, 1, 8)
        state = grid_tick(split(theta, config), state, m, mb, config)
        for _ in range(config.micro_ticks):
            hc = torch.func.functional_call(lstm, values, (torch.cat([m, mb], dim=-1)[0], hc))
    return torch.cat([state.h.flatten(), state.c.flatten()]), torch.cat([each.flatten() for each in hc])


@checked()
def one_rnn(g: torch.Generator, steps: int) -> Pair:
    """Copies that talk like neurons are one RNN whose matrix is I (x) I (x) W + R (x) C.

    See the derivation 'vsml-idea-kronecker' in the chapter.
    """
    a, n = 3, 4
    w, c, s = normal(g, n, n) / 2, normal(g, n, n) / 2, normal(g, a, a, n)
    eye, one = torch.eye(a, dtype=torch.float64), torch.ones(a, 1, dtype=torch.float64)
    r = torch.kron(one, eye) @ torch.kron(eye, one.T)
    big = torch.kron(torch.kron(eye, eye), w) + torch.kron(r, c)
    flat = s.flatten()
    for _ in range(steps):
        s = torch.sigmoid(s @ w + (s.sum(dim=0) @ c)[:, None, :])  # copy (a, b) hears all copies (a', a)
        flat = torch.sigmoid(flat @ big)
    return s.flatten(), flat


@checked()
def fast_weights(g: torch.Generator, steps: int) -> Pair:
    """Outer-product fast weights, W += x v^T, and their reading, which is linear attention."""
    keys, values, query = normal(g, steps, INPUTS), normal(g, steps, OUTPUTS), normal(g, INPUTS)
    w = torch.zeros(INPUTS, OUTPUTS).double()
    for key, value in zip(keys, values, strict=True):
        w = tick(lambda w, m, mb: w + m * mb, w, key, value)
    attention = (keys @ query) @ values
    return torch.cat([w.flatten(), message(w, query)]), torch.cat([(keys.T @ values).flatten(), attention])


@checked()
def hebb(g: torch.Generator, steps: int) -> Pair:
    """Hebb's rule, W += eta x y^T with y = W^T x: the output comes back as the backward message."""
    eta = 0.01

    def plain(w: Tensor, x: Tensor, y: Tensor) -> Tensor:
        return w + eta * torch.outer(x, y)

    return _local(g, steps, lambda w, m, mb: w + eta * m * mb, plain)


@checked()
def oja(g: torch.Generator, steps: int) -> Pair:
    """Oja's rule, W += eta (x y^T - W diag(y)^2)."""
    eta = 0.01

    def plain(w: Tensor, x: Tensor, y: Tensor) -> Tensor:
        return w + eta * (torch.outer(x, y) - w @ torch.diag(y**2))

    return _local(g, steps, lambda w, m, mb: w + eta * mb * (m - mb * w), plain)


@checked()
def learned_rule(g: torch.Generator, steps: int) -> Pair:
    """A learned local rule: W += k_0 x y^T + k_1 x 1^T + k_2 1 y^T + k_3, with coefficients k from outside."""
    k = 0.01 * normal(g, 4)

    def cell(w: Tensor, m: Tensor, mb: Tensor) -> Tensor:
        return w + k[0] * m * mb + k[1] * m + k[2] * mb + k[3]

    def plain(w: Tensor, x: Tensor, y: Tensor) -> Tensor:
        ones = torch.ones_like(w)
        return w + k[0] * torch.outer(x, y) + k[1] * torch.diag(x) @ ones + k[2] * ones @ torch.diag(y) + k[3] * ones

    return _local(g, steps, cell, plain)


def _local(g: torch.Generator, steps: int, cell: Cell, plain: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Pair:
    """Return the weights after ``steps`` inputs, by sub-RNNs and by the rule in matrices."""
    w = ours = 0.3 * normal(g, INPUTS, OUTPUTS)
    for x in normal(g, steps, INPUTS):
        ours = tick(cell, ours, x, message(ours, x))
        w = plain(w, x, x @ w)
    return ours.flatten(), w.flatten()


CASES: Mapping[str, Callable[[torch.Generator, int], Pair]] = MappingProxyType(
    {
        "meta_rnn": meta_rnn,
        "one_rnn": one_rnn,
        "fast_weights": fast_weights,
        "hebb": hebb,
        "oja": oja,
        "learned_rule": learned_rule,
    }
)
"""Special cases by name."""


def gaps(seed: int, steps: int) -> dict[str, float]:
    """Return, for each of ``CASES``, the largest difference of the two, over the largest entry of the second."""
    result = {}
    for name, case in CASES.items():
        with torch.no_grad():
            ours, theirs = case(torch.Generator().manual_seed(seed), steps)
        result[name] = float((ours - theirs).abs().max() / theirs.abs().max())
    return result
