"""Small sets that come embedded in scikit-learn, so they need no download."""

from dataclasses import dataclass

import torch

from tutorlib.data.images import ImageSet, check_labels
from tutorlib.lab.errors import bad_argument, checked, choose, expect_fields
from tutorlib.shapes import Tensor

__all__ = ["DIGITS_TRAIN", "TableSet", "load_digits", "load_table"]

DIGITS_TRAIN = 1297
"""Digits that train where ``fixed_split`` parts them; 500 test."""
TABLES = ("iris", "wine", "breast-cancer")


@dataclass(frozen=True, eq=False)
class TableSet:
    """Rows of numbers with class labels, checked when it is made.

    ``x`` is float32 ``[n, f]`` in the set's own units and finite, ``y`` int64 ``[n]`` with values from 0 to
    ``classes - 1``, and ``features`` names the ``f`` columns, with their units where they have one.

    Raises ``UsageError`` if any of this does not hold or there is no row.
    """

    name: str
    x: Tensor
    y: Tensor
    classes: int
    features: tuple[str, ...]

    def __post_init__(self) -> None:
        expect_fields(self, sizes=("classes",))
        if self.x.dtype != torch.float32 or self.x.ndim != 2 or self.x.numel() == 0:
            given = f"{self.x.dtype} of shape {list(self.x.shape)}"
            raise bad_argument("x", given, "float32 of shape [n, f] with at least one row")
        if not bool(self.x.isfinite().all()):
            raise bad_argument("x", "values that are not finite", "finite numbers")
        check_labels("y", self.y, len(self.x), self.classes)
        if len(self.features) != self.x.shape[1]:
            raise bad_argument("features", self.features, f"{self.x.shape[1]} names")

    def __len__(self) -> int:
        return len(self.x)


def load_digits() -> ImageSet:
    """Return scikit-learn's handwritten digits: images uint8 ``[1797, 8, 8, 1]`` with values from 0 to 16."""
    from sklearn import datasets

    bunch = datasets.load_digits()
    images = torch.from_numpy(bunch.images).to(torch.uint8)[..., None]
    return ImageSet("digits", images, torch.from_numpy(bunch.target).long(), 10, tuple("0123456789"), peak=16)


@checked()
def load_table(name: str) -> TableSet:
    """Return one of scikit-learn's embedded tables.

    These are ``iris`` (150 x 4, 3 classes), ``wine`` (178 x 13, 3 classes) and ``breast-cancer`` (569 x 30, 2
    classes).

    Raises ``UsageError`` for another ``name``.
    """
    from sklearn import datasets

    choose("name", name, TABLES)
    load = {
        "iris": datasets.load_iris,
        "wine": datasets.load_wine,
        "breast-cancer": datasets.load_breast_cancer,
    }
    bunch = load[name]()
    x, y = torch.from_numpy(bunch.data).float(), torch.from_numpy(bunch.target).long()
    return TableSet(name, x, y, len(bunch.target_names), tuple(str(feature) for feature in bunch.feature_names))
