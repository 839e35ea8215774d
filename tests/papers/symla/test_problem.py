"""The environments by name, what counts in them, and their orders."""

import pytest
import torch

from tutorlib.envs import BernoulliBandit, CartPole, Reordered
from tutorlib.lab import UsageError
from tutorlib.papers.symla import problem
from tutorlib.papers.symla.algorithm import draw_noise, lifetime
from tutorlib.papers.symla.model import MetaRNN, SymLA


def live(agent, theta, env, lifetimes=3, length=12, seed=0):
    return lifetime(agent, theta, env, draw_noise(agent, env, lifetimes, length, torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("name", problem.ENVIRONMENTS)
@pytest.mark.parametrize("any_size", [False, True])
def test_every_test_can_be_lived_in(name, any_size):
    size = 3 if name in ("heart-grid", "dark-room") else 2
    own = problem.make(name, size)
    for label, env in problem.tests(name, size, 12, any_size).items():
        if not any_size:
            assert (env.observations, env.actions) == (own.observations, own.actions), label
        agent = SymLA(env.observations, env.actions)
        life = live(agent, agent.initial_parameters(torch.Generator().manual_seed(0)), env)
        found = problem.score("cartpole" if label == "cartpole" else name, life.task, life.rewards, life.actions)
        assert found.shape == (3, 12)
        if name not in ("heart-grid", "bandit"):
            assert ((found == 0) | (found == 1)).all(), label


def test_scores_count_what_they_say():
    r, a = torch.tensor([[-1.0, 0.0]]), torch.tensor([[0, 1]])
    assert problem.score("cartpole", None, r, a).tolist() == [[1.0, 0.0]]
    assert problem.score("acrobot", None, r, a).tolist() == [[0.0, 1.0]]
    assert problem.score("contextual-bandit", None, -1 - 2 * r, a).tolist() == [[1.0, 0.0]]
    assert problem.score("heart-grid", None, r, a).tolist() == r.tolist()
    state = BernoulliBandit(2, "easy").start(torch.tensor([[0.2, 0.5, 0.5]]))  # the first arm is the good one
    assert problem.score("bandit", state, r, a)[0].tolist() == pytest.approx([0.0, 0.8])
    with pytest.raises(UsageError, match="environment='chess'"):
        problem.score("chess", None, r, a)


def test_regret_of_arms_that_move_counts_what_was_paid():
    env = problem.shuffled(BernoulliBandit(2, "easy"), "actions", at=6)
    agent = MetaRNN(1, 2)
    life = live(agent, agent.initial_parameters(torch.Generator().manual_seed(0)), env)
    assert torch.allclose(problem.score("bandit", life.task, life.rewards, life.actions), 0.9 - life.rewards)


def test_all_orders_at_once_are_the_orders_one_by_one():
    every = problem.orders(CartPole())
    assert len(every.names) == 48
    assert every.names[0] == "0123/01"
    assert len(set(every.names)) == 48
    agent = MetaRNN(4, 2)
    theta = agent.initial_parameters(torch.Generator().manual_seed(0)) * 2
    noise = draw_noise(agent, every, 4, 60, torch.Generator().manual_seed(1))
    together = lifetime(agent, theta.expand(48, -1), every, noise).rewards
    inside = noise._replace(start=noise.start[:, :4])
    for i in (0, 5, 47):
        alone = lifetime(agent, theta, Reordered(CartPole(), *every.orders[i]), inside).rewards
        assert torch.equal(together[i], alone)
    assert together.sum(dim=(1, 2)).unique().numel() > 3
    with pytest.raises(UsageError, match=r"env=\(20, 4\)"):
        problem.orders(problem.make("heart-grid", 3))


@pytest.mark.parametrize(("call", "argument"), [
    (lambda: problem.make("pong"), "environment='pong'"),
    (lambda: problem.make("bandit", permuted="rows"), "permuted='rows'"),
    (lambda: problem.shuffled(CartPole(), "none"), "what='none'"),
    (lambda: problem.make("bandit", 3, bias=0.7), "bias=0.7"),
])  # fmt: skip
def test_bad_input_is_named(call, argument):
    with pytest.raises(UsageError) as error:
        call()
    assert argument in str(error.value)
