"""Experiments: what a run returns, tiers that ship, and references."""

import json
import math
from dataclasses import replace

import pytest
import torch

from tutorlib.envs import BernoulliBandit, CartPole
from tutorlib.lab import Context, Trial
from tutorlib.papers.symla import experiments, problem
from tutorlib.papers.symla.algorithm import Config
from tutorlib.papers.symla.experiments import pieces, scores, summary
from tutorlib.papers.symla.model import MetaRNN

STUDIES = [e for e in experiments.EXPERIMENTS if "study" in e.tiers]


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(experiments, "LIFETIMES", 4)
    monkeypatch.setattr(experiments, "FEW", 3)
    monkeypatch.setattr(experiments, "POLE_LIFE", 40)


def tiny(config, **own):
    return replace(config, generations=2, num_evals=2, pairs=2, lifetimes=2 * len(config.environments), length=8, **own)


@pytest.mark.parametrize("experiment", experiments.EXPERIMENTS, ids=lambda e: e.name)
def test_each_run_returns_finite_numbers_for_each_of_its_tests(short, experiment):
    config = tiny(experiment.tiers["live"].configs[0])
    (found,) = experiment.run([Trial(config, 0)], Context())
    assert json.dumps(found, allow_nan=False)
    references = experiment.name == "symla.references"
    for test in problem.tests(config.environment, int(config.sizes.split(",")[0]), 8, config.agent == "symla"):
        tested = (found["random"] if references else found)[test]
        assert len(tested["curve"]) == (20 if test == "cartpole" else 8)
        assert math.isfinite(tested["error"])
    if not references:
        assert found["evals"]["steps"] == [1, 2]
        assert len(found["evals"]["reward"]) == 2


def test_a_run_is_a_function_of_its_seed(short):
    config = tiny(experiments.SYMLA)
    runs = [experiments.run_meta_training([Trial(config, seed)], Context())[0] for seed in (0, 0, 1)]
    assert runs[0] == runs[1] != runs[2]


def numbers(found):
    """Return the numbers of metrics, whatever they stand in, by name."""
    flat = {}
    for name, value in found.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{inner}": own for inner, own in numbers(value).items()}
        elif name != "names":
            flat[name] = torch.tensor(value).double()
    return flat


@pytest.mark.parametrize(
    "experiment", [e for e in experiments.EXPERIMENTS if e.varies is not None], ids=lambda e: e.name
)
def test_cells_side_by_side_find_what_each_finds_alone(short, experiment):
    config = tiny(experiment.tiers["live"].configs[0])
    trials = [Trial(config, seed) for seed in (2, 0)]
    together = experiment.run(trials, Context())
    for trial, own in zip(trials, together, strict=True):
        (alone,) = experiment.run([trial], Context())
        assert list(own) == list(alone)
        for (name, one), other in zip(numbers(own).items(), numbers(alone).values(), strict=True):
            assert (one - other).abs().max() < 2e-4, name  # they are rounded, after products in another order
    assert together[0] != together[1]


@pytest.mark.parametrize("config", [tiny(experiments.SYMLA, sizes="2,3"), tiny(experiments.HEARTS)])
def test_theta_is_kept(short, config):
    (found,) = experiments.run_keeping_theta([Trial(config, 0)], Context())
    assert len(found["theta"]) == 3472
    if config.environment == "heart-grid":
        again = experiments.scores(
            replace(config, length=40), torch.tensor(found["theta"]), CartPole(), experiments.TEST, 4, "cartpole"
        )
        assert again.mean().item() == pytest.approx(found["cartpole"]["mean"], abs=0.02)


def test_orders_begin_with_the_standard_one(short):
    config = tiny(experiments.POLE_RNN)
    (found,) = experiments.run_orders([Trial(config, 0)], Context())
    orders = found["orders"]
    assert len(orders["names"]) == len(orders["mean"]) == len(orders["curve"]) == 48
    assert orders["names"][0] == "0123/01"


def test_summary_and_pieces():
    life = torch.arange(40.0).expand(3, -1)
    found = summary(life)
    assert (found["mean"], found["first"], found["last"], found["error"]) == (19.5, 4.5, 34.5, 0.0)
    assert found["curve"] == [0.5 + 2 * i for i in range(20)]
    assert len(pieces(torch.zeros(2, 50))) == 10
    assert len(pieces(torch.zeros(2, 7))) == 7


def test_zeros_are_the_random_player():
    config = Config(agent="meta-rnn", hidden=1, environment="cartpole", length=200)
    theta = torch.zeros(MetaRNN(4, 2, 1).parameters)
    failures = scores(config, theta, CartPole(), 0, 200).mean().item()
    assert 0.038 < failures < 0.052  # about 45 in 1,000 steps
    bandits = replace(config, environment="bandit", length=50)
    theta = torch.zeros(MetaRNN(1, 2, 1).parameters)
    assert scores(bandits, theta, BernoulliBandit(2, "easy"), 0, 200).mean().item() == pytest.approx(0.4, abs=0.02)


def test_meta_tests_meet_other_noise_than_meta_training():
    assert len({experiments.TEST, experiments.EVAL, 0}) == 3


def test_studies_have_five_seeds():
    for experiment in STUDIES:
        assert len(experiment.tiers["study"].seeds) >= 5 or experiment.name == "symla.player"
