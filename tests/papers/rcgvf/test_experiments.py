"""Experiments: what a run returns, tiers that ship, and what a fair comparison needs of them."""

import json
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from tutorlib.lab import Context, Trial, recorded
from tutorlib.lab.batching import shared
from tutorlib.lab.experiment import plain
from tutorlib.lab.records import Record
from tutorlib.papers.rcgvf import experiments, recurrent
from tutorlib.papers.rcgvf.algorithm import farthest, train
from tutorlib.papers.rcgvf.analysis import weight_of
from tutorlib.papers.rcgvf.chain import Chain, spread
from tutorlib.papers.rcgvf.experiments import (
    GRID,
    LOCK,
    MINIGRID,
    PRIVILEGED,
    ROOMS,
    run_aliasing,
    run_dissipation,
    run_lock,
    run_minigrid,
    run_spread,
)
from tutorlib.papers.rcgvf.fading import Fading
from tutorlib.papers.rcgvf.maze import Maze, explore_maze

STUDIES = [e for e in experiments.EXPERIMENTS if "study" in e.tiers]


def tiny(config):
    """The same experiment in a second."""
    small = {
        "horizon": 5,
        "actions": 3,
        "num_envs": 6,
        "num_steps": 10,
        "updates": 4,
        "num_evals": 2,
        "minibatch_size": 20,
        "update_epochs": 1,
    }
    widths = {"d": 4, "hidden_z": 6, "hidden": 8, "width": 8}
    if isinstance(config, recurrent.Config):
        sizes = {
            "levels": 2,
            "num_envs": 2,
            "num_steps": 4,
            "updates": 2,
            "num_evals": 2,
            "minibatch_size": 8,
            "update_epochs": 1,
            "d": 4,
        }
        return replace(config, **sizes)
    if isinstance(config, Fading):
        return replace(config, learner=replace(config.learner, **small, **widths))
    if isinstance(config, Maze):
        return replace(config, walks=4, num_evals=2)
    return replace(config, walks=20) if isinstance(config, Chain) else replace(config, **small, **widths)


@pytest.mark.parametrize("experiment", experiments.EXPERIMENTS, ids=lambda e: e.name)
def test_each_run_returns_numbers_ready_for_a_record(experiment):
    for tier in ("live", "study"):
        # One of those that differ in weights alone.
        for config in {
            shared(config, experiment.varies or ()): config for config in map(tiny, experiment.tiers[tier].configs)
        }.values():
            (found,) = experiment.run([Trial(config, 0)], Context())
            assert json.dumps(found, allow_nan=False)


def layout(metrics):
    """The names of metrics, nested as they are."""
    return {name: layout(value) if isinstance(value, dict) else None for name, value in metrics.items()}


@pytest.mark.parametrize("experiment", STUDIES, ids=lambda e: e.name)
def test_a_run_reports_what_shipped_records_hold(experiment):
    shipped = [layout(record.metrics) for record in recorded(experiment.name, withdrawn=True)]
    (found,) = experiment.run([Trial(tiny(experiment.tiers["study"].configs[0]), 0)], Context())
    assert all(layout(found) == names for names in shipped)


def test_the_course_of_a_run_is_its_log():
    trials = [Trial(tiny(experiments.RCGVF), 0), Trial(replace(tiny(experiments.RCGVF), beta=7.0), 1)]
    found, log = run_lock(trials, Context()), train(trials, Context()).log
    for i, own in enumerate(metrics["evals"] for metrics in found):
        assert own["frames"] == [120, 240]
        assert own["farthest"] == [int(farthest(log.visits)[n, i]) for n in (1, 3)]
        for name in ("returns", "bonus", "error", "disagreement"):
            means = [float(getattr(log, name)[n : n + 2, i].mean()) for n in (0, 2)]
            assert own[name] == pytest.approx(means, rel=1e-3, abs=1e-6)
        for look in range(2):  # 12 environments' episodes of 5 steps in each update
            shares = (log.visits[2 * look : 2 * look + 2, i].sum(0) / 24).tolist()
            assert own["reached"][look] == pytest.approx(shares, rel=1e-2)
            assert own["reached"][look][0] == 1.0
        assert len(own["greedy"]) == 2
    assert found[0] != found[1]


def test_the_course_of_a_run_in_minigrid_is_its_log():
    # 20 steps of 40 in each update: an episode ends, at the latest, in every other one.
    config = replace(tiny(replace(GRID, task="MultiRoom-N2-S4")), num_steps=20, updates=4, minibatch_size=40)
    trials = [Trial(config, 0), Trial(replace(config, beta=7.0), 1)]
    found, log = run_minigrid(trials, Context()), recurrent.train(trials, Context()).log
    assert log.episodes.sum(dim=0).min() >= 2
    for i, own in enumerate(metrics["evals"] for metrics in found):
        assert own["frames"] == [80, 160]
        for look in range(2):
            episodes, successes, returns, bonus = (x[2 * look : 2 * look + 2, i] for x in log)
            done = int(episodes.sum())
            assert own["episodes"][look] == done
            assert own["success"][look] == pytest.approx(float(successes.sum()) / max(done, 1), rel=1e-3)
            assert own["returns"][look] == pytest.approx(float(returns.sum()) / max(done, 1), rel=1e-3)
            assert own["bonus"][look] == pytest.approx(float(bonus.mean()), rel=1e-3)
    assert found[0] != found[1]


