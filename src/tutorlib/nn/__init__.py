"""Building blocks that more than one paper uses."""

from tutorlib.nn.flat import FlatModule

__all__ = ["FlatModule"]
