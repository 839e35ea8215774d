"""Lifetimes and meta-training: the loop against a plain one, common noise, symmetry in the loop, and bad input."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import one_hot

from tutorlib.envs import BernoulliBandit, CartPole, ContextualBandit, Reordered
from tutorlib.lab import Context, Trial, UsageError
from tutorlib.lab.errors import NonFiniteError
from tutorlib.papers.symla import algorithm
from tutorlib.papers.symla.algorithm import Config, draw_noise, fitness, lifetime, meta_train
from tutorlib.papers.symla.model import MetaRNN, SymLA


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def thetas(agent, *members, seed=0):
    g = generator(seed)
    return agent.initial_parameters(g) + 0.2 * torch.randn(*members, agent.parameters, generator=g)


def plain_lifetime(agent, theta, env, noise, i):
    """The inner loop for one lifetime, written out."""
    parts, e, h = agent.prepare(theta), env.start(noise.start[i]), agent.start(theta, noise.memory[i : i + 1])
    a, r, rewards, actions = torch.zeros(1, env.actions), torch.zeros(1), [], []
    for t in range(len(noise.gumbel)):
        h, logits = agent.step(parts, h, env.observe(e).unsqueeze(0), a, r)
        action = (logits[0] + noise.gumbel[t, i]).argmax()
        e, reward, _ = env.step(e, action, noise.step[t, i])
        a, r = one_hot(action.unsqueeze(0), env.actions).float(), reward.unsqueeze(0)
        rewards.append(float(reward))
        actions.append(int(action))
    return rewards, actions


@pytest.mark.parametrize("make", [SymLA, MetaRNN], ids=["symla", "rnn"])
@pytest.mark.parametrize("env", [BernoulliBandit(3), ContextualBandit(2, 2, shuffled=True), CartPole()], ids=str)
def test_a_batch_of_lifetimes_is_one_after_the_other(make, env):
    agent = make(env.observations, env.actions)
    theta, noise = thetas(agent, 3), draw_noise(agent, env, 4, 25, generator())
    life = lifetime(agent, theta, env, noise, keep_observations=True)
    assert life.rewards.shape == life.actions.shape == life.ended.shape == (3, 4, 25)
    assert life.observations.shape == (3, 4, 25, env.observations)
    for m, i in ((0, 0), (2, 3)):
        rewards, actions = plain_lifetime(agent, theta[m], env, noise, i)
        assert life.rewards[m, i].tolist() == rewards
        assert life.actions[m, i].tolist() == actions
    assert life.actions.float().std() > 0


def test_memory_survives_the_end_of_an_episode(monkeypatch):
    env = CartPole(episode=5)
    agent = SymLA(4, 2)
    theta, noise = thetas(agent), draw_noise(agent, env, 2, 10, generator())
    seen = []
    step = SymLA.step
    monkeypatch.setattr(SymLA, "step", lambda self, p, h, *x: (seen.append(h.c.abs().max()), step(self, p, h, *x))[1])
    life = lifetime(agent, theta, env, noise)
    assert life.ended[:, 4].all()
    assert seen[0] == 0
    assert min(seen[1:]) > 0


def test_shuffled_worlds_give_shuffled_lives():
    """With the noise of actions in the same order, SymLA's life in another order is the same life."""
    env, agent = CartPole(), SymLA(4, 2)
    theta, noise = thetas(agent), draw_noise(agent, env, 5, 60, generator())
    plain = lifetime(agent, theta, env, noise)
    other = Reordered(env, (2, 0, 3, 1), (1, 0))
    life = lifetime(agent, theta, other, noise._replace(gumbel=noise.gumbel.flip(-1)))
    assert torch.equal(life.rewards, plain.rewards)
    assert torch.equal(life.actions, 1 - plain.actions)
    assert plain.rewards.sum() < 0
    rnn = MetaRNN(4, 2)
    theta = thetas(rnn)
    unlike = lifetime(rnn, theta, other, noise._replace(gumbel=noise.gumbel.flip(-1)))
    assert not torch.equal(unlike.actions, 1 - lifetime(rnn, theta, env, noise).actions)


def test_actions_follow_the_softmax_of_the_logits():
    env, agent = BernoulliBandit(2), MetaRNN(1, 2, hidden=1)
    theta = torch.zeros(agent.parameters)
    theta[-2:] = torch.tensor([1.0, 0.0])
    life = lifetime(agent, theta, env, draw_noise(agent, env, 4000, 2, generator()))
    assert life.actions.float().mean().item() == pytest.approx(1 / (1 + 2.718281828), abs=0.02)


def test_noise_is_shared_by_the_population_and_differs_between_lifetimes():
    env, agent = BernoulliBandit(2), MetaRNN(1, 2)
    theta = thetas(agent).expand(3, -1)
    life = lifetime(agent, theta, env, draw_noise(agent, env, 6, 30, generator()))
    assert torch.equal(life.rewards[0], life.rewards[1])
    assert not torch.equal(life.rewards[0, 0], life.rewards[0, 1])


def test_fitness_is_the_mean_reward_over_sizes():
    c = Config(sizes="2,3", lifetimes=6, length=20, pairs=2)
    theta = thetas(c.agents[0], 3)
    g, total = generator(7), 0
    for env, agent in zip(c.environments, c.agents, strict=True):
        total = total + lifetime(agent, theta, env, draw_noise(agent, env, 3, 20, g)).rewards.mean(dim=(1, 2)) / 2
    assert torch.allclose(fitness(c, theta, generator(7)), total)
    assert [a.actions for a in c.agents] == [2, 3]


