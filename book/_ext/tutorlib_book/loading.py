"""What a page loads at first: its theme before it is painted, and nothing that it may never need.

The index of the search comes with the search page, and the styles of cards and tabs with pages that have some. Pictures
come as a reader gets near them. Of the theme's style sheet go the rules for the two thousand icons that no page shows.
"""

import re
from pathlib import Path

from sphinx.application import Sphinx

from tutorlib_book.icons import NAME, RULE

BEFORE_SCRIPTS = 400  # scripts.py moves at priority 500 what pages hold

THEME_SCRIPT = re.compile(r'<script data-cfasync="false">.*?</script>', re.DOTALL)
"""The theme's own: it leaves open what the reader's system wants until the page has been painted."""
SEARCH_SCRIPT = re.compile(r'\s*<script src="[^"]*(?:searchtools|language_data|searchindex)\.js[^"]*"></script>')
SEARCH_PAGE = "search.html"
DESIGN = re.compile(r'\s*<(?:link|script)\b[^>]*"[^"]*(?:sphinx-design|design-tabs)\.[^"]*"[^>]*>(?:</script>)?')
DESIGNED = re.compile(r'class="[^"]*\bsd-')
IMAGE = re.compile(r"<img (?![^>]*\bloading=)")
STYLE = Path("_static/styles/pydata-sphinx-theme.css")


def setup(app: Sphinx) -> None:
    app.connect("build-finished", lighten, priority=BEFORE_SCRIPTS)
    app.connect("build-finished", drop_icons, priority=BEFORE_SCRIPTS)


def lighten(app: Sphinx, exception: Exception | None) -> None:
    """Change what all finished pages load."""
    if exception or app.builder.format != "html":
        return
    site = Path(app.outdir)
    for path in site.rglob("*.html"):
        place = path.relative_to(site)
        if "_static" in place.parts:
            continue
        before = path.read_text(encoding="utf-8")
        after = light(before, "../" * (len(place.parts) - 1), search=place.as_posix() == SEARCH_PAGE)
        if after != before:
            path.write_text(after, encoding="utf-8")


def light(page: str, root: str, search: bool) -> str:
    """Return a page whose theme is set before it is painted, which loads the search only if it is its page.

    Its pictures are loaded when a reader gets near them.
    """
    page = THEME_SCRIPT.sub(f'<script src="{root}_static/theme.js"></script>', page)
    page = page if DESIGNED.search(page) else DESIGN.sub("", page)
    page = IMAGE.sub('<img loading="lazy" ', page)
    return page if search else SEARCH_SCRIPT.sub("", page)


def drop_icons(app: Sphinx, exception: Exception | None) -> None:
    """Take the rules of icons that no page names out of the theme's style sheet."""
    if exception or app.builder.format != "html":
        return
    site = Path(app.outdir)
    style = site / STYLE
    named = {
        name
        for path in site.rglob("*.html")
        for name in re.findall(r"\bfa-([a-z0-9-]+)", path.read_text(encoding="utf-8"))
    }
    style.write_text(without_icons(style.read_text(encoding="utf-8"), named), encoding="utf-8")


def without_icons(style: str, named: set[str]) -> str:
    """Return a style sheet without the rules that only draw icons which are not ``named``."""

    def kept(rule: re.Match[str]) -> str:
        selectors = [selector.strip() for selector in rule[1].split(",")]
        icons = [NAME.fullmatch(selector) for selector in selectors]
        unused = all(icon and icon[1] not in named for icon in icons)
        return "" if unused else rule[0]

    return RULE.sub(kept, style)
