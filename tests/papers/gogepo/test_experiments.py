"""The experiments of GoGePo: what a run reports, which sweeps are kept, the map, and that a batch is its runs."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tutorlib.lab import Context, Trial, UsageError
from tutorlib.papers.gogepo import claims, terms
from tutorlib.papers.gogepo.algorithm import ask, reference_states, train
from tutorlib.papers.gogepo.config import Config
from tutorlib.papers.gogepo.contest import SMALL, Contest, reduced
from tutorlib.papers.gogepo.dial import plane
from tutorlib.papers.gogepo.experiments import (
    CONTEST,
    MOUNTAINCAR,
    NOISE,
    NOISES,
    PAPER,
    PENDULUM,
    RATES,
    TUNED,
    contest,
    run_commands,
    stages_of,
)

TINY = Config(
    steps=60, episodes=4, horizon=20, width=8, block=4, embedding=2, net_width=8, states=3, batch=5,
    evaluator_steps=2, generator_steps=3, generator_lr=1e-3, eval_episodes=3, sweep_every=2, sweep_commands=3,
    sweep_episodes=2,
)  # fmt: skip


@pytest.fixture(scope="module")
def metrics():
    (found,) = run_commands([Trial(TINY, 2)], Context())
    return found


@pytest.fixture(scope="module")
def trained():
    return train([Trial(TINY, 2)], Context())


def test_a_course_has_an_entry_for_each_episode_that_was_played(metrics, trained):
    course = metrics["course"]
    assert course["steps"] == [20, 40, 60]
    assert {name: len(values) for name, values in course.items()} == dict.fromkeys(
        ("steps", "command", "returns", "greedy", "champion", "predicted"), 3
    )
    for name, own in (("returns", "r"), ("command", "command"), ("greedy", "greedy"), ("champion", "champion")):
        np.testing.assert_allclose(course[name], getattr(trained.log, own)[:3, 0], rtol=1e-3)


def test_sweeps_are_those_of_their_stages(metrics, trained):
    sweeps = metrics["sweeps"]
    assert sweeps["steps"] == [0, 40, 60]
    assert sweeps["commands"] == [-100.0, 0.0, 100.0]
    for found, sweep in zip(sweeps["achieved"], trained.sweeps, strict=True):
        np.testing.assert_allclose(found, sweep.achieved[0], rtol=1e-3)


def test_a_stage_is_the_first_sweep_that_comes_at_it_or_later():
    assert stages_of([0, 9, 10, 14, 25, 100, 100], 100) == [0, 2, 4, 5]
    assert stages_of([0, 9, 12, 60], 100) == [0, 2, 3], "a run that was cut ends with its last sweep"
    assert stages_of([0, *range(10, 101, 10)], 100) == list(range(11))


def test_the_map_is_a_projection_on_the_plane_where_policies_differ_most(metrics, trained):
    found, setting = metrics["map"], trained.setting
    theta = trained.state.buffer.theta[:, :3]
    actions = setting.policy.act(theta, reference_states(setting, theta.device)).flatten(2)[0]
    off = (actions - actions.mean(dim=0)).double()
    _, values, axes = torch.linalg.svd(off, full_matrices=False)
    expected = off @ axes[:2].T
    np.testing.assert_allclose(np.abs(found["policies"]), expected.abs(), rtol=1e-2, atol=1e-4)
    np.testing.assert_allclose(found["shares"], (values[:2] ** 2 / (values**2).sum()), rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(found["returns"], trained.log.r[:3, 0], rtol=1e-3)
    last = ask(setting, trained.state.learner.rho, [-100.0, 0.0, 100.0])
    chain = setting.policy.act(last, reference_states(setting, theta.device)).flatten(2)[0] - actions.mean(dim=0)
    np.testing.assert_allclose(np.abs(found["chains"][-1]), (chain.double() @ axes[:2].T).abs(), rtol=1e-2, atol=1e-4)
    assert len(found["chains"]) == 3


def test_a_plane_has_one_sign():
    """Of ten planes some would come out the other way round."""
    for seed in range(10):
        x = torch.randn(20, 5, generator=torch.Generator().manual_seed(seed))
        _, axes, shares = plane(x)
        assert (axes.sum(dim=0) >= 0).all()
        torch.testing.assert_close(axes.T @ axes, torch.eye(2), atol=1e-5, rtol=0)
        assert 1 >= shares[0] >= shares[1] > 0


def test_runs_side_by_side_are_the_runs(metrics):
    both = run_commands([Trial(TINY, 2), Trial(TINY, 5)], Context())
    np.testing.assert_allclose(both[0]["course"]["returns"], metrics["course"]["returns"], rtol=1e-2)
    assert both[0]["course"]["returns"] != both[1]["course"]["returns"]


def test_the_paper_tier_is_the_papers_setting_beside_noise_alone():
    tier = MOUNTAINCAR.tiers["paper"]
    assert (
        tier.configs
        == (PAPER, NOISE)
        == (Config(), replace(PAPER, command="first", evaluator_steps=0, generator_steps=0))
    )
    assert tier.seeds == tuple(range(20))
    assert PAPER.policy.size == 66_817
    assert PAPER.generator.size == 499_025
    assert PAPER.steps == 100_000 <= PAPER.episodes * 100


def test_a_method_in_a_small_world_has_what_was_chosen_for_it():
    assert contest("ars", "pend") == Contest("ars", reduced("pend"), 0.1, 0.3)
    for method in ("gogepo", "noise"):
        assert contest(method, "point") == Contest(method, reduced("point"), 3e-4, 0.25)
    with pytest.raises(UsageError, match="method='pssvf': expected gogepo, noise, or one that was tuned in point"):
        contest("pssvf", "point")


def test_what_is_tuned_has_the_same_tries_in_each_small_world():
    tier = CONTEST.tiers["tuning"]
    assert tier.seeds == terms.COMPETES.tuning == terms.MULTIMODAL.tuning == (1000, 1001, 1002)
    for method in RATES:
        tries = [
            {(c.lr, c.noise) for c in tier.configs if (c.method, c.base.environment) == (method, world)}
            for world in SMALL
        ]
        assert tries[0] == tries[1] == tries[2] == {(lr, noise) for lr in RATES[method] for noise in NOISES[method]}
    for (method, world), (lr, noise) in TUNED.items():
        assert min(RATES[method]) < lr < max(RATES[method]), world
        assert min(NOISES[method]) < noise < max(NOISES[method]), world


def test_the_study_has_what_its_claim_compares_on_the_seeds_of_its_terms():
    tier = CONTEST.tiers["study"]
    assert tier.seeds == terms.COMPETES.seeds == tuple(range(10))
    compared = {(config.method, config.base.environment) for config in tier.configs}
    assert compared == {(method, world) for method in claims.SMALL_LINES.values() for world in terms.IN_SMALL}
    assert len(tier.configs) == len(compared)
    for config in tier.configs:
        assert config == contest(config.method, config.base.environment)


def test_the_pendulum_that_is_balanced_has_the_papers_sizes():
    paper, noise = PENDULUM.tiers["paper"].configs
    changed = {"environment": "inverted-pendulum", "episodes": 2000, "horizon": 1000, "sweep_every": 100}
    assert paper == replace(Config(), **changed, sweep_episodes=1)
    assert noise == replace(paper, command="first", evaluator_steps=0, generator_steps=0)
    assert PENDULUM.cpu_only
