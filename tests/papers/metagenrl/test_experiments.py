"""A tiny run: killed and resumed, side by side and alone, on no device, as whole graphs; what it tells."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jaxtyping
import pytest
import torch
from torch.utils import _pytree as pytree

from tutorlib.lab import Checkpoint, Context, Trial
from tutorlib.lab.dry import rehearse
from tutorlib.lab.experiment import plain
from tutorlib.lab.progress import Silent
from tutorlib.papers.metagenrl.experiments import (
    ABLATED,
    ALL,
    EXPERIMENTS,
    INNER,
    LEFT_OUT,
    MINUTE,
    POPULATION,
    TRAIN,
    TUNED,
)
from tutorlib.papers.metagenrl.training import State, first_state, rates_of, train, ways, weights_of

TINY = replace(
    MINUTE, agents=4, steps=108, test_agents=2, test_steps=106, num_evals=2, hidden=6, batch=4, window=5,
    objective_hidden=4, summary=3, memory=4, copies=2, hold=100, anneal=4, meta_starts=100, random_steps=50,
    reset_every=101, reset=0.5,
)  # fmt: skip
FULL = replace(TINY, kind="full", second_order="exact", inner_scale="raw", average=0.0, snapshots=2)


class StoppedError(Exception):
    """The run was killed here."""


class UpTo(Silent):
    def __init__(self, most):
        self.most = most

    def advance(self, n=1, note=""):
        self.most -= n
        if self.most == 0:
            raise StoppedError


def leaves(state):
    return [x for x in pytree.tree_leaves(state) if isinstance(x, torch.Tensor)]


@pytest.fixture(autouse=True)
def quick():
    """Checks of shapes take most of the time of a loop; other tests have them."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize("config", [TINY, FULL], ids=["structured", "full"])
def test_a_run_that_was_killed_in_either_half_is_the_whole_run(config, tmp_path):
    whole = train([Trial(config, 3)], Context())
    for end in (104, 100):  # within meta-training, and 204 iterations in: within meta-testing
        context = Context(checkpoint=Checkpoint(tmp_path / "run", "a"), progress=UpTo(end), save_every=0.0)
        with pytest.raises(StoppedError):
            train([Trial(config, 3)], context)
    resumed = train([Trial(config, 3)], Context(checkpoint=Checkpoint(tmp_path / "run", "a")))
    for x, y in zip(leaves(resumed.state), leaves(whole.state), strict=True):
        assert torch.equal(x, y)
    assert all(torch.equal(x, y) for x, y in zip(resumed.looks, whole.looks, strict=True))


def test_runs_side_by_side_are_the_runs_alone():
    both = train([Trial(FULL, 3), Trial(FULL, 4)], Context())
    for i, seed in enumerate((3, 4)):
        alone = train([Trial(FULL, seed)], Context())
        for x, y in zip(leaves(both.state), leaves(alone.state), strict=True):
            torch.testing.assert_close(x[i : i + 1].double(), y.double(), rtol=1e-3, atol=1e-4)
    assert not torch.allclose(both.state.shared.alpha[0], both.state.shared.alpha[1])


def test_the_objective_is_taken_at_its_moments_and_policies_change():
    begun, found = first_state(FULL, [3], torch.device("cpu")), train([Trial(FULL, 3)], Context())
    assert isinstance(found.state, State)
    snapshots = found.state.snapshots[0]
    assert snapshots.shape == (3, FULL.objective.parameters)
    assert torch.equal(snapshots[0], begun.shared.alpha[0])
    assert torch.equal(snapshots[0], snapshots[1]), "after 54 of 108 iterations nobody has learnt"
    assert torch.equal(snapshots[2], found.state.shared.mean[0])
    assert not torch.equal(snapshots[2], snapshots[0])
    assert torch.equal(found.state.shared.mean, found.state.shared.alpha), "without a running mean it is alpha"
    mean = train([Trial(TINY, 3)], Context()).state.shared
    assert not torch.equal(mean.mean, mean.alpha)
    phi = found.state.fresh.learner.phi[0].unflatten(0, (2, 5, 2))
    start = begun.fresh.learner.phi[0].unflatten(0, (2, 5, 2))
    assert torch.equal(start[:, 0], start[:, 4])
    assert torch.equal(phi[:, 0], phi[:, 1]), "the same objective"
    for one, other in ((0, 2), (2, 3), (3, 4), (0, 4)):
        assert not torch.equal(phi[:, one], phi[:, other]), (ways(FULL)[one], ways(FULL)[other])


def test_the_ways_to_learn():
    assert ways(FULL) == ["learned 0", "learned 1", "learned 2", "gae", "ddpg"]
    assert weights_of(FULL, torch.device("cpu")).tolist() == [[1, 0, 0], [1, 0, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]]


