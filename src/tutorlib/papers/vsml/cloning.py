"""Learning algorithm cloning (the paper's section 4.1; VSML, 2012.14905): sub-RNNs are taught to be backpropagation.

Each connection of an ordinary network holds a weight w and a bias b, and does two things (``backprop``). Cloning
regresses one sub-RNN on that: two entries of its state, the slots, stand for w and b; its forward message shall be y,
its backward message e', and the slots shall change as gradient descent would change them. Then a grid of such
sub-RNNs, run forwards and nothing else, trains a network. Cloning never sees a data set: x, e, w and b are random
numbers.

The sub-RNN is that of ``tutorlib.nn.grid``, with one channel a message, sums over the grid, and a scalar r that tells
the two phases of an example apart: 0 forward (with no error), 1 backward. Two micro ticks a phase are what makes it
easy: an LSTM multiplies in its gates, so the first tick can form products and the second adds them to the slots.

How the paper samples, weights and schedules this regression is not known; all that is chosen here (``Config``).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F

from tutorlib.lab import Context, Trial
from tutorlib.lab.errors import bad_argument, checked, expect_fields
from tutorlib.lab.loop import repeat
from tutorlib.nn import Moments, adam_step, clip_by_norm, eval_generator, no_moments, step_generator
from tutorlib.nn.grid import GridConfig, GridParameters, GridState, grid_tick, split
from tutorlib.nn.grid import initial_parameters as grid_parameters
from tutorlib.papers.vsml.problem import GREY
from tutorlib.shapes import Bool, Float, Int, Tensor

OFFICIAL = "-official"
KINDS = (*GREY, *(f"{kind}{OFFICIAL}" for kind in GREY if kind != "digits"))
W, B = 0, 1
"""The slots: entries of c that stand for w and b."""
UNIT = (0.5, 0.1)
"""w = UNIT[W] c[W] and b = UNIT[B] c[B], so that h = o tanh(c) is not saturated where w and b are."""
REMEMBER, ADD = 8.0, -2.0
"""Added to the first biases of the slots' gates f and i: a slot begins by keeping what it has and adding little."""
WEIGHTS = (20.0, 5.0, 1000.0, 200.0)
"""Weights of the squared errors of y, e', w and b: an example moves w by little, so an error in it counts for much."""


@dataclass(frozen=True)
class Config:
    """One cloning and the streams that the clone is then tried on."""

    hidden: int = 32
    """H, entries of h and of c"""
    micro_ticks: int = 2
    """LSTM updates in each phase"""
    eta: float = 0.02
    """learning rate of the gradient descent to be cloned"""
    steps: int = 20000
    """regression steps"""
    batch: int = 256
    """sub-RNNs in a regression step"""
    lr: float = 1e-2
    """Adam's learning rate at first; it falls to 0 along half a cosine"""
    warmup: int = 100
    """steps of linear warm-up before that"""
    max_grad_norm: float = 1.0
    """largest norm of a gradient"""
    fresh: float = 0.01
    """share of sub-RNNs that start anew in each step; the others go on from the states that they are in"""
    num_evals: int = 20
    """how often the errors are summed up, evenly spaced, the last step included"""
    kinds: tuple[str, ...] = ("digits",)
    """image sets that the clone is tried on; ``mnist-official``: the official training part, as in the paper"""
    side: int = 14
    """side of their images; digits stay 8x8"""
    width: int = 32
    """units in the hidden layer of the deep network"""
    streams: int = 4
    """streams of each image set"""
    length: int = 1000
    """examples in a stream"""

    def __post_init__(self) -> None:
        expect_fields(
            self,
            counts=("steps", "warmup", "num_evals", "length", "batch"),
            sizes=("hidden", "micro_ticks", "side", "width", "streams"),
            minimum={"hidden": 2},  # a slot for w and one for b
            positive=("eta", "lr", "max_grad_norm"),
            shares=("fresh",),
            choices={"kinds": KINDS},
        )
        if self.steps % self.num_evals:
            raise bad_argument("num_evals", self.num_evals, f"a divisor of steps={self.steps}")
        if not self.kinds:
            raise bad_argument("kinds", self.kinds, "at least one")

    @property
    def grid(self) -> GridConfig:
        """The sub-RNN: scratch entries forget quickly (f - 2), the two slots do not (f - 2 + 8)."""
        return GridConfig(self.hidden, 1, 1, False, -2.0, 0.0, self.micro_ticks, "sum")


class Rule(NamedTuple):
    """What one example does at one connection."""

    y: Float[Tensor, "*cells"]
    e_in: Float[Tensor, "*cells"]
    """e', the error of the input"""
    w: Float[Tensor, "*cells"]
    b: Float[Tensor, "*cells"]


