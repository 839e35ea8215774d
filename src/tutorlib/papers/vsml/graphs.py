"""Lifetimes as CUDA graphs: some examples forwards are one graph, and the same examples backwards another.

A tape may not lead through CUDA graphs one after the other (``lab.compiling``). So the meta-gradient's way through a
piece of a lifetime is written here: forwards, only what the piece was given is kept; backwards, one graph goes through
it again and takes the product with the Jacobian (``torch.func.vjp``). That is an activation checkpoint at each piece.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from tutorlib.lab import Context

Live = Callable[..., tuple]
"""``algorithm.lifetime``"""


def backwards(
    live: Live, net: Any, parts: tuple, states: list, error: Tensor, label: Tensor, *streams: Any, g: tuple
) -> tuple:
    """Return the gradients for all tensors among parts, states, error and label.

    ``g``: the gradients for the tensors that ``live`` returns.
    """
    given, spec = pytree.tree_flatten((parts, states, error, label))
    places = [place for place, leaf in enumerate(given) if isinstance(leaf, Tensor)]  # some parts are None

    of = partial(_through, live, net, given, places, spec, streams)
    tensors = [given[place] for place in places]
    if torch.compiler.is_compiling():  # a graph has no tape
        return tuple(torch.func.vjp(of, *tensors)[1](g))
    with torch.enable_grad():
        tensors = [tensor.detach().requires_grad_() for tensor in tensors]
        pairs = [(output, slope) for output, slope in zip(of(*tensors), g, strict=True) if output.requires_grad]
        outputs, given_g = zip(*pairs, strict=True)
        return torch.autograd.grad(outputs, tensors, given_g, materialize_grads=True)


def _through(
    live: Live, net: Any, given: Sequence[Any], places: Sequence[int], spec: Any, streams: tuple, *tensors: Tensor
) -> tuple:
    """Return all that ``live`` returns, as one tuple of tensors."""
    return tuple(pytree.tree_leaves(live(net, *_filled(given, places, spec, tensors), *streams)))


def _filled(leaves: Sequence[Any], places: Sequence[int], spec: Any, tensors: Sequence[Tensor]) -> Any:
    """Return the tree of ``leaves`` with ``tensors`` at ``places``."""
    by_place = dict(zip(places, tensors, strict=True))
    return pytree.tree_unflatten([by_place.get(place, leaf) for place, leaf in enumerate(leaves)], spec)


class _Piece(torch.autograd.Function):
    """A piece of a lifetime on the tape: one graph there, and one back."""

    @staticmethod
    def forward(ctx: Any, there: Callable, back: Callable, given: Any, streams: Any, *tensors: Any) -> Any:
        ctx.back, ctx.given, ctx.streams = back, given, streams
        ctx.save_for_backward(*tensors)
        return tuple(there(*given(tensors), *streams))

    @staticmethod
    def backward(ctx: Any, *g: Any) -> Any:
        result = ctx.back(*ctx.given(ctx.saved_tensors), *ctx.streams, g=g)
        return None, None, None, None, *result


def as_graphs(context: Context, live: Live) -> Live:
    """Return ``live`` as a CUDA graph, and with a gradient as two."""
    there, back = context.compiled(live), context.compiled(backwards)

    def run(net: Any, parts: tuple, states: list, error: Tensor, label: Tensor, *streams: Any) -> tuple:
        leaves, spec = pytree.tree_flatten((parts, states, error, label))
        places = [place for place, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
        if not torch.is_grad_enabled() or not any(leaves[place].requires_grad for place in places):
            return there(net, parts, states, error, label, *streams)
        shapes, nothing = [], [None] * len(leaves)

        def given(tensors: Sequence[Tensor]) -> Any:
            return _filled(nothing, places, spec, [tensor.detach() for tensor in tensors])

        def flat(*arguments: Any) -> list:
            result, shape = pytree.tree_flatten(there(net, *arguments))
            shapes.append(shape)
            return result

        outputs = _Piece.apply(flat, partial(back, live, net), given, streams, *(leaves[place] for place in places))
        return pytree.tree_unflatten(outputs, shapes[0])

    return run


__all__ = ["as_graphs", "backwards"]
