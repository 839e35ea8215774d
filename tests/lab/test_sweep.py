"""Sweeps that nobody kills: what is computed, in which batches, what is kept, and what a failure leaves."""

import errno
import os
import re
import shutil
import socket
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from filelock import FileLock

from tutorlib.lab import Context, Experiment, Tier, Trial, UsageError, grid, records, run_sweep, sweep
from tutorlib.lab.errors import NonFiniteError, RecordError, SweepError, install_line
from tutorlib.lab.experiment import checkpoint_for, trial_key
from tutorlib.lab.loop import repeat


@dataclass(frozen=True)
class Config:
    width: int = 1
    rate: float = 0.5


class Counting:
    """An experiment that counts its runs; ``fail`` names widths whose trials raise."""

    def __init__(self, fail: dict[int, Exception] | None = None, batches: bool = True) -> None:
        self.runs: list[list[Trial]] = []
        self.fail = fail or {}
        self.contexts: list[Context] = []
        self.experiment = Experiment(
            name="paper.study",
            title="title",
            figure="Fig. 1",
            run=self.run,
            tiers={"live": Tier(grid(Config(), width=(1, 2, 3)), seeds=(0, 1))},
            varies=("rate",) if batches else None,
        )

    def run(self, trials: Sequence[Trial], context: Context) -> list[dict[str, Any]]:
        self.runs.append(list(trials))
        self.contexts.append(context)
        for trial in trials:
            if trial.config.width in self.fail:
                raise self.fail[trial.config.width]
        return [{"value": 10 * trial.config.width + trial.seed, "threads": torch.get_num_threads()} for trial in trials]

    def sweep(self, **options: Any) -> list[records.Record]:
        return run_sweep(self.experiment, device="cpu", **({"jobs": 1} | options))

    @property
    def computed(self) -> list[tuple[int, int]]:
        return [(trial.config.width, trial.seed) for run in self.runs for trial in run]


ALL = [(1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (3, 1)]


def test_the_records_are_those_of_all_cells_in_order(tmp_path: Path):
    counting = Counting()
    found = counting.sweep(results=tmp_path)
    assert counting.computed == ALL
    assert [len(run) for run in counting.runs] == [1] * 6
    assert [(r.config["width"], r.seed, r.metrics["value"]) for r in found] == [(w, s, 10 * w + s) for w, s in ALL]
    assert {(r.experiment, r.tier, r.format) for r in found} == {("paper.study", "live", 1)}
    assert found[0].config == asdict(Config())
    folder = tmp_path / "paper.study" / "live"
    trials = counting.experiment.trials("live")
    assert {p.name for p in folder.glob("[!.]*")} == {f"{trial_key('paper.study', [trial])}.json" for trial in trials}


def test_a_finished_sweep_is_a_no_op(tmp_path: Path):
    first = Counting().sweep(results=tmp_path)
    before = {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in tmp_path.rglob("*.json")}
    counting = Counting()
    assert counting.sweep(results=tmp_path) == first
    assert counting.runs == []
    assert {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in tmp_path.rglob("*.json")} == before


def test_only_what_is_missing_is_computed(tmp_path: Path):
    Counting().sweep(results=tmp_path, seeds=(1,), overrides={"width": "2"})
    counting = Counting()
    assert len(counting.sweep(results=tmp_path)) == 6
    assert counting.computed == [trial for trial in ALL if trial != (2, 1)]


def test_without_a_folder_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sweep.tempfile, "tempdir", str(tmp_path))
    assert len(Counting().sweep()) == 6
    assert list(tmp_path.iterdir()) == []


def test_cells_of_one_shape_run_as_one_batch(tmp_path: Path):
    counting = Counting()
    found = counting.sweep(engine="vmapped", results=tmp_path)
    assert [[(c.config.width, c.seed) for c in run] for run in counting.runs] == [ALL[:2], ALL[2:4], ALL[4:]]
    assert [r.metrics["value"] for r in found] == [10 * w + s for w, s in ALL]
    assert {r.provenance["batch"] for r in found} == {2}


