"""How fast agents learn: RC-GVF on the lock at the paper's sizes, and seeds side by side.

    python benchmarks/agents.py [--compile] [--rounds 3] [--only lock|side|updates]
    python benchmarks/agents.py --device cuda

Frames include acting, rewards and learning, in 32-bit floats. Matrix products are counted by hand: each frame goes
through the actor-critic once to act and, in each pass of learning, three times (forward, and twice back); the same for
predictors; and once through Z. A step of the agents of model-based generalisation is one step in the environment and
one update, at the paper's sizes. All sides of a ratio are timed in turn in the same run; a number is the median over
the rounds. Where the device is the CPU there is one thread, and times are this process's own, so other work on the
machine counts for little.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch

from tutorlib.lab import Context, Trial, device_name, pick_device
from tutorlib.nn import step_generator
from tutorlib.papers.mbrl import algorithm as mbrl
from tutorlib.papers.mbrl.algorithm import train as train_model_based
from tutorlib.papers.mbrl.config import Config as ModelBased
from tutorlib.papers.mbrl.experiments import LITTLE_FLUTE
from tutorlib.papers.rcgvf.algorithm import EAGER, Config, draw_noise, hyper, initial_state, settings, update
from tutorlib.papers.rcgvf.experiments import RCGVF


def seconds(run: Callable[[], object], device: torch.device) -> float:
    """Return how long ``run`` takes."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        begin = time.perf_counter()
        run()
        torch.cuda.synchronize()
        return time.perf_counter() - begin
    begin = time.process_time()
    run()
    return time.process_time() - begin


def products(c: Config) -> float:
    """Return the floating-point operations of matrix products that one frame takes."""

    def of(shapes: list[tuple[int, int]]) -> int:
        return 2 * sum(n * m for n, m in shapes)

    acting = of(c.actor_critic.shapes)
    passes = 3 * c.epochs
    if c.method == "ppo":
        return acting + passes * acting
    predictors = c.ensemble * of(c.predictor.shapes)
    return acting + of(c.z.shapes) + predictors + passes * (acting + predictors)


def peak(device: torch.device) -> float:
    """Return operations per second of a large matrix product."""
    n = 4096 if device.type == "cuda" else 1024
    a, b = torch.randn(n, n, device=device), torch.randn(n, n, device=device)
    a @ b
    return 4 * 2 * n**3 / seconds(lambda: [a @ b for _ in range(4)], device)


class Learning:
    """Runs of one configuration, which go on by one update at each call."""

    def __init__(self, c: Config, seeds: range, context: Context) -> None:
        self.c, self.seeds, self.device, self.number = c, seeds, context.device, 0
        self.steps = EAGER.compiled(context)
        self.h = hyper([Trial(c, seed) for seed in seeds], self.device)
        self.state = initial_state(c, seeds, self.device)

    def __call__(self) -> None:
        """Act, look back, learn."""
        noise = draw_noise(self.c, self.seeds, self.number, self.device)
        self.state, _ = update(self.c, self.h, self.state, noise, self.number, self.steps)
        self.number += 1


def lock(device: torch.device, rounds: int, compiled: bool) -> None:
    """Print frames per second at the paper's sizes."""
    for method in ("rcgvf", "rnd", "ppo"):
        c = settings(method)
        forms = {"eager": Context(device)} | ({"compiled": Context(device, compile=True)} if compiled else {})
        runs = {name: Learning(c, range(1), context) for name, context in forms.items()}
        rates: dict[str, list[float]] = {name: [] for name in (*forms, "peak")}
        for turn in range(rounds + 1):  # the first is for warming up
            rates["peak"].append(peak(device))
            for name, run in runs.items():
                rates[name].append(c.frames / seconds(run, device))
            if not turn:
                rates = {name: [] for name in rates}
        best = statistics.median(rates.pop("peak"))
        for name, values in rates.items():
            speed = statistics.median(values)
            share = f"{speed * products(c) / best:.0%} of the peak of {best:.2g} operations/s"
            print(f"lock, 100 columns, 16 environments, {method}, {name}: {speed:,.0f} frames/s, {share}")


