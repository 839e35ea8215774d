"""The task law of GPICL (2212.04458): one base data set becomes K classification tasks.

Task k maps every example of the base set (bar x, bar y) to (A^(k) bar x, rho^(k)(bar y)), with A^(k)_ab ~ N(0, 1/N_x)
and rho^(k) a random permutation of the C labels. Task number k is a pure function of (key, k): it is computed when
it is needed, never stored, and equal on every device.

Low-rank trick: where bar x = V z with orthonormal V (N_x x r), the entries of B = A V are again i.i.d. N(0, 1/N_x).
So B is drawn directly and applied to z, at r / N_x of the cost and with no change of the distribution.
"""

import math
from dataclasses import dataclass, replace
from functools import cache, partial

import torch
from einops import einsum

from tutorlib.data import DIGITS_TRAIN, fixed_split, load_digits, load_images, load_table
from tutorlib.data.counter import as_integers, as_normal, as_permutation, as_uniform, words
from tutorlib.data.images import pooled
from tutorlib.data.sources import SHAPES
from tutorlib.lab.errors import bad_argument, choose, expect_fields
from tutorlib.papers.gpicl.features import EXTRACTED, drawings, features
from tutorlib.shapes import Float, Int, Tensor

INFINITE = 2**62
"""Stands for K = infinity in tensors; as a configuration value it is the word "inf"."""

# Task numbers: the K tasks of meta-training come first, then a fresh one for every sequence, then those of no run.
FRESH, UNSEEN = 2**40, 2**41
# The permutation of this task number is rho_0, the one that all biased sequences of a run share.
FIXED = 2**42
# One stream of the counter-based generator for each thing that is drawn.
PROJECTION, PERMUTATION, SEQUENCE, POINT, LABEL = range(5)
PROJECTIONS = ("gaussian", "orthogonal", "identity")
AT_ONCE = 2**27
"""Entries of projections that are held at a time. At the paper's sizes one projection has 2.4 million, and the words
that a batch of them is drawn from would fill a GPU."""


@dataclass(frozen=True, eq=False)
class BaseSet:
    """bar D: examples in the coordinates z (bar x = V z), with their labels."""

    name: str
    z: Float[Tensor, "examples rank"]
    y: Int[Tensor, "examples"]
    rows: Int[Tensor, "examples"]
    """where each example stands in the data set that it comes from"""
    classes: int

    def __post_init__(self) -> None:
        expect_fields(self, counts=("classes",))

    def to(self, device: torch.device) -> "BaseSet":
        """Return the same set on ``device``."""
        return BaseSet(self.name, self.z.to(device), self.y.to(device), self.rows.to(device), self.classes)

    def energy(self) -> float:
        """Return the mean of ``|z|^2``, which is also that of ``|A z|^2``."""
        return self.z.square().sum(dim=1).mean().item()

    def scaled(self, energy: float) -> "BaseSet":
        """Return the same set with its inputs multiplied so that the mean of ``|z|^2`` is ``energy``."""
        return replace(self, z=self.z * math.sqrt(energy / self.energy()))


@cache
def digits(classes: int = 4, rank: int = 16) -> tuple[BaseSet, BaseSet]:
    """Return training and test part of scikit-learn's 8x8 digits, of the first ``classes`` digits.

    1297 images train, 500 test (fixed shuffle). Pixels are centred with the training mean, divided by the standard
    deviation over all training pixels, and reduced to the first ``rank`` principal directions V^T of the training part.
    They keep that scale: with 16 inputs and directions an input's standard deviation is 1.33.
    """
    if not 2 <= classes <= 10:
        raise bad_argument("classes", classes, "2 to 10 digits")
    if not 1 <= rank <= 64:
        raise bad_argument("rank", rank, "1 to 64, the pixels of a digit")
    images = load_digits()
    parts = fixed_split(len(images), DIGITS_TRAIN)
    train, test = (part[images.labels[part] < classes] for part in parts)
    x = images.images.flatten(1).to(torch.float64)
    mean, std = x[train].mean(dim=0), x[train].std()
    v = torch.linalg.svd(x[train] - mean, full_matrices=False).Vh[:rank].T
    v = v * v[v.abs().argmax(dim=0), torch.arange(rank)].sign()  # the SVD leaves the signs open
    z = ((x - mean) / std @ v).float()
    sets = [BaseSet("digits", z[rows], images.labels[rows], rows, classes) for rows in (train, test)]
    return sets[0], sets[1]


