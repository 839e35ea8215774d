"""The experiments: what a run reports, the tiers' sizes, and that a tier is data."""

import numpy as np
import pytest
import torch

from tutorlib.lab import Context, Trial
from tutorlib.papers.gpicl import algorithm, baselines, experiments, measures
from tutorlib.papers.gpicl.algorithm import Config

TINY = Config(tasks=16, width=8, layers=1, heads=1, head_dim=8, steps=20, num_evals=4)


@pytest.fixture(scope="module")
def metrics():
    return measures.run_meta_training([Trial(TINY, 0)], Context())[0]


def test_a_run_reports_ends_curves_and_course(metrics):
    for name in ("seen", "unseen", "random", "blobs", "wine"):
        curve = metrics[name]["curve"]
        assert len(curve) == 32
        assert metrics[name]["first"] == pytest.approx(curve[0], abs=1e-3)
        assert metrics[name]["last"] == pytest.approx(np.mean(curve[-10:]), abs=1e-3)
    assert metrics["evals"]["steps"] == [5, 10, 15, 20]
    assert np.shape(metrics["evals"]["seen"]) == np.shape(metrics["evals"]["unseen"]) == (4, 32)
    assert len(metrics["evals"]["loss"]) == len(metrics["evals"]["phase"]) == 4
    assert metrics["phase"] in algorithm.PHASES


def test_losses_are_means_between_evaluations(metrics):
    losses = algorithm.meta_train([Trial(TINY, 0)], Context()).losses
    assert metrics["evals"]["loss"] == pytest.approx(losses.view(4, 5).mean(1).tolist(), abs=1e-3)


def test_an_untrained_network_is_at_chance_on_unseen_tasks(metrics):
    assert abs(metrics["unseen"]["last"] - 0.25) < 0.03
    assert metrics["nearest"]["last"] > 0.85


def test_meta_test_images_are_those_of_the_test_part():
    sets = measures.meta_test_sets(Config(tasks=16), 0, 64)
    law, test = Config().law, measures.base_sets("digits", 4, 16)[1]
    k = measures.UNSEEN + torch.arange(64)
    a = law.projection(0, k)
    for s in range(64):
        shown = test.z @ a[s].T
        nearest = torch.cdist(sets["unseen"][0][s], shown, compute_mode="donot_use_mm_for_euclid_dist").min(-1).values
        assert nearest.max() < 1e-4


def test_references_report_each_learner_and_the_best_rate_of_sgd():
    found = measures.run_references([Trial(Config(), 0)], Context())[0]
    rates = [found[f"sgd_{lr}"]["last"] for lr in measures.SGD_RATES]
    assert found["sgd"]["last"] == max(rates)
    assert min(found["nearest"]["last"], found["ridge"]["last"]) > found["means"]["last"] > found["sgd"]["last"] > 0.75
    assert all(a <= b + 0.06 for a, b in zip(found["nearest"]["curve"], baselines.ceiling(4, 32).tolist(), strict=True))


def test_the_paper_tier_is_the_papers_setting():
    tier = experiments.PHASES.tiers["paper"]
    c = tier.configs[0]
    assert (c.classes, c.inputs, c.length, c.layers, c.heads, c.head_dim) == (10, 3072, 100, 4, 8, 32)
    assert sorted({c.tasks for c in tier.configs}) == [2**i for i in range(26)]
    assert sorted({c.width for c in tier.configs}) == [2**i for i in range(1, 10)]


def test_the_study_has_five_seeds_and_both_biases():
    tier = experiments.PHASES.tiers["study"]
    assert len(tier.seeds) == 5
    assert {c.bias for c in tier.configs} == {0.0, 0.9}


@pytest.mark.parametrize("name", ["phases", "single", "state", "plateau", "length", "variants", "table", "features"])
def test_studies_have_five_seeds_and_a_paper_tier(name):
    experiment = next(e for e in experiments.EXPERIMENTS if e.name == f"gpicl.{name}")
    assert len(experiment.tiers["study"].seeds) == 5
    paper = experiment.tiers["paper"].configs[0]
    assert (paper.classes, paper.pixels, paper.lr) == (10, 32, 2e-4)


def test_the_phase_map_covers_eight_task_counts_and_four_widths():
    configs = experiments.PHASES.tiers["study"].configs
    assert len({c.tasks for c in configs}) == 8
    assert len({c.width for c in configs}) == 4


