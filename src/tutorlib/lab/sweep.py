"""A sweep: the trials of an experiment's tier, computed wherever they fit, each recorded when it is done.

Nothing here schedules: joblib runs the trials in processes of its own, Ray runs them on a cluster. A sweep that was
killed goes on where it stopped, because a finished trial is a file; a trial in progress is guarded by a lock that the
operating system drops with its process. Whatever keeps a trial from its record, a full disk or too little memory, is a
sentence, and the other trials are computed.
"""

import os
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import joblib
import torch
from filelock import FileLock
from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.process_executor import TerminatedWorkerError

from tutorlib.lab import records
from tutorlib.lab.batching import side_by_side
from tutorlib.lab.checkpoint import kept_trials
from tutorlib.lab.compiling import choose_compile, release
from tutorlib.lab.device import keep_float32, pick_device
from tutorlib.lab.errors import (
    NonFiniteError,
    SweepError,
    TutorlibError,
    bad_argument,
    checked,
    choose,
    install_line,
    refused_by_system,
    short_of_memory,
)
from tutorlib.lab.experiment import Context, Experiment, Trial, checkpoint_for, plain, trial_key
from tutorlib.lab.progress import Progress, Silent
from tutorlib.lab.records import Record

ENGINES = ("auto", "local", "vmapped", "ray")
_RAY_RETRIES = 5
_WATCH = 0.2
"""seconds between two looks of a process at whether the one that started it is still there"""
_ABANDONED = 3600.0
"""seconds after which a half-written file that no trial can be named for counts as left by a killed process"""


@checked(counts=("jobs", "batch"), not_negative=("save_every",))
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
    compile: bool | None = None,
    batch: int | None = None,
    save_every: float = 30.0,
) -> list[Record]:
    """Compute the trials of ``tier`` that have no record yet, and return the records of all of them in order.

    ``engine``: ``local`` runs each trial in a one-thread process of its own, ``jobs`` at a time (default: one per
    core); ``vmapped`` runs trials of one shape as one batch; ``ray`` sends trials to the Ray cluster of this session or
    of ``RAY_ADDRESS``, each to a core (on ``cuda`` to a GPU, or a share of one if ``jobs`` exceeds the GPUs), and
    again, up to 5 times, where a node was lost; ``auto`` is ``vmapped`` on a GPU and ``local`` on a CPU. ``results``:
    the folder of the records; None keeps nothing. ``compile``: steps are compiled (``lab.compiling``; None: on a GPU)
    where the experiment has such a form; records say where it was. ``batch``: how many trials run side by side at most;
    whatever does not fit into memory is halved. ``save_every``: seconds after which the state of a run is kept again.

    A run that diverges has a record that says so, and its last finite state lies beside it in a file ``<key>.last``;
    the other runs of its batch end as if it had not been there.

    Processes end with the one that started them, at most a moment later, even if that was killed (not on Windows).

    Raises ``UsageError`` for an argument that cannot be used, ``RecordError`` for a record that cannot be read or is
    not that of its trial, and ``SweepError`` once the other trials are done if trials failed.
    """
    choose("engine", engine, ENGINES)
    place = pick_device(device, here=engine != "ray")
    if experiment.cpu_only:
        place = torch.device("cpu")
    trials = experiment.trials(tier, seeds, overrides)
    if engine == "auto":
        engine = "vmapped" if place.type == "cuda" and experiment.varies is not None else "local"
    if engine == "vmapped" and experiment.varies is None:
        raise bad_argument("engine", engine, f"local or ray: {experiment.name} runs its trials one by one")
    command = records.command_line(experiment.name, tier, seeds, overrides)
    with ExitStack() as stack:
        if results is None:
            try:
                results = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
            except OSError as error:
                raise refused_by_system("folder", tempfile.gettempdir(), "a place for temporary files", error) from None
        folder = _folder(results / experiment.name / tier)
        compile = choose_compile(place, compile).compile
        job = _Job(experiment, tier, str(place), folder, command, compile, batch, save_every)
        progress = progress or Silent()
        stack.callback(progress.close)
        return _finish(job, trials, engine, jobs, progress)


