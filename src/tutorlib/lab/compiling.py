"""When and how steps are compiled, and what CUDA graphs ask of a step: the one place for both.

A compiled step is one graph of kernels (``torch.compile(fullgraph=True)``). On a GPU it is recorded as a CUDA graph:
one launch replays all of its kernels, out of memory that is the graph's own. That asks five things of a step.

1. What it returns lies where the next call of any compiled step writes. So outputs are copied as they leave
   (``outputs_own``): states that are fed back, and logs that are kept, are their caller's. Torch copies arguments in.
2. It draws no random numbers: a graph knows torch's default generator alone, and luck here comes from a generator for
   each seed. It is drawn before, and is an argument.
3. It changes none of its arguments in place, or torch runs it without a graph. Replays and moments are written outside.
4. All of its tensors are on the device, numbers that differ between calls among them: a tensor of the host ends the
   recording, and a number of Python's is compiled anew.
5. No tape leads through it. While a backward pass is pending, torch keeps the memory of each call apart, and under
   activation checkpoints it fails (pytorch/pytorch issue 154306). A step that is differentiated from outside is given a
   backward pass that is a step, too (``papers.vsml.graphs``).
"""

from collections.abc import Callable, Sequence
from functools import wraps
from importlib.util import find_spec
from types import FunctionType
from typing import Any, NamedTuple, TypeVar, cast

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from tutorlib.lab.errors import checked

S = TypeVar("S", bound=Callable[..., Any])


class Choice(NamedTuple):
    """Whether steps are compiled, and why."""

    compile: bool
    reason: str


@checked()
def choose_compile(device: torch.device, asked: bool | None = None) -> Choice:
    """Return whether steps are compiled on ``device``: as ``asked``, else on a GPU alone.

    Either way only those steps are that an experiment hands to ``Context.compiled``; all others run as they are.
    """
    if asked is not None:
        return Choice(asked, "as asked")
    if device.type == "cpu":
        return Choice(
            False, "on a CPU it is 1.1 to 3 times as fast (benchmarks/README.md), but first takes half a minute or more"
        )
    if find_spec("triton") is None:
        return Choice(False, "Triton, with which torch compiles for a GPU, is not installed")
    return Choice(True, "a step is then a few launches, and not hundreds or thousands")


def captures(device: torch.device) -> bool:
    """Return whether compiled steps are CUDA graphs on ``device``; "meta" stands for a GPU, in dry runs."""
    return device.type in ("cuda", "meta")


def compile_step(step: S, device: torch.device) -> S:
    """Return ``step``, a function, compiled as one graph, and on a GPU as a CUDA graph.

    What torch compiles is kept by a function's code, for a few kinds of arguments; so each run has code of its own,
    in which sizes are fixed. Arguments are looked at in each call, functions and constants of modules are not: they
    stay what they were.
    """
    copy = FunctionType(step.__code__.replace(), step.__globals__, step.__name__, step.__defaults__, step.__closure__)
    copy.__kwdefaults__ = step.__kwdefaults__
    options: dict[str, Any] = {"guard_filter_fn": _of_arguments}
    if not captures(device):
        return cast(S, torch.compile(copy, fullgraph=True, dynamic=False, options=options))
    options["triton.cudagraphs"] = True  # all that the mode "reduce-overhead" is; mode and options exclude each other
    return outputs_own(cast(S, torch.compile(copy, fullgraph=True, dynamic=False, options=options)))


def outputs_own(step: S) -> S:
    """Return ``step`` with its outputs copied to memory of their own, which no later call writes to."""

    @wraps(step)
    def run(*args: Any, **kwargs: Any) -> Any:
        return pytree.tree_map_only(Tensor, torch.clone, step(*args, **kwargs))

    return cast(S, run)


def release(device: torch.device) -> None:
    """Give back the memory that graphs on ``device`` hold, for a batch of another shape."""
    if device.type == "cuda":
        torch.compiler.reset()
        torch.cuda.empty_cache()


def _of_arguments(guards: Sequence[Any]) -> list[bool]:
    """Return which of a graph's conditions are asked in each call: those on arguments and on torch's modes.

    The rest, hundreds of them, ask whether functions that the step calls are still the same, in modules and in classes.
    """
    return [
        not guard.is_global and not guard.name.startswith(("type(", "dict(type(", "__import__(")) for guard in guards
    ]


__all__ = ["Choice", "captures", "choose_compile", "compile_step", "outputs_own", "release"]
