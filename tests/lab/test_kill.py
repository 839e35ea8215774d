"""Sweeps killed with SIGKILL at any moment go on where they stopped: nothing is torn, lost or computed twice."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import tiny

from tutorlib.lab import records, run_sweep, table
from tutorlib.lab.errors import SweepError

PATIENCE = 120.0

pytestmark = pytest.mark.timeout(600)  # for machines that do much else; by itself this takes a minute at most


class Sweeps:
    """Sweeps of the tiny experiment in one folder, each a process group that can be killed."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.kind, self.results, self.log, self.output = kind, folder / "results", folder / "log", folder / "output"
        self.folder = self.results / f"tiny.{kind}" / "live"
        self.log.touch()
        self.groups: list[int] = []
        self.server = subprocess.Popen(
            [sys.executable, tiny.__file__],
            env=tiny.environment(self.log, pause=25, write=4),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, start_method: str = "fork") -> int:
        command = {
            "kind": self.kind,
            "results": str(self.results),
            "output": str(self.output),
            "start_method": start_method,
        }
        self.server.stdin.write(json.dumps(command) + "\n")
        self.server.stdin.flush()
        self.groups.append(int(self.server.stdout.readline()))
        return self.groups[-1]

    def ended(self) -> int:
        """Wait until the sweep is over; return its exit code, negative for a signal."""
        return int(self.server.stdout.readline())

    def events(self) -> list[tuple[str, int, int]]:
        lines = self.log.read_text().splitlines()
        return [(event, int(number), int(process)) for event, number, process in map(str.split, lines)]

    def note(self, event: str, number: int) -> None:
        with open(self.log, "a") as file:
            file.write(f"{event} {number} 0\n")

    def starts(self) -> int:
        """How many computations have begun since the first sweep."""
        return self.log.read_text().count("start")

    def wait_for(self, starts: int) -> None:
        """Wait until ``starts`` computations have begun, or all trials are recorded."""
        deadline = time.monotonic() + PATIENCE
        while self.starts() < starts and len(self.recorded()) < tiny.CELLS:
            assert time.monotonic() < deadline, self.output.read_text()
            time.sleep(0.002)

    def recorded(self) -> dict[str, tuple[int, int]]:
        """The records there are, each with what changes if its file is written again."""
        if not self.folder.exists():
            return {}
        found = {path: path.stat() for path in self.folder.glob("[!.]*.json")}
        return {path.name: (stat.st_ino, stat.st_mtime_ns) for path, stat in found.items()}

    def leftovers(self) -> list[Path]:
        """The temporary files of writes that were cut off."""
        return [path for path in self.folder.glob(".*") if not path.name.endswith(".lock")]

    def close(self) -> None:
        self.server.stdin.close()
        for group in self.groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        self.server.stdout.close()
        self.server.wait(PATIENCE)


@pytest.fixture
def sweeps(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Sweeps]]:
    started = []

    def start(kind: str) -> Sweeps:
        folder = tmp_path / f"{kind}-{len(started)}"
        folder.mkdir()
        started.append(Sweeps(folder, kind))
        return started[-1]

    yield start
    for each in started:
        each.close()


def check(sweeps: Sweeps) -> None:
    """Hold what the log and the folder say against an undisturbed run."""
    finished: set[int] = set()
    halved: set[int] = set()
    computing: dict[int, int] = {}
    for event, number, process in sweeps.events():
        if event == "recorded":
            finished.add(number)
        elif event == "start":
            assert number not in finished, f"trial {number} was computed again after it was recorded"
            computing[number] = process
        else:
            # A process that is still at a trial after another one began it: both computed it at once.
            assert computing[number] == process, f"trial {number} was computed by two processes at once"
        if event == "half":
            assert number not in halved, f"trial {number} did its first half again although that was kept"
            halved.add(number)

    final = records.load_folder(sweeps.folder)
    expected = run_sweep(tiny.experiment(sweeps.kind), jobs=1, device="cpu")
    assert len(final) == len(expected) == tiny.CELLS
    columns = ["number", "kind", "seed", "first", "product", "device"]
    left, right = (table(found).sort_values("number", ignore_index=True)[columns] for found in (final, expected))
    assert left.equals(right)
    assert sweeps.leftovers() == []
    assert list(sweeps.folder.glob("*.ckpt")) == []


