"""Online learning by running the grid, and meta-training of its parameters."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from vsml_streams import TINY, generator, stream

from tutorlib.evolution import Population, estimate
from tutorlib.lab import Checkpoint, Context, Trial
from tutorlib.lab.errors import NonFiniteError, UsageError
from tutorlib.nn import step_generator
from tutorlib.nn.grid import GridConfig, grid_tick, split
from tutorlib.papers.vsml import algorithm
from tutorlib.papers.vsml.algorithm import (
    check_streams,
    check_values,
    initial_parameters,
    learner,
    meta_gradient,
    meta_train,
    online,
    online_accuracy,
    online_loss,
    share_over_batch,
    tasks,
)
from tutorlib.papers.vsml.model import convolutional, dense
from tutorlib.papers.vsml.problem import Streams, sample
from tutorlib.shapes import Tensor

SMALL = GridConfig(hidden=6, message=3)


def theta_of(net, seed: int = 0) -> Tensor:
    return 0.6 * torch.randn(net.parameters, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_one_dense_layer_does_what_the_chapter_says() -> None:
    net = dense((4, 3), grid=SMALL, feed_label=True)
    theta, (x, y) = theta_of(net), stream(2, 5, 4, 3)
    found = online(net, theta, x, y)
    (state,) = net.start((), 2, theta)
    error, label = torch.zeros(2, 3, dtype=torch.float64), torch.zeros(2, 3, dtype=torch.float64)
    for t in range(5):
        m, mb = torch.zeros(2, 4, 3, dtype=torch.float64), torch.zeros(2, 3, 3, dtype=torch.float64)
        m[..., 0], mb[..., 0], mb[..., 1] = x[:, t], error, label  # the error is that of the example before
        state = grid_tick(split(theta, SMALL), state, m, mb, SMALL)
        logits = 100 * torch.tanh(state.forward[..., 1] / 100)
        torch.testing.assert_close(found[:, t], logits)
        label = F.one_hot(y[:, t], 3).double()
        error = torch.softmax(logits, dim=-1) - label


def test_the_fed_error_is_the_gradient_of_the_cross_entropy() -> None:
    logits = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    y = torch.tensor([0, 2, 3])
    (gradient,) = torch.autograd.grad(F.cross_entropy(logits, y, reduction="sum"), logits)
    torch.testing.assert_close(gradient, logits.softmax(dim=-1) - F.one_hot(y, 4))


def test_a_prediction_knows_only_examples_before_it() -> None:
    for net in (
        dense((4, 3), grid=SMALL, feed_label=True),
        dense((4, 5, 3), grid=SMALL, backward_pass=True, feed_label=True),
    ):
        theta, (x, y) = theta_of(net), stream(1, 8, 4, 3)

        def run(x: Tensor, y: Tensor, net=net, theta=theta) -> Tensor:
            return online(net, theta, x, y, torch.Generator().manual_seed(0))[0]

        plain = run(x, y)
        other = y.clone()
        other[0, 3] = (y[0, 3] + 1) % 3
        changed = (run(x, other) - plain).abs().amax(dim=-1)
        assert changed[:4].max() == 0
        assert changed[4] > 0
        moved = x.clone()
        moved[0, 5] += 1
        changed = (run(moved, y) - plain).abs().amax(dim=-1)
        assert changed[:5].max() == 0
        assert changed[5] > 0


def test_with_a_backward_pass_the_error_is_fed_at_once_and_not_again() -> None:
    net = dense((4, 3), grid=SMALL, backward_pass=True)
    theta, (x, y) = theta_of(net), stream(1, 3, 4, 3)
    found = online(net, theta, x, y)
    (state,) = net.start((), 1, theta)
    p = split(theta, SMALL)
    for t in range(3):
        m, quiet = torch.zeros(1, 4, 3, dtype=torch.float64), torch.zeros(1, 3, 3, dtype=torch.float64)
        m[..., 0] = x[:, t]
        state = grid_tick(p, state, m, quiet, SMALL)
        logits = 100 * torch.tanh(state.forward[..., 1] / 100)
        torch.testing.assert_close(found[:, t], logits)
        mb = quiet.clone()
        mb[..., 0] = logits.softmax(dim=-1) - F.one_hot(y[:, t], 3)
        state = grid_tick(p, state, m, mb, SMALL)


@pytest.mark.parametrize("hidden", [(), (5,)])
def test_permuted_pixels_and_labels_permute_the_logits(hidden: tuple[int, ...]) -> None:
    """C7's exact part: with states that start at zero, order cannot matter ('vsml-idea-equivariance')."""
    net = dense((6, *hidden, 4), grid=SMALL)
    theta, (x, y) = theta_of(net).float(), stream(3, 20, 6, 4)
    x = x.float()
    pixels, names = torch.randperm(6), torch.tensor([2, 0, 3, 1])
    renamed = online(net, theta, x[..., pixels], names[y])
    assert (renamed[..., names] - online(net, theta, x, y)).abs().max() < 1e-5


