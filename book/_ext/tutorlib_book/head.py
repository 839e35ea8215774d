"""What search engines and other sites see of a page: its description, its one address, and a picture.

With the files for visitors who are no readers (``sitemap.xml``, ``robots.txt``) and for those who are lost
(``404.html``). Where the site stands is written once, as ``baseurl`` in ``_config.yml``.
"""

import re
import textwrap
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sphinx.application import Sphinx

from tutorlib_book.chapters import CHAPTERS, Chapter

CARDS = "_static/cards"
BOOK = "book"
"""the card of the pages that belong to no chapter"""
LONGEST = 160  # what search engines show of a description
SHORTEST = 50
ICON = "book/_static/favicon.svg"
ABOUT = "Executable tutorials on ten papers about learning to learn"


def setup(app: Sphinx) -> None:
    app.connect("config-inited", set_icon)
    app.connect("html-page-context", describe)
    app.connect("build-finished", add_files)


def set_icon(app: Sphinx, config: Any) -> None:
    config.html_favicon = ICON


def chapter_of(page: str) -> Chapter | None:
    """Return the chapter that ``page`` belongs to, if any."""
    owned = {("notebooks", chapter.slug): chapter for chapter in CHAPTERS}
    owned |= {("previews", chapter.slug): chapter for chapter in CHAPTERS}
    parts = page.removeprefix("book/").split("/")
    return owned.get((parts[0], parts[1])) if len(parts) > 1 else None


def describe(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Add description, address, and what other sites show to the head of a page."""
    chapter, site = chapter_of(page), app.config.html_baseurl
    title = plain(context.get("title", "")) or app.config.html_title
    about = description(title, chapter, doctree)
    card = f"{site}{CARDS}/{chapter.slug if chapter else BOOK}.png"
    words = f"{chapter.name}: {chapter.title}" if chapter else f"{app.config.html_title}: {ABOUT}"
    properties = {
        "og:title": title,
        "og:type": "article" if chapter else "website",
        "og:site_name": app.config.html_title,
        "og:description": about,
        "og:url": f"{site}{page}.html",
        "og:image": card,
        "og:image:alt": words,
    }
    tags = [f'<meta name="description" content="{escape(about)}" />']
    tags += [f'<meta property="{name}" content="{escape(value)}" />' for name, value in properties.items()]
    tags.append('<meta name="twitter:card" content="summary_large_image" />')
    context["metatags"] = context.get("metatags", "") + "\n    ".join(["", *tags, ""])


def plain(title: str) -> str:
    """Return a title without its marks: what a tag of the head can hold."""
    return " ".join(re.sub(r"<[^>]+>", "", title).split())


def description(title: str, chapter: Chapter | None, doctree: nodes.document | None) -> str:
    """Return what a page is about: a sentence on its paper, or its own first paragraph of words."""
    if chapter:
        return shortened(f"{title}. On “{chapter.title}” by {chapter.authors}, {chapter.venue}.")
    for paragraph in doctree.findall(nodes.paragraph) if doctree else ():
        text = " ".join(paragraph.astext().split())
        if len(text) >= SHORTEST and not next(iter(paragraph.findall(nodes.math)), None):
            return shortened(text)
    return f"{title}: {ABOUT}"


def shortened(text: str) -> str:
    """Return ``text``, or as many of its first words as a search engine shows."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rpartition(" ")[0] + "…"


# Files


def add_files(app: Sphinx, exception: Exception | None) -> None:
    """Write what belongs to the site and to no page."""
    if exception or app.builder.format != "html":
        return
    site, target = app.config.html_baseurl, Path(app.outdir)
    pages = sorted(app.env.found_docs)
    addresses = "".join(f"<url><loc>{escape(f'{site}{page}.html')}</loc></url>\n" for page in pages)
    (target / "sitemap.xml").write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
        f"{addresses}</urlset>\n",
        encoding="utf-8",
    )
    (target / "robots.txt").write_text(f"User-agent: *\nAllow: /\nSitemap: {site}sitemap.xml\n", encoding="utf-8")
    (target / "404.html").write_text(
        LOST.format(site=escape(site), title=escape(app.config.html_title), first=app.config.root_doc), encoding="utf-8"
    )
    folder = target / CARDS
    folder.mkdir(parents=True, exist_ok=True)
    draw_card(folder / f"{BOOK}.png", app.config.html_title, ABOUT, "Read, run and change them in your browser")
    for chapter in CHAPTERS:
        draw_card(folder / f"{chapter.slug}.png", chapter.name, chapter.title, f"{chapter.authors}, {chapter.venue}")


LOST = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<meta name="robots" content="noindex" />
<title>No such page &#8212; {title}</title>
<link rel="icon" href="{site}_static/favicon.svg" />
<style>
:root {{ color-scheme: light dark; background: #fff; color: #1b1f24; font: 1.1rem/1.6 system-ui, sans-serif; }}
main {{ max-width: 34rem; margin: 15vh auto; padding: 0 1rem; }}
a {{ color: #0b4f8a; }}
input, button {{ font: inherit; padding: 0.25rem 0.5rem; }}
@media (prefers-color-scheme: dark) {{ :root {{ background: #121212; color: #e6e6e6; }} a {{ color: #8cc4ff; }} }}
</style>
</head>
<body>
<main>
<h1>No such page</h1>
<p>The address that you followed leads nowhere in <em>{title}</em>. The page may have moved.</p>
<form action="{site}search.html" role="search">
<label for="q">Search the book</label>
<input id="q" name="q" type="search" />
<button type="submit">Search</button>
</form>
<ul>
<li><a href="{site}{first}.html">The first page</a></li>
<li><a href="{site}book/scoreboard.html">The scoreboard: what was found in each chapter</a></li>
<li><a href="{site}book/guide.html">How to use this book</a></li>
</ul>
</main>
</body>
</html>
"""
"""It is shown at any address, so its links say where the site is, and it needs no file of the site."""

WIDE, TALL = 1200, 630  # pixels, as other sites show them
PAPER, INK, PALE, SPOT = "#0b2a4a", "#ffffff", "#b9d2ec", "#ffb74d"


def draw_card(path: Path, name: str, title: str, small: str) -> None:
    """Draw what other sites show beside a link: a name, a title, and a line in small letters."""
    figure = Figure(figsize=(WIDE / 100, TALL / 100), dpi=100, facecolor=PAPER)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDE), ylim=(0, TALL))
    axes.axis("off")
    xs = [700 + 5 * i for i in range(85)]
    axes.plot(xs, [60 + 330 / (1 + 2.718 ** (-(x - 900) / 45)) for x in xs], color=SPOT, lw=5, alpha=0.35)
    axes.text(70, 520, name, color=INK, size=46, weight="bold", va="center")
    axes.text(70, 430, wrapped(title, 42), color=PALE, size=28, va="top", linespacing=1.4)
    axes.text(70, 120, wrapped(small, 64), color=INK, size=18, va="center", linespacing=1.4)
    axes.text(70, 55, "Learning to learn", color=SPOT, size=18, va="center")
    figure.savefig(path, metadata={"Software": None})


def wrapped(text: str, letters: int) -> str:
    """Return ``text`` in lines of at most ``letters`` letters."""
    return "\n".join(textwrap.wrap(text, letters))
