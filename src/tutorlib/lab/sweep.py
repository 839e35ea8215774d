"""A sweep: the cells of an experiment's tier, computed wherever they fit, each recorded the moment it is done.

Nothing here schedules: joblib runs the cells, in processes of its own or on a Ray cluster. A sweep that was killed
goes on where it stopped, because a finished cell is a file; a cell in progress is guarded by a lock that the
operating system drops with its process.
"""

import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import joblib
import torch
from filelock import FileLock

from tutorlib.lab import records
from tutorlib.lab.device import pick_device
from tutorlib.lab.errors import SweepError, TutorlibError, bad_argument, choose
from tutorlib.lab.experiment import Cell, Context, Experiment, cell_key, checkpoint_for
from tutorlib.lab.progress import Progress, Silent
from tutorlib.lab.records import Record

ENGINES = ("auto", "local", "vmapped", "ray")
_RAY_PASSES = 3


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
) -> list[Record]:
    """Compute the cells of ``tier`` that have no record yet, and return the records of all of them in order.

    ``engine``: ``local`` runs each cell in a one-thread process of its own, ``jobs`` at a time (default: one per
    core); ``vmapped`` runs cells of one shape as one batch; ``ray`` sends cells to a Ray cluster; ``auto`` is
    ``vmapped`` on a GPU and ``local`` on a CPU. ``results``: the folder of the records; None keeps nothing.

    Raises ``UsageError`` for an argument that cannot be used, ``RecordError`` for a record that cannot be read, and
    ``SweepError`` once the other cells are done if cells failed.
    """
    place = pick_device(device)
    choose("engine", engine, ENGINES)
    if jobs is not None and jobs < 1:
        raise bad_argument("jobs", jobs, "at least 1 process")
    cells = experiment.cells(tier, seeds, overrides)
    if results is None:
        with tempfile.TemporaryDirectory() as folder:
            return run_sweep(
                experiment, tier, seeds=seeds, overrides=overrides, device=device, engine=engine, jobs=jobs,
                results=Path(folder), progress=progress,
            )  # fmt: skip
    if engine == "auto":
        engine = "vmapped" if place.type == "cuda" and experiment.shape else "local"
    folder = results / experiment.name / tier
    folder.mkdir(parents=True, exist_ok=True)
    pending = [cell for cell in cells if not records.record_path(folder, experiment.name, cell).exists()]
    batches = _batches(experiment, pending, engine)
    progress = progress or Silent()
    progress.start(len(cells), f"{experiment.name} ({tier})")
    progress.advance(len(cells) - len(pending), "recorded before") if len(pending) < len(cells) else None
    failures = []
    for batch, failure in _compute_all(experiment, tier, batches, place, folder, engine, jobs):
        progress.advance(len(batch))
        if failure:
            failures.append(failure)
    progress.close()
    if failures:
        raise SweepError(f"{len(failures)} of {len(batches)} cells failed; the first: {failures[0]}")
    return [records.load(records.record_path(folder, experiment.name, cell)) for cell in cells]


Batch = tuple[Cell, ...]


def _batches(experiment: Experiment, pending: Sequence[Cell], engine: str) -> list[Batch]:
    """Return the cells that run together: those of one shape if they run as one tensor, else one by one."""
    if engine != "vmapped":
        return [(cell,) for cell in pending]
    if experiment.shape is None:
        raise bad_argument("engine", engine, f"local or ray: cells of {experiment.name} cannot run as one batch")
    shapes: dict[Any, list[Cell]] = {}
    for cell in pending:
        shapes.setdefault(experiment.shape(cell.config), []).append(cell)
    return [tuple(group) for group in shapes.values()]


def _compute_all(
    experiment: Experiment,
    tier: str,
    batches: Sequence[Batch],
    device: torch.device,
    folder: Path,
    engine: str,
    jobs: int | None,
) -> Iterator[tuple[Batch, str | None]]:
    """Yield each batch when it is finished, with a sentence if it failed."""
    tasks = [(experiment, tier, batch, str(device), folder) for batch in batches]
    jobs = jobs or (1 if device.type == "cuda" else len(os.sched_getaffinity(0)))
    if not tasks:
        return
    if engine == "ray":
        yield from _on_ray(tasks)
    elif engine == "vmapped" or min(jobs, len(tasks)) == 1:
        yield from (_compute(*task) for task in tasks)
    else:
        with joblib.parallel_config("loky", n_jobs=min(jobs, len(tasks)), inner_max_num_threads=1):
            parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1)
            yield from parallel(joblib.delayed(_compute)(*task) for task in tasks)


def _on_ray(tasks: Sequence[tuple]) -> Iterator[tuple[Batch, str | None]]:
    """Run tasks on the Ray cluster of this session (or a new local one), again where a node was lost."""
    try:
        import ray
        from ray.exceptions import RayError
        from ray.util.joblib import register_ray
    except ModuleNotFoundError:
        raise bad_argument("engine", "ray", "Ray to be installed: pip install 'tutorlib[cluster]'") from None
    if not ray.is_initialized():
        ray.init(log_to_driver=False, include_dashboard=False)
    register_ray()
    waiting = list(tasks)
    for attempt in range(1, _RAY_PASSES + 1):
        finished: list[Batch] = []
        try:
            # A lost node takes its actors with it: Ray starts them again elsewhere and repeats their tasks.
            restart = {"max_restarts": -1, "max_task_retries": -1}
            with joblib.parallel_config("ray", n_jobs=-1, ray_remote_args=restart):
                parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch="all")
                for batch, failure in parallel(joblib.delayed(_compute)(*task) for task in waiting):
                    finished.append(batch)
                    yield batch, failure
            return
        except RayError:
            waiting = [task for task in waiting if task[2] not in finished]
            if attempt == _RAY_PASSES:
                raise


@contextmanager
def _one_thread(device: torch.device) -> Iterator[None]:
    """Run on one thread on a CPU: sums then do not depend on how many cores a machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if device.type == "cpu" else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _compute(
    experiment: Experiment, tier: str, batch: Batch, device_name: str, folder: Path
) -> tuple[Batch, str | None]:
    """Compute and record one batch of cells; return it with None, or with the sentence of a known failure."""
    device = torch.device(device_name)
    key = cell_key(experiment.name, batch)
    # A sweep that was killed may have left a process that still computes this cell: wait for it, then look again.
    with FileLock(folder / f".{key}.lock"), _one_thread(device):
        paths = [records.record_path(folder, experiment.name, cell) for cell in batch]
        if all(path.exists() for path in paths):
            return batch, None
        checkpoint = checkpoint_for(folder, experiment.name, batch)
        started = time.perf_counter()
        try:
            found = experiment.run(batch, Context(device=device, checkpoint=checkpoint))
        except TutorlibError as error:
            return batch, str(error)
        seconds = round((time.perf_counter() - started) / len(batch), 3)
        source = records.provenance(device, len(batch))
        for cell, metrics, path in zip(batch, found, paths, strict=True):
            config = asdict(cell.config)
            records.save(Record(experiment.name, tier, config, cell.seed, metrics, seconds, source), path)
        checkpoint.clear()
    return batch, None
