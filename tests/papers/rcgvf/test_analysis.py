"""Numbers drawn from records: each method at its best weight, and tables."""

from dataclasses import replace

import pytest
from rcgvf_worlds import good, made_up

from tutorlib.lab import UsageError, select
from tutorlib.lab.experiment import plain
from tutorlib.lab.records import Record
from tutorlib.papers.rcgvf import analysis, experiments


@pytest.fixture(scope="module")
def records():
    return made_up(good)


def with_columns(columns):
    """Return records of RND whose farthest columns at the end are ``columns[beta][seed]``."""
    base = plain(experiments.RND)

    def metrics(column):
        return {"evals": {"frames": [10, 20], "farthest": [0, column]}}

    return [
        Record("rcgvf.lock", "study", base | {"beta": beta}, seed, metrics(column), 1.0, {})
        for beta, own in columns.items()
        for seed, column in enumerate(own)
    ]


def weights_of(runs):
    return {r.config["beta"] for r in analysis.at_best(runs, analysis.explored)}


def test_the_best_weight_is_that_of_the_highest_mean():
    runs = with_columns({0.1: [4, 4, 4], 0.5: [3, 3, 12], 2.5: [1, 1, 1]})
    assert weights_of(runs) == {0.5}
    assert analysis.farthest(analysis.at_best(runs, analysis.explored)) == [3.0, 3.0, 12.0]
    for some in (runs[:-1], with_columns({0.1: [4]})):
        with pytest.raises(UsageError, match="seeds="):
            analysis.at_best(some, analysis.explored)


def test_of_equal_weights_the_course_decides_and_then_the_smallest():
    runs = with_columns({0.1: [1, 1], 0.5: [4, 4], 1.0: [4, 4], 2.5: [1, 1]})
    assert weights_of(runs) == {0.5}
    faster = [
        replace(r, metrics={"evals": r.metrics["evals"] | {"farthest": [2, 4]}}) if r.config["beta"] == 1.0 else r
        for r in runs
    ]
    assert weights_of(faster) == {1.0}


def test_a_best_weight_at_an_edge_is_refused_unless_it_is_named(monkeypatch):
    for best in (0.1, 2.5):
        runs = with_columns({0.1: [1, 1], 0.5: [2, 2], 2.5: [1, 1]} | {best: [4, 4]})
        with pytest.raises(UsageError, match=f"^weight={best}: expected a best value inside the range .*, 0.1 to 2.5"):
            analysis.at_best(runs, analysis.explored, "RND")
    monkeypatch.setattr(analysis, "EDGES", {"rcgvf.lock": {"RND": 2.5}})
    for label, experiment in (("NovelD", "rcgvf.lock"), ("RND", "rcgvf.rooms")):
        with pytest.raises(UsageError, match="weight=2.5"):
            analysis.at_best([replace(r, experiment=experiment) for r in runs], analysis.explored, label)
    assert {r.config["beta"] for r in analysis.at_best(runs, analysis.explored, "RND")} == {2.5}
    assert weights_of(with_columns({2.5: [4, 4]})) == {2.5}, "one alone is no choice"


def test_the_farthest_column_up_to_some_frames():
    (run,) = with_columns({0.1: [7]})
    assert [analysis.reached(run, n) for n in (10, 19, 20, 1e9)] == [0, 0, 7, 7]
    with pytest.raises(UsageError, match="frames=9"):
        analysis.reached(run, 9)


def test_tables_of_the_lock(records):
    lock, ablations = records["rcgvf.lock"], records["rcgvf.ablations"]
    groups = analysis.methods(lock)
    assert list(groups) == ["PPO", "RND", "NovelD", "RC-GVF"]
    assert {r.config["beta"] for r in groups["RC-GVF"]} == {100.0}
    assert {r.config["beta"] for r in groups["RND"]} == {0.5}
    assert analysis.differences(groups["RC-GVF"], groups["RND"]) == [6.0] * 5
    parts = analysis.parts(lock, ablations)
    assert len(parts) == 9
    assert all(len(own) == 5 for own in parts.values())
    assert {r.config["heads"] for r in parts["4 predictors"]} == {4}
    assert {r.config["gamma_z"] for r in parts["discount 0.3"]} == {0.3}
    frames, found = analysis.course(groups["RC-GVF"])
    assert frames == [1000, 2000, 3000, 4000]
    assert [f.value for f in found] == pytest.approx([3.9, 7.4, 10.9, 14.4])
    with pytest.raises(UsageError, match="fields="):
        select(lock, method="nobody")


