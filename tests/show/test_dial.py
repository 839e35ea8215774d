import base64
import copy
from typing import Any

import numpy as np
import pytest
from dials import GENERATOR, fake_dial, numbers

from tutorlib.lab.errors import UsageError
from tutorlib.show.dial import WORLD, dial_data, dial_picture


def test_the_numbers_of_all_stages_are_kept_to_the_last_bit() -> None:
    data = dial_data(**fake_dial())
    kept = np.frombuffer(base64.b64decode(data["rho"]), "<i2").reshape(2, -1)
    for stage in range(2):
        assert kept[stage, : GENERATOR.size].tolist() == numbers(stage)
        assert not kept[stage, GENERATOR.size :].any()
        assert "rho" not in data["stages"][stage]


def test_the_rest_is_as_given_and_the_last_stage_comes_first() -> None:
    given = fake_dial()
    data = dial_data(**given)
    assert list(data["world"]) == list(WORLD)
    for name in ("title", "note", "scaling", "commands", "policies", "returns", "sizes", "world"):
        assert data[name] == given[name]
    assert data["start"] == {"command": 2, "stage": 1}
    assert dial_data(**fake_dial(start={"stage": 0}))["start"] == {"command": 2, "stage": 0}


def broken(*path: Any, value: Any) -> dict[str, Any]:
    """Arguments with one entry replaced."""
    raw = copy.deepcopy(fake_dial())
    entry = raw
    for key in path[:-1]:
        entry = entry[key]
    entry[path[-1]] = value
    return raw


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (broken("world", value={"horizon": 3}), r"world=\['horizon'\]: expected a number for each of horizon, gravity"),
        (broken("scaling", value=[1.0]), r"scaling=\[1.0\]: expected two numbers"),
        (broken("commands", value=[0.0, 2.0, 2.0, 3.0]), "commands=.*: expected at least two, rising"),
        (broken("stages", value=[]), r"stages=\[\]: expected at least one"),
        (broken("returns", value=[1.0]), "policies=3: expected two numbers for each of 1 returns"),
        (broken("policies", 1, value=[1.0]), "policies=3: expected two numbers for each of 3 returns"),
        (broken("sizes", "block", value=3), "sizes block=3: expected a divisor of width=8"),
        (broken("stages", 1, "rho", value=[1, 2]), r"stages\[1\] rho has length 2: expected"),
        (broken("stages", 1, "rho", 3, value=0.5), r"stages\[1\]\['rho'\]\[3\]=0.5: expected a whole number"),
        (broken("stages", 0, "rho", 3, value=40_000), r"stages\[0\] rho=.*: expected whole numbers up to 32,767"),
        (broken("stages", 0, "mean", value=[0.0]), r"stages\[0\] mean has length 1: expected 3"),
        (broken("stages", 0, "achieved", value=[0.0]), r"stages\[0\] achieved has length 1: expected 4"),
        (broken("stages", 0, "places", value=[]), r"stages\[0\] places has length 0: expected 4"),
        (broken("stages", 1, "scale", value=[1.0, 0.0, 1.0]), r"stages\[1\] scale=.*: expected positive numbers"),
        (broken("start", value={"command": 4}), "start command=4: expected a whole number from 0 to 3"),
        (broken("start", value={"stage": -1}), "start stage=-1: expected a whole number from 0 to 1"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        dial_data(**raw)


def test_the_picture_shows_the_stage_at_the_start() -> None:
    given = fake_dial()
    left, right = dial_picture(dial_data(**given)).axes
    diagonal, other, now = left.lines
    assert list(diagonal.get_ydata()) == [0, 12.0]
    assert list(other.get_ydata()) == given["stages"][0]["achieved"]
    assert list(now.get_ydata()) == given["stages"][1]["achieved"]
    assert list(now.get_xdata()) == given["commands"]
    assert left.get_title(loc="left") == "after 50 episodes"
    assert right.collections[0].get_offsets().tolist() == given["policies"]
    assert np.transpose(right.lines[0].get_data()).tolist() == given["stages"][1]["places"]
