"""An experiment: a named function of trials and a context, with the figure it stands for and its tiers."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Any, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints, runtime_checkable

import torch

from tutorlib.lab.checkpoint import Checkpoint
from tutorlib.lab.compiling import captures, compile_step, outputs_own
from tutorlib.lab.errors import bad_argument, checked, choose, expect_dataclass, expect_fields
from tutorlib.lab.progress import Progress, Silent
from tutorlib.lab.renames import first_fields, todays_path
from tutorlib.lab.tiers import Tier, expect_seeds, seeds_of
from tutorlib.shapes import Float, Tensor

S = TypeVar("S", bound=Callable[..., Any])

Metrics = dict[str, Any]
"""What a run found: numbers and lists of numbers, ready for JSON."""


@dataclass(frozen=True)
class Trial:
    """One run: a configuration (a frozen dataclass) and a seed."""

    config: Any
    seed: int

    def __post_init__(self) -> None:
        expect_fields(self, maximum={"seed": 2**63 - 1})


T = TypeVar("T")


@runtime_checkable
class Dry(Protocol):
    """What takes the place of loops in a dry run (``lab.dry``)."""

    def step(self, title: str, steps: int, take: Callable[[], T]) -> T:
        """Return what ``take``, one of the ``steps`` steps of a loop, returns."""

    def look(self, take: Callable[[], T]) -> T:
        """Return what ``take``, a look, returns."""

    def graph(self, step: S) -> S:
        """Return ``step``, which would be one graph, as it is."""


@dataclass(frozen=True)
class Context:
    """What a run is given besides its trials."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    """where tensors live"""
    progress: Progress = field(default_factory=Silent)
    """told about finished steps"""
    checkpoint: Checkpoint | None = None
    """where the state is kept and found again; None keeps nothing"""
    compile: bool = False
    """whether steps are compiled, where the experiment has such a form"""
    save_every: float = 30.0
    """seconds between two times at which the state is kept"""
    diverged: dict[int, int] | None = None
    """takes the place in the batch of each run that diverges, and the step by which it had; None: it is an error"""
    dry: Dry | None = None
    """takes the place of loops: one step and one look are enough; None: it is for real"""
    steps_compiled: list[str] = field(default_factory=list)
    """takes the name of each step that was compiled: what a record tells of it"""

    def __post_init__(self) -> None:
        expect_fields(self, not_negative=("save_every",))

    @property
    def graphs(self) -> bool:
        """Whether steps are CUDA graphs, which ask more of a step than a compiler does: see ``lab.compiling``."""
        return self.compile and captures(self.device)

    @property
    def form(self) -> str:
        """The option of ``tutorlib run`` with which it does the same again, so far; none if it does by itself."""
        if self.steps_compiled:
            return "--compile"
        return "--no-compile" if self.device.type == "cuda" and not self.compile else ""

    def compiled(self, step: S) -> S:
        """Return ``step``, a function, compiled as one graph if this run is to be compiled: see ``lab.compiling``."""
        if not self.compile:
            return step
        self.steps_compiled.append(step.__name__)
        return outputs_own(self.dry.graph(step)) if self.dry else compile_step(step, self.device)


Run = Callable[[Sequence[Trial], Context], list[Metrics]]


def never(config: Any) -> bool:
    """Return False: no configuration is meant."""
    return False


def no_data(config: Any) -> tuple[str, ...]:
    """Return nothing: no configuration reads files."""
    return ()


@dataclass(frozen=True)
class Experiment:
    """A study with a name, the figure or table of the paper that it stands for, and its tiers.

    ``run`` takes trials and returns their metrics in the same order. It is given several trials at once, to run as one
    batch, only if ``varies`` names the fields in which they may differ, and they share the rest.
    """

    name: str
    """paper and experiment, such as ``gpicl.phases``"""
    title: str
    """one line for lists"""
    figure: str
    """the paper's figure, table or claim"""
    run: Run
    tiers: Mapping[str, Tier]
    varies: tuple[str, ...] | None = None
    """fields of the configuration in which runs side by side may differ, besides the seed; None: all run one by one"""
    alone: Callable[[Any], bool] = never
    """configurations that run one by one all the same"""
    cpu_only: bool = False
    """whether runs compute on the CPU whatever device is asked for"""
    data: Callable[[Any], tuple[str, ...]] = no_data
    """parts of data sets that a run of a configuration reads from files, such as ``mnist/train``"""

    def __post_init__(self) -> None:
        expect_fields(self)
        for name, tier in self.tiers.items():
            expect_seeds(f"tiers[{name!r}].seeds", tier.seeds, seeds_of(name))

    def tier(self, name: str) -> Tier:
        """Return the tier called ``name``; raise ``UsageError`` if this experiment has none of that name."""
        return self.tiers[choose("tier", name, self.tiers)]

    def trials(
        self, tier: str, seeds: Sequence[int] | None = None, overrides: Mapping[str, Any] | None = None
    ) -> tuple[Trial, ...]:
        """Return the trials of a tier, with other ``seeds`` and with fields overridden where given, none twice.

        Raises ``UsageError`` for an unknown tier or field, and for a value or seed that cannot be used.
        """
        chosen = self.tier(tier)
        seeds = chosen.seeds if seeds is None else seeds
        for seed in seeds:
            if type(seed) is not int or not 0 <= seed < 2**63:
                raise bad_argument("seeds", seed, "whole numbers from 0 to 2^63 - 1")
        if not seeds:
            raise bad_argument("seeds", list(seeds), "at least one seed")
        given = overrides or {}
        values = {todays_path(self.name, name): value for name, value in given.items()}
        if len(values) < len(given):
            raise bad_argument("set", sorted(given), "each field under one name, of today or of an earlier version")
        configs = dict.fromkeys(override(config, values) for config in chosen.configs)
        return tuple(Trial(config, seed) for config in configs for seed in dict.fromkeys(seeds))


