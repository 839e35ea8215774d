"""What search engines and other sites see of the pages, and the files that belong to the site and to no page."""

import subprocess
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup
from PIL import Image
from playwright.sync_api import Browser
from pybtex.database import parse_string
from soup import Soups
from toc import PAGES, ROOT
from tree import listed
from tutorlib_book.chapters import CHAPTERS
from tutorlib_book.citing import chapter_entry, dates, paper_entry
from visitor import Visitor

SITE: str = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["html"]["baseurl"]
NOTEBOOKS = [page for page in PAGES if page.startswith("notebooks/")]


def head(soups: Soups, page: str) -> dict[str, str]:
    """Return what the tags of a page's head say, by name."""
    tags = soups[page].select("head meta[property], head meta[name]")
    return {str(tag.get("property") or tag["name"]): str(tag["content"]) for tag in tags}


def test_the_address_of_the_site_stands_in_one_place() -> None:
    host = urlsplit(SITE).netloc
    assert SITE.endswith("/")
    names = [
        name
        for name in listed()
        if (ROOT / name).suffix in {".py", ".md", ".yml", ".toml", ".cff", ".js", ".ipynb", ".html", ".txt"}
        and host in (ROOT / name).read_text(encoding="utf-8")
    ]
    assert names == ["_config.yml"]


def test_every_page_says_what_it_is_about(soups: Soups) -> None:
    for page in PAGES:
        said = head(soups, page)
        about = said["description"]
        assert 40 <= len(about) <= 160, f"{page}: {about}"
        assert not set("\\$<>") & set(about), f"{page}: {about}"
        assert said["og:description"] == about
        assert said["og:title"]
        assert said["og:site_name"] == "Learning to learn"
        assert said["og:url"] == f"{SITE}{page}.html"
        canonical = soups[page].select("link[rel=canonical]")
        assert [link["href"] for link in canonical] == [f"{SITE}{page}.html"]
    twice = [about for about, n in Counter(head(soups, page)["description"] for page in PAGES).items() if n > 1]
    assert not twice


def test_every_chapter_has_a_picture_of_its_own(site: Path, soups: Soups) -> None:
    for chapter in CHAPTERS:
        said = head(soups, chapter.page(PAGES))
        assert said["og:image"] == f"{SITE}_static/cards/{chapter.slug}.png"
        assert chapter.title in said["og:image:alt"]
    pictures = {head(soups, page)["og:image"].removeprefix(SITE) for page in PAGES}
    assert len(pictures) == len(CHAPTERS) + 1
    seen = set()
    for name in pictures:
        with Image.open(site / name) as picture:
            assert picture.size == (1200, 630)
            seen.add(picture.tobytes())
        assert (site / name).stat().st_size < 100_000
    assert len(seen) == len(pictures)


def test_every_page_has_the_icon(site: Path, soups: Soups) -> None:
    for page in PAGES:
        (icon,) = soups[page].select("link[rel=icon]")
        assert (site / page).parent.joinpath(str(icon["href"])).resolve() == site / "_static" / "favicon.svg"


def test_the_site_has_a_map_of_its_pages_and_names_it(site: Path) -> None:
    root = ElementTree.parse(site / "sitemap.xml").getroot()
    found = [str(entry.text) for entry in root.iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")]
    assert sorted(found) == sorted(f"{SITE}{page}.html" for page in PAGES)
    assert f"Sitemap: {SITE}sitemap.xml" in (site / "robots.txt").read_text(encoding="utf-8").splitlines()


# Where an address leads nowhere


def test_the_page_for_lost_visitors_leads_back(site: Path) -> None:
    page = BeautifulSoup((site / "404.html").read_text(encoding="utf-8"), "html.parser")
    targets = [str(e.get("href") or e.get("action")) for e in page.select("a, link, form")]
    assert len(targets) == 5
    for target in targets:
        assert target.startswith(SITE)  # it is shown at any depth
        assert (site / target.removeprefix(SITE)).is_file(), target


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_for_lost_visitors_can_be_read_by_all(chromium: Browser, address: str, scheme: str) -> None:
    context = chromium.new_context(color_scheme=scheme, viewport={"width": 400, "height": 800})  # type: ignore[arg-type]
    context.route(f"{SITE}**", lambda route: route.fulfill(body=""))
    page = context.new_page()
    page.goto(f"{address}404.html")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert not Axe().run(page).response["violations"]
    context.close()


# Last changed, and how to cite


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=tests", "-c", "user.email=tests@localhost", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_the_day_of_the_last_change_is_said_where_git_knows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = tmp_path / "full"
    full.mkdir()
    git(full, "init", "--quiet")
    for day, names in (("2026-01-02", "ab"), ("2026-03-04", "b")):
        for name in names:
            (full / f"{name}.md").write_text(day)
        monkeypatch.setenv("GIT_COMMITTER_DATE", f"{day}T12:00:00Z")
        git(full, "add", "--all")
        git(full, "commit", "--quiet", "-m", day)
    assert dates(full) == {"a.md": "2026-01-02", "b.md": "2026-03-04"}
    git(tmp_path, "clone", "--quiet", "--depth", "1", full.as_uri(), "shallow")
    assert dates(tmp_path / "shallow") == {}  # which would give all files the last day
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "none"))
    assert dates(full) == {}
    monkeypatch.delenv("GIT_DIR")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert dates(full) == {}


def test_pages_say_when_they_were_changed(soups: Soups) -> None:
    known = dates(ROOT)
    for page in PAGES:
        said = soups[page].select(".last-updated")
        assert len(said) == (f"{page}.md" in known), page
        assert not said or "Last updated on 20" in said[0].get_text()


def test_chapters_say_how_to_cite_them(soups: Soups) -> None:
    references = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    for chapter in CHAPTERS:
        assert chapter.title in paper_entry(chapter, references)
    for page in PAGES:
        boxes = soups[page].select("details.cite")
        assert len(boxes) == (page in NOTEBOOKS), page
        if boxes:
            (chapter,) = (chapter for chapter in CHAPTERS if f"/{chapter.slug}/" in page)
            words = boxes[0].select("pre")[0].get_text()
            assert f"url       = {{{SITE}notebooks/{chapter.slug}/idea.html}}" in words
            assert words.rstrip().endswith(paper_entry(chapter, references))


def test_the_entry_of_a_chapter_is_bibtex() -> None:
    config = SimpleNamespace(author="The authors", html_title="A book", copyright="2026")
    entry = parse_string(chapter_entry(CHAPTERS[0], "https://here/", config), "bibtex").entries["tutorlib-vsml"]
    assert entry.fields["year"] == "2026"
    assert entry.fields["booktitle"] == "A book"
    assert [str(person) for person in entry.persons["author"]] == ["{The authors}"]  # one name, not a first and a last


@pytest.mark.browser
def test_a_click_copies_the_entry(visitor: Visitor) -> None:
    page = visitor.visit("light", f"{NOTEBOOKS[0]}.html")
    page.evaluate("""() => { Object.defineProperty(navigator, "clipboard", { configurable: true, value: {
      writeText: async words => { document.body.dataset.copied = words } } }) }""")
    page.locator("details.cite summary").click()
    button = page.locator("[data-copy]")
    button.click()
    page.wait_for_selector("[data-copy]:has-text('Copied')")
    assert page.get_attribute("body", "data-copied") == page.locator("#bibtex").text_content()
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { configurable: true, value: undefined })")
    page.wait_for_selector("[data-copy]:has-text('Copy BibTeX')")
    button.click()
    page.wait_for_selector("[data-copy]:has-text('Marked')")
    assert page.evaluate("getSelection().toString()").startswith("@incollection")
