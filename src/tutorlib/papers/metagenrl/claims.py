"""The claims of MetaGenRL, judged over the recorded studies.

Each check compares one number per meta-seed with a bar of ``terms``, which was fixed before the studies ran.
"""

from collections.abc import Callable, Sequence

import torch

from tutorlib.lab import Claim, Evidence, Record, interval, recorded, select
from tutorlib.lab.reading import config_of, differences, paired
from tutorlib.lab.verdicts import alive, below, exceeds, fact
from tutorlib.papers.metagenrl import terms
from tutorlib.papers.metagenrl.analysis import (
    DDPG,
    EVOLVED,
    GAE,
    PPO,
    UNTRAINED,
    chance,
    environments,
    final,
    leads,
    learned,
    level,
    score,
    spread,
)
from tutorlib.papers.metagenrl.config import Config, setting_of
from tutorlib.papers.metagenrl.model import INPUTS

BUDGET = (
    "Point, Pend, CartUp and Reach in place of MuJoCo; 8 agents for 900 iterations of 8 copies, fresh agents for 800; "
    "the structured objective, which is given the distance of actions, and not the paper's full one."
)
UNKNOWN = "unknown"
UNIT = "meta-seeds"
MUCH_SMALLER = 10
"""the population has more numbers than the objective by so much at least"""
NAMES = {"point": "Point", "pend": "Pend", "cartup": "CartUp", "reach": "Reach"}


def _main() -> list[Record]:
    return select(recorded("metagenrl.train"))


def _alive(records: Sequence[Record]) -> tuple[str, ...]:
    """Return which ways to learn beat agents at random, in the mean over environments."""
    inside = environments(records[0])
    random = [sum(chance(r, name) for name in inside) / len(inside) for r in records]
    ways = {"learned": None, GAE: GAE, DDPG: DDPG}
    return alive({label: [score(r, way) for r in records] for label, way in ways.items()}, random, unit=UNIT)


def _told(records: Sequence[Record], name: str) -> str:
    """Return in words what agents earn in an environment."""
    ours = interval([final(r, name, learned(r)) for r in records], UNIT)
    others = {
        "the untrained one": UNTRAINED, "REINFORCE with GAE": GAE, "DDPG": DDPG
    }  # fmt: skip
    rest = ", ".join(f"{label} {interval([final(r, name, way) for r in records])}" for label, way in others.items())
    random = interval([chance(r, name) for r in records])
    return f"{NAMES[name]}: the learned objective {ours}, {rest}, at random {random}."


def _distils() -> Evidence:
    """C1: a population distils its experience into a small objective, and that decides how later agents learn."""
    records = _main()
    live = _alive(records)
    parts = {
        terms.HELPS[name]: exceeds(leads(records, name, UNTRAINED), 0.0, unit=UNIT, alive=live) for name in terms.MAIN
    }
    c = config_of(records[0], Config)
    ac = setting_of(c, torch.device("cpu"), c.environments).ac
    size, others = c.objective.parameters, c.agents * (ac.policy.parameters + 2 * ac.critic.parameters)
    parts[terms.SMALL] = fact(MUCH_SMALLER * size < others)
    detail = f"The objective has {size:,} numbers, its population {others:,}. " + " ".join(
        _told(records, name) for name in terms.MAIN
    )
    return Evidence(parts, terms.HELPS["cartup"], detail)


def _unseen() -> Evidence:
    """C2: it trains agents in environments unlike those of meta-training."""
    records = recorded("metagenrl.left-out")
    parts, sentences = {}, []
    for name in terms.ALL:
        runs = select(records, test_environments=[name])
        live = _alive(runs)
        parts[terms.HELPS[name]] = exceeds(leads(runs, name, UNTRAINED), 0.0, unit=UNIT, alive=live)
        parts[terms.TRAINS[name]] = exceeds(leads(runs, name, None), 0.0, unit=UNIT, alive=live)
        sentences.append(_told(runs, name))
    return Evidence(parts, terms.HELPS["cartup"], " ".join(sentences))


