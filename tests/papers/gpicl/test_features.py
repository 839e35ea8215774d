"""Pre-trained features: trained on Omniglot, frozen, and shown in place of pixels."""

import pytest
import torch

from tutorlib.papers.gpicl import features
from tutorlib.papers.gpicl.problem import base_sets, image_set

pytestmark = pytest.mark.usefixtures("real_files")


def few(classes: int = 5):
    x, y = features.drawings(features.SIDE)
    return x[y < classes], y[y < classes]


def test_pre_training_learns_to_name_characters():
    x, y = few()
    net = features.pre_train(x, y, epochs=25, generator=torch.Generator().manual_seed(0))
    assert (net.head(net.features(x)).argmax(1) == y).float().mean() > 0.7  # chance is 1/5


def test_pre_training_is_a_function_of_its_generator():
    x, y = few(3)
    a, b, c = (features.pre_train(x, y, 1, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(a.head.weight, b.head.weight)
    assert not torch.equal(a.head.weight, c.head.weight)


def test_features_ignore_brightness_and_contrast():
    net = features.Extractor(3)
    x = torch.rand(4, features.SIDE**2, generator=torch.Generator().manual_seed(0))
    assert net.features(x).shape == (4, 576)
    torch.testing.assert_close(net.features(0.5 * x + 0.2), net.features(x), atol=0.03, rtol=0.05)
    assert (net.features(x[:1]) - net.features(x[1:2])).abs().max() > 0.03


def test_a_feature_set_is_the_test_part_seen_through_the_frozen_network(monkeypatch):
    net = features.Extractor(3).requires_grad_(False)
    monkeypatch.setattr(features, "extractor", lambda: net)
    image_set.cache_clear()
    try:
        (train, test), (pixels, _) = base_sets("kmnist-features", 10, 16), base_sets("kmnist-test", 10, 16)
    finally:
        image_set.cache_clear()  # no other test may meet features of this network
    assert torch.equal(train.rows, pixels.rows)
    assert torch.equal(train.y, pixels.y)
    assert train.energy() == pytest.approx(16, rel=1e-4)
    assert not torch.allclose(train.z, pixels.z, atol=0.1)
    assert len(test.y) == 2000


def test_the_extractor_is_frozen_and_trained_once(monkeypatch):
    x, y = few(3)
    monkeypatch.setattr(features, "drawings", lambda pixels: (x, y))
    features.extractor.cache_clear()
    try:
        net = features.extractor(1)
        assert features.extractor(1) is net
        assert not any(p.requires_grad for p in net.parameters())
    finally:
        features.extractor.cache_clear()
