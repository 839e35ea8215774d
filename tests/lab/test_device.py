import platform
import re
from pathlib import Path

import pytest
import torch

from tutorlib.lab import UsageError, device_name, pick_device

CUDA = torch.device("cuda")


@pytest.fixture(autouse=True)
def no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TUTORLIB_DEVICE", raising=False)


def test_the_device_is_the_named_one_else_that_of_the_environment_else_cuda(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device() == CUDA
    monkeypatch.setenv("TUTORLIB_DEVICE", "")
    assert pick_device() == CUDA
    monkeypatch.setenv("TUTORLIB_DEVICE", "cuda:1")
    assert pick_device() == torch.device("cuda:1")
    assert pick_device("cpu") == torch.device("cpu")
    monkeypatch.delenv("TUTORLIB_DEVICE")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device() == torch.device("cpu")


@pytest.mark.parametrize("name", ["", "tpu", "gpu", "mps", "meta", "cuda:x", "cuda:-1", "cpu cuda"])
def test_what_is_no_device_is_refused(name: str):
    with pytest.raises(UsageError, match=r"^device=.*: expected 'cpu', 'cuda' or 'cuda:N'$"):
        pick_device(name)


def test_a_device_that_is_not_here_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert pick_device("cuda:0") == torch.device("cuda:0")
    with pytest.raises(UsageError, match="^device='cuda:1': expected a device of this machine, which has 1 CUDA"):
        pick_device("cuda:1")
    assert pick_device("cuda:1", here=False) == torch.device("cuda:1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setenv("TUTORLIB_DEVICE", "cuda")
    with pytest.raises(UsageError, match="^TUTORLIB_DEVICE='cuda': expected a device of this machine, which has 0"):
        pick_device()


def test_the_name_of_a_device(monkeypatch: pytest.MonkeyPatch):
    assert device_name(torch.device("cpu")) == f"CPU ({platform.machine()})"
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"Card {device.index}")
    assert device_name(torch.device("cuda:3")) == "Card 3"


def test_a_device_is_picked_with_products_in_float32(monkeypatch: pytest.MonkeyPatch):
    """torch's default takes TF32 for convolutions."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    torch.set_float32_matmul_precision("high")
    try:
        pick_device("cpu")
        assert torch.get_float32_matmul_precision() == "highest"
        assert not torch.backends.cuda.matmul.allow_tf32
        assert not torch.backends.cudnn.allow_tf32
    finally:
        torch.set_float32_matmul_precision("highest")


def test_no_other_file_sets_a_precision():
    root = Path(__file__).parents[2]
    setting = re.compile(r"torch\.backends\.\S+ *=[^=]|set_float32_matmul_precision|autocast|allow_tf32|fp32_precision")
    files = [path for folder in ("src", "benchmarks", "notebooks", "book") for path in (root / folder).rglob("*.py")]
    files += (root / "notebooks").rglob("*.md")
    found = {path.relative_to(root).as_posix() for path in files if setting.search(path.read_text(encoding="utf-8"))}
    assert found == {"src/tutorlib/lab/device.py"}
