"""The benchmarks can be run: each is imported, and those that stand on the papers' loops make one step."""

import importlib.util
import os
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch

from tutorlib import papers
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


def test_generators_write_the_same_block_by_block_and_both_forms_learn() -> None:
    generators = load(FILES[0].with_name("generators.py"))
    c = generators.Config(episodes=100, width=8, block=4, embedding=2, net_width=8, states=3, batch=2)
    rho = c.generator.initial(torch.Generator().manual_seed(0))[None]
    commands = torch.tensor([[-1.0, 0.5, 1.0]])
    written = c.generator.generate(rho, commands)
    torch.testing.assert_close(generators.block_by_block(c.generator, rho, commands), written)
    ours, plain = generators.Ours(c), generators.Plain(c)
    before = ours.learner.rho.clone(), plain.generator.z[0].clone()
    assert generators.operations(ours) > 0
    plain()
    assert not torch.equal(ours.learner.rho, before[0])
    assert not torch.equal(plain.generator.z[0], before[1])
    whole = sum(p.numel() for p in plain.generator.parameters())
    assert whole == c.generator.size, "the plain form is as large"


def test_launches_are_counted_as_they_are_and_in_graphs() -> None:
    launches = load(FILES[0].with_name("launches.py"))
    (row,) = launches.rows(papers.experiments()["gpicl.learning"], "live", {"bias": 0.0})
    name, tier, *numbers = (cell.strip() for cell in row.strip("|").split("|"))
    assert (name, tier) == ("`gpicl.learning`, bias=0.0", "live")
    eager, graphs, inside, compiled = (int(number.replace(",", "")) for number in numbers)
    assert graphs == 1
    assert 100 < eager <= inside
    assert compiled < 10, "a graph, the number of the step, and copies of what it returns"
    for algorithm, which in launches.ALGORITHMS:
        for tier in {"study", "paper"} & set(papers.experiments()[algorithm].tiers):
            configs = papers.experiments()[algorithm].tier(tier).configs
            assert all(any(getattr(config, field) == which[field] for config in configs) for field in which)


def test_a_machine_with_a_gpu_is_asked_for_ten_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu, asked = load(FILES[0].with_name("gpu.py")), []
    assert sum(seconds for seconds, _ in gpu.COMMANDS) <= gpu.SECONDS == 600

    def run(words: list[str], cwd: Path, timeout: float, check: bool) -> subprocess.CompletedProcess:
        asked.append(words)
        if "agents.py" in words[1]:
            raise subprocess.TimeoutExpired(words, timeout)
        return subprocess.CompletedProcess(words, 1 if "envs.py" in words[1] else 0)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(subprocess, "run", run)
    assert gpu.main() == 1, "a benchmark failed"
    assert [words[-2:] for words in asked if "cuda" not in words] == [["gpu", "-q"]]
    on_device = {path.name for path in FILES if 'add_argument("--device"' in path.read_text(encoding="utf-8")}
    assert on_device == {Path(words[1]).name for words in asked if words[1].endswith(".py")}
    studies = [words[words.index("run") + 1] for words in asked if "run" in words]
    assert all("study" in papers.experiments()[name].tiers for name in studies)


def test_without_a_gpu_it_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    (tmp_path / "bin" / "python").chmod(0o755)
    (tmp_path / ".ready").touch()  # as if the environment were made
    root = FILES[0].parents[1]
    done = subprocess.run(
        ["make", "-s", "gpu", f"VENV={tmp_path}"], cwd=root, capture_output=True, text=True,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert done.returncode == 2
    sentence, _ = done.stderr.splitlines()  # make adds that it failed
    assert sentence == "no CUDA device is here: expected a machine with one, and a torch that can use it"
    assert done.stdout == ""


def test_a_mutant_of_the_lab_meets_the_tests_that_import_its_module(tmp_path: Path) -> None:
    lab, tests = tmp_path / "src" / "tutorlib" / "lab", tmp_path / "tests"
    for path, text in {
        lab / "__init__.py": "from tutorlib.lab.tiers import Tier, grid as net",
        lab / "tiers.py": "from tutorlib.lab.kinds import is_number",
        lab / "kinds.py": "",
        lab / "sweep.py": "import tutorlib.lab.tiers",
        tests / "test_a.py": "from tutorlib.lab import Tier",
        tests / "test_b.py": "import tutorlib.lab.sweep",
        tests / "test_c.py": "from tutorlib.lab import net, nothing",
        tests / "test_sweep.py": "from tutorlib.lab.sweep import run",
        tests / "tiny.py": "from tutorlib.lab import Tier",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (path,) = (path for path in FILES if path.stem == "mutants")
    near = load(path).near
    found = near("tutorlib.lab", lab, tests)
    assert found == {
        "__init__": [],
        "kinds": ["test_a.py", "test_c.py"],  # whoever tests what imports it
        "sweep": ["test_sweep.py", "test_b.py"],  # that of its own name first
        "tiers": ["test_a.py", "test_c.py"],
    }
    root = path.parents[1]
    ours = near("tutorlib.lab", root / "src" / "tutorlib" / "lab", root / "tests" / "lab")
    assert [name for name, files in ours.items() if not files] == ["__init__"]
