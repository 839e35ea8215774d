"""The claims of SymLA, judged over the recorded studies.

Each check reads shipped records and compares one number per meta-seed with a bar that was fixed before the study ran.
What came later is listed in ``changes``, and can only lower a verdict.
"""

from collections.abc import Mapping, Sequence

from tutorlib.lab import Change, Claim, Evidence, Record, Terms, interval, recorded, select
from tutorlib.lab.records import NoRecordsError
from tutorlib.lab.verdicts import Part, below, exceeds, untested
from tutorlib.papers.symla import analysis
from tutorlib.papers.symla.analysis import differences, improvement, score, values
from tutorlib.papers.symla.experiments import POLE_LIFE
from tutorlib.papers.symla.problem import ARMS, MATRIX

UNIT = "meta-seeds"
SEEDS = tuple(range(5))
BANDITS = "50 pulls, 64 members x 8 bandits, 70 generations (SymLA) and 200 (MetaRNN); the paper's are unknown."
WORLDS = "Minutes on a CPU: lives of 100 steps on CartPole, 2 x 2 cells in the grid; the paper's budget is unknown."

REGRET = 0.6
"""a regret below this share of random's counts as having learned"""
RATIO = 1.5
"""SymLA's regret is comparable to the MetaRNN's up to this ratio"""
SAME = 0.03
"""largest difference of accuracies that are the same"""
RIGHT = 0.75
"""accuracy on two contexts, midway from chance to perfect, that counts as having learned"""
GUESS = 0.5
"""accuracy on three contexts below which an agent has not adapted (chance: 1/3)"""
STANDS, FALLS = 5.0, 15.0
"""failures on CartPole in 1,000 steps: below, solved; above, lost"""
SAME_REGRET = 1.0
"""largest difference of regrets that are the same, of about 8 for random pulls"""

SAME_MAP, LEARNED_MAP, LOST_MAP = "map: SymLA the same", "map: SymLA learned", "map: MetaRNN at a loss"
MAPS = {SAME_MAP: SAME, LEARNED_MAP: RIGHT, LOST_MAP: GUESS}
STAND, FALL, MOVE, SAME_POLE, LEARN = (
    "poles: MetaRNN stands",
    "poles: MetaRNN falls when shuffled",
    "poles: MetaRNN falls more often",
    "poles: SymLA the same",
    "poles: SymLA gains half as much",
)
POLES = {STAND: STANDS, FALL: FALLS, MOVE: FALLS - STANDS, SAME_POLE: FALLS - STANDS, LEARN: 0.0}
LOST_ARM, SAME_ARM = "arms exchanged: MetaRNN worse than random", "arms exchanged: SymLA the same"
FLIPPED = {LOST_ARM: 0.0, SAME_ARM: SAME_REGRET}
COMPARABLE = "poles: SymLA gains half as much"
ABSENT = "no study is recorded yet"


def _same(part: str, now: float) -> Change:
    return Change(
        "2026-11-30",
        "Before, scores were the same if they differed by less than their two intervals are wide, which is no bar: the "
        "less is known, the more is the same.",
        part,
        None,
        now,
    )


def _later(part: str, now: float) -> Change:
    return Change(
        "2026-11-25", "The contextual bandit came after the study on CartPole; it decides, too.", part, None, now
    )


def _pick(bars: Mapping[str, float], *names: str) -> dict[str, float]:
    return {name: bars[name] for name in names}


ASYMMETRY = Terms(
    "2026-11-25",
    _pick(MAPS | POLES, SAME_MAP, LOST_MAP, MOVE, SAME_POLE),
    seeds=SEEDS,
    changes=(
        _later(SAME_MAP, SAME),
        _later(LOST_MAP, GUESS),
        _same(SAME_POLE, POLES[SAME_POLE]),
    ),
)
BUILT = Terms("2026-11-25", dict.fromkeys(MATRIX, REGRET), ("Regret over that of random pulls.",), SEEDS)
UNSEEN_ACTIONS = Terms(
    "2026-11-25",
    {f"{n} arms": REGRET for n in ARMS} | FLIPPED,
    ("Regret over that of random pulls; meta-trained with 2 arms.",),
    SEEDS,
    changes=(_same(SAME_ARM, SAME_REGRET),),
)
UNSEEN_OBSERVATIONS = Terms("2026-11-25", MAPS | POLES, seeds=SEEDS, changes=(_same(SAME_POLE, POLES[SAME_POLE]),))
UNSEEN_TASKS = Terms(
    "2026-11-25",
    {"swapped: SymLA collects": 0.0, "swapped: MetaRNN collects the wrong one": 0.0} | FLIPPED,
    seeds=SEEDS,
    changes=(_same(SAME_ARM, SAME_REGRET),),
)
UNSEEN_ENVIRONMENTS = Terms(
    "2026-11-25",
    {"first minus last quarter": 0.0, "random minus SymLA, last quarter": 0.0},
    (f"A life of {POLE_LIFE} steps, since in the first quarter of 50 no pole has had the time to fall.",),
    SEEDS,
)
COMPARABLE_TERMS = Terms(
    "2026-11-25", dict.fromkeys(MATRIX, RATIO) | {COMPARABLE: 0.0}, ("Regret over the MetaRNN's.",), SEEDS
)
COST = Terms("2026-11-25", {"seconds of a generation": 1.0}, ("Tests included.",), SEEDS)


