"""What a reader meets on the pages of notebooks: words for pictures, tables for results, exercises that help."""

import ast
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping

import pytest
import yaml
from bs4 import BeautifulSoup
from toc import PAGES, ROOT

Soups = Mapping[str, BeautifulSoup]

NOTEBOOKS = [page for page in PAGES if page.startswith("notebooks/")]
WIDTH = 76
LINES = 3
LEVELS = ("easy", "medium", "hard")


def code_cells(page: str) -> list[dict]:
    """Return the code cells of a stored notebook."""
    cells = json.loads((ROOT / f"{page}.ipynb").read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_every_picture_has_words_that_say_what_to_see(soups: Soups, page: str) -> None:
    alts = []
    for image in soups[page].select("article .cell_output img, article figure img"):
        if "in-the-dark" in (image.get("class") or ()):
            continue  # the twin says the same
        alt = str(image.get("alt", "")).strip()
        assert not re.fullmatch(r"[\w./-]*[0-9a-f]{12,}[\w./-]*", alt), f"{page}: {alt}"
        assert 40 <= len(alt) <= 600, f"{page}: {image.get('src')}: {alt!r}"
        assert "$" not in alt, f"{page}: {alt}"
        assert "\\" not in alt, f"{page}: {alt}"
        alts.append(alt)
    assert len(set(alts)) == len(alts), f"{page}: two pictures with the same words"


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_words_on_pictures_are_true_in_the_light_and_in_the_dark(page: str) -> None:
    """Black ink is light in the dark, and a white ground is black: neither caption nor alt text speaks of them."""
    text = (ROOT / f"{page}.md").read_text(encoding="utf-8")
    headers = [
        yaml.safe_load(header).get("mystnb", {})
        for header in re.findall(r"^```\{code-cell\}[^\n]*\n---\n(.*?)^---$", text, re.M | re.S)
    ]
    words = [str(own.get(kind, {})) for own in headers for kind in ("figure", "image")]
    words += re.findall(r"^:alt: .*$|^```\{figure\}.*?^```$", text, re.M | re.S)
    assert [found for said in words for found in re.findall(r".{30}\b(?:black|white)\b.{30}", said, re.I | re.S)] == []


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_printed_results_are_short_and_longer_ones_are_tables(page: str) -> None:
    for cell in code_cells(page):
        for output in cell["outputs"]:
            lines = [line for line in "".join(output.get("text", "")).splitlines() if not line.startswith("PASS:")]
            if is_code("\n".join(lines)):
                continue
            assert len(lines) <= LINES, f"{page}: {lines}"
            assert max(map(len, lines), default=0) <= WIDTH, f"{page}: {lines}"


PREVIEWS = [page for page in PAGES if page.startswith("book/previews/")]
DRAWN = ["notebooks/rcgvf/idea", "notebooks/mbrl/method", *PREVIEWS]
PHONE = 350  # pixels of a drawing on a page of 400
LEAST = 9


def drawings(page: str) -> list[str]:
    """Return the drawings that the text of a page names."""
    return re.findall(r"^```\{figure\} (\S+\.svg)$", (ROOT / f"{page}.md").read_text(encoding="utf-8"), re.M)


@pytest.mark.parametrize("page", DRAWN)
def test_an_idea_is_drawn_before_its_formula(soups: Soups, page: str) -> None:
    shown = [image for image in soups[page].select("article figure > img") if str(image["src"]).endswith(".svg")]
    assert len(shown) == len(drawings(page)) > 0
    for image in shown:
        assert 40 <= len(str(image["alt"])) <= 600, f"{page}: {image['alt']}"
        figure, section = image.find_parent("figure"), image.find_parent("section")
        assert figure is not None
        assert section is not None
        assert figure.select_one("figcaption")
        before = [formula for formula in figure.find_all_previous("div", class_="math") if section in formula.parents]
        assert not before, f"{page}: a formula stands before {image['src']}"


@pytest.mark.parametrize("page", [page for page in PAGES if drawings(page)])
def test_a_drawing_is_read_on_a_phone_and_on_any_ground(page: str) -> None:
    for name in drawings(page):
        drawing = ET.parse((ROOT / page).parent / name).getroot()
        spaces = {"s": "http://www.w3.org/2000/svg"}
        wide, high = map(float, drawing.attrib["viewBox"].split()[2:])
        for text in drawing.iterfind(".//s:text", spaces):
            assert float(text.attrib["font-size"]) * PHONE / wide >= LEAST, f"{name}: {''.join(text.itertext())}"
        ground = drawing.find("s:rect", spaces)
        assert ground is not None
        assert float(ground.attrib["width"]) >= wide - 2
        assert float(ground.attrib["height"]) >= high - 2
        assert drawing.find("s:title", spaces) is not None


def is_code(text: str) -> bool:
    """Return whether a printed text is Python that defines something, as ``inspect.getsource`` gives it."""
    try:
        body = ast.parse(text).body
    except SyntaxError:
        return False
    return any(isinstance(statement, ast.FunctionDef | ast.ClassDef) for statement in body)


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_no_line_of_code_is_wider_than_a_page(page: str) -> None:
    for cell in code_cells(page):
        for line in "".join(cell["source"]).splitlines():
            assert len(line) <= WIDTH, f"{page}: {line}"


@pytest.mark.parametrize("page", [page for page in NOTEBOOKS if page.endswith("/results")])
def test_the_judged_claims_are_a_table_with_badges(soups: Soups, page: str) -> None:
    (board,) = soups[page].select("table.verdicts")
    assert board.select("tbody")
    for body in board.select("tbody"):
        badge = body.select_one(".verdict")
        assert badge is not None
        assert badge["class"][1] == f"verdict-{badge.get_text().replace(' ', '-')}"


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_exercises_have_a_level_a_hint_and_a_solution_in_words(soups: Soups, page: str) -> None:
    (heading,) = [h for h in soups[page].select("article h2") if h.get_text().startswith("Exercises")]
    section = heading.find_parent("section")
    assert section is not None
    starts = [p for p in section.select("p") if re.match(r"\d+\. ", p.get_text())]
    assert 3 <= len(starts) <= 8, page
    for number, start in enumerate(starts, 1):
        said = start.get_text()
        assert said.startswith(f"{number}. "), f"{page}: {said}"
        assert any(f"({level})" in said for level in LEVELS), f"{page}: {said}"
    for kind, name in (("hint", "Hint"), ("solution", "Solution")):
        folds = section.select(f"details.{kind}")
        assert len(folds) == len(starts), f"{page}: {kind}"
        for fold in folds:
            assert not fold.has_attr("open")
            assert fold.summary is not None
            assert fold.summary.get_text() == name
            assert len(fold.get_text().split()) >= 5, f"{page}: {fold}"


TEXTS = [page for page in PAGES if not page.startswith("book/api/")]
FAULTS = {
    "a word twice": re.compile(r"\b([A-Za-z]{2,}) \1\b"),
    "TeX": re.compile(r"\$\S|\\[a-zA-Z(]|\w\^"),
    "a zero with a sign": re.compile(r"(?<![\w.)\]-])[-−]0(\.0+)?(?![\d.\w])"),
}


def faults(said: str) -> list[str]:
    """Return what is wrong with a text that a reader sees, each with the words around it."""
    found = [(kind, match) for kind, pattern in FAULTS.items() for match in pattern.finditer(said)]
    return [f"{kind}: {said[max(0, match.start() - 30) : match.end() + 20]}" for kind, match in found]


@pytest.mark.parametrize("page", TEXTS)
def test_sentences_and_tables_have_words_and_numbers_that_are_in_order(soups: Soups, page: str) -> None:
    article = soups[page].select_one("article.bd-article")
    assert article
    apart = article.select("pre, code, .math, details.cite, details.checks, .tutorlib-explorer")
    left_out = {id(string) for part in apart for string in part.find_all(string=True)}
    for text in article.select("p, figcaption, li, td, th, dd"):
        strings = ["…" if id(string) in left_out else string for string in text.find_all(string=True)]
        assert not faults(" ".join(" ".join(strings).split())), page


@pytest.mark.parametrize("said", ["it is is 1", "near $10^{-3}$", r"the \gamma of", "2^13 tasks", "-0.000 [−0.0, 0.1]"])
def test_words_and_numbers_out_of_order_are_found(said: str) -> None:
    assert faults(said)
    assert not faults("The mean, 0.0, lies in [−0.1, 1.0]; a 0-0 draw, x-0 and 1e-05: that is, is it not?")
