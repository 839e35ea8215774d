"""The worlds of GoGePo, with the ranges of returns that scale commands, and episodes of many policies side by side.

An episode is played by one policy from its start to its end, and only its return counts: the sum of its rewards.
Observations are normalised by running means and deviations over all steps of training.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import torch

from tutorlib.envs import CartUp, MountainCarContinuous, Pend, Point
from tutorlib.envs.simulated import Simulated
from tutorlib.lab.errors import bad_argument, checked, expect_fields
from tutorlib.papers.gogepo.model import Policy
from tutorlib.shapes import Bool, Float, Int, Tensor

EPSILON = 1e-8
"""added to a deviation by which an observation is divided"""


@dataclass(frozen=True)
class World:
    """An environment, and what the paper's code knows of its returns."""

    env: Any
    """a batch of environments whose actions are numbers, such as ``MountainCarContinuous``"""
    low: float
    """r_min"""
    high: float
    """r_max: commands are divided by r_max - r_min"""
    bonus: float = 0.0
    """paid for each step of an episode, and left out of the returns that are learned from and commanded"""

    def __post_init__(self) -> None:
        expect_fields(self)
        if self.high <= self.low:
            raise bad_argument("high", self.high, f"a number above low={self.low:g}")


HANGING: dict[str, Any] = {"angle": math.pi, "angle_spread": 0.1, "angle_law": "normal"}
"""Where a pendulum or a pole begins, up to a little noise."""
WORLDS: Mapping[str, World] = MappingProxyType(
    {
        "mountaincar": World(MountainCarContinuous(), -100.0, 100.0),
        "pend": World(
            Pend(100, gravity=15.0, torque=6.0, speed_cost=0.0, action_cost=0.004, speed_spread=0.1, **HANGING),
            0.0, 100.0,
        ),
        "point": World(
            Point(60, goal=(1.0, 1.0), centre=(-1.0, -1.0), spread=0.05, law="normal", reward_at_goal=0.0),
            -120.0, 0.0,
        ),
        "cartup": World(
            CartUp(150, force=10.0, max_spin=math.inf, track_cost=1.0, form="product", **HANGING), 0.0, 150.0
        ),
        "inverted-pendulum": World(Simulated("InvertedPendulum-v5", 4, 1, limit=3.0), 0.0, 1000.0),
        "swimmer": World(Simulated("Swimmer-v5", 8, 2), -100.0, 365.0),
        "hopper": World(Simulated("Hopper-v5", 11, 3), -100.0, 3000.0, bonus=1.0),
    }
)  # fmt: skip
"""By name. The first and the last three are the paper's, and those three need the extra ``control``. The others are
small ones of ours, where a run takes seconds: a pendulum that must be swung before it can be lifted, a point that is
pushed to a goal, a pole on a cart that is swung up."""


class Statistics(NamedTuple):
    """Running statistics of observations: their number, their mean, and the sum of squared distances from it."""

    seen: Float[Tensor, "runs"]
    mean: Float[Tensor, "runs observations"]
    squares: Float[Tensor, "runs observations"]


@checked(sizes=("runs", "observations"))
def no_statistics(runs: int, observations: int, device: torch.device) -> Statistics:
    """Return the statistics before the first step."""
    zeros = torch.zeros(runs, observations, device=device)
    return Statistics(zeros[:, 0], zeros, zeros)


@checked()
def observed(
    statistics: Statistics, x: Float[Tensor, "runs many observations"], counted: Bool[Tensor, "runs many"]
) -> Statistics:
    """Return the statistics with those of more observations of each run that are ``counted``.

    It is Welford's update for one of them, and Chan's for many.
    """
    share = counted.to(x.dtype).unsqueeze(-1)
    more = share.sum(dim=1)  # [runs, 1]
    before, now = statistics.seen.unsqueeze(-1), statistics.seen.unsqueeze(-1) + more
    mean = (share * x).sum(dim=1) / more.clamp(min=1)
    off = mean - statistics.mean
    spread = (share * (x - mean.unsqueeze(1)).square()).sum(dim=1)
    part = more / now.clamp(min=1)
    return Statistics(
        now.squeeze(-1), statistics.mean + part * off, statistics.squares + spread + before * part * off.square()
    )