def test_random_projections_are_not_covered_by_the_symmetry() -> None:
    net = dense((6, 4), grid=SMALL)
    theta, (x, y) = theta_of(net), stream(3, 20, 6, 4)
    projected = x @ torch.randn(6, 6, dtype=torch.float64)
    assert (online(net, theta, projected, y) - online(net, theta, x, y)).abs().max() > 1e-2


def test_members_of_a_population_are_single_learners() -> None:
    net = dense((4, 3), grid=SMALL)
    thetas = torch.stack([theta_of(net, seed) for seed in range(2)])
    (x, y), (u, v) = stream(2, 6, 4, 3), stream(2, 6, 4, 3, seed=1)
    together = online(net, thetas, torch.stack([x, u]), torch.stack([y, v]))
    torch.testing.assert_close(together[0], online(net, thetas[0], x, y))
    torch.testing.assert_close(together[1], online(net, thetas[1], u, v))


@pytest.mark.parametrize("hidden", [(), (4,)])
def test_activation_checkpoints_change_no_gradient(hidden: tuple[int, ...]) -> None:
    net = dense((4, *hidden, 3), grid=SMALL)
    theta, (x, y) = theta_of(net).requires_grad_(), stream(2, 11, 4, 3)

    def gradient(chunk: int | None) -> Tensor:
        generator = torch.Generator().manual_seed(3)
        return torch.autograd.grad(online_loss(online(net, theta, x, y, generator, chunk), y), theta)[0]

    plain = gradient(None)
    assert plain.norm() > 0
    for chunk in (1, 4, 11, 50):
        torch.testing.assert_close(gradient(chunk), plain)


def test_the_meta_gradient_is_that_of_finite_differences() -> None:
    net = dense((3, 2), grid=GridConfig(hidden=2, message=2))
    theta, (x, y) = theta_of(net).requires_grad_(), stream(2, 4, 3, 2)
    assert torch.autograd.gradcheck(lambda theta: online_loss(online(net, theta, x, y), y), (theta,))


def test_sharing_over_a_batch_shares_the_first_half_only() -> None:
    net = dense((4, 3), grid=SMALL)
    (state,) = net.start((), 6, torch.zeros(1, dtype=torch.float64), torch.Generator().manual_seed(0))
    state = state._replace(h=torch.randn(state.h.shape, dtype=torch.float64), c=torch.randn_like(state.h))
    shared = share_over_batch(state, 3)
    for before, after in ((state.h, shared.h), (state.c, shared.c)):
        torch.testing.assert_close(after[:3, ..., :3], before[:3, ..., :3].mean(dim=0).expand(3, -1, -1, -1))
        torch.testing.assert_close(after[3:, ..., :3], before[3:, ..., :3].mean(dim=0).expand(3, -1, -1, -1))
        assert torch.equal(after[..., 3:], before[..., 3:])


