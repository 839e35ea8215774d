"""What all papers hold to, one experiment after another: a device that nobody has, batches, and runs that were killed.

On the device nothing is computed (``lab.dry``): to mix devices raises there, as does to wait in a step for a value;
copies from the host, which torch allows, are counted. What is computed for real ends where a loop does.
"""

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jaxtyping
import pytest
import torch
from papers_tiny import EXPERIMENTS, Kind, kinds
from torch import Tensor
from torch.utils import _pytree as pytree

from tutorlib.lab import recorded
from tutorlib.lab.checkpoint import Checkpoint
from tutorlib.lab.dry import Rehearsal, rehearse
from tutorlib.lab.experiment import Context, Trial, filled, plain
from tutorlib.lab.progress import Silent
from tutorlib.lab.records import NoRecordsError

ON_THE_CPU = {
    "gogepo.pendulum",
    "gpicl.references",
    "gpicl.table-references",
    "rcgvf.tdlambda",
    "vsml.references",
    "vsml.special",
}
"""They declare that they compute on the CPU."""
NO_LOOP = {"mbrl.sets", "symla.references"}
"""They count and measure, and learn nothing."""

KINDS = [kind for kind in kinds("live", "study") if not kind.experiment.cpu_only]
# Without a loop there is no step after which the rest may be left out.
KINDS = [
    kind for kind, before in zip(KINDS, [None, *KINDS], strict=False)
    if not (before and kind.experiment is before.experiment and kind.experiment.name in NO_LOOP)
]  # fmt: skip
BY_NAME = {kind.name: kind for kind in KINDS}
WHOLE = 10**9
"""steps that no run here has"""


@cache
def rehearsed(name: str) -> Rehearsal:
    kind = BY_NAME[name]
    jaxtyping.config.update("jaxtyping_disable", True)  # checks of shapes take most of the time
    try:
        return rehearse(kind.experiment, kind.trials())
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


def test_experiments_that_compute_on_the_cpu_say_so():
    assert {e.name for e in EXPERIMENTS.values() if e.cpu_only} == ON_THE_CPU


def test_every_other_experiment_takes_part():
    assert {kind.experiment.name for kind in KINDS} == EXPERIMENTS.keys() - ON_THE_CPU


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_a_step_keeps_to_its_device(kind):
    found = rehearsed(kind.name)
    assert bool(found.loops) == (kind.experiment.name not in NO_LOOP), "a step is taken of each loop"
    for loop in found.loops:
        assert loop.launches > 0, loop.title
        assert not loop.elsewhere, f"{loop.title}: on the host, or copied from it, in a step"


def test_what_was_drawn_for_real_is_not_kept_without_numbers():
    kind = next(kind for kind in KINDS if kind.experiment.name == "gpicl.learning")
    rehearsed(kind.name)
    base = kind.config.bases[0]
    assert type(base.z) is torch.Tensor
    assert base.z.isfinite().all()


# Loops for real


class OverError(Exception):
    """The run went far enough."""


class UpTo(Silent):
    """Ends a run after so many steps, or when its first loop is done: what is measured then takes long."""

    def __init__(self, most: int) -> None:
        self.most = most

    def advance(self, n: int = 1, note: str = "") -> None:
        self.most -= n
        if not self.most:
            raise OverError

    def close(self) -> None:
        raise OverError


WITH_FILES = {"gpicl.table", "gpicl.features"}
"""They read sets of images that not every machine has, and learn as other experiments of their paper do."""
LOOPS = [kind for kind in KINDS if kind.experiment.name not in NO_LOOP | WITH_FILES]
LOOPS = list({(kind.experiment.run, kind.choices, kind.runs): kind for kind in LOOPS}.values())
looping = pytest.mark.parametrize("kind", LOOPS, ids=[kind.name for kind in LOOPS])


@pytest.fixture
def few_mazes(monkeypatch):
    monkeypatch.setattr("tutorlib.papers.mbrl.config.MAZES", 5)


def left(kind: Kind, trials: Sequence[Trial], path: Path, *ends: int) -> dict[str, Any]:
    """Return what the first loop keeps at its end, or after some steps; it is ended after each of ``ends`` and goes on.

    The loop keeps its state after every step.
    """
    checkpoint = Checkpoint(path, "a")
    for most in ends:
        with pytest.raises(OverError):
            kind.experiment.run(trials, Context(checkpoint=checkpoint, progress=UpTo(most), save_every=0.0))
    found = checkpoint.load()
    assert found is not None
    return found


def differences(one: Any, other: Any, far: Callable[[Tensor, Tensor], bool]) -> list[str]:
    """Return where two trees differ, tensors by ``far``."""
    pairs = zip(pytree.tree_flatten_with_path(one)[0], pytree.tree_flatten_with_path(other)[0], strict=True)
    return [
        pytree.keystr(path) for (path, x), (_, y) in pairs
        if (far(x, y) if isinstance(x, Tensor) else x != y)
    ]  # fmt: skip


@looping
def test_a_run_that_was_killed_is_the_whole_run(kind, few_mazes, tmp_path):
    whole = left(kind, kind.trials()[:1], tmp_path / "whole", WHOLE)
    assert left(kind, kind.trials()[:1], tmp_path / "killed", 1)["step"] == 1
    killed = left(kind, kind.trials()[:1], tmp_path / "killed", 1, WHOLE)
    assert killed["step"] == whole["step"] > 2
    assert not differences(killed, whole, lambda x, y: not torch.equal(x, y))


@pytest.mark.parametrize("kind", [k for k in LOOPS if k.runs > 1], ids=[k.name for k in LOOPS if k.runs > 1])
def test_each_run_of_a_batch_is_the_run_alone(kind, few_mazes, tmp_path):
    trials = kind.trials()
    batch = left(kind, trials, tmp_path / "batch", WHOLE)
    for i, trial in enumerate(trials):
        alone = left(kind, [trial], tmp_path / f"{i}", WHOLE)
        for name, axis in (("state", 0), ("log", 1)):
            own = [x.narrow(axis, i, 1) if isinstance(x, Tensor) else x for x in batch[name]]
            assert not differences(own, alone[name], far_apart), name
    assert differences(*(left(kind, [t], tmp_path / str(t.seed), WHOLE)["state"] for t in trials), far_apart)


def far_apart(x: Tensor, y: Tensor) -> bool:
    return not torch.allclose(x.double(), y.double(), rtol=1e-3, atol=1e-4)


# Studies


TO_COME = {"gogepo.worlds"} | {
    f"metagenrl.{name}" for name in ("train", "left-out", "inputs", "inner", "population", "evolved", "ppo")
}  # fmt: skip
"""They are declared, as are the bars of the claims that rest on them, before they run."""
STUDIES = [e for e in EXPERIMENTS.values() if "study" in e.tiers and e.name not in TO_COME]


def test_a_study_that_is_to_come_has_no_records():
    for name in sorted(TO_COME):
        assert "study" in EXPERIMENTS[name].tiers
        with pytest.raises(NoRecordsError):
            recorded(name)


@pytest.mark.parametrize("experiment", STUDIES, ids=lambda e: e.name)
def test_a_shipped_study_is_the_whole_study_tier(experiment):
    records, trials = recorded(experiment.name, withdrawn=True), experiment.trials("study")
    shipped = [(json.dumps(filled(r.config, trials[0].config), sort_keys=True), r.seed) for r in records]
    planned = {(json.dumps(plain(trial.config), sort_keys=True), trial.seed) for trial in trials}
    assert len(shipped) == len(set(shipped))
    assert set(shipped) == planned
