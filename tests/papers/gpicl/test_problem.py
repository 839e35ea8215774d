"""The task law: numbered tasks, their moments, the low-rank trick, the bias, and the sets of meta-testing."""

import math
import subprocess
import sys

import pytest
import torch

from tutorlib.data import ImageSet
from tutorlib.lab import Trial, UsageError
from tutorlib.papers.gpicl import algorithm, experiments, problem
from tutorlib.papers.gpicl.algorithm import Config
from tutorlib.papers.gpicl.problem import FIXED, FRESH, INFINITE, UNSEEN, TaskLaw

LAW = TaskLaw(inputs=16, rank=16, classes=4)


def test_a_task_is_the_same_alone_among_others_and_beyond_2_to_25():
    k = torch.tensor([0, 1, 2**25, 2**25 + 1, 2**40 + 7])
    a, rho = LAW.projection(3, k), LAW.permutation(3, k)
    for i, number in enumerate(k):
        assert torch.equal(a[i], LAW.projection(3, number))
        assert torch.equal(rho[i], LAW.permutation(3, number))
    assert len({tuple(x.flatten().tolist()) for x in a}) == len(k), "different numbers are different tasks"
    assert not torch.equal(a, LAW.projection(4, k)), "another key is another law"


def test_moments_of_the_projection_are_those_of_its_law():
    a = LAW.projection(0, torch.arange(20_000)).double()
    # 5.12 million entries: standard errors 1.1e-4 for the mean and 0.06 % for the variance.
    assert abs(a.mean().item()) < 6e-4
    assert a.var().item() * 16 == pytest.approx(1.0, abs=0.003)
    assert (a**4).mean().item() / a.var().item() ** 2 == pytest.approx(3.0, abs=0.02)
    covariance = torch.cov(a.flatten(1).T[:40]) * 16 - torch.eye(40)
    assert covariance.abs().max() < 0.04, "entries are independent"


def test_every_permutation_of_the_labels_is_equally_likely():
    rho = LAW.permutation(0, torch.arange(24_000))
    assert torch.equal(rho.sort(-1).values, torch.arange(4).expand(24_000, 4))
    counts = torch.unique(rho, dim=0, return_counts=True)[1].double()
    assert len(counts) == 24
    assert ((counts - 1000) ** 2 / 1000).sum() < 52, "chi-square with 23 degrees of freedom, p > 0.0005"


def test_low_rank_trick_leaves_the_distribution_as_it_is():
    n_x, rank, tasks = 24, 5, 4000
    v = torch.linalg.qr(torch.randn(n_x, rank, generator=torch.Generator().manual_seed(0))).Q
    full = TaskLaw(n_x, n_x, 4).projection(0, torch.arange(tasks)) @ v  # A V
    direct = TaskLaw(n_x, rank, 4).projection(1, torch.arange(tasks))  # B
    z = torch.randn(2, rank, generator=torch.Generator().manual_seed(1))
    for b in (full, direct):
        x = torch.einsum("kir,nr->kni", b, z)
        norm, inner = x.square().sum(-1), (x[:, 0] * x[:, 1]).sum(-1)
        assert torch.allclose(norm.mean(0), z.square().sum(-1), rtol=0.03)
        variance = (z[0] @ z[0] * (z[1] @ z[1]) + (z[0] @ z[1]) ** 2) / n_x
        assert inner.mean().item() == pytest.approx((z[0] @ z[1]).item(), abs=4 * math.sqrt(variance / tasks))
        assert inner.var().item() == pytest.approx(variance.item(), rel=0.12)


def batch(tasks=256, bias=0.0, step=0, seed=0, size=64):
    base = problem.digits()[0]
    h = algorithm.hyper([Trial(Config(tasks=tasks, bias=bias, batch=size), seed)], torch.device("cpu"))
    x, y = problem.meta_batch(base, LAW, h.seed, step, h.tasks, h.biased, size, 32)
    return x[0], y[0]  # of the one run


def test_a_meta_batch_is_a_function_of_seed_and_step():
    x, y = batch()
    assert x.shape == (64, 32, 16)
    assert y.shape == (64, 32)
    assert torch.equal(x, batch()[0])
    assert not torch.equal(x, batch(step=1)[0])
    assert not torch.equal(x, batch(seed=1)[0])


