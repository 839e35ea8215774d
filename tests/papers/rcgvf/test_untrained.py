"""What is known of grid worlds before learning, and the constants of the claims that come from it."""

from dataclasses import replace

import pytest
import torch

from tutorlib.envs.lock import Lock
from tutorlib.nn import uniform
from tutorlib.papers.rcgvf import claims, experiments, recurrent, untrained

GRID = replace(experiments.GRID, levels=512)
SEEDS = range(1000, 1006)


def test_what_is_paid_first_grows_with_the_weight_and_is_each_seeds_own():
    one, two = (untrained.first_pay(replace(GRID, beta=beta), (1000, 1001)) for beta in (1.0, 3.0))
    assert two == pytest.approx([3 * x for x in one], rel=1e-5)
    assert one[0] != one[1]
    assert untrained.first_pay(replace(GRID, beta=1.0), (1001,)) == pytest.approx(one[1:], rel=1e-4)


def test_the_matching_weight_of_the_same_network_is_its_own():
    assert untrained.matching_weight(GRID, GRID.d, 0.3, (1000,)) == pytest.approx(0.3)


@pytest.mark.parametrize("task", claims.LUCK)
def test_chance_is_as_the_claims_say(task):
    """Each environment ends at least one episode, and on other levels the share is the same within 0.02."""
    c = replace(GRID, task=task, num_envs=1024)
    won, ended = untrained.random_play(c, 1, torch.Generator().manual_seed(1))
    assert ended >= 1024
    assert abs(won / ended - claims.LUCK[task]) < 0.02


@pytest.mark.parametrize(
    ("label", "changes", "beta"),
    [
        ("RC-GVF", {}, 0.1),
        ("RC-GVF, panorama", {"panorama": True}, 0.1),
        ("RND", {"method": "rnd"}, 5e-4),
        ("NovelD", {"method": "noveld"}, 0.01),
        ("NovelD + counts", {"method": "noveld", "counts": True}, 0.01),
    ],
)
def test_strengths_are_as_the_claims_say(label, changes, beta):
    c = replace(GRID, **changes)
    assert recurrent.settings(c.method).beta == beta
    assert untrained.matching_weight(c, 128, beta, SEEDS) == pytest.approx(claims.MATCHING[label], rel=0.35)


def test_methods_without_random_networks_have_the_released_weights():
    agac, ppo = recurrent.settings("agac"), recurrent.settings("ppo")
    assert claims.MATCHING["AGAC"] == agac.adversary
    assert claims.MATCHING["AGAC + counts"] == agac.beta_counts
    assert claims.MATCHING["PPO + counts"] == ppo.beta_counts


def test_how_far_chance_comes_in_the_lock():
    """By hand for one episode and for three columns; and as it is in the lock itself."""
    assert untrained.random_farthest(Lock(20, 10), 0) == 0
    assert untrained.random_farthest(Lock(20, 10), 1) == pytest.approx(sum(10.0**-k for k in range(1, 20)))
    assert untrained.random_farthest(Lock(3, 2), 2) == pytest.approx((1 - 1 / 4) + (1 - 9 / 16))
    assert untrained.random_farthest(Lock(3, 2), 10**6) == pytest.approx(2)
    env, generator, episodes, times = Lock(6, 3), torch.Generator().manual_seed(0), 20, 2000
    state, far = env.start(uniform(generator, times, episodes, env.start_noise)), torch.zeros(times, episodes)
    for _ in range(env.horizon):
        far = torch.maximum(far, state.good_column.to(far.dtype))
        action = torch.randint(env.actions, far.shape, generator=generator)
        state, _, _ = env.step(state, action, uniform(generator, times, episodes, env.step_noise))
    found = far.amax(dim=1)
    error = float(found.std()) / times**0.5
    assert float(found.mean()) == pytest.approx(untrained.random_farthest(env, episodes), abs=3 * error)
