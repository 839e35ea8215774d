"""The claims of SymLA, judged over the recorded studies.

Each check reads shipped records and compares one number per meta-seed with a bar of ``terms``. What came later is
listed there in ``changes``, and can only lower a verdict.
"""

from collections.abc import Sequence

from tutorlib.lab import Claim, Evidence, Record, interval, recorded, select
from tutorlib.lab.records import NoRecordsError
from tutorlib.lab.verdicts import Part, alive, below, combine, exceeds, lowest, untested
from tutorlib.papers.symla import analysis, terms
from tutorlib.papers.symla.analysis import differences, improvement, score, values
from tutorlib.papers.symla.experiments import POLE_LIFE
from tutorlib.papers.symla.problem import ARMS, MATRIX

UNIT = "meta-seeds"
BANDITS = "50 pulls, 64 members x 8 bandits, 70 generations (SymLA) and 200 (MetaRNN); the paper's are unknown."
WORLDS = (
    "Minutes on a CPU: lives of 100 steps on CartPole, which hold two failures of SymLA and four of random pushes; "
    "2 x 2 cells in the grid; the paper's budget is unknown."
)
MAPS = "Contextual bandits: 30 steps, 64 members x 8 lives, 600 generations (SymLA) and 160 (MetaRNN)."
ABSENT = "no study is recorded yet"
RANDOM_REGRET = 12.5
"""expected regret of 50 random pulls of two arms, one from [1/2, 1] and one from [0, 1/2]: 50 x 1/4"""


def _contextual(agent: str, **fields: object) -> list[Record]:
    return select(recorded("symla.contextual"), agent=agent, **fields)


def _poles(agent: str, **fields: object) -> list[Record]:
    """Return CartPole's runs of the longest budget that ``agent`` was given."""
    records = select(recorded("symla.cartpole"), agent=agent, **fields)
    return select(records, generations=max(r.config["generations"] for r in records))


def _absolute(numbers: Sequence[float]) -> list[float]:
    return [abs(value) for value in numbers]


def _maps() -> tuple[dict[str, Part], str]:
    """Return parts and words on contextual bandits with a map unlike that of meta-training."""
    ours, rnn = _contextual("symla", sizes="2"), _contextual("meta-rnn", sizes="2", permuted="none")
    three = _contextual("meta-rnn", sizes="3", permuted="none")
    live = alive({"SymLA": values(ours, "standard"), "MetaRNN": values(rnn, "standard")}, 0.5)
    parts = {
        terms.SAME_MAP: below(_absolute(differences(ours, "standard", "shuffled")), terms.SAME, unit=UNIT, alive=live),
        terms.LEARNED_MAP: exceeds(values(ours, "shuffled"), terms.RIGHT, unit=UNIT),
        terms.LOST_MAP: untested(
            "the MetaRNN of this part had three contexts, and no SymLA was meta-trained on three; one for each of 10 "
            "seeds and 2,000 generations would take 0.7 core-hours"
        ),
        terms.EQUAL_MAP: below(values(rnn, "shuffled"), terms.RIGHT, unit=UNIT, alive=live),
    }
    words = (
        f"Contextual bandits of two contexts with a random map, which is that of meta-training in half of the lives: "
        f"SymLA {score(ours, 'shuffled')} right, in meta-training's {score(ours, 'standard')}; a MetaRNN "
        f"{score(rnn, 'shuffled')} and {score(rnn, 'standard')}; on three contexts {score(three, 'shuffled')} and "
        f"{score(three, 'standard')}."
    )
    return parts, words


def _sizes() -> tuple[dict[str, Part], str]:
    """Return parts and words on contextual bandits of sizes that meta-training had not."""
    ours = _contextual("symla", sizes="2")
    parts = {
        name: exceeds(values(ours, test), terms.UNSEEN_SIZES[name], unit=UNIT) for test, name in terms.SIZES.items()
    }
    sizes = [test.removeprefix("size ") for test in terms.SIZES]
    said = "; ".join(f"{n} x {n} {score(ours, f'size {n}')} (chance {1 / int(n):.3f})" for n in sizes)
    return parts, f"At sizes that meta-training (2 x 2) had not, SymLA is right of contexts x actions: {said}."


