"""Figures and the numbers behind them follow the records: change a record, and they change."""

from dataclasses import replace

import numpy as np
import pytest
from gpicl_records import by_size, made_up, plateau, references_of_the_table, ten, with_metrics
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tutorlib.lab import UsageError, recorded, table
from tutorlib.papers.gpicl import analysis, figures
from tutorlib.papers.gpicl.algorithm import Config


@pytest.fixture(scope="module")
def study():
    return recorded("gpicl.phases")


@pytest.fixture(scope="module")
def references():
    return recorded("gpicl.references")


def test_phases_of_the_records_follow_from_their_numbers(study):
    from tutorlib.papers.gpicl.algorithm import phase

    for r in study:
        m = r.metrics
        ends = [(m[name]["first"], m[name]["last"]) for name in ("seen", "unseen")]
        assert m["phase"] == phase(*ends, 0.25, m["nearest"]["last"], r.config["tasks"] == "inf")


@pytest.mark.parametrize(("tasks", "label"), [(16, "2⁴"), (1024, "2¹⁰"), (2**25, "2²⁵"), (100, "100"), ("inf", "∞")])
def test_numbers_of_tasks_are_written_as_powers(tasks, label):
    assert analysis.tasks_label(tasks) == label


def test_phase_picture_counts_votes(study):
    texts = [t.get_text() for ax in figures.phase_picture(study).axes for t in ax.texts]
    frame = table(study)
    first = frame[(frame["bias"] == 0.0) & (frame["tasks"] == 4) & (frame["width"] == 8)]["phase"].tolist()
    name, votes, seeds = analysis.vote(first)
    assert texts[0] == f"{figures.SHORT[name]}\n{votes}/{seeds}"
    assert len(texts) == 8 * 4 * 2


def test_networks_are_the_unit_of_a_correlation_over_networks():
    """Jackknife by hand; one more seed of the same networks leaves the interval as it is."""
    records = recorded("gpicl.state")
    difference, alone = analysis.over_networks(records)
    assert (difference.count, difference.unit) == (9, "networks")
    frame = table(records).groupby(["architecture", "width", "head_dim"])["unseen.last"].mean().reset_index()
    first = {(r.config["architecture"], r.config["width"], r.config["head_dim"]): r for r in records}
    frame["state"] = [
        analysis.sizes(first[key])[0]
        for key in frame[["architecture", "width", "head_dim"]].itertuples(index=False, name=None)
    ]

    def rank(f):
        return f["state"].corr(f["unseen.last"], method="spearman")

    left_out = [9 * rank(frame) - 8 * rank(frame.drop(index=i)) for i in frame.index]
    half = 2.306 * np.std(left_out, ddof=1) / 3  # Student's t of 8 degrees of freedom
    assert alone.value == pytest.approx(rank(frame))
    assert alone.low == pytest.approx(rank(frame) - half, abs=1e-3)
    assert alone.high == 1.0 < rank(frame) + half
    again = [replace(r, seed=r.seed + 5) for r in records]
    assert analysis.over_networks([*records, *again]) == (difference, alone)


def test_the_exponent_of_the_plateau_is_fitted_per_seed():
    assert analysis.power_law([16, 32, 64], [3.0 * b**-0.7 for b in (16, 32, 64)]) == pytest.approx((3.0, 0.7))
    runs = plateau(0.7, 2.0)
    assert analysis.batch_exponents(runs) == pytest.approx([0.7] * 5, abs=0.01)
    stuck = [with_metrics(r, exit=0) if r.config["batch"] == 16 else r for r in runs]
    assert analysis.batch_exponents(stuck) == pytest.approx([0.7] * 5, abs=0.01)


def drawn(draw, *arguments) -> Axes:
    ax = Figure().subplots()
    draw(ax, *arguments)
    return ax


def test_batches_are_drawn_with_the_law_that_fits_them():
    ax = drawn(figures.draw_batches, plateau(0.7, 2.0))
    assert "0.70" in ax.lines[1].get_label()
    assert sorted(set(ax.lines[0].get_xdata())) == [16, 32, 64, 128, 256]


def test_runs_that_stay_on_the_plateau_are_drawn_as_such():
    runs = [made_up(Config(), seed, exit=e, evals={"steps": [500, 1000]}) for seed, e in enumerate((500, 0))]
    ax = drawn(figures.draw_exits, {"ours": runs})
    assert [(line.get_marker(), line.get_ydata().tolist()) for line in ax.lines] == [(".", [500.0]), ("^", [1000.0])]


def test_ends_are_drawn_run_by_run():
    found = {512: (0.25, 0.27), 1024: (0.9, 0.26), "inf": (0.88, 0.92)}
    runs = [
        made_up(Config(tasks=tasks), seed, unseen={"last": value}, nearest={"last": 0.9})
        for tasks, values in found.items()
        for seed, value in enumerate(values)
    ]
    ax = drawn(figures.draw_ends, runs)
    *ends, guessing, nearest = ax.lines
    assert [sorted(values) for values in found.values()] == [line.get_ydata().tolist() for line in ends]
    assert [round(float(line.get_xdata().mean())) for line in ends] == [0, 1, 2]
    assert [guessing.get_ydata()[0], nearest.get_ydata()[0]] == pytest.approx([0.25, 0.9])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["2⁹", "2¹⁰", "∞"]


