"""Streams of examples to be learned online (section 5 of VSML, 2012.14905), each from one ``torch.Generator``.

A stream is a sequence (x_1, y_1), (x_2, y_2), ... A learner predicts every y_t from x_t and the examples before it.
Each sequence is a task of its own where the kind, a projection, a shuffle or a renaming of the labels says so.

``inputs`` and ``classes`` are what a learner is built for. A kind with fewer of them is padded: inputs with zeros, and
names of classes with ones that are never used. VSML needs no padding; learners with a theta for each size do.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F

from tutorlib.data import DIGITS_TRAIN, fixed_split, load_digits, load_images
from tutorlib.lab.errors import MOST_SIZE, bad_argument, checked, expect_fields
from tutorlib.shapes import Float, Int, Tensor

SYNTHETIC = ("prototypes", "random", "sum-sign")
PIXELS = {
    "digits": None,
    "mnist": (0.13066, 0.30811),
    "fashion-mnist": (0.13066, 0.30811),
    "kmnist": (0.19176, 0.34834),
}
"""Mean and sd that pixels in [0, 1] are standardised with, as in the code: Fashion-MNIST takes MNIST's. Digits take
those of their own training part."""
IMAGES = tuple(PIXELS)
KINDS = (*SYNTHETIC, *IMAGES)
PARTS = ("train", "test")
PROJECTIONS = ("none", "fresh", "bank")
SHUFFLES = ("none", "fixed", "fresh")
SCALINGS = ("bilinear", "pooled")
KNOWN = 10
"""classes of every image set"""
BANK = 64
"""Matrices in the bank of fixed projections: 128 workers of the code, of which every other one projects."""
NOISE = 0.5
"""sd of a prototype's examples around it, before both are scaled to variance 1"""
POINTS = 20
"""inputs of a "random" set"""


