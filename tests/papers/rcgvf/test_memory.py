"""The networks in MiniGrid, held against torch's own layers and the released code's sizes."""

import pytest
import torch
from torch import nn

from tutorlib.lab.errors import UsageError
from tutorlib.papers.rcgvf import memory as nets
from tutorlib.papers.rcgvf.memory import Predictor


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(*shape: int) -> torch.Tensor:
    return torch.randint(0, 11, shape, generator=generator(1)).float()


def as_torch(layers: nets.Layers, net: int, channels: int, sizes: tuple[int, ...]) -> nn.Sequential:
    """Return torch's convolutions with the weights of one network."""
    found = []
    for (w, b), n, m in zip(layers, (channels, *sizes), sizes, strict=False):
        conv = nn.Conv2d(n, m, 2)
        with torch.no_grad():
            conv.weight.copy_(w[net].view(2, 2, n, m).permute(3, 2, 0, 1))
            conv.bias.copy_(b[net, 0])
        found.append(conv)
    return nn.Sequential(found[0], nn.ReLU(), nn.MaxPool2d(2), found[1], nn.ReLU(), found[2], nn.Flatten())


@pytest.mark.parametrize("channels", [3, 12])
def test_eyes_are_torchs_convolutions(channels):
    net = nets.z_network(channels, 16)
    theta = torch.stack([net.initial(generator(seed)) for seed in (0, 1)])
    x = images(2, 5, 7, 7, channels)
    layers = net.layers(theta)["convolutions"]
    found = nets.see(layers, x)
    for i in range(2):
        theirs = as_torch(layers, i, channels, (4, 8, 16))(x[i].permute(0, 3, 1, 2))
        assert torch.allclose(found[i], theirs, atol=1e-4)
    assert torch.allclose(nets.see_all(layers, x.unflatten(1, (5, 1)))[:, :, 0], found, atol=1e-5)


def test_what_an_lstm_is_given_has_relu_after_the_last_convolution_too():
    net = nets.actor_critic()
    layers = net.layers(net.initial(generator())[None])["convolutions"]
    x = images(1, 2, 3, 7, 7, 3).to(torch.uint8)
    theirs = as_torch(layers, 0, 3, (16, 32, 64))(x.float()[0].flatten(0, 1).permute(0, 3, 1, 2))
    assert torch.allclose(nets.features(layers, x)[0].flatten(0, 1), theirs.relu(), atol=1e-4)
    assert (theirs < -0.1).any()


def test_the_lstm_is_torchs():
    net = nets.actor_critic()
    theta = net.initial(generator())[None]
    (w_x, b_x), (w_h, b_h) = layers = net.layers(theta)["lstm"]
    cell = nn.LSTMCell(64, 64)
    with torch.no_grad():
        for own, value in ((cell.weight_ih, w_x[0].T), (cell.weight_hh, w_h[0].T), (cell.bias_ih, b_x[0, 0]),
                           (cell.bias_hh, b_h[0, 0])):  # fmt: skip
            own.copy_(value)
    x, memory = torch.randn(4, 64, generator=generator()), torch.randn(4, 128, generator=generator(2))
    h, c = cell(x, tuple(memory.chunk(2, dim=-1)))
    assert torch.allclose(nets.lstm_step(layers, x[None], memory[None])[0], torch.cat([h, c], dim=-1), atol=1e-6)


def test_unrolling_goes_step_by_step_and_forgets_where_an_episode_begins():
    layers = nets.actor_critic().layers(nets.actor_critic().initial(generator())[None])["lstm"]
    x = torch.randn(1, 3, 2, 64, generator=generator())
    memory = torch.randn(1, 2, 128, generator=generator(1))
    is_first = torch.tensor([[[False, False], [False, True], [False, False]]])
    h, memories = nets.unroll(layers, x, is_first, memory)
    first = nets.lstm_step(layers, x[:, 0], memory)
    second = nets.lstm_step(layers, x[:, 1], torch.cat([first[:, :1], torch.zeros(1, 1, 128)], dim=1))
    third = nets.lstm_step(layers, x[:, 2], second)
    assert torch.equal(memories, torch.stack([memory, first, second, third], dim=1))
    assert torch.equal(h, memories[:, 1:, :, :64])


def test_sizes_are_those_of_the_released_code():
    assert nets.actor_critic().parameters == 52_664
    assert nets.z_network(3, 128).parameters == 41_568
    assert nets.z_network(12, 128).parameters == 42_720
    assert Predictor(3, 128, 2).network.parameters == 186_304 + 131_840
    few = Predictor(3, 20, 2, width=128)  # only what has 20 pseudo-rewards as input or output differs
    assert few.network.parameters == 186_304 + 131_840 - 108 * 32 - 2 * 108 * 257
    assert nets.z_network(3, 20, 128).parameters == 41_568 - 108 * 257
    assert nets.adversary().parameters == 52_664 - (64 * 64 + 64) - (64 + 1)


def test_actor_and_critic_begin_with_units_of_length_1_and_the_rest_as_torchs():
    net = nets.actor_critic()
    parts = net.layers(net.initial(generator())[None])
    for name, w, b in [(name, w, b) for name, layers in parts.items() for w, b in layers]:
        if name in ("actor", "critic"):
            assert torch.allclose(w[0].norm(dim=0), torch.ones(w.shape[-1]), atol=1e-6)
            assert not b.any()
        else:
            assert 0.95 < w.abs().max() * w.shape[1] ** 0.5 <= 1
            assert b.any()


def test_heads_are_networks_of_their_own_on_shared_features():
    p = Predictor(3, 8, 3)
    phi = p.network.initial(generator())[None]
    layers = p.network.layers(phi)
    h = torch.randn(1, 4, 2, 8, generator=generator())
    v = p.predictions(layers, h)
    assert v.shape == (1, 3, 4, 2, 8)
    for k in range(3):
        (w1, b1), (w2, b2) = layers[f"head {k}"]
        assert torch.allclose(v[:, k], (h @ w1 + b1).relu() @ w2 + b2, atol=1e-5)
    assert (v[:, 0] - v[:, 1]).abs().min() > 0


def test_the_predictor_reads_the_image_and_the_action_and_pseudo_rewards_before_it():
    p = Predictor(12, 8, 2)
    layers = p.network.layers(p.network.initial(generator())[None])
    look, action, z = images(1, 2, 3, 7, 7, 12), torch.rand(1, 2, 3, 7), torch.rand(1, 2, 3, 8)
    x = p.lstm_inputs(layers, look, action, z)
    assert x.shape == (1, 2, 3, 8)
    for part, others in ((slice(0, 4), (look * 0, action, z)), (slice(4, 6), (look, action * 0, z)),
                         (slice(6, 8), (look, action, z * 0))):  # fmt: skip
        changed = (p.lstm_inputs(layers, *others) != x).any(dim=2).any(dim=1).any(dim=0)
        assert changed[part].all()
        assert not torch.cat([changed[: part.start], changed[part.stop :]]).any()


def test_bad_sizes_are_named():
    with pytest.raises(UsageError, match="d=6: expected a multiple of 4"):
        Predictor(3, 6)
    with pytest.raises(UsageError, match="width=6: expected a multiple of 4"):
        Predictor(3, 8, width=6)
    with pytest.raises(UsageError, match="d=0: expected a whole number from 1"):
        Predictor(3, 0, width=8)
    with pytest.raises(UsageError, match="heads=0"):
        Predictor(3, 8, 0)
    with pytest.raises(UsageError, match="theta"):
        nets.z_network(3, 8).layers(torch.zeros(1, 5))