def kill_and_check(sweeps: Sweeps, kills: int, start_method: str, seed: int = 0) -> tuple[Counter[str], int]:
    """Kill a sweep ``kills`` times, let it finish, and check it; return the kills and how many writes they cut off."""
    dice = random.Random(f"{sweeps.kind} {seed}")
    done: Counter[str] = Counter()
    cut_off = 0
    known: dict[str, tuple[int, int]] = {}
    for turn in range(kills):
        if len(known) == tiny.CELLS:
            break  # all is done: the caller begins another sweep
        begun = sweeps.starts()
        main = sweeps.start(start_method)
        sweeps.wait_for(begun + dice.randint(1, 4))
        time.sleep(dice.random() * 0.03)
        alone = turn % 3 == 1
        if alone:
            os.kill(main, signal.SIGKILL)  # its processes end too, and the next sweep may still meet them
        else:
            os.killpg(main, signal.SIGKILL)
        code = sweeps.ended()
        if code == 0:
            break  # it was over before it was killed
        assert code == -signal.SIGKILL
        done["main process alone" if alone else "whole group"] += 1
        cut_off += len(sweeps.leftovers())
        found = sweeps.recorded()
        assert {name: found[name] for name in known} == known, "a record was written twice"
        known = found
        # Each is whole; and whoever computes one of them from here on computes it twice.
        for record in records.load_folder(sweeps.folder):
            sweeps.note("recorded", record.config["number"])
    sweeps.start(start_method)
    assert sweeps.ended() == 0, sweeps.output.read_text()
    check(sweeps)
    return done, cut_off


def test_killed_at_any_moment(sweeps: Callable[[str], Sweeps]):
    kills: Counter[str] = Counter()
    cut_off, resumed = 0, False
    # Where a kill falls is up to the machine: on a slow one, more of them until each kind of moment was met.
    for seed in range(4):
        for kind in ("whole", "halves"):
            each = sweeps(kind)
            done, torn = kill_and_check(each, 12, "fork", seed)
            kills, cut_off = kills + done, cut_off + torn
            resumed = resumed or any(event == "resumed" for event, _, _ in each.events())
        if cut_off and resumed and kills.total() >= 20 and min(kills.values()) >= 8:
            break
    assert kills.total() >= 20
    assert min(kills.values()) >= 8
    assert cut_off > 0, "no kill hit a write, so torn files were not tried"
    assert resumed, "no kill fell between the halves of a trial, so no checkpoint was taken up"


def test_killed_with_processes_that_start_as_they_do_by_default(sweeps: Callable[[str], Sweeps]):
    kills, _ = kill_and_check(sweeps("halves"), 2, "loky")
    assert kills == {"whole group": 1, "main process alone": 1}


def test_processes_end_with_the_one_that_started_them(sweeps: Callable[[str], Sweeps]):
    each = sweeps("whole")
    main = each.start("fork")
    each.wait_for(6)
    at_work = psutil.Process(main).children(recursive=True)
    assert len(at_work) >= 2
    os.kill(main, signal.SIGKILL)
    assert each.ended() == -signal.SIGKILL
    psutil.wait_procs(at_work, timeout=20)
    assert [p for p in at_work if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []
    assert len(each.recorded()) < tiny.CELLS  # they had more to do


def test_one_process_of_a_sweep_is_killed(tmp_path: Path):
    experiment = tiny.experiment("whole", 6)
    suicide = replace(experiment, run=tiny.run_or_die)
    says = (
        r"^1 of 6 trials failed; the first: its process was killed from outside, perhaps for want of memory; run again"
    )
    with pytest.raises(SweepError, match=says):
        run_sweep(suicide, jobs=2, device="cpu", results=tmp_path)
    kept = {record.config["number"] for record in records.load_folder(tmp_path / experiment.name / "live")}
    assert kept == {0, 1, 2, 4, 5}  # the others are computed all the same
    assert len(run_sweep(experiment, jobs=1, device="cpu", results=tmp_path)) == 6