def test_batched_inner_learning_divides_the_error_and_joins_the_states() -> None:
    net = dense((4, 3), grid=SMALL)
    theta, (x, y) = theta_of(net), stream(4, 6, 4, 3)
    apart, together = online(net, theta, x, y), online(net, theta, x, y, batch=2)
    torch.testing.assert_close(apart[:, 0], together[:, 0])  # nothing was learned yet
    assert (apart[:, 1:] - together[:, 1:]).abs().max() > 1e-4
    # Two equal sequences as a batch: each sends half of the error, and the shared half of the state is their own.
    twice = online(net, theta, x[:1].expand(2, -1, -1), y[:1].expand(2, -1), batch=2)
    torch.testing.assert_close(twice[0], twice[1])


def test_what_comes_at_once_is_of_one_task_and_starts_from_one_state() -> None:
    streams = Streams(kinds=("random",), inputs=4, classes=3, length=8)
    x, y = tasks(streams, 2, torch.Generator().manual_seed(0), batch=5)
    assert x.shape == (10, 8, 4)
    plain = sample(replace(streams, length=40), 2, torch.Generator().manual_seed(0))
    torch.testing.assert_close((x.view(2, 40, 4), y.view(2, 40)), plain)
    points = [{tuple(point.tolist()) for point in own.flatten(0, 1)} for own in x.split(5)]
    assert all(len(own) <= 20 for own in points)  # the 20 points of the task, in all five streams
    assert not points[0] & points[1]


def test_the_last_loss_is_that_of_the_last_example() -> None:
    logits, y = torch.randn(2, 3, 5, 4), torch.randint(4, (2, 3, 5))
    expected = F.cross_entropy(logits[..., -1, :].transpose(1, 2), y[..., -1], reduction="none").mean(dim=1)
    torch.testing.assert_close(online_loss(logits, y, "last"), expected)
    assert not torch.allclose(online_loss(logits, y), expected)


@pytest.mark.parametrize("estimator", ["bptt", "es"])
def test_every_example_of_an_inner_batch_counts(estimator: str) -> None:
    """Batches of 1 are the plain case; of a batch of 3 the loss is the mean over all its predictions."""
    one, three = (meta_gradient(replace(TINY, batch=n, estimator=estimator)) for n in (1, 3))
    plain = meta_gradient(replace(TINY, estimator=estimator))
    theta = initial_parameters(TINY, 0).unsqueeze(0)
    torch.testing.assert_close(one(theta, [generator()]), plain(theta, [generator()]))
    g, loss = three(theta, [generator()])
    assert not torch.allclose(loss, plain(theta, [generator()])[1])
    assert abs(loss - math.log(3)) < 0.05
    assert g.norm() > 0


def test_convolutions_learn_online_too() -> None:
    net = convolutional(4, 1, 3, grid=SMALL, backward_pass=True, feed_label=True)
    theta, (x, y) = theta_of(net).requires_grad_(), stream(2, 3, 16, 3)
    logits = online(net, theta, x, y, torch.Generator().manual_seed(0))
    assert logits.shape == (2, 3, 3)
    (g,) = torch.autograd.grad(online_loss(logits, y), theta)
    assert g.norm() > 0


def test_outputs_never_exceed_100() -> None:
    net = dense((4, 3), grid=SMALL)
    theta, (x, y) = 1e4 * theta_of(net), stream(2, 5, 4, 3)
    assert online(net, theta, x, y).abs().max() <= 100


