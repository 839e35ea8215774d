"""The built pages as files: their links, their buttons, and the tables that are made from records."""

import json
import pickle
import re
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup, Tag
from docutils import nodes
from soup import Soups, article, plain, text
from toc import PAGES, REPOSITORY, ROOT
from tutorlib_book.chapters import CHAPTERS

from tutorlib import papers
from tutorlib.lab import Claim, Evidence, Record, Terms, coverage, judge
from tutorlib.lab.records import load_published, publish
from tutorlib.lab.verdicts import CONTRADICTED, HOLDS, UNTESTED, VERDICTS, exceeds
from tutorlib.show.explorer import classic, module_name, to_json, twin

COLAB = REPOSITORY.replace("https://github.com", "https://colab.research.google.com/github")


def references(soup: BeautifulSoup) -> Iterator[tuple[Tag, str]]:
    """Yield every element of a page that names another file, with the name."""
    for attribute in ("href", "src"):
        for element in soup.find_all(attrs={attribute: True}):
            yield element, element[attribute]


# Links


def test_links_within_the_book_lead_somewhere(site: Path, soups: Soups) -> None:
    anchors = {
        page: {e[key] for key in ("id", "name") for e in soup.find_all(attrs={key: True})}
        for page, soup in soups.items()
    }
    dead = []
    for page, soup in soups.items():
        for _, link in references(soup):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (site / page).parent / unquote(parts.path) if parts.path else site / f"{page}.html"
            name = target.resolve().relative_to(site.resolve()).as_posix() if target.is_file() else None
            if name is None or (
                parts.fragment and unquote(parts.fragment) not in anchors.get(name.removesuffix(".html"), ())
            ):
                dead.append(f"{page}: {link}")
    assert not dead, "\n".join(dead)


def test_every_page_of_the_contents_is_reached_from_the_first(site: Path, soups: Soups) -> None:
    redirect = soups["index"].select_one("meta[http-equiv=Refresh]")
    assert redirect
    start = str(redirect["content"]).partition("url=")[2].removesuffix(".html")
    assert start == PAGES[0]
    reached, ahead = set(), [start]
    while ahead:
        page = ahead.pop()
        if page in reached or page not in soups:
            continue
        reached.add(page)
        for link in article(soups, page).select("a.internal[href]") + soups[page].select("nav a[href]"):
            target = ((site / page).parent / urlsplit(str(link["href"])).path).resolve()
            if target.suffix == ".html":
                ahead.append(target.relative_to(site.resolve()).as_posix().removesuffix(".html"))
    assert set(PAGES) <= reached, set(PAGES) - reached


def test_images_have_words_and_pages_one_heading(soups: Soups) -> None:
    for page in PAGES:
        silent = [str(image) for image in soups[page].find_all("img") if not image.get("alt")]
        assert not silent, f"{page}: {silent}"
        headings = [h for h in soups[page].find_all("h1") if not h.find_parent(class_="onlyprint")]
        assert len(headings) == 1, f"{page}: {headings}"


def test_no_page_names_a_folder_of_the_machine_that_built_it(site: Path) -> None:
    for path in [*site.rglob("*.html"), *site.rglob("searchindex.js"), *site.rglob("*.ipynb")]:
        found = [folder for folder in (str(ROOT), sys.prefix) if folder in path.read_text()]
        assert not found, path


# Scripts


DATA_TYPES = ("application/json",)


def test_no_page_holds_a_script(soups: Soups) -> None:
    """So that a site can forbid scripts in pages; visitor.py serves this one so."""
    for page, soup in soups.items():
        inline = [e for e in soup.find_all("script") if not e.get("src") and e.get("type") not in DATA_TYPES]
        assert not inline, f"{page}: {inline}"
        attributes = [(e.name, name) for e in soup.find_all(True) for name in e.attrs if name.startswith("on")]
        assert not attributes, f"{page}: {attributes}"
        links = [link for _, link in references(soup) if link.startswith("javascript:")]
        assert not links, f"{page}: {links}"


def test_explorers_of_one_kind_share_a_file_and_none_is_left_over(site: Path, soups: Soups) -> None:
    loaded = Counter(
        Path(str(element["src"])).name
        for soup in soups.values()
        for element in soup.select('script[src*="_static/inline/"]')
    )
    assert {path.name for path in (site / "_static" / "inline").iterdir()} == set(loaded)
    kinds = [name for name in loaded if name.startswith("explorer-")]
    data = [name for name in loaded if name.startswith("data-")]
    assert len(data) >= 8
    assert len(kinds) < len(data)


