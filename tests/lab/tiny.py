"""A tiny experiment that writes down what it does, and a server that starts sweeps of it without a long import.

The log has a line ``<event> <number of the trial> <process>`` for each ``start`` and ``end`` of a computation, each
``half`` that reached the checkpoint, each ``resumed`` one, and each ``recorded`` trial.
"""

import json
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from tutorlib.lab import Context, Experiment, Metrics, Tier, Trial, grid, run_sweep
from tutorlib.lab.records import record_path


@dataclass(frozen=True)
class Config:
    number: int = 0
    kind: str = "whole"


CELLS = 120


def setting(name: str) -> float:
    """Milliseconds from the environment, so that an undisturbed run of the same trials need not wait."""
    return float(os.environ.get(name, "0")) / 1000


def note(event: str, number: int) -> None:
    if path := os.environ.get("TINY_LOG"):
        with open(path, "a") as file:  # appended in one piece
            file.write(f"{event} {number} {os.getpid()}\n")


def environment(log: Path, pause: int, write: int = 0) -> dict[str, str]:
    """The environment of a process whose sweeps are logged, with ``pause`` and ``write`` in milliseconds."""
    own = {
        "TINY_LOG": str(log),
        "TINY_MS": str(pause),
        "TINY_WRITE_MS": str(write),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    return os.environ | own


def numbers(trial: Trial, part: int) -> torch.Tensor:
    return torch.randn(4, generator=torch.Generator().manual_seed(1000 * trial.config.number + 10 * trial.seed + part))


def run(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    return [_run(trial, context) for trial in trials]


def _run(trial: Trial, context: Context) -> Metrics:
    number = trial.config.number
    pause = setting("TINY_MS") * (0.4 + 0.4 * (number % 4))
    note("start", number)
    first = None
    if trial.config.kind == "halves":
        assert context.checkpoint is not None
        if saved := context.checkpoint.load():
            note("resumed", number)
            first = saved["first"]
    if first is None:
        time.sleep(pause / 2)
        first = numbers(trial, 1)
        if trial.config.kind == "halves":
            context.checkpoint.save({"first": first})
            note("half", number)
    time.sleep(pause / 2)
    second = numbers(trial, 2)
    note("end", number)
    return {"first": first.tolist(), "product": (first @ second).item()}


def run_or_die(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Like ``run``, but the process that meets trial 3 kills itself, as a system short of memory would."""
    if any(trial.config.number == 3 for trial in trials):
        os.kill(os.getpid(), signal.SIGKILL)
    return run(trials, context)


def experiment(kind: str, trials: int = CELLS) -> Experiment:
    return Experiment(
        name=f"tiny.{kind}",
        title="A tiny experiment",
        figure="none",
        run=run,
        tiers={"live": Tier(grid(Config(kind=kind), number=tuple(range(trials))), seeds=(3,))},
        varies=("number",),
    )


def slow_writes() -> None:
    """Stretch the moments around each renaming, in which a kill could tear a file, and note what is recorded."""
    stems = {
        record_path(Path(), f"tiny.{kind}", Trial(Config(number, kind), 3)).name: number
        for kind in ("whole", "halves")
        for number in range(CELLS)
    }
    replace = os.replace

    def slow(source, target):
        time.sleep(setting("TINY_WRITE_MS"))
        replace(source, target)
        if Path(target).name in stems:
            note("recorded", stems[Path(target).name])
        time.sleep(setting("TINY_WRITE_MS"))

    os.replace = slow


if os.environ.get("TINY_LOG"):
    slow_writes()


def sweep(kind: str, results: str, start_method: str) -> None:
    """Sweep with two processes. Forked ones have the library imported already, and so are there at once."""
    if start_method == "fork":
        from joblib.externals.loky.backend.context import set_start_method

        warnings.filterwarnings("ignore", "`fork` start method should not be used")
        set_start_method("fork")
    run_sweep(experiment(kind), jobs=2, device="cpu", results=Path(results))


def serve() -> None:
    """For each line of standard input start a sweep in a session of its own; print its process and how it ended."""
    for line in sys.stdin:
        command = json.loads(line)
        if not (process := os.fork()):
            os.setsid()
            print(os.getpid(), flush=True)  # not by the parent: from here on the group is there to be killed
            out = os.open(command.pop("output"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            nothing = os.open(os.devnull, os.O_RDONLY)
            for target, source in ((0, nothing), (1, out), (2, out)):
                os.dup2(source, target)
            status = 1
            try:
                sweep(**command)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)


if __name__ == "__main__":
    import tiny  # under its own name, by which worker processes find the functions

    tiny.serve()
