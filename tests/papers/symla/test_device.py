"""Meta-training and meta-tests keep to their device, and each experiment computes where its record says.

Nothing is computed here: see ``memory.py``. What is random comes from a generator that says it is on the device.
"""

from contextlib import suppress
from dataclasses import replace

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from tutorlib.lab import Context, Trial, loop
from tutorlib.lab.dry import Ledger
from tutorlib.nn import Trained, no_moments
from tutorlib.papers.symla import experiments, problem
from tutorlib.papers.symla.algorithm import Config, meta_train
from tutorlib.papers.symla.baselines import Learning, PPOConfig, learn
from tutorlib.papers.symla.experiments import EXPERIMENTS, scores
from tutorlib.papers.symla.model import MetaRNN, SymLA

META = torch.device("meta")


class Anywhere(torch.Generator):
    """A generator that says it is on a device, there or not."""

    def __new__(cls, device="cpu"):
        own = super().__new__(cls)
        own.place = torch.device(device)
        return own

    @property
    def device(self):
        return self.place


@pytest.fixture(autouse=True)
def drawn_there(monkeypatch):
    monkeypatch.setattr(torch, "Generator", Anywhere)
    for agent in (SymLA, MetaRNN):  # what they begin with is drawn on the host, again and again until it is near 0
        monkeypatch.setattr(agent, "initial_parameters", lambda self, generator: torch.zeros(self.parameters))


SHORT = Config(length=2, pairs=2, lifetimes=3, generations=1, num_evals=1)
SETTINGS = {
    "bandits": SHORT,
    "families of bandits": replace(SHORT, family="easy"),
    "several sizes": replace(SHORT, sizes="2,3"),
    "a large grid": replace(SHORT, environment="acrobot", self_messages=False),
    "random starts": replace(SHORT, environment="cartpole", initial="random"),
    "rnn, permuted": replace(SHORT, environment="mountaincar", agent="meta-rnn", permuted="both"),
    "hearts": replace(SHORT, environment="heart-grid"),
    "a dark room": replace(SHORT, environment="dark-room", sizes="3", agent="meta-rnn"),
    "contexts": replace(SHORT, environment="contextual-bandit"),
}


@pytest.mark.parametrize("runs", [1, 2])
@pytest.mark.parametrize("c", SETTINGS.values(), ids=SETTINGS)
def test_a_generation_keeps_to_its_device(c, runs, monkeypatch):
    elsewhere = []

    def descend(theta, estimate, settings, seeds, context, look):
        theta = theta.to(context.device)
        with Ledger() as ledger:
            g, losses = estimate(theta, [Anywhere(META) for _ in seeds])
        elsewhere.extend(ledger.elsewhere)
        return Trained(g, losses.unsqueeze(0), [])

    monkeypatch.setattr("tutorlib.papers.symla.algorithm.descend", descend)
    with FakeTensorMode():
        found = meta_train([Trial(c, seed) for seed in range(runs)], Context(device=META))
    assert found.theta.shape == (runs, c.agents[0].parameters)
    assert found.losses.shape == (1, runs)
    assert found.theta.device == found.losses.device == META
    assert not elsewhere


@pytest.mark.parametrize("kind", [k for k in SETTINGS if k not in ("families of bandits", "several sizes")])
def test_a_meta_test_keeps_to_its_device(kind):
    c, runs = SETTINGS[kind], 2
    for name, env in problem.tests(c.environment, int(c.sizes[0]), c.length, c.agent == "symla").items():
        with FakeTensorMode():
            theta = torch.empty(runs, 1, c.agent_in(env).parameters, device=META)
            with Ledger() as ledger:
                found = scores(c, theta, env, list(range(runs)), 4)
        assert found.shape == (runs, 1, 4, c.length), name
        assert found.device == META, name
        assert not ledger.elsewhere, name


def test_a_batch_of_ppo_keeps_to_its_device():
    c = replace(SHORT, agent="meta-rnn", hidden=4)
    agent, env = c.agents[0], c.environments[0]
    with FakeTensorMode():
        theta = torch.empty(1, agent.parameters + 5, device=META)
        with Ledger() as ledger:
            settings = PPOConfig(lifetimes=3, length=4, update_epochs=2)
            after, log = learn(agent, env, settings, Learning(theta, no_moments(theta)), 1, Anywhere(META))
    assert after.theta.device == after.moments.v.device == log.reward.device == META
    assert not ledger.elsewhere


def took(state, log):
    """Take in what was logged without looking at it."""
    log.accept(log.recent())
    return state


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda e: e.name)
def test_each_experiment_computes_where_its_record_says(experiment, monkeypatch):
    """What is measured is on the device that was asked for, so none needs to say that it stays on the CPU."""
    seen = []

    def summary(score):
        seen.append(score.device)
        return {}

    monkeypatch.setattr(experiments, "summary", summary)
    monkeypatch.setattr(experiments, "rounded", lambda values: seen.append(values.device) or [])
    monkeypatch.setattr(experiments, "LIFETIMES", 3)
    monkeypatch.setattr(experiments, "POLE_LIFE", 3)
    monkeypatch.setattr(loop._Watch, "checked", lambda watch, good, before, state, log, done: took(state, log))
    c = replace(experiment.tiers["live"].configs[0], length=2, pairs=2, lifetimes=3, generations=2, num_evals=1)
    # Numbers are read off at the very end, and there are none.
    with FakeTensorMode(), suppress(DataDependentOutputException):
        experiment.run([Trial(c, 0)], Context(device=META))
    assert len(seen) > 2
    assert {device.type for device in seen} == {"cpu" if experiment.cpu_only else "meta"}
