"""What several tests need: the repository, its pairs of notebooks, and the tool that makes them."""

from pathlib import Path

from tree import PROJECT, program

REPOSITORY = PROJECT["urls"]["Repository"]

make = program("notebooks/make.py")

PAIRS: dict[str, Path] = make.pairs()
"""The text of every pair by name; there is an error here, and so in the tests, if there is none."""
