"""TD3's parts beside plain re-writes: two agents with two critics each."""

import math

import pytest
import torch

from tutorlib.lab import UsageError
from tutorlib.nn import NormedMLP, mixed
from tutorlib.rl import ActorCritic, masked_mean, polyak, smoothed_action, td3_targets, twin_loss


def g(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=g(seed), dtype=torch.double)


def plain(theta, sizes, x, normed, activation, eps=1e-12, open_end=True):
    """One network on one input, entry by entry."""
    at = 0

    def take(n):
        nonlocal at
        at += n
        return theta[at - n : at].tolist()

    for i, (n, m) in enumerate(sizes):
        w, b = take(n * m), take(m)
        x = [sum(x[k] * w[k * m + j] for k in range(n)) + b[j] for j in range(m)]
        if i + 1 < len(sizes) or not open_end:
            x = [activation(v, j, m) for j, v in enumerate(x)]
            if normed:
                gain, offset = take(m), take(m)
                mean = sum(x) / m
                sd = math.sqrt(sum((v - mean) ** 2 for v in x) / m + eps)
                x = [(v - mean) / sd * gain[j] + offset[j] for j, v in enumerate(x)]
    assert at == len(theta)
    return x


def relu(v, j, m):
    return max(v, 0.0)


def half_squared(v, j, m):
    return max(v, 0.0) if j < (m + 1) // 2 else v * v


def tanh(v, j, m):
    return math.tanh(v)


@pytest.mark.parametrize(
    ("name", "activation", "normed", "open_end"),
    [("relu", relu, True, True), ("mixed", half_squared, True, False), ("tanh", tanh, False, True),
     ("mixed", half_squared, False, True)],
)  # fmt: skip
def test_a_perceptron_is_a_plain_one(name, activation, normed, open_end):
    net = NormedMLP(3, 4, hidden=5, layers=2, activation=name, normed=normed, open=open_end)
    theta, x = drawn(2, net.parameters), drawn(2, 3, 2, 3, seed=1)
    y = net(theta, x)
    assert y.shape == (2, 3, 2, 4)
    sizes = [(3, 5), (5, 5), (5, 4)]
    for i in range(2):
        for j in range(3):
            for k in range(2):
                expected = plain(theta[i], sizes, x[i, j, k].tolist(), normed, activation, open_end=open_end)
                torch.testing.assert_close(y[i, j, k], torch.tensor(expected, dtype=torch.double))


@pytest.mark.parametrize("name", ["relu", "tanh", "mixed"])
@pytest.mark.parametrize(("normed", "open_end"), [(True, True), (True, False), (False, True)])
def test_a_derivative_forwards_is_a_central_difference(name, normed, open_end):
    net = NormedMLP(3, 4, hidden=6, layers=2, activation=name, normed=normed, open=open_end)
    theta, along, x = drawn(2, net.parameters), drawn(2, net.parameters, seed=2), drawn(2, 3, 2, 3, seed=1)
    y, dy = net.moved(theta, along, x)
    torch.testing.assert_close(y, net(theta, x))
    h = 1e-6
    torch.testing.assert_close(
        dy, (net(theta + h * along, x) - net(theta - h * along, x)) / (2 * h), rtol=1e-5, atol=1e-6
    )


def test_a_mean_that_is_held_constant_changes_second_derivatives_alone():
    right, held = (NormedMLP(3, 1, 4, 2, constant_mean=constant) for constant in (False, True))
    theta, x = drawn(1, right.parameters), drawn(1, 5, 3, seed=1)

    def slopes(net):
        def first(t):
            return torch.func.grad(lambda t: net(t, x).sum())(t)

        return first(theta), torch.func.grad(lambda t: first(t).square().sum())(theta)

    (one, two), (same, other) = slopes(right), slopes(held)
    torch.testing.assert_close(one, same)
    assert (two - other).norm() > 1e-3 * two.norm()


def test_initial_weights():
    net = NormedMLP(50, 20, hidden=30, layers=1)
    theta = net.initial_parameters(40, g(), last=0.1)
    w1, b1, gain, offset, w2, b2 = theta.split([1500, 30, 30, 30, 600, 20], dim=-1)
    assert not torch.cat([b1, b2, offset], dim=-1).any()
    assert (gain == 1).all()
    assert math.isclose(float(w1.abs().max()), math.sqrt(6 / 80), rel_tol=0.01)
    assert math.isclose(float(w2.abs().max()), 0.1 * math.sqrt(6 / 50), rel_tol=0.01)
    padded = net.initial_parameters(40, g(), fan_in=10, fan_out=2)
    w1, *_, w2, _ = padded.split([1500, 30, 30, 30, 600, 20], dim=-1)
    assert math.isclose(float(w1.abs().max()), math.sqrt(6 / 40), rel_tol=0.01)
    assert math.isclose(float(w2.abs().max()), math.sqrt(6 / 32), rel_tol=0.01)
    w1, b1, *_ = net.initial_parameters(40, g(), "fan-in").split([1500, 30, 680], dim=-1)
    assert math.isclose(float(w1.abs().max()), 1 / math.sqrt(50), rel_tol=0.01)
    assert math.isclose(float(b1.abs().max()), 1 / math.sqrt(50), rel_tol=0.01)
    with pytest.raises(UsageError, match="initial='he': expected one of glorot, fan-in"):
        net.initial_parameters(1, g(), "he")


