"""Readers of file formats, on small files made here in the layout of the official ones."""

import gzip
import io
import pickle
import struct
import tarfile
import zipfile

import numpy as np
import pytest
import scipy.io
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tutorlib.data.download import DataFormatError
from tutorlib.data.formats import parse_idx, read_cifar10, read_emnist, read_idx, read_npz, read_omniglot, read_svhn

# IDX


def idx(values: np.ndarray) -> bytes:
    return struct.pack(f">3xB{values.ndim}I", values.ndim, *values.shape).replace(b"\0\0\0", b"\0\0\x08", 1) + (
        values.tobytes()
    )


@st.composite
def arrays(draw) -> np.ndarray:
    shape = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    size = int(np.prod(shape))
    content = draw(st.binary(min_size=size, max_size=size))
    return np.frombuffer(content, np.uint8).reshape(shape)


@settings(deadline=None)  # this machine may be busy
@given(arrays())
def test_idx_round_trip(values):
    found = parse_idx(idx(values))
    assert found.dtype == torch.uint8
    assert found.shape == values.shape
    assert found.flatten().tolist() == values.flatten().tolist()


@settings(deadline=None)  # this machine may be busy
@given(arrays(), st.data())
def test_idx_of_another_length_is_refused(values, data):
    content = idx(values)
    cut = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(ValueError, match="expected"):
        parse_idx(content[:cut])
    with pytest.raises(ValueError, match="expected"):
        parse_idx(content + b"\0")


@settings(deadline=None)  # this machine may be busy
@given(st.one_of(st.binary(max_size=40), st.binary(max_size=40).map(b"\0\0\x08".__add__)))
def test_idx_of_any_bytes_is_read_faithfully_or_refused(content):
    try:
        values = parse_idx(content)
    except ValueError:
        return
    assert idx(values.numpy()) == content


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\x08",
        b"\0\0\x08\0v",  # no dimension
        b"\0\0\x08\x05" + struct.pack(">5I", 1, 1, 1, 1, 1) + b"v",  # too many
        b"\0\0\x09\x01" + struct.pack(">I", 1) + b"v",  # signed bytes
        b"\x01\0\x08\x01" + struct.pack(">I", 1) + b"v",
        b"\0\0\x08\x01\0\0",  # no full header
        b"\0\0\x08\x01" + struct.pack(">I", 0),  # no image
    ],
)
def test_bad_idx(tmp_path, content):
    (tmp_path / "bad.gz").write_bytes(gzip.compress(content))
    with pytest.raises(DataFormatError, match=rf"{tmp_path.name}/bad\.gz cannot be read: .*expected"):
        read_idx(tmp_path / "bad.gz")


def test_idx_is_read_from_gzip(tmp_path):
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / "good.gz").write_bytes(gzip.compress(idx(values)))
    assert read_idx(tmp_path / "good.gz").equal(torch.arange(24, dtype=torch.uint8).reshape(2, 3, 4))


@pytest.mark.parametrize("cut", [slice(1, None), slice(0, -9), slice(0, 30)])
def test_bad_gzip(tmp_path, cut):
    packed = gzip.compress(idx(np.arange(200, dtype=np.uint8)))
    (tmp_path / "bad.gz").write_bytes(packed[cut])
    with pytest.raises(DataFormatError, match=r"bad\.gz cannot be read"):
        read_idx(tmp_path / "bad.gz")


def test_damaged_gzip(tmp_path):
    packed = bytearray(gzip.compress(idx(np.arange(200, dtype=np.uint8))))
    packed[12] ^= 0xFF
    (tmp_path / "bad.gz").write_bytes(packed)
    with pytest.raises(DataFormatError, match=r"bad\.gz cannot be read"):
        read_idx(tmp_path / "bad.gz")


# NumPy


def test_npz(tmp_path):
    np.savez_compressed(tmp_path / "good.npz", np.arange(4, dtype=np.uint8))
    assert read_npz(tmp_path / "good.npz").equal(torch.arange(4, dtype=torch.uint8))


