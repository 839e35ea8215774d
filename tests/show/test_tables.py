"""Results as tables: what HTML and text hold, and which words a claim's table has."""

import numpy as np
import pandas as pd
import pytest
import torch
from bs4 import BeautifulSoup

from tutorlib.lab.claims import Claim, Evidence, Terms
from tutorlib.lab.errors import UsageError
from tutorlib.lab.statistics import Interval
from tutorlib.lab.verdicts import Part
from tutorlib.show.tables import table, verdicts


def soup(made: object) -> BeautifulSoup:
    return BeautifulSoup(made._repr_html_(), "html.parser")


def cells(made: object) -> list[list[str]]:
    return [[cell.get_text() for cell in row.select("th, td")] for row in soup(made).select("tr")]


def test_a_table_has_heads_names_of_rows_and_rounded_numbers() -> None:
    made = table(
        {
            "network": ["LSTM", "a < b"],
            "steps": [np.int64(12345), 3],
            "accuracy": [torch.tensor(0.86174), -0.0],
            "gain": [Interval(0.5, 0.4, 0.6, 5), Interval(1.0, 1.0, 1.0, 5)],
        },
        caption="What & how",
    )
    assert cells(made) == [
        ["network", "steps", "accuracy", "gain"],
        ["LSTM", "12,345", "0.862", "0.500 [0.400, 0.600]"],
        ["a < b", "3", "0", "1.000 [1.000, 1.000]"],
    ]
    assert [cell["scope"] for cell in soup(made).select("th")] == ["col"] * 4 + ["row"] * 2
    assert soup(made).caption.get_text() == "What & how"
    assert soup(made).select("thead th")[1]["class"] == ["number"]
    assert soup(made).select("thead th")[3]["class"] == ["words"]
    assert repr(made).splitlines()[0] == "What & how"
    assert repr(made).splitlines()[1].split() == ["network", "steps", "accuracy", "gain"]


def test_a_frame_is_a_table_without_its_index() -> None:
    frame = pd.DataFrame({"K": [2, 4], "accuracy": [0.123456, 1.0]}, index=[7, 9])
    assert cells(table(frame, digits=2)) == [["K", "accuracy"], ["2", "0.12"], ["4", "1.0"]]


def test_a_column_without_a_name_has_an_empty_cell_and_no_empty_head() -> None:
    made = table({"": ["a"], "b": [1]})
    assert [cell.name for cell in soup(made).select("thead tr > *")] == ["td", "th"]


def test_columns_of_several_lengths_are_refused() -> None:
    with pytest.raises(UsageError, match=r"columns=\{'a': 1, 'b': 2\}: expected columns of one length"):
        table({"a": [1], "b": [1, 2]})
    with pytest.raises(UsageError, match=r"columns=\{\}: expected"):
        table({})


def test_the_table_of_claims_says_verdict_number_parts_and_what_speaks_against() -> None:
    terms = Terms("2026-01-01", {"digits": 0.5, "letters": 0.5}, seeds=(0, 1))
    parts = {
        "digits": Part("holds", Interval(0.8, 0.7, 0.9, 5), 0.5),
        "letters": Part("not tested here", why="nothing <learns>"),
    }
    one = Claim("x.C1", "It learns.", "-", lambda: Evidence(parts, against=("Not at home.",)), terms)
    open_ = Claim("x.C2", "It lasts.", "-")
    made = verdicts([one, open_])
    assert cells(made) == [
        ["Claim", "Verdict", "Measured, 95 % interval"],
        ["C1 It learns.", "in part", "0.800 [0.700, 0.900], 5 seeds"],
        ["digits", "holds", "0.800 [0.700, 0.900]"],
        ["letters: nothing <learns>", "not tested here", ""],
        ["Against it: Not at home."],
        ["C2 It lasts.", "not tested here", ""],
    ]
    badges = [badge["class"] for badge in soup(made).select(".verdict")]
    assert badges[0] == ["verdict", "verdict-in-part"]
    assert badges[2] == ["verdict", "verdict-not-tested-here"]
    assert "Against it: Not at home." in repr(made)
    assert "C1  in part (reduced)  0.800 [0.700, 0.900], 5 seeds" in repr(made)
