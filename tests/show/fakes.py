"""Made-up data of the curves explorer and of the game, from formulas."""

import math
import random
from typing import Any

BIASES_OF_CURVES = (0.0, 0.5, 0.9)
RATES = ("3e-4", "1e-3", "2e-3", "5e-3")
STEPS = list(range(0, 2600, 200))
ESCAPES = [[None, None, None, 2200], [None, 2000, 1600, 1200], [1800, 1400, 1000, 600]]
"""Step at which a run of a bias (rows) and a rate (columns) leaves its plateau; None if it does not."""


def curve_of(bias: float, rate: str) -> list[float | None]:
    """The loss of a run; the slowest one was never looked at after step 2000."""
    escape = ESCAPES[BIASES_OF_CURVES.index(bias)][RATES.index(rate)] or 10_000
    values: list[float | None] = [1.4 * min(1.0, math.exp(-(step - escape) / 300)) + 0.02 for step in STEPS]
    if escape == 10_000:
        values[-2:] = [None, None]
    return values


def last(values: list[float | None]) -> float:
    return next(value for value in reversed(values) if value is not None)


def fake_curves(**changes: Any) -> dict[str, Any]:
    """Return arguments of ``curves_data``: bias x learning rate -> loss, with the escape step marked."""
    cells = [[curve_of(b, rate) for rate in RATES] for b in BIASES_OF_CURVES]
    arguments: dict[str, Any] = {
        "title": "When does a run leave its plateau?",
        "choosers": [
            {"name": "bias", "label": "bias", "values": list(BIASES_OF_CURVES), "kind": "buttons"},
            {"name": "rate", "label": "learning rate", "values": list(RATES)},
        ],
        "x": {"label": "meta-training step", "low": 0, "high": 2400},
        "y": {"label": "loss", "low": 0.01, "high": 2.0, "log": True},
        "positions": STEPS,
        "lines": [
            {"label": "loss", "values": cells},
            {"label": "without bias", "values": cells[0], "over": ("rate",), "thin": True},
        ],
        "numbers": [
            {"name": "last", "label": "loss in the end", "values": [[last(c) for c in row] for row in cells]},
            {"name": "escape", "label": "escapes at step", "values": ESCAPES},
            {
                "name": "words",
                "label": "a small rate",
                "values": ["waits", "waits", "goes", "goes far"],
                "over": ("rate",),
            },
        ],
        "marks": [{"label": "escape", "x": ESCAPES, "y": [[e and 1.42 for e in row] for row in ESCAPES]}],
        "start": {"bias": 2, "rate": 2},
        "note": "A formula.",
    }
    return arguments | changes


CLASSES = 4
GAMES, LENGTH = 3, 9


def fake_games(**changes: Any) -> dict[str, Any]:
    """Return arguments of ``guess_data``: three games of nine points and four labels."""
    draw = random.Random(7)
    games = []
    for _ in range(GAMES):
        labels = [draw.randrange(CLASSES) for _ in range(LENGTH)]
        points = [
            [round(math.cos(y) * 2 + draw.gauss(0, 0.3), 3), round(y - 1 + draw.gauss(0, 0.3), 3)] for y in labels
        ]
        weights = [[draw.random() + 2 * (draw.random() < 0.8) * (k == y) for k in range(CLASSES)] for y in labels]
        probabilities = [[round(w / sum(row), 3) for w in row] for row in weights]
        nearest = [0] + [y if draw.random() < 0.7 else draw.randrange(CLASSES) for y in labels[1:]]
        games.append({"points": points, "labels": labels, "probabilities": probabilities, "nearest": nearest})
    arguments: dict[str, Any] = {
        "title": "Guess",
        "classes": CLASSES,
        "games": games,
        "ceiling": [1 - 0.75 * 0.6**j for j in range(LENGTH)],
        "model_curve": [0.9 - 0.65 * 0.7**j for j in range(LENGTH)],
        "nearest_curve": [0.95 - 0.7 * 0.7**j for j in range(LENGTH)],
        "note": "A game.",
    }
    return arguments | changes
