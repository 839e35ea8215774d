"""GoGePo's update: sampling, both losses, the steps beside torch's Adam, episodes, and runs that are over."""

from dataclasses import replace

import pytest
import torch

from tutorlib.envs import ControlState, MountainCarContinuous
from tutorlib.lab import Context, Trial, UsageError
from tutorlib.nn import step_generator
from tutorlib.papers.gogepo import algorithm
from tutorlib.papers.gogepo.algorithm import (
    Buffer,
    Config,
    ask,
    begin,
    drawn,
    evaluator_loss,
    explored,
    generator_loss,
    learn,
    recency_table,
    recency_weights,
    sample,
    swept,
    train,
)
from tutorlib.papers.gogepo.problem import WORLDS, World, no_statistics, normalised, observed, play

CPU = torch.device("cpu")
TINY = Config(
    steps=10_000, episodes=4, horizon=20, width=8, block=4, embedding=2, net_width=8, states=3, batch=5,
    evaluator_steps=2, generator_steps=3, generator_lr=1e-3, eval_episodes=3, sweep_every=2, sweep_commands=3,
    sweep_episodes=2,
)  # fmt: skip


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def uniform(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def filled(config, runs, stored):
    """Return a setting, a state, and a buffer in which pair number k, from 0, has a return of k."""
    setting, state = begin(config, list(range(runs)), CPU)
    r = torch.arange(stored, dtype=torch.float).expand(runs, -1)
    return setting, state, Buffer(draw(runs, stored, setting.policy.size), r.clone())


# D


@pytest.mark.parametrize("newest", [0, 3, 9, 12])
def test_newer_policies_are_sampled_by_the_papers_weights(newest):
    """In a ring of ten, pair number 12 lies where number 2 was."""
    theta = torch.zeros(1, 10, 1)
    r = torch.tensor([[float(k if k > newest - 10 else -1) for k in range(10)]])
    for k in range(max(newest - 9, 0), newest + 1):
        r[0, k % 10] = float(k)
    u = (torch.arange(100_000) + 0.5).view(1, -1) / 100_000
    _, found = sample(Buffer(theta, r), recency_table(10, 1.1, CPU), newest, u)
    stored = min(newest + 1, 10)
    weights = recency_weights(stored, 1.1, CPU)
    for place, weight in enumerate(weights):
        share = (found == newest - stored + 1 + place).float().mean()
        assert float(share) == pytest.approx(float(weight), abs=1e-4)


def test_a_sample_is_a_pair():
    setting, _, buffer = filled(TINY, 2, 4)
    theta, r = sample(buffer, recency_table(4, 1.1, CPU), 3, uniform(2, 50))
    for run in range(2):
        assert torch.equal(theta[run], buffer.theta[run, r[run].long()])
    assert set(r.flatten().tolist()) == {0.0, 1.0, 2.0, 3.0}
    assert theta.shape == (2, 50, setting.policy.size)


def test_with_an_exponent_of_0_all_are_alike():
    torch.testing.assert_close(recency_weights(4, 0.0, CPU), torch.full((4,), 0.25, dtype=torch.double))


# Statistics


@pytest.mark.parametrize("many", [1, 5])
def test_running_statistics_are_those_of_all_observations_that_count(many):
    x, counted = 3 + 2 * draw(50, 2, many, 4), uniform(50, 2, many, seed=1) < 0.7
    statistics = no_statistics(2, 4, CPU)
    for rows, own in zip(x, counted, strict=True):
        statistics = observed(statistics, rows, own)
    for run in range(2):
        seen = x[:, run][counted[:, run]]
        assert statistics.seen[run] == len(seen)
        torch.testing.assert_close(statistics.mean[run], seen.mean(dim=0))
        torch.testing.assert_close(statistics.squares[run] / statistics.seen[run], seen.var(dim=0, unbiased=False))
        again = normalised(statistics, seen[None, :].expand(2, -1, -1))[run]
        torch.testing.assert_close(again.mean(dim=0), torch.zeros(4), atol=1e-5, rtol=0)
        torch.testing.assert_close(again.std(dim=0, unbiased=False), torch.ones(4))


def test_an_episode_learns_each_observation_before_it_is_shown_and_stops_at_its_end():
    env = MountainCarContinuous(horizon=200)
    setting, _ = begin(TINY, [0], CPU)
    theta = torch.zeros(1, 1, setting.policy.size)
    theta[..., -1] = 0.5  # a push that does not depend on what is seen
    played = play(env, setting.policy, theta, no_statistics(1, 2, CPU), torch.full((1, 1, 1, 1), 0.5), learn=True)
    assert played.statistics.seen.tolist() == [200.0]
    push = torch.tensor(0.5).tanh()
    assert float(played.returns) == pytest.approx(-0.1 * float(push) ** 2 * 200, rel=1e-5)
    assert played.steps.tolist() == [[[200]]]
    state, seen = env.start(torch.full((1, 1), 0.5)), []
    for _ in range(200):
        seen.append(env.observe(state)[0])
        state, _, _ = env.step(state, push.view(1, 1), torch.full((1, 1), 0.5))
    torch.testing.assert_close(played.statistics.mean[0], torch.stack(seen).mean(dim=0))


def test_what_comes_after_an_end_does_not_count(monkeypatch):
    """A car that starts before the flag is there at once."""
    env = MountainCarContinuous(horizon=30)
    at_flag = ControlState(torch.tensor([[[[0.4, 0.07]]]]), torch.zeros(1, 1, 1, dtype=torch.long))
    monkeypatch.setattr(MountainCarContinuous, "start", lambda self, u: at_flag)
    setting, _ = begin(TINY, [0], CPU)
    theta = torch.zeros(1, 1, setting.policy.size)
    played = play(env, setting.policy, theta, no_statistics(1, 2, CPU), torch.full((1, 1, 1, 1), 0.5), learn=True)
    assert played.returns.tolist() == [[[100.0]]]
    assert played.steps.tolist() == [[[1]]]
    assert played.statistics.seen.tolist() == [1.0]


# Losses and steps


def test_the_losses_are_mean_squares_of_what_is_predicted_less_what_was_got_or_asked_for():
    setting, state, buffer = filled(TINY, 2, 4)
    v = setting.evaluator.value(state.learner.w, buffer.theta)
    found = evaluator_loss(setting, state.learner.w, buffer.theta, buffer.r)
    torch.testing.assert_close(found, ((v - buffer.r) ** 2).mean(dim=1))
    written = setting.generator.generate(state.learner.rho, buffer.r / 200)
    v = setting.evaluator.value(state.learner.w, written)
    found = generator_loss(setting, state.learner.rho, state.learner.w, buffer.r)
    torch.testing.assert_close(found, ((v - buffer.r) ** 2).mean(dim=1))


def test_the_updates_after_an_episode_are_those_of_torchs_adam():
    """First the steps of the evaluator, then those of the generator, which leave the evaluator as it is."""
    setting, state, buffer = filled(TINY, 1, 4)
    table, u = recency_table(4, 1.1, CPU), uniform(1, 5, 5)
    found = state.learner
    rho, w = (x.clone().requires_grad_() for x in (found.rho, found.w))
    of_w = torch.optim.Adam([w], lr=TINY.evaluator_lr)
    of_rho = torch.optim.Adam([rho], lr=TINY.generator_lr)
    for number in (0, 1, 2, 3):
        found = learn(setting, found, buffer, table, number, u)
        for i in range(2):
            of_w.zero_grad()
            evaluator_loss(setting, w, *sample(buffer, table, number, u[:, i])).sum().backward()
            of_w.step()
        before = w.detach().clone()
        for j in range(3):
            of_rho.zero_grad()
            generator_loss(setting, rho, w, sample(buffer, table, number, u[:, 2 + j])[1]).sum().backward()
            of_rho.step()
        assert torch.equal(before, w)
    torch.testing.assert_close(found.w, w.detach(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.rho, rho.detach(), rtol=1e-4, atol=1e-5)
    assert (found.rho - state.learner.rho).abs().max() > 1e-3


def test_the_generator_learns_to_answer_the_evaluator():
    """With the evaluator as it is, the policy for a command comes to be predicted what was asked for."""
    config = replace(TINY, evaluator_steps=0, generator_steps=150, generator_lr=3e-3, batch=16, net_width=16)
    setting, state, buffer = filled(config, 1, 4)
    w = state.learner.w
    asked = setting.evaluator.value(w, setting.generator.generate(state.learner.rho, torch.zeros(1, 1))) + 0.05
    buffer = Buffer(buffer.theta, asked.expand(1, 4).clone())
    before = generator_loss(setting, state.learner.rho, w, buffer.r)
    after = learn(setting, state.learner, buffer, recency_table(4, 0.0, CPU), 3, uniform(1, 150, 16))
    assert generator_loss(setting, after.rho, w, buffer.r) < 0.2 * before
    assert torch.equal(after.w, w)


# Episodes


def test_the_first_command_is_1_and_then_the_best_and_20_more():
    setting, state = begin(TINY, [0, 1], CPU)
    state = state._replace(best=torch.tensor([-30.0, 50.0]))
    draws = drawn(setting, [step_generator(seed, 0, CPU) for seed in (0, 1)], CPU)
    for number, commands in ((0, [1.0, 1.0]), (1, [-10.0, 70.0])):
        command, theta, played = explored(setting, state, number, draws)
        assert command.tolist() == commands
        written = setting.generator.generate(state.learner.rho, torch.tensor(commands).unsqueeze(-1) / 200)
        torch.testing.assert_close(theta, written + 0.1 * draws.noise)
        again = play(
            TINY.env,
            setting.policy,
            theta,
            state.statistics,
            draws.start,
            normalise=number > 0,
            learn=True,
        )
        assert torch.equal(played.returns, again.returns)
    still = setting._replace(config=replace(TINY, command="first"))
    assert explored(still, state, 1, draws)[0].tolist() == [1.0, 1.0]


def test_training_keeps_the_best_and_counts_steps():
    trained = train([Trial(TINY, 3), Trial(TINY, 4)], Context())
    log, state = trained.log, trained.state
    assert log.used.tolist() == [[20 * k] * 2 for k in (1, 2, 3, 4)]
    assert log.played.all()
    torch.testing.assert_close(state.best, log.r.max(dim=0).values)
    torch.testing.assert_close(state.buffer.r, log.r.T)
    for run in range(2):
        assert torch.equal(state.champion[run], state.buffer.theta[run, log.r[:, run].argmax()])
    torch.testing.assert_close(log.command[1:], log.r.cummax(dim=0).values[:-1] + 20)
    assert state.statistics.seen.tolist() == [80.0, 80.0]
    assert [sweep.used.tolist() for sweep in trained.sweeps] == [[0, 0], [40, 40], [80, 80]]
    last = swept(trained.setting, state, [3, 4], 4)
    for name in ("achieved", "predicted", "actions"):
        assert torch.equal(getattr(trained.sweeps[-1], name), getattr(last, name)), name
    assert not torch.equal(trained.sweeps[0].predicted, last.predicted)


def test_a_run_whose_steps_are_used_up_stays_as_it_is(monkeypatch):
    """Then no updates are made any more, from the look on that finds it."""
    calls = []
    whole = algorithm.learn
    monkeypatch.setattr(algorithm, "learn", lambda *args: calls.append(0) or whole(*args))
    short = train([Trial(replace(TINY, episodes=2, sweep_every=1), 3)], Context())
    long = train([Trial(replace(TINY, steps=21, episodes=8), 3)], Context())
    assert len(calls) == 2 + 2
    assert long.log.played.flatten().tolist() == [True, True, *[False] * 6]
    assert long.state.used.tolist() == [40]
    for one, other in zip(long.state.learner, short.state.learner, strict=True):
        torch.testing.assert_close(one, other)
    torch.testing.assert_close(long.state.statistics, short.state.statistics)
    late = train([Trial(replace(TINY, steps=19, episodes=2), 3)], Context())  # found by the look after two episodes
    first = train([Trial(replace(TINY, episodes=1, sweep_every=1), 3)], Context())
    assert torch.equal(late.state.learner.rho, first.state.learner.rho)
    assert torch.equal(late.state.buffer.r[:, 1], torch.zeros(1))
    assert torch.equal(late.state.best, first.state.best)


def test_without_learning_the_networks_stay_as_they_are():
    config = replace(TINY, evaluator_steps=0, generator_steps=0, command="first")
    trained, (_, start) = train([Trial(config, 0)], Context()), begin(config, [0], CPU)
    assert torch.equal(trained.state.learner.rho, start.learner.rho)
    assert torch.equal(trained.state.learner.w, start.learner.w)
    assert (trained.log.command == 1).all()
    assert trained.log.r.unique().numel() > 1


# Bad input


def test_commands_that_are_not_finite_are_refused():
    setting, state = begin(TINY, [0, 1], CPU)
    found = ask(setting, state.learner.rho, [-100.0, 50.0])
    torch.testing.assert_close(
        found, setting.generator.generate(state.learner.rho, torch.tensor([[-0.5, 0.25]]).expand(2, -1))
    )
    for commands, match in (([1.0, float("nan")], r"commands\[1\]=nan"), ([], r"commands=")):
        with pytest.raises(UsageError, match=match):
            ask(setting, state.learner.rho, commands)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"block": 3}, "block=3: expected a divisor of width=8"),
        ({"sweep_every": 3}, "sweep_every=3: expected a divisor of episodes=4"),
        ({"drive": float("nan")}, "drive=nan"),
        ({"first_command": float("inf")}, "first_command=inf"),
        ({"environment": "mountaincars"}, "environment=.*did you mean 'mountaincar'"),
        ({"command": "most"}, "command='most'"),
        ({"sigma": -0.1}, "sigma=-0.1"),
        ({"generator_lr": 0.0}, "generator_lr=0.0"),
        ({"sweep_commands": 1}, "sweep_commands=1"),
        ({"batch": 0}, "batch=0"),
    ],
)
def test_bad_settings_are_named(change, match):
    with pytest.raises(UsageError, match=match):
        replace(TINY, **change)


def test_a_world_has_a_range_of_returns():
    with pytest.raises(UsageError, match="high=1.0: expected a number above low=1"):
        World(WORLDS["mountaincar"].env, 1.0, 1.0)
