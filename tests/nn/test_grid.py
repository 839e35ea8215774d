"""The tick of the grid, against plain re-writes of its equations."""

import math
from dataclasses import replace

import pytest
import torch

from tutorlib.lab.errors import UsageError
from tutorlib.nn.grid import GridConfig, GridState, grid_tick, initial_parameters, split, zero_state
from tutorlib.shapes import Tensor

VSML = GridConfig()
SYMLA = GridConfig(aux=1, self_messages=True, refresh=True, forget_bias=1.0, input_bias=-1.0)
CONFIGS = {
    "vsml": VSML,
    "symla": SYMLA,
    "sum": replace(VSML, reduce="sum"),
    "norm": replace(VSML, layer_norm=True),
    "one tick": replace(VSML, micro_ticks=1, hidden=6, message=3),
    "refreshed once": replace(SYMLA, refresh=False, micro_ticks=3),
    "two scalars": replace(SYMLA, aux=2),
}


def case(config: GridConfig, shape: tuple[int, int, int], seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple:
    """Return theta, a state and messages of a grid of (sequences, rows, columns), all random."""
    g = torch.Generator().manual_seed(seed)
    e, a, b = shape

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=g, dtype=dtype)

    theta = normal(config.parameters) * 0.4
    state = GridState(
        normal(e, a, b, config.hidden),
        normal(e, a, b, config.hidden),
        normal(e, b, config.message),
        normal(e, a, config.message),
    )
    return theta, state, normal(e, a, config.message), normal(e, b, config.message), normal(e, config.aux)


