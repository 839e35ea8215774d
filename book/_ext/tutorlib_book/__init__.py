"""What this book adds to Sphinx: tables and the scoreboard made from records, API pages that read well, scripts in
files, pages on paper, and repairs of the theme.
"""

from typing import Any

from sphinx.application import Sphinx

from tutorlib_book import (
    api,
    board,
    cells,
    citing,
    finding,
    front,
    head,
    icons,
    loading,
    mathematics,
    pages,
    printing,
    scripts,
    tables,
)

PARTS = (
    api,
    board,
    cells,
    citing,
    finding,
    front,
    head,
    icons,
    loading,
    mathematics,
    pages,
    printing,
    scripts,
    tables,
)


def setup(app: Sphinx) -> dict[str, Any]:
    for part in PARTS:
        part.setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
