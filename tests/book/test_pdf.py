"""What ``make pdf`` makes of a small book: contents, bookmarks, footers, links; and what it says where it can not."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pypdf import PageObject, PdfReader
from pypdf.generic import NullObject
from toc import ROOT
from tree import program

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def pdf() -> ModuleType:
    return program("book/pdf.py")


TOC = {
    "root": "intro",
    "parts": [
        {"caption": "One part", "chapters": [{"file": "one/idea", "title": "Idea", "sections": [{"file": "one/more"}]}]}
    ],
}
BOOK = {"title": "A <small> book", "author": "The authors", "address": "https://example.org/"}
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>x</title>
<link rel="stylesheet" href="{up}print.css"><article class="bd-article">
<section id="top"><h1>{title}<a class="headerlink" href="#top">#</a></h1>{body}</section></article></html>"""
LONG = "<p>words</p>" * 100
PAGES = {
    "intro": (
        "The start",
        '<p><a href="one/more.html#far">to the far place</a> and <span class="whole-book">all</span>',
    ),
    "one/idea": (
        "The idea &amp; more",
        rf'<section id="first"><h2>Of \(\lambda_z\)</h2>{LONG}</section><section id="second"><h2>Second</h2></section>'
        '<p><a href="#first">up</a> <a href="../intro.html">back</a> <a href="https://example.org/x">out</a></p>',
    ),
    "one/more": ("More of it", f'{LONG}<p id="far">far</p><p><a href="../away.html">not of the book</a></p>'),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("book") / "html"
    for name, (title, body) in PAGES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        text = PAGE.format(title=title, body=body, up="../" * name.count("/"))
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    shutil.copy(ROOT / "book" / "_ext" / "tutorlib_book" / "static" / "print.css", folder)
    return folder


@pytest.fixture(scope="module")
def printed(pdf: ModuleType, site: Path) -> PdfReader:
    path, sheets = pdf.make(site, TOC, BOOK)
    assert path == site / "tutorlib.pdf"
    assert [file.name for file in site.iterdir() if file.is_file()].count("tutorlib.pdf.half") == 0
    reader = PdfReader(path)
    assert len(reader.pages) == sheets
    return reader


def bookmarks(reader: PdfReader, items: list[Any], depth: int = 0) -> Iterator[tuple[int, str, int]]:
    for item in items:
        if isinstance(item, list):
            yield from bookmarks(reader, item, depth + 1)
        else:
            yield depth, item.title, (reader.get_destination_page_number(item) or 0) + 1


def first_sheets(reader: PdfReader) -> dict[str, int]:
    """Return the number of the sheet that each heading stands on."""
    heads = [title.replace("&amp;", "&") for title, _ in PAGES.values()]
    texts = [sheet.extract_text() for sheet in reader.pages]
    return {head: 1 + next(i for i, text in enumerate(texts) if i > 1 and f"\n{head}" in text) for head in heads}


def test_the_contents_name_the_sheets_that_the_pages_begin_on(printed: PdfReader) -> None:
    cover, contents = (printed.pages[i].extract_text() for i in (0, 1))
    assert cover.split("\n")[:3] == [BOOK["title"], BOOK["author"], BOOK["address"]]
    starts = list(first_sheets(printed).values())
    assert starts == sorted(set(starts))
    assert starts[0] == 3
    rows = re.findall(r"^(.*?) ?(\d+)$", contents.replace("\xa0", " "), re.M)
    lines = [(words.strip(), int(number)) for words, number in rows if words.strip()]
    assert lines == list(zip(("The start", "Idea", "More of it"), starts, strict=True))
    assert "One part" in contents


def test_every_part_page_and_section_has_a_bookmark(printed: PdfReader) -> None:
    start, idea, more = first_sheets(printed).values()
    assert more - idea > 1  # so its second section does not begin on its first sheet
    assert list(bookmarks(printed, printed.outline)) == [
        (0, "The start", start),
        (0, "One part", idea),
        (1, "Idea", idea),
        (2, "Of lambda_z", idea),
        (2, "Second", more - 1),
        (2, "More of it", more),
    ]


def test_every_sheet_but_the_cover_bears_its_number_and_its_page(printed: PdfReader) -> None:
    texts = [sheet.extract_text() for sheet in printed.pages]
    assert not re.search(r"\d", texts[0])
    for number, text in enumerate(texts[1:], start=2):
        assert re.search(rf"(?<!\d){number}(?!\d)", text), text
    idea, more = list(first_sheets(printed).values())[1:]
    assert all("Idea" in text for text in texts[idea - 1 : more - 1])


def link_targets(reader: PdfReader, sheet: PageObject) -> list[tuple[int, float | None] | str]:
    """Return where the links of a sheet lead: to a sheet and a height, or away."""
    found: list[tuple[int, float | None] | str] = []
    for annotation in (reference.get_object() for reference in sheet.get("/Annots", ())):
        if "/Dest" in annotation:
            place = annotation["/Dest"]
            height = None if isinstance(place[3], NullObject) else float(place[3])
            found.append(((reader.get_page_number(place[0].get_object()) or 0) + 1, height))
        else:
            found.append(annotation["/A"]["/URI"])
    return found


def test_links_between_pages_lead_within_the_file(printed: PdfReader) -> None:
    start, idea, more = first_sheets(printed).values()
    assert link_targets(printed, printed.pages[1]) == [(start, None), (idea, None), (more, None)]
    ((far, top),) = link_targets(printed, printed.pages[start - 1])
    assert far == len(printed.pages)  # the last sheet
    assert top
    up, back, away = link_targets(printed, printed.pages[more - 2])
    assert up[0] == idea
    assert back == (start, None)
    assert away == "https://example.org/x"


def test_the_file_says_what_it_is(printed: PdfReader) -> None:
    assert printed.metadata
    assert printed.metadata.title == BOOK["title"]
    assert printed.metadata.author == BOOK["author"]
    assert printed.trailer["/Root"]["/Lang"] == "en"


def test_the_link_to_the_file_stands_where_the_file_is(pdf: ModuleType, printed: PdfReader, site: Path) -> None:
    page = site / "intro.html"
    link = '<a class="whole-book" href="tutorlib.pdf">all</a>'
    assert link in page.read_text(encoding="utf-8")
    assert pdf.link(site) == 1
    assert link in page.read_text(encoding="utf-8")
    below = site / "one" / "more.html"
    before = below.read_text(encoding="utf-8")
    below.write_text(before + '<span class="whole-book">all</span>', encoding="utf-8")
    assert pdf.link(site) == 2
    assert below.read_text(encoding="utf-8") == before + '<a class="whole-book" href="../tutorlib.pdf">all</a>'
    below.write_text(before, encoding="utf-8")
    (site / "tutorlib.pdf").rename(site / "elsewhere")
    assert pdf.link(site) == 1
    assert '<span class="whole-book">all</span>' in page.read_text(encoding="utf-8")
    (site / "elsewhere").rename(site / "tutorlib.pdf")


def test_a_page_that_is_not_built_is_named(pdf: ModuleType, site: Path, tmp_path: Path) -> None:
    with pytest.raises(pdf.Refused, match=r"html has no two\.html: build the book first, with make book"):
        pdf.make(site, {"root": "intro", "chapters": [{"file": "two"}]}, BOOK)
    with pytest.raises(pdf.Refused, match=r"has no intro\.html"):
        pdf.make(tmp_path, TOC, BOOK)


def test_no_chromium_is_said(pdf: ModuleType, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    with pytest.raises(
        pdf.Refused, match=r"Chromium prints the pages, and there is none: install it, or run \.ci/chro"
    ):
        pdf.make(site, TOC, BOOK)


def test_make_pdf_builds_the_book_first() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^pdf: book ## .*\n\t\$\(BIN\)/python book/pdf\.py$", makefile, re.M)
