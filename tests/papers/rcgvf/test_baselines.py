"""RND, NovelD and PPO: their formulas against loops, and what they share with RC-GVF."""

from dataclasses import replace

import pytest
import torch

from tutorlib.lab import Context, Trial, UsageError
from tutorlib.papers.rcgvf.algorithm import draw_noise, hyper, initial_state, look_back, rollout, settings, train
from tutorlib.papers.rcgvf.baselines import noveld_bonus, novelty
from tutorlib.papers.rcgvf.config import Config
from tutorlib.papers.rcgvf.model import run

SMALL = Config(
    horizon=5, actions=3, num_envs=6, num_steps=10, updates=3, minibatch_size=20, update_epochs=2, d=6, hidden_z=8,
    hidden=8, width=16,
    num_evals=1, beta=0.5, lr=5e-3, max_grad_norm=0.1, layers=1,
)  # fmt: skip
CPU = torch.device("cpu")


def test_novelty_is_the_length_of_the_error():
    z, v = torch.tensor([[3.0, 0.0], [1.0, 1.0]]), torch.tensor([[0.0, 4.0], [1.0, 1.0]])
    assert novelty(z, v).tolist() == [5.0, 0.0]


def test_the_bonus_of_noveld():
    n = torch.rand(2, 6, 3, generator=torch.Generator().manual_seed(0))
    done = torch.rand(2, 5, 3, generator=torch.Generator().manual_seed(1)) < 0.3
    found = noveld_bonus(n, done, 0.5)
    for s in range(2):
        for t in range(5):
            for p in range(3):
                plain = 0.0 if done[s, t, p] else max(float(n[s, t + 1, p]) - 0.5 * float(n[s, t, p]), 0.0)
                assert float(found[s, t, p]) == pytest.approx(plain, abs=1e-6)
    assert ((found == 0) & ~done).any()


@pytest.mark.parametrize("method", ["rnd", "noveld"])
def test_each_observation_is_trained_towards_its_own_target(method):
    c = replace(SMALL, method=method)
    h, state = hyper([Trial(c, 0), Trial(c, 1)], CPU), initial_state(c, [0, 1], CPU)
    past, _ = rollout(c, state.theta, state.e, draw_noise(c, [0, 1], 0, CPU))
    batch, _ = look_back(c, h, state, past)
    assert torch.allclose(batch.g.squeeze(2), run(c.z.layers(state.zeta), batch.o), atol=1e-5)


def test_rc_gvf_without_a_future_and_with_one_head_is_rnd():
    rnd = train([Trial(replace(SMALL, method="rnd"), 3)], Context())
    same = train([Trial(replace(SMALL, bonus="norm", gamma_z=0.0, heads=1), 3)], Context())
    for name in ("theta", "phi"):
        assert torch.allclose(getattr(rnd.state, name), getattr(same.state, name), atol=1e-6)
    assert torch.allclose(rnd.log.bonus, same.log.bonus, atol=1e-6)
    assert torch.allclose(rnd.log.error, same.log.error, atol=1e-5)
    assert (rnd.log.bonus > 0.01).all()
    ahead = train([Trial(replace(SMALL, bonus="norm", gamma_z=0.5, heads=1), 3)], Context())
    assert not torch.allclose(rnd.log.bonus, ahead.log.bonus, atol=1e-3)


def test_ppo_is_what_is_left_without_a_bonus():
    ppo = train([Trial(replace(SMALL, method="ppo"), 1)], Context())
    silent = train([Trial(replace(SMALL, beta=0.0), 1)], Context())
    loud = train([Trial(replace(SMALL, beta=5.0), 1)], Context())
    assert torch.allclose(ppo.state.theta, silent.state.theta, atol=1e-6)
    assert not torch.allclose(ppo.state.theta, loud.state.theta, atol=1e-4)
    assert (ppo.log.bonus == 0).all()
    start = initial_state(replace(SMALL, method="ppo"), [1], CPU)
    assert torch.equal(ppo.state.phi, start.phi), "nothing to be predicted"
    assert not torch.equal(silent.state.phi, initial_state(SMALL, [1], CPU).phi)


def test_noveld_runs_and_differs_from_rnd():
    noveld, rnd = (train([Trial(replace(SMALL, method=method), 0)], Context()) for method in ("noveld", "rnd"))
    assert (noveld.log.bonus > 0).all()
    assert (noveld.log.bonus < rnd.log.bonus).all()


def test_settings():
    assert settings("rcgvf") == Config()
    assert (settings("rnd").beta, settings("rnd").predictor_lr) == (0.5, 0.25)
    assert settings("ppo").method == "ppo"
    with pytest.raises(UsageError, match="did you mean 'noveld'"):
        settings("novel")
