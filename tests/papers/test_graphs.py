"""The compiled steps of every paper keep the rules of CUDA graphs (``lab.compiling``), and are the eager ones."""

import json
import subprocess
import sys
from typing import Any

import papers_compiled
import pytest
import torch
from papers_compiled import RUNS
from papers_tiny import EXPERIMENTS
from replays import replays
from torch.utils import _pytree as pytree

from tutorlib.lab import Context
from tutorlib.papers.symla import algorithm as symla
from tutorlib.papers.vsml import algorithm as vsml


def test_every_paper_takes_part() -> None:
    assert {name.partition(",")[0] for name in RUNS} == {name.partition(".")[0] for name in EXPERIMENTS}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_of_graphs_is_the_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vsml, "EXAMPLES", 2)
    monkeypatch.setattr(symla, "STEPS", 2)
    run, calls, _ = RUNS[name]
    plain = run(Context())
    with replays() as graphs:
        found = run(Context(compile=True))
    assert {step: graphs.names.count(step) for step in set(graphs.names)} == calls
    pairs = [
        pair for pair in zip(pytree.tree_leaves(found), pytree.tree_leaves(plain), strict=True)
        if isinstance(pair[0], torch.Tensor)
    ]  # fmt: skip
    assert pairs
    for ours, eager in pairs:
        torch.testing.assert_close(ours, eager, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def traced() -> dict[str, Any]:
    """Return what torch made of all runs."""
    script = [sys.executable, papers_compiled.__file__]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", RUNS)
def test_steps_are_whole_graphs_and_none_is_compiled_anew_in_a_later_step(traced: dict[str, Any], name: str) -> None:
    _, calls, graphs = RUNS[name]
    own = traced[name]
    assert own["whole"]
    assert own["graphs"] == (graphs if isinstance(graphs, dict) else dict.fromkeys(calls, graphs))
    assert own["numbers"] > 0
    assert own["distance"] < 1e-4
