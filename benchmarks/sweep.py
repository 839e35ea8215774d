"""How fast a sweep runs: two one-thread processes against one, and one vmapped batch against trial by trial.

python benchmarks/sweep.py            CPU: processes, and vmapping as a fact
python benchmarks/sweep.py --device cuda   GPU: vmapping (goal: 8x at the study's sizes)

Both sides of a ratio are timed in the same run, in turn; the ratio is the median over the rounds.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch

from tutorlib.lab import Context, Experiment, Trial, device_name, pick_device, run_sweep
from tutorlib.lab.progress import Silent
from tutorlib.papers.gpicl.algorithm import Config, meta_train
from tutorlib.papers.gpicl.experiments import PHASES
from tutorlib.papers.rcgvf.experiments import LOCK


class Work(NamedTuple):
    """Short trials of an experiment."""

    experiment: Experiment
    overrides: dict[str, Any]
    seeds: int


LEARNING = Work(PHASES, {"steps": 300, "num_evals": 1, "tasks": "inf", "bias": 0.9, "width": 64}, 4)
EXPLORING = Work(LOCK, {"updates": 20, "num_evals": 1}, 2)
"""PPO, RND and RC-GVF, at the study's sizes"""


def seconds_of_sweep(work: Work, jobs: int) -> float:
    """Return the wall time of a sweep whose worker processes are already warm (their start is a constant)."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        run_sweep(
            work.experiment, "live", seeds=range(work.seeds), overrides=work.overrides, device="cpu", engine="local",
            jobs=jobs, results=Path(folder), progress=Silent(),
        )  # fmt: skip
        return time.perf_counter() - begin


def seconds_of_training(trials: list[Trial], context: Context) -> float:
    if context.device.type == "cuda":
        torch.cuda.synchronize()
    begin = time.perf_counter()
    meta_train(trials, context)
    if context.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default=None)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    device = pick_device(arguments.device)
    print(f"torch {torch.__version__}, {device_name(device)}")

    if device.type == "cpu":
        torch.set_num_threads(1)
        seconds_of_sweep(LEARNING._replace(overrides=LEARNING.overrides | {"steps": 10}), 2)  # start the processes
        for work in (LEARNING, EXPLORING):
            seconds_of_sweep(work._replace(seeds=1), 2)  # import what they need
            ratios = []
            for _ in range(arguments.rounds):
                one, two = seconds_of_sweep(work, 1), seconds_of_sweep(work, 2)
                ratios.append(one / two)
                print(f"{work.experiment.name}: one process {one:.1f} s, two {two:.1f} s, {one / two:.2f}x")
            print(f"two processes against one: {statistics.median(ratios):.2f}x (goal 1.8x)")

    stack, steps = (8, 30) if device.type == "cpu" else (64, 200)
    context = Context(device=device)
    for width in (16, 64):
        config = Config(width=width, bias=0.9, steps=steps, num_evals=1)
        group = [Trial(config, seed) for seed in range(stack)]
        seconds_of_training(group[:2], context)  # warm up
        ratios = []
        for _ in range(arguments.rounds):
            single = statistics.mean(seconds_of_training([trial], context) for trial in group[:4])
            ratios.append(stack * single / seconds_of_training(group, context))
        print(f"vmapped batch of {stack} trials of width {width} against one by one: {statistics.median(ratios):.2f}x")


if __name__ == "__main__":
    main()
