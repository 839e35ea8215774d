"""Cloning: the rule against autograd, the sub-RNN against a plain LSTM, networks against loops; stops and resumes."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from tutorlib.lab import Checkpoint, Context, Trial, UsageError
from tutorlib.lab.errors import NonFiniteError
from tutorlib.nn.grid import GridState, split
from tutorlib.papers.vsml import cloning, experiments, measures
from tutorlib.papers.vsml.cloning import UNIT, Config

SMALL = Config(hidden=6, steps=16, num_evals=4, batch=8, warmup=5, streams=2, length=60, width=3)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed))


# --- the rule


def test_the_rule_of_a_connection_is_what_autograd_says():
    x, w, b = (value.double().requires_grad_() for value in normal(3, 50))
    y = torch.tanh(x) * w + b
    e = torch.cos(y.detach())  # dL/dy of L = sum sin(y)
    gx, gw, gb = torch.autograd.grad(torch.sin(y).sum(), (x, w, b))
    rule = cloning.backprop(x.detach(), e, w.detach(), b.detach(), 0.3)
    for found, expected in zip(rule, (y, gx, w - 0.3 * gw, b - 0.3 * gb), strict=True):
        assert torch.allclose(found, expected.detach(), atol=1e-12)


def test_exact_layers_on_a_stream_are_sgd_by_autograd():
    sizes, eta, time = (5, 4, 3), 0.1, 6
    x, y = normal(2, time, 5), torch.tensor([[0, 1, 2, 2, 0, 1], [2, 2, 1, 0, 0, 1]])
    first = cloning.initial_layers(sizes, 2, seeded(3))
    layers, logits = cloning.online(cloning.exact(eta), first, x, y)
    for s in range(2):
        parameters = [part[s].clone().requires_grad_() for layer in first for part in layer]
        for t in range(time):
            m = x[s, t]
            for w, b in zip(parameters[::2], parameters[1::2], strict=True):
                m = (torch.tanh(m)[:, None] * w + b).sum(dim=0)
            assert torch.allclose(logits[s, t], m.detach(), atol=1e-5)
            gradients = torch.autograd.grad(F.cross_entropy(m, y[s, t]), parameters)
            parameters = [
                (part - eta * g).detach().requires_grad_() for part, g in zip(parameters, gradients, strict=True)
            ]
        ends = [part[s] for layer in layers for part in layer]
        for found, expected in zip(ends, parameters, strict=True):
            assert torch.allclose(found, expected.detach(), atol=1e-5)


def test_initial_layers_halve_the_signal_and_differ_between_streams():
    (w, b), (v, _) = cloning.initial_layers((400, 100, 10), 2, seeded())
    assert w.std().item() == pytest.approx(0.5 / 20, rel=0.03)
    assert v.std().item() == pytest.approx(0.5 / 10, rel=0.05)
    assert not b.any()
    assert not torch.equal(w[0], w[1])


# --- the sub-RNN


def test_slots_hold_what_was_planted():
    w, b = normal(2, 3, 4), normal(2, 3, 4, seed=1)
    state = cloning.planted(w, b, SMALL)
    held = cloning.slots(state)
    assert torch.allclose(held[0], w)
    assert torch.allclose(held[1], b)
    assert torch.allclose(state.c[..., 0], 2 * w)
    assert torch.allclose(state.c[..., 1], 10 * b)
    assert not state.c[..., 2:].any()
    assert torch.allclose(state.h, 0.5 * torch.tanh(state.c))


def parts_of(theta, config):
    """V_M in its parts, sliced by hand."""
    h, parts, at = config.hidden, {}, 0
    shapes = {"m": (1, 4 * h), "b": (1, 4 * h), "r": (1, 4 * h), "h": (h, 4 * h), "beta": (4 * h,)}
    for name, shape in (shapes | {"v_F": (h, 1), "o_F": (1,), "v_B": (h, 1), "o_B": (1,)}).items():
        size = torch.Size(shape).numel()
        parts[name], at = theta[at : at + size].view(shape), at + size
    assert at == len(theta)
    return parts


def plain_phase(parts, h, c, x, e, r, config):
    """One phase of one sub-RNN, as the textbook writes an LSTM: h, c, y and e'."""
    for _ in range(config.micro_ticks):
        z = x * parts["m"][0] + e * parts["b"][0] + r * parts["r"][0] + h @ parts["h"] + parts["beta"]
        i, g, f, o = z.chunk(4)
        c = torch.sigmoid(f - 2) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
    return h, c, (h @ parts["v_F"] + parts["o_F"]).item(), (h @ parts["v_B"] + parts["o_B"]).item()


