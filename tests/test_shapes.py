"""The shape annotations of the library are checked while tests run, and are but annotations without jaxtyping."""

import subprocess
import sys

import jaxtyping
import pytest
import torch
from torch.func import vmap

from tutorlib.data.counter import as_normal, words
from tutorlib.envs.tensors import as_permutation, one_hot
from tutorlib.lab import UsageError
from tutorlib.nn import FlatModule
from tutorlib.papers.gpicl.problem import TaskLaw
from tutorlib.shapes import Float, Int, Tensor

WRONG = (jaxtyping.TypeCheckError,)


def test_an_input_of_the_wrong_shape_is_refused():
    law = TaskLaw(inputs=3, rank=2, classes=4)
    z, y = torch.randn(5, 7, 2), torch.zeros(5, 7, dtype=torch.int64)
    a, rho = torch.randn(5, 3, 2), torch.zeros(5, 4, dtype=torch.int64)
    assert law.apply(z, y, a, rho)[0].shape == (5, 7, 3)
    with pytest.raises(WRONG, match="rank"):
        law.apply(torch.randn(5, 7, 3), y, a, rho)
    with pytest.raises(WRONG, match="time"):
        law.apply(z, y[:, :6], a, rho)


def test_an_input_of_the_wrong_kind_is_refused():
    with pytest.raises(UsageError, match="index"):  # a public function has checks of its own
        words(0, 0, torch.zeros(3), 4)
    with pytest.raises(UsageError, match="stream"):
        words(0, 0.5, torch.arange(3), 4)
    with pytest.raises(WRONG, match="index"):
        one_hot(torch.zeros(3), 4)


def test_every_module_of_the_library_is_checked():
    net = FlatModule(torch.nn.Linear(2, 3))
    with pytest.raises(WRONG):
        net(torch.zeros(net.size, dtype=torch.int64))


def test_shapes_are_checked_inside_vmap():
    def normals(index):
        return as_normal(words(3, 0, index, 4))

    assert vmap(normals)(torch.arange(6).view(2, 3)).shape == (2, 3, 4)
    with pytest.raises(WRONG):
        vmap(as_permutation)(torch.zeros(2, 3, dtype=torch.long))


def test_the_names_are_types_of_jaxtyping():
    assert isinstance(torch.zeros(2, 3), jaxtyping.Float[torch.Tensor, "a b"])
    assert isinstance(torch.zeros(2, 3), Float[Tensor, "a b"])
    assert not isinstance(torch.zeros(2, 3), Int[Tensor, "a b"])


def test_without_jaxtyping_a_shape_is_a_note_beside_the_plain_type():
    script = (
        "import sys, typing; sys.modules['jaxtyping'] = None\n"
        "from tutorlib.shapes import Float, Tensor\n"
        "assert typing.get_args(Float[Tensor, 'batch time']) == (Tensor, ('Float', 'batch time'))\n"
        "import tutorlib.papers.gpicl.experiments\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)
