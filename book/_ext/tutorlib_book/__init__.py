"""What this book adds to Sphinx: tables and the scoreboard made from records, API pages that read well, scripts in
files, pages on paper, and repairs of the theme.
"""

from importlib import import_module
from typing import Any

from sphinx.application import Sphinx

PARTS = (
    "api",
    "board",
    "cells",
    "citing",
    "figures",
    "finding",
    "front",
    "head",
    "icons",
    "loading",
    "mathematics",
    "pages",
    "printing",
    "scripts",
    "tables",
)
"""the modules beside this one that set something up"""


def setup(app: Sphinx) -> dict[str, Any]:
    for part in PARTS:
        import_module(f"{__name__}.{part}").setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
