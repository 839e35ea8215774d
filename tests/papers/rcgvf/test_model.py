"""The stacked MLPs beside torch's own, one by one, and the sizes of the released code."""

import math

import pytest
import torch
from torch import nn

from tutorlib.lab import UsageError
from tutorlib.papers.rcgvf.algorithm import Config, settings
from tutorlib.papers.rcgvf.model import MLP, policy_and_value, predict, run


def plain(net, theta):
    """Return torch's MLP with the weights of one network."""
    modules, left = [], theta
    for n, m in zip(net.sizes[:-1], net.sizes[1:], strict=True):
        linear = nn.Linear(n, m)
        w, b, left = left[: n * m], left[n * m : n * m + m], left[n * m + m :]
        linear.load_state_dict({"weight": w.view(n, m).T, "bias": b})
        modules += [linear, nn.ReLU()]
    assert len(left) == 0
    return nn.Sequential(*modules[:-1])


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("sizes", [(3, 2), (4, 6, 5), (4, 6, 7, 2)])
def test_stacked_networks_are_torchs_one_by_one(sizes):
    net = MLP(sizes)
    theta, x = normal(3, net.parameters), normal(3, 11, sizes[0], seed=1)
    found = run(net.layers(theta), x)
    assert found.shape == (3, 11, sizes[-1])
    for i in range(3):
        assert torch.allclose(plain(net, theta[i])(x[i]), found[i], atol=1e-4)


def test_every_head_reads_the_observations_of_its_seed():
    net = MLP((4, 6, 2))
    phi, o = normal(2, 3 * net.parameters), normal(2, 5, 4, seed=1)
    found = predict(net, 3, phi, o)
    assert found.shape == (2, 3, 5, 2)
    for s in range(2):
        for k, own in enumerate(phi[s].split(net.parameters)):
            assert torch.allclose(plain(net, own)(o[s]), found[s, k], atol=1e-5)


def test_the_value_is_the_last_output():
    net = MLP((3, 5, 4))
    theta, o = normal(2, net.parameters), normal(2, 6, 3, seed=1)
    logits, v = policy_and_value(net.layers(theta), o)
    y = run(net.layers(theta), o)
    assert logits.shape == (2, 6, 3)
    assert torch.equal(torch.cat([logits, v.unsqueeze(-1)], dim=-1), y)


def test_sizes_are_those_of_the_released_code():
    c = settings("rcgvf")
    assert c.actor_critic.parameters == 167_435
    assert c.z.parameters == 33_024
    assert c.ensemble * c.predictor.parameters == 263_424
    assert settings("rnd").predictor.sizes == (128, 128, 128)
    assert settings("rnd").ensemble == 1
    assert Config(layers=3, hidden=7, d=5).predictor.sizes == (128, 7, 7, 7, 5)


def test_initial_weights_fill_torchs_range():
    net = MLP((100, 50, 20))
    theta = net.initial(torch.Generator().manual_seed(0))
    assert theta.shape == (net.parameters,)
    for w, b in net.layers(theta.unsqueeze(0)):
        bound = 1 / math.sqrt(w.shape[1])
        for part in (w, b):
            assert part.abs().max() <= bound
            assert part.abs().max() > 0.8 * bound
        assert float(w.std()) == pytest.approx(bound / math.sqrt(3), rel=0.05)
        assert abs(float(w.mean())) < 0.05 * bound


def test_initial_weights_of_the_actor_critic_have_length_one():
    net = MLP((30, 40, 11))
    theta = net.initial_unit(torch.Generator().manual_seed(0))
    assert theta.shape == (net.parameters,)
    for w, b in net.layers(theta.unsqueeze(0)):
        assert torch.allclose(w.square().sum(dim=1), torch.ones(1, w.shape[2]))
        assert (b == 0).all()
        assert w.std() > 0.5 / math.sqrt(w.shape[1])


@pytest.mark.parametrize("sizes", [(3,), (), (3, 0, 2)])
def test_networks_that_cannot_be(sizes):
    with pytest.raises(UsageError, match="sizes"):
        MLP(sizes)


def test_weights_of_another_length_are_refused():
    with pytest.raises(UsageError, match=r"theta=\(2, 9\): expected 8 parameters"):
        MLP((3, 2)).layers(torch.zeros(2, 9))
