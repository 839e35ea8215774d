"""How agents act, remember and learn side by side: padding, twins, ends, resets, and one iteration by hand."""

from dataclasses import replace

import pytest
import torch

from tutorlib.lab import Context, UsageError
from tutorlib.papers.metagenrl.config import Config, setting_of
from tutorlib.papers.metagenrl.population import (
    Iteration,
    acted,
    begin,
    drawn,
    flat,
    fresh_policies,
    renewed,
    share_learned,
    split,
)

CPU = torch.device("cpu")
SMALL = Config(
    environments=("point", "pend"), agents=4, steps=10, test_environments=("cartup", "reach"), test_agents=2,
    test_steps=10, num_evals=2, hidden=6, batch=4, window=5, objective_hidden=4, action_layers=2, other_layers=1,
    summary=3, memory=4, head_layers=1, copies=2, anneal=4, random_steps=2,
)  # fmt: skip


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def fresh(twins=1, names=("point", "pend"), runs=2, **changes):
    config = replace(SMALL, **changes)
    setting = setting_of(config, CPU, names, runs=runs, twins=twins, per=2)
    return setting, begin(setting, generators(*range(runs)), 200, CPU)


def test_networks_have_the_sizes_of_the_largest_environment():
    setting, life = fresh(names=("cartup", "reach"))
    assert (setting.ac.observations, setting.ac.actions) == (6, 2)
    assert setting.used.tolist() == 2 * [[1, 0], [1, 0], [1, 1], [1, 1]]
    assert life.place.o.shape == (2, 4, 2, 6)
    assert (life.place.o[:, :2, :, 5] == 0).all(), "a cart shows five numbers"
    assert (life.place.o[:, 2:] != 0).all()


def test_policies_begin_with_the_bounds_of_their_own_sizes():
    setting, _ = fresh(hidden=64)
    w = fresh_policies(setting, generators(0, 1))[..., : 4 * 64]
    bounds = torch.tensor([(6 / (n + 64)) ** 0.5 for n in (4, 4, 3, 3)])
    assert ((w.abs().amax(dim=-1) / bounds) <= 1).all()
    assert ((w.abs().amax(dim=-1) / bounds) > 0.97).all()


def test_twins_begin_alike_and_meet_the_same_luck():
    setting, life = fresh(twins=3)
    assert life.learner.phi.shape[1] == 12
    noise = drawn(setting, generators(5, 6), CPU, policy=True)
    for x in (life.learner.phi, life.learner.theta, life.place.o, *noise):
        own = x.unflatten(1, (2, 3, 2))
        assert torch.equal(own[:, :, 0], own[:, :, 1])
        assert torch.equal(own[:, :, 0], own[:, :, 2])
        assert not torch.equal(own[:, :, 0, 0], own[:, :, 0, 1])
        assert not torch.equal(own[0], own[1])