@dataclass(frozen=True)
class _Job:
    """What all trials of a sweep share."""

    experiment: Experiment
    tier: str
    device: str
    folder: Path
    command: str
    compile: bool
    batch: int | None = None
    save_every: float = 30.0

    def record_path(self, trial: Trial) -> Path:
        return records.record_path(self.folder, self.experiment.name, trial)

    def load(self, trial: Trial) -> Record:
        return records.load_of(trial, self.experiment.name, self.tier, self.folder)

    def kept(self) -> list[tuple[str, ...]]:
        """Return the keys of the trials behind each checkpoint in the folder, those of the largest batch first."""
        kept = (kept_trials(path) for path in self.folder.glob("[!.]*.ckpt"))
        return sorted((keys for keys in kept if keys), key=lambda keys: (-len(keys), keys))


Batch = tuple[Trial, ...]
Outcome = tuple[Batch, dict[Trial, Record], str | None]
"""A batch, the records of its trials, and a sentence if some of them failed."""


def _folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return folder.resolve()
    except OSError as error:
        raise _not_writable(folder, error) from None


def _not_writable(folder: Path, error: OSError) -> TutorlibError:
    return bad_argument("results", str(folder), f"a folder that can be written to ({error.strerror or error})")


def _finish(job: _Job, trials: Sequence[Trial], engine: str, jobs: int | None, progress: Progress) -> list[Record]:
    """Compute the trials that have no record yet; return the records of all."""
    try:
        done = {trial: job.load(trial) for trial in trials if job.record_path(trial).exists()}
        pending = [trial for trial in trials if trial not in done]
        if pending:
            with tempfile.TemporaryFile(dir=job.folder):
                pass  # or the first trial would be computed in vain
    except OSError as error:
        raise _not_writable(job.folder, error) from None
    _forget(job)
    progress.start(len(trials), f"{job.experiment.name} ({job.tier})", len(done))
    failures: list[str] = []
    for batch, computed, failure in _compute_all(job, _batches(job, trials, done, engine), engine, jobs, progress):
        progress.advance(sum(trial not in done for trial in batch))
        failures += [failure] if failure else []
        done |= computed
        _keep(job, computed, failures)
    _keep(job, done, failures)  # or a folder that vanished meanwhile would be called complete
    if failed := sum(trial not in done for trial in trials):
        raise SweepError(f"{failed} of {len(trials)} trials failed; the first: {failures[0]}")
    _forget(job)
    return [done[trial] for trial in trials]


def _keep(job: _Job, done: dict[Trial, Record], failures: list[str]) -> None:
    """Write the records of ``done`` that the folder lacks; drop those that cannot be written, with a sentence each."""
    for trial, record in list(done.items()):
        try:
            if not job.record_path(trial).exists():  # a node with a disk of its own computed it
                records.save(record, job.record_path(trial))
        except OSError as error:
            failures.append(str(error))
            del done[trial]


def _forget(job: _Job) -> None:
    """Remove checkpoints all of whose trials are recorded, and what killed processes left half-written long ago."""
    with suppress(OSError):  # the folder may be one to read only
        for path in job.folder.glob("[!.]*.ckpt"):
            keys = kept_trials(path) or (path.stem,)
            if all((job.folder / f"{key}.json").exists() for key in keys):
                path.unlink(missing_ok=True)
        for path in job.folder.glob(".*.*.????????????????"):
            if time.time() - path.stat().st_mtime > _ABANDONED:
                path.unlink(missing_ok=True)


def _batches(job: _Job, trials: Sequence[Trial], done: Mapping[Trial, Record], engine: str) -> list[Batch]:
    """Return the trials that run together: those that a checkpoint keeps as one batch, recorded ones included; of the
    others those of one shape if they run as one tensor, else one by one."""
    pending = {trial: None for trial in trials if trial not in done}
    if job.experiment.varies is None:
        return [(trial,) for trial in pending]
    batches: list[Batch] = []
    named = {trial_key(job.experiment.name, [trial]): trial for trial in trials}
    for keys in job.kept():
        batch = tuple(named[key] for key in keys if key in named)
        missing = [trial for trial in batch if trial not in done]
        if missing and len(batch) == len(keys) and all(trial in pending for trial in missing):
            batches.append(batch)
            pending = {trial: None for trial in pending if trial not in missing}
    if engine != "vmapped":
        return [*batches, *((trial,) for trial in pending)]
    return [*batches, *side_by_side(job.experiment, list(pending), job.batch)]


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
        # Counts what this process may use, on every system: Python itself can on Linux alone.
        jobs = 1 if job.device.startswith("cuda") else joblib.cpu_count()
    jobs = min(jobs, len(batches))
    if engine == "vmapped" or jobs == 1:
        yield from (_compute(job, batch, progress.inner()) for batch in batches)
        return
    yield from _in_processes(job, batches, jobs)


