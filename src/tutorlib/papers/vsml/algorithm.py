"""VSML (2012.14905): running a grid of sub-RNNs is both inference and learning; meta-training finds their parameters.

Meta-testing (Alg. 2): theta frozen, fresh states; for each example: tick the layers under the input and the error of
the example before, read the prediction, and keep the new error as the next message. No gradient is computed by hand or
otherwise: the error softmax(y^) - y is an input like any other.

Meta-training (Alg. 1): repeat: run many such lifetimes, each on a task of its own, and change theta so that the mean
cross-entropy of all predictions falls. Its gradient comes from evolution strategies or from backpropagation through
the lifetime (BPTT).

A tick is the paper's Eq. 7, 'vsml-idea-vsml' in the chapter, where its steps are derived; sizes are the code's.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from tutorlib.evolution import estimate
from tutorlib.lab import Context, Trial
from tutorlib.lab.batching import common
from tutorlib.lab.errors import bad_argument
from tutorlib.nn import FlatModule, GridState, Trained, descend, step_generator
from tutorlib.nn.training import Estimate, Evaluate
from tutorlib.papers.vsml import baselines
from tutorlib.papers.vsml.config import VARIES, Config, has_batch_axis
from tutorlib.papers.vsml.descent import squash
from tutorlib.papers.vsml.graphs import as_graphs
from tutorlib.papers.vsml.model import (
    ERROR,
    INPUT,
    LABEL,
    OUTPUT,
    Network,
    backward_sweep,
    forward_sweep,
)
from tutorlib.papers.vsml.problem import Streams, sample
from tutorlib.shapes import Float, Int, Tensor


def boundary(channels: int, **values: tuple[int, Tensor]) -> Tensor:
    """Return messages of ``channels`` channels that hold each value in its channel, and zeros elsewhere."""
    (_, first), *_ = values.values()
    message = first.new_zeros(*first.shape, channels)
    for channel, value in values.values():
        message[..., channel] = value
    return message


def example_step(
    net: Network,
    parts: tuple[list, list],
    states: list[GridState],
    error: Float[Tensor, "*members sequences classes"],
    label: Float[Tensor, "*members sequences classes"],
    x: Float[Tensor, "*members sequences inputs"],
    y: Int[Tensor, "*members sequences"],
    batch: int = 1,
) -> tuple[list[GridState], Float[Tensor, "*members sequences classes"], Tensor, Tensor]:
    """Return the states after one example, its prediction, and the error and label to be fed with the next one.

    ``error`` and ``label`` are those of the example before: what is learned from an example is learned one step late.
    With ``batch`` > 1 each run of so many sequences shares half of its states (see 'vsml-idea-batch' in
    the chapter).
    """
    channels = net.grid.message
    if batch > 1:
        states = [share_over_batch(state, batch) for state in states]
    m = boundary(channels, x=(INPUT, x))
    mb = boundary(channels, e=(ERROR, error), y=(LABEL, label))
    states = forward_sweep(net, parts[0], states, m, mb)
    logits = squash(states[-1].forward[..., OUTPUT])
    one_hot = (y.unsqueeze(-1) == torch.arange(net.classes, device=y.device)).to(x.dtype)
    error = (logits.softmax(dim=-1) - one_hot) / batch  # the gradient of the cross-entropy at the output
    label = one_hot if net.feed_label else torch.zeros_like(one_hot)
    if net.backward_pass:
        mb = boundary(channels, e=(ERROR, error), y=(LABEL, label))
        states = backward_sweep(net, parts[1], states, m, mb)
        error, label = torch.zeros_like(error), torch.zeros_like(label)
    return states, logits, error, label


def share_over_batch(state: GridState, batch: int) -> GridState:
    """Return the state with the first half of h and of c averaged over each run of ``batch`` sequences.

    That half plays the part of weights, which all examples of a batch share; the other half stays each example's own.
    """
    return state._replace(h=_shared(state.h, batch), c=_shared(state.c, batch))


def _shared(part: Tensor, batch: int) -> Tensor:
    half = part.shape[-1] // 2
    grouped = part[..., :half].unflatten(-4, (-1, batch))
    mean = grouped.mean(dim=-4, keepdim=True).expand_as(grouped).flatten(-5, -4)
    return torch.cat([mean, part[..., half:]], dim=-1)


Start = torch.Generator | list[torch.Generator] | None
"""What draws initial states: nothing (zeros), one generator, or one for each of a stack of runs."""
Lifetime = Callable[..., tuple[list[GridState], Tensor, Tensor, Tensor]]
"""``lifetime``, or the same done in another way."""
EXAMPLES = 10
"""examples in a graph where lifetimes are compiled"""


def lifetime(
    net: Network,
    parts: tuple[list, list],
    states: list[GridState],
    error: Float[Tensor, "*members sequences classes"],
    label: Float[Tensor, "*members sequences classes"],
    x: Float[Tensor, "*members sequences time inputs"],
    y: Int[Tensor, "*members sequences time"],
    batch: int = 1,
) -> tuple[list[GridState], Tensor, Tensor, Float[Tensor, "*members sequences time classes"]]:
    """Return what ``example_step`` does over some examples in a row: states, error, label, and all predictions."""
    outputs = []
    for t in range(x.shape[-2]):
        states, logits, error, label = example_step(net, parts, states, error, label, x[..., t, :], y[..., t], batch)
        outputs.append(logits)
    return states, error, label, torch.stack(outputs, dim=-2)


def in_pieces(live: Lifetime, examples: int) -> Lifetime:
    """Return ``live`` applied to so many examples at a time, one piece after the other."""

    def run(
        net: Network, parts: tuple, states: list, error: Tensor, label: Tensor, x: Tensor, y: Tensor, batch: int
    ) -> tuple[list[GridState], Tensor, Tensor, Tensor]:
        pieces = []
        for own_x, own_y in zip(x.split(examples, dim=-2), y.split(examples, dim=-1), strict=True):
            states, error, label, logits = live(net, parts, states, error, label, own_x, own_y, batch)
            pieces.append(logits)
        return states, error, label, torch.cat(pieces, dim=-2)

    return run


def lifetime_in(context: Context) -> Lifetime:
    """Return ``lifetime``, as graphs of ``EXAMPLES`` examples each if the run is to be compiled."""
    if not context.compile:
        return lifetime
    if context.graphs:
        return in_pieces(as_graphs(context, lifetime), EXAMPLES)
    graphs = in_pieces(context.compiled(lifetime), EXAMPLES)

    def run(net: Network, parts: tuple, states: list[GridState], error: Tensor, *streams: Any) -> tuple:
        if torch.is_grad_enabled() and parts[0][0].w_h.requires_grad:
            # All pieces are one graph only if the first one's states ask for gradients, as those of the others do.
            states = [GridState(*map(_asking, state)) for state in states]
            error = error if net.backward_pass else _asking(error)
        return graphs(net, parts, states, error, *streams)

    return run


def _asking(part: Tensor) -> Tensor:
    return part if part.requires_grad else part.detach().requires_grad_()


def online(
    net: Network,
    theta: Float[Tensor, "*members parameters"],
    x: Float[Tensor, "*members sequences time inputs"],
    y: Int[Tensor, "*members sequences time"],
    generator: Start = None,
    chunk: int | None = None,
    batch: int = 1,
    start: list[GridState] | None = None,
    live: Lifetime = lifetime,
) -> Float[Tensor, "*members sequences time classes"]:
    """Return the prediction for every example, each made before its label was seen: one lifetime of learning.

    ``generator`` draws the initial states; without one they are zero, or those of ``start``. ``chunk``: examples
    between two activation checkpoints; the gradient then needs the memory of one chunk only, for one more forward
    pass. ``batch``: sequences that learn together. Raises ``UsageError`` if the streams do not fit the network.
    """
    check_streams(net, theta, x, y, batch)
    check_values(net, x, y)
    return unchecked_online(net, theta, x, y, generator, chunk, batch, start, live)


def unchecked_online(
    net: Network,
    theta: Float[Tensor, "*members parameters"],
    x: Float[Tensor, "*members sequences time inputs"],
    y: Int[Tensor, "*members sequences time"],
    generator: Start,
    chunk: int | None,
    batch: int,
    start: list[GridState] | None = None,
    live: Lifetime = lifetime,
) -> Float[Tensor, "*members sequences time classes"]:
    """Return what ``online`` does, for streams that are known to fit: a look at them would make a device wait."""
    if chunk and torch.is_grad_enabled():
        live = in_pieces(partial(checkpoint, live, use_reentrant=False), chunk)
    states = start or net.start(theta.shape[:-1], x.shape[-3], theta, generator, batch)
    error = theta.new_zeros(*x.shape[:-2], net.classes)
    return live(net, net.split(theta), states, error, torch.zeros_like(error), x, y, batch)[-1]


def check_streams(net: Network, theta: Tensor, x: Tensor, y: Tensor, batch: int) -> None:
    """Raise ``UsageError`` unless the shapes of theta, x and y, and ``batch``, fit the network and each other."""
    if x.shape[-1] != net.inputs:
        raise bad_argument("x", tuple(x.shape), f"inputs of {net.inputs} entries in the last axis")
    if y.shape != x.shape[:-1] or x.shape[-2] < 1 or x.dim() != theta.dim() + 2:
        raise bad_argument("y", tuple(y.shape), f"one label for each of x's examples, {tuple(x.shape[:-1])}")
    if batch < 1 or x.shape[-3] % batch:
        raise bad_argument("batch", batch, f"a divisor of the {x.shape[-3]} sequences")


def check_values(net: Network, x: Tensor, y: Tensor) -> None:
    """Raise ``UsageError`` unless labels are names of classes, and inputs finite. A device is waited for."""
    if not bool(((y >= 0) & (y < net.classes)).all()):
        raise bad_argument("y", f"labels from {int(y.min())} to {int(y.max())}", f"labels from 0 to {net.classes - 1}")
    if not bool(x.isfinite().all()):
        raise bad_argument("x", "values that are not finite", "finite numbers")


def online_loss(
    logits: Float[Tensor, "*members sequences time classes"],
    y: Int[Tensor, "*members sequences time"],
    loss_type: str = "mean",
) -> Float[Tensor, "*members"]:
    """Return the meta-loss: the mean cross-entropy over all examples of all sequences, member by member.

    ``loss_type`` "last" counts only the last example of each sequence, as in few-shot learning.
    """
    if loss_type == "last":
        logits, y = logits[..., -1:, :], y[..., -1:]
    losses = F.cross_entropy(logits.flatten(0, -2), y.flatten(), reduction="none").view(y.shape)
    return losses.mean(dim=(-2, -1))  # vsml-method-loss


Learner = Callable[[Tensor, Tensor, Tensor, Start], Tensor]
"""(theta, x, y, generator of initial states) to logits."""


def learner(
    config: Config, inputs: int | None = None, classes: int | None = None, context: Context | None = None
) -> Learner:
    """Return the online learner of ``config``, for other sizes where given, compiled if the ``context`` says so.

    VSML takes any size. A baseline has a theta for its own sizes alone: streams are padded to them. Shapes are checked,
    values are not: see ``check_values``.
    """
    if config.learner == "vsml":
        net = config.network_for(inputs or config.streams.inputs, classes or config.streams.classes)
        context = context or Context()
        live, chunk = lifetime_in(context), config.chunk or None
        if context.graphs:
            chunk = None  # each graph of some examples is an activation checkpoint

        def run(theta: Tensor, x: Tensor, y: Tensor, generator: Start) -> Tensor:
            check_streams(net, theta, x, y, config.batch)
            generator = generator if config.state_noise else None
            return unchecked_online(net, theta, x, y, generator, chunk, config.batch, live=live)

        return run
    module = baselines.build(config.learner, config.streams.inputs, config.streams.classes)
    f = FlatModule(module)

    def run_baseline(theta: Tensor, x: Tensor, y: Tensor, generator: Start) -> Tensor:
        drawn = baselines.initial_memory(module, x, generator if config.state_noise else None)
        return f(theta, x, y) if drawn is None else f(theta, x, y, drawn)

    return run_baseline


def initial_parameters(config: Config, seed: int) -> Float[Tensor, "parameters"]:
    """Return theta before meta-training."""
    generator = torch.Generator().manual_seed(seed)
    if config.learner == "vsml":
        return config.network.initial_parameters(generator)
    module = baselines.build(config.learner, config.streams.inputs, config.streams.classes)
    return baselines.initial_parameters(module, generator)


def tasks(
    streams: Streams, sequences: int, generator: torch.Generator, batch: int = 1
) -> tuple[Float[Tensor, "sequences time inputs"], Int[Tensor, "sequences time"]]:
    """Return ``batch`` streams of each of ``sequences`` tasks, in a row: what comes at once is of one task."""
    x, y = sample(replace(streams, length=batch * streams.length), sequences, generator)
    x, y = (part.unflatten(1, (batch, streams.length)).flatten(0, 1) for part in (x, y))
    return x, y


def logits_of_runs(
    run: Learner,
    theta: Float[Tensor, "runs parameters"],
    x: Float[Tensor, "runs sequences time inputs"],
    y: Int[Tensor, "runs sequences time"],
    generators: list[torch.Generator],
) -> Float[Tensor, "runs sequences time classes"]:
    """Return each run's logits on streams of its own."""
    if len(theta) == 1:  # a stack of matrices costs more than one matrix, so one run is not a batch of one
        return run(theta[0], x[0], y[0], generators[0]).unsqueeze(0)
    return run(theta, x, y, generators)