def tasks_of(x, y, candidates, seed=0):
    """Return for each sequence the candidate task that explains all its inputs and labels exactly, or None."""
    base = problem.digits()[0]
    found = []
    for xs, ys in zip(x, y, strict=True):
        found.append(None)
        for k in candidates:
            shown = base.z @ LAW.projection(seed, torch.tensor(k)).T
            distance, nearest = torch.cdist(xs, shown, compute_mode="donot_use_mm_for_euclid_dist").min(-1)
            if distance.max() < 1e-3:
                own = torch.equal(LAW.permutation(seed, torch.tensor(k))[base.y[nearest]], ys)
                fixed = torch.equal(LAW.permutation(seed, torch.tensor(FIXED))[base.y[nearest]], ys)
                found[-1] = (k, own, fixed)
    return found


def test_finite_k_draws_from_the_first_k_tasks_and_all_of_them():
    found = [tasks_of(*batch(tasks=3, step=step, size=16), range(3)) for step in range(2)]
    numbers = {f[0] for row in found for f in row}
    assert numbers == {0, 1, 2}
    assert all(own for row in found for _, own, _ in row), "labels are those of the task"


def test_infinite_k_never_meets_a_task_twice():
    x, y = batch(tasks="inf", step=5, size=4)
    assert [f[0] for f in tasks_of(x, y, [FRESH + 20 + i for i in range(4)])] == [FRESH + 20 + i for i in range(4)]


def test_bias_gives_the_first_sequences_one_permutation_and_keeps_their_projections():
    x, y = batch(tasks=3, bias=0.75, size=16)
    found = tasks_of(x, y, range(3))
    assert all(fixed for _, _, fixed in found[:12]), "12 of 16 sequences take rho_0"
    assert all(own for _, own, _ in found[12:])
    assert len({k for k, _, _ in found[:12]}) > 1, "their projections still differ"


def test_seen_tasks_are_tasks_of_meta_training_and_unseen_ones_are_not():
    assert problem.seen_tasks(0, 16, 1000, trained=99).unique().tolist() == list(range(16))
    fresh = problem.seen_tasks(0, INFINITE, 1000, trained=50)
    assert fresh.min() >= FRESH
    assert fresh.max() < FRESH + 50 < UNSEEN


def test_digits_are_split_once_and_standardised_by_the_training_part():
    train, test = problem.digits(classes=4, rank=16)
    assert (len(train.y), len(test.y)) == (524, 196), "counts of the split"
    assert train.z.mean(0).abs().max() < 1e-5
    assert test.z.mean(0).abs().max() > 1e-2, "the test part is not centred with its own mean"
    full = problem.digits(classes=4, rank=64)[0]
    assert 0.8 < (train.z.square().sum() / full.z.square().sum()).item() < 1.0


def test_unseen_data_sets_have_unit_variance_and_consistent_labels():
    for x, y in (problem.random_set(0, 256, 32, 16, 4), problem.blob_set(0, 256, 32, 16, 4)):
        assert x.var().item() == pytest.approx(1.0, abs=0.05)
        assert set(y.unique().tolist()) == {0, 1, 2, 3}
    x, y = problem.random_set(0, 64, 32, 16, 4)
    for xs, ys in zip(x, y, strict=True):
        same = torch.cdist(xs, xs, compute_mode="donot_use_mm_for_euclid_dist") < 1e-6
        assert len(xs.unique(dim=0)) <= 10
        assert (ys.unsqueeze(0) == ys.unsqueeze(1))[same].all(), "a point keeps its label"


@pytest.mark.parametrize(("call", "word"), [
    (lambda: problem.digits(classes=11), "classes"),
    (lambda: problem.digits(rank=65), "rank"),
    (lambda: problem.base_sets("mnis", 4, 16), "dataset"),
    (lambda: TaskLaw(16, 16, 4, "diagonal"), "kind='diagonal'"),
    (lambda: TaskLaw(8, 16, 4, "orthogonal"), "kind='orthogonal'"),
    (lambda: problem.principal(torch.zeros(5, 9), 6), "rank"),
])  # fmt: skip
def test_bad_arguments_are_named(call, word):
    with pytest.raises(UsageError, match=word):
        call()


