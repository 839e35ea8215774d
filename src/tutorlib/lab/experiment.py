"""An experiment: a named function of cells and a context, with the figure it stands for and its three tiers."""

import hashlib
import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch

from tutorlib.lab.checkpoint import Checkpoint
from tutorlib.lab.errors import bad_argument, choose
from tutorlib.lab.progress import Progress, Silent
from tutorlib.lab.tiers import Tier

Metrics = dict[str, Any]
"""What a run found: numbers and lists of numbers, ready for JSON."""


@dataclass(frozen=True)
class Cell:
    """One run: a configuration (a frozen dataclass) and a seed."""

    config: Any
    seed: int


@dataclass(frozen=True)
class Context:
    """What a run is given besides its cells."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    """where tensors live"""
    progress: Progress = field(default_factory=Silent)
    """told about finished steps"""
    checkpoint: Checkpoint | None = None
    """where the state is kept and found again; None keeps nothing"""


Run = Callable[[Sequence[Cell], Context], list[Metrics]]


@dataclass(frozen=True)
class Experiment:
    """A study with a name, the figure or table of the paper that it stands for, and its tiers.

    ``run`` takes cells and returns their metrics in the same order. It is given several cells at once only if
    ``shape`` is set and equal for all of them: they then run as one batch.
    """

    name: str
    """paper and experiment, such as ``gpicl.phases``"""
    title: str
    """one line for lists"""
    figure: str
    """the paper's figure, table or claim"""
    run: Run
    tiers: Mapping[str, Tier]
    shape: Callable[[Any], Hashable] | None = None
    """what cells must share to run as one batch; None: always one by one"""

    def tier(self, name: str) -> Tier:
        """Return the tier called ``name``; raise ``UsageError`` if this experiment has none of that name."""
        return self.tiers[choose("tier", name, self.tiers)]

    def cells(
        self, tier: str, seeds: Sequence[int] | None = None, overrides: Mapping[str, Any] | None = None
    ) -> tuple[Cell, ...]:
        """Return the cells of a tier, with other ``seeds`` and with fields overridden where given."""
        chosen = self.tier(tier)
        configs = dict.fromkeys(override(config, overrides or {}) for config in chosen.configs)
        return tuple(Cell(config, seed) for config in configs for seed in (seeds or chosen.seeds))


def override(config: Any, values: Mapping[str, Any]) -> Any:
    """Return ``config`` with fields set to ``values``; text is read as the type of the field's present value.

    Raises ``UsageError`` for an unknown field or a value that cannot be read as its type.
    """
    known = {f.name: getattr(config, f.name) for f in fields(config)}
    changed = {}
    for name, value in values.items():
        choose("set", name, known)
        changed[name] = _read(name, value, known[name]) if isinstance(value, str) else value
    return replace(config, **changed)


def _read(name: str, text: str, like: Any) -> Any:
    """Return ``text`` as a value of the type of ``like``; whole-number fields may also hold the word ``inf``."""
    if isinstance(like, bool):
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise bad_argument(name, text, "true or false")
    try:
        if isinstance(like, float):
            return float(text)
        return int(text)
    except ValueError:
        if isinstance(like, str) or text == "inf":
            return text
        kind = "a number" if isinstance(like, float) else "a whole number"
        raise bad_argument(name, text, kind) from None


def cell_key(experiment: str, cells: Sequence[Cell]) -> str:
    """Return the name under which the result of ``cells`` is kept: a hash of all that determines it."""
    content = [experiment, [[asdict(cell.config), cell.seed] for cell in cells]]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def checkpoint_for(folder: Path, experiment: str, cells: Sequence[Cell]) -> Checkpoint:
    """Return the checkpoint of ``cells`` in ``folder``; it refuses the state of any other cells."""
    key = cell_key(experiment, cells)
    return Checkpoint(folder / f"{key}.ckpt", fingerprint=key)