def _in_processes(job: _Job, batches: Sequence[Batch], jobs: int) -> Iterator[Outcome]:
    """Compute each batch in one of ``jobs`` processes.

    Where one is killed from outside, nobody knows for which batch: what is left goes on in half as many, and at last
    in one, which is given a batch at a time. Then it is known, and the others are computed.
    """
    waiting = list(batches)
    while waiting and jobs > 1:
        try:
            with joblib.parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1):
                options = {"initializer": _end_with, "initargs": (os.getpid(),)}
                parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1, **options)
                for outcome in parallel(joblib.delayed(_compute)(job, batch) for batch in list(waiting)):
                    waiting.remove(outcome[0])
                    yield outcome
        except (BrokenProcessPool, OSError, MemoryError, RuntimeError) as error:
            if not _cannot_go_on(error):
                raise
            jobs = jobs // 2
    while waiting:
        batch = waiting.pop(0)
        alone = ProcessPoolExecutor(1, initializer=_end_with, initargs=(os.getpid(),))
        try:
            yield alone.submit(_compute, job, batch).result()
        except TerminatedWorkerError:
            yield batch, {}, "its process was killed from outside, perhaps for want of memory; run again to go on"
        except (BrokenProcessPool, OSError, MemoryError, RuntimeError) as error:
            if not _cannot_go_on(error):
                raise
            reason = f"no process can be started: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
            yield from ((each, {}, reason) for each in (batch, *waiting))
            return
        finally:
            alone.shutdown(kill_workers=True)


def _cannot_go_on(error: Exception) -> bool:
    """Return whether ``error`` is that of a pool whose processes died, or cannot be started for want of memory."""
    return isinstance(error, BrokenProcessPool | OSError) or short_of_memory(error)


@cache
def _end_with(parent: int) -> None:
    """Let this process end when ``parent``, which started it, is gone: its work would be lost, or done twice."""
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.name == "nt" or os.getppid() == parent:  # Windows does not say that a parent is gone
        time.sleep(_WATCH)
    os._exit(1)


def _on_ray(job: _Job, batches: Sequence[Batch], jobs: int | None) -> Iterator[Outcome]:
    """Compute each batch as a task of the Ray cluster; Ray runs it again elsewhere if its node is lost."""
    # Not through joblib's Ray backend: that one returns nothing before everything is done, and its actors, pinned to
    # the resources of a lost node, wait for ever for another node of that size.
    try:
        import ray
        from ray.exceptions import RayError, RayTaskError
    except ModuleNotFoundError:
        raise bad_argument("engine", "ray", f"Ray to be installed: {install_line('cluster')}") from None
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
            except RayTaskError:  # an error in the trial itself
                raise
            except RayError as error:
                yield batch, {}, f"Ray gave up on it ({type(error).__name__}); run again to go on"
    finally:
        if started:
            ray.shutdown()


