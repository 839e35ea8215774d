"""Records: one JSON file per finished cell, written atomically, with its provenance."""

import json
import math
import platform
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from tutorlib.lab.checkpoint import write_atomically
from tutorlib.lab.device import device_name
from tutorlib.lab.errors import RecordError
from tutorlib.lab.experiment import Cell, Metrics, cell_key

FORMAT = 1
"""Version of the file format; a record of another one is refused, never guessed at."""


class NoRecordsError(RecordError):
    """The package ships no records of an experiment."""


@dataclass(frozen=True)
class Record:
    """The result of one cell and where it came from."""

    experiment: str
    tier: str
    config: dict[str, Any]
    seed: int
    metrics: Metrics
    seconds: float
    """wall time; for a batch of cells its share"""
    provenance: dict[str, Any]
    """device, versions, command, and the number of cells that ran as one batch"""
    format: int = FORMAT


def provenance(device: torch.device, batch: int) -> dict[str, Any]:
    """Return what is worth knowing of the machine and the versions behind a result; no path, no host name."""
    packages = {}
    for name in ("tutorlib", "torch", "numpy"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:  # a source tree that is not installed
            packages[name] = "unknown"
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
    return {
        "device": device_name(device),
        "python": platform.python_version(),
        "packages": packages,
        "command": command if command.startswith("tutorlib") else "tutorlib (from Python)",
        "batch": batch,
    }


def record_path(folder: Path, experiment: str, cell: Cell) -> Path:
    """Return the file of the record of ``cell``."""
    return folder / f"{cell_key(experiment, [cell])}.json"


def save(record: Record, path: Path) -> None:
    """Write ``record`` to ``path`` atomically. Raises ``RecordError`` if a metric is not a finite number."""
    _refuse_non_finite(record.metrics, path, "metrics")
    write_atomically(path, (json.dumps(asdict(record)) + "\n").encode())


def _refuse_non_finite(value: Any, path: Path, name: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise RecordError(f"record={str(path)!r}: {name}={value}: expected a finite number")
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_non_finite(item, path, f"{name}.{key}")
    elif isinstance(value, list):
        for item in value:
            _refuse_non_finite(item, path, name)


def load(path: Path) -> Record:
    """Return the record in ``path``. Raises ``RecordError`` if it is torn or of another format version."""
    return _parse(_read_json(path), path)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise RecordError(
            f"record={str(path)!r}: expected a JSON record, found a torn or unreadable file ({error}); "
            f"delete it and its cell is computed again"
        ) from error


def _parse(content: Any, path: Path) -> Record:
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        raise RecordError(f"record={str(path)!r}: format={found!r}: expected {FORMAT}; record the cell again")
    try:
        return Record(**content)
    except TypeError as error:
        raise RecordError(f"record={str(path)!r}: expected the fields of a record ({error})") from error


def load_folder(folder: Path) -> list[Record]:
    """Return all records in ``folder``, in the order of their file names."""
    return [load(path) for path in sorted(folder.glob("[!.]*.json"))]


def table(records: Iterable[Record]) -> pd.DataFrame:
    """Return one row per record: the configuration's fields, ``seed``, the metrics, ``seconds`` and ``device``."""
    return pd.DataFrame(
        [
            {**r.config, "seed": r.seed, **r.metrics, "seconds": r.seconds, "device": r.provenance["device"]}
            for r in records
        ]
    )


def publish(records: Sequence[Record], path: Path) -> None:
    """Write ``records`` into one file, as a package ships them: what all share stands there once."""
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
        for r in sorted(records, key=lambda r: json.dumps([r.config, r.seed], sort_keys=True))
    ]
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    head = json.dumps({**shared, "provenance": sources})[:-1]
    write_atomically(path, f'{head}, "records": [\n{lines}\n]}}\n'.encode())


def recorded(name: str, tier: str = "study") -> list[Record]:
    """Return the records that the package ships of experiment ``name`` (such as ``gpicl.phases``).

    Raises ``NoRecordsError`` if it ships none, and ``RecordError`` if the file is
    torn or of another format version.
    """
    paper, experiment = name.split(".")
    path = Path(str(files("tutorlib.papers"))) / paper / "recorded" / f"{experiment}-{tier}.json"
    if not path.exists():
        raise NoRecordsError(f"experiment={name!r}: no records of tier {tier!r} are shipped with the package")
    return load_published(path)


def load_published(path: Path) -> list[Record]:
    """Return the records in a file written by ``publish``."""
    content = _read_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else None
        raise RecordError(f"record={str(path)!r}: format={found!r}: expected {FORMAT}; record the sweep again")
    shared = {key: content[key] for key in ("format", "experiment", "tier")}
    sources = content["provenance"]
    return [
        _parse({**shared, **row, "provenance": sources[row["provenance"]]}, path) for row in content["records"]
    ]
