"""The two agents of SymLA (2109.10781): SymLA itself, a grid of parameter-shared sub-RNNs, and the MetaRNN, one LSTM.

Both read o_t, a_{t-1} and r_{t-1}, carry a memory h from step to step, and return the logits of pi(a_t | h_t). Nothing
else tells them about the task: whatever they learn in a lifetime, they learn in h (see
'symla-idea-metarnn' in the chapter).

Every tensor is ``[*members, lifetimes, ...]``. ``*members`` is nothing (one theta) or one axis of parameter vectors,
the population of an evolution strategy; all of them run in one batched product.

Sizes, gate biases and the scale of the logits are unknown in the paper; the defaults were found to work here.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, cast, runtime_checkable

import torch
import torch.nn.functional as F

from tutorlib import nn
from tutorlib.lab.errors import bad_argument, checked, expect_fields
from tutorlib.nn import GridConfig, GridParameters, GridState, grid_tick, split, zero_state
from tutorlib.nn.grid import REDUCTIONS
from tutorlib.shapes import Float, Tensor

STARTS = ("zeros", "random")


@runtime_checkable
class Agent(Protocol):
    """What ``algorithm.lifetime`` needs of an agent; its memory may be any tuple of tensors."""

    @property
    def observations(self) -> int:
        """A, entries of an observation."""

    @property
    def actions(self) -> int:
        """B, the number of actions."""

    @property
    def parameters(self) -> int:
        """The length of theta."""

    @property
    def start_noise(self) -> tuple[int, ...]:
        """Shape of the standard normal numbers that ``start`` takes for each lifetime."""

    def initial_parameters(self, generator: torch.Generator) -> Float[Tensor, "parameters"]:
        """Return theta before meta-training."""

    def prepare(self, theta: Float[Tensor, "*members parameters"]) -> Any:
        """Return theta in its parts; once a lifetime, not once a step."""

    def start(self, theta: Float[Tensor, "*members parameters"], noise: Float[Tensor, "..."]) -> Any:
        """Return the memory at the start of a lifetime, h_0; ``noise`` is ``[lifetimes, *start_noise]``.

        It may have the members' axis before those.
        """

    def step(
        self,
        parts: Any,
        memory: Any,
        o: Float[Tensor, "*members lifetimes observations"],
        a: Float[Tensor, "*members lifetimes actions"],
        r: Float[Tensor, "*members lifetimes"],
    ) -> tuple[Any, Float[Tensor, "*members lifetimes actions"]]:
        """Return h_t and the logits of a_t, from h_{t-1}, o_t, the one-hot a_{t-1} and r_{t-1}; a_0 = 0, r_0 = 0."""


class SymLAParameters(NamedTuple):
    """theta of SymLA in its parts: as the grid's tick takes it, and stacked for ``small_tick``."""

    grid: GridParameters
    w: Float[Tensor, "*members inputs gates"]
    """all that a sub-RNN reads: o, a, r, 1, F, B, h"""
    v: Float[Tensor, "*members hidden messages"]
    """both messages that it sends"""
    offset: Float[Tensor, "*members 1 messages"]


SMALL = 12
"""up to this many sub-RNNs a step is one product per micro tick; above, the factorised ``grid_tick`` does less work"""