def test_es_and_bptt_estimate_the_same_gradient() -> None:
    """On one batch, from equal states; chance is a cosine of 0.03 for 1,000 parameters."""
    quiet = replace(TINY, state_noise=False)
    run, theta = learner(quiet), 2 * initial_parameters(quiet, 0)
    x, y = sample(quiet.streams, 1, torch.Generator().manual_seed(0))
    leaf = theta.clone().requires_grad_()
    (exact,) = torch.autograd.grad(online_loss(run(leaf, x, y, None), y), leaf)

    def losses(members: Tensor) -> Tensor:
        n = len(members)
        u, v = x.expand(n, -1, -1, -1), y.expand(n, -1, -1)
        return online_loss(run(members, u, v, None), v)

    g, _ = estimate(losses, theta, Population(2000, 0.02), torch.Generator().manual_seed(2))
    assert F.cosine_similarity(g, exact, dim=0) > 0.7


@pytest.mark.parametrize("estimator", ["bptt", "es"])
def test_meta_steps_are_repeatable_and_descend(estimator: str) -> None:
    config = replace(TINY, estimator=estimator)
    theta = initial_parameters(config, 0).unsqueeze(0)
    gradient = meta_gradient(config)
    g, loss = gradient(theta, [step_generator(0, 0, theta.device)])
    again, _ = gradient(theta, [step_generator(0, 0, theta.device)])
    assert torch.equal(g, again)
    assert abs(loss.item() - math.log(3)) < 0.05  # the plateau: predictions start uniform
    after = gradient(theta - 0.5 * g / g.norm(), [step_generator(0, 0, theta.device)])[1]
    assert after < loss


BEFORE = {
    "bptt": (TINY, [-0.011495018, 0.11716304, -0.24871483], 23.0402083, [1.103708, 1.0939617]),
    "es": (
        replace(TINY, estimator="es", lr=0.025),
        [-0.037809208, 0.16379885, -0.33940372], 24.1304726, [1.0959393, 1.0951498],
    ),
    "two layers": (
        replace(TINY, layer_norm=True, hidden=(5,), feed_label=True, max_grad_norm=0.1),
        [0.0087649133, 0.096149266, -0.23464942], 29.5019426, [1.1415529, 1.1829255],
    ),
}  # fmt: skip
"""What six steps under seed 3 left when one run had no axis of its own: the first entries of theta, its squared norm,
and the first and last loss."""


@pytest.mark.parametrize("name", BEFORE)
def test_one_run_gives_the_numbers_that_it_always_gave(name: str) -> None:
    config, entries, square, ends = BEFORE[name]
    found = meta_train([Trial(replace(config, steps=6), 3)], Context())
    assert found.theta.shape == (1, initial_parameters(config, 3).numel())
    assert found.losses.shape == (6, 1)
    assert found.theta[0, :3].tolist() == pytest.approx(entries, rel=1e-5)
    assert float(found.theta.square().sum()) == pytest.approx(square, rel=1e-5)
    assert found.losses[[0, -1], 0].tolist() == pytest.approx(ends, rel=1e-5)


def test_runs_of_another_shape_are_no_batch() -> None:
    with pytest.raises(UsageError, match="trials='forget_bias=.* and forget_bias=1.0': expected trials that differ in"):
        meta_train([Trial(TINY, 0), Trial(replace(TINY, forget_bias=1.0), 0)], Context())
    with pytest.raises(UsageError, match="trials=2: expected one trial at a time"):
        meta_train([Trial(replace(TINY, estimator="es"), seed) for seed in (0, 1)], Context())


def test_a_meta_training_that_diverges_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0
    sample = algorithm.sample

    def poisoned(*arguments):
        nonlocal calls
        calls += 1
        x, y = sample(*arguments)
        return (x, y) if calls < 4 else (x * 1e30, y)

    monkeypatch.setattr(algorithm, "sample", poisoned)
    monkeypatch.setattr(algorithm, "squash", lambda z: z / 0.0)
    checkpoint = Checkpoint(tmp_path / "state.pt", "a")
    with pytest.raises(NonFiniteError, match=r"loss of step 1 of 4 is not finite .*: expected finite numbers"):
        meta_train([Trial(TINY, 0)], Context(checkpoint=checkpoint))


