"""A made-up dial: a small random generator at two stages, which swings a pendulum."""

import math
from typing import Any

import torch

from tutorlib.envs import Pend
from tutorlib.papers.gogepo.model import Generator, Policy

POLICY = Policy(3, 1, hidden=(8, 8))
GENERATOR = Generator(POLICY, block=4, embedding=2, hidden=(5, 5))
SIZES = {"observations": 3, "width": 8, "block": 4, "embedding": 2, "net_width": 5}
ENV = Pend(horizon=30, gravity=15.0, torque=6.0, speed_cost=0.001, action_cost=0.004)
WORLD = {
    "horizon": 30, "gravity": 15.0, "torque": 6.0, "dt": 0.05, "max_speed": 8.0, "speed_cost": 0.001,
    "action_cost": 0.004, "angle": math.pi - 0.3, "speed": 0.5,
}  # fmt: skip
COMMANDS = [0.0, 4.0, 8.0, 12.0]
EYES = ([0.0, 0.0, 0.0], [1.0, 1.0, 1.0]), ([0.1, -0.2, 0.05], [0.5, 0.6, 0.25])


def numbers(seed: int) -> list[int]:
    """A generator's numbers in thousandths, twice as large as at first, so that commands differ."""
    rho = GENERATOR.initial(torch.Generator().manual_seed(seed))
    return (2000 * rho).round().long().tolist()


def fake_dial(**changes: Any) -> dict[str, Any]:
    """Return arguments of ``dial_data``."""
    stages = [
        {
            "episodes": 50 * seed, "best": 5.0 + seed, "rho": numbers(seed), "mean": EYES[seed][0],
            "scale": EYES[seed][1], "achieved": [1.0 + seed, 2.0, 3.0, 9.0],
            "places": [[0.1 * i, seed - 0.2 * i] for i in range(4)],
        }
        for seed in range(2)
    ]  # fmt: skip
    arguments: dict[str, Any] = {
        "title": "A dial",
        "sizes": dict(SIZES),
        "unit": 1e-3,
        "world": dict(WORLD),
        "scaling": [2.0, 0.1],
        "commands": list(COMMANDS),
        "stages": stages,
        "policies": [[0.0, 1.0], [0.5, -1.0], [1.0, 0.0]],
        "returns": [0.0, 3.0, 9.0],
        "note": "Random numbers.",
    }
    return arguments | changes