@pytest.mark.parametrize(("course", "left"), [((0.25, 0.34, 0.36, 0.3), 15), ((0.25, 0.3, 0.34, 0.35), 0)])
def test_a_run_leaves_the_plateau_at_the_first_evaluation_above_chance(monkeypatch, course, left):
    values = iter([*course, 0.5])
    monkeypatch.setattr(measures, "_curve", lambda *_: torch.full((1, 32), next(values)))
    found = measures.run_plateau([Trial(TINY, 0)], Context())[0]
    assert found["exit"] == left
    assert found["evals"]["last"] == pytest.approx(course)
    assert found["unseen"]["last"] == 0.5


TEN = Config(classes=10, length=16, batch=4, bias=0.9, width=8, layers=1, heads=1, head_dim=8, steps=4, num_evals=2)


@pytest.fixture
def two_columns(monkeypatch, real_files):
    """Keep the table to two base sets and a few sequences."""
    monkeypatch.setattr(measures, "FOREIGN", ("digits", "kmnist-test"))
    monkeypatch.setattr(measures, "SEQUENCES", 64)
    monkeypatch.setattr(measures, "MAML_STEPS", 2)


COLUMNS = {"digits", "kmnist-test", "random", "omniglot", "wine", "breast-cancer", "iris"}


def test_all_data_sets_have_the_scale_of_meta_training(two_columns):
    sets = measures.foreign_sets(TEN, 0, 256, measures.FOREIGN)
    assert set(sets) == COLUMNS
    energy = measures.base_sets("digits", 10, 16)[0].energy()
    for name, (x, y) in sets.items():
        assert x.square().sum(-1).mean().item() == pytest.approx(energy, rel=0.1), name
        assert x.shape == (256, 16, 16)
        assert 0 <= y.min() <= y.max() < 10


def test_a_run_of_the_table_reports_each_column(two_columns):
    found = measures.run_table([Trial(TEN, 0)], Context())[0]
    assert set(found) == COLUMNS
    for name in COLUMNS:
        assert found[name]["first"] == pytest.approx(found[name]["curve"][0], abs=1e-3)
        assert found[name]["last"] == pytest.approx(np.mean(found[name]["curve"][-10:]), abs=1e-3)


def test_two_runs_of_the_table_as_one_batch_are_the_runs_alone(two_columns):
    trials = [Trial(TEN, 0), Trial(TEN, 1)]
    together = measures.run_table(trials, Context())
    for trial, found in zip(trials, together, strict=True):
        alone = measures.run_table([trial], Context())[0]
        assert found["digits"]["curve"] == pytest.approx(alone["digits"]["curve"], abs=0.04)
        assert found["random"]["last"] == pytest.approx(alone["random"]["last"], abs=0.02)


def test_a_run_on_features_is_tested_on_features():
    assert measures._columns(TEN) == measures.FOREIGN
    features = Config(dataset="kmnist-features")
    assert measures._columns(features) == ("mnist-features", "fashion-mnist-features", "kmnist-features")


def test_the_tables_reference_learners_are_reported_for_each_column(two_columns):
    found = measures.run_table_references([Trial(TEN, 0)], Context())[0]
    learners = ("nearest", "means", "ridge", "probe", "maml", "sgd")
    assert all(set(found[learner]) == COLUMNS for learner in learners)
    rates = [found[f"sgd_{lr}"]["digits"]["last"] for lr in measures.SGD_RATES]
    assert found["sgd"]["digits"]["last"] == max(rates)
    assert found["nearest"]["digits"]["last"] > 0.4
    assert found["probe"]["digits"]["last"] > 0.4
    assert found["nearest"]["random"]["last"] > 0.6  # its points come again
    assert found["maml"]["digits"]["last"] < found["nearest"]["digits"]["last"]  # after two meta-steps


def test_games_hold_what_the_explorer_plays():
    c = Config(inputs=2, rank=2, length=12, classes=3, width=8, layers=1, heads=1, head_dim=8, steps=4, num_evals=2)
    found = measures.run_games([Trial(c, 0)], Context())[0]
    assert np.shape(found["games"]["points"]) == (measures.GAMES, 12, 2)
    assert np.shape(found["games"]["labels"]) == (measures.GAMES, 12)
    assert np.sum(found["games"]["probabilities"], axis=2) == pytest.approx(np.ones((measures.GAMES, 12)), abs=2e-3)
    assert len(found["unseen"]["curve"]) == len(found["nearest"]["curve"]) == 12
    assert found["nearest"]["curve"][-1] > found["nearest"]["curve"][0] + 0.2
