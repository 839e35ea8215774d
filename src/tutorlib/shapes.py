"""Array types with shapes in them, such as ``Float[Tensor, "batch time d"]``.

The types come from jaxtyping, whose checks the tests switch on. Colab does not ship jaxtyping, and a notebook
there installs this package alone; without it the shapes stay what they are for a reader: annotations.
"""

from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
else:
    try:
        from jaxtyping import Bool, Float, Int
    except ModuleNotFoundError:

        class _Shape:
            """Stands for a jaxtyping type: ``Float[Tensor, "..."]`` is then just ``Tensor``."""

            def __class_getitem__(cls, item: tuple[Any, str]) -> Any:
                return item[0]

        Bool = Float = Int = _Shape

__all__ = ["Bool", "Float", "Int", "Tensor"]
