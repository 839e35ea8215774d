"""The claims of model-based generalisation, judged over the recorded studies.

Each check reads shipped records and compares one number per seed with a bar that was fixed before the study ran.
"""

from collections.abc import Sequence

from tutorlib.lab import Claim, Evidence, Record, Terms, interval, recorded, select, withdrawals
from tutorlib.lab.verdicts import Part, alive, exceeds, fact, untested
from tutorlib.papers.mbrl import analysis
from tutorlib.papers.mbrl.analysis import (
    AT,
    advantage,
    factor,
    gaps,
    last,
    log_ratios,
    online,
    scores,
    uniform_rate,
)

NARROWS = 2.0
"""Q_MF is at least so many times larger than Q_MB, with 3 factored bits, where learning a model narrows"""
WORSE = 2.0
"""errors of replay over those of a model from which on replay generalises worse"""
FEW, MIDDLE, MANY = 60, 200, 1000
"""transitions K of the illustrative example that claims look at"""
SHARE = 0.5
"""share of the perfect model's gain below which choosing other actions in real states does not explain it"""
PLACES = (("maze", "much"), ("maze", "little"), ("flute", "much"), ("flute", "little"))

SEEDS = tuple(range(5))
COUNTED = "All models of 2 to 4 bits that can be listed."
OFFLINE = "A flute of 4 pipes, 2,500 updates, networks of 2 x 100; the paper's example is unknown."
ONLINE = (
    "Maze of 3 x 3, flute of 4 pipes, 2,000 updates, networks of 3 x 64, one rate and temperature for all agents in an "
    "environment; the paper: about a million updates, 3 x 200, both tuned for each agent, 30 seeds."
)

THEOREM = Terms(
    "2026-11-26",
    {"3 bits": NARROWS, "3 bits minus 2": 0.0, "2 bits minus all read by all": 0.0},
    ("No value function is in Q_MB that is not in Q_MF.",),
    SEEDS,
)
NETWORKS = Terms(
    "2026-11-26",
    {
        f"{MIDDLE} transitions": WORSE,
        f"{FEW} transitions": WORSE,
        "worse where no data are": 0.0,
        "policy of the model": 0.0,
    },
    seeds=SEEDS,
)
AHEAD = Terms("2026-11-26", {f"{environment}, {data} data": 0.0 for environment, data in PLACES}, seeds=SEEDS)
CONTROLLED = Terms(
    "2026-11-26",
    {"the true environment as the model": WORSE, "a single true step gains less than half": 0.0},
    ("Agents differ in where their transitions come from, and in nothing else.",),
    SEEDS,
)


def _example(agent: str, transitions: int) -> list[Record]:
    return select(recorded("mbrl.offline"), agent=agent, transitions=transitions)


def _worse(records: Sequence[Record], others: Sequence[Record]) -> Part:
    """Return what is found of "errors over all patterns are ``WORSE`` times larger", of their geometric mean."""
    return exceeds(factor(log_ratios(records, others)), WORSE)


def _theorem() -> Evidence:
    """C1: the set of value functions that a model leaves is the smaller one, and never the larger."""
    records = recorded("mbrl.sets")
    violations = sum(r.metrics["violations"] for r in records)
    three, two, tabular = gaps(records, 3), gaps(records, 2), gaps(records, 2, 2)
    unit = "draws of data"
    parts = {
        "3 bits": exceeds(three, NARROWS, unit=unit),
        "3 bits minus 2": exceeds([a - b for a, b in zip(three, two, strict=True)], 0.0, unit=unit),
        "2 bits minus all read by all": exceeds([a - b for a, b in zip(two, tabular, strict=True)], 0.0, unit=unit),
        "never more": fact(violations == 0),
    }
    true = sum(r.config["models"] for r in records)
    detail = (
        f"Size of Q_MF over that of Q_MB after {AT} transitions, 3 bits, each with a table of its own. 2 bits: "
        f"{interval(two, unit)}; 2 bits, all read by all: {interval(tabular, unit)}. Value functions in Q_MB that are "
        f"not in Q_MF: {violations}, over {true} true models and all numbers of transitions. The theorem itself is "
        f"proved in the chapter."
    )
    return Evidence(parts, "3 bits", detail, verdict="contradicted" if violations else "")