@checked()
def normalised(statistics: Statistics, x: Float[Tensor, "runs *any observations"]) -> Float[Tensor, "..."]:
    """Return (x - mean) / (deviation + 1e-8), entry by entry."""
    deviation = (statistics.squares / statistics.seen.clamp(min=1).unsqueeze(-1)).sqrt() + EPSILON
    shape = (len(x), *(1,) * (x.dim() - 2), -1)
    return (x - statistics.mean.view(shape)) / deviation.view(shape)


class Played(NamedTuple):
    """What episodes came to."""

    returns: Float[Tensor, "runs policies episodes"]
    steps: Int[Tensor, "runs policies episodes"]
    statistics: Statistics


@checked()
def play(
    env: Any,
    policy: Policy,
    theta: Float[Tensor, "runs policies weights"],
    statistics: Statistics,
    u: Float[Tensor, "runs policies episodes start_noise"],
    *,
    normalise: bool = True,
    learn: bool = False,
) -> Played:
    """Play episodes of each policy side by side, from starts that ``u``, uniforms, say, and return what they came to.

    ``normalise``: whether policies see normalised observations. ``learn``: whether each step's observation enters the
    statistics before it is normalised by them.

    All go on until the longest that an episode can be, or until all are known to have ended; what comes after an end
    does not count.
    """
    state = env.start(u)
    playing = torch.ones(u.shape[:3], dtype=torch.bool, device=u.device)
    returns, steps = torch.zeros_like(u[..., 0]), torch.zeros(u.shape[:3], dtype=torch.long, device=u.device)
    for _ in range(env.horizon):
        x = env.observe(state)
        if learn:
            statistics = observed(statistics, x.flatten(1, 2), playing.flatten(1))
        action = policy.act(theta, normalised(statistics, x) if normalise else x)
        state, reward, ended = env.advance(state, action)
        returns, steps = returns + torch.where(playing, reward, 0.0), steps + playing
        playing = playing & ~ended
        if env.finished(state):
            break
    return Played(returns, steps, statistics)


# One weight, two answers: why a generator is not taught the weights that were seen.


@checked()
def two_peaks(theta: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Return J(theta) = 1 - (theta^2 - 1)^2, the return of a policy of one weight: 1 at -1 and at 1, and 0 between."""
    return 1 - (theta.square() - 1).square()


@checked(counts=("steps",), positive=("lr",))
def answer_by_regression(
    seen: Float[Tensor, "examples"], start: Float[Tensor, "answers"], steps: int, lr: float
) -> Float[Tensor, "steps answers"]:
    """Return where answers g go from ``start`` that descend along the mean of (g - theta)^2 over the weights ``seen``.

    Its minimum is their mean, whatever return that gets. Rows are after each step.
    """
    path, g = [], start
    for _ in range(steps):
        g = g - lr * 2 * (g - seen.mean())
        path.append(g)
    return torch.stack(path)


@checked(counts=("steps",), positive=("lr",))
def answer_by_evaluator(
    command: float, start: Float[Tensor, "answers"], steps: int, lr: float
) -> Float[Tensor, "steps answers"]:
    """Return where answers g go from ``start`` that descend along (J(g) - c)^2, for a command c; J is known.

    Each answer with the return c is a minimum. Between two of them, where J is flat, any noise decides. Rows are after
    each step.
    """
    path, g = [], start
    for _ in range(steps):
        g = g - lr * 2 * (two_peaks(g) - command) * (-4 * g * (g.square() - 1))
        path.append(g)
    return torch.stack(path)


__all__ = [
    "WORLDS",
    "Played",
    "Statistics",
    "World",
    "answer_by_evaluator",
    "answer_by_regression",
    "no_statistics",
    "normalised",
    "observed",
    "play",
    "two_peaks",
]
