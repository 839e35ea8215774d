"""The claims of model-based generalisation, judged over the recorded studies.

Each check reads shipped records, compares one number per seed with a threshold that was fixed before the study ran, and
says at which reduced setting.
"""

import math
from collections.abc import Sequence

from tutorlib.lab import Claim, Evidence, Interval, Record, interval, recorded, select, withdrawals
from tutorlib.lab.claims import FAILS, HOLDS, IN_PART, UNTESTED, above, weakest
from tutorlib.papers.mbrl import analysis
from tutorlib.papers.mbrl.analysis import AT, advantage, factor, gaps, last, log_ratios

NARROWS = 2.0
"""Q_MF is at least so many times larger than Q_MB, with 3 factored bits, where learning a model narrows"""
WORSE = 2.0
"""errors of replay over those of a model from which on replay generalises worse"""
FEW, MIDDLE, MANY = 60, 200, 1000
"""transitions K of the illustrative example that claims look at"""
SHARE = 0.5
"""share of the perfect model's gain below which choosing other actions in real states does not explain it"""
PLACES = (("maze", "much"), ("maze", "little"), ("flute", "much"), ("flute", "little"))

OFFLINE_SETTING = "A flute of 4 pipes, 2,500 updates, networks of 2 x 100; the paper's example is unknown"
ONLINE_SETTING = (
    "2,000 updates, networks of 3 x 64, one rate and temperature for all agents in an environment; the paper: about a "
    "million updates, 3 x 200, both tuned for each agent, 30 seeds"
)


def _example(agent: str, transitions: int) -> list[Record]:
    return select(recorded("mbrl.offline"), agent=agent, transitions=transitions)


def _worse(records: Sequence[Record], others: Sequence[Record]) -> tuple[str, Interval]:
    """Return the verdict on "errors over all patterns are ``WORSE`` times larger", and their ratio (geometric mean)."""
    found = log_ratios(records, others)
    return above(found, math.log(WORSE))[0], factor(found)


def _theorem() -> Evidence:
    """C1: the set of value functions that a model leaves is the smaller one, and never the larger."""
    records = recorded("mbrl.sets")
    violations = sum(r.metrics["violations"] for r in records)
    three, two, tabular = gaps(records, 3), gaps(records, 2), gaps(records, 2, 2)
    narrows, found = above(three, NARROWS)
    widens, _ = above([a - b for a, b in zip(three, two, strict=True)], 0.0)
    structure, _ = above([a - b for a, b in zip(two, tabular, strict=True)], 0.0)
    true = sum(r.config["models"] for r in records)
    detail = (
        f"Size of Q_MF over that of Q_MB after {AT} transitions, 3 bits, each with a table of its own; to hold, above "
        f"{NARROWS:g}. 2 bits: {interval(two)}; 2 bits, all read by all: {interval(tabular)}. Value functions in Q_MB "
        f"that are not in Q_MF: {violations}, over {true} true models and all numbers of transitions. The theorem "
        f"itself is proved in the chapter."
    )
    verdict = FAILS if violations else weakest([narrows, widens, structure])
    return Evidence(verdict, found, detail)


def _networks() -> Evidence:
    """C2: a similar effect with networks, in the illustrative example."""
    er, simple = ({k: _example(agent, k) for k in (FEW, MIDDLE, MANY)} for agent in ("er", "simple"))
    few, at_few = _worse(er[FEW], simple[FEW])
    middle, at_middle = _worse(er[MIDDLE], simple[MIDDLE])
    seen, beyond = (log_ratios(er[MIDDLE], simple[MIDDLE], group) for group in ("seen", "beyond"))
    where, _ = above([b - s for b, s in zip(beyond, seen, strict=True)], 0.0)
    rates = [last(own[MANY], "rate") for own in (simple, er)]
    better, gain = above([a - b for a, b in zip(*rates, strict=True)], 0.0)
    detail = (
        f"Error of Q over all patterns, replay over simple model, of {MIDDLE} random transitions; of {FEW}: {at_few}; "
        f"to hold, above {WORSE:g} for both. Of {MIDDLE}, in patterns of the data {factor(seen)}, in those never "
        f"reached {factor(beyond)}: larger there, {where}. Greedy policy of {MANY}, reward of a step, model minus "
        f"replay: {gain}. {OFFLINE_SETTING}."
    )
    return Evidence(weakest([few, middle, where, better]), at_middle, detail)


def _online() -> Evidence:
    """C3: agents that learn from a learned model's data beat replay."""
    records = recorded("mbrl.online")
    verdicts, said, shown = [], [], None
    for environment, data in PLACES:
        if (environment, data) not in analysis.settings(records):
            verdicts.append(UNTESTED)
            said.append(f"{environment}, {data} data: {UNTESTED}")
            continue
        verdict, found = above(advantage(records, environment, data, "simple"), 0.0)
        rest = [
            f"{name} {interval(advantage(records, environment, data, name)).value:.3f}"
            for name in ("gaussian", "categorical", "perfect")
        ]
        verdicts.append(verdict)
        said.append(f"{environment}, {data} data: {found} ({verdict}; {', '.join(rest)})")
        if (environment, data) == ("flute", "little"):
            shown = found
    verdict = weakest(verdicts)
    if verdict == UNTESTED:
        shown = None  # a number beside "not yet tested" would look like a result
    which = "" if shown is None else " The number is that of the flute with little data."
    detail = (
        f"Score of the simple model minus that of replay, means over the whole course. All: {'; '.join(said)}.{which} "
        f"Maze of 3 x 3, flute of 4 pipes. {ONLINE_SETTING}.{_gone()}"
    )
    return Evidence(verdict, shown, detail)


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
    gains, ratio = _worse(er, perfect)
    part, whole = log_ratios(er, one), log_ratios(er, perfect)
    rest, _ = above([SHARE * b - a for a, b in zip(part, whole, strict=True)], 0.0)
    verdict = weakest([FAILS if differing else HOLDS, gains, rest])
    detail = (
        f"Error of Q over all patterns, replay over the true environment as the model, of {MIDDLE} random transitions. "
        f"Settings that differ between agents: {', '.join(sorted(differing)) or 'none'}. A single true step from real "
        f"states, other actions but no other states: {factor(part)}; less than {SHARE:g} of that gain in logarithms: "
        f"{rest}. {OFFLINE_SETTING}. Rates are not tuned for each agent here, so this holds in part at most.{_gone()}"
    )
    return Evidence(IN_PART if verdict == HOLDS else verdict, ratio, detail)


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
    ),
    Claim(
        "mbrl.C2",
        "An illustrative example shows a similar effect with neural networks.",
        "values unknown",
        _networks,
    ),
    Claim(
        "mbrl.C3",
        "Where states are combinations of parts with laws of their own, agents that learn from a learned model's data "
        "beat experience replay.",
        "Fig. 4; values unknown",
        _online,
    ),
    Claim(
        "mbrl.C4",
        "All else is controlled, so the gain comes from the generated experience.",
        "argued in the text",
        _controlled,
    ),
)
