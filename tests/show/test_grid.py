import copy
from typing import Any

import numpy as np
import pytest
from fakes import fake_grid

from tutorlib.lab.errors import UsageError
from tutorlib.show.explorer import MAX_DATA_BYTES, to_json
from tutorlib.show.grid import grid_data
from tutorlib.show.packing import unpack


def test_numbers_are_packed_exactly_and_gaps_stay(data: dict[str, Any]) -> None:
    raw = fake_grid()
    values = unpack(data["values"]["unseen_last"])
    assert values[1][9][4][2] == round(raw["values"]["unseen_last"][1][9][4][2], 3)
    assert values[1][9][8][0] is None
    assert unpack(data["chart"]["curves"][0]["values"])[1][9][8][0] == [None] * 12
    assert unpack(data["phase"]) == raw["phase"]
    assert data["x"] == {"label": "model width", "values": ["8", "16", "32", "64"]}
    assert data["chart"]["positions"] == raw["chart"]["positions"]


def test_a_map_of_the_books_size_fits(data: dict[str, Any]) -> None:
    assert 50_000 < len(to_json(data).encode()) < MAX_DATA_BYTES


def test_arrays_of_numpy_are_taken() -> None:
    raw = fake_grid()
    raw["phases"], raw["phase"], raw["votes"], raw["low"], raw["high"] = (), None, None, None, None
    array = np.full((2, 16, 9, 4), 0.12345)
    raw["values"] = dict.fromkeys(raw["values"], array)
    packed = grid_data(**raw, decimals=4)
    assert unpack(packed["values"]["seen_last"])[1][15][8][3] == 0.1234  # 1234.5 is rounded to even
    assert "phase" not in packed
    assert "marker" in packed


def altered(**changes: Any) -> dict[str, Any]:
    return copy.deepcopy(fake_grid(**changes))


def broken(*path: Any, value: Any) -> dict[str, Any]:
    """Arguments with one entry replaced."""
    raw = altered()
    entry = raw
    for key in path[:-1]:
        entry = entry[key]
    entry[path[-1]] = value
    return raw


PHASE = {"name": "p", "short": "P", "colour": "#123456"}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (broken("values", "seen_last", 1, 3, 2, 1, value=float("nan")),
         r"values\['seen_last'\]\[1\]\[3\]\[2\]\[1\]=nan: expected a finite number, or None"),
        (broken("values", "seen_last", 1, 3, 2, 1, value="0.5"), r"\[1\]='0.5': expected a finite number"),
        (broken("values", "seen_last", 1, 3, 2, 1, value=True), r"\[1\]=True: expected a finite number"),
        (broken("values", "seen_last", 1, 3, 2, value=[0.1] * 3),
         r"values\['seen_last'\]\[1\]\[3\]\[2\] has length 3: expected 4, one entry for each value of x"),
        (broken("values", "seen_last", 1, value=0.5),
         r"values\['seen_last'\]\[1\] has length float: expected 16, one entry for each value of slider"),
        (broken("values", "other", value=[]), r"values=\[.*'other'.*\]: expected one array for each of"),
        (broken("low", "other", value=[]), r"low='other': expected one of unseen_last"),
        (broken("chart", "curves", 0, "values", 0, 0, 0, 0, value=[0.1]),
         r"curve 'seen tasks'\[0\]\[0\]\[0\]\[0\] has length 1: expected 12, one entry"),
        (broken("chart", "references", 2, "values", 3, value=float("inf")), r"reference 'chance'\[3\]=inf"),
        (broken("chart", "positions", value=[1, 1]), r"chart positions=.*at least two, increasing"),
        (broken("chart", "curves", value=[]), "chart curves=0: expected 1 to 4 curves"),
        (broken("chart", "high", value=0), r"chart low and high=\(0, 0\)"),
        (broken("metrics", 0, "high", value=0.1), r"metrics unseen_last low and high=\(0.25, 0.1\)"),
        (broken("metrics", 0, "name", value="Unseen"), "metrics name='Unseen': expected different names"),
        (broken("metrics", 0, "name", value="phase"), "metrics name='phase'"),
        (broken("metrics", 1, "name", value="unseen_last"), "metrics name='unseen_last'"),
        (broken("phase", 0, 0, 0, 0, value=5), r"phase(\[0\]){4}=5: expected a whole number from 0 to 4"),
        (broken("phase", 0, 0, 0, 0, value=0.5), r"phase.*=0.5: expected a whole number"),
        (broken("votes", 0, 0, 0, 0, value=4), r"votes.*=4: expected a whole number from 0 to 3"),
        (broken("phases", value=()), "phases=.*expected the names of the phases"),
        (broken("phases", 0, value=PHASE | {"colour": "red"}), "colour of phase 'p'='red'"),
        (broken("phases", 0, value=PHASE | {"short": "long"}), "short of phase 'p'='long'"),
        (broken("x", "values", value=[]), r"x values=\[\]: expected at least one value"),
        (broken("y", "values", 0, value="2⁶"), "y values=.*all different"),
        (broken("marker", "x", value=4), "marker x=4: expected an index from 0 to 3"),
        (broken("marker", "y", value=9), "marker y=9: expected an index from 0 to 8"),
        (altered(start={"step": 16}), "start step=16: expected an index from 0 to 15"),
        (altered(start={"stp": 1}), "start='stp': expected one of .*did you mean 'step'"),
        (altered(start={"metric": "seen"}), "start metric='seen': expected one of"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        grid_data(**raw)


def test_a_start_is_kept() -> None:
    start = {"x": 1, "y": 2, "step": 3, "toggle": 1, "metric": "phase"}
    assert grid_data(**fake_grid(start=start))["start"] == start


@pytest.mark.parametrize("decimals", [10, -1])
def test_decimals_that_nobody_reads_are_refused(decimals: int) -> None:
    with pytest.raises(UsageError, match=f"decimals={decimals}: expected a whole number from 0 to 9"):
        grid_data(**fake_grid(decimals=decimals))
