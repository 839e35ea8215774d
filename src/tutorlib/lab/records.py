"""Records: one JSON file per finished trial, written atomically, with its provenance."""

import glob
import json
import math
import platform
import re
import shlex
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from tutorlib.lab.checkpoint import write_atomically
from tutorlib.lab.device import device_name
from tutorlib.lab.errors import RecordError, bad_argument, checked
from tutorlib.lab.experiment import Metrics, Trial, plain, trial_key
from tutorlib.lab.renames import todays_fields, todays_metrics
from tutorlib.lab.tiers import seeds_of, seeds_text

FORMAT = 1
"""Version of the file format; a record of another one is refused, never guessed at."""


class NoRecordsError(RecordError):
    """The package ships no records of an experiment."""


class WithdrawnError(NoRecordsError):
    """All records of an experiment that the package ships are withdrawn."""


@dataclass(frozen=True)
class Record:
    """The result of one trial and where it came from."""

    experiment: str
    tier: str
    config: dict[str, Any]
    seed: int
    metrics: Metrics
    seconds: float
    """wall time since the trial was last taken up; for a batch of trials its share"""
    provenance: dict[str, Any]
    """device, versions, commit, day, command, and the number of trials that ran as one batch"""
    format: int = FORMAT
    diverged: int | None = None
    """the step by which the run was no longer finite; it has no metrics then"""


