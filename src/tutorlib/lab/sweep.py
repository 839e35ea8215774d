"""A sweep: the cells of an experiment's tier, computed wherever they fit, each recorded when it is done.

Nothing here schedules: joblib runs the cells in processes of its own, Ray runs them on a cluster. A sweep that was
killed goes on where it stopped, because a finished cell is a file; a cell in progress is guarded by a lock that the
operating system drops with its process.
"""

import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import torch
from filelock import FileLock

from tutorlib.lab import records
from tutorlib.lab.device import pick_device
from tutorlib.lab.errors import SweepError, TutorlibError, bad_argument, checked, choose
from tutorlib.lab.experiment import Cell, Context, Experiment, cell_key, checkpoint_for, plain
from tutorlib.lab.progress import Progress, Silent
from tutorlib.lab.records import Record

ENGINES = ("auto", "local", "vmapped", "ray")
_RAY_RETRIES = 5


@checked(counts=("jobs",))
def run_sweep(
    experiment: Experiment,
    tier: str = "live",
    *,
    seeds: Sequence[int] | None = None,
    overrides: Mapping[str, Any] | None = None,
    device: str | None = None,
    engine: str = "auto",
    jobs: int | None = None,
    results: Path | None = None,
    progress: Progress | None = None,
    compile: bool = False,
) -> list[Record]:
    """Compute the cells of ``tier`` that have no record yet, and return the records of all of them in order.

    ``engine``: ``local`` runs each cell in a one-thread process of its own, ``jobs`` at a time (default: one per
    core); ``vmapped`` runs cells of one shape as one batch; ``ray`` sends cells to the Ray cluster of this session or
    of ``RAY_ADDRESS``, each to a core (on ``cuda`` to a GPU, or a share of one if ``jobs`` exceeds the GPUs), and
    again, up to 5 times, where a node was lost; ``auto`` is ``vmapped`` on a GPU and ``local`` on a CPU. ``results``:
    the folder of the records; None keeps nothing. ``compile``: steps are compiled (``torch.compile``), which takes
    half a minute or more before the first step, and changes the last digits of sums.

    Raises ``UsageError`` for an argument that cannot be used, ``RecordError`` for a record that cannot be read, and
    ``SweepError`` once the other cells are done if cells failed.
    """
    choose("engine", engine, ENGINES)
    place = pick_device(device, here=engine != "ray")
    cells = experiment.cells(tier, seeds, overrides)
    if engine == "auto":
        engine = "vmapped" if place.type == "cuda" and experiment.shape else "local"
    if engine == "vmapped" and experiment.shape is None:
        raise bad_argument("engine", engine, f"local or ray: {experiment.name} runs its cells one by one")
    command = records.command_line(experiment.name, tier, seeds, overrides, compile)
    with ExitStack() as stack:
        if results is None:
            results = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder = _writable(results / experiment.name / tier)
        job = _Job(experiment, tier, str(place), folder, command, compile)
        progress = progress or Silent()
        stack.callback(progress.close)
        return _finish(job, cells, engine, jobs, progress)


@dataclass(frozen=True)
class _Job:
    """What all cells of a sweep share."""

    experiment: Experiment
    tier: str
    device: str
    folder: Path
    command: str
    compile: bool = False

    def record_path(self, cell: Cell) -> Path:
        return records.record_path(self.folder, self.experiment.name, cell)


Batch = tuple[Cell, ...]
Outcome = tuple[Batch, list[Record], str | None]
"""A batch, the records of its cells, and a sentence if it failed instead."""


def _writable(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        expected = f"a folder that can be written to ({error.strerror})"
        raise bad_argument("results", str(folder), expected) from None
    return folder.resolve()


def _finish(job: _Job, cells: Sequence[Cell], engine: str, jobs: int | None, progress: Progress) -> list[Record]:
    """Compute the cells that have no record yet; return the records of all."""
    done = {cell: records.load(path) for cell in cells if (path := job.record_path(cell)).exists()}
    for batch in _batches(job, list(done), engine):  # killed after its record was written, before this
        checkpoint_for(job.folder, job.experiment.name, batch).clear()
    pending = [cell for cell in cells if cell not in done]
    progress.start(len(cells), f"{job.experiment.name} ({job.tier})", len(done))
    failures = []
    failed = 0
    for batch, found, failure in _compute_all(job, _batches(job, pending, engine), engine, jobs, progress):
        progress.advance(len(batch))
        if failure:
            failures.append(failure)
            failed += len(batch)
        for cell, record in zip(batch, found, strict=False):
            done[cell] = record
            if not job.record_path(cell).exists():  # a node with a disk of its own computed it
                records.save(record, job.record_path(cell))
    if failures:
        raise SweepError(f"{failed} of {len(cells)} cells failed; the first: {failures[0]}")
    return [done[cell] for cell in cells]


def _batches(job: _Job, pending: Sequence[Cell], engine: str) -> list[Batch]:
    """Return the cells that run together: those of one shape if they run as one tensor, else one by one."""
    if engine != "vmapped" or job.experiment.shape is None:
        return [(cell,) for cell in pending]
    shapes: dict[Any, list[Cell]] = {}
    for cell in pending:
        shapes.setdefault(job.experiment.shape(cell.config), []).append(cell)
    return [tuple(group) for group in shapes.values()]


def _compute_all(
    job: _Job, batches: Sequence[Batch], engine: str, jobs: int | None, progress: Progress
) -> Iterator[Outcome]:
    """Yield the outcome of each batch when it is there."""
    if not batches:
        return
    if engine == "ray":
        yield from _on_ray(job, batches, jobs)
        return
    if jobs is None:
        jobs = 1 if job.device.startswith("cuda") else len(os.sched_getaffinity(0))
    jobs = min(jobs, len(batches))
    if engine == "vmapped" or jobs == 1:
        yield from (_compute(job, batch, progress.inner()) for batch in batches)
        return
    try:
        with joblib.parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1):
            parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1)
            yield from parallel(joblib.delayed(_compute)(job, batch) for batch in batches)
    except BrokenProcessPool:
        raise SweepError(
            "a process was killed from outside, perhaps for want of memory; the finished cells are kept: "
            "run again to go on, with fewer jobs if memory is short"
        ) from None


