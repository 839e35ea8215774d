"""Ensembles that fit the same data: who is given what, measures beside plain re-writes, and the chosen rate."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from tutorlib.lab import Context, UsageError, recorded, select
from tutorlib.nn import step_generator
from tutorlib.papers.mbrl import ensemble, experiments
from tutorlib.papers.mbrl.ensemble import (
    Ensemble,
    by_run,
    learn,
    measure,
    measures,
    member_seeds,
    residual,
    rms,
    spread,
    together,
    train,
    world,
)
from tutorlib.papers.mbrl.exact import flute_values, pattern_number
from tutorlib.papers.mbrl.learner import begin, uniforms
from tutorlib.papers.mbrl.offline import listed
from tutorlib.papers.mbrl.problem import PanFlute

CPU = torch.device("cpu")
TINY = Ensemble(pipes=2, pairs=6, members=3, updates=6, num_evals=2, target_period=3, hidden=8, layers=1)


def tiny(**changes):
    return dataclasses.replace(TINY, **changes)


# The data


def test_the_data_are_different_pairs_and_the_same_for_all_agents():
    found = [world(tiny(agent=agent), [4, 5], CPU) for agent in ("er", "simple", "perfect")]
    for other in found[1:]:
        assert torch.equal(other.seen, found[0].seen)
        assert torch.equal(other.data.o, found[0].data.o)
        assert torch.equal(other.data.action, found[0].data.action)
    given = found[0]
    assert given.seen.sum(dim=(1, 2)).tolist() == [6, 6]
    assert not torch.equal(given.seen[0], given.seen[1])
    place = pattern_number(given.data.o) * 2 + given.data.action
    for member in range(6):
        assert place[member].unique().tolist() == given.seen[member // 3].flatten().nonzero().flatten().tolist()
    assert (pattern_number(given.every.o) * 2 + given.every.action).tolist() == [list(range(16))] * 6


def test_what_follows_is_what_the_flute_does_without_its_event():
    for part in world(tiny(pipes=3, pairs=20), [1], CPU)[2:]:
        env = PanFlute(3)
        after, reward, done = env.transition(env.with_cells(part.o), part.action, torch.ones(*part.action.shape, 1))
        assert torch.equal(part.next, env.observe(after))
        assert torch.equal(part.reward, reward)
        assert not done.any()


def test_members_have_seeds_of_their_own():
    own = [member_seeds(seed, 4) for seed in (0, 1, 2**63 - 1)]
    assert len({seed for seeds in own for seed in seeds}) == 12
    assert own[0] == member_seeds(0, 4)
    learned = train(tiny(updates=2), [0, 1], Context())
    first = learned.learner.q[:, :, 0].flatten()
    assert len(first.unique()) == 6


# Learning


def one_step(agent, alter):
    """The members after one step, with data and answers altered."""
    config = tiny(agent=agent)
    setting, learner = begin(config.online, [1, 2, 3], CPU)
    given = world(config, [0], CPU)
    data, every = alter(given.data, given.every)
    u = uniforms([step_generator(s, 0, CPU) for s in (1, 2, 3)], (every.o[0].numel(),), CPU)
    after = learn(setting, learner, data, every, 0, u)
    return torch.cat([after.q, after.model], dim=1)


def other(part):
    return part._replace(reward=part.reward + 1, next=1 - part.next)


@pytest.mark.parametrize(
    ("agent", "of_data", "of_all", "of_pairs"),
    [("er", True, False, False), ("simple", True, False, True), ("perfect", False, True, True)],
)
def test_who_learns_from_what(agent, of_data, of_all, of_pairs):
    """Without a model from the data alone; with one from them and, of all pairs, never from their true answers."""
    plain = one_step(agent, lambda data, every: (data, every))
    assert torch.equal(plain, one_step(agent, lambda data, every: (data, every)))
    altered = {
        "data": one_step(agent, lambda data, every: (other(data), every)),
        "all": one_step(agent, lambda data, every: (data, other(every))),
        "pairs": one_step(agent, lambda data, every: (data, every._replace(o=1 - every.o))),
    }
    assert {name: not torch.equal(plain, own) for name, own in altered.items()} == {
        "data": of_data, "all": of_all, "pairs": of_pairs,
    }  # fmt: skip


def test_the_target_is_copied_when_it_should_be():
    found = train(tiny(agent="er", updates=6), [0], Context()).learner
    before = train(tiny(agent="er", updates=3, num_evals=1), [0], Context()).learner
    assert torch.equal(found.target_params, before.q)
    assert found.updates == 6


def test_members_by_run_are_members_together():
    _, learner = begin(TINY.online, range(6), CPU)
    split = by_run(learner, 2)
    assert split.q.shape[:2] == split.q_moments[0].shape[:2] == split.model.shape[:2] == (2, 3)
    assert torch.equal(split.q[1, 0], learner.q[3])
    assert torch.equal(together(split).q, learner.q)


def test_with_the_true_model_all_members_find_q_star():
    config = tiny(agent="perfect", updates=600, num_evals=1, target_period=20, hidden=32, lr=3e-3, gamma=0.5)
    table = dict(zip(measures(config), train(config, [0], Context()).evals[-1][:, 0].tolist(), strict=True))
    assert table["fit",] == 3
    assert table["error", "unseen"] < 0.02
    assert table["spread", "unseen"] < 0.02
    assert table["rate",] == pytest.approx(1 / 2, abs=1e-6)


# Measures


def test_the_residual_is_that_of_loops_and_0_for_q_star():
    truth = listed(PanFlute(2, chance=0.0))
    assert residual(flute_values(PanFlute(2, chance=0.0)), truth, 0.9).abs().max() < 1e-8
    q = torch.randn(3, 8, 2, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    found = residual(q, truth, 0.9)
    for s in range(8):
        for a in range(2):
            target = truth.table.reward[s] + 0.9 * q[1, int(truth.table.quiet[s, a])].max()
            assert float(found[1, s, a]) == pytest.approx(float(q[1, s, a] - target))
    where = torch.rand(8, 2, generator=torch.Generator().manual_seed(1)) < 0.5
    assert rms(found, where).tolist() == pytest.approx([float(x[where].square().mean()) ** 0.5 for x in found])


def test_the_spread_is_that_of_the_members_that_fit():
    q = torch.randn(3, 4, 8, 2, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    fits = torch.tensor([[True, True, False, True], [True, False, False, False], [False] * 4])
    found = spread(q, fits)
    assert np.allclose(found[0], np.std(q[0, [0, 1, 3]].numpy(), axis=0, ddof=1))
    assert (found[1:] == 0).all()


@pytest.mark.parametrize("agent", ["er", "simple", "perfect"])
def test_what_is_measured_of_an_ensemble(agent):
    config = tiny(agent=agent, members=4)
    setting, learner = begin(config.online, [s for seed in (0, 1) for s in member_seeds(seed, 4)], CPU)
    setting, given = setting._replace(env=config.env), world(config, [0, 1], CPU)
    off = sorted(measure(config, setting, learner, given)[:4, 1].tolist())
    config = dataclasses.replace(config, tolerance=(off[2] + off[3]) / 2)  # three members of the second run fit
    table = measure(config, setting, learner, given)
    assert table.shape == (len(measures(config)), 2)
    found = dict(zip(measures(config), table[:, 1].tolist(), strict=True))
    q = setting.net(learner.q, given.truth.patterns.expand(8, -1, -1)).double()[4:]
    fit = torch.tensor([found["residual", str(i)] for i in range(4)]) <= config.tolerance
    assert found["fit",] == int(fit.sum()) == 3
    unseen = ~given.seen[1]
    variance = q[fit][:, unseen].var(dim=0)
    assert found["spread", "unseen"] == pytest.approx(float(variance.mean()) ** 0.5)
    shape = q[fit] - q[fit].mean(dim=(1, 2), keepdim=True)
    assert found["shape", "unseen"] == pytest.approx(float(shape[:, unseen].var(dim=0).mean()) ** 0.5)
    errors = [float((x - given.truth.values)[unseen].square().mean()) ** 0.5 for x in q[fit]]
    assert found["error", "unseen"] == pytest.approx(sum(errors) / 3)
    assert (("missed", "unseen") in found) == (agent == "simple")
    if agent == "simple":
        wrong = ensemble.missed(setting.model, learner.model, given.truth)[4:][fit]
        assert found["missed", "unseen"] == pytest.approx(float(wrong[:, unseen].mean()))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Ensemble("gaussian"), "agent='gaussian'"),
        (lambda: Ensemble(members=1), "members=1: expected a whole number from 2"),
        (lambda: Ensemble(pipes=5), "pipes=5: expected a whole number from 2 to 4"),
        (lambda: Ensemble(pairs=192), "pairs=192: expected fewer than all 192 pairs"),
        (lambda: Ensemble(num_evals=7), "num_evals=7: expected a divisor of updates=3000"),
        (lambda: Ensemble(gamma=1.0), "gamma=1.0: expected a number between 0 and 1"),
        (lambda: Ensemble(tolerance=0.0), "tolerance=0"),
    ],
)
def test_ensembles_that_cannot_be(make, message):
    with pytest.raises(UsageError, match=message):
        make()


# What was chosen


def test_the_rate_is_that_with_which_members_fit_best_on_tuning_seeds():
    """The mean logarithm of the residuals on the data, with a model and without, over all looks."""
    records = recorded("mbrl.ensemble", "tuning")
    assert {r.seed for r in records} == {1000, 1001}

    def fit(lr):
        own = select(records, lr=lr)
        assert {r.config["agent"] for r in own} == {"er", "simple"}
        return sum(math.log(x) for r in own for look in r.metrics["evals"]["residual"] for x in look)

    rates = sorted({r.config["lr"] for r in records})
    best = min(rates, key=fit)
    assert best == experiments.RATE
    assert rates[0] < best < rates[-1]