def test_runs_with_other_passes_are_told_apart(records):
    groups = analysis.by_passes(records["rcgvf.passes"])
    assert {label: {r.config["passes"] for r in runs} for label, runs in groups.items()} == {
        "whole": {"whole"}, "released": {"released"}
    }  # fmt: skip
    assert [r.seed for r in groups["whole"]] == [r.seed for r in groups["released"]] == list(range(5))


def test_numbers_of_minigrid(records):
    groups = analysis.grid_methods(records["rcgvf.minigrid"], analysis.BLIND)
    groups |= analysis.grid_methods(records["rcgvf.privileged"], analysis.PRIVILEGED)
    assert list(groups) == [
        "PPO", "RND", "NovelD", "AGAC", "RC-GVF", "PPO + counts", "NovelD + counts", "AGAC + counts", "RC-GVF, panorama"
    ]  # fmt: skip
    assert {label: {analysis.weight_of(r) for r in own} for label, own in groups.items()} == {
        "PPO": {0.0}, "RND": {1e-2}, "NovelD": {2e-2}, "AGAC": {2e-3}, "RC-GVF": {10.0},
        "PPO + counts": {5e-3}, "NovelD + counts": {2e-2}, "AGAC + counts": {5e-3}, "RC-GVF, panorama": {10.0},
    }  # fmt: skip
    assert analysis.mean_return(groups["RC-GVF"]) == pytest.approx([0.8 + 0.001 * (s - 2) for s in range(5)])
    assert analysis.mean_return_of_all(groups["RC-GVF"]) == pytest.approx((0.8,))
    gaps = analysis.return_differences(groups["RC-GVF"], groups["RND"][::-1])
    assert gaps == pytest.approx([0.3 + 0.002 * (s - 2) for s in range(5)])
    assert {r.config["panorama"] for r in groups["RC-GVF, panorama"]} == {True}
    assert {r.config["counts"] for r in groups["AGAC + counts"]} == {True}
    assert {r.config["counts"] for r in groups["AGAC"]} == {False}


def test_runs_that_lose_what_they_had_learned_are_counted(records):
    def ending(*success):
        run = records["rcgvf.minigrid"][0]
        return replace(run, metrics={"evals": run.metrics["evals"] | {"success": list(success)}})

    kept, lost, never, late = ending(0.0, 0.9, 0.1), ending(0.95, 1.0, 0.09), ending(0.5, 0.89, 0.0), ending(0.0, 0.9)
    assert analysis.learned([kept, lost, never, late]) == [kept, lost, late]
    assert analysis.collapsed([kept, lost, never, late]) == [lost]


def test_numbers_of_fading(records):
    runs = records["rcgvf.dissipation"]
    assert analysis.discounts(runs) == [0.0, 0.3, 0.6, 0.9]
    assert analysis.falls(analysis.fading(runs, 0.6), "bonus", 5, 80) == pytest.approx([16.0] * 5)
    assert analysis.falls(analysis.fading(runs, 0.6), "error", 5, 80) == pytest.approx([0.6 / 0.50625] * 5)
    assert analysis.powers(runs, "rcgvf", 40) == pytest.approx([4.0] * 5)
    assert analysis.powers(runs, "rnd", 40) == pytest.approx([1.0] * 5)
    assert analysis.special_case(runs) == pytest.approx([0.0] * 5)
    assert analysis.policy_gap(runs, 0.6) == pytest.approx([0.5 * (1 + s / 10) for s in range(5)])
    assert analysis.policy_gap(runs, 0.0)[0] == pytest.approx(0.01)


def test_numbers_of_the_maze(records):
    groups = analysis.maze_groups(records["rcgvf.aliasing"])
    assert list(groups) == [
        "RND", *(f"{m}, {g}" for m in ("memory", "no memory") for g in ("no future", "discount 0.6", "discount 0.9"))
    ]  # fmt: skip
    assert analysis.unseen_share(groups["RND"]) == [0.5] * 5
    assert analysis.unseen_share(groups["memory, discount 0.9"])[0] == pytest.approx(0.3 / 0.31)
    assert analysis.kept(groups["memory, discount 0.9"]) == pytest.approx([0.3 * (1 + s / 100) for s in range(5)])
    assert analysis.maze_table(records["rcgvf.aliasing"]).loc["RND", "kept"].value == pytest.approx(0.01)
