"""Figures, tables and explorers follow the records: change a record, and they change."""

import math
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from mbrl_worlds import factor, good, made_up

from tutorlib.lab import UsageError, select
from tutorlib.papers.mbrl import analysis, explorers, figures
from tutorlib.papers.mbrl.offline import GROUPS
from tutorlib.show.explorer import MAX_DATA_BYTES, to_json
from tutorlib.show.packing import unpack


@pytest.fixture(scope="module")
def records():
    return made_up(good)


@pytest.fixture
def ax():
    return Figure().subplots()


# Analysis


def test_gaps_and_classes(records):
    sets = records["mbrl.sets"]
    assert analysis.classes(sets) == [(2, 0), (2, 1), (2, 2), (3, 0), (3, 1), (4, 0)]
    assert analysis.gaps(sets, 2, 1) == pytest.approx([1.4 * factor(s) for s in range(5)])
    table = analysis.sets_table(sets)
    assert table.loc["2 bits, factored", "ratio"].value == pytest.approx(2.04)
    assert table.loc["2 bits, tabular", "models"] == 65536
    assert table.loc["3 bits, 1 extra", "model-based"].value == pytest.approx(100 / 16)
    with pytest.raises(UsageError, match="fields="):
        select(sets, bits=7)


def test_errors_of_the_example(records):
    example = records["mbrl.offline"]
    er, simple = (select(example, agent=a, transitions=200) for a in ("er", "simple"))
    assert analysis.errors(er) == pytest.approx([4 * factor(s) for s in range(5)])
    assert analysis.log_ratios(er, simple) == pytest.approx([math.log(4)] * 5)
    assert analysis.factor(analysis.log_ratios(er, simple, "beyond")).value == pytest.approx(6.0)
    assert analysis.transition_counts(example) == [60, 200, 1000, 3000]
    table = analysis.offline_table(example, "rate")
    assert list(table.columns) == ["replay", "simple model", "perfect model"]
    assert table.loc[1000, "simple model"] == pytest.approx(0.28 * 1.02)
    with pytest.raises(UsageError, match="theirs="):
        analysis.log_ratios(er, simple[:3])
    with pytest.raises(UsageError, match="group='unseen'"):
        analysis.errors(select(example, agent="er", transitions=3000), "unseen")
    with pytest.raises(UsageError, match="group='none'"):
        analysis.errors(er, "none")


def test_ablations_stand_beside_what_they_change(records):
    lengths = analysis.ablated(records["mbrl.ablations"], records["mbrl.offline"], "length")
    assert list(lengths) == [1, 2, 5, 10, 20]
    assert all([r.seed for r in own] == [0, 1, 2, 3, 4] for own in lengths.values())
    assert all(r.config["transitions"] == 200 for own in lengths.values() for r in own)
    widths = analysis.ablated(records["mbrl.ablations"], records["mbrl.offline"], "model_hidden")
    assert list(widths) == [20, 50, 100, 200]
    assert {r.experiment for r in widths[100]} == {"mbrl.offline"}
    perfect = analysis.ablated(records["mbrl.ablations"], records["mbrl.offline"], "length", "perfect")
    assert list(perfect) == [1, 10, 20]
    er, best = (select(records["mbrl.offline"], agent=a, transitions=200) for a in ("er", "perfect"))
    share = math.log(4 / 3) / math.log(8)
    assert analysis.one_step_share(perfect[1], er, best) == pytest.approx([share] * 5)
    with pytest.raises(UsageError, match="name='model_hidden'"):
        analysis.ablated(records["mbrl.ablations"], records["mbrl.offline"], "model_hidden", "perfect")


def test_scores_of_agents_that_act(records):
    runs = records["mbrl.online"]
    assert analysis.settings(runs) == [("flute", "little"), ("flute", "much"), ("maze", "little"), ("maze", "much")]
    assert analysis.advantage(runs, "maze", "much", "gaussian") == pytest.approx([0.4] * 5)
    assert {r.config["updates"] for r in analysis.online(runs, "flute", "little", "er")} == {4}
    table = analysis.online_table(runs)
    assert table.loc["maze, little data", "perfect model"].value == pytest.approx(-9.098)
    assert analysis.unequal(select(runs, environment="maze", updates=1)) == []
    assert "environment" in analysis.unequal(runs)


