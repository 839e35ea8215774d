"""What the claims of RC-GVF are judged by: the parts of each claim, their bars, and what was changed since."""

from tutorlib.lab import Change, Terms
from tutorlib.papers.rcgvf import analysis

AHEAD = 2.0
"""columns that RC-GVF must come farther than a baseline"""
STUCK = 5.0
"""a mean farthest column below it counts as not having explored"""
BLIND = 0.01
"""largest distance from a half of the share that is paid in the corridor that was never entered, to be blind to it"""
SEES = 0.9
"""smallest such share of a bonus that sees the difference"""
FADED = 0.1
"""a bonus below this share of its beginning has faded"""
EQUAL = 1e-3
"""largest relative difference of bonuses that are the same but for rounding"""
CLEARLY = 0.1
"""mean return of an episode, over the whole course, that RC-GVF must be ahead of each method in MiniGrid"""
COMPETES = 0.1
"""mean return that RC-GVF with a panorama may be behind each method with counts, and still compete"""
TWICE = 2.0
"""predictions with a future must differ between policies by more than this many times those without"""

SEEDS = tuple(range(5))
LOCK_WEIGHTS = (20.0, 100.0, 500.0)
"""weights of RC-GVF in the lock"""
GRID_WEIGHTS = (2.0, 10.0, 50.0)
"""weights of RC-GVF in MiniGrid"""

BLINDS = tuple(label for label in analysis.BLIND if label != "RC-GVF")
TOLD = tuple(label for label in analysis.PRIVILEGED if label != "RC-GVF, panorama")
WORLDS = {"minigrid": "corridor", "rooms": "rooms"}
TASKS = {"minigrid": "KeyCorridorS3R1", "privileged": "KeyCorridorS3R1", "rooms": "MultiRoom-N3-S6"}


def at(what: str, weight: float) -> str:
    """Return the name of a part that is judged at one weight of RC-GVF."""
    return f"{what}, weight {weight:g}"


def _named(*studies: str) -> str:
    """Return the condition that names best weights at an end of those that were tried, of records of today."""
    named = {f"{label} {weight:g}": None for study in studies for label, weight in analysis.EDGES[study].items()}
    return (
        f"Since 2026-12-01: best weights at an end of those that were tried are named, for another may be better: "
        f"{', '.join(named)}."
    )


PRECONDITION = "PPO alone stays behind"
EXPLORES = Terms(
    "2026-11-26",
    {at(f"ahead of {other}", weight): AHEAD for weight in LOCK_WEIGHTS for other in ("RND", "NovelD")}
    | {PRECONDITION: STUCK},
    (
        "RND and NovelD have the weight that is best for them on these seeds; none of RC-GVF's is chosen.",
        "Since 2026-12-01: of the two in a comparison at least one comes farther than actions at random.",
        _named("rcgvf.ablations"),
    ),
    SEEDS,
)
BEST = ("Others have the weight that is best for them on these seeds; none of RC-GVF's is chosen.",)
FAIR = (
    "Since 2026-11-30: actions at random succeed in at most 1 % of episodes.",
    "Since 2026-11-30: weights bracket those with which untrained networks pay what the released ones do.",
    "Since 2026-12-01: of the two in a comparison at least one has a higher return than actions at random.",
)
WITHOUT_COUNTS = Terms(
    "2026-11-26",
    {
        at(f"{world}: ahead of {other}", weight): CLEARLY
        for world in WORLDS.values()
        for weight in GRID_WEIGHTS
        for other in BLINDS
    },
    (*BEST, *FAIR, _named("rcgvf.minigrid", "rcgvf.rooms")),
    SEEDS,
)
WITH_COUNTS = Terms(
    "2026-11-26",
    {at(f"not behind {other}", weight): -COMPETES for weight in GRID_WEIGHTS for other in TOLD},
    (*BEST, *FAIR, _named("rcgvf.privileged")),
    SEEDS,
)
LASTS = "a future keeps more than memory alone"
SEES_MORE = "a future sees more than memory alone"
ALIASING = Terms(
    "2026-11-26",
    {
        "RND is blind": BLIND,
        "RND fades": FADED,
        "RC-GVF sees the difference": SEES,
        "RC-GVF keeps more than RND": 0.0,
        LASTS: 0.0,
        SEES_MORE: BLIND,
    },
    (
        "Since 2026-11-30: that RC-GVF sees the difference is inconclusive unless it sees more than memory alone.",
        "Since 2026-12-01: each predictor in a part has learned where it walked; one that has not keeps all, too.",
        _named("rcgvf.ablations"),
    ),
    SEEDS,
    changes=(
        Change("2026-11-26", "Added after a look at one seed of two corridors.", LASTS, None, 0.0),
        Change("2026-11-30", "Added since memory without a future sees the difference, too.", SEES_MORE, None, BLIND),
    ),
)
GENERALISES = Terms(
    "2026-11-26",
    {"RND is a special case": EQUAL, "predictions depend on the policy": 0.0},
    ("Random line: none; bonuses and predictions of fixed policies are compared, and no policy learns.",),
    SEEDS,
)
