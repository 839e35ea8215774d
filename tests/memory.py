"""What a computation asks of a device, found without one: its memory, and whether it keeps to the device.

Under ``FakeTensorMode`` tensors have shapes and a device and no numbers, so a step at a paper's sizes runs in seconds
on any machine; tensors on "meta" obey the rules of a device: to mix them with others, or to read a value, raises.
Inside it a ``Ledger`` watches every operation that reaches the device, those of gradients and of vmap too:

    with FakeTensorMode():
        x = torch.empty(10**6, device="meta")
        with Ledger() as ledger:
            (x * 2).sum()
    ledger.largest, ledger.peak, ledger.elsewhere

Memory is what tensors hold that were made inside, counted once for all views of it, and given back when the last of
them is gone. It says nothing of an operation's own workspace.
"""

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

GB = 10**9


class _FromTheHost(TorchFunctionMode):
    """Notes each tensor that is made of Python's numbers: for a device it is a copy, of which no operation tells."""

    def __init__(self, noted: list[str]) -> None:
        super().__init__()
        self.noted = noted

    def __torch_function__(
        self,
        function: Callable[..., Any],
        _types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if function in (torch.tensor, torch.as_tensor, torch.asarray, torch.from_numpy) and not isinstance(
            args[0], Tensor
        ):
            self.noted.append(f"torch.{function.__name__}")
        return function(*args, **(kwargs or {}))


class Ledger(TorchDispatchMode):
    """Counts bytes and looks at devices while it is entered."""

    def __init__(self, device: str = "meta") -> None:
        super().__init__()
        self.device = device
        self.largest = 0
        """bytes of the largest tensor"""
        self.largest_shape: tuple[int, ...] = ()
        self.held = 0
        self.peak = 0
        """most bytes held at a time"""
        self.elsewhere: list[str] = []
        """operations with a tensor that is not on the device, copies from the host among them"""
        self._known: dict[int, Any] = {}
        self._made = _FromTheHost(self.elsewhere)

    def __enter__(self) -> Self:
        self._made.__enter__()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._made.__exit__(*error)

    def __torch_dispatch__(
        self,
        operation: Callable[..., Any],
        _types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        storages = {leaf.untyped_storage()._cdata for leaf in given}
        found = operation(*args, **(kwargs or {}))
        made = [leaf for leaf in tree_leaves(found) if isinstance(leaf, Tensor)]
        if any(tensor.device.type != self.device for tensor in (*given, *made)):
            self.elsewhere.append(str(operation))
        for tensor in made:
            storage = tensor.untyped_storage()
            if storage._cdata not in storages and storage._cdata not in self._known:
                self._take(storage, tuple(tensor.shape))
        return found

    def _take(self, storage: torch.UntypedStorage, shape: tuple[int, ...]) -> None:
        size, name = storage.nbytes(), storage._cdata
        if size > self.largest:
            self.largest, self.largest_shape = size, shape
        self.held += size
        self.peak = max(self.peak, self.held)

        def give_back(_: Any) -> None:
            self.held -= size
            del self._known[name]

        self._known[name] = weakref.ref(storage, give_back)
