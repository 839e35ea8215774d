"""What macOS and Windows lack is not called, what git writes there runs, and a tree without git is tested, too."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from tree import ROOT, committed, listed

from tutorlib import cli
from tutorlib.lab.records import load_folder

SMALL = ("steps=2", "num_evals=1", "width=4", "layers=1", "heads=1", "head_dim=4", "batch=2", "tasks=4", "bias=0")


def git(*arguments: str | Path, cwd: Path) -> None:
    subprocess.run(["git", *map(str, arguments)], cwd=cwd, check=True, capture_output=True)


def test_a_sweep_counts_cores_where_python_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``os.sched_getaffinity`` is there on Linux alone. With one core, trials run in this process."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    results = ["--results", str(tmp_path), "--seeds", "2", "--device", "cpu"]
    assert cli.main(["run", "gpicl.learning", *results, "--set", *SMALL]) == 0
    assert {record.seed for record in load_folder(tmp_path / "gpicl.learning" / "live")} == {0, 1}


@pytest.mark.parametrize("folder", ["src", "notebooks", "book/_ext"])
def test_text_is_read_and_written_as_utf_8(folder: str) -> None:
    """Windows takes another encoding where none is named."""
    calls = re.compile(r"\b(?:read_text|write_text|open)\((?:[^()]|\([^()]*\))*\)")
    for path in (ROOT / folder).rglob("*.py"):
        for found in calls.findall(path.read_text(encoding="utf-8")):
            text = "read_text(" in found or "write_text(" in found or re.search(r"""\(.*, "[rwax]t?"[,)]""", found)
            assert not text or "encoding=" in found, f"{path.name}: {found}"


def test_a_checkout_with_other_line_ends_has_ours(tmp_path: Path) -> None:
    """Git for Windows is installed with ``core.autocrlf=true``."""
    committed(tmp_path / "origin", [".gitattributes", ".ci/run", "README.md", "book/_static/readme.png"])
    git("clone", "-q", "-c", "core.autocrlf=true", tmp_path / "origin", tmp_path / "clone", cwd=tmp_path)
    for name in (".ci/run", "README.md", "book/_static/readme.png"):
        assert (tmp_path / "clone" / name).read_bytes() == (ROOT / name).read_bytes(), name
    subprocess.run(["bash", "-n", ".ci/run"], cwd=tmp_path / "clone", check=True)


def test_what_is_committed_has_our_line_ends() -> None:
    for name in listed():
        content = (ROOT / name).read_bytes()
        assert b"\0" in content or b"\r\n" not in content, name


def test_files_are_found_in_a_tree_without_git(tmp_path: Path) -> None:
    """Such as a downloaded archive, and one that lies in somebody's other repository."""
    names = [".gitignore", "README.md", "tests/book/tree.py", "tests/test_project.py", "src/tutorlib/cli.py"]
    for name in (*names, "_build/html/index.html", "src/tutorlib/__pycache__/cli.pyc"):
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_bytes(b"x")
    shutil.copy(ROOT / ".gitignore", tmp_path / "tree")
    assert sorted(listed(root=tmp_path / "tree")) == sorted(names)
    git("init", "-q", cwd=tmp_path)
    assert sorted(listed(root=tmp_path / "tree")) == sorted(names)
    assert listed("--cached", root=tmp_path / "tree") == []
    assert not list((tmp_path / "tree").rglob(".git"))


BUILD = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"


def test_the_archive_of_the_source_holds_the_library_and_no_test(tmp_path: Path) -> None:
    """Some of the tests and not what they need would be neither."""
    for name in listed():
        if name.startswith(("src/", "tests/")) or "/" not in name:
            (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / "tree" / name)
    subprocess.run([sys.executable, "-c", BUILD, tmp_path], cwd=tmp_path / "tree", check=True, capture_output=True)
    (archive,) = tmp_path.glob("tutorlib-*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert {name for name in listed() if name.startswith("src/")} <= names
    assert {"README.md", "LICENSE", "LICENSE-text", "pyproject.toml"} <= names
    assert {name for name in names if name.startswith("tests")} == set()
