"""Explorers of SymLA: records in, interactive figures out."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from tutorlib.envs import BernoulliBandit
from tutorlib.lab import Record, select
from tutorlib.lab.errors import bad_argument
from tutorlib.papers.symla import game
from tutorlib.papers.symla.analysis import order_curves, orders_table, score
from tutorlib.papers.symla.model import SymLA
from tutorlib.shapes import Tensor
from tutorlib.show.bandit import MOST_ARMS, PLAYERS, Kind, bandit_data, bandit_picture
from tutorlib.show.curves import Line, curves_data, curves_picture
from tutorlib.show.explorer import Explorer
from tutorlib.show.style import png

LIVES = 200
"""bandits that a mean regret is taken over"""


def bandit_explorer(record: Record) -> Explorer:
    """Return the bandit in which the SymLA of ``symla.player`` plays in the browser, beside fixed rules.

    Raises ``UsageError`` if the record is of another experiment.
    """
    if record.experiment != "symla.player":
        raise bad_argument("record.experiment", record.experiment, "'symla.player'")
    c, agent = record.config, SymLA(1, 2)
    seen = [int(size) for size in str(c["sizes"]).split(",")]
    data = bandit_data(
        title="A bandit with 2 to 20 arms",
        theta=record.metrics["theta"],
        grid={
            "hidden": agent.grid.hidden,
            "message": agent.grid.message,
            "micro_ticks": agent.grid.micro_ticks,
            "forget_bias": agent.grid.forget_bias,
            "input_bias": agent.grid.input_bias,
            "scale": agent.scale,
        },
        families=families(),
        streams=game.STREAMS,
        pulls=int(c["length"]),
        lives=LIVES,
        seen=seen,
        note=(
            f"SymLA's {len(record.metrics['theta']):,} numbers were meta-trained on bandits of "
            f"{', '.join(map(str, seen))} arms for {c['generations']} generations, and "
            f"do not change here: the page runs them. Thompson sampling and UCB1 know that they play a bandit. All "
            f"players meet the same bandit and the same luck at each pull; single lives vary widely. Regret: what the "
            f"pulls were expected to pay less than the best arm."
        ),
    )
    label = "A bandit of 2 to 20 arms: the trained SymLA plays in the page beside Thompson sampling, UCB1 and random"
    return Explorer("bandit_explorer", data, label, png(bandit_picture(data, mean_regrets(data, record))))


def families() -> list[Kind]:
    """Return the families of bandits that a reader may choose."""
    return [
        {
            "name": name,
            "label": f"{good[0]:g}, others {rest[0]:g}" if good[0] == good[1] else "all uniform",
            "good": list(good),
            "rest": list(rest),
        }
        for name, (good, rest) in game.RANGES.items()
    ]


def mean_regrets(data: Mapping[str, object], record: Record) -> dict[str, list[float]]:
    """Return each player's mean regret after each pull, at the arms and the family that the explorer starts with."""
    start, pulls = data["start"], data["pulls"]
    assert isinstance(start, dict)
    assert isinstance(pulls, int)
    if not 2 <= start["arms"] <= MOST_ARMS:
        raise bad_argument("start arms", start["arms"], f"2 to {MOST_ARMS}")
    env = BernoulliBandit(start["arms"], start["family"])
    draw = game.numbered(torch.arange(1, LIVES + 1))
    theta: Tensor = torch.tensor(record.metrics["theta"])
    courses = (
        game.symla(theta, env, pulls, draw),
        game.thompson(env, pulls, draw),
        game.ucb1(env, pulls, draw),
        game.uniform(env, pulls, draw),
    )
    return {name: course.regret.mean(dim=0).tolist() for name, course in zip(PLAYERS, courses, strict=True)}


POLE_ENTRIES = ("x", "v", "θ", "ω")
"""CartPole's observation: position, velocity, angle, angular velocity"""
POLE_ACTIONS = ("left", "right")


def symmetry_explorer(groups: Mapping[str, Sequence[Record]], references: Sequence[Record]) -> Explorer:
    """Return the explorer of ``symla.cartpole``: an order of observations and actions -> failures over life.

    ``groups`` are the agents' runs by label, ``references`` the records of ``symla.references``. Raises ``UsageError``
    if records are of another experiment.
    """
    runs = [r for group in groups.values() for r in group]
    if not runs or any(r.experiment != "symla.cartpole" for r in runs):
        raise bad_argument("groups", sorted({r.experiment for r in runs}), "records of symla.cartpole")
    c, names = runs[0].config, runs[0].metrics["orders"]["names"]
    seen, done = (list(dict.fromkeys(name.split("/")[i] for name in names)) for i in (0, 1))
    curves = {label: order_curves(group) for label, group in groups.items()}
    means = {label: orders_table(group).mean(axis=1) for label, group in groups.items()}
    points = len(next(iter(curves[label][names[0]] for label in groups))[0])
    positions = [(i + 0.5) * c["length"] / points for i in range(points)]
    random = score(select(references, environment="cartpole"), "standard", player="random").value
    lines: list[Line] = [
        {"label": label, "values": [[np.mean(by_order[f"{s}/{d}"], axis=0).tolist() for d in done] for s in seen]}
        for label, by_order in curves.items()
    ]
    falls = {label: float(by_order.mean()) for label, by_order in means.items()} | {"random pushes": random}
    in_a_life = ", ".join(f"{label} {count * c['length'] / 1000:.1f}" for label, count in falls.items())
    highest = max(max(cell) for line in lines for row in line["values"] for cell in row)
    data = curves_data(
        title="CartPole in other orders",
        choosers=[
            {"name": "seen", "label": "the four inputs show", "values": [_words(s, POLE_ENTRIES) for s in seen]},
            {"name": "done", "label": "the two outputs push", "kind": "buttons",
             "values": [_words(d, POLE_ACTIONS, ", ") for d in done]},
        ],
        x={"label": "step of life", "low": 0, "high": c["length"]},
        y={"label": "failures in 1,000 steps", "low": 0.0, "high": 10.0 * math.ceil(max(highest, random) / 10)},
        positions=positions,
        lines=[*lines, {"label": "random", "values": [random] * points, "over": [], "thin": True}],
        numbers=[
            {"name": f"agent{i}", "label": f"{label}, whole life",
             "values": [[float(by_order[f"{s}/{d}"]) for d in done] for s in seen]}
            for i, (label, by_order) in enumerate(means.items())
        ],
        note=(
            f"Recorded lives of {c['length']} steps, {len(names)} orders, means of "
            f"{len(next(iter(groups.values())))} seeds × 100 lives in each order; theta is fixed. Failures in such a "
            f"life, mean of all orders: {in_a_life}; at first no pole has had the time to fall. All were "
            f"meta-trained within minutes on a CPU ({_budgets(groups)}). The first "
            f"order is the one of meta-training; the augmented MetaRNN met a random order in every life."
        ),
    )  # fmt: skip
    label = "Failures on CartPole over life, for every order of observations and actions, of SymLA and MetaRNNs"
    return Explorer("curves_explorer", data, label, png(curves_picture(data)))


def _words(order: str, words: Sequence[str], between: str = " ") -> str:
    """Return an order such as ``10`` in words, such as ``right, left``."""
    return between.join(words[int(place)] for place in order)


def _budgets(groups: Mapping[str, Sequence[Record]]) -> str:
    return ", ".join(f"{label}: {group[0].config['generations']} generations" for label, group in groups.items())
