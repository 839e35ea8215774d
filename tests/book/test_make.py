"""What ``make book`` does around Sphinx: one build at a time, and none on what a broken one left; ``make check``."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tutorlib import papers

MAKE = Path(__file__).parents[2] / "book" / "make.py"

BUILDER = """
import os, signal, sys, time
from pathlib import Path
folder, how = Path("_build"), sys.argv[1]
folder.mkdir(exist_ok=True)
with open("log", "a") as log:
    log.write("begin " + " ".join(sorted(path.name for path in folder.iterdir())) + "\\n")
(folder / "half").touch()
if how == "killed":
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(0.2)
    sys.exit(1)
time.sleep(0.3)
(folder / "half").unlink()
(folder / "page").touch()
with open("log", "a") as log:
    log.write("end\\n")
sys.exit(how == "fails")
"""


@pytest.fixture
def builder(tmp_path: Path) -> list[str]:
    """A command that builds a site of one page, in a folder with a copy of what ``make book`` runs."""
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "make.py").write_text(MAKE.read_text())
    (tmp_path / "builder.py").write_text(BUILDER)
    start = (
        "import sys; sys.path.insert(0, 'book'); from pathlib import Path; from make import build; "
        "sys.exit(build(sys.argv[1:], Path('_build').resolve(), Path('lock')))"
    )
    return [sys.executable, "-c", start, sys.executable, "builder.py"]


def run(builder: list[str], how: str, folder: Path) -> int:
    return subprocess.run([*builder, how], cwd=folder).returncode


def begins(folder: Path) -> list[str]:
    """What each build found in the folder when it began."""
    return [line.removeprefix("begin").strip() for line in (folder / "log").read_text().splitlines() if "begin" in line]


def test_a_build_goes_on_from_a_whole_one_alone(builder: list[str], tmp_path: Path):
    assert run(builder, "works", tmp_path) == 0
    assert run(builder, "works", tmp_path) == 0
    assert begins(tmp_path) == ["", "page"]
    assert run(builder, "fails", tmp_path) == 1
    assert not (tmp_path / "_build").exists()  # or ``make serve`` would show it
    assert run(builder, "killed", tmp_path) == -signal.SIGKILL
    time.sleep(0.5)  # what it had started ends by itself
    assert run(builder, "works", tmp_path) == 0
    assert begins(tmp_path)[2:] == ["page", "", ""]
    assert (tmp_path / "_build" / ".whole").exists()


def test_two_builds_take_turns(builder: list[str], tmp_path: Path):
    both = [subprocess.Popen([*builder, "works"], cwd=tmp_path, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    lines = [line.split()[0] for line in (tmp_path / "log").read_text().splitlines()]
    assert lines == ["begin", "end", "begin", "end"]
    assert sum("another build is at work" in text for text in said) <= 1


def test_make_book_goes_through_it():
    text = (MAKE.parents[1] / "Makefile").read_text()
    assert "$(BIN)/python book/make.py $(BIN)/jupyter-book build" in text


SLUGS = sorted(path.parent.name for path in Path(papers.__file__).parent.glob("*/__init__.py"))


def make(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", "-s", *words], cwd=MAKE.parents[1], capture_output=True, text=True)


@pytest.mark.parametrize("only", ["", "gpicll", "%", "gpicl vsml", "lab"])
def test_a_check_of_no_chapter_says_which_there_are(only: str):
    done = make("slug", f"ONLY={only}")
    assert done.returncode == 2
    assert done.stdout == ""
    # Before anything is installed or built.
    assert re.search(r"^check: slug ", (MAKE.parents[1] / "Makefile").read_text(), re.M)
    assert done.stderr.splitlines()[0] == f"make: ONLY={only}: expected one of {' '.join(SLUGS)}"


@pytest.mark.parametrize("slug", SLUGS)
def test_a_check_takes_the_tests_notebooks_and_pages_of_its_chapter(slug: str):
    assert make("slug", f"ONLY={slug}").returncode == 0
    commands = make("-n", "check", f"ONLY={slug}").stdout.replace("\\\n", " ")
    assert "/mypy\n" in commands
    assert re.search(rf"pytest .* -k {slug}\s+tests/papers tests/book\n", commands)
    assert f"notebooks/make.py --verify {slug}\n" in commands
    pages = ("test_published.py", "test_notebooks.py") if slug in papers.PAPERS else ()  # else there is no page yet
    for file in pages:  # what -k chooses by
        text = (MAKE.parents[1] / "tests" / "book" / file).read_text()
        assert re.search(rf"def test_\w*_of_{slug}_", text) or "every_pair" in text, file


def test_both_parts_of_the_tests_name_their_slowest():
    commands = re.findall(r"pytest (.*)", make("-n", "test").stdout)
    assert len(commands) == 2
    assert all("--durations=25" in command for command in commands)


def test_a_tracer_stands_aside_where_others_count_the_lines(request: pytest.FixtureRequest):
    """Pages and the contracts of all papers run without it, and no part's own tests do."""
    items = request.session.items
    aside = {item.path for item in items if item.get_closest_marker("no_cover")}
    assert request.path in aside
    tests = request.config.rootpath / "tests"
    own = {item.path for item in items if item.path.parent in (tests / "lab", tests / "rl", tests / "nn")}
    assert not aside & own
    assert {item.path for item in items if item.path.parent in (tests / "book", tests / "papers")} <= aside