def backprop(
    x: Float[Tensor, "*#cells"],
    e: Float[Tensor, "*#cells"],
    w: Float[Tensor, "*#cells"],
    b: Float[Tensor, "*#cells"],
    eta: float,
) -> Rule:
    """Return y, e' and the new w and b of a connection with y = tanh(x) w + b and the error e = dL/dy.

    See the derivation 'vsml-idea-backprop' in the chapter.
    """
    t = torch.tanh(x)
    return Rule(y=t * w + b, e_in=e * w * (1 - t * t), w=w - eta * e * t, b=b - eta * e)


# --- the sub-RNN and its slots


def planted(w: Tensor, b: Tensor, config: Config) -> GridState:
    """Return sub-RNNs ``[sequences, rows, columns]`` whose slots hold ``w`` and ``b``, with h = tanh(c) / 2."""
    c = w.new_zeros(*w.shape, config.hidden)
    c[..., W], c[..., B] = w / UNIT[W], b / UNIT[B]
    sequences, rows, columns = w.shape
    return GridState(torch.tanh(c) / 2, c, w.new_zeros(sequences, columns, 1), w.new_zeros(sequences, rows, 1))


def slots(state: GridState) -> tuple[Tensor, Tensor]:
    """Return the w and b that the slots hold."""
    return UNIT[W] * state.c[..., W], UNIT[B] * state.c[..., B]


def phase(
    p: GridParameters,
    state: GridState,
    x: Float[Tensor, "sequences rows"],
    e: Float[Tensor, "sequences columns"],
    r: float,
    grid: GridConfig,
) -> GridState:
    """Return the states after the forward phase (r = 0) or the backward phase (r = 1) of an example."""
    return grid_tick(p, state, x.unsqueeze(-1), e.unsqueeze(-1), grid, x.new_full((len(x), 1), r))


# --- cloning


@checked()
def initial_parameters(config: Config, generator: torch.Generator) -> Float[Tensor, "parameters"]:
    """Return V_M before cloning: as for any grid, with slots that remember."""
    theta = grid_parameters(config.grid, generator)
    sizes = [math.prod(shape) for shape in config.grid.shapes.values()]
    i, _, f, _ = dict(zip(config.grid.shapes, theta.split(sizes), strict=True))["beta"].view(4, -1)
    i[[W, B]] += ADD  # views of theta
    f[[W, B]] += REMEMBER
    return theta


@checked()
def fresh_states(config: Config, generator: torch.Generator) -> GridState:
    """Return a batch of lone sub-RNNs (grids of 1 x 1) with w ~ N(0, 1/4^2) and b ~ N(0, 0.03^2)."""
    w, b = torch.randn(2, config.batch, 1, 1, generator=generator, device=generator.device)
    return planted(w / 4, 0.03 * b, config)


@checked()
def drawn_examples(batch: int, generator: torch.Generator) -> tuple[Float[Tensor, "batch 1"], Float[Tensor, "batch 1"]]:
    """Return inputs x ~ N(0, 1.5^2) and errors e = 1.2 u^3, u uniform in +-1: most are small, as in a softmax's."""
    x = 1.5 * torch.randn(batch, 1, generator=generator, device=generator.device)
    u = 2 * torch.rand(batch, 1, generator=generator, device=generator.device) - 1
    return x, 1.2 * u**3


def squared_errors(
    p: GridParameters,
    state: GridState,
    x: Float[Tensor, "batch 1"],
    e: Float[Tensor, "batch 1"],
    config: Config,
) -> tuple[GridState, Float[Tensor, "4"]]:
    """Return the states after one example, and the mean squared errors of y, e', w and b against ``backprop``.

    The rule is applied to what the slots hold now: an error of the past is not to be mended, only made no larger.
    """
    w, b = (slot.detach().flatten(1) for slot in slots(state))
    rule = backprop(x, e, w, b, config.eta)
    first = phase(p, state, x, torch.zeros_like(e), 0.0, config.grid)
    last = phase(p, first, x, e, 1.0, config.grid)
    (w_kept, b_kept), (w_new, b_new) = slots(first), slots(last)
    off = [
        first.forward.flatten(1) - rule.y,
        last.backward.flatten(1) - rule.e_in,
        torch.cat([w_kept.flatten(1) - w, w_new.flatten(1) - rule.w]),
        torch.cat([b_kept.flatten(1) - b, b_new.flatten(1) - rule.b]),
    ]
    return last, torch.stack([error.square().mean() for error in off])


def renewed(state: GridState, fresh: GridState, which: Bool[Tensor, "batch"]) -> GridState:
    """Return the states with ``fresh`` ones in the places ``which``, and in those of sub-RNNs that ran away."""
    which = which | ~(state.c.abs().amax(dim=(1, 2, 3)) < 100)
    parts = zip(state, fresh, strict=True)
    return GridState(*(torch.where(which.view(-1, *[1] * (old.dim() - 1)), new, old) for old, new in parts))


