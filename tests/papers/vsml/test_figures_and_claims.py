"""Figures, claims and the explorer follow the records: change a record, and they change."""

from collections.abc import Callable

import made_up
import numpy as np
import pytest
from matplotlib.figure import Figure

from tutorlib.lab import Record, UsageError, config_of, judge
from tutorlib.lab.records import NoRecordsError
from tutorlib.lab.verdicts import CONTRADICTED, CONTRADICTED_IN_PART, HOLDS, IN_PART, INCONCLUSIVE, UNTESTED
from tutorlib.papers.vsml import analysis, claims, descent, experiments, explorers, figures, measures
from tutorlib.papers.vsml.config import Config
from tutorlib.show.packing import unpack

BY_ID = {claim.id.removeprefix("vsml."): claim for claim in claims.CLAIMS}


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the claims read made-up records in place of the shipped ones."""

    def give(**studies: list[Record]) -> None:
        def read(name: str) -> list[Record]:
            found = studies.get(name.removeprefix("vsml."))
            if found is None:
                raise NoRecordsError(name)
            return found

        monkeypatch.setattr(claims, "recorded", read)

    return give


def verdict(name: str) -> str:
    return judge(BY_ID[name]).verdict


def test_every_claim_of_the_paper_is_there() -> None:
    assert list(BY_ID) == [f"C{i}" for i in range(1, 9)]


def test_without_records_nothing_is_judged(given) -> None:
    given()
    assert {verdict(name) for name in BY_ID} == {UNTESTED}


def test_where_all_is_well_all_hold(given) -> None:
    given(
        learn=made_up.learned(),
        references=made_up.references(),
        matrix=made_up.matrix(),
        longer=made_up.longer(),
        cloning=made_up.cloned(),
        special=made_up.special(),
    )
    best = dict.fromkeys(BY_ID, HOLDS) | {"C8": IN_PART}  # the cost is not measured
    assert {name: verdict(name) for name in BY_ID} == best


@pytest.mark.parametrize(
    ("name", "studies"),
    [
        ("C1", {"special": made_up.special(1e-8, 1e-8)}),
        ("C2", {"learn": made_up.learned(**{"100_200": 0.5})}),
        ("C3", {"cloning": made_up.cloned(gap=0.2, deep=0.3)}),
        (
            "C4",
            {
                "learn": made_up.learned(**{"50_100": 0.1}),
                "matrix": made_up.matrix(off=0.1),
                "longer": made_up.longer(),
            },
        ),
        ("C6", {"learn": made_up.learned(**{"0_50": 0.3}), "references": made_up.references()}),
    ],
)
def test_what_records_contradict_is_contradicted(given, name: str, studies: dict) -> None:
    given(**studies)
    assert verdict(name) == CONTRADICTED


def test_cloning_that_is_close_without_a_hidden_layer_alone_is_contradicted_in_part(given) -> None:
    given(cloning=made_up.cloned(gap=0.02, deep=0.3))
    assert verdict("C3") == CONTRADICTED_IN_PART


def test_one_special_case_that_is_none_is_a_part(given) -> None:
    given(special=made_up.special(oja=1e-3))
    assert verdict("C1") == CONTRADICTED_IN_PART


def test_generalisation_is_held_against_the_meta_rnn_too(given) -> None:
    given(learn=made_up.learned(), matrix=made_up.matrix(off=0.35, rnn_off=0.1), longer=made_up.longer(off=0.3))
    assert verdict("C4") == IN_PART
    given(learn=made_up.learned(), matrix=made_up.matrix())
    assert verdict("C4") == IN_PART  # without the matrix, the other half is not known


def test_association_is_measured_against_sgd(given) -> None:
    slow = [
        Record(
            r.experiment,
            r.tier,
            r.config,
            r.seed,
            r.metrics | {"one_shot": {"before": 0.1, "same": 0.3, "other": 0.15}},
            1.0,
            made_up.SOURCE,
        )
        for r in made_up.learned()
    ]
    given(learn=slow, references=made_up.references())
    assert verdict("C5") == INCONCLUSIVE  # about as fast: neither is ahead by the margin


def test_one_size_that_fails_is_not_hidden_by_the_others(given) -> None:
    weak = made_up.learned()
    for r in weak:
        r.metrics["digits-12x12"]["100_200"] = 0.3
    given(learn=weak, references=made_up.references())
    assert verdict("C7") == CONTRADICTED_IN_PART


def test_limits_are_shown_as_plainly_as_leads(given) -> None:
    given(learn=made_up.learned(**{"200_500": 0.95}), references=made_up.references())
    assert verdict("C8") == CONTRADICTED_IN_PART  # SGD never overtakes, but the plateau is there


def test_a_best_rate_at_an_edge_is_refused_unless_it_is_named() -> None:
    references = made_up.references()
    for r in references:
        r.metrics["adam_0.03"]["mnist"]["0_50"] = 0.9
        r.metrics["sgd_0.001"]["digits"]["0_50"] = 0.9
    with pytest.raises(UsageError, match="^adam's rate=0.03: expected a best value inside the range .* 0.0003 to 0.03"):
        analysis.best_online(references, "mnist", "0_50")
    with pytest.raises(UsageError, match="^sgd's rate=0.001: expected a best value"):  # not the end that is named
        analysis.best_online(references, "digits", "0_50")
    assert analysis.best_online(references, "mnist", "0_50", ["adam_0.03", "sgd_0.03"]) == "adam_0.03", "no choice"


def test_the_best_online_learner_is_chosen_by_the_window() -> None:
    references = made_up.references()
    assert analysis.best_online(references, "digits", "0_50") == "sgd_0.03"
    for r in references:
        r.metrics["adam_0.03"]["digits"]["0_50"] = 0.9
    assert analysis.best_online(references, "digits", "0_50") == "adam_0.03"
    assert analysis.best_online(references, "digits", "200_500") == "sgd_0.03"
    lead = analysis.lead(made_up.learned()[:5], references, "digits", "0_50")
    assert lead == pytest.approx([0.6 + made_up.jitter(s) - 0.9 for s in made_up.SEEDS])


def test_configurations_come_back_from_records() -> None:
    (fast, slow, es) = (made_up.learned()[i] for i in (0, 5, 10))
    assert config_of(fast, Config) == experiments.FAST
    assert config_of(slow, Config) == experiments.SLOW
    assert config_of(es, Config) == experiments.ES
    assert {name: len(runs) for name, runs in analysis.variants(made_up.learned()).items()} == {
        "bptt": 5,
        "bptt-slow": 5,
        "es": 5,
    }


def test_the_matrix_is_read_by_its_names() -> None:
    found = analysis.matrix(made_up.matrix(), "vsml", experiments.MATRIX_TRAIN, list(measures.MATRIX_TEST))
    assert found["digits", "digits"].value == pytest.approx(0.904)
    assert found["digits", "random"].value == pytest.approx(0.704)
    away = analysis.off_diagonal(made_up.matrix(), "meta-rnn", experiments.MATRIX_TRAIN, list(measures.MATRIX_TEST))
    assert away == pytest.approx({s: 0.3 + made_up.jitter(s) for s in made_up.SEEDS})
    with pytest.raises(UsageError, match="expected one of prototypes"):
        analysis.stream_name(made_up.learned()[0].config["streams"] | {"length": 3}, experiments.MATRIX_TRAIN)


def test_figures_draw_what_records_hold() -> None:
    learned, references = made_up.learned(), made_up.references()
    ax = Figure().subplots()
    figures.draw_online(ax, learned[:5], references, "digits")
    labels = [line.get_label() for line in ax.lines]
    assert "VSML" in labels
    assert "SGD, rate 0.03 (best at first)" in labels
    ours = ax.lines[labels.index("VSML")]
    assert ours.get_ydata() == pytest.approx([0.504] * 50)
    assert ours.get_xdata()[0] == 5

    ax = Figure().subplots()
    figures.draw_losses(ax, {"bptt": learned[:5]})
    assert [line.get_label() for line in ax.lines][-1] == "bptt"
    rings = [line for line in ax.lines if line.get_marker() == "o"]
    assert {float(line.get_xdata()[0]) for line in rings} == {100.0}

    ax = Figure().subplots()
    figures.draw_matrix(ax, made_up.matrix(), "meta-rnn")
    assert ax.images[0].get_array()[0, 1] == pytest.approx(0.304)
    assert len(ax.texts) == len(experiments.MATRIX_TRAIN) * len(measures.MATRIX_TEST)

    ax = Figure().subplots()
    figures.draw_learners(ax, made_up.matrix(), "digits", "random")
    assert [line.get_label() for line in ax.lines] == ["VSML", "Meta RNN"]
    assert [line.get_ydata()[0] for line in ax.lines] == pytest.approx([0.704, 0.304])

    ax = Figure().subplots()
    figures.draw_windows(ax, learned[:5], ["digits", "digits-3"])
    assert [bar.get_height() for bar in ax.patches] == pytest.approx([0.854, 0.854])

    ax = Figure().subplots()
    figures.draw_one_shot(ax, learned[:5], references, ["sgd_0.03"])
    assert sorted(bar.get_height() for bar in ax.patches) == pytest.approx([0.1, 0.1, 0.15, 0.3, 0.404, 0.704])

    references[0].metrics["sgd_0.3"]["one_shot"]["same"] = 0.9  # one of five seeds
    ax = Figure().subplots()
    figures.draw_jumps(ax, learned[:5], references, "same")
    ours, sgd, adam = ax.lines
    assert [line.get_label() for line in ax.lines] == ["VSML", "SGD", "Adam"]
    assert ours.get_ydata() == pytest.approx([0.604, 0.604])
    assert sgd.get_xdata().tolist() == list(descent.SGD_RATES)
    assert sgd.get_ydata() == pytest.approx([0.2] * 5 + [0.32])
    assert adam.get_ydata() == pytest.approx([0.2] * 5)

    ax = Figure().subplots()
    figures.draw_trace(ax, *learned[0].metrics["trace"].values(), "x")
    assert ax.images[0].get_array().shape == (10, 60)
    assert set(ax.lines[0].get_ydata()) == {3}

    ax = Figure().subplots()
    figures.draw_cloning(ax, made_up.cloned(), "mnist", "deep")
    assert sorted(float(np.mean(line.get_ydata())) for line in ax.lines) == pytest.approx([0.5, 0.6])

    assert len(figures.overview(learned, references).axes) == 3


def test_the_plateau_explorer_holds_the_records() -> None:
    records = made_up.plateau()
    data = explorers.plateau_explorer(records).data
    knobs = {c["name"]: c["values"] for c in data["choosers"]}
    assert knobs == {
        "bias": ["+1, 0", "+3, −3", "+5, −5"],
        "rate": ["0.005", "0.01", "0.02"],
        "length": ["10", "25"],
        "classes": ["2", "4"],
    }
    mean, lowest, highest = (unpack(line["values"]) for line in data["lines"][:3])
    escapes = data["marks"][0]["x"]
    biases = [-1.0 * i for _, i in experiments.BIASES]
    for record in records:
        c = record.config
        at = (
            biases.index(-c["input_bias"]),
            knobs["rate"].index(f"{c['lr']:g}"),
            knobs["length"].index(str(c["streams"]["length"])),
            knobs["classes"].index(str(c["streams"]["classes"])),
        )
        runs = [r for r in records if r.config == c]
        curves = np.array([r.metrics["evals"]["loss"] for r in runs])

        def cell(nested, at=at):
            for i in at:
                nested = nested[i]
            return nested

        assert cell(mean) == pytest.approx(curves.mean(axis=0), abs=6e-4)
        assert cell(lowest) == pytest.approx(curves.min(axis=0), abs=6e-4)
        assert cell(highest) == pytest.approx(curves.max(axis=0), abs=6e-4)
        ordered = sorted(r.metrics["escape"] or 10**6 for r in runs)
        assert (cell(escapes) or 10**6) == ordered[2]


def test_the_plateau_explorer_refuses_what_it_cannot_show() -> None:
    with pytest.raises(UsageError, match="expected records of vsml.plateau"):
        explorers.plateau_explorer(made_up.learned())
    with pytest.raises(UsageError, match="expected records of vsml.plateau"):
        explorers.plateau_explorer([])
    with pytest.raises(UsageError, match="runs for every combination of the knobs"):
        explorers.plateau_explorer(made_up.plateau()[5:])
