"""The front door: ``tutorlib list | run | claims | doctor``."""

import json
import os
import platform
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import torch
import tyro

from tutorlib import __version__, papers
from tutorlib.data.download import cache_folder, whereabouts
from tutorlib.data.images import files_of, have_ready
from tutorlib.lab import (
    Experiment,
    TutorlibError,
    device_name,
    judge,
    pick_device,
    pick_tier,
    recorded,
    run_sweep,
    summary,
    table,
    withdrawals,
)
from tutorlib.lab.compiling import choose_compile
from tutorlib.lab.device import PRECISION
from tutorlib.lab.errors import StorageError, UsageError, bad_argument, choose, refused_by_system, short_of_memory
from tutorlib.lab.plan import plan, text_of
from tutorlib.lab.progress import progress_for
from tutorlib.lab.records import NoRecordsError, publish
from tutorlib.lab.tiers import parse_seeds


def _option(metavar: str, default: str) -> Any:
    """Return how help shows an option: its value, and the words on its default after its description."""
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=default)


@dataclass(frozen=True)
class List:
    """List the experiments, what they stand for, and their tiers."""


@dataclass(frozen=True)
class Run:
    """Run an experiment's trials that have no record yet; a killed run goes on where it stopped."""

    experiment: Annotated[tyro.conf.Positional[str], _option("EXPERIMENT", "")]
    """which one, such as gpicl.phases"""
    tier: Annotated[str, _option("TIER", "(default: TUTORLIB_TIER, else live)")] = ""
    """live, study or paper"""
    device: Annotated[str, _option("DEVICE", "(default: TUTORLIB_DEVICE, else CUDA where there is one, else cpu)")] = ""
    """cpu, cuda or cuda:N"""
    seeds: Annotated[str, _option("SEEDS", "(default: the tier's own)")] = ""
    """how many (3), a list (4,7) or a range (2-5)"""
    engine: Annotated[str, _option("ENGINE", "(default: auto)")] = "auto"
    """local: one-thread processes; vmapped: one batch; ray: a Ray cluster; auto: vmapped on a GPU, else local"""
    jobs: Annotated[str, _option("N", "(default: one per core; one on a GPU)")] = ""
    """trials at a time"""
    compile: Annotated[bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(help_behavior_hint="(default: on a GPU)")] = (
        False
    )
    """compile steps, on a GPU to CUDA graphs, where an experiment has such a form: faster, after half a minute"""
    no_compile: Annotated[
        bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(help_behavior_hint="(default: on a CPU)")
    ] = False
    """run steps as they are"""
    batch: Annotated[str, _option("N", "(default: as many as share their sizes)")] = ""
    """trials side by side at most; what does not fit into memory is halved by itself"""
    save_every: Annotated[float, _option("SECONDS", "(default: 30)")] = 30.0
    """how often the state of a run is kept, from which a killed one goes on"""
    dry_run: Annotated[bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(help_behavior_hint="(default: no)")] = False
    """compute nothing, and print what this run would ask of a GPU: launches, memory and hours, and which data"""
    set: Annotated[tuple[tuple[str, ...], ...], tyro.conf.UseAppendAction, _option("NAME=VALUE ...", "")] = ()
    """fields of the configuration to change, such as width=32 steps=400"""
    results: Annotated[Path, _option("FOLDER", "(default: results)")] = Path("results")
    """where the records are kept"""
    publish: Annotated[Path | None, _option("FILE", "")] = None
    """write all records into this one file at the end, as the package ships them"""


@dataclass(frozen=True)
class Claims:
    """Print the verdict on every claim, from the recorded studies alone."""

    json: Annotated[bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(help_behavior_hint="(default: no)")] = False
    """print a list of objects, one for each claim, with every part, bar and interval"""


@dataclass(frozen=True)
class Doctor:
    """Say what this machine has, whether its folders can be written to, and whether the shipped records can be read."""


Command = List | Run | Claims | Doctor


class _Terminated(BaseException):
    """The process was asked to end."""


