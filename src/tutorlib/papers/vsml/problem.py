"""Streams of examples to be learned online (VSML, 2012.14905), each from one ``torch.Generator``.

A stream is a sequence (x_1, y_1), (x_2, y_2), ... A learner predicts every y_t from x_t and the examples before it.
Each sequence is a task of its own where the kind, a projection, a shuffle or a renaming of the labels says so.
Characters of Omniglot come as few-shot tasks: every character some times, in any order, and then one query.

``inputs`` and ``classes`` are what a learner is built for. A kind with fewer of them is padded: inputs with zeros,
before they are shuffled or projected as in the paper's code, and names of classes with ones that are never used. VSML
needs no padding; learners with a theta for each size do.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F

from tutorlib.data import DIGITS_TRAIN, fixed_split, load_digits, load_images
from tutorlib.lab.dry import rehearsal
from tutorlib.lab.errors import MOST_SIZE, bad_argument, checked, expect_fields
from tutorlib.shapes import Float, Int, Tensor

SYNTHETIC = ("prototypes", "random", "random-fixed", "sum-sign")
PIXELS = {
    "digits": None,
    "mnist": (0.13066, 0.30811),
    "fashion-mnist": (0.13066, 0.30811),
    "kmnist": (0.19176, 0.34834),
    "emnist": (0.17392, 0.33191),
    "cifar10": (0.47336, 0.25157),
    "svhn": (0.45142, 0.19929),
}
"""Mean and sd that pixels in [0, 1] are standardised with, as in the code: Fashion-MNIST takes MNIST's. Digits take
those of their own training part."""
INK = (0.92206, 0.26808)
"""The same of Omniglot, whose paper is 1 and ink 0."""
CHANNELS = {"cifar10": 3, "svhn": 3}
"""numbers in a pixel, where it is not one"""
IMAGES = tuple(PIXELS)
GREY = tuple(kind for kind in IMAGES if kind not in CHANNELS)
CHARACTERS = {"omniglot": {"train": 964, "test": 659}, "omniglot-small": {"train": 136, "test": 106}}
"""Few-shot kinds and how many characters their parts have: the official background and evaluation sets; and of the two
small background sets the first, and of the second what the first has not."""
DRAWERS = 20
"""drawings of every character of Omniglot"""
KINDS = (*SYNTHETIC, *IMAGES, *CHARACTERS)
HALVES = ("train", "test")
PARTS = (*HALVES, "official-train", "official-test")
PROJECTIONS = ("none", "fresh", "bank")
SHUFFLES = ("none", "fixed", "fresh")
SCALINGS = ("bilinear", "unfiltered", "pooled")
KNOWN = 62
"""classes of the image set that has most of them, EMNIST"""
BANK = 64
"""Matrices in the bank of fixed projections: 128 workers of the code, of which every other one projects."""
NOISE = 0.5
"""sd of a prototype's examples around it, before both are scaled to variance 1"""
POINTS = 20
"""inputs of a "random" set"""
NAMES = 10
"""most labels of "random-fixed", where there are more"""


