"""The command line: what it prints, what it records, and that bad input is one sentence and exit code 2."""

import json
import os
import platform
import pty
import re
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import psutil
import pytest
import torch

from tutorlib import __version__, cli, papers
from tutorlib.lab import device_name, judge, recorded, records, withdrawals
from tutorlib.lab.errors import RecordError
from tutorlib.lab.records import NoRecordsError, load_folder, load_published

SMALL = ("steps=2", "num_evals=1", "width=4", "layers=1", "heads=1", "head_dim=4", "batch=2", "tasks=4", "bias=0")
"""One configuration that takes a moment."""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TUTORLIB_TIER", raising=False)
    monkeypatch.setenv("TUTORLIB_DEVICE", "cpu")
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> list[str]:
    return ["run", "gpicl.learning", *arguments, "--set", *SMALL]


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the one sentence on standard error with which ``arguments`` are refused."""
    assert cli.main(list(arguments)) == 2
    out, error = capsys.readouterr()
    *progress, sentence = error.splitlines()
    assert all(re.match(r"\S+ \(\w+\): \d+/\d+, ", line) for line in progress)
    assert sentence.startswith("tutorlib: ")
    assert out == ""
    return sentence.removeprefix("tutorlib: ")


LEARNING = ("run", "gpicl.learning")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run", "gpicl.phase"), "experiment='gpicl.phase': expected one of .*, gpicl.phases, .*mean 'gpicl.phases'"),
        (("run", ""), "experiment='': expected one of vsml.learn"),
        ((*LEARNING, "--tier", "big"), "tier='big': expected one of live, tuning, study, paper"),
        ((*LEARNING, "--tier", "paper"), "tier='paper': expected one of live"),
        ((*LEARNING, "--device", "tpu"), "device='tpu': expected 'cpu', 'cuda' or 'cuda:N'"),
        ((*LEARNING, "--device", "cuda:99"), "device='cuda:99': expected a device of this machine"),
        ((*LEARNING, "--engine", "fast"), "engine='fast': expected one of auto, local, vmapped, ray"),
        (("run", "gpicl.references", "--engine", "vmapped"), "engine='vmapped': expected local or ray: gpicl.ref"),
        ((*LEARNING, "--jobs", "0"), "jobs=0: expected a whole number from 1"),
        ((*LEARNING, "--jobs", "-1"), "jobs='-1': expected a whole number"),
        ((*LEARNING, "--jobs", "two"), "jobs='two': expected a whole number"),
        ((*LEARNING, "--seeds", "0"), r"seeds='0': expected how many \(3\), a list \(4,7\) or a range \(2-5\)"),
        ((*LEARNING, "--seeds", "5-2"), "seeds='5-2': expected how many"),
        ((*LEARNING, "--seeds", "a"), "seeds='a': expected how many"),
        ((*LEARNING, "--seeds", "99999"), "seeds='99999': expected at most 10000 seeds"),
        ((*LEARNING, "--seeds", f"0,{2**63}"), rf"seeds={2**63}: expected whole numbers"),
        ((*LEARNING, "--set", "width"), "set='width': expected NAME=VALUE"),
        (
            (*LEARNING, "--set", "width=4", "width=5"),
            "set='width=5': expected each field once, and width=4 stands before",
        ),
        ((*LEARNING, "--set", "width=4", "--set", "lr=1", "width=4"), "set='width=4': expected each field once"),
        ((*LEARNING, "--seeds", "1", "--seeds", "2"), "--seeds: expected once, found 2 times$"),
        ((*LEARNING, "--seeds=1", "--tier", "live", "--seeds", "2"), "--seeds: expected once, found 2 times$"),
        ((*LEARNING, "--set", "widht=3"), "set='widht': expected one of .*did you mean 'width'"),
        ((*LEARNING, "--set", "width=wide"), "width='wide': expected a whole number"),
        ((*LEARNING, "--set", "width=inf"), "width='inf': expected a whole number"),
        ((*LEARNING, "--set", "width=0"), "width=0: expected a whole number from 1"),
        ((*LEARNING, "--set", "layers=-1"), "layers=-1: expected a whole number from 1"),
        ((*LEARNING, "--set", "lr=fast"), "lr='fast': expected a number"),
        ((*LEARNING, "--set", "lr=nan"), "lr=nan: expected a positive number"),
        ((*LEARNING, "--set", "bias=1.5"), "bias=1.5: expected a number from 0 to 1"),
        ((*LEARNING, "--set", "tasks=0"), "tasks=0: expected a whole number from 1 to 2.31, or 'inf'"),
        ((*LEARNING, "--set", "tasks=-3"), "tasks=-3: expected a whole number from 1"),
        ((*LEARNING, "--set", "tasks=many"), "tasks='many': expected a whole number from 1"),
        ((*LEARNING, "--set", "length=1"), "length=1: expected at least 2"),
        ((*LEARNING, "--set", "steps=1000", "num_evals=7"), "num_evals=7: expected a divisor of steps=1000"),
        ((*LEARNING, "--set", "num_evals=0"), "num_evals=0: expected a whole number from 1"),
        (
            ("run", "mbrl.sets", "--set", "bits=1000000000"),
            "bits=1000000000: expected a whole number from 1 to 20",
        ),
        (("run", "mbrl.sets", "--set", "bits=6"), "bits=6: expected fewer"),
        (
            ("run", "mbrl.online", "--set", "size=13"),
            "size=13: expected a whole number from 2 to 12 in environment=maze",
        ),
        (("run", "mbrl.online", "--set", "size=0"), "size=0: expected a whole number from 2"),
        (
            ("run", "mbrl.online", "--set", "size=65", "environment=flute"),
            "size=65: expected a whole number from 2 to 20",
        ),
        (("run", "vsml.learn", "--set", "size=0"), "size=0: expected a whole number from 1"),
        (
            ("run", "symla.bandits", "--set", "sizes=1"),
            r"sizes='1': expected sizes of environments .* \(arms=1: expected",
        ),
        (("run", "symla.bandits", "--set", "family=x"), "family='x': expected one of"),
        ((*LEARNING, "--results", "/dev/null"), "results='/dev/null/gpicl.learning/live': expected a folder"),
        ((*LEARNING, "--publish", "/"), "publish='/': expected a file, not a folder"),
    ],
    ids=lambda value: " ".join(value[1:]) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_used_is_refused_in_one_sentence(capsys, tmp_path: Path, arguments, says: str):
    assert re.match(says, refused(capsys, *arguments))
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("arguments", [("run", "gpicl.learning"), ("doctor",)], ids=" ".join)
@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("TUTORLIB_TIER", "big", "TUTORLIB_TIER='big': expected one of live, tuning, study, paper"),
        ("TUTORLIB_DEVICE", "tpu", "TUTORLIB_DEVICE='tpu': expected 'cpu', 'cuda' or 'cuda:N'"),
        ("TUTORLIB_DEVICE", "cuda:99", "TUTORLIB_DEVICE='cuda:99': expected a device of this machine"),
    ],
)
def test_an_environment_that_cannot_be_used_is_refused(
    capsys, monkeypatch, arguments, name: str, value: str, says: str
):
    monkeypatch.setenv(name, value)
    assert cli.main(list(arguments)) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"tutorlib: {says}")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ((), "list"),
        (("bogus",), "bogus"),
        (("run",), "EXPERIMENT"),
        (("run", "gpicl.learning", "--bogus"), "--bogus"),
        (("run", "gpicl.learning", "--tier"), "--tier"),
        (("list", "more"), "more"),
    ],
)
def test_an_unknown_command_or_option_exits_with_2(capsys, arguments, names: str):
    with pytest.raises(SystemExit) as exit_:
        cli.main(list(arguments))
    assert exit_.value.code == 2
    error = capsys.readouterr().err
    assert names in error
    assert "Traceback" not in error


def test_help_reads_well(capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["run", "--help"])
    assert exit_.value.code == 0
    shown = capsys.readouterr().out
    for option in ("EXPERIMENT", "--tier TIER", "--seeds SEEDS", "--jobs N", "--set NAME=VALUE ...", "--publish FILE"):
        assert option in shown
    assert "None" not in shown
    assert "STR" not in shown
    assert "default: TUTORLIB_TIER, else live" in " ".join(shown.replace("│", " ").split())


def test_list_shows_every_experiment_with_its_tiers(capsys):
    assert cli.main(["list"]) == 0
    shown = capsys.readouterr().out
    for name, experiment in papers.experiments().items():
        block = shown[shown.index(f"{name}  ({experiment.figure})\n    {experiment.title}\n") :]
        for tier in experiment.tiers:
            assert f"\n    {tier}: {len(experiment.trials(tier))} trials\n" in block
    assert shown.count("(") >= len(papers.experiments()) > 0


def test_claims_shows_every_claim_with_its_verdict(capsys):
    assert cli.main(["claims"]) == 0
    lines = iter(capsys.readouterr().out.splitlines())
    for claim in papers.claims():
        evidence = judge(claim)
        head = next(lines)
        assert head.startswith(f"{claim.id}  {evidence.verdict} ({claim.scale})")
        if evidence.interval:
            assert head.endswith(f"{evidence.interval}, {evidence.interval.count} {evidence.interval.unit}")
        assert next(lines) == f"    {claim.sentence}"
        assert next(lines) == f"    {evidence.detail}"
        for name, part in evidence.parts.items():
            assert next(lines) == f"    - {name}: {part}"
        for words in evidence.against:
            assert next(lines) == f"    Against it: {words}"
        assert claim.budget
        assert next(lines) == f"    Budget: {claim.budget}"
    assert next(lines, None) is None


def test_claims_as_json_say_the_same(capsys):
    assert cli.main(["claims", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["id"] for row in found] == [claim.id for claim in papers.claims()]
    for row, claim in zip(found, papers.claims(), strict=True):
        evidence = judge(claim)
        assert (row["verdict"], row["scale"], row["budget"]) == (evidence.verdict, claim.scale, claim.budget)
        assert row["seeds"] == list(claim.terms.seeds) != []
        assert row["against"] == list(evidence.against)
        own = evidence.interval
        number = [row[name] for name in ("value", "low", "high", "count", "unit")]
        assert number == ([own.value, own.low, own.high, own.count, own.unit] if own else [None] * 5)
        assert {part["part"]: (part["verdict"], part["bar"]) for part in row["parts"]} == {
            name: (part.verdict, part.bar) for name, part in evidence.parts.items()
        }
        assert row["fixed"] == claim.terms.fixed
        assert len(row["changes"]) == len(claim.terms.changes)


def test_doctor_says_what_is_here(capsys):
    assert cli.main(["doctor"]) == 0
    shown = capsys.readouterr().out.splitlines()
    cpu = torch.device("cpu")
    assert shown[0] == f"tutorlib {__version__}, Python {platform.python_version()}, torch {torch.__version__}"
    assert shown[1].startswith(f"device: cpu ({device_name(cpu)})")
    assert "tier: live" in shown
    assert shown[2].startswith("compile: no, on a CPU it is")
    assert shown[3].startswith("precision: float32, no TF32 and no bfloat16: ")
    for name, experiment in papers.experiments().items():
        if "study" in experiment.tiers:
            try:
                every, gone = recorded(name, withdrawn=True), withdrawals(name)
                count = sum(any(own.covers(r.config) for own in gone) for r in every)
                expected = f"{name}: {len(every)} recorded trials" + f", {count} of them withdrawn" * bool(count)
            except NoRecordsError:
                expected = f"{name}: not recorded yet"
            assert expected in shown


def test_doctor_tries_the_folders_that_are_written_to(capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TUTORLIB_CACHE", str(tmp_path / "not" / "yet"))
    assert cli.main(["doctor"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert f"results: {tmp_path / 'results'}, writable" in shown
    assert f"cache: {tmp_path / 'not' / 'yet'}, writable" in shown
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["results", "cache"])
def test_doctor_names_a_folder_that_cannot_be_written_to(capsys, tmp_path: Path, monkeypatch, name: str):
    monkeypatch.setenv("TUTORLIB_CACHE", str(tmp_path / "cache"))
    (tmp_path / name).write_text("a file")
    assert cli.main(["doctor"]) == 2
    sentence = f"{name}: folder='{tmp_path / name}': expected one that can be written to (Not a directory)"
    assert sentence in capsys.readouterr().out.splitlines()


def test_doctor_finds_shipped_records_that_cannot_be_read(capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "gpicl" / "recorded").mkdir(parents=True)
    (tmp_path / "gpicl" / "recorded" / "phases-study.json").write_text('{"format": 99}')
    monkeypatch.setattr(records, "files", lambda package: tmp_path)
    assert cli.main(["doctor"]) == 2
    shown = capsys.readouterr().out
    assert re.search(r"gpicl\.phases: record='.*phases-study\.json': format=99: expected 1", shown)
    assert "gpicl.references: not recorded yet" in shown


def test_a_run_is_recorded_once_and_published(capsys, tmp_path: Path):
    arguments = run("--seeds", "2", "--jobs", "1", "--results", "kept", "--publish", "out/learning-live.json")
    assert cli.main(arguments) == 0
    out, error = capsys.readouterr()
    assert error.splitlines()[-1] == "gpicl.learning (live): 2/2, 0 s left"
    assert "2 records in kept/gpicl.learning/live" in out
    assert "published in out/learning-live.json" in out
    folder = tmp_path / "kept" / "gpicl.learning" / "live"
    before = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.glob("*.json")}
    found = load_folder(folder)
    assert len(found) == len(before) == 2
    for record in found:
        assert record.seed in (0, 1)
        assert (record.config["width"], record.config["tasks"], record.config["bias"]) == (4, 4, 0.0)
        assert record.provenance["command"] == (
            "tutorlib run gpicl.learning --tier live --seeds 0-1 --set " + " ".join(SMALL)
        )
    assert load_published(tmp_path / "out" / "learning-live.json") == sorted(found, key=lambda r: r.seed)

    assert cli.main(arguments) == 0
    assert capsys.readouterr().err == "gpicl.learning (live): 2/2, done before\n"
    assert {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.glob("*.json")} == before


def test_several_sets_add_up(capsys, tmp_path: Path):
    small = [word for name in SMALL for word in ("--set", name)]
    assert cli.main(["run", "gpicl.learning", "--seeds", "1", "--jobs", "1", *small[:4], "--set", *SMALL[2:]]) == 0
    (path,) = tmp_path.rglob("[!.]*.json")
    config = records.load(path).config
    assert {name: str(config[name]) for name in ("steps", "width", "tasks")} == {
        "steps": "2",
        "width": "4",
        "tasks": "4",
    }


def test_a_published_file_that_cannot_be_written_is_refused_after_the_records_are_kept(capsys, tmp_path: Path):
    (tmp_path / "file").touch()
    assert cli.main(run("--seeds", "1", "--jobs", "1", "--publish", "file/learning.json")) == 2
    assert "tutorlib: publish='file/learning.json': expected a file that can be written" in capsys.readouterr().err
    assert len(list((tmp_path / "results").rglob("*.json"))) == 1


def test_a_dry_run_tells_what_a_sweep_would_take_and_computes_nothing(capsys, tmp_path: Path):
    small = ["num_steps=4", "num_envs=8", "minibatch_size=16", "horizon=5", "updates=20", "num_evals=10"]
    assert cli.main(["run", "rcgvf.lock", "--dry-run", "--seeds", "2", "--batch", "1", "--set", *small]) == 0
    *rows, graphs, total, here = capsys.readouterr().out.splitlines()
    heads = ["batches", "trials", "steps", "launches/step", "graphs/step", "largest", "peak", "hours"]
    assert rows[0].split() == heads
    assert re.fullmatch("compiled: a graph is one launch, of [0-9]+ operations on average", graphs)
    assert here.startswith("as this command is, on cpu, steps are not compiled: on a CPU")
    assert all(int(row.split()[4]) > 0 for row in rows[1:])
    assert all(row.split()[1:3] == ["1", "20"] for row in rows[1:])
    assert sum(int(row.split()[0]) for row in rows[1:]) == len(
        papers.experiments()["rcgvf.lock"].trials("live", (0, 1))
    )
    assert re.fullmatch(r"about [0-9.e-]+ hours on one GPU; nothing was computed", total)
    assert not (tmp_path / "results").exists()


def test_a_dry_run_says_what_is_asked_of_compiling(capsys):
    for option, words in (("--compile", "are compiled: as asked"), ("--no-compile", "are not compiled: as asked")):
        assert cli.main([*run("--dry-run"), option]) == 0
        assert f"on cpu, steps {words}" in capsys.readouterr().out
    assert refused(capsys, *run(), "--compile", "--no-compile") == "--no-compile: expected no --compile beside it"


@pytest.mark.parametrize("changes", ["steps=20 num_evals=1 warmup=10", "steps=8 num_evals=8 warmup=1 lr=1e39"])
def test_a_run_that_diverges_is_recorded_and_told_in_a_sentence(capsys, tmp_path: Path, changes: str):
    """In the second case the last step before a look goes wrong, of which no loss tells."""
    small = [word for word in SMALL if not word.startswith(("steps", "num_evals"))]
    arguments = ["run", "gpicl.learning", "--seeds", "1", "--jobs", "1", "--set", *small]
    assert cli.main([*arguments, *(["lr=1e38"] if "lr" not in changes else []), *changes.split()]) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    assert re.fullmatch(r"1 of them diverged, the first with seed 0 by step \d+", said)
    (path,) = (tmp_path / "results").rglob("*.json")
    assert path.with_suffix(".last").exists()
    assert list((tmp_path / "results").rglob("*.ckpt")) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("symla.references sizes=2,3", "sizes='2,3': expected one size"),
        ("mbrl.online steps=3", "steps=3: expected at least eval_every="),
    ],
    ids=lambda words: words.split()[0],
)
def test_a_run_that_cannot_be_is_one_sentence(capsys, tmp_path: Path, words: str, says: str):
    name, *changes = words.split()
    sentence = refused(capsys, "run", name, "--tier", "live", "--seeds", "1", "--jobs", "1", "--set", *changes)
    assert re.match(rf"\d of \d trials failed; the first: {says}", sentence)
    assert list((tmp_path / "results").rglob("*.json")) == []
    assert list((tmp_path / "results").rglob("*.ckpt")) == []


def test_a_torn_record_is_one_sentence(capsys, tmp_path: Path):
    arguments = run("--seeds", "1", "--jobs", "1")
    assert cli.main(arguments) == 0
    (path,) = (tmp_path / "results").rglob("*.json")
    path.write_text(path.read_text()[:50])
    capsys.readouterr()
    assert re.match(f"record='.*{path.name}': expected a JSON record", refused(capsys, *arguments))


def test_an_interrupted_run_says_how_to_go_on(capsys, monkeypatch: pytest.MonkeyPatch):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "run_sweep", interrupt)
    assert cli.main(run()) == 130
    assert capsys.readouterr().err == ("tutorlib: interrupted; what is finished is kept, the same command goes on\n")


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (
            OSError(28, "No space left on device"),
            2,
            "file='standard output': expected one that can be used (No space left",
        ),
        (
            PermissionError(13, "Permission denied", "/a/b"),
            2,
            "file='/a/b': expected one that can be used (Permission den",
        ),
        (MemoryError(), 2, "there is too little memory; what is finished is kept"),
        (ImportError("some.so: failed to map segment from shared object"), 2, "there is too little memory"),
        (BrokenPipeError(), 141, ""),
    ],
    ids=repr,
)
def test_what_the_system_refuses_is_one_sentence(capsys, monkeypatch: pytest.MonkeyPatch, error, code: int, says: str):
    def refuse(*arguments, **options):
        raise error

    monkeypatch.setattr(cli, "run_sweep", refuse)
    assert cli.main(run()) == code
    found = capsys.readouterr().err
    assert found.startswith(f"tutorlib: {says}" if says else "")
    assert found.count("\n") == bool(says)


def test_a_reader_that_goes_away_is_no_error():
    """``tutorlib list | head -1``."""
    theirs, ours = os.pipe()
    os.close(theirs)
    done = subprocess.run([sys.executable, "-m", "tutorlib", "list"], stdout=ours, stderr=subprocess.PIPE, text=True)
    os.close(ours)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_an_interruption_of_the_import_is_one_sentence(number: signal.Signals):
    script = f"""