class Evil:
    """Touches a file when it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return open, (str(self.trace), "w")


def test_npz_with_another_content(tmp_path):
    path = tmp_path / "bad.npz"
    np.savez(path, images=np.zeros(3, np.uint8))
    with pytest.raises(DataFormatError, match=r"bad\.npz.*arr_0"):
        read_npz(path)
    np.savez(path, np.zeros(3))
    with pytest.raises(DataFormatError, match=r"bad\.npz.*float64, expected uint8"):
        read_npz(path)
    path.write_bytes(b"PK no archive")
    with pytest.raises(DataFormatError, match=r"bad\.npz"):
        read_npz(path)
    np.savez(path, np.array([Evil(tmp_path / "trace")], dtype=object))
    with pytest.raises(DataFormatError, match=r"bad\.npz"):
        read_npz(path)
    assert not (tmp_path / "trace").exists()


# CIFAR-10


def python2_pickle(data: np.ndarray, labels: list[int]) -> bytes:
    """Pickle a batch as Python 2 and its NumPy did: protocol 2, byte strings, ``numpy.core``."""

    def string(text: bytes) -> bytes:
        return b"T" + struct.pack("<i", len(text)) + text

    def integer(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    shape = b"(" + b"".join(map(integer, data.shape)) + b"t"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R"
    dtype = b"cnumpy\ndtype\nU\x02u1K\0K\x01\x87R(K\x03U\x01|NNN" + integer(-1) * 2 + b"K\0tb"
    array += b"(K\x01" + shape + dtype + b"\x89" + string(data.tobytes()) + b"tb"
    numbers = b"](" + b"".join(map(integer, labels)) + b"e"
    items = string(b"batch_label") + string(b"a batch") + string(b"labels") + numbers + string(b"data") + array
    return b"\x80\x02}(" + items + b"u."


def write_tar(path, batches: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in batches.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def rows(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 3072), dtype=np.uint8)


def test_cifar10(tmp_path):
    path = tmp_path / "good.tar.gz"
    batches = {
        "data_batch_1": python2_pickle(rows(2), [6, 9]),
        "data_batch_2": python2_pickle(rows(1, 1), [3]),
    }
    write_tar(path, batches)
    images, labels = read_cifar10(path, ("data_batch_2", "data_batch_1"))
    assert images.dtype == torch.uint8
    assert images.shape == (3, 32, 32, 3)
    assert labels.tolist() == [3, 6, 9]
    # A row holds the red plane, then green, then blue, each row by row.
    assert images[1, 5, 7, 2] == rows(2)[0, 2 * 1024 + 5 * 32 + 7]
    assert images[0, 31, 0, 1] == rows(1, 1)[0, 1024 + 31 * 32]


def test_cifar10_written_by_todays_numpy(tmp_path):
    path = tmp_path / "good.tar.gz"
    write_tar(path, {"test_batch": pickle.dumps({b"data": rows(2), b"labels": [0, 1]}, protocol=3)})
    images, labels = read_cifar10(path, ("test_batch",))
    assert images[1, 0, 1, 0] == rows(2)[1, 1]
    assert labels.tolist() == [0, 1]


def test_cifar10_does_not_warn_of_old_types(tmp_path):
    """NumPy 2.4.0 to 2.4.4 warn at the 0 and 1 of Python 2; later ones only at other numbers, as here."""
    path = tmp_path / "good.tar.gz"
    old = b"U\x02u1K\0K\x01\x87R"
    batch = python2_pickle(rows(2), [6, 9])
    assert batch.count(old) == 1
    write_tar(path, {"test_batch": batch.replace(old, b"U\x02u1K\0K\0\x87R")})
    assert read_cifar10(path, ("test_batch",))[0].shape == (2, 32, 32, 3)


def test_cifar10_runs_no_code(tmp_path):
    path = tmp_path / "bad.tar.gz"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        evil = pickle.dumps([Evil(tmp_path / "trace")], protocol)
        write_tar(path, {"test_batch": evil})
        with pytest.raises(DataFormatError, match=r"bad\.tar\.gz.*asks for .*open"):
            read_cifar10(path, ("test_batch",))
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    "batch",
    [
        b"",
        b"no pickle",
        python2_pickle(rows(2), [1, 2])[:-100],
        python2_pickle(rows(2)[:, :-1], [1, 2]),
        b"\x80\x02K\x01K\x02a.",  # appends to a number
        b"\x80\x04\x8e" + b"\xff" * 8 + b".",  # holds more bytes than there can be
        pickle.dumps([]),
        pickle.dumps({}),
        pickle.dumps({b"data": "text", b"labels": []}),
        pickle.dumps({b"data": rows(1), b"labels": ["cat"]}, protocol=3),
    ],
)
def test_bad_cifar10_batch(tmp_path, batch):
    path = tmp_path / "bad.tar.gz"
    write_tar(path, {"test_batch": batch})
    with pytest.raises(DataFormatError, match=rf"{tmp_path.name}/bad\.tar\.gz cannot be read"):
        read_cifar10(path, ("test_batch",))


def test_bad_cifar10_archive(tmp_path):
    path = tmp_path / "bad.tar.gz"
    path.write_bytes(b"no archive")
    with pytest.raises(DataFormatError, match=r"bad\.tar\.gz"):
        read_cifar10(path, ("test_batch",))
    write_tar(path, {"data_batch_1": python2_pickle(rows(1), [0])})
    with pytest.raises(DataFormatError, match=r"bad\.tar\.gz.*test_batch"):
        read_cifar10(path, ("test_batch",))
    with tarfile.open(path, "w:gz") as archive:
        folder = tarfile.TarInfo("cifar-10-batches-py/test_batch")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
    with pytest.raises(DataFormatError, match="test_batch is not a file"):
        read_cifar10(path, ("test_batch",))


# SVHN


def test_svhn(tmp_path):
    pixels = rows(4).reshape(32, 32, 3, 4)
    scipy.io.savemat(tmp_path / "good.mat", {"X": pixels, "y": np.uint8([[10], [1], [9], [10]])})
    images, labels = read_svhn(tmp_path / "good.mat")
    assert images.shape == (4, 32, 32, 3)
    assert images.is_contiguous()
    assert images[3, 5, 7, 2] == pixels[5, 7, 2, 3]
    assert labels.tolist() == [0, 1, 9, 0]
    assert labels.dtype == torch.int64


def test_bad_svhn(tmp_path):
    path = tmp_path / "bad.mat"
    for content in (b"", b"no MATLAB file at all" * 20):
        path.write_bytes(content)
        with pytest.raises(DataFormatError, match=r"bad\.mat cannot be read"):
            read_svhn(path)
    scipy.io.savemat(path, {"images": rows(1)})
    with pytest.raises(DataFormatError, match=r"bad\.mat cannot be read"):
        read_svhn(path)
    scipy.io.savemat(path, {"X": rows(1), "y": [1]})
    with pytest.raises(DataFormatError, match=r"bad\.mat cannot be read"):
        read_svhn(path)


# Omniglot


def png(ink: tuple[int, int], size: int = 105) -> bytes:
    drawing = Image.new("1", (size, size), 1)
    drawing.putpixel(ink[::-1], 0)
    content = io.BytesIO()
    drawing.save(content, "png")
    return content.getvalue()


def write_zip(path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def test_omniglot(tmp_path):
    path = tmp_path / "good.zip"
    write_zip(
        path,
        {
            "set/": b"",
            "set/Greek/character02/0002_01.png": png((3, 0)),
            "set/Greek/character10/0010_02.png": png((2, 0)),
            "set/Greek/character10/0010_01.png": png((1, 4)),
            "set/Balinese/character02/0040_01.png": png((4, 0)),
            "set/readme.txt": b"not an image",
        },
    )
    images, labels, names = read_omniglot(path)
    assert names == ("Balinese/character02", "Greek/character02", "Greek/character10")
    assert labels.tolist() == [0, 1, 2, 2]
    assert images.shape == (4, 105, 105, 1)
    assert images.dtype == torch.uint8
    # Row and column of the only drop of ink: paper is 255, ink 0.
    assert (images == 0).nonzero()[:, 1:3].tolist() == [[4, 0], [3, 0], [1, 4], [2, 0]]
    assert images.unique().tolist() == [0, 255]


@pytest.mark.parametrize("image", [b"", b"no image", png((0, 0))[:60], png((0, 0), size=28), png((0, 0), size=1)])
def test_bad_omniglot_drawing(tmp_path, image):
    path = tmp_path / "bad.zip"
    write_zip(path, {"set/Greek/character01/0001_01.png": image})
    with pytest.raises(DataFormatError, match=rf"{tmp_path.name}/bad\.zip cannot be read"):
        read_omniglot(path)


def emnist(part: str = "byclass-test") -> dict[str, bytes]:
    images = np.arange(2 * 28 * 28, dtype=np.uint16).astype(np.uint8).reshape(2, 28, 28)
    files = {"images-idx3": images, "labels-idx1": np.uint8([61, 10])}
    return {f"gzip/emnist-{part}-{kind}-ubyte.gz": gzip.compress(idx(own)) for kind, own in files.items()}


def test_emnist_stands_upright(tmp_path):
    path = tmp_path / "gzip.zip"
    write_zip(path, emnist("byclass-train") | emnist() | {"gzip/emnist-letters-mapping.txt": b"1 65 97"})
    images, labels = read_emnist(path, "byclass-test")
    assert labels.tolist() == [61, 10]
    assert labels.dtype == torch.int64
    assert images.shape == (2, 28, 28, 1)
    # The file's first row is the picture's first column.
    assert images[0, :, 0, 0].tolist() == list(range(28))
    assert images[0, 0, :3, 0].tolist() == [0, 28, 56]


@pytest.mark.parametrize("spoil", [
    lambda files: {name: own for name, own in files.items() if "labels" not in name},
    lambda files: {name: own[:40] for name, own in files.items()},
    lambda files: {name: gzip.decompress(own) for name, own in files.items()},
])  # fmt: skip
def test_bad_emnist_archive(tmp_path, spoil):
    path = tmp_path / "gzip.zip"
    write_zip(path, spoil(emnist()))
    with pytest.raises(DataFormatError, match=r"gzip\.zip cannot be read"):
        read_emnist(path, "byclass-test")


def test_bad_omniglot_archive(tmp_path):
    path = tmp_path / "bad.zip"
    path.write_bytes(b"no archive")
    with pytest.raises(DataFormatError, match=r"bad\.zip cannot be read"):
        read_omniglot(path)
