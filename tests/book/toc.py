"""What the book is made of, according to its table of contents, and where its repository is."""

import tomllib
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]

REPOSITORY: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]


def contents(entry: Any) -> list[str]:
    """Return the pages that a piece of the table of contents names, in order."""
    if isinstance(entry, list):
        return [page for part in entry for page in contents(part)]
    own = [entry[key] for key in ("root", "file") if key in entry]
    return own + [page for key in ("parts", "chapters", "sections") for page in contents(entry.get(key, []))]


PAGES = contents(yaml.safe_load((ROOT / "book" / "_toc.yml").read_text()))
