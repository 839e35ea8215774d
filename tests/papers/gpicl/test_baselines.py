"""The reference learners against plain re-writes and scikit-learn, and the ceiling against known numbers."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid

from tutorlib.papers.gpicl import baselines, problem
from tutorlib.papers.gpicl.problem import UNSEEN, TaskLaw

CLASSES = 4


@pytest.fixture(scope="module")
def sequences():
    law = TaskLaw(16, 16, CLASSES)
    return problem.meta_test_sequences(problem.digits()[1], law, 0, UNSEEN + torch.arange(400), 32)


@pytest.mark.parametrize(("classes", "expected"), [
    (10, {0: 0.10, 1: 0.20, 2: 0.29, 4: 0.444, 9: 0.713, 19: 0.948, 31: 0.996}),
    (4, {0: 0.25, 1: 0.50, 2: 0.688, 4: 0.91, 9: 0.997, 19: 1.0, 31: 1.0}),
])  # fmt: skip
def test_ceiling_has_its_known_values(classes, expected):
    curve = baselines.ceiling(classes, 32)
    for j, value in expected.items():
        assert curve[j].item() == pytest.approx(value, abs=0.006)


def test_nearest_neighbour_is_scikit_learns(sequences):
    x, y = sequences
    guesses = baselines.nearest_neighbour(x, y, CLASSES)
    for s in range(5):
        for j in (1, 7, 31):
            model = KNeighborsClassifier(1).fit(x[s, :j].numpy(), y[s, :j].numpy())
            assert guesses[s, j] == model.predict(x[s, j : j + 1].numpy())[0]


def test_class_means_are_scikit_learns(sequences):
    x, y = sequences
    guesses = baselines.class_means(x, y, CLASSES)
    for s in range(5):
        for j in (9, 31):
            if len(set(y[s, :j].tolist())) == CLASSES:
                model = NearestCentroid().fit(x[s, :j].numpy(), y[s, :j].numpy())
                assert guesses[s, j] == model.predict(x[s, j : j + 1].numpy())[0]


def test_ridge_is_scikit_learns_with_a_penalised_constant(sequences):
    x, y = sequences
    guesses = baselines.ridge(x, y, CLASSES)
    for s in range(5):
        inputs = np.pad(x[s].numpy().astype(float), ((0, 0), (0, 1)), constant_values=1.0)
        targets = np.eye(CLASSES)[y[s].numpy()]
        for j in (5, 31):
            model = Ridge(alpha=1.0, fit_intercept=False).fit(inputs[:j], targets[:j])
            assert guesses[s, j] == model.predict(inputs[j : j + 1])[0].argmax()


def test_online_sgd_takes_the_steps_of_autograd(sequences):
    x, y = (part[:3] for part in sequences)
    guesses = baselines.online_sgd(x, y, CLASSES, torch.Generator().manual_seed(0), lr=0.1, hidden=8)
    g = torch.Generator().manual_seed(0)
    start = [(2 * torch.rand(3, *shape, generator=g) - 1) / fan**0.5
             for fan, shape in ((16, (16, 8)), (16, (8,)), (8, (8, CLASSES)), (8, (CLASSES,)))]  # fmt: skip
    for s in range(3):
        w = [p[s].clone().requires_grad_() for p in start]
        for j in range(32):
            logits = (x[s, j] @ w[0] + w[1]).relu() @ w[2] + w[3]
            assert guesses[s, j] == logits.argmax()
            grads = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, y[s, j]), w)
            w = [(p - 0.1 * d).detach().requires_grad_() for p, d in zip(w, grads, strict=True)]


@pytest.mark.parametrize(
    "learner", [baselines.nearest_neighbour, baselines.class_means, baselines.ridge, baselines.linear_probe]
)
def test_no_learner_looks_ahead(learner, sequences):
    x, y = sequences
    base = learner(x, y, CLASSES)
    other = y.clone()
    other[:, 10] = (y[:, 10] + 1) % CLASSES
    changed = (learner(x, other, CLASSES) != base).any(0)
    assert not changed[:11].any()
    assert changed[11:].any()


def test_on_random_points_remembering_reaches_the_end(sequences):
    x, y = problem.random_set(0, 400, 64, 16, CLASSES)
    curve = baselines.accuracy(baselines.nearest_neighbour(x, y, CLASSES), y)
    assert curve[-1] > 0.97
    assert curve[0] == pytest.approx(0.25, abs=0.08)


def test_reference_learners_reach_what_was_measured_before():
    law = TaskLaw(16, 16, CLASSES)
    x, y = problem.meta_test_sequences(problem.digits()[1], law, 1, UNSEEN + torch.arange(2000), 32)
    for learner, value in (
        (baselines.nearest_neighbour, 0.926),
        (baselines.class_means, 0.865),
        (baselines.ridge, 0.936),
    ):
        at_31 = baselines.accuracy(learner(x, y, CLASSES), y)[-1].item()
        assert at_31 == pytest.approx(value, abs=0.025), learner.__name__


def test_the_linear_probe_is_scikit_learns_logistic_regression(sequences):
    x, y = (part[:24] for part in sequences)
    ours = baselines.linear_probe(x, y, CLASSES, penalty=0.5, steps=400, last=6)
    agree = []
    for s in range(24):
        for j in range(26, 32):
            theirs = LogisticRegression(C=1 / 0.5, max_iter=2000).fit(x[s, :j].numpy(), y[s, :j].numpy())
            agree.append(theirs.predict(x[s, j : j + 1].numpy())[0] == ours[s, j].item())
    assert np.mean(agree) > 0.98
    assert (ours[:, :26] == 0).all(), "only the last six positions are fitted"
    every = baselines.linear_probe(x, y, CLASSES, penalty=0.5, steps=400)
    assert torch.equal(every[:, 26:], ours[:, 26:])


def test_maml_differentiates_through_every_inner_step(sequences):
    # Second order: the gradient of the last loss with respect to the start, against finite differences.
    x, y = (part[:2, :6].double() if part.is_floating_point() else part[:2, :6] for part in sequences)
    start = baselines.initial_parameters((), 16, 5, CLASSES, torch.Generator().manual_seed(0))

    def last_loss(b2):
        weights = [w.double() for w in start[:3]] + [b2]
        copies = baselines.Weights(*(w.expand(2, *w.shape) for w in weights))
        return torch.nn.functional.cross_entropy(baselines.sgd_logits(copies, x, y, 0.2)[:, -1], y[:, -1])

    assert torch.autograd.gradcheck(last_loss, start.b2.double().requires_grad_())


def test_maml_finds_a_start_that_learns_faster():
    # All tasks are one task: a start can know it, as plain online SGD cannot.
    base = problem.digits()[0]

    def fixed(i):
        z = base.z[torch.randint(len(base.y), (16, 16), generator=torch.Generator().manual_seed(i))]
        return z, (z @ torch.eye(16, CLASSES)).argmax(-1)

    start = baselines.initial_parameters((), 16, 32, CLASSES, torch.Generator().manual_seed(0))
    learned = baselines.maml(start, [fixed(i) for i in range(40)], lr=0.1, meta_lr=1e-2)
    x, y = fixed(1000)
    plain = baselines.accuracy(baselines.maml_guesses(start, x, y), y).mean()
    meta = baselines.accuracy(baselines.maml_guesses(learned, x, y), y).mean()
    assert meta > plain + 0.2
    assert not any(w.requires_grad for w in learned)
    assert all(torch.equal(a, b) for a, b in zip(start, baselines.maml(start, []), strict=True))


def test_ridge_of_few_examples_is_ridge_by_products_of_examples():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5, 9, 4, generator=generator, dtype=torch.float64)
    y = torch.randint(3, (5, 9), generator=generator)
    assert torch.equal(baselines._dual_ridge(x, y, 3, 0.7), baselines._ridge(x, y, 3, 0.7))
    assert baselines._ridge(x, y, 3, 0.7).unique().numel() == 3
