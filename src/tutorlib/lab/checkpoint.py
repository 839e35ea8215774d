"""Checkpoints: atomic, loaded without executing anything, and bound to the configuration that wrote them."""

import io
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tutorlib.lab.errors import CheckpointError, checked, refused_by_system

LAYOUT = 3
"""Version of what a file holds around a state; another one is refused, never guessed at."""


@checked()
def write_atomically(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``: a reader, and a killed writer, leave the old file or the new, whole.

    A writer that is killed leaves its temporary file behind, named ``.<name of the file>.<random>``. Raises
    ``StorageError``, which is an ``OSError`` too, where the system refuses: a full disk, a folder that is a file.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        _remove(temporary)
        raise refused_by_system("file", path, "a file that can be written", error) from error
    except BaseException:
        _remove(temporary)
        raise


def _remove(path: Path) -> None:
    """Remove ``path`` if that can be done; where not, there is an error already that says why."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Rows:
    """In what a state must be like: a tensor with so many rows, or a list of so many tensors."""

    count: int


class Checkpoint:
    """The state of one run in one file.

    ``fingerprint`` names the configuration; a state written under another one is refused with
    ``CheckpointError``. ``trials`` are the keys of the trials that run as one batch: by any of them it is found again.
    """

    @checked()
    def __init__(self, path: Path, fingerprint: str, trials: Sequence[str] = ()) -> None:
        self.path = path
        self.fingerprint = fingerprint
        self.trials = tuple(trials)

    @checked()
    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the file by ``state`` (tensors, numbers, text, and lists and dicts of them).

        Raises ``StorageError`` if it cannot be written.
        """
        buffer = io.BytesIO()
        # "cells" is what files of this layout call trials.
        around = {"layout": LAYOUT, "fingerprint": self.fingerprint, "cells": list(self.trials)}
        torch.save(around | {"state": dict(state)}, buffer)
        write_atomically(self.path, buffer.getvalue())

    def load(self, device: torch.device | str = "cpu") -> dict[str, Any] | None:
        """Return the saved state with its tensors on ``device``, or None if nothing was saved.

        Raises ``CheckpointError`` if the file is torn, of another configuration, or of another layout.
        """
        if not self.path.exists():
            return None
        try:
            content = torch.load(self.path, map_location=device, weights_only=True)
            fingerprint, state = content["fingerprint"], dict(content["state"])
        except Exception as error:
            raise CheckpointError(
                f"checkpoint={str(self.path)!r}: expected a file written by this library, "
                f"found a torn or foreign one; delete it and start again"
            ) from error
        if content.get("layout") != LAYOUT:
            raise CheckpointError(
                f"checkpoint={str(self.path)!r}: expected layout {LAYOUT}, found {content.get('layout', 1)}, of "
                f"another version of the library; delete it and start again"
            )
        if fingerprint != self.fingerprint:
            raise CheckpointError(
                f"checkpoint={str(self.path)!r}: expected the state of configuration {self.fingerprint}, "
                f"found that of {fingerprint}; delete it or run the configuration it belongs to"
            )
        return state

    def resume(
        self, device: torch.device | str, counter: str, steps: range, like: Callable[[int], Mapping[str, Any]]
    ) -> dict[str, Any] | None:
        """Return the saved state as ``load`` does, if a run of these steps can go on from it.

        Its entry ``counter`` is one of ``steps``; its other entries are those of ``like(step)``: tensors of the same
        shape and dtype, ``Rows``, types, and lists of them.

        Raises ``CheckpointError`` for any other state, so that no run goes on from what it cannot have written.
        """
        state = self.load(device)
        if state is None:
            return None
        step = state.get(counter)
        if type(step) is not int or step not in steps:
            wrong: str | None = f"{counter}={step!r}, expected one of {steps.start}, ..., {steps[-1]}"
        else:
            wrong = _difference("state", state, {counter: int} | dict(like(step)))
        if wrong:
            raise CheckpointError(
                f"checkpoint={str(self.path)!r}: expected a state that this run can go on from, found {wrong}; "
                f"delete it and start again"
            )
        return state

    def of_run(self, run: int) -> "Checkpoint":
        """Return the place of the last finite state of one run of the batch, which diverged: ``<its key>.last``."""
        key = self.trials[run] if self.trials else self.fingerprint
        return Checkpoint(self.path.with_name(f"{key}.last"), key)

    def clear(self) -> None:
        """Remove the file, if there is one."""
        self.path.unlink(missing_ok=True)


def _difference(name: str, value: Any, like: Any) -> str | None:
    """Return in words where ``value`` is not like ``like``, or None."""
    if isinstance(like, Mapping):
        if not isinstance(value, dict) or set(value) != set(like):
            shown = sorted(map(str, value)) if isinstance(value, dict) else type(value).__name__
            return f"{name} of {shown}, expected {sorted(like)}"
        return next(filter(None, (_difference(key, value[key], like[key]) for key in like)), None)
    if isinstance(like, list | tuple):
        if not isinstance(value, list) or len(value) != len(like):
            return f"{name} of another length than {len(like)}"
        parts = zip(value, like, strict=True)
        return next(filter(None, (_difference(f"{name}[{i}]", *pair) for i, pair in enumerate(parts))), None)
    if isinstance(like, Rows):
        tensors = isinstance(value, Tensor) and value.dim() > 0
        fine = tensors or (isinstance(value, list) and all(isinstance(row, Tensor) for row in value))
        return None if fine and len(value) == like.count else f"{name} of other rows than {like.count}"
    if isinstance(like, Tensor):
        shown = _kind(value) if isinstance(value, Tensor) else type(value).__name__
        return None if shown == _kind(like) else f"{name} of {shown}, expected {_kind(like)}"
    kind = like if isinstance(like, type) else type(like)
    return None if type(value) is kind else f"{name} of {type(value).__name__}, expected {kind.__name__}"


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def kept_trials(path: Path) -> tuple[str, ...]:
    """Return the keys of the trials whose state is in ``path``; none if it cannot be read, or is not of this layout."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)  # no tensor is read
        return tuple(map(str, content["cells"])) if content["layout"] == LAYOUT else ()
    except Exception:  # whoever needs the state is told why it cannot be read
        return ()
