"""Known answers: what the authors' code computes from the same weights, states and streams, in double precision."""

from dataclasses import dataclass
from functools import partial

import pytest
import torch

from tutorlib.evolution import es
from tutorlib.lab import Context
from tutorlib.nn import Descent, descend
from tutorlib.nn.grid import GridConfig, GridState, split
from tutorlib.papers.vsml.algorithm import example_step, online, online_loss
from tutorlib.papers.vsml.model import Convolution, Dense, Network, dense
from tutorlib.shapes import Tensor

EXACT = {"rtol": 0.0, "atol": 1e-9}


@dataclass(frozen=True)
class Case:
    """A configuration of the authors' code."""

    net: Network
    batch: int = 1


def convolution(side: int, stride: int, ticks: int) -> Case:
    layer = Convolution(side, 1, 2, stride=stride)
    grid = GridConfig(micro_ticks=ticks, layer_norm=True)
    return Case(Network((layer, Dense(layer.outputs, 4)), grid, backward_pass=True, feed_label=True))


NORM = GridConfig(layer_norm=True)
CASES = {
    "dense_8x4": Case(dense((8, 4))),
    "dense_8x4_label": Case(dense((8, 4), feed_label=True)),
    "dense_8x4_ticks1": Case(dense((8, 4), grid=GridConfig(micro_ticks=1))),
    "dense_8x4_ticks3": Case(dense((8, 4), grid=GridConfig(micro_ticks=3))),
    "dense_8x4_sizes": Case(dense((8, 4), grid=GridConfig(hidden=6, message=4))),
    "dense_8x4_ln": Case(dense((8, 4), grid=NORM)),
    "dense_8x4_back": Case(dense((8, 4), backward_pass=True)),
    "dense_8x4_back_sep": Case(dense((8, 4), backward_pass=True, separate_backward=True, feed_label=True)),
    "dense_8x4_batch4": Case(dense((8, 4)), batch=4),
    "deep_8x5x4": Case(dense((8, 5, 4), grid=NORM, feed_label=True)),
    "deep_8x5x6x4_back_all": Case(
        dense((8, 5, 6, 4), grid=NORM, feed_label=True, layerwise=True, backward_pass=True, separate_backward=True)
    ),
    "conv_5_s2_t1": convolution(5, 2, 1),
    "conv_6_s1_t1": convolution(6, 1, 1),
    "conv_6_s2_t2": convolution(6, 2, 2),
    "conv_6_s1_t2": convolution(6, 1, 2),
}


def given(arrays: dict, prefix: str, name: str) -> Tensor:
    """One of the arrays; numbers in double precision."""
    tensor = torch.from_numpy(arrays[f"{prefix}{name}"])
    return tensor.double() if tensor.is_floating_point() else tensor


def start_of(net: Network, cells: list[Tensor], sequences: int) -> list[GridState]:
    """The states with given cells of every layer, the same ones for all sequences or some for each."""
    states = net.start((), sequences, cells[0])
    return [state._replace(c=c.expand_as(state.c)) for state, c in zip(states, cells, strict=True)]


def case_of(name: str, arrays: dict) -> tuple[Case, Tensor, Tensor, Tensor, list[GridState]]:
    """A case, its x, y and theta, and the states that it starts from."""
    case = CASES[name]
    x, y = (given(arrays, f"{name}/", part).transpose(0, 1) for part in "xy")
    cells = [given(arrays, f"{name}/", f"c0_{k}") for k in range(len(case.net.layers))]
    cells = [c.reshape(-1, *c.shape[-2:]) for c in cells]  # of a convolution: offsets x channels in, channels out, H
    return case, x.flatten(2), y, given(arrays, f"{name}/", "theta"), start_of(case.net, cells, len(x))


@pytest.mark.parametrize("name", CASES)
def test_a_lifetime_and_its_gradient_are_those_of_the_authors_code(name: str, golden) -> None:
    arrays = golden("vsml/vsml_online")
    case, x, y, theta, start = case_of(name, arrays)
    theta.requires_grad_()
    logits = online(case.net, theta, x, y, batch=case.batch, start=start)
    torch.testing.assert_close(logits.transpose(0, 1), given(arrays, f"{name}/", "logits"), **EXACT)
    loss = online_loss(logits, y)
    torch.testing.assert_close(loss, given(arrays, f"{name}/", "loss"), **EXACT)
    (g,) = torch.autograd.grad(loss, theta)
    torch.testing.assert_close(g, given(arrays, f"{name}/", "grad"), **EXACT)


def test_states_of_a_deep_network_are_those_of_the_authors_code(golden) -> None:
    name, arrays = "deep_8x5x4", golden("vsml/vsml_online")
    case, x, y, theta, states = case_of(name, arrays)
    parts, error, label = case.net.split(theta), *torch.zeros(2, 1, 4, dtype=torch.float64)
    for t in range(50):
        states, _, error, label = example_step(case.net, parts, states, error, label, x[:, t], y[:, t])
        if t in (0, 49):
            for k, state in enumerate(states):
                torch.testing.assert_close(state.h, given(arrays, f"{name}/", f"h_{t}_{k}"), **EXACT)
                torch.testing.assert_close(state.c, given(arrays, f"{name}/", f"c_{t}_{k}"), **EXACT)


