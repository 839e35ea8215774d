"""The benchmarks can be run: each is imported, and those that stand on the papers' loops make one step."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch

from tutorlib.lab import Context
from tutorlib.papers.mbrl.experiments import LITTLE_FLUTE

FILES = sorted((Path(__file__).parents[1] / "benchmarks").glob("*.py"))


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"benchmark_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_says_how_it_is_run(path: Path) -> None:
    assert f"python benchmarks/{path.name}" in (load(path).__doc__ or "")


def test_agents_make_a_step() -> None:
    agents = load(FILES[0].with_name("agents.py"))
    small = agents.Config(
        horizon=5,
        actions=3,
        num_envs=2,
        num_steps=4,
        updates=2,
        minibatch_size=4,
        d=4,
        hidden_z=4,
        hidden=4,
        width=4,
        num_evals=1,
    )
    run = agents.Learning(small, range(2), Context())
    before = run.state.theta.clone()
    run()
    assert not torch.equal(run.state.theta, before)
    flute = replace(LITTLE_FLUTE, agent="simple", hidden=4, batch=2, learning_starts=4, capacity=50, length=2)
    updates = agents.Updates(flute, range(2), torch.device("cpu"), False)
    q = updates.learner.q.clone()
    updates()
    assert not torch.equal(updates.learner.q, q)