# Figures


def test_sets_are_drawn(records):
    axes = Figure().subplots(1, 2)
    figures.draw_sets(axes[0], records["mbrl.sets"], 3)
    free, based = axes[0].lines
    assert based.get_ydata()[:3] == pytest.approx([100, 50, 25])
    assert free.get_ydata()[1] == pytest.approx(50 * 6 * 1.02)
    figures.draw_gaps(axes[1], records["mbrl.sets"])
    assert [bar.get_height() for bar in axes[1].patches] == pytest.approx([2.04, 1.428, 1.02, 6.12, 6.12, 6.12])


def test_errors_and_rates_are_drawn(records):
    axes = Figure().subplots(1, 3)
    figures.draw_errors(axes[0], records["mbrl.offline"], "unseen")
    lines = {line.get_label(): line for line in axes[0].lines if not line.get_label().startswith("_")}
    assert list(lines) == ["replay", "simple model", "perfect model"]
    assert list(lines["replay"].get_xdata()) == [60, 200, 1000], "of 3000 one seed left no such pattern"
    assert lines["replay"].get_ydata() == pytest.approx([4 * 1.02] * 3)
    figures.draw_rates(axes[1], records["mbrl.offline"])
    assert axes[1].lines[-1].get_ydata()[0] == pytest.approx(0.296875)
    figures.draw_misses(axes[2], select(records["mbrl.offline"], agent="simple", transitions=200))
    assert axes[2].lines[0].get_ydata() == pytest.approx(0.1 * 1.02 * np.arange(5, 0, -1))


def test_spreads_and_their_ratios_are_drawn():
    records = made_up(good, names=("ensemble",), seeds=range(6))["mbrl.ensemble"]
    axes = Figure().subplots(1, 3)
    figures.draw_spreads(axes[0], records, 25)
    lines = {line.get_label(): line for line in axes[0].lines}
    assert list(lines) == ["replay", "simple model", "perfect model"]
    assert list(lines["replay"].get_xdata()) == [500, 1000, 1500, 2000, 2500, 3000]
    assert lines["simple model"].get_ydata() == pytest.approx(6 * [0.2 * 1.025])
    figures.draw_narrowing(axes[1], records, (25, 50, 100))
    marks = {line.get_label(): line for line in axes[1].lines}
    assert [marks[f"every {period}"].get_ydata()[-1] for period in (25, 50, 100)] == pytest.approx(
        3 * [3.075], rel=1e-3
    )
    assert list(marks["every 50"].get_xdata()) == [500, 1000, 1500, 2000, 2500, 3000]
    few = [replace(r, metrics={"evals": r.metrics["evals"] | {"fit": 3 * [3] + 3 * [6]}}) for r in records]
    figures.draw_narrowing(axes[2], few, (50,), "shape")
    assert len(axes[2].lines[0].get_xdata()) == 3, "nothing is drawn where too few fit"


def test_ablations_are_drawn(records, ax):
    lengths = analysis.ablated(records["mbrl.ablations"], records["mbrl.offline"], "length")
    figures.draw_ablation(ax, lengths, "length of a rollout")
    assert [bar.get_height() for bar in ax.patches] == pytest.approx([3.06, 1.02, 1.02, 1.02, 1.02])
    assert [t.get_text() for t in ax.get_xticklabels()] == ["1", "2", "5", "10", "20"]
    with pytest.raises(UsageError, match="groups="):
        figures.draw_ablation(ax, {}, "nothing")


def test_courses_and_advantages_are_drawn(records):
    axes = Figure().subplots(1, 2)
    figures.draw_courses(axes[0], records["mbrl.online"], "flute", "little", 0.297)
    assert len(axes[0].lines) == 6
    assert list(axes[0].lines[1].get_xdata()) == [300, 375, 450, 525, 600, 675, 750], "from the first update on"
    assert axes[0].lines[1].get_ydata()[-1] == pytest.approx(0.5 + 0.002 + 0.03)
    assert len({line.get_color() for line in axes[0].lines[:5]}) == 5
    figures.draw_advantages(axes[1], records["mbrl.online"], "maze")
    assert [bar.get_height() for bar in axes[1].patches] == pytest.approx(
        [0.5] * 2 + [0.4] * 2 + [0.45] * 2 + [0.9] * 2
    )