def plain_tick(config: GridConfig, theta: Tensor, state: GridState, m: Tensor, mb: Tensor, r: Tensor) -> GridState:
    """The module's equations, one sub-RNN after the other, with torch's own tanh."""
    part, at = {}, 0
    for name, shape in config.shapes.items():
        part[name] = theta[at : at + math.prod(shape)].view(shape)
        at += math.prod(shape)
    assert at == len(theta)
    h, c, forward, backward = (x.clone() for x in state)
    size = config.hidden

    def send(name: str, cells: list[Tensor]) -> Tensor:
        sent = [x @ part[f"v_{name}"] + part[f"o_{name}"] for x in cells]
        if config.layer_norm:
            sent = [
                (x - x.mean()) / torch.sqrt(x.var(unbiased=False) + 1e-5) * part[f"scale_{name}"]
                + part[f"offset_{name}"]
                for x in sent
            ]
        return sum(sent) / (len(sent) if config.reduce == "mean" else 1)

    for tick in range(config.micro_ticks):
        old_h, old_c = h.clone(), c.clone()
        for e in range(h.shape[0]):
            for a in range(h.shape[1]):
                for b in range(h.shape[2]):
                    z = m[e, a] @ part["w_m"] + mb[e, b] @ part["w_b"] + old_h[e, a, b] @ part["w_h"] + part["beta"]
                    if config.self_messages:
                        z = z + forward[e, b] @ part["w_F"] + backward[e, a] @ part["w_B"]
                    if config.aux:
                        z = z + r[e] @ part["w_r"]
                    i, g, f, o = z.split(size)
                    c[e, a, b] = torch.sigmoid(f + config.forget_bias) * old_c[e, a, b] + torch.sigmoid(
                        i + config.input_bias
                    ) * torch.tanh(g)
                    h[e, a, b] = torch.sigmoid(o) * torch.tanh(c[e, a, b])
        if config.refresh or tick == config.micro_ticks - 1:
            for e in range(h.shape[0]):
                for b in range(h.shape[2]):
                    forward[e, b] = send("F", list(h[e, :, b]))
                for a in range(h.shape[1]):
                    backward[e, a] = send("B", list(h[e, a]))
    return GridState(h, c, forward, backward)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_the_factorised_tick_is_the_plain_one(config: GridConfig) -> None:
    theta, state, m, mb, r = case(config, (2, 3, 4))
    fast = grid_tick(split(theta, config), state, m, mb, config, r if config.aux else None)
    torch.testing.assert_close(fast, plain_tick(config, theta, state, m, mb, r), rtol=0, atol=1e-12)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_what_a_compiler_is_given_is_the_same_tick(config: GridConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    theta, state, m, mb, r = case(config, (2, 3, 4))
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    monkeypatch.setattr("tutorlib.nn.grid._Cell", None)  # the gradient that is written out is no formula for a compiler
    formulas = grid_tick(split(theta, config), state, m, mb, config, r if config.aux else None)
    torch.testing.assert_close(formulas, plain_tick(config, theta, state, m, mb, r), rtol=0, atol=1e-12)


@pytest.mark.parametrize("config", [VSML, SYMLA], ids=["vsml", "symla"])
def test_in_single_precision_they_agree_to_1e_5_at_the_size_of_mnist(config: GridConfig) -> None:
    theta, state, m, mb, r = case(config, (1, 784, 10), dtype=torch.float32)
    fast = grid_tick(split(theta, config), state, m, mb, config, r if config.aux else None)
    # The unfactorised form: every sub-RNN's inputs side by side, one product.
    shape = (1, 784, 10, -1)
    part, at = {}, 0
    for name, size in config.shapes.items():
        part[name] = theta[at : at + math.prod(size)].view(size)
        at += math.prod(size)
    h, c, forward, backward = state
    for tick in range(config.micro_ticks):
        inputs = [m[:, :, None].expand(shape), mb[:, None].expand(shape)]
        if config.self_messages:
            inputs += [
                forward[:, None].expand(shape),
                backward[:, :, None].expand(shape),
                r[:, None, None].expand(shape),
            ]
        weights = torch.cat([matrix for name, matrix in part.items() if name.startswith("w_")])
        z = torch.cat([*inputs, h], dim=-1) @ weights + part["beta"]
        i, g, f, o = z.chunk(4, dim=-1)
        c = torch.sigmoid(f + config.forget_bias) * c + torch.sigmoid(i + config.input_bias) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        if config.refresh or tick == config.micro_ticks - 1:
            forward = (h @ part["v_F"] + part["o_F"]).mean(dim=1)
            backward = (h @ part["v_B"] + part["o_B"]).mean(dim=2)
    torch.testing.assert_close(fast, GridState(h, c, forward, backward), rtol=0, atol=1e-5)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_members_of_a_population_are_as_many_single_grids(config: GridConfig) -> None:
    cases = [case(config, (2, 3, 4), seed) for seed in range(3)]
    theta, m, mb, r = (torch.stack([own[i] for own in cases]) for i in (0, 2, 3, 4))
    states = GridState(*(torch.stack(parts) for parts in zip(*(own[1] for own in cases), strict=True)))
    together = grid_tick(split(theta, config), states, m, mb, config, r if config.aux else None)
    for member, (own_theta, state, own_m, own_mb, own_r) in enumerate(cases):
        alone = grid_tick(split(own_theta, config), state, own_m, own_mb, config, own_r if config.aux else None)
        torch.testing.assert_close(GridState(*(part[member] for part in together)), alone)


@pytest.mark.parametrize("config", [replace(VSML, hidden=3, message=2), replace(SYMLA, hidden=3, message=2)])
def test_the_written_gradient_is_that_of_finite_differences(config: GridConfig) -> None:
    theta, state, m, mb, r = case(config, (1, 2, 2))

    def two_ticks(theta: Tensor, h: Tensor, c: Tensor, m: Tensor) -> tuple:
        p = split(theta, config)
        after = state._replace(h=h, c=c)
        for _ in range(2):
            after = grid_tick(p, after, m, mb, config, r if config.aux else None)
        return tuple(after)

    inputs = tuple(x.requires_grad_() for x in (theta, state.h, state.c, m))
    assert torch.autograd.gradcheck(two_ticks, inputs)


@pytest.mark.parametrize("config", [VSML, SYMLA, CONFIGS["norm"], CONFIGS["sum"]])
def test_renaming_rows_and_columns_renames_all_that_comes_out(config: GridConfig) -> None:
    theta, state, m, mb, r = case(config, (2, 5, 4))
    rows, columns = torch.tensor([3, 0, 4, 1, 2]), torch.tensor([2, 3, 1, 0])
    p = split(theta, config)

    def renamed(s: GridState) -> GridState:
        return GridState(
            s.h[:, rows][:, :, columns], s.c[:, rows][:, :, columns], s.forward[:, columns], s.backward[:, rows]
        )

    r = r if config.aux else None
    after = grid_tick(p, renamed(state), m[:, rows], mb[:, columns], config, r)
    torch.testing.assert_close(after, renamed(grid_tick(p, state, m, mb, config, r)), rtol=0, atol=1e-12)


def test_counts_of_meta_variables_are_those_of_the_codes() -> None:
    assert VSML.parameters == 2384
    assert SYMLA.parameters == 3472
    assert replace(VSML, layer_norm=True).parameters == 2384 + 4 * 8


def test_parameters_start_as_the_codes_do() -> None:
    theta = initial_parameters(replace(VSML, layer_norm=True), torch.Generator().manual_seed(0))
    part = dict(zip(VSML.shapes, theta[:2384].split([math.prod(s) for s in VSML.shapes.values()]), strict=True))
    w = torch.cat([part["w_m"], part["w_b"], part["w_h"]])
    assert w.abs().max() <= 2 / math.sqrt(32)
    assert abs(w.std().item() * math.sqrt(32) - 0.88) < 0.03  # sd of a normal cut at two sd
    assert part["v_F"].abs().max() <= 2 / math.sqrt(16)
    assert abs(part["v_F"].std().item() * 4 - 0.88) < 0.12
    assert not part["beta"].any()
    assert theta[2384:].tolist() == [1.0] * 8 + [0.0] * 8 + [1.0] * 8 + [0.0] * 8


def test_gate_biases_hold_an_unwritten_memory() -> None:
    """With f + 5 and i - 5 and theta = 0, c keeps sigmoid(5) of itself in each micro tick."""
    theta = torch.zeros(VSML.parameters)
    state = zero_state(VSML, (), 1, 1, 1, theta)
    state = state._replace(c=torch.ones_like(state.c))
    after = grid_tick(split(theta, VSML), state, torch.zeros(1, 1, 8), torch.zeros(1, 1, 8), VSML)
    torch.testing.assert_close(after.c, torch.full_like(after.c, (1 / (1 + math.exp(-5))) ** 2))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: GridConfig(hidden=0), "hidden=0: expected a whole number from 1"),
        (lambda: GridConfig(micro_ticks=0), "micro_ticks=0"),
        (lambda: GridConfig(forget_bias=math.nan), "forget_bias=nan: expected a finite number"),
        (lambda: GridConfig(reduce="max"), "reduce='max': expected one of mean, sum"),
        (lambda: split(torch.zeros(5), VSML), r"theta=\(5,\): expected \(2384,\)"),
        (lambda: split(torch.zeros(1, 1, 2384), VSML), r"theta=\(1, 1, 2384\)"),
        (lambda: zero_state(VSML, (), 1, 0, 4, torch.zeros(1)), "rows=0: expected a whole number from 1"),
    ],
)
def test_what_does_not_fit_is_refused(make, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make()


@pytest.mark.parametrize(("rows", "columns"), [(2, 4), (3, 5)])
def test_messages_for_another_grid_are_refused(rows: int, columns: int) -> None:
    theta, state, *_ = case(VSML, (1, 3, 4))
    m, mb = (torch.zeros(1, n, VSML.message, dtype=theta.dtype) for n in (rows, columns))
    with pytest.raises(UsageError, match=rf"\({rows}, {columns}\): expected messages for 3 rows and 4 columns"):
        grid_tick(split(theta, VSML), state, m, mb, VSML)
