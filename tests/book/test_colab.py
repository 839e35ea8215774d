"""Every notebook in a runtime like Colab's: its Python, its packages in its versions, and the first cell as it stands.

The environment is made from Colab's published list (``colab.txt``, ``colab.py``) once, and kept; each run has a fresh
runtime whose packages are links into it. Only two things are not Colab: nothing computes on a GPU, and the address of
the repository leads to a copy of the working tree.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import colab
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pairs import PAIRS, PROJECT, REPOSITORY, make
from tree import committed, listed

PINS = colab.pins(colab.LIST.read_text(encoding="utf-8"))
"""What a Colab runtime has of all that we may need."""

ABSENT = {"tutorlib", "jaxtyping", "tyro"}
"""What it does not have."""

ADDED = {"tutorlib", "tyro"}
"""What the first cell installs."""

IMPORT_ALL = """
import importlib, importlib.util, pkgutil, tutorlib
assert importlib.util.find_spec("jaxtyping") is None
for module in pkgutil.walk_packages(tutorlib.__path__, "tutorlib."):
    importlib.import_module(module.name)
"""

INVENTORY = """
import importlib.metadata, importlib.util, json
found = {d.name: [d.version, d.read_text("direct_url.json")] for d in importlib.metadata.distributions()}
print(json.dumps([found, [importlib.util.find_spec(name).origin for name in ("torch", "numpy")]]))
"""


SITE = "import sysconfig; print(sysconfig.get_path('purelib'))"


def run(*command: str | Path, **settings: object) -> str:
    """Return what ``command`` prints."""
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True, **settings).stdout


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """The interpreter of a fresh runtime."""
    python, said = colab.environment()
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n{said}")
    folder = tmp_path_factory.mktemp("colab") / "runtime"
    run(python, "-m", "venv", "--without-pip", folder)
    here = folder / "bin" / "python"
    site, kept = (Path(run(p, "-c", SITE).strip()) for p in (here, python))
    for path in kept.iterdir():
        if path.name != "__pycache__":
            (site / path.name).symlink_to(path)
    package = site / "google" / "colab" / "__init__.py"
    package.parent.mkdir(parents=True)
    package.write_text('"""Stands for the package of Colab."""\n', encoding="utf-8")
    # Colab's kernel has imported it before the first cell runs.
    (site / "google-colab.pth").write_text("import google.colab\n", encoding="utf-8")
    return here


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that holds the working tree as it would be committed now."""
    folder = tmp_path_factory.mktemp("github") / "repository"
    committed(folder, listed())
    for setting in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):  # as on GitHub
        run("git", "config", setting, "true", cwd=folder)
    return folder


