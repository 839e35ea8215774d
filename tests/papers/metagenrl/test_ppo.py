"""PPO of fresh agents: densities, the first gradient, what time limits are worth, and that it learns."""

import json
from dataclasses import replace

import jaxtyping
import numpy as np
import pytest
import torch
from torch.distributions import Normal

from tutorlib.lab import Context, Trial, UsageError, recorded
from tutorlib.lab.experiment import filled, plain
from tutorlib.lab.seeds import tuned
from tutorlib.papers.metagenrl import ppo
from tutorlib.papers.metagenrl.algorithm import act
from tutorlib.papers.metagenrl.analysis import score
from tutorlib.papers.metagenrl.experiments import ON_POLICY, PPO, TUNED
from tutorlib.papers.metagenrl.population import moved

CPU = torch.device("cpu")
BASE = replace(TUNED, test_agents=2, steps=4, num_evals=1, hidden=6, batch=3, window=5, copies=2, test_steps=100)
TINY = ppo.PPO(BASE, rollout=25, update_epochs=2, minibatches=2)


@pytest.fixture
def quick():
    """Checks of shapes take most of the time of a loop; other tests have them."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def agents(seed=0):
    """Return the setting, V, and parameters of two agents in CartUp, which has one action, and two in Reach."""
    setting, value = ppo.settings(TINY, 1, CPU)
    n = setting.ac.policy.parameters + setting.ac.actions + value.parameters
    return setting, value, 0.5 * torch.randn(4, n, generator=torch.Generator().manual_seed(seed))


def test_densities_are_those_of_the_actions_that_there_are():
    setting, _, theta = agents()
    o, normal = torch.randn(4, 3, 6), torch.randn(4, 3, 2)
    a, log_pi = ppo.chosen(setting, theta, o, normal)
    phi, log_std, _ = ppo.parts_of(setting, theta)
    law = Normal(act(setting, phi, o), log_std.exp().unsqueeze(1))
    torch.testing.assert_close(log_pi[2:], law.log_prob(a).sum(dim=-1)[2:])
    torch.testing.assert_close(log_pi[:2], law.log_prob(a)[:2, :, 0])
    assert (a[:2, :, 1] == 0).all()
    torch.testing.assert_close((a - law.mean)[2:] / law.scale[2:], normal[2:])


def test_the_first_gradient_is_that_of_the_policy_gradient_and_of_the_values():
    setting, value, theta = agents(1)
    o, a = torch.randn(4, 5, 6), torch.randn(4, 5, 2)
    phi, log_std, _ = ppo.parts_of(setting, theta)
    log_pi = ppo.log_density(setting, act(setting, phi, o), log_std, a)
    advantage, returns = torch.randn(4, 5), torch.randn(4, 5)
    big = replace(TINY, ppo_max_grad_norm=1e6)
    g = ppo.ppo_gradient(setting, value, big, theta, ppo.Rollout(o, a, log_pi, advantage, returns))
    free = theta.clone().requires_grad_()
    phi, log_std, v = ppo.parts_of(setting, free)
    now = ppo.log_density(setting, act(setting, phi, o), log_std, a)
    scaled = (advantage - advantage.mean(1, keepdim=True)) / advantage.std(1, keepdim=True, correction=0)
    loss = -(scaled * now).mean(dim=1) + 0.5 * (value(v, o).squeeze(-1) - returns).square().mean(dim=1)
    (expected,) = torch.autograd.grad(loss.sum(), free)
    torch.testing.assert_close(g, expected, rtol=1e-3, atol=1e-5)
    small = ppo.ppo_gradient(setting, value, TINY, theta, ppo.Rollout(o, a, log_pi, advantage, returns))
    assert (small.norm(dim=1) <= 0.5 + 1e-5).all()


def test_what_time_ended_is_worth_what_would_have_come(monkeypatch, quick):
    """The rewards that advantages are made of are seen, and those of the environments beside them."""
    seen, paid = [], []
    whole = ppo.advantages
    monkeypatch.setattr(ppo, "advantages", lambda r, *rest: seen.append((r, *rest)) or whole(r, *rest))

    def noted(*args):
        steps, place = moved(*args)
        paid.append(steps.reward.flatten(0, 1))
        return steps, place

    monkeypatch.setattr(ppo, "moved", noted)
    ppo.ppo([Trial(TINY, 3)], Context())
    reward, _, _, ended, *_ = (torch.cat([rollout[k] for rollout in seen]) if k in (0, 3) else None for k in range(6))
    more = reward - torch.stack(paid)
    assert ended.nonzero()[:, 0].unique().tolist() == [49, 99], "Reach ends after 50 steps, CartUp after 100"
    assert (more[~ended] == 0).all()
    assert (more[ended] != 0).all()
    seen.clear()
    paid.clear()
    ppo.ppo([Trial(replace(TINY, base=replace(BASE, time_limit_ends=True)), 3)], Context())
    assert torch.equal(torch.cat([rollout[0] for rollout in seen]), torch.stack(paid))


def test_rollouts_divide():
    with pytest.raises(UsageError, match="rollout=30: expected a divisor of test_steps=100"):
        replace(TINY, rollout=30)
    with pytest.raises(UsageError, match="minibatches=3: expected a divisor of 50, the steps of a rollout"):
        replace(TINY, minibatches=3)


def test_it_learns_in_as_many_steps_as_others(quick):
    assert ON_POLICY.base == TUNED
    config = replace(ON_POLICY, lr=1e-3, base=replace(TUNED, test_environments=("reach",), test_agents=2))
    (metrics,) = PPO.run([Trial(config, 1000)], Context())
    assert metrics["returns"].keys() == {"reach"}
    assert len(metrics["returns"]["reach"]["ppo"]) == 2
    course = metrics["evals"]["fresh"]["reach"]
    assert metrics["evals"]["steps"][-1] == TUNED.test_steps == 50 * len(course)
    assert course[-1] > course[0] + 15, "at random an arm earns about -28"


def test_its_rate_is_the_best_one_on_tuning_seeds():
    records = recorded("metagenrl.ppo", "tuning")
    assert {r.seed for r in records} == set(PPO.tiers["tuning"].seeds)
    tried = {json.dumps(plain(c)) for c in PPO.tiers["tuning"].configs}
    assert {json.dumps(filled(r.config, ON_POLICY)) for r in records} == {json.dumps(json.loads(t)) for t in tried}

    def mean_score(own):
        return float(np.mean([score(r, "ppo") for r in own]))

    assert tuned(records, mean_score, ["lr"]) == {"lr": ON_POLICY.lr}