def test_actions_with_noise_and_at_random():
    setting, life = fresh(exploration=0.3)
    noise = drawn(setting, generators(5, 6), CPU, policy=False)
    steps, after = acted(setting, life.learner.phi, life.place, noise, torch.tensor(False))
    pi = split(setting.ac.act(flat(life.learner.phi), flat(life.place.o)), 2)
    used = split(setting.used, 2).unsqueeze(2)
    torch.testing.assert_close(steps.action, ((pi * used + 0.3 * noise.action).clamp(-1, 1)) * used)
    assert (steps.action[:, 2:, :, 1] == 0).all(), "a pendulum has one action"
    random, _ = acted(setting, life.learner.phi, life.place, noise, torch.tensor(True))
    assert torch.equal(random.action, noise.first * used)
    assert random.action.abs().max() > 0.5
    point, pend = setting.envs
    for n, env, size in ((slice(0, 2), point, 2), (slice(2, 4), pend, 1)):
        state = life.place.envs[n.start // 2]
        expected, reward, _ = env.advance(state, steps.action[:, n, :, :size])
        torch.testing.assert_close(steps.reward[:, n], reward)
        torch.testing.assert_close(steps.next[:, n, :, : env.observations], env.observe(expected))
    assert torch.equal(steps.o, life.place.o)
    torch.testing.assert_close(after.o, steps.next)
    torch.testing.assert_close(after.total, steps.reward)


@pytest.mark.parametrize("terminal", [True, False])
def test_ends_returns_and_what_is_seen_last(terminal):
    """A point's episode has 50 steps, a pendulum's 100."""
    setting, life = fresh(time_limit_ends=terminal)
    rewards = []
    for t in range(100):
        noise = drawn(setting, generators(2 * t, 2 * t + 1), CPU, policy=False)
        steps, after = acted(setting, life.learner.phi, life.place, noise, torch.tensor(True))
        rewards.append(steps.reward)
        assert steps.ended[:, :2].all() == steps.ended[:, :2].any() == (t in (49, 99))
        assert steps.ended[:, 2:].all() == steps.ended[:, 2:].any() == (t == 99)
        assert torch.equal(steps.done, steps.ended.float() if terminal else torch.zeros_like(steps.done))
        new = (after.o != steps.next).any(dim=-1)
        assert torch.equal(new, steps.ended), "the next episode begins elsewhere"
        assert not after.returns[~after.finished].any()
        life = life._replace(place=after)
    rewards = torch.stack(rewards)
    torch.testing.assert_close(life.place.returns[:, :2, :, 1], rewards[50:, :, :2].sum(dim=0))
    torch.testing.assert_close(life.place.returns[:, :2, :, 0], rewards[:50, :, :2].sum(dim=0))
    torch.testing.assert_close(life.place.returns[:, 2:, :, 1], rewards[:, :, 2:].sum(dim=0))
    assert torch.equal(life.place.returns[:, 2:, :, 0], life.place.returns[:, 2:, :, 1]), "the only one, twice"
    assert life.place.finished.all()
    assert (life.place.total == 0).all()


def test_nobody_learns_before_all_have_finished_an_episode():
    setting, life = fresh()
    iteration = Iteration(setting, Context())
    assert [n for n in (48, 49, 98, 99, 100) if iteration.learns(n)] == [99, 100]
    first = life.learner.theta.clone()
    for t in range(100):
        noise = drawn(setting, generators(2 * t, 2 * t + 1), CPU, policy=False)
        life = iteration.lived(life, noise, t)
        assert torch.equal(life.learner.theta, first) == (t < 99), t
        w = iteration.windows(life, noise.critic, t)
        assert w.mask.all() == (t >= 99)
    assert torch.equal(life.learner.phi, begin(setting, generators(0, 1), 200, CPU).learner.phi), "policies wait"


def test_each_step_moves_what_it_should():
    setting, life = fresh(polyak=0.9)
    iteration = Iteration(setting, Context())
    for t in range(100):
        life = iteration.lived(life, drawn(setting, generators(2 * t, 2 * t + 1), CPU, policy=False), t)
    noise = drawn(setting, generators(7, 8), CPU, policy=True)
    before = life.learner
    alpha = setting.objective.initial_parameters(1, generators(3)[0]).expand(8, -1)
    weights = torch.tensor([[1.0, 0.0, 0.0]]).expand(8, -1)
    after = iteration.taught(life, alpha, weights, noise, 100, (True, False, False)).learner
    assert torch.equal(after.theta, before.theta)
    moved = (after.phi - before.phi).abs().amax(dim=-1)
    assert (moved > 0).all()
    assert (moved < 2e-3).all(), "Adam's first step is the rate, 1e-3"
    torch.testing.assert_close(after.target_phi, 0.9 * before.target_phi + 0.1 * after.phi)
    torch.testing.assert_close(after.target_theta, 0.9 * before.target_theta + 0.1 * before.theta)
    assert (after.phi_updates == 1).all()
    assert (after.theta_updates == 1).all()


def test_policies_made_anew():
    setting, life = fresh()
    learner = life.learner._replace(
        phi_updates=torch.full((2, 4, 1), 9.0), phi_moments=type(life.learner.phi_moments)(
            torch.ones_like(life.learner.phi), torch.ones_like(life.learner.phi)
        ),
    )  # fmt: skip
    new = fresh_policies(setting, generators(8, 9))
    u = torch.tensor([[0.05, 0.5, 0.0999, 0.1], [0.2, 0.9, 0.01, 0.3]])
    after = renewed(learner, new, u, 0.1)
    here = torch.tensor([[True, False, True, False], [False, False, True, False]])
    for ours, fresh_one, old in (
        (after.phi, new, learner.phi), (after.target_phi, new, learner.target_phi),
        (after.phi_moments.m, 0 * new, learner.phi_moments.m), (after.phi_moments.v, 0 * new, learner.phi_moments.v),
    ):  # fmt: skip
        assert torch.equal(ours, torch.where(here.unsqueeze(-1), fresh_one, old))
    assert torch.equal(after.phi_updates.squeeze(-1), torch.where(here, 0.0, 9.0))
    assert torch.equal(after.theta, learner.theta), "critics stay"


def test_the_change_from_ddpg():
    config = replace(SMALL, hold=10, anneal=4)
    assert [share_learned(config, n) for n in (0, 10, 11, 13, 14, 90)] == [0, 0, 0.25, 0.75, 1, 1]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"window": 51}, "window=51: expected at most 50, the length of the shortest episode"),
        ({"capacity": 199}, "capacity=199: expected at least 200, the longest episode in each of 2 copies"),
        ({"agents": 5}, "agents=5: expected a multiple of 2"),
        ({"environments": ()}, "environments=.*: expected at least one environment"),
        (
            {"test_environments": ("cartpole",)},
            r"test_environments\[0\]='cartpole': expected one of .*did you mean 'car",
        ),
        ({"kind": "whole"}, "kind='whole'"),
        ({"inner_scale": "x"}, "inner_scale='x': expected one of raw, clipped, normalised"),
        (
            {"second_order": "product", "inner_steps": 2},
            "second_order='product': expected exact, where there are sever",
        ),
        ({"num_evals": 3}, r"num_evals=3: expected a divisor of steps \+ test_steps=20"),
        ({"snapshots": 11}, "snapshots=11: expected at most steps=10"),
        ({"inputs": ()}, "inputs="),
        ({"inputs": ("reward", "speed")}, r"inputs\[1\]='speed'"),
        ({"reset": 1.5}, "reset=1.5"),
    ],
)
def test_settings_that_cannot_be_are_named(changes, words):
    with pytest.raises(UsageError, match=words):
        replace(SMALL, **changes)


