"""What a run writes today lies where the metrics of the shipped records lie, which were written under older names."""

from collections.abc import Mapping
from typing import Any

import pytest

from tutorlib.lab import Context, recorded
from tutorlib.papers import experiments
from tutorlib.papers.gpicl import measures as gpicl

GPICL = {"steps": 4, "num_evals": 2, "batch": 4, "width": 8, "head_dim": 4}
RUNS: dict[str, dict[str, Any]] = {
    "gpicl.games": GPICL,
    "gpicl.phases": GPICL,
    "gpicl.plateau": GPICL,
    "gpicl.references": {},
    "gpicl.table": GPICL,
    "gpicl.table-references": {"batch": 4},
}
"""By experiment, one of each kind that there is: what makes the first run of its study small."""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, real_files: None) -> None:
    """Let runs measure on few sequences."""
    for name, value in {"SEQUENCES": 32, "LOOK_SEQUENCES": 8, "MAML_STEPS": 1}.items():
        monkeypatch.setattr(gpicl, name, value)


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
