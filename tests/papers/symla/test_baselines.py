"""RL^2 by PPO: its advantages against plain sums, and a bandit learned in seconds."""

import pytest
import torch

from tutorlib.envs import BernoulliBandit, ContextualBandit
from tutorlib.lab import Checkpoint, Context, UsageError
from tutorlib.lab.errors import NonFiniteError
from tutorlib.papers.symla import baselines
from tutorlib.papers.symla.algorithm import draw_noise, lifetime
from tutorlib.papers.symla.baselines import PPOConfig, ppo, replay
from tutorlib.papers.symla.model import MetaRNN


def test_advantages_of_a_life_are_the_plain_sum():
    g = torch.Generator().manual_seed(0)
    r, v = torch.randn(2, 3, 7, generator=g)
    gamma, lam = 0.9, 0.7
    found = baselines._advantages(r, v, PPOConfig(gamma=gamma, gae_lambda=lam))
    for i in range(3):
        for t in range(7):
            deltas = [r[i, k] + gamma * (v[i, k + 1] if k < 6 else 0.0) - v[i, k] for k in range(t, 7)]
            plain = sum((gamma * lam) ** n * delta for n, delta in enumerate(deltas))
            assert found[i, t].item() == pytest.approx(float(plain), abs=1e-5)


def test_with_lambda_one_an_advantage_is_the_return_minus_the_value():
    g = torch.Generator().manual_seed(1)
    r, v = torch.randn(2, 2, 5, generator=g)
    found = baselines._advantages(r, v, PPOConfig(gamma=1.0, gae_lambda=1.0))
    assert torch.allclose(found, r.flip(1).cumsum(1).flip(1) - v, atol=1e-5)


def test_replay_gives_the_probabilities_that_actions_were_drawn_from():
    env = ContextualBandit(2, 2)
    agent = MetaRNN(2, 2, hidden=8)
    g = torch.Generator().manual_seed(0)
    theta = agent.initial_parameters(g) * 5
    noise = draw_noise(agent, env, 6, 12, g)
    life = lifetime(agent, theta, env, noise, keep_observations=True)
    log_pi, values = replay(agent, torch.cat([theta, torch.zeros(8), torch.tensor([0.5])]), life)
    assert torch.allclose(log_pi.exp().sum(-1), torch.ones(6, 12))
    again = (log_pi + noise.gumbel.transpose(0, 1)).argmax(dim=-1)
    assert torch.equal(again, life.actions)
    assert (values == 0.5).all()
    with pytest.raises(UsageError, match=r"life\.observations=None"):
        replay(agent, torch.zeros(agent.parameters + 9), life._replace(observations=None))


def test_the_ratio_is_one_before_the_first_update(monkeypatch):
    seen = []
    plain = baselines.policy_loss
    monkeypatch.setattr(baselines, "policy_loss", lambda ratio, *x: (seen.append(ratio.detach()), plain(ratio, *x))[1])
    ppo(
        MetaRNN(1, 2, hidden=8),
        BernoulliBandit(2),
        PPOConfig(iterations=2, lifetimes=4, length=10, update_epochs=2),
        0,
        Context(),
    )
    assert len(seen) == 4
    for first in (0, 2):
        assert (seen[first] - 1).abs().max() < 1e-6
        assert (seen[first + 1] - 1).abs().max() > 1e-6


def test_ppo_learns_a_two_armed_bandit():
    """Easy bandits pay .9 or .1; random pulls get .5."""
    settings = PPOConfig(iterations=30, lifetimes=64, length=15)
    theta, rewards = ppo(MetaRNN(1, 2, hidden=16), BernoulliBandit(2, "easy"), settings, 0, Context())
    assert rewards[:2].mean() < 0.56
    assert rewards[-5:].mean() > 0.68
    assert theta.shape == (MetaRNN(1, 2, hidden=16).parameters,)


def test_training_that_was_killed_goes_on_bit_by_bit(tmp_path, monkeypatch):
    agent, env = MetaRNN(1, 2, hidden=8), BernoulliBandit(2)
    settings = PPOConfig(iterations=5, lifetimes=4, length=10, update_epochs=2)
    theta, rewards = ppo(agent, env, settings, 3, Context())
    kept = Context(checkpoint=Checkpoint(tmp_path / "run.ckpt", "run"), save_every=0.0)
    plain, taken = baselines.learn, []

    def killed(*x):
        taken.append(x[4])
        if len(taken) == 4:
            raise KeyboardInterrupt
        return plain(*x)

    monkeypatch.setattr(baselines, "learn", killed)
    with pytest.raises(KeyboardInterrupt):
        ppo(agent, env, settings, 3, kept)
    again = ppo(agent, env, settings, 3, kept)
    assert taken == [0, 1, 2, 3, 3, 4], "no batch twice but the one that was cut off"
    assert torch.equal(again[0], theta)
    assert torch.equal(again[1], rewards)


def test_a_reward_that_is_not_finite_stops_training():
    class Broken(BernoulliBandit):
        def step(self, state, action, u):
            state, reward, ended = super().step(state, action, u)
            return state, reward / 0.0, ended

    with pytest.raises(NonFiniteError, match=r"^reward of step 1 of 2 is not finite \(seed 0\)"):
        ppo(MetaRNN(1, 2, hidden=4), Broken(), PPOConfig(iterations=2, lifetimes=2, length=3), 0, Context())


@pytest.mark.parametrize(("own", "argument"), [
    ({"iterations": 0}, "iterations=0"),
    ({"lr": 0.0}, "lr=0.0"),
    ({"gamma": 1.5}, "gamma=1.5"),
    ({"clip_coef": -1.0}, "clip_coef=-1.0"),
])  # fmt: skip
def test_bad_input_is_named(own, argument):
    with pytest.raises(UsageError) as error:
        PPOConfig(**own)
    assert argument in str(error.value)
