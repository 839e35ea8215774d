"""One mode and two: what is stored, how returns are measured anew, and who learns what from it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tutorlib.lab import Context, Trial, UsageError
from tutorlib.nn import step_generator
from tutorlib.papers.gogepo.algorithm import begin, evaluator_step, generator_step, train
from tutorlib.papers.gogepo.baselines import regression_step
from tutorlib.papers.gogepo.config import Config
from tutorlib.papers.gogepo.modes import PARTNER, Modes, pooled, run_modes, together
from tutorlib.papers.gogepo.problem import no_statistics, observed, play

CPU = torch.device("cpu")
BASE = Config(
    environment="pend", steps=10_000, episodes=8, horizon=9, width=8, block=4, embedding=2, net_width=8, states=3,
    batch=5, evaluator_steps=2, generator_steps=3, generator_lr=1e-3, eval_episodes=3, sweep_every=8, sweep_commands=2,
    sweep_episodes=1, policies=4, normalised=True,
)  # fmt: skip
TINY = Modes(BASE, 1e-3, 1e-2, rounds=3, each=2, measured=2, commands=4, episodes=3)


@pytest.fixture(scope="module")
def stored():
    return train([Trial(BASE, seed) for seed in (3, 4, 3 + PARTNER, 4 + PARTNER)], Context())


@pytest.fixture(scope="module")
def pool(stored):
    return pooled(TINY, stored, [3, 4])


def test_statistics_of_two_are_those_of_all_observations():
    x = torch.randn(1, 30, 2, generator=torch.Generator().manual_seed(0))
    counted = torch.ones(1, 30, dtype=torch.bool)
    none = no_statistics(1, 2, CPU)
    parts = [observed(none, part, counted[:, : part.shape[1]]) for part in (x[:, :8], x[:, 8:])]
    whole = observed(none, x, counted)
    for found, expected in zip(together(*parts), whole, strict=True):
        torch.testing.assert_close(found, expected)


def test_a_buffer_of_two_modes_joins_a_run_and_its_partner(stored, pool):
    theta = stored.state.buffer.theta
    assert torch.equal(pool.theta[1, 1], torch.cat([theta[1], theta[3]]))
    assert torch.equal(pool.theta[1, 0], torch.cat([theta[1], theta[1]])), "one run twice, for as many policies"
    known = stored.state.statistics
    torch.testing.assert_close(pool.statistics.mean[1, 0], known.mean[1])
    torch.testing.assert_close(pool.statistics.mean[1, 1], (known.mean[1] + known.mean[3]) / 2)


def test_returns_are_measured_anew_with_the_statistics_of_all(stored, pool):
    u = torch.rand(2, 16, 2, 2, generator=step_generator(4, TINY.rounds, CPU))
    known = type(pool.statistics)(*(x[1] for x in pool.statistics))
    again = play(BASE.env, stored.setting.policy, pool.theta[1], known, u).returns.mean(dim=-1)
    torch.testing.assert_close(pool.r[1], again, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(pool.r[1, 1, :8], stored.state.buffer.r[1], atol=1e-3)


def test_how_far_good_policies_are_apart(stored, pool):
    buffer, parts = stored.state.buffer, []
    for run in (0, 2):
        order = buffer.r[run].argsort(descending=True)[:2]  # a quarter of eight
        parts.append(buffer.theta[run, order].double())
    gap = (parts[0].mean(0) - parts[1].mean(0)).square().mean()
    spread = torch.stack([part.var(0, unbiased=False).mean() for part in parts]).mean()
    assert float(pool.apart[0]) == pytest.approx(float((gap / spread).sqrt()), rel=1e-4)


def test_both_generators_learn_from_the_same_batches(stored, pool):
    (found,) = run_modes([Trial(TINY, 3)], Context())
    setting, state = begin(BASE, [3], CPU)
    for place, mode in enumerate(("one", "two")):
        theta, r = pool.theta[0, place], pool.r[0, place]
        asked = copied = state.learner
        asking, copying = setting._replace(lr=1e-3), setting._replace(lr=1e-2)
        for number in range(3):
            u = torch.rand(2, 2, 5, generator=step_generator(3, number, CPU))
            which = (u * 16).long()
            for i in range(2):
                values, policies = which[i]
                asked = evaluator_step(asking, asked, theta[values][None], r[values][None], 2 * number + i)
                asked = generator_step(asking, asked, r[policies][None], 2 * number + i)
                copied = regression_step(copying, copied, theta[policies][None], r[policies][None], 2 * number + i)
        low, high = np.quantile(r.double(), [0.05, 0.95])
        commands = torch.linspace(low, high, 4)
        np.testing.assert_allclose(found[mode]["commands"], commands, rtol=1e-3)
        u = torch.rand(1, 3, 2, generator=step_generator(3, 4, CPU)).expand(1, 4, 3, 2)
        known = type(pool.statistics)(*(x[:1, place] for x in pool.statistics))
        for name, learner in (("evaluator", asked), ("regression", copied), ("untrained", state.learner)):
            written = setting.generator.generate(learner.rho, BASE.input_for(commands)[None])
            achieved = play(BASE.env, setting.policy, written, known, u).returns.mean(dim=-1)[0]
            np.testing.assert_allclose(found[mode][name], achieved, rtol=2e-2, atol=1e-3)
    assert found["two"]["evaluator"] != found["two"]["regression"] != found["two"]["untrained"]


def test_runs_side_by_side_are_the_runs_and_share_what_is_stored():
    trials = [Trial(TINY, 3), Trial(replace(TINY, lr=1e-2), 3), Trial(TINY, 4)]
    for trial, found in zip(trials, run_modes(trials, Context()), strict=True):
        (alone,) = run_modes([trial], Context())
        assert alone["apart"] == pytest.approx(found["apart"], rel=1e-3)
        for mode in ("one", "two"):
            np.testing.assert_allclose(alone[mode]["evaluator"], found[mode]["evaluator"], rtol=2e-2, atol=1e-3)


def test_bad_settings_are_named():
    with pytest.raises(UsageError, match="commands=1: expected"):
        Modes(commands=1)
    with pytest.raises(UsageError, match="regression_lr=0"):
        Modes(regression_lr=0.0)
