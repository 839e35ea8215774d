"""What stands in several places says the same: addresses, versions, requirements, files that a page names."""

import ast
import re
import sys
import types
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from tree import PROJECT, ROOT, listed, pins

from tutorlib.lab import errors, run_sweep

REPOSITORY = PROJECT["urls"]["Repository"]
EXTRAS = PROJECT["optional-dependencies"]
REQUIREMENTS = [Requirement(text) for group in (PROJECT["dependencies"], *EXTRAS.values()) for text in group]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


OURS = listed()


def texts() -> dict[str, str]:
    """Return every text file that is tracked, or would be."""
    found = {}
    for name in OURS:
        content = (ROOT / name).read_bytes()
        if b"\0" not in content:
            found[name] = content.decode("utf-8")
    return found


# The repository's address.


def test_every_address_of_the_repository_is_the_one_in_pyproject() -> None:
    owner_and_name = REPOSITORY.removeprefix("https://github.com/")
    name = owner_and_name.split("/")[1]
    pattern = re.compile(rf"github(?:\.com|usercontent\.com)?/+([\w.-]+/{name})\b(?!\.)", re.I)
    found = [(file, match) for file, text in texts().items() for match in pattern.findall(text)]
    assert [(file, match) for file, match in found if match != owner_and_name] == []
    assert {"README.md", "CITATION.cff", "_config.yml", "pyproject.toml"} <= {file for file, _ in found}
    notebooks = {file for file in OURS if file.endswith(".ipynb")}
    assert notebooks
    assert notebooks <= {file for file, _ in found}


def test_the_files_that_programs_read_name_the_repository() -> None:
    assert yaml.safe_load(read("CITATION.cff"))["repository-code"] == REPOSITORY
    assert yaml.safe_load(read("_config.yml"))["repository"]["url"] == REPOSITORY


def test_every_colab_link_leads_to_a_notebook_that_is_there() -> None:
    prefix = f"https://colab.research.google.com/github/{REPOSITORY.removeprefix('https://github.com/')}/blob/main/"
    for file, text in texts().items():
        for link in re.findall(r"https://colab\.research\.google\.com/github/[^\s)\"'<>\\]+", text):
            if "{" in link or "tests/" in file:  # made from the parts that this test compares
                continue
            assert link.startswith(prefix), f"{file}: {link}"
            nbformat.validate(nbformat.read(ROOT / link.removeprefix(prefix), as_version=4))


# Versions and requirements.


def test_the_citation_agrees_with_the_package() -> None:
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["version"] == PROJECT["version"]
    assert citation["title"] == yaml.safe_load(read("_config.yml"))["title"]
    assert f'"{citation["title"]}"' in read("LICENSE-text")
    assert [author["name"] for author in citation["authors"]] == [a["name"] for a in PROJECT["authors"]]
    assert citation["license"][0] == PROJECT["license"]
    for name in PROJECT["license-files"]:
        assert "The tutorlib authors" in read(name)


def test_constraints_hold_names_and_versions_only() -> None:
    lines = [line for line in read("constraints.txt").splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9][\w.-]*==\d[0-9A-Za-z.]*", line)] == []
    assert len(pins()) == len(lines), "a name is there twice"


def test_constraints_cover_every_requirement_with_a_version_that_it_allows() -> None:
    for requirement in REQUIREMENTS:
        pin = pins().get(canonicalize_name(requirement.name))
        assert pin, f"{requirement.name} is not in constraints.txt"
        assert requirement.specifier.contains(pin), f"{requirement} does not allow {pin}"


def test_the_library_asks_for_lower_bounds_only() -> None:
    """An upper bound in a requirement breaks notebooks when Colab moves on."""
    for requirement in map(Requirement, PROJECT["dependencies"]):
        assert {specifier.operator for specifier in requirement.specifier} == {">="}, str(requirement)
    assert PROJECT["requires-python"] == ">=3.11"


def test_the_environment_for_conda_lists_every_requirement_with_its_pin() -> None:
    python, pip, lines = yaml.safe_load(read("environment.yml"))["dependencies"]
    assert pip == "pip"
    assert SpecifierSet(PROJECT["requires-python"]).contains(python.removeprefix("python="))
    options, requirements = lines["pip"][:2], [Requirement(line) for line in lines["pip"][2:]]
    assert options == ["-c constraints.txt", "-e ."]
    named = {(canonicalize_name(r.name), frozenset(r.extras)): str(r.specifier) for r in requirements}
    assert named == {
        (canonicalize_name(r.name), frozenset(r.extras)): f"=={pins()[canonicalize_name(r.name)]}" for r in REQUIREMENTS
    }
    assert len(named) == len(requirements)


