"""Pages on paper: their style, and the link to the PDF of the whole book, which stands where that file is there."""

import re
from pathlib import Path

from sphinx.application import Sphinx

PDF = "tutorlib.pdf"
"""the file beside the site's first page, which book/pdf.py writes"""

PLACE = re.compile(r'<(span|a) class="whole-book"[^>]*>(.*?)</\1>', re.DOTALL)
"""what a page holds where the link belongs; words alone until there is a file to link"""


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", add_files)
    app.connect("build-finished", link_after_build)


def add_files(app: Sphinx) -> None:
    app.add_css_file("print.css", media="print")
    app.add_js_file("print.js", loading_method="defer")


def link_after_build(app: Sphinx, exception: Exception | None) -> None:
    if exception is None and app.builder.format == "html":
        link(Path(app.outdir))


def link(site: Path) -> int:
    """Make the words that stand for the PDF a link to it, or words again where it is not there; return the places."""
    places = 0
    for path in site.rglob("*.html"):
        parts = path.relative_to(site).parts
        if "_static" in parts:
            continue
        before = path.read_text(encoding="utf-8")
        after, count = PLACE.subn(_linked("../" * (len(parts) - 1) + PDF if (site / PDF).is_file() else None), before)
        if after != before:
            path.write_text(after, encoding="utf-8")
        places += count
    return places


def _linked(address: str | None) -> str:
    """Return what stands in a place: a link, or words alone."""
    return rf'<a class="whole-book" href="{address}">\2</a>' if address else r'<span class="whole-book">\2</span>'
