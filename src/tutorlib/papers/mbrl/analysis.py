"""Numbers drawn from the records of model-based generalisation: what its figures show and its claims judge."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from tutorlib.lab import Interval, Record, interval, paired, select
from tutorlib.lab.errors import bad_argument
from tutorlib.lab.reading import differences
from tutorlib.papers.mbrl.offline import GROUPS

AGENTS: Mapping[str, str] = MappingProxyType(
    {
        "er": "replay",
        "simple": "simple model",
        "gaussian": "Gaussian latent",
        "categorical": "categorical latent",
        "perfect": "perfect model",
    }
)
"""Agents as a reader knows them."""
AT = 4
"""transitions after which sizes of sets are compared"""
PLAIN: Mapping[str, object] = MappingProxyType({"length": 10, "starts": 0, "model_hidden": 0})
"""the settings that ablations change"""


# Sets


def gap(record: Record, at: int = AT) -> float:
    """Return how many times larger Q_MF is than Q_MB after ``at`` transitions, in the mean over true models."""
    return record.metrics["free"][at] / record.metrics["based"][at]


def gaps(records: Sequence[Record], bits: int, more: int = 0, at: int = AT) -> list[float]:
    """Return ``gap`` of one class of models, one for each seed."""
    return [gap(r, at) for r in select(records, bits=bits, more=more)]


def classes(records: Sequence[Record]) -> list[tuple[int, int]]:
    """Return the classes that were counted, as bits and how many more are read, in order."""
    return sorted({(r.config["bits"], r.config["more"]) for r in records})


def class_label(bits: int, more: int) -> str:
    """Return a class in words."""
    if more == 0:
        return f"{bits} bits, factored"
    if more == bits * (bits - 1):
        return f"{bits} bits, tabular"  # each bit reads all
    return f"{bits} bits, {more} extra"  # reads


def sets_table(records: Sequence[Record]) -> pd.DataFrame:
    """Return the sizes of both classes, of both sets after ``AT`` transitions, and their ratio, one row for a class."""
    rows = {}
    for bits, more in classes(records):
        runs = select(records, bits=bits, more=more)
        based, free = (interval([r.metrics[name][AT] for r in runs]) for name in ("based", "free"))
        rows[class_label(bits, more)] = {
            "models": runs[0].metrics["class"]["models"],
            "value functions": runs[0].metrics["class"]["values"],
            "model-based": based,
            "model-free": free,
            "ratio": interval(gaps(records, bits, more)),
        }
    return pd.DataFrame(rows).T


# The illustrative example


def evals(records: Sequence[Record], name: str, group: str | None = None) -> list[list[Any]]:
    """Return a metric of evaluations, such as ``rate``, or ``rmse`` of a group, as one list for each record."""
    courses = [r.metrics["evals"][name] for r in records]
    return courses if group is None else [course[group] for course in courses]


def last(records: Sequence[Record], name: str, group: str | None = None) -> list[float]:
    """Return a metric of evaluations at the last one, one number for each record."""
    return [course[-1] for course in evals(records, name, group)]


def errors(records: Sequence[Record], group: str = "all", at: int = -1) -> list[float]:
    """Return the error of Q in a group of patterns at evaluation number ``at``, the last one, for each record.

    Raises ``UsageError`` for an unknown group, and where a seed has no pattern of it.
    """
    if group not in GROUPS:
        raise bad_argument("group", group, f"one of {', '.join(GROUPS)}")
    if not all(r.metrics["patterns"][group] for r in records):
        raise bad_argument("group", group, "patterns of it with every seed")
    return [course[at] for course in evals(records, "rmse", group)]


def log_ratios(records: Sequence[Record], others: Sequence[Record], group: str = "all", at: int = -1) -> list[float]:
    """Return log(error of ``records`` / error of ``others``), seed by seed, at evaluation number ``at``.

    Errors of replay have a heavy tail: in the logarithm no single seed decides. Raises ``UsageError`` unless both have
    the same seeds.
    """
    paired(records, others)
    return [math.log(a / b) for a, b in zip(errors(records, group, at), errors(others, group, at), strict=True)]


def factor(logarithms: Sequence[float], unit: str = "seeds") -> Interval:
    """Return the geometric mean of ratios from their logarithms, one for each ``unit``, with its interval."""
    around = interval(logarithms, unit)
    return replace(around, value=math.exp(around.value), low=math.exp(around.low), high=math.exp(around.high))


def transition_counts(records: Sequence[Record]) -> list[int]:
    """Return the numbers of transitions K that were given."""
    return sorted({r.config["transitions"] for r in records})


def offline_table(records: Sequence[Record], name: str, group: str | None = None) -> pd.DataFrame:
    """Return the median over seeds of a metric at the last evaluation: K (rows) x agents (columns)."""
    agents = [agent for agent in AGENTS if any(r.config["agent"] == agent for r in records)]
    return pd.DataFrame(
        {
            AGENTS[agent]: {
                k: float(np.median(last(select(records, agent=agent, transitions=k), name, group)))
                for k in transition_counts(records)
            }
            for agent in agents
        }
    )


def ablated(
    ablations: Sequence[Record], plain: Sequence[Record], name: str, agent: str = "simple"
) -> dict[int, list[Record]]:
    """Return runs by the value of the setting ``name`` (``length``, ``model_hidden``), with those that left it alone.

    ``plain`` are the records of the example itself, of which those with as many transitions count. Under
    ``model_hidden`` its units stand, not the 0 that means as many as Q has.
    """
    runs = [r for r in ablations if r.config["agent"] == agent and not r.config["official_bernoulli_logit"]]
    changed = [r for r in runs if r.config[name] != PLAIN[name]]
    if not changed:
        raise bad_argument("name", name, f"a setting that the {len(ablations)} records change")
    k = changed[0].config["transitions"]
    by_value: dict[int, list[Record]] = {}
    for r in (*changed, *select(plain, agent=agent, transitions=k)):
        value: Any = r.config[name] or r.config["hidden"]
        by_value.setdefault(value, []).append(r)
    return {value: sorted(by_value[value], key=lambda r: r.seed) for value in sorted(by_value)}


def one_step_share(one_step: Sequence[Record], er: Sequence[Record], perfect: Sequence[Record]) -> list[float]:
    """Return which share of the perfect model's gain over replay one true step from real states has, seed by seed.

    Gains are logarithms of the ratio of errors over all patterns.
    """
    part, whole = log_ratios(er, one_step), log_ratios(er, perfect)
    return [a / b for a, b in zip(part, whole, strict=True)]


# Ensembles

FEWEST_MEMBERS = 4
"""members of an ensemble of which the spread is looked at: at least so many must fit the data"""


def ensembles(records: Sequence[Record], agent: str, period: int) -> list[Record]:
    """Return the ensembles of an agent whose Q^- is copied every ``period`` updates, in order of seed."""
    return select(records, agent=agent, target_period=period)


def stops(records: Sequence[Record]) -> list[int]:
    """Return after how many updates ensembles were looked at."""
    updates: list[int] = records[0].metrics["evals"]["updates"]
    return updates


def seen_at(record: Record, name: str, stop: int, where: str | None = None) -> Any:
    """Return what was measured of an ensemble, such as ``spread`` of ``unseen`` pairs, after ``stop`` updates.

    Raises ``UsageError`` if nothing was measured then.
    """
    measured = record.metrics["evals"]
    if stop not in measured["updates"]:
        raise bad_argument("stop", stop, f"one of {', '.join(map(str, measured['updates']))}")
    course = measured[name] if where is None else measured[name][where]
    return course[measured["updates"].index(stop)]


def fitting(records: Sequence[Record], agents: Sequence[str], period: int, stop: int) -> list[int]:
    """Return the seeds of which, for each of the agents, at least ``FEWEST_MEMBERS`` members fit the data."""
    good = [
        {r.seed for r in ensembles(records, agent, period) if seen_at(r, "fit", stop) >= FEWEST_MEMBERS}
        for agent in agents
    ]
    return sorted(set.intersection(*good))


def narrowing(
    records: Sequence[Record], period: int, stop: int, name: str = "spread", where: str = "unseen"
) -> list[float]:
    """Return log(spread without a model / spread with one) of Q on pairs, one for each seed of which enough fit."""
    result = []
    for seed in fitting(records, ("er", "simple"), period, stop):
        without, based = (
            seen_at(r, name, stop, where)
            for agent in ("er", "simple")
            for r in ensembles(records, agent, period)
            if r.seed == seed
        )
        result.append(math.log(without / based))
    return result


def of_fitting(records: Sequence[Record], agent: str, period: int, stop: int, name: str) -> list[float]:
    """Return a metric without groups, such as ``rate``, of an agent's ensembles of the seeds of which enough fit."""
    seeds = fitting(records, ("er", "simple"), period, stop)
    return [float(seen_at(r, name, stop)) for r in ensembles(records, agent, period) if r.seed in seeds]