def table_set(name: str, inputs: int) -> BaseSet:
    """Return a tabular set with standardised columns, scaled so that projected inputs have unit variance."""
    source = load_table(name)
    x = (source.x - source.x.mean(dim=0)) / source.x.std(dim=0)
    return BaseSet(name, x * math.sqrt(inputs / x.shape[1]), source.y, torch.arange(len(x)), source.classes)


IMAGES = ("mnist", "fashion-mnist", "kmnist", "cifar10", "svhn")
TEST_PARTS = tuple(f"{name}-test" for name in IMAGES)
FEATURES = tuple(f"{name}-features" for name in IMAGES)
OFFICIAL_FEATURES = tuple(f"{name}-official-features" for name in IMAGES)
OFFICIAL = (*IMAGES, *OFFICIAL_FEATURES)
BASE_SETS = ("digits", *OFFICIAL, *TEST_PARTS, *FEATURES)
"""The sets that tasks can be made of. ``mnist`` has its official parts, as in the paper; ``mnist-test`` is the official
test part alone, of which four in five images meta-train and the others meta-test; ``mnist-features`` is that part
again, seen through a network trained on other data (``features.py``), ``mnist-official-features`` the official parts
likewise."""


def full_rank(name: str, pixels: int) -> int:
    """Return how many coordinates hold all that a set of ``OFFICIAL`` shows at a side of ``pixels``.

    A picture that was made larger has no more of them than it had, and three equal channels no more than one.
    """
    if name in OFFICIAL_FEATURES:
        return EXTRACTED
    _, side, channels, _ = SHAPES[name]["train"]
    return min(side, pixels) ** 2 * channels


def files(*names: str) -> tuple[str, ...]:
    """Return the parts of data sets that base sets are read from, such as ``mnist/train``."""
    parts: list[str] = []
    for name in names:
        if name == "digits":
            continue
        source = name
        for suffix in ("-features", "-official", "-test"):
            source = source.removesuffix(suffix)
        parts += [f"{source}/train"] * (name in OFFICIAL) + [f"{source}/test"]
        parts += [f"omniglot/background_small{i}" for i in (1, 2)] * ("features" in name)
    return tuple(dict.fromkeys(parts))