@checked()
def override(config: Any, values: Mapping[str, Any]) -> Any:
    """Return ``config`` with fields set to ``values``; text is read as the type that the field is declared with.

    A field of a configuration inside ``config`` is named with a dot, such as ``streams.length``. Raises ``UsageError``
    for an unknown field, or a value that is not of the field's type.
    """
    expect_dataclass("config", config)
    types = _types(config)
    inside: dict[str, dict[str, Any]] = {}
    direct: dict[str, Any] = {}
    for name, value in values.items():
        outer, dot, inner = name.partition(".")
        if dot and is_dataclass(getattr(config, choose("set", outer, types))):
            inside.setdefault(outer, {})[inner] = value
        else:
            direct[choose("set", name, types)] = value
    changed = {name: _read(name, value, types[name]) for name, value in direct.items()}
    changed |= {name: override(getattr(config, name), inner) for name, inner in inside.items()}
    return replace(config, **changed)


def _types(config: Any) -> dict[str, tuple[Any, ...]]:
    """Return the types that each field of ``config`` is declared with: several for ``int | str``."""
    hints = get_type_hints(type(config))
    unions = {name: get_origin(hint) in (Union, UnionType) for name, hint in hints.items()}
    return {f.name: get_args(hints[f.name]) if unions[f.name] else (hints[f.name],) for f in fields(config) if f.init}


_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def _read(name: str, value: Any, types: tuple[Any, ...]) -> Any:
    """Return ``value`` if it is of one of ``types``, and text as the first of them that it can be read as."""
    # Not by tyro, which makes one command line of one dataclass: the trials of a tier may have several, each known when
    # the experiment is, and their fields go by earlier names, too.
    if not isinstance(value, str):
        if type(value) in types or not set(types) <= set(_WORDS):  # what is no number or text is not checked here
            return value
        if type(value) is int and float in types:
            return float(value)
    else:
        if bool in types and value.lower() in ("true", "false"):
            return value.lower() == "true"
        for kind in (int, float, str):
            if kind in types:
                try:
                    return kind(value)
                except ValueError:
                    continue
    raise bad_argument(name, value, " or ".join(_WORDS.get(kind, str(kind)) for kind in types))


@checked()
def plain(config: Any) -> dict[str, Any]:
    """Return the fields of ``config`` by name, equal for equal configurations: 1 is 1.0 where a float belongs."""
    expect_dataclass("config", config)
    result = asdict(config)
    for name, types in _types(config).items():
        if is_dataclass(getattr(config, name)):
            result[name] = plain(getattr(config, name))
        elif float in types and type(result[name]) in (int, float):
            result[name] = float(result[name]) + 0.0  # -0.0 becomes 0.0
    return result


def filled(config: Mapping[str, Any], like: Any) -> dict[str, Any]:
    """Return a record's ``config`` with the fields that its dataclass, that of ``like``, has got since, at defaults.

    A default is what was done before there was a choice, so this is the configuration that was run.
    """
    completed: dict[str, Any] = {}
    for f in fields(like):
        if f.name not in config and (f.default is not MISSING or f.default_factory is not MISSING):
            completed[f.name] = f.default if f.default_factory is MISSING else f.default_factory()
        elif f.name in config and is_dataclass(getattr(like, f.name)):
            completed[f.name] = filled(config[f.name], getattr(like, f.name))
    return {**config, **completed}


@checked()
def trial_key(experiment: str, trials: Sequence[Trial]) -> str:
    """Return the name under which the result of ``trials`` is kept: a hash of all that determines it."""
    content = [experiment, [[first_fields(experiment, plain(trial.config)), trial.seed] for trial in trials]]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


@checked()
def checkpoint_for(folder: Path, experiment: str, trials: Sequence[Trial]) -> Checkpoint:
    """Return the checkpoint of ``trials`` in ``folder``; it refuses the state of any other trials."""
    key = trial_key(experiment, trials)
    return Checkpoint(folder / f"{key}.ckpt", key, [trial_key(experiment, [trial]) for trial in trials])


@checked(counts=("digits",), maximum={"digits": 17})
def rounded(values: Float[Tensor, "*shape"], digits: int = 5) -> Any:
    """Return the entries of a tensor as nested lists, with ``digits`` significant digits, ready for JSON."""
    if values.dim() == 0:
        return float(f"{values.item():.{digits - 1}e}")
    return [rounded(value, digits) for value in values]
