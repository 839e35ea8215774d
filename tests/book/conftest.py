"""The built book: made once per test run, or taken from the folder that ``TUTORLIB_SITE`` names."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from bs4 import BeautifulSoup
from filelock import FileLock
from toc import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from visitor import Visitor

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


class Soups(Mapping[str, BeautifulSoup]):
    """Every page of the site in ``folder``, by its path without ``.html``; parsed when it is asked for, once."""

    def __init__(self, folder: Path) -> None:
        self.paths = {
            path.relative_to(folder).with_suffix("").as_posix(): path
            for path in folder.rglob("*.html")
            if "_static" not in path.parts
        }
        self.parsed: dict[str, BeautifulSoup] = {}

    def __getitem__(self, page: str) -> BeautifulSoup:
        if page not in self.parsed:
            self.parsed[page] = BeautifulSoup(self.paths[page].read_text(encoding="utf-8"), "html.parser")
        return self.parsed[page]

    def __iter__(self) -> Iterator[str]:
        return iter(self.paths)

    def __len__(self) -> int:
        return len(self.paths)


@pytest.fixture(scope="session")
def soups(site: Path) -> Soups:
    """Every page, by its path without ``.html``."""
    return Soups(site)


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where a web server of this machine shows the built pages."""
    from visitor import Handler

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/tutorlib/"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def visitor(chromium: "Browser", address: str) -> "Visitor":
    """Windows on the built pages, one per mode, that note what goes wrong."""
    from visitor import Visitor

    return Visitor(chromium, address)