def _contextual(agent: str, **fields: object) -> list[Record]:
    return select(recorded("symla.contextual"), agent=agent, **fields)


def _poles(agent: str, **fields: object) -> list[Record]:
    """Return CartPole's runs of the longest budget that ``agent`` was given."""
    found = select(recorded("symla.cartpole"), agent=agent, **fields)
    return select(found, generations=max(r.config["generations"] for r in found))


def _absolute(found: Sequence[float]) -> list[float]:
    return [abs(value) for value in found]


def _maps() -> tuple[dict[str, Part], str]:
    """Return parts and words on contextual bandits with a map unlike that of meta-training."""
    two, three = _contextual("symla", sizes="2"), _contextual("meta-rnn", sizes="3", permuted="none")
    parts = {
        SAME_MAP: below(_absolute(differences(two, "standard", "shuffled")), SAME, unit=UNIT),
        LEARNED_MAP: exceeds(values(two, "shuffled"), RIGHT, unit=UNIT),
        LOST_MAP: below(values(three, "shuffled"), GUESS, unit=UNIT),
    }
    words = (
        f"Contextual bandits with a map unlike that of meta-training: SymLA {score(two, 'shuffled')} right of two, in "
        f"meta-training's {score(two, 'standard')}; a MetaRNN {score(three, 'shuffled')} right of three, in "
        f"meta-training's {score(three, 'standard')}."
    )
    return parts, words


def _shuffled_poles() -> tuple[dict[str, Part], str]:
    """Return parts and words on CartPole with shuffled observations and actions."""
    try:
        rnn, ours = _poles("meta-rnn", permuted="none"), _poles("symla")
    except NoRecordsError:
        return {name: untested(ABSENT) for name in POLES}, "CartPole: not yet studied."
    gains = [improvement(r, recorded("symla.references"), t) for r, t in ((ours, "both"), (rnn, "standard"))]
    parts = {
        STAND: below(values(rnn, "standard"), STANDS, unit=UNIT),
        FALL: exceeds(values(rnn, "both"), FALLS, unit=UNIT),
        MOVE: exceeds(differences(rnn, "both", "standard"), POLES[MOVE], unit=UNIT),
        SAME_POLE: below(_absolute(differences(ours, "standard", "both")), POLES[SAME_POLE], unit=UNIT),
        LEARN: exceeds([own - 0.5 * other for own, other in zip(*gains, strict=True)], 0.0, unit=UNIT),
    }
    words = (
        f"CartPole, failures in 1,000 steps: MetaRNN {score(rnn, 'standard')}, shuffled {score(rnn, 'both')}; SymLA "
        f"{score(ours, 'standard')}, shuffled {score(ours, 'both')}, after {ours[0].config['generations']} generations "
        f"of 64 x 4 lives of 100 steps."
    )
    return parts, words


def _asymmetry() -> Evidence:
    """C1: black-box systems lack the symmetries that backprop has."""
    (maps, words), (poles, more) = _maps(), _shuffled_poles()
    parts = {name: part for name, part in (maps | poles).items() if name in ASYMMETRY.bars}
    detail = (
        f"{words} {more} That gradient descent has the symmetries is an identity, checked to rounding in the chapter."
    )
    return Evidence(parts, LOST_MAP, detail)


