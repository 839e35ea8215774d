"""Evolution strategies over the objective: equal steps, twins, one generation by hand, and what a run tells."""

from dataclasses import replace

import jaxtyping
import pytest
import torch

from tutorlib.evolution import centred_ranks
from tutorlib.lab import Context, Trial, UsageError
from tutorlib.nn import Moments
from tutorlib.papers.metagenrl import evolved
from tutorlib.papers.metagenrl.experiments import ES, EVOLVED, TRAIN, TUNED

CPU = torch.device("cpu")
BASE = replace(
    TUNED, agents=2, test_agents=2, test_steps=102, steps=110, num_evals=1, hidden=6, batch=3, window=5, summary=3,
    objective_hidden=4, memory=4, copies=2, random_steps=10,
)  # fmt: skip
TINY = evolved.Evolved(BASE, pairs=2, life=152, generations=2)


@pytest.fixture(autouse=True)
def quick():
    """Checks of shapes take most of the time of a loop; other tests have them."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def test_two_generations_take_as_many_steps_as_the_population():
    (config,) = TRAIN.tiers["study"].configs
    population = config.agents * config.copies * config.steps
    assert ES.environment_steps == population == 57_600
    assert [c.environment_steps // population for c in EVOLVED.tiers["study"].configs] == [1, 10]
    assert ES.base == TUNED


def test_a_life_has_an_episode():
    with pytest.raises(UsageError, match="life=99: expected at least 100, the length of the longest episode"):
        replace(TINY, life=99)


def test_members_differ_in_their_objective_alone():
    setting, _ = evolved.settings(TINY, 2, CPU)
    seeds, alpha = (3, 4), torch.randn(2, BASE.objective.parameters)
    state = evolved.State(alpha, Moments(alpha, alpha), alpha, alpha, (), ())
    born = evolved.born(TINY, setting, state, seeds, 1)
    off = (born.tried - alpha.unsqueeze(1)) / TINY.sigma
    torch.testing.assert_close(off[:, :2], -off[:, 2:], rtol=1e-3, atol=1e-4)
    assert abs(float(off.std()) - 1) < 0.1
    phi = born.members.learner.phi.unflatten(1, (2, 4, 1))
    assert (phi == phi[:, :, :1]).all(), "members of an environment begin alike"
    assert not torch.equal(phi[:, 0], phi[:, 1])
    other = evolved.born(TINY, setting, state, seeds, 2)
    assert not torch.equal(other.tried, born.tried), "each generation has perturbations of its own"
    assert not torch.equal(other.members.learner.phi, born.members.learner.phi)
    alone = evolved.born(TINY, setting, state._replace(alpha=alpha[1:]), seeds[1:], 1)
    torch.testing.assert_close(alone.tried[0], born.tried[1])


def test_one_step_of_evolution_by_hand():
    setting, _ = evolved.settings(TINY, 1, CPU)
    alpha = torch.randn(1, BASE.objective.parameters)
    zero = torch.zeros_like(alpha)
    born = evolved.born(TINY, setting, evolved.State(alpha, Moments(zero, zero), alpha, alpha, (), ()), (3,), 0)
    returns = torch.arange(32.0).sin().view(1, 8, 2, 2)
    life = born.members._replace(place=born.members.place._replace(returns=returns))
    after, mean = evolved.selected(TINY, setting, born._replace(members=life), 0)
    by_member = [(returns[0, m].mean() + returns[0, 4 + m].mean()) / 2 for m in range(4)]  # in Point and in Pend
    assert float(mean) == pytest.approx(float(sum(by_member) / 4), rel=1e-5)
    ranks = centred_ranks(-torch.stack(by_member))
    eps = (born.tried[0, :2] - alpha) / TINY.sigma
    g = sum((ranks[p] - ranks[2 + p]) * eps[p] for p in range(2)) / (2 * TINY.sigma * 2)
    torch.testing.assert_close(after.moments.m[0], 0.1 * g, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(after.alpha[0], alpha[0] - TINY.es_lr * g.sign(), rtol=1e-3, atol=1e-3)


def test_members_learn_by_their_own_objectives_and_fresh_agents_by_two():
    course = evolved.evolve([Trial(TINY, 3)], Context())
    state = course.state
    assert not torch.equal(state.alpha, state.start)
    assert course.fitness.shape == (2, 1)
    assert (course.fitness != 0).all()
    phi = state.members.learner.phi[0].unflatten(0, (2, 4, 1))
    assert len({tuple(x.flatten().tolist()) for x in phi[0]}) == 4
    fresh = state.fresh.learner.phi[0].unflatten(0, (2, 2, 2))
    assert not torch.equal(fresh[:, 0], fresh[:, 1])
    (metrics,) = EVOLVED.run([Trial(TINY, 3)], Context())
    assert metrics["returns"].keys() == {"cartup", "reach"}
    assert all(len(r) == 2 for r in metrics["returns"]["reach"].values())
    assert metrics["returns"]["reach"].keys() == {"learned 0", "evolved"}
    assert len(metrics["fitness"]) == 2
