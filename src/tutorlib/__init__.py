"""Executable tutorials on ten papers: the methods, and the lab that runs and records them."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("tutorlib")
except PackageNotFoundError:  # imported from a source tree that is not installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
