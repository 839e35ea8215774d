"""The files of this tree, as git sees them; a tree without git, such as a downloaded archive, is read alike."""

import importlib.util
import os
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EVERY = ("--cached", "--others", "--exclude-standard")


def _git(*arguments: str, cwd: Path, **variables: str) -> str | None:
    """Return what git prints, or None where it fails."""
    foreign = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
    kept = {name: value for name, value in os.environ.items() if name not in foreign}
    found = subprocess.run(["git", *arguments], cwd=cwd, env=kept | variables, capture_output=True, text=True)
    return found.stdout if found.returncode == 0 else None


def listed(*options: str, root: Path = ROOT) -> list[str]:
    """Return the files that git lists with ``options``, without any, those that are tracked or would be.

    Where ``root`` is not a repository of its own, nothing is tracked, and what would be is read off ``.gitignore``.
    """
    top = _git("rev-parse", "--show-toplevel", cwd=root)
    with tempfile.TemporaryDirectory() as folder:
        variables = {}
        if top is None or Path(top.rstrip("\n")).resolve() != root.resolve():
            _git("init", "--quiet", "--bare", folder, cwd=root)
            variables = {"GIT_DIR": folder, "GIT_WORK_TREE": str(root)}
        found = _git("ls-files", "-z", *(options or EVERY), cwd=root, **variables)
    assert found is not None, "git ls-files failed"
    return [name for name in found.split("\0") if name and (root / name).exists()]


def program(place: str) -> ModuleType:
    """Return the program of this tree in the file ``place``, such as ``book/pdf.py``, as a module."""
    spec = importlib.util.spec_from_file_location(place.removesuffix(".py").replace("/", "_"), ROOT / place)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pins() -> dict[str, str]:
    """Return the versions of ``constraints.txt`` by canonical name."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


def committed(folder: Path, names: Sequence[str]) -> None:
    """Make ``folder`` a repository with one commit, of the files ``names`` of this tree as they are now."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    for command in (
        "init --quiet --initial-branch=main",
        "add --all --force",
        "-c user.name=tests -c user.email=tests@localhost -c commit.gpgsign=false commit --quiet -m snapshot",
    ):
        assert _git(*command.split(), cwd=folder) is not None, command
