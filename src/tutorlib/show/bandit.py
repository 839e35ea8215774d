"""Data of the ``bandit_explorer`` module: a trained SymLA plays bandits in the browser, beside three fixed rules.

Nothing is recorded but the meta-variables: the module computes the agent, its rivals and the bandits itself, with the
random words of the counter-based generator, so a numbered bandit is the same life on the page and in Python. The
module itself is ``bandit_explorer.mjs``; ``bandit_data`` is the only description of what it reads.
"""

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
from matplotlib.figure import Figure

from tutorlib.lab.errors import UsageError, bad_argument, checked, choose
from tutorlib.show.style import METHODS, fit_title, style

PLAYERS = ("SymLA", "Thompson", "UCB1", "random")
"""Who plays, in the order of the page."""
USES = ("arms", "rewards", "symla", "thompson", "random")
"""What random words are for."""
MOST_ARMS = 20
MAX_NUMBER = 999_999
"""Largest number of a bandit, the key of its random words."""


class Grid(TypedDict):
    """Sizes and constants of SymLA's sub-RNNs; messages are means over the grid and made after each micro tick."""

    hidden: int
    message: int
    micro_ticks: int
    forget_bias: float
    input_bias: float
    scale: float
    """of the logits"""


class Kind(TypedDict):
    """A family of bandits: ranges of the success probability of one arm, good by chance, and of the others."""

    name: str
    label: str
    good: Sequence[float]
    rest: Sequence[float]


@checked()
def bandit_data(
    *,
    title: str,
    theta: Any,
    grid: Grid,
    families: Sequence[Kind],
    streams: Mapping[str, int],
    pulls: int = 100,
    lives: int = 200,
    seen: Sequence[int] = (),
    start: Mapping[str, int | str] | None = None,
    note: str = "",
) -> dict[str, Any]:
    """Return the data of the ``bandit_explorer`` module, checked and packed.

    Args:
        title: heading of the figure.
        theta: SymLA's meta-variables in the order of ``tutorlib.nn.grid``: an array or a tensor on the CPU, one axis.
            They are kept as float32.
        grid: the sizes that ``theta`` has, and the constants beside it.
        families: at least one, with different names.
        streams: the stream of the counter-based generator for each of ``USES``.
        pulls: pulls of a life.
        lives: bandits that are averaged over, numbered from 1.
        seen: numbers of arms that meta-training had.
        start: what is chosen at first: ``arms``, ``family`` (a name), ``bandit`` (its number) and ``pulls``.
        note: what a reader must know, such as how ``theta`` was meta-trained.

    Raises:
        UsageError: if a size, a name or a number does not fit; the message names the entry.
    """
    for name, value, top in (("pulls", pulls, 1000), ("lives", lives, 1000)):
        _whole(name, value, 2, top)
    for arms in seen:
        _whole("seen", arms, 2, MOST_ARMS)
    sizes, kinds = _grid(grid), _families(families)
    return {
        "title": title,
        "note": note,
        "theta": _theta(theta, sizes),
        "grid": sizes,
        "families": kinds,
        "streams": _streams(streams),
        "pulls": pulls,
        "lives": lives,
        "arms": [2, MOST_ARMS],
        "most": MAX_NUMBER,
        "seen": sorted(seen),
        "players": list(PLAYERS),
        "start": _start(start or {}, [kind["name"] for kind in kinds], pulls),
    }


