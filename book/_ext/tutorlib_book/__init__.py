"""What this book adds to Sphinx: two tables made from records, API pages that read well, scripts in files, and repairs
of the theme.
"""

from typing import Any

from sphinx.application import Sphinx

from tutorlib_book import api, cells, icons, pages, scripts, tables


def setup(app: Sphinx) -> dict[str, Any]:
    for part in (api, cells, icons, pages, scripts, tables):
        part.setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
