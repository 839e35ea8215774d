import json
import math
import os
import platform
import re
import shlex
import socket
import subprocess
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
import torch

from tutorlib.lab import Record, Trial, UsageError, recorded, records, table
from tutorlib.lab.claims import Claim, Terms, judge
from tutorlib.lab.errors import RecordError
from tutorlib.lab.records import (
    NoRecordsError,
    WithdrawnError,
    command_line,
    commit,
    load,
    load_of,
    load_published,
    provenance,
    publish,
    save,
)
from tutorlib.lab.tiers import parse_seeds
from tutorlib.lab.verdicts import UNTESTED

SOURCE = {
    "device": "CPU (x86_64)",
    "python": "3.11",
    "packages": {"torch": "2.11"},
    "command": "tutorlib run a.b",
    "batch": 1,
}


def record(seed: int = 0, **changes) -> Record:
    metrics = {"accuracy": 0.5, "curve": [0.25, 1.0], "phase": "none", "steps": 3, "nested": {"a": [1]}}
    config = {"width": 4, "rate": 0.1, "tasks": "inf"}
    return replace(Record("paper.study", "live", config, seed, metrics, 1.25, SOURCE), **changes)


def test_the_commit_of_a_source_tree_and_whether_it_was_changed_since(tmp_path: Path):
    def git(*words: str) -> str:
        said = ("git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a@b.c", *words)
        return subprocess.run(said, check=True, capture_output=True, text=True).stdout.strip()

    root = tmp_path / "tree"
    (root / "src").mkdir(parents=True)
    (root / "src" / "a.py").write_text("a = 1\n")
    assert commit(root) == "unknown"
    commit.cache_clear()
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    (root / "notes.txt").write_text("not a source\n")
    name = git("rev-parse", "HEAD")
    assert commit(root) == name
    (root / "src" / "a.py").write_text("a = 2\n")
    assert commit(root) == name, "what runs is what was imported"
    commit.cache_clear()
    assert commit(root) == f"{name} and changes"
    commit.cache_clear()
    (root / ".git" / "HEAD").unlink()
    assert commit(root) == "unknown"
    assert len(provenance(torch.device("cpu"), 1, "")["commit"]) >= len("unknown")


def test_what_was_saved_is_loaded(tmp_path: Path):
    path = tmp_path / "a.json"
    save(record(), path)
    assert load(path) == record()


def test_a_run_that_diverged_says_when_and_others_do_not(tmp_path: Path):
    lost, fine = record(0, diverged=7, metrics={}), record(1)
    for each, name in ((lost, "lost.json"), (fine, "fine.json")):
        save(each, tmp_path / name)
        assert load(tmp_path / name) == each
    assert "diverged" not in (tmp_path / "fine.json").read_text()
    publish([lost, fine], tmp_path / "all.json")
    assert load_published(tmp_path / "all.json") == [lost, fine]
    frame = table([lost, fine])
    assert frame["diverged"].tolist()[0] == 7
    assert frame["accuracy"].isna().tolist() == [True, False]
    assert "diverged" not in table([fine])


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf, np.float64("nan"), None, torch.tensor(1.0), 10**400],
    ids=lambda v: repr(v)[:9],
)
@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: [0.0, x], lambda x: {"b": x}, lambda x: [{"b": [x]}]])
def test_a_metric_that_is_no_finite_number_is_refused(tmp_path: Path, value, wrap):
    path = tmp_path / "a.json"
    with pytest.raises(RecordError, match=r"metrics\.accuracy.*expected a finite number") as error:
        save(record(metrics={"accuracy": wrap(value)}), path)
    assert str(path) in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("values", [[1e308, 1e308], [2**70, 1.0], [True, 0.5], [1, "a"], []], ids=repr)
def test_numbers_are_finite_one_by_one(tmp_path: Path, values):
    save(record(metrics={"accuracy": values}), tmp_path / "a.json")
    assert load(tmp_path / "a.json").metrics == {"accuracy": values}


def edited(tmp_path: Path, **changes) -> Path:
    """A record with fields changed by hand; None removes one."""
    path = tmp_path / "a.json"
    save(record(), path)
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))
    return path