@pytest.mark.parametrize("micro_ticks", [1, 2])
def test_squared_errors_are_those_of_a_plain_lstm(micro_ticks):
    config = replace(SMALL, micro_ticks=micro_ticks)
    theta = cloning.initial_parameters(config, seeded()) + 0.3 * normal(config.grid.parameters)
    parts = parts_of(theta, config)
    state = cloning.fresh_states(config, seeded(1))
    state = state._replace(h=state.h + 0.1 * normal(*state.h.shape), c=state.c + 0.1 * normal(*state.c.shape, seed=2))
    x, e = cloning.drawn_examples(config.batch, seeded(2))
    last, found = cloning.squared_errors(split(theta, config.grid), state, x, e, config)
    total = torch.zeros(4)
    for n in range(config.batch):
        h, c, xn, en = state.h[n, 0, 0], state.c[n, 0, 0], x[n, 0], e[n, 0]
        w, b, t = UNIT[0] * c[0], UNIT[1] * c[1], torch.tanh(xn)
        h, c, y, _ = plain_phase(parts, h, c, xn, 0.0, 0.0, config)
        total[0] += (y - (t * w + b)) ** 2
        total[2] += (UNIT[0] * c[0] - w) ** 2 / 2
        total[3] += (UNIT[1] * c[1] - b) ** 2 / 2
        h, c, _, e_in = plain_phase(parts, h, c, xn, en, 1.0, config)
        total[1] += (e_in - en * w * (1 - t**2)) ** 2
        total[2] += (UNIT[0] * c[0] - (w - config.eta * en * t)) ** 2 / 2
        total[3] += (UNIT[1] * c[1] - (b - config.eta * en)) ** 2 / 2
        assert torch.allclose(last.c[n, 0, 0], c, atol=1e-5)
        assert torch.allclose(last.h[n, 0, 0], h, atol=1e-5)
    assert torch.allclose(found, total / config.batch, rtol=1e-4)


def test_the_rule_is_applied_to_what_the_slots_hold_and_not_differentiated():
    # Were the target to move with the slots, an error could be lowered by forgetting w.
    theta = cloning.initial_parameters(SMALL, seeded())
    state = cloning.fresh_states(SMALL, seeded(1))
    c = state.c.clone().requires_grad_()
    x, e = cloning.drawn_examples(SMALL.batch, seeded(2))
    w, b = (slot.flatten(1) for slot in cloning.slots(state))
    _, found = cloning.squared_errors(split(theta, SMALL.grid), state._replace(c=c), x, e, SMALL)
    (g,) = torch.autograd.grad(found[0], c)
    p, fixed = split(theta, SMALL.grid), cloning.backprop(x, e, w, b, SMALL.eta).y
    first = cloning.phase(p, state._replace(c=c), x, torch.zeros_like(e), 0.0, SMALL.grid)
    (expected,) = torch.autograd.grad((first.forward.flatten(1) - fixed).square().mean(), c)
    assert g.abs().max() > 0
    assert torch.allclose(g, expected, atol=1e-7)


def test_slots_begin_by_remembering_and_scratch_by_forgetting():
    config = replace(SMALL, hidden=32)
    beta = parts_of(cloning.initial_parameters(config, seeded()), config)["beta"].view(4, -1)
    assert beta[0].tolist() == [-2.0, -2.0, *[0.0] * 30]
    assert beta[2].tolist() == [8.0, 8.0, *[0.0] * 30]
    assert not beta[[1, 3]].any()


def test_questions_and_fresh_states_have_the_stated_sizes():
    config = replace(SMALL, batch=200_000)
    x, e = cloning.drawn_examples(config.batch, seeded())
    assert x.std().item() == pytest.approx(1.5, rel=0.01)
    assert e.abs().max().item() == pytest.approx(1.2, abs=0.01)
    assert e.square().mean().item() == pytest.approx(1.44 / 7, rel=0.01), "E u^6 = 1/7"
    w, b = cloning.slots(cloning.fresh_states(config, seeded()))
    assert w.std().item() == pytest.approx(0.25, rel=0.01)
    assert b.std().item() == pytest.approx(0.03, rel=0.01)