def _outperforms() -> Evidence:
    """C3: in some cases it outperforms objectives made by people."""
    records = _main()
    live = _alive(records)
    parts = {terms.BEATS[name]: exceeds(leads(records, name, GAE), 0.0, unit=UNIT, alive=live) for name in terms.MAIN}
    on_policy = select(recorded("metagenrl.ppo"))
    for name in terms.MAIN:
        values = [final(a, name, learned(a)) - final(b, name, PPO) for a, b in paired(records, on_policy)]
        parts[terms.OUTRUNS[name]] = exceeds(values, 0.0, unit=UNIT, alive=live)
    by_ppo = [
        f"With PPO {NAMES[name]} earns {interval([final(r, name, PPO) for r in on_policy], UNIT)}."
        for name in terms.MAIN
    ]
    behind = [
        f"{NAMES[name]}: less than DDPG by {interval([-x for x in leads(records, name, DDPG)], UNIT)}."
        for name in terms.MAIN
    ]
    return Evidence(
        parts, terms.BEATS["cartup"], " ".join([*(_told(records, name) for name in terms.MAIN), *by_ppo]), tuple(behind)
    )  # fmt: skip


def _samples() -> Evidence:
    """C4: second-order gradients from replay need far fewer steps than evolution strategies."""
    ours, records = _main(), recorded("metagenrl.evolved")
    by_steps = {n: select(records, generations=n) for n in (2, 20)}
    values = [score(a) - score(b, EVOLVED) for a, b in paired(ours, by_steps[2])]
    parts = {terms.OVER_ES: exceeds(values, 0.0, unit=UNIT, alive=_alive(ours))}
    equal, more = (interval([score(r, EVOLVED) for r in runs], UNIT) for runs in by_steps.values())
    before = interval([score(r, UNTRAINED) for r in by_steps[2]], UNIT)
    detail = (
        f"Mean return with the learned objective {interval([score(r) for r in ours], UNIT)}, with one evolved in as "
        f"many steps {equal}, in ten times as many {more}, before evolution {before}."
    )
    return Evidence(parts, terms.OVER_ES, detail)


def _matures() -> Evidence:
    """C6: an early objective trains agents already, later ones train them faster and with less spread."""
    records = _main()
    live = _alive(records)
    early = [score(r, learned(r, 2)) - score(r, UNTRAINED) for r in records]
    faster = [level(r) - level(r, learned(r, 1)) for r in records]
    steadier = [spread(r, learned(r)) - spread(r, learned(r, 1)) for r in records]
    parts = {
        terms.EARLY: exceeds(early, 0.0, unit=UNIT, alive=live),
        terms.FASTER: exceeds(faster, 0.0, unit=UNIT, alive=live),
        terms.STEADIER: below(steadier, 0.0, unit=UNIT, alive=live),
    }
    moments = range(records[0].config["snapshots"] + 1)
    course = ", ".join(str(interval([score(r, learned(r, m)) for r in records], UNIT)) for m in moments)
    return Evidence(parts, terms.EARLY, f"Mean return before meta-training and after each fifth of it: {course}.")


def _needs() -> Evidence:
    """C7: it needs values, one of the two at the least, and hardly the time."""
    whole, records = _main(), recorded("metagenrl.inputs")
    live = _alive(whole)

    def without(*names: str) -> list[Record]:
        return select(records, inputs=[name for name in INPUTS if name not in names])

    none = without("value", "following")
    parts = {terms.VALUES: exceeds(differences(whole, none, score), 0.0, unit=UNIT, alive=live)}
    for part, name in ((terms.NO_TIME, "time"), (terms.NO_FOLLOWING, "following"), (terms.NO_VALUE, "value")):
        values = differences(without(name), whole, score)
        parts[part] = exceeds(values, -terms.MARGIN, unit=UNIT, alive=live)
    gain = interval([score(r) - score(r, UNTRAINED) for r in none], UNIT)
    return Evidence(parts, terms.VALUES, f"Without values meta-training gains {gain} over the untrained objective.")


