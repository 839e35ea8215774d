import io
import re
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from tutorlib import papers
from tutorlib.lab import Interval
from tutorlib.lab.errors import UsageError
from tutorlib.show import style as look


@pytest.fixture(autouse=True)
def _clean() -> None:
    with mpl.rc_context():
        mpl.use("agg")
        yield
        plt.close("all")


def luminance(colour: str) -> float:
    channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return float(np.dot(channels, [0.2126, 0.7152, 0.0722]))


def test_style_stays_when_called_and_goes_when_used_as_a_context() -> None:
    before = mpl.rcParams["figure.figsize"]
    with look.style():
        assert list(mpl.rcParams["figure.figsize"]) == [6.4, 3.6]
    assert mpl.rcParams["figure.figsize"] == before
    look.style()
    assert list(mpl.rcParams["figure.figsize"]) == [6.4, 3.6]


def test_every_text_has_at_least_nine_points_and_contrast_on_white() -> None:
    sizes = {key: value for key, value in look.STYLE.items() if key.endswith("size") and key != "lines.markersize"}
    sizes.pop("figure.figsize")
    assert sizes
    assert all(value >= 9 for value in sizes.values())
    for key in ("axes.labelcolor", "text.color", "xtick.color", "ytick.color"):
        assert 1.05 / (luminance(look.STYLE[key]) + 0.05) >= 4.5
    assert look.STYLE["figure.facecolor"] == look.STYLE["savefig.facecolor"] == "white"


def test_lines_stand_out_from_white_and_from_each_other() -> None:
    roles = [look.SEEN, look.UNSEEN, look.REFERENCE, look.PAPER, look.OURS]
    assert all(1.05 / (luminance(colour) + 0.05) >= 3 for colour in roles)
    assert len({*look.CYCLE}) == len(look.CYCLE)


def test_band_draws_what_it_is_given() -> None:
    _, ax = plt.subplots()
    line = look.band(ax, [1, 2, 3], [2, 3, 4], [1, 2, 3], [3, 4, 6], label="ours", colour=look.OURS, ls="--")
    assert line.get_xydata().tolist() == [[1, 2], [2, 3], [3, 4]]
    assert (line.get_label(), line.get_color(), line.get_linestyle()) == ("ours", look.OURS, "--")
    edge = ax.collections[0].get_paths()[0].vertices
    assert {(1, 1), (3, 3), (1, 3), (3, 6)} <= {tuple(point) for point in edge.tolist()}


def test_intervals_are_a_line_with_its_band() -> None:
    ax = Figure().subplots()
    line = look.interval_band(
        ax, [1, 3], [Interval(2.0, 1.0, 5.0, 5), Interval(4.0, 3.5, 4.25, 5)], label="ours", colour=look.OURS, ls=":"
    )
    assert line.get_xydata().tolist() == [[1, 2], [3, 4]]
    assert (line.get_label(), line.get_color(), line.get_linestyle()) == ("ours", look.OURS, ":")
    edge = ax.collections[0].get_paths()[0].vertices
    assert {(1, 1), (3, 3.5), (1, 5), (3, 4.25)} <= {tuple(point) for point in edge.tolist()}
    with pytest.raises(UsageError, match=r"^x shape=\(1,\): expected one position for each of 2 intervals"):
        look.interval_band(ax, [1], [Interval(2.0, 1.0, 5.0, 5)] * 2, label="a", colour=look.OURS)


def test_no_paper_takes_intervals_apart_to_draw_them() -> None:
    figures = list(Path(papers.__file__).parent.glob("*/figures.py"))
    assert len(figures) == len(papers.PAPERS)
    apart = [
        f"{path.parent.name}: {match}"
        for path in figures
        for match in re.findall(r"\w+\.(?:low|high)\b", path.read_text())
    ]
    assert apart == []


@pytest.mark.parametrize("horizontal", [False, True])
def test_whiskers_go_from_low_to_high(horizontal: bool) -> None:
    ax = Figure().subplots()
    look.whiskers(ax, [0.0, 3.0], [Interval(2.0, 1.0, 5.0, 5), Interval(4.0, 3.5, 4.25, 5)], horizontal=horizontal)
    (lines,) = ax.collections
    ends = [[(1.0, 0.0), (5.0, 0.0)], [(3.5, 3.0), (4.25, 3.0)]]
    drawn = [[tuple(point if horizontal else point[::-1]) for point in line] for line in lines.get_segments()]
    assert drawn == ends


def test_whiskers_refuse_positions_that_do_not_fit() -> None:
    with pytest.raises(UsageError, match=r"^at shape=\(2,\): expected one position for each of 1 intervals"):
        look.whiskers(Figure().subplots(), [0.0, 1.0], [Interval(2.0, 1.0, 5.0, 5)])


def test_band_refuses_what_does_not_fit() -> None:
    _, ax = plt.subplots()
    with pytest.raises(UsageError, match=r"mean shape=\(2,\): expected the shape of x, \(3,\)"):
        look.band(ax, [1, 2, 3], [1, 2], [1, 2, 3], [1, 2, 3])
    with pytest.raises(UsageError, match=r"low\[1\]=5\.0: expected at most high\[1\]=4\.0"):
        look.band(ax, [1, 2], [1, 4], [0, 5], [2, 4])


def test_png_is_the_same_for_the_same_figure() -> None:
    def picture() -> bytes:
        with look.style():
            figure, ax = plt.subplots()
            ax.plot([1, 2], [3, 4])
            return look.png(figure)

    first = picture()
    assert first.startswith(b"\x89PNG")
    assert first == picture()
    assert b"Software" not in first
    assert Image.open(io.BytesIO(first)).mode == "P"


def test_a_palette_changes_no_colour_that_one_could_see() -> None:
    figure, ax = plt.subplots()
    ax.imshow(np.arange(32).reshape(4, 8), cmap="cividis")
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    light = look.in_palette(drawn.getvalue())
    assert len(light) < 0.6 * len(drawn.getvalue())
    before, after = (np.array(Image.open(io.BytesIO(p)).convert("RGB"), float) for p in (drawn.getvalue(), light))
    assert np.abs(before - after).mean() < 1
    assert np.quantile(np.abs(before - after), 0.99) <= 16
    assert look.in_palette(light) == light


def test_a_method_has_one_colour_which_the_explorers_know_by_name() -> None:
    sheet = (Path(look.__file__).parent / "parts.mjs").read_text(encoding="utf-8")
    for label, colour in look.METHODS.items():
        assert f"--{look.NAMES[colour]}: " in sheet, label
    assert len(set(look.NAMES.values())) == len(look.NAMES)


@pytest.mark.parametrize(("scheme", "grounds"), [("light", ("#ffffff", "#f3f4f5")), ("dark", ("#14181e", "#29313d"))])
def test_colours_of_explorers_can_be_read_as_text(scheme: str, grounds: tuple[str, ...]) -> None:
    sheet = (Path(look.__file__).parent / "parts.mjs").read_text(encoding="utf-8")
    (block,) = [part for part in sheet.split("}") if f"color-scheme: {scheme};" in part]
    colours = dict(re.findall(r"--(blue|vermillion|green|purple|orange|sky): (#[0-9a-f]{6})", block))
    assert len(set(colours.values())) == 6
    for name, colour in colours.items():
        for ground in grounds:
            high, low = sorted((luminance(colour), luminance(ground)), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= 4.5, (name, ground)
