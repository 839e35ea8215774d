import gzip
import hashlib
import io
import struct

import numpy as np
import pytest
import scipy.io
import torch

from tutorlib.data import (
    DataFormatError,
    DataUnavailableError,
    ImageSet,
    RemoteFile,
    images,
    load_images,
    pooled,
)
from tutorlib.data.sources import CLASS_NAMES, FILES
from tutorlib.lab.errors import UsageError

# The real files


@pytest.mark.usefixtures("real_files")
def test_mnist():
    found = load_images("mnist", "test")
    assert found.images.shape == (10_000, 28, 28, 1)
    assert found.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert found.labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert found.images.float().mean().item() / 255 == pytest.approx(0.1325, abs=1e-4)
    assert (found.name, found.classes, len(found)) == ("mnist", 10, 10_000)


@pytest.mark.usefixtures("real_files")
def test_fashion_mnist():
    found = load_images("fashion-mnist", "test")
    assert len(found) in (4_000, 10_000)  # the part beside the repository, or the official set
    assert found.images.shape[1:] == (28, 28, 1)
    assert found.labels[:10].tolist() == [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]
    counts = [406, 395, 413, 396, 414, 384, 388, 414, 416, 374]
    assert found.labels[:4000].bincount().tolist() == counts
    assert found.images[:4000].float().mean().item() == pytest.approx(72.9026, abs=1e-3)
    assert found.class_names[found.labels[0]] == "Ankle boot"


@pytest.mark.usefixtures("real_files")
def test_kmnist():
    found = load_images("kmnist", "test")
    assert found.images.shape == (10_000, 28, 28, 1)
    assert found.labels[:10].tolist() == [2, 9, 3, 8, 3, 3, 8, 3, 2, 5]
    assert found.labels.bincount().tolist() == [1000] * 10
    assert found.images.float().mean().item() == pytest.approx(47.0621, abs=1e-3)


@pytest.mark.usefixtures("real_files")
def test_omniglot():
    alphabets, latin = [], []
    for split, classes in (("background_small1", 136), ("background_small2", 156)):
        found = load_images("omniglot", split)
        assert found.images.shape == (20 * classes, 105, 105, 1)
        assert found.labels.tolist() == [label for label in range(classes) for _ in range(20)]
        assert found.classes == len(set(found.class_names)) == classes
        assert list(found.class_names) == sorted(found.class_names)
        assert ((found.images == 0) | (found.images == 255)).all()
        assert 0.9 < (found.images == 255).sum() / found.images.numel() < 0.95  # mostly paper
        alphabets.append({name.split("/")[0] for name in found.class_names})
        drawn = torch.tensor([found.class_names[label].startswith("Latin/") for label in found.labels])
        latin.append(found.images[drawn])
    assert alphabets[0] == {"Balinese", "Early_Aramaic", "Greek", "Korean", "Latin"}
    assert alphabets[1] == {"Greek", "Japanese_(katakana)", "Latin", "Sanskrit", "Tagalog"}
    # Both parts hold the same Latin drawings, so the same characters and drawers come in the same order.
    assert latin[0].equal(latin[1])
    assert latin[0].shape == (26 * 20, 105, 105, 1)


# Sets made here, in the official layout


def idx(*shape: int, top: int = 10) -> bytes:
    values = np.random.default_rng(0).integers(0, top, shape, dtype=np.uint8)
    return gzip.compress(b"\0\0\x08" + struct.pack(f">B{len(shape)}I", len(shape), *shape) + values.tobytes())


@pytest.fixture
def publish(tmp_path, monkeypatch, cache):
    """Put files into ``TUTORLIB_DATA`` and their checksums into the table of one set and split."""

    def put(name: str, split: str, files: dict[str, bytes]) -> tuple[RemoteFile, ...]:
        folder = tmp_path / "given" / name
        folder.mkdir(parents=True, exist_ok=True)
        remote = []
        for file, content in files.items():
            (folder / file).write_bytes(content)
            remote.append(RemoteFile(file, name, (), hashlib.md5(content).hexdigest()))
        monkeypatch.setenv("TUTORLIB_DATA", str(tmp_path / "given"))
        monkeypatch.setitem(FILES, name, FILES[name] | {split: tuple(remote)})
        return tuple(remote)

    return put


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "kmnist"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_idx_sets(publish, name, split):
    publish(name, split, {"images.gz": idx(7, 28, 28, top=256), "labels.gz": idx(7)})
    found = load_images(name, split)
    assert found.images.shape == (7, 28, 28, 1)
    assert found.labels.dtype == torch.int64
    assert found.name == name
    assert found.class_names == CLASS_NAMES[name]


def test_default_split_is_train(publish):
    publish("mnist", "train", {"images.gz": idx(7, 28, 28), "labels.gz": idx(7)})
    assert len(load_images("mnist")) == 7


