import os
import pickle
import re
from pathlib import Path

import pytest
import torch

from tutorlib.lab import Checkpoint
from tutorlib.lab.checkpoint import Rows, kept_trials, write_atomically
from tutorlib.lab.errors import CheckpointError, StorageError, TutorlibError

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


def test_another_layout_is_refused(tmp_path: Path):
    path = tmp_path / "run.ckpt"
    for layout, content in ((1, {}), (99, {"layout": 99})):
        torch.save({"fingerprint": "a", "state": {}} | content, path)
        with pytest.raises(CheckpointError, match=f"expected layout 3, found {layout}, of another version"):
            Checkpoint(path, "a").load()


def test_the_cells_of_a_state_are_found_without_reading_it(tmp_path: Path):
    path = tmp_path / "run.ckpt"
    Checkpoint(path, "a", ["k1", "k2"]).save(STATE)
    assert kept_trials(path) == ("k1", "k2")
    assert kept_trials(tmp_path / "none.ckpt") == ()
    torch.save({"fingerprint": "a", "cells": ["k1"], "state": {}}, path)
    assert kept_trials(path) == ()
    path.write_bytes(path.read_bytes()[:50])
    assert kept_trials(path) == ()


def like(step: int) -> dict[str, object]:
    return {
        "theta": torch.zeros(3),
        "moments": [torch.zeros(3), torch.zeros(3)],
        "losses": Rows(step),
        "looks": Rows(step // 2),
        "updates": 0,
        "names": [str],
    }


def whole(step: int = 4) -> dict[str, object]:
    return {
        "step": step,
        "theta": torch.arange(3.0),
        "moments": [torch.ones(3), torch.ones(3)],
        "losses": torch.zeros(step, 2),
        "looks": [torch.zeros(5)] * (step // 2),
        "updates": 9,
        "names": ["a"],
    }


def test_a_state_that_a_run_can_go_on_from_is_taken_up(tmp_path: Path):
    checkpoint = Checkpoint(tmp_path / "run.ckpt", "a")
    assert checkpoint.resume("cpu", "step", range(2, 9, 2), like) is None
    checkpoint.save(whole())
    found = checkpoint.resume("cpu", "step", range(2, 9, 2), like)
    assert found is not None
    assert torch.equal(found["theta"], torch.arange(3.0))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: s.update(step=99), "step=99, expected one of 2, ..., 8"),
        (lambda s: s.update(step=3), "step=3, expected"),
        (lambda s: s.update(step=True), "step=True, expected"),
        (lambda s: s.update(step=torch.tensor(4)), "step=tensor.*expected"),
        (lambda s: s.pop("step"), "step=None, expected"),
        (lambda s: s.pop("theta"), "state of .*'updates'., expected .*'theta'"),
        (lambda s: s.update(more=1), "state of .*'more'"),
        (lambda s: s.update(theta=torch.zeros(3).double()), r"theta of float64 \(3,\), expected float32 \(3,\)"),
        (lambda s: s.update(theta=torch.zeros(4)), r"theta of float32 \(4,\), expected float32 \(3,\)"),
        (lambda s: s.update(theta=[0.0]), r"theta of list, expected float32 \(3,\)"),
        (lambda s: s["moments"].pop(), "moments of another length than 2"),
        (lambda s: s["moments"].__setitem__(1, torch.zeros(2)), r"moments\[1\] of float32 \(2,\), expected"),
        (lambda s: s.update(losses=torch.zeros(5, 2)), "losses of other rows than 4"),
        (lambda s: s.update(losses=torch.tensor(1.0)), "losses of other rows than 4"),
        (lambda s: s["looks"].append(torch.zeros(5)), "looks of other rows than 2"),
        (lambda s: s.update(looks=["a", "b"]), "looks of other rows than 2"),
        (lambda s: s.update(updates=1.5), "updates of float, expected int"),
        (lambda s: s.update(names=[1]), r"names\[0\] of int, expected str"),
    ],
)
def test_a_state_that_no_run_can_have_written_is_refused(tmp_path: Path, change, says):
    state = whole()
    change(state)
    checkpoint = Checkpoint(tmp_path / "run.ckpt", "a")
    checkpoint.save(state)
    with pytest.raises(CheckpointError, match=f"expected a state that this run can go on from, found {says}") as error:
        checkpoint.resume("cpu", "step", range(2, 9, 2), like)
    assert str(checkpoint.path) in str(error.value)
    assert "\n" not in str(error.value)


class Attack:
    """A pickle that makes a file when it is loaded as pickles are."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return (os.mkdir, (str(self.target),))


@pytest.mark.parametrize("write", [torch.save, lambda x, path: path.write_bytes(pickle.dumps(x))], ids=["zip", "plain"])
def test_code_in_a_checkpoint_does_not_run(tmp_path: Path, write):
    path, target = tmp_path / "run.ckpt", tmp_path / "ran"
    write({"layout": 2, "fingerprint": "a", "cells": ["a"], "state": {"x": Attack(target)}}, path)
    with pytest.raises(CheckpointError):
        Checkpoint(path, "a").load()
    assert kept_trials(path) == ()
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
    with pytest.raises(OSError, match=re.escape(f"file={str(path)!r}: expected a file that can be written (No sp")):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_a_file_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"^file='.*/file/a': expected a file that can be written \(.*\)$"):
        write_atomically(tmp_path / "file" / "a", b"")


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
