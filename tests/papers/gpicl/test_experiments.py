"""The experiments: what a run reports, the tiers' sizes, and that a tier is data."""

import numpy as np
import pytest
import torch

from tutorlib.lab import Cell, Context
from tutorlib.papers.gpicl import algorithm, baselines, experiments
from tutorlib.papers.gpicl.algorithm import Config

TINY = Config(tasks=16, width=8, layers=1, heads=1, head_dim=8, steps=20, evaluations=4)


@pytest.fixture(scope="module")
def metrics():
    return experiments.run_meta_training([Cell(TINY, 0)], Context())[0]


def test_a_run_reports_ends_curves_and_course(metrics):
    for name in ("seen", "unseen", "random", "blobs", "wine"):
        curve = metrics[f"{name}_curve"]
        assert len(curve) == 32
        assert metrics[f"{name}_first"] == pytest.approx(curve[0], abs=1e-3)
        assert metrics[f"{name}_last"] == pytest.approx(np.mean(curve[-10:]), abs=1e-3)
    assert metrics["looks"] == [5, 10, 15, 20]
    assert np.shape(metrics["look_seen"]) == np.shape(metrics["look_unseen"]) == (4, 32)
    assert len(metrics["look_loss"]) == len(metrics["look_phase"]) == 4
    assert metrics["phase"] in algorithm.PHASES


def test_losses_are_means_between_looks(metrics):
    losses = algorithm.meta_train([Cell(TINY, 0)], Context()).losses
    assert metrics["look_loss"] == pytest.approx(losses.view(4, 5).mean(1).tolist(), abs=1e-3)


def test_an_untrained_network_is_at_chance_on_unseen_tasks(metrics):
    assert abs(metrics["unseen_last"] - 0.25) < 0.03
    assert metrics["nearest_last"] > 0.85


def test_meta_test_images_are_those_of_the_test_part():
    sets = experiments.meta_test_sets(Config(tasks=16), 0, 64)
    law, test = Config().law, experiments.base_sets("digits", 4, 16)[1]
    k = experiments.UNSEEN + torch.arange(64)
    a = law.projection(0, k)
    for s in range(64):
        shown = test.z @ a[s].T
        nearest = torch.cdist(sets["unseen"][0][s], shown, compute_mode="donot_use_mm_for_euclid_dist").min(-1).values
        assert nearest.max() < 1e-4


def test_references_report_each_learner_and_the_best_rate_of_sgd():
    found = experiments.run_references([Cell(Config(), 0)], Context())[0]
    rates = [found[f"sgd_{rate}_last"] for rate in experiments.SGD_RATES]
    assert found["sgd_last"] == max(rates)
    assert min(found["nearest_last"], found["ridge_last"]) > found["means_last"] > found["sgd_last"] > 0.75
    assert all(a <= b + 0.06 for a, b in zip(found["nearest_curve"], baselines.ceiling(4, 32).tolist(), strict=True))


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
