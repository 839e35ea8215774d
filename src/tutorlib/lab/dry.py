"""A dry run: one step and one look of every loop of a run, on a device that is not there, where nothing is computed.

Under ``FakeTensorMode`` tensors have shapes and a device and no numbers, so a step at a paper's sizes takes seconds on
any machine; tensors on "meta" obey the rules of a device: to mix them with others, or to read a value, raises. A
``Ledger`` watches every operation that reaches the device, those of gradients and of vmap too, and counts what a GPU
would be asked for: launches, bytes, products, copies from the host.

Outside the steps a run may read values: whatever is drawn or prepared on the CPU reads as 1 there, as many examples are
kept as could be, and loaders of data return sets of the right shape (``rehearsal``). A run is over where it first reads
what a loop has left.
"""

import functools
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any, TypeVar, cast
from unittest.mock import patch

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
    unset_fake_temporarily,
)
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from tutorlib.lab.errors import UsageError, checked
from tutorlib.lab.experiment import Context, Experiment, Metrics, Trial

T = TypeVar("T")
S = TypeVar("S", bound=Callable[..., Any])

DEVICE = "meta"
GB = 10**9
aten = torch.ops.aten

_FREE = {
    aten.empty, aten.empty_strided, aten.empty_like, aten.new_empty, aten.new_empty_strided, aten.detach, aten.alias,
    aten._unsafe_view, aten.lift_fresh, aten._local_scalar_dense, aten.is_same_size, torch.ops.prim.device,
}  # fmt: skip
"""Operations besides views for which nothing runs on a device."""


def _tensors(x: Any) -> Iterator[Tensor]:
    """Yield the tensors among what an operation is given or returns."""
    if isinstance(x, Tensor):
        yield x
    elif isinstance(x, list | tuple):
        for part in x:
            yield from _tensors(part)
    elif isinstance(x, dict):
        yield from _tensors(list(x.values()))


