"""A made-up SymLA for the bandit explorer: random meta-variables, which act but hardly learn."""

from typing import Any

import torch

from tutorlib.papers.symla.game import RANGES, STREAMS
from tutorlib.papers.symla.model import SymLA

AGENT = SymLA(1, 2)
GRID = {"hidden": 16, "message": 8, "micro_ticks": 2, "forget_bias": 1.0, "input_bias": -1.0, "scale": 10.0}
LABELS = {"independent": "all uniform"} | {
    name: f"{good[0]:g}, others {rest[0]:g}" for name, (good, rest) in RANGES.items() if good[0] == good[1]
}
FAMILIES = [
    {"name": name, "label": LABELS[name], "good": list(good), "rest": list(rest)}
    for name, (good, rest) in RANGES.items()
]


def random_theta(seed: int = 0, agent: SymLA = AGENT) -> torch.Tensor:
    """Meta-variables twice as large as at the start of meta-training, so that arms differ in their logits."""
    return 2 * agent.initial_parameters(torch.Generator().manual_seed(seed))


def fake_bandit(**changes: Any) -> dict[str, Any]:
    """Return arguments of ``bandit_data``."""
    arguments: dict[str, Any] = {
        "title": "Bandits",
        "theta": random_theta(),
        "grid": GRID,
        "families": FAMILIES,
        "streams": STREAMS,
        "pulls": 40,
        "lives": 30,
        "seen": [2, 4],
        "note": "Random meta-variables.",
    }
    return arguments | changes
