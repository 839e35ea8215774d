"""How fast batched MiniGrid steps and looks, beside a vector of the package ``minigrid``'s environments.

    python benchmarks/envs.py [--device cuda] [--rounds 5] [--environments 1024]

Random actions, observations after every step, ends included; the two in turn, in one process. Times are this process's
own where the device is the CPU, so other work on the machine does not count.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import gymnasium
import minigrid  # noqa: F401  registers the package's environments
import torch

from tutorlib.envs.minigrid import MiniGrid
from tutorlib.envs.minigrid_rooms import key_corridor, multi_room
from tutorlib.lab import pick_device

LEVELS = {
    "KeyCorridorS3R3-v0": (key_corridor, 270),
    "MultiRoom-N4-S5-v1": (multi_room, 80),
}


def batched(env: MiniGrid, number: int, device: torch.device) -> Callable[[int], None]:
    """Return a function that goes some steps on."""
    state = env.start(torch.rand(number, 1, device=device))

    def steps(many: int) -> None:
        nonlocal state
        for _ in range(many):
            action = torch.randint(env.actions, (number,), device=device)
            state, _, _ = env.step(state, action, torch.rand(number, 1, device=device))
            env.observe(state)
        if device.type == "cuda":
            torch.cuda.synchronize()

    return steps


def vector(name: str, number: int) -> Callable[[int], None]:
    """Return the same for a vector of the package's environments."""
    envs = gymnasium.make_vec(f"MiniGrid-{name}", num_envs=number, vectorization_mode="sync")
    envs.reset(seed=0)

    def steps(many: int) -> None:
        for _ in range(many):
            envs.step(envs.action_space.sample())

    return steps


def rate(steps: Callable[[int], None], many: int, number: int, clock: Callable[[], float]) -> float:
    started = clock()
    steps(many)
    return many * number / (clock() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--environments", type=int, default=1024)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    device, number = pick_device(arguments.device), arguments.environments
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    for name, (make, limit) in LEVELS.items():
        levels = make(number, torch.Generator().manual_seed(0)).to(device)
        ours, theirs = batched(MiniGrid(levels, limit), number, device), vector(name, number)
        ours(20)
        theirs(1)
        pairs = [(rate(ours, 200, number, clock), rate(theirs, 5, number, clock)) for _ in range(arguments.rounds)]
        fast, slow = (statistics.median(side) for side in zip(*pairs, strict=True))
        ratios = ", ".join(f"{a / b:.1f}" for a, b in pairs)
        print(f"{name}: {fast:,.0f} steps/s against {slow:,.0f}, {fast / slow:.1f}x (rounds: {ratios})")


if __name__ == "__main__":
    main()
