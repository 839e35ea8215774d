"""What GoGePo is compared with: one policy, random search, regression on weights; each beside a plain re-write."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tutorlib.lab import Context, Trial, UsageError
from tutorlib.papers.gogepo.algorithm import Config, Learner, begin, generator_loss, generator_step
from tutorlib.papers.gogepo.baselines import (
    Ars,
    ars_direction,
    ascent_step,
    begin_single,
    regression_loss,
    regression_step,
    train_ars,
    train_single,
)
from tutorlib.papers.gogepo.problem import no_statistics, play

CPU = torch.device("cpu")
TINY = Config(
    steps=10_000, episodes=4, horizon=20, width=8, block=4, embedding=2, net_width=8, states=3, batch=5,
    evaluator_steps=2, generator_steps=3, generator_lr=1e-3, eval_episodes=3, sweep_every=2, sweep_commands=3,
    sweep_episodes=2,
)  # fmt: skip


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_one_policy_is_what_the_untrained_generator_writes_for_its_first_command():
    setting, state = begin(TINY, [3, 4], CPU)
    _, single = begin_single(TINY, [3, 4], CPU)
    written = setting.generator.generate(state.learner.rho, torch.full((2, 1), 1 / 200))
    torch.testing.assert_close(single.learner.rho, written[:, 0])
    assert torch.equal(single.learner.w, state.learner.w)


def test_the_one_policy_climbs_its_value():
    setting, state = begin_single(TINY, [3, 4], CPU)
    learner, theta = state.learner, state.learner.rho.clone().requires_grad_()
    adam = torch.optim.Adam([theta], lr=TINY.generator_lr)
    for step in range(5):
        learner = ascent_step(setting, learner, torch.zeros(2, 1), step)
        adam.zero_grad()
        (-setting.evaluator.value(learner.w, theta.unsqueeze(1)).sum()).backward()
        adam.step()
    torch.testing.assert_close(learner.rho, theta.detach(), rtol=1e-4, atol=1e-5)
    values = [setting.evaluator.value(state.learner.w, own.unsqueeze(1)) for own in (state.learner.rho, learner.rho)]
    assert (values[1] > values[0]).all()
    assert torch.equal(learner.w, state.learner.w)


def test_one_policy_runs_in_the_loop_of_the_generator():
    trained = train_single([Trial(TINY, 3)], Context())
    start = begin_single(TINY, [3], CPU)[1].learner
    assert trained.state.learner.rho.shape == (1, TINY.policy.size)
    assert (trained.state.learner.rho - start.rho).abs().max() > 1e-3
    assert (trained.state.learner.w - start.w).abs().max() > 1e-3
    noise = trained.state.buffer.theta[0, 0] - start.rho[0]
    assert float(noise.std()) == pytest.approx(0.1, rel=0.2)
    sweep = trained.sweeps[-1]
    assert (sweep.achieved[0] == sweep.achieved[0, 0]).all(), "it hears no command"


def ars_by_hand(eps, plus, minus, top):
    """Return the direction as the algorithm's listing has it, in NumPy, for one run."""
    order = np.argsort(-np.maximum(plus, minus))[:top]
    sigma = np.concatenate([plus[order], minus[order]]).std()
    return sum((plus[k] - minus[k]) * eps[k] for k in order) / (top * sigma)


@pytest.mark.parametrize("top", [1, 3, 5])
def test_the_direction_of_random_search_is_its_listing(top):
    eps, plus, minus = draw(2, 5, 7), 30 * draw(2, 5, seed=1), 30 * draw(2, 5, seed=2)
    found = ars_direction(eps, plus, minus, top)
    for run in range(2):
        expected = ars_by_hand(*(x[run].double().numpy() for x in (eps, plus, minus)), top)
        np.testing.assert_allclose(found[run].numpy(), expected, rtol=1e-4, atol=1e-5)


def test_equal_returns_say_nothing():
    assert (ars_direction(draw(1, 3, 4), torch.full((1, 3), 5.0), torch.full((1, 3), 5.0), 2) == 0).all()