@dataclass(frozen=True)
class SymLA:
    """One layer of A x B sub-RNNs between the observation's entries and the actions.

    Its update is 'symla-idea-update' in the chapter, and what goes in and comes out is 'symla-idea-boundary'.

    theta does not depend on A and B, so one theta is an agent for any number of observations and actions. The
    reward is read by every sub-RNN; the previous action is the backward message into its column.
    """

    observations: int
    """A, rows of the grid"""
    actions: int
    """B, columns of the grid"""
    hidden: int = 16
    """H of a sub-RNN"""
    message: int = 8
    """M, channels of a message"""
    micro_ticks: int = 2
    """updates of the states in one step"""
    self_messages: bool = True
    """whether sub-RNN (a, b) reads its layer's own messages F_b and B_a"""
    initial: str = "zeros"
    """zeros, or random: half of the cells' entries i.i.d. N(0, 1/4)"""
    reduce: str = "mean"
    """mean or sum over the grid"""
    scale: float = 10.0
    """of the logits"""

    def __post_init__(self) -> None:
        expect_fields(
            self,
            sizes=("observations", "actions", "hidden", "message", "micro_ticks"),
            positive=("scale",),
            choices={"initial": STARTS, "reduce": REDUCTIONS},
        )

    @property
    def grid(self) -> GridConfig:
        """The sub-RNN and how it talks."""
        return GridConfig(
            hidden=self.hidden,
            message=self.message,
            aux=1,  # the reward
            self_messages=self.self_messages,
            forget_bias=1.0,
            input_bias=-1.0,
            micro_ticks=self.micro_ticks,
            reduce=self.reduce,
            refresh=True,
        )

    @property
    def parameters(self) -> int:
        """The length of theta: 3,472 at the default sizes, whatever A and B are."""
        return self.grid.parameters

    @property
    def start_noise(self) -> tuple[int, ...]:
        """Random starts take a normal number for every second entry of every cell."""
        return (self.observations, self.actions, self.hidden // 2) if self.initial == "random" else (0,)

    @checked()
    def initial_parameters(self, generator: torch.Generator) -> Float[Tensor, "parameters"]:
        """Return theta before meta-training."""
        return nn.initial_parameters(self.grid, generator)

    def prepare(self, theta: Float[Tensor, "*members parameters"]) -> SymLAParameters:
        """Return theta in its parts."""
        p = split(theta, self.grid)
        weights = [p.w_F, p.w_B] if p.w_F is not None and p.w_B is not None else []
        read = [p.w_m[..., :1, :], p.w_b[..., :1, :], cast(Tensor, p.w_r), p.beta.unsqueeze(-2), *weights, p.w_h]
        sent, offset = torch.cat([p.v_F, p.v_B], dim=-1), torch.cat([p.o_F, p.o_B], dim=-1)
        return SymLAParameters(p, torch.cat(read, dim=-2), sent, offset.unsqueeze(-2))

    def start(self, theta: Float[Tensor, "*members parameters"], noise: Float[Tensor, "..."]) -> GridState:
        """Return the state in which all sub-RNNs are alike (zeros), or alike in law (random)."""
        lifetimes = noise.shape[-1 - len(self.start_noise)]
        empty = zero_state(self.grid, tuple(theta.shape[:-1]), lifetimes, self.observations, self.actions, theta)
        if self.initial == "zeros":
            return empty
        drawn = F.pad(0.5 * noise, (0, self.hidden - noise.shape[-1]))
        return empty._replace(c=drawn.expand_as(empty.c))

    def step(
        self,
        parts: SymLAParameters,
        memory: GridState,
        o: Float[Tensor, "*members lifetimes observations"],
        a: Float[Tensor, "*members lifetimes actions"],
        r: Float[Tensor, "*members lifetimes"],
    ) -> tuple[GridState, Float[Tensor, "*members lifetimes actions"]]:
        """Return the state after one tick and the logits, which are channel 0 of the forward messages F_b."""
        if self.observations * self.actions <= SMALL and self.self_messages:
            memory = small_tick(parts, memory, o, a, r, self.micro_ticks, self.reduce)
        else:
            # symla-idea-boundary: channel 0 of the incoming messages carries o_t and a_{t-1}, the others nothing.
            m, mb = (F.pad(x.unsqueeze(-1), (0, self.message - 1)) for x in (o, a))
            memory = grid_tick(parts.grid, memory, m, mb, self.grid, r.unsqueeze(-1))
        return memory, self.scale * memory.forward[..., 0]


def small_tick(
    p: SymLAParameters,
    state: GridState,
    o: Float[Tensor, "*members lifetimes observations"],
    a: Float[Tensor, "*members lifetimes actions"],
    r: Float[Tensor, "*members lifetimes"],
    micro_ticks: int,
    reduce: str,
) -> GridState:
    """Return what ``grid_tick`` returns, with all inputs of a sub-RNN as one vector.

    That repeats the sums over rows and columns for every sub-RNN, but takes 4 products where ``grid_tick`` takes 11:
    on a CPU twice as fast for the grids of bandits and CartPole. The columns of g are doubled, see ``GridParameters``.
    """
    h, c, forward, backward = state
    *batch, rows, columns, hidden = h.shape
    cells, messages = (*batch, rows, columns), forward.shape[-1]
    offset_f, offset_b = p.offset.unsqueeze(-3).chunk(2, dim=-1)
    one = o.new_ones(())
    fixed = [x.expand(cells) for x in (o.unsqueeze(-1), a.unsqueeze(-2), r[..., None, None], one)]
    outer = torch.stack(fixed, dim=-1)
    for _ in range(micro_ticks):
        sent = forward.unsqueeze(-3).expand(*cells, -1), backward.unsqueeze(-2).expand(*cells, -1)
        x = torch.cat([outer, *sent, h], dim=-1)
        z = x.flatten(-4, -2) @ p.w
        i, g, f, out = z.sigmoid().view(*cells, 4, hidden).unbind(dim=-2)
        c = f * c + i * (2 * g - 1)
        h = out * (2 * (2 * c).sigmoid() - 1)
        of_columns, of_rows = (h.mean(dim=-3), h.mean(dim=-2)) if reduce == "mean" else (h.sum(dim=-3), h.sum(dim=-2))
        both = torch.cat([of_columns, of_rows], dim=-2)
        both = (both.flatten(-3, -2) @ p.v).view(*batch, columns + rows, -1)
        forward = both[..., :columns, :messages] + (1 if reduce == "mean" else rows) * offset_f
        backward = both[..., columns:, messages:] + (1 if reduce == "mean" else columns) * offset_b
    return GridState(h, c, forward, backward)


class RNNParameters(NamedTuple):
    """theta of a MetaRNN in its parts; ``w_x`` reads (o, a, r)."""

    w_x: Float[Tensor, "*members inputs gates"]
    w_h: Float[Tensor, "*members hidden gates"]
    beta: Float[Tensor, "*members gates"]
    v: Float[Tensor, "*members hidden actions"]
    offset: Float[Tensor, "*members actions"]


class RNNState(NamedTuple):
    """h and c of an LSTM."""

    h: Float[Tensor, "*members lifetimes hidden"]
    c: Float[Tensor, "*members lifetimes hidden"]


@dataclass(frozen=True)
class MetaRNN:
    """The black-box baseline: an LSTM on (o_t, one-hot a_{t-1}, r_{t-1}) with a linear head.

    Each observation and each action has columns of its own in theta, so theta fits one A and one B, and can tell the
    first action from the second before anything was learned: symmetries S2 and S3 fail (see
    'symla-idea-lacks' in the chapter).
    """

    observations: int
    """A"""
    actions: int
    """B"""
    hidden: int = 32
    """size of the LSTM"""

    def __post_init__(self) -> None:
        expect_fields(self, sizes=("observations", "actions", "hidden"))

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The parts of theta in their order, by name."""
        gates, inputs = 4 * self.hidden, self.observations + self.actions + 1
        return {
            "w_x": (inputs, gates),
            "w_h": (self.hidden, gates),
            "beta": (gates,),
            "v": (self.hidden, self.actions),
            "offset": (self.actions,),
        }

    @property
    def parameters(self) -> int:
        """The length of theta: 5,219 at A = B = 3."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    @property
    def start_noise(self) -> tuple[int, ...]:
        """A MetaRNN always starts from zeros."""
        return (0,)

    @checked()
    def initial_parameters(self, generator: torch.Generator) -> Float[Tensor, "parameters"]:
        """Return theta before meta-training: matrices normal with sd 1/sqrt(inputs), cut at two sd, and offsets 0."""
        pieces = []
        for shape in self.shapes.values():
            piece = torch.zeros(shape, device=generator.device)
            if len(shape) == 2:
                of_lstm = shape[1] == 4 * self.hidden
                sd = 1 / math.sqrt(self.hidden + (self.observations + self.actions + 1 if of_lstm else 0))
                piece = nn.truncated_normal(shape, sd, generator)
            pieces.append(piece.flatten())
        return torch.cat(pieces)

    def prepare(self, theta: Float[Tensor, "*members parameters"]) -> RNNParameters:
        """Return theta in its parts; raises ``UsageError`` if it has not the length that A and B ask for."""
        if theta.dim() not in (1, 2) or theta.shape[-1] != self.parameters:
            raise bad_argument("theta", tuple(theta.shape), f"({self.parameters},) or (members, {self.parameters})")
        pieces = theta.split([math.prod(shape) for shape in self.shapes.values()], dim=-1)
        return RNNParameters(*(p.unflatten(-1, s) for p, s in zip(pieces, self.shapes.values(), strict=True)))

    def start(self, theta: Float[Tensor, "*members parameters"], noise: Float[Tensor, "*_ 0"]) -> RNNState:
        """Return h = c = 0."""
        zero = theta.new_zeros(*theta.shape[:-1], noise.shape[-2], self.hidden)
        return RNNState(zero, zero)

    def step(
        self,
        parts: RNNParameters,
        memory: RNNState,
        o: Float[Tensor, "*members lifetimes observations"],
        a: Float[Tensor, "*members lifetimes actions"],
        r: Float[Tensor, "*members lifetimes"],
    ) -> tuple[RNNState, Float[Tensor, "*members lifetimes actions"]]:
        """Return the LSTM's state after one update, and the logits."""
        x = torch.cat([o, a, r.unsqueeze(-1)], dim=-1)
        z = x @ parts.w_x + memory.h @ parts.w_h + parts.beta.unsqueeze(-2)
        i, g, f, out = z.chunk(4, dim=-1)
        h, c = nn.lstm(i, f + 1.0, g, out, memory.c)
        return RNNState(h, c), h @ parts.v + parts.offset.unsqueeze(-2)


AGENTS = ("symla", "meta-rnn")
