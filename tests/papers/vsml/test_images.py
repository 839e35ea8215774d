"""Streams of images: what they are parted, scaled and standardised by, larger sets, and few-shot tasks."""

from dataclasses import replace

import pytest
import torch
from vsml_streams import CPU, DIGITS, FEW, draw, rows_of

from tutorlib.data import DIGITS_TRAIN, ImageSet, fixed_split, load_digits, load_images
from tutorlib.papers.gpicl import problem as gpicl
from tutorlib.papers.vsml import problem
from tutorlib.papers.vsml.problem import CHANNELS, Streams


def test_digits_are_parted_as_elsewhere_and_standardised_by_one_mean_and_sd():
    train, test = fixed_split(1797, DIGITS_TRAIN)
    assert (len(train), len(test)) == (1297, 500)
    assert train[:3].tolist() == [213, 836, 328], "recorded results rest on this order"
    assert torch.equal(torch.cat([train, test]).sort().values, torch.arange(1797))
    for rows, base in zip((train, test), gpicl.digits(classes=10), strict=True):
        assert torch.equal(rows, base.rows)
    first, second = (problem.images("digits", part, 8, "bilinear", CPU) for part in ("train", "test"))
    assert first.x.mean().item() == pytest.approx(0.0, abs=1e-5)
    assert first.x.std().item() == pytest.approx(1.0, abs=1e-4)
    assert abs(second.x.mean().item()) > 1e-3, "the test part is not standardised by itself"
    pixels = load_digits().images.flatten(1).float() / 16
    assert torch.allclose(second.x, (pixels[test] - pixels[train].mean()) / pixels[train].std(), atol=1e-5)
    assert first.x.std(dim=0).min() == 0.0, "pixels keep their own scale: the corner is always empty"


@pytest.mark.parametrize("part", ["train", "test"])
def test_digits_come_from_their_part_under_one_name_for_each_class(part):
    x, y = draw(replace(DIGITS, part=part))
    labels = load_digits().labels[fixed_split(1797, DIGITS_TRAIN)[part == "test"]]
    true = labels[rows_of(x, part)]
    for of_stream, named in zip(true, y, strict=True):
        pairs = set(zip(of_stream.tolist(), named.tolist(), strict=True))
        assert len(pairs) == len({name for name, _ in pairs}) == len({name for _, name in pairs})
    assert not torch.equal(true, y)
    x, y = draw(replace(DIGITS, part=part, permuted=False))
    assert torch.equal(labels[rows_of(x, part)], y), "without permutation a digit is its own name"
    assert (y.flatten().bincount() / y.numel() - 0.1).abs().max() < 0.03


@pytest.mark.parametrize(("kind", "mean", "sd"), [
    ("mnist", 0.13066, 0.30811), ("fashion-mnist", 0.13066, 0.30811), ("kmnist", 0.19176, 0.34834),
])  # fmt: skip
def test_public_images_are_the_test_part_four_to_one_with_the_codes_constants(kind, mean, sd, real_files):
    whole = load_images(kind, "test")
    cut = len(whole) * 4 // 5
    train, test = fixed_split(len(whole), cut)
    parts = [problem.images(kind, part, 28, "bilinear", CPU) for part in ("train", "test")]
    assert [len(own.x) for own in parts] == [cut, len(whole) - cut]
    for rows, own in zip((train, test), parts, strict=True):
        assert torch.equal(own.counts, whole.labels[rows].bincount())
        pixels = whole.images[rows[:50]].flatten(1).float() / 255
        assert torch.allclose(own.x[:50], (pixels - mean) / sd, atol=1e-4)
    pooled = problem.images(kind, "test", 14, "pooled", CPU).x
    blocks = parts[1].x.view(-1, 14, 2, 14, 2).mean(dim=(2, 4)).flatten(1)
    assert torch.allclose(pooled, blocks, atol=1e-4)


def test_examples_of_a_class_are_all_drawn_and_never_another_class():
    own = problem.images("digits", "test", 8, "bilinear", CPU)
    labels = load_digits().labels[fixed_split(1797, DIGITS_TRAIN)[1]]
    for c in range(10):
        numbers = own.of_class[c, : own.counts[c]]
        assert torch.equal(numbers, (labels == c).nonzero().flatten())
    x, _ = draw(replace(DIGITS, part="test", length=500), 24)
    assert len(rows_of(x, "test").unique()) == 500