def _official(name: str, part: str, classes: int, pixels: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the images (or their features), labels and numbers of one official part, of its first classes."""
    whole = load_images(name.removesuffix("-official-features"), part)
    rows = torch.arange(len(whole))[whole.labels < classes]
    seen = features if name in OFFICIAL_FEATURES else partial(pooled, size=pixels)
    return seen(whole.images[rows], peak=whole.peak), whole.labels[rows], rows


@cache
def official_sets(name: str, classes: int, rank: int, pixels: int) -> tuple[BaseSet, BaseSet]:
    """Return training and test part of a set as the paper takes it, of its first ``classes`` classes.

    Images are brought to a side of ``pixels`` and standardised with one mean and one deviation, of all pixels of the
    training part, and written in ``rank`` coordinates: nothing is lost from ``full_rank`` on. The mean of ``|z|^2`` is
    then ``rank``.
    """
    train, test = (_official(name, part, classes, pixels) for part in ("train", "test"))
    z = standardised(train[0], rank, train[0], test[0])
    sets = [BaseSet(name, part, y, rows, classes) for part, (_, y, rows) in zip(z, (train, test), strict=True)]
    return sets[0], sets[1]


@cache
def official_test(name: str, classes: int, pixels: int) -> BaseSet:
    """Return the test part of a set that nobody meta-trains on, whole, standardised with its own mean and deviation."""
    x, y, rows = _official(name, "test", classes, pixels)
    (z,) = standardised(x, full_rank(name, pixels), x)
    return BaseSet(name, z, y, rows, classes)


def standardised(
    train: Float[Tensor, "examples features"], rank: int, *parts: Float[Tensor, "_ features"]
) -> list[Float[Tensor, "_ rank"]]:
    """Return ``parts`` less the mean of ``train``, over its deviation (numbers both), in ``rank`` coordinates.

    These are the axes along which ``train`` is largest; features as they are if ``rank`` is their number. A factor
    makes the mean of ``|z|^2`` the ``rank``, for ``train`` where nothing is lost.
    """
    n = train.shape[1]
    if not 1 <= rank <= n:
        raise bad_argument("rank", rank, f"1 to {n}, the features of the set")
    mean, std = train.double().mean().float(), train.double().std().float()
    scale = math.sqrt(rank / n)
    if rank == n:
        return [(part - mean) / std * scale for part in parts]
    x = (train - mean) / std
    v = torch.linalg.eigh((x.T @ x).double()).eigenvectors.flip(1)[:, :rank]
    v = v * v[v.abs().argmax(dim=0), torch.arange(rank)].sign()  # which leaves the signs open
    return [(part - mean) / std @ v.float() * scale for part in parts]


@cache
def image_set(name: str, classes: int, rank: int, pixels: int) -> tuple[BaseSet, BaseSet]:
    """Return training and test part of the official test part of a set, of its first ``classes`` classes.

    Images are averaged to a side of ``pixels``, centred with the training mean, and reduced to the first ``rank``
    principal directions of the training part; then the mean of ``|z|^2`` is ``rank`` there. A set of ``FEATURES`` shows
    the outputs of the frozen network in place of pixels.
    """
    whole = load_images(name.removesuffix("-test").removesuffix("-features"), "test")
    parts = [(whole, rows) for rows in fixed_split(len(whole), len(whole) * 4 // 5)]
    kept = [(part, rows[part.labels[rows] < classes]) for part, rows in parts]
    seen = features if name in FEATURES else partial(pooled, size=pixels)
    x = [seen(part.images[rows], peak=part.peak) for part, rows in kept]
    y = [part.labels[rows] for part, rows in kept]
    z = principal(x[0], rank, *x)
    sets = [BaseSet(name, *arrays, classes) for arrays in zip(z, y, (rows for _, rows in kept), strict=True)]
    return sets[0], sets[1]


def principal(
    train: Float[Tensor, "examples features"], rank: int, *parts: Float[Tensor, "_ features"]
) -> list[Float[Tensor, "_ rank"]]:
    """Return ``parts`` in the first ``rank`` principal directions of ``train``; its own mean ``|z|^2`` is ``rank``."""
    if not 1 <= rank <= min(train.shape):
        raise bad_argument("rank", rank, f"1 to {min(train.shape)}, the features or examples of the set")
    mean = train.double().mean(dim=0)
    v = torch.linalg.svd(train - mean, full_matrices=False).Vh[:rank].T
    v = v * v[v.abs().argmax(dim=0), torch.arange(rank)].sign()  # the SVD leaves the signs open
    scale = math.sqrt(rank / ((train - mean) @ v).square().sum(dim=1).mean().item())
    return [((part - mean) @ v * scale).float() for part in parts]


def base_sets(
    name: str, classes: int, rank: int, pixels: int = 14, inputs: int | None = None
) -> tuple[BaseSet, BaseSet]:
    """Return training and test part of the base set called ``name``, for tasks with ``inputs`` inputs.

    A projection keeps ``|z|^2`` in the mean and spreads it over N_x inputs: z is scaled by sqrt(N_x / rank), so that
    inputs have the same standard deviation whatever N_x, for image sets 1. Without ``inputs`` N_x is ``rank``.

    Raises ``UsageError`` for an unknown ``name``.
    """
    choose("dataset", name, BASE_SETS)
    if name == "digits":
        train, test = digits(classes, rank)
    else:
        train, test = (official_sets if name in OFFICIAL else image_set)(name, classes, rank, pixels)
    scale = math.sqrt((inputs or rank) / rank)
    return (train, test) if scale == 1.0 else (replace(train, z=train.z * scale), replace(test, z=test.z * scale))


@cache
def characters(rank: int, pixels: int = 14) -> BaseSet:
    """Return Omniglot's two small parts as one set: each character a class, in principal directions of its own."""
    x, y = drawings(pixels)
    (z,) = principal(x, rank, x)
    return BaseSet("omniglot", z, y, torch.arange(len(y)), int(y.max()) + 1)


@dataclass(frozen=True)
class TaskLaw:
    """p(D): which projection and permutation belong to task number k of the law with a given key."""

    inputs: int
    """N_x, the dimension of a projected input"""
    rank: int
    """r, the dimension of the coordinates z; r = N_x is the plain square projection"""
    classes: int
    """C"""
    kind: str = "gaussian"
    """A: gaussian, orthogonal (its columns made orthonormal), or identity (inputs as they are)"""
    permuted: bool = True
    """whether labels are permuted; if not, every rho is the identity"""

    def __post_init__(self) -> None:
        expect_fields(self, sizes=("inputs", "rank", "classes"), choices={"kind": PROJECTIONS})
        if self.kind != "gaussian" and self.rank > self.inputs:
            raise bad_argument("kind", self.kind, f"gaussian where rank={self.rank} exceeds inputs={self.inputs}")

    def projection(self, key: Tensor | int, k: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch inputs rank"]:
        """Return A^(k) (or B^(k) = A^(k) V): entries ~ N(0, 1/N_x). All are held: ``project`` needs a few at a time."""
        if self.kind == "identity":
            shape = torch.broadcast_shapes(k.shape, key.shape if isinstance(key, Tensor) else ())
            return torch.eye(self.inputs, self.rank, device=k.device).expand(*shape, -1, -1)
        n = self.inputs * self.rank
        a = as_normal(words(key, PROJECTION, k, n + n % 2))[..., :n].unflatten(-1, (self.inputs, self.rank))
        if self.kind == "orthogonal":
            q, r = torch.linalg.qr(a)
            return q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)  # uniform over rotations and reflections
        return a / math.sqrt(self.inputs)

    def permutation(self, key: Tensor | int, k: Int[Tensor, "*batch"]) -> Int[Tensor, "*batch classes"]:
        """Return rho^(k), a uniform permutation of 0..C-1."""
        rho = as_permutation(words(key, PERMUTATION, k, self.classes))
        return rho if self.permuted else torch.arange(self.classes, device=k.device).expand_as(rho)

    def apply(
        self,
        z: Float[Tensor, "*batch time rank"],
        y: Int[Tensor, "*batch time"],
        a: Float[Tensor, "*batch inputs rank"],
        rho: Int[Tensor, "*batch classes"],
    ) -> tuple[Float[Tensor, "*batch time inputs"], Int[Tensor, "*batch time"]]:
        """Return (A z, rho(y)): the sequences as task k shows them."""
        return _projected(z, a), rho.gather(-1, y)

    def project(
        self, key: Tensor | int, k: Int[Tensor, "*batch"], z: Float[Tensor, "*batch time rank"]
    ) -> Float[Tensor, "*batch time inputs"]:
        """Return A^(k) z. Projections are drawn, used and dropped, as many at a time as ``AT_ONCE`` entries are."""
        few = max(1, AT_ONCE // (self.inputs * self.rank))
        if k.numel() <= few:
            return _projected(z, self.projection(key, k))
        # A projection is a function of its own (key, k) alone, so where the parts end changes no number.
        keys = [key] * -(-k.numel() // few) if isinstance(key, int) else key.expand(k.shape).flatten().split(few)
        parts = zip(keys, k.flatten().split(few), z.flatten(0, k.dim() - 1).split(few), strict=True)
        return torch.cat([_projected(zs, self.projection(each, ks)) for each, ks, zs in parts]).unflatten(0, k.shape)


def _projected(
    z: Float[Tensor, "*batch time rank"], a: Float[Tensor, "*batch inputs rank"]
) -> Float[Tensor, "*batch time inputs"]:
    return einsum(z, a, "... time rank, ... inputs rank -> ... time inputs")


def meta_batch(
    base: BaseSet,
    law: TaskLaw,
    key: Int[Tensor, "runs"],
    step: int | Int[Tensor, ""],
    tasks: Int[Tensor, "runs"],
    biased: Int[Tensor, "runs"],
    batch: int,
    length: int,
) -> tuple[Float[Tensor, "runs batch length inputs"], Int[Tensor, "runs batch length"]]:
    """Return the ``batch`` sequences of meta-training step number ``step``, one meta-batch for each run.

    Each sequence draws a task number uniformly from ``tasks`` (``INFINITE``: a new one each time) and ``length``
    training examples with replacement. The first ``biased`` sequences take rho_0 in place of their task's own
    permutation; their projection stays the task's own (the biased distribution of the paper's Fig. 8).
    """
    key, tasks, biased = (per_run.unsqueeze(-1) for per_run in (key, tasks, biased))  # [runs, 1]
    place = torch.arange(batch, device=key.device)
    sequence = step * batch + place  # [batch], no two alike in a run
    drawn = words(key, SEQUENCE, sequence, 1 + length)  # [runs, batch, 1 + length]
    number = as_integers(drawn[..., 0], tasks.clamp(max=2**31))
    k = torch.where(tasks == INFINITE, FRESH + sequence, number)  # [runs, batch]
    rho = law.permutation(key, torch.where(place < biased, FIXED, k))  # [runs, batch, classes]
    example = as_integers(drawn[..., 1:], len(base.y))  # [runs, batch, length]
    return law.project(key, k, base.z[example]), rho.gather(-1, base.y[example])


def seen_tasks(key: int, tasks: int, sequences: int, trained: int) -> Int[Tensor, "sequences"]:
    """Return task numbers of meta-training; of ``trained`` fresh ones where there are infinitely many."""
    drawn = words(key, SEQUENCE, UNSEEN + torch.arange(sequences), 1).squeeze(-1)
    return FRESH + as_integers(drawn, trained) if tasks == INFINITE else as_integers(drawn, tasks)


def meta_test_sequences(
    base: BaseSet, law: TaskLaw, key: int, k: Int[Tensor, "sequences"], length: int, bias: float = 0.0
) -> tuple[Float[Tensor, "sequences length inputs"], Int[Tensor, "sequences length"]]:
    """Return one sequence of examples of ``base`` for each task number in ``k``.

    A share ``bias`` of the sequences, evenly spread, takes rho_0 in place of the task's own permutation.
    """
    place = torch.arange(len(k), device=k.device)
    biased = (bias * (place + 1) + 1e-6).floor() > (bias * place + 1e-6).floor()
    rho = law.permutation(key, torch.where(biased, FIXED, k))
    drawn = words(key, SEQUENCE, UNSEEN + place, 1 + length)
    example = as_integers(drawn[:, 1:], len(base.y))
    return law.project(key, k, base.z[example]), rho.gather(-1, base.y[example])


def random_set(
    key: int, sequences: int, length: int, inputs: int, classes: int, points: int = 10
) -> tuple[Float[Tensor, "sequences length inputs"], Int[Tensor, "sequences length"]]:
    """Return sequences over the "Random" sets: ``points`` inputs uniform in a cube, with labels drawn at random.

    Every sequence has a set of its own; inputs have mean 0 and variance 1. Only remembering the pairs helps here.
    """
    place = torch.arange(sequences)
    x = as_uniform(words(key, POINT, place, points * inputs)).unflatten(-1, (points, inputs))
    y = as_integers(words(key, LABEL, place, points), classes)
    pick = as_integers(words(key, SEQUENCE, place, length), points)
    x = (x - 0.5) * math.sqrt(12.0)
    return x.gather(1, pick.unsqueeze(-1).expand(-1, -1, inputs)), y.gather(1, pick)


def blob_set(
    key: int, sequences: int, length: int, inputs: int, classes: int, noise: float = 1.5
) -> tuple[Float[Tensor, "sequences length inputs"], Int[Tensor, "sequences length"]]:
    """Return sequences over Gaussian blobs: class means N(0, I), deviations of std ``noise``, scaled to variance 1."""
    place = torch.arange(sequences)
    n = (classes + length) * inputs
    drawn = as_normal(words(key, POINT, place, n + n % 2))[:, :n].unflatten(-1, (-1, inputs))
    means, deviations = drawn.split([classes, length], dim=1)
    y = as_integers(words(key, LABEL, place, length), classes)
    x = means.gather(1, y.unsqueeze(-1).expand(-1, -1, inputs)) + noise * deviations
    return x / math.sqrt(1.0 + noise**2), y


def character_set(
    key: int, sequences: int, length: int, law: TaskLaw, energy: float
) -> tuple[Float[Tensor, "sequences length inputs"], Int[Tensor, "sequences length"]]:
    """Return sequences of Omniglot: each takes C characters, a projection and a naming of its own.

    ``energy`` is the mean of ``|x|^2`` to scale the inputs to.
    """
    base = characters(law.rank).scaled(energy)
    place = torch.arange(sequences)
    chosen = as_permutation(words(key, LABEL, place, base.classes))[:, : law.classes]
    drawn = words(key, SEQUENCE, place, 2 * length)
    y = as_integers(drawn[:, :length], law.classes)
    drawers = len(base.y) // base.classes
    row = chosen.gather(1, y) * drawers + as_integers(drawn[:, length:], drawers)
    z = base.z[base.y.argsort(stable=True)[row]]
    return law.project(key, UNSEEN + place, z), y