COST = """
import time
import torch
from tutorlib.lab import Trial
from tutorlib.papers.gpicl import algorithm, problem
torch.set_num_threads(1)
config = algorithm.Config()
trial = Trial(config, 0)
base, h = problem.digits()[0], algorithm.hyper([trial], torch.device("cpu"))
f = algorithm.FlatModule(algorithm.network(config.model))
state = algorithm.initial_state(f, [trial], torch.device("cpu"))

def seconds(call, repeats):
    begin = time.process_time()
    for i in range(repeats):
        call(i)
    return (time.process_time() - begin) / repeats

def law(i):
    problem.meta_batch(base, config.law, h.seed, i, h.tasks, h.biased, 32, 32)

def step(i):
    algorithm.meta_step(f, base, state, i, config, h)

seconds(law, 10), seconds(step, 3)
print(min(seconds(law, 40) / seconds(step, 12) for _ in range(5)))
"""


@pytest.mark.serial
def test_the_task_law_costs_less_than_a_tenth_of_a_training_step():
    # A process of its own, because the tests' shape checks would be timed too. The best of several pairs counts:
    # what else the machine does only ever adds time.
    done = subprocess.run([sys.executable, "-c", COST], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 0.10


def test_seen_tasks_of_a_biased_run_take_the_fixed_permutation_in_the_same_share():
    base = problem.digits()[1]
    k = torch.arange(40)
    plain, biased = (problem.meta_test_sequences(base, LAW, 0, k, 32, bias) for bias in (0.0, 0.9))
    assert torch.equal(plain[0], biased[0]), "the bias touches labels alone"
    # An inverse of the task's own permutation gives the digit; rho_0 of it must be the biased label in 9 of 10.
    own = LAW.permutation(0, k)
    digit = own.argsort(-1).gather(1, plain[1])
    fixed = LAW.permutation(0, torch.tensor(FIXED))[digit]
    takes = (biased[1] == fixed).all(1)
    assert takes.float().mean().item() == pytest.approx(0.9, abs=0.051)
    assert takes[:10].sum() >= 9, "any part of the sequences has that share"
    assert torch.equal(biased[1][~takes], plain[1][~takes])


def test_orthogonal_projections_keep_lengths_exactly_and_have_no_preferred_direction():
    a = TaskLaw(16, 16, 4, "orthogonal").projection(0, torch.arange(4000))
    assert torch.allclose(a.mT @ a, torch.eye(16).expand_as(a), atol=1e-5)
    # A uniform rotation or reflection: entries of mean 0 and variance 1/16, half of them reflections.
    assert a.mean(dim=0).abs().max() < 5 * (1 / 16 / 4000) ** 0.5
    assert a.var().item() == pytest.approx(1 / 16, rel=0.01)
    assert (torch.linalg.det(a) > 0).float().mean().item() == pytest.approx(0.5, abs=0.04)


def test_projection_and_permutation_can_be_left_out_one_by_one():
    k = torch.arange(5)
    plain, fixed = TaskLaw(16, 16, 4, "identity"), TaskLaw(16, 16, 4, permuted=False)
    assert torch.equal(plain.projection(0, k), torch.eye(16).expand(5, 16, 16))
    assert torch.equal(plain.permutation(0, k), TaskLaw(16, 16, 4).permutation(0, k))
    assert torch.equal(fixed.permutation(0, k), torch.arange(4).expand(5, 4))
    assert torch.equal(fixed.projection(0, k), TaskLaw(16, 16, 4).projection(0, k))


@pytest.mark.parametrize(("name", "train", "test"), [
    ("mnist-test", 8000, 2000), ("kmnist-test", 8000, 2000), ("fashion-mnist-test", None, None),
])  # fmt: skip
def test_the_test_part_of_an_image_set_is_split_four_to_one(name, train, test, real_files):
    first, second = problem.base_sets(name, 10, 16)
    if train:
        assert (len(first.y), len(second.y)) == (train, test)
    assert len(first.y) == 4 * len(second.y)
    assert not torch.isin(first.rows, second.rows).any(), "no image is in both parts"
    assert first.energy() == pytest.approx(16.0, rel=1e-4)
    assert second.energy() == pytest.approx(16.0, rel=0.05)
    assert first.z.mean(dim=0).abs().max() < 1e-4
    off_diagonal = torch.corrcoef(first.z.T) - torch.eye(16)
    assert off_diagonal.abs().max() < 1e-3, "principal directions are uncorrelated"
    assert sorted(set(second.y.tolist())) == list(range(10))


def test_inputs_have_unit_variance_at_the_sizes_of_the_paper(monkeypatch):
    # 3072 inputs in 784 directions, of images that are made here.
    g = torch.Generator().manual_seed(0)

    def load(name, split):
        images = torch.randint(256, (900 if split == "train" else 100, 28, 28, 1), generator=g, dtype=torch.uint8)
        return ImageSet(name, images, torch.arange(len(images)) % 10, 10)

    monkeypatch.setattr(problem, "load_images", load)
    problem.image_set.cache_clear()
    config = experiments.PAPER
    assert (config.inputs, config.rank, config.projection) == (3072, 784, "gaussian")
    train, test = config.bases
    problem.image_set.cache_clear()
    h = algorithm.hyper([Trial(config, 0)], torch.device("cpu"))
    x, _ = problem.meta_batch(train, config.law, h.seed, 0, h.tasks, h.biased, 3, 100)
    assert x.shape == (1, 3, 100, 3072)
    assert x.std().item() == pytest.approx(1.0, abs=0.02)
    x, _ = problem.meta_test_sequences(test, config.law, 0, UNSEEN + torch.arange(3), 100)
    assert x.std().item() == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize(("rank", "inputs"), [(16, 64), (64, 784), (8, 8)])
def test_the_scale_of_an_input_does_not_depend_on_their_number(rank, inputs):
    first, second = problem.base_sets("digits", 4, rank, inputs=inputs)
    plain = problem.digits(4, rank)
    for own, unscaled in zip((first, second), plain, strict=True):
        assert own.energy() / inputs == pytest.approx(unscaled.energy() / rank, rel=1e-5)
    assert torch.equal(problem.base_sets("digits", 4, rank)[0].z, plain[0].z), "as recorded where both numbers agree"


def test_fewer_classes_keep_the_first_ones_only(real_files):
    first, second = problem.base_sets("mnist-test", 3, 8)
    assert set(first.y.tolist()) == set(second.y.tolist()) == {0, 1, 2}
    assert first.z.shape[1] == 8


def test_a_scaled_set_has_the_energy_asked_for():
    base = problem.digits()[0]
    assert base.scaled(5.0).energy() == pytest.approx(5.0, rel=1e-5)
    assert torch.allclose(base.scaled(base.energy()).z, base.z, rtol=1e-5)


def test_characters_are_counted_once_though_the_two_parts_share_alphabets(real_files):
    base = problem.characters(16)
    assert base.classes < 136 + 156
    assert (base.y.bincount() == 20).all()
    assert len(base.y.bincount()) == base.classes


def test_a_sequence_of_omniglot_shows_characters_of_its_own(real_files):
    law = TaskLaw(16, 16, 10)
    x, y = problem.character_set(0, 256, 64, law, 28.0)
    assert x.shape == (256, 64, 16)
    assert x.square().sum(-1).mean().item() == pytest.approx(28.0, rel=0.05)
    assert set(y.unique().tolist()) == set(range(10))
    from tutorlib.papers.gpicl import baselines

    curve = baselines.accuracy(baselines.nearest_neighbour(x, y, 10), y)
    assert curve[0].item() == pytest.approx(0.1, abs=0.06)
    assert curve[-10:].mean() > 0.5, "neighbours have the same label within a sequence"


def test_official_sets_have_one_mean_and_one_deviation_and_lose_nothing():
    small = torch.rand(40, 9, generator=torch.Generator().manual_seed(0)).view(40, 3, 3)
    x = small.repeat_interleave(2, 1).repeat_interleave(2, 2).flatten(1)  # 36 numbers, 9 of them free
    (z,) = problem.standardised(x, 9, x)
    standard = (x - x.mean()) / x.std()
    assert z.shape == (40, 9)
    assert z.square().sum(1).mean().item() == pytest.approx(9, rel=0.01)
    assert torch.allclose(z @ z.T, standard @ standard.T * 9 / 36, atol=1e-4)
    assert problem.full_rank("mnist", 32) == 784
    assert problem.full_rank("cifar10", 32) == 3072
