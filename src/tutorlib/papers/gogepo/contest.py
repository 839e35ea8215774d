"""Methods in small worlds, all with the same deep policies and as many episodes; a run takes seconds, not minutes.

What is reduced, and what departs from the paper, stands in ``reduced``, field by field.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import torch

from tutorlib.lab import Context, Metrics, Trial, rounded
from tutorlib.lab.batching import common
from tutorlib.lab.errors import bad_argument, choose, expect_fields
from tutorlib.papers.gogepo.acting import ACTORS, Acting, ActLog, train_actors
from tutorlib.papers.gogepo.algorithm import Trained, sweep_commands, train
from tutorlib.papers.gogepo.analysis import INSIDE
from tutorlib.papers.gogepo.baselines import Ars, ArsLog, train_ars, train_single
from tutorlib.papers.gogepo.config import Config
from tutorlib.papers.gogepo.problem import WORLDS
from tutorlib.shapes import Tensor

DIGITS = 4
"""significant digits of a number in a record"""
METHODS: Mapping[str, str] = MappingProxyType(
    {
        "gogepo": "GoGePo",
        "noise": "noise alone: a generator that is never trained, asked for the same over and over",
        "pssvf": "PSSVF: one policy, which climbs its value",
        "ars": "augmented random search",
        "ddpg": "DDPG, with noise on actions",
        "udrl": "UDRL: one policy that is told the return that its episode shall have",
    }
)
SMALL = ("pend", "point", "cartup")
"""worlds of seconds"""
EPISODES = 960
"""of a run in a small world"""
PAIRS, TOP = 4, 2
"""directions of an iteration of random search, so that it is eight episodes as a round of GoGePo is; and those that
count"""
VARIES = ("lr", "noise")
"""Fields in which runs side by side may differ, besides the seed."""


def reduced(world: str) -> Config:
    """Return GoGePo's setting for a small ``world``. Raises ``UsageError`` for one that is not of ``SMALL``.

    Reduced: the networks. Departures: eight policies try each command, V and commands are normalised, and rates and
    noise fit the width: sigma is 0.1 sqrt(256 / 32), which is as much noise before each unit as in the paper. The drive
    is a twentieth of the range; evaluations and sweeps have eight episodes.
    """
    known = WORLDS[choose("world", world, SMALL)]
    horizon = known.env.horizon
    return Config(
        environment=world, steps=EPISODES * horizon, episodes=EPISODES, horizon=horizon, width=32, block=8,
        net_width=64, states=32, sigma=0.25, drive=(known.high - known.low) / 20, batch=32, evaluator_steps=10,
        generator_steps=20, generator_lr=3e-4, eval_episodes=8, sweep_every=EPISODES // 5, sweep_commands=41,
        sweep_episodes=8, policies=8, normalised=True,
    )  # fmt: skip


@dataclass(frozen=True)
class Contest:
    """One run of one method."""

    method: str = "gogepo"
    """one of ``METHODS``"""
    base: Config = field(default_factory=lambda: reduced("pend"))
    """the world, the steps, the policy, evaluations, and how GoGePo learns; ``lr`` and ``noise`` replace its own"""
    lr: float = 3e-4
    """the method's learning rate: of the generator, of the one policy, or alpha of random search"""
    noise: float = 0.25
    """deviation of what is added to each weight of a policy that is tried; of DDPG and UDRL, to actions"""
    points: int = 40
    """entries of the course that is recorded: each is the mean over as many rounds"""

    def __post_init__(self) -> None:
        expect_fields(self, counts=("points",), positive=("lr", "noise"), choices={"method": tuple(METHODS)})
        if self.method == "ars" and self.base.episodes % (2 * PAIRS):
            raise bad_argument("base.episodes", self.base.episodes, f"a multiple of {2 * PAIRS} for random search")