@dataclass(frozen=True)
class Streams:
    """Which streams: their kinds, their sizes, and what is done to inputs and labels."""

    kinds: tuple[str, ...] = ("prototypes",)
    """prototypes, random, sum-sign, digits, mnist, fashion-mnist or kmnist; of several, sequences take turns"""
    inputs: int = 8
    """A, entries of an input; an image of fewer pixels is padded with zeros"""
    classes: int = 4
    """B, names of classes; a kind with fewer (sum-sign: 2) leaves the last ones unused"""
    length: int = 50
    """T, examples in a sequence [500 in meta-training, 2,000 in meta-testing]"""
    side: int = 8
    """side of an image [28]; images are scaled to it"""
    part: str = "train"
    """train or test part of the images"""
    projection: str = "none"
    """none; fresh: each sequence has a random matrix of its own; bank: every other one has one of 64 fixed matrices"""
    shuffled: str = "none"
    """order of the inputs: none, one fixed permutation, or a fresh one in each sequence"""
    permuted: bool = True
    """whether each sequence takes its classes in an order of its own, so that labels are names without a meaning"""
    shown: int = 0
    """classes that a sequence shows, the first so many names; 0: as many as there are"""
    subset: tuple[int, ...] = ()
    """the images' classes to choose from, by number; all if none is given"""
    scaling: str = "bilinear"
    """scaling of images: bilinear (filtered where the side shrinks), or pooled (mean of the pixels under each cell)"""

    def __post_init__(self) -> None:
        expect_fields(
            self,
            sizes=("inputs", "classes", "side"),
            counts=("length",),
            least={"classes": 2},
            most={"shown": MOST_SIZE, "subset": KNOWN - 1},
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
        if set(self.kinds) & set(IMAGES):
            self._check_images()
        elif self.subset:
            raise bad_argument("subset", self.subset, f"none without a kind of images ({', '.join(IMAGES)})")

    def _check_images(self) -> None:
        if self.side**2 > self.inputs:
            raise bad_argument("inputs", self.inputs, f"at least {self.side**2}, the pixels of an image")
        known = len(self.subset) or KNOWN
        if self.shown > known:
            raise bad_argument("shown", self.shown, f"at most the {known} classes of the images")
        if not self.shown and self.classes > known and len(self.kinds) == 1:
            expected = f"at most the {known} classes of the images (shown= says how many to show under more names)"
            raise bad_argument("classes", self.classes, expected)


@dataclass(frozen=True, eq=False)
class Images:
    """One part of an image set, ready to be drawn from by class."""

    x: Float[Tensor, "examples pixels"]
    of_class: Int[Tensor, "classes most"]
    """numbers of the examples of each class, the last ones repeated"""
    counts: Int[Tensor, "classes"]


@checked(choices={"kind": IMAGES, "part": PARTS, "scaling": SCALINGS}, sizes=("side",))
@cache
def images(kind: str, part: str, side: int, scaling: str, device: torch.device) -> Images:
    """Return one part of an image set on ``device``, as standardised vectors of ``side`` x ``side`` pixels.

    Digits: 1297 images train and 500 test, in a fixed shuffle. The others: of the official test part, four in five
    images train and the rest tests, in a fixed shuffle (the official training part is not needed).
    """
    whole = load_digits() if kind == "digits" else load_images(kind, "test")
    train, test = fixed_split(len(whole), DIGITS_TRAIN if kind == "digits" else len(whole) * 4 // 5)
    rows = train if part == "train" else test
    x = whole.images.permute(0, 3, 1, 2).float() / whole.peak
    mean, sd = PIXELS[kind] or (x[train].mean().item(), x[train].std().item())
    x = (x[rows] - mean) / sd
    if scaling == "pooled":
        x = F.adaptive_avg_pool2d(x, side)
    else:
        x = F.interpolate(x, (side, side), mode="bilinear", antialias=True, align_corners=False)
    y = whole.labels[rows]
    found = [(y == c).nonzero().flatten() for c in range(whole.classes)]
    most = max(len(own) for own in found)
    of_class = torch.stack([torch.cat([own, own[-1:].expand(most - len(own))]) for own in found])
    counts = torch.tensor([len(own) for own in found])
    return Images(x.flatten(1).to(device), of_class.to(device), counts.to(device))


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
        own = len(range(turn, sequences, len(streams.kinds)))
        draw: Callable = _SYNTHETIC.get(kind, _images)
        x, y = draw(streams, own, generator, kind)
        x = _projected(_shuffled(x, streams, generator), streams, generator)
        drawn.append((F.pad(x, (0, streams.inputs - x.shape[-1])), y))
    if len(drawn) == 1:
        return drawn[0]
    # Kind by kind, to be put in turns: sequence s is number s // kinds of its kind.
    kind_of = torch.arange(sequences, device=generator.device) % len(streams.kinds)
    place = kind_of.argsort(stable=True).argsort()
    return torch.cat([x for x, _ in drawn])[place], torch.cat([y for _, y in drawn])[place]


def _prototypes(s: Streams, n: int, generator: torch.Generator, _: str) -> tuple[Tensor, Tensor]:
    """Class means ~ N(0, I), examples around them with sd ``NOISE``, scaled to variance 1."""
    scale = 1 / math.sqrt(1 + NOISE**2)
    means = scale * _normal(generator, n, s.shown or s.classes, s.inputs)
    y = _integers(generator, s.shown or s.classes, n, s.length)
    return torch.add(_taken(means, y), _normal(generator, n, s.length, s.inputs), alpha=scale * NOISE), y


def _random(s: Streams, n: int, generator: torch.Generator, _: str) -> tuple[Tensor, Tensor]:
    """``POINTS`` inputs ~ N(0, I) with random labels, drawn again and again: only remembering helps."""
    points = _normal(generator, n, POINTS, s.inputs)
    names = _integers(generator, s.shown or s.classes, n, POINTS)
    pick = _integers(generator, POINTS, n, s.length)
    return _taken(points, pick), names.gather(1, pick)


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
    known = torch.tensor(s.subset or range(KNOWN), device=generator.device)
    order = known.expand(n, -1)
    if s.permuted:
        order = known[torch.rand(n, len(known), generator=generator, device=generator.device).argsort(dim=1)]
    y = _integers(generator, min(s.shown or s.classes, len(known)), n, s.length)
    shown = order.gather(1, y)
    place = torch.rand(n, s.length, generator=generator, device=generator.device) * source.counts[shown]
    return source.x[source.of_class[shown, place.long()]], y


_SYNTHETIC: dict[str, Callable] = {"prototypes": _prototypes, "random": _random, "sum-sign": _sum_sign}


@checked()
def truncated_normal(shape: tuple[int, ...], generator: torch.Generator) -> Float[Tensor, "..."]:
    """Return draws of N(0, 1) cut at two sd, on the generator's device.

    Through the inverse of the distribution: no draw is rejected, so a GPU need not be asked how many were.
    """
    inside = math.erf(math.sqrt(2))
    u = torch.empty(shape, device=generator.device).uniform_(-inside, inside, generator=generator)
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
        return x[..., torch.randperm(features, generator=torch.Generator().manual_seed(features)).to(x.device)]
    order = torch.rand(len(x), features, generator=generator, device=x.device).argsort(dim=1)
    return x.gather(2, order.unsqueeze(1).expand_as(x))


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