def test_a_batch_has_no_cell_that_is_recorded(tmp_path: Path):
    Counting().sweep(results=tmp_path, seeds=(1,), overrides={"width": 2})
    counting = Counting()
    counting.sweep(engine="vmapped", results=tmp_path)
    assert [[(c.config.width, c.seed) for c in run] for run in counting.runs] == [ALL[:2], [(2, 0)], ALL[4:]]


def test_the_engine_follows_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    chosen = []
    monkeypatch.setattr(sweep, "_finish", lambda job, trials, engine, jobs, progress: chosen.append(engine) or [])
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    for batches, device in ((True, "cpu"), (True, "cuda"), (False, "cuda")):
        run_sweep(Counting(batches=batches).experiment, device=device, results=tmp_path)
    assert chosen == ["local", "vmapped", "local"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"engine": "gpu"}, "engine='gpu': expected one of auto, local, vmapped, ray"),
        ({"engine": "vmapped"}, "engine='vmapped': expected local or ray: paper.study runs its trials one by one"),
        ({"jobs": 0}, "jobs=0: expected a whole number from 1"),
        ({"tier": "study"}, "tier='study': expected one of live"),
        ({"seeds": (-1,)}, "seeds=-1: expected whole numbers from 0"),
        ({"overrides": {"width": "x"}}, "width='x': expected a whole number"),
        ({"device": "tpu"}, "device='tpu': expected 'cpu', 'cuda' or 'cuda:N'"),
    ],
    ids=str,
)
def test_arguments_that_cannot_be_used_are_refused_before_anything_is_done(tmp_path: Path, options, says: str):
    counting = Counting(batches=False)
    with pytest.raises(UsageError, match=says):
        run_sweep(counting.experiment, **({"results": tmp_path / "results"} | options))
    assert counting.runs == []
    assert not (tmp_path / "results").exists()


def test_results_that_cannot_be_a_folder_are_refused(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"^results='.*file/paper.study/live': expected a folder that can be written"):
        Counting().sweep(results=tmp_path / "file")


def full(*arguments: object, **options: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_folder_that_cannot_be_written_to_is_refused_before_anything_is_computed(tmp_path: Path, monkeypatch):
    Counting().sweep(results=tmp_path)
    monkeypatch.setattr(sweep.tempfile, "TemporaryFile", full)
    assert len(Counting().sweep(results=tmp_path)) == 6  # to read what is finished takes no writing
    counting = Counting()
    with pytest.raises(
        UsageError, match="^results='.*paper.study/live': expected a folder that can be written to .No s"
    ):
        counting.sweep(results=tmp_path, seeds=(7,))
    assert counting.runs == []


def test_a_disk_that_is_full_is_a_sentence_with_the_path_and_the_others_are_done(tmp_path: Path, monkeypatch):
    fsync, times = os.fsync, []

    def once(handle: int) -> None:
        times.append(handle)
        return full() if len(times) == 3 else fsync(handle)

    monkeypatch.setattr(os, "fsync", once)
    with pytest.raises(
        SweepError,
        match=r"^1 of 6 trials failed; the first: file='.*\.json': expected a file that can be written \(No sp",
    ):
        Counting().sweep(results=tmp_path)
    assert len(list(tmp_path.rglob("[!.]*.json"))) == 5
    assert list(tmp_path.rglob(".*.json.*")) == []


def test_a_lock_that_is_a_folder_is_a_sentence_with_the_path_and_the_others_are_done(tmp_path: Path):
    key = trial_key("paper.study", [Trial(Config(2), 0)])
    lock = tmp_path / "paper.study" / "live" / f".{key}.lock"
    lock.mkdir(parents=True)
    counting = Counting()
    with pytest.raises(
        SweepError, match=rf"^1 of 6 trials failed; the first: lock='.*{key}.lock': expected a file that"
    ):
        counting.sweep(results=tmp_path)
    assert counting.computed == [trial for trial in ALL if trial != (2, 0)]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        ImportError("some.so: failed to map segment from shared object"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate ..."),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried to ..."
        ),
        RuntimeError("can't start new thread"),
    ],
    ids=lambda error: str(error)[:12],
)
def test_too_little_memory_is_a_sentence_and_the_others_are_done(tmp_path: Path, error: Exception):
    counting = Counting({2: error})
    with pytest.raises(
        SweepError, match="^2 of 6 trials failed; the first: a trial does not fit into the memory of cpu$"
    ):
        counting.sweep(results=tmp_path)
    assert counting.computed == ALL


