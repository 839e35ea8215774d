"""Sweeps that are killed, starved and crowded, held against undisturbed ones: what is recorded must be the same.

python benchmarks/torture.py               200 kills, faults of disk, folder and memory, two sweeps at once
python benchmarks/torture.py --kills 40 --minutes 5

Each sweep is the command line itself, in a process of its own that was forked from this one: with the import done, a
kill falls on work and not on the import. Linux or macOS. Ray is not here: tests/lab/test_ray.py kills a node of it.
"""

import argparse
import faulthandler
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch

from tutorlib import cli, papers
from tutorlib.data import load_digits
from tutorlib.lab import records

PATIENCE = 300.0
CURRENT: list[int] = []


@dataclass(frozen=True)
class Target:
    """A sweep of short trials."""

    experiment: str
    engine: str
    jobs: int
    settings: str
    seeds: int = 3

    def words(self, results: Path, publish: Path) -> list[str]:
        words = ["run", self.experiment, "--tier", "live", "--seeds", str(self.seeds), "--device", "cpu"]
        words += ["--engine", self.engine, "--jobs", str(self.jobs), "--results", str(results), "--save-every", "0"]
        return [*words, "--publish", str(publish), "--set", *self.settings.split()]


GPICL = "steps=40 num_evals=20 width=8 layers=1 heads=1 head_dim=8 batch=4 tasks=4 bias=0"
VSML = "steps=40 num_evals=20 sequences=2"
SYMLA = "generations=12 num_evals=6 pairs=4 length=10"
LOCK = (
    "updates=12 num_evals=12 num_envs=4 num_steps=20 minibatch_size=40 update_epochs=1 hidden=16 width=16 d=8 "
    "hidden_z=8"
)
ONLINE = (
    "environment=flute size=3 steps=120 learning_starts=40 eval_every=10 eval_episodes=2 eval_length=10 hidden=16 "
    "updates=1"
)
OFFLINE = "updates=60 num_evals=20 hidden=16 pipes=3"
TARGETS = (
    Target("gpicl.learning", "local", 2, GPICL),
    Target("gpicl.learning", "vmapped", 1, GPICL),
    Target("vsml.plateau", "vmapped", 1, VSML),
    Target("vsml.plateau", "local", 2, VSML),
    Target("vsml.cloning", "local", 2, "steps=60 num_evals=20 batch=16 warmup=5 length=40 hidden=8 width=4"),
    Target("symla.bandits", "local", 2, SYMLA),
    Target("rcgvf.lock", "vmapped", 1, LOCK),
    Target("rcgvf.lock", "local", 2, LOCK),
    Target("mbrl.online", "local", 2, ONLINE),
    Target("mbrl.offline", "vmapped", 1, OFFLINE),
    Target("mbrl.offline", "local", 1, OFFLINE),
)


