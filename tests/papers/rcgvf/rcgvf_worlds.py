"""Made-up records of RC-GVF's studies: worlds in which claims are true, and in which they are not."""

import numpy as np

from tutorlib.lab.experiment import plain
from tutorlib.lab.records import Record
from tutorlib.papers.rcgvf import experiments, recurrent
from tutorlib.papers.rcgvf.algorithm import Config
from tutorlib.papers.rcgvf.analysis import weight_of
from tutorlib.papers.rcgvf.fading import Fading
from tutorlib.papers.rcgvf.maze import Maze

BY_NAME = {e.name.removeprefix("rcgvf."): e for e in experiments.EXPERIMENTS}
EVALS = 4
"""looks in a made-up run of the lock"""


def made_up(world, names=tuple(BY_NAME), seeds=range(5)) -> dict[str, list[Record]]:
    """Return records of all studies; ``world(config)`` is one number for each configuration, moved a little by seed.

    Where all weights do as well, one that a study of today takes for the best is ahead by a hair.
    """
    return {
        f"rcgvf.{name}": [
            Record(f"rcgvf.{name}", "study", plain(c), s, METRICS[name](c, s, near(world, c)), 2.0, {"device": "none"})
            for c in BY_NAME[name].tiers["study"].configs
            for s in seeds
        ]
        for name in names
    }


def near(world, c):
    """Return the number of ``c`` in a world, a hair less if its weight is not one of those that are best there."""
    value = world(c)
    if isinstance(c, recurrent.Config) and off_middle(c):
        return value - 1e-9
    if isinstance(c, Config) and c.beta not in (0.0, 0.5, 1.0, 3.0, 100.0, 700.0):
        return value - 1e-9
    return value


def lock_metrics(c: Config, seed, column):
    far = [(place + 1) / EVALS * column + seed % 2 for place in range(EVALS)]
    evals = {
        "frames": [1000 * (place + 1) for place in range(EVALS)],
        "farthest": far,
        "greedy": [-0.1 * column + 0.01 * seed] * EVALS,
        **{name: [0.1] * EVALS for name in ("returns", "bonus", "error", "disagreement")},
        "reached": [[1.0 if k == 0 else 0.25 * (k <= own) for k in range(c.horizon)] for own in far],
    }
    return {"evals": evals}


def fading_metrics(c: Fading, seed, gap):
    learner, n = c.learner, np.arange(1, c.learner.updates + 1)
    size = (1 + seed / 100) * (1 + learner.gamma_z)
    if learner.method == "rnd" or learner.bonus == "norm":
        bonus = c.scale / n * (1 + seed / 100) * (1.1 if gap < 0 and learner.method == "rnd" else 1.0)
    else:
        bonus = size * c.scale**4 / n
    updates = [learner.updates // learner.num_evals * (i + 1) for i in range(learner.num_evals)]
    other = np.zeros(4)
    other[1] = abs(gap) if c.right != 0.5 else 0.0
    return {
        "bonus": bonus.tolist(),
        "error": (size * (0.5 + 0.5 / n)).tolist(),
        "disagreement": (size / n**0.5).tolist(),
        "evals": {
            "updates": updates,
            "first": [(np.array([1.0, 0.0, 0.0, 0.0]) + other * (1 + seed / 10)).tolist() for _ in updates],
        },
    }


def maze_metrics(c: Maze, seed, end):
    """``end``: what is paid at the end in the corridor that was never entered; in the other one 0.01."""
    visited = [1.0, 0.1, 0.01]
    unvisited = visited if end is None else [1.0, 0.5, end * (1 + seed / 100)]
    arms = {name: {"cell": bonus, "end": bonus} for name, bonus in (("visited", visited), ("unvisited", unvisited))}
    return {"evals": {"walks": [0, 200, 400], **arms}}


def chain_metrics(c, seed, size):
    lambdas = list(experiments.LAMBDAS)
    return {"lambdas": lambdas, "bias": [size * (1 - x) for x in lambdas], "variance": [size * x for x in lambdas]}


def grid_metrics(c, seed, mean):
    """Returns rise to twice their mean."""
    places = range(1, EVALS + 1)
    returns = [2 * mean * place / (EVALS + 1) + 0.001 * (seed - 2) for place in places]
    evals = {
        "frames": [1000 * place for place in places],
        "episodes": [50] * EVALS,
        "success": returns,
        "returns": returns,
        "bonus": [0.1] * EVALS,
    }
    return {"evals": evals}


METRICS = {
    "minigrid": grid_metrics,
    "privileged": grid_metrics,
    "rooms": grid_metrics,
    "lock": lock_metrics,
    "passes": lock_metrics,
    "ablations": lock_metrics,
    "dissipation": fading_metrics,
    "aliasing": maze_metrics,
    "tdlambda": chain_metrics,
}


def as_record(c):
    return Record("rcgvf.minigrid", "study", plain(c), 0, {}, 1.0, {})


def off_middle(c):
    """Return whether the weight of a run is not the middle one of those that were tried."""
    middle = {"ppo": 5e-3, "rnd": 1e-2, "noveld": 2e-2, "agac": 5e-3 if c.counts else 2e-3, "rcgvf": 10.0}[c.method]
    return weight_of(as_record(c)) not in (0.0, middle)


def good(c):
    """A world in which all that is studied is true."""
    if isinstance(c, Fading):
        return 0.5 if c.learner.gamma_z else 0.01
    if isinstance(c, Maze):
        return 0.03 + 0.3 * c.gamma_z if c.method == "rcgvf" and c.memory else None
    if isinstance(c, recurrent.Config):
        return (0.8 if c.method == "rcgvf" else 0.5) - 0.2 * off_middle(c)
    if isinstance(c, Config):
        if c.method == "rcgvf":
            return {100.0: 14.0, 700.0: 13.0}.get(c.beta, 8.0)
        return {"ppo": 2.0, "rnd": 8.0, "noveld": 7.0}[c.method] - (c.beta not in (0.5, 1.0, 0.0))
    return 1.0


def bad(c):
    """A world in which nothing is: all come as far, and all bonuses are as blind or as wide awake."""
    if isinstance(c, Fading):
        return -0.01
    if isinstance(c, Maze):
        return 0.3 if c.method == "rnd" else None
    if isinstance(c, recurrent.Config):
        return 0.2 if c.method == "rcgvf" else 0.5
    return 10.0
