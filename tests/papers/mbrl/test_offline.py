"""The illustrative example: its data, groups of patterns, measures beside plain re-writes, and what it shows."""

import dataclasses

import pytest
import torch

from tutorlib.lab import Context, UsageError
from tutorlib.papers.mbrl.algorithm import AGENTS, begin
from tutorlib.papers.mbrl.exact import (
    flute_values,
    pattern_number,
)
from tutorlib.papers.mbrl.model import SimpleModel
from tutorlib.papers.mbrl.offline import (
    GROUPS,
    Offline,
    best_rate,
    collect,
    groups,
    imagined,
    learn,
    listed,
    measure,
    measures,
    misses,
    rate,
    rmse,
    tune,
    uniform_rate,
)
from tutorlib.papers.mbrl.problem import PanFlute

CPU = torch.device("cpu")
TINY = Offline(pipes=2, transitions=30, updates=20, batch=4, length=3, hidden=8, layers=1, num_evals=2)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def tiny(**changes):
    return dataclasses.replace(TINY, **changes)


def data_of(config, seeds):
    setting, _ = begin(config.online, seeds, CPU)
    return collect(setting, seeds, config.transitions, CPU)


# The data


def test_the_data_are_one_course_of_random_actions():
    replay = data_of(tiny(pipes=3, transitions=2000), [0, 1])
    assert (replay.o[:, 0] == 0).all(), "from empty pipes on"
    assert torch.equal(replay.o[:, 1:], replay.next[:, :-1])
    assert not replay.done.any()
    share = torch.stack([(replay.action == a).double().mean(dim=1) for a in range(3)])
    assert (share - 1 / 3).abs().max() < 0.04
    env = PanFlute(3)
    state = env.with_cells(replay.o.float())
    quiet, reward, _ = env.transition(state, replay.action, torch.ones(2, 2000, 1))
    loud, _, _ = env.transition(state, replay.action, torch.zeros(2, 2000, 1))
    assert torch.equal(reward, replay.reward)
    sounds = (replay.next == env.observe(loud)).all(dim=-1)
    assert (sounds | (replay.next == env.observe(quiet)).all(dim=-1)).all()
    assert 0.09 < float(sounds.double().mean()) < 0.18  # 1/9, and where both are the same
    assert not torch.equal(replay.action[0], replay.action[1])


def test_all_agents_are_given_the_same_data():
    found = [data_of(tiny(agent=agent), [5]) for agent in AGENTS]
    for other in found[1:]:
        for mine, theirs in zip(found[0][:-1], other[:-1], strict=True):
            assert torch.equal(mine, theirs)
    kept = found[AGENTS.index("perfect")].state
    assert torch.equal(PanFlute(2).observe(kept).byte(), found[0].o), "only the perfect model is given states"
    assert found[0].state == ()


def test_groups_are_those_of_a_walk():
    env = PanFlute(2)
    replay = data_of(tiny(transitions=3, batch=3), [0, 1])
    truth = listed(env)
    found = groups(replay, truth.reachable)
    assert tuple(found) == GROUPS
    can = {0}
    for _ in range(4):  # any action, with and without the event
        can |= {int(t[s, a]) for s in can for a in range(2) for t in (truth.table.quiet, truth.table.event)}
    for i in range(2):
        began = {int(n) for n in pattern_number(replay.o[i])}
        expected = (set(range(8)), can, began, can - began, set(range(8)) - can)
        for group, own in zip(GROUPS, expected, strict=True):
            assert set(found[group][i].nonzero().flatten().tolist()) == own


# Measures


def test_the_error_is_that_of_loops():
    q = torch.randn(2, 8, 2, generator=generator())
    exact = torch.randn(8, 2, generator=generator(1), dtype=torch.double)
    where = torch.rand(2, 8, generator=generator(2)) < 0.5
    where[1] = False
    found = rmse(q, exact, where)
    squares = [(float(q[0, s, a]) - float(exact[s, a])) ** 2 for s in range(8) for a in range(2) if where[0, s]]
    assert float(found[0]) == pytest.approx((sum(squares) / len(squares)) ** 0.5, rel=1e-6)
    assert float(found[1]) == 0.0


@pytest.mark.parametrize("pipes", [2, 3, 4])
def test_the_greedy_policy_of_q_star_has_the_best_rate(pipes):
    env = PanFlute(pipes)
    truth = listed(env)
    best = truth.values.argmax(dim=-1)
    other = torch.zeros_like(best)
    found = rate(truth.table, truth.event, torch.stack([best, other]))
    assert float(found[0]) == pytest.approx(best_rate(pipes), abs=1e-3)
    # Who presses pipe 0 for ever is paid for events alone.
    assert float(found[1]) == pytest.approx(env.event, abs=1e-9)
    assert torch.equal(truth.values, flute_values(env))


def test_a_rate_is_that_of_a_long_walk():
    env = PanFlute(3)
    truth = listed(env)
    action = torch.randint(3, (1, 64), generator=generator(3))
    u = torch.rand(4000, 400, 1, generator=generator(4))
    state, total = env.start(torch.zeros(4000, 0)), 0.0
    for t in range(400):
        a = action[0, pattern_number(env.observe(state))]
        state, r, _ = env.transition(state, a, u[:, t])
        total += float(r.mean()) / 300 if t >= 100 else 0.0
    assert float(rate(truth.table, truth.event, action)) == pytest.approx(total, abs=0.004)


