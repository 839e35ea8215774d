"""Methods in small worlds: the worlds themselves, rounds of several policies, normalised returns, what is recorded."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tutorlib.lab import Context, Trial, UsageError
from tutorlib.papers.gogepo.algorithm import Config, ask, begin, evaluator_loss, generator_loss, swept, train
from tutorlib.papers.gogepo.baselines import Ars, train_ars, train_single
from tutorlib.papers.gogepo.contest import METHODS, SMALL, Contest, reduced, run_contest
from tutorlib.papers.gogepo.problem import WORLDS

CPU = torch.device("cpu")
TINY = Config(
    environment="point", steps=10_000, episodes=16, horizon=9, width=8, block=4, embedding=2, net_width=8, states=3,
    drive=6.0, batch=5, evaluator_steps=2, generator_steps=3, generator_lr=1e-3, eval_episodes=3, sweep_every=8,
    sweep_commands=5, sweep_episodes=2, policies=4, normalised=True,
)  # fmt: skip
MADE = Contest("gogepo", TINY, 1e-3, 0.1, points=2)


def started(name, seed=0):
    """Return a world, and 4,000 first states of it."""
    env = WORLDS[name].env
    u = torch.rand(4000, env.start_noise, generator=torch.Generator().manual_seed(seed))
    return env, env.start(u)


def pushed(name, x, action):
    """Return the numbers and the reward after one step from the numbers ``x``."""
    env, state = started(name)
    after, reward, _ = env.advance(state._replace(x=torch.tensor([x]), t=state.t[:1]), torch.tensor([action]))
    return after.x[0].double().numpy(), float(reward)


def test_the_pendulum_hangs_and_is_too_heavy_to_be_lifted_at_once():
    env, state = started("pend")
    assert env.horizon == 100
    assert state.x.mean(dim=0).tolist() == pytest.approx([math.pi, 0.0], abs=0.01)
    assert state.x.std(dim=0).tolist() == pytest.approx([0.1, 0.1], rel=0.05)
    angle, speed, a = 2.0, -1.5, 0.5
    u = 2 * a
    speed = speed + (15 * math.sin(angle) + 3 * u) * 0.05
    angle = angle + 0.05 * speed
    found, reward = pushed("pend", [2.0, -1.5], [a])
    np.testing.assert_allclose(found, [angle, speed], rtol=1e-5)
    assert reward == pytest.approx((1 + math.cos(angle)) / 2 - 0.001 * u**2, rel=1e-5)
    assert 3 * 2 < 15, "what an action of 1 lifts is less than the weight"


def test_the_point_starts_far_from_its_goal():
    env, state = started("point")
    assert env.horizon == 60
    assert state.x.mean(dim=0).tolist() == pytest.approx([-1, -1, 0, 0], abs=0.01)
    assert state.x.std(dim=0).tolist() == pytest.approx([0.05, 0.05, 0, 0], rel=0.05)
    found, reward = pushed("point", [0.0, 1.0, 0.5, -0.5], [1.0, -3.0])
    v = np.array([0.9 * 0.5 + 0.1, 0.9 * -0.5 - 0.1])
    p = np.array([0.0, 1.0]) + 0.2 * v
    np.testing.assert_allclose(found, [*p, *v], rtol=1e-5)
    assert reward == pytest.approx(-np.hypot(*(p - 1)), rel=1e-5)


def test_the_pole_hangs_from_its_cart():
    env, state = started("cartup")
    assert env.horizon == 150
    assert float(state.x[:, 2].mean()) == pytest.approx(math.pi, abs=0.01)
    x, v, angle, w, force = 0.3, 0.2, 2.0, 14.0, 10 * 0.5
    tmp = (force + 0.05 * w**2 * math.sin(angle)) / 1.1
    turn = (9.8 * math.sin(angle) - math.cos(angle) * tmp) / (0.5 * (4 / 3 - 0.1 * math.cos(angle) ** 2 / 1.1))
    v = v + 0.04 * (tmp - 0.05 * turn * math.cos(angle) / 1.1)
    w = w + 0.04 * turn
    x, angle = x + 0.04 * v, angle + 0.04 * w
    found, reward = pushed("cartup", [0.3, 0.2, 2.0, 14.0], [0.5])
    np.testing.assert_allclose(found, [x, v, angle, w], rtol=1e-5)
    assert reward == pytest.approx((1 + math.cos(angle)) / 2 * (1 - (x / 2.4) ** 2), rel=1e-5)


def test_a_zero_that_a_generator_draws_starts_an_episode_too():
    for name in (*SMALL, "mountaincar"):
        env = WORLDS[name].env
        assert env.start(torch.zeros(1, env.start_noise)).x.isfinite().all(), name


def test_a_reduced_setting_names_its_departures():
    for name in SMALL:
        found, world = reduced(name), WORLDS[name]
        assert (found.policies, found.normalised, found.episodes, found.rounds) == (8, True, 960, 120)
        assert found.steps == 960 * found.horizon == 960 * world.env.horizon
        assert found.drive == pytest.approx((world.high - world.low) / 20)
        assert found.sigma == pytest.approx(0.1 * math.sqrt(256 / 32), rel=0.15)
    assert (Config().policies, Config().normalised) == (1, False)
    with pytest.raises(UsageError, match="world='mountaincar'"):
        reduced("mountaincar")


def test_normalised_returns_are_shares_of_the_range():
    assert TINY.input_for(-120.0) == TINY.target(-120.0) == 0
    assert TINY.input_for(-30.0) == TINY.target(-30.0) == pytest.approx(0.75)
    assert TINY.expected(TINY.target(-30.0)) == pytest.approx(-30.0)
    raw = replace(TINY, normalised=False)
    assert (raw.input_for(-30.0), raw.target(-30.0), raw.expected(5.0)) == (-30 / 120, -30.0, 5.0)


def test_both_losses_and_what_is_asked_are_in_the_same_units():
    setting, state = begin(TINY, [0, 1], CPU)
    rho, w = state.learner.rho, state.learner.w
    r = torch.tensor([[-120.0, -30.0], [-60.0, 0.0]])
    share = (r + 120) / 120
    theta = setting.generator.generate(rho, share)
    expected = (setting.evaluator.value(w, theta) - share).square().mean(dim=-1)
    torch.testing.assert_close(generator_loss(setting, rho, w, r), expected)
    torch.testing.assert_close(evaluator_loss(setting, w, theta, r), expected)
    torch.testing.assert_close(ask(setting, rho, [-60.0, 0.0])[1], theta[1])
    seen = swept(setting, state, [0, 1], 0)
    written = ask(setting, rho, [-120.0, -90.0, -60.0, -30.0, 0.0])
    torch.testing.assert_close(seen.predicted, -120 + 120 * setting.evaluator.value(w, written), rtol=1e-4, atol=1e-4)


def test_a_round_is_several_policies_for_one_command():
    trained = train([Trial(TINY, 3), Trial(TINY, 4)], Context())
    buffer, log = trained.state.buffer, trained.log
    assert log.used.tolist() == [[36 * k] * 2 for k in (1, 2, 3, 4)], "four episodes of nine steps a round"
    assert trained.state.statistics.seen.tolist() == [144.0, 144.0]
    r = buffer.r.unflatten(1, (4, 4))
    torch.testing.assert_close(log.r.T, r.mean(dim=2))
    torch.testing.assert_close(trained.state.best, buffer.r.max(dim=1).values)
    for run, place in enumerate(buffer.r.argmax(dim=1).tolist()):
        assert torch.equal(trained.state.champion[run], buffer.theta[run, place])
    best = r.max(dim=2).values.cummax(dim=1).values
    torch.testing.assert_close(log.command[1:].T, best[:, :3] + 6.0)
    first = buffer.theta[:, :4] - begin(TINY, [3, 4], CPU)[0].generator.generate(
        begin(TINY, [3, 4], CPU)[1].learner.rho, torch.full((2, 1), TINY.input_for(1.0))
    )
    assert first.flatten().std() == pytest.approx(0.1, rel=0.1)
    assert (first[:, 0] - first[:, 1]).abs().max() > 0.1, "each has noise of its own"


def test_a_ring_of_rounds_drops_the_oldest(monkeypatch):
    whole = train([Trial(TINY, 3)], Context()).state.buffer
    monkeypatch.setattr("tutorlib.papers.gogepo.config.CAPACITY", 14)
    small = train([Trial(TINY, 3)], Context()).state.buffer
    assert small.r.shape == (1, 12), "a multiple of a round"
    assert torch.equal(small.theta[:, 4:], whole.theta[:, 4:12])
    assert not torch.equal(small.theta[:, :4], whole.theta[:, :4]), "the fourth round is where the first was"


def test_runs_side_by_side_may_differ_in_rate_and_noise():
    other = replace(MADE, lr=3e-2, noise=0.5)
    both = run_contest([Trial(MADE, 3), Trial(other, 4)], Context())
    for config, seed, found in ((MADE, 3, both[0]), (other, 4, both[1])):
        (alone,) = run_contest([Trial(config, seed)], Context())
        np.testing.assert_allclose(alone["course"]["greedy"], found["course"]["greedy"], rtol=1e-2)
    (plain,) = run_contest([Trial(MADE, 4)], Context())
    assert abs(plain["course"]["returns"][-1] - both[1]["course"]["returns"][-1]) > 0.1


def test_the_course_is_means_over_rounds_and_quantiles_are_of_all_returns():
    (found,) = run_contest([Trial(MADE, 3)], Context())
    trained = train([Trial(replace(TINY, sigma=0.1), 3)], Context())
    course, sweeps = found["course"], found["sweeps"]
    assert course["steps"] == [72, 144]
    for name, own in (("returns", "r"), ("greedy", "greedy"), ("command", "command"), ("champion", "champion")):
        expected = getattr(trained.log, own)[:, 0].unflatten(0, (2, 2)).mean(dim=1)
        np.testing.assert_allclose(course[name], expected, rtol=1e-3)
    assert sweeps["steps"] == [0, 72, 144]
    assert sweeps["commands"] == [-120, -90, -60, -30, 0]
    assert sweeps["inside"][0] == []
    r = trained.state.buffer.r[0].double()
    for stage, count in ((1, 8), (2, 16)):
        np.testing.assert_allclose(sweeps["inside"][stage], np.quantile(r[:count], [0.05, 0.95]), rtol=1e-3)
    np.testing.assert_allclose(sweeps["achieved"][2], trained.sweeps[2].achieved[0], rtol=1e-3)


def test_each_method_is_its_own_loop():
    (single,) = run_contest([Trial(replace(MADE, method="pssvf"), 3)], Context())
    log = train_single([Trial(replace(TINY, sigma=0.1), 3)], Context()).log
    np.testing.assert_allclose(single["course"]["greedy"], log.greedy[:, 0].unflatten(0, (2, 2)).mean(1), rtol=1e-3)
    (searched,) = run_contest([Trial(replace(MADE, method="ars"), 3)], Context())
    found = train_ars([Trial(Ars(TINY, 1e-3, 0.1, 4, 2, 2), 3)], Context()).log
    np.testing.assert_allclose(searched["course"]["greedy"], found.greedy[:, 0], rtol=1e-3)
    assert searched["course"]["steps"] == [72, 144]
    for metrics in (single, searched):
        assert set(metrics) == {"course"}
        assert set(metrics["course"]) == {"steps", "returns", "greedy"}
    (noise,) = run_contest([Trial(replace(MADE, method="noise"), 3)], Context())
    assert set(noise["course"]["command"]) == {1.0}
    assert noise["sweeps"]["achieved"][0] == pytest.approx(noise["sweeps"]["achieved"][1], abs=20)
    assert set(METHODS) == {"gogepo", "noise", "pssvf", "ars", "ddpg", "udrl"}


def test_bad_settings_are_named():
    with pytest.raises(UsageError, match=r"policies=3: expected a divisor of sweep_every=8"):
        replace(TINY, policies=3)
    with pytest.raises(UsageError, match=r"base.episodes=12: expected a multiple of 8"):
        Contest("ars", replace(TINY, episodes=12, sweep_every=12))
    with pytest.raises(UsageError, match="method='sac'"):
        Contest("sac")
    with pytest.raises(UsageError, match="noise=0"):
        Contest(noise=0.0)
