"""TD(lambda) targets and advantages against worked numbers, plain loops and explicit sums."""

import pytest
import torch

from tutorlib.lab import UsageError
from tutorlib.rl import advantages, lambda_returns


def rollout(*shape, seed=0, share=0.25):
    """Return rewards, values and last values, and where episodes end."""
    g = torch.Generator().manual_seed(seed)
    rewards, values = torch.randn(2, *shape, generator=g, dtype=torch.float64)
    last = torch.randn(*shape[1:], generator=g, dtype=torch.float64)
    return rewards, values, last, torch.rand(*shape, generator=g) < share


def plain_n_step(rewards, values, last, done, gamma, t, n):
    """Return the n-step return of step t of one life: n rewards, then a value, and nothing behind an end."""
    total, weight = 0.0, 1.0
    for k in range(t, t + n):
        total += weight * rewards[k]
        weight *= gamma
        if done[k]:
            return total
    after = t + n
    return total + weight * (values[after] if after < len(values) else last)


def plain_lambda(rewards, values, last, done, gamma, lam, t):
    """Return the lambda-return by its definition: (1 - lam) sum_n lam^(n-1) G^(n), the longest taking the rest."""
    longest = len(rewards) - t
    parts = [plain_n_step(rewards, values, last, done, gamma, t, n) for n in range(1, longest + 1)]
    return sum((1 - lam) * lam ** (n - 1) * part for n, part in enumerate(parts[:-1], 1)) + (
        lam ** (longest - 1) * parts[-1]
    )


NUMBERS = (torch.tensor([1.0, 2.0, 3.0]), torch.tensor([10.0, 20.0, 30.0]), torch.tensor(40.0))


def test_worked_numbers():
    found = lambda_returns(*NUMBERS, torch.tensor([False, False, False]), 0.5, 0.5)
    assert found.tolist() == [9.8125, 15.25, 23.0]


def test_worked_numbers_with_an_end():
    found = lambda_returns(*NUMBERS, torch.tensor([False, True, False]), 0.5, 0.5)
    assert found.tolist() == [6.5, 2.0, 23.0]


def test_lambda_one_sums_to_the_end_and_lambda_zero_looks_one_step_ahead():
    done = torch.tensor([False, False, True])
    assert lambda_returns(*NUMBERS, done, 0.5, 1.0).tolist() == [1 + 0.5 * 2 + 0.25 * 3, 2 + 0.5 * 3, 3]
    assert lambda_returns(*NUMBERS, done, 0.5, 0.0).tolist() == [1 + 0.5 * 20, 2 + 0.5 * 30, 3]


@pytest.mark.parametrize(("gamma", "lam"), [(0.9, 0.7), (0.6, 0.9), (1.0, 0.5), (0.0, 0.9), (0.95, 1.0), (0.95, 0.0)])
def test_the_recursion_is_the_mixture_of_n_step_returns(gamma, lam):
    rewards, values, last, done = rollout(9, 2, 3)
    found = lambda_returns(rewards, values, last, done, gamma, lam)
    for i in range(2):
        for j in range(3):
            own = [part[:, i, j].tolist() for part in (rewards, values, done)]
            for t in range(9):
                plain = plain_lambda(own[0], own[1], float(last[i, j]), own[2], gamma, lam, t)
                assert float(found[t, i, j]) == pytest.approx(plain, abs=1e-12)


@pytest.mark.parametrize(("gamma", "lam"), [(0.99, 0.95), (0.9, 0.0), (1.0, 1.0)])
def test_advantages_are_the_plain_sum_of_errors(gamma, lam):
    rewards, values, last, done = rollout(8, 5, seed=1)
    found = advantages(rewards, values, last, done, gamma, lam)
    for i in range(5):
        after = [*values[1:, i].tolist(), float(last[i])]
        for t in range(8):
            plain, weight = 0.0, 1.0
            for k in range(t, 8):
                alive = not done[k, i]
                plain += weight * (float(rewards[k, i]) + gamma * alive * after[k] - float(values[k, i]))
                weight *= gamma * lam
                if not alive:
                    break
            assert float(found[t, i]) == pytest.approx(plain, abs=1e-12)


def test_a_target_is_the_value_plus_the_advantage():
    parts = rollout(20, 4, 6, seed=2, share=0.1)
    assert torch.allclose(lambda_returns(*parts, 0.97, 0.8), parts[1] + advantages(*parts, 0.97, 0.8), atol=1e-12)


def test_heads_share_rewards_and_every_seed_has_its_own_discount():
    g = torch.Generator().manual_seed(3)
    z, done = torch.randn(7, 2, 1, 4, 3, generator=g), torch.rand(7, 2, 1, 4, 1, generator=g) < 0.3
    v, last = torch.randn(7, 2, 5, 4, 3, generator=g), torch.randn(2, 5, 4, 3, generator=g)
    gamma, lam = torch.tensor([0.3, 0.9]).view(2, 1, 1, 1), torch.tensor([1.0, 0.5]).view(2, 1, 1, 1)
    found = lambda_returns(z, v, last, done, gamma, lam)
    assert found.shape == (7, 2, 5, 4, 3)
    for s, (own_gamma, own_lam) in enumerate([(0.3, 1.0), (0.9, 0.5)]):
        for k in range(5):
            alone = lambda_returns(z[:, s, 0], v[:, s, k], last[s, k], done[:, s, 0], own_gamma, own_lam)
            assert torch.allclose(found[:, s, k], alone, atol=1e-6)


def test_no_value_is_read_and_no_device_is_hidden():
    parts = (torch.zeros(4, 2, device="meta"), torch.zeros(4, 2, device="meta"), torch.zeros(2, device="meta"))
    done, gamma = torch.zeros(4, 2, dtype=torch.bool, device="meta"), torch.zeros(2, device="meta")
    for function in (lambda_returns, advantages):
        assert function(*parts, done, gamma, 0.5).device.type == "meta"


@pytest.mark.parametrize("function", [lambda_returns, advantages])
@pytest.mark.parametrize("wrong", [-0.1, 1.5, float("nan")])
def test_bad_input_is_named(function, wrong):
    done = torch.tensor([False, False, False])
    with pytest.raises(UsageError, match=f"gamma={wrong}: expected a number from 0 to 1"):
        function(*NUMBERS, done, wrong, 0.5)
    with pytest.raises(UsageError, match=f"lam={wrong}: expected a number from 0 to 1"):
        function(*NUMBERS, done, 0.5, wrong)
    with pytest.raises(UsageError, match="values="):
        function(NUMBERS[0], NUMBERS[1][:2], NUMBERS[2], done, 0.5, 0.5)


@pytest.mark.parametrize("name", ["last", "gamma", "lam"])
@pytest.mark.parametrize("axes", [2, 3])
def test_what_is_the_same_at_all_times_has_no_axis_of_time(name, axes):
    rewards, values, last, done = rollout(4, 2)
    own = {"last": last, "gamma": 0.9, "lam": 0.5, name: torch.full((*(axes - 1) * [1], 2), 0.5, dtype=values.dtype)}
    with pytest.raises(
        UsageError, match=f"{name}=.*: expected a tensor with at most 1 axes, those of values after time"
    ):
        advantages(rewards, values, own["last"], done, own["gamma"], own["lam"])


def test_a_rollout_may_be_one_step():
    one = rollout(1, 3, share=0.0)
    rewards, values, last, _ = one
    for found in (advantages(*one, 0.9, 0.5) + values, lambda_returns(*one, 0.9, 0.5)):
        assert torch.allclose(found, rewards + 0.9 * last)
