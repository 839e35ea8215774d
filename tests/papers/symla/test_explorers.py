"""The bandit explorer holds the recorded agent, and its picture shows how that agent does."""

import base64

import numpy as np
import pytest
import torch

from tutorlib.envs import BernoulliBandit
from tutorlib.lab import UsageError, recorded
from tutorlib.papers.symla import explorers, game


def test_the_bandit_explorer_plays_the_recorded_symla(monkeypatch):
    monkeypatch.setattr(explorers, "LIVES", 40)
    (record, *_) = recorded("symla.player")
    explorer = explorers.bandit_explorer(record)
    data = explorer.data
    theta = np.frombuffer(base64.b64decode(data["theta"]), "<f4")
    assert np.allclose(theta, record.metrics["theta"], rtol=1e-6)
    assert data["pulls"] == record.config["length"]
    assert data["seen"] == [int(size) for size in record.config["sizes"].split(",")]
    assert [family["name"] for family in data["families"]] == list(game.RANGES)
    regrets = explorers.mean_regrets(data, record)
    # The player that knows nothing loses what random pulls lose; the others lose less.
    env = BernoulliBandit(data["start"]["arms"], data["start"]["family"])
    random = game.uniform(env, data["pulls"], game.numbered(torch.arange(1, explorers.LIVES + 1)))
    ends = {name: course[-1] for name, course in regrets.items()}
    assert ends.pop("random") == pytest.approx(random.regret.mean(dim=0)[-1].item(), rel=1e-5)
    assert all(end < 0.8 * random.regret.mean(dim=0)[-1].item() for end in ends.values()), ends
    for course in regrets.values():
        assert (np.diff([0.0, *course]) >= -1e-6).all(), "regret never shrinks"


def test_other_records_are_refused():
    with pytest.raises(UsageError, match="symla.player"):
        explorers.bandit_explorer(recorded("symla.bandits")[0])
