"""Public sets of small images, as one type: ``load_images("mnist", "test")``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from tutorlib.data.download import NOT_HERE, RemoteFile, fetch, find_given, whereabouts
from tutorlib.data.formats import read_cifar10, read_emnist, read_idx, read_npz, read_omniglot, read_svhn, reading
from tutorlib.data.sources import CIFAR10_BATCHES, CLASS_NAMES, FILES, KMNIST_TEST_NPZ, SHAPES
from tutorlib.lab.dry import rehearsal
from tutorlib.lab.errors import bad_argument, checked, choose, expect_fields
from tutorlib.shapes import Float, Int, Tensor

__all__ = ["ImageSet", "files_of", "fixed_split", "have_ready", "load_images", "pooled"]


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images with class labels, checked when it is made.

    ``images`` is uint8 ``[n, h, w, c]`` with values from 0 to ``peak`` (the value of full intensity),
    ``labels`` int64 ``[n]`` with values from 0 to ``classes - 1``. ``class_names`` holds one name per
    class, or nothing.

    Raises ``UsageError`` if any of this does not hold or there is no image.
    """

    name: str
    images: Tensor
    labels: Tensor
    classes: int
    class_names: tuple[str, ...] = ()
    peak: int = 255

    def __post_init__(self) -> None:
        expect_fields(self, sizes=("classes",), minimum={"peak": 1}, maximum={"peak": 255})
        check_images(self.images)
        if int(self.images.max()) > self.peak:
            raise bad_argument("images", int(self.images.max()), f"values from 0 to peak={self.peak}")
        check_labels("labels", self.labels, len(self.images), self.classes)
        if len(self.class_names) not in (0, self.classes):
            raise bad_argument("class_names", self.class_names, f"no name or {self.classes} of them")

    def __len__(self) -> int:
        return len(self.images)


def check_images(images: Tensor) -> None:
    """Raise ``UsageError`` unless ``images`` is uint8 ``[n, h, w, c]`` with at least one image."""
    if images.dtype != torch.uint8 or images.ndim != 4 or images.numel() == 0:
        given = f"{images.dtype} of shape {list(images.shape)}"
        raise bad_argument("images", given, "uint8 of shape [n, h, w, c] with at least one image")


def check_labels(name: str, labels: Tensor, n: int, classes: int) -> None:
    """Raise ``UsageError`` unless argument ``name`` is int64 ``[n]`` with values in 0..classes-1."""
    if classes < 1:
        raise bad_argument("classes", classes, "at least 1")
    if labels.dtype != torch.int64 or labels.shape != (n,):
        raise bad_argument(name, f"{labels.dtype} of shape {list(labels.shape)}", f"int64 of shape [{n}]")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise bad_argument(name, f"values from {low} to {high}", f"values from 0 to {classes - 1}")


@checked()
def load_images(name: str, split: str = "train") -> ImageSet:
    """Return a public image set, from this machine or downloaded (see ``fetch``).

    - ``mnist``, ``fashion-mnist``, ``kmnist``: ``train`` and ``test``, 60,000 and 10,000 images of
      28 x 28 x 1
    - ``emnist``: ``train`` and ``test`` of the "by class" split, 697,932 and 116,323 images of 28 x 28 x 1 in 62
      classes: digits, capitals, small letters
    - ``cifar10``: ``train`` and ``test``, 50,000 and 10,000 images of 32 x 32 x 3
    - ``svhn``: ``train`` and ``test``, 73,257 and 26,032 images of 32 x 32 x 3
    - ``omniglot``: ``background`` and ``evaluation``, 964 and 659 classes with 20 images of 105 x 105 x 1;
      ``background_small1`` and ``background_small2``, 136 and 156 classes

    All but EMNIST and Omniglot have 10 classes. Omniglot's are characters in the sorted order of alphabets, with the
    ``class_names`` ``alphabet/character`` and the images of each in the order of their drawers; ink is 0 and
    paper 255. Its two small parts share the alphabets Greek and Latin. Where ``TUTORLIB_DATA`` holds the
    re-packed part of Fashion-MNIST's test set, that is its first 4,000 images: ask a set for its length.

    Raises ``UsageError`` for an unknown ``name`` or ``split``, ``DataFormatError`` for a file that is not
    in its format, and what ``fetch`` raises. In a dry run (``lab.dry``) nothing is read: the set has its shape alone.
    """
    files = files_of(name, split)
    if (dry := rehearsal()) is not None:
        for file in files:
            dry.wants(str(file), whereabouts(file))
        n, side, channels, classes = SHAPES[name][split]
        class_names = tuple(f"{split}/{i}" for i in range(classes))
        images = torch.empty(n, side, side, channels, dtype=torch.uint8)
        return ImageSet(name, images, torch.empty(n, dtype=torch.int64), classes, class_names)
    paths = [fetch(file) for file in files]

    class_names = CLASS_NAMES.get(name, ())
    if name == "cifar10":
        images, labels = read_cifar10(paths[0], CIFAR10_BATCHES[split])
    elif name == "emnist":
        images, labels = read_emnist(paths[0], f"byclass-{split}")
    elif name == "svhn":
        images, labels = read_svhn(paths[0])
    elif name == "omniglot":
        images, labels, class_names = read_omniglot(paths[0])
    else:
        read = read_npz if paths[0].suffix == ".npz" else read_idx
        images, labels = read(paths[0])[..., None], read(paths[1]).long()

    with reading(*paths):  # images and labels of two different files need not fit
        return ImageSet(name, images, labels, len(class_names), class_names)


