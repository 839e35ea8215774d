from collections.abc import Iterator

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from matplotlib.axes import Axes

from tutorlib.show import style
from tutorlib.show.faults import faults


@pytest.fixture
def ax() -> Iterator[Axes]:
    mpl.use("agg")
    with style.style():
        figure, ax = plt.subplots(figsize=(4, 3))
        ax.set(xlim=(0, 10), ylim=(0, 10))
        yield ax
        plt.close(figure)


DRAWN = {
    "a line through it": lambda ax: ax.plot([0, 10], [9, 9]),
    "points under it": lambda ax: ax.scatter([8], [9]),
    "marks without a line": lambda ax: ax.plot([8, 2], [9, 2], "o"),
    "a bar": lambda ax: ax.bar([8], [10]),
    "words": lambda ax: ax.text(8, 9, "words"),
}


@pytest.mark.parametrize("what", DRAWN)
def test_a_legend_over_data_is_found(ax: Axes, what: str) -> None:
    ax.plot([0, 1], [1, 1], label="a line with a long name")
    ax.legend(loc="upper right")
    assert faults(ax.figure) == []
    DRAWN[what](ax)
    (found,) = faults(ax.figure)
    assert found.startswith("a legend covers ")
    ax.get_legend().set_loc("lower left")
    ax.lines[0].set_ydata([5, 5])
    assert faults(ax.figure) == []


def test_a_legend_of_the_figure_is_looked_at_too(ax: Axes) -> None:
    ax.plot([0, 10], [0, 10], label="a line")
    ax.figure.legend(loc="outside lower center")
    assert faults(ax.figure) == []
    ax.figure.legend(loc="center")
    assert faults(ax.figure) == ["a legend covers the line 'a line'"]


def test_letters_that_a_phone_cannot_show_are_found(ax: Axes) -> None:
    ax.set_title("small", fontsize=7.5)
    assert faults(ax.figure) == ["'small' has 7.5 points, expected at least 8"]


@pytest.mark.parametrize("raw", ["gamma_z", "2^13", r"\gamma", "costs $5", "$x$ and y_1"])
def test_raw_notation_in_a_figure_is_found(ax: Axes, raw: str) -> None:
    ax.set_xlabel("$\\gamma_z$ at $2^{13}$")
    assert faults(ax.figure) == []
    ax.set_xlabel(raw)
    (found,) = faults(ax.figure)
    assert found == f"{raw!r} shows raw notation"
