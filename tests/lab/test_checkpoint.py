import os
import pickle
import re
from pathlib import Path

import pytest
import torch

from tutorlib.lab import Checkpoint
from tutorlib.lab.checkpoint import write_atomically
from tutorlib.lab.errors import CheckpointError, TutorlibError

STATE = {"theta": torch.arange(3.0), "step": 7, "losses": [torch.zeros(2)], "note": {"a": 1.5}}


def test_what_was_saved_is_loaded(tmp_path: Path):
    checkpoint = Checkpoint(tmp_path / "deep" / "run.ckpt", "a")
    assert checkpoint.load() is None
    checkpoint.save(STATE)
    found = checkpoint.load("cpu")
    assert torch.equal(found["theta"], STATE["theta"])
    assert (found["step"], found["note"]) == (7, {"a": 1.5})
    checkpoint.save({"step": 8})
    assert checkpoint.load() == {"step": 8}
    checkpoint.clear()
    checkpoint.clear()
    assert checkpoint.load() is None


def test_the_state_of_another_configuration_is_refused(tmp_path: Path):
    path = tmp_path / "run.ckpt"
    Checkpoint(path, "a").save(STATE)
    with pytest.raises(CheckpointError) as error:
        Checkpoint(path, "b").load()
    assert str(path) in str(error.value)
    assert "expected the state of configuration b, found that of a" in str(error.value)
    assert isinstance(error.value, TutorlibError)


@pytest.mark.parametrize("keep", [0, 1, 100, 0.5, -1])
def test_a_torn_file_is_refused(tmp_path: Path, keep: float):
    path = tmp_path / "run.ckpt"
    Checkpoint(path, "a").save(STATE)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep) if 0 < keep < 1 else keep])
    with pytest.raises(CheckpointError, match=re.escape(f"checkpoint={str(path)!r}: expected a file written by")):
        Checkpoint(path, "a").load()


@pytest.mark.parametrize("content", [{}, [1, 2], {"state": {}}, {"fingerprint": "a"}], ids=repr)
def test_a_foreign_file_is_refused(tmp_path: Path, content: object):
    torch.save(content, tmp_path / "run.ckpt")
    with pytest.raises(CheckpointError, match="torn or foreign"):
        Checkpoint(tmp_path / "run.ckpt", "a").load()


class Attack:
    """A pickle that makes a file when it is loaded as pickles are."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return (os.mkdir, (str(self.target),))


@pytest.mark.parametrize("write", [torch.save, lambda x, path: path.write_bytes(pickle.dumps(x))], ids=["zip", "plain"])
def test_code_in_a_checkpoint_does_not_run(tmp_path: Path, write):
    path, target = tmp_path / "run.ckpt", tmp_path / "ran"
    write({"fingerprint": "a", "state": {"x": Attack(target)}}, path)
    with pytest.raises(CheckpointError):
        Checkpoint(path, "a").load()
    assert not target.exists()
    torch.save({"x": Attack(target)}, path)
    torch.load(path, weights_only=False)  # so it is not for want of a working attack
    assert target.exists()


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    order = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (order.append("fsync"), fsync(handle)))
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append(Path(a).read_bytes()), replace(a, b)))
    write_atomically(tmp_path / "file", b"content")
    assert order == ["fsync", b"content"]


def test_others_may_read_what_is_written(tmp_path: Path):
    before = os.umask(0o022)
    try:
        write_atomically(tmp_path / "file", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


@pytest.mark.gpu
def test_a_state_moves_between_devices(tmp_path: Path):
    checkpoint = Checkpoint(tmp_path / "run.ckpt", "a")
    checkpoint.save({"theta": torch.arange(3.0, device="cuda")})
    assert checkpoint.load("cuda")["theta"].device.type == "cuda"
    assert torch.equal(checkpoint.load("cpu")["theta"], torch.arange(3.0))