def _shuffled_poles() -> tuple[dict[str, Part], str]:
    """Return parts and words on CartPole with shuffled observations and actions."""
    try:
        rnn, ours = _poles("meta-rnn", permuted="none"), _poles("symla")
    except NoRecordsError:
        return {name: untested(ABSENT) for name in terms.POLES}, "CartPole: not yet studied."
    gains = [improvement(r, recorded("symla.references"), t) for r, t in ((ours, "both"), (rnn, "standard"))]
    learned = _live_on_poles(ours, rnn)
    bars = terms.POLES
    half = [gain - 0.5 * other for gain, other in zip(*gains, strict=True)]
    parts = {
        terms.STAND: below(values(rnn, "standard"), bars[terms.STAND], unit=UNIT),
        terms.FALL: exceeds(values(rnn, "both"), bars[terms.FALL], unit=UNIT),
        terms.MOVE: exceeds(differences(rnn, "both", "standard"), bars[terms.MOVE], unit=UNIT, alive=learned),
        terms.SAME_POLE: untested(
            "its bar was set when the records had been seen; 10 fresh seeds of SymLA would take 0.2 core-hours"
        ),
        terms.LEARN: exceeds(half, bars[terms.LEARN], unit=UNIT, alive=learned),
    }
    apart = interval(_absolute(differences(ours, "standard", "both")), UNIT)
    words = (
        f"CartPole, failures in 1,000 steps: MetaRNN {score(rnn, 'standard')}, shuffled {score(rnn, 'both')}; SymLA "
        f"{score(ours, 'standard')}, shuffled {score(ours, 'both')} (apart by {apart}), after "
        f"{ours[0].config['generations']} generations of 64 x 4 lives of 100 steps. Such a life holds "
        f"{score(ours, 'both').value / 10:.1f} failures of SymLA."
    )
    return parts, words


def _live_on_poles(ours: Sequence[Record], rnn: Sequence[Record]) -> tuple[str, ...]:
    """Return which of the two beat random pushes in the order of meta-training."""
    random = values(select(recorded("symla.references"), environment="cartpole"), "standard", player="random")
    learners = {"SymLA": values(ours, "standard"), "MetaRNN": values(rnn, "standard")}
    return alive(learners, random, lower=True)


def _asymmetry() -> Evidence:
    """C1: black-box systems lack the symmetries that backprop has."""
    (maps, words), (poles, more) = _maps(), _shuffled_poles()
    parts = {name: part for name, part in (maps | poles).items() if name in terms.ASYMMETRY.bars}
    detail = (
        f"{words} {more} That gradient descent has the symmetries is an identity, checked to rounding in the chapter."
    )
    return Evidence(parts, terms.EQUAL_MAP, detail, _augmented())


def _augmented() -> tuple[str, ...]:
    """Return what speaks against "a MetaRNN fails": one that met random orders in meta-training."""
    seen = _contextual("meta-rnn", permuted="both")
    said = (
        f"A MetaRNN that met both maps of two contexts in meta-training is right in {score(seen, 'shuffled')} with a "
        f"random one (300 generations)"
    )
    try:
        poles = _poles("meta-rnn", permuted="both")
    except NoRecordsError:
        return (f"{said}.",)
    return (f"{said}; one that met all orders of CartPole fails {score(poles, 'both')} times in 1,000 shuffled steps.",)


def _built() -> Evidence:
    """C2: a black-box learner with the symmetries can be meta-trained."""
    records, references = recorded("symla.bandits"), recorded("symla.references")
    parts, said = {}, []
    for family in MATRIX:
        ours = values(select(records, agent="symla", family=family), family)
        random = analysis.random_regret(references, family)
        ratios = [regret / r for regret, r in zip(ours, random, strict=True)]
        parts[family] = below(ratios, terms.REGRET, unit=UNIT)
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
        ratios = [regret / r for regret, r in zip(values(ours, f"arms {n}"), random, strict=True)]
        parts[f"{n} arms"] = below(ratios, terms.REGRET, unit=UNIT)
        said.append(f"{n} arms {score(ours, f'arms {n}')} (random {interval(random).value:.1f})")
    most = max(parts, key=lambda name: _high(parts[name]))
    (moved, words), (sizes, more) = _flipped(), _sizes()
    two = _contextual("symla", sizes="2")
    parts |= moved | sizes
    parts[terms.MORE_ACTIONS] = exceeds(values(two, "more actions"), terms.midway(3), unit=UNIT)
    detail = (
        f"SymLA's regret over that of random pulls, at the number of arms where it is largest; meta-trained with 2 "
        f"arms. Regret of a life: {'; '.join(said)}. {words}"
    )
    against = (f"{more} With one action more (2 x 3) {score(two, 'more actions')} (chance 0.333).",)
    return Evidence(parts, most, detail, against)


def _high(part: Part) -> float:
    return part.interval.high if part.interval else 0.0


def _flipped() -> tuple[dict[str, Part], str]:
    """Return parts and words on bandits whose better arm is always the first in meta-training."""
    records = select(recorded("symla.biased"), family="biased")
    rnn, ours = select(records, agent="meta-rnn"), select(records, agent="symla")
    random = analysis.random_regret(recorded("symla.references"), "flipped")
    live = alive({"MetaRNN": values(rnn, "biased")}, RANDOM_REGRET, lower=True)
    lost = [regret - r for regret, r in zip(values(rnn, "flipped"), random, strict=True)]
    same, more = _exchanged()
    parts = {terms.LOST_ARM: exceeds(lost, 0.0, unit=UNIT, alive=live), terms.SAME_ARM: same}
    words = (
        f"Meta-trained with the better arm first: SymLA {score(ours, 'biased')} and, arms exchanged, "
        f"{score(ours, 'flipped')}; the MetaRNN {score(rnn, 'biased')} and {score(rnn, 'flipped')} "
        f"(random {interval(random).value:.1f}). {more}"
    )
    return parts, words