@dataclass(frozen=True)
class Streams:
    """Which streams: their kinds, their sizes, and what is done to inputs and labels."""

    kinds: tuple[str, ...] = ("prototypes",)
    """which of ``KINDS``; of several, sequences take turns. random: each sequence has its own 20 points, as in the
    recorded studies; random-fixed: all of a part have the same ones, as in the code"""
    inputs: int = 8
    """A, entries of an input; an image of fewer numbers is padded with zeros"""
    classes: int = 4
    """B, names of classes; a kind with fewer (sum-sign: 2) leaves the last ones unused"""
    length: int = 50
    """T, examples in a sequence [500 in meta-training, 2,000 in meta-testing]"""
    side: int = 8
    """side of an image [28]; images are scaled to it"""
    part: str = "train"
    """train or test part of the images, and of the points of random-fixed: of the official test part four in five, and
    the rest; or the official parts themselves, as in the code (of digits and Omniglot there is one way to part them)"""
    projection: str = "none"
    """none; fresh: each sequence has a random matrix of its own; bank: every other one has one of 64 fixed matrices"""
    shuffled: str = "none"
    """order of the inputs: none, one fixed permutation, or a fresh one in each sequence"""
    permuted: bool = True
    """whether each sequence takes its classes in an order of its own, so that labels are names without a meaning; if
    not, characters are numbered as they appear, as in the code"""
    shown: int = 0
    """classes that a sequence shows, the first so many names; 0: as many as there are"""
    subset: tuple[int, ...] = ()
    """the images' classes to choose from, by number; all if none is given"""
    scaling: str = "bilinear"
    """scaling of images: bilinear (behind a filter where the side shrinks, as in the recorded studies), unfiltered (of
    the four nearest pixels, as in the code), or pooled (mean of the pixels under each cell)"""

    def __post_init__(self) -> None:
        expect_fields(
            self,
            sizes=("inputs", "classes", "side"),
            counts=("length",),
            minimum={"classes": 2},
            maximum={"shown": MOST_SIZE, "subset": KNOWN - 1},
            choices={
                "kinds": KINDS,
                "part": PARTS,
                "projection": PROJECTIONS,
                "shuffled": SHUFFLES,
                "scaling": SCALINGS,
            },
        )
        if not self.kinds:
            raise bad_argument("kinds", self.kinds, "at least one")
        if self.shown and not 2 <= self.shown <= self.classes:
            raise bad_argument("shown", self.shown, f"0, or 2 to classes={self.classes}")
        if len(set(self.subset)) < len(self.subset):
            raise bad_argument("subset", self.subset, f"different numbers from 0 to {KNOWN - 1}")
        if set(self.kinds) & {*IMAGES, *CHARACTERS}:
            self._check_images()
        elif self.subset:
            raise bad_argument("subset", self.subset, f"none without a kind of images ({', '.join(IMAGES)})")

    def _check_images(self) -> None:
        for kind in set(self.kinds) & {*IMAGES, *CHARACTERS}:
            numbers = self.side**2 * CHANNELS.get(kind, 1)
            if numbers > self.inputs:
                raise bad_argument("inputs", self.inputs, f"at least {numbers}, the numbers of an image of {kind}")
        for kind in set(self.kinds) & set(CHARACTERS):
            self._check_characters(kind)
        fewest = min((classes_of(kind) for kind in self.kinds if kind in IMAGES), default=0)
        if not fewest:
            return
        if not set(self.subset) <= set(range(fewest)):
            raise bad_argument("subset", self.subset, f"numbers from 0 to {fewest - 1}, the classes of the images")
        known = len(self.subset) or fewest
        if self.shown > known:
            raise bad_argument("shown", self.shown, f"at most the {known} classes of the images")
        if not self.shown and self.classes > known and len(self.kinds) == 1:
            expected = f"at most the {known} classes of the images (shown= says how many to show under more names)"
            raise bad_argument("classes", self.classes, expected)

    def _check_characters(self, kind: str) -> None:
        shown, known = self.shown or self.classes, CHARACTERS[kind][half_of(self.part)]
        if self.subset:
            raise bad_argument("subset", self.subset, f"none with {kind}, whose characters each sequence draws")
        if shown > known:
            raise bad_argument("classes", shown, f"at most the {known} characters of {kind}, part {self.part}")
        shots, rest = divmod(self.length - 1, shown)
        if rest or not 1 <= shots < DRAWERS:
            expected = f"each of {shown} characters 1 to {DRAWERS - 1} times, and one query"
            raise bad_argument("length", self.length, expected)


def files(streams: Streams) -> tuple[str, ...]:
    """Return the parts of data sets that streams are read from, such as ``mnist/train``."""
    half, official = half_of(streams.part), half_of(streams.part) != streams.part
    parts: list[str] = []
    for kind in streams.kinds:
        if kind == "omniglot":
            parts.append("omniglot/background" if half == "train" else "omniglot/evaluation")
        elif kind == "omniglot-small":  # the second has the first's characters taken out
            parts += [f"omniglot/background_small{i}" for i in ((1,) if half == "train" else (1, 2))]
        elif kind in IMAGES and kind != "digits":
            parts.append(f"{kind}/{half}" if official else f"{kind}/test")
    return tuple(dict.fromkeys(parts))


def half_of(part: str) -> str:
    """Return whether a part trains or tests."""
    return part.removeprefix("official-")


def classes_of(kind: str) -> int:
    """Return how many classes an image set has."""
    return KNOWN if kind == "emnist" else 10


@dataclass(frozen=True, eq=False)
class Images:
    """One part of an image set, ready to be drawn from by class."""

    x: Float[Tensor, "examples pixels"]
    of_class: Int[Tensor, "classes most"]
    """numbers of the examples of each class, the last ones repeated"""
    counts: Int[Tensor, "classes"]


