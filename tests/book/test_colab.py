"""Every notebook in a runtime like Colab's: its packages and no others, and the first cell as it stands.

Only two things are not Colab: the packages are this environment's (linked, so nothing is downloaded but what pip
needs to build one wheel), and the address of the repository leads to a copy of the working tree.
"""

import json
import os
import shutil
import subprocess
import sysconfig
import venv
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pairs import PAIRS, PROJECT, REPOSITORY, ROOT, make

COLAB = (
    "torch", "numpy", "scipy", "pandas", "matplotlib", "scikit-learn", "tqdm", "joblib", "einops", "pooch",
    "filelock", "anywidget", "ipywidgets", "ipykernel", "beartype", "pip",
)  # fmt: skip
"""What a Colab runtime has of all that we may need."""

ABSENT = {"tutorlib", "jaxtyping", "tyro"}
"""What it does not have."""

IMPORT_ALL = """
import importlib, importlib.util, pkgutil, tutorlib
assert importlib.util.find_spec("jaxtyping") is None
for module in pkgutil.walk_packages(tutorlib.__path__, "tutorlib."):
    if module.name != "tutorlib.cli":  # the command line, which needs tyro
        importlib.import_module(module.name)
"""

OWNERS = {top: {canonicalize_name(name) for name in names} for top, names in packages_distributions().items()}
"""The distributions of each package of this environment."""

INVENTORY = """
import importlib.metadata, importlib.util, json
found = {d.name: [d.version, d.read_text("direct_url.json")] for d in importlib.metadata.distributions()}
print(json.dumps([found, [importlib.util.find_spec(name).origin for name in ("torch", "numpy")]]))
"""


def with_requirements(names: tuple[str, ...]) -> set[str]:
    """Return ``names`` and all that they require on this machine."""
    found: set[str] = set()
    waiting = [canonicalize_name(name) for name in names]
    while waiting:
        if (name := waiting.pop()) not in found:
            found.add(name)
            needs = map(Requirement, distribution(name).requires or [])
            waiting += [canonicalize_name(r.name) for r in needs if not r.marker or r.marker.evaluate({"extra": ""})]
    return found


def link(name: str, site: Path) -> None:
    """Put the packages and modules of the installed distribution ``name`` into ``site``, each as one link."""
    installed = distribution(name)
    for top in {file.parts[0] for file in installed.files or []} - {"..", "__pycache__"}:  # scripts are elsewhere
        assert set(OWNERS.get(top, [name])) == {name}, f"{top} is shared by {OWNERS[top]}: link what is in it"
        (site / top).symlink_to(Path(str(installed.locate_file(top))))


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh runtime."""
    folder = tmp_path_factory.mktemp("colab") / "runtime"
    venv.create(folder, symlinks=True)
    site = Path(sysconfig.get_path("purelib", "posix_prefix", {"base": str(folder)}))
    names = with_requirements(COLAB)
    assert not names & ABSENT
    for name in names:
        link(name, site)
    colab = site / "google" / "colab" / "__init__.py"
    colab.parent.mkdir(parents=True)
    colab.write_text('"""Stands for the package of Colab."""\n', encoding="utf-8")
    # Colab's kernel has imported it before the first cell runs.
    (site / "google-colab.pth").write_text("import google.colab\n", encoding="utf-8")
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that holds the working tree as it would be committed now."""
    folder = tmp_path_factory.mktemp("github") / "repository"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    for command in (
        "init --quiet --initial-branch=main",
        "config uploadpack.allowFilter true",  # as on GitHub
        "config uploadpack.allowAnySHA1InWant true",
        "add --all --force",
        "-c user.name=tests -c user.email=tests@localhost -c commit.gpgsign=false commit --quiet -m snapshot",
    ):
        subprocess.run(["git", *command.split()], cwd=folder, check=True)
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

    That cell installs this package and no other.
    """
    before, places = inventory(runtime, env)
    assert not set(before) & ABSENT
    (name, text), *_ = PAIRS.items()  # all have the same first cell, which tests/book/test_notebooks.py holds
    notebook = make.from_text(text)
    first = make.code_cells(notebook)[0]
    notebook.cells = [first]
    content = tmp_path_factory.mktemp("content")  # no file of the repository lies beside a notebook on Colab
    make.execute(notebook, content, env=env | {"TUTORLIB_DEVICE": "cpu"}, python=str(runtime))
    assert "".join(o.text for o in first.outputs) == f"tutorlib {PROJECT['version']} · cpu · tier live\n", name

    after, places_after = inventory(runtime, env)
    assert set(after) - set(before) == {"tutorlib"}
    version, origin = after.pop("tutorlib")
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
    for name, text in PAIRS.items():
        copy = content / f"{name}.ipynb"
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(text.with_suffix(".ipynb"), copy)
    settings = {"TUTORLIB_DEVICE": "cpu", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    options = ["-q", "-n", "2", "--dist", "loadscope", "--durations=5", f"--rootdir={content}", "--color=no"]
    found = make.verify([content], options, env=env | settings, python=str(runtime), capture_output=True)
    assert found.returncode == 0, found.stdout[-20_000:] + found.stderr
    cells = sum(len(make.code_cells(make.from_text(text))) for text in PAIRS.values())
    assert f"{cells} passed" in found.stdout, found.stdout[-2_000:]


@pytest.mark.serial
def test_all_of_the_library_imports_there(installed: Content) -> None:
    runtime, env, content = installed
    subprocess.run([runtime, "-c", IMPORT_ALL], env=env, cwd=content, check=True)


def test_the_list_of_absent_packages_is_true_of_what_the_library_asks_for() -> None:
    """What a runtime lacks is what we declare and Colab does not ship: a new requirement must be put on a side."""
    declared = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}
    assert declared - with_requirements(COLAB) == ABSENT - {"tutorlib"}
