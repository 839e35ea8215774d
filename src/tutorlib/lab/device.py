"""Where code runs: the one place that chooses a device and describes it."""

import os
import platform

import torch

from tutorlib.lab.errors import bad_argument, checked


@checked()
def pick_device(name: str | None = None, here: bool = True) -> torch.device:
    """Return the device called ``name``, else ``TUTORLIB_DEVICE``, else CUDA where there is one, else the CPU.

    Raises ``UsageError`` if the name is not a torch device or, unless ``here`` is false because the work goes to
    other machines, if this machine does not have it.
    """
    source = "device"
    if name is None and (name := os.environ.get("TUTORLIB_DEVICE") or None):
        source = "TUTORLIB_DEVICE"
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise bad_argument(source, name, "'cpu', 'cuda' or 'cuda:N'") from None
    if device.type not in ("cpu", "cuda"):
        raise bad_argument(source, name, "'cpu', 'cuda' or 'cuda:N'")
    if here and device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise bad_argument(source, name, f"a device of this machine, which has {found} CUDA devices")
    return device


@checked()
def device_name(device: torch.device) -> str:
    """Return a name that a reader recognises, such as ``NVIDIA H200`` or ``CPU (x86_64)``."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU ({platform.machine()})"
