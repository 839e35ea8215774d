"""The stored pairs of notebooks, the tool that makes them, and a control of the comparison itself."""

import json
import os
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import jupytext.cli
import nbformat
import pytest
from nbformat import NotebookNode
from packaging.version import Version
from pairs import PAIRS, REPOSITORY, make
from tree import ROOT

STATUS = json.loads((ROOT / "notebooks" / "status.json").read_text(encoding="utf-8"))

UNSTABLE = {
    "an address in memory": r"\b0x[0-9a-fA-F]{6,}",
    "a speed": r"\b(it/s|s/it)\b",
    "an absolute path": r"(?<![\w.:/<])/(?:[\w.+-]+/)+[\w.+-]*|\b[A-Z]:\\",
}
TIMING = r"\d\s?(?:ms|µs|s|sec|secs|seconds?|min|minutes?)\b"


def stored(name: str) -> NotebookNode:
    return nbformat.read(PAIRS[name].with_suffix(".ipynb"), as_version=4)


def checked(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in make.code_cells(notebook) if make.CHECKED in make.tags(cell)]


def text_of(cell: NotebookNode) -> str:
    """Return all that ``cell`` prints: its streams and the plain form of its results."""
    return "".join(o.text if "text" in o else o.get("data", {}).get("text/plain", "") for o in cell.outputs)


every_pair = pytest.mark.parametrize("name", PAIRS)


@every_pair
def test_the_stored_notebook_is_the_one_that_its_text_says(name: str) -> None:
    assert make.drift(PAIRS[name]) is None


@every_pair
def test_cells_were_executed_once_in_order(name: str) -> None:
    counts = [cell.execution_count for cell in make.code_cells(stored(name))]
    assert counts == list(range(1, len(counts) + 1))


@every_pair
def test_the_stored_notebook_is_valid_and_holds_results_alone(name: str) -> None:
    notebook = stored(name)
    nbformat.validate(notebook)
    for cell in make.code_cells(notebook):
        for output in cell.outputs:
            assert output.output_type != "error", cell.source
            assert output.get("name") != "stderr", cell.source
            assert not set(output.get("data", {})) & set(make.WIDGETS), cell.source
        for what, pattern in UNSTABLE.items():
            assert not (found := re.search(pattern, text_of(cell))), f"{what}: {found[0]!r}"


@every_pair
def test_a_third_of_the_cells_is_compared_and_each_has_something_to_compare(name: str) -> None:
    notebook = stored(name)
    compared = checked(notebook)
    assert len(compared) >= len(make.code_cells(notebook)) / 3
    for cell in compared:
        assert text_of(cell).strip(), f"nothing to compare in: {cell.source}"
        assert not (found := re.search(TIMING, text_of(cell))), f"a timing: {found[0]!r}"


@every_pair
def test_no_cell_reads_the_history_which_the_comparison_does_not_keep(name: str) -> None:
    for cell in make.code_cells(stored(name)):
        assert not (found := re.search(r"\b(?:In|Out)\[", cell.source)), found[0]


def test_gpicl_in_sixty_lines_has_at_most_sixty() -> None:
    (cell,) = [c for c in make.code_cells(stored("gpicl/idea")) if "class GPICL(nn.Module)" in c.source]
    assert len([line for line in cell.source.splitlines() if line.strip()]) <= 60
    assert set(re.findall(r"^(?:import|from) (\w+)", cell.source, re.MULTILINE)) == {"math", "torch"}


def test_the_status_page_describes_the_stored_notebooks() -> None:
    assert set(STATUS["notebooks"]) == set(PAIRS)
    for name, entry in STATUS["notebooks"].items():
        notebook = stored(name)
        assert entry["sha256"] == make.fingerprint(notebook), name
        assert (entry["cells"], entry["checked"]) == (len(make.code_cells(notebook)), len(checked(notebook)))
        assert entry["passed"] is True
        assert entry["seconds"] > 0


