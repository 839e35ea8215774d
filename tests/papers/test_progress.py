"""What a resumed run tells of itself: what was done before is no work of this run, and no part of its speed.

How the time left is computed from that stands in ``lab/test_progress.py``.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tutorlib.lab import Checkpoint, Context, Trial
from tutorlib.lab.progress import Silent
from tutorlib.nn import Descent, descend
from tutorlib.papers.gpicl import algorithm as gpicl
from tutorlib.papers.mbrl import algorithm as mbrl
from tutorlib.papers.mbrl.offline import Offline, learn
from tutorlib.papers.rcgvf import algorithm as rcgvf
from tutorlib.papers.vsml import cloning

GPICL = gpicl.Config(steps=8, num_evals=4, warmup=2, width=8, layers=1, heads=2, head_dim=4, batch=4, length=8, tasks=4)
MBRL = mbrl.Config(
    agent="er", environment="flute", size=2, steps=24, learning_starts=4, target_period=4, batch=4, length=3,
    capacity=10,
    hidden=8, layers=1, eval_every=6, eval_episodes=2, eval_length=5,
)  # fmt: skip
OFFLINE = Offline(
    pipes=2, transitions=30, updates=12, target_period=3, batch=4, length=3, hidden=8, layers=1, num_evals=4
)
LOCK = rcgvf.Config(
    horizon=4, actions=3, num_envs=4, num_steps=6, updates=8, minibatch_size=12, update_epochs=1, d=4,
    hidden_z=4, hidden=4, width=4,
    num_evals=4,
)  # fmt: skip
CLONING = cloning.Config(hidden=4, batch=4, steps=8, num_evals=4, warmup=2)
DESCENT = Descent(8, 0.1, num_evals=4)

RUNS: dict[str, tuple[int, Callable[[Context], object]]] = {
    "gpicl": (8, lambda c: gpicl.meta_train([Trial(GPICL, 0)], c)),
    "vsml and symla": (8, lambda c: descend(torch.zeros(1, 3), lambda x, g: (x - 1, x.sum(1)), DESCENT, [1], c)),
    "vsml, cloning": (8, lambda c: cloning.clone_backprop(Trial(CLONING, 0), c)),
    "rcgvf": (8, lambda c: rcgvf.train([Trial(LOCK, 0)], c)),
    "mbrl": (24, lambda c: mbrl.train(MBRL, [0], c)),
    "mbrl, offline": (12, lambda c: learn(OFFLINE, [0], c)),
}
"""How many units of work a small run is, and the run, whose state is kept at least at every quarter."""


class StoppedError(Exception):
    """The run was stopped here."""


class Told(Silent):
    """Notes what it is told, and stops the run when ``last`` units are done."""

    def __init__(self, last: float = torch.inf) -> None:
        self.last, self.total, self.before, self.own = last, -1, -1, 0

    def start(self, total: int, what: str, done: int = 0) -> None:
        self.total, self.before = total, done

    def advance(self, n: int = 1, note: str = "") -> None:
        self.own += n
        if self.before + self.own >= self.last:
            raise StoppedError


@pytest.mark.parametrize("name", RUNS)
def test_what_was_done_before_is_told_as_that(tmp_path: Path, name: str) -> None:
    total, run = RUNS[name]

    def go_on(told: Told) -> None:
        # Kept at every step, of which this run has a few.
        run(Context(checkpoint=Checkpoint(tmp_path / "run.ckpt", "a"), progress=told, save_every=0.0))

    first, second, third = Told(total // 2), Told(), Told()
    with pytest.raises(StoppedError):
        go_on(first)
    for told in (second, third):
        go_on(told)
    assert [(told.total, told.before, told.own) for told in (first, second, third)] == [
        (total, 0, total // 2),
        (total, total // 2, total // 2),
        (total, total, 0),
    ]