def test_success_in_minigrid_is_a_share_of_episodes(monkeypatch):
    log = recurrent.Log(*(torch.tensor(x)[:, None] for x in ([2.0, 0.0, 3.0, 1.0], [1.0, 0.0, 3.0, 0.0],
                                                            [0.5, 0.0, 2.0, 0.0], [4.0, 2.0, 1.0, 0.0])))  # fmt: skip
    monkeypatch.setattr(recurrent, "train", lambda trials, context: recurrent.Trained(None, log))
    (found,) = run_minigrid([Trial(replace(tiny(GRID), updates=4), 0)], Context())
    assert found["evals"] == {
        "frames": [16, 32], "episodes": [2, 4], "success": [0.5, 0.75], "returns": [0.25, 0.5], "bonus": [3.0, 0.5]
    }  # fmt: skip


def test_a_run_is_a_function_of_its_seed():
    config = tiny(experiments.RND)
    runs = [run_lock([Trial(config, seed)], Context())[0] for seed in (0, 0, 1)]
    assert runs[0] == runs[1] != runs[2]


def test_predictors_report_each_update():
    (found,) = run_dissipation([Trial(tiny(Fading(experiments.PREDICTORS)), 0)], Context())
    assert {len(found[name]) for name in ("bonus", "error", "disagreement")} == {4}
    assert found["evals"]["updates"] == [2, 4]
    assert [len(own) for own in found["evals"]["first"]] == [4, 4]


def test_corridors_are_cells_between_junction_and_end():
    c = replace(Maze(), walks=4, num_evals=2)
    (found,) = run_aliasing([Trial(c, 3)], Context())
    bonus = explore_maze(c, 3, Context())
    assert found["evals"]["walks"] == [0, 2, 4]
    for place, name in enumerate(("visited", "unvisited")):
        assert found["evals"][name]["cell"] == pytest.approx(bonus[:, place, 1:7].mean(dim=1).tolist(), rel=1e-3)
        assert found["evals"][name]["end"] == pytest.approx(bonus[:, place, 7].tolist(), rel=1e-3)


def test_the_spread_is_reported_at_each_lambda():
    c = Chain(walks=50)
    (found,) = run_spread([Trial(c, 1)], Context())
    assert found["lambdas"] == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert found["bias"] == pytest.approx(spread(c, found["lambdas"], 1).bias.tolist(), rel=1e-3)


def test_every_method_has_as_many_weights_as_far_apart():
    betas = {}
    for c in LOCK.tiers["study"].configs:
        betas.setdefault(c.method, []).append(c.beta)
    assert betas.pop("ppo") == [0.0]
    assert set(betas) == {"rnd", "noveld", "rcgvf"}
    for own in betas.values():
        assert len(own) == 3
        assert [b / a for a, b in pairwise(own)] == pytest.approx([5.0, 5.0])


def test_what_is_compared_differs_in_nothing_else():
    frames = {(c.horizon, c.num_envs, c.num_steps, c.updates, c.width) for c in LOCK.tiers["study"].configs}
    frames |= {
        (c.horizon, c.num_envs, c.num_steps, c.updates, c.width) for c in experiments.ABLATIONS.tiers["study"].configs
    }
    assert len(frames) == 1


@pytest.mark.parametrize("blind", [MINIGRID, ROOMS], ids=lambda e: e.name)
def test_in_minigrid_too_every_method_has_as_many_weights_as_far_apart(blind):
    weights = {}
    for c in (*blind.tiers["study"].configs, *PRIVILEGED.tiers["study"].configs):
        own = weights.setdefault((c.method, c.counts, c.panorama), [])
        own.append(weight_of(Record("rcgvf.minigrid", "study", plain(c), 0, {}, 1.0, {})))
    assert weights.pop(("ppo", False, False)) == [0.0]
    assert weights.keys() == {
        *((method, False, False) for method in ("rnd", "noveld", "agac", "rcgvf")),
        *((method, True, False) for method in ("ppo", "noveld", "agac")),
        ("rcgvf", False, True),
    }
    for own in weights.values():
        assert [b / a for a, b in pairwise(own)] == pytest.approx([5.0, 5.0])


@pytest.mark.parametrize("experiments", [(MINIGRID, PRIVILEGED), (ROOMS,)], ids=["corridor", "rooms"])
def test_in_one_world_all_methods_have_the_same_budget(experiments):
    configs = [c for e in experiments for c in e.tiers["study"].configs]
    assert len({(c.task, c.num_envs, c.num_steps, c.updates, c.update_epochs, c.lr, c.d) for c in configs}) == 1


@pytest.mark.parametrize("experiment", [MINIGRID, PRIVILEGED, ROOMS], ids=lambda e: e.name)
def test_the_paper_tier_of_minigrid_has_the_same_methods(experiment):
    tiers = [experiment.tiers[tier].configs for tier in ("study", "paper")]
    study, paper = ({(c.method, c.counts, c.panorama) for c in configs} for configs in tiers)
    assert study == paper


def test_the_live_tier_is_half_a_run():
    assert {c.method for c in LOCK.tiers["live"].configs} == {"ppo", "rnd", "rcgvf"}
    assert {c.updates for c in LOCK.tiers["live"].configs} == {48}


def test_studies_have_five_seeds():
    for experiment in STUDIES:
        assert len(experiment.tiers["study"].seeds) >= 5