# Explorers


def test_the_explorer_of_sets_holds_the_records(records):
    data = explorers.version_space_explorer(records["mbrl.sets"]).data
    models, transitions = data["choosers"]
    assert models["values"][:4] == ["2 bits, factored", "2 bits, 1 extra", "2 bits, tabular", "3 bits, factored"]
    assert transitions["values"] == [str(n) for n in range(21)]
    based, free, before = (unpack(line["values"]) for line in data["lines"])
    assert based[3][7] == pytest.approx([1.0, *19 * [0.0]])
    assert free[5][0] == pytest.approx([0.75, *18 * [0.0], 0.25])
    assert free[5][1] == pytest.approx([0.5, 0.5, *18 * [0.0]])
    assert before[2] == free[2][0]
    assert data["positions"][:2] == [0.25, 0.75]
    number = {n["name"]: n["values"] for n in data["numbers"]}
    assert number["models"][4][9] == 109
    assert number["ratio"][1][4] == pytest.approx(1.428, abs=1e-3)
    assert data["marks"][0]["x"] == [5.5] * 6
    assert "200 true" in data["note"]


def test_the_explorer_of_the_example_holds_the_records(records):
    data = explorers.offline_explorer(records["mbrl.offline"]).data
    assert data["choosers"][0]["values"] == ["60", "200", "1000", "3000"]
    er, simple, _ = (unpack(line["values"]) for line in data["lines"])
    assert [10**v for v in er[1][GROUPS.index("beyond")]] == pytest.approx(
        [6.12 * i for i in (5, 4, 3, 2, 1)], rel=1e-3
    )
    assert [10**v for v in simple[1][0]] == pytest.approx([1.02 * i for i in (5, 4, 3, 2, 1)], rel=1e-3)
    unseen = GROUPS.index("unseen")
    assert er[3][unseen] == [None] * 5
    assert er[2][unseen] != [None] * 5
    number = {n["name"]: n["values"] for n in data["numbers"]}
    assert number["simple"] == pytest.approx([0.2856] * 4)
    assert number["best"] == pytest.approx(0.2969)
    assert (data["y"]["low"], data["y"]["high"]) == (0.1, 100)


def test_the_dream_viewer_holds_the_record(records):
    record = records["mbrl.dreams"][0]
    data = explorers.dream_explorer(record).data
    assert len(to_json(data)) < MAX_DATA_BYTES
    assert data["y"]["values"][:4] == ["pipe 0, cell 0", "pipe 1, cell 0", "pipe 1, cell 1", "pipe 2, cell 0"]
    assert data["x"]["values"][:3] == ["0", "1", "2"]
    values = unpack(data["values"]["on"])
    truth, dream, probability, official = values
    found = record.metrics
    for look, cell, step in ((0, 0, 0), (3, 7, 4), (9, 9, 10)):
        assert truth[look][cell][step] == found["truth"][step][cell]
        assert dream[look][cell][step] == found["evals"]["dreamt"][look][step][cell]
        assert official[look][cell][step] == 0
        course = unpack(data["chart"]["curves"][0]["values"])[2][look][cell][step]
        if step:
            assert probability[look][cell][step] == pytest.approx(
                found["evals"]["probability"][look][step - 1][cell], abs=5e-3
            )
            assert course == pytest.approx([own[step - 1][cell] for own in found["evals"]["probability"]], abs=6e-3)
        else:
            assert probability[look][cell][step] is None
            assert course == [None] * 10
    assert data["slider"]["values"][-1] == "2500"
    picture = figures.dream_picture(record, 0)
    assert [a.get_title(loc="left") or a.get_title() for a in picture.axes] == ["truth", "probability", "dream"]
    assert picture.axes[1].images[0].get_array()[7, 3] == pytest.approx(found["evals"]["probability"][0][3][7])


def test_explorers_refuse_other_records(records):
    for make in (explorers.version_space_explorer, explorers.offline_explorer):
        for wrong in ([], records["mbrl.online"]):
            with pytest.raises(UsageError, match="records="):
                make(wrong)
    with pytest.raises(UsageError, match="records="):
        explorers.dream_explorer(records["mbrl.offline"][0])