def test_the_notebooks_were_executed_with_the_pinned_versions() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    assert {name: Version(v).public for name, v in STATUS["packages"].items()} == {
        name: pins[name] for name in make.PACKAGES
    }


def test_all_notebooks_begin_with_the_same_cell() -> None:
    first = {name: make.code_cells(stored(name))[0] for name in PAIRS}
    assert len({cell.source for cell in first.values()}) == 1
    for name, cell in first.items():
        assert set(make.tags(cell)) == {"hide-input", make.CHECKED}, name
        assert text_of(cell).count("\n") == 1, name
    source = next(iter(first.values())).source
    assert re.findall(r"git\+(\S+?)[\"']", source) == [REPOSITORY]
    assert "--no-deps" in source


@every_pair
def test_the_colab_button_opens_this_notebook(name: str) -> None:
    first = stored(name).cells[0]
    assert first.cell_type == "markdown"
    links = re.findall(r"\(https://colab\.research\.google\.com/(?!assets/)(\S+?)\)", first.source)
    assert links == [f"github/{REPOSITORY.removeprefix('https://github.com/')}/blob/main/notebooks/{name}.ipynb"]


@every_pair
def test_a_notebook_says_what_it_teaches_and_how_long_it_takes_and_ends_with_a_summary(name: str) -> None:
    cells = stored(name).cells
    start = next(i for i, cell in enumerate(cells) if cell.cell_type == "code")
    opening = "\n".join(cell.source for cell in cells[:start])
    assert opening.startswith("# ")
    assert "What you will learn" in opening
    assert re.search(r"Time\b.*\bminutes?\b", opening)
    headings = re.findall(r"^##? .+$", "\n".join(c.source for c in cells if c.cell_type == "markdown"), re.M)
    assert headings[-1] == "## Summary"


@every_pair
def test_saving_in_jupyter_changes_no_line_of_the_text(name: str, tmp_path: Path) -> None:
    """A pair is saved with nothing edited; jupytext then writes the text of the newer notebook."""
    shutil.copy(ROOT / "jupytext.toml", tmp_path)
    path = tmp_path / PAIRS[name].name
    shutil.copy(PAIRS[name], path)
    make.write(path.with_suffix(".ipynb"), nbformat.writes(make.from_text(path)))
    os.utime(path, (0, 0))
    assert jupytext.cli.jupytext(["--quiet", "--sync", str(path.with_suffix(".ipynb"))]) == 0
    assert path.read_text(encoding="utf-8").splitlines() == PAIRS[name].read_text(encoding="utf-8").splitlines()
    assert make.saved(PAIRS[name]) == path.read_text(encoding="utf-8")


# The tool, on small pairs of its own.

HEADER = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# A small notebook