GOES_ON = "what is finished is kept, the same command goes on"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return 0, or 2 after one sentence on standard error if something cannot be used.

    Interrupted it returns 130, ended by SIGTERM 143, and 141 if nobody reads what it prints.
    """
    asked: list[int] = []
    try:
        with _termination_raised(asked):
            code = _run_command(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
        return code
    except BaseException as error:
        if asked:  # whatever a library made of the exception that was raised in it
            return _end(143, f"ended by SIGTERM; {GOES_ON}")
        return _explained(error)


def _explained(error: BaseException) -> int:
    """Say in a sentence what ended the command, and return the exit code; raise what is a fault of ours."""
    try:
        raise error
    except TutorlibError as error:
        return _end(2, str(error))
    except KeyboardInterrupt:
        return _end(130, f"interrupted; {GOES_ON}")
    except BrokenPipeError:
        _silence()
        return 141
    except OSError as error:
        _silence()
        return _end(
            2, str(refused_by_system("file", error.filename or "standard output", "one that can be used", error))
        )
    except Exception as error:
        if not short_of_memory(error):
            raise
        return _end(2, f"there is too little memory; {GOES_ON}")


def _end(code: int, sentence: str) -> int:
    with suppress(OSError):
        print(f"tutorlib: {sentence}", file=sys.stderr)
    return code


def _silence() -> None:
    """Let nothing more be written, not even what Python still holds when it ends: there is nowhere for it to go."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _termination_raised(asked: list[int]) -> Iterator[None]:
    """Raise SIGTERM as an exception meanwhile, so that processes which were started are ended too; note it."""
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough
        asked.append(number)
        raise _Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _run_command(arguments: Sequence[str]) -> int:
    _refuse_doubled(arguments)
    command: Command = tyro.cli(
        Command,
        prog="tutorlib",
        description=f"Executable tutorials on papers about learning to learn ({__version__}).",
        args=arguments,
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes),
    )
    match command:
        case List():
            _list()
        case Run():
            _run(command)
        case Claims():
            _claims(command.json)
        case Doctor():
            return _doctor()
    return 0


def _refuse_doubled(arguments: Sequence[str]) -> None:
    """Raise ``UsageError`` for an option that is there twice, of which only the last would count; ``--set`` adds up."""
    options = [word.partition("=")[0].replace("_", "-") for word in arguments if word.startswith("--")]
    for option in options:
        if option != "--set" and (count := options.count(option)) > 1:
            raise UsageError(f"{option}: expected once, found {count} times")


def _overrides(assignments: Sequence[str]) -> dict[str, str]:
    """Return the values by the names of their fields."""
    values: dict[str, str] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise bad_argument("set", assignment, "NAME=VALUE")
        if name in values:
            raise bad_argument("set", assignment, f"each field once, and {name}={values[name]} stands before it")
        values[name] = value
    return values


def _list() -> None:
    for name, experiment in papers.experiments().items():
        print(f"{name}  ({experiment.figure})\n    {experiment.title}")
        for tier in experiment.tiers:
            trials = experiment.trials(tier)
            print(f"    {tier}: {len(trials)} trials")


