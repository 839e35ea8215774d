"""Online gradient descent beside autograd, torch's optimisers, the official code and what was measured before."""

import math

import pytest
import torch
import torch.nn.functional as F
from vsml_streams import B, generator, streams

from tutorlib.papers.vsml import descent
from tutorlib.papers.vsml.problem import Streams, sample


def by_autograd(x, y, lr, optimizer, hidden, start):
    """One stream at a time, with autograd and torch's optimisers."""
    answers = []
    for s in range(len(x)):
        weights = [w[s].clone().requires_grad_() for w in start]
        descent = optimizer(weights, lr=lr)
        answers.append([])
        for t in range(x.shape[1]):
            h = torch.tanh(x[s, t] @ weights[0] + weights[1]) if hidden else x[s, t]
            logits = 100 * torch.tanh((h @ weights[-2] + weights[-1]) / 100)
            answers[-1].append(logits.detach())
            descent.zero_grad()
            F.cross_entropy(logits, y[s, t]).backward()
            descent.step()
    return torch.stack([torch.stack(own) for own in answers])


@pytest.mark.parametrize("hidden", [0, 8])
@pytest.mark.parametrize(("learn", "optimizer", "lr"), [
    (descent.online_sgd, torch.optim.SGD, 0.3), (descent.online_adam, torch.optim.Adam, 0.03),
])  # fmt: skip
def test_written_out_gradients_are_those_of_autograd(learn, optimizer, lr, hidden):
    x, y = streams(length=25)
    x = x.double()
    start = descent.initial_parameters(x, B, hidden, generator(5))
    assert all(w.dtype == torch.float64 for w in start)
    ours = learn(x, y, B, lr, hidden, generator(5))
    assert (ours - by_autograd(x, y, lr, optimizer, hidden, start)).abs().max() < 1e-6


def test_the_squashing_is_part_of_the_gradient():
    x, y = streams(length=6)
    x = 300 * x.double()  # outputs in the hundreds, where the squashing bends
    ours = descent.online_sgd(x, y, B, 0.01)
    start = descent.initial_parameters(x, B, 0, None)
    assert ours.abs().max() > 80
    assert torch.allclose(ours, by_autograd(x, y, 0.01, torch.optim.SGD, 0, start), atol=1e-6)


def test_streams_are_learned_apart_whatever_the_axes_before_them():
    x, y = streams(sequences=4)
    alone = torch.cat([descent.online_adam(x[s : s + 1], y[s : s + 1], B, 0.03) for s in range(4)])
    assert torch.allclose(descent.online_adam(x, y, B, 0.03), alone, atol=1e-6)
    members = descent.online_adam(x.unflatten(0, (2, 2)), y.unflatten(0, (2, 2)), B, 0.03)
    assert torch.allclose(members.flatten(0, 1), alone, atol=1e-6)


def test_weights_start_normal_and_cut_and_biases_at_zero():
    w1, b1, w2, b2 = descent.initial_parameters(torch.zeros(4, 1, 64), 10, descent.HIDDEN, generator())
    assert w1.shape == (4, 64, 160)
    assert w2.shape == (4, 160, 10)
    for w, inputs in ((w1, 64), (w2, 160)):
        assert w.abs().max() <= 2 / math.sqrt(inputs)
        assert w.std().item() * math.sqrt(inputs) == pytest.approx(0.8796, rel=0.03), "sd 1 before the cut at two sd"
    assert not b1.any()
    assert not b2.any()
    assert not torch.equal(w1[0], w1[1]), "each stream has a network of its own"
    assert not any(w.any() for w in descent.initial_parameters(torch.zeros(4, 1, 64), 10, 0, None))


def test_online_descent_reaches_on_digits_what_was_measured_before():
    digits = Streams(kinds=("digits",), inputs=64, classes=10, length=500)
    x, y = sample(digits, 16, generator())

    def windows(logits):
        right = (logits.argmax(-1) == y).float().mean(0)
        return right[:50].mean().item(), right[200:].mean().item()

    early, late = windows(descent.online_sgd(x, y, 10, 0.03, generator=generator(1)))
    assert early == pytest.approx(0.34, abs=0.08)
    assert late == pytest.approx(0.89, abs=0.03)
    early, late = windows(descent.online_adam(x, y, 10, 0.01, generator=generator(1)))
    assert early == pytest.approx(0.33, abs=0.08)
    assert late == pytest.approx(0.88, abs=0.03)


@pytest.mark.parametrize(("name", "learn", "lr"), [
    ("sgd1", descent.online_sgd, 0.1), ("sgd2", descent.online_sgd, 0.1),
    ("adam1", descent.online_adam, 0.01), ("adam2", descent.online_adam, 0.01),
])  # fmt: skip
def test_gradient_descent_answers_as_the_official_code_does(name, learn, lr, golden, monkeypatch):
    known = golden("vsml/vsml_baselines")
    layers = ["linear", "linear_1"][: int(name[-1])]
    weights = [
        torch.from_numpy(known[f"{name} sgd/~_network/{n} {part}"]).double()[None] for n in layers for part in "wb"
    ]
    monkeypatch.setattr(descent, "initial_parameters", lambda *_: list(weights))
    x, y = torch.from_numpy(known["x"])[None], torch.from_numpy(known["y"])[None]
    logits = learn(x, y, 4, lr, 6 * (len(layers) - 1), generator())[0]
    assert (logits - torch.from_numpy(known[f"{name} logits"])).abs().max() < 1e-9


@pytest.mark.parametrize("learn", [descent.online_sgd, descent.online_adam])
@pytest.mark.parametrize("hidden", [0, 5])
def test_gradient_descent_is_causal_too(learn, hidden):
    x, y = streams()

    def run(x, y):
        return learn(x, y, B, 0.1, hidden, generator(1))

    before, t = run(x, y), 4
    other_label, other_input = y.clone(), x.clone()
    other_label[:, t] = (y[:, t] + 1) % B
    other_input[:, t] += 1
    assert torch.equal(run(x, other_label)[:, : t + 1], before[:, : t + 1])
    assert torch.equal(run(other_input, y)[:, :t], before[:, :t])
    assert not torch.equal(run(x, other_label)[:, t + 1], before[:, t + 1])
