"""Cells that run as one batch are trained as they are alone."""

from dataclasses import replace

import pytest
import torch

from tutorlib.lab import Context, Trial
from tutorlib.lab.batching import shared
from tutorlib.nn import FlatModule
from tutorlib.papers.gpicl.algorithm import (
    VARIES,
    Config,
    hyper,
    initial_state,
    learning_curve,
    meta_train,
    objective,
)
from tutorlib.papers.gpicl.model import Transformer
from tutorlib.papers.gpicl.problem import base_sets, meta_batch

BASE = Config(
    steps=50, num_evals=5, warmup=10, width=16, layers=2, heads=2, head_dim=8, batch=8, length=12, max_grad_norm=0.3
)
CELLS = [
    Trial(BASE, 0),
    Trial(BASE, 1),
    Trial(replace(BASE, tasks=5), 0),
    Trial(replace(BASE, bias=0.75), 0),
    Trial(replace(BASE, lr=5e-4), 0),
    Trial(replace(BASE, eps=1e-3), 0),
    Trial(replace(BASE, tasks=3, bias=0.25, lr=1e-2, eps=1e-6), 7),
]


@pytest.fixture(scope="module")
def batch():
    return meta_train(CELLS, Context(), evaluate=lambda f, theta: theta.clone())


@pytest.fixture(scope="module")
def alone():
    return [meta_train([trial], Context(), evaluate=lambda f, theta: theta.clone()) for trial in CELLS]


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return ((a - b).double().norm() / b.double().norm()).item()


def test_all_of_these_have_one_shape():
    assert len({shared(trial.config, VARIES) for trial in CELLS}) == 1
    for name, value in {"width": 32, "max_grad_norm": 1.0, "batch": 16, "steps": 100, "beta2": 0.9}.items():
        assert shared(replace(BASE, **{name: value}), VARIES) != shared(BASE, VARIES)


def test_losses_and_parameters_are_those_of_single_runs(batch, alone):
    assert batch.theta.shape == (len(CELLS), alone[0].f.size)
    assert batch.losses.shape == (50, len(CELLS))
    for i, single in enumerate(alone):
        assert single.losses.shape == (50, 1)
        assert single.theta.shape == (1, single.f.size)
        torch.testing.assert_close(batch.losses[:, i], single.losses[:, 0], rtol=1e-5, atol=0)
        assert distance(batch.theta[i], single.theta[0]) < 1e-5
        for seen, expected in zip(batch.evals, single.evals, strict=True):
            assert distance(seen[i], expected[0]) < 1e-5


def test_the_cells_do_differ(batch):
    """Or the comparison would hold for trials that all ran with the first one's settings."""
    for i in range(len(CELLS)):
        for j in range(i):
            assert distance(batch.theta[i], batch.theta[j]) > 1e-3, (i, j)


def test_every_cell_clips_its_own_gradient(alone):
    f = FlatModule(Transformer(BASE.model))
    train = base_sets("digits", 4, 16)[0]
    h = hyper(CELLS, torch.device("cpu"))
    theta = initial_state(f, CELLS, torch.device("cpu")).theta.requires_grad_()
    x, y = meta_batch(train, BASE.law, h.seed, 0, h.tasks, h.biased, BASE.batch, BASE.length)
    (g,) = torch.autograd.grad(objective(f, theta, x, y).sum(), theta)
    norms = g.norm(dim=-1)
    assert (norms > BASE.max_grad_norm).all()
    assert norms.unique().numel() == 5  # rate and epsilon do not touch the first gradient, all else does
    # Seen on the result: without clipping a run goes elsewhere.
    free = meta_train([Trial(replace(BASE, max_grad_norm=1e6), 0)], Context())
    assert distance(alone[0].theta, free.theta) > 1e-3


def test_every_cell_draws_its_own_sequences():
    h = hyper(CELLS, torch.device("cpu"))
    train = base_sets("digits", 4, 16)[0]
    x, y = meta_batch(train, BASE.law, h.seed, 3, h.tasks, h.biased, BASE.batch, BASE.length)
    for i, trial in enumerate(CELLS):
        own = hyper([trial], torch.device("cpu"))
        x_own, y_own = meta_batch(train, BASE.law, own.seed, 3, own.tasks, own.biased, BASE.batch, BASE.length)
        assert torch.equal(x[i], x_own[0])
        assert torch.equal(y[i], y_own[0])
    assert not torch.equal(x[0], x[1])


def test_learning_curves_of_a_batch_are_those_of_its_cells(batch):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(len(CELLS), 20, BASE.length, BASE.inputs, generator=generator)
    y = torch.randint(4, (len(CELLS), 20, BASE.length), generator=generator)
    curves = learning_curve(batch.f, batch.theta, x, y)
    for i in range(len(CELLS)):
        own = learning_curve(batch.f, batch.theta[i : i + 1], x[i : i + 1], y[i : i + 1])
        torch.testing.assert_close(curves[i], own[0], rtol=0, atol=0.051)