@checked()
def files_of(name: str, split: str) -> tuple[RemoteFile, ...]:
    """Return the files of one part of a set, in the version that ``TUTORLIB_DATA`` holds where there are two.

    Raises ``UsageError`` for an unknown ``name`` or ``split``.
    """
    choose("name", name, FILES)
    files = FILES[name][choose("split", split, FILES[name])]
    if name == "kmnist" and split == "test" and not are_given(files) and are_given(KMNIST_TEST_NPZ):
        return KMNIST_TEST_NPZ
    return files


@checked()
def have_ready(parts: Sequence[str], say: Callable[[str], object] = print) -> None:
    """Bring the files of ``parts`` of sets, such as ``mnist/train``, to this machine, before anything is computed.

    Nothing is said where all are here. Else ``say`` is first given a line for each that is not: its size, from where
    it is downloaded, and where it can be put instead. Raises what ``fetch`` raises, and ``UsageError`` for a part that
    is unknown.
    """
    wanted: dict[RemoteFile, None] = {}
    for part in parts:
        name, _, split = part.partition("/")
        wanted |= dict.fromkeys(files_of(name, split))
    away = {file: where for file in wanted if (where := whereabouts(file)).startswith(NOT_HERE)}
    for file, where in away.items():
        say(f"data: {file}: {where}")
    for file in away:
        fetch(file)


def are_given(files: tuple[RemoteFile, ...]) -> bool:
    """Return whether the folder ``TUTORLIB_DATA`` holds all of ``files``."""
    return all(find_given(file) is not None for file in files)


@checked(sizes=("size",), minimum={"peak": 1}, maximum={"peak": 255})
def pooled(images: Tensor, size: int, peak: int = 255) -> Float[Tensor, "n features"]:
    """Return images as vectors of a smaller picture: float32 ``[n, size * size * c]``, values from 0 to 1.

    ``images`` is uint8 ``[n, h, w, c]`` and ``peak`` the value that becomes 1. Each of the ``size * size``
    cells is the mean of the pixels under it (adaptive average pooling): cell ``i`` spans the rows from
    ``i * h / size`` rounded down to ``(i + 1) * h / size`` rounded up, the latter excluded, and columns
    likewise. Where ``size`` divides ``h`` and ``w`` these are plain blocks; otherwise neighbours share a row,
    and a ``size`` above ``h`` repeats pixels. Features run over rows, then columns, then channels.

    Raises ``UsageError`` for other images, a ``size`` below 1, or a ``peak`` outside 1..255.
    """
    check_images(images)
    planes = images.permute(0, 3, 1, 2)
    # In parts, as all pixels in float32 would take four times the set's memory.
    cells = [F.adaptive_avg_pool2d(part.float() / peak, size) for part in planes.split(4096)]
    return torch.cat(cells).permute(0, 2, 3, 1).flatten(1)


@checked(counts=("examples",), maximum={"examples": 10_000_000, "train": 10_000_000})
def fixed_split(examples: int, train: int) -> tuple[Int[Tensor, "train"], Int[Tensor, "test"]]:
    """Return the numbers of ``train`` training examples and of the others, in one order for all runs and papers.

    Raises ``UsageError`` unless both parts have an example.
    """
    if not 1 <= train < examples:
        raise bad_argument("train", train, f"1 to {examples - 1}, so that {examples} examples fill two parts")
    order = torch.randperm(examples, generator=torch.Generator().manual_seed(1234))
    return order[:train], order[train:]