def test_theta_runs_at_other_sizes() -> None:
    theta = initial_parameters(TINY, 0)
    x, y = stream(2, 5, 9, 7)
    assert learner(TINY, 9, 7)(theta, x.float(), y, torch.Generator().manual_seed(0)).shape == (2, 5, 7)


def test_accuracy_counts_right_predictions_at_each_place() -> None:
    x, y = stream(3, 4, 2, 3)
    perfect = online_accuracy(lambda theta, x, y, g: F.one_hot(y, 3).float(), torch.zeros(1), x, y, 0)
    assert perfect.tolist() == [1.0] * 4
    constant = online_accuracy(lambda theta, x, y, g: F.one_hot(0 * y, 3).float(), torch.zeros(1), x, y, 0)
    assert torch.equal(constant, (y == 0).float().mean(dim=0))


def bad_stream(**changes) -> None:
    net = dense((4, 3), grid=SMALL)
    x, y = stream(2, 5, 4, 3)
    # Not through ``online``: with the tests' checks of shapes, that one refuses some of these in other words.
    given = {"net": net, "theta": theta_of(net), "x": x, "y": y, "batch": 1} | changes
    check_streams(**given)
    check_values(net, given["x"], given["y"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"x": stream(2, 5, 7, 3)[0]}, r"x=\(2, 5, 7\): expected inputs of 4 entries"),
        ({"y": stream(2, 6, 4, 3)[1]}, r"y=\(2, 6\): expected one label for each of x's examples"),
        ({"y": torch.full((2, 5), 3)}, "labels from 3 to 3': expected labels from 0 to 2"),
        ({"batch": 3}, "batch=3: expected a divisor of the 2 sequences"),
        ({"x": torch.full((2, 5, 4), torch.nan, dtype=torch.float64)}, "x='values that are not finite'"),
    ],
)
def test_streams_that_do_not_fit_are_refused(changes: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        bad_stream(**changes)


def test_online_looks_at_labels_and_inputs_and_a_learner_at_shapes_alone() -> None:
    net, (x, y) = dense((4, 3), grid=SMALL), stream(2, 5, 4, 3)
    with pytest.raises(UsageError, match="labels from 3 to 3"):
        online(net, theta_of(net), x, torch.full((2, 5), 3))
    theta, run = initial_parameters(TINY, 0), learner(TINY)
    assert run(theta, x.float(), torch.full((2, 5), 3), None).isfinite().all()  # to look would make a device wait
    with pytest.raises(UsageError, match=r"batch=5: expected a divisor of the 2 sequences"):
        learner(replace(TINY, batch=5))(theta, x.float(), y, None)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"learner": "vsmll"}, "learner='vsmll'.*did you mean 'vsml'"),
        ({"estimator": "reinforce"}, "estimator='reinforce'"),
        ({"sequences": 0}, "sequences=0"),
        ({"chunk": -1}, "chunk=-1"),
        ({"sigma": -0.1, "estimator": "es"}, "sigma=-0.1"),
        ({"hidden": (0,)}, r"hidden\[0\]=0"),
        ({"num_evals": 3}, "num_evals=3"),
        ({"loss_type": "first"}, "loss_type='first'.*one of mean, last"),
        ({"batch": 0}, "batch=0: expected a whole number from 1"),
        ({"batch": 2, "learner": "oja"}, "batch=2: expected 1 for the learner oja"),
        ({"convolutions": 1, "channels": 3}, "inputs=4: expected square images of 3 channels"),
        ({"convolutions": -1}, "convolutions=-1"),
        ({"channels": 3}, "channels=3: expected 1 without convolutions"),
        ({"separate_backward": True}, "separate_backward=True: expected False without backward_pass"),
    ],
)
def test_runs_that_cannot_be_are_refused(changes: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        replace(TINY, **changes)