class _FromTheHost(TorchFunctionMode):
    """Notes each tensor that is made of Python's numbers: for a device it is a copy, of which no operation tells."""

    def __init__(self, ledger: "Ledger") -> None:
        super().__init__()
        self.ledger = ledger

    def __torch_function__(
        self,
        function: Callable[..., Any],
        _types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        made = function in (torch.tensor, torch.as_tensor, torch.asarray, torch.from_numpy)
        if made and not isinstance(args[0], Tensor):
            self.ledger.elsewhere.append(f"torch.{function.__name__}")
        return function(*args, **(kwargs or {}))


class Ledger(TorchDispatchMode):
    """Counts what is asked of a device while it is entered, under a ``FakeTensorMode``.

    Memory is what tensors of the device hold that were made inside, counted once for all views of it, and given back
    when the last of them is gone. It says nothing of an operation's own workspace.
    """

    def __init__(self, device: str = DEVICE) -> None:
        super().__init__()
        self.device = device
        self.largest = 0
        """bytes of the largest tensor"""
        self.largest_shape: tuple[int, ...] = ()
        self.in_use = 0
        self.peak = 0
        """most bytes held at a time"""
        self.launches = 0
        """operations that do work on the device; one of linear algebra or of sorting counts once"""
        self.flops = 0
        """of products of matrices and convolutions, a sum and a product being two"""
        self.moved = 0
        """bytes that operations read and wrote"""
        self.elsewhere: list[str] = []
        """operations with a tensor that is not on the device, copies from the host among them"""
        self._known: dict[int, Any] = {}
        self._made = _FromTheHost(self)

    def __enter__(self) -> "Ledger":
        self._made.__enter__()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._made.__exit__(*error)

    def __torch_dispatch__(
        self,
        operation: Any,
        _types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Do the operation and write it down."""
        kwargs = kwargs or {}
        given = [*_tensors(args), *_tensors(kwargs)]
        storages = {leaf.untyped_storage()._cdata for leaf in given}
        result = self.done(operation, args, kwargs)
        made = [*_tensors(result)]
        tensors = (*given, *made)
        if any(tensor.device.type != self.device for tensor in tensors):
            self.elsewhere.append(str(operation))
        if any(tensor.device.type == self.device for tensor in tensors) and not self._is_free(operation):
            self.launches += 1
            self.moved += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
            if (count := flop_registry.get(operation.overloadpacket)) is not None:
                self.flops += count(*args, **kwargs, out_val=result)
        for tensor in made:
            storage = tensor.untyped_storage()
            name = storage._cdata
            if tensor.device.type == self.device and name not in storages and name not in self._known:
                self._take(storage, tuple(tensor.shape))
        return result

    def done(self, operation: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Return what ``operation`` returns."""
        return operation(*args, **kwargs)

    @staticmethod
    def _is_free(operation: Any) -> bool:
        return operation.is_view or operation.overloadpacket in _FREE

    def _take(self, storage: torch.UntypedStorage, shape: tuple[int, ...]) -> None:
        size, name = storage.nbytes(), storage._cdata
        if size > self.largest:
            self.largest, self.largest_shape = size, shape
        self.in_use += size
        self.peak = max(self.peak, self.in_use)

        def give_back(_: Any) -> None:
            self.in_use -= size
            del self._known[name]

        self._known[name] = weakref.ref(storage, give_back)


class _Over(BaseException):  # no ``except Exception`` of a run shall keep it
    """A run has read what a loop has left."""


class RunLedger(Ledger):
    """The ledger of a whole run, which outside of steps lets values be read, and ends a run that is over."""

    def __init__(self, through: bool = False) -> None:
        super().__init__()
        self.through = through
        """whether a run goes on after its loops, and reads 1 wherever it reads a result"""
        self.fake = FakeTensorMode(allow_non_fake_inputs=True)
        self.inside = False
        """whether a step is being taken"""
        self.after = False
        """whether a loop is done, so that what is read is a result"""

    def done(self, operation: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Return what ``operation`` returns; a value that is read outside of steps is 1."""
        tensors = [*_tensors(args), *_tensors(kwargs)]
        on_device = any(tensor.device.type == self.device for tensor in tensors)
        name = operation.overloadpacket
        if on_device and self.inside:
            return operation(*args, **kwargs)
        if name == aten.randint and not on_device and not args[-1]:  # a roll of a die, on which a program may branch
            return self._real(operation, args, kwargs)
        if name == aten._to_copy and on_device and torch.device(kwargs.get("device") or DEVICE).type != DEVICE:
            self._read(on_device)
        try:
            return operation(*args, **kwargs)
        except (DataDependentOutputException, DynamicOutputShapeException):
            self._read(on_device)
            return _stand_in(name, args, tensors)

    def _real(self, operation: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
        """Return what ``operation``, which takes no tensor, returns for real: on the CPU, and its value is known."""
        with unset_fake_temporarily():
            value = operation(*args, **kwargs)
        return self.fake.fake_tensor_converter.from_real_tensor(self.fake, value, make_constant=True)

    def _read(self, on_device: bool) -> None:
        if self.after and on_device and not self.through:
            raise _Over


def _stand_in(name: Any, args: Sequence[Any], tensors: Sequence[Tensor]) -> Any:
    """Return what stands for a value, or for a tensor whose size depends on values: 1, and the largest there can be."""
    x = tensors[0]
    if name == aten._local_scalar_dense:
        return True if x.dtype == torch.bool else 1.0 if x.is_floating_point() else 1
    if name in (aten.equal, aten.is_nonzero):
        return True
    if name == aten.nonzero:
        return x.new_empty((x.numel(), x.dim()), dtype=torch.int64)
    if name == aten.masked_select:
        return x.new_empty(x.numel())
    if name == aten.index:  # with a mask: all that it could let through
        indices = [
            part for index in args[1] for part in
            ([None] if index is None else [index] if index.dtype != torch.bool else
             [index.new_zeros(index.numel(), dtype=torch.int64) for _ in range(index.dim())])
        ]  # fmt: skip
        return aten.index(x, indices)
    if name == aten._unique2:
        return x.flatten().clone(), torch.empty_like(x, dtype=torch.int64), x.new_empty(x.numel(), dtype=torch.int64)
    if name == aten.unique_dim:  # whole rows, columns, ..., and a place for each
        places = x.new_empty(x.shape[args[1]], dtype=torch.int64)
        return x.clone(), places, places.clone()
    if name == aten.bincount:  # every whole number at most as large as there are entries
        return x.new_empty(max(len(x), args[2] if len(args) > 2 else 0), dtype=torch.int64)
    raise UsageError(
        f"operation={str(name)!r}: expected one whose result has a size that a dry run knows, or a stand-in here"
    )


@dataclass
class Asked:
    """What a loop asks of a device: in a step, and at most."""

    title: str
    steps: int
    """that the loop has"""
    launches: int
    """operations in a step"""
    flops: int
    """of matrix products in a step"""
    moved: int
    """bytes that a step's operations read and write"""
    elsewhere: list[str]
    """copies from the host, and whatever else is not on the device, in a step"""
    largest: int
    """bytes of the largest tensor, of a step or a look"""
    peak: int
    """bytes of all tensors at the worst time, what was there before included"""
    graphs: int = 0
    """calls of compiled steps in a step: on a GPU, CUDA graphs that are replayed"""
    captured: int = 0
    """those of ``launches`` that are inside of them, before a compiler fuses some"""
    look_launches: int = 0
    """operations in a look"""


@dataclass
class Rehearsal:
    """Takes the place of the loops of a run: one step each, and one look."""

    ledger: RunLedger = field(default_factory=RunLedger)
    loops: list[Asked] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    """files of data that the run wants, and for each where it lies or what to do about it"""
    metrics: list[Metrics] = field(default_factory=list)
    """what each trial reports, where a run goes through to its end: names and shapes, the numbers mean nothing"""
    graphs: list[int] = field(default_factory=list)
    """operations in each call of a compiled step, in the step that is being taken"""

    def wants(self, file: str, whereabouts: str) -> None:
        """Note a file of data."""
        self.files[file] = whereabouts

    def step(self, title: str, steps: int, take: Callable[[], T]) -> T:
        """Return what a step returns, which is ``take``."""
        self.graphs.clear()
        result, asked = self._watched(take)
        self.loops.append(Asked(title, steps, *asked, len(self.graphs), sum(self.graphs)))
        self.ledger.after = True
        return result

    def look(self, take: Callable[[], T]) -> T:
        """Return what a look returns, which is ``take``; a look may read values."""
        ledger, loop = self.ledger, self.loops[-1]
        before, ledger.after, ledger.peak, ledger.largest = ledger.launches, False, ledger.in_use, 0
        result = take()
        loop.look_launches += ledger.launches - before
        loop.peak, loop.largest = max(loop.peak, ledger.peak), max(loop.largest, ledger.largest)
        ledger.after = True
        return result

    def graph(self, step: S) -> S:
        """Return ``step``, whose calls are counted, and the operations in them."""

        @functools.wraps(step)
        def run(*args: Any, **kwargs: Any) -> Any:
            before = self.ledger.launches
            result = step(*args, **kwargs)
            self.graphs.append(self.ledger.launches - before)
            return result

        return cast(S, run)

    def _watched(self, take: Callable[[], T]) -> tuple[T, tuple[int, int, int, list[str], int, int]]:
        ledger = self.ledger
        ledger.launches, ledger.flops, ledger.moved, ledger.elsewhere = 0, 0, 0, []
        ledger.largest, ledger.peak, ledger.inside = 0, ledger.in_use, True
        try:
            result = take()
        finally:
            ledger.inside = False
        elsewhere, ledger.elsewhere = ledger.elsewhere, []
        return result, (ledger.launches, ledger.flops, ledger.moved, elsewhere, ledger.largest, ledger.peak)


_now: ContextVar[Rehearsal | None] = ContextVar("rehearsal", default=None)


def rehearsal() -> Rehearsal | None:
    """Return the rehearsal that is under way, for those who load data: shapes are enough then. None: it is for real."""
    return _now.get()


class _Generator(torch.Generator):
    """A generator for a device that is not there, which torch has none for."""

    def __new__(cls, device: Any = "cpu") -> "_Generator":
        return super().__new__(cls, "cpu")  # type: ignore[call-arg]

    def __init__(self, device: Any = "cpu") -> None:
        super().__init__()
        self._place = torch.device(device)

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        """Where it draws."""
        return self._place


def _forget() -> None:
    """Empty what functions of this library keep: no tensor without numbers may stay, nor one with numbers get in."""
    for name, module in list(sys.modules.items()):
        for thing in list(vars(module).values()) if name.startswith("tutorlib.") else ():
            while type(thing) in (FunctionType, functools._lru_cache_wrapper):  # what checks arguments stands before it
                if type(thing) is functools._lru_cache_wrapper:
                    thing.cache_clear()
                thing = getattr(thing, "__wrapped__", None)


@contextmanager
def _nowhere(dry: Rehearsal) -> Iterator[None]:
    """Compute nothing meanwhile."""
    _forget()
    token = _now.set(dry)
    try:
        with ExitStack() as stack:
            stack.enter_context(patch.object(torch, "Generator", _Generator))
            stack.enter_context(dry.ledger.fake)
            stack.enter_context(dry.ledger)
            yield
    finally:
        _now.reset(token)
        _forget()


@checked()
def rehearse(
    experiment: Experiment, trials: Sequence[Trial], compile: bool = False, through: bool = False
) -> Rehearsal:
    """Run ``trials`` of ``experiment``, as one batch, for one step and one look of each of its loops.

    ``compile``: in the form that would be compiled, whose graphs are counted. ``through``: and then all that is
    measured at the end.

    Nothing is computed, and no data are read. Whoever mixes devices in a step, or waits there for a value, raises what
    torch raises.
    """
    dry = Rehearsal(RunLedger(through))
    with _nowhere(dry), suppress(_Over):
        dry.metrics = experiment.run(trials, Context(torch.device(DEVICE), compile=compile, dry=dry))
    return dry


__all__ = ["DEVICE", "GB", "Asked", "Ledger", "Rehearsal", "RunLedger", "rehearsal", "rehearse"]
