import pytest
import torch

from tutorlib.data import TableSet, load_digits, load_table, pooled
from tutorlib.lab.errors import UsageError


def test_digits():
    digits = load_digits()
    assert digits.name == "digits"
    assert digits.images.shape == (1797, 8, 8, 1)
    assert digits.images.dtype == torch.uint8
    assert int(digits.images.max()) == digits.peak == 16
    assert digits.labels[:10].tolist() == list(range(10))
    assert digits.labels.bincount().tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert digits.images[0, 0, :, 0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]
    assert pooled(digits.images, 8, digits.peak).max() == 1


@pytest.mark.parametrize(
    ("name", "shape", "counts", "feature", "value"),
    [
        ("iris", (150, 4), [50, 50, 50], "sepal length (cm)", 5.1),
        ("wine", (178, 13), [59, 71, 48], "alcohol", 14.23),
        ("breast-cancer", (569, 30), [212, 357], "mean radius", 17.99),
    ],
)
def test_table(name, shape, counts, feature, value):
    table = load_table(name)
    assert table.name == name
    assert table.x.shape == shape
    assert len(table) == shape[0]
    assert table.x.dtype == torch.float32
    assert table.y.dtype == torch.int64
    assert table.y.bincount().tolist() == counts
    assert table.classes == len(counts)
    assert len(set(table.features)) == shape[1]
    assert table.features[0] == feature
    assert table.x[0, 0].item() == pytest.approx(value)


def test_unknown_table():
    with pytest.raises(UsageError, match=r"name='irs': expected one of iris, wine.*did you mean 'iris'"):
        load_table("irs")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": torch.zeros(2, 3, dtype=torch.float64)}, "x='torch.float64"),
        ({"x": torch.zeros(6)}, r"x=.*shape \[6\]"),
        ({"x": torch.zeros(0, 3)}, "at least one row"),
        ({"x": torch.tensor([[1.0, 2.0, 3.0], [1.0, float("nan"), 3.0]])}, "finite"),
        ({"y": torch.tensor([0])}, "y="),
        ({"y": torch.tensor([0, 2])}, "y='values from 0 to 2'"),
        ({"features": ("a", "b")}, "expected 3 names"),
    ],
)
def test_table_refuses(changes, message):
    usual = {"x": torch.zeros(2, 3), "y": torch.tensor([0, 1]), "classes": 2, "features": ("a", "b", "c")}
    assert len(TableSet("toy", **usual)) == 2
    with pytest.raises(UsageError, match=message):
        TableSet("toy", **usual | changes)