@checked(choices={"kind": (*IMAGES, *CHARACTERS), "part": PARTS, "scaling": SCALINGS}, sizes=("side",))
@cache
def images(kind: str, part: str, side: int, scaling: str, device: torch.device) -> Images:
    """Return one part of an image set on ``device``, as standardised vectors of ``side`` x ``side`` pixels, in
    the order (row, column, channel).

    Digits: 1297 images train and 500 test, in a fixed shuffle. Omniglot: as ``CHARACTERS`` says. The others: of the
    official test part, four in five images train and the rest tests, in a fixed shuffle (the official training part is
    not needed); or the official parts.
    """
    half = half_of(part)
    if kind in CHARACTERS:
        pixels, y = _characters(kind, half)
        mean, sd = INK
    elif part != half and kind != "digits":
        whole = load_images(kind, half)
        pixels, y = whole.images.permute(0, 3, 1, 2).float() / whole.peak, whole.labels
        mean, sd = PIXELS[kind] or (0.0, 1.0)
    else:
        whole = load_digits() if kind == "digits" else load_images(kind, "test")
        train, test = fixed_split(len(whole), DIGITS_TRAIN if kind == "digits" else len(whole) * 4 // 5)
        rows = train if half == "train" else test
        x = whole.images.permute(0, 3, 1, 2).float() / whole.peak
        mean, sd = PIXELS[kind] or (x[train].mean().item(), x[train].std().item())
        pixels, y = x[rows], whole.labels[rows]
    x = scaled((pixels - mean) / sd, side, scaling)
    of_class, counts = _by_class(y, CHARACTERS[kind][half] if kind in CHARACTERS else classes_of(kind))
    x = x.permute(0, 2, 3, 1).flatten(1)
    return Images(x.to(device), of_class.to(device), counts.to(device))


def _by_class(y: Int[Tensor, "examples"], classes: int) -> tuple[Int[Tensor, "classes most"], Int[Tensor, "classes"]]:
    """Return the numbers of the examples of each class, the last ones repeated, and how many there are.

    In a dry run labels have no values: the ``classes`` are as many as are known, and all of one size.
    """
    if rehearsal():
        each = -(-len(y) // classes)
        return torch.empty(classes, each, dtype=torch.int64), torch.full((classes,), each)
    members = [(y == c).nonzero().flatten() for c in range(int(y.max()) + 1)]
    most = max(len(rows) for rows in members)
    of_class = torch.stack([torch.cat([rows, rows[-1:].expand(most - len(rows))]) for rows in members])
    return of_class, torch.tensor([len(rows) for rows in members])


def _characters(kind: str, part: str) -> tuple[Float[Tensor, "examples 1 height width"], Int[Tensor, "examples"]]:
    """Return the drawings of one part of Omniglot, in [0, 1], and their characters' numbers."""
    official = {"train": "background", "test": "evaluation"}
    small = {"train": "background_small1", "test": "background_small2"}
    whole = load_images("omniglot", (official if kind == "omniglot" else small)[part])
    x, y = whole.images.permute(0, 3, 1, 2).float() / whole.peak, whole.labels
    if kind == "omniglot-small" and part == "test":
        trained = set(load_images("omniglot", small["train"]).class_names)
        new = torch.tensor([name not in trained for name in whole.class_names])[y]
        x, y = x[new], y[new].unique(return_inverse=True)[1]
    return x, y


def scaled(x: Float[Tensor, "examples channels _ _"], side: int, scaling: str) -> Float[Tensor, "..."]:
    """Return images with another ``side``, scaled as ``Streams.scaling`` says."""
    if scaling == "pooled":
        return F.adaptive_avg_pool2d(x, side)
    filtered = scaling == "bilinear"
    return F.interpolate(x, (side, side), mode="bilinear", antialias=filtered, align_corners=False)


@checked()
def sample(
    streams: Streams, sequences: int, generator: torch.Generator
) -> tuple[Float[Tensor, "sequences time inputs"], Int[Tensor, "sequences time"]]:
    """Return ``sequences`` streams: inputs and labels, on the generator's device.

    Sequence number s is of kind s modulo the number of kinds. Raises ``UsageError`` if there is no sequence.
    """
    if sequences < 1:
        raise bad_argument("sequences", sequences, "at least 1")
    drawn = []
    for turn, kind in enumerate(streams.kinds[:sequences]):
        count = len(range(turn, sequences, len(streams.kinds)))
        draw: Callable = _few_shot if kind in CHARACTERS else _SYNTHETIC.get(kind, _images)
        x, y = draw(streams, count, generator, kind)
        x = F.pad(x, (0, streams.inputs - x.shape[-1]))
        drawn.append((_projected(_shuffled(x, streams, generator), streams, generator), y))
    if len(drawn) == 1:
        return drawn[0]
    # Kind by kind, to be put in turns: sequence s is number s // kinds of its kind.
    kind_of = torch.arange(sequences, device=generator.device) % len(streams.kinds)
    place = kind_of.argsort(stable=True).argsort()
    return torch.cat([x for x, _ in drawn])[place], torch.cat([y for _, y in drawn])[place]


def _prototypes(s: Streams, n: int, generator: torch.Generator, _: str) -> tuple[Tensor, Tensor]:
    """Class means ~ N(0, I), examples around them with sd ``NOISE``, scaled to variance 1."""
    scale = 1 / math.sqrt(1 + NOISE**2)  # vsml-method-prototypes
    means = scale * _normal(generator, n, s.shown or s.classes, s.inputs)
    y = _integers(generator, s.shown or s.classes, n, s.length)
    return torch.add(_taken(means, y), _normal(generator, n, s.length, s.inputs), alpha=scale * NOISE), y


def _random(s: Streams, n: int, generator: torch.Generator, _: str) -> tuple[Tensor, Tensor]:
    """``POINTS`` inputs ~ N(0, I) with random labels, drawn again and again: only remembering helps."""
    points = _normal(generator, n, POINTS, s.inputs)
    names = _integers(generator, s.shown or s.classes, n, POINTS)
    pick = _integers(generator, POINTS, n, s.length)
    return _taken(points, pick), names.gather(1, pick)


def _random_fixed(s: Streams, n: int, generator: torch.Generator, _: str) -> tuple[Tensor, Tensor]:
    """``POINTS`` inputs ~ N(0, I) with random labels, the same for all sequences of a part; over and over, each pass in
    an order of its own. With ``permuted`` each sequence renames the labels."""
    shown = min(s.shown or s.classes, NAMES)
    points, labels = fixed_points(s.inputs, shown, s.part, generator.device)
    passes = -(-s.length // POINTS)
    order = torch.rand(n, passes, POINTS, generator=generator, device=generator.device).argsort(dim=-1)
    pick = order.flatten(1)[:, : s.length]
    y = labels[pick]
    if s.permuted:
        y = torch.rand(n, shown, generator=generator, device=generator.device).argsort(dim=1).gather(1, y)
    return points[pick], y


CPU = torch.device("cpu")


@cache
def fixed_points(
    inputs: int, classes: int, part: str, device: torch.device = CPU
) -> tuple[Float[Tensor, "points inputs"], Int[Tensor, "points"]]:
    """Return the points and labels of the "random-fixed" set of one part: the same on every device."""
    generator = torch.Generator().manual_seed(2 * inputs + HALVES.index(half_of(part)))
    return _normal(generator, POINTS, inputs).to(device), _integers(generator, classes, POINTS).to(device)


def _sum_sign(s: Streams, n: int, generator: torch.Generator, _: str) -> tuple[Tensor, Tensor]:
    """Each example has a mean mu ~ U(-1, 1) and entries ~ N(mu, 1) cut at two sd; its label is [sum >= 0]."""
    mu = 2 * torch.rand(n, s.length, 1, generator=generator, device=generator.device) - 1
    x = mu + truncated_normal((n, s.length, s.inputs), generator)
    y = (x.sum(dim=-1) >= 0).long()
    return x, y ^ _integers(generator, 2, n, 1) if s.permuted else y


def _images(s: Streams, n: int, generator: torch.Generator, kind: str) -> tuple[Tensor, Tensor]:
    """Images of ``shown`` classes, all equally likely; where there are more, each sequence takes its own.

    Without ``permuted`` all sequences take the first ones of the subset, and these keep their names.
    """
    source = images(kind, s.part, s.side, s.scaling, generator.device)
    known = numbers(s.subset, generator.device) if s.subset else torch.arange(classes_of(kind), device=generator.device)
    order = known.expand(n, -1)
    if s.permuted:
        order = known[torch.rand(n, len(known), generator=generator, device=generator.device).argsort(dim=1)]
    y = _integers(generator, min(s.shown or s.classes, len(known)), n, s.length)
    shown = order.gather(1, y)
    place = torch.rand(n, s.length, generator=generator, device=generator.device) * source.counts[shown]
    return source.x[source.of_class[shown, place.long()]], y


def _few_shot(s: Streams, n: int, generator: torch.Generator, kind: str) -> tuple[Tensor, Tensor]:
    """Characters of the sequence's own: each in several drawings, all of them in any order, and then one more drawing
    of one of them, the query.

    Names are given at random, or, without ``permuted``, in the order in which the characters appear: with one drawing
    of each, the examples before the query are then always called 0, 1, 2, ...
    """
    source, device = images(kind, s.part, s.side, s.scaling, generator.device), generator.device
    shown = s.shown or s.classes
    shots = (s.length - 1) // shown
    chosen = torch.rand(n, len(source.counts), generator=generator, device=device).argsort(dim=1)[:, :shown]
    drawer = torch.rand(n, shown, DRAWERS, generator=generator, device=device).argsort(dim=2)[..., : shots + 1]
    order = torch.rand(n, shown * shots, generator=generator, device=device).argsort(dim=1)
    query = _integers(generator, shown, n, 1)
    y = torch.cat([order // shots, query], dim=1)
    which = torch.cat([order % shots, torch.full_like(query, shots)], dim=1)
    row = source.of_class[chosen.gather(1, y), drawer.flatten(1).gather(1, y * (shots + 1) + which)]
    if not s.permuted:
        seen = (y.unsqueeze(1) == torch.arange(shown, device=device)[:, None]).long().argmax(dim=2)
        y = seen.argsort(dim=1).argsort(dim=1).gather(1, y)
    return source.x[row], y


_SYNTHETIC: dict[str, Callable] = {
    "prototypes": _prototypes,
    "random": _random,
    "random-fixed": _random_fixed,
    "sum-sign": _sum_sign,
}


@checked()
def truncated_normal(
    shape: tuple[int, ...], generator: torch.Generator, like: Tensor | None = None
) -> Float[Tensor, "..."]:
    """Return draws of N(0, 1) cut at two sd, on the generator's device, or on that and in the dtype of ``like``.

    Through the inverse of the distribution: no draw is rejected, so a GPU need not be asked how many were.
    """
    inside = math.erf(math.sqrt(2))
    u = torch.empty(shape, device=generator.device) if like is None else like.new_empty(shape)
    u = u.uniform_(-inside, inside, generator=generator)
    return u.erfinv_().mul_(math.sqrt(2))


def _normal(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator, device=generator.device)


def _integers(generator: torch.Generator, high: int, *shape: int) -> Tensor:
    return torch.randint(high, shape, generator=generator, device=generator.device)


def _taken(points: Tensor, which: Tensor) -> Tensor:
    """Return for each sequence its own points, by their numbers."""
    return points[torch.arange(len(points), device=points.device).unsqueeze(1), which]


def _shuffled(x: Tensor, s: Streams, generator: torch.Generator) -> Tensor:
    """Return the inputs with their entries in another order."""
    if s.shuffled == "none":
        return x
    features = x.shape[-1]
    if s.shuffled == "fixed":
        return x[..., fixed_order(features, x.device)]
    order = torch.rand(len(x), features, generator=generator, device=x.device).argsort(dim=1)
    return x.gather(2, order.unsqueeze(1).expand_as(x))


@cache
def fixed_order(features: int, device: torch.device) -> Int[Tensor, "features"]:
    """Return the one permutation of inputs of ``features`` entries."""
    return torch.randperm(features, generator=torch.Generator().manual_seed(features)).to(device)


@cache
def numbers(values: tuple[int, ...], device: torch.device) -> Int[Tensor, "values"]:
    """Return the values as a tensor; it is copied to the device once, and not in every step."""
    return torch.tensor(values, device=device)


def _projected(x: Tensor, s: Streams, generator: torch.Generator) -> Tensor:
    """Return x W with entries of W uniform in +-sqrt(6 / 2n): variance 1/n, so inputs keep their scale."""
    if s.projection == "none":
        return x
    features = x.shape[-1]
    limit = math.sqrt(6 / (2 * features))
    if s.projection == "fresh":
        w = torch.empty(len(x), features, features, device=x.device)
        return x @ w.uniform_(-limit, limit, generator=generator)
    which = _integers(generator, BANK, len(x))
    identity = torch.eye(features, device=x.device)
    every_other = (torch.arange(len(x), device=x.device) % 2 == 0)[:, None, None]
    return x @ torch.where(every_other, bank(features, x.device)[which], identity)


@cache
def bank(features: int, device: torch.device) -> Float[Tensor, "matrices features features"]:
    """Return the 64 fixed projections of inputs of ``features`` entries."""
    limit = math.sqrt(6 / (2 * features))
    w = torch.empty(BANK, features, features)
    return w.uniform_(-limit, limit, generator=torch.Generator().manual_seed(features)).to(device)
