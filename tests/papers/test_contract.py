"""Every experiment keeps to its device: one update and one look of each, on a device that nobody has.

Nothing is computed (``lab.dry``). To mix devices raises there, as does to wait in a step for a value; copies from the
host, which torch allows, are counted.
"""

from functools import cache
from pathlib import Path

import pytest
import torch

from tutorlib import papers
from tutorlib.lab.batching import side_by_side
from tutorlib.lab.dry import Rehearsal, rehearse
from tutorlib.lab.experiment import Experiment, Trial, override

EXPERIMENTS = papers.experiments()
FEW_STEPS = {"num_steps": 4, "num_envs": 8, "minibatch_size": 16, "horizon": 5}
FEW = {"num_steps": 8, "num_envs": 4, "minibatch_size": 4, "bptt": 4, "levels": 2}
SMALLER = {
    "rcgvf.lock": FEW_STEPS,
    "rcgvf.ablations": FEW_STEPS,
    "rcgvf.passes": FEW_STEPS,
    "rcgvf.dissipation": {f"learner.{name}": value for name, value in FEW_STEPS.items()},
    "rcgvf.minigrid": FEW,
    "rcgvf.privileged": FEW,
    "rcgvf.rooms": FEW,
}
"""experiment -> fields in which its live tier is made smaller: operations are the same, and fewer"""

ON_THE_CPU = {"gpicl.references", "gpicl.table-references", "rcgvf.tdlambda", "vsml.references", "vsml.special"}
"""They declare that they compute on the CPU."""

ELSEWHERE = {
    "vsml": "a step runs through whole streams, operation by operation",
    "symla": "a generation is whole lives, operation by operation",
    "mbrl": "an update and a look are more operations than a test has time for",
}
"""papers whose live tiers are too long to be rehearsed; smaller ones are, in ``test_device.py`` of each, and why"""


def few_cells(experiment: Experiment, runs: int) -> list[Trial]:
    """Return ``runs`` trials of the live tier that run side by side; they may differ in their seeds."""
    config = override(experiment.tier("live").configs[-1], SMALLER.get(experiment.name, {}))
    trials = [Trial(config, seed) for seed in range(runs)]
    assert len(side_by_side(experiment, trials)) == 1
    return trials


@cache
def rehearsed(name: str, runs: int) -> Rehearsal:
    return rehearse(EXPERIMENTS[name], few_cells(EXPERIMENTS[name], runs))


def test_experiments_that_compute_on_the_cpu_say_so():
    assert {e.name for e in EXPERIMENTS.values() if e.cpu_only} == ON_THE_CPU


KINDS = [
    (name, runs)
    for name, e in EXPERIMENTS.items()
    if not e.cpu_only and name.partition(".")[0] not in ELSEWHERE
    for runs in ((2,) if e.varies is not None and not e.alone(e.tier("live").configs[-1]) else (1,))
]


def keeps_to_its_device(name: str, runs: int) -> None:
    found = rehearsed(name, runs)
    assert found.loops, "no loop was taken a step of"
    for loop in found.loops:
        assert loop.launches > 0, loop.title
        assert not loop.elsewhere, f"{loop.title}: on the host, or copied from it, in a step"


@pytest.mark.parametrize(("name", "runs"), KINDS)
def test_a_step_keeps_to_its_device(name, runs):
    keeps_to_its_device(name, runs)


@pytest.mark.parametrize("paper", ELSEWHERE)
def test_the_other_papers_are_held_to_it_in_their_own_rooms(paper):
    text = (Path(__file__).parent / paper / "test_device.py").read_text()
    assert "FakeTensorMode" in text


def test_what_was_drawn_for_real_is_not_kept_without_numbers():
    rehearsed("gpicl.learning", 2)
    base = EXPERIMENTS["gpicl.learning"].tier("live").configs[0].bases[0]
    assert type(base.z) is torch.Tensor
    assert base.z.isfinite().all()
