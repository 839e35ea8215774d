import math
from typing import NamedTuple

import pytest
import torch

from tutorlib.lab.errors import NonFiniteError
from tutorlib.lab.finite import expect_finite


class Moments(NamedTuple):
    m: torch.Tensor
    v: torch.Tensor


def parts(**changes) -> dict:
    own = {"theta": torch.zeros(2, 3), "moments": Moments(torch.zeros(2, 3), torch.ones(2, 3)), "count": 3}
    return own | {"actions": torch.zeros(2, dtype=torch.long), "done": [torch.tensor([True, False])]} | changes


def test_what_is_finite_passes():
    expect_finite(parts(), "after step 1", [0, 7])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("seeds", [(), (7,), (0, 7)])
@pytest.mark.parametrize("inside", [False, True])
def test_what_is_not_is_named_with_its_seed(value: float, seeds: tuple[int, ...], inside: bool):
    bad = torch.zeros(2, 3)
    bad[1, 2] = value
    own = parts(moments=Moments(torch.zeros(2, 3), bad)) if inside else parts(theta=bad)
    whose = r" \(seed 7\)" if seeds else ""
    says = f"^{'moments' if inside else 'theta'} is not finite after step 4{whose}: expected finite numbers; the last "
    with pytest.raises(NonFiniteError, match=says + "finite checkpoint is kept, a smaller lr may help$"):
        expect_finite(own, "after step 4", seeds, "a smaller lr may help")


def test_a_part_without_an_axis_of_runs_names_no_seed():
    with pytest.raises(
        NonFiniteError, match="^loss is not finite at step 2: expected finite numbers; the last finite c"
    ):
        expect_finite({"loss": torch.tensor(math.nan)}, "at step 2", [0, 7])
