import copy
import math
from typing import Any

import numpy as np
import pytest
from fakes import ESCAPES, RATES, STEPS_OF_CURVES, curve_of, fake_curves
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from tutorlib.lab.errors import UsageError
from tutorlib.show.curves import curves_data, curves_picture
from tutorlib.show.packing import unpack
from tutorlib.show.style import CYCLE, METHODS


def test_curves_are_kept_to_a_promise_on_a_logarithmic_axis() -> None:
    data = curves_data(**fake_curves())
    assert data["lines"][0]["over"] == ["bias", "rate"]
    assert data["lines"][1]["over"] == ["rate"]
    kept = unpack(data["lines"][0]["values"])
    for i, b in enumerate((0.0, 0.5, 0.9)):
        for j, rate in enumerate(RATES):
            for got, given in zip(kept[i][j], curve_of(b, rate), strict=True):
                assert (got is None) == (given is None)
                assert given is None or 10**got == pytest.approx(given, rel=1.2e-4)


def test_curves_are_exact_to_their_decimals_on_a_linear_axis() -> None:
    raw = fake_curves(decimals=2, y={"label": "loss", "low": 0, "high": 3})
    data = curves_data(**raw)
    got = unpack(data["lines"][0]["values"])[0][0][1]
    assert got == round(curve_of(0.0, RATES[0])[1], 2)


def test_arrays_of_numpy_are_taken_and_numbers_keep_four_digits() -> None:
    raw = fake_curves()
    raw["lines"][1]["values"] = np.full((len(RATES), len(STEPS_OF_CURVES)), 0.5)
    raw["numbers"][0]["values"] = np.full((3, len(RATES)), 1 / 3)
    data = curves_data(**raw)
    assert 10 ** unpack(data["lines"][1]["values"])[2][3] == pytest.approx(0.5, rel=1e-4)
    assert data["numbers"][0]["values"] == [[0.3333] * len(RATES)] * 3


def test_the_start_is_complete() -> None:
    assert curves_data(**fake_curves(start={"rate": 2}))["start"] == {"bias": 0, "rate": 2}


def test_an_entry_over_no_chooser_has_no_nesting() -> None:
    raw = fake_curves()
    raw["numbers"] = [{"name": "constant", "label": "a constant", "values": "always", "over": ()}]
    raw["lines"][1] = {"label": "floor", "values": [0.01] * len(STEPS_OF_CURVES), "over": (), "thin": True}
    data = curves_data(**raw)
    assert data["numbers"][0]["values"] == "always"
    assert data["lines"][1]["values"]["shape"] == [len(STEPS_OF_CURVES)]


