"""Objective, Adam, one meta-training step, the learning curve, and the phase rule, each against a plain re-write."""

import math

import pytest
import torch

from tutorlib.lab import Context, Trial, UsageError
from tutorlib.papers.gpicl import algorithm, problem
from tutorlib.papers.gpicl.algorithm import Config, State

SMALL = Config(width=8, layers=1, heads=1, head_dim=8, length=6, batch=4, steps=20, num_evals=2, warmup=1)
CPU = torch.device("cpu")


def start(config=SMALL, seed=0):
    trial = Trial(config, seed)
    f = algorithm.FlatModule(algorithm.network(config.model))
    return f, algorithm.initial_state(f, [trial], CPU), algorithm.hyper([trial], CPU)


def batch(config=SMALL, step=0):
    base = problem.digits()[0]
    h = algorithm.hyper([Trial(config, 0)], CPU)
    return problem.meta_batch(base, config.law, h.seed, step, h.tasks, h.biased, config.batch, config.length)


def test_objective_is_the_mean_of_minus_log_probabilities():
    f, state, _ = start()
    x, y = batch()
    logits = f(state.theta[0], x[0], y[0])
    total = 0.0
    for s in range(4):
        for j in range(6):
            total -= logits[s, j].log_softmax(-1)[y[0, s, j]].item()
    assert algorithm.objective(f, state.theta, x, y).item() == pytest.approx(total / 24, rel=1e-6)