MODULE = "\nexport default { render };"


def test_a_twin_on_a_page_becomes_two_files() -> None:
    from tutorlib_book.scripts import without_scripts

    html = twin(MODULE, to_json({"a": "</script>", "b": [1, None]}), "A label")
    page, files = without_scripts(f"<p>before</p>\n{html}<p>between</p>\n{html}<p>after</p>", "../_static/inline")
    assert "<style" not in page
    assert page.count("A label (Interactive figure") == 2
    (kind, data) = sorted(files, reverse=True)
    tags = [f'<script defer src="../_static/inline/{name}"></script>' for name in (kind, data)]
    assert re.findall("<script.*", page) == tags  # in this order, and once for both boxes
    assert files[kind] == classic(MODULE).strip() + "\n"
    (key,) = set(re.findall(r'data-explorer="(\w+)"', page))
    state = '{"label":"A label","data":{"a":"\\u003c/script>","b":[1,null]},"selection":{}}'
    assert files[data] == f'tutorlibExplorers["{module_name(MODULE)}"]("{key}", {state});\n'


def test_scripts_and_presses_of_a_page_go_to_files_and_data_stays() -> None:
    from tutorlib_book.scripts import without_scripts

    page = (
        '<script data-x="1" defer="defer">\nlet a = 1;\n</script><script src="a.js"></script>'
        '<script type="application/json">{}</script><code>&lt;script&gt;</code>'
        '<button class="b" onclick="window.print()" title="t">Print</button>'
    )
    after, files = without_scripts(page, "f")
    assert list(files.values()) == ["let a = 1;\n"]
    (name,) = files
    assert after == (
        f'<script data-x="1" src="f/{name}"></script><script src="a.js"></script>'
        '<script type="application/json">{}</script><code>&lt;script&gt;</code>'
        '<button class="b" data-press="print" title="t">Print</button>'
    )
    assert without_scripts(after, "f") == (after, {})


# Addresses


def test_configuration_names_the_repository_of_the_package() -> None:
    assert yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"] == REPOSITORY


@pytest.mark.parametrize("page", PAGES)
def test_buttons_lead_to_the_files_that_the_page_is_made_from(soups: Soups, page: str) -> None:
    buttons = soups[page].select(".article-header-buttons a[href^=http]")
    links = {text(button) or str(button["href"]): str(button["href"]) for button in buttons}
    edit = f"{REPOSITORY}/edit/main/"
    expected = {
        "Repository": REPOSITORY,
        "Open issue": f"{REPOSITORY}/issues/new",
        "Suggest edit": f"{edit}{page}.md",  # of a notebook too: people edit the text of the pair
    }
    if page.startswith("notebooks/"):
        expected["Colab"] = f"{COLAB}/blob/main/{page}.ipynb"
    assert {name: link.partition("?")[0] for name, link in links.items()} == expected
    assert (ROOT / f"{page}.md").is_file()


def test_links_to_the_repository_and_to_colab_name_files_that_exist(soups: Soups) -> None:
    for page, soup in soups.items():
        for _, link in references(soup):
            if urlsplit(link).netloc == "colab.research.google.com":
                assert link.startswith(COLAB + "/"), f"{page}: {link}"
            for kind in (f"{COLAB}/blob/main/", f"{REPOSITORY}/blob/main/", f"{REPOSITORY}/edit/main/"):
                if link.startswith(kind):
                    file = ROOT / unquote(urlsplit(link).path.partition("/main/")[2])
                    assert file.is_file(), f"{page}: {link}"
                    if kind.startswith(COLAB):
                        assert json.loads(file.read_text())["nbformat"] == 4


# Scoreboard


