"""Array types with shapes in them, such as ``Float[Tensor, "batch time d"]``.

The types come from jaxtyping, whose checks the tests switch on. Colab does not ship jaxtyping, and a notebook
there installs this package alone; without it the shapes stay annotations, which ``tutorlib.lab.errors.checked`` reads.
"""

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
else:
    try:
        from jaxtyping import Bool, Float, Int
    except ModuleNotFoundError:

        class Shape(NamedTuple):
            """What stands beside ``Tensor`` in an annotation: the kind of its entries, and its axes."""

            kind: str
            axes: str

        class _Shaped:
            """Stands for a jaxtyping type: ``Float[Tensor, "..."]`` is then ``Tensor`` with a note."""

            def __class_getitem__(cls, item: tuple[Any, str]) -> Any:
                return Annotated[item[0], Shape(cls.__name__, item[1])]

        class Float(_Shaped):
            """Floating-point numbers."""

        class Int(_Shaped):
            """Whole numbers."""

        class Bool(_Shaped):
            """True and False."""


__all__ = ["Bool", "Float", "Int", "Tensor"]