def test_sub_rnns_are_renewed_where_told_and_where_they_ran_away():
    old = GridState(torch.zeros(4, 1, 1, 6), torch.zeros(4, 1, 1, 6), torch.zeros(4, 1, 1), torch.zeros(4, 1, 1))
    old.c[1, 0, 0, 5], old.c[2, 0, 0, 3] = float("nan"), -101.0
    fresh = GridState(*(torch.ones_like(part) for part in old))
    new = cloning.renewed(old, fresh, torch.tensor([True, False, False, False]))
    for part in new:
        assert part.flatten(1).amin(dim=1).tolist() == [1.0, 1.0, 1.0, 0.0]


# --- the network of sub-RNNs


def test_a_cloned_layer_is_its_sub_rnns_one_by_one_with_summed_messages():
    theta = cloning.initial_parameters(SMALL, seeded()) + 0.3 * normal(SMALL.grid.parameters)
    parts, learner = parts_of(theta, SMALL), cloning.cloned(theta, SMALL)
    (w, b), *_ = cloning.initial_layers((3, 2), 2, seeded(1))
    state = cloning.planted(w, b, SMALL)
    h, c = state.h, state.c
    x, e = normal(2, 3), normal(2, 2, seed=5)
    first, y = learner.forward(state, x)
    last, e_in = learner.backward(first, x, e)
    for s in range(2):
        sums, backs = torch.zeros(2), torch.zeros(3)
        for row in range(3):
            for column in range(2):
                own = h[s, row, column], c[s, row, column]
                *own, out, _ = plain_phase(parts, *own, x[s, row], 0.0, 0.0, SMALL)
                *own, _, back = plain_phase(parts, *own, x[s, row], e[s, column], 1.0, SMALL)
                sums[column] += out
                backs[row] += back
                assert torch.allclose(last.c[s, row, column], own[1], atol=1e-5)
        assert torch.allclose(y[s], sums, atol=1e-5)
        assert torch.allclose(e_in[s], backs, atol=1e-5)


def test_a_label_changes_later_predictions_and_no_other():
    theta = cloning.initial_parameters(SMALL, seeded()) + 0.3 * normal(SMALL.grid.parameters)
    first = [cloning.planted(*layer, SMALL) for layer in cloning.initial_layers((4, 3, 3), 1, seeded())]
    x, y = normal(1, 8, 4), torch.tensor([[0, 1, 2, 0, 1, 2, 0, 1]])
    other = y.clone()
    other[0, 4] = 2
    runs = [cloning.online(cloning.cloned(theta, SMALL), first, x, labels)[1] for labels in (y, other)]
    assert torch.equal(runs[0][:, :5], runs[1][:, :5])
    assert not torch.allclose(runs[0][:, 5], runs[1][:, 5], atol=1e-6)


def test_messages_and_errors_pass_through_the_layers_in_order():
    seen = []

    def forward(state, x):
        seen.append(("forward", state, x.tolist()))
        return state + 1, x + 1

    def backward(state, x, e):
        seen.append(("backward", state, x.tolist()))
        return state + 10, 2 * e

    layers, logits = cloning.online(
        cloning.Learner(forward, backward), [0, 100], torch.zeros(1, 1, 2), torch.tensor([[1]])
    )
    assert logits.tolist() == [[[2.0, 2.0]]]
    assert layers == [11, 111]
    assert seen == [
        ("forward", 0, [[0.0, 0.0]]),
        ("forward", 100, [[1.0, 1.0]]),
        ("backward", 101, [[1.0, 1.0]]),
        ("backward", 1, [[0.0, 0.0]]),
    ]


# --- training


@pytest.mark.parametrize("max_grad_norm", [1e-3, 1e6])
def test_a_step_is_adam_on_the_clipped_gradient_of_the_weighted_errors(max_grad_norm, monkeypatch):
    config = replace(SMALL, steps=1, num_evals=1, warmup=4, max_grad_norm=max_grad_norm)
    theta = cloning.initial_parameters(config, start := seeded(7)).requires_grad_()
    pool = cloning.fresh_states(config, start)
    x, e = cloning.drawn_examples(config.batch, cloning.step_generator(7, 0, torch.device("cpu")))
    _, off = cloning.squared_errors(split(theta, config.grid), pool, x, e, config)
    (g,) = torch.autograd.grad(20 * off[0] + 5 * off[1] + 1000 * off[2] + 200 * off[3], theta)
    g = g * min(1.0, max_grad_norm / g.norm().item())
    handed = []
    adam = cloning.adam_step
    monkeypatch.setattr(
        cloning, "adam_step", lambda theta, m, *rest: (handed.append(rest[0]), adam(theta, m, *rest))[1]
    )
    clone = cloning.clone_backprop(Trial(config, 7), Context())
    assert torch.allclose(handed[0][0], g, rtol=1e-4, atol=1e-9)
    # Adam's first step: the moments, freed of their start, are g and g^2.
    expected = theta.detach() - config.lr / 4 * g / (g.abs() + 1e-8)
    assert torch.allclose(clone.theta, expected, atol=1e-6)
    assert torch.equal(clone.errors[0], off.detach())