@checked(counts=("batch",))
def provenance(device: torch.device, batch: int, command: str) -> dict[str, Any]:
    """Return what is worth knowing of the machine and the versions behind a result; no path, no host name."""
    packages = {}
    for name in ("tutorlib", "torch", "numpy"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:  # a source tree that is not installed
            packages[name] = "unknown"
    return {
        "device": device_name(device),
        "python": platform.python_version(),
        "packages": packages,
        "commit": commit(Path(__file__).resolve().parents[3]),
        "day": datetime.now(UTC).date().isoformat(),
        "command": command,
        "batch": batch,
    }


@cache
def commit(root: Path) -> str:
    """Return the commit of the source tree ``root``, which also says when the bars of a claim had been fixed.

    With "and changes" if its sources were changed since; "unknown" where the library was installed from elsewhere.
    Asked once in a process: what runs is what was imported.
    """
    if not (root / ".git").exists():
        return "unknown"
    git = ("git", "--no-optional-locks", "-C", str(root))
    try:
        name, changed = (
            subprocess.run([*git, *words], capture_output=True, text=True, check=True, timeout=30).stdout.strip()
            for words in (("rev-parse", "HEAD"), ("status", "--porcelain", "--", "src"))
        )
    except (OSError, subprocess.SubprocessError):  # no git, or one that refuses
        return "unknown"
    return f"{name} and changes" if changed else name


@checked()
def command_line(
    experiment: str,
    tier: str,
    seeds: Sequence[int] | None,
    overrides: Mapping[str, Any] | None,
) -> str:
    """Return the command that computes these trials, wherever its results go."""
    words = ["tutorlib", "run", experiment, "--tier", tier]
    if seeds:
        words += ["--seeds", seeds_text(seeds)]
    if overrides:
        words += ["--set", *(f"{name}={value}" for name, value in overrides.items())]
    return shlex.join(words)


@checked()
def record_path(folder: Path, experiment: str, trial: Trial) -> Path:
    """Return the file of the record of ``trial``."""
    return folder / f"{trial_key(experiment, [trial])}.json"


@checked()
def save(record: Record, path: Path) -> None:
    """Write ``record`` to ``path`` atomically. Raises ``RecordError`` if a metric is not a finite number."""
    _check_metrics(record.metrics, path, "metrics")
    write_atomically(path, (json.dumps(_as_filed(record)) + "\n").encode())


def _as_filed(record: Record) -> dict[str, Any]:
    """Return the fields of a record; only a run that diverged says when."""
    return {name: value for name, value in asdict(record).items() if (name, value) != ("diverged", None)}


def _check_metrics(metrics: Any, path: Path, name: str) -> None:
    if fault := not_finite(metrics, name):
        raise RecordError(f"record={str(path)!r}: {fault}: expected a finite number")


def not_finite(metrics: Any, name: str = "metrics") -> str | None:
    """Return the first of ``metrics`` that is no text and no finite number, such as ``metrics.loss=nan``, or None."""
    waiting = [(name, metrics)]  # not by recursion: a study holds 100,000 numbers
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [(f"{name}.{key}", item) for key, item in reversed(value.items())]
        elif isinstance(value, list | tuple):
            if not _all_finite(value):
                waiting += [(name, item) for item in reversed(value)]
        elif not (isinstance(value, str) or _finite(value)):
            return f"{name}={_shown(value)}"
    return None


def _finite(value: Any) -> bool:
    """Return whether ``value`` is a number that a float can hold."""
    try:
        return isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:
        return False


def _shown(value: Any) -> str:
    """Return ``value`` as a sentence shows it: of a number of many digits, which Python does not print, the size."""
    digits = int(value.bit_length() * math.log10(2)) if isinstance(value, int) else 0
    return f"a whole number of about {digits} digits" if digits > 40 else repr(value)


def _all_finite(values: Sequence[Any]) -> bool:
    """Return whether these are numbers and finite, fast; False does not say that one is not."""
    try:
        return {*map(type, values)} <= {int, float} and math.isfinite(sum(values))
    except OverflowError:  # a whole number beyond what a float can hold
        return False


@checked()
def load(path: Path) -> Record:
    """Return the record in ``path``. Raises ``RecordError`` if it is torn or of another format version."""
    return _parse(_read_json(path), path)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # also numbers of more digits than Python reads
        raise RecordError(
            f"record={str(path)!r}: expected a JSON record, found a torn or unreadable file ({error}); "
            f"delete it and its trial is computed again"
        ) from error


_FIELDS: dict[str, tuple[Any, str]] = {
    "experiment": (str, "text"),
    "tier": (str, "text"),
    "config": (dict, "the fields of a configuration"),
    "seed": (int, "a whole number from 0 to 2^63 - 1"),
    "metrics": (dict, "numbers by name"),
    "seconds": ((int, float), "a finite number from 0"),
    "provenance": (dict, "device, versions and command"),
}


def _parse(content: Any, path: Path) -> Record:
    _check_format(content, path)
    for name, (kind, expected) in _FIELDS.items():
        value = content.get(name)
        fine = isinstance(value, kind) and not isinstance(value, bool)
        if name == "seed":
            fine = fine and 0 <= value < 2**63
        if name == "seconds":
            fine = fine and _finite(value) and value >= 0
        _check(fine, path, name, value, expected)
    _check(isinstance(content["provenance"].get("device"), str), path, "provenance", content["provenance"], "a device")
    diverged = content.get("diverged", 1)
    fine = type(diverged) is int and diverged >= 1 and ("diverged" not in content or content["metrics"] == {})
    _check(fine, path, "diverged", diverged, "the number of a step, and no metrics")
    unknown = sorted(set(content) - {*_FIELDS, "format", "diverged"})
    _check(not unknown, path, "fields", unknown, "those of a record and no others")
    _check_metrics(content["metrics"], path, "metrics")
    name = content["experiment"]
    now = {"config": todays_fields(name, content["config"]), "metrics": todays_metrics(name, content["metrics"])}
    return Record(**content | now)


def _check_format(content: Any, path: Path) -> None:
    number = content.get("format") if isinstance(content, dict) else None
    _check(type(number) is int and number == FORMAT, path, "format", number, f"{FORMAT}; record it again")


def _check(fine: bool, path: Path, name: str, value: object, expected: str) -> None:
    if not fine:
        raise RecordError(f"record={str(path)!r}: {name}={_shown(value)}: expected {expected}")


def load_of(trial: Trial, experiment: str, tier: str, folder: Path) -> Record:
    """Return the record of ``trial`` in ``folder``.

    Raises ``RecordError`` if the file is torn, of another format version, or the record of something else.
    """
    path = record_path(folder, experiment, trial)
    record = load(path)
    config = json.loads(json.dumps(plain(trial.config)))  # as a file holds it: lists for tuples
    wanted = {"experiment": experiment, "tier": tier, "seed": trial.seed, "config": config}
    for name, value in wanted.items():
        expected = f"that of the trial whose name the file has, {value!r}; delete it and its trial is computed again"
        _check(getattr(record, name) == value, path, name, getattr(record, name), expected)
    return record


@checked()
def load_folder(folder: Path) -> list[Record]:
    """Return all records in ``folder``, in the order of their file names."""
    return [load(path) for path in sorted(folder.glob("[!.]*.json"))]


@checked()
def table(records: Iterable[Record]) -> pd.DataFrame:
    """Return one row per record: the configuration's fields, ``seed``, the metrics, ``seconds`` and ``device``.

    A field that is itself a configuration becomes columns such as ``streams.length``, and so do metrics inside others.
    Where a run diverged there is a column ``diverged`` with the step, and that run has no metrics.
    """
    return pd.DataFrame(
        [
            {
                **_flat(r.config),
                "seed": r.seed,
                **_flat(r.metrics),
                "seconds": r.seconds,
                "device": r.provenance["device"],
            }
            | ({} if r.diverged is None else {"diverged": r.diverged})
            for r in records
        ]
    )


def _flat(config: dict[str, Any]) -> dict[str, Any]:
    """Return a dictionary with those inside it taken apart."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{inner}": leaf for inner, leaf in _flat(value).items()}
        else:
            flat[name] = value
    return flat


@checked()
def publish(records: Sequence[Record], path: Path) -> None:
    """Write ``records`` into one file, as a package ships them: what all share stands there once.

    What a killed writer of this file left behind more than a minute ago is removed. Raises ``UsageError`` if they are
    not of one experiment and tier or a trial is there twice, ``RecordError`` if a metric is not a finite number, and
    ``StorageError`` if the file cannot be written.
    """
    kinds = sorted({f"{r.experiment} ({r.tier})" for r in records})
    if len(kinds) != 1:
        raise bad_argument("records", kinds, "records of one experiment and tier")
    if twice := _twice(records):
        raise bad_argument("records", twice, "one record of each configuration and seed")
    for record in records:
        _check_metrics(record.metrics, path, "metrics")
    shared = {"format": FORMAT, "experiment": records[0].experiment, "tier": records[0].tier}
    sources = list({json.dumps(r.provenance, sort_keys=True): r.provenance for r in records}.values())
    rows = [
        {
            "config": r.config,
            "seed": r.seed,
            "metrics": r.metrics,
            "seconds": r.seconds,
            "provenance": sources.index(r.provenance),
        }
        | ({} if r.diverged is None else {"diverged": r.diverged})
        for r in sorted(records, key=lambda r: json.dumps([r.config, r.seed], sort_keys=True))
    ]
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    head = json.dumps({**shared, "provenance": sources})[:-1]
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*"):
        if (
            re.fullmatch("[0-9a-f]{16}", leftover.name.rpartition(".")[2])
            and time.time() - leftover.stat().st_mtime > 60
        ):
            leftover.unlink(missing_ok=True)
    write_atomically(path, f'{head}, "records": [\n{lines}\n]}}\n'.encode())


@checked()
def recorded(name: str, tier: str = "study", withdrawn: bool = False, diverged: bool = False) -> list[Record]:
    """Return the records that the package ships of experiment ``name`` (such as ``gpicl.phases``).

    Those that are withdrawn (see ``withdrawals``) are left out, unless ``withdrawn`` asks for them: a figure that
    shows them says so. Runs that diverged have no metrics: whoever can count them says ``diverged``.

    Raises ``NoRecordsError`` if it ships none, ``WithdrawnError`` if all of them are withdrawn, ``RecordError`` if the
    file is torn or of another format version, or holds runs that diverged and nobody asked for them, and ``UsageError``
    if no experiment can have that name.
    """
    path = _shipped(name, tier)
    if not path.exists():
        raise NoRecordsError(f"experiment={name!r}: no records of tier {tier!r} are shipped with the package")
    records = load_published(path)
    for record in records:  # or one file's results would stand for another's
        _check(record.experiment == name, path, "experiment", record.experiment, f"{name!r}, whose name the file has")
        _check(record.tier == tier, path, "tier", record.tier, f"{tier!r}, whose name the file has")
        known = seeds_of(tier)
        _check(record.seed in known, path, "seed", record.seed, f"a seed from {known.start} to {known.stop - 1}")
    gone = [] if withdrawn else withdrawals(name, tier)
    standing = [record for record in records if not any(withdrawal.covers(record.config) for withdrawal in gone)]
    if not standing:
        reasons = " ".join(dict.fromkeys(withdrawal.reason for withdrawal in gone))
        raise WithdrawnError(f"experiment={name!r}: its records are withdrawn: {reasons}")
    lost = [record for record in standing if record.diverged is not None]
    if lost and not diverged:  # left out without a word, they would flatter
        raise RecordError(
            f"experiment={name!r}: {len(lost)} of {len(standing)} runs diverged, the first with seed {lost[0].seed}: "
            f"expected runs that ended, or diverged=True from whoever counts them"
        )
    return standing


def _shipped(name: str, tier: str) -> Path:
    """Return the file in which the package ships, or would ship, the records of ``name``."""
    paper, dot, experiment = name.partition(".")
    if not dot:
        raise bad_argument("experiment", name, "a name such as gpicl.phases")
    return Path(str(files("tutorlib.papers"))) / paper / "recorded" / f"{experiment}-{tier}.json"


@dataclass(frozen=True)
class Withdrawal:
    """Shipped records that no longer stand, because a fault was found in what computed them."""

    reason: str
    """one sentence: the fault"""
    where: Mapping[str, Sequence[Any]]
    """fields of the configuration and their values, for which alone records are withdrawn; empty: all of the file"""

    def covers(self, config: Mapping[str, Any]) -> bool:
        """Return whether the record of ``config`` is withdrawn; ``RecordError`` if ``where`` names no field of it."""
        if unknown := sorted(set(self.where) - set(config)):
            raise RecordError(f"where={unknown}: expected fields of the configuration, {', '.join(sorted(config))}")
        return all(config[name] in values for name, values in self.where.items())


@checked()
def withdrawals(name: str, tier: str = "study") -> list[Withdrawal]:
    """Return what is withdrawn of the records of experiment ``name``.

    They are listed beside the records, in ``recorded/withdrawn.json``: by the name of the file (``minigrid-study``), a
    list of objects with ``reason`` and, where only some records of the file are meant, ``where``. Once a study is
    recorded again, its entry goes.

    Raises ``RecordError`` if the list is torn, and ``UsageError`` if no experiment can have that name.
    """
    shipped = _shipped(name, tier)
    path = shipped.with_name("withdrawn.json")
    if not path.exists():
        return []
    content = _read_json(path)
    _check(isinstance(content, dict), path, "content", content, "lists of withdrawals by the name of a file")
    result = []
    for entry in content.get(shipped.stem, []):
        fine = isinstance(entry, dict) and isinstance(entry.get("reason"), str) and set(entry) <= {"reason", "where"}
        _check(fine, path, shipped.stem, entry, "a reason, and perhaps where")
        where = entry.get("where", {})
        fine = isinstance(where, dict) and all(isinstance(values, list) for values in where.values())
        _check(fine, path, "where", where, "a list of values for each field")
        result.append(Withdrawal(entry["reason"], where))
    return result


@checked()
def load_published(path: Path) -> list[Record]:
    """Return the records in a file written by ``publish``.

    Raises ``RecordError`` if it is torn or of another format version, if it holds no records, or a trial twice.
    """
    content = _read_json(path)
    _check_format(content, path)
    shared = {name: content.get(name) for name in ("format", "experiment", "tier")}
    sources, rows = content.get("provenance"), content.get("records")
    _check(isinstance(sources, list), path, "provenance", sources, "a list")
    _check(isinstance(rows, list) and rows != [], path, "records", rows, "a list of at least one")
    records = []
    for row in rows:
        _check(isinstance(row, dict), path, "records", row, "an object for each")
        _check(not set(row) & set(shared), path, "records", sorted(row), f"none of {sorted(shared)} in a row")
        number = row.get("provenance")
        known = type(number) is int and 0 <= number < len(sources)
        _check(known, path, "provenance", number, f"a number below {len(sources)}")
        records.append(_parse({**row, **shared, "provenance": sources[number]}, path))
    twice = _twice(records)
    _check(twice is None, path, "records", twice, "one record of each configuration and seed")
    return records


def _twice(records: Iterable[Record]) -> dict[str, Any] | None:
    """Return configuration and seed of the first trial that is there more than once, or None."""
    met = set()
    for record in records:
        trial = json.dumps([record.config, record.seed], sort_keys=True)
        if trial in met:
            return {**record.config, "seed": record.seed}
        met.add(trial)
    return None