class Clone(NamedTuple):
    """What cloning leaves."""

    theta: Float[Tensor, "parameters"]
    """V_M"""
    errors: Float[Tensor, "steps 4"]
    """mean squared errors of y, e', w and b in each step"""


class Cloning(NamedTuple):
    """All that changes while a sub-RNN is taught. There is one run on the first axis."""

    theta: Float[Tensor, "runs parameters"]
    moments: Moments
    pool: GridState
    """sub-RNNs in the states that they have got themselves into, ``[runs, batch, ...]``"""


def initial_state(cell: Trial, device: torch.device) -> Cloning:
    """Return the state before the first step, of the cell's seed and made on the CPU: the same on every device."""
    start = torch.Generator().manual_seed(cell.seed)
    theta = initial_parameters(cell.config, start).unsqueeze(0).to(device)
    pool = fresh_states(cell.config, start)
    return Cloning(theta, no_moments(theta), GridState(*(part.unsqueeze(0).to(device) for part in pool)))


def cloning_gradient(
    theta: Float[Tensor, "parameters"],
    pool: GridState,
    x: Float[Tensor, "batch 1"],
    e: Float[Tensor, "batch 1"],
    weights: Float[Tensor, "4"],
    c: Config,
) -> tuple[Float[Tensor, "parameters"], GridState, Float[Tensor, "4"]]:
    """Return the gradient of the weighted sum of ``squared_errors``, the states after them, and the errors."""

    def loss(theta: Tensor) -> tuple[Tensor, tuple[GridState, Tensor]]:
        after, off = squared_errors(split(theta, c.grid), pool, x, e, c)
        return off @ weights, (after, off)

    if torch.compiler.is_compiling():  # a graph has no tape
        g, (after, off) = torch.func.grad(loss, has_aux=True)(theta)
        return g, after, off
    theta = theta.detach().requires_grad_()
    with torch.enable_grad():
        total, (after, off) = loss(theta)
        (g,) = torch.autograd.grad(total, theta)
    return g, GridState(*(part.detach() for part in after)), off.detach()  # no step remembers the one before


Gradient = Callable[..., tuple[Tensor, GridState, Tensor]]
"""``cloning_gradient``, as it stands or compiled."""


def clone_step(
    state: Cloning,
    number: int,
    generator: torch.Generator,
    weights: Float[Tensor, "4"],
    c: Config,
    gradient: Gradient = cloning_gradient,
) -> tuple[Cloning, Float[Tensor, "runs 4"]]:
    """Return the state after step ``number``, from 0, and the squared errors before it, of y, e', w and b.

    ``weights`` are those of the errors, on the device.
    """
    x, e = drawn_examples(c.batch, generator)
    g, pool, off = gradient(state.theta[0], GridState(*(part[0] for part in state.pool)), x, e, weights, c)
    g = clip_by_norm(g.unsqueeze(0), c.max_grad_norm)
    # A linear warm-up, and half a cosine from 1 down to 0.
    lr = c.lr * min(1.0, (number + 1) / c.warmup) * (1 + math.cos(math.pi * number / c.steps)) / 2
    after, moments = adam_step(state.theta, state.moments, g, number, lr)
    which = torch.rand(c.batch, generator=generator, device=off.device) < c.fresh
    pool = renewed(pool, fresh_states(c, generator), which)
    return Cloning(after, moments, GridState(*(part.unsqueeze(0) for part in pool))), off.unsqueeze(0)


def clone_backprop(cell: Trial, context: Context) -> Clone:
    """Teach a sub-RNN backpropagation.

    A pool of sub-RNNs lives on from step to step, so that the states it learns in are those that it gets itself into.
    For what is kept, and for a run that diverges, see ``lab.loop.repeat``.
    """
    c: Config = cell.config
    weights, gradient = torch.tensor(WEIGHTS, device=context.device), context.compiled(cloning_gradient)

    def step(state: Cloning, number: int) -> tuple[Cloning, Tensor]:
        return clone_step(state, number, step_generator(cell.seed, number, context.device), weights, c, gradient)

    course = repeat(
        step,
        initial_state(cell, context.device),
        c.steps,
        context,
        title="cloning backpropagation",
        seeds=[cell.seed],
        eval_every=c.steps // c.num_evals,
        advice=f"a smaller lr than {c.lr} may help",
    )
    return Clone(course.state.theta[0], course.log[:, 0])