def test_meta_training_learns_to_pull_the_better_arm():
    """Easy bandits pay .9 or .1; random pulls get .5."""
    c = Config(family="easy", length=15, pairs=16, lifetimes=4, generations=30, num_evals=2)
    agent, env = c.agents[0], c.environments[0]

    def reward(theta):
        return lifetime(agent, theta, env, draw_noise(agent, env, 200, 15, generator(5))).rewards.mean()

    trained = meta_train([Trial(c, 0)], Context(), reward)
    assert trained.evals[-1] > 0.62
    assert trained.losses.shape == (30, 1)
    assert 0.3 < -trained.losses.mean() < 0.9  # minus the mean reward of a step


SHORT = Config(environment="cartpole", length=12, pairs=5, lifetimes=3, generations=4, num_evals=2)
SETTINGS = {
    "symla": SHORT,
    "a large grid": replace(SHORT, self_messages=False),
    "random starts": replace(SHORT, initial="random"),
    "rnn, permuted": replace(SHORT, agent="meta-rnn", permuted="both"),
    "several sizes": replace(SHORT, environment="bandit", sizes="2,3"),
    "hearts": replace(SHORT, environment="heart-grid", sizes="2"),
}


@pytest.mark.parametrize("c", SETTINGS.values(), ids=SETTINGS)
def test_runs_side_by_side_are_the_runs_alone(c):
    """Products of a batch may add in another order than those of one run, and ranks and actions do not change by it."""
    seeds = (3, 8, 5)
    together = meta_train([Trial(c, seed) for seed in seeds], Context(), torch.clone)
    for i, seed in enumerate(seeds):
        alone = meta_train([Trial(c, seed)], Context(), torch.clone)
        assert (together.theta[i] - alone.theta[0]).abs().max() < 1e-6
        assert torch.equal(together.losses[:, i], alone.losses[:, 0])
        assert (torch.stack(together.evals)[:, i] - torch.stack(alone.evals)[:, 0]).abs().max() < 1e-6
    assert (together.theta[0] - together.theta[1]).abs().max() > 1e-3


@pytest.mark.parametrize("members", [1, 4])
def test_lives_of_runs_are_those_of_each_run(members):
    env, agent = CartPole(), SymLA(4, 2, initial="random")
    theta, noise = thetas(agent, 3, members), draw_noise(agent, env, 5, 20, [generator(seed) for seed in (1, 2, 3)])
    life = lifetime(agent, theta, env, noise, keep_observations=True)
    assert life.observations.shape == (3, members, 5, 20, 4)
    for i, seed in enumerate((1, 2, 3)):
        alone = lifetime(agent, theta[i], env, draw_noise(agent, env, 5, 20, generator(seed)), keep_observations=True)
        assert torch.equal(life.actions[i], alone.actions)
        assert torch.equal(life.rewards[i], alone.rewards)
        assert torch.equal(life.ended[i], alone.ended)
        assert torch.equal(life.observations[i], alone.observations)
        assert all(torch.equal(own[i], other) for own, other in zip(life.task, alone.task, strict=True))


def test_cells_that_differ_in_more_than_their_seeds_are_refused():
    with pytest.raises(UsageError, match=r"^trials=.*lr.*: expected trials that differ in seed alone"):
        meta_train([Trial(SHORT, 0), Trial(replace(SHORT, lr=0.1), 1)], Context())


def test_a_reward_that_is_not_finite_stops_meta_training(monkeypatch):
    monkeypatch.setattr(algorithm, "fitness", lambda c, phi, g, live: phi[..., 0] / 0.0)
    with pytest.raises(NonFiniteError, match="step 1 of 4"):
        meta_train([Trial(Config(generations=4, num_evals=2, pairs=2), 0)], Context())


@pytest.mark.parametrize(("own", "argument"), [
    ({"agent": "rl2"}, "agent='rl2'"),
    ({"environment": "pong"}, "environment='pong'"),
    ({"family": "uniform"}, "family='uniform'"),
    ({"permuted": "rows"}, "permuted='rows'"),
    ({"sizes": "two"}, "sizes='two'"),
    ({"sizes": "1"}, "arms=1"),
    ({"sizes": "2,3", "agent": "meta-rnn"}, "sizes='2,3'"),
    ({"sizes": "2,3", "lifetimes": 1}, "sizes='2,3'"),
    ({"length": 0}, "length=0"),
    ({"pairs": -1}, "pairs=-1"),
    ({"sigma": 0.0}, "sigma=0.0"),
    ({"generations": 7, "num_evals": 2}, "num_evals=2"),
    ({"bias": 1.5}, "bias=1.5"),
    ({"hidden": 0}, "hidden=0"),
])  # fmt: skip
def test_bad_input_is_named(own, argument):
    with pytest.raises(UsageError) as error:
        Config(**own)
    assert argument in str(error.value)


def test_agent_and_environment_must_fit():
    agent, env = SymLA(1, 3), BernoulliBandit(2)
    with pytest.raises(UsageError, match="agent.actions=3"):
        lifetime(agent, thetas(agent), env, draw_noise(agent, env, 2, 3, generator()))
    with pytest.raises(UsageError, match="length=0"):
        draw_noise(agent, env, 2, 0, generator())
