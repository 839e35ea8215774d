"""Networks of sub-RNNs: the steps of the derivation, sweeps, convolutions, and what permutations cannot change."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from tutorlib.lab.errors import UsageError
from tutorlib.nn.grid import GridConfig, GridState, grid_tick, split
from tutorlib.papers.vsml.model import (
    Convolution,
    Dense,
    Network,
    backward_sweep,
    convolutional,
    dense,
    forward_sweep,
)
from tutorlib.shapes import Tensor

SMALL = GridConfig(hidden=4, message=3)


def theta_of(net: Network, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return 0.5 * torch.randn(net.parameters, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def messages(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_counts_are_those_of_the_paper() -> None:
    mnist = dense((784, 10))
    assert mnist.parameters == 2384
    assert mnist.variables == 250_880
    assert dense((784, 32, 10)).parameters == 2384
    assert dense((784, 32, 10), layerwise=True).parameters == 2 * 2384
    assert dense((784, 10), backward_pass=True, separate_backward=True).parameters == 2 * 2384
    assert convolutional(28, 1, 10).layers[-1].inputs == 14 * 14 * 8
    assert convolutional(28, 1, 10).variables == 32 * (9 * 1 * 8 + 14 * 14 * 8 * 10)


def test_a_forward_sweep_uses_new_messages_from_below_and_old_ones_from_above() -> None:
    net = dense((3, 5, 2), grid=SMALL)
    theta = theta_of(net)
    first, second = net.start((), 2, theta, torch.Generator().manual_seed(0))
    second = second._replace(backward=messages(2, 5, 3))
    m, mb = messages(2, 3, 3), messages(2, 2, 3, seed=2)
    swept = forward_sweep(net, net.split(theta)[0], [first, second], m, mb)
    p = split(theta, SMALL)
    lower = grid_tick(p, first, m, second.backward, SMALL)
    upper = grid_tick(p, second, lower.forward, mb, SMALL)
    torch.testing.assert_close(swept, [lower, upper])


def test_a_backward_sweep_uses_new_messages_from_above_and_old_ones_from_below() -> None:
    net = dense((3, 5, 2), grid=SMALL, layerwise=True, backward_pass=True, separate_backward=True)
    theta = theta_of(net)
    first, second = net.start((), 2, theta, torch.Generator().manual_seed(0))
    first = first._replace(forward=messages(2, 5, 3))
    m, mb = messages(2, 3, 3), messages(2, 2, 3, seed=2)
    swept = backward_sweep(net, net.split(theta)[1], [first, second], m, mb)
    parts = [split(part, SMALL) for part in theta.chunk(4)]
    upper = grid_tick(parts[3], second, first.forward, mb, SMALL)
    lower = grid_tick(parts[2], first, m, upper.backward, SMALL)
    torch.testing.assert_close(swept, [lower, upper])


def test_layers_share_theta_or_have_their_own() -> None:
    shared, own = dense((3, 5, 2), grid=SMALL), dense((3, 5, 2), grid=SMALL, layerwise=True)
    (a, b), _ = shared.split(theta_of(shared))
    assert a is b
    (a, b), (c, d) = own.split(theta_of(own))
    assert not torch.equal(a.w_h, b.w_h)
    assert (a, b) == (c, d)


def test_a_whole_network_does_not_see_the_order_of_its_inputs_and_outputs() -> None:
    """Renaming inputs, hidden units and outputs of states and messages renames what comes out."""
    net = dense((4, 3, 2), grid=SMALL)
    theta = theta_of(net)
    parts = net.split(theta)[0]
    states = net.start((), 2, theta, torch.Generator().manual_seed(0))
    m, mb = messages(2, 4, 3), messages(2, 2, 3, seed=2)
    p, q, s = torch.tensor([2, 0, 3, 1]), torch.tensor([1, 2, 0]), torch.tensor([1, 0])

    def renamed(state: GridState, rows: Tensor, columns: Tensor) -> GridState:
        h, c = (x[:, rows][:, :, columns] for x in (state.h, state.c))
        return GridState(h, c, state.forward[:, columns], state.backward[:, rows])

    plain, other = states, [renamed(states[0], p, q), renamed(states[1], q, s)]
    for _ in range(3):
        plain = forward_sweep(net, parts, plain, m, mb)
        other = forward_sweep(net, parts, other, m[:, p], mb[:, s])
    expected = [renamed(plain[0], p, q), renamed(plain[1], q, s)]
    torch.testing.assert_close(other, expected, rtol=0, atol=1e-12)


def test_hidden_units_that_start_alike_stay_alike() -> None:
    net = dense((4, 3, 2), grid=SMALL)
    theta = theta_of(net)
    for generator, alike in ((None, True), (torch.Generator().manual_seed(0), False)):
        states = net.start((), 1, theta, generator)
        for t in range(4):
            states = forward_sweep(net, net.split(theta)[0], states, messages(1, 4, 3, seed=t), messages(1, 2, 3))
        spread = (states[0].c - states[0].c[:, :, :1]).abs().max()
        assert (spread == 0) == alike


def test_states_start_as_in_the_code() -> None:
    net = dense((100, 50))
    (state,) = net.start((), 3, torch.zeros(1), torch.Generator().manual_seed(0))
    assert not state.h.any()
    assert not state.c[..., 8:].any()
    assert state.c[..., :8].abs().max() <= 0.2
    assert abs(state.c[..., :8].std().item() * 10 - 0.88) < 0.01
    (conv, _) = convolutional(8, 1, 4).start((), 3, torch.zeros(1), torch.Generator().manual_seed(0))
    assert 1 / math.sqrt(3) < conv.c.abs().max() <= 2 / math.sqrt(3)


@pytest.mark.parametrize("batch", [1, 4, 16])
def test_sequences_that_learn_together_start_from_one_state_as_wide_as_any(batch: int) -> None:
    net = dense((100, 50))
    (state,) = net.start((), 2 * batch, torch.zeros(1), torch.Generator().manual_seed(0), batch)
    assert torch.equal(state.c[:batch], state.c[:1].expand(batch, -1, -1, -1))
    assert not torch.equal(state.c[0], state.c[batch])
    assert abs(state.c[..., :8].std().item() * 10 - 0.88) < 0.01
    (pairs,) = net.start((4,), batch, torch.zeros(1), torch.Generator().manual_seed(0), batch)
    assert torch.equal(pairs.c, pairs.c[:, :1].expand(-1, batch, -1, -1, -1))
    assert torch.equal(pairs.c[:2], pairs.c[2:])


def test_both_members_of_a_pair_start_alike() -> None:
    net = dense((3, 2), grid=SMALL)
    (state,) = net.start((6,), 2, torch.zeros(1), torch.Generator().manual_seed(0))
    assert torch.equal(state.c[:3], state.c[3:])
    assert not torch.equal(state.c[0], state.c[1])


@pytest.mark.parametrize(
    ("side", "stride", "kernel"), [(5, 2, 3), (6, 2, 3), (14, 2, 3), (4, 1, 3), (3, 3, 3), (6, 2, 5), (4, 1, 1)]
)
def test_a_convolution_looks_where_torch_does(side: int, stride: int, kernel: int) -> None:
    """The window indices, held against F.conv2d with a random kernel and half a kernel of padding."""
    layer = Convolution(side, 1, 1, kernel, stride)
    image, weights = messages(side, side), messages(kernel, kernel, seed=3)
    padded = torch.cat([image.flatten(), torch.zeros(1, dtype=torch.float64)])
    expected = F.conv2d(image[None, None], weights[None, None], stride=stride, padding=kernel // 2)
    assert expected.shape[-1] == layer.out_side
    torch.testing.assert_close((padded[layer.windows()] * weights.flatten()).sum(dim=1), expected.flatten())


def test_a_convolution_is_a_grid_at_every_position_with_one_state() -> None:
    """The state is averaged over positions after each micro tick, before the next one."""
    layer, grid = Convolution(3, channels_in=2, channels_out=2), replace(SMALL, micro_ticks=2)
    g = torch.Generator().manual_seed(0)
    theta = 0.5 * torch.randn(grid.parameters, generator=g, dtype=torch.float64)
    p = split(theta, grid)
    state = layer.start(grid, (), 2, theta)
    state = state._replace(h=messages(*state.h.shape, seed=4), c=messages(*state.c.shape, seed=5))
    m, mb = messages(2, layer.inputs, 3), messages(2, layer.outputs, 3, seed=6)
    after = layer.tick(p, state, m, mb, grid)
    image = torch.cat([m.unflatten(1, (9, 2)), torch.zeros(2, 1, 2, 3, dtype=torch.float64)], dim=1)
    now = state
    for _ in range(2):
        ticked = [
            grid_tick(
                p,
                now,
                image[:, layer.windows()[position]].flatten(1, 2),
                mb.unflatten(1, (4, 2))[:, position],
                replace(grid, micro_ticks=1),
            )
            for position in range(4)
        ]
        now = state._replace(
            h=torch.stack([own.h for own in ticked]).mean(dim=0), c=torch.stack([own.c for own in ticked]).mean(dim=0)
        )
    back = torch.zeros(2, 10, 2, 3, dtype=torch.float64)
    for position, own in enumerate(ticked):
        for offset in range(9):
            back[:, layer.windows()[position, offset]] += own.backward.unflatten(1, (9, 2))[:, offset] / 9
    torch.testing.assert_close(after.h, now.h)
    torch.testing.assert_close(after.c, now.c)
    torch.testing.assert_close(after.forward, torch.cat([own.forward for own in ticked], dim=1))
    torch.testing.assert_close(after.backward, back[:, :9].flatten(1, 2))


def test_members_of_a_population_run_convolutions_too() -> None:
    net = convolutional(4, 1, 3, grid=SMALL, backward_pass=True, feed_label=True)
    thetas = torch.stack([theta_of(net, seed) for seed in (0, 1)])
    m, mb = messages(2, 2, 16, 3), messages(2, 2, 3, 3, seed=2)
    states = net.start((2,), 2, thetas)
    together = forward_sweep(net, net.split(thetas)[0], states, m, mb)
    for member in range(2):
        alone = forward_sweep(net, net.split(thetas[member])[0], net.start((), 2, thetas), m[member], mb[member])
        for whole, own in zip(together, alone, strict=True):
            torch.testing.assert_close(GridState(*(part[member] for part in whole)), own)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Network(()), "layers=.*expected at least one"),
        (lambda: Network((Dense(3, 4), Dense(5, 2))), "expected one that reads 4 messages"),
        (lambda: dense((3, 2), grid=replace(SMALL, message=1)), "message=1"),
        (lambda: dense((3, 2), separate_backward=True), "separate_backward=True"),
        (lambda: dense((3, 2), grid=replace(SMALL, aux=1)), "no self-messages and no aux input"),
        (lambda: dense((3,)), r"sizes=\(3,\)"),
        (lambda: dense((3, 0)), r"sizes=\(3, 0\)"),
        (lambda: convolutional(0, 1, 10), "positive whole numbers"),
        (lambda: Convolution(6, 1, kernel=2), "kernel=2: expected an odd number"),
        (lambda: Convolution(6, 1, stride=0), "stride=0: expected a whole number from 1"),
        (lambda: dense((3, 2)).split(torch.zeros(7)), r"theta=\(7,\): expected 2384"),
    ],
)
def test_networks_that_cannot_be_are_refused(make, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make()
