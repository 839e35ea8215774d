"""Meta-training that was killed goes on bit by bit as if nothing had happened; one that diverges stops and says so."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tutorlib.lab import Cell, Checkpoint, Context
from tutorlib.lab.errors import CheckpointError, NonFiniteError
from tutorlib.papers.gpicl import algorithm
from tutorlib.papers.gpicl.algorithm import Config, meta_train

CONFIG = Config(
    steps=200, evaluations=4, warmup=20, width=8, layers=1, heads=2, head_dim=4, batch=4, length=8, clip=0.3
)
CELLS = [Cell(CONFIG, 0), Cell(replace(CONFIG, tasks=5, bias=0.5, rate=1e-2), 1)]

KILLED = f"""
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_resume
test_resume.be_killed(Path(sys.argv[1]), int(sys.argv[2]))
"""


def look(f, theta):
    return theta.norm(dim=-1)


def be_killed(path: Path, cells: int, at: int = 137) -> None:
    """Train, and be killed in the middle of a step after the checkpoint of step 100."""
    torch.set_num_threads(1)
    adam = algorithm.adam

    def deadly(state, g, step, c, h):
        if step == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return adam(state, g, step, c, h)

    algorithm.adam = deadly
    meta_train(CELLS[:cells], Context(checkpoint=Checkpoint(path, "a")), look)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("cells", [1, 2], ids=["one run", "a batch"])
def test_a_killed_run_goes_on_bit_by_bit(tmp_path: Path, cells: int, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "run.ckpt"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path), str(cells)])
    assert killed.returncode == -signal.SIGKILL
    assert Checkpoint(path, "a").load()["step"] == 100

    steps = []
    meta_step = algorithm.meta_step

    def counted(f, base, state, step, c, h):
        steps.append(step)
        return meta_step(f, base, state, step, c, h)

    monkeypatch.setattr(algorithm, "meta_step", counted)
    resumed = meta_train(CELLS[:cells], Context(checkpoint=Checkpoint(path, "a")), look)
    assert steps == list(range(100, 200))
    undisturbed = meta_train(CELLS[:cells], Context(), look)
    assert steps == [*range(100, 200), *range(200)]
    assert torch.equal(resumed.theta, undisturbed.theta)
    assert torch.equal(resumed.losses, undisturbed.losses)
    assert resumed.losses.shape[0] == 200
    assert len(resumed.looks) == len(undisturbed.looks) == 4
    for a, b in zip(resumed.looks, undisturbed.looks, strict=True):
        assert torch.equal(a, b)
    # The state that both were left with: the next step would be the same too.
    kept = Checkpoint(path, "a").load()
    assert kept["step"] == 200
    assert torch.equal(kept["state"][0], undisturbed.theta)


def test_a_finished_run_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    checkpoint = Checkpoint(tmp_path / "run.ckpt", "a")
    first = meta_train(CELLS[:1], Context(checkpoint=checkpoint), look)
    monkeypatch.setattr(algorithm, "meta_step", lambda *_: pytest.fail("it took a step"))
    again = meta_train(CELLS[:1], Context(checkpoint=checkpoint), look)
    assert torch.equal(first.theta, again.theta)
    assert torch.equal(first.losses, again.losses)


def test_the_checkpoint_of_another_configuration_is_refused(tmp_path: Path):
    meta_train(CELLS[:1], Context(checkpoint=Checkpoint(tmp_path / "run.ckpt", "a")))
    with pytest.raises(CheckpointError, match="expected the state of configuration b, found that of a"):
        meta_train(CELLS[1:], Context(checkpoint=Checkpoint(tmp_path / "run.ckpt", "b")))


@pytest.mark.parametrize("cells", [1, 2], ids=["one run", "a batch"])
def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path, cells: int, monkeypatch: pytest.MonkeyPatch):
    meta_step = algorithm.meta_step

    def fatal(f, base, state, step, c, h):
        if step == 120:  # up to here all was well; from here on the last cell's rate is huge
            h = h._replace(rate=torch.tensor([2e-3, 1e38])[2 - cells :])
        return meta_step(f, base, state, step, c, h)

    monkeypatch.setattr(algorithm, "meta_step", fatal)
    checkpoint = Checkpoint(tmp_path / "run.ckpt", "a")
    with pytest.raises(NonFiniteError) as error:
        meta_train([*CELLS[: cells - 1], Cell(CONFIG, 4)], Context(checkpoint=checkpoint))
    message = str(error.value)
    assert "at step 122 of 200 (seed 4)" in message
    assert "expected a finite number" in message
    assert "the last good checkpoint is kept" in message
    assert "\n" not in message
    kept = checkpoint.load()
    assert kept["step"] == 100
    assert all(part.isfinite().all() for part in kept["state"])
    assert kept["losses"].isfinite().all()


@pytest.mark.parametrize("part", ["theta", "m", "v"])
def test_a_step_just_before_a_look_that_is_not_finite_is_never_kept(tmp_path: Path, monkeypatch, part: str):
    """No loss is computed from it before the look: weights, and Adam's moments, are looked at themselves."""
    adam = algorithm.adam

    def poisoned(state, g, step, c, h):
        state = adam(state, g, step, c, h)
        return state._replace(**{part: getattr(state, part) + torch.inf}) if step == 99 else state

    monkeypatch.setattr(algorithm, "adam", poisoned)
    checkpoint = Checkpoint(tmp_path / "run.ckpt", "a")
    with pytest.raises(
        NonFiniteError, match=rf"^{part} is not finite after step 100 of 200 \(seed 0\): .* 0.002 may help"
    ):
        meta_train(CELLS[:1], Context(checkpoint=checkpoint))
    assert checkpoint.load()["step"] == 50


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.update(step=99),
        lambda s: s.update(step=400),
        lambda s: s.pop("losses"),
        lambda s: s.update(state=[part.double() for part in s["state"]]),
        lambda s: s.update(losses=s["losses"][:-1]),
        lambda s: s["looks"].pop(),
    ],
)
def test_a_checkpoint_of_other_content_is_refused(tmp_path: Path, change):
    checkpoint = Checkpoint(tmp_path / "run.ckpt", "a")
    meta_train(CELLS[:1], Context(checkpoint=checkpoint), look)
    state = checkpoint.load()
    change(state)
    checkpoint.save(state)
    with pytest.raises(CheckpointError, match="expected a state that this run can go on from, found"):
        meta_train(CELLS[:1], Context(checkpoint=checkpoint), look)


def test_a_huge_rate_stops_the_run():
    with pytest.raises(NonFiniteError, match=r"loss=nan at step \d+ of 200 .* a smaller rate than 1e\+37 may help"):
        meta_train([Cell(replace(CONFIG, rate=1e37), 0)], Context())
