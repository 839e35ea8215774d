"""The Transformer: tokens, causality, sizes, its start, and what an independent re-implementation computes."""

import json
import math

import pytest
import torch
import torch.nn.functional as F

from tutorlib.lab import UsageError
from tutorlib.nn import FlatModule
from tutorlib.papers.gpicl.algorithm import objective
from tutorlib.papers.gpicl.model import ARCHITECTURES, ModelConfig, Transformer, initial_parameters, network, tokens

CONFIG = ModelConfig()


def net(config=CONFIG, seed=0):
    f = FlatModule(network(config))
    return f, initial_parameters(f.module, torch.Generator().manual_seed(seed))


def data(batch=3, config=CONFIG):
    g = torch.Generator().manual_seed(1)
    x = torch.randn(batch, config.length, config.inputs, generator=g)
    return x, torch.randint(config.classes, (batch, config.length), generator=g)


def test_logits_loss_and_gradient_are_those_of_an_independent_implementation(golden):
    known = golden("vsml/gpicl_transformer")
    config = ModelConfig(**json.loads(str(known["config"])))
    f = FlatModule(network(config))
    assert f.names == known["names"].tolist()
    theta = torch.from_numpy(known["theta"]).double().requires_grad_()
    x, y = torch.from_numpy(known["x"]).double(), torch.from_numpy(known["y"])
    logits = f(theta, x, y)
    loss = objective(f, theta[None], x[None], y[None])[0]
    (g,) = torch.autograd.grad(loss, theta)
    for ours, name in ((logits, "logits"), (loss, "loss"), (g, "grad")):
        assert (ours - torch.from_numpy(known[name])).abs().max() < 1e-9, name


def test_token_j_holds_input_j_and_label_j_minus_1():
    x, y = data()
    t = tokens(x, y, 4)
    assert torch.equal(t[..., :16], x)
    assert t[:, 0, 16:].abs().sum() == 0
    assert torch.equal(t[:, 1:, 16:], F.one_hot(y, 4)[:, :-1].float())


def test_a_label_changes_no_prediction_up_to_its_own_and_an_input_none_before_it():
    f, theta = net()
    x, y = data()
    base = f(theta, x, y)
    for j in (0, 9, 31):
        other = y.clone()
        other[:, j] = (y[:, j] + 1) % 4
        changed = (f(theta, x, other) != base).any(-1).any(0)
        assert not changed[: j + 1].any()
        assert changed[j + 1 :].all()
        moved = x.clone()
        moved[:, j] += 1.0
        changed = (f(theta, moved, y) != base).any(-1).any(0)
        assert not changed[:j].any()
        assert changed[j:].all()


def test_attention_is_that_of_torch():
    f, theta = net()
    x, y = data()

    class Plain(Transformer):
        def forward(self, x, y):
            h = self.embed(tokens(x, y, 4)) + self.positions
            for b in self.blocks:
                q, k, v = b.query_key_value(b.norm_attention(h)).view(len(x), 32, 3, 2, 32).permute(2, 0, 3, 1, 4)
                a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
                h = h + b.out(a.transpose(1, 2).flatten(2))
                h = h + b.down(F.gelu(b.up(b.norm_mlp(h))))
            return self.head(self.norm(h))

    assert torch.allclose(FlatModule(Plain(CONFIG))(theta, x, y), f(theta, x, y), atol=1e-5)


def test_shorter_sequences_are_prefixes():
    f, theta = net()
    x, y = data()
    assert torch.allclose(f(theta, x[:, :10], y[:, :10]), f(theta, x, y)[:, :10], atol=1e-5)


def test_sizes_of_the_live_and_of_the_papers_network():
    f, theta = net()
    assert f.size == len(theta) == 103_364  # 103,748 with all biases, less two attention blocks' 3 x 64 key biases
    assert CONFIG.state_size == 2 * 2 * 32 * 64
    paper = ModelConfig(inputs=3072, classes=10, length=100, width=256, layers=4, heads=8)
    assert FlatModule(Transformer(paper)).size == pytest.approx(3.93e6 + 0.03e6, rel=0.01)


def test_the_start_is_reproducible_and_scaled_as_stated():
    f, theta = net(seed=5)
    assert torch.equal(theta, net(seed=5)[1])
    assert not torch.equal(theta, net(seed=6)[1])
    pieces = dict(zip(f.names, theta.split(f.sizes), strict=True))
    assert pieces["positions"].std().item() == pytest.approx(0.3, rel=0.05)
    bound = 64**-0.5
    up = pieces["blocks.0.up.weight"]
    assert up.abs().max() <= bound
    assert up.std().item() == pytest.approx(bound / 3**0.5, rel=0.03)
    assert (pieces["norm.weight"] == 1).all()
    assert (pieces["norm.bias"] == 0).all()