def _exchanged() -> tuple[Part, str]:
    """Return what seeds that ran after the bar was fixed say of "SymLA does the same with exchanged arms"."""
    try:
        fresh = recorded("symla.exchanged")
    except NoRecordsError:
        return untested(ABSENT), "On fresh seeds: not yet studied."
    live = alive({"SymLA": values(fresh, "biased")}, RANDOM_REGRET, lower=True)
    apart = _absolute(differences(fresh, "biased", "flipped"))
    words = (
        f"SymLA on {len(fresh)} fresh seeds: {score(fresh, 'biased')} and, arms exchanged, {score(fresh, 'flipped')}. "
        f"That the two are one in expectation is an identity, checked to rounding in the chapter."
    )
    return below(apart, terms.SAME_REGRET, unit=UNIT, alive=live), words


def _unseen_observations() -> Evidence:
    """C4: shuffled observations and actions."""
    (maps, words), (sizes, more), (poles, said) = _maps(), _sizes(), _shuffled_poles()
    ours = _contextual("symla", sizes="2")
    parts = maps | poles | sizes | {terms.PADDED: exceeds(values(ours, "padded"), terms.RIGHT, unit=UNIT)}
    against = [
        f"{more} With two inputs more that are always 0 it is right in {score(ours, 'padded')} of two.",
        f"Of two contexts seen through random signs SymLA is right in {score(ours, 'signs')}, through a random "
        f"rotation in {score(ours, 'projected')}.",
        *_augmented(),
    ]
    try:
        hearts = select(recorded("symla.grid"), agent="symla")
        larger = values(hearts, "larger")
        parts[terms.LARGER] = exceeds(larger, 0.0, unit=UNIT)
        against.append(
            f"In a room of 3 x 3 cells SymLA collects {interval(larger)} in a life, in meta-training's of 2 x 2 "
            f"{score(hearts, 'standard')}."
        )
    except NoRecordsError:
        parts[terms.LARGER] = untested(ABSENT)
    return Evidence(parts, terms.LEARNED_MAP, f"{words} {said}", tuple(against))


def _unseen_tasks() -> Evidence:
    """C5: hearts and traps with swapped rewards, bandits with exchanged arms."""
    moved, words = _flipped()
    try:
        records = recorded("symla.grid")
    except NoRecordsError:
        parts = {name: untested(ABSENT) for name in (terms.COLLECTS, terms.WRONG)}
        return Evidence(parts | moved, terms.LOST_ARM, f"{words} Hearts and traps: not yet studied.")
    ours, rnn = select(records, agent="symla"), select(records, agent="meta-rnn", permuted="none")
    random = values(select(recorded("symla.references"), environment="heart-grid"), "standard", player="random")
    live = alive({"MetaRNN": values(rnn, "standard")}, random)
    parts = {
        terms.COLLECTS: exceeds(values(ours, "swapped"), 0.0, unit=UNIT),
        terms.WRONG: below(values(rnn, "swapped"), 0.0, unit=UNIT, alive=live),
    }
    side = ours[0].config["sizes"]
    detail = (
        f"Reward of a life with swapped rewards. As in meta-training SymLA has {score(ours, 'standard')}, the MetaRNN "
        f"{score(rnn, 'standard')}; swapped the MetaRNN has {score(rnn, 'swapped')}. {side} x {side} cells, 50 steps "
        f"of life, {ours[0].config['generations']} generations. {words}"
    )
    return Evidence(parts | moved, terms.COLLECTS, detail)