def _built() -> Evidence:
    """C2: a black-box learner with the symmetries can be meta-trained."""
    records, references = recorded("symla.bandits"), recorded("symla.references")
    parts, said = {}, []
    for family in MATRIX:
        ours = values(select(records, agent="symla", family=family), family)
        random = analysis.random_regret(references, family)
        ratios = [own / r for own, r in zip(ours, random, strict=True)]
        parts[family] = below(ratios, BUILT.bars[family], unit=UNIT)
        best = interval(values(select(references, environment="bandit"), family, player="thompson")).value
        said.append(f"{family} {interval(ours)} (random {interval(random).value:.1f}, Thompson sampling {best:.1f})")
    detail = f"SymLA's regret over that of random pulls. Regret of a life: {'; '.join(said)}."
    return Evidence(parts, "independent", detail)


def _unseen_actions() -> Evidence:
    """C3: unseen numbers of arms, and the better arm elsewhere than in meta-training."""
    records, references = recorded("symla.bandits"), recorded("symla.references")
    ours = select(records, agent="symla", family="independent")
    parts, said = {}, []
    for n in ARMS:
        random = analysis.random_regret(references, f"arms {n}")
        ratios = [own / r for own, r in zip(values(ours, f"arms {n}"), random, strict=True)]
        parts[f"{n} arms"] = below(ratios, UNSEEN_ACTIONS.bars[f"{n} arms"], unit=UNIT)
        said.append(f"{n} arms {score(ours, f'arms {n}')} (random {interval(random).value:.1f})")
    most = max(parts, key=lambda name: _high(parts[name]))
    moved, words = _flipped()
    detail = (
        f"SymLA's regret over that of random pulls, at the number of arms where it is largest; meta-trained with 2 "
        f"arms. Regret of a life: {'; '.join(said)}. {words}"
    )
    return Evidence(parts | moved, most, detail)


def _high(part: Part) -> float:
    return part.interval.high if part.interval else 0.0


def _flipped() -> tuple[dict[str, Part], str]:
    """Return parts and words on bandits whose better arm is always the first in meta-training."""
    records = select(recorded("symla.biased"), family="biased")
    rnn, ours = select(records, agent="meta-rnn"), select(records, agent="symla")
    random = analysis.random_regret(recorded("symla.references"), "flipped")
    parts = {
        LOST_ARM: exceeds([own - r for own, r in zip(values(rnn, "flipped"), random, strict=True)], 0.0, unit=UNIT),
        SAME_ARM: below(_absolute(differences(ours, "biased", "flipped")), SAME_REGRET, unit=UNIT),
    }
    words = (
        f"Meta-trained with the better arm first: SymLA {score(ours, 'biased')} and, arms exchanged, "
        f"{score(ours, 'flipped')}; the MetaRNN {score(rnn, 'biased')} and {score(rnn, 'flipped')} "
        f"(random {interval(random).value:.1f})."
    )
    return parts, words


def _unseen_observations() -> Evidence:
    """C4: shuffled observations and actions."""
    (maps, words), (poles, more) = _maps(), _shuffled_poles()
    return Evidence(maps | poles, LEARNED_MAP, f"{words} {more}")


def _unseen_tasks() -> Evidence:
    """C5: hearts and traps with swapped rewards, bandits with exchanged arms."""
    moved, words = _flipped()
    collects, wrong = list(UNSEEN_TASKS.bars)[:2]
    try:
        records = recorded("symla.grid")
    except NoRecordsError:
        parts = {name: untested(ABSENT) for name in (collects, wrong)}
        return Evidence(parts | moved, SAME_ARM, f"{words} Hearts and traps: not yet studied.")
    ours, rnn = select(records, agent="symla"), select(records, agent="meta-rnn", permuted="none")
    parts = {
        collects: exceeds(values(ours, "swapped"), 0.0, unit=UNIT),
        wrong: below(values(rnn, "swapped"), 0.0, unit=UNIT),
    }
    side = ours[0].config["sizes"]
    detail = (
        f"Reward of a life with swapped rewards. As in meta-training SymLA has {score(ours, 'standard')}, the MetaRNN "
        f"{score(rnn, 'standard')}. {side} x {side} cells, 50 steps of life, {ours[0].config['generations']} "
        f"generations. {words}"
    )
    return Evidence(parts | moved, collects, detail)


