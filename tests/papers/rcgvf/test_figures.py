"""Figures follow the records: change a record, and they change."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from rcgvf_worlds import EVALS, good, made_up

from tutorlib.lab import UsageError, select
from tutorlib.papers.rcgvf import analysis, figures


@pytest.fixture(scope="module")
def records():
    return made_up(good)


@pytest.fixture
def ax():
    return Figure().subplots()


def test_courses_and_weights_are_drawn(records, ax):
    groups = analysis.methods(records["rcgvf.lock"])
    figures.draw_course(ax, groups)
    assert len(ax.lines) == 4
    assert ax.lines[3].get_ydata() == pytest.approx([3.9, 7.4, 10.9, 14.4])
    assert ax.lines[3].get_xdata().tolist() == [1.0, 2.0, 3.0, 4.0]
    assert len({line.get_color() for line in ax.lines}) == 4
    ax = Figure().subplots()
    every = {label: select(records["rcgvf.lock"], **f) for label, f in analysis.METHODS.items()}
    figures.draw_betas(ax, every)
    assert [len(line.get_xdata()) for line in ax.lines] == [2, 3, 3, 3]
    assert ax.lines[1].get_xdata().tolist() == [0.1, 0.5, 2.5]
    assert ax.lines[1].get_ydata() == pytest.approx([7.4, 8.4, 7.4])
    for draw in (figures.draw_course, figures.draw_betas, figures.draw_farthest):
        with pytest.raises(UsageError, match="groups="):
            draw(ax, {})


def test_bars_are_farthest_columns(records, ax):
    figures.draw_farthest(ax, analysis.parts(records["rcgvf.lock"], records["rcgvf.ablations"]))
    widths = [bar.get_width() for bar in ax.patches]
    assert len(widths) == 9
    assert widths[:2] == pytest.approx([14.4, 13.4])


def test_returns_in_minigrid_are_drawn(records, ax):
    groups = analysis.grid_methods(records["rcgvf.privileged"], analysis.PRIVILEGED)
    figures.draw_course(ax, groups, "returns", "return")
    assert ax.lines[3].get_ydata() == pytest.approx([0.32, 0.64, 0.96, 1.28])
    with pytest.raises(UsageError, match="groups="):
        figures.draw_course(ax, {}, "returns", "return")


def test_what_is_withdrawn_is_marked_in_the_picture(ax, monkeypatch):
    figures.mark_withdrawn(ax, "rcgvf.lock")
    assert not ax.texts
    figures.mark_withdrawn(ax, "rcgvf.minigrid")
    assert [text.get_text() for text in ax.texts] == ["withdrawn"]
    monkeypatch.setattr(figures, "withdrawals", lambda name: [])
    figures.mark_withdrawn(ax, "rcgvf.minigrid")
    assert len(ax.texts) == 1


def test_visits_are_shares_over_columns(records, ax):
    figures.draw_visits(ax, analysis.methods(records["rcgvf.lock"])["RC-GVF"])
    shown = ax.images[0].get_array()
    assert shown.shape == (20, EVALS)
    assert shown[0].tolist() == [0.0] * EVALS
    assert shown[10, -1] == pytest.approx(np.log10(0.25))
    assert shown[19, -1] == -3.0


def test_fading_and_scales_are_drawn(records, ax):
    runs = records["rcgvf.dissipation"]
    figures.draw_fading(ax, runs, "bonus")
    assert [line.get_label() for line in ax.lines] == ["no future", "discount 0.3", "discount 0.6", "discount 0.9"]
    assert ax.lines[2].get_ydata()[:2] == pytest.approx([1.6 * 1.02, 0.8 * 1.02])
    ax = Figure().subplots()
    figures.draw_scales(ax, runs, 40)
    assert ax.lines[0].get_ydata() == pytest.approx([1 / 16, 1.0, 16.0])
    assert ax.lines[2].get_ydata() == pytest.approx([0.5, 1.0, 2.0])


def test_corridors_and_targets_are_drawn(records, ax):
    figures.draw_maze(ax, analysis.maze_groups(records["rcgvf.aliasing"])["memory, discount 0.9"], "memory")
    assert ax.lines[0].get_ydata() == pytest.approx([1.0, 0.1, 0.01])
    assert ax.lines[1].get_ydata() == pytest.approx([1.0, 0.5, 0.306])
    ax = Figure().subplots()
    figures.draw_lambda(ax, select(records["rcgvf.tdlambda"], gamma_z=0.9))
    assert ax.lines[0].get_ydata()[0] == pytest.approx(1.0)
    assert ax.lines[2].get_ydata() == pytest.approx([1.0] * 11)
