"""Explorers of SymLA: records in, interactive figures out."""

from collections.abc import Mapping

import torch

from tutorlib.envs import BernoulliBandit
from tutorlib.lab import Record
from tutorlib.lab.errors import bad_argument
from tutorlib.papers.symla import game
from tutorlib.papers.symla.model import SymLA
from tutorlib.shapes import Tensor
from tutorlib.show.bandit import MOST_ARMS, PLAYERS, Kind, bandit_data, bandit_picture
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
            f"{', '.join(map(str, seen))} arms for {c['generations']} generations (the paper's budget is unknown), and "
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
    return {name: own.regret.mean(dim=0).tolist() for name, own in zip(PLAYERS, courses, strict=True)}
