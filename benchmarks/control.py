"""How fast agents of control learn: one update of TD3 beside Stable-Baselines3's, and agents stacked or one by one.

    python benchmarks/control.py [--rounds 5] [--compile]

The first part needs ``pip install stable-baselines3``, which nothing else here does; without it, it says so. Both sides
have two hidden layers of 256 units without normalisation, batches of 256 steps, their own replay of 1,000 steps of a
pendulum, and a policy step every second time. The second part steps critics and policies of 16 agents at the sizes of
the live tier, as one stack and one after the other. All sides are timed in turn in one run on one thread, by this
process's own time; a number is the median over the rounds.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import torch

from tutorlib.lab import Context
from tutorlib.nn import step_generator
from tutorlib.papers.metagenrl.config import Config, Setting, setting_of
from tutorlib.papers.metagenrl.experiments import MINUTE
from tutorlib.papers.metagenrl.population import Iteration, begin, drawn
from tutorlib.rl.td3 import ActorCritic

CPU = torch.device("cpu")
WIDE = Config(environments=("pend",), agents=1, hidden=256, batch=256, window=1, random_steps=0)


def seconds(run: Callable[[], object]) -> float:
    """Return the time of this process that ``run`` takes."""
    start = time.process_time()
    run()
    return time.process_time() - start


class Updates:
    """Agents whose replay is full, and two updates of critics with one of policies and targets."""

    def __init__(self, setting: Setting, steps: int, compile: bool = False) -> None:
        c = setting.config
        self.iteration = Iteration(setting, Context(compile=compile))
        life = begin(setting, [torch.Generator().manual_seed(0)], steps, CPU)
        self.generators, self.last = [step_generator(0, 0, CPU)], steps - 1
        self.iteration.learns = lambda number: False  # type: ignore[method-assign]
        for number in range(steps):
            life = self.iteration.lived(life, drawn(setting, self.generators, CPU, policy=False), number)
        self.life, self.setting = life, setting
        self.alpha = torch.zeros(setting.each, c.objective.parameters)
        self.weights = torch.tensor([0.0, 1.0, 0.0]).expand(setting.each, -1)

    def __call__(self) -> None:
        setting, iteration = self.setting, self.iteration
        for policy in (False, True):
            noise = drawn(setting, self.generators, CPU, policy=policy)
            w = iteration.windows(self.life, noise.critic, self.last)
            learner = iteration.critics(setting, self.life.learner, w, noise.target.flatten(0, 1))
            self.life = self.life._replace(learner=learner)
        self.life = iteration.taught(self.life, self.alpha, self.weights, noise, self.last, (False, True, False))


def plain(config: Config) -> Setting:
    """Return the setting of one agent whose networks are not normalised."""
    setting = setting_of(config, CPU, config.environments)
    return setting._replace(ac=ActorCritic(3, 1, config.hidden, normed=False))


def stable_baselines3() -> Callable[[], None] | None:
    """Return two updates of its TD3, or None where it is not installed."""
    try:
        from stable_baselines3 import TD3
        from stable_baselines3.common.logger import configure
    except ImportError:
        return None
    model = TD3("MlpPolicy", "Pendulum-v1", policy_kwargs={"net_arch": [256, 256]}, learning_starts=1000, device="cpu")
    model.set_logger(configure(None, []))
    model.learn(1000)
    return lambda: model.train(gradient_steps=2, batch_size=256)


def compared(sides: dict[str, Callable[[], object]], rounds: int, times: int) -> dict[str, float]:
    """Return the median time of each side, run ``times`` times in each of the ``rounds``, in turn."""
    measured: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, run in sides.items():
            measured[name].append(seconds(lambda run=run: [run() for _ in range(times)]) / times)  # type: ignore[misc]
    return {name: statistics.median(values) for name, values in measured.items()}


def main() -> None:
    """Print both comparisons."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compile", action="store_true", help="ours compiled besides, in the first part")
    options = parser.parse_args()
    rounds = options.rounds
    torch.set_num_threads(1)
    theirs = stable_baselines3()
    if theirs is None:
        print("stable-baselines3 is not installed: pip install stable-baselines3")
    else:
        sides: dict[str, Callable[[], object]] = {"ours": Updates(plain(WIDE), 1000), "theirs": theirs}
        if options.compile:
            sides["ours, compiled"] = compiled = Updates(plain(WIDE), 1000, compile=True)
            compiled()
        medians = compared(sides, rounds, 30)
        for name, time_of in medians.items():
            print(f"TD3, two updates: {name} {time_of * 1e3:.1f} ms, {medians['theirs'] / time_of:.2f}x")
    small = replace(MINUTE, environments=("pend",), agents=16)
    stack = Updates(setting_of(small, CPU, small.environments, per=16), 200)
    alone = [Updates(setting_of(small, CPU, small.environments), 200) for _ in range(16)]
    medians = compared({"stacked": stack, "alone": lambda: [run() for run in alone]}, rounds, 5)
    stacked, alone_ms = medians["stacked"] * 1e3, medians["alone"] * 1e3
    print(f"16 agents: {stacked:.1f} ms stacked, {alone_ms:.1f} ms one by one: {alone_ms / stacked:.2f}x")


if __name__ == "__main__":
    main()