def _run(run: Run) -> None:
    experiment = papers.experiments()[choose("experiment", run.experiment, papers.experiments())]
    tier = pick_tier(run.tier or None)
    overrides = _overrides([assignment for group in run.set for assignment in group])
    for name, number in (("jobs", run.jobs), ("batch", run.batch)):
        if number and not re.fullmatch("[0-9]{1,9}", number):
            raise bad_argument(name, number, "a whole number")
    if run.publish and run.publish.is_dir():
        raise bad_argument("publish", str(run.publish), "a file, not a folder")
    if run.compile and run.no_compile:
        raise UsageError("--no-compile: expected no --compile beside it")
    compile = True if run.compile else False if run.no_compile else None
    seeds, batch = parse_seeds(run.seeds) if run.seeds else None, int(run.batch) if run.batch else None
    configs = dict.fromkeys(trial.config for trial in experiment.trials(tier, seeds, overrides))
    parts = tuple(dict.fromkeys(part for config in configs for part in experiment.data(config)))
    if run.dry_run:
        plans = plan(experiment, tier, seeds=seeds, overrides=overrides, batch=batch, compile=compile)
        wanted = {str(file): whereabouts(file) for part in parts for file in files_of(*part.split("/"))}
        print(text_of(plans._replace(files=plans.files | wanted)))
        print(f"as this command is, {_where(run, experiment, compile)}")
        return
    have_ready(parts, lambda line: print(line, file=sys.stderr))
    records = run_sweep(
        experiment,
        tier,
        seeds=seeds,
        overrides=overrides,
        device=run.device or None,
        engine=run.engine,
        jobs=int(run.jobs) if run.jobs else None,
        results=run.results,
        progress=progress_for(),
        compile=compile,
        batch=batch,
        save_every=run.save_every,
    )
    frame = table(records)
    shown = [c for c in frame.columns if frame[c].map(lambda v: not isinstance(v, list)).all()]
    varied = [c for c in shown if frame[c].nunique() > 1]
    print(frame[varied or shown].to_string(index=False, max_rows=40))
    print(f"{len(records)} records in {run.results / experiment.name / tier}")
    if lost := [record for record in records if record.diverged is not None]:
        print(f"{len(lost)} of them diverged, the first with seed {lost[0].seed} by step {lost[0].diverged}")
    if run.publish:
        try:
            publish(records, run.publish)
        except StorageError as error:
            reason = error.__cause__ if isinstance(error.__cause__, OSError) else error
            raise refused_by_system("publish", run.publish, "a file that can be written", reason) from None
        print(f"published in {run.publish}")


def _where(run: Run, experiment: Experiment, compile: bool | None) -> str:
    """Return in words where a run computes, and whether its steps are compiled."""
    device = pick_device("cpu" if experiment.cpu_only else run.device or None, here=run.engine != "ray")
    choice = choose_compile(device, compile)
    return f"on {device}, steps are {'' if choice.compile else 'not '}compiled: {choice.reason}"


def _claims(as_json: bool) -> None:
    if as_json:
        print(json.dumps([summary(claim) for claim in papers.claims()], indent=1))
        return
    for claim in papers.claims():
        evidence = judge(claim)
        number = f" {evidence.interval}, {evidence.interval.sample}" if evidence.interval else ""
        print(f"{claim.id}  {evidence.verdict} ({claim.scale}){number}\n    {claim.sentence}\n    {evidence.detail}")
        for name, part in evidence.parts.items():
            print(f"    - {name}: {part}")
        for words in evidence.against:
            print(f"    Against it: {words}")
        if claim.budget:
            print(f"    Budget: {claim.budget}")


def _doctor() -> int:
    print(f"tutorlib {__version__}, Python {platform.python_version()}, torch {torch.__version__}")
    device = pick_device()
    print(f"device: {device} ({device_name(device)}), {torch.get_num_threads()} threads")
    choice = choose_compile(device)
    print(f"compile: {'yes' if choice.compile else 'no'}, {choice.reason}")
    print(f"precision: {PRECISION}")
    print(f"tier: {pick_tier()}")
    for package in ("anywidget", "jaxtyping", "ray"):
        try:
            print(f"{package}: {version(package)}")
        except PackageNotFoundError:
            print(f"{package}: not installed")
    healthy = all([_writable("results", Path("results").absolute()), _writable("cache", cache_folder())])
    for name, experiment in papers.experiments().items():
        if "study" not in experiment.tiers:
            continue
        try:
            trials = recorded(name, withdrawn=True, diverged=True)
            gone = withdrawals(name)
            count = sum(any(withdrawal.covers(record.config) for withdrawal in gone) for record in trials)
            print(f"{name}: {len(trials)} recorded trials" + (f", {count} of them withdrawn" if count else ""))
        except NoRecordsError:
            print(f"{name}: not recorded yet")
        except TutorlibError as error:
            healthy = False
            print(f"{name}: {error}")
    return 0 if healthy else 2


def _writable(name: str, folder: Path) -> bool:
    """Print whether files can be kept in ``folder``, or it can be made where it is not yet; leave nothing behind."""
    try:
        there = next(place for place in (folder, *folder.absolute().parents) if os.path.lexists(place))
        with tempfile.TemporaryFile(dir=there):
            print(f"{name}: {folder}, writable")
    except OSError as error:
        print(f"{name}: {refused_by_system('folder', str(folder), 'one that can be written to', error)}")
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