@contextmanager
def _one_thread(device: torch.device) -> Iterator[None]:
    """Run in float32, and on one thread on a CPU: sums then do not depend on how many cores a machine has."""
    keep_float32()
    before = torch.get_num_threads()
    torch.set_num_threads(1 if device.type == "cpu" else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _compute(job: _Job, batch: Batch, progress: Progress | None = None) -> Outcome:
    """Compute and record those trials of ``batch`` that have no record yet; what keeps one from it is a sentence."""
    done: dict[Trial, Record] = {}
    progress = progress or Silent()
    try:
        failure = _recorded(job, batch, progress, done)
    except BrokenPipeError:  # nobody reads the progress any more
        raise
    except TutorlibError as error:
        failure = str(error)
    except OSError as error:
        failure = str(refused_by_system("file", error.filename or job.folder, "one that can be used", error))
    except (MemoryError, RuntimeError, ImportError) as error:  # a library that is loaded late needs memory, too
        if not short_of_memory(error):
            raise
        failure = f"a trial does not fit into the memory of {job.device}"
        if len(batch) > 1:
            error.__traceback__ = None  # its frames hold the tensors that were too large
            return _halved(job, batch, progress)
    finally:
        progress.close()
    return batch, done, failure


def _halved(job: _Job, batch: Batch, progress: Progress) -> Outcome:
    """Compute ``batch``, which does not fit into memory, in two halves."""
    release(torch.device(job.device))
    middle = len(batch) // 2
    done: dict[Trial, Record] = {}
    failures = []
    for half in (batch[:middle], batch[middle:]):
        _, part, failure = _compute(job, half, progress)
        done |= part
        failures += [failure] if failure else []
    return batch, done, failures[0] if failures else None


def _recorded(job: _Job, batch: Batch, progress: Progress, done: dict[Trial, Record]) -> str | None:
    """Put the records of ``batch`` into ``done``, computing those that are not there; return what is wrong with one.

    A batch that a checkpoint keeps is computed as a whole, recorded trials included: it cannot go on in part.
    """
    name, device = job.experiment.name, torch.device(job.device)
    with ExitStack() as stack:
        job.folder.mkdir(parents=True, exist_ok=True)
        # A sweep that was killed may have left a process that still computes one of these trials: wait for it, and
        # then look again. In the order of their names, so that no two batches wait for each other.
        for key in sorted(trial_key(name, [trial]) for trial in batch):
            stack.enter_context(_locked(job.folder / f".{key}.lock"))
        stack.enter_context(_one_thread(device))
        done |= {trial: job.load(trial) for trial in batch if job.record_path(trial).exists()}
        pending = [trial for trial in batch if trial not in done]
        checkpoint = checkpoint_for(job.folder, name, batch)
        trials = list(batch) if checkpoint.path.exists() else pending
        if not pending:
            checkpoint.clear()
            return None
        checkpoint = checkpoint_for(job.folder, name, trials)
        _sweep_out(job, trials, checkpoint.path)
        started = time.perf_counter()
        diverged: dict[int, int] = {}
        context = Context(device, progress, checkpoint, job.compile, job.save_every, diverged)
        stack.callback(release, device)  # what graphs hold would be missing in the next batch
        try:
            results = job.experiment.run(trials, context)
        except NonFiniteError:
            if len(diverged) < len(trials):
                raise
            results = [{} for _ in trials]
        seconds = round((time.perf_counter() - started) / len(trials), 3)
        source = records.provenance(device, len(trials), f"{job.command} {context.form}".strip())
        failure = None
        for place, (trial, metrics) in enumerate(zip(trials, results, strict=True)):
            if trial in done:
                continue
            at = diverged.get(place)
            metrics = metrics if at is None else {}
            if bad := records.not_finite(metrics):
                failure = (
                    failure or f"the run of seed {trial.seed} gave {bad}: expected a finite number; did it diverge?"
                )
                continue
            record = Record(name, job.tier, plain(trial.config), trial.seed, metrics, seconds, source, diverged=at)
            records.save(record, job.record_path(trial))
            done[trial] = job.load(trial)
        if failure is None:
            checkpoint.clear()
        return failure


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock ``path``; raise ``StorageError`` if there can be none."""
    lock = FileLock(path)
    try:
        lock.acquire()
    except OSError as error:
        raise refused_by_system("lock", path, "a file that can be locked", error) from error
    try:
        yield
    finally:
        lock.release()


def _sweep_out(job: _Job, trials: Sequence[Trial], checkpoint: Path) -> None:
    """Remove the half-written files of killed processes; whoever holds the locks of ``trials`` is alone here."""
    for path in (checkpoint, *map(job.record_path, trials)):
        for leftover in job.folder.glob(f".{path.name}.*"):
            leftover.unlink(missing_ok=True)