def side_by_side(device: torch.device, rounds: int) -> None:
    """Print what 5 seeds side by side cost, over what one costs."""
    for label, c in (("the paper's sizes", settings("rcgvf")), ("the study's sizes", RCGVF)):
        one, five = (Learning(c, range(n), Context(device)) for n in (1, 5))
        one(), five()
        ratios = [seconds(five, device) / seconds(one, device) for _ in range(rounds)]
        print(f"RC-GVF on the lock, {label}: 5 seeds cost {statistics.median(ratios):.2f} times one")
    for agent in ("er", "simple"):
        c = replace(LITTLE_FLUTE, agent=agent, steps=300, learning_starts=250, eval_every=300)
        one, five = (partial(train_model_based, c, range(n), Context(device=device)) for n in (1, 5))
        ratios = [seconds(five, device) / seconds(one, device) for _ in range(rounds)]
        print(f"{agent} in the flute, the study's sizes: 5 seeds cost {statistics.median(ratios):.2f} times one")


class Updates:
    """Runs of one agent of model-based generalisation, which go on by ``steps`` steps and updates at each call."""

    def __init__(self, c: ModelBased, seeds: range, device: torch.device, compiled: bool, steps: int = 20) -> None:
        context = Context(device=device, compile=compiled)
        self.learn, self.act = context.compiled(mbrl.learn), context.compiled(mbrl.act)
        self.setting, self.learner = mbrl.begin(c, seeds, device)
        self.generators = [step_generator(seed, 0, device) for seed in seeds]
        env = self.setting.env
        self.state = env.start(mbrl.uniforms(self.generators, (1, env.start_noise), device))
        self.o = env.observe(self.state)
        self.replay = mbrl.empty_replay(env.observations, (), len(seeds), c.capacity, device)
        self.width, self.steps, self.t = mbrl.total(mbrl.act_shapes(self.setting)), steps, 0
        for _ in range(c.batch):
            self.go()

    def go(self) -> None:
        """Act, and add to replay what happened."""
        u = mbrl.uniforms(self.generators, (self.width,), self.learner.q.device)
        learner = self.learner._replace(updates=0)
        b, self.state, self.o = self.act(self.setting, learner, self.state, self.o, u)
        mbrl.add(self.replay, self.t, b)
        self.t += 1

    def __call__(self) -> None:
        for _ in range(self.steps):
            self.go()
            self.learner = mbrl.update(self.setting, self.learner, self.replay, self.t, self.generators, self.learn)


def updates(device: torch.device, rounds: int, compiled: bool) -> None:
    """Print what a step costs at the paper's sizes, eager and compiled, with one seed and with five side by side."""
    for agent in ("er", "simple"):
        for environment, size in (("maze", 4), ("flute", 5)):
            c = ModelBased(agent, environment, size, capacity=10_000)
            forms = [("eager", False), *([("compiled", True)] if compiled else [])]
            runs = {(name, n): Updates(c, range(n), device, on) for n in (1, 5) for name, on in forms}
            for run in runs.values():
                run()
            times: dict[tuple[str, int], list[float]] = {key: [] for key in runs}
            for _ in range(rounds):
                for key, run in runs.items():
                    times[key].append(1000 * seconds(run, device) / run.steps / key[1])
            words = [f"{name}, {n} seeds {statistics.median(values):.2f} ms" for (name, n), values in times.items()]
            print(f"{agent}, {environment} {size}, a step of a seed: {'; '.join(words)}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default=None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--only", choices=("lock", "side", "updates"))
    arguments = parser.parse_args()
    device = pick_device(arguments.device)
    print(f"torch {torch.__version__}, {device_name(device)}")
    if device.type == "cpu":
        torch.set_num_threads(1)
    if arguments.only in (None, "lock"):
        lock(device, arguments.rounds, arguments.compile)
    if arguments.only in (None, "side"):
        side_by_side(device, arguments.rounds)
    if arguments.only in (None, "updates"):
        updates(device, arguments.rounds, arguments.compile)


if __name__ == "__main__":
    main()
