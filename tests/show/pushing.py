"""A made-up objective and made-up windows for the push explorer."""

from typing import Any

import torch

from tutorlib.papers.metagenrl.baselines import gae
from tutorlib.papers.metagenrl.model import Objective, Seen, standardised

WINDOWS, STEPS = 5, 6
SIZES = {"hidden": 6, "other_layers": 2, "summary": 3, "memory": 4}
DISCOUNTS = (0.9, 0.8)


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def objective_of(sizes: dict[str, int]) -> Objective:
    """The library's objective of these sizes."""
    names = {"hidden": "hidden", "other_layers": "other_layers", "summary": "summary", "memory": "memory"}
    return Objective("structured", head_layers=0, **{names[name]: size for name, size in sizes.items()})


def alpha_of(sizes: dict[str, int]) -> torch.Tensor:
    return (0.8 * drawn(objective_of(sizes).parameters, seed=4)).float().double()


REWARDS = drawn(WINDOWS, STEPS, seed=1).clamp(-2, 2).round(decimals=3)
VALUES = drawn(WINDOWS, STEPS + 1, seed=2).clamp(-3, 3).round(decimals=3)
POLICY = drawn(STEPS, seed=3).tanh().round(decimals=3)


def fake_push(**changes: Any) -> dict[str, Any]:
    """Return arguments of ``push_data``."""
    arguments: dict[str, Any] = {
        "title": "Pushes",
        "alpha": alpha_of(SIZES).tolist(),
        "sizes": SIZES,
        "discounts": DISCOUNTS,
        "rewards": REWARDS.tolist(),
        "values": VALUES.tolist(),
        "actions": [0.5, -0.5, 0.25, -0.75, 1.0, -1.0],
        "policy": POLICY.tolist(),
        "slopes": [0.3, -0.3, 0.1, 0.0, 0.2, -0.1],
        "spreads": [1.0, 0.8, 0.2],
        "reward_range": (-2.0, 2.0),
        "value_range": (-3.0, 3.0),
        "start": {"row": "reward", "step": 3, "number": 2.0},
        "note": "Random weights.",
    }
    return arguments | changes


def advantages_by_library(
    reward: list[float], value: list[float], sizes: dict[str, int] = SIZES
) -> tuple[list[float], list[float]]:
    """The learned advantages and GAE's of the first window, when it has these rewards and values."""
    r, v = REWARDS.clone(), VALUES.clone()
    r[0], v[0] = torch.tensor(reward, dtype=torch.double), torch.tensor(value, dtype=torch.double)
    one = torch.ones_like(r)[None]
    zero = 0 * one
    seen = Seen(one[..., None], r[None], zero, v[None, :, :-1], v[None, :, 1:], one, one[:, 0, :1])
    learned = objective_of(sizes)(alpha_of(sizes)[None], zero[..., None], seen)
    return learned[0, 0].tolist(), standardised(gae(seen, *DISCOUNTS), one)[0, 0].tolist()
