"""Figures and claims follow the records: change a record, and they change."""

import dataclasses
import json

import numpy as np
import pytest

from tutorlib.lab import judge, recorded, table
from tutorlib.lab.records import Record
from tutorlib.papers.gpicl import claims, figures
from tutorlib.papers.gpicl.algorithm import PHASES
from tutorlib.papers.gpicl.experiments import PHASES as STUDY


@pytest.fixture(scope="module")
def study():
    return recorded("gpicl.phases")


@pytest.fixture(scope="module")
def references():
    return recorded("gpicl.references")


def with_metrics(record: Record, **metrics) -> Record:
    return dataclasses.replace(record, metrics={**record.metrics, **metrics})


def test_the_shipped_study_is_the_whole_study_tier(study):
    shipped = {(json.dumps(r.config, sort_keys=True), r.seed) for r in study}
    planned = {(json.dumps(dataclasses.asdict(c.config), sort_keys=True), c.seed) for c in STUDY.cells("study")}
    assert shipped == planned
    assert len(study) == len(shipped)


def test_phases_of_the_records_follow_from_their_numbers(study):
    from tutorlib.papers.gpicl.algorithm import phase

    for r in study:
        m = r.metrics
        ends = [(m[f"{name}_first"], m[f"{name}_last"]) for name in ("seen", "unseen")]
        assert m["phase"] == phase(*ends, 0.25, m["nearest_last"], r.config["tasks"] == "inf")


@pytest.mark.parametrize(("tasks", "label"), [(16, "2⁴"), (1024, "2¹⁰"), (2**25, "2²⁵"), (100, "100"), ("inf", "∞")])
def test_numbers_of_tasks_are_written_as_powers(tasks, label):
    assert figures.tasks_label(tasks) == label


def test_explorer_holds_the_means_over_seeds(study, references):
    data = figures.phase_explorer(study, references).data
    frame = table(study)
    biases, ks, widths = [0.0, 0.9], [16, 64, 256, 1024, 4096, "inf"], [16, 64]
    unit = 10 ** -data["decimals"]
    for b, k, w, look in ((0, 0, 1, 11), (1, 5, 1, 11), (0, 3, 0, 4), (1, 5, 1, 0)):
        runs = frame[(frame["bias"] == biases[b]) & (frame["tasks"] == ks[k]) & (frame["width"] == widths[w])]
        assert len(runs) == 5
        curves = np.array([r[look] for r in runs["look_unseen"]])
        shown = data["values"]["unseen_last"][b][look][k][w] * unit
        assert shown == pytest.approx(curves[:, -10:].mean(), abs=6e-4)
        line = np.array(data["chart"]["curves"][1]["values"][b][look][k][w]) * unit
        assert line == pytest.approx(curves.mean(0), abs=6e-4)
        names = [r[look] for r in runs["look_phase"]]
        voted = PHASES[data["phase"][b][look][k][w]]
        assert names.count(voted) == data["votes"][b][look][k][w] == max(names.count(p) for p in PHASES)


def test_explorer_data_stay_below_200_kb(study, references):
    assert len(figures.phase_explorer(study, references).html.encode()) < 400_000
    assert len(json.dumps(figures.phase_explorer(study, references).data)) <= 200_000


def test_phase_picture_counts_votes(study):
    texts = [t.get_text() for ax in figures.phase_picture(study).axes for t in ax.texts]
    frame = table(study)
    first = frame[(frame["bias"] == 0.0) & (frame["tasks"] == 16) & (frame["width"] == 16)]["phase"].tolist()
    name, votes, seeds = figures._vote(first)
    assert texts[0] == f"{figures._SHORT[name]}\n{votes}/{seeds}"
    assert len(texts) == 24


def evidence(monkeypatch, claim, change):
    """Judge ``claim`` after ``change`` has been applied to every record it reads."""
    real = {name: recorded(name) for name in ("gpicl.phases", "gpicl.references")}
    monkeypatch.setattr(claims, "recorded", lambda name: [change(r) for r in real[name]])
    return judge(next(c for c in claims.CLAIMS if c.id == claim))


def general(r: Record) -> Record:
    """A world in which everything with endless tasks and bias learns, and nothing else does."""
    good = r.config["tasks"] == "inf" and r.config["bias"] == 0.9
    value = (0.85 if good else 0.25) + 0.002 * r.seed
    return with_metrics(r, **{f"{s}_last": value for s in ("unseen", "random", "blobs", "wine")}, phase="partial")


def nothing(r: Record) -> Record:
    return with_metrics(r, **{f"{s}_last": 0.25 + 0.002 * r.seed for s in ("unseen", "random", "blobs", "wine")})


@pytest.mark.parametrize(("claim", "change", "verdict"), [
    ("gpicl.C1", general, "holds"),
    ("gpicl.C1", nothing, "does not hold"),
    ("gpicl.C4", general, "holds in part"),  # batch size and epsilon are not studied yet
    ("gpicl.C4", nothing, "does not hold"),
    ("gpicl.C2", nothing, "does not hold"),
    ("gpicl.C5", nothing, "does not hold"),
    ("gpicl.C8", general, "does not hold"),
])  # fmt: skip
def test_verdicts_follow_the_records(monkeypatch, claim, change, verdict):
    found = evidence(monkeypatch, claim, change)
    assert found.verdict == verdict
    assert found.interval.seeds == 5


def test_a_jump_between_neighbouring_task_counts_is_a_transition(monkeypatch):
    def jump(r):
        many = r.config["tasks"] != "inf" and r.config["tasks"] >= 1024
        return with_metrics(r, unseen_last=(0.85 if many else 0.25) + 0.002 * r.seed)

    found = evidence(monkeypatch, "gpicl.C2", jump)
    assert found.verdict == "holds"
    assert found.interval.value == pytest.approx(0.6, abs=0.01)


def test_fewer_than_five_seeds_decide_nothing(monkeypatch):
    real = recorded("gpicl.phases")
    monkeypatch.setattr(claims, "recorded", lambda name: [general(r) for r in real if r.seed < 4])
    assert judge(claims.CLAIMS[0]).verdict == "not yet tested"


def test_claims_without_a_study_are_not_yet_tested():
    untested = {c.id for c in claims.CLAIMS if judge(c).verdict == "not yet tested"}
    assert untested == {"gpicl.C3", "gpicl.C6", "gpicl.C7"}


def test_overview_draws_the_recorded_curves_of_three_phases(study, references):
    axes = figures.overview(study, references).axes
    assert len(axes) == 3
    learned = [r for r in study if (r.config["tasks"], r.config["bias"], r.config["width"]) == ("inf", 0.9, 64)]
    line = next(line for line in axes[2].lines if line.get_label() == "tasks never seen")
    assert line.get_ydata() == pytest.approx(np.mean([r.metrics["unseen_curve"] for r in learned], axis=0))