@pytest.mark.parametrize(
    ("field", "value"),
    [("width", 0), ("heads", -1), ("length", 1), ("classes", 1), ("layers", 0), ("position_std", math.inf)],
)
def test_impossible_sizes_are_refused_by_name(field, value):
    with pytest.raises(UsageError, match=f"{field}={value}"):
        ModelConfig(**{field: value})


def test_flat_module_refuses_a_vector_of_another_length():
    f, theta = net()
    with pytest.raises(UsageError, match="theta"):
        f(theta[:-1], *data())


def test_a_stack_of_vectors_gives_each_networks_own_output():
    f, first = net(seed=0)
    second = net(seed=1)[1]
    x, y = data()
    both = f(torch.stack([first, second]), x.expand(2, *x.shape), y.expand(2, *y.shape))
    assert torch.allclose(both[0], f(first, x, y), atol=1e-5)
    assert torch.allclose(both[1], f(second, x, y), atol=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_no_network_looks_ahead(architecture):
    config = ModelConfig(architecture=architecture, heads=2, head_dim=8)
    f, theta = net(config)
    x, y = data(config=config)
    base = f(theta, x, y)
    other, moved = y.clone(), x.clone()
    other[:, 9] = (y[:, 9] + 1) % 4
    moved[:, 9] += 1.0
    by_label = (f(theta, x, other) != base).flatten(2).any(-1).any(0)
    by_input = (f(theta, moved, y) != base).flatten(2).any(-1).any(0)
    assert not by_label[:10].any()
    assert not by_input[:9].any()
    assert by_input[9]
    # All but the MLP carry what they saw to the end.
    assert by_label[10:].all() == by_input[10:].all() == (architecture != "mlp")
    assert by_label[10:].any() == (architecture != "mlp")


def test_the_lstm_is_torchs():
    config = ModelConfig(architecture="lstm", width=24)
    f, theta = net(config)
    x, y = data(config=config)
    pieces = {n: p.view(s) for n, p, s in zip(f.names, theta.split(f.sizes), f.shapes, strict=True)}
    theirs = torch.nn.LSTM(20, 24, batch_first=True)
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(pieces["token.weight"])
        theirs.bias_ih_l0.copy_(pieces["token.bias"])
        theirs.weight_hh_l0.copy_(pieces["recurrent.weight"])
        theirs.bias_hh_l0.zero_()
    h = theirs(tokens(x, y, 4))[0]
    assert torch.allclose(h @ pieces["head.weight"].T + pieces["head.bias"], f(theta, x, y), atol=1e-5)


def test_the_outer_product_lstm_follows_its_equations_head_by_head():
    s, heads = 3, 2
    config = ModelConfig(architecture="outer-product", heads=heads, head_dim=s, length=5)
    f, theta = net(config)
    theta = theta + 0.3  # so that the strength is not at its start
    x, y = data(batch=2, config=config)
    p = {n: q.view(size) for n, q, size in zip(f.names, theta.split(f.sizes), f.shapes, strict=True)}
    logits = f(theta, x, y)
    for b in range(2):
        h, c = torch.zeros(heads * s), [torch.zeros(s, s) for _ in range(heads)]
        for t, token in enumerate(tokens(x, y, 4)[b]):
            z = p["token.weight"] @ token + p["token.bias"] + p["recurrent.weight"] @ h
            read = []
            for head in range(heads):
                own = z[8 * s * head : 8 * s * (head + 1)]
                k1 = own[: 3 * s].tanh() * F.softplus(p["strength"][head])
                k2, q, o = own[3 * s : 6 * s].tanh(), own[6 * s : 7 * s], own[7 * s :]
                i, g, forget = (torch.outer(k1[n * s : n * s + s], k2[n * s : n * s + s]) for n in range(3))
                c[head] = torch.sigmoid(forget + 1) * c[head] + torch.sigmoid(i) * g
                read.append(torch.sigmoid(o) * torch.tanh(q @ c[head]))
            h = torch.cat(read)
            assert torch.allclose(p["head.weight"] @ h + p["head.bias"], logits[b, t], atol=1e-5)


def test_sizes_of_state_and_parameters():
    lstm = ModelConfig(architecture="lstm", width=512)
    outer = ModelConfig(architecture="outer-product", heads=4, head_dim=16)
    assert lstm.state_size == 1024
    assert outer.state_size == 4 * 16**2 + 4 * 16  # the matrices, and the hidden vector
    assert ModelConfig(architecture="mlp").state_size == 0
    # 1.10 M and 44 k: equal state, unequal parameters.
    assert net(lstm)[0].size == pytest.approx(1.10e6, rel=0.01)
    assert net(outer)[0].size == pytest.approx(44e3, rel=0.01)


def test_without_positions_only_order_within_the_mask_tells_examples_apart():
    config = ModelConfig(positions="none")
    f, theta = net(config)
    assert "positions" not in f.names
    assert f.size == net()[0].size - 32 * 64
    x, y = data()
    assert f(theta, x, y).shape == (3, 32, 4)
