"""The two agents: SymLA's three symmetries hold to rounding, the MetaRNN has none of them."""

import dataclasses

import pytest
import torch
from torch.nn.functional import one_hot

from tutorlib.lab import UsageError
from tutorlib.papers.symla import model
from tutorlib.papers.symla.model import MetaRNN, SymLA

LIFETIMES, TIME = 3, 6


def theta_of(agent, members=(), seed=0):
    g = torch.Generator().manual_seed(seed)
    return agent.initial_parameters(g) + 0.2 * torch.randn(*members, agent.parameters, generator=g)


def history(agent, members=(), seed=1):
    """Made-up observations, previous actions (none at first) and rewards."""
    g = torch.Generator().manual_seed(seed)
    o = torch.randn(TIME, *members, LIFETIMES, agent.observations, generator=g)
    a = one_hot(torch.randint(agent.actions, (TIME, *members, LIFETIMES), generator=g), agent.actions).float()
    a[0] = 0
    return o, a, torch.randn(TIME, *members, LIFETIMES, generator=g)


def logits(agent, theta, o, a, r, noise=None):
    parts = agent.prepare(theta)
    h = agent.start(theta, torch.zeros(LIFETIMES, *agent.start_noise) if noise is None else noise)
    found = []
    for t in range(TIME):
        h, y = agent.step(parts, h, o[t], a[t], r[t])
        found.append(y)
    return torch.stack(found)


@pytest.fixture(params=["zeros", "random"])
def symla(request):
    return SymLA(4, 3, initial=request.param)


def test_permuted_observations_and_actions_give_permuted_logits(symla):
    theta, (o, a, r) = theta_of(symla), history(symla)
    noise = torch.randn(LIFETIMES, *symla.start_noise)
    p, q = torch.tensor([2, 0, 3, 1]), torch.tensor([1, 2, 0])
    moved = noise[:, p][:, :, q] if symla.initial == "random" else noise
    plain = logits(symla, theta, o, a, r, noise)
    permuted = logits(symla, theta, o[..., p], a[..., q], r, moved)
    assert (plain[..., q] - permuted).abs().max() < 1e-5
    assert (plain - permuted).abs().max() > 1e-3  # the permutation does move something
    if symla.initial == "random":
        assert (plain[..., q] - logits(symla, theta, o[..., p], a[..., q], r, noise)).abs().max() > 1e-3


def test_a_meta_rnn_is_not_equivariant():
    agent = MetaRNN(4, 3)
    theta, (o, a, r) = theta_of(agent), history(agent)
    p, q = torch.tensor([2, 0, 3, 1]), torch.tensor([1, 2, 0])
    assert (logits(agent, theta, o, a, r)[..., q] - logits(agent, theta, o[..., p], a[..., q], r)).abs().max() > 1e-2


def test_one_theta_fits_any_size_and_untried_actions_are_alike():
    small, large = SymLA(1, 2), SymLA(3, 20)
    assert small.parameters == large.parameters == 3472
    y = logits(large, theta_of(large), *history(large))
    assert (y[0] - y[0, :, :1]).abs().max() < 1e-5  # nothing was tried yet
    assert y[-1].std(dim=-1).min() > 1e-4  # now there is a history


@pytest.mark.parametrize("reduce", ["mean", "sum"])
@pytest.mark.parametrize("members", [(), (5,)])
def test_the_small_tick_is_the_grid_tick(monkeypatch, members, reduce):
    agent = SymLA(2, 3, reduce=reduce)
    theta, (o, a, r) = theta_of(agent, members), history(agent, members)
    small = logits(agent, theta, o, a, r)
    monkeypatch.setattr(model, "SMALL", 0)
    assert (small - logits(agent, theta, o, a, r)).abs().max() < 1e-5


@pytest.mark.parametrize("agent", [SymLA(2, 3), SymLA(5, 4), MetaRNN(2, 3)], ids=["small", "grid", "rnn"])
def test_a_population_is_its_members_one_by_one(agent):
    theta, (o, a, r) = theta_of(agent, (4,)), history(agent, (4,))
    together = logits(agent, theta, o, a, r)
    for i in range(4):
        assert (together[:, i] - logits(agent, theta[i], o[:, i], a[:, i], r[:, i])).abs().max() < 1e-5