@pytest.mark.parametrize("scaling", ["bilinear", "pooled"])
def test_another_side_scales_the_images(scaling):
    original = problem.images("digits", "train", 8, scaling, CPU)
    assert torch.equal(original.x, problem.images("digits", "train", 8, "bilinear", CPU).x)
    small = problem.images("digits", "train", 4, scaling, CPU)
    large = problem.images("digits", "train", 16, scaling, CPU)
    assert small.x.shape == (1297, 16)
    assert large.x.shape == (1297, 256)
    blocks = original.x.view(-1, 4, 2, 4, 2).mean(dim=(2, 4)).flatten(1)
    assert torch.allclose(small.x, blocks, atol=1e-5) == (scaling == "pooled")
    assert torch.corrcoef(torch.stack([small.x.flatten(), blocks.flatten()]))[0, 1] > 0.95
    x, _ = draw(replace(DIGITS, inputs=144, side=12, scaling=scaling))
    assert x.shape[-1] == 144


def by_four_nearest(image, side):
    """Bilinear interpolation of the four nearest pixels, with the centres of pixels at .5, 1.5, ..."""
    old = len(image)
    made = torch.zeros(side, side, dtype=torch.float64)
    for i in range(side):
        for j in range(side):
            row, column = (min(max((k + 0.5) * old / side - 0.5, 0), old - 1) for k in (i, j))
            top, left = min(int(row), old - 2), min(int(column), old - 2)
            down, right = row - top, column - left
            made[i, j] = (1 - down) * ((1 - right) * image[top, left] + right * image[top, left + 1]) + down * (
                (1 - right) * image[top + 1, left] + right * image[top + 1, left + 1]
            )
    return made


@pytest.mark.parametrize("side", [3, 4, 5, 12])
def test_unfiltered_scaling_reads_the_four_nearest_pixels(side):
    image = problem.images("digits", "train", 8, "unfiltered", CPU).x[0].view(8, 8).double()
    small = problem.images("digits", "train", side, "unfiltered", CPU).x[0].view(side, side).double()
    assert torch.allclose(small, by_four_nearest(image, side), atol=1e-5)
    filtered = problem.images("digits", "train", side, "bilinear", CPU).x[0].view(side, side).double()
    assert torch.allclose(small, filtered, atol=1e-4) == (side == 12), "where the side grows nothing is filtered"


# Sets that the tests have no files of: some images of their sizes


@pytest.fixture
def made(monkeypatch):
    """Stand in for CIFAR-10, SVHN and EMNIST: 20 images of each class, of one colour that tells the class."""

    def load(name, split):
        classes, channels, side = (62, 1, 28) if name == "emnist" else (10, 3, 32)
        labels = torch.arange(classes).repeat(20)
        images = (labels[:, None, None, None] * 4 + torch.arange(channels)).expand(-1, side, side, -1)
        return ImageSet(name, images.to(torch.uint8).contiguous(), labels, classes)

    problem.images.__wrapped__.cache_clear()
    monkeypatch.setattr(problem, "load_images", load)
    yield
    problem.images.__wrapped__.cache_clear()


@pytest.mark.parametrize(("kind", "classes", "mean", "sd"), [
    ("emnist", 62, 0.17392, 0.33191), ("cifar10", 10, 0.47336, 0.25157), ("svhn", 10, 0.45142, 0.19929),
])  # fmt: skip
@pytest.mark.parametrize("part", ["train", "test"])
def test_larger_sets_are_reached_with_all_classes_channels_and_the_codes_constants(kind, classes, mean, sd, part, made):
    channels = CHANNELS.get(kind, 1)
    s = Streams(kinds=(kind,), inputs=64 * channels, classes=classes, length=60, permuted=False, part=part)
    x, y = draw(s, 64)
    assert x.shape == (64, 60, 64 * channels)
    assert set(y.unique().tolist()) == set(range(classes))
    colour = (x.view(64, 60, 64, channels) * sd + mean) * 255
    expected = (4 * y.unsqueeze(-1) + torch.arange(channels)).float()
    assert torch.allclose(colour, expected.unsqueeze(-2).expand_as(colour), atol=0.01)
    assert len(draw(replace(s, subset=(9, 1), classes=2))[1].unique()) == 2