def test_random_search_climbs_a_slope():
    """Where the return is -|theta - 1|^2, theta comes near 1."""
    theta = torch.zeros(1, 6)
    for step in range(300):
        eps = draw(1, 8, 6, seed=step)
        plus, minus = (-(theta.unsqueeze(1) + sign * 0.05 * eps - 1).square().sum(dim=-1) for sign in (1, -1))
        theta = theta + 0.02 * ars_direction(eps, plus, minus, 4)
    assert (theta - 1).abs().max() < 0.2


def test_an_iteration_of_random_search_is_its_episodes():
    config = Ars(replace(TINY, steps=161), pairs=2, top=2, iterations=4, noise=0.3)
    found = train_ars([Trial(config, 3), Trial(config, 4)], Context())
    assert found.log.used.tolist() == [[80, 80], [160, 160], [240, 240], [240, 240]], "four episodes of 20 steps"
    assert found.log.played[:, 0].tolist() == [True, True, True, False]
    assert found.state.statistics.seen.tolist() == [240.0, 240.0]
    alone = train_ars([Trial(config, 4)], Context())
    torch.testing.assert_close(alone.state.theta[0], found.state.theta[1], rtol=1e-3, atol=1e-4)
    assert (found.log.best >= found.log.r).all()
    start = begin_single(config.base, [3, 4], CPU)[1].learner.rho
    first = train_ars([Trial(replace(config, iterations=1), 3)], Context())
    assert (first.state.theta[0] - start[0]).abs().max() > 1e-3


def test_an_episode_of_many_policies_learns_from_all():
    setting, _ = begin(TINY, [0], CPU)
    theta, u = draw(1, 3, setting.policy.size), torch.rand(1, 3, 2, 1, generator=torch.Generator().manual_seed(0))
    played = play(TINY.env, setting.policy, theta, no_statistics(1, 2, CPU), u, learn=True)
    assert played.statistics.seen.tolist() == [20.0 * 6]


def test_regression_takes_the_mean_of_the_weights_that_got_a_return():
    """Its gradient is that of the distance to the mean of the stored weights: modes are averaged."""
    setting, state = begin(TINY, [0], CPU)
    theta, r = draw(1, 6, setting.policy.size), torch.full((1, 6), 20.0)
    mean = theta.mean(dim=1, keepdim=True)
    by_all = torch.func.grad(lambda rho: regression_loss(setting, rho, theta, r).sum())(state.learner.rho)
    by_mean = torch.func.grad(lambda rho: regression_loss(setting, rho, mean, r[:, :1]).sum())(state.learner.rho)
    torch.testing.assert_close(by_all, by_mean, rtol=1e-4, atol=1e-5)
    written = setting.generator.generate(state.learner.rho, r / 200)
    torch.testing.assert_close(regression_loss(setting, state.learner.rho, theta, r)[0], (
        (written - theta) ** 2).sum(dim=-1).mean())  # fmt: skip


def test_regression_is_a_step_of_adam_of_the_generator_alone():
    setting, state = begin(TINY, [0], CPU)
    theta, r = draw(1, 6, setting.policy.size), draw(1, 6)
    learner, rho = state.learner, state.learner.rho.clone().requires_grad_()
    adam = torch.optim.Adam([rho], lr=TINY.generator_lr)
    for step in range(4):
        learner = regression_step(setting, learner, theta, r, step)
        adam.zero_grad()
        regression_loss(setting, rho, theta, r).sum().backward()
        adam.step()
    torch.testing.assert_close(learner.rho, rho.detach(), rtol=1e-4, atol=1e-5)
    assert isinstance(learner, Learner)
    assert torch.equal(learner.w, state.learner.w)
    other = generator_step(setting, state.learner, r, 0).rho
    assert not torch.allclose(other, regression_step(setting, state.learner, theta, r, 0).rho)
    assert generator_loss(setting, other, state.learner.w, r).isfinite()


def test_bad_settings_are_named():
    with pytest.raises(UsageError, match="top=5: expected at most pairs=4"):
        Ars(TINY, pairs=4, top=5)
    with pytest.raises(UsageError, match="noise=0.0"):
        Ars(TINY, noise=0.0)
    with pytest.raises(UsageError, match="top=4: expected at most 3 directions"):
        ars_direction(draw(1, 3, 4), draw(1, 3), draw(1, 3), 4)
