"""Meta-training that was killed goes on bit by bit as if nothing had happened; one that diverges stops and says so."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tutorlib.lab import Checkpoint, Context, Trial
from tutorlib.lab.errors import CheckpointError, NonFiniteError
from tutorlib.papers.gpicl import algorithm
from tutorlib.papers.gpicl.algorithm import Config, meta_train

CONFIG = Config(
    steps=200, num_evals=4, warmup=20, width=8, layers=1, heads=2, head_dim=4, batch=4, length=8, max_grad_norm=0.3
)
CELLS = [Trial(CONFIG, 0), Trial(replace(CONFIG, tasks=5, bias=0.5, lr=1e-2), 1)]

KILLED = f"""
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_resume
test_resume.be_killed(Path(sys.argv[1]), int(sys.argv[2]))
"""


def look(f, theta):
    return theta.norm(dim=-1)


def be_killed(path: Path, trials: int, at: int = 137) -> None:
    """Train, the state being kept after every step, and be killed in the middle of a step."""
    torch.set_num_threads(1)
    adam = algorithm.adam

    def deadly(state, g, step, c, h):
        if step == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return adam(state, g, step, c, h)

    algorithm.adam = deadly
    meta_train(CELLS[:trials], Context(checkpoint=Checkpoint(path, "a"), save_every=0.0), look)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("trials", [1, 2], ids=["one run", "a batch"])
def test_a_killed_run_goes_on_bit_by_bit(tmp_path: Path, trials: int, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "run.ckpt"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path), str(trials)])
    assert killed.returncode == -signal.SIGKILL
    assert Checkpoint(path, "a").load()["step"] == 137

    steps = []
    meta_step = algorithm.meta_step

    def counted(f, base, state, step, c, h):
        steps.append(step)
        return meta_step(f, base, state, step, c, h)

    monkeypatch.setattr(algorithm, "meta_step", counted)
    resumed = meta_train(CELLS[:trials], Context(checkpoint=Checkpoint(path, "a")), look)
    assert steps == list(range(137, 200))
    undisturbed = meta_train(CELLS[:trials], Context(), look)
    assert steps == [*range(137, 200), *range(200)]
    assert torch.equal(resumed.theta, undisturbed.theta)
    assert torch.equal(resumed.losses, undisturbed.losses)
    assert resumed.losses.shape[0] == 200
    assert len(resumed.evals) == len(undisturbed.evals) == 4
    for a, b in zip(resumed.evals, undisturbed.evals, strict=True):
        assert torch.equal(a, b)
    # The state that both were left with: the next step would be the same too.
    kept = Checkpoint(path, "a").load()
    assert kept["step"] == 200
    assert torch.equal(kept["state"][0], undisturbed.theta)


def test_a_finished_run_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    checkpoint = Checkpoint(tmp_path / "run.ckpt", "a")
    first = meta_train(CELLS[:1], Context(checkpoint=checkpoint), look)
    monkeypatch.setattr(algorithm, "meta_step", lambda *arguments: pytest.fail("a step was taken"))
    again = meta_train(CELLS[:1], Context(checkpoint=checkpoint), look)
    assert torch.equal(first.theta, again.theta)
    assert torch.equal(first.losses, again.losses)


def test_the_checkpoint_of_another_configuration_is_refused(tmp_path: Path):
    meta_train(CELLS[:1], Context(checkpoint=Checkpoint(tmp_path / "run.ckpt", "a")))
    with pytest.raises(CheckpointError, match="expected the state of configuration b, found that of a"):
        meta_train(CELLS[1:], Context(checkpoint=Checkpoint(tmp_path / "run.ckpt", "b")))


def test_a_huge_rate_stops_the_run():
    with pytest.raises(NonFiniteError, match=r"loss of step \d+ of 200 is not .* a smaller lr than 1e\+37 may help"):
        meta_train([Trial(replace(CONFIG, lr=1e37), 0)], Context())