def broken(*path: Any, value: Any) -> dict[str, Any]:
    """Arguments with one entry replaced."""
    raw = copy.deepcopy(fake_curves())
    entry = raw
    for key in path[:-1]:
        entry = entry[key]
    entry[path[-1]] = value
    return raw


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (broken("choosers", value=[]), r"choosers=\[\]: expected at least one"),
        (broken("choosers", 0, "name", value="Bias"), "choosers name='Bias': expected different names in lower case"),
        (broken("choosers", 0, "name", value="rate"), "choosers name='rate': expected different names"),
        (broken("choosers", 0, "name", value="scheme"), "choosers name='scheme': expected another name"),
        (broken("choosers", 0, "values", value=[]), r"bias values=\[\]: expected at least one value"),
        (broken("choosers", 1, "values", 0, value=RATES[1]), "rate values=.*all different"),
        (broken("choosers", 0, "kind", value="slide"), "kind'\\]='slide': expected one of 'slider', 'buttons'"),
        (broken("x", "low", value=2400), r"x low and high=\(2400, 2400\): expected two finite numbers"),
        (broken("y", "low", value=0), "y low=0: expected a positive number on a logarithmic axis"),
        (broken("positions", 0, value=500), "positions=.*at least two, increasing, from 0 to 2400"),
        (broken("positions", 0, value=-1), "positions=.*from 0 to 2400"),
        (broken("lines", value=[]), "lines=0: expected 1 to 4 that are not thin"),
        (broken("lines", 0, "label", value="x" * 19), "label of line .*: expected 1 to 18 characters"),
        (broken("lines", 0, "over", value=["bias", "rat"]), "line 'loss' over='rat': expected one of .*'rate'"),
        (broken("lines", 0, "over", value=["bias", "bias"]), "line 'loss' over=.*each chooser once"),
        (broken("lines", 0, "values", 1, 2, 3, value=0.0),
         r"line 'loss'\[1\]\[2\]\[3\]=0.0: expected a positive number on a logarithmic axis"),
        (broken("lines", 0, "values", 1, 2, 3, value=math.inf), r"line 'loss'\[1\]\[2\]\[3\]=inf: expected a positive"),
        (broken("lines", 0, "values", 1, 2, 3, value=math.nan), r"line 'loss'\[1\]\[2\]\[3\]=nan: expected a finite"),
        (broken("lines", 0, "values", 1, 2, value=[0.1]),
         r"line 'loss'\[1\]\[2\] has length 1: expected 13, one entry for each value of positions"),
        (broken("lines", 0, "values", 1, value=[[]]), r"line 'loss'\[1\] has length 1: expected 4, .* of rate"),
        (broken("numbers", 0, "name", value="last loss"), "numbers name='last loss'"),
        (broken("numbers", 0, "values", 1, 2, value=math.nan),
         r"number 'last'\[1\]\[2\]=nan: expected a finite number, a text, or None"),
        (broken("numbers", 0, "values", 1, value=[1.0]), r"number 'last'\[1\] has length 1: expected 4, .* of rate"),
        (broken("marks", 0, "x", 1, 2, value=2401), r"mark 'escape' x\[1\]\[2\]=2401: expected a number from 0"),
        (broken("marks", 0, "x", 1, 2, value="late"), r"mark 'escape' x\[1\]\[2\]='late': expected a finite number"),
        (broken("start", value={"rate": 4}), "start rate=4: expected an index from 0 to 3"),
        (broken("start", value={"rat": 0}), "start='rat': expected one of .*did you mean 'rate'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        curves_data(**raw)


def test_the_picture_shows_the_start() -> None:
    raw = fake_curves(start={"bias": 2, "rate": 1})
    (ax,) = curves_picture(curves_data(**raw)).axes
    lines = {line.get_label(): line for line in ax.lines}
    expected = [math.nan if v is None else v for v in curve_of(0.9, RATES[1])]
    np.testing.assert_allclose(lines["loss"].get_ydata(), expected, rtol=1.2e-4)
    assert list(lines["escape"].get_xdata()) == [ESCAPES[2][1]]
    assert (ax.get_xscale(), ax.get_yscale()) == ("linear", "log")
    assert "bias: 0.9" in ax.get_title(loc="left")


def test_the_picture_draws_a_method_in_its_colour_and_the_first_line_wider() -> None:
    raw = fake_curves()
    flat = [0.5] * len(STEPS_OF_CURVES)
    raw["lines"] = [{"label": name, "values": flat, "over": ()} for name in ("RND", "loss", "RC-GVF")]
    (ax,) = curves_picture(curves_data(**raw)).axes
    lines = [ax.lines[i] for i in range(3)]
    assert [line.get_color() for line in lines] == [METHODS["RND"], CYCLE[1], METHODS["RC-GVF"]]
    assert lines[0].get_linewidth() > 1.5 * lines[1].get_linewidth(), "where they overlap, both are seen"


LONG = "When does a run leave its plateau, and what has its learning rate, its bias or its width to do with it?"


@pytest.mark.parametrize("title", ["Short", LONG, f"{LONG} {LONG}"])
def test_nothing_of_the_picture_is_cut(title: str) -> None:
    raw = fake_curves(title=title)
    raw["choosers"][1]["label"] = "learning rate of the inner loop, in units of the first one"
    figure = curves_picture(curves_data(**raw))
    FigureCanvasAgg(figure).draw()
    (ax,) = figure.axes
    title_shown = ax.get_title(loc="left")
    assert " ".join(title_shown.split()).startswith(title)
    texts = [text for text in ax.findobj(Text) if text.get_text() in (title_shown, ax.get_xlabel(), ax.get_ylabel())]
    assert len(texts) >= 3  # a line of the legend may be called like an axis
    for box in [text.get_window_extent() for text in texts]:
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1


@pytest.mark.parametrize(("y", "marker"), [(None, "None"), (0.5, "o")])
def test_the_legend_shows_a_mark_as_it_is_drawn(y: float | None, marker: str) -> None:
    """An upright dashed line where a mark has no height, with a ring on it where it has one."""
    raw = fake_curves()
    raw["marks"] = [{"label": "escape", "x": 600, "y": y, "over": ()}]
    (ax,) = curves_picture(curves_data(**raw)).axes
    handle = next(h for h in ax.get_legend().legend_handles if h.get_label() == "escape")
    assert (handle.get_linestyle(), handle.get_marker()) == ("--", marker)
    upright = [line for line in ax.lines if list(line.get_xdata()) == [600, 600]]
    assert [line.get_linestyle() for line in upright] == ["--"]


@pytest.mark.parametrize("decimals", [10, -1])
def test_decimals_that_nobody_reads_are_refused(decimals: int) -> None:
    with pytest.raises(UsageError, match=f"decimals={decimals}: expected a whole number from 0 to 9"):
        curves_data(**fake_curves(decimals=decimals))