def meta_gradient(config: Config, context: Context | None = None) -> Estimate:
    """Return the function from thetas [runs, parameters] and a generator for each run to the meta-gradients, of the
    same shape, and the meta-losses [runs] (Alg. 1).

    By BPTT runs are one batch. An evolution strategy needs the axis of runs for its members, so it takes one run.
    """
    run = learner(config, context=context)

    def bptt(theta: Tensor, generators: list[torch.Generator]) -> tuple[Tensor, Tensor]:
        drawn = [tasks(config.streams, config.sequences, generator, config.batch) for generator in generators]
        x, y = (torch.stack(part) for part in zip(*drawn, strict=True))  # [runs, sequences, time, ...]
        theta = theta.detach().requires_grad_()
        with torch.enable_grad():
            losses = online_loss(logits_of_runs(run, theta, x, y, generators), y, config.loss_type)
            (g,) = torch.autograd.grad(losses.sum(), theta)  # runs do not touch, so this is each run's own gradient
        return g, losses.detach()

    def es(thetas: Tensor, generators: list[torch.Generator]) -> tuple[Tensor, Tensor]:
        (theta,), (generator,) = thetas, generators
        x, y = tasks(config.streams, config.sequences, generator, config.batch)
        x, y = (part.unflatten(0, (config.sequences, config.batch)) for part in (x, y))  # pair p has a task to itself
        x, y = torch.cat([x, x]), torch.cat([y, y])  # the same for + and -, as are the initial states

        def losses(members: Tensor) -> Tensor:
            return online_loss(run(members, x, y, generator), y, config.loss_type)

        g, loss = estimate(losses, theta, config.population, generator)
        return g.unsqueeze(0), loss.unsqueeze(0)

    return bptt if config.estimator == "bptt" else es