def test_until_the_first_release_what_installs_the_package_names_the_repository() -> None:
    """A release has a date in the citation, and its name is on the index."""
    released = "date-released" in yaml.safe_load(read("CITATION.cff"))
    assert ("" if released else f"git+{REPOSITORY}") == errors.SOURCE
    wanted = "tutorlib[cluster]" if released else f"tutorlib[cluster] @ git+{REPOSITORY}"
    assert errors.install_line("cluster") == f"pip install '{wanted}'"
    assert Requirement(wanted).extras == {"cluster"}
    for name, text in texts().items():
        if not released and not name.startswith("tests/"):
            assert not re.search(r"pip install (-\S+ )*['\"]?tutorlib(\[\w+\])?['\"]?\s*$", text, re.M), name


def test_make_installs_the_package_with_all_extras_and_tells_pip_nothing_else() -> None:
    command, mutants = re.findall(r"pip install (.*)", read("Makefile"))
    assert command == f"-c constraints.txt -e '.[{','.join(EXTRAS)}]'"
    assert mutants == "-q -c constraints.txt cosmic-ray"
    assert "cosmic-ray" in pins()


@pytest.mark.parametrize("page", ["README.md"])
def test_the_commands_without_make_are_those_of_make(page: str) -> None:
    builds = re.findall(r"jupyter-book build (.*)", read(page))
    installs = re.findall(r"pip install (-c .*)", read(page))
    assert len(builds) == len(installs) == 2
    assert all(re.search(rf"jupyter-book build {re.escape(line)} ", read("Makefile")) for line in builds)
    assert set(installs) == {'-c constraints.txt -e ".[book]"'}


@pytest.mark.parametrize("page", ["README.md", "book/guide.md"])
def test_a_page_that_says_what_is_needed_names_macs_that_have_no_torch(page: str) -> None:
    (bound,) = [r.specifier for r in REQUIREMENTS if r.name == "torch"]
    assert f"torch {str(bound).removeprefix('>=')}, which the library asks for" in " ".join(read(page).split())


# Files.


def named_files(text: str) -> set[str]:
    """Return the files that a page names: the targets of its relative links, and what its tables show as a path."""
    links = re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", text)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    shown = [name for row in rows for name in re.findall(r"`([\w./*-]+)`", row)]
    suffixes = (".py", ".md", ".yml", ".toml", ".txt", ".cff", ".json", ".ipynb", ".svg", ".png")
    return {*links, *(name for name in shown if "/" in name.strip("/") or name.endswith(suffixes))}


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "benchmarks/README.md"])
def test_every_file_that_a_page_names_is_there(page: str) -> None:
    folder = (ROOT / page).parent
    for name in named_files(read(page)):
        assert any(list(place.glob(name)) for place in (folder, ROOT)), f"{page}: {name}"


