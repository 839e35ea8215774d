"""The check of a run's whole state, which every loop makes where it looks: one that is not finite is never kept."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from tutorlib.lab.errors import NonFiniteError


def expect_finite(parts: Mapping[str, Any], when: str, seeds: Sequence[int] = (), advice: str = "") -> None:
    """Raise ``NonFiniteError`` for the first of ``parts`` that holds an infinity or a NaN.

    ``parts`` are tensors by the names that the sentence gives them, and lists and tuples of tensors; whole numbers and
    truth values in them are always fine. ``when`` is, for instance, 'after step 500'. ``seeds`` are those of the runs:
    of several, a tensor's first axis tells which. ``advice`` ends the sentence.

    Weights alone are not enough: a squared gradient that overflows leaves Adam's second moment infinite and every later
    step zero, and what no longer moves looks like a run that learns nothing.
    """
    for name, part in parts.items():
        for tensor in _tensors(part):
            if not tensor.is_floating_point() or bool((fine := tensor.isfinite()).all()):
                continue
            whose = ""
            if len(seeds) == 1:
                whose = f" (seed {seeds[0]})"
            elif seeds and tensor.dim() > 0 and len(tensor) == len(seeds):
                whose = f" (seed {seeds[int((~fine.flatten(1)).any(dim=1).nonzero()[0])]})"
            tail = f", {advice}" if advice else ""
            raise NonFiniteError(
                f"{name} is not finite {when}{whose}: expected finite numbers; the last finite checkpoint is kept{tail}"
            )


def _tensors(part: Any) -> Iterator[Tensor]:
    if isinstance(part, Tensor):
        yield part
    elif isinstance(part, list | tuple):
        for each in part:
            yield from _tensors(each)


__all__ = ["expect_finite"]
