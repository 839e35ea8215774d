"""The opening page, the order of the contents, the heads of the chapters, and the times that they name."""

import json
import re
from urllib.parse import urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup, Tag
from soup import Soups, article, plain, text
from toc import PAGES, ROOT
from tutorlib_book.chapters import CHAPTERS

from tutorlib import papers
from tutorlib.lab import judge

# The opening page and the order of the contents

TOC = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text())
PARTS = [part for part in TOC["parts"] if part["caption"].partition(":")[0] in ("I", "II", "III", "IV")]
FIRST_PAGES = [chapter["file"] for part in PARTS for chapter in part["chapters"]]


def leads_to(page: str, link: Tag) -> str:
    """Return the page of the book that ``link`` on ``page`` leads to."""
    return (ROOT / page).parent.joinpath(urlsplit(str(link["href"])).path).resolve().relative_to(ROOT).as_posix()[:-5]


def links_below(soups: Soups, page: str, heading: str) -> list[str]:
    """Return the pages that the list, or the table, below a heading links first in each of its entries."""
    section = article(soups, page).select_one(f"section#{heading}")
    assert section
    return [
        leads_to(page, link) for entry in section.select("li, tbody tr") if (link := entry.select_one("a.internal"))
    ]


def test_ten_chapters_nest_their_pages_in_the_order_of_the_parts(soups: Soups) -> None:
    assert [part["caption"].partition(":")[0] for part in PARTS] == ["I", "II", "III", "IV"]
    assert [chapter.page(PAGES) for chapter in CHAPTERS] == FIRST_PAGES
    assert len(CHAPTERS) == 10
    for part in PARTS:
        for chapter in part["chapters"]:
            pages = [chapter["file"], *(page["file"] for page in chapter.get("sections", ()))]
            slug = re.search(r"\w+(?=/idea$)|(?<=previews/)\w+", chapter["file"])
            assert slug
            assert pages == [page for page in PAGES if slug[0] in page.split("/") and "api" not in page]
    entries = soups["book/intro"].select("nav.bd-links > div > ul > li.toctree-l1 > a")
    assert [leads_to("book/intro", entry) for entry in entries if re.match(r"\d", text(entry))] == FIRST_PAGES
    assert [text(entry).split(".")[0] for entry in entries if re.match(r"\d", text(entry))] == [
        str(i) for i in range(1, 11)
    ]


def test_the_opening_page_agrees_with_the_contents(soups: Soups) -> None:
    (start,) = (part["chapters"] for part in TOC["parts"] if part["caption"] == "Start here")
    assert links_below(soups, "book/intro", "where-to-start") == [*(page["file"] for page in start), FIRST_PAGES[0]]
    assert links_below(soups, "book/intro", "the-chapters") == FIRST_PAGES
    states = [text(row.find_all("td")[-1]) for row in article(soups, "book/intro").select("#the-chapters tbody tr")]
    assert states == ["ready" if page.startswith("notebooks/") else "in preparation" for page in FIRST_PAGES]


def test_the_boxes_of_the_map_lead_to_the_chapters_or_to_the_papers(soups: Soups) -> None:
    (drawing,) = article(soups, "book/intro").select(".paper-map svg")
    links = {str(link["aria-label"]).partition(":")[0]: str(link["href"]) for link in drawing.select("a")}
    for chapter in CHAPTERS:
        ready = chapter.ready(PAGES)
        assert links[chapter.name] == (f"../{chapter.page(PAGES)}.html" if ready else chapter.paper)
        (box,) = drawing.select(f"rect[data-paper={chapter.slug}]")
        assert (box.get("stroke-dasharray") == "none") == ready, "a solid border means ready"
    assert len(links) == len(CHAPTERS)


def test_the_opening_page_begins_with_a_game_the_claims_and_three_doors(soups: Soups) -> None:
    page = article(soups, "book/intro")
    order = [page.select_one(f"{piece}") for piece in (".tutorlib-explorer", "table.matrix", ".doors", ".paper-map")]
    assert all(order)
    places = [list(page.descendants).index(piece) for piece in order]
    assert places == sorted(places)
    assert len(page.select(".doors li a")) == 3


# The heads of the chapters

VERDICT_OF = re.compile(r"\b(C\d+): ([a-z ]+)")


def head_of(soups: Soups, page: str) -> Tag:
    """Return what stands on a page before its first heading below the title."""
    head = BeautifulSoup(str(article(soups, page)), "html.parser")
    for section in head.select("section section"):
        section.decompose()
    return head


def test_every_page_of_a_chapter_links_its_paper_in_its_first_lines(soups: Soups) -> None:
    for chapter in CHAPTERS:
        for page in (name for name in PAGES if chapter.slug in name.split("/") and "api" not in name):
            first = head_of(soups, page)
            lines = [line for line in first.find_all("p") if line.get_text(strip=True)][:3]  # the first may be a badge
            assert any(link["href"] == chapter.paper for line in lines for link in line.find_all("a")), page


def test_a_chapter_begins_with_its_paper_and_what_was_found(soups: Soups) -> None:
    verdicts = {claim.id: judge(claim).verdict for claim in papers.claims()}
    for chapter in CHAPTERS:
        head = head_of(soups, chapter.page(PAGES))
        said = text(head)
        for words in (chapter.title, chapter.authors, chapter.venue):
            assert plain(words) in said, (chapter.slug, words)
        assert {link["href"] for link in head.select("a[href^='https://github.com']")} == set(chapter.code)
        found = VERDICT_OF.findall(said)
        if chapter.ready(PAGES):
            assert len(head.select("ul")[0].select("li")) == 3
            assert found
        else:
            assert "reports no result of ours yet" in said
        for number, verdict in found:
            assert verdicts[f"{chapter.slug}.{number}"] == verdict.strip(), f"{chapter.slug}: {number}"


# Times


PAPERS_OF_PAGES = [name for name in PAGES if name.startswith("notebooks/")]
UNITS = {"second": 1, "minute": 60}
COUNTS = {
    word: count
    for count, word in enumerate(["no", "a", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"])
}
TIME = re.compile(r"\babout (half a|[\d.]+|[a-z]+) (second|minute)s? to run\b")


def said_seconds(words: str) -> float:
    """Return how long a run takes according to a line such as "60 minutes to read; about half a minute to run"."""
    found = TIME.search(words)
    assert found, f"{words}: expected 'about ... seconds to run' or 'about ... minutes to run'"
    count, unit = found.groups()
    number = 0.5 if count == "half a" else float(COUNTS.get(count, count))
    return number * UNITS[unit]


@pytest.mark.parametrize("page", PAPERS_OF_PAGES)
def test_the_time_line_of_a_page_says_what_was_recorded(page: str) -> None:
    (line,) = re.findall(r"^\*\*Time\.\*\*.*?(?=\n\n)", (ROOT / f"{page}.md").read_text(), flags=re.M | re.S)
    status = json.loads((ROOT / "notebooks" / "status.json").read_text())["notebooks"]
    recorded = status[page.removeprefix("notebooks/")]["seconds"]
    assert 1 / 1.5 <= said_seconds(plain(line)) / recorded <= 1.5, f"{line}: recorded {recorded} s"


def test_times_in_words_are_read() -> None:
    assert said_seconds("20 minutes to read; about half a minute to run") == 30
    assert said_seconds("about 45 seconds to run on one CPU core") == 45
    assert said_seconds("about three minutes to run") == 180
    with pytest.raises(AssertionError, match="expected 'about"):
        said_seconds("under a minute to run")