def _on_ray(job: _Job, batches: Sequence[Batch], jobs: int | None) -> Iterator[Outcome]:
    """Compute each batch as a task of the Ray cluster; Ray runs it again elsewhere if its node is lost."""
    # Not through joblib's Ray backend: that one returns nothing before everything is done, and its actors, pinned to
    # the resources of a lost node, wait for ever for another node of that size.
    try:
        import ray
        from ray.exceptions import RayError, RayTaskError
    except ModuleNotFoundError:
        raise bad_argument("engine", "ray", "Ray to be installed: pip install 'tutorlib[cluster]'") from None
    started = not ray.is_initialized()
    if started:
        ray.init(log_to_driver=False)
    try:
        on_gpu = torch.device(job.device).type == "cuda"
        share = min(1.0, ray.cluster_resources().get("GPU", 0.0) / jobs) if jobs else 1.0
        gpus = (share or 1.0) if on_gpu else 0.0
        compute = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=_RAY_RETRIES)(_compute)
        waiting = list(reversed(batches))
        running: dict[Any, Batch] = {}
        while waiting or running:
            while waiting and (jobs is None or len(running) < jobs):
                batch = waiting.pop()
                running[compute.remote(job, batch)] = batch
            (ready,), _ = ray.wait(list(running))
            batch = running.pop(ready)
            try:
                yield ray.get(ready)
            except RayTaskError:  # an error in the cell itself
                raise
            except RayError as error:
                yield batch, [], f"Ray gave up on it ({type(error).__name__}); run again to go on"
    finally:
        if started:
            ray.shutdown()


@contextmanager
def _one_thread(device: torch.device) -> Iterator[None]:
    """Run on one thread on a CPU: sums then do not depend on how many cores a machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if device.type == "cpu" else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _compute(job: _Job, batch: Batch, progress: Progress | None = None) -> Outcome:
    """Compute and record those cells of ``batch`` that have no record yet."""
    name, device = job.experiment.name, torch.device(job.device)
    job.folder.mkdir(parents=True, exist_ok=True)
    progress = progress or Silent()
    with ExitStack() as stack:
        # A sweep that was killed may have left a process that still computes one of these cells: wait for it, and
        # then look again. In the order of their names, so that no two batches wait for each other.
        for key in sorted(cell_key(name, [cell]) for cell in batch):
            stack.enter_context(FileLock(job.folder / f".{key}.lock"))
        stack.enter_context(_one_thread(device))
        stack.callback(progress.close)
        cells = [cell for cell in batch if not job.record_path(cell).exists()]
        if cells:
            checkpoint = checkpoint_for(job.folder, name, cells)
            _sweep_out(job, cells, checkpoint.path)
            started = time.perf_counter()
            try:
                context = Context(device=device, progress=progress, checkpoint=checkpoint, compile=job.compile)
                found = job.experiment.run(cells, context)
                seconds = round((time.perf_counter() - started) / len(cells), 3)
                source = records.provenance(device, len(cells), job.command)
                for cell, metrics in zip(cells, found, strict=True):
                    record = Record(name, job.tier, plain(cell.config), cell.seed, metrics, seconds, source)
                    records.save(record, job.record_path(cell))
            except TutorlibError as error:
                return batch, [], str(error)
            except torch.OutOfMemoryError:
                return batch, [], f"{len(cells)} cells as one batch do not fit into the memory of {device}"
            checkpoint.clear()
        return batch, [records.load(job.record_path(cell)) for cell in batch], None


def _sweep_out(job: _Job, cells: Sequence[Cell], checkpoint: Path) -> None:
    """Remove the half-written files of killed processes; whoever holds the locks of ``cells`` is alone here."""
    for path in (checkpoint, *map(job.record_path, cells)):
        for leftover in job.folder.glob(f".{path.name}.*"):
            leftover.unlink(missing_ok=True)
