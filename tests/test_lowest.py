"""The lower bounds of the requirements are true: the library runs with the oldest versions that they allow."""

import json
import os
import subprocess
import sys
from importlib.metadata import distribution, distributions
from pathlib import Path

import colab
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version
from tree import PROJECT, ROOT, pins

REQUIREMENTS = {canonicalize_name(r.name): r for r in map(Requirement, PROJECT["dependencies"])}

SMOKE = """
import importlib, json, pkgutil, sys, tutorlib
from importlib.metadata import version
for module in pkgutil.walk_packages(tutorlib.__path__, "tutorlib."):
    importlib.import_module(module.name)
from tutorlib import cli
small = "steps=2 num_evals=1 width=4 layers=1 heads=1 head_dim=4 batch=2 tasks=4 bias=0".split()
assert cli.main(["claims"]) == 0  # all that is computed of records: intervals, verdicts
assert cli.main(["run", "gpicl.learning", "--jobs", "1", "--seeds", "1", "--device", "cpu", "--set", *small]) == 0
print(json.dumps({name: version(name) for name in sys.argv[1:]}))
"""


def lowest(requirement: Requirement) -> Version:
    (bound,) = [Version(s.version) for s in requirement.specifier if s.operator == ">="]
    return bound


def test_the_library_runs_with_the_oldest_versions_that_it_allows(tmp_path: Path) -> None:
    """All but torch, of which a second version is gigabytes: its bound is the one that Colab's test runs with."""
    names = sorted(set(REQUIREMENTS) - {"torch"})
    asked = tmp_path / "requirements.txt"
    asked.write_text("\n".join(str(REQUIREMENTS[name]) for name in names), encoding="utf-8")
    old = tmp_path / "old"
    uv = [sys.executable, "-m", "uv", "pip", "install", "-q", "--python", sys.executable, "--target", old]
    command = [*uv, "--resolution", "lowest-direct", "--only-binary", ":all:", "-r", asked]
    subprocess.run(command, cwd=tmp_path, check=True)
    variables = os.environ | {"PYTHONPATH": os.pathsep.join([str(old), str(ROOT / "src")]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SMOKE, *names], cwd=tmp_path, env=variables, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = {name: Version(version) for name, version in json.loads(done.stdout.splitlines()[-1]).items()}
    if sys.version_info < (3, 13):  # a newer Python has no wheels of some of them, so the oldest there are newer
        assert found == {name: lowest(REQUIREMENTS[name]) for name in names}


def test_the_oldest_torch_is_that_of_the_colab_runtime() -> None:
    versions = colab.pins(colab.LIST.read_text(encoding="utf-8"))
    assert lowest(REQUIREMENTS["torch"]) == Version(versions["torch"])


def test_the_oldest_python_can_take_every_pin() -> None:
    """Debian 12 has Python 3.11.2."""
    oldest = SpecifierSet(PROJECT["requires-python"])
    (bound,) = [s.version for s in oldest]
    here = {canonicalize_name(d.metadata["Name"]) for d in distributions()} & set(pins())
    assert len(here) > 100
    for name in here:
        said = distribution(name).metadata["Requires-Python"] or ""
        assert SpecifierSet(said).contains(f"{bound}.0"), f"{name} asks for Python {said}"
