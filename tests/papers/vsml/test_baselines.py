"""The learners to compare with: each against a plain loop, causality, and the sizes of the paper's code."""

import math

import pytest
import torch
import torch.nn.functional as F
from vsml_streams import A, B, generator, streams

from tutorlib.lab import UsageError
from tutorlib.nn import FlatModule
from tutorlib.papers.vsml import baselines, descent
from tutorlib.papers.vsml.baselines import LEARNERS
from tutorlib.papers.vsml.online import Sizes
from tutorlib.papers.vsml.problem import Streams, sample

SMALL = Sizes(rnn=7, controller=5, slots=3, fast=4)


def drawn(name, seed=0, spread=1.0, sizes=SMALL):
    """Return a learner and a theta in which nothing is zero, so that every term of a formula counts."""
    module = baselines.build(name, A, B, sizes)
    theta = baselines.initial_parameters(module, generator(seed))
    return FlatModule(module), theta + spread * 0.3 * torch.randn(theta.shape, generator=generator(seed + 1))


# The official code, example by example

LAYERS = {  # of the file of known answers, in the order of our parameters
    "metarnn": ("meta-rnn", [f"meta_rnn/~/{layer} {part}" for layer in ("lstm/linear", "linear") for part in "wb"]),
    "hebb": ("hebbian", [f"hebbian_fw/~/hebbian_linear {part}" for part in ("w", "b", "coeff", "fw_lr")]),
    "oja": ("oja", [f"hebbian_fw/~/hebbian_linear {part}" for part in ("w", "b", "coeff", "fw_lr")]),
}  # fmt: skip


def official_theta(name, known):
    """Return our learner's name, and theta made of the known answers' weights."""
    if name in LAYERS:
        own, layers = LAYERS[name]
        return own, [torch.from_numpy(known[f"{name} {layer}"]) for layer in layers]
    layer = {
        (number, part): torch.from_numpy(known[f"fwmem fw_memory/~/{number} {part}"])
        for number in ("lstm/linear", "linear", "linear_1", "linear_2", "linear_3")
        for part in ("w", "b")
    }
    # The code writes by [k1, k2, v, beta] and reads by [q1, q2] of another linear map.
    memory = [
        torch.cat([write[..., :-1], layer["linear_2", part], write[..., -1:]], dim=-1)
        for part, write in (("w", layer["linear_1", "w"]), ("b", layer["linear_1", "b"]))
    ]
    ours = [layer["lstm/linear", "w"], layer["lstm/linear", "b"], *memory]
    return "fast-weight-memory", [*ours, *(layer[number, part] for number in ("linear_3", "linear") for part in "wb")]


@pytest.mark.parametrize("name", ["metarnn", "hebb", "oja", "fwmem"])
def test_a_meta_trained_learner_answers_as_the_official_code_does(name, golden):
    known = golden("vsml/vsml_baselines")
    x, y = torch.from_numpy(known["x"]), torch.from_numpy(known["y"])
    own, weights = official_theta(name, known)
    f = FlatModule(baselines.build(own, 8, 4, Sizes(rnn=12, controller=7, slots=3)))
    assert [w.numel() for w in weights] == f.sizes
    theta = torch.cat([w.flatten().double() for w in weights])
    logits = f(theta, x.unsqueeze(0), y.unsqueeze(0))[0]
    assert (logits - torch.from_numpy(known[f"{name} logits"])).abs().max() < 1e-9


# Learners that are meta-trained: plain loops over sequences and examples, in float64


def parts(name, theta, sizes=SMALL):
    f = FlatModule(baselines.build(name, A, B, sizes))
    pieces = theta.double().split(f.sizes)
    return {n: piece.view(shape) for n, piece, shape in zip(f.names, pieces, f.shapes, strict=True)}


def sigmoid(z):
    return 1 / (1 + torch.exp(-z))


def one_hot(label):
    return torch.eye(B, dtype=torch.float64)[label]


def softmax(z):
    return torch.exp(z) / torch.exp(z).sum()


def squash(z):
    return 100 * torch.tanh(z / 100)


def lstm_by_hand(p, u, h, c):
    n = len(h)
    z = torch.cat([u, h]) @ p["w_lstm"] + p["b_lstm"]
    i, g, f, o = z[:n], z[n : 2 * n], z[2 * n : 3 * n], z[3 * n :]
    c = sigmoid(f + 1) * c + sigmoid(i) * torch.tanh(g)
    return sigmoid(o) * torch.tanh(c), c


