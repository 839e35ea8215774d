"""The networks beside torch.nn, their sizes, laws beside torch.distributions, and many seeds beside one."""

import pytest
import torch
from torch.distributions import Categorical, kl_divergence
from torch.distributions import Normal as TorchNormal

from tutorlib.lab import UsageError
from tutorlib.papers.mbrl.model import MLP, Categories, LatentModel, Normal, SimpleModel, draw, kl, split, stop_gradient

MODELS = {
    "simple": SimpleModel(6, 3, hidden=16),
    "gaussian": LatentModel(6, 3, "gaussian", latents=4, hidden=16),
    "categorical": LatentModel(6, 3, "categorical", latents=4, classes=5, hidden=16),
}
every = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


def drawn(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def bits(*shape, seed=0):
    return (drawn(*shape, seed=seed) < 0.5).float()


def everything(model, theta, o, a, u):
    """Return all that a model computes, as a list of tensors."""
    x = model.state(theta, o, u[0])
    prediction = model.predict(theta, x, a)
    law = [prediction.next] if isinstance(prediction.next, torch.Tensor) else list(prediction.next)
    found = [x, prediction.reward, prediction.not_done, *law, model.sample(prediction, u[1])]
    return [*found, model.decode(theta, x)] if isinstance(model, LatentModel) else found


def test_known_numbers_of_parameters():
    """For a maze of 4 x 4: 64 bits and 5 actions."""
    assert MLP(64, 5).parameters == 94_405
    assert SimpleModel(64, 5).parameters == 296_466
    categorical = LatentModel(64, 5)
    assert (categorical.inputs, categorical.noise) == (1024, 32)
    assert MLP(categorical.inputs, 5).parameters == 286_405
    gaussian = LatentModel(64, 5, "gaussian")
    assert gaussian.inputs == gaussian.noise == 32
    assert gaussian.nets["encoder"].outputs == gaussian.nets["next"].outputs == 64
    assert categorical.nets["encoder"].outputs == categorical.nets["next"].outputs == 1024


@pytest.mark.parametrize(
    ("activation", "theirs"), [("elu", torch.nn.ELU), ("relu", torch.nn.ReLU), ("tanh", torch.nn.Tanh)]
)
def test_a_network_is_torchs(activation, theirs):
    net = MLP(7, 4, hidden=9, layers=2, activation=activation)
    theta = net.initial_parameters(1, torch.Generator().manual_seed(0)) + 0.1
    x = drawn(1, 5, 7)
    layers, at = [], 0
    for i, (n, m) in enumerate([(7, 9), (9, 9), (9, 4)]):
        linear = torch.nn.Linear(n, m)
        with torch.no_grad():
            linear.weight.copy_(theta[0, at : at + n * m].view(n, m).T)
            linear.bias.copy_(theta[0, at + n * m : at + n * m + m])
        at += n * m + m
        layers += [linear, theirs()] if i < 2 else [linear]
    assert at == net.parameters == theta.shape[1]
    assert torch.allclose(net(theta, x)[0], torch.nn.Sequential(*layers)(x[0]), atol=1e-5)
    theta = theta.requires_grad_()
    (g,) = torch.autograd.grad(net(theta, x).square().sum(), theta)
    torch.nn.Sequential(*layers)(x[0]).square().sum().backward()
    parts = [part for layer in layers[::2] for part in (layer.weight.grad.T.flatten(), layer.bias.grad)]
    torch.testing.assert_close(g[0], torch.cat(parts), rtol=1e-4, atol=1e-4)


def test_weights_are_cut_at_two_deviations():
    net = MLP(100, 50, hidden=100, layers=1)
    theta = net.initial_parameters(3, torch.Generator().manual_seed(0))
    assert theta.shape == (3, net.parameters)
    w, offset = theta[:, : 100 * 100], theta[:, 100 * 100 : 100 * 101]
    assert (offset == 0).all()
    assert w.abs().max() <= 0.2
    assert w.abs().max() > 0.19
    # The sd of a normal variable cut at two of its sd is .8796 of what it was.
    assert abs(float(w.std()) / 0.1 - 0.8796) < 0.02
    assert not torch.equal(theta[0], theta[1])


@every
def test_many_seeds_are_each_alone(model):
    theta = model.initial_parameters(3, torch.Generator().manual_seed(0))
    assert theta.shape == (3, model.parameters)
    o, a, u = bits(3, 8, 6), torch.eye(3)[torch.arange(24).view(3, 8) % 3], drawn(2, 3, 8, model.noise, seed=1)
    together = everything(model, theta, o, a, u)
    for i in range(3):
        alone = everything(model, *(x[i : i + 1] for x in (theta, o, a)), u[:, i : i + 1])
        for one, every_ in zip(alone, together, strict=True):
            assert torch.allclose(one[0], every_[i], atol=1e-5)
    assert (together[1][0] - together[1][1]).abs().max() > 1e-3


@every
def test_shapes(model):
    theta = model.initial_parameters(2, torch.Generator().manual_seed(0))
    o, a, u = bits(2, 7, 6), torch.eye(3)[torch.arange(14).view(2, 7) % 3], drawn(2, 2, 7, model.noise)
    x, reward, not_done, *_ = found = everything(model, theta, o, a, u)
    assert x.shape == (2, 7, model.inputs)
    assert reward.shape == not_done.shape == (2, 7)
    following = found[-2] if isinstance(model, LatentModel) else found[-1]
    assert following.shape == x.shape
    if isinstance(model, LatentModel):
        assert found[-1].shape == o.shape
    assert all(part.isfinite().all() for part in found)


@every
def test_each_network_has_parameters_of_its_own(model):
    """A change of one network's part of theta changes what that network says, and nothing else."""

    def said(theta):
        prediction = model.predict(theta, x, a)
        law = prediction.next if isinstance(prediction.next, torch.Tensor) else prediction.next[0]
        found = {"reward": prediction.reward, "not_done": prediction.not_done, "next": law}
        latent = isinstance(model, LatentModel)
        return found | ({"encoder": model.encode(theta, o)[0], "decoder": model.decode(theta, x)} if latent else {})

    theta = model.initial_parameters(1, torch.Generator().manual_seed(0))
    o, a, u = bits(1, 7, 6), torch.eye(3)[torch.arange(7).view(1, 7) % 3], drawn(1, 7, model.noise)
    x = model.state(theta, o, u)
    plain, at = said(theta), 0
    assert plain.keys() == model.nets.keys()
    for name, net in model.nets.items():
        other = theta.clone()
        other[:, at : at + net.parameters] += 0.05
        at += net.parameters
        found = said(other)
        assert [key for key in plain if not torch.equal(plain[key], found[key])] == [name]
    assert at == model.parameters


def test_bits_are_sampled_with_their_probability():
    """And with the logit in its place where the paper's code is asked for."""
    logit = torch.tensor([-2.0, 0.0, 0.3, 0.7, 2.0]).expand(1, 20_000, -1)
    u = drawn(1, 20_000, 5)
    for official, p in ((False, torch.sigmoid(logit[0, 0])), (True, logit[0, 0].clamp(0, 1))):
        model = SimpleModel(5, 2, hidden=4, official_bernoulli_logit=official)
        x = torch.zeros(1, 20_000, 5)
        prediction = model.predict(torch.zeros(1, model.parameters), x, torch.zeros(1, 20_000, 2))
        sample = model.sample(prediction._replace(next=logit), u)
        assert set(sample.unique().tolist()) == {0.0, 1.0}
        assert (sample.mean(dim=(0, 1)) - p).abs().max() < 0.015


def test_normal_samples_have_their_law():
    law = Normal(torch.tensor([1.0, -2.0]).expand(1, 20_000, 2), torch.tensor([0.5, 2.0]).expand(1, 20_000, 2))
    phi = draw(law, drawn(1, 20_000, 2).clamp(min=1e-7))
    assert torch.allclose(phi.mean(dim=(0, 1)), torch.tensor([1.0, -2.0]), atol=0.06)
    assert torch.allclose(phi.std(dim=(0, 1)), torch.tensor([0.5, 2.0]), rtol=0.03)


def test_classes_are_sampled_with_their_probability():
    logits = torch.tensor([[0.0, 1.0, -1.0], [2.0, 0.0, 0.0]]).expand(1, 20_000, 2, 3)
    phi = draw(Categories(logits), drawn(1, 20_000, 2)).view(20_000, 2, 3)
    assert torch.equal(phi.sum(dim=-1), torch.ones(20_000, 2))
    assert set(phi.unique().tolist()) == {0.0, 1.0}
    assert (phi.mean(dim=0) - logits[0, 0].softmax(dim=-1)).abs().max() < 0.015
    last = draw(Categories(torch.zeros(1, 1, 1, 7)), torch.full((1, 1, 1), 1 - 2.0**-24))
    assert last.flatten().tolist() == [0, 0, 0, 0, 0, 0, 1], "the last uniform of all is still a class"


def test_gradients_go_straight_through():
    logits = drawn(1, 3, 2, 4).requires_grad_()
    weight = drawn(1, 3, 8, seed=1)
    (found,) = torch.autograd.grad((draw(Categories(logits), drawn(1, 3, 2, seed=2)) * weight).sum(), logits)
    (plain,) = torch.autograd.grad((logits.softmax(dim=-1).flatten(-2) * weight).sum(), logits)
    assert torch.allclose(found, plain)
    mean, sd, u = drawn(1, 3, 2).requires_grad_(), (drawn(1, 3, 2) + 0.1).requires_grad_(), drawn(1, 3, 2, seed=3)
    of_mean, of_sd = torch.autograd.grad(draw(Normal(mean, sd), u).sum(), (mean, sd))
    assert torch.equal(of_mean, torch.ones(1, 3, 2))
    assert torch.allclose(of_sd, TorchNormal(0.0, 1.0).icdf(u), atol=1e-5)


def test_divergences_are_torchs():
    p, q = (Normal(drawn(2, 5, 3, seed=s), drawn(2, 5, 3, seed=s + 1) + 0.1) for s in (0, 2))
    assert torch.allclose(kl(p, q), kl_divergence(TorchNormal(*p), TorchNormal(*q)).sum(-1), atol=1e-5)
    f, g = (Categories(3 * drawn(2, 5, 3, 4, seed=s)) for s in (0, 2))
    plain = kl_divergence(Categorical(logits=f.logits), Categorical(logits=g.logits)).sum(-1)
    assert torch.allclose(kl(f, g), plain, atol=1e-5)
    assert kl(f, f).abs().max() < 1e-6
    with pytest.raises(UsageError, match="second='Categories': expected a law of the same kind as first, Normal"):
        kl(p, f)


def test_a_law_that_is_held_has_no_gradient():
    law = Normal(drawn(1, 2, 3).requires_grad_(), drawn(1, 2, 3).requires_grad_())
    assert all(part.requires_grad for part in law)
    assert not any(part.requires_grad for part in stop_gradient(law))
    assert isinstance(stop_gradient(Categories(drawn(1, 2, 3, 4))), Categories)


def test_deviations_are_two_sigmoids_of_half_and_not_too_small():
    model = LatentModel(2, 2, "gaussian", latents=1, hidden=1, layers=1)
    for head, sd in ((0.0, 1.0), (2.0, 2 / (1 + torch.e**-1.0)), (-100.0, 1e-6)):
        theta = torch.zeros(1, model.parameters)
        parts = split(theta, model.nets)  # views of theta
        parts["encoder"][:, -1] = head
        parts["next"][:, -1] = head
        law = model.encode(theta, torch.zeros(1, 1, 2))
        following = model.predict(theta, torch.zeros(1, 1, 1), torch.zeros(1, 1, 2)).next
        assert float(following.sd) == pytest.approx(sd, rel=1e-5)
        assert float(law.sd) == pytest.approx(sd + 0.1, rel=1e-5), "the encoder's are larger by .1"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MLP(0, 1), "inputs=0: expected a whole number from 1"),
        (lambda: MLP(1, 1, layers=0), "layers=0"),
        (lambda: SimpleModel(4, 0), "actions=0"),
        (lambda: LatentModel(4, 2, "categoricl"), "kind='categoricl'.*did you mean 'categorical'"),
        (lambda: LatentModel(4, 2, classes=1), "classes=1: expected a whole number from 2"),
        (lambda: MLP(3, 1)(torch.zeros(1, 5), torch.zeros(1, 2, 3)), "theta=\\(1, 5\\)"),
        (lambda: split(torch.zeros(1, 5), {"a": MLP(3, 1)}), "theta=\\(1, 5\\)"),
    ],
)
def test_networks_that_cannot_be(make, message):
    with pytest.raises(UsageError, match=message):
        make()