def test_known_rates():
    """The numbers of the flute with 4 and 5 pipes, and random actions beside a long walk."""
    assert best_rate(4) == pytest.approx(0.297, abs=5e-4)
    assert best_rate(5) == pytest.approx(0.232, abs=5e-4)
    env = PanFlute(2)
    state, total = env.start(torch.zeros(4000, 0)), 0.0
    u = torch.rand(300, 4000, 2, generator=generator(5))
    for t in range(300):
        state, r, _ = env.transition(state, (u[t, :, 0] * 2).long(), u[t, :, 1:])
        total += float(r.mean()) / 290 if t >= 10 else 0.0
    assert uniform_rate(env) == pytest.approx(total, abs=0.005)
    assert uniform_rate(PanFlute(4)) == pytest.approx(1 / 16 + 15 / 16 / 256)


class Scripted(SimpleModel):
    """Knows the flute of 2 pipes, but for what follows pattern 5 under action 0, which the best player never does."""

    def predict(self, theta, x, a):
        env = PanFlute(2)
        action = a.argmax(dim=-1)
        after, _, _ = env.transition(env.with_cells(x), action, torch.ones(*action.shape, 1))
        o = env.observe(after)
        wrong = (pattern_number(x) == 5) & (action == 0)
        o = torch.where(wrong.unsqueeze(-1), 1 - o, o)
        return super().predict(theta, x, a)._replace(next=4 * o - 2)


def test_misses_are_counted_where_they_are():
    truth = listed(PanFlute(2))
    model = Scripted(3, 2, hidden=4, layers=1)
    theta = torch.zeros(2, model.parameters)
    everywhere, five = torch.ones(2, 8, dtype=torch.bool), (torch.arange(8) == 5).expand(2, 8)
    assert misses(model, theta, truth, everywhere).tolist() == pytest.approx([1 / 16] * 2)
    assert misses(model, theta, truth, five).tolist() == [0.5, 0.5]
    assert misses(model, theta, truth, ~five).tolist() == [0, 0]


@pytest.mark.parametrize("agent", AGENTS)
def test_measures_have_their_names(agent):
    config = tiny(agent=agent)
    setting, learner = begin(config.online, [0, 1], CPU)
    truth = listed(config.env)
    found = groups(data_of(config, [0, 1]), truth.reachable)
    values = measure(setting, learner, truth, found, [generator(s) for s in (0, 1)])
    assert values.shape == (len(measures(agent)), 2)
    assert (("missed", "seen") in measures(agent)) == (agent == "simple")
    if agent == "er":
        q = setting.net(learner.q, truth.patterns.expand(2, -1, -1))
        assert torch.equal(values[0], rmse(q, truth.values, found["all"]))
        assert torch.equal(values[5], rate(truth.table, truth.event, q.argmax(dim=-1)))


# Learning


def test_runs_side_by_side_are_runs_alone():
    for agent in AGENTS:
        together = learn(tiny(agent=agent, updates=6), [3, 4], Context())
        assert together.updates == [3, 6]
        assert together.learner.updates == 6
        for i in range(2):
            alone = learn(tiny(agent=agent, updates=6), [3 + i], Context())
            assert torch.allclose(alone.learner.q[0], together.learner.q[i], atol=1e-4)
            assert torch.equal(alone.replay.o[0], together.replay.o[i])


def test_the_target_is_copied_when_it_should_be():
    found = learn(tiny(agent="er", target_period=15), [0], Context()).learner
    assert torch.equal(found.target_params, learn(tiny(agent="er", updates=15, num_evals=1), [0], Context()).learner.q)


# Dreams


def test_the_best_player_presses_the_long_pipes_first():
    assert tune(4, 6) == [3, 2, 1, 0, 3, 2]
    env = PanFlute(3, chance=0.0)
    state, rewards = env.start(torch.zeros(0)), []
    for a in tune(3, 9):
        state, r, _ = env.transition(state, torch.tensor(a), torch.ones(1))
        rewards.append(int(r))
    assert rewards == [0, 0, 0, 1, 0, 0, 1, 0, 0]


def test_a_model_that_is_right_dreams_the_truth():
    model = Scripted(3, 2, hidden=4, layers=1)
    theta = torch.zeros(model.parameters)
    u = torch.full((5, 3), 0.5)
    found = imagined(PanFlute(2), model, theta, tune(2, 5), u)
    assert found.truth.shape == found.dreamt.shape == (6, 3)
    assert found.probability.shape == (5, 3)
    for dreamt in (found.dreamt, found.official):
        assert torch.equal(dreamt, found.truth)
    assert torch.equal(found.probability > 0.5, found.truth[1:] > 0.5)
    assert pattern_number(found.truth)[0] == 0


def test_the_two_samplers_differ_where_logits_are_no_probabilities():
    """With logits of -.2 a bit is on with probability .45, and never where the logit itself is taken."""
    model = SimpleModel(3, 2, hidden=4, layers=1)
    theta = torch.zeros(model.parameters)
    theta[-3:] = -0.2  # the offsets of the last layer: those of the next observation
    u = torch.rand(200, 3, generator=generator())
    found = imagined(PanFlute(2), model, theta, tune(2, 200), u)
    assert found.official[1:].sum() == 0
    assert float(found.dreamt[1:].mean()) == pytest.approx(0.45, abs=0.06)
    assert found.probability.flatten().tolist() == pytest.approx([0.45017] * 600, abs=1e-4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Offline(transitions=0), "transitions=0: expected a whole number from 1"),
        (lambda: Offline(transitions=31), "transitions=31: expected at least batch=32"),
        (lambda: Offline(num_evals=7), "num_evals=7: expected a divisor of updates=2500"),
        (lambda: Offline(pipes=6), "pipes=6: expected a whole number from 2 to 5"),
        (lambda: Offline(agent="replay"), "agent='replay'"),
        (lambda: Offline(hidden=0), "hidden=0"),
        (lambda: tune(3, 0), "steps=0"),
    ],
)
def test_examples_that_cannot_be(make, message):
    with pytest.raises(UsageError, match=message):
        make()