import os, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "tutorlib.cli":
            os.kill(os.getpid(), {number.value})
sys.meta_path.insert(0, Finder())
from tutorlib.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (128 + number, "tutorlib: interrupted before anything had begun\n")


@pytest.mark.parametrize("made", [None, RuntimeError("in a callback"), RecordError("torn")], ids=repr)
def test_what_a_library_makes_of_a_termination_is_one(capsys, monkeypatch: pytest.MonkeyPatch, made: Exception | None):
    def terminated(*arguments, **options):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        except BaseException as error:
            raise made or error from None

    monkeypatch.setattr(cli, "run_sweep", terminated)
    assert cli.main(run()) == 143
    assert capsys.readouterr().err == "tutorlib: ended by SIGTERM; what is finished is kept, the same command goes on\n"
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_run_that_is_asked_to_end_says_so_and_ends_its_processes(tmp_path: Path):
    endless = [word for word in SMALL if not word.startswith(("steps", "num_evals"))]
    words = ["run", "gpicl.learning", "--seeds", "2", "--jobs", "2", "--set", *endless]
    command = [sys.executable, "-m", "tutorlib", *words, "steps=1000000", "num_evals=10000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 200
        while len(list(tmp_path.rglob("[!.]*.ckpt"))) < 2 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        at_work = psutil.Process(process.pid).children(recursive=True)
        assert len(at_work) >= 2
        process.terminate()
        out, error = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, out) == (143, "")
    assert error == "tutorlib: ended by SIGTERM; what is finished is kept, the same command goes on\n"
    psutil.wait_procs(at_work, timeout=30)
    assert [p for p in at_work if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []


COMMAND = [sys.executable, "-W", "error", "-m", "tutorlib.cli", *run("--seeds", "2", "--jobs", "1")]


def test_a_pipe_gets_plain_lines():
    done = subprocess.run(COMMAND, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "\r" not in done.stderr
    lines = done.stderr.splitlines()
    assert lines[-1] == "gpicl.learning (live): 2/2, 0 s left"
    assert all(re.fullmatch(r"gpicl\.learning \(live\): \d/2, \d+ s left", line) for line in lines)


def test_a_terminal_gets_a_bar_with_the_time_left():
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 120))
    process = subprocess.Popen(COMMAND, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert process.wait() == 0
    text = shown.decode()
    assert re.search(r"\rgpicl\.learning \(live\):\s+50%\|\S+\s*\| 1/2 \[00:\d\d<00:\d\d, ", text), text
    assert re.search(r"\rgpicl\.learning \(live\): 100%\|\S+\| 2/2 \[00:\d\d<00:00, ", text), text
    assert "meta-training, K=4" in text  # and the steps of a trial below it


def test_the_process_exits_with_2_and_no_traceback(tmp_path: Path):
    wrong = [sys.executable, "-m", "tutorlib.cli", "run", "gpicl.learning", "--set", "width=0"]
    done = subprocess.run(wrong, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("tutorlib: width=0: expected a whole number from 1")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_every_experiment_can_be_run_by_name(monkeypatch: pytest.MonkeyPatch):
    for name, experiment in papers.experiments().items():
        assert name == experiment.name
        assert name.split(".")[0] in papers.PAPERS
        chosen, asked = [], []
        monkeypatch.setattr(cli, "have_ready", lambda parts, say, asked=asked: asked.extend(parts))
        monkeypatch.setattr(cli, "run_sweep", lambda e, tier, chosen=chosen, **options: chosen.append((e, tier)) or [])
        tier = next(iter(experiment.tiers))
        assert cli.main(["run", name, "--tier", tier]) == 0
        assert chosen == [(experiment, tier)]
        assert set(asked) == {part for trial in experiment.trials(tier) for part in experiment.data(trial.config)}
