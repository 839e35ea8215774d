"""What the claims of SymLA are judged by: the parts of each claim, their bars, and what was changed since.

The bars were fixed before the studies ran, if nothing else is said. What came later is listed in ``changes``.
"""

from collections.abc import Iterable, Mapping

from tutorlib.lab import Change, Terms
from tutorlib.papers.symla.experiments import POLE_LIFE
from tutorlib.papers.symla.problem import ARMS, MATRIX

SEEDS = tuple(range(5))
FRESH = tuple(range(5, 15))
"""seeds of ``symla.exchanged``, which ran after the bar that it tests was fixed"""
TODAY = "2026-11-30"


def midway(n: int) -> float:
    """Return the accuracy midway from chance to perfect where one of ``n`` actions is right."""
    return (1 + 1 / n) / 2


REGRET = 0.6
"""a regret below this share of random's counts as having learned"""
RATIO = 1.5
"""SymLA's regret is comparable to the MetaRNN's up to this ratio"""
SAME = 0.03
"""largest difference of accuracies that are the same"""
RIGHT = midway(2)
"""accuracy on two contexts, midway from chance to perfect, that counts as having learned"""
GUESS = 0.5
"""accuracy on three contexts below which an agent has not adapted (chance: 1/3)"""
STANDS, FALLS = 5.0, 15.0
"""failures on CartPole in 1,000 steps: below, solved; above, lost"""
SAME_REGRET = 1.0
"""largest difference of regrets that are the same, of about 12.5 for random pulls; tests seeds ``FRESH`` alone"""

SAME_MAP, LEARNED_MAP, LOST_MAP = "map: SymLA the same", "map: SymLA learned", "map: MetaRNN at a loss"
EQUAL_MAP = "map: MetaRNN has not learned, 2 x 2 like SymLA"
MAPS = {SAME_MAP: SAME, LEARNED_MAP: RIGHT, LOST_MAP: GUESS, EQUAL_MAP: RIGHT}
SIZES = {f"size {n}": f"map: SymLA learned, {n} contexts x {n} actions" for n in (3, 4, 5)}
"""tests at sizes that meta-training had not, in the records' words and in ours"""
MORE_ACTIONS, PADDED = "map: SymLA learned, 2 contexts x 3 actions", "map: SymLA learned, two inputs more"
LARGER = "hearts: SymLA collects in 3 x 3 cells"
UNSEEN_SIZES = {name: midway(n) for n, name in zip((3, 4, 5), SIZES.values(), strict=True)}
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
COLLECTS, WRONG = "swapped: SymLA collects", "swapped: MetaRNN collects the wrong one"
QUARTERS, BETTER = "first minus last quarter", "random minus SymLA, last quarter"
LEARNS = "steps 21 to 100 minus last quarter, more than for random"


def _added(reason: str, bars: Mapping[str, float]) -> tuple[Change, ...]:
    return tuple(Change(TODAY, reason, part, None, bar) for part, bar in bars.items())


def _same(part: str, now: float, then: str) -> tuple[Change, ...]:
    return (
        Change(
            TODAY,
            "Before, scores were the same if they differed by less than their two intervals are wide, which is no bar: "
            "the less is known, the more is the same.",
            part,
            None,
            now,
        ),
        Change(TODAY, f"This bar was set when the records of seeds 0 to 4 had been seen: {then}.", part, now, now),
    )


def _later(part: str, now: float) -> Change:
    return Change(
        "2026-11-25", "The contextual bandit came after the study on CartPole; it decides, too.", part, None, now
    )


def _pick(bars: Mapping[str, float], names: Iterable[str]) -> dict[str, float]:
    return {name: bars[name] for name in names}


_NO_POLE = _same(SAME_POLE, POLES[SAME_POLE], "nothing is judged by it")
_FRESH_ARM = _same(SAME_ARM, SAME_REGRET, "it tests seeds 5 to 14 alone, which ran after it was fixed")
_EQUAL = (
    Change(
        TODAY,
        "The MetaRNN of this part had three contexts and SymLA two: agents are compared at equal sizes alone.",
        LOST_MAP,
        GUESS,
        GUESS,
    ),
    *_added("SymLA's bar on two contexts serves for the MetaRNN on two contexts, too.", {EQUAL_MAP: RIGHT}),
)
_SIZES = (
    "Tests at sizes that meta-training had not were recorded and judged nowhere. Where both contexts and actions are "
    "more, both claims are concerned. The bar is midway from chance to perfect, as on two contexts."
)

ASYMMETRY = Terms(
    "2026-11-25",
    _pick(MAPS | POLES, (SAME_MAP, LOST_MAP, EQUAL_MAP, MOVE, SAME_POLE)),
    seeds=SEEDS,
    changes=(_later(SAME_MAP, SAME), _later(LOST_MAP, GUESS), *_NO_POLE, *_EQUAL),
)
BUILT = Terms(
    "2026-11-25", dict.fromkeys(MATRIX, REGRET), ("Random line: random pulls, over whose regret each is taken.",), SEEDS
)
_ACTIONS = UNSEEN_SIZES | {MORE_ACTIONS: midway(3)}
UNSEEN_ACTIONS = Terms(
    "2026-11-25",
    {f"{n} arms": REGRET for n in ARMS} | FLIPPED | _ACTIONS,
    ("Regret over that of random pulls; meta-trained with 2 arms.",),
    SEEDS + FRESH,
    changes=(*_FRESH_ARM, *_added(_SIZES, _ACTIONS)),
)
_OBSERVATIONS = UNSEEN_SIZES | {PADDED: RIGHT, LARGER: 0.0}
UNSEEN_OBSERVATIONS = Terms(
    "2026-11-25",
    MAPS | POLES | _OBSERVATIONS,
    seeds=SEEDS,
    changes=(*_NO_POLE, *_EQUAL, *_added(_SIZES, _OBSERVATIONS)),
)
UNSEEN_TASKS = Terms(
    "2026-11-25",
    {COLLECTS: 0.0, WRONG: 0.0} | FLIPPED,
    seeds=SEEDS + FRESH,
    changes=(
        Change("2026-11-25", "The exchanged arms came when their study had run.", LOST_ARM, None, 0.0),
        *_FRESH_ARM,
    ),
)
UNSEEN_ENVIRONMENTS = Terms(
    "2026-11-26",
    {QUARTERS: 0.0, BETTER: 0.0, LEARNS: 0.0},
    (
        f"A life of {POLE_LIFE} steps, since in the first quarter of 50 no pole has had the time to fall.",
        "Random line: random pushes, with which two of the parts compare.",
    ),
    SEEDS,
    changes=(
        Change(
            TODAY,
            "The first 20 steps decide this part, in which few poles have had the time to fall: it is withdrawn. Its "
            "verdict stays in that of the claim, which a change can only lower.",
            QUARTERS,
            0.0,
            0.0,
        ),
        *_added("What is left of it without the first 20 steps, beside random pushes.", {LEARNS: 0.0}),
    ),
)
COMPARABLE_TERMS = Terms(
    "2026-11-25",
    dict.fromkeys(MATRIX, RATIO) | {LEARN: 0.0},
    ("Regret over the MetaRNN's.", "A MetaRNN that does not beat random pulls is nothing to be comparable to."),
    SEEDS,
    changes=(
        Change(TODAY, "The MetaRNN must beat random pulls here, or the part is not tested.", "hard", RATIO, RATIO),
    ),
)
COST = Terms(
    "2026-11-25",
    {"seconds of a generation": 1.0},
    ("Tests included.", "Random line: none; seconds are measured, however well anybody learns."),
    SEEDS,
)