@pytest.mark.parametrize("agent", [SymLA(2, 3), MetaRNN(2, 3)], ids=["symla", "rnn"])
def test_each_input_reaches_the_logits(agent):
    theta, (o, a, r) = theta_of(agent), history(agent)
    plain = logits(agent, theta, o, a, r)
    for changed in ((o + 1, a, r), (o, a.roll(1, dims=-1), r), (o, a, r + 1)):
        assert (plain - logits(agent, theta, *changed)).abs().max() > 1e-3


def test_self_messages_tell_of_other_rows():
    """Without them column b of a single layer hears of other rows nothing until the readout; the states differ."""
    with_them, without = SymLA(4, 3), SymLA(4, 3, self_messages=False)
    assert with_them.parameters - without.parameters == 2 * 8 * 64
    for agent, differs in ((with_them, True), (without, False)):
        theta, (o, a, r) = theta_of(agent), history(agent)
        ends = []
        for x in (o, torch.cat([o[..., :1], o[..., 1:] + 1], dim=-1)):  # the first row sees the same
            parts, h = agent.prepare(theta), agent.start(theta, torch.zeros(LIFETIMES, 0))
            for t in range(TIME):
                h, _ = agent.step(parts, h, x[t], a[t], r[t])
            ends.append(h.h[:, 0])
        assert ((ends[0] - ends[1]).abs().max() > 1e-4) == differs


def test_the_meta_rnn_is_torchs_lstm():
    agent = MetaRNN(2, 3, hidden=5)
    assert MetaRNN(3, 3).parameters == 5219
    theta, (o, a, r) = theta_of(agent), history(agent)
    p = agent.prepare(theta)
    cell = torch.nn.LSTMCell(6, 5)
    order = torch.cat([torch.arange(0, 5), torch.arange(10, 15), torch.arange(5, 10), torch.arange(15, 20)])  # i f g o
    beta = p.beta.clone()
    beta[10:15] += 1.0  # of the forget gate
    with torch.no_grad():
        cell.weight_ih.copy_(p.w_x.T[order])
        cell.weight_hh.copy_(p.w_h.T[order])
        cell.bias_ih.copy_(beta[order])
        cell.bias_hh.zero_()
        h = c = torch.zeros(LIFETIMES, 5)
        for t, y in enumerate(logits(agent, theta, o, a, r)):
            h, c = cell(torch.cat([o[t], a[t], r[t].unsqueeze(-1)], dim=-1), (h, c))
            assert (h @ p.v + p.offset - y).abs().max() < 1e-5


def test_thetas_start_at_the_scale_of_their_inputs():
    agent = MetaRNN(4, 2)
    parts = agent.prepare(agent.initial_parameters(torch.Generator().manual_seed(0)))
    assert parts.w_h.abs().max() <= 2 / (4 + 2 + 1 + 32) ** 0.5
    assert 0.8 < parts.v.std() * 32**0.5 < 1.0
    assert not parts.beta.any()
    assert not parts.offset.any()


@pytest.mark.parametrize(("make", "argument"), [
    (lambda: SymLA(0, 2), "observations=0"),
    (lambda: SymLA(1, 0), "actions=0"),
    (lambda: MetaRNN(1, 2, hidden=0), "hidden=0"),
    (lambda: SymLA(1, 2, initial="normal"), "initial='normal'"),
    (lambda: SymLA(1, 2, scale=0.0), "scale=0.0"),
    (lambda: SymLA(1, 2, hidden=0), "hidden=0"),
    (lambda: MetaRNN(1, 2).prepare(torch.zeros(7)), "theta=(7,)"),
    (lambda: SymLA(1, 2).prepare(torch.zeros(7)), "theta=(7,)"),
])  # fmt: skip
def test_bad_input_is_named(make, argument):
    with pytest.raises(UsageError) as error:
        make()
    assert argument in str(error.value)


def test_agents_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        SymLA(1, 2).hidden = 3
