"""Checkpoints: atomic, loaded without executing anything, and bound to the configuration that wrote them."""

import io
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from tutorlib.lab.errors import CheckpointError, checked


@checked()
def write_atomically(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``: a reader, and a killed writer, leave the old file or the new, whole.

    A writer that is killed leaves its temporary file behind, named ``.<name of the file>.<random>``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


class Checkpoint:
    """The state of one run in one file.

    ``fingerprint`` names the configuration; a state written under another one is refused with
    ``CheckpointError``.
    """

    @checked()
    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path = path
        self.fingerprint = fingerprint

    @checked()
    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the file by ``state`` (tensors, numbers, text, and lists and dicts of them)."""
        buffer = io.BytesIO()
        torch.save({"fingerprint": self.fingerprint, "state": dict(state)}, buffer)
        write_atomically(self.path, buffer.getvalue())

    def load(self, device: torch.device | str = "cpu") -> dict[str, Any] | None:
        """Return the saved state with its tensors on ``device``, or None if nothing was saved.

        Raises ``CheckpointError`` if the file is torn or of another configuration.
        """
        if not self.path.exists():
            return None
        try:
            content = torch.load(self.path, map_location=device, weights_only=True)
            fingerprint, state = content["fingerprint"], content["state"]
        except Exception as error:
            raise CheckpointError(
                f"checkpoint={str(self.path)!r}: expected a file written by this library, "
                f"found a torn or foreign one; delete it and start again"
            ) from error
        if fingerprint != self.fingerprint:
            raise CheckpointError(
                f"checkpoint={str(self.path)!r}: expected the state of configuration {self.fingerprint}, "
                f"found that of {fingerprint}; delete it or run the configuration it belongs to"
            )
        return state

    def clear(self) -> None:
        """Remove the file, if there is one."""
        self.path.unlink(missing_ok=True)
