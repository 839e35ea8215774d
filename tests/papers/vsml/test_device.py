"""A meta-step by BPTT, one by an evolution strategy, a meta-test and a step of cloning keep to their device.

They compute nothing: see ``memory.py``. A generator of a device that is not there draws nothing either.
"""

from dataclasses import replace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from tutorlib.lab.dry import GB, Ledger
from tutorlib.nn import adam_step, clip_by_norm, no_moments
from tutorlib.nn.grid import GridState
from tutorlib.papers.vsml import algorithm, baselines, cloning, model, problem
from tutorlib.papers.vsml.algorithm import initial_parameters, learner, meta_gradient, online_accuracy, tasks
from tutorlib.papers.vsml.config import Config
from tutorlib.papers.vsml.experiments import PAPER
from tutorlib.papers.vsml.problem import Images, Streams

META = torch.device("meta")
LARGEST, PEAK = 8 * GB, 80 * GB
"""The largest tensor, and all that is held at a time, of one run on a GPU of 80 GB or more."""


class Nobody(torch.Generator):
    """A generator on "meta"."""

    device = META


def empty(*size: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.empty(size, dtype=dtype, device=META)


def whole(*size: int) -> torch.Tensor:
    return empty(*size, dtype=torch.int64)


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is loaded and copied once be there, and generators draw nothing."""

    def images(kind: str, part: str, side: int, scaling: str, device: torch.device) -> Images:
        classes = problem.CHARACTERS[kind][part] if kind in problem.CHARACTERS else problem.classes_of(kind)
        return Images(empty(100, side**2 * problem.CHANNELS.get(kind, 1)), whole(classes, 20), whole(classes))

    monkeypatch.setattr(problem, "images", images)
    monkeypatch.setattr(problem, "bank", lambda features, device: empty(problem.BANK, features, features))
    monkeypatch.setattr(problem, "fixed_order", lambda features, device: whole(features))
    monkeypatch.setattr(problem, "numbers", lambda values, device: whole(len(values)))
    monkeypatch.setattr(
        problem, "fixed_points", lambda inputs, *_: (empty(problem.POINTS, inputs), whole(problem.POINTS))
    )
    monkeypatch.setattr(algorithm, "step_generator", lambda *_: Nobody())
    # On "meta" it does not look at what it drew, as it would on a device.
    monkeypatch.setattr(model, "truncated_normal", lambda *_: pytest.fail("a device was made to wait"))


SMALL = Config(streams=Streams(inputs=4, classes=3, length=4), size=6, message=3, sequences=4, steps=4, num_evals=2)
DIGITS = Streams(kinds=("digits",), inputs=16, classes=4, length=4, side=4)
LEARNERS = {
    "dense": SMALL,
    "norms, two layers": replace(SMALL, layer_norm=True, hidden=(5,), feed_label=True, reduce="sum"),
    "backward sweep, batches": replace(
        SMALL, layerwise=True, hidden=(5,), backward_pass=True, separate_backward=True, batch=2
    ),
    "convolution, pieces": replace(SMALL, convolutions=1, backward_pass=True, chunk=2),
    "the last loss, no noise": replace(SMALL, loss_type="last", state_noise=False),
} | {name: replace(SMALL, learner=name) for name in baselines.LEARNERS}
STREAMS = {
    "images": DIGITS,
    "a subset, a fixed order, a bank": replace(DIGITS, subset=(1, 5, 7, 8), shuffled="fixed", projection="bank"),
    "fresh orders and projections": replace(DIGITS, shuffled="fresh", projection="fresh", permuted=False),
    "in turns": replace(DIGITS, kinds=("random", "random-fixed", "sum-sign", "prototypes", "digits")),
    "characters": replace(DIGITS, kinds=("omniglot",), classes=3, length=4),
    "characters as they appear": replace(DIGITS, kinds=("omniglot",), classes=3, length=4, permuted=False),
}
KINDS = LEARNERS | {name: replace(SMALL, streams=streams, sequences=5) for name, streams in STREAMS.items()}


@pytest.mark.parametrize(("estimator", "runs"), [("bptt", 1), ("bptt", 2), ("es", 1)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_meta_step_keeps_to_its_device(kind: str, estimator: str, runs: int) -> None:
    c = replace(KINDS[kind], estimator=estimator)
    size = initial_parameters(c, 0).numel()
    with FakeTensorMode():
        theta = empty(runs, size)
        moments, gradient = no_moments(theta), meta_gradient(c)
        with Ledger() as ledger:
            g, losses = gradient(theta, [Nobody() for _ in range(runs)])
            after, _ = adam_step(theta, moments, clip_by_norm(g, c.max_grad_norm), 3, c.lr)
    assert losses.shape == (runs,)
    assert after.shape == (runs, size)
    assert {tensor.device.type for tensor in (after, losses)} == {"meta"}
    assert not ledger.elsewhere


@pytest.mark.parametrize("kind", KINDS)
def test_a_meta_test_keeps_to_its_device(kind: str) -> None:
    c = KINDS[kind]
    size, run = initial_parameters(c, 0).numel(), learner(c)
    with FakeTensorMode(), Ledger() as ledger:
        x, y = tasks(c.streams, c.sequences, Nobody(), c.batch)
        assert online_accuracy(run, empty(size), x, y, 0).shape == (c.streams.length,)
    assert not ledger.elsewhere


def test_a_step_of_cloning_keeps_to_its_device() -> None:
    c = cloning.Config(hidden=6, batch=8, steps=10, num_evals=1)
    with FakeTensorMode():
        theta, pool = empty(1, c.grid.parameters), cloning.fresh_states(c, Nobody())
        state = cloning.Cloning(theta, no_moments(theta), GridState(*(part.unsqueeze(0) for part in pool)))
        with Ledger() as ledger:
            after, off = cloning.clone_step(state, 3, Nobody(), empty(4), c)
    assert off.shape == (1, 4)
    assert [part.shape for part in after.pool] == [part.shape for part in state.pool]
    assert not ledger.elsewhere


def test_a_meta_step_of_the_paper_fits_on_a_device() -> None:
    """Without gradients no more is held for a longer lifetime, so two examples of 500 show what is needed."""
    c = replace(PAPER, streams=replace(PAPER.streams, length=2))
    size = initial_parameters(c, 0).numel()
    with FakeTensorMode(), Ledger() as ledger:
        meta_gradient(c)(empty(1, size), [Nobody()])
    assert 2 * c.sequences * 784 * 10 * 64 * 4 <= ledger.largest <= LARGEST, ledger.largest_shape
    assert ledger.peak <= PEAK