def test_svhn(publish, tmp_path):
    pixels = np.arange(32 * 32 * 3 * 2, dtype=np.uint8).reshape(32, 32, 3, 2)
    scipy.io.savemat(tmp_path / "svhn.mat", {"X": pixels, "y": np.uint8([[10], [4]])})
    publish("svhn", "test", {"test.mat": (tmp_path / "svhn.mat").read_bytes()})
    found = load_images("svhn", "test")
    assert found.images.shape == (2, 32, 32, 3)
    assert found.labels.tolist() == [0, 4]


@pytest.mark.parametrize(("split", "batches"), [("train", 5), ("test", 1)])
def test_cifar10(publish, monkeypatch, split, batches):
    """The split's batches are read, all of them; how, ``test_formats`` tells."""
    publish("cifar10", split, {"batches.tar.gz": b"content"})

    def read(path, names):
        assert path.name == "batches.tar.gz"
        return torch.zeros(len(set(names)), 32, 32, 3, dtype=torch.uint8), torch.arange(len(names))

    monkeypatch.setattr(images, "read_cifar10", read)
    found = load_images("cifar10", split)
    assert len(found) == batches
    assert found.class_names[3] == "cat"


@pytest.mark.parametrize("split", ["train", "test"])
def test_emnist(publish, monkeypatch, split):
    publish("emnist", split, {"gzip.zip": b"content"})
    parts = []
    empty = torch.zeros(2, 28, 28, 1, dtype=torch.uint8)
    monkeypatch.setattr(images, "read_emnist", lambda _, part: (parts.append(part) or empty, torch.tensor([10, 61])))
    found = load_images("emnist", split)
    assert parts == [f"byclass-{split}"]
    assert found.classes == 62
    assert [found.class_names[label] for label in found.labels] == ["A", "z"]


def test_images_and_labels_that_do_not_fit(publish):
    publish("mnist", "test", {"images.gz": idx(7, 28, 28), "labels.gz": idx(6)})
    with pytest.raises(DataFormatError, match=r"mnist/images\.gz with mnist/labels\.gz.*shape \[6\].*\[7\]"):
        load_images("mnist", "test")


def test_label_out_of_range(publish):
    publish("mnist", "test", {"images.gz": idx(70, 28, 28), "labels.gz": idx(70, top=256)})
    with pytest.raises(DataFormatError, match="values from 0 to 9"):
        load_images("mnist", "test")


def npz(*shape: int) -> bytes:
    content = io.BytesIO()
    np.savez(content, np.zeros(shape, np.uint8))
    return content.getvalue()


def test_kmnist_is_read_from_what_is_given(publish, monkeypatch):
    arrays = publish("kmnist", "test", {"images.npz": npz(5, 28, 28), "labels.npz": npz(5)})
    monkeypatch.setattr(images, "KMNIST_TEST_NPZ", arrays)
    absent = tuple(RemoteFile(f"{part}.gz", "kmnist", (), "0" * 32) for part in ("images", "labels"))
    monkeypatch.setitem(FILES, "kmnist", FILES["kmnist"] | {"test": absent})
    assert len(load_images("kmnist", "test")) == 5
    publish("kmnist", "test", {"images.gz": idx(7, 28, 28), "labels.gz": idx(7)})
    assert len(load_images("kmnist", "test")) == 7  # the first choice, where both are there


def test_kmnist_arrays_without_their_labels_are_not_what_is_given(publish, monkeypatch):
    (images_npz,) = publish("kmnist", "test", {"images.npz": npz(5, 28, 28)})
    labels_npz, absent = (RemoteFile(name, "kmnist", (), "0" * 32) for name in ("labels.npz", "images.gz"))
    monkeypatch.setattr(images, "KMNIST_TEST_NPZ", (images_npz, labels_npz))
    monkeypatch.setitem(FILES, "kmnist", FILES["kmnist"] | {"test": (absent,)})
    with pytest.raises(DataUnavailableError, match=r"kmnist/images\.gz is not on this machine"):
        load_images("kmnist", "test")


def test_kmnist_is_downloaded_as_idx(cache, monkeypatch):
    def fetch(file: RemoteFile) -> None:
        raise DataUnavailableError(file.name)

    monkeypatch.setattr(images, "fetch", fetch)
    with pytest.raises(DataUnavailableError, match=r"^t10k-images-idx3-ubyte\.gz$"):
        load_images("kmnist", "test")


def test_set_that_cannot_be_had(cache, monkeypatch):
    nowhere = RemoteFile("images.gz", "mnist", (), "0" * 32)
    monkeypatch.setitem(FILES, "mnist", {"train": (nowhere,)})
    with pytest.raises(DataUnavailableError, match=r"mnist/images\.gz is not on this machine"):
        load_images("mnist")