@pytest.mark.parametrize("eps", [1e-12, 1e-3])
def test_adam_is_torchs_adam_over_many_steps(eps):
    config = Config(eps=eps, lr=1e-2, warmup=1)
    h = algorithm.hyper([Trial(config, 0)], CPU)
    theta = torch.randn(1, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    state = State(theta, torch.zeros_like(theta), torch.zeros_like(theta))
    parameter = torch.nn.Parameter(theta.clone())
    optimiser = torch.optim.Adam([parameter], lr=1e-2, betas=(config.beta1, config.beta2), eps=eps)
    for step in range(30):
        gradient = torch.sin(state.theta * (step + 1)) * 1e-3
        parameter.grad = gradient.clone()
        optimiser.step()
        state = algorithm.adam(state, gradient, step, config, h)
        assert torch.allclose(state.theta, parameter.detach(), rtol=1e-6, atol=1e-7)


def test_warm_up_is_linear():
    config = Config(warmup=4, lr=1e-2)
    h = algorithm.hyper([Trial(config, 0)], CPU)
    g, zero = torch.ones(1, 1), torch.zeros(1, 1)
    for step, share in ((0, 0.25), (1, 0.5), (3, 1.0), (9, 1.0)):
        # Moments as after `step` equal gradients: the bias-corrected step is then exactly the rate.
        past = State(zero, 1 - torch.tensor([[config.beta1]]) ** step, 1 - torch.tensor([[config.beta2]]) ** step)
        moved = algorithm.adam(past, g, step, config, h).theta.item()
        assert moved == pytest.approx(-1e-2 * share, rel=1e-4)


def test_a_step_follows_the_clipped_gradient_of_autograd():
    config = Config(**{**SMALL.__dict__, "max_grad_norm": 0.05})
    f, state, h = start(config)
    base = problem.digits()[0]
    after, loss = algorithm.meta_step(f, base, state, 0, config, h)
    theta = state.theta.clone().requires_grad_()
    x, y = batch(config)
    expected = algorithm.objective(f, theta, x, y)
    (g,) = torch.autograd.grad(expected, theta)
    assert loss.item() == pytest.approx(expected.item())
    assert g.norm() > 0.05, "clipping is active"
    g = g * 0.05 / g.norm()
    assert torch.allclose(after.m, 0.1 * g, atol=1e-8)
    assert torch.allclose(after.v, (1 - config.beta2) * g.square(), atol=1e-10)
    assert not after.theta.requires_grad


def test_gradient_agrees_with_finite_differences():
    f, state, _ = start()
    f.module.double()
    theta = state.theta.double()
    x, y = batch()
    x = x.double()
    leaf = theta.clone().requires_grad_()
    (g,) = torch.autograd.grad(algorithm.objective(f, leaf, x, y), leaf)
    direction = torch.randn(theta.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    step = 1e-5 * direction / direction.norm()
    rise = algorithm.objective(f, theta + step, x, y) - algorithm.objective(f, theta - step, x, y)
    assert (rise / 2).item() == pytest.approx((g * step).sum().item(), rel=1e-5)


def test_meta_training_lowers_the_loss_on_a_single_task_and_calls_look():
    config = Config(tasks=1, width=16, layers=1, heads=1, head_dim=8, length=4, steps=60, num_evals=3, warmup=1)
    seen = []

    def look(f, theta):
        seen.append(theta.clone())
        return torch.tensor(float(len(seen)))

    trained = algorithm.meta_train([Trial(config, 0)], Context(), look)
    assert len(seen) == 3
    assert [v.item() for v in trained.evals] == [1.0, 2.0, 3.0]
    assert torch.equal(seen[-1], trained.theta)
    assert trained.losses.shape == (60, 1)
    assert trained.losses[:5].mean() > 1.2
    assert trained.losses[-5:].mean() < 0.7 * trained.losses[:5].mean()


def test_learning_curve_counts_right_predictions_per_position():
    f, state, _ = start()
    x, y = batch()
    curve = algorithm.learning_curve(f, state.theta, x, y)
    logits = f(state.theta[0], x[0], y[0])
    for j in range(6):
        right = sum(int(logits[s, j].argmax() == y[0, s, j]) for s in range(4))
        assert curve[0, j].item() == pytest.approx(right / 4)


@pytest.mark.parametrize(("seen", "unseen", "infinite", "expected"), [
    ((0.82, 0.975), (0.23, 0.245), False, "task memorisation"),  # measured runs, by their own names
    ((0.454, 0.790), (0.23, 0.250), False, "task identification"),
    ((0.27, 0.901), (0.25, 0.891), False, "general learning"),
    ((0.33, 0.533), (0.24, 0.248), False, "task identification"),
    ((0.27, 0.278), (0.27, 0.259), False, "no learning"),
    ((0.23, 0.489), (0.25, 0.480), False, "partial"),
    ((0.25, 0.253), (0.25, 0.253), True, "no learning"),
    ((0.24, 0.388), (0.24, 0.388), True, "partial"),
    ((0.25, 0.40), (0.25, 0.30), True, "no learning"),  # K = inf: seen tasks mean nothing
    ((0.50, 0.55), (0.25, 0.25), False, "task memorisation"),  # known at first more than gained later
        ((0.27, 0.36), (0.25, 0.25), False, "task identification"),
])  # fmt: skip
def test_phase_rule_names_runs_of_each_phase(seen, unseen, infinite, expected):
    assert algorithm.phase(seen, unseen, 0.25, 0.926, infinite) == expected
    assert expected in algorithm.PHASES


@pytest.mark.parametrize(("field", "value"), [
    ("tasks", 0), ("tasks", -3), ("tasks", "many"), ("bias", 1.5), ("bias", -0.1), ("length", 1),
    ("batch", 0), ("steps", 0), ("lr", 0.0), ("lr", math.nan), ("eps", -1.0), ("beta2", 1.0), ("num_evals", 7),
    ("width", 0), ("max_grad_norm", math.inf), ("dataset", "mnst"), ("optimizer", "sgd"), ("architecture", "gru"),
    ("positions", "rotary"), ("projection", "none"), ("rank", 0), ("position_std", -1.0),
])  # fmt: skip
def test_bad_configurations_are_refused_by_name(field, value):
    with pytest.raises(UsageError, match=f"^{field}="):
        Config(**{field: value})


def test_the_sign_variant_moves_every_parameter_by_alpha_along_the_averaged_gradient():
    c = Config(optimizer="sign", warmup=1, lr=0.5)
    h = algorithm.hyper([Trial(c, 0)], torch.device("cpu"))
    state = State(torch.zeros(1, 3), torch.tensor([[1.0, 0.0, -1.0]]), torch.zeros(1, 3))
    after = algorithm.adam(state, torch.tensor([[-1.0, 1e-20, 0.0]]), 0, c, h)
    assert torch.allclose(after.m, torch.tensor([[0.8, 1e-21, -0.9]]))
    assert torch.equal(after.theta, torch.tensor([[-0.5, -0.5, 0.5]])), "however small the gradient"


def test_the_sign_variant_is_adams_limit_for_a_steady_gradient():
    g = torch.tensor([[1e-6, -3e-4, 2.0]])
    ends = {}
    for optimizer in ("adam", "sign"):
        c = Config(optimizer=optimizer, warmup=1, eps=1e-30)
        h = algorithm.hyper([Trial(c, 0)], torch.device("cpu"))
        state = State(torch.zeros(1, 3), torch.zeros(1, 3), torch.zeros(1, 3))
        for step in range(20):
            state = algorithm.adam(state, g, step, c, h)
        ends[optimizer] = state.theta
    assert torch.allclose(ends["adam"], ends["sign"], rtol=1e-4)


@pytest.mark.parametrize("architecture", ["lstm", "outer-product", "mlp"])
def test_every_architecture_is_meta_trained_by_the_same_loop(architecture):
    # A single task: every network can know it by heart, and does better than guessing then.
    c = Config(architecture=architecture, tasks=1, width=32, heads=2, head_dim=8, length=8, batch=16, steps=120,
               num_evals=1, warmup=1, lr=1e-2)  # fmt: skip
    losses = algorithm.meta_train([Trial(c, 0)], Context()).losses
    assert losses[:5].mean() > 1.0
    assert losses[-10:].mean() < 0.7