def test_steps_and_seeds_have_questions_of_their_own(monkeypatch):
    asked = []
    drawn_examples = cloning.drawn_examples

    def watched(batch, generator):
        asked.append(drawn_examples(batch, generator))
        return asked[-1]

    monkeypatch.setattr(cloning, "drawn_examples", watched)
    for seed in (0, 1, 0):
        cloning.clone_backprop(Trial(replace(SMALL, steps=2, num_evals=1), seed), Context())
    x = torch.stack([x for x, _ in asked])
    assert len({tuple(row.flatten().tolist()) for row in x[:4]}) == 4
    assert torch.equal(x[:2], x[4:])


def test_the_rate_falls_along_half_a_cosine(monkeypatch):
    lrs = []
    adam = cloning.adam_step

    def watched(theta, moments, g, step, lr):
        lrs.append(lr)
        return adam(theta, moments, g, step, lr)

    monkeypatch.setattr(cloning, "adam_step", watched)
    cloning.clone_backprop(Trial(replace(SMALL, warmup=1), 0), Context())
    assert lrs[0] == pytest.approx(SMALL.lr)
    assert lrs[8] == pytest.approx(SMALL.lr / 2)
    assert lrs[12] == pytest.approx(SMALL.lr * (1 - 0.5**0.5) / 2)
    assert lrs == sorted(lrs, reverse=True)


def test_a_short_cloning_learns_to_keep_the_slots_and_part_of_the_rule():
    config = Config(hidden=8, steps=150, num_evals=1, batch=32, warmup=10)
    clone = cloning.clone_backprop(Trial(config, 0), Context())
    before = cloning.imitation(cloning.initial_parameters(config, seeded()), 0, config)
    after = cloning.imitation(clone.theta, 0, config)
    assert after["rmse"]["w"] < before["rmse"]["w"] / 3
    assert after["rmse"]["b"] < before["rmse"]["b"] / 2
    assert after["rmse"]["y"] < 0.8 * after["size"]["y"]


def test_sizes_of_what_is_asked_follow_from_the_distributions():
    config = Config(hidden=6, batch=4000)
    found = cloning.imitation(cloning.initial_parameters(config, seeded()), 0, config, examples=1)
    t = torch.tanh(1.5 * normal(10**6))
    mean_e = (1.44 / 7) ** 0.5
    assert found["size"]["y"] == pytest.approx((t.square().mean().item() / 16 + 0.03**2) ** 0.5, rel=0.05)
    assert found["size"]["e"] == pytest.approx(mean_e / 4 * (1 - t.square()).square().mean().sqrt().item(), rel=0.1)
    assert found["size"]["w"] == pytest.approx(config.eta * mean_e * t.square().mean().sqrt().item(), rel=0.05)
    assert found["size"]["b"] == pytest.approx(config.eta * mean_e, rel=0.05)


class Killed(Exception):
    pass


@pytest.fixture
def killed_at(monkeypatch):
    """Let adam_step raise at one step."""
    adam = cloning.adam_step

    def kill(at):
        def deadly(theta, moments, g, step, lr):
            if step == at:
                raise Killed
            return adam(theta, moments, g, step, lr)

        monkeypatch.setattr(cloning, "adam_step", deadly)

    return kill


def test_a_run_that_was_cut_goes_on_bit_by_bit(tmp_path, killed_at):
    trial = Trial(SMALL, 3)
    undisturbed = cloning.clone_backprop(trial, Context())
    checkpoint = Checkpoint(tmp_path / "run.ckpt", "a")
    killed_at(11)
    with pytest.raises(Killed):
        cloning.clone_backprop(trial, Context(checkpoint=checkpoint, save_every=0.0))
    assert checkpoint.load()["step"] == 11
    killed_at(10)  # a step that the resumed run must not take again
    resumed = cloning.clone_backprop(trial, Context(checkpoint=checkpoint))
    assert torch.equal(resumed.theta, undisturbed.theta)
    assert torch.equal(resumed.errors, undisturbed.errors)
    assert resumed.errors.shape == (16, 4)


