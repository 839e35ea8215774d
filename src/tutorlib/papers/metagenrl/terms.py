"""What the claims of MetaGenRL are judged by: the parts of each claim and their bars, fixed before the studies ran.

Seeds 0 to 2 of the live tier had been looked at by then, so the studies have other ones.
"""

from tutorlib.lab import Terms

FIXED = "2026-12-01"
SEEDS = tuple(range(10, 20))
TUNING = (1000, 1001, 1002)
MARGIN = 5.0
"""difference of returns, as a mean over CartUp and Reach, up to which two ways are alike; an episode of CartUp has 100
steps and one of Reach 50, and a step pays 1 at most"""

SEEN = (
    "Seeds 0 to 2 of the live tier were looked at before: CartUp 47.2 and Reach 3.0 with the learned objective, 24.8 "
    "and -28.3 with the untrained one, 50.3 and -2.3 with REINFORCE and GAE, 58.8 and 14.1 with DDPG. No study has "
    "them."
)
UNIT = "The unit is a meta-seed: its population, its objective and its fresh agents. Pairs share all their luck."
RETURNS = "Returns are means over four fresh agents, eight copies and the last two episodes, with exploration."
EQUAL = (
    "The rate of each way to learn was chosen among the same ones on tuning seeds, by the mean return in CartUp and "
    "Reach; fresh agents of all ways take as many steps."
)
CONDITIONS = (UNIT, RETURNS, EQUAL, SEEN)

MAIN, ALL = ("cartup", "reach"), ("point", "pend", "cartup", "reach")
HELPS = {name: f"{name}: learned above untrained" for name in ALL}
TRAINS = {name: f"{name}: learned above random" for name in ALL}
BEATS = {name: f"{name}: learned above REINFORCE with GAE" for name in MAIN}
OUTRUNS = {name: f"{name}: learned above PPO" for name in MAIN}
SMALL = "the objective has fewer numbers than its population, 10 times"
OVER_ES = "learned above evolved, equal steps of meta-training"
HOME, AWAY = "RL² above learned where both were meta-trained", "RL² below learned in unseen environments"
EARLY, FASTER, STEADIER = (
    "after two fifths of meta-training above untrained",
    "curves after all of it above those after a fifth",
    "spread between agents after all of it below that after a fifth",
)
VALUES, NO_TIME, NO_FOLLOWING, NO_VALUE = (
    "with values above without any",
    "without the time, not worse by more than 5",
    "without V_{t+1}, not worse by more than 5",
    "without V_t, not worse by more than 5",
)
THREE, FIVE = "three inner steps, not better by more than 5", "five inner steps, not better by more than 5"
ONE, TWO, FOUR = (f"eight agents above {n}" for n in ("one", "two", "four"))
MORE = "three environments, not better than two by more than 5"

DISTILS = Terms(
    FIXED,
    {HELPS[name]: 0.0 for name in MAIN},
    (*CONDITIONS, "Its own parameters against those of all policies and critics of the population are counted."),
    SEEDS,
    TUNING,
)
"""C1"""
UNSEEN = Terms(
    FIXED,
    {part[name]: 0.0 for name in ALL for part in (HELPS, TRAINS)},
    (*CONDITIONS, "Each environment in turn is the one that meta-training on the other three has not seen."),
    SEEDS,
    TUNING,
)
"""C2"""
OUTPERFORMS = Terms(
    FIXED,
    {BEATS[name]: 0.0 for name in MAIN} | {OUTRUNS[name]: 0.0 for name in MAIN},
    (*CONDITIONS, "The claim is of some cases: one that holds is one; those that fail are told beside it."),
    SEEDS,
    TUNING,
)
"""C3"""
SAMPLES = Terms(FIXED, {OVER_ES: 0.0}, (*CONDITIONS, "Both take as many steps of the environments."), SEEDS, TUNING)
"""C4"""
OVERFITS = Terms(FIXED, {HOME: 0.0, AWAY: 0.0}, CONDITIONS, SEEDS, TUNING)
"""C5"""
MATURES = Terms(
    FIXED,
    {EARLY: 0.0, FASTER: 0.0, STEADIER: 0.0},
    (*CONDITIONS, "Means over CartUp and Reach; the objective is taken after each fifth of meta-training."),
    SEEDS,
    TUNING,
)
"""C6"""
NEEDS = Terms(
    FIXED,
    {VALUES: 0.0, NO_TIME: -MARGIN, NO_FOLLOWING: -MARGIN, NO_VALUE: -MARGIN},
    (*CONDITIONS, "Means over CartUp and Reach. One of V_t and V_{t+1} can go if either of its parts holds."),
    SEEDS,
    TUNING,
)
"""C7"""
STEPS = Terms(FIXED, {THREE: MARGIN, FIVE: MARGIN}, (*CONDITIONS, "Means over CartUp and Reach."), SEEDS, TUNING)
"""C8"""
CROWD = Terms(
    FIXED,
    {ONE: 0.0, TWO: 0.0, FOUR: 0.0, MORE: MARGIN},
    (*CONDITIONS, "Means over CartUp and Reach. One agent lives in Point; others are as many in Point as in Pend."),
    SEEDS,
    TUNING,
)
"""C9"""
