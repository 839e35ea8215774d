"""Readers for the file formats in which the image sets are published.

Every ``read_...`` takes the path of a checked file and returns tensors; nothing is unpacked to disk. A file
that is not what it should be raises ``DataFormatError`` with its name.
"""

import gzip
import io
import math
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch

from tutorlib.data.download import DataFormatError
from tutorlib.lab.errors import checked
from tutorlib.shapes import Int, Tensor

__all__ = ["parse_idx", "read_cifar10", "read_emnist", "read_idx", "read_npz", "read_omniglot", "read_svhn", "reading"]


@contextmanager
def reading(*paths: Path) -> Iterator[None]:
    """Turn what a parser trips over in ``paths`` into ``DataFormatError`` with the files' names."""
    broken = (
        OSError,  # gzip.BadGzipFile and PIL.UnidentifiedImageError are among these
        EOFError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        RuntimeError,  # a shape that does not fit
        OverflowError,
        zlib.error,
        zipfile.BadZipFile,
        tarfile.TarError,
        pickle.UnpicklingError,
    )
    try:
        yield
    except broken as error:
        names = " with ".join(f"{path.parent.name}/{path.name}" for path in paths)
        raise DataFormatError(f"{names} cannot be read: {error}") from error


# IDX: MNIST and the sets that stand in for it


@checked()
def read_idx(path: Path) -> Tensor:
    """Return the uint8 tensor, of the shape that the file states, in a gzip-compressed IDX file."""
    with reading(path), gzip.open(path) as content:
        return parse_idx(content.read())


@checked()
def parse_idx(content: bytes) -> Tensor:
    """Return the uint8 tensor in an IDX file's bytes.

    These are two zeros, the type (8: uint8), the rank, the shape in big-endian 32-bit words, and the
    values. Raises ``ValueError`` for another magic number or type, a rank outside 1..4, an empty dimension,
    or a length that is not what the header says.
    """
    if len(content) < 4 or content[:3] != b"\0\0\x08" or not 1 <= content[3] <= 4:
        raise ValueError(f"magic number {content[:4].hex()!r}, expected 00000801 to 00000804")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise ValueError(f"{len(content)} bytes, expected a header of {start}")
    shape = struct.unpack(f">{content[3]}I", content[4:start])
    length = start + math.prod(shape)
    if 0 in shape or len(content) != length:
        raise ValueError(f"{len(content)} bytes, expected {length} for a shape of {shape} without zeros")
    return torch.tensor(np.frombuffer(content, np.uint8, offset=start).reshape(shape))


# A zip of IDX files: EMNIST


@checked()
def read_emnist(path: Path, part: str) -> tuple[Tensor, Int[Tensor, " n"]]:
    """Return images uint8 ``[n, 28, 28, 1]`` and labels of one part of EMNIST's archive, such as ``byclass-test``.

    The files hold every image with its rows and columns exchanged; here it stands upright.
    """
    with reading(path), zipfile.ZipFile(path) as archive:
        images, labels = (
            parse_idx(gzip.decompress(archive.read(f"gzip/emnist-{part}-{kind}-ubyte.gz")))
            for kind in ("images-idx3", "labels-idx1")
        )
        return images.transpose(1, 2).contiguous()[..., None], labels.long()


# NumPy: Kuzushiji-MNIST


@checked()
def read_npz(path: Path) -> Tensor:
    """Return the uint8 tensor under the key ``arr_0`` of a NumPy archive."""
    with reading(path), np.load(path, allow_pickle=False) as arrays:
        values = arrays["arr_0"]
        if values.dtype != np.uint8:
            raise ValueError(f"arr_0 holds {values.dtype}, expected uint8")
        return torch.from_numpy(values)


# A tar of pickles: CIFAR-10


class ArrayUnpickler(pickle.Unpickler):
    """Unpickles NumPy arrays within plain containers and refuses all else: a pickle can run any code."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what rebuilds an array; raise ``UnpicklingError`` for anything else."""
        # NumPy 2 moved this function, and its old address warns; an array itself tells where it is.
        rebuild = np.empty(0).__reduce__()[0]
        allowed = {
            ("numpy.core.multiarray", "_reconstruct"): rebuild,
            ("numpy._core.multiarray", "_reconstruct"): rebuild,
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): make_dtype,
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no array needs")
        return allowed[module, name]


def make_dtype(name: Any, align: int, copy: int) -> np.dtype[Any]:
    """Return the type ``name``; Python 2 stored 0 and 1, at which some versions of NumPy 2.4 warn."""
    return np.dtype(name, bool(align), bool(copy))


@checked()
def read_cifar10(path: Path, batches: tuple[str, ...]) -> tuple[Tensor, Int[Tensor, " n"]]:
    """Return images uint8 ``[n, 32, 32, 3]`` and labels of the named batches of CIFAR-10's Python archive."""
    images, labels = [], []
    with reading(path), tarfile.open(path) as archive:
        for batch in batches:
            member = archive.extractfile(f"cifar-10-batches-py/{batch}")
            if member is None:
                raise ValueError(f"{batch} is not a file")
            # The batches were written by Python 2, whose strings come back as bytes.
            content = ArrayUnpickler(member, encoding="bytes").load()
            planes = torch.from_numpy(content[b"data"]).reshape(-1, 3, 32, 32)
            images.append(planes.permute(0, 2, 3, 1).contiguous())
            labels.append(torch.tensor(content[b"labels"], dtype=torch.int64))
        return torch.cat(images), torch.cat(labels)


# MATLAB: Street View House Numbers


@checked()
def read_svhn(path: Path) -> tuple[Tensor, Int[Tensor, " n"]]:
    """Return images uint8 ``[n, 32, 32, 3]`` and labels of a cropped SVHN file, whose label 10 is digit 0."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    with reading(path):
        try:
            content = loadmat(path, variable_names=("X", "y"))
        except MatReadError as error:
            raise ValueError(str(error)) from error
        images = torch.from_numpy(np.ascontiguousarray(content["X"].transpose(3, 0, 1, 2)))
        labels = torch.from_numpy(content["y"].reshape(-1).astype(np.int64))
        return images, torch.where(labels == 10, 0, labels)


# A zip of drawings: Omniglot


@checked()
def read_omniglot(path: Path) -> tuple[Tensor, Int[Tensor, " n"], tuple[str, ...]]:
    """Return images uint8 ``[n, 105, 105, 1]``, labels, and each class's name ``alphabet/character``.

    Classes are numbered in the sorted order of alphabets and then characters; a class's drawings come in the
    order of their drawers. Ink is 0 and paper 255, as in the files.
    """
    from PIL import Image

    with reading(path), zipfile.ZipFile(path) as archive:
        drawings = sorted(name for name in archive.namelist() if name.endswith(".png"))
        # <set>/<alphabet>/<character>/<character number>_<drawer>.png
        owners = ["/".join(PurePosixPath(name).parts[-3:-1]) for name in drawings]
        characters = tuple(sorted(set(owners)))
        number = {character: label for label, character in enumerate(characters)}
        labels = torch.tensor([number[owner] for owner in owners], dtype=torch.int64)
        images = np.empty((len(drawings), 105, 105, 1), np.uint8)
        for image, name in zip(images, drawings, strict=True):
            with Image.open(io.BytesIO(archive.read(name))) as drawing:
                if drawing.size != (105, 105):
                    raise ValueError(f"{name} measures {drawing.size}, expected 105 x 105 pixels")
                image[:, :, 0] = np.asarray(drawing.convert("L"))
        return torch.from_numpy(images), labels, characters