def test_sizes_are_those_of_the_networks():
    ax = drawn(figures.draw_sizes, by_size(0), 0)
    assert {line.get_label() for line in ax.lines} == {"Transformer", "LSTM", "outer-product LSTM"}
    lstm = next(line for line in ax.lines if line.get_label() == "LSTM")
    assert sorted(set(lstm.get_xdata())) == [32, 128, 512]
    transformer = next(line for line in ax.lines if line.get_label() == "Transformer")
    assert sorted(set(transformer.get_xdata())) == [2 * 2 * 32 * 2 * d for d in (2, 8, 32)]  # K, V, layers, T, heads
    parameters = drawn(figures.draw_sizes, by_size(0), 1).lines[0].get_xdata()
    assert max(parameters) == 103_748 - 2 * 3 * 64  # the network as planned, without biases on queries, keys and values


def accuracy_map(study, width, tasks):
    frame = table(study)
    return frame[(frame["width"] == width) & (frame["tasks"] == tasks)]["unseen.last"].mean()


def test_accuracies_are_means_over_seeds(study):
    plain_runs = [r for r in study if r.config["bias"] == 0.0]
    ax = drawn(figures.draw_accuracies, plain_runs, "unseen.last", "unseen tasks")
    image = ax.images[0].get_array()
    assert image.shape == (8, 4)
    assert image[-1, -1] == pytest.approx(accuracy_map(plain_runs, 64, "inf"))
    assert image[0, 0] == pytest.approx(accuracy_map(plain_runs, 8, 4))


def test_table_one_has_a_row_for_each_method_and_a_column_for_each_set():
    runs = [ten(d, s, v) for d, v in (("mnist-test", 0.5), ("digits", 0.4)) for s in range(5)]
    runs += [ten("mnist-test", s, 0.2, architecture="lstm") for s in range(5)]
    runs += [ten("mnist-test", s, 0.6, steps=6000) for s in range(5)]
    frame = analysis.methods_table(runs, references_of_the_table(0.45))
    assert list(frame.columns) == list(analysis.COLUMNS.values())
    assert list(frame.index[-4:]) == [
        "LSTM, MNIST, 2000 steps",
        "GPICL, MNIST, 2000 steps",
        "GPICL, MNIST, 6000 steps",
        "GPICL, digits, 2000 steps",
    ]
    assert frame.loc["LSTM, MNIST, 2000 steps", "KMNIST"].value == pytest.approx(0.202)
    assert frame.loc["GPICL, digits, 2000 steps", "Random"].value == pytest.approx(0.402)
    assert frame.loc["GPICL, MNIST, 6000 steps", "Random"].value == pytest.approx(0.602)
    assert frame.loc["MAML", "Fashion"].value == pytest.approx(0.452)


def test_a_learner_of_another_chapter_joins_the_table_as_a_row():
    runs = [ten("mnist-test", s, 0.5) for s in range(5)]
    other = [{"kmnist-test": {"last": 0.3 + 0.01 * s}} for s in range(5)]
    frame = analysis.methods_table(runs, references_of_the_table(0.45), {"VSML": other})
    assert frame.loc["VSML", "KMNIST"].value == pytest.approx(0.32)
    assert frame.loc["VSML"].notna().sum() == 1


def test_transfer_without_a_transformer_is_refused():
    with pytest.raises(UsageError, match=r"records='5 runs, no Transformer': expected runs of gpicl.table"):
        drawn(figures.draw_transfer, [ten("digits", s, 0.2, architecture="lstm") for s in range(5)], "kmnist-test")


def test_transfer_draws_one_curve_for_each_set_of_meta_training():
    runs = [ten(d, s, v) for d, v in (("mnist-test", 0.5), ("digits", 0.4)) for s in range(5)]
    ax = drawn(figures.draw_transfer, runs, "kmnist-test")
    lines = {line.get_label(): line.get_ydata() for line in ax.lines}
    assert lines["meta-trained on digits"] == pytest.approx(0.402)
    assert lines["meta-trained on MNIST"] == pytest.approx(0.502)


def test_overview_draws_the_recorded_curves_of_three_phases(study, references):
    axes = figures.overview(study, references).axes
    assert len(axes) == 3
    learned = [r for r in study if (r.config["tasks"], r.config["bias"], r.config["width"]) == ("inf", 0.9, 64)]
    line = next(line for line in axes[2].lines if line.get_label() == "tasks never seen")
    assert line.get_ydata() == pytest.approx(np.mean([r.metrics["unseen"]["curve"] for r in learned], axis=0))
