import base64
import copy
from typing import Any

import numpy as np
import pytest
import torch
from bandits import FAMILIES, GRID, fake_bandit, random_theta

from tutorlib.lab.errors import UsageError
from tutorlib.papers.symla.game import STREAMS
from tutorlib.papers.symla.model import SymLA
from tutorlib.show.bandit import PLAYERS, USES, bandit_data, bandit_picture
from tutorlib.show.explorer import to_json


def test_theta_is_kept_to_the_last_bit_of_float32() -> None:
    theta = random_theta()
    data = bandit_data(**fake_bandit())
    assert np.array_equal(np.frombuffer(base64.b64decode(data["theta"]), "<f4"), theta.numpy())
    for same in (theta.double(), theta.tolist(), theta.numpy()):
        assert bandit_data(**fake_bandit(theta=same)) == data
    assert len(to_json(data)) < 20_000


def test_the_rest_is_as_given() -> None:
    data = bandit_data(**fake_bandit(seen=(4, 2), start={"arms": 7, "pulls": 0}))
    assert data["grid"] == GRID
    assert data["families"] == FAMILIES
    assert data["streams"] == dict(STREAMS)
    assert data["seen"] == [2, 4]
    assert data["start"] == {"arms": 7, "family": "independent", "bandit": 1, "pulls": 0}
    assert bandit_data(**fake_bandit(pulls=12))["start"]["pulls"] == 12  # not more than there are
    assert set(USES) == set(STREAMS)


@pytest.mark.parametrize(("hidden", "message"), [(16, 8), (5, 3)])
def test_the_length_of_theta_is_that_of_the_agent(hidden: int, message: int) -> None:
    agent = SymLA(1, 2, hidden, message)
    grid = GRID | {"hidden": hidden, "message": message}
    bandit_data(**fake_bandit(theta=random_theta(agent=agent), grid=grid))
    with pytest.raises(UsageError, match=rf"expected \({agent.parameters},\) for hidden={hidden}"):
        bandit_data(**fake_bandit(theta=torch.zeros(agent.parameters + 1), grid=grid))


def broken(*path: Any, value: Any) -> dict[str, Any]:
    """Arguments with one entry replaced."""
    raw = copy.deepcopy(fake_bandit(streams=dict(STREAMS), theta=random_theta().tolist()))
    entry = raw
    for key in path[:-1]:
        entry = entry[key]
    entry[path[-1]] = value
    return raw


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (broken("theta", value=[0.5]), r"theta has shape \(1,\): expected \(3472,\) for hidden=16 and message=8"),
        (broken("theta", 7, value=float("nan")), r"theta\[7\]=nan: expected a finite number"),
        (broken("grid", "hidden", value=0), "grid hidden=0: expected a whole number from 1 to 64"),
        (broken("grid", "micro_ticks", value=1.5), "micro_ticks'\\]=1.5: expected a whole number"),
        (broken("grid", "scale", value=float("inf")), "grid scale=inf: expected a finite number"),
        (broken("families", value=[]), r"families names=\[\]: expected at least one"),
        (broken("families", 1, "name", value="hard"), r"families names=.*: expected at least one, all different"),
        (broken("families", 1, "good", value=[0.9, 0.8]), r"family 'easy' good=\[0.9, 0.8\]: expected two numbers"),
        (broken("families", 1, "rest", value=[0.9, 1.8]), r"family 'easy' rest=\[0.9, 1.8\]: expected two numbers"),
        (broken("families", 1, "rest", value=[0.9]), r"family 'easy' rest=\[0.9\]: expected two numbers"),
        (broken("streams", value={"arms": 0}), r"streams=\{'arms': 0\}: expected a different whole number for each"),
        (broken("streams", "symla", value=1), "streams=.*: expected a different whole number for each of arms"),
        (broken("streams", "symla", value=2**32), "streams symla=4294967296: expected a whole number from 0"),
        (broken("pulls", value=1), "pulls=1: expected a whole number from 2 to 1,000"),
        (broken("lives", value=True), "lives=True: expected a whole number"),
        (broken("seen", value=[21]), "seen=21: expected a whole number from 2 to 20"),
        (broken("start", value={"arms": 1}), "start arms=1: expected a whole number from 2 to 20"),
        (broken("start", value={"pulls": 41}), "start pulls=41: expected a whole number from 0 to 40"),
        (broken("start", value={"bandit": 0}), "start bandit=0: expected a whole number from 1 to 999,999"),
        (broken("start", value={"family": "heard"}), r"start family='heard': .*did you mean 'hard'"),
        (broken("start", value={"arm": 2}), r"start='arm': .*did you mean 'arms'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        bandit_data(**raw)


def test_the_picture_shows_the_mean_regrets_at_the_start() -> None:
    data = bandit_data(**fake_bandit(start={"arms": 6, "family": "easy"}))
    regrets = {player: np.linspace(0.5, 5 + i, 40) for i, player in enumerate(PLAYERS)}
    (ax,) = bandit_picture(data, regrets).axes
    assert ax.get_title(loc="left") == "Bandits\narms: 6, family: 0.9, others 0.1"
    for line, (player, values) in zip(ax.lines, regrets.items(), strict=True):
        assert line.get_label() == f"{player}: {values[-1]:.1f}"
        assert list(line.get_ydata()) == [0, *values]
        assert list(line.get_xdata()) == list(range(41))
    with pytest.raises(UsageError, match=r"regrets of UCB1 have shape \(39,\): expected \(40,\)"):
        bandit_picture(data, regrets | {"UCB1": regrets["UCB1"][1:]})
    with pytest.raises(UsageError, match=r"regrets of Thompson have shape \(0,\)"):
        bandit_picture(data, {"SymLA": regrets["SymLA"]})
