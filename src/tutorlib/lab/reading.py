"""Reading records back: those that are wanted, the configuration they were run with, and pairs of the same seed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

from tutorlib.lab.errors import RecordError, bad_argument, checked
from tutorlib.lab.records import Record

C = TypeVar("C")


@checked()
def field_of(record: Record, name: str) -> Any:
    """Return a field of the record's configuration: one of its own, or of the only configuration inside that has it.

    Raises ``UsageError`` for a name that it does not have, or has in several places.
    """
    if name in record.config:
        return record.config[name]
    inside = [value for value in record.config.values() if isinstance(value, Mapping) and name in value]
    if len(inside) != 1:
        raise bad_argument("name", name, f"a field of one configuration of {record.experiment}")
    return inside[0][name]


@checked()
def select(records: Sequence[Record], **fields: object) -> list[Record]:
    """Return the records whose configuration has the given values, in order of seed.

    Raises ``UsageError`` if there are none, and for a field that they do not have.
    """
    matching = [r for r in records if all(field_of(r, name) == value for name, value in fields.items())]
    if not matching:
        raise bad_argument("fields", fields, f"the values of some of the {len(records)} records")
    return sorted(matching, key=lambda r: r.seed)


@checked()
def config_of(record: Record, kind: type[C]) -> C:
    """Return the configuration of a record as the dataclass ``kind`` that it was run with.

    Fields that ``kind`` has got since are at their defaults, which is what was done before there was a choice. Raises
    ``RecordError`` for the record of another kind of configuration.
    """
    try:
        return _rebuilt(record.config, kind)
    except TypeError as error:
        raise RecordError(f"config={record.config!r}: expected the fields of {kind.__name__} ({error})") from None


def _rebuilt(values: Mapping[str, Any], kind: Any) -> Any:
    hints = get_type_hints(kind)
    arguments = dict(values)
    for f in fields(kind):
        if f.name in arguments and is_dataclass(hints[f.name]):
            arguments[f.name] = _rebuilt(arguments[f.name], hints[f.name])
        elif isinstance(arguments.get(f.name), list):  # JSON knows no tuples
            arguments[f.name] = tuple(arguments[f.name])
    return kind(**arguments)


@checked()
def paired(ours: Sequence[Record], theirs: Sequence[Record]) -> list[tuple[Record, Record]]:
    """Return the records in pairs of the same seed, in order of seed.

    Raises ``UsageError`` unless both have the same seeds, each of them once.
    """
    ours, theirs = (sorted(records, key=lambda r: r.seed) for records in (ours, theirs))
    seeds, others = ([r.seed for r in records] for records in (ours, theirs))
    if seeds != others or len({*seeds}) < len(seeds):
        raise bad_argument("theirs", others, f"the seeds {seeds}, each once")
    return list(zip(ours, theirs, strict=True))


@checked()
def differences(ours: Sequence[Record], theirs: Sequence[Record], value: Callable[[Record], float]) -> list[float]:
    """Return by how much ``value`` of ours is larger than of theirs, for each seed, in order of seed."""
    return [value(a) - value(b) for a, b in paired(ours, theirs)]


__all__ = ["config_of", "differences", "field_of", "paired", "select"]
