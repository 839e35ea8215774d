"""At the foot of a chapter's pages: how to cite it, copied by a click; and of every page, when it was last changed."""

import re
import subprocess
from html import escape
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from tutorlib_book.chapters import Chapter
from tutorlib_book.head import chapter_of

REFERENCES = "book/references.bib"
ENTRY = re.compile(r"^@.*?^}", re.MULTILINE | re.DOTALL)


def setup(app: Sphinx) -> None:
    app.connect("html-page-context", add)


def add(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Add to the foot of a page."""
    if not hasattr(app, "tutorlib_dates"):
        app.tutorlib_dates = dates(Path(app.srcdir))  # type: ignore[attr-defined]
    changed = app.tutorlib_dates.get(f"{page}.md")
    if changed:
        context["last_updated"] = changed
    chapter = chapter_of(page)
    if chapter and page.startswith("notebooks/"):
        entry = chapter_entry(chapter, app.config.html_baseurl, app.config)
        paper = paper_entry(chapter, (Path(app.srcdir) / REFERENCES).read_text(encoding="utf-8"))
        context["body"] += BOX.format(words=escape(f"{entry}\n\n{paper}"))


BOX = """<details class="cite"><summary>Cite this chapter and its paper</summary>
<pre id="bibtex" role="group" tabindex="0" aria-label="BibTeX">{words}</pre>
<button type="button" data-copy="bibtex">Copy BibTeX</button>
</details>
"""


def chapter_entry(chapter: Chapter, site: str, config: Any) -> str:
    """Return the BibTeX of a chapter of this book."""
    fields = {
        "author": f"{{{config.author}}}",
        "title": f"{chapter.name}: {chapter.title}",
        "booktitle": config.html_title,
        "year": re.sub(r"\D", "", str(config.copyright)),
        "url": f"{site}notebooks/{chapter.slug}/idea.html",
        "note": f"A tutorial on the paper, {chapter.venue}",
    }
    lines = ",\n".join(f"  {name:<9} = {{{value}}}" for name, value in fields.items())
    return f"@incollection{{tutorlib-{chapter.slug},\n{lines}\n}}"


def paper_entry(chapter: Chapter, references: str) -> str:
    """Return the BibTeX of a chapter's paper, as it stands among the book's references."""
    (entry,) = (
        entry for entry in ENTRY.findall(references) if chapter.title.casefold() in " ".join(entry.split()).casefold()
    )
    return str(entry)


def dates(folder: Path) -> dict[str, str]:
    """Return on which day each file below ``folder`` was last changed, by its path; none where it is not known.

    Git knows it, but not where it has only the last of the history.
    """

    def said(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else ""

    try:
        if said("rev-parse", "--is-shallow-repository").strip() != "false":
            return {}
        log = said("log", "--format=%x00%cs", "--name-only", "--relative")
    except OSError:  # there is no git
        return {}
    days: dict[str, str] = {}
    for commit in log.split("\0")[1:]:
        day, *names = commit.split("\n")
        for name in filter(None, names):
            days.setdefault(name, day)
    return days
