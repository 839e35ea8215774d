import copy
from typing import Any

import numpy as np
import pytest
from fakes import CLASSES, GAMES, LENGTH, fake_games

from tutorlib.lab.errors import UsageError
from tutorlib.show.guess import guess_data, guess_picture
from tutorlib.show.packing import unpack


def test_games_are_kept_and_curves_become_running_means() -> None:
    raw = fake_games()
    data = guess_data(**raw)
    for name in ("points", "labels", "probabilities", "nearest"):
        assert unpack(data[name]) == [game[name] for game in raw["games"]]
    curves = {curve["label"]: unpack(curve["values"]) for curve in data["curves"]}
    assert list(curves) == ["ceiling", "model, mean", "1-NN, mean"]
    for label, given in (("ceiling", "ceiling"), ("model, mean", "model_curve"), ("1-NN, mean", "nearest_curve")):
        assert curves[label] == pytest.approx([np.mean(raw[given][: j + 1]) for j in range(LENGTH)], abs=5.1e-4)
    kinds = data["classes"]
    assert [kind["letter"] for kind in kinds] == list("ABCD")
    for part in ("colour", "shape"):
        assert len({kind[part] for kind in kinds}) == CLASSES


def test_arrays_of_numpy_are_taken() -> None:
    raw = fake_games()
    games = [{name: np.array(values) for name, values in game.items()} for game in raw["games"]]
    assert guess_data(**fake_games(games=games)) == guess_data(**raw)


def broken(*path: Any, value: Any) -> dict[str, Any]:
    """Arguments with one entry replaced."""
    raw = copy.deepcopy(fake_games())
    entry = raw
    for key in path[:-1]:
        entry = entry[key]
    entry[path[-1]] = value
    return raw


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (broken("classes", value=9), "classes=9: expected a whole number from 2 to 8"),
        (broken("games", value=[]), r"games=\[\]: expected at least one game"),
        (broken("games", 0, "labels", value=[0]), r"games\[0\]\['labels'\] length=1: expected at least 2"),
        (broken("games", 1, "labels", 3, value=4), r"games labels\[1\]\[3\]=4: expected a whole number from 0 to 3"),
        (broken("games", 1, "nearest", 3, value=-1), r"games nearest\[1\]\[3\]=-1: expected a whole number"),
        (broken("games", 1, "points", 3, value=[0.5]), r"games points\[1\]\[3\] has length 1: expected 2, .* x and y"),
        (broken("games", 1, "points", 3, value=[0.5, None]), r"games points\[1\]\[3\]\[1\]=None: expected no missing"),
        (broken("games", 2, "points", value=[[0, 0]]), r"games points\[2\] has length 1: expected 9, .* of position"),
        (broken("games", 1, "probabilities", 3, 2, value=1.2),
         r"games\[1\]\['probabilities'\]\[3\]\[2\]=1.2: expected a number from 0 to 1"),
        (broken("games", 1, "probabilities", 3, value=[0.5, 0.4, 0, 0]),
         r"sum of games\[1\]\['probabilities'\]\[3\]=0.9: expected 1"),
        (broken("games", 1, "probabilities", 3, value=0.5),
         r"games probabilities\[1\]\[3\] has length float: expected 4, one entry for each value of class"),
        (broken("games", 1, "probabilities", 3, 2, value="0.5"),
         r"games probabilities\[1\]\[3\]\[2\]='0.5': expected a finite number"),
        (broken("games", 1, "probabilities", value=None),
         r"games probabilities\[1\]\[0\]\[0\]=None: expected no missing entry"),
        (broken("ceiling", value=[0.5]), "ceiling has length 1: expected 9, one entry for each position"),
        (broken("model_curve", 4, value=1.5), r"model, mean\[4\]=1.5: expected an accuracy from 0 to 1"),
        (broken("nearest_curve", 4, value=float("nan")), r"nearest_curve\[4\]=nan: expected a number"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        guess_data(**raw)


def test_the_picture_shows_the_first_game() -> None:
    raw = fake_games()
    plane, chart = guess_picture(guess_data(**raw)).axes
    assert sum(len(line.get_xdata()) for line in plane.lines) == LENGTH
    lines = {line.get_label(): line.get_ydata() for line in chart.lines}
    game = raw["games"][0]
    right = np.argmax(game["probabilities"], axis=1) == np.array(game["labels"])
    assert lines["model, this game"] == pytest.approx(np.cumsum(right) / np.arange(1, LENGTH + 1))
    assert len(raw["games"]) == GAMES