@pytest.mark.parametrize("found", [0, 2, "1", None])
def test_another_format_version_is_refused(tmp_path: Path, found):
    path = edited(tmp_path, format=found)
    if found is None:
        content = json.loads(path.read_text())
        assert "format" not in content
    with pytest.raises(RecordError, match=re.escape(f"record={str(path)!r}: format={found!r}: expected 1")):
        load(path)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seed": "three"}, "seed='three': expected a whole number"),
        ({"seed": None}, "seed=None: expected a whole number"),
        ({"metrics": [1]}, "metrics=[1]: expected numbers by name"),
        ({"metrics": {"a": math.nan}}, "metrics.a=nan: expected a finite number"),
        ({"config": 3}, "config=3: expected the fields of a configuration"),
        ({"seconds": "1"}, "seconds='1': expected a finite number from 0"),
        ({"seconds": math.nan}, "seconds=nan: expected a finite number from 0"),
        ({"seconds": -1}, "seconds=-1: expected a finite number from 0"),
        ({"seconds": True}, "seconds=True: expected a finite number from 0"),
        ({"seed": True}, "seed=True: expected a whole number"),
        ({"seed": -1}, "seed=-1: expected a whole number from 0"),
        ({"metrics": {"a": 10**4000}}, "metrics.a=a whole number of about 4000 digits: expected a finite number"),
        ({"format": True}, "format=True: expected 1"),
        ({"provenance": {"python": "3"}}, "provenance={'python': '3'}: expected a device"),
        ({"provenance": None}, "provenance=None: expected device, versions and command"),
        ({"tier": 1}, "tier=1: expected text"),
        ({"diverged": 3}, "diverged=3: expected the number of a step, and no metrics"),
        ({"diverged": 0, "metrics": {}}, "diverged=0: expected the number of a step"),
        ({"diverged": True, "metrics": {}}, "diverged=True: expected the number of a step"),
        ({"colour": "red"}, "fields=['colour']: expected those of a record and no others"),
    ],
    ids=str,
)
def test_a_record_edited_by_hand_is_refused(tmp_path: Path, changes, says):
    path = edited(tmp_path, **changes)
    with pytest.raises(RecordError, match=re.escape(f"record={str(path)!r}: {says}")):
        load(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"format": 1',
        b"\xff\xfe\x00",
        b"[]",
        b"null",
        b"3",
        b"[" * 9**5,
        b'{"format": 1, "seed": ' + b"7" * 5000 + b"}",
    ],
    ids=lambda content: repr(content)[:20],
)
def test_a_torn_record_is_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(RecordError, match=re.escape(f"record={str(path)!r}: ")) as error:
        load(path)
    assert "expected" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_is_loaded_without_what_is_not_a_record(tmp_path: Path):
    for seed in (2, 0, 1):
        save(record(seed), tmp_path / f"{seed}.json")
    (tmp_path / ".3.json.0123").write_text("half")
    (tmp_path / ".3.lock").touch()
    (tmp_path / "3.ckpt").write_text("state")
    assert [r.seed for r in records.load_folder(tmp_path)] == [0, 1, 2]


def test_a_table_has_a_row_for_each_record():
    frame = table([record(0), record(1)])
    assert list(frame.columns) == [
        *("width", "rate", "tasks", "seed"),
        *("accuracy", "curve", "phase", "steps", "nested.a", "seconds", "device"),
    ]
    assert frame["seed"].tolist() == [0, 1]
    assert frame["curve"][1] == [0.25, 1.0]
    assert frame["device"].unique().tolist() == ["CPU (x86_64)"]


def test_a_configuration_inside_another_becomes_columns():
    nested = Record("a.b", "study", {"rate": 0.1, "inner": {"width": 3, "deep": {"x": 1}}}, 0, {}, 1.0, SOURCE)
    row = table([nested]).iloc[0]
    assert row["inner.width"] == 3
    assert row["inner.deep.x"] == 1
    assert "inner" not in row


def test_a_published_file_holds_the_same_records(tmp_path: Path):
    other = SOURCE | {"device": "NVIDIA H200", "batch": 12}
    shown = [record(3), record(1, provenance=other), record(2), record(0, provenance=other)]
    path = tmp_path / "deep" / "study-live.json"
    publish(shown, path)
    assert load_published(path) == sorted(shown, key=lambda r: r.seed)
    assert len(json.loads(path.read_text())["provenance"]) == 2
    before = path.read_bytes()
    publish(load_published(path)[::-1], path)
    assert path.read_bytes() == before  # the order of the records is no change


def test_what_a_killed_writer_left_is_removed(tmp_path: Path):
    path = tmp_path / "a-study.json"
    old, new, other = (tmp_path / f".a-study.json.{end}" for end in ("0123456789abcdef", "fedcba9876543210", "swp"))
    for leftover in (old, new, other):
        leftover.write_text("half")
        os.utime(leftover, (0, 0))
    os.utime(new)  # perhaps somebody writes it now
    publish([record()], path)
    assert sorted(found.name for found in tmp_path.iterdir()) == sorted([new.name, other.name, path.name])