def mean_residual(record: Record, stop: int) -> float:
    """Return the mean Bellman residual on the data of the members that fit them; raises ``UsageError`` if none does."""
    residuals = [x for x in seen_at(record, "residual", stop) if x <= record.config["tolerance"]]
    if not residuals:
        raise bad_argument("record", f"seed {record.seed}", f"one of whose members one fits after {stop} updates")
    return float(np.mean(residuals))


# Agents that act


def regime(record: Record) -> str:
    """Return ``little`` for several updates in each step, else ``much``: how much data as many updates have."""
    return "little" if record.config["updates"] > 1 else "much"


def online(records: Sequence[Record], environment: str, data: str, agent: str) -> list[Record]:
    """Return the runs of an agent in an environment, with ``much`` or ``little`` data, in order of seed."""
    return select([r for r in records if regime(r) == data], environment=environment, agent=agent)


def settings(records: Sequence[Record]) -> list[tuple[str, str]]:
    """Return environments and regimes that were run, in order."""
    return sorted({(r.config["environment"], regime(r)) for r in records})


def course(record: Record) -> tuple[list[int], list[float]]:
    """Return the evaluations of a run after its first update: steps in the environment, and scores.

    Before it nothing was learned, and how an untrained network acts says nothing of its agent.
    """
    measured = record.metrics["evals"]
    after = [i for i, steps in enumerate(measured["steps"]) if steps > record.config["learning_starts"]]
    return [measured["steps"][i] for i in after], [measured["score"][i] for i in after]


