"""Data of the ``dial_explorer`` module: a trained generator writes a policy for a command, which swings a pendulum.

Policies are not recorded: the module writes them itself, from the generator's numbers at some stages of training, and
plays their episodes. ``dial_data`` is the only description of what it reads; ``dial_explorer.mjs`` is the module.
"""

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
from matplotlib.figure import Figure

from tutorlib.lab.errors import UsageError, bad_argument, checked
from tutorlib.show.style import HEAT, OURS, REFERENCE, fit_title, style

MOST_UNITS = 32_767
"""of a number of the generator, in either direction: 16 bits hold it"""


class Sizes(TypedDict):
    """Of a policy with one action and two hidden layers, and of the generator that writes it."""

    observations: int
    width: int
    """units of each hidden layer of the policy; a multiple of ``block``"""
    block: int
    embedding: int
    net_width: int
    """units of each of the two hidden layers of the generator's shared networks"""


class Stage(TypedDict):
    """A generator, and what came of its commands."""

    episodes: int
    """of training before"""
    best: float
    """return so far"""
    rho: Sequence[int]
    """all numbers of the generator, in units of ``unit``"""
    mean: Sequence[float]
    """taken from each observation"""
    scale: Sequence[float]
    """by which it is divided then"""
    achieved: Sequence[float]
    """mean return for each command"""
    places: Sequence[Sequence[float]]
    """of the policy for each command on the map"""


WORLD = ("horizon", "gravity", "torque", "dt", "max_speed", "speed_cost", "action_cost", "angle", "speed")
"""What the pendulum is: as in ``tutorlib.envs.Pend``, whose episode begins at ``angle`` with ``speed``."""


def _generator_size(sizes: Sizes) -> int:
    """Return how many numbers a generator of these sizes has."""
    h, f, tiles = sizes["net_width"], sizes["block"], sizes["width"] // sizes["block"]
    outputs = f * sizes["observations"] + f + f * f + f + f + 1
    nets = 6 * ((sizes["embedding"] + 2) * h + (h + 1) * h) + (h + 1) * outputs
    return nets + (2 * tiles + tiles * tiles) * sizes["embedding"]