def test_records_of_two_kinds_are_not_published_as_one(tmp_path: Path):
    for mixed in ([record(), record(1, tier="study")], [record(), record(1, experiment="paper.other")], []):
        with pytest.raises(UsageError, match="records of one experiment and tier"):
            publish(mixed, tmp_path / "a.json")


def test_what_could_not_be_loaded_again_is_not_published(tmp_path: Path):
    with pytest.raises(UsageError, match="'seed': 1}: expected one record of each configuration and seed"):
        publish([record(0), record(1), record(1)], tmp_path / "a.json")
    with pytest.raises(RecordError, match="metrics.a=nan: expected a finite number"):
        publish([record(metrics={"a": math.nan})], tmp_path / "a.json")
    assert list(tmp_path.iterdir()) == []


@dataclass(frozen=True)
class Config:
    width: int = 4
    sizes: tuple[int, ...] = (1, 2)


def test_a_record_is_that_of_its_cell(tmp_path: Path):
    trial = Trial(Config(), 3)
    kept = record(3, config={"width": 4, "sizes": [1, 2]})
    path = records.record_path(tmp_path, "paper.study", trial)
    save(kept, path)
    assert load_of(trial, "paper.study", "live", tmp_path) == kept
    changes = {"seed": 4, "config": {"width": 5, "sizes": [1, 2]}, "experiment": "paper.other", "tier": "study"}
    for name, value in changes.items():
        save(replace(kept, **{name: value}), path)
        with pytest.raises(RecordError, match=re.escape(f"record={str(path)!r}: {name}={value!r}: expected that of")):
            load_of(trial, "paper.study", "live", tmp_path)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda c: c.update(format=2), "format=2: expected 1"),
        (lambda c: c.pop("records"), "records=None: expected a list"),
        (lambda c: c.pop("provenance"), "provenance=None: expected a list"),
        (lambda c: c["records"][1].update(provenance=7), "provenance=7: expected a number below 1"),
        (lambda c: c["records"][1].update(provenance=-1), "provenance=-1: expected a number below 1"),
        (lambda c: c["records"][1].pop("seed"), "seed=None: expected a whole number"),
        (lambda c: c["records"].append("x"), "records='x': expected an object for each"),
        (lambda c: c["records"].clear(), "records=[]: expected a list of at least one"),
        (
            lambda c: c["records"].append(c["records"][0]),
            "records={'width': 4, 'rate': 0.1, 'tasks': 'inf', 'seed': 0}: expected one record of each configuration",
        ),
        (lambda c: c["records"][0].update(seconds=math.nan), "seconds=nan: expected a finite number from 0"),
        (lambda c: c["records"][0].update(seed=True), "seed=True: expected a whole number"),
        (lambda c: c["records"][0].update(experiment="a.b"), "records=['config', 'experiment', 'metrics',"),
        (lambda c: c["records"][0].update(provenance=False), "provenance=False: expected a number below 1"),
        (lambda c: c.pop("tier"), "tier=None: expected text"),
        (lambda c: c["records"][0]["metrics"].update(a=math.inf), "metrics.a=inf: expected a finite number"),
    ],
)
def test_a_published_file_edited_by_hand_is_refused(tmp_path: Path, edit, says):
    path = tmp_path / "a.json"
    publish([record(0), record(1)], path)
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))
    with pytest.raises(RecordError, match=re.escape(f"record={str(path)!r}: {says}")):
        load_published(path)


