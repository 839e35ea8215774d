"""A step keeps to its device, and fits on it at the paper's sizes. Nothing is computed: see ``memory.py``."""

from dataclasses import replace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_leaves, tree_map_only

from tutorlib.lab.dry import GB, Ledger
from tutorlib.nn import step_generator
from tutorlib.papers.mbrl import config
from tutorlib.papers.mbrl.algorithm import (
    AGENTS,
    ENVIRONMENTS,
    Config,
    act,
    act_shapes,
    add,
    begin,
    empty_replay,
    evaluate,
    total,
    uniforms,
    update,
)
from tutorlib.papers.mbrl.experiments import ONLINE
from tutorlib.papers.mbrl.maze import ProcMaze
from tutorlib.papers.mbrl.offline import Offline, collect, groups, listed, measure

META = torch.device("meta")
SMALL = Config(
    size=2, buttons=1, batch=4, length=3, capacity=16, hidden=8, layers=1, eval_episodes=2, eval_length=3
)  # fmt: skip


@pytest.fixture(autouse=True)
def few_mazes(monkeypatch):
    monkeypatch.setattr(config, "MAZES", 5)


def luck(runs):
    """Return generators whose numbers go to any device; there are none of a device that is not there."""
    return [step_generator(seed, 0, torch.device("cpu")) for seed in range(runs)]


def there(x):
    """Return tensors like those of ``x`` on the device that is not there."""
    return tree_map_only(torch.Tensor, lambda t: torch.empty(t.shape, dtype=t.dtype, device=META), x)


def begun(c: Config, runs: int):
    """Return a batch of runs before its first step; networks begin on the CPU, where values are looked at."""
    setting, learner = begin(c, range(runs), torch.device("cpu"), runs * [1e-3], runs * [0.5])
    return setting, learner


def online_step(setting, learner, ledger: Ledger):
    """Act, store, update and evaluate once, as ``train`` does, under the ledger's eyes."""
    c, env, runs = setting.config, setting.env, len(learner.q)
    if isinstance(env, ProcMaze):
        env = replace(env, mazes=there(env.mazes))
    setting, learner = there(setting._replace(env=env)), there(learner)
    generators = luck(runs)
    state = env.start(uniforms(generators, (1, env.start_noise), META))
    o = env.observe(state)
    replay = empty_replay(env.observations, state if c.agent == "perfect" else (), runs, c.capacity, META)
    with ledger:
        b, state, o = act(setting, learner, state, o, uniforms(generators, (total(act_shapes(setting)),), META))
        add(replay, c.capacity, b)
        learner = update(setting, learner, replay, c.capacity, generators)
        score = evaluate(setting, learner, generators)
    return learner, replay, state, o, score


@pytest.mark.parametrize("runs", [1, 2])
@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("agent", AGENTS)
def test_a_step_keeps_to_its_device(agent, environment, runs):
    start, ledger = begun(replace(SMALL, agent=agent, environment=environment), runs), Ledger()
    with FakeTensorMode():
        *state, score = online_step(*start, ledger)
    assert score.shape == (runs,)
    tensors = [leaf for leaf in tree_leaves(state) if isinstance(leaf, torch.Tensor)]
    assert all(tensor.device == META and len(tensor) == runs for tensor in tensors), "a first axis of runs"
    assert not ledger.elsewhere


@pytest.mark.parametrize("runs", [1, 2])
@pytest.mark.parametrize("agent", AGENTS)
def test_the_example_keeps_to_its_device(agent, runs):
    c = Offline(agent=agent, pipes=2, transitions=9, batch=4, length=3, hidden=8, layers=1)
    start = begun(c.online, runs)
    data = collect(start[0], range(runs), c.transitions, torch.device("cpu"))
    truth, generators = listed(c.env, c.gamma), luck(runs)
    with FakeTensorMode():
        setting, learner, replay, truth = there((*start, data, truth))
        with Ledger() as ledger:
            learner = update(setting, learner, replay, c.transitions, generators)
            found = measure(setting, learner, truth, groups(replay, truth.reachable), generators)
    assert found.shape[1] == runs
    assert not ledger.elsewhere


PAPER = {(c.agent, c.environment): c for c in ONLINE.tiers["paper"].configs}


RUNS = 30
"""side by side in the paper's tier"""


@pytest.mark.parametrize(("agent", "environment"), PAPER)
def test_a_step_at_the_papers_sizes_fits_on_a_device(agent, environment):
    start, ledger = begun(replace(PAPER[agent, environment], eval_length=2), 1), Ledger()
    with FakeTensorMode():
        state = online_step(*start, ledger)
    assert RUNS * ledger.peak <= 8 * GB
    assert RUNS * sum(x.nbytes for x in tree_leaves(state[1])) <= 4 * GB, "replay, whose size is that of checkpoints"