def test_half_of_the_units_are_squared():
    assert mixed(torch.tensor([-2.0, 3.0, -2.0, 3.0])).tolist() == [0, 3, 4, 9]


def test_policies_and_critics():
    ac = ActorCritic(3, 2, hidden=4, layers=1, activation="tanh", normed=False, limit=1.5)
    phi, theta = drawn(2, ac.policy.parameters), drawn(2, 2 * ac.critic.parameters, seed=1)
    o, a = drawn(2, 6, 3, seed=2), drawn(2, 6, 2, seed=3)
    pi, q, both = ac.act(phi, o), ac.q(theta, o, a), ac.both(theta, o, a)
    for i in range(2):
        first, second = theta[i].chunk(2)
        for j in range(6):
            z = plain(phi[i], [(3, 4), (4, 2)], o[i, j].tolist(), False, tanh)
            torch.testing.assert_close(pi[i, j], torch.tensor([1.5 * math.tanh(v) for v in z], dtype=torch.double))
            x = [*o[i, j].tolist(), *a[i, j].tolist()]
            (q1,), (q2,) = (plain(part, [(5, 4), (4, 1)], x, False, tanh) for part in (first, second))
            assert math.isclose(float(q[i, j]), q1, rel_tol=1e-9)
            assert math.isclose(float(both[i, 0, j]), q1, rel_tol=1e-9)
            assert math.isclose(float(both[i, 1, j]), q2, rel_tol=1e-9)
    with pytest.raises(UsageError, match="theta=.*: expected 58 parameters"):
        ac.both(theta[:, :-1], o, a)
    with pytest.raises(UsageError, match="x=.*: expected a batch for each of 2 networks, with 3 inputs last"):
        ac.act(phi, o[..., :2])


def test_targets_and_the_loss():
    reward, done = drawn(2, 5), (drawn(2, 5, seed=1) > 0).double()
    following, q, mask = drawn(2, 2, 5, seed=2), drawn(2, 2, 5, seed=3), (drawn(2, 5, seed=4) > -0.5).double()
    y = td3_targets(reward, done, following, 0.9)
    paid = td3_targets(reward, done, following, 0.9, bonus=1.0)
    loss = twin_loss(q, y, mask)
    for i in range(2):
        total, count = 0.0, 0
        for j in range(5):
            low = min(float(following[i, 0, j]), float(following[i, 1, j]))
            expected = float(reward[i, j]) + (0.0 if done[i, j] else 0.9 * low)
            assert math.isclose(float(y[i, j]), expected, rel_tol=1e-12)
            assert math.isclose(float(paid[i, j]), expected + float(done[i, j]), rel_tol=1e-12)
            if mask[i, j]:
                total += (float(q[i, 0, j]) - expected) ** 2 + (float(q[i, 1, j]) - expected) ** 2
                count += 1
        assert 0 < count < 5
        assert math.isclose(float(loss[i]), total / count, rel_tol=1e-12)
    assert masked_mean(q[:, 0], 0 * mask).tolist() == [0, 0], "of nothing"
    with pytest.raises(UsageError, match="gamma=1.5"):
        td3_targets(reward, done, following, 1.5)


def test_smoothed_actions_and_copies_that_follow():
    a, noise = torch.tensor([[0.9, -0.2]]), torch.tensor([[0.3, -2.0]])
    torch.testing.assert_close(smoothed_action(a, noise, 0.5), torch.tensor([[1.0, -0.7]]))
    torch.testing.assert_close(smoothed_action(a, noise, 0.5, 2.0), torch.tensor([[1.2, -0.7]]))
    torch.testing.assert_close(polyak(torch.tensor([[1.0]]), torch.tensor([[0.0]]), 0.98), torch.tensor([[0.98]]))
    with pytest.raises(UsageError, match="keep=1.2"):
        polyak(a, a, 1.2)


def test_agents_side_by_side_learn_what_each_learns_alone():
    ac = ActorCritic(3, 2, hidden=4)
    theta, o, a = drawn(3, 2 * ac.critic.parameters), drawn(3, 6, 3, seed=2), drawn(3, 6, 2, seed=3)
    y, mask = drawn(3, 6, seed=4), torch.ones(3, 6, dtype=torch.double)

    def slope(t, n):
        return torch.func.grad(lambda t: twin_loss(ac.both(t, o[n], a[n]), y[n], mask[n]).sum())(t)

    together = slope(theta, slice(None))
    for i in range(3):
        torch.testing.assert_close(slope(theta[i : i + 1], slice(i, i + 1)), together[i : i + 1])
