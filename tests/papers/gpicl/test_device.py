"""A step keeps to its device, and fits on it at the paper's sizes, at which nothing is computed (``lab.dry``)."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from tutorlib.lab import Context, Trial, UsageError
from tutorlib.lab.batching import shared
from tutorlib.lab.dry import GB, Ledger
from tutorlib.nn import FlatModule
from tutorlib.papers.gpicl import baselines, measures, problem
from tutorlib.papers.gpicl.algorithm import VARIES, Config, Hyper, State, learning_curve, meta_step, meta_train
from tutorlib.papers.gpicl.experiments import EXPERIMENTS, PAPER
from tutorlib.papers.gpicl.model import network
from tutorlib.papers.gpicl.problem import BaseSet

LARGEST, PEAK = 8 * GB, 80 * GB
"""The largest tensor, and all that is held at a time, of one run on a GPU of 80 GB or more."""


def empty(*size: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.empty(size, dtype=dtype, device="meta")


def whole(*size: int) -> torch.Tensor:
    return empty(*size, dtype=torch.int64)


def at_start(c: Config, runs: int, examples: int = 60_000) -> tuple[FlatModule, BaseSet, State, Hyper]:
    """Return what a step is given, on a device that is not there."""
    with torch.device("meta"):
        f = FlatModule(network(c.model))
    base = BaseSet(c.dataset, empty(examples, c.rank), whole(examples), whole(examples), c.classes)
    h = Hyper(whole(runs), whole(runs), whole(runs), empty(runs), empty(runs))
    return f, base, State(*(empty(runs, f.size) for _ in State._fields)), h


SMALL = Config(width=8, layers=1, heads=2, head_dim=4, batch=3, length=5, steps=10, num_evals=1)
KINDS = {
    "Transformer": SMALL,
    "LSTM": replace(SMALL, architecture="lstm"),
    "outer-product LSTM": replace(SMALL, architecture="outer-product"),
    "MLP": replace(SMALL, architecture="mlp"),
    "orthogonal projections, sign updates": replace(SMALL, projection="orthogonal", optimizer="sign"),
    "no projection, no permutation": replace(SMALL, projection="identity", permuted=False),
}


@pytest.mark.parametrize("runs", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_a_step_keeps_to_its_device(kind, runs):
    c = KINDS[kind]
    with FakeTensorMode():
        f, base, state, h = at_start(c, runs)
        with Ledger() as ledger:
            for step in (3, whole()):
                after, losses = meta_step(f, base, state, step, c, h)
                assert losses.shape == (runs,)
                assert {tensor.device.type for tensor in (*after, losses)} == {"meta"}
            x, y = problem.meta_batch(base, c.law, h.seed, 0, h.tasks, h.biased, c.batch, c.length)
            assert learning_curve(f, after.theta, x, y).shape == (runs, c.length)
        assert not ledger.elsewhere


SIZES = ("width", "head_dim", "batch", "length")
"""Memory grows with each of these."""


@cache
def largest_of_each_kind() -> list[tuple[str, Config]]:
    """Return the configurations of all paper tiers, but for those that differ from another in smaller sizes alone."""
    found = {
        shared(c, VARIES): (e.name, c) for e in EXPERIMENTS if "paper" in e.tiers for c in e.tiers["paper"].configs
    }
    return [own for key, own in found.items() if not any(covers(o, own[1]) for k, (_, o) in found.items() if k != key)]


def covers(other: Config, c: Config) -> bool:
    resized = replace(c, **{size: getattr(other, size) for size in SIZES})
    return shared(resized, VARIES) == shared(other, VARIES) and all(
        getattr(c, size) <= getattr(other, size) for size in SIZES
    )


def test_every_paper_tier_is_covered():
    kept = [c for _, c in largest_of_each_kind()]
    configs = [c for e in EXPERIMENTS if "paper" in e.tiers for c in e.tiers["paper"].configs]
    assert all(any(shared(k, VARIES) == shared(c, VARIES) or covers(k, c) for k in kept) for c in configs)
    assert {c.architecture for c in kept} == {"transformer", "lstm", "outer-product", "mlp"}
    assert max(c.batch for c in kept) == 1024
    assert max(c.length for c in kept) == 200


@pytest.mark.parametrize(("name", "c"), [
    pytest.param(name, c, id=f"{name} {c.architecture} {c.width} batch={c.batch} length={c.length}")
    for name, c in largest_of_each_kind()
])  # fmt: skip
def test_a_step_at_the_papers_sizes_fits_on_a_device(name, c):
    with FakeTensorMode():
        f, base, state, h = at_start(c, 1)
        with Ledger() as ledger:
            meta_step(f, base, state, 3, c, h)
        with Ledger() as looking:
            x, y = empty(1, measures.SEQUENCES, c.length, c.inputs), whole(1, measures.SEQUENCES, c.length)
            learning_curve(f, state.theta, x, y)
    assert ledger.largest <= LARGEST, ledger.largest_shape
    assert ledger.peak <= PEAK
    assert looking.largest <= LARGEST, looking.largest_shape
    assert looking.peak <= PEAK


def sets_of_a_run(c, base):
    k = problem.UNSEEN + torch.arange(measures.SEQUENCES)
    problem.meta_test_sequences(base, c.law, 0, k, c.length)
    problem.random_set(0, measures.SEQUENCES, c.length, c.inputs, c.classes)
    problem.blob_set(0, measures.SEQUENCES, c.length, c.inputs, c.classes)


def references_of_a_table(c, base):
    x, y = (
        torch.empty(measures.SEQUENCES // 2, c.length, c.inputs),
        torch.zeros(measures.SEQUENCES // 2, c.length).long(),
    )
    start, batch = torch.Generator(), (x[: c.batch], y[: c.batch])
    baselines.nearest_neighbour(x, y, c.classes)
    baselines.class_means(x, y, c.classes)
    baselines.ridge(x[:3], y[:3], c.classes)  # it takes one sequence at a time
    baselines.linear_probe(x, y, c.classes, last=measures.LAST, steps=3)
    baselines.online_sgd(x, y, c.classes, start)
    theta = baselines.maml(baselines.initial_parameters((), c.inputs, 64, c.classes, start), [batch])
    baselines.maml_guesses(theta, x, y)


@pytest.mark.parametrize("part", [sets_of_a_run, references_of_a_table])
def test_what_a_run_at_the_papers_sizes_is_measured_with_fits_into_memory(part):
    with FakeTensorMode():
        base = BaseSet("mnist", torch.empty(10_000, 784), torch.zeros(10_000).long(), torch.zeros(10_000).long(), 10)
        with Ledger("cpu") as ledger:
            part(PAPER, base)
    assert ledger.largest <= LARGEST, ledger.largest_shape
    assert ledger.peak <= PEAK


@pytest.mark.parametrize("kind", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("at_once", [1, 1000, 7 * 24 * 5])
def test_a_few_projections_at_a_time_give_the_numbers_of_all_at_once(monkeypatch, kind, at_once):
    law = problem.TaskLaw(24, 5, 4, kind)
    k, key = torch.arange(3 * 11).view(3, 11) * 10**9, torch.tensor([[1], [2], [3]])
    z = torch.randn(3, 11, 6, 5, generator=torch.Generator().manual_seed(0))
    own, same_key = (torch.einsum("...tr,...ir->...ti", z, law.projection(used, k)) for used in (key, 7))
    assert torch.equal(law.project(key, k, z), own)
    monkeypatch.setattr(problem, "AT_ONCE", at_once)
    held = []
    projection = problem.TaskLaw.projection
    monkeypatch.setattr(
        problem.TaskLaw, "projection", lambda law, key, k: held.append(k.numel()) or projection(law, key, k)
    )
    assert torch.equal(law.project(key, k, z), own)
    assert torch.equal(law.project(7, k, z), same_key)
    assert max(held) == max(1, at_once // (24 * 5))
    assert sum(held) == 2 * 33


def test_a_few_sequences_at_a_time_give_the_guesses_of_all_at_once(monkeypatch):
    x, y = problem.blob_set(0, 20, 12, 6, 3)
    means, ridge = baselines.class_means(x, y, 3), baselines.ridge(x, y, 3)
    monkeypatch.setattr(baselines, "AT_ONCE", 12 * 49 * 3)  # three sequences of ridge, eight of class means
    assert torch.equal(baselines.class_means(x, y, 3), means)
    assert torch.equal(baselines.ridge(x, y, 3), ridge)


@pytest.mark.parametrize(("change", "name"), [({"width": 16}, "width"), ({"beta2": 0.9}, "beta2")])
def test_cells_of_different_shape_are_refused(change, name):
    trials = [Trial(SMALL, 0), Trial(replace(SMALL, tasks=3, bias=0.5, lr=1e-3, eps=1e-6), 1)]
    meta_train(trials, Context())
    with pytest.raises(
        UsageError, match=rf"^trials='{name}=.*: expected trials that differ in tasks, bias, lr, eps, seed alone"
    ):
        meta_train([*trials, Trial(replace(SMALL, **change), 2)], Context())