def shown(claim: Claim, evidence: Evidence) -> str:
    """Return what the line of a claim says, open, apart from how it breaks lines."""
    number = f"{evidence.interval}, {evidence.interval.sample} " if evidence.interval else ""
    said = [claim.id.partition(".")[2], evidence.verdict, number + claim.sentence]
    parts = [f"{name}: {part}" for name, part in evidence.parts.items()] if len(evidence.parts) > 1 else []
    said += ["Measured", evidence.detail, *parts] if evidence.detail or parts else []
    said += ["Against it", *evidence.against] if evidence.against else []
    if claim.terms and evidence.parts:
        seeds = claim.terms.seeds
        assert seeds == tuple(range(len(seeds)))
        tuning = {(): "", (1000, 1001): "; 1000, 1001 for tuning"}[claim.terms.tuning]
        said += ["Seeds", f"0 to {len(seeds) - 1}{tuning}"]
        said += ["Conditions", *claim.terms.conditions] if claim.terms.conditions else []
        said += [f"Changed since {claim.terms.fixed}"] if claim.terms.changes else []
        for (date, reason), changes in groupby(claim.terms.changes, lambda change: (change.date, change.reason)):
            said.append(f"{date}, {'; '.join(change.part for change in changes)}: {reason}")
    said += ["Scale", claim.scale, *(["Budget", claim.budget] if claim.budget else [])]
    return plain(" ".join([*said, "The paper reports", claim.reported]))


def test_scoreboard_shows_every_claim_as_the_records_judge_it(soups: Soups) -> None:
    board = article(soups, "book/scoreboard")
    judged = [(claim, judge(claim)) for claim in papers.claims()]
    lines = {str(line["id"]): text(line) for line in board.select("details.claim")}
    assert lines == {f"claim-{claim.id.replace('.', '-')}": shown(claim, evidence) for claim, evidence in judged}
    assert not board.select("details[open]")
    totals: Counter[str] = Counter()  # each chapter has counts of its own
    for n, verdict in re.findall(r"(\d+) × ([a-z ]+)", " ".join(map(text, board.select("p.tally")))):
        totals[verdict] += int(n)
    assert totals == Counter(evidence.verdict for _, evidence in judged)


MATRICES = ("book/intro", "book/scoreboard")


@pytest.mark.parametrize("page", MATRICES)
def test_the_matrix_has_one_mark_for_each_claim_that_leads_to_its_line(site: Path, soups: Soups, page: str) -> None:
    judged = {claim.id: judge(claim).verdict for claim in papers.claims()}
    (matrix,) = article(soups, page).select("table.matrix")
    marks = {str(mark["aria-label"]): mark for mark in matrix.select("a.mark")}
    assert set(marks) == {f"{name.replace('.', ' ')}: {verdict}" for name, verdict in judged.items()}
    for words, mark in marks.items():
        place, _, line = str(mark["href"]).partition("#")
        assert line == "claim-" + words.partition(":")[0].replace(" ", "-")
        assert not place or ((site / page).parent / place) == site / "book" / "scoreboard.html"
        assert place or page == "book/scoreboard"
        verdict = words.partition(": ")[2]
        assert mark["class"] == ["mark", "verdict-" + verdict.replace(" ", "-")]
        assert text(mark) == SIGNS[verdict]
    heads = [text(head) for head in matrix.select("thead th")]
    assert heads == ["Paper", *(f"C{i}" for i in range(1, len(heads)))]
    ids = [row.select("a.mark")[0]["aria-label"].split()[0] for row in matrix.select("tbody tr") if row.select(".mark")]
    assert ids == list(papers.PAPERS)
    empty = [text(row) for row in matrix.select("tbody tr") if not row.select(".mark")]
    assert len(empty) == 10 - len(papers.PAPERS)
    assert all(row.endswith("in preparation") for row in empty)


SIGNS = {"holds": "✓", "in part": "◐", "inconclusive": "?", "not tested here": "–"}
SIGNS |= {"contradicted in part": "◔", "contradicted": "✗"}


def test_every_verdict_has_a_sign_of_its_own_which_its_badge_shows_too() -> None:
    from tutorlib_book import tables

    assert {**SIGNS, "passed": "✓", "failed": "✗"} == tables.SIGNS
    assert set(VERDICTS) == set(SIGNS)
    assert len(set(SIGNS.values())) == len(SIGNS)
    style = (Path(tables.__file__).parent / "static" / "tutorlib.css").read_text(encoding="utf-8")
    for word, sign in tables.SIGNS.items():
        rule = next(line for line in style.splitlines() if f".{tables.word_class(word)}" in line and "--sign" in line)
        assert f'--sign: "{sign}"' in rule


