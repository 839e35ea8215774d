"""Figures follow the records: change a record, and they change."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from tutorlib.lab import Record, UsageError
from tutorlib.lab.experiment import plain
from tutorlib.papers.gogepo import analysis, figures
from tutorlib.papers.gogepo.experiments import PAPER
from tutorlib.show.style import METHODS, OURS

COMMANDS = [-100.0, 0.0, 100.0]


def made(seed, answer=lambda stage, c: stage * c, steps=(999, 1500, 3000, 5100), returns=(1.0, 2.0, 3.0, 4.0)):
    """A run whose generator earns ``answer`` at each of seven stages."""
    metrics = {
        "course": {"steps": list(steps), "greedy": [r + seed for r in returns], "returns": list(returns)},
        "sweeps": {
            "steps": [1000 * stage for stage in range(7)],
            "commands": COMMANDS,
            "achieved": [[answer(stage, c) + seed for c in COMMANDS] for stage in range(7)],
        },
        "map": {
            "policies": [[0.0, 1.0], [2.0, 3.0]],
            "returns": [5.0, 90.0],
            "chains": [[[stage, i] for i in range(3)] for stage in range(7)],
            "shares": [0.41, 0.27],
        },
    }
    return Record("gogepo.mountaincar", "paper", plain(PAPER), seed, metrics, 1.0, {"device": "cpu"})


@pytest.fixture
def ax():
    return Figure().subplots()


def test_a_course_is_the_mean_over_seeds_as_far_as_all_go(ax):
    groups = {"GoGePo": [made(0), made(2, steps=(1000, 2000, 3000, 4000))], "noise alone": [made(1)]}
    figures.draw_course(ax, groups)
    ours, noise = ax.lines
    assert ours.get_xdata().tolist() == [1, 2, 3, 4]
    # After 1,000 steps the first run has 1 and the second 3; after 2,000 they have 2 and 4; then 3 and 5, 3 and 6.
    assert ours.get_ydata() == pytest.approx([2.0, 3.0, 4.0, 4.5])
    assert noise.get_ydata() == pytest.approx([2.0, 3.0, 4.0, 4.0, 4.0]), "the last episode ends later"
    assert (ours.get_color(), noise.get_color()) == (OURS, METHODS["noise alone"])
    low = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert low.min() < 2.0 - 10, "two seeds say little"
    figures.draw_course(ax, {"ARS": [made(0)]}, "returns", every=3000)
    assert ax.lines[-1].get_ydata() == pytest.approx([3.0])
    for groups in ({}, {"GoGePo": []}):
        with pytest.raises(UsageError, match="groups="):
            figures.draw_course(ax, groups)


def test_every_method_of_the_records_has_a_colour():
    assert len({figures.colour_of(label) for label in (*analysis.METHODS, "ARS", "PSSVF")}) == 4


def test_a_sweep_shows_five_stages_and_the_diagonal(ax):
    figures.draw_sweeps(ax, [made(0), made(2)])
    diagonal, *stages = ax.lines
    assert diagonal.get_ydata().tolist() == COMMANDS
    assert [line.get_label() for line in stages] == [f"{k} thousand steps" for k in (0, 2, 3, 4, 6)]
    for line, stage in zip(stages, (0, 2, 3, 4, 6), strict=True):
        assert line.get_ydata() == pytest.approx([stage * c + 1 for c in COMMANDS])
    assert ax.get_ylim() == (-110.0, 110.0), "whatever an interval of few runs says"
    assert len(ax.collections) == 1, "an interval for the last alone"
    assert len({line.get_color() for line in stages}) == 5
    with pytest.raises(UsageError, match="records="):
        figures.draw_sweeps(ax, [])


def test_stages_are_the_first_the_last_and_between():
    assert figures.stages_shown(11) == [0, 2, 5, 8, 10]
    assert figures.stages_shown(3) == [0, 1, 2]
    assert figures.stages_shown(1) == [0]


def test_the_map_has_the_policies_and_the_chains(ax):
    dots = figures.draw_map(ax, made(0))
    assert np.asarray(dots.get_offsets()).tolist() == [[0.0, 1.0], [2.0, 3.0]]
    assert dots.get_array().tolist() == [5.0, 90.0]
    assert [line.get_xdata()[0] for line in ax.lines] == [0, 2, 3, 4, 6]
    assert ax.lines[-1].get_ydata().tolist() == [0, 1, 2]
    assert ax.get_xlabel() == "first axis (41 % of the variance)"
    assert ax.get_ylabel() == "second axis (27 %)"


def test_each_run_answers_alone(ax):
    figures.draw_answers(ax, [made(0), made(2)], stage=1)
    diagonal, one, two = ax.lines
    assert diagonal.get_ydata().tolist() == COMMANDS
    assert one.get_ydata() == pytest.approx(COMMANDS)
    assert two.get_ydata() == pytest.approx([c + 2 for c in COMMANDS])
    assert [one.get_label(), two.get_label()] == ["seed 0", "seed 2"]
    assert one.get_marker() != two.get_marker()
    assert ax.get_ylim() == (-110.0, 110.0)
    with pytest.raises(UsageError, match="at least one group, and runs in each"):
        figures.draw_answers(ax, [])


def test_modes_show_a_pair_for_each_seed(ax):
    rising, flat, falling = [0.0, 1.0, 2.0], [1.0, 1.0, 1.0], [2.0, 1.0, 0.0]
    taught = {
        "one": {"commands": rising, "evaluator": rising, "regression": flat},
        "two": {"commands": rising, "evaluator": flat, "regression": falling},
    }
    records = [Record("gogepo.modes", "study", {}, seed, taught, 1.0, {"device": "cpu"}) for seed in range(2)]
    figures.draw_modes(ax, records)
    pairs = [line.get_ydata() for line in ax.lines if len(line.get_xdata()) == 2 and line.get_linestyle() == "-"]
    assert np.allclose(pairs, [[1.0, 0.0]] * 2 + [[0.0, -1.0]] * 2)
    dots = [line for line in ax.lines if line.get_linestyle() == "None"]
    at = [(line.get_xdata()[0], line.get_ydata()[0]) for line in dots]
    assert np.allclose(at, [(0, 1.0), (1, 0.0), (3, 0.0), (4, -1.0)])
    labels = ax.get_legend_handles_labels()[1]
    assert labels == [label for label, _ in figures.PUPILS.values()]
    with pytest.raises(UsageError, match="at least one group, and runs in each"):
        figures.draw_modes(ax, [])