"""


def code(source: str, *tags: str) -> str:
    head = f":tags: [{', '.join(tags)}]\n\n" if tags else ""
    return f"```{{code-cell}} ipython3\n{head}{source}\n```\n\n"


SMALL = HEADER + code("value = 6 * 7\nprint(value)", make.CHECKED) + "Words.\n\n" + code("value + 1")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """The text of a small pair, in a folder of its own."""
    path = tmp_path / "demo" / "small.md"
    path.parent.mkdir()
    path.write_text(SMALL, encoding="utf-8")
    return path


def test_making_is_one_way_and_repeats_itself(text: Path) -> None:
    folder = text.parents[1]
    assert make.run(folder) == []
    first, status = text.with_suffix(".ipynb").read_bytes(), make.read_status(folder)
    notebook = nbformat.reads(first.decode(), as_version=4)
    assert [text_of(cell) for cell in make.code_cells(notebook)] == ["42\n", "43"]
    assert notebook.metadata == make.NOTEBOOK_METADATA
    assert make.drift(text) is None
    assert status["notebooks"]["demo/small"] | {"seconds": 1.0} == {
        "seconds": 1.0, "cells": 2, "checked": 1, "passed": True, "sha256": make.fingerprint(notebook)
    }  # fmt: skip

    # A newer notebook, changed by hand, is what a tool that goes by time would believe.
    text.with_suffix(".ipynb").write_bytes(first.replace(b"6 * 7", b"6 * 8"))
    assert make.run(folder, ["demo"]) == []
    assert text.with_suffix(".ipynb").read_bytes() == first
    assert text.read_text(encoding="utf-8") == SMALL
    assert sorted(path.name for path in text.parent.iterdir()) == ["small.ipynb", "small.md"]


@pytest.mark.parametrize(("worked", "seconds"), [((0.0, 0.3), 0.3), ((2.0, 2.5), 0.5), ((0.0, 0.0), 7.0)])
def test_the_time_of_a_notebook_is_its_kernels_or_else_the_clocks(
    text: Path, monkeypatch: pytest.MonkeyPatch, worked: tuple[float, float], seconds: float
) -> None:
    read, clock = iter(worked), iter((1.0, 8.0))
    monkeypatch.setattr(make, "execute", lambda notebook, folder: None)
    monkeypatch.setattr(make, "processor_seconds", lambda: next(read))
    monkeypatch.setattr(make, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    assert make.make(text)["seconds"] == seconds


def test_what_is_no_result_is_not_stored(text: Path) -> None:
    widget = (
        "from IPython.display import display\n"
        "view = 'application/vnd.jupyter.widget-view+json'\n"
        "display({view: {'model_id': 'a'}, 'text/plain': 'seen'}, raw=True)\n"
        "display({view: {'model_id': 'b'}}, raw=True)\n"
        "import os\n"
        "print([os.environ.get(name) for name in ('TUTORLIB_TIER', 'TUTORLIB_EXPLORER', 'OMP_NUM_THREADS')])"
    )
    text.write_text(HEADER + code(widget), encoding="utf-8")
    make.make(text)
    (cell,) = make.code_cells(nbformat.read(text.with_suffix(".ipynb"), as_version=4))
    assert cell.metadata == {}
    assert text_of(cell) == "seen['live', 'static', '1']\n"
    assert len(cell.outputs) == 2


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("raise ValueError('too small')", "ValueError: too small"),
        ("import sys\nprint('beware', file=sys.stderr)", "code cell 1 wrote to standard error:\nbeware"),
        ("import warnings\nwarnings.warn('beware')", "beware"),
        (
            "import matplotlib.pyplot as plt\nfrom tutorlib.show import notebook\nnotebook.begin()\n"
            "plt.plot([0, 1], [1, 1], label='a')\nplt.legend(loc='center')",
            "figure: a legend covers the line 'a'",
        ),
    ],
)
def test_a_notebook_that_fails_or_complains_is_not_stored(text: Path, source: str, sentence: str) -> None:
    stored_before = text.with_suffix(".ipynb")
    stored_before.write_text("what was stored before", encoding="utf-8")
    text.write_text(HEADER + code(source), encoding="utf-8")
    (failure,) = make.run(text.parents[1])
    assert failure.startswith("demo/small: ")
    assert sentence in failure
    assert stored_before.read_text(encoding="utf-8") == "what was stored before"
    assert make.read_status(text.parents[1])["notebooks"] == {}


def test_an_exception_that_a_tag_allows_is_refused_too(text: Path) -> None:
    text.write_text(HEADER + code("1 / 0", "raises-exception"), encoding="utf-8")
    with pytest.raises(make.NotebookError, match="ZeroDivisionError"):
        make.make(text)


def test_a_cell_that_hangs_is_stopped(text: Path) -> None:
    text.write_text(HEADER + code("import time\ntime.sleep(60)"), encoding="utf-8")
    with pytest.raises(make.NotebookError, match=r"Timeout|timed out"):
        make.execute(make.from_text(text), text.parent, timeout=1)


def store_unexecuted(text: Path) -> None:
    make.write(text.with_suffix(".ipynb"), nbformat.writes(make.from_text(text)))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("6 * 7", "6 * 8", "cell 2 ('value = 6 * 7') has another source"),
        (f"[{make.CHECKED}]", "[hide-input]", "cell 2 ('value = 6 * 7') has another metadata"),
        ("Words.", "Other words.", "cell 3 ('Words.') has another source"),
        ("Words.\n\n", "", "cell 3 ('Words.') has another cell_type"),
        ("value + 1\n```\n", "value + 1\n```\n\nMore.\n", "small.ipynb: has 4 cells, small.md has 5"),
    ],
)
def test_a_text_that_was_changed_alone_is_found(text: Path, old: str, new: str, sentence: str) -> None:
    store_unexecuted(text)
    assert make.drift(text) is None
    assert SMALL.count(old) == 1
    text.write_text(SMALL.replace(old, new), encoding="utf-8")
    assert sentence in make.drift(text)


def test_a_notebook_that_was_changed_alone_is_found(text: Path) -> None:
    assert "there is no such notebook yet" in make.drift(text)
    store_unexecuted(text)
    path = text.with_suffix(".ipynb")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1], notebook.cells[3] = notebook.cells[3], notebook.cells[1]
    nbformat.write(notebook, path)
    assert "cell 2 ('value + 1')" in make.drift(text)
    store_unexecuted(text)
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata["widgets"] = {}
    nbformat.write(notebook, path)
    assert "other notebook metadata" in make.drift(text)


def test_an_inserted_cell_renames_no_other(text: Path) -> None:
    before = [cell.id for cell in make.from_text(text).cells]
    text.write_text(SMALL.replace("Words.\n\n", "Words.\n\n" + code("None") * 2), encoding="utf-8")
    after = [cell.id for cell in make.from_text(text).cells]
    assert len(set(after)) == 6
    assert [name for name in after if name in before] == before


def test_only_the_named_pairs_are_made_and_the_others_keep_their_entries(text: Path) -> None:
    folder = text.parents[1]
    (text.parent / "other.md").write_text(SMALL, encoding="utf-8")
    assert list(make.pairs(folder, ["demo/other"])) == ["demo/other"]
    assert list(make.pairs(folder, ["demo"])) == list(make.pairs(folder)) == ["demo/other", "demo/small"]
    with pytest.raises(make.NotebookError, match="demo/othre: expected one of demo/other, demo/small"):
        make.pairs(folder, ["demo/othre"])
    for name in ("demo/other", "demo/small", "demo/gone"):
        make.record(folder, name, {"seconds": 1.0})
    make.record(folder, "demo/small", {"seconds": 2.0})
    assert make.read_status(folder)["notebooks"] == {
        "demo/other": {"seconds": 1.0}, "demo/small": {"seconds": 2.0}
    }  # fmt: skip


def test_one_status_page_does_not_mix_versions(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = text.parents[1]
    (text.parent / "other.md").write_text(SMALL, encoding="utf-8")
    make.record(folder, "demo/other", {"seconds": 1.0})
    monkeypatch.setattr(make.platform, "python_version", lambda: "3.99.0")
    with pytest.raises(make.NotebookError, match=r"when demo/other was executed, and is 3\.99\.0 now"):
        make.run(folder, ["demo/small"])


def test_a_pair_needs_its_text_and_its_header(text: Path, tmp_path: Path) -> None:
    (text.parent / "orphan.ipynb").write_text("{}", encoding="utf-8")
    with pytest.raises(make.NotebookError, match=r"orphan\.ipynb: expected its text"):
        make.pairs(tmp_path)
    text.write_text("# No header\n", encoding="utf-8")
    with pytest.raises(make.NotebookError, match="format_name: myst"):
        make.from_text(text)
    with pytest.raises(make.NotebookError, match="found none"):
        make.pairs(tmp_path / "demo")


def test_the_command_says_what_is_wrong_and_fails(
    text: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(make, "FOLDER", text.parents[1])
    assert make.main(["--check"]) == 1
    assert "demo/small.ipynb: there is no such notebook yet\nRun `make notebooks`" in capsys.readouterr().err
    store_unexecuted(text)
    assert make.main(["--check", "demo"]) == 0
    assert make.main(["--check", "elsewhere"]) == 1
    assert "elsewhere: expected one of demo/small" in capsys.readouterr().err


def test_the_longest_notebook_begins_first(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind all others it would run alone, while the second process has nothing left to do."""
    folder = text.parents[1]
    monkeypatch.setattr(make, "FOLDER", folder)
    for name, seconds in {"a": 2.0, "b": 30.0, "c": 4.0}.items():
        text.with_stem(name).write_text(SMALL, encoding="utf-8")
        make.record(folder, f"demo/{name}", {"seconds": seconds})
    calls = []

    def verify(notebooks: list[Path], options: list[str]) -> SimpleNamespace:
        calls.append(([path.stem for path in notebooks], options))
        return SimpleNamespace(returncode=3)

    monkeypatch.setattr(make, "verify", verify)
    assert make.main(["--verify"]) == 3
    ((order, options),) = calls
    assert order == ["b", "c", "a", "small"]
    assert "--no-loadscope-reorder" in options, "or pytest begins with that of most cells"
    copies = [Path("elsewhere/demo") / f"{name}.ipynb" for name in ("a", "b", "c")]
    assert [path.stem for path in make.longest_first(copies)] == ["b", "c", "a"]


