"""Runs side by side: what they must share, and what may differ between them.

An experiment names the fields of its configuration in which runs of one batch may differ. All else follows: which
trials of a sweep run as one batch, the configuration that they share, and the tensors of what differs, one entry for
each run.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from tutorlib.lab.errors import bad_argument, checked, choose
from tutorlib.lab.experiment import Experiment, Trial, plain


@checked()
def shared(config: Any, varies: Sequence[str]) -> str:
    """Return as text what ``config`` shares with those that may run beside it: all fields but those of ``varies``.

    A field of a configuration inside ``config`` is named with a dot. Raises ``UsageError`` for a field that it lacks.
    """
    fields = plain(config)
    for name in varies:
        *outer, last = name.split(".")
        inside = fields
        for part in outer:
            inside = inside[choose("varies", part, inside)]
        del inside[choose("varies", last, inside)]
    return json.dumps(fields, sort_keys=True)


@checked()
def common(trials: Sequence[Trial], varies: Sequence[str] = ()) -> Any:
    """Return the configuration of the first of ``trials``: that of all of them but for the fields of ``varies``.

    Raises ``UsageError`` for no trials, and for trials that differ in anything else but their seeds.
    """
    if not trials:
        raise bad_argument("trials", 0, "at least one trial")
    first = trials[0].config
    for trial in trials:
        if type(trial.config) is not type(first) or shared(trial.config, varies) != shared(first, varies):
            may = ", ".join([*varies, "seed"])
            raise bad_argument("trials", _difference(first, trial.config, varies), f"trials that differ in {may} alone")
    return first


def _difference(first: Any, other: Any, varies: Sequence[str]) -> str:
    """Return in words a field in which two configurations must not differ, and do."""
    if type(first) is not type(other):
        return f"a {type(first).__name__} and a {type(other).__name__}"
    one, two = plain(first), plain(other)
    name = next(name for name in one if one[name] != two[name] and name not in varies)
    return f"{name}={one[name]!r} and {name}={two[name]!r}"


@checked()
def column(
    trials: Sequence[Trial],
    value: str | Callable[[Any], float | int],
    device: torch.device,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Return a tensor ``[runs]`` of what ``value``, a field or a function of a configuration, is for each trial."""
    if isinstance(value, str):
        for trial in trials:
            choose("value", value, plain(trial.config))
    read = value if callable(value) else lambda config: getattr(config, value)
    return torch.tensor([read(trial.config) for trial in trials], dtype=dtype, device=device)


@checked(counts=("most",))
def side_by_side(experiment: Experiment, trials: Sequence[Trial], most: int | None = None) -> list[tuple[Trial, ...]]:
    """Return ``trials`` in batches of those that run side by side, ``most`` of them at most."""
    alike: dict[Any, list[Trial]] = {}
    for trial in trials:
        alone = experiment.varies is None or experiment.alone(trial.config)
        alike.setdefault(trial if alone else shared(trial.config, experiment.varies or ()), []).append(trial)
    return [
        tuple(group[i : i + (most or len(group))])
        for group in alike.values()
        for i in range(0, len(group), most or len(group))
    ]


__all__ = ["column", "common", "shared", "side_by_side"]
