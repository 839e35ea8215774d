"""What stands for CUDA graphs where there is no GPU: compiled steps that keep their rules, and take back their memory.

``lab.compiling`` lists the rules. A step runs as it is, eagerly, on copies of its arguments; what it returned before is
spoilt at the next call of any step, as a replay writes over it; and a step that draws, that changes an argument, that
takes a tensor or a number from the host, or through which a tape leads, is refused.
"""

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from tutorlib.lab import compiling, experiment
from tutorlib.lab.dry import _FromTheHost


class _Watch(TorchDispatchMode):
    """Refuses what no graph can hold."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do the operation, unless it draws, or gives Python a value."""
        assert torch.Tag.nondeterministic_seeded not in func.tags, f"{self.name} draws in a graph: {func}"
        assert func.overloadpacket is not torch.ops.aten._local_scalar_dense, f"{self.name} reads a value in a graph"
        return func(*args, **(kwargs or {}))


class Replays:
    """Takes the place of ``torch.compile``."""

    def __init__(self) -> None:
        self.names: list[str] = []
        """of the steps, in the order of their calls"""
        self.elsewhere: list[str] = []
        """tensors that a step made of Python's numbers"""
        self._returned: list[Any] = []

    def __call__(self, step: Callable, *, fullgraph: bool, dynamic: bool, options: dict[str, Any]) -> Callable:
        """Return ``step`` as its graph would be."""
        assert fullgraph, "a step is one graph"
        assert not dynamic, "shapes are static"
        assert options["triton.cudagraphs"]

        def run(*args: Any, **kwargs: Any) -> Any:
            self._spoil()
            self.names.append(step.__name__)
            given = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
            tape = torch.is_grad_enabled() and any(leaf.requires_grad for leaf in given)
            assert not tape, f"a tape leads through {step.__name__}"
            own = {leaf: leaf.detach().clone() for leaf in given}
            args, kwargs = pytree.tree_map_only(Tensor, own.__getitem__, (args, kwargs))
            with _Watch(step.__name__), _FromTheHost(self):  # type: ignore[arg-type]
                found = step(*args, **kwargs)
            assert not self.elsewhere, f"{step.__name__} copies from the host: {self.elsewhere}"
            for leaf, copy in own.items():
                assert torch.equal(leaf, copy) or not leaf.isfinite().all(), f"{step.__name__} changes an argument"
            self._returned += [weakref.ref(leaf) for leaf in pytree.tree_leaves(found) if isinstance(leaf, Tensor)]
            return found

        return run

    def _spoil(self) -> None:
        """Write over all that was returned before."""
        for reference in self._returned:
            if (leaf := reference()) is not None:
                with torch.no_grad():
                    leaf.logical_not_() if leaf.dtype == torch.bool else leaf.fill_(77)
        self._returned.clear()


@contextmanager
def replays() -> Iterator[Replays]:
    """Let compiled contexts compile to such graphs, on the CPU too."""
    own = Replays()
    with (
        patch.object(torch, "compile", own),
        patch.object(compiling, "captures", lambda device: True),
        patch.object(experiment, "captures", lambda device: True),
    ):
        yield own