def _whole(name: str, value: object, low: int, high: int) -> None:
    """Raise ``UsageError`` unless ``value`` is a whole number from ``low`` to ``high``."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise bad_argument(name, value, f"a whole number from {low} to {high:,}")


def _theta(theta: Any, grid: Mapping[str, Any]) -> str:
    """Return theta as float32 numbers, the lowest byte first, in base 64."""
    h, m = grid["hidden"], grid["message"]
    size = (4 * m + 1 + h + 1) * 4 * h + 2 * (h * m + m)  # w_m, w_b, w_F, w_B, w_r, w_h, beta; v and o, twice
    try:
        numbers = np.asarray(theta, dtype="<f4")
    except (TypeError, ValueError):
        raise bad_argument("theta", theta, "numbers along one axis") from None
    if numbers.shape != (size,):
        raise UsageError(f"theta has shape {numbers.shape}: expected ({size},) for hidden={h} and message={m}")
    if not np.isfinite(numbers).all():
        first = int(np.argmin(np.isfinite(numbers)))
        raise bad_argument(f"theta[{first}]", float(numbers[first]), "a finite number")
    return base64.b64encode(numbers.tobytes()).decode("ascii")


def _grid(grid: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sizes and constants of the grid."""
    for name in ("hidden", "message", "micro_ticks"):
        _whole(f"grid {name}", grid[name], 1, 64)
    for name in ("forget_bias", "input_bias", "scale"):
        if not math.isfinite(grid[name]):
            raise bad_argument(f"grid {name}", grid[name], "a finite number")
    return {name: grid[name] for name in Grid.__annotations__}


def _families(families: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the families after a check of their names and ranges."""
    names = [family["name"] for family in families]
    if not names or len(set(names)) < len(names):
        raise bad_argument("families names", names, "at least one, all different")
    for family in families:
        for part in ("good", "rest"):
            ends = list(family[part])
            if len(ends) != 2 or not 0 <= ends[0] <= ends[1] <= 1:
                raise bad_argument(f"family {family['name']!r} {part}", ends, "two numbers from 0 to 1, in order")
    return [
        {"name": f["name"], "label": f["label"], "good": list(f["good"]), "rest": list(f["rest"])} for f in families
    ]


def _streams(streams: Mapping[str, int]) -> dict[str, int]:
    """Return the stream of each use."""
    if set(streams) != set(USES) or len(set(streams.values())) < len(USES):
        raise bad_argument("streams", dict(streams), f"a different whole number for each of {', '.join(USES)}")
    for use, stream in streams.items():
        _whole(f"streams {use}", stream, 0, 2**32 - 1)
    return dict(streams)


def _start(start: Mapping[str, int | str], families: Sequence[str], pulls: int) -> dict[str, Any]:
    """Return what is chosen at first."""
    chosen: dict[str, Any] = {"arms": 5, "family": families[0], "bandit": 1, "pulls": min(20, pulls)}
    for name in start:
        choose("start", name, chosen)
    chosen |= start
    choose("start family", chosen["family"], families)
    for name, low, high in (("arms", 2, MOST_ARMS), ("bandit", 1, MAX_NUMBER), ("pulls", 0, pulls)):
        _whole(f"start {name}", chosen[name], low, high)
    return chosen


@checked()
def bandit_picture(data: Mapping[str, Any], regrets: Mapping[str, Any]) -> Figure:
    """Return mean regrets as a picture, for where no script runs.

    Args:
        data: what ``bandit_data`` returned.
        regrets: for each of ``PLAYERS``, the mean regret after each pull at the start's arms and family, [pulls].

    Raises:
        UsageError: if a player is missing or a curve has another length.
    """
    first, pulls = data["start"], data["pulls"]
    family = next(kind for kind in data["families"] if kind["name"] == first["family"])
    with style():
        figure = Figure(layout="constrained")
        ax = figure.subplots()
        for player in PLAYERS:
            try:
                values = np.asarray(regrets.get(player, ()), dtype=float)
            except (TypeError, ValueError):
                raise bad_argument(f"regrets[{player!r}]", regrets[player], "a list of numbers") from None
            if values.shape != (pulls,):
                raise UsageError(f"regrets of {player} have shape {values.shape}: expected ({pulls},)")
            dash = "--" if player == "random" else "-"
            ax.plot(range(pulls + 1), [0, *values], dash, color=METHODS[player], label=f"{player}: {values[-1]:.1f}")
        ax.set(xlabel="pulls", ylabel="mean regret", xlim=(0, pulls), ylim=(0, None))
        fit_title(ax, f"{data['title']}\narms: {first['arms']}, family: {family['label']}")
        ax.legend()
    return figure