def test_a_changed_record_changes_the_scoreboard(tmp_path: Path) -> None:
    from tutorlib_book.board import line

    path = tmp_path / "records.json"
    records = [
        Record("gpicl.x", "study", {}, seed, {"accuracy": 0.8 + 0.01 * seed}, 1.0, {"device": "CPU"})
        for seed in range(5)
    ]

    def check() -> Evidence:
        accuracies = [record.metrics["accuracy"] for record in load_published(path)]
        return Evidence({"it learns": exceeds(accuracies, 0.5)}, detail="Here.")

    def written() -> tuple[str, str]:
        claim = Claim("gpicl.C0", "It learns.", "unknown", check, Terms("2026-11-30", {"it learns": 0.5}))
        head = line(claim, judge(claim))[0]
        (verdict,) = (node.astext() for node in head.findall(nodes.inline) if "verdict" in node["classes"])
        return verdict, "".join(node.astext() for node in head.findall(nodes.inline) if "number" in node["classes"])

    publish(records, path)
    verdict, measured = written()
    assert verdict == HOLDS
    assert re.fullmatch(r"0\.820 \[0\.8\d+, 0\.8\d+\], 5 seeds", measured)
    path.write_text(path.read_text().replace('"accuracy":0.8', '"accuracy":0.1'))
    verdict, measured = written()
    assert verdict == CONTRADICTED
    assert re.fullmatch(r"0\.120 \[0\.1\d+, 0\.1\d+\], 5 seeds", measured)
    publish(records[:4], path)
    assert written()[0] == UNTESTED


def test_the_page_on_judging_shows_the_coverage_that_the_library_computes(soups: Soups) -> None:
    rows = [
        [text(cell) for cell in row.find_all(["th", "td"])]
        for row in article(soups, "book/judging").select("table.coverage tbody tr")
    ]
    expected = [[coverage.coverage(law, n) for n in coverage.SIZES] for law in coverage.LAWS]
    expected.append([coverage.least_coverage(n) for n in coverage.SIZES])
    assert [row[1:] for row in rows] == [[f"{100 * share:.1f} %" for share in own] for own in expected]
    assert "keep about 88 %" in text(article(soups, "book/judging"))


def test_pages_made_from_records_are_made_anew_at_each_build(site: Path) -> None:
    with (site.parent / ".doctrees" / "environment.pickle").open("rb") as file:
        environment = pickle.load(file)
    assert {"book/scoreboard", "book/status"} <= environment.reread_always


# Status of the notebooks


def time_of(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 99.5 else f"{seconds / 60:.1f} min"


def test_status_page_shows_the_last_execution(soups: Soups) -> None:
    status = json.loads((ROOT / "notebooks" / "status.json").read_text())
    page = article(soups, "book/status")
    rows = {
        str(row.find("a")["href"]).removeprefix("../notebooks/").removesuffix(".html"): [
            text(cell) for cell in row.find_all("td")
        ]
        for row in page.select("details tbody tr")
    }
    assert rows == {
        name: [
            time_of(entry["seconds"]),
            str(entry["cells"]),
            str(entry["checked"]),
            "passed" if entry["passed"] else "failed",
        ]
        for name, entry in status["notebooks"].items()
    }
    assert {mark["aria-label"] for mark in page.select("a.mark")} == {
        f"{name.replace('/', ' ')}: {'passed' if entry['passed'] else 'failed'}, {time_of(entry['seconds'])}"
        for name, entry in status["notebooks"].items()
    }
    assert {f"notebooks/{name}" for name in status["notebooks"]} == {p for p in PAGES if p.startswith("notebooks/")}
    said = text(page)
    assert said.count("in preparation") == sum(not chapter.ready(PAGES) for chapter in CHAPTERS)
    assert status["device"] in said
    assert f"Python {status['python']}" in said
    for package, version in status["packages"].items():
        assert f"{package} {version}" in said


# API pages


def test_shapes_are_readable_in_signatures(soups: Soups) -> None:
    signatures = [re.sub(r"\s+", "", line.get_text()) for line in article(soups, "book/api/gpicl").select("dt.sig")]
    assert any(
        "tokens(x:Float[Tensor,'batchtimeinputs'],y:Int[Tensor,'batchtime'],classes:int,)"
        "→Float[Tensor,'batchtimefeatures']" in line
        for line in signatures
    )


def test_every_public_module_of_the_shared_library_has_its_place_in_the_api_pages(soups: Soups) -> None:
    documented = {
        element["id"].removeprefix("module-")
        for page in PAGES
        if page.startswith("book/api/")
        for element in soups[page].select("span[id^=module-], section[id^=module-]")
    }
    source = ROOT / "src"
    modules = {
        ".".join(path.relative_to(source).with_suffix("").parts)
        for path in source.glob("tutorlib/*/**/*.py")
        if not path.name.startswith("_")
    }
    assert modules <= documented, sorted(modules - documented)
