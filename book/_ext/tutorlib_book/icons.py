"""Light icons: small fonts with just the icons that the book's pages use, in place of the theme's.

The theme draws icons twice: by a script of 540 KB (compressed), for which static/scripts/fontawesome.js stands in,
and by fonts of 300 KB. The smaller fonts are declared in static/tutorlib.css after the theme's, so a browser asks
for the theme's only if a page uses an icon that is not in them.
"""

import re
from pathlib import Path

from fontTools import subset
from sphinx.application import Sphinx

FONTS = ("fa-solid-900", "fa-regular-400", "fa-brands-400")

RULE = re.compile(r"([^{}]*)\{([^{}]*)\}")
NAME = re.compile(r"\.fa-([a-z0-9-]+):before")
CODE = re.compile(r"""["'](?:\\([ef][0-9a-f]{3})|([\ue000-\uf8ff]))["']""", re.IGNORECASE)  # escaped, or as itself


def setup(app: Sphinx) -> None:
    app.connect("build-finished", make_fonts)


def make_fonts(app: Sphinx, exception: Exception | None) -> None:
    """Write ``_static/icons/*.woff`` beside the finished pages."""
    if exception or app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    needed = used_icons(
        [path.read_text(encoding="utf-8") for path in Path(app.outdir).rglob("*.html")],
        [path.read_text(encoding="utf-8") for path in static.rglob("*.css")],
    )
    (static / "icons").mkdir(exist_ok=True)
    for name in FONTS:
        options = subset.Options(flavor="woff", layout_features=[])
        font = subset.load_font(static / "vendor" / "fontawesome" / "webfonts" / f"{name}.ttf", options)
        cutter = subset.Subsetter(options)
        cutter.populate(unicodes=needed)
        cutter.subset(font)
        subset.save_font(font, static / "icons" / f"{name}.woff", options)


def used_icons(pages: list[str], styles: list[str]) -> set[int]:
    """Return the code points of the icons that pages name, and of those that style sheets place by themselves."""
    named = {name for page in pages for name in re.findall(r"\bfa-([a-z0-9-]+)", page)}
    return {
        int(code, 16) if code else ord(character)
        for style in styles
        for selectors, body in RULE.findall(style)
        if not (names := set(NAME.findall(selectors))) or names & named
        for code, character in CODE.findall(body)
    }