def meta_train(trials: Sequence[Trial], context: Context, evaluate: Evaluate | None = None) -> Trained:
    """Meta-train ``trials``, which may differ in seed and the fields of ``VARIES``, side by side (Alg. 1).

    For what is kept, and for runs that diverge, see ``lab.loop.repeat``. Raises ``UsageError`` for trials that
    differ in more, and for several of an evolution strategy.
    """
    config = common(trials, VARIES)
    gradient = meta_gradient(config, context)
    if len(trials) > 1 and has_batch_axis(config):
        raise bad_argument("trials", len(trials), "one trial at a time for an evolution strategy")
    theta = torch.stack([initial_parameters(config, trial.seed) for trial in trials])
    # Data that are loaded once are loaded now: a step would wait for them.
    tasks(config.streams, config.sequences, step_generator(0, 0, context.device), config.batch)
    seeds, lrs = [trial.seed for trial in trials], [trial.config.lr for trial in trials]
    return descend(theta, gradient, config.descent, seeds, context, evaluate, lrs=lrs)


@torch.no_grad()
def online_accuracy(
    run: Learner,
    theta: Float[Tensor, "parameters"],
    x: Float[Tensor, "sequences time inputs"],
    y: Int[Tensor, "sequences time"],
    seed: int,
) -> Float[Tensor, "time"]:
    """Return the share of right predictions at each position of the streams: meta-testing (Alg. 2)."""
    logits = run(theta, x, y, step_generator(seed, 0, x.device))
    return (logits.argmax(dim=-1) == y).float().mean(dim=0)