def run_contest(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Run one method, all trials side by side.

    Metrics: ``course``, ``points`` entries, each over as many rounds of episodes (of ARS, iterations): ``steps`` in the
    environment until its end; the mean of the tried policies' ``returns``; and after learning ``greedy``, the mean
    return without noise of the policy for the best command, or of the one policy. Of GoGePo and of noise alone also
    the ``command``, and the mean return of the best policy so far (``champion``); and ``sweeps``, one entry for each
    ``sweep_every`` episodes, the first before any: ``steps``, for each of the ``commands`` the mean return
    ``achieved`` and ``predicted``, and ``inside``, the quantiles ``analysis.INSIDE`` of all returns until then, []
    where there are none.
    """
    c: Contest = common(trials, VARIES)
    if c.method == "ars":
        searching = [
            Ars(t.config.base, t.config.lr, t.config.noise, PAIRS, TOP, c.base.episodes // (2 * PAIRS)) for t in trials
        ]
        searched = train_ars(_with(trials, searching), context)
        return [_searched(searched.log, i, c.points) for i in range(len(trials))]
    if c.method in ACTORS:
        acting = [Acting(c.method, t.config.base, t.config.lr, t.config.noise) for t in trials]
        log = train_actors(_with(trials, acting), context).log
        return [_searched(log, i, c.points) for i in range(len(trials))]
    other: dict[str, Any] = {}
    if c.method == "noise":
        other = {"command": "first", "evaluator_steps": 0, "generator_steps": 0}
    if c.method == "pssvf":  # which hears no command
        other = {"sweep_commands": 2, "sweep_every": c.base.episodes, "sweep_episodes": 1}
    configs = [replace(t.config.base, generator_lr=t.config.lr, sigma=t.config.noise, **other) for t in trials]
    trained = (train_single if c.method == "pssvf" else train)(_with(trials, configs), context)
    return [_commanded(trained, i, c) for i in range(len(trials))]


def _with(trials: Sequence[Trial], configs: Sequence[Config | Ars | Acting]) -> list[Trial]:
    return [Trial(config, trial.seed) for config, trial in zip(configs, trials, strict=True)]


def _course(used: Tensor, played: Tensor, values: Mapping[str, Tensor], points: int) -> Metrics:
    """Return steps and the means of ``values`` over ``points`` parts of the rounds that were played."""
    count = int(played.sum())
    parts = min(points, count)
    means = {
        name: torch.stack([part.mean() for part in value[:count].tensor_split(parts)]) for name, value in values.items()
    }
    steps = [int(part[-1]) for part in used[:count].tensor_split(parts)]
    return {"steps": steps} | {name: rounded(value, DIGITS) for name, value in means.items()}


def _searched(log: ArsLog | ActLog, i: int, points: int) -> Metrics:
    values = {"returns": log.r[:, i], "greedy": log.greedy[:, i]}
    return {"course": _course(log.used[:, i], log.played[:, i], values, points)}


def _commanded(trained: Trained, i: int, contest: Contest) -> Metrics:
    """Return the metrics of run ``i``, with those of its commands if it hears them."""
    log, c, hears = trained.log, trained.setting.config, contest.method != "pssvf"
    values = {"returns": log.r[:, i], "greedy": log.greedy[:, i]}
    if hears:
        values |= {"command": log.command[:, i], "champion": log.champion[:, i]}
    metrics: Metrics = {"course": _course(log.used[:, i], log.played[:, i], values, contest.points)}
    if hears:
        r = trained.state.buffer.r[i, : int(log.played[:, i].sum()) * c.policies]
        seen = [r[: stage * c.sweep_every] for stage in range(len(trained.sweeps))]
        ends = torch.tensor(INSIDE, device=r.device)
        metrics["sweeps"] = {
            "steps": [int(sweep.used[i]) for sweep in trained.sweeps],
            "commands": rounded(sweep_commands(c, r.device), DIGITS),
            "achieved": [rounded(sweep.achieved[i], DIGITS) for sweep in trained.sweeps],
            "predicted": [rounded(sweep.predicted[i], DIGITS) for sweep in trained.sweeps],
            "inside": [rounded(part.quantile(ends), DIGITS) if len(part) else [] for part in seen],
        }
    return metrics


__all__ = ["EPISODES", "METHODS", "PAIRS", "SMALL", "TOP", "VARIES", "Contest", "reduced", "run_contest"]