def meta_rnn(p, x, y):
    h = c = torch.zeros(SMALL.rnn, dtype=torch.float64)
    error = label = torch.zeros(B, dtype=torch.float64)
    for x_t, y_t in zip(x, y, strict=True):
        for _ in range(2):
            h, c = lstm_by_hand(p, torch.cat([x_t, error, label]), h, c)
        logits = squash(h @ p["w_out"] + p["b_out"])
        yield logits
        label = one_hot(y_t)
        error = softmax(logits) - label


def plastic(p, x, y, oja):
    n = A + 2 * B
    fast = torch.zeros(n, B, dtype=torch.float64)
    eta = sigmoid(p["eta"])
    zeros = torch.zeros(2 * B, dtype=torch.float64)
    for x_t, y_t in zip(x, y, strict=True):
        w = p["w_out"] + p["alpha"] * fast
        logits = squash(torch.cat([x_t, zeros]) @ w + p["b_out"])
        yield logits
        u = torch.cat([x_t, softmax(logits) - one_hot(y_t), one_hot(y_t)])
        v = softmax(u @ w + p["b_out"])
        new = fast.clone()
        for a in range(n):
            for b in range(B):
                if oja:
                    new[a, b] = fast[a, b] + (eta * v[b] * (u[a] - v[b] * fast[a, b]))[0]
                else:
                    new[a, b] = ((1 - eta) * fast[a, b] + eta * u[a] * v[b])[0]
        fast = new


def memory(p, x, y):
    n, d = SMALL.controller, SMALL.slots
    h = c = torch.zeros(n, dtype=torch.float64)
    error = label = torch.zeros(B, dtype=torch.float64)
    held = torch.zeros(d, d * d, dtype=torch.float64)
    for x_t, y_t in zip(x, y, strict=True):
        h, c = lstm_by_hand(p, torch.cat([x_t, error, label]), h, c)
        z = h @ p["w_memory"] + p["b_memory"]
        k1, k2, v, q1, q2 = (torch.tanh(z[i * d : (i + 1) * d]) for i in range(5))
        beta = sigmoid(z[5 * d])
        key = torch.stack([k1[i] * k2[j] for i in range(d) for j in range(d)])
        held = held + beta * torch.outer(v - held @ key, key)
        held = held / max(1.0, held.square().sum().sqrt().item())
        read = held @ torch.stack([q1[i] * q2[j] for i in range(d) for j in range(d)])
        read = (read - read.mean()) / (read.var(correction=0) + 1e-5).sqrt()
        logits = squash((h + read @ p["w_read"] + p["b_read"]) @ p["w_out"] + p["b_out"])
        yield logits
        label = one_hot(y_t)
        error = softmax(logits) - label


def delta(p, x, y):
    held = torch.zeros(SMALL.fast, SMALL.fast, dtype=torch.float64)
    zeros = torch.zeros(2 * B, dtype=torch.float64)
    for x_t, y_t in zip(x, y, strict=True):
        q = softmax(torch.cat([x_t, zeros]) @ p["w_query"])
        logits = squash(held @ q @ p["w_out"] + p["b_out"])
        yield logits
        u = torch.cat([x_t, softmax(logits) - one_hot(y_t), one_hot(y_t)])
        k, v, beta = softmax(u @ p["w_key"]), u @ p["w_value"], sigmoid(u @ p["w_beta"] + p["b_beta"])
        held = held + beta * torch.outer(v - held @ k, k)


def programmer(p, x, y, first):
    held = first.double()  # [classes, fast]
    answer = error = label = torch.zeros(B, dtype=torch.float64)
    n = SMALL.fast
    for x_t, y_t in zip(x, y, strict=True):
        made = torch.cat([x_t, answer, error, label]) @ p["w_slow"] + p["b_slow"]
        k, v, q, beta = made[:n], made[n : n + B], made[n + B : 2 * n + B], sigmoid(made[-1])
        held = held + beta * torch.outer(v - held @ k, k)
        answer = squash(held @ q)
        yield answer
        label = one_hot(y_t)
        error = softmax(answer) - label


LOOPS = {
    "meta-rnn": meta_rnn,
    "hebbian": lambda p, x, y: plastic(p, x, y, oja=False),
    "oja": lambda p, x, y: plastic(p, x, y, oja=True),
    "fast-weight-memory": memory,
    "delta-rule": delta,
    "fast-weight-programmer": programmer,
}