def test_predictions_at_the_size_of_mnist_are_those_of_the_authors_code(golden) -> None:
    arrays, net = golden("vsml/vsml_784x10"), dense((784, 10))
    x, y = (given(arrays, "", part).transpose(0, 1) for part in "xy")
    cells = torch.nn.functional.pad(given(arrays, "", "c0_0"), (0, 8))
    logits = online(net, given(arrays, "", "theta"), x.flatten(2), y, start=start_of(net, [cells], 1))
    torch.testing.assert_close(logits.transpose(0, 1), given(arrays, "", "logits"), **EXACT)


@pytest.mark.parametrize(("name", "max_grad_norm"), [("bptt", 25.0), ("bptt_clip", 0.01)])
def test_meta_steps_by_bptt_are_those_of_the_authors_code(name: str, max_grad_norm: float, golden) -> None:
    arrays, net = golden("vsml/vsml_meta"), dense((8, 4), grid=NORM)
    read = partial(given, arrays, f"{name}/")
    steps = iter(range(3))

    def meta_gradient(thetas: Tensor, _: list[torch.Generator]) -> tuple[Tensor, Tensor]:
        step = next(steps)
        theta = thetas[0].detach().requires_grad_()
        start = start_of(net, [read("c0_0")[step]], 6)
        y = read("y")[step]
        loss = online_loss(online(net, theta, read("x")[step], y, start=start), y)
        (g,) = torch.autograd.grad(loss, theta)
        torch.testing.assert_close(g, read("grads")[step], **EXACT)
        return g.unsqueeze(0), loss.detach().unsqueeze(0)

    start, settings = read("theta0").unsqueeze(0), Descent(3, 1e-3, max_grad_norm=max_grad_norm, num_evals=3)
    seen = descend(start, meta_gradient, settings, [0], Context(), torch.clone)
    torch.testing.assert_close(seen.losses[:, 0], read("losses"), **EXACT)
    torch.testing.assert_close(torch.cat(seen.evals), read("thetas"), **EXACT)


def test_a_meta_step_by_evolution_strategies_is_that_of_the_authors_code(
    golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays, net = golden("vsml/vsml_meta"), dense((8, 4))
    read = partial(given, arrays, "es/")
    x, y, cells = (read(name)[0].unsqueeze(1) for name in ("x", "y", "c0_0"))  # a pair has a sequence to itself
    (state,) = net.start((12,), 1, cells)
    start = [state._replace(c=torch.cat([cells, cells]))]  # both members of a pair start alike
    monkeypatch.setattr(es, "perturbations", lambda *_: read("eps")[0])

    def losses(thetas: Tensor) -> Tensor:
        return online_loss(online(net, thetas, torch.cat([x, x]), torch.cat([y, y]), start=start), torch.cat([y, y]))

    def meta_gradient(thetas: Tensor, generators: list[torch.Generator]) -> tuple[Tensor, Tensor]:
        g, loss = es.estimate(losses, thetas[0], es.Population(6, 0.05), generators[0])
        torch.testing.assert_close(g, read("grads")[0], **EXACT)
        return g.unsqueeze(0), loss.unsqueeze(0)

    seen = descend(read("theta0").unsqueeze(0), meta_gradient, Descent(1, 0.025), [0], Context())
    torch.testing.assert_close(seen.losses[:, 0], read("losses"), **EXACT)
    torch.testing.assert_close(seen.theta[0], read("thetas")[0], **EXACT)


@pytest.mark.parametrize("ticks", [1, 2])
@pytest.mark.parametrize("name", ["s6_1", "s5_2", "s6_2", "s7_2c2", "s5_1c2", "s6_3", "s6_1k5"])
def test_a_tick_of_a_convolution_is_that_of_the_authors_code(name: str, ticks: int, golden) -> None:
    """Messages forwards and states; messages backwards where the code keeps them all, at stride 1 and kernel 3."""
    arrays = golden("vsml/vsml_conv_tick")
    side, stride, channels, features, kernel = arrays[f"{name}/cfg"].tolist()
    layer, grid = Convolution(side, channels, features, kernel, stride), GridConfig(micro_ticks=ticks, layer_norm=True)
    h, c = (given(arrays, f"{name}/", part).reshape(1, -1, features, 16) for part in "hc")
    m, mb = (given(arrays, f"{name}/", part).reshape(1, -1, 8) for part in ("fwd", "bwd"))
    theta = given(arrays, "", "theta")
    state = layer.start(grid, (), 1, theta)._replace(h=h, c=c)
    after = layer.tick(split(theta, grid), state, m, mb, grid)
    found = {"h": after.h, "c": after.c, "F": after.forward}
    if (stride, kernel) == (1, 3):
        found["B"] = after.backward
    for part, own in found.items():
        expected = given(arrays, f"{name}/{ticks}/", part)
        torch.testing.assert_close(own.reshape(expected.shape), expected, msg=lambda m, p=part: f"{p}: {m}", **EXACT)