@torch.no_grad()
def imitation(
    theta: Float[Tensor, "parameters"], seed: int, config: Config, examples: int = 20
) -> dict[str, dict[str, Tensor]]:
    """Return how well the clone imitates, over ``examples`` new examples in a row, each at ``batch`` sub-RNNs.

    ``rmse`` holds the root mean squared errors of ``y``, ``e`` (that is e'), ``w`` and ``b``; ``size`` the root mean
    squares of what was asked: y, e', and the changes of w and b.
    """
    p = split(theta, config.grid)
    generator = eval_generator(seed, config.steps, theta.device)
    state = fresh_states(config, generator)
    off, asked = [], []
    for _ in range(examples):
        x, e = drawn_examples(config.batch, generator)
        w, b = (slot.flatten(1) for slot in slots(state))
        rule = backprop(x, e, w, b, config.eta)
        asked.append(torch.stack([rule.y, rule.e_in, rule.w - w, rule.b - b]).square().mean(dim=(1, 2)))
        state, squared = squared_errors(p, state, x, e, config)
        off.append(squared)
    both = {"rmse": torch.stack(off).mean(dim=0).sqrt(), "size": torch.stack(asked).mean(dim=0).sqrt()}
    return {name: dict(zip("yewb", sizes, strict=True)) for name, sizes in both.items()}


# --- a network of connections, exact or cloned, on a stream

Layer = tuple[Tensor, Tensor]
"""w and b of the connections of a layer, each ``[sequences, rows, columns]``"""


class Learner(NamedTuple):
    """A layer of connections, as two functions of its state; messages are summed as the chain rule says."""

    forward: Callable[[Any, Tensor], tuple[Any, Tensor]]
    """(state, x) -> (state, sum_a y_ab)"""
    backward: Callable[[Any, Tensor, Tensor], tuple[Any, Tensor]]
    """(state, x, e) -> (state, sum_b e'_ab)"""


def exact(eta: float) -> Learner:
    """Return gradient descent itself; a layer's state is (w, b), each ``[sequences, rows, columns]``."""

    def forward(state: Layer, x: Tensor) -> tuple[Layer, Tensor]:
        rule = backprop(x.unsqueeze(2), x.new_zeros(1, 1, 1), *state, eta)
        return state, rule.y.sum(dim=1)

    def backward(state: Layer, x: Tensor, e: Tensor) -> tuple[Layer, Tensor]:
        rule = backprop(x.unsqueeze(2), e.unsqueeze(1), *state, eta)
        return (rule.w, rule.b), rule.e_in.sum(dim=2)

    return Learner(forward, backward)


def cloned(theta: Float[Tensor, "parameters"], config: Config) -> Learner:
    """Return the clone; a layer's state is that of its grid of sub-RNNs, and all it does is tick."""
    tick = partial(phase, split(theta, config.grid), grid=config.grid)

    def forward(state: GridState, x: Tensor) -> tuple[GridState, Tensor]:
        state = tick(state, x, x.new_zeros(state.forward.shape[:2]), r=0.0)
        return state, state.forward[..., 0]

    def backward(state: GridState, x: Tensor, e: Tensor) -> tuple[GridState, Tensor]:
        state = tick(state, x, e, r=1.0)
        return state, state.backward[..., 0]

    return Learner(forward, backward)


@checked()
def initial_layers(sizes: Sequence[int], streams: int, generator: torch.Generator) -> list[Layer]:
    """Return a network's initial parameters: for each layer w ~ N(0, 1/(4 A)) and b = 0, for each stream its own."""
    shapes = [(streams, rows, columns) for rows, columns in pairwise(sizes)]
    drawn = [torch.randn(shape, generator=generator) / (2 * math.sqrt(shape[1])) for shape in shapes]
    return [(w, torch.zeros_like(w)) for w in drawn]


@torch.no_grad()
def online(
    learner: Learner,
    layers: list,
    x: Float[Tensor, "sequences time inputs"],
    y: Int[Tensor, "sequences time"],
) -> tuple[list, Float[Tensor, "sequences time classes"]]:
    """Return the layers after a stream, and the logits of each example, made before its label was used.

    For each example: a sweep forwards, the error e = softmax(logits) - onehot(y) at the top, a sweep backwards. The
    label and this one line are all that comes from outside.
    """
    layers, logits = list(layers), []
    for t in range(x.shape[1]):
        messages = [x[:, t]]
        for k, layer in enumerate(layers):
            layers[k], m = learner.forward(layer, messages[k])
            messages.append(m)
        logits.append(messages[-1])
        e = messages[-1].softmax(dim=-1) - F.one_hot(y[:, t], messages[-1].shape[-1])
        for k in reversed(range(len(layers))):
            layers[k], e = learner.backward(layers[k], messages[k], e)
    return layers, torch.stack(logits, dim=1)