@pytest.mark.parametrize("name", LEARNERS)
def test_a_learner_is_its_plain_loop(name):
    x, y = streams()
    f, theta = drawn(name, spread=1.0 if name == "fast-weight-programmer" else 2.0)
    first = baselines.initial_memory(f.module, x.double(), generator(4))
    start = () if first is None else (first,)
    ours = f(theta.double(), x.double(), y, *start)
    p = parts(name, theta)
    every = range(len(x))
    loop = torch.stack([torch.stack(list(LOOPS[name](p, x[s].double(), y[s], *(m[s] for m in start)))) for s in every])
    assert ours.shape == (3, 9, B)
    assert (ours - loop).abs().max() < 1e-9
    assert (ours[:, 1:] - ours[:, :-1]).abs().max() > 0.05


@pytest.mark.parametrize("name", LEARNERS)
def test_no_learner_sees_a_label_before_it_answers_or_a_later_example(name):
    x, y = streams()
    f, theta = drawn(name, spread=0.5 if name == "fast-weight-programmer" else 2.0)  # under long keys it explodes
    before = f(theta, x, y)
    for t in (0, 4):
        other_label, other_input = y.clone(), x.clone()
        other_label[:, t] = (y[:, t] + 1) % B
        other_input[:, t] += 1
        label, later = f(theta, x, other_label), f(theta, other_input, y)
        assert torch.equal(label[:, : t + 1], before[:, : t + 1])
        assert torch.equal(later[:, :t], before[:, :t])
        assert not torch.equal(label[:, t + 1], before[:, t + 1]), "what was learned depends on the label"
        if t or name != "delta-rule":  # which has nothing to answer with before the first example
            assert not torch.equal(later[:, t], before[:, t])


@pytest.mark.parametrize("name", LEARNERS)
def test_many_thetas_run_as_one_batch(name):
    f, one = drawn(name)
    _, two = drawn(name, seed=7)
    (x1, y1), (x2, y2) = streams(), streams(seed=3)
    both = f(torch.stack([one, two]), torch.stack([x1, x2]), torch.stack([y1, y2]))
    assert torch.allclose(both[0], f(one, x1, y1), atol=1e-5)
    assert torch.allclose(both[1], f(two, x2, y2), atol=1e-5)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_gradient_reaches_every_part_of_theta(name):
    f, _ = drawn(name)
    # From the start itself, with its zeros: no NaN where a norm or a LayerNorm begins at nothing.
    theta = baselines.initial_parameters(f.module, generator()).requires_grad_()
    x, y = streams()
    F.cross_entropy(f(theta, x, y).flatten(0, 1), y.flatten()).backward()
    assert theta.grad.isfinite().all()
    for name_of_part, g in zip(f.names, theta.grad.split(f.sizes), strict=True):
        assert g.abs().max() > 0, name_of_part


@pytest.mark.parametrize("name", LEARNERS)
def test_narrow_inputs_are_padded_with_zeros(name):
    f, theta = drawn(name)
    x, y = streams()
    narrow = x[..., :4]
    assert torch.equal(f(theta, narrow, y), f(theta, F.pad(narrow, (0, 2)), y))
    with pytest.raises(UsageError, match="at most 6 entries"):
        f(theta, torch.cat([x, x], dim=-1), y)


def test_sizes_are_those_of_the_code():
    assert FlatModule(baselines.build("meta-rnn", 784, 62)).size == 538_942, "the code's count, padded to all sets"
    f = FlatModule(baselines.build("fast-weight-memory", 64, 10))
    assert f.module.start(torch.zeros(2, 64))[2].shape == (2, 16, 256)
    assert f.module.hidden == 32
    assert baselines.build("delta-rule", 64, 10).start(torch.zeros(2, 64)).shape == (2, 64, 64)
    programmer = FlatModule(baselines.build("fast-weight-programmer", 64, 10))
    assert programmer.module.start(torch.zeros(2, 64))[0].shape == (2, 10, 64)
    assert programmer.size == (64 + 30 + 1) * (64 + 10 + 64 + 1), "one linear map of [x, output, error, label]"
    plastic = baselines.build("oja", 64, 10)
    assert torch.equal(plastic.alpha, torch.full((84, 10), 0.01))
    assert torch.sigmoid(plastic.eta).item() == pytest.approx(0.011, abs=1e-4)


def test_initial_draws_matrices_by_their_fan_in_and_keeps_the_rest():
    f = FlatModule(baselines.build("fast-weight-memory", 64, 10))
    theta = baselines.initial_parameters(f.module, generator())
    part = {n: t.view(s) for n, t, s in zip(f.names, theta.split(f.sizes), f.shapes, strict=True)}
    assert part["w_lstm"].abs().max() <= 2 / math.sqrt(64 + 20 + 32)
    assert part["w_lstm"].std().item() * math.sqrt(64 + 20 + 32) == pytest.approx(0.8796, rel=0.02)
    assert not any(part[n].any() for n in f.names if n.startswith("b_"))
    assert torch.equal(theta, baselines.initial_parameters(f.module, generator()))
    assert not torch.equal(theta, baselines.initial_parameters(f.module, generator(1)))