@checked()
def dial_data(
    *,
    title: str,
    sizes: Sizes,
    unit: float,
    world: Mapping[str, int | float],
    scaling: Sequence[float],
    commands: Sequence[float],
    stages: Sequence[Stage],
    policies: Sequence[Sequence[float]],
    returns: Sequence[float],
    start: Mapping[str, int] | None = None,
    note: str = "",
) -> dict[str, Any]:
    """Return the data of the ``dial_explorer`` module, checked and packed.

    Args:
        title: heading of the figure.
        sizes: of policy and generator.
        unit: of the generators' whole numbers.
        world: a number for each of ``WORLD``.
        scaling: two numbers a, b: the generator reads (command - a) * b.
        commands: what can be asked for, rising.
        stages: at least one, in the order of training.
        policies: places of policies of the buffer on the map, two numbers each.
        returns: theirs.
        start: indices of the ``command`` and the ``stage`` at first.
        note: what a reader must know, such as how the generator was trained.

    Raises:
        UsageError: if a number or a length does not fit; the message names it.
    """
    if set(world) != set(WORLD):
        raise bad_argument("world", sorted(world), f"a number for each of {', '.join(WORLD)}")
    if len(scaling) != 2:
        raise bad_argument("scaling", list(scaling), "two numbers")
    if len(commands) < 2 or list(commands) != sorted(set(commands)):
        raise bad_argument("commands", list(commands), "at least two, rising")
    if not stages:
        raise bad_argument("stages", list(stages), "at least one")
    if len(policies) != len(returns) or any(len(place) != 2 for place in policies):
        raise bad_argument("policies", len(policies), f"two numbers for each of {len(returns)} returns")
    if sizes["width"] % sizes["block"]:
        raise bad_argument("sizes block", sizes["block"], f"a divisor of width={sizes['width']}")
    size = _generator_size(sizes)
    chosen = {"command": len(commands) // 2, "stage": len(stages) - 1} | dict(start or {})
    for name, most in (("command", len(commands)), ("stage", len(stages))):
        if not 0 <= chosen[name] < most:
            raise bad_argument(f"start {name}", chosen[name], f"a whole number from 0 to {most - 1}")
    return {
        "title": title,
        "note": note,
        "sizes": {name: sizes[name] for name in Sizes.__annotations__},  # type: ignore[literal-required]
        "unit": unit,
        "world": {name: world[name] for name in WORLD},
        "scaling": list(scaling),
        "commands": list(commands),
        "stages": [_stage(i, stage, sizes, size, len(commands)) for i, stage in enumerate(stages)],
        "rho": "".join(_packed(i, stage["rho"], size) for i, stage in enumerate(stages)),
        "policies": [list(place) for place in policies],
        "returns": list(returns),
        "start": {name: chosen[name] for name in ("command", "stage")},
    }


def _stage(number: int, stage: Stage, sizes: Sizes, size: int, commands: int) -> dict[str, Any]:
    """Return a stage without its generator's numbers."""
    observed = sizes["observations"]
    lengths = {"rho": size, "mean": observed, "scale": observed, "achieved": commands, "places": commands}
    for name, length in lengths.items():
        if len(stage[name]) != length:  # type: ignore[literal-required]
            raise UsageError(
                f"stages[{number}] {name} has length {len(stage[name])}: expected {length}"  # type: ignore[literal-required]
            )
    if any(s <= 0 for s in stage["scale"]):
        raise bad_argument(f"stages[{number}] scale", list(stage["scale"]), "positive numbers")
    kept = ("episodes", "best", "mean", "scale", "achieved", "places")
    return {name: stage[name] for name in kept}  # type: ignore[literal-required]


def _packed(number: int, rho: Sequence[int], size: int) -> str:
    """Return whole numbers as 16 bits each, the lowest byte first, in base 64, padded so that parts can be joined."""
    numbers = np.asarray(rho)
    if numbers.dtype.kind not in "iu" or np.abs(numbers).max() > MOST_UNITS:
        raise bad_argument(f"stages[{number}] rho", numbers.dtype.name, f"whole numbers up to {MOST_UNITS:,}")
    padded = np.zeros(math.ceil(size / 3) * 3, dtype="<i2")
    padded[:size] = numbers
    return base64.b64encode(padded.tobytes()).decode("ascii")


@checked()
def dial_picture(data: Mapping[str, Any]) -> Figure:
    """Return what was earned for each command at each stage, and the map, as a picture for where no script runs.

    ``data`` is what ``dial_data`` returned.
    """
    stages, first = data["stages"], data["stages"][data["start"]["stage"]]
    high = max(data["commands"])
    with style():
        figure = Figure(layout="constrained", figsize=(6.4, 3.2))
        left, right = figure.subplots(1, 2)
        left.plot((0, high), (0, high), "--", color=REFERENCE, linewidth=1)
        for stage in stages:
            if stage is not first:
                left.plot(data["commands"], stage["achieved"], color=REFERENCE, linewidth=0.8, alpha=0.6)
        left.plot(data["commands"], first["achieved"], color=OURS, linewidth=2.2)
        left.set(xlabel="asked", ylabel="earned")
        fit_title(left, f"after {first['episodes']:,} episodes", 0.5)
        at = np.asarray(data["policies"])
        right.scatter(*at.T, c=data["returns"], s=9, cmap=HEAT, linewidth=0)
        right.plot(*np.asarray(first["places"]).T, "o-", color="black", markersize=3, linewidth=0.9)
        right.set(xlabel="first axis", ylabel="second axis")
        fit_title(right, "what policies do", 0.5)
    return figure