def _networks() -> Evidence:
    """C2: a similar effect with networks, in the illustrative example."""
    er, simple = ({k: _example(agent, k) for k in (FEW, MIDDLE, MANY)} for agent in ("er", "simple"))
    seen, beyond = (log_ratios(er[MIDDLE], simple[MIDDLE], group) for group in ("seen", "beyond"))
    rates = [last(own[MANY], "rate") for own in (simple, er)]
    middle, few, where, better = NETWORKS.bars
    parts = {
        middle: _worse(er[MIDDLE], simple[MIDDLE]),
        few: _worse(er[FEW], simple[FEW]),
        where: exceeds([b - s for b, s in zip(beyond, seen, strict=True)], 0.0),
        better: exceeds([a - b for a, b in zip(*rates, strict=True)], 0.0),
    }
    detail = (
        f"Error of Q over all patterns, replay over simple model, of {MIDDLE} random transitions and of {FEW}. Of "
        f"{MIDDLE}, in patterns of the data {factor(seen)}, in those never reached {factor(beyond)}; the difference is "
        f"one of logarithms. Greedy policy of {MANY}: reward of a step, model minus replay."
    )
    return Evidence(parts, middle, detail)


def _online() -> Evidence:
    """C3: agents that learn from a learned model's data beat replay."""
    records = recorded("mbrl.online")
    parts, said = {}, []
    for environment, data in PLACES:
        name = f"{environment}, {data} data"
        if (environment, data) not in analysis.settings(records):
            parts[name] = untested("no records stand")
            continue
        learners = {agent: scores(records, environment, data, agent) for agent in ("simple", "er")}
        line = uniform_rate(online(records, environment, data, "er")[0].config["size"])
        beats = alive(learners, line) if environment == "flute" else None
        parts[name] = exceeds(advantage(records, environment, data, "simple"), AHEAD.bars[name], alive=beats)
        rest = [
            f"{other} {interval(advantage(records, environment, data, other))}"
            for other in ("gaussian", "categorical", "perfect")
        ]
        said.append(f"{name}: {', '.join(rest)}")
    detail = (
        f"Score of the simple model minus that of replay, means over the whole course; the number is that of the flute "
        f"with little data. Of other models, {'; '.join(said)}.{_gone()}"
    )
    return Evidence(parts, "flute, little data", detail)


def _gone() -> str:
    """Return why some runs of agents that act do not count, as a sentence after others, or nothing."""
    reasons = dict.fromkeys(own.reason for own in withdrawals("mbrl.online"))
    return f" Records of the maze are withdrawn: {' '.join(reasons)}" if reasons else ""


def _controlled() -> Evidence:
    """C4: agents differ in where their transitions come from, and in nothing else."""
    records = recorded("mbrl.online")
    differing = {
        name
        for environment, data in analysis.settings(records)
        for name in _differing([r for a in analysis.AGENTS for r in analysis.online(records, environment, data, a)])
    }
    er, perfect = _example("er", MIDDLE), _example("perfect", MIDDLE)
    one = select(recorded("mbrl.ablations"), agent="perfect", length=1)
    part, whole = log_ratios(er, one), log_ratios(er, perfect)
    gains, rest = CONTROLLED.bars
    parts = {
        gains: _worse(er, perfect),
        rest: exceeds([SHARE * b - a for a, b in zip(part, whole, strict=True)], 0.0),
        "equal settings": fact(not differing),
        "rates tuned for each agent": untested("one rate and temperature for all agents in an environment"),
    }
    detail = (
        f"Error of Q over all patterns, replay over the true environment as the model, of {MIDDLE} random transitions. "
        f"Settings that differ between agents: {', '.join(sorted(differing)) or 'none'}. A single true step from real "
        f"states, other actions but no other states: {factor(part)}; gains are compared in logarithms.{_gone()}"
    )
    return Evidence(parts, gains, detail)


def _differing(records: Sequence[Record]) -> list[str]:
    """Return what differs between agents: settings, and how much they learned from."""
    counts = [name for name in ("updates", "transitions") if len({r.metrics[name] for r in records}) > 1]
    return [*analysis.unequal(records), *counts]


CLAIMS = (
    Claim(
        "mbrl.C1",
        "Learning a model on the way can narrow the possible value functions more than the Bellman equation on the "
        "same data does, and never less.",
        "a theorem; nothing is counted",
        _theorem,
        THEOREM,
        budget=COUNTED,
    ),
    Claim(
        "mbrl.C2",
        "An illustrative example shows a similar effect with neural networks.",
        "values unknown",
        _networks,
        NETWORKS,
        budget=OFFLINE,
    ),
    Claim(
        "mbrl.C3",
        "Where states are combinations of parts with laws of their own, agents that learn from a learned model's data "
        "beat experience replay.",
        "Fig. 4; values unknown",
        _online,
        AHEAD,
        budget=ONLINE,
    ),
    Claim(
        "mbrl.C4",
        "All else is controlled, so the gain comes from the generated experience.",
        "argued in the text",
        _controlled,
        CONTROLLED,
        budget=OFFLINE,
    ),
)