def _unseen_environments() -> Evidence:
    """C6: from the grid to CartPole."""
    ours = select(recorded("symla.grid"), agent="symla")
    pushes = select(recorded("symla.references"), environment="heart-grid")
    (quarters, rest), (random_quarters, random_rest) = _quarters(ours), _quarters(pushes, "random")
    last, random = values(ours, "cartpole", "last"), values(pushes, "cartpole", "last", "random")
    more = [a - b for a, b in zip(rest, random_rest, strict=True)]
    better = exceeds([r - failures for r, failures in zip(random, last, strict=True)], 0.0, unit=UNIT)
    parts = {
        terms.QUARTERS: untested(
            f"withdrawn: it is decided by the first 20 steps, in which few poles have had the time to fall; SymLA "
            f"{interval(quarters)}, random pushes {interval(random_quarters)}"
        ),
        terms.BETTER: better,
        terms.LEARNS: exceeds(more, 0.0, unit=UNIT),
    }
    detail = (
        f"Failures in 1,000 steps of CartPole in a life of {POLE_LIFE} steps, without meta-training there. Last "
        f"quarter {interval(last)}, random {interval(random)}. Steps 21 to 100 minus the last quarter: SymLA "
        f"{interval(rest)}, random {interval(random_rest)}; the number beside the verdict is the difference of these "
        f"two. The verdict is that by the withdrawn part, too, since a change can only lower it."
    )
    second = analysis.between(ours, "cartpole", 5, 10)
    still = interval([a - b for a, b in zip(second, last, strict=True)])
    against = (f"Failures of SymLA in 1,000 steps in the second quarter of life minus those in the last: {still}.",)
    before = combine({terms.QUARTERS: exceeds(quarters, 0.0, unit=UNIT), terms.BETTER: better})
    return Evidence(parts, terms.LEARNS, detail, against, lowest([before, combine(parts)]))


def _quarters(records: Sequence[Record], player: str = "") -> tuple[list[float], list[float]]:
    """Return failures in the first minus those in the last quarter of a life, and those without the first 20 steps."""
    first, last = (values(records, "cartpole", part, player) for part in ("first", "last"))
    later = analysis.between(records, "cartpole", 1, 5, player)
    whole, rest = ([a - b for a, b in zip(failures, last, strict=True)] for failures in (first, later))
    return whole, rest


def _comparable() -> Evidence:
    """C7: as good as a MetaRNN where both were meta-trained."""
    records, references = recorded("symla.bandits"), recorded("symla.references")
    parts = {}
    for family, ratios in analysis.diagonal_ratios(records).items():
        rnn = values(select(records, agent="meta-rnn", family=family), family)
        live = alive({"MetaRNN": rnn}, analysis.random_regret(references, family), lower=True)
        parts[family] = below(ratios, terms.RATIO, unit=UNIT, alive=live)
    detail = "SymLA's regret over the MetaRNN's."
    try:
        poles, ours = _poles("meta-rnn", permuted="none"), _poles("symla")
        gains = [improvement(runs, references, "standard") for runs in (ours, poles)]
        margin = [gain - 0.5 * other for gain, other in zip(*gains, strict=True)]
        live = _live_on_poles(ours, poles)
        parts[terms.LEARN] = exceeds(margin, 0.0, unit=UNIT, alive=live)
        detail += (
            f" CartPole, failures in 1,000 steps: {score(ours, 'standard')} against {score(poles, 'standard')}; gains "
            f"over random."
        )
    except NoRecordsError:
        parts[terms.LEARN] = untested(ABSENT)
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
        name: exceeds(each, terms.COST.bars[name], unit=UNIT),
        "N² operations": untested("a count of operations for each weight, which no study measures"),
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
        terms.ASYMMETRY,
        budget=WORLDS,
    ),
    Claim(
        "symla.C2",
        "A black-box system with the three symmetries can be built.",
        "SymLA itself",
        _built,
        terms.BUILT,
        budget=BANDITS,
    ),
    Claim(
        "symla.C3",
        "It generalises to unseen action spaces: other numbers of arms, permuted actions.",
        "Fig. 4; values unknown",
        _unseen_actions,
        terms.UNSEEN_ACTIONS,
        budget=BANDITS,
    ),
    Claim(
        "symla.C4",
        "It generalises to unseen observation spaces, where a MetaRNN fails.",
        "Fig. 5: SymLA unaffected by shuffling, the MetaRNN fails; values unknown",
        _unseen_observations,
        terms.UNSEEN_OBSERVATIONS,
        budget=WORLDS,
    ),
    Claim(
        "symla.C5",
        "It generalises to unseen tasks: with swapped rewards a MetaRNN goes on collecting the wrong item.",
        "Figs. 6 and 7; values unknown",
        _unseen_tasks,
        terms.UNSEEN_TASKS,
        budget=WORLDS,
    ),
    Claim(
        "symla.C6",
        "It generalises to unseen environments: meta-trained on grid worlds, it learns in CartPole.",
        "the last figure; values unknown",
        _unseen_environments,
        terms.UNSEEN_ENVIRONMENTS,
        budget=WORLDS,
    ),
    Claim(
        "symla.C7",
        "On the distribution of meta-training it is comparable to a MetaRNN.",
        "Figs. 3 and 5, as recalled; values unknown",
        _comparable,
        terms.COMPARABLE_TERMS,
        budget=BANDITS,
    ),
    Claim(
        "symla.C8",
        "It costs about N² times as much for each unit, and needs starts that are equal or i.i.d.",
        "stated as a limit",
        _cost,
        terms.COST,
        budget=BANDITS,
    ),
)