def test_the_defaults_are_those_of_the_papers_code():
    c = Config()
    told = {
        "agents": 20, "steps": 700_000, "test_steps": 700_000, "hidden": 350, "capacity": 1_000_000, "batch": 100,
        "window": 20, "gamma": 0.99, "gae_lambda": 0.97, "critic_lr": 1e-3, "policy_lr": 1e-3, "max_grad_norm": 1.0,
        "polyak": 0.995, "delay": 2, "target_noise": 0.2, "noise_clip": 0.5, "exploration": 0.1, "random_steps": 10_000,
        "anneal": 10_000, "meta_lr": 1e-3, "inner_lr": 1e-3, "inner_steps": 1, "kind": "full", "copies": 1, "hold": 0,
        "meta_starts": 0, "inner_scale": "raw", "scaled_gain": False, "average": 0.0, "reset": 0.0, "penalty": 0.0,
        "initial": "glorot", "scaled_advantages": False, "last_scale": 1.0, "norm_epsilon": 1e-12,
        "terminal_bonus": 0.0, "official_padding": False, "official_moments": False, "time_limit_ends": True,
    }  # fmt: skip
    assert {name: getattr(c, name) for name in told} == told
    assert c.objective.parameters == 15_497


def test_policies_stay_within_the_bounds_of_environments():
    with pytest.raises(UsageError, match="limit=1.5: expected at most 1, the largest action that environments take"):
        setting_of(replace(SMALL, limit=1.5), CPU, ("point",))
    assert setting_of(replace(SMALL, limit=1.5), CPU, observations=2, actions=1).ac.limit == 1.5
