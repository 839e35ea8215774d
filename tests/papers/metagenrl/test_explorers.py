"""The microscope holds the recorded objective, and opens on the sentence that the chapter says of it."""

import base64
from dataclasses import replace

import numpy as np
import pytest
import torch

from tutorlib.lab import UsageError
from tutorlib.papers.metagenrl import explorers
from tutorlib.papers.metagenrl.baselines import gae_objective
from tutorlib.papers.metagenrl.experiments import MINUTE

SMALL = replace(
    MINUTE, agents=2, steps=160, test_agents=1, test_steps=120, num_evals=2, hidden=8, batch=3, window=5, copies=2,
    objective_hidden=4, summary=3, memory=4, test_environments=("pend",), hold=60, anneal=20, meta_starts=110,
)  # fmt: skip


def test_the_recorded_objective_is_a_minute_s():
    record = explorers.recorded_objective()
    assert record["config"] == "MINUTE"
    assert record["seed"] == explorers.SEED
    assert len(record["alpha"]) == MINUTE.objective.parameters == 1833
    assert np.shape(record["reward"]) == (MINUTE.batch, MINUTE.window)
    assert np.shape(record["value"]) == (MINUTE.batch, MINUTE.window + 1)
    assert set(record["returns"]) == {"learned 0", "learned 1", "gae", "ddpg"}
    assert explorers.RECORD.read_text().count("\n") == 1


def test_a_record_is_what_examining_gives():
    record = explorers.examined(SMALL, 1001)
    assert record == explorers.examined(SMALL, 1001)
    assert record["environment"] == "pend"
    alpha, pi, seen = explorers.batch_of(record)
    assert (seen.value[:, :, 1:] == seen.following[:, :, :-1]).all()
    learned = explorers.learned_advantages(SMALL, alpha, seen)
    push = -torch.func.grad(lambda p: SMALL.objective(alpha, p, seen).sum())(pi)
    torch.testing.assert_close(push, (2 * learned.unsqueeze(-1) * (seen.action - pi)))
    data = explorers.microscope_explorer(record, SMALL).data
    assert np.allclose(np.frombuffer(base64.b64decode(data["alpha"]), "<f4"), alpha[0])


def test_spreads_are_of_the_pushes_of_the_whole_batch():
    data = explorers.microscope_explorer().data
    alpha, pi, seen = explorers.batch_of(explorers.recorded_objective())
    by_learned = torch.func.grad(lambda p: MINUTE.objective(alpha, p, seen).sum())(pi)
    by_gae = torch.func.grad(lambda p: gae_objective(p, seen, *data["discounts"], scaled=True).sum())(pi)
    found = [float(x.square().mean().sqrt()) for x in (by_learned, by_gae)]
    assert data["spreads"][:2] == pytest.approx(found, rel=1e-6)


def test_it_opens_on_what_the_chapter_says():
    """Step 9 is paid more: GAE's credit moves in all nine steps up to it, the learned one in that step alone."""
    data = explorers.microscope_explorer().data
    assert data["start"] == {"row": "reward", "step": 8, "number": 1.0}
    alpha, _, seen = explorers.batch_of(explorers.recorded_objective())
    paid = seen._replace(reward=seen.reward.clone())
    paid.reward[0, 0, 8] = 1.0
    moved = explorers.learned_advantages(MINUTE, alpha, paid) - explorers.learned_advantages(MINUTE, alpha, seen)
    assert (moved[0, 0] > 0.25).nonzero().flatten().tolist() == [8]
    by_hand = [
        explorers.standardised(explorers.gae(s, MINUTE.gamma, MINUTE.gae_lambda), s.mask)[0, 0] for s in (seen, paid)
    ]
    assert (by_hand[1] - by_hand[0] > 0.25).tolist() == 9 * [True] + [False]


def test_other_objectives_and_worlds_are_refused():
    with pytest.raises(UsageError, match="structured"):
        explorers.microscope_explorer(None, replace(MINUTE, kind="full"))
    with pytest.raises(UsageError, match="single action"):
        explorers.examined(replace(SMALL, test_environments=("reach",)), 1001)
