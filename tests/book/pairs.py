"""What several tests need: the repository, its pairs of notebooks, and the tool that makes them."""

import importlib.util
import tomllib
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REPOSITORY = PROJECT["urls"]["Repository"]


def _load_make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("notebooks_make", ROOT / "notebooks" / "make.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make = _load_make()

PAIRS: dict[str, Path] = make.pairs()
"""The text of every pair by name; there is an error here, and so in the tests, if there is none."""
