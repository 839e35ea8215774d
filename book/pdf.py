"""Print the built book into one PDF: a cover, the contents with page numbers, and every page in their order.

    python book/pdf.py                  print _build/html into _build/html/tutorlib.pdf
    python book/pdf.py --site FOLDER    print the book that was built there

Chromium prints each page as ``print.css`` has it, with its page number in the footer, and the parts are joined: a link
to another page of the book becomes a link within the file, and its headings become bookmarks.
"""

import argparse
import io
import json
import re
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from html import escape
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag

import yaml
from playwright.sync_api import BrowserContext, Error, Page, sync_playwright
from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, Destination, FloatObject, NameObject, NullObject, TextStringObject

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "book" / "_ext"))
from tutorlib_book.printing import PDF, link  # noqa: E402

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
LOOK = """async address => {
  const page = new DOMParser().parseFromString(await (await fetch(address)).text(), "text/html");  // runs no script
  page.querySelectorAll("a.headerlink, .headerlink").forEach(link => link.remove());
  const words = element => (element?.textContent ?? "").replace(/\\s+/g, " ").trim();
  const sections = page.querySelectorAll("article section[id]:has(> h2)");
  return {
    title: words(page.querySelector("article h1")),
    sections: [...sections].map(section => [section.id, words(section.querySelector("h2"))]),
    links: [...page.querySelectorAll("article a[href*='#']")].map(a => new URL(a.getAttribute("href"), address).href),
  };
}"""
READY = """async names => {
  for (const image of document.images) image.loading = "eager";
  await window.MathJax?.startup?.promise;
  await Promise.all([...document.images].map(image => image.decode().catch(() => {})));
  await document.fonts.ready;
  document.body.append(...names.map(name => {
    const link = document.createElement("a");  // Chromium keeps the place of an id that the page itself links
    link.href = "#" + name;
    link.hidden = true;
    return link;
  }));
}"""
COVER = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>
@page {{ size: A4; margin: 18mm 18mm 20mm; @bottom-right {{ content: counter(page); font: 8pt sans-serif; }} }}
@page :first {{ @bottom-right {{ content: none; }} }}
body {{ margin: 0; font: 10pt/1.5 sans-serif; }}
.cover {{ padding-top: 80mm; break-after: page; }}
.cover h1 {{ font-size: 30pt; line-height: 1.2; }}
a {{ display: flex; gap: 0.5em; color: #000; text-decoration: none; }}
a .dots {{ flex: 1; border-bottom: 1px dotted #777; height: 1em; }}
.part {{ margin: 1em 0 0.2em; font-weight: bold; break-after: avoid; }}
</style><div class="cover"><h1>{title}</h1><p>{author}</p><p>{address}</p></div><h1>Contents</h1>{rows}</html>"""


class Refused(Exception):
    """The PDF can not be made; the message says why and what to do."""


@dataclass(frozen=True)
class Entry:
    """A line of the contents: a part of the book, which has no page of its own, or a page at its depth."""

    title: str
    page: str | None
    depth: int


@dataclass(frozen=True)
class Look:
    """What a built page says of itself: its heading, the id and heading of each section, and where its links lead."""

    title: str
    sections: list[tuple[str, str]]
    links: list[str]


@dataclass(frozen=True)
class Printed:
    """A page of the book as a PDF of its own, and the number of sheets before it in the whole."""

    reader: PdfReader
    start: int

    @property
    def end(self) -> int:
        """The number of sheets before the next page."""
        return self.start + len(self.reader.pages)

    @cached_property
    def places(self) -> Mapping[str, Destination]:
        """The places of the page that have a name."""
        return {name.removeprefix("/"): place for name, place in self.reader.named_destinations.items()}

    def sheet(self, place: Destination | None) -> int:
        """Return the number of sheets before the one that a place of the page is on."""
        return self.start + ((self.reader.get_destination_page_number(place) or 0) if place else 0)


def entries(toc: Mapping[str, Any]) -> list[tuple[str, str | None, int]]:
    """Return the title, page and depth of each line of a table of contents; a title is empty where it has none."""

    def pages(items: list[dict[str, Any]], depth: int) -> Iterator[tuple[str, str | None, int]]:
        for item in items:
            yield item.get("title", ""), item["file"], depth
            yield from pages(item.get("sections", []), depth + 1)

    entries = [("", toc["root"], 0), *pages(toc.get("chapters", []), 0)]
    for part in toc.get("parts", []):
        entries += [(part["caption"], None, 0), *pages(part["chapters"], 1)]
    return entries


def look(window: Page, address: str) -> Look:
    """Return what a page says of itself; formulas in headings are words: ``\\(\\lambda_z\\)`` is lambda_z."""
    seen = window.evaluate(LOOK, address)

    def plain(words: str) -> str:
        return re.sub(r"\\\((.*?)\\\)", lambda formula: formula[1].replace("\\", ""), words)

    sections = [(name, plain(words)) for name, words in seen["sections"]]
    return Look(plain(seen["title"]), sections, seen["links"])


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def served(site: Path) -> Iterator[str]:
    """Give the address of a server of this machine that has the site."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def chromium() -> Iterator[BrowserContext]:
    """Give a browser that prints, the system's or else playwright's; it asks nobody but this machine."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        except Error as error:
            raise Refused("Chromium prints the pages, and there is none: install it, or run .ci/chromium") from error
        context = browser.new_context(color_scheme="light")
        context.route(lambda url: not url.startswith("http://127.0.0.1:"), lambda route: route.abort())
        yield context
        browser.close()


def sheets(window: Page) -> PdfReader:
    """Return what a window shows as a PDF."""
    return PdfReader(io.BytesIO(window.pdf(prefer_css_page_size=True, print_background=True)))


def print_page(window: Page, address: str, title: str, start: int, ids: set[str]) -> Printed:
    """Return a page of the book printed; ``ids`` are those whose places are kept, ``start`` counts sheets before."""
    window.goto(address)
    window.evaluate(READY, sorted(ids))
    footer = "font: 8pt sans-serif; color: #444;"
    window.add_style_tag(
        content=f"@page {{ @bottom-left {{ content: {json.dumps(title, ensure_ascii=False)}; {footer} }} "
        f"@bottom-right {{ content: counter(page); {footer} }} }} html {{ counter-set: page {start}; }}"
    )
    return Printed(sheets(window), start)


def print_contents(
    window: Page, address: str, book: Mapping[str, str], contents: list[Entry], numbers: Mapping[str, int]
) -> Printed:
    """Return the cover and the contents; ``numbers`` has the number of each page's first sheet."""
    rows = []
    for entry in contents:
        if entry.page is None:
            rows.append(f'<p class="part">{escape(entry.title)}</p>')
        else:
            rows.append(
                f'<a style="padding-left: {1.5 * entry.depth}em" href="{address}{entry.page}.html">'
                f"<span>{escape(entry.title)}</span>"
                f'<span class="dots"></span><span>{numbers.get(entry.page, 0)}</span></a>'
            )
    window.set_content(COVER.format(rows="\n".join(rows), **{name: escape(text) for name, text in book.items()}))
    return Printed(sheets(window), 0)


def join(
    front: Printed,
    printed: Mapping[str, Printed],
    contents: list[Entry],
    looks: Mapping[str, Look],
    address: str,
    book: Mapping[str, str],
) -> PdfWriter:
    """Return one document of all parts, with their links turned inwards and with bookmarks."""
    writer = PdfWriter()
    for part in (front, *printed.values()):
        for sheet in part.reader.pages:
            writer.add_page(sheet)

    def target(here: Printed, annotation: Mapping[str, Any]) -> ArrayObject | None:
        """Return the place in this document that a link leads to, if it does."""
        if "/Dest" in annotation:
            part, name = here, str(annotation["/Dest"]).removeprefix("/")
        else:
            file, name = urldefrag(str((annotation.get("/A") or {}).get("/URI", "")))
            page = unquote(file).removeprefix(address).removesuffix(".html")
            if not file.startswith(address) or page not in printed:
                return None
            part = printed[page]
        place = part.places.get(unquote(name))
        top = FloatObject(place.top) if place and place.top is not None else NullObject()
        sheet = writer.pages[part.sheet(place)].indirect_reference
        return ArrayObject([sheet, NameObject("/XYZ"), NullObject(), top, NullObject()])

    for here in (front, *printed.values()):
        for number in range(here.start, here.end):
            for reference in writer.pages[number].get("/Annots", ()):
                annotation = reference.get_object()
                if (place := target(here, annotation)) is not None:
                    annotation.pop("/A", None)
                    annotation[NameObject("/Dest")] = place
    bookmark(writer, contents, looks, printed)
    writer.add_metadata({"/Title": book["title"], "/Author": book["author"]})
    writer.root_object[NameObject("/Lang")] = TextStringObject("en")
    writer.compress_identical_objects()
    return writer


def bookmark(
    writer: PdfWriter, contents: list[Entry], looks: Mapping[str, Look], printed: Mapping[str, Printed]
) -> None:
    """Add a bookmark for each part, page and section."""
    above: list[Any] = []
    for index, entry in enumerate(contents):
        page = entry.page or next(later.page for later in contents[index:] if later.page)
        del above[entry.depth :]
        parent = above[-1] if above else None
        item = writer.add_outline_item(title=entry.title, page_number=printed[page].start, parent=parent, is_open=False)
        above.append(item)
        for name, words in looks[page].sections if entry.page else ():
            sheet = printed[page].sheet(printed[page].places.get(name))
            writer.add_outline_item(title=words, page_number=sheet, parent=item)


def make(site: Path, toc: Mapping[str, Any], book: Mapping[str, str]) -> tuple[Path, int]:
    """Print the book in ``site`` into one file beside its first page; return the file and its number of sheets.

    Raises:
        Refused: if a page of the contents is not built, or there is no Chromium.
    """
    site = site.resolve()
    pages = [page for _, page, _ in entries(toc)]
    if missing := [page for page in pages if page and not (site / f"{page}.html").is_file()]:
        raise Refused(f"{site} has no {missing[0]}.html: build the book first, with make book")
    with served(site) as address, chromium() as browser:
        window = browser.new_page()
        window.goto(f"{address}{pages[0]}.html")
        addresses = {page: f"{address}{page}.html" for page in pages if page}
        looks = {page: look(window, where) for page, where in addresses.items()}
        contents = [Entry(title or looks[page].title, page, depth) for title, page, depth in entries(toc)]
        ids: dict[str, set[str]] = {where: set() for where in addresses.values()}
        for page, seen in looks.items():
            ids[addresses[page]] |= {name for name, _ in seen.sections}
            for where, name in map(urldefrag, seen.links):
                ids.get(where, set()).add(unquote(name))
        start = print_contents(window, address, book, contents, {}).end  # as many sheets as with the right numbers
        printed: dict[str, Printed] = {}
        for entry in contents:
            if entry.page:
                where = addresses[entry.page]
                printed[entry.page] = print_page(window, where, entry.title, start, ids[where])
                start = printed[entry.page].end
        numbers = {page: part.start + 1 for page, part in printed.items()}
        front = print_contents(window, address, book, contents, numbers)
    path, half = site / PDF, site / f"{PDF}.half"
    join(front, printed, contents, looks, address, book).write(half)
    half.replace(path)  # a reader finds a whole file or none
    link(site)
    return path, start


def main() -> None:
    """Print the book, and say where it is, how large, and what it took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--site", type=Path, default=ROOT / "_build" / "html", help="the folder of the built book")
    site, began = parser.parse_args().site, time.monotonic()
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8"))
    book = {"title": config["title"], "author": config["author"], "address": config["repository"]["url"]}
    try:
        path, pages = make(site, toc, book)
    except Refused as refused:
        sys.exit(f"pdf: {refused}")
    size, took = path.stat().st_size / 1e6, time.monotonic() - began
    print(f"The book as one PDF: {path.as_uri()} ({pages} pages, {size:.1f} MB, in {took:.0f} s)")


if __name__ == "__main__":
    main()