def start(words: list[str], output: Path, before: Callable[[], object] = lambda: None) -> int:
    """Run the command line with ``words`` in a forked process; ``before`` is called there first."""
    sys.stdout.flush()
    if process := os.fork():
        CURRENT.append(process)
        return process
    code = 1
    try:
        os.setsid()
        out = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for target in (1, 2):
            os.dup2(out, target)
        from joblib.externals.loky.backend.context import set_start_method

        warnings.filterwarnings("ignore", "`fork` start method should not be used")
        set_start_method("fork")  # its processes need no import either
        faulthandler.register(signal.SIGUSR1, all_threads=True)  # `ended` asks a sweep that hangs where it is
        before()
        code = cli.main(words)
        sys.stdout.flush()
    except BaseException as error:
        code = 99
        os.write(2, f"Traceback: {type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(code)


def ended(process: int, output: Path) -> int:
    """Wait until a sweep that writes to ``output`` is over; return its exit code, negative for a signal."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        exited, status = os.waitpid(process, os.WNOHANG)
        if exited:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(process, signal.SIGUSR1)
    time.sleep(2.0)
    os.killpg(process, signal.SIGKILL)
    raise AssertionError(f"a sweep did not end in {PATIENCE:g} s: {output.read_text()}")


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def expect(fine: bool, what: str) -> None:
    if not fine:
        raise AssertionError(what)


def contents(folder: Path) -> dict[str, Any]:
    """What the records in ``folder`` say, but for seconds and provenance; each must be whole."""
    by_name = {path.name: records.load(path) for path in folder.glob("[!.]*.json")}
    return {name: [r.experiment, r.tier, r.config, r.seed, r.metrics] for name, r in by_name.items()}


def published(path: Path) -> list[Any]:
    return [[r.config, r.seed, r.metrics] for r in records.load_published(path)]


def stats(folder: Path) -> dict[str, tuple[int, int]]:
    stats = {path.name: path.stat() for path in folder.glob("[!.]*.json")}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats.items()}


@dataclass
class Undisturbed:
    """What a sweep that nobody kills leaves, and how long it takes."""

    rows: dict[str, Any]
    file: list[Any]
    seconds: float


def undisturbed(target: Target, room: Path) -> Undisturbed:
    room.mkdir(parents=True)
    begun = time.monotonic()
    output = room / "output"
    code = ended(start(target.words(room / "results", room / "published.json"), output), output)
    expect(code == 0, f"{target.experiment}: {(room / 'output').read_text()}")
    folder = room / "results" / target.experiment / "live"
    return Undisturbed(contents(folder), published(room / "published.json"), time.monotonic() - begun)


def kill(process: int, output: Path, how: str, dice: random.Random) -> bool:
    """Kill a sweep, or what belongs to it, ``how`` says; return whether there was something to kill."""
    with suppress(ProcessLookupError, psutil.Error):
        sweep = psutil.Process(process)
        below = sweep.children(recursive=True)
        if how == "worker":
            if not below:
                return False
            dice.choice(below).kill()
            return True
        if how == "group":
            os.killpg(process, signal.SIGKILL)
        else:
            os.kill(process, signal.SIGTERM if how == "terminated" else signal.SIGKILL)
            code = ended_later(process, output)
            expect(how == "parent" or code in (143, 0), f"SIGTERM ended in {code}")
            psutil.wait_procs(below, timeout=20)
            expect(alive(below) == [], "a process outlived the one that started it")
        return True
    return False


CODES: dict[int, int] = {}


def ended_later(process: int, output: Path) -> int:
    CODES[process] = ended(process, output)
    return CODES[process]


def kills(target: Target, reference: Undisturbed, room: Path, dice: random.Random, most: int, until: float) -> Counter:
    """Kill one sweep again and again until it is done, hold it against the undisturbed one, and return the kills."""
    shutil.rmtree(room, ignore_errors=True)
    room.mkdir(parents=True)
    folder, file = room / "results" / target.experiment / "live", room / "published.json"
    done: Counter = Counter()
    known: dict[str, tuple[int, int]] = {}
    name = f"{target.experiment} ({target.engine}, {target.jobs})"
    for turn in range(200):
        process = start(target.words(room / "results", file), room / "output")
        if turn < 12 and done.total() < most and time.monotonic() < until:
            time.sleep(dice.random() * 0.8 * reference.seconds)
            how = dice.choice(["group", "parent", "terminated", *(["worker"] if target.jobs > 1 else [])])
            done[how] += kill(process, room / "output", how, dice)
        code = CODES.pop(process) if process in CODES else ended(process, room / "output")
        said = (room / "output").read_text()
        expect("Traceback" not in said, f"{name}: {said}")
        now = stats(folder) if folder.exists() else {}
        expect({key: now[key] for key in known} == known, f"{name}: a record was written twice")
        known = now
        if folder.exists():
            expect(all(reference.rows[key] == row for key, row in contents(folder).items()), f"{name}: another result")
        if file.exists():
            expect(published(file) == reference.file, f"{name}: another published file")
        if code == 0:
            break
        expect(code in (-signal.SIGKILL, 143, 2), f"{name}: exit code {code}: {said}")
        expect(code != 2 or "killed from outside" in said, f"{name}: {said}")
    expect(code == 0 and contents(folder) == reference.rows, f"{name}: not all is recorded")
    left = [path.name for path in folder.iterdir() if path.suffix not in (".json", ".lock")]
    expect(left == [], f"{name}: left over: {left}")
    return done


def failing(words: list[str], room: Path, before: Callable[[], object], says: str, meanwhile: Callable | None = None):
    """A sweep under a fault must end in one sentence that has ``says`` in it, with exit code 1 or 2."""
    process = start(words, room / "output", before)
    if meanwhile:
        meanwhile()
    code, said = ended(process, room / "output"), (room / "output").read_text()
    expect(code in (1, 2), f"exit code {code}: {said}")
    sentences = [line for line in said.splitlines() if line.startswith("tutorlib: ")]
    expect(len(sentences) == 1 and says in sentences[0] and "Traceback" not in said, said)
    return sentences[0]


def faults(room: Path) -> int:
    """Faults of disk, folder and memory; return how many were tried. Afterwards the same command goes on."""
    target = TARGETS[0]
    tried = 0

    def fresh(name: str, sweep: Target = target) -> tuple[Path, Path, list[str]]:
        here = room / name
        shutil.rmtree(here, ignore_errors=True)
        here.mkdir(parents=True)
        return (
            here,
            here / "results" / sweep.experiment / "live",
            sweep.words(here / "results", here / "published.json"),
        )

    def goes_on(here: Path, words: list[str]) -> None:
        code = ended(start(words, here / "output"), here / "output")
        expect(code == 0, (here / "output").read_text())

    here, folder, words = fresh("full")
    failing(words, here, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600)), str(folder))
    goes_on(here, words)
    tried += 1

    here, folder, words = fresh("lock")
    folder.mkdir(parents=True)
    trials = papers.experiments()[target.experiment].trials("live", range(target.seeds), settings(target))
    lock = folder / f".{records.record_path(folder, target.experiment, trials[0]).stem}.lock"
    lock.mkdir()
    failing(words, here, lambda: None, str(lock))
    expect(len(list(folder.glob("[!.]*.json"))) == len(trials) - 1, "the other trials were abandoned")
    lock.rmdir()
    goes_on(here, words)
    tried += 1

    here, folder, words = fresh("file")
    folder.parent.mkdir(parents=True)
    folder.touch()
    failing(words, here, lambda: None, str(folder))
    folder.unlink()
    goes_on(here, words)
    tried += 1

    def wait_for(folder: Path, pattern: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not list(folder.glob(pattern)) and time.monotonic() < deadline:
            time.sleep(0.005)

    here, folder, words = fresh("vanishes")
    process = start(words, here / "output")
    wait_for(folder, "[!.]*.json")
    shutil.rmtree(here / "results", ignore_errors=True)
    code = ended(process, here / "output")
    expect("Traceback" not in (here / "output").read_text(), (here / "output").read_text())
    expect(code == 2 or len(list(folder.glob("[!.]*.json"))) == len(trials), "success with a row missing")
    goes_on(here, words)
    tried += 1

    here, folder, words = fresh("becomes a file")

    def replaced() -> None:
        wait_for(folder, "[!.]*.json")
        shutil.rmtree(folder, ignore_errors=True)
        while True:
            try:
                folder.touch(exist_ok=False)
                return
            except FileExistsError:
                shutil.rmtree(folder, ignore_errors=True)

    failing(words, here, lambda: None, str(folder), replaced)
    folder.unlink()
    goes_on(here, words)
    tried += 1

    large = Target("gpicl.learning", "local", 1, GPICL.replace("batch=4", "batch=65536"), 1)
    here, folder, words = fresh("memory", large)
    size = psutil.Process().memory_info().vms + 50 * 2**20
    failing(words, here, lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size)), "memory")
    tried += 1

    here, folder, words = fresh("checkpoint")
    process = start(words, here / "output")
    wait_for(folder, "[!.]*.ckpt")
    os.killpg(process, signal.SIGKILL)
    ended(process, here / "output")
    for path in folder.glob("[!.]*.ckpt"):
        path.write_bytes(path.read_bytes()[:100])
        failing(words, here, lambda: None, str(path))
        path.unlink()
    goes_on(here, words)
    tried += 1

    here, folder, words = fresh("another trial")
    goes_on(here, words)
    first, second = sorted(folder.glob("[!.]*.json"))[:2]
    shutil.copy(first, second)
    failing(words, here, lambda: None, str(second))
    return tried + 1


def settings(target: Target) -> dict[str, str]:
    return dict(word.split("=") for word in target.settings.split())


def crowd(target: Target, reference: Undisturbed, room: Path) -> None:
    """Two sweeps at once in one folder: both end well, and what they record is that of one."""
    shutil.rmtree(room, ignore_errors=True)
    room.mkdir(parents=True)
    words = target.words(room / "results", room / "published.json")
    both = [start(words, room / f"output-{i}") for i in range(2)]
    for i, process in enumerate(both):
        code = ended(process, room / f"output-{i}")
        expect(code == 0, (room / f"output-{i}").read_text())
    expect(contents(room / "results" / target.experiment / "live") == reference.rows, "another result")
    expect(published(room / "published.json") == reference.file, "another published file")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    dice = random.Random(arguments.seed)
    load_digits()  # brings OpenBLAS in before memory is made short: loaded with too little of it, it waits for ever
    begun = time.monotonic()
    done: Counter = Counter()
    sweeps = 0
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        references = {target: undisturbed(target, room / f"reference-{i}") for i, target in enumerate(TARGETS)}
        for target, reference in references.items():
            print(
                f"{target.experiment} ({target.engine}, {target.jobs} at a time): {len(reference.rows)} trials, ",
                end="",
            )
            print(f"{reference.seconds:.1f} s undisturbed", flush=True)
        for i, target in enumerate(TARGETS):
            crowd(target, references[target], room / f"crowd-{i}")
        print(f"two sweeps at once: {len(TARGETS)} pairs, both well, nothing recorded twice", flush=True)
        print(f"faults of disk, folder, memory and files: {faults(room / 'faults')}, each one sentence", flush=True)
        until = begun + 60 * arguments.minutes - 60
        while done.total() < arguments.kills and time.monotonic() < until:
            for target in TARGETS:
                most = min(20, arguments.kills - done.total())
                if most > 0 and time.monotonic() < until:
                    done += kills(target, references[target], room / "kills", dice, most, until)
                    sweeps += 1
            print(f"{done.total()} kills so far", flush=True)
    shown = json.dumps(dict(sorted(done.items())))
    print(f"{done.total()} kills in {sweeps} sweeps {shown}: nothing torn, lost or recorded twice, all as undisturbed")
    print(f"{(time.monotonic() - begun) / 60:.1f} min, seed {arguments.seed}")


if __name__ == "__main__":
    main()