def _unseen_environments() -> Evidence:
    """C6: from the grid to CartPole."""
    ours, references = select(recorded("symla.grid"), agent="symla"), recorded("symla.references")
    first, last = values(ours, "cartpole", "first"), values(ours, "cartpole", "last")
    random = values(select(references, environment="heart-grid"), "cartpole", "last", "random")
    falls, better = UNSEEN_ENVIRONMENTS.bars
    parts = {
        falls: exceeds([a - b for a, b in zip(first, last, strict=True)], 0.0, unit=UNIT),
        better: exceeds([r - own for r, own in zip(random, last, strict=True)], 0.0, unit=UNIT),
    }
    detail = (
        f"Failures in 1,000 steps of CartPole in a life of {POLE_LIFE} steps, without meta-training there. Last "
        f"quarter {interval(last)}, random {interval(random)}."
    )
    return Evidence(parts, falls, detail)


def _comparable() -> Evidence:
    """C7: as good as a MetaRNN where both were meta-trained."""
    ratios = analysis.diagonal_ratios(recorded("symla.bandits"))
    parts = {family: below(found, COMPARABLE_TERMS.bars[family], unit=UNIT) for family, found in ratios.items()}
    detail = "SymLA's regret over the MetaRNN's."
    try:
        rnn, ours = _poles("meta-rnn", permuted="none"), _poles("symla")
        gains = [improvement(records, recorded("symla.references"), "standard") for records in (ours, rnn)]
        margin = [own - 0.5 * other for own, other in zip(*gains, strict=True)]
        parts[COMPARABLE] = exceeds(margin, 0.0, unit=UNIT)
        detail += (
            f" CartPole, failures in 1,000 steps: {score(ours, 'standard')} against {score(rnn, 'standard')}; gains "
            f"over random."
        )
    except NoRecordsError:
        parts[COMPARABLE] = untested(ABSENT)
        detail += " CartPole: not yet studied."
    return Evidence(parts, "independent", detail)


def _cost() -> Evidence:
    """C8: the price of the symmetries."""
    records = recorded("symla.bandits")
    each = []
    for seed in sorted({r.seed for r in records}):
        seconds = {
            agent: sum(r.seconds / r.config["generations"] for r in select(records, agent=agent) if r.seed == seed)
            for agent in analysis.AGENTS
        }
        each.append(seconds["symla"] / seconds["meta-rnn"])
    name = "seconds of a generation"
    parts = {
        name: exceeds(each, COST.bars[name], unit=UNIT),
        "N^2 operations": untested("a count of operations for each weight, which no study measures"),
    }
    detail = (
        "Seconds of a generation, SymLA over MetaRNN, one row and two columns of sub-RNNs against an LSTM of 32; tests "
        "included. That i.i.d. starts keep the symmetry in law is tested."
    )
    return Evidence(parts, name, detail)


CLAIMS = (
    Claim(
        "symla.C1",
        "A learner that descends gradients has three symmetries; black-box meta-RL systems have none of them.",
        "argued in the text",
        _asymmetry,
        ASYMMETRY,
        budget=WORLDS,
    ),
    Claim(
        "symla.C2",
        "A black-box system with the three symmetries can be built.",
        "SymLA itself",
        _built,
        BUILT,
        budget=BANDITS,
    ),
    Claim(
        "symla.C3",
        "It generalises to unseen action spaces: other numbers of arms, permuted actions.",
        "Fig. 4; values unknown",
        _unseen_actions,
        UNSEEN_ACTIONS,
        budget=BANDITS,
    ),
    Claim(
        "symla.C4",
        "It generalises to unseen observation spaces, where a MetaRNN fails.",
        "Fig. 5: SymLA unaffected by shuffling, the MetaRNN fails; values unknown",
        _unseen_observations,
        UNSEEN_OBSERVATIONS,
        budget=WORLDS,
    ),
    Claim(
        "symla.C5",
        "It generalises to unseen tasks: with swapped rewards a MetaRNN goes on collecting the wrong item.",
        "Figs. 6 and 7; values unknown",
        _unseen_tasks,
        UNSEEN_TASKS,
        budget=WORLDS,
    ),
    Claim(
        "symla.C6",
        "It generalises to unseen environments: meta-trained on grid worlds, it learns in CartPole.",
        "the last figure; values unknown",
        _unseen_environments,
        UNSEEN_ENVIRONMENTS,
        budget=WORLDS,
    ),
    Claim(
        "symla.C7",
        "On the distribution of meta-training it is comparable to a MetaRNN.",
        "Figs. 3 and 5, as recalled; values unknown",
        _comparable,
        COMPARABLE_TERMS,
        budget=BANDITS,
    ),
    Claim(
        "symla.C8",
        "It costs about N^2 times as much for each unit, and needs starts that are equal or i.i.d.",
        "stated as a limit",
        _cost,
        COST,
        budget=BANDITS,
    ),
)