def test_sets_of_different_sizes_share_a_learner_by_padding(made, real_files):
    s = Streams(kinds=("emnist", "random-fixed", "sum-sign"), inputs=100, classes=62, length=40)
    x, y = draw(s, 9)
    assert x.shape == (9, 40, 100)
    assert not x[0::3, :, 64:].any()
    assert y[2::3].max() == 1


# Few-shot tasks


def characters_of(x, part="train"):
    known = problem.images("omniglot-small", part, 14, "bilinear", CPU)
    distance, row = torch.cdist(x, known.x.unsqueeze(0), compute_mode="donot_use_mm_for_euclid_dist").min(-1)
    assert distance.max() < 1e-4
    return row, row // problem.DRAWERS  # drawings stand in the order of their characters


@pytest.mark.parametrize(("classes", "shots"), [(5, 1), (4, 3)])
@pytest.mark.parametrize("permuted", [True, False])
def test_a_few_shot_task_shows_its_characters_and_asks_for_one(classes, shots, permuted, real_files):
    x, y = draw(replace(FEW, classes=classes, length=classes * shots + 1, permuted=permuted), 64)
    row, character = characters_of(x)
    for i in range(64):
        assert len(character[i].unique()) == classes
        assert torch.equal(y[i, :-1].bincount(), torch.full((classes,), shots)), "each as often as the others"
        assert len({*zip(character[i].tolist(), y[i].tolist(), strict=True)}) == classes, "under a name of its own"
        assert len(row[i].unique()) == classes * shots + 1, "the query is a drawing of its own"
    assert len(character.unique()) > 80, "each sequence draws its characters"
    assert (y[:, -1].bincount(minlength=classes) > 2).all(), "any of them is asked for"
    firsts = torch.stack([(y == c).long().argmax(dim=1) for c in range(classes)], dim=1)
    in_order = torch.equal(firsts, firsts.sort(dim=1).values)
    assert in_order != permuted, "the code numbers characters as they appear"


def test_the_small_parts_of_omniglot_share_no_character(real_files):
    train, test = (problem.images("omniglot-small", part, 14, "bilinear", CPU) for part in ("train", "test"))
    assert (len(train.counts), len(test.counts)) == (136, 106)
    assert (train.counts == 20).all()
    assert (test.counts == 20).all()
    drawn = (own.x[own.of_class[:, 0]] for own in (train, test))  # by the first drawer
    assert torch.cdist(*drawn, compute_mode="donot_use_mm_for_euclid_dist").min() > 0.1
    assert train.x.mean().item() == pytest.approx(0.0, abs=0.05)
    assert train.x.max() > 0, "paper is bright"


@pytest.mark.parametrize(("part", "split"), [("train", "background"), ("test", "evaluation")])
def test_omniglot_takes_the_official_parts(part, split, monkeypatch):
    asked = []

    def load(name, own):
        asked.append((name, own))
        labels = torch.arange(7).repeat_interleave(20)
        return ImageSet(name, torch.full((140, 105, 105, 1), 255, dtype=torch.uint8), labels, 7)

    problem.images.__wrapped__.cache_clear()
    monkeypatch.setattr(problem, "load_images", load)
    x, _ = draw(Streams(kinds=("omniglot",), inputs=784, classes=5, length=6, side=28, part=part), 3)
    problem.images.__wrapped__.cache_clear()
    assert asked == [("omniglot", split)]
    assert x.shape == (3, 6, 784)
    assert x.mean().item() == pytest.approx((1 - 0.92206) / 0.26808, abs=1e-4)


def test_a_nearest_neighbour_names_more_queries_than_guessing(real_files):
    x, y = draw(replace(FEW, part="test", scaling="unfiltered"), 400)
    nearest = (x[:, :-1] - x[:, -1:]).square().sum(-1).argmin(dim=1, keepdim=True)
    right = (y[:, :-1].gather(1, nearest) == y[:, -1:]).float().mean().item()
    assert 0.27 < right < 0.9, "chance is 0.2, with a standard error of 0.02"
