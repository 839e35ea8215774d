"""Figures follow the records: change a record, and they change."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from matplotlib.figure import Figure
from symla_worlds import good, made_up

from tutorlib.envs import CartPole
from tutorlib.lab import UsageError, select
from tutorlib.papers.symla import analysis, explorers, figures, problem
from tutorlib.papers.symla.problem import ARMS, MATRIX
from tutorlib.show.packing import unpack


@pytest.fixture(scope="module")
def records():
    return made_up(good)


@pytest.fixture
def ax():
    return Figure().subplots()


def test_analysis_reads_lives_not_steps(records):
    bandits, references = records["symla.bandits"], records["symla.references"]
    matrix = analysis.regret_matrix(bandits, "meta-rnn")
    assert list(matrix.index) == list(matrix.columns) == list(MATRIX)
    assert matrix.loc["easy", "easy"].value == pytest.approx(0.02 * 50 * 1.002)
    assert matrix.loc["easy", "hard"].value == pytest.approx(0.3 * 50 * 1.002)  # rows are meta-training
    table = analysis.arms_table(bandits, references)
    assert list(table.columns) == list(ARMS)
    assert table.loc["random", 20].value == pytest.approx(0.2 * 50 * 1.002)
    assert analysis.diagonal_ratios(bandits)["hard"] == [1.0] * 5
    poles = select(records["symla.cartpole"], agent="symla")
    assert analysis.score(poles, "both").value == pytest.approx(10.02)
    gain = analysis.improvement(poles, references, "both")
    assert gain[0] == pytest.approx(35.0)
    walkers = select(records["symla.grid"], agent="symla")  # 30 failures in the first quarter, 20 in the last
    for (start, stop), failures in {(1, 5): 30, (15, 20): 20, (4, 6): 30}.items():
        assert analysis.between(walkers, "cartpole", start, stop)[0] == pytest.approx(failures)
    assert analysis.between(references[-5:], "cartpole", 1, 5, "random")[1] == pytest.approx(45.045)
    assert analysis.plateau(poles[0], 0.7) == 20
    assert analysis.plateau(poles[0], 0.95) == 0
    assert analysis.orders_table(poles).loc["1023/01", 3] == pytest.approx(23.0)
    with pytest.raises(UsageError, match="fields="):
        select(bandits, agent="nobody")


def test_figures_show_the_records(records, ax):
    figures.draw_matrix(ax, records["symla.bandits"], "meta-rnn")
    texts = [t.get_text() for t in ax.texts]
    assert len(texts) == 25
    assert texts[:2] == ["1.0", "15.0"]


def test_the_matrix_is_dark_where_regret_is_low_and_its_numbers_stand_out(records, ax):
    image = figures.draw_matrix(ax, records["symla.bandits"], "meta-rnn")

    def light(value):
        return image.cmap(image.norm(value))[:3] @ np.array([0.2126, 0.7152, 0.0722])

    levels = [light(value) for value in np.linspace(0, 13, 9)]
    assert levels == sorted(levels)
    assert levels[-1] - levels[0] > 0.5
    for words, value in zip(ax.texts, image.get_array().ravel(), strict=True):
        assert abs(light(value) - {"white": 1, "black": 0}[words.get_color()]) > 0.4


def test_arms_and_references_are_lines(records, ax):
    figures.draw_arms(ax, records["symla.bandits"], records["symla.references"])
    assert len(ax.lines) == 4
    assert ax.lines[0].get_ydata() == pytest.approx([1.002] * 5)


def test_bars_are_scores(records, ax):
    poles = records["symla.cartpole"]
    groups = {
        "SymLA": select(poles, agent="symla"),
        "MetaRNN": select(poles, agent="meta-rnn", permuted="none", generations=240),
        "MetaRNN, permuted": select(poles, permuted="both"),
    }
    figures.draw_bars(ax, groups, {"standard": "as trained", "both": "shuffled"}, "failures in 1,000 steps")
    heights = [bar.get_height() for bar in ax.patches]
    assert heights == pytest.approx([10.02, 10.02, 2.004, 50.1, 2.004, 2.004])
    figures.draw_random(ax, records["symla.references"], "cartpole", "both")
    assert ax.lines[-1].get_ydata()[0] == pytest.approx(45.09)
    assert len({figures.colour_of(g) for g in groups.values()}) == 3
    with pytest.raises(UsageError, match="groups="):
        figures.draw_bars(ax, {}, {"both": "shuffled"}, "")


def test_courses_lives_and_orders_are_drawn(records):
    axes = Figure().subplots(1, 3)
    poles = {"SymLA": select(records["symla.cartpole"], agent="symla")}
    figures.draw_course(axes[0], poles, "failures in 1,000 steps")
    assert len(axes[0].lines) == 6
    assert axes[0].lines[-1].get_ydata().tolist() == [500.0, 900.0]
    figures.draw_life(axes[1], poles, "both", "failures", 1000.0)
    assert np.allclose(axes[1].lines[0].get_xdata(), np.arange(5, 100, 10))
    figures.draw_life(axes[1], {"random": records["symla.references"][:5]}, "easy", "", 1.0, 400, "random")
    assert axes[1].lines[-1].get_xdata()[-1] == 380
    assert axes[1].lines[-1].get_color() != axes[1].lines[0].get_color()
    figures.draw_orders(axes[2], poles)
    assert axes[2].lines[0].get_ydata().tolist() == pytest.approx([10.0, 22.0])


def test_each_order_has_a_curve_for_each_seed(records):
    with_curves = [r for r in records["symla.cartpole"] if r.config["agent"] == "symla"]
    curves = analysis.order_curves([remade(r, 2) for r in with_curves])
    assert list(curves)[:2] == ["0123/01", "0132/01"]
    assert curves["0132/01"][3] == pytest.approx([1001 + 3, 2001 + 3])


def remade(record, points=5):
    """The record with all 48 orders: failure rates that say order, agent, seed and place."""
    orders = problem.orders(CartPole()).names
    place = {"symla": 0, "meta-rnn": 100 if record.config["permuted"] == "none" else 200}[record.config["agent"]]
    curve = [[i + 1 + (place + n) / 1000 + record.seed / 1000 for i in range(points)] for n in range(len(orders))]
    means = [(n + place + record.seed) / 1000 for n in range(len(orders))]
    return replace(record, metrics=record.metrics | {"orders": {"names": orders, "mean": means, "curve": curve}})


def test_the_symmetry_explorer_holds_the_records(records):
    poles = [remade(r) for r in records["symla.cartpole"]]
    groups = {
        "SymLA": select(poles, agent="symla"),
        "MetaRNN": select(poles, agent="meta-rnn", permuted="none"),
        "MetaRNN, augm.": select(poles, permuted="both"),
    }
    data = explorers.symmetry_explorer(groups, records["symla.references"]).data
    seen, done = data["choosers"]
    assert (len(seen["values"]), seen["values"][:2]) == (24, ["x v θ ω", "x v ω θ"])
    assert done["values"] == ["left, right", "right, left"]
    names = problem.orders(CartPole()).names
    for s, d in ((0, 0), (1, 0), (7, 1), (23, 1)):
        n = names.index(f"{ORDERS[s]}/{('01', '10')[d]}")
        for line, number, place in zip(data["lines"], data["numbers"], (0, 100, 200), strict=False):
            assert unpack(line["values"])[s][d] == pytest.approx([1000 * (i + 1) + place + n + 2 for i in range(5)])
            assert number["values"][s][d] == pytest.approx(place + n + 2)
    assert data["positions"] == [10, 30, 50, 70, 90]
    assert unpack(data["lines"][3]["values"]) == pytest.approx([45.09] * 5)
    assert "240 generations" in data["note"]
    # Lives of 100 steps; all orders together fail 25.5, 125.5 and 225.5 times in 1,000 steps.
    assert "SymLA 2.5, MetaRNN 12.6, MetaRNN, augm. 22.6, random pushes 4.5;" in data["note"]


ORDERS = ["".join(map(str, p)) for p in permutations(range(4))]


def test_the_symmetry_explorer_refuses_other_records(records):
    for groups in ({}, {"SymLA": records["symla.grid"]}):
        with pytest.raises(UsageError, match="groups="):
            explorers.symmetry_explorer(groups, records["symla.references"])