def test_unknown_names():
    with pytest.raises(UsageError, match=r"name='minst': expected one of mnist.*did you mean 'mnist'"):
        load_images("minst")
    with pytest.raises(UsageError, match=r"split='valid': expected one of train, test"):
        load_images("mnist", "valid")
    with pytest.raises(UsageError, match=r"split='train': expected one of background, evaluation"):
        load_images("omniglot")


def test_table_of_files():
    for name, splits in FILES.items():
        for files in splits.values():
            for file in files:
                assert file.folder == name
                assert file.urls
                assert all(url.startswith("http") and url.endswith(f"/{file.name}") for url in file.urls)
    # CIFAR-10 and EMNIST keep both splits in one file; anything else alike would be a slip of the pen.
    md5 = [file.md5 for splits in FILES.values() for files in splits.values() for file in files]
    assert len(md5) == 22
    assert len(set(md5)) == 20
    assert all(len(set(names)) == (62 if name == "emnist" else 10) for name, names in CLASS_NAMES.items())


# The type


def make(**changes) -> ImageSet:
    usual = {
        "name": "toy",
        "images": torch.full((3, 4, 5, 2), 16, dtype=torch.uint8),
        "labels": torch.tensor([0, 2, 1]),
        "classes": 3,
    }
    return ImageSet(**usual | changes)


def test_image_set():
    assert len(make()) == 3
    assert make(peak=16, class_names=("a", "b", "c")).class_names[2] == "c"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"images": torch.zeros(3, 4, 5, 2)},
            r"images='torch.float32 of shape \[3, 4, 5, 2\]': expected uint8",
        ),
        ({"images": torch.zeros(3, 4, 5, dtype=torch.uint8)}, r"images=.*shape \[3, 4, 5\]"),
        ({"images": torch.zeros(0, 4, 5, 1, dtype=torch.uint8)}, "at least one image"),
        ({"peak": 15}, "images=16: expected values from 0 to peak=15"),
        ({"peak": 0}, "peak=0: expected a whole number from 1 to 255"),
        ({"peak": 256}, "peak=256"),
        ({"labels": torch.tensor([0, 1])}, r"labels=.*shape \[2\].*expected int64 of shape \[3\]"),
        ({"labels": torch.tensor([[0, 1, 2]])}, r"labels=.*shape \[1, 3\]"),
        ({"labels": torch.tensor([0.0, 1.0, 2.0])}, "labels='torch.float32"),
        ({"labels": torch.tensor([0, 1, 3])}, "labels='values from 0 to 3': expected values from 0 to 2"),
        ({"labels": torch.tensor([0, 1, -1])}, "labels='values from -1 to 1'"),
        ({"classes": 0}, "classes=0"),
        ({"class_names": ("a", "b")}, r"class_names=\('a', 'b'\): expected no name or 3 of them"),
    ],
)
def test_image_set_refuses(changes, message):
    with pytest.raises(UsageError, match=message):
        make(**changes)


# Pooling


def random_images(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def test_pooled_blocks():
    given = random_images(5, 8, 8, 3)
    found = pooled(given, 4)
    blocks = given.double().reshape(5, 4, 2, 4, 2, 3).mean((2, 4)) / 255
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), blocks.reshape(5, 48), atol=1e-6, rtol=0)


@pytest.mark.parametrize("size", [1, 3, 5, 8, 11])
def test_pooled_cells(size):
    given = random_images(2, 7, 5, 2)
    found = pooled(given, size).reshape(2, size, size, 2)
    for row in range(size):
        top, bottom = row * 7 // size, -((row + 1) * 7 // -size)
        for column in range(size):
            left, right = column * 5 // size, -((column + 1) * 5 // -size)
            cell = given[:, top:bottom, left:right].float().mean((1, 2)) / 255
            torch.testing.assert_close(found[:, row, column], cell)


def test_pooled_at_full_size_is_the_image():
    given = random_images(2, 6, 6, 3)
    torch.testing.assert_close(pooled(given, 6), given.flatten(1) / 255)


def test_pooled_range_and_peak():
    given = torch.tensor([0, 16], dtype=torch.uint8).reshape(2, 1, 1, 1)
    assert pooled(given, 1, peak=16).tolist() == [[0.0], [1.0]]
    assert pooled(torch.full_like(given, 255), 1).tolist() == [[1.0], [1.0]]


def test_pooled_keeps_the_order_of_many_images():
    given = random_images(9001, 1, 1, 1)
    assert (pooled(given, 1) * 255).round().flatten().equal(given.flatten().float())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.zeros(2, 4, 4, 1), 2), "images="),
        ((torch.zeros(2, 4, 4, dtype=torch.uint8), 2), "images="),
        ((random_images(2, 4, 4, 1), 0), "size=0"),
        ((random_images(2, 4, 4, 1), 2, 0), "peak=0"),
        ((random_images(2, 4, 4, 1), 2, 256), "peak=256"),
    ],
)
def test_pooled_refuses(arguments, message):
    with pytest.raises(UsageError, match=message):
        pooled(*arguments)