def _steps() -> Evidence:
    """C8: more inner steps do not help."""
    one, records = _main(), recorded("metagenrl.inner")
    live = _alive(one)
    parts, scores = {}, {1: one}
    for part, steps in ((terms.THREE, 3), (terms.FIVE, 5)):
        scores[steps] = select(records, inner_steps=steps)
        parts[part] = below(differences(scores[steps], one, score), terms.MARGIN, unit=UNIT, alive=live)
    listed = ", ".join(f"{k}: {interval([score(r) for r in runs], UNIT)}" for k, runs in scores.items())
    return Evidence(parts, terms.FIVE, f"Mean return by inner steps {listed}.")


def _crowd() -> Evidence:
    """C9: meta-training needs a large population, more environments help only somewhat."""
    eight, records, out = _main(), recorded("metagenrl.population"), recorded("metagenrl.left-out")
    live = _alive(eight)
    parts, scores = {}, {8: eight}
    for part, agents in ((terms.ONE, 1), (terms.TWO, 2), (terms.FOUR, 4)):
        scores[agents] = select(records, agents=agents)
        parts[part] = exceeds(differences(eight, scores[agents], score), 0.0, unit=UNIT, alive=live)
    three = [differences(select(out, test_environments=[name]), eight, _final_in(name)) for name in terms.MAIN]
    mean = [sum(pair) / len(pair) for pair in zip(*three, strict=True)]
    parts[terms.MORE] = below(mean, terms.MARGIN, unit=UNIT, alive=live)
    listed = ", ".join(f"{k}: {interval([score(r) for r in runs], UNIT)}" for k, runs in sorted(scores.items()))
    return Evidence(parts, terms.ONE, f"Mean return by agents {listed}.")


def _final_in(name: str) -> Callable[[Record], float]:
    return lambda record: final(record, name, learned(record))


CLAIMS = (
    Claim(
        "metagenrl.C1",
        "A population distils its experience into a small objective that decides how later agents learn.",
        "an objective of about 15,500 weights, learnt by 20 agents",
        _distils,
        terms.DISTILS,
        budget=BUDGET,
    ),
    Claim(
        "metagenrl.C2",
        "The objective trains agents in environments unlike those of meta-training.",
        "Hopper, unseen: 2363, where RL² has 5 and EPG 8",
        _unseen,
        terms.UNSEEN,
        budget=BUDGET,
    ),
    Claim(
        "metagenrl.C3",
        "In some cases it outperforms reinforcement learning by people's own objectives.",
        "Hopper, unseen: 2363, where PPO has 1894 and off-policy REINFORCE with GAE 1804; DDPG has 2718",
        _outperforms,
        terms.OUTPERFORMS,
        budget=BUDGET,
    ),
    Claim(
        "metagenrl.C4",
        "Second-order gradients from replay need far fewer steps than evolution strategies.",
        UNKNOWN,
        _samples,
        terms.SAMPLES,
        budget="Evolution strategies over the same structured objective, in two generations of six members.",
    ),
    Claim(
        "metagenrl.C5",
        "RL² is good where it was meta-trained and fails elsewhere.",
        "Cheetah, seen: 5180; Hopper, unseen: 5",
        terms=terms.OVERFITS,
        budget="RL² in the same environments; not yet run.",
    ),
    Claim(
        "metagenrl.C6",
        "An early objective trains unseen agents already; later ones train them faster and with less spread.",
        UNKNOWN,
        _matures,
        terms.MATURES,
        budget=BUDGET,
    ),
    Claim(
        "metagenrl.C7",
        "The objective needs values, one of V_t and V_{t+1} at the least, and hardly needs the time.",
        UNKNOWN,
        _needs,
        terms.NEEDS,
        budget=BUDGET,
    ),
    Claim(
        "metagenrl.C8",
        "More inner steps do not help.",
        UNKNOWN,
        _steps,
        terms.STEPS,
        budget=BUDGET,
    ),
    Claim(
        "metagenrl.C9",
        "Meta-training needs a large population; more environments help only somewhat.",
        "unseen Hopper: 2363 after two environments, 2452 after four with twice as many agents",
        _crowd,
        terms.CROWD,
        budget=BUDGET,
    ),
)