def test_what_a_run_tells():
    (metrics,) = TRAIN.run([Trial(TINY, 0)], Context())
    json.dumps(metrics)
    assert metrics["returns"].keys() == {"cartup", "reach"}
    assert metrics["returns"]["reach"].keys() == {"learned 0", "learned 1", "gae", "ddpg"}
    assert all(len(r) == 2 for env in metrics["returns"].values() for r in env.values())
    evals = metrics["evals"]
    assert evals["iterations"] == [107, 214]
    assert evals["population"].keys() == evals["alignment"].keys() == {"point", "pend"}
    assert evals["fresh"]["cartup"]["ddpg"][0] == 0, "fresh agents begin after meta-training"
    assert evals["fresh"]["cartup"]["ddpg"][1] != 0
    last = metrics["returns"]["cartup"]["gae"]
    assert abs(evals["fresh"]["cartup"]["gae"][-1] - sum(last) / 2) < 1e-3
    assert 0 < abs(evals["alignment"]["point"][1]) < 1
    assert all(loss != 0 for loss in evals["loss"])
    more = TRAIN.run([Trial(replace(TINY, num_evals=107), 0)], Context())[0]["evals"]["loss"]
    assert [i for i, loss in enumerate(more) if loss] == [50, 51, 52, 53], "no step before 100 and after 107"


def test_the_loss_of_the_objective_is_a_mean_over_its_steps():
    log = train([Trial(TINY, 0), Trial(TINY, 1)], Context()).log
    assert log.loss.shape == log.learnt.shape == (214, 2)
    steps = [101, 103, 105, 107]
    assert log.learnt.nonzero()[:, 0].unique().tolist() == steps
    assert (log.loss[steps] != 0).all()
    first, _ = (metrics["evals"]["loss"] for metrics in TRAIN.run([Trial(TINY, 0), Trial(TINY, 1)], Context()))
    assert first[0] == pytest.approx(float(log.loss[[101, 103, 105], 0].mean()), rel=1e-4), "up to the look after 107"


@pytest.mark.parametrize("config", [TINY, FULL], ids=["structured", "full"])
def test_a_step_keeps_to_its_device(config):
    found = rehearse(TRAIN, [Trial(config, 0), Trial(config, 1)])
    (loop,) = found.loops
    assert loop.launches > 0
    assert not loop.elsewhere, "on the host, or copied from it, in a step"


def test_steps_are_whole_graphs_that_do_what_the_eager_ones_do():
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("traced_steps.py"))], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {}


def test_the_minute_is_the_live_tier():
    assert TRAIN.tiers["live"].configs == (MINUTE,)


def test_a_study_differs_from_the_minute_in_what_it_is_about():
    """``TUNED`` may differ in rates."""

    def others(config):
        mine, base = plain(config), plain(TUNED)
        return {name for name in mine if mine[name] != base[name]}

    assert {name for name in plain(TUNED) if plain(TUNED)[name] != plain(MINUTE)[name]} <= {
        "policy_lr", "gae_lr", "ddpg_lr",
    }  # fmt: skip
    fields = (
        (TRAIN, {"snapshots"}),
        (LEFT_OUT, {"environments", "test_environments", "agents"}),
        (ABLATED, {"inputs"}),
        (INNER, {"inner_steps", "second_order"}),
        (POPULATION, {"environments", "agents"}),
    )
    assert tuple(experiment for experiment, _ in fields) == EXPERIMENTS[:5], "evolution has a test of its own"
    for experiment, own in fields:
        for config in experiment.tiers["study"].configs:
            assert others(config) <= own, experiment.name
    assert {c.test_environments for c in LEFT_OUT.tiers["study"].configs} == {(name,) for name in ALL}
    for c in LEFT_OUT.tiers["study"].configs:
        assert {*c.environments, *c.test_environments} == {*ALL}


def test_fresh_agents_have_the_rate_of_their_way():
    config = replace(TINY, gae_lr=2e-3, ddpg_lr=5e-3, policy_lr=3e-3, steps=108)
    assert rates_of(config, torch.device("cpu")).squeeze(-1).tolist() == pytest.approx([3e-3, 3e-3, 2e-3, 5e-3])
    one, other = (train([Trial(c, 3)], Context()).state for c in (config, replace(config, ddpg_lr=1e-3)))
    same = [torch.equal(x, y) for x, y in zip(*(by_way(s.fresh.learner.phi) for s in (one, other)), strict=True)]
    assert same == [True, True, True, False]
    assert torch.equal(one.shared.alpha, other.shared.alpha)


def by_way(phi):
    """Return what agents of each way are, from phi of one run."""
    return phi[0].unflatten(0, (2, 4, 2)).unbind(1)