def test_a_cloning_gives_the_numbers_that_it_always_gave():
    """Of before there was one loop for all; a squared norm stands for theta."""
    found = cloning.clone_backprop(Trial(SMALL, 2), Context())
    assert found.theta[:3].tolist() == pytest.approx([-0.29913738, 0.31613699, -0.4993746], rel=1e-5)
    assert float(found.theta.square().sum()) == pytest.approx(153.442302, rel=1e-5)
    last = [0.51735961, 0.0094447751, 0.0045092721, 1.1997836e-05]
    assert found.errors[-1].tolist() == pytest.approx(last, rel=1e-4)


def test_a_run_that_diverges_says_which_rate_was_too_large(monkeypatch):
    adam = cloning.adam_step

    def poisoned(theta, moments, g, step, lr):
        theta, moments = adam(theta, moments, g, step, lr)
        return (theta * float("nan") if step == 9 else theta), moments

    monkeypatch.setattr(cloning, "adam_step", poisoned)
    said = r"loss of step 11 of 16 is not finite \(seed 1\).* a smaller lr than 0.01 may help"
    with pytest.raises(NonFiniteError, match=said):
        cloning.clone_backprop(Trial(SMALL, 1), Context())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden", 1),
        ("micro_ticks", 0),
        ("eta", 0.0),
        ("steps", 0),
        ("lr", float("inf")),
        ("max_grad_norm", 0.0),
        ("fresh", 1.5),
        ("num_evals", 7),
        ("kinds", ()),
        ("kinds", ("didgits",)),
        ("length", 0),
    ],
)
def test_bad_settings_are_refused_by_name(name, value):
    with pytest.raises(UsageError, match=rf"^{name}(\[0\])?="):
        replace(SMALL, **{name: value})


# --- the experiment


@pytest.fixture(scope="module")
def metrics():
    (found,) = measures.run_cloning([Trial(SMALL, 5)], Context())
    return found


def test_a_run_reports_errors_and_curves_of_both_learners(metrics):
    assert metrics["evals"]["steps"] == [4, 8, 12, 16]
    assert len(metrics["evals"]["rmse"]) == 4
    assert all(list(metrics[name]) == [*"yewb"] for name in ("rmse", "size"))
    for network in ("shallow", "deep"):
        for learner in ("clone", "exact"):
            assert len(metrics["digits"][network][learner]["curve"]) == 2, "windows of 50 and of the last 10"
        exact, clone = (metrics["digits"][network][learner]["last"] for learner in ("exact", "clone"))
        assert metrics["digits"][network]["gap"] == pytest.approx(exact - clone)


def test_an_exact_clone_has_no_gap(monkeypatch):
    # With the exact rule in place of the sub-RNNs, what is reported as the clone's must be gradient descent's.
    monkeypatch.setattr(cloning, "cloned", lambda theta, config: cloning.exact(config.eta))
    monkeypatch.setattr(cloning, "planted", lambda w, b, config: (w, b))
    monkeypatch.setattr(cloning, "slots", lambda state: state)
    first = cloning.initial_layers((64, 10), 2, seeded())
    x, y = measures.sample(measures.Streams(("digits",), 64, 10, 250), 2, seeded())
    found = measures._race(torch.zeros(1), first, x, y, SMALL)
    assert found["gap"] == 0.0
    assert found["agree"] == pytest.approx(1.0)
    assert found["clone"]["curve"] == found["exact"]["curve"]
    assert found["exact"]["last"] > 0.5, "gradient descent itself learns digits"
    assert found["exact"]["last"] == pytest.approx(sum(found["exact"]["curve"][1:]) / 4, abs=1e-3)


def test_the_tiers_are_one_live_seed_and_at_least_five_of_a_study():
    tiers = experiments.CLONING.tiers
    assert tiers["live"].seeds == (0,)
    assert len(tiers["study"].seeds) >= 5
    assert {c.micro_ticks for c in tiers["study"].configs} == {1, 2}
    assert tiers["study"].configs[0].kinds == ("digits", "mnist", "fashion-mnist")
    assert tiers["paper"].configs[0].side == 28
