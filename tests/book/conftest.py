"""The built book: made once per test run, or taken from the folder that ``TUTORLIB_SITE`` names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from filelock import FileLock
from toc import ROOT

sys.path.append(str(ROOT / "book" / "_ext"))


def build(folder: Path) -> None:
    """Build the book into ``folder`` with the book's one command; a warning is an error."""
    command = [Path(sys.executable).with_name("jupyter-book"), "build", ".", "--config", "_config.yml"]
    command += ["--toc", "book/_toc.yml", "-W", "-n", "--keep-going", "--path-output", folder]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    said = [line for line in (done.stdout + done.stderr).splitlines() if "WARNING" in line or "ERROR" in line]
    assert not said, "\n".join(said)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built pages. Processes of pytest-xdist share one build."""
    given = os.environ.get("TUTORLIB_SITE")
    if given:
        folder = ROOT / given
        assert (folder / "index.html").is_file(), f"TUTORLIB_SITE={given}: expected a built book"
        return folder
    base = tmp_path_factory.getbasetemp()
    shared = base.parent / "book" if os.environ.get("PYTEST_XDIST_WORKER") else base / "book"
    with FileLock(shared.with_suffix(".lock")):
        if not (shared / "_build" / "html" / "index.html").exists():
            build(shared)
    return shared / "_build" / "html"


@pytest.fixture(scope="session")
def soups(site: Path) -> dict[str, BeautifulSoup]:
    """Every page, by its path without ``.html``."""
    return {
        path.relative_to(site).with_suffix("").as_posix(): BeautifulSoup(path.read_text(), "html.parser")
        for path in site.rglob("*.html")
        if "_static" not in path.parts
    }
