"""Made-up data of the three explorers, from formulas."""

import math
import random
from typing import Any

BIASES_OF_CURVES = (0.0, 0.5, 0.9)
RATES = ("3e-4", "1e-3", "2e-3", "5e-3")
STEPS_OF_CURVES = list(range(0, 2600, 200))
ESCAPES = [[None, None, None, 2200], [None, 2000, 1600, 1200], [1800, 1400, 1000, 600]]
"""Step at which a run of a bias (rows) and a rate (columns) leaves its plateau; None if it does not."""


def curve_of(bias: float, rate: str) -> list[float | None]:
    """The loss of a run; the slowest one was never looked at after step 2000."""
    escape = ESCAPES[BIASES_OF_CURVES.index(bias)][RATES.index(rate)] or 10_000
    values: list[float | None] = [1.4 * min(1.0, math.exp(-(step - escape) / 300)) + 0.02 for step in STEPS_OF_CURVES]
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
        "positions": STEPS_OF_CURVES,
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


# A map like that of a general-purpose in-context learner: enough to test and to look at.
WIDTHS = [8, 16, 32, 64]
TASKS = ["2⁴", "2⁶", "2⁸", "2⁹", "2¹⁰", "2¹¹", "2¹²", "2¹⁴", "∞"]
STEPS = [0, 100, 200, 300, 400, 600, 800, 1000, 1200, 1400, 1600, 2000, 2400, 2800, 3200, 4000]
BIASES = ["0", "0.9"]
POSITIONS = [1, 2, 3, 4, 6, 8, 12, 16, 20, 24, 28, 32]
CHANCE, CEILING = 0.25, 0.93
MISSING = (0, 8)  # width 8 with infinitely many tasks was not run


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def model(bias: int, step: int, tasks: int, width: int) -> tuple[float, float, float]:
    """Return how far one cell has memorised, identified, and learned to learn, each from 0 to 1."""
    room = width / 3
    trained = STEPS[step] / 4000
    memory = sigmoid(2 * (1.2 + room - tasks)) * (1 - math.exp(-9 * trained))
    identify = sigmoid(1.5 * (2.4 + room - tasks)) * (1 - math.exp(-5 * trained))
    leave = 1600 + 500 * (tasks - 4) - 500 * room - 1100 * bias
    general = sigmoid((STEPS[step] - leave) / 130) * sigmoid(4 * (tasks - 3.6))
    general *= 0.3 + 0.7 * sigmoid(3 * (room - 0.4))
    return memory, identify, general if STEPS[step] else 0.0


def cell(bias: int, step: int, tasks: int, width: int) -> dict[str, Any] | None:
    """Return what one run would have recorded."""
    if (width, tasks) == MISSING:
        return None
    memory, identify, general = model(bias, step, tasks, width)
    rise = [1 - math.exp(-(p - 1) / 5) for p in POSITIONS]
    unseen = [CHANCE + 0.63 * general * r for r in rise]
    seen = [
        max(u, CHANCE + 0.7 * memory + (0.66 - 0.62 * memory) * identify * r) for u, r in zip(unseen, rise, strict=True)
    ]
    if max(seen[-1], unseen[-1]) < CHANCE + 0.1:
        phase = 0
    elif unseen[-1] > CHANCE + 0.6 * (CEILING - CHANCE):
        phase = 4
    elif unseen[-1] >= CHANCE + 0.1:
        phase = 3
    else:
        phase = 1 if seen[0] > 0.7 * CEILING else 2
    votes = 2 if 0.2 < general < 0.8 else 3
    return {"seen": seen, "unseen": unseen, "phase": phase, "votes": votes}


def fake_grid(**changes: Any) -> dict[str, Any]:
    """Return arguments of ``grid_data`` for a map of 4 widths, 9 task counts, 16 steps and 2 biases."""
    steps = range(len(STEPS))
    cells = [[[[cell(b, s, y, x) for x in range(4)] for y in range(9)] for s in steps] for b in range(2)]

    def each(pick: Any) -> Any:
        return [[[[run and pick(run) for run in row] for row in grid] for grid in half] for half in cells]

    spread = {"unseen_last": 0.02, "seen_last": 0.01}
    one_nn = [CHANCE + 0.68 * (1 - math.exp(-(p - 1) / 5)) for p in POSITIONS]
    sgd = [CHANCE + 0.6 * (1 - math.exp(-(p - 1) / 9)) for p in POSITIONS]

    def metric(name: str, label: str) -> dict[str, Any]:
        return {"name": name, "label": f"accuracy, {label}", "low": 0.25, "high": 1.0}

    values = {
        "unseen_last": each(lambda run: run["unseen"][-1]),
        "seen_last": each(lambda run: run["seen"][-1]),
        "seen_first": each(lambda run: run["seen"][0]),
    }
    arguments: dict[str, Any] = {
        "title": "What does the network do after meta-training?",
        "x": {"label": "model width", "values": WIDTHS},
        "y": {"label": "number of tasks K", "values": TASKS},
        "slider": {"label": "meta-training step", "values": STEPS},
        "toggle": {"label": "share of sequences with the fixed permutation", "values": BIASES},
        "metrics": [
            metric("unseen_last", "unseen tasks, last 10 queries"),
            metric("seen_last", "seen tasks, last 10 queries"),
            metric("seen_first", "seen tasks, first query"),
        ],
        "values": values,
        "low": {m: each(lambda run, m=m: run[m[:-5]][-1] - spread[m]) for m in spread},
        "high": {m: each(lambda run, m=m: run[m[:-5]][-1] + spread[m]) for m in spread},
        "phases": [
            {"name": "no learning", "short": "–", "colour": "#d3d6da",
             "meaning": "Chance level everywhere."},
            {"name": "task memorisation", "short": "M", "colour": "#dd7e33",
             "meaning": "Right from the first query on seen tasks, chance on unseen ones."},
            {"name": "task identification", "short": "I", "colour": "#ebb84d",
             "meaning": "Improves within a sequence of a seen task, chance on unseen ones."},
            {"name": "partial learning", "short": "P", "colour": "#89caef",
             "meaning": "Improves on unseen tasks, but stays far below the reference learners."},
            {"name": "general learning", "short": "G", "colour": "#2a86bd",
             "meaning": "Learns unseen tasks from their examples."},
        ],
        "phase": each(lambda run: run["phase"]),
        "votes": each(lambda run: run["votes"]),
        "seeds": 3,
        "chart": {
            "x": "query (examples seen before it, plus one)",
            "y": "accuracy",
            "low": 0,
            "high": 1,
            "positions": POSITIONS,
            "curves": [
                {"label": "seen tasks", "values": each(lambda run: run["seen"])},
                {"label": "unseen tasks", "values": each(lambda run: run["unseen"])},
            ],
            "references": [
                {"label": "1-NN", "values": one_nn},
                {"label": "online SGD", "values": sgd},
                {"label": "chance", "values": [CHANCE] * len(POSITIONS)},
            ],
        },
        "marker": {"x": 3, "y": 8, "text": "closest to the paper's setting"},
        "note": "Here: 4 classes of 8 × 8 digits, 32 examples. The paper: MNIST, 10 classes, 100 examples.",
    }  # fmt: skip
    return arguments | changes