def test_the_matrix_of_the_fast_weight_programmer_starts_random_with_the_sd_of_its_keys():
    module = baselines.build("fast-weight-programmer", 64, 10)
    x = torch.zeros(300, 5, 64)
    first = baselines.initial_memory(module, x, generator())
    assert first.shape == (300, 10, 64)
    assert first.std().item() * 8 == pytest.approx(1.0, rel=0.01), "1/sqrt(64) after the cut"
    assert first.abs().max().item() <= 2 / 8 / 0.8796 * 1.0001
    assert not torch.equal(first[0], first[1]), "each sequence has its own"
    assert baselines.initial_memory(module, x, None) is None
    assert all(baselines.initial_memory(baselines.build(n, 64, 10), x, generator()) is None for n in LEARNERS[:-1])
    pairs = baselines.initial_memory(module, torch.zeros(6, 2, 5, 64), generator())
    assert torch.equal(pairs[:3], pairs[3:]), "both members of a pair start alike"
    assert len(pairs.flatten(1).unique(dim=0)) == 3
    runs = baselines.initial_memory(module, torch.zeros(2, 4, 5, 64), [generator(0), generator(1)])
    alone = baselines.initial_memory(module, torch.zeros(4, 5, 64), generator(1))
    assert torch.equal(runs[1], alone), "a run in a batch starts as it does alone"


def test_the_fast_weight_programmer_explodes_from_its_own_start():
    f = FlatModule(baselines.build("fast-weight-programmer", 16, 4))
    x, y = sample(Streams(inputs=16, classes=4, length=50), 8, generator())
    logits = f(
        baselines.initial_parameters(f.module, generator()), x, y, baselines.initial_memory(f.module, x, generator())
    )
    assert logits[:, 0].abs().max() < 20
    assert not (logits[:, 20:].abs() < 99).any(), "every output is at the end of the squashing, or no number"


def test_outputs_never_leave_the_squashing():
    f, theta = drawn("meta-rnn", spread=1e4)
    x, y = streams()
    assert f(theta, x, y).abs().max() == pytest.approx(100.0, abs=1.0)
    assert descent.online_sgd(1e4 * x, y, B, 1.0).abs().max() <= 100.0


@pytest.mark.parametrize(("name", "steps"), [("meta-rnn", 90), ("oja", 55)])
def test_a_learner_learns_to_learn(name, steps):
    f = FlatModule(baselines.build(name, 4, 2, Sizes(rnn=16)))
    theta = baselines.initial_parameters(f.module, generator()).requires_grad_()
    adam = torch.optim.Adam([theta], lr=3e-2)
    draw, losses = generator(2), []
    for _ in range(steps):
        x, y = sample(Streams(inputs=4, classes=2, length=12), 32, draw)
        loss = F.cross_entropy(f(theta, x, y).flatten(0, 1), y.flatten())
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) / 10 < 0.63 < sum(losses[:5]) / 5, "below log 2, the loss of guessing"


@pytest.mark.parametrize(("call", "words"), [
    (lambda x, y: baselines.build("meta-rn", A, B), "did you mean 'meta-rnn'"),
    (lambda x, y: baselines.build("oja", 0, B), "inputs=0"),
    (lambda x, y: baselines.build("oja", A, 0), "classes=0"),
    (lambda x, y: Sizes(rnn=0), "rnn=0"),
    (lambda x, y: Sizes(fast=-1), "fast=-1"),
    (lambda x, y: descent.online_sgd(x, y, B, 0.0), "lr=0.0"),
    (lambda x, y: descent.online_adam(x, y, B, math.inf), "lr=inf"),
    (lambda x, y: descent.check_stream(x, y[:, :2], B), "one label for each"),
    (lambda x, y: descent.online_sgd(x, y, 2, 0.1), "labels from 0 to 1"),
    (lambda x, y: descent.online_sgd(x, y, B, 0.1, hidden=4), "generator=None"),
    (lambda x, y: descent.online_sgd(x, y, B, 0.1, hidden=-1), "hidden=-1"),
    (lambda x, y: descent.check_shapes(x, y[:0]), "one label for each"),
    (lambda x, y: baselines.initial_memory(baselines.build(LEARNERS[-1], A, B), x[None], generator()), "an even num"),
])  # fmt: skip
def test_bad_arguments_are_named(call, words):
    with pytest.raises(UsageError, match=words):
        call(*streams())