def test_a_torn_published_file_is_refused(tmp_path: Path):
    path = tmp_path / "a.json"
    publish([record(0), record(1)], path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(RecordError, match="torn or unreadable"):
        load_published(path)


def test_records_that_are_not_shipped():
    with pytest.raises(NoRecordsError, match="no records of tier 'study' are shipped"):
        recorded("gpicl.nothing")
    with pytest.raises(UsageError, match="experiment='gpicl': expected a name such as gpicl.phases"):
        recorded("gpicl")


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a paper that ships four records of two widths; its list of withdrawals is written by tests."""
    folder = tmp_path / "paper" / "recorded"
    rows = [record(seed, config={"width": width}, tier="study") for width in (4, 8) for seed in (0, 1)]
    publish(rows, folder / "study-study.json")
    monkeypatch.setattr(records, "files", lambda package: tmp_path)
    return folder


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"experiment": "paper.other"}, "experiment='paper.other': expected 'paper.study', whose name the file has"),
        ({"tier": "live"}, "tier='live': expected 'study', whose name the file has"),
    ],
    ids=str,
)
def test_another_experiments_records_under_this_name_are_refused(shipped: Path, changes, says):
    publish([record(**({"tier": "study"} | changes))], shipped / "study-study.json")
    with pytest.raises(RecordError, match=says):
        recorded("paper.study")
    with pytest.raises(RecordError, match=says):
        judge(Claim("paper.C1", "It works.", "unknown", lambda: recorded("paper.study"), Terms("2026-11-30")))


def withdraw(folder: Path, **entry) -> None:
    (folder / "withdrawn.json").write_text(json.dumps({"study-study": [entry], "other-study": [{"reason": "no"}]}))


def test_runs_that_diverged_are_never_left_out_without_a_word(shipped: Path):
    rows = [record(seed, tier="study") for seed in (0, 1)]
    publish([*rows, record(2, tier="study", metrics={}, diverged=9)], shipped / "study-study.json")
    with pytest.raises(RecordError, match="1 of 3 runs diverged, the first with seed 2: expected runs that ended, or"):
        recorded("paper.study")
    assert [r.diverged for r in recorded("paper.study", diverged=True)] == [None, None, 9]


def test_records_that_are_withdrawn_are_left_out_unless_asked_for(shipped: Path):
    assert len(recorded("paper.study")) == 4
    withdraw(shipped, reason="A layer was missing.", where={"width": [8]})
    assert [r.config["width"] for r in recorded("paper.study")] == [4, 4]
    assert len(recorded("paper.study", withdrawn=True)) == 4
    assert [own.reason for own in records.withdrawals("paper.study")] == ["A layer was missing."]
    assert records.withdrawals("paper.study", "live") == []


def test_a_claim_whose_records_are_all_withdrawn_is_not_tested_and_says_why(shipped: Path):
    withdraw(shipped, reason="A layer was missing.")
    with pytest.raises(WithdrawnError, match="withdrawn: A layer was missing"):
        recorded("paper.study")
    judged = judge(Claim("paper.C1", "It works.", "unknown", lambda: recorded("paper.study"), Terms("2026-11-30")))
    assert judged.verdict == UNTESTED
    assert "A layer was missing." in judged.detail


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"where": {"width": [8]}}, "expected a reason"),
        ({"reason": "a", "when": 1}, "expected a reason"),
        ({"reason": "a", "where": {"width": 8}}, "expected a list of values for each field"),
        ({"reason": "a", "where": {"breadth": [8]}}, "where=.'breadth'.: expected fields of the configuration, width"),
    ],
)
def test_a_bad_list_of_withdrawals_is_refused(shipped: Path, entry, says):
    withdraw(shipped, **entry)
    with pytest.raises(RecordError, match=says):
        recorded("paper.study")


def test_the_shipped_lists_of_withdrawals_name_shipped_files():
    lists = list(Path(records.__file__).parents[1].glob("papers/*/recorded/withdrawn.json"))
    assert lists
    for path in lists:
        assert set(json.loads(path.read_text())) <= {file.stem for file in path.parent.glob("*-study.json")}


def test_provenance_has_device_versions_and_command_and_no_place():
    found = provenance(torch.device("cpu"), 3, "tutorlib run a.b --tier live")
    assert found["device"] == f"CPU ({platform.machine()})"
    assert found["python"] == platform.python_version()
    assert set(found["packages"]) == {"tutorlib", "torch", "numpy"}
    assert found["packages"]["torch"] == torch.__version__
    assert 0 <= (datetime.now(UTC).date() - date.fromisoformat(found["day"])).days <= 1
    assert (found["command"], found["batch"]) == ("tutorlib run a.b --tier live", 3)
    text = json.dumps(found)
    assert "/" not in text
    assert socket.gethostname() not in text


@pytest.mark.parametrize("seeds", [None, (0,), (3,), (0, 1, 2), (4, 7), (9, 2, 5), (2**62,)])
def test_the_command_names_seeds_and_overrides(seeds):
    overrides = {"tasks": "inf", "rate": 0.1, "name": "two words"}
    words = shlex.split(command_line("a.b", "study", seeds, overrides))
    assert words[:5] == ["tutorlib", "run", "a.b", "--tier", "study"]
    assert words[-4:] == ["--set", "tasks=inf", "rate=0.1", "name=two words"]
    if seeds is None:
        assert "--seeds" not in words
    else:
        assert parse_seeds(words[words.index("--seeds") + 1]) == seeds
    assert command_line("a.b", "live", None, {}) == "tutorlib run a.b --tier live"


@pytest.mark.gpu
def test_provenance_names_the_gpu():
    assert provenance(torch.device("cuda"), 1, "")["device"] == torch.cuda.get_device_name()
