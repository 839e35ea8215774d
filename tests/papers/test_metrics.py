"""What a run writes today lies where the metrics of the shipped records lie, which were written under older names."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch

from tutorlib.lab import Context, recorded
from tutorlib.papers import experiments
from tutorlib.papers.gpicl import measures as gpicl
from tutorlib.papers.symla import experiments as symla
from tutorlib.papers.vsml import measures as vsml

GPICL = {"steps": 4, "num_evals": 2, "batch": 4, "width": 8, "head_dim": 4}
SYMLA = {"generations": 2, "num_evals": 2, "pairs": 2, "lifetimes": 2, "length": 4}
VSML = {"steps": 2, "num_evals": 2, "sequences": 2, "size": 4, "message": 2}
RUNS: dict[str, dict[str, Any]] = {
    "gpicl.games": GPICL,
    "gpicl.phases": GPICL,
    "gpicl.plateau": GPICL,
    "gpicl.references": {},
    "gpicl.table": GPICL,
    "gpicl.table-references": {"batch": 4},
    "symla.bandits": SYMLA,
    "symla.cartpole": SYMLA,
    "symla.grid": SYMLA,
    "symla.references": {"length": 4},
    "symla.rl2": SYMLA,
    "vsml.cloning": {"steps": 16, "batch": 4, "hidden": 4, "length": 60},
    "vsml.learn": VSML,
    "vsml.matrix": VSML,
    "vsml.plateau": VSML,
    "vsml.references": {},
    "vsml.special": {"steps": 2},
}
"""By experiment, one of each kind that there is: what makes the first run of its study small."""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, real_files: None) -> None:
    """Let runs measure on few sequences, and VSML's learners guess there."""
    for name, value in {"SEQUENCES": 32, "EVAL_SEQUENCES": 8, "MAML_STEPS": 1}.items():
        monkeypatch.setattr(gpicl, name, value)
    for name, value in {"LIFETIMES": 4, "FEW": 2, "POLE_LIFE": 20}.items():
        monkeypatch.setattr(symla, name, value)
    for name, value in {"ONE_SHOT_SEQUENCES": 2, "MATRIX_SEQUENCES": 1}.items():
        monkeypatch.setattr(vsml, name, value)
    monkeypatch.setattr(vsml, "probabilities", lambda run, theta, x, y, seed: torch.full((*y.shape, 10), 0.1))
    monkeypatch.setattr(vsml, "TRANSFER", {name: (streams, 1) for name, (streams, _) in vsml.TRANSFER.items()})


def places(metrics: Mapping[str, Any]) -> frozenset[tuple[str, ...]]:
    """Return where the numbers lie."""
    found = set()
    for name, value in metrics.items():
        found |= {(name, *inner) for inner in places(value)} if isinstance(value, Mapping) else {(name,)}
    return frozenset(found)


@pytest.mark.parametrize("name", RUNS)
def test_a_run_of_today_writes_what_a_shipped_record_says(name: str, small: None) -> None:
    experiment = experiments()[name]
    (trial, *_) = experiment.trials("study", seeds=(0,), overrides=RUNS[name])
    (metrics,) = experiment.run([trial], Context())
    assert places(metrics) in {places(record.metrics) for record in recorded(name)}
