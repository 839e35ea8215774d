"""Where code runs: the one place that chooses a device and describes it."""

import os
import platform
import warnings

import torch

from tutorlib.lab.errors import bad_argument, checked


@checked()
def pick_device(name: str | None = None, here: bool = True) -> torch.device:
    """Return the device called ``name``, else ``TUTORLIB_DEVICE``, else CUDA where there is one, else the CPU.

    What is computed is float32 from then on: see ``PRECISION``.

    Raises ``UsageError`` if the name is not a torch device or, unless ``here`` is false because the work goes to
    other machines, if this machine does not have it.
    """
    keep_float32()
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
        count = torch.cuda.device_count()
        raise bad_argument(source, name, f"a device of this machine, which has {count} CUDA devices")
    return device


PRECISION = "float32, no TF32 and no bfloat16: no GPU has yet shown what either changes in a result"
"""In what numbers everything is computed, and why: the one policy. A test of a result on a GPU comes before another."""


def keep_float32() -> None:
    """Let products of matrices and convolutions be float32 on a GPU, where torch would take TF32 for convolutions."""
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    # What torch's compiler says to that is advice to take TF32.
    warnings.filterwarnings("ignore", message="TensorFloat32 tensor cores", category=UserWarning)


@checked()
def device_name(device: torch.device) -> str:
    """Return a name that a reader recognises, such as ``NVIDIA H200`` or ``CPU (x86_64)``."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU ({platform.machine()})"
