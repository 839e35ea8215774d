"""The parts of DQN against loops."""

import math

import pytest
import torch

from tutorlib.lab import UsageError
from tutorlib.rl import dqn_targets, softmax_action, td_loss


def drawn(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)).clamp(min=1e-7)


def test_actions_follow_the_softmax():
    """At temperature .1 a gap of .1 gives odds e."""
    q = torch.tensor([0.3, 0.4]).expand(40_000, 2)
    a = softmax_action(q, 0.1, drawn(40_000))
    ones = float(a.double().mean())
    assert ones / (1 - ones) == pytest.approx(math.e, rel=0.04)
    three = torch.tensor([1.0, 2.0, 0.0]).expand(2, 20_000, 3)
    a = softmax_action(three, torch.tensor([0.5, 2.0])[:, None, None], drawn(2, 20_000))
    for seed, temperature in enumerate((0.5, 2.0)):
        share = torch.stack([(a[seed] == k).double().mean() for k in range(3)])
        assert (share - (three[0, 0] / temperature).softmax(dim=-1)).abs().max() < 0.015
    assert softmax_action(torch.zeros(1, 7), 1.0, torch.tensor([1 - 2.0**-24])).tolist() == [6]


def test_targets_and_loss_are_the_plain_sums():
    reward, not_done, q, weight = (drawn(2, 3, seed=seed) for seed in range(4))
    following = drawn(2, 3, 4, seed=5)
    target = dqn_targets(reward, not_done, following, 0.9)
    loss = td_loss(q, target, weight)
    for s in range(2):
        total = 0.0
        for b in range(3):
            best = max(following[s, b].tolist())
            expected = reward[s, b].item() + 0.9 * not_done[s, b].item() * best
            assert target[s, b].item() == pytest.approx(expected, rel=1e-6)
            total += weight[s, b].item() * (q[s, b].item() - expected) ** 2 / 3
        assert loss[s].item() == pytest.approx(total, rel=1e-5)


def test_an_action_is_one_of_those_there_are():
    """Rounded, the probabilities of many actions sum to less than the largest uniform there is."""
    assert softmax_action(torch.zeros(3, 2), 1.0, torch.tensor([0.25, 0.5, 0.75])).tolist() == [0, 1, 1]  # not at .5
    largest = torch.tensor(1 - 2.0**-24)
    short = next(n for n in range(2, 10_000) if torch.zeros(n).softmax(dim=-1).cumsum(dim=-1)[-1] <= largest)
    for batch in ((), (3,), (1, 2)):
        found = softmax_action(torch.zeros(*batch, short), 1.0, largest.expand(batch))
        assert found.shape == batch
        assert (found == short - 1).all()


def test_axes_before_the_batch_are_seeds():
    q, target, weight = (drawn(2, 3, 4, seed=seed) for seed in range(3))
    loss = td_loss(q, target, weight)
    assert loss.shape == (2, 3)
    for s in range(2):
        assert torch.allclose(loss[s], td_loss(q[s], target[s], weight[s]))
        assert torch.allclose(loss[s, 0], td_loss(q[s, 0], target[s, 0], weight[s, 0]))


def test_a_target_takes_an_action_and_any_batch():
    assert dqn_targets(torch.zeros(0), torch.zeros(0), torch.zeros(0, 2), 0.9).shape == (0,)
    assert dqn_targets(torch.tensor(1.0), torch.tensor(0.5), torch.tensor([4.0, 2.0]), 0.5).item() == 2.0
    for batch in ((), (2,), (2, 3)):
        with pytest.raises(UsageError, match="following=.*: expected the value of at least one action"):
            dqn_targets(torch.zeros(batch), torch.zeros(batch), torch.zeros(*batch, 0), 0.9)


def test_bad_arguments_are_named():
    with pytest.raises(UsageError, match="target="):
        td_loss(torch.zeros(2, 3), torch.zeros(2, 4), torch.zeros(2, 3))
    with pytest.raises(UsageError, match="gamma=1.1: expected a number from 0 to 1"):
        dqn_targets(torch.zeros(1), torch.zeros(1), torch.zeros(1, 2), 1.1)
    with pytest.raises(UsageError, match="temperature=0.0: expected a positive number"):
        softmax_action(torch.zeros(1, 2), 0.0, torch.zeros(1))