def test_a_file_that_an_experiment_cannot_read_is_a_sentence_with_the_path(tmp_path: Path):
    counting = Counting({2: FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "images")})
    with pytest.raises(SweepError, match="^2 of 6 trials failed; the first: file='images': expected one that can b"):
        counting.sweep(results=tmp_path)
    assert counting.computed == ALL


@pytest.mark.parametrize("file", [False, True], ids=["vanishes", "becomes a file"])
def test_a_folder_that_vanishes_leaves_no_row_missing(tmp_path: Path, file: bool):
    class Losing(Counting):
        def run(self, trials, context):
            if len(self.runs) == 3:
                shutil.rmtree(tmp_path / "paper.study")
                if file:
                    (tmp_path / "paper.study").touch()
            return super().run(trials, context)

    losing = Losing()
    if file:
        with pytest.raises(SweepError, match=r"^6 of 6 trials failed; the first: file='.*/paper.study/.*': expected"):
            losing.sweep(results=tmp_path)
    else:
        found = losing.sweep(results=tmp_path)
        assert Counting().sweep(results=tmp_path) == found
        assert len(list(tmp_path.rglob("[!.]*.json"))) == 6
    assert len(losing.runs) == (4 if file else 6)


def test_a_torn_record_stops_the_sweep_before_anything_is_computed(tmp_path: Path):
    counting = Counting()
    path = records.record_path(tmp_path / "paper.study" / "live", "paper.study", Trial(Config(3), 1))
    path.parent.mkdir(parents=True)
    path.write_text('{"format": 1')
    with pytest.raises(RecordError, match=path.name):
        counting.sweep(results=tmp_path)
    assert counting.runs == []


def test_the_record_of_another_cell_is_refused(tmp_path: Path):
    """``cp A.json B.json``, and both rows would say seed 0."""
    Counting().sweep(results=tmp_path)
    folder = tmp_path / "paper.study" / "live"
    first, second = (records.record_path(folder, "paper.study", Trial(Config(1), seed)) for seed in (0, 1))
    second.write_bytes(first.read_bytes())
    counting = Counting()
    with pytest.raises(
        RecordError, match=rf"^record='.*{second.name}': seed=0: expected that of the trial .*, 1; dele"
    ):
        counting.sweep(results=tmp_path)
    assert counting.runs == []


@pytest.mark.parametrize("engine", ["local", "vmapped"])
def test_cells_that_fail_do_not_stop_the_others(tmp_path: Path, engine: str):
    counting = Counting({2: NonFiniteError("loss=nan at step 3")})
    with pytest.raises(SweepError, match="^2 of 6 trials failed; the first: loss=nan at step 3$"):
        counting.sweep(engine=engine, results=tmp_path)
    assert counting.computed == ALL
    again = Counting()
    assert len(again.sweep(engine=engine, results=tmp_path)) == 6
    assert again.computed == [(2, 0), (2, 1)]


def test_a_checkpoint_outlives_a_failure_and_not_a_success(tmp_path: Path):
    class Saving(Counting):
        def run(self, trials, context):
            context.checkpoint.save({"step": 5})
            return super().run(trials, context)

    folder = tmp_path / "paper.study" / "live"
    with pytest.raises(SweepError):
        Saving({2: NonFiniteError("nan")}).sweep(results=tmp_path)
    kept = {checkpoint_for(folder, "paper.study", [Trial(Config(2), seed)]).path for seed in (0, 1)}
    assert set(folder.glob("*.ckpt")) == kept
    Saving().sweep(results=tmp_path)
    assert list(folder.glob("*.ckpt")) == []