def score(record: Record) -> float:
    """Return the score of a run: the mean over its evaluations after the first update."""
    return float(np.mean(course(record)[1]))


def earlier_score(record: Record) -> float:
    """Return what the score was until 2026-11-30: the mean over all evaluations, also before the first update."""
    return float(record.metrics["score"])


def scores(records: Sequence[Record], environment: str, data: str, agent: str) -> list[float]:
    """Return the scores of an agent (``score``), in order of seed."""
    return [score(r) for r in online(records, environment, data, agent)]


def uniform_rate(pipes: int) -> float:
    """Return the reward of a step of uniformly random presses in the flute, once it has sounded for ``pipes`` steps.

    All ends sound by themselves with probability 1 / n^2, else if the n presses before, each of n pipes, line up. From
    silence, where evaluations begin, it is a little less.
    """
    return 1 / pipes**2 + (1 - 1 / pipes**2) / pipes**pipes


MAZE_AT_RANDOM: Mapping[int, float] = MappingProxyType({3: -20.2})
"""the mean return within 100 steps of uniformly random moves in mazes of a size; a test works it out"""


def chance(environment: str, size: int) -> float:
    """Return the score of uniformly random actions, the line that an agent must be above to have learned.

    Raises ``UsageError`` where it is not known.
    """
    if environment == "flute":
        return uniform_rate(size)
    if environment == "maze" and size in MAZE_AT_RANDOM:
        return MAZE_AT_RANDOM[size]
    raise bad_argument("environment", f"{environment} of size {size}", "a flute, or a maze of 3 x 3: others not known")


def advantage(
    records: Sequence[Record],
    environment: str,
    data: str,
    agent: str,
    other: str = "er",
    of: Callable[[Record], float] = score,
) -> list[float]:
    """Return the score of an agent minus that of ``other``, seed by seed."""
    ours, theirs = (online(records, environment, data, name) for name in (agent, other))
    return differences(ours, theirs, of)


def online_table(records: Sequence[Record]) -> pd.DataFrame:
    """Return scores with intervals: environment and regime (rows) x agents (columns)."""
    agents = [agent for agent in AGENTS if any(r.config["agent"] == agent for r in records)]
    return pd.DataFrame(
        {
            AGENTS[agent]: {
                f"{environment}, {data} data": interval(scores(records, environment, data, agent))
                for environment, data in settings(records)
            }
            for agent in agents
        }
    )


def unequal(records: Sequence[Record], allowed: Sequence[str] = ("agent",)) -> list[str]:
    """Return the settings, other than those ``allowed``, that are not the same in all records."""
    return sorted(
        name for name in records[0].config if name not in allowed and len({r.config[name] for r in records}) > 1
    )