def test_the_readme_links_every_chapter_and_the_licences() -> None:
    found = named_files(read("README.md"))
    assert {"LICENSE", "LICENSE-text", "CITATION.cff", "CONTRIBUTING.md"} <= found
    chapters = {path.parent.name for path in ROOT.glob("notebooks/*/*.md")}
    assert chapters <= {name.split("/")[1] for name in found if name.startswith("notebooks/")}
    assert {f"book/previews/{path.name}" for path in ROOT.glob("book/previews/*.md")} <= found


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "book/guide.md"])
def test_every_make_target_that_a_page_names_exists(page: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", read("Makefile"), re.M))
    named = set(re.findall(r"(?:`|^)make ([a-z]+)", read(page), re.M))
    assert named
    assert named <= targets


def test_nothing_is_tracked_that_git_is_told_to_ignore() -> None:
    assert listed("--cached", "--ignored", "--exclude-standard") == []


FOREIGN = {
    "a path of one machine": r"(?<![\w.])/(?:wor[k]|roo[t]|hom[e]|User[s]|mn[t]|op[t]|sr[v]|dat[a])/[\w.-]+",
    "the host of a package registry": r"pyp[i]\.org|pythonhoste[d]\.org|download\.pytorc[h]\.org|anacond[a]\.org"
    r"|artifactor[y]|nexu[s]\.|devp[i]\.|index-ur[l]|find-link[s]|trusted-hos[t]",
    "an address in a private network": r"\b(?:10\.\d+|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.\d+\.\d+\b",
}


def test_no_file_knows_a_machine_or_a_registry() -> None:
    for name, text in texts().items():
        for what, pattern in FOREIGN.items():
            assert not (found := re.search(pattern, text)), f"{name}: {what}: {found[0]!r}"


# Names.

VAGUE = {"earned", "felt", "found", "held", "least", "luck", "own", "taken_in", "told", "worth"}
"""could stand for anything: whoever reads one must look up what it holds"""


def test_no_name_outside_the_tests_could_stand_for_anything() -> None:
    """Neither a variable, an argument, an attribute or a keyword, nor a function, a class or what is imported."""
    vague = [
        f"{name}:{node.lineno}: {word}"
        for name in OURS
        if re.fullmatch(r"(?:src/tutorlib|benchmarks|book|notebooks)/.*\.py", name)
        for node in ast.walk(ast.parse(read(name)))
        for word in (getattr(node, field, None) for field in ("id", "arg", "attr", "name", "asname", "rest"))
        if isinstance(word, str) and word in VAGUE
    ]
    assert vague == []


# References. A number of a section or step is the paper's own, and says so; what is derived here has an anchor.

CHAPTERS = "|".join(sorted({path.parent.name for path in ROOT.glob("notebooks/*/*.md")}))

LEADS_NOWHERE = {
    "a section of no named text": r"(?<!the paper's )\b(?:[Ss]ections?|§)\s*\d[\w.]*(?! of the paper)",
    "a step of no named text": r"\b[Ss]teps?\s+\d+\s+of\s+the\s+(?:algorithm|derivation)",
    "a number that nothing bears": r"(?<=[a-z]) \([1-9]\.\d(?: to \d\.\d)?(?: of the [a-z]+)?\)"
    r"|\b[a-z]+s of [1-9]\.\d (?:its|the|their)\b",
    "a text that is not here": r"\b(?:this|our|paper) card\b|\bcard(?:'s|s)? (?:says|said|measured|value|run)",
}


def written() -> dict[str, str]:
    """Return what people read in the library, the notebooks and the book's pages, by file."""
    kept = re.compile(r"src/.*\.py|notebooks/.*\.md|book/.*\.(?:md|py|bib|yml)")
    return {name: text for name, text in texts().items() if kept.fullmatch(name)}


def test_no_reference_leads_to_what_is_not_here() -> None:
    found = [
        f"{name}: {what}: {match[0]!r}"
        for name, text in written().items()
        for what, pattern in LEADS_NOWHERE.items()
        for match in re.finditer(pattern, text)
    ]
    assert found == []


def there() -> set[str]:
    """Return the anchors of all notebooks: places, ``(name)=``, equations, ``:label:``, and figures, ``name:``."""
    written_down = "\n".join(text for name, text in texts().items() if re.fullmatch(r"notebooks/.*\.md", name))
    anchors = set(re.findall(r"^(?:\(([\w-]+)\)=|:label: ([\w-]+)| +name: ([\w-]+))$", written_down, re.M))
    return {name for group in anchors for name in group if name}


def test_every_anchor_that_a_docstring_names_is_in_a_notebook() -> None:
    """Docstrings name an anchor in single quotes: a place, ``(name)=``, an equation, ``:label:``, or a figure."""
    named = {
        (name, anchor)
        for name, text in texts().items()
        if name.endswith(".py")
        for anchor in re.findall(rf"'((?:{CHAPTERS})-[a-z0-9-]+)'", text)
    }
    assert named
    assert {pair for pair in named if pair[1] not in there()} == set()


def test_lines_that_compute_an_equation_bear_its_label() -> None:
    """In comments, such as ``# mbrl-method-dqn``; each paper has some, and each is in a notebook."""
    labels = {
        (name, label)
        for name in OURS
        if re.fullmatch(r"src/tutorlib/papers/.*\.py", name)
        for label in re.findall(rf"#.*?\b((?:{CHAPTERS})-(?:idea|method)-[a-z0-9-]+)", read(name))
    }
    assert {pair for pair in labels if pair[1] not in there()} == set()
    assert {label.partition("-")[0] for _, label in labels} == set(CHAPTERS.split("|"))


def test_every_step_of_an_idea_that_a_notebook_names_is_a_heading_there() -> None:
    for name, text in texts().items():
        for number in re.findall(r"\b[Ss]tep (\d+) of the idea\b", text) if name.endswith(".md") else ():
            assert re.search(rf"^#+ Step {number}:", read(f"{name.rpartition('/')[0]}/idea.md"), re.M), (
                f"{name}: {number}"
            )


def test_the_smallest_wing_of_the_contributors_guide_works(tmp_path: Path) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    module = types.ModuleType("smallest")
    sys.modules["smallest"] = module  # dataclasses look their own module up
    try:
        exec(compile(code, "CONTRIBUTING.md", "exec"), module.__dict__)
        alone, batch = (
            run_sweep(module.DESCENT, device="cpu", engine=engine, jobs=1, results=tmp_path / engine)
            for engine in ("local", "vmapped")
        )
    finally:
        del sys.modules["smallest"]
    assert [len(r.metrics["losses"]) for r in alone] == [100] * 4
    assert [r.metrics for r in alone] == [r.metrics for r in batch]
    assert all(r.metrics["losses"][-1] < 0.5 * r.metrics["losses"][0] for r in alone)