class Crowded(Counting):
    """Runs of which only ``fits`` find room side by side."""

    fits = 1

    def run(self, trials: Sequence[Trial], context: Context) -> list[dict[str, Any]]:
        if len(trials) > self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate ...")
        return super().run(trials, context)


@pytest.mark.parametrize(("fits", "sizes"), [(1, [1] * 10), (2, [2, 1, 2, 2, 1, 2]), (3, [2, 3, 2, 3]), (5, [5, 5])])
def test_a_batch_too_large_for_the_memory_is_halved_until_it_fits(tmp_path: Path, fits: int, sizes: list[int]):
    crowded = Crowded()
    crowded.fits = fits
    tiers = {"live": Tier(grid(Config(), width=(1, 2)), (0, 1, 2, 3, 4))}
    crowded.experiment = replace(crowded.experiment, tiers=tiers)
    found = crowded.sweep(engine="vmapped", results=tmp_path)
    assert [len(run) for run in crowded.runs] == sizes
    assert [r.metrics["value"] for r in found] == [10 * w + s for w in (1, 2) for s in range(5)]
    assert [r.provenance["batch"] for r in found] == [size for size in sizes for _ in range(size)]


def test_a_cell_too_large_for_the_memory_is_a_failure_in_words_and_the_others_are_done(tmp_path: Path):
    counting = Counting({1: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate ...")})
    with pytest.raises(
        SweepError, match="^2 of 6 trials failed; the first: a trial does not fit into the memory of cpu"
    ):
        counting.sweep(engine="vmapped", results=tmp_path)
    assert sorted(set(counting.computed)) == ALL


@pytest.mark.parametrize(("batch", "sizes"), [(None, [2, 2, 2]), (1, [1] * 6), (2, [2, 2, 2]), (7, [2, 2, 2])])
def test_a_batch_has_a_bound(tmp_path: Path, batch: int | None, sizes: list[int]):
    counting = Counting()
    counting.sweep(engine="vmapped", results=tmp_path, batch=batch)
    assert [len(run) for run in counting.runs] == sizes


def test_a_bound_of_no_cells_is_refused(tmp_path: Path):
    for batch in (0, -1, 1.5):
        with pytest.raises(UsageError, match=rf"^batch={batch}: expected"):
            Counting().sweep(results=tmp_path, batch=batch)


GROWTH = {1: 1.5, 2: 1e38, 3: 0.5}


def grow(trials: Sequence[Trial], context: Context) -> list[dict[str, Any]]:
    """Ten multiplications by a factor that each trial's rate names; the second is soon infinite."""
    factors = torch.tensor([GROWTH[int(trial.config.rate)] for trial in trials])
    seeds = [trial.seed for trial in trials]

    def step(state: tuple[torch.Tensor], number: int) -> tuple[tuple[torch.Tensor], torch.Tensor]:
        return (state[0] * factors,), state[0]

    course = repeat(step, (torch.ones(len(trials)),), 10, context, title="growth", seeds=seeds, eval_every=2)
    return [{"size": size} for size in course.state[0].tolist()]


GROWING = Experiment(
    "paper.growth", "t", "f", grow, {"live": Tier(grid(Config(), rate=(1.0, 2.0, 3.0)), (0,))}, ("rate",)
)


@pytest.mark.parametrize("engine", ["local", "vmapped"])
def test_a_run_that_diverges_has_a_record_that_says_so_and_the_others_end(tmp_path: Path, engine: str):
    found = run_sweep(GROWING, device="cpu", engine=engine, jobs=1, results=tmp_path)
    assert [r.diverged for r in found] == [None, 2, None]
    assert [r.metrics for r in found] == [{"size": 1.5**10}, {}, {"size": 0.5**10}]
    folder = tmp_path / "paper.growth" / "live"
    (last,) = folder.glob("*.last")
    assert last.stem == trial_key("paper.growth", [GROWING.trials("live")[1]])
    state = torch.load(last, weights_only=True)["state"]
    assert (state["step"], state["state"][0].tolist()) == (0, [1.0]), "1e38 squared is infinite, at the first look"
    assert list(folder.glob("*.ckpt")) == []
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.json")}
    assert run_sweep(GROWING, device="cpu", engine=engine, jobs=1, results=tmp_path) == found, "a result like others"
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*.json")} == before


def test_an_experiment_that_computes_on_the_cpu_alone_says_so_in_its_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    counting = Counting(batches=False)
    counting.experiment = replace(counting.experiment, cpu_only=True)
    found = run_sweep(counting.experiment, device="cuda", jobs=1, results=tmp_path)
    assert {context.device.type for context in counting.contexts} == {"cpu"}
    assert all(r.provenance["device"].startswith("CPU") for r in found)


def test_an_error_in_the_experiment_itself_is_not_hidden(tmp_path: Path):
    counting = Counting({2: KeyError("typo")})
    with pytest.raises(KeyError, match="typo"):
        counting.sweep(results=tmp_path)
    assert len(list(tmp_path.rglob("*.json"))) == 2


@pytest.mark.parametrize("engine", ["local", "vmapped"])
def test_a_metric_that_is_not_finite_fails_its_cell_and_no_other(tmp_path: Path, engine: str):
    def diverge(trials, context):
        return [{"loss": float("nan") if (trial.config.width, trial.seed) == (2, 0) else 0.5} for trial in trials]

    diverging = replace(Counting().experiment, run=diverge)
    says = (
        r"^1 of 6 trials failed; the first: the run of seed 0 gave metrics.loss=nan: expected a finite number; did it"
    )
    with pytest.raises(SweepError, match=says):
        run_sweep(diverging, device="cpu", jobs=1, engine=engine, results=tmp_path)
    assert len(list(tmp_path.rglob("*.json"))) == 5


def test_on_a_cpu_a_cell_has_one_thread(tmp_path: Path):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        found = Counting().sweep(results=tmp_path)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert {r.metrics["threads"] for r in found} == {1}


def test_records_from_a_node_with_a_disk_of_its_own_are_written_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    compute = sweep._compute

    def far_away(job, batch, progress=None):
        outcome = compute(job, batch, progress)
        for trial in batch:
            job.record_path(trial).unlink()
        return outcome

    monkeypatch.setattr(sweep, "_compute", far_away)
    first = Counting().sweep(results=tmp_path)
    assert len(list(tmp_path.rglob("*.json"))) == 6
    counting = Counting()
    assert counting.sweep(results=tmp_path) == first
    assert counting.runs == []


def test_a_cell_that_another_process_computes_is_waited_for(tmp_path: Path):
    """Also if that process took it alone, and this one has it in a batch."""
    folder = tmp_path / "paper.study" / "live"
    taken = Trial(Config(2), 1)
    elsewhere = Counting().sweep()
    record = next(r for r in elsewhere if (r.config["width"], r.seed) == (2, 1))
    counting, done = Counting(), []
    folder.mkdir(parents=True)
    with FileLock(folder / f".{trial_key('paper.study', [taken])}.lock"):
        thread = threading.Thread(target=lambda: done.append(counting.sweep(engine="vmapped", results=tmp_path)))
        thread.start()
        deadline = time.monotonic() + 30
        while len(counting.runs) < 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.2)
        assert counting.computed == ALL[:2]  # the batch with the trial that is taken waits
        records.save(record, records.record_path(folder, "paper.study", taken))
    thread.join(30)
    assert counting.computed == [trial for trial in ALL if trial != (2, 1)]
    assert done[0][3] == record


class Stepping(Counting):
    """Two steps, kept after each; ``dies`` says after how many a run is cut, and ``begun`` where each run began."""

    def __init__(self, dies: int = 9) -> None:
        super().__init__()
        self.dies, self.begun = dies, []

    def run(self, trials, context):
        saved = context.checkpoint.load() or {"step": 0}
        self.begun.append(saved["step"])
        for step in range(saved["step"], 2):
            context.checkpoint.save({"step": step + 1})
            if step + 1 == self.dies:
                raise KeyboardInterrupt
        return super().run(trials, context)


def kept(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.ckpt"))


@pytest.mark.parametrize("engine", ["local", "vmapped"])
def test_a_batch_that_was_killed_between_its_records_goes_on_where_it_was(tmp_path: Path, monkeypatch, engine: str):
    save, saved = records.save, []

    def killed(record, path):
        if len(saved) == 1:
            raise KeyboardInterrupt
        saved.append(path)
        save(record, path)

    monkeypatch.setattr(records, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        Stepping().sweep(engine="vmapped", results=tmp_path, overrides={"width": 1})
    monkeypatch.setattr(records, "save", save)
    (before,) = tmp_path.rglob("[!.]*.json")
    stat = before.stat()
    assert len(kept(tmp_path)) == 1
    stepping = Stepping()
    found = stepping.sweep(engine=engine, results=tmp_path)
    assert [r.metrics["value"] for r in found] == [10 * w + s for w, s in ALL]
    assert stepping.begun[0] == 2  # of two steps, none was done again
    assert [(trial.config.width, trial.seed) for trial in stepping.runs[0]] == [(1, 0), (1, 1)]
    assert (before.stat().st_ino, before.stat().st_mtime_ns) == (stat.st_ino, stat.st_mtime_ns)
    assert kept(tmp_path) == []


def test_a_batch_is_found_again_by_cells_of_a_larger_sweep_and_in_another_engine(tmp_path: Path):
    def cut(engine: str, seeds: tuple[int, ...]) -> None:
        with pytest.raises(KeyboardInterrupt):
            Stepping(dies=1).sweep(engine=engine, results=tmp_path, overrides={"width": 1}, seeds=seeds)

    cut("vmapped", (0, 1))
    cut("local", (2,))
    assert len(kept(tmp_path)) == 2
    stepping = Stepping()
    stepping.sweep(engine="vmapped", results=tmp_path, overrides={"width": 1}, seeds=(0, 1, 2, 3, 4))
    assert [[trial.seed for trial in run] for run in stepping.runs] == [[0, 1], [2], [3, 4]]
    assert stepping.begun == [1, 1, 0]
    assert kept(tmp_path) == []


def test_a_checkpoint_goes_when_the_last_of_its_cells_is_recorded(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        Stepping(dies=1).sweep(engine="vmapped", results=tmp_path, overrides={"width": 1}, seeds=(0, 1, 2))
    for seeds in ((0, 1), (2,)):  # none of these sweeps has all of its trials, so none can go on from it
        assert len(kept(tmp_path)) == 1
        stepping = Stepping()
        stepping.sweep(results=tmp_path, overrides={"width": 1}, seeds=seeds)
        assert stepping.begun == [0] * len(seeds)
    assert kept(tmp_path) == []


def test_half_written_files_that_no_cell_can_be_named_for_are_swept_out_an_hour_later(tmp_path: Path):
    folder = tmp_path / "paper.study" / "live"
    folder.mkdir(parents=True)
    old, new = (folder / f".{name}.ckpt.0123456789abcdef" for name in ("old", "new"))
    for path in (old, new):
        path.touch()
    os.utime(old, (time.time() - 3700,) * 2)
    Counting().sweep(results=tmp_path)
    assert (old.exists(), new.exists()) == (False, True)


def test_what_killed_processes_left_is_swept_out(tmp_path: Path):
    counting = Counting()
    folder = tmp_path / "paper.study" / "live"
    folder.mkdir(parents=True)
    recorded, pending = Trial(Config(1), 0), Trial(Config(1), 1)
    key = trial_key("paper.study", [pending])
    (folder / f".{key}.json.0123456789abcdef").write_text("half a record")
    (folder / f".{key}.ckpt.0123456789abcdef").write_text("half a checkpoint")
    counting.sweep(results=tmp_path, seeds=(0,), overrides={"width": 1})
    checkpoint_for(folder, "paper.study", [recorded]).save({"step": 9})  # killed between record and clearing
    counting.sweep(results=tmp_path)
    left = {path.suffix for path in folder.iterdir()}
    assert left == {".json", ".lock"}


def test_progress_counts_what_was_done_before_and_every_cell(tmp_path: Path):
    class Told:
        def __init__(self) -> None:
            self.calls: list[tuple] = []
            self.inners: list[Told] = []

        def start(self, total, what, done=0):
            self.calls.append(("start", total, what, done))

        def advance(self, n=1, note=""):
            self.calls.append(("advance", n))

        def close(self):
            self.calls.append(("close",))

        def inner(self):
            self.inners.append(Told())
            return self.inners[-1]

    told = Told()
    counting = Counting()
    counting.sweep(results=tmp_path, seeds=(0,))
    counting = Counting()
    counting.sweep(engine="vmapped", results=tmp_path, progress=told)
    assert told.calls == [("start", 6, "paper.study (live)", 3), *[("advance", 1)] * 3, ("close",)]
    assert [context.progress for context in counting.contexts] == told.inners
    assert all(inner.calls == [("close",)] for inner in told.inners)
    failing = Told()
    with pytest.raises(KeyError):
        Counting({1: KeyError("typo")}).sweep(progress=failing)
    assert failing.calls[-1] == ("close",)


def test_provenance_of_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "bin" / "tutorlib"), "run", "--results", str(tmp_path)])
    found = Counting().sweep(results=tmp_path, seeds=(4,), overrides={"rate": "0.25"})
    assert found[0].provenance["command"] == "tutorlib run paper.study --tier live --seeds 4-4 --set rate=0.25"
    for path in tmp_path.rglob("*.json"):
        text = path.read_text()
        assert "/" not in text
        assert socket.gethostname() not in text


def test_processes_compute_what_one_does(tmp_path: Path):
    tiny_experiment = tiny.experiment("halves", 7)
    here = run_sweep(tiny_experiment, device="cpu", jobs=1)
    there = run_sweep(tiny_experiment, device="cpu", jobs=2, results=tmp_path)
    strip = [replace(record, seconds=0.0) for record in here]
    assert [replace(record, seconds=0.0) for record in there] == strip


def test_a_results_folder_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    class Moving(Counting):
        def run(self, trials, context):
            os.chdir("/")
            return super().run(trials, context)

    Moving().sweep(results=Path("results"))
    assert len(list((tmp_path / "results").rglob("*.json"))) == 6


def test_ray_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    line = re.escape(install_line("cluster"))
    with pytest.raises(UsageError, match=rf"^engine='ray': expected Ray to be installed: {line}$"):
        Counting().sweep(engine="ray", results=tmp_path)


def test_a_configuration_that_runs_alone(tmp_path: Path):
    counting = Counting()
    counting.experiment = replace(counting.experiment, alone=lambda config: config.width == 2)
    counting.sweep(engine="vmapped", results=tmp_path)
    assert sorted(len(run) for run in counting.runs) == [1, 1, 2, 2]


def test_a_sweep_is_compiled_only_where_that_is_asked_for(tmp_path: Path):
    for compile in (None, False, True):
        counting = Counting()
        counting.sweep(results=tmp_path / str(compile), compile=compile)
        assert {context.compile for context in counting.contexts} == {bool(compile)}


def double(x: int) -> int:
    return 2 * x


def test_a_record_says_that_steps_were_compiled_where_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch, "compile", lambda step, **how: step)

    class Compiling(Counting):
        def run(self, trials, context):
            context.compiled(double)
            return super().run(trials, context)

    def commands(counting, compile):
        found = counting.sweep(results=tmp_path / f"{type(counting).__name__} {compile}", compile=compile)
        return {record.provenance["command"] for record in found}

    plain = "tutorlib run paper.study --tier live"
    assert commands(Compiling(), True) == {f"{plain} --compile"}
    assert commands(Compiling(), None) == {plain}
    assert commands(Counting(), True) == {plain}, "it has no compiled form"
    assert Context(torch.device("cuda")).form == "--no-compile", "there it would be compiled by itself"
    assert Context(torch.device("cuda"), compile=True).form == "", "it has no compiled form"


def test_memory_of_graphs_is_given_back_after_each_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    given_back: list[torch.device] = []
    monkeypatch.setattr("tutorlib.lab.sweep.release", given_back.append)
    Counting().sweep(engine="vmapped", results=tmp_path)
    assert given_back == [torch.device("cpu")] * 3