def altered(notebook: NotebookNode) -> NotebookNode:
    """Return ``notebook`` with one digit changed in the last output that is compared."""
    copy = nbformat.from_dict(notebook)
    output = checked(copy)[-1].outputs[-1]
    output.text, count = re.subn(r"\d", lambda digit: str((int(digit[0]) + 1) % 10), output.text, count=1)
    assert count == 1
    return copy


def test_control_of_the_comparison_one_altered_number_fails_and_nothing_else(text: Path, tmp_path: Path) -> None:
    said = 'print("PASS: above 0.2 · measured: 0.25, 4.5")'
    make.write(text, f"{text.read_text()}\n\nMore words.\n\n{code(said, make.CHECKED)}")
    make.make(text)
    samples = {"small": nbformat.read(text.with_suffix(".ipynb"), as_version=4)}
    # A real one, as far as its first compared cell with a number in it: the cell that all of them begin with.
    name = next(iter(PAIRS))
    notebook = stored(name)
    notebook.cells = notebook.cells[: notebook.cells.index(checked(notebook)[0]) + 1]
    samples[name.replace("/", "-")] = notebook
    folder = tmp_path / "control"
    folder.mkdir()
    for name, notebook in samples.items():
        if name == "small":  # that of the real ones fails wherever all notebooks are compared
            true = nbformat.from_dict(notebook)
            (shown,) = checked(true)[-1].outputs
            shown.text = shown.text.replace("measured: 0.25, 4.5", "measured: 0.26")  # shown, and not compared
            nbformat.write(true, folder / f"{name}-true.ipynb")
        nbformat.write(altered(notebook), folder / f"{name}-false.ipynb")
    found = make.verify([folder], ["-n", "2", "--dist", "loadscope", "-rA", "--color=no"], capture_output=True)
    assert found.returncode == 1, found.stdout + found.stderr
    verdicts = re.findall(r"^(PASSED|FAILED) \S*?([\w-]+)\.ipynb::Cell (\d+)", found.stdout, re.M)
    failed = {(name, int(cell)) for verdict, name, cell in verdicts if verdict == "FAILED"}
    assert failed == {
        (f"{name}-false", make.code_cells(notebook).index(checked(notebook)[-1])) for name, notebook in samples.items()
    }
    cells = {name: len(make.code_cells(notebook)) for name, notebook in samples.items()}
    assert len(verdicts) == cells["small"] + sum(cells.values())
    body = found.stdout.partition("short test summary")[0]  # in CI the summary says it again
    assert body.count("Cell outputs differ") == len(failed)