@pytest.fixture(scope="module")
def env(repository: Path) -> dict[str, str]:
    """The variables of the runtime: nothing of this project, and the address of its repository leads to a copy."""
    foreign = ("TUTORLIB_", "PYTEST_", "PYTHON", "COV_", "COVERAGE_", "VIRTUAL_ENV", "MPLBACKEND", "GIT_CONFIG_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return kept | {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{repository.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": REPOSITORY,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


def inventory(python: Path, env: dict[str, str]) -> tuple[dict[str, list], list[str]]:
    """Return the distributions of a runtime (version, origin), and where its torch and numpy are."""
    found = subprocess.run([python, "-c", INVENTORY], env=env, capture_output=True, text=True, check=True)
    distributions, places = json.loads(found.stdout)
    return distributions, places


Content = tuple[Path, dict[str, str], Path]


@pytest.fixture(scope="module")
def installed(runtime: Path, env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Content:
    """A runtime in which the first cell of all notebooks ran, its variables, and a folder where notebooks are alone.

    That cell installs this package and what its command line needs, and no other. It does so although a clone of the
    repository, a folder of the package's name, lies beside it.
    """
    before, places = inventory(runtime, env)
    versions = {canonicalize_name(name): version for name, (version, _) in before.items()}
    assert {name: versions.get(name) for name in PINS} == PINS
    assert not set(before) & ABSENT
    (name, text), *_ = PAIRS.items()  # all have the same first cell, which tests/book/test_notebooks.py holds
    notebook = make.from_text(text)
    first = make.code_cells(notebook)[0]
    notebook.cells = [first]
    content = tmp_path_factory.mktemp("content")  # no file of the repository lies beside a notebook on Colab
    (content / "tutorlib" / "src").mkdir(parents=True)
    make.execute(notebook, content, env=env | {"TUTORLIB_DEVICE": "cpu"}, python=str(runtime))
    assert "".join(o.text for o in first.outputs) == f"tutorlib {PROJECT['version']} · cpu · tier live\n", name

    after, places_after = inventory(runtime, env)
    assert set(after) - set(before) == ADDED
    version, origin = after.pop("tutorlib")
    del after["tyro"]
    assert (version, json.loads(origin)["url"]) == (PROJECT["version"], REPOSITORY)
    assert after == before
    assert places_after == places
    assert all(Path(place).is_relative_to(runtime.parents[1]) for place in places)
    return runtime, env, content


@pytest.mark.serial  # the live tier takes all cores
@pytest.mark.timeout(4 * make.CELL_TIMEOUT)
def test_every_notebook_gives_there_what_is_stored(installed: Content) -> None:
    """The comparison of all notebooks by nbval; explorers have a kernel there."""
    runtime, env, content = installed
    copies = []
    for name, text in PAIRS.items():
        copies.append(content / f"{name}.ipynb")
        copies[-1].parent.mkdir(exist_ok=True)
        shutil.copy(text.with_suffix(".ipynb"), copies[-1])
    settings = {"TUTORLIB_DEVICE": "cpu", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    options = ["-q", *make.TWO, "--durations=5", f"--rootdir={content}", "--color=no"]
    found = make.verify(
        make.longest_first(copies), options, env=env | settings, python=str(runtime), capture_output=True
    )
    assert found.returncode == 0, found.stdout[-20_000:] + found.stderr
    cells = sum(len(make.code_cells(make.from_text(text))) for text in PAIRS.values())
    assert f"{cells} passed" in found.stdout, found.stdout[-2_000:]


@pytest.mark.serial
def test_all_of_the_library_imports_there(installed: Content) -> None:
    runtime, env, content = installed
    subprocess.run([runtime, "-c", IMPORT_ALL], env=env, cwd=content, check=True)


@pytest.mark.serial
def test_the_command_line_runs_there(installed: Content) -> None:
    """As ``!tutorlib run ...``, which the chapters name."""
    runtime, env, content = installed
    command = runtime.with_name("tutorlib")
    assert "gpicl.phases" in run(command, "list", env=env, cwd=content)
    small = ("steps=2", "num_evals=1", "width=4", "layers=1", "heads=1", "head_dim=4", "batch=2", "tasks=4", "bias=0")
    said = run(command, "run", "gpicl.learning", "--jobs", "1", "--seeds", "1", "--set", *small, env=env, cwd=content)
    assert said.splitlines()[-1].startswith("1 records in ")


def first_cell() -> str:
    """Return what all notebooks begin with."""
    (_, text), *_ = PAIRS.items()
    return make.code_cells(make.from_text(text))[0].source


@pytest.mark.parametrize("folders", [(), ("tutorlib",)], ids=["nothing", "a folder of its name"])
def test_elsewhere_the_first_cell_says_how_to_install(tmp_path: Path, folders: Sequence[str]) -> None:
    """On Kaggle, say, or where somebody downloaded a notebook alone."""
    for name in folders:
        (tmp_path / name).mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "-S", "-c", first_cell()], cwd=tmp_path, env=kept, capture_output=True, text=True
    )
    assert done.returncode == 1
    line = f'%pip install "tutorlib @ git+{REPOSITORY}"'
    assert done.stderr.splitlines()[-1] == f"ModuleNotFoundError: tutorlib is not installed here: run {line} first"


# The list of versions.


def test_the_list_of_absent_packages_is_true_of_what_the_library_asks_for() -> None:
    """What a runtime lacks is what we declare and Colab does not ship: a new requirement must be put on a side."""
    declared = {canonicalize_name(Requirement(text).name): Requirement(text) for text in PROJECT["dependencies"]}
    assert set(declared) - set(PINS) == ABSENT - {"tutorlib"}
    for name in set(declared) & set(PINS):
        assert declared[name].specifier.contains(PINS[name]), f"Colab has {name} {PINS[name]}"
    assert not ABSENT & set(PINS)


PUBLISHED = """# Generated by a script.
torch==2.12.0+cu130
numpy==2.2.0
SciPy @ file:///somewhere/scipy-1.17.0-cp314-cp314-linux_x86_64.whl#sha256=ab
Pillow==12.0.0
absent==1.0
"""


def test_a_refreshed_list_has_the_published_versions_of_the_same_names() -> None:
    old = "# What Colab has.\n# Python 3.13\nnumpy==2.1.3\npillow==11.3.0\nscipy==1.16.3\ntorch==2.11.0\ntyro==1.0\n"
    new = "# What Colab has.\n# Python 3.14\nnumpy==2.2.0\npillow==12.0.0\nscipy==1.17.0\ntorch==2.12.0\n"
    assert colab.refreshed(old, PUBLISHED, "3.14") == new
    assert colab.wanted_python(new) == "3.14"


def test_an_interpreter_of_the_wanted_version_is_taken_and_else_the_newest(tmp_path: Path, monkeypatch) -> None:
    for version in ("3.11.4", "3.13.0", "3.14.1"):
        path = tmp_path / f"python{version.rpartition('.')[0]}"
        path.write_text(f"#!/bin/sh\necho {version}\n", encoding="utf-8")
        path.chmod(0o755)
    (tmp_path / "python3.15").write_text("#!/bin/sh\necho pyenv: no such version >&2; exit 127\n", encoding="utf-8")
    (tmp_path / "python3.15").chmod(0o755)
    monkeypatch.setattr(colab, "PLACES", ())
    monkeypatch.setattr(colab.sys, "executable", str(tmp_path / "python3.11"))
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(colab.glob, "glob", lambda pattern: [str(p) for p in tmp_path.glob(Path(pattern).name)])
    assert colab.interpreter("3.13") == (str(tmp_path / "python3.13"), "3.13.0")
    assert colab.interpreter("3.12") == (str(tmp_path / "python3.14"), "3.14.1")
