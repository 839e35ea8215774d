"""The claims of RC-GVF, judged over the recorded studies.

Each check reads shipped records and compares one number per seed with a bar that was fixed before the study ran. No
study has seeds of its own for tuning. So no weight of RC-GVF is chosen: each has a part of its own. The methods that it
is compared with have the weight that is best for them on these very seeds, which is kind to them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tutorlib.lab import Change, Claim, Evidence, Record, Terms, interval, recorded, select
from tutorlib.lab.records import NoRecordsError
from tutorlib.lab.verdicts import Part, below, exceeds, untested
from tutorlib.papers.rcgvf import analysis
from tutorlib.papers.rcgvf.analysis import by_weight, differences, explored, farthest, weight_of

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
LOCK = "20 columns, 1.2e5 frames, networks half as wide; the paper: 100 columns, 2e7."
GRIDS = "Three weights for each method, a factor of 5 apart; the paper: larger tasks, 3e7 frames and more."
PROBES = "A predictor of a fixed policy in a world of our own; no run of the paper's size."

BLINDS = tuple(label for label in analysis.BLIND if label != "RC-GVF")
TOLD = tuple(label for label in analysis.PRIVILEGED if label != "RC-GVF, panorama")
WORLDS = {"minigrid": "corridor", "rooms": "rooms"}


def _at(what: str, weight: float) -> str:
    return f"{what}, weight {weight:g}"


PRECONDITION = "PPO alone stays behind"
EXPLORES = Terms(
    "2026-11-26",
    {_at(f"ahead of {other}", weight): AHEAD for weight in LOCK_WEIGHTS for other in ("RND", "NovelD")}
    | {PRECONDITION: STUCK},
    ("RND and NovelD have the weight that is best for them on these seeds; none of RC-GVF's is chosen.",),
    SEEDS,
)
WITHOUT_COUNTS = Terms(
    "2026-11-26",
    {
        _at(f"{world}: ahead of {other}", weight): CLEARLY
        for world in WORLDS.values()
        for weight in GRID_WEIGHTS
        for other in BLINDS
    },
    ("Others have the weight that is best for them on these seeds; none of RC-GVF's is chosen.",),
    SEEDS,
)
WITH_COUNTS = Terms(
    "2026-11-26",
    {_at(f"not behind {other}", weight): -COMPETES for weight in GRID_WEIGHTS for other in TOLD},
    ("Others have the weight that is best for them on these seeds; none of RC-GVF's is chosen.",),
    SEEDS,
)
LASTS = "a future keeps more than memory alone"
ALIASING = Terms(
    "2026-11-26",
    {
        "RND is blind": BLIND,
        "RND fades": FADED,
        "RC-GVF sees the difference": SEES,
        "RC-GVF keeps more than RND": 0.0,
        LASTS: 0.0,
    },
    seeds=SEEDS,
    changes=(Change("2026-11-26", "Added after a look at one seed of two corridors.", LASTS, None, 0.0),),
)
GENERALISES = Terms(
    "2026-11-26", {"RND is a special case": EQUAL, "predictions depend on the policy": 0.0}, seeds=SEEDS
)


def _horizon() -> tuple[str, bool]:
    """Return in words what RC-GVF does without a future, and whether that speaks against the claim."""
    try:
        parts = analysis.parts(recorded("rcgvf.lock"), recorded("rcgvf.ablations"))
    except NoRecordsError:
        return "Without a future (gamma_z = 0): not yet studied.", False
    gap = interval(differences(parts["RC-GVF"], parts["γ_z = 0"]))
    same = "so on this lock, whose observations nearly show the state, the gain is not shown to come from the future"
    more = "so a part of the gain comes from the future"
    words = (
        f"With the same product and no future (gamma_z = 0), each at its best weight, it comes to "
        f"{interval(farthest(parts['γ_z = 0']))}, {gap} less far: {more if gap.low > 0 else same}. RND with as large a "
        f"predictor: {interval(farthest(parts['RND, large']))}."
    )
    return words, gap.low <= 0


def _told(detail: str) -> tuple[str, tuple[str, ...]]:
    """Return ``detail`` with what the horizon does, and what speaks against the claim."""
    words, against = _horizon()
    return (detail, (words,)) if against else (f"{detail} {words}", ())


def _lock() -> Evidence:
    """C1: farther than without a bonus, with RND's and with NovelD's."""
    records = recorded("rcgvf.lock")
    groups = analysis.methods(records)
    ours = by_weight(select(records, **analysis.METHODS["RC-GVF"]))
    parts = {}
    for weight, runs in ours.items():
        for other in ("RND", "NovelD"):
            parts[_at(f"ahead of {other}", weight)] = exceeds(differences(runs, groups[other]), AHEAD, -AHEAD)
    parts[PRECONDITION] = below(farthest(groups["PPO"]), STUCK)
    said = [f"{label} {interval(farthest(groups[label]))}" for label in ("PPO", "RND", "NovelD")]
    said += [f"RC-GVF with weight {weight:g} {interval(farthest(runs))}" for weight, runs in ours.items()]
    detail, against = _told(f"How many columns farther. Farthest column: {'; '.join(said)}.")
    best = weight_of(analysis.at_best([r for runs in ours.values() for r in runs], explored)[0])
    return Evidence(parts, _at("ahead of RND", best), detail, against)


def _grid(
    name: str, which: Mapping[str, Mapping[str, Any]], ours: str, words: str, bar: float, opposite: float
) -> tuple[dict[str, Part], str]:
    """Compare the mean return of ``ours``, at each weight, with that of each other method at its best."""
    records = recorded(name)
    groups = analysis.grid_methods(records, which)
    runs_of = by_weight(select(records, **which[ours]))
    parts = {
        _at(f"{words} {other}", weight): exceeds(analysis.return_differences(runs, groups[other]), bar, opposite)
        for weight, runs in runs_of.items()
        for other in groups
        if other != ours
    }
    c = records[0].config
    each = [f"{label} {interval(analysis.mean_return(runs))}" for label, runs in groups.items() if label != ours]
    each += [f"{ours} with weight {w:g} {interval(analysis.mean_return(runs))}" for w, runs in runs_of.items()]
    frames = c["updates"] * c["num_envs"] * c["num_steps"]
    return parts, f"{c['task']}, {frames / 1e5:.1f}e5 frames, mean return over the whole course: {'; '.join(each)}."


def _closest(parts: Mapping[str, Part]) -> str:
    """Return the name of the part whose interval is lowest."""
    return min(parts, key=lambda name: own.value if (own := parts[name].interval) else 0.0)


def _without_counts() -> Evidence:
    """C2: in two grid worlds, against methods that know no counts. Both count."""
    parts: dict[str, Part] = {}
    said = []
    for name, world in WORLDS.items():
        own, words = _grid(f"rcgvf.{name}", analysis.BLIND, "RC-GVF", f"{world}: ahead of", CLEARLY, -CLEARLY)
        parts |= own
        said.append(words)
    return Evidence(parts, _closest(parts), " ".join(said))


def _with_counts() -> Evidence:
    """C3: with a panorama, against methods that know counts."""
    parts, words = _grid(
        "rcgvf.privileged", analysis.PRIVILEGED, "RC-GVF, panorama", "not behind", -COMPETES, -COMPETES
    )
    return Evidence(parts, _closest(parts), words)


def _aliasing() -> Evidence:
    """C4: a bonus on single observations fades where nobody was."""
    groups = analysis.maze_groups(recorded("rcgvf.aliasing"))
    rnd, ours, short, forgetful = (
        groups[label] for label in ("RND", "memory, γ_z = 0.9", "memory, γ_z = 0", "no memory, γ_z = 0.9")
    )
    blind, faded, sees, keeps, lasts = ALIASING.bars
    unit = "networks"
    parts = {
        blind: below([abs(share - 0.5) for share in analysis.unseen_share(rnd)], BLIND, unit=unit),
        faded: below(analysis.kept(rnd), FADED, unit=unit),
        sees: exceeds(analysis.unseen_share(ours), SEES, unit=unit),
        keeps: exceeds(_more(ours, rnd), 0.0, unit=unit),
        lasts: exceeds(_more(ours, short), 0.0, unit=unit),
        "the paper's grid worlds": untested("two corridors of our own"),
    }
    detail, against = _told(
        f"Share of the bonus of two corridors that look alike which is paid in the one that was never entered (RND "
        f"{interval(analysis.unseen_share(rnd))}). What is kept there of the bonus before learning: {_kept(ours)}, RND "
        f"{_kept(rnd)}. In parts: memory without a future {_share_and_kept(short)}; a future without memory "
        f"{_share_and_kept(forgetful)}."
    )
    return Evidence(parts, sees, detail, against)


def _more(records: Sequence[Record], others: Sequence[Record]) -> list[float]:
    return [a - b for a, b in zip(analysis.kept(records), analysis.kept(others), strict=True)]


def _kept(records: Sequence[Record]) -> str:
    return f"{interval(analysis.kept(records)).value:.1e}"


def _share_and_kept(records: Sequence[Record]) -> str:
    return f"share {interval(analysis.unseen_share(records)).value:.2f}, kept {_kept(records)}"


def _general() -> Evidence:
    """C5: RND as a special case, and predictions that depend on the policy."""
    records = recorded("rcgvf.dissipation")
    gaps = analysis.special_case(records)
    future, none = (analysis.policy_gap(records, gamma) for gamma in (0.6, 0.0))
    same, depends = GENERALISES.bars
    unit = "networks"
    parts = {
        same: below(gaps, EQUAL, unit=unit),
        depends: exceeds([a - TWICE * b for a, b in zip(future, none, strict=True)], 0.0, unit=unit),
        "behaviour becomes more varied": untested("no study measures it"),
    }
    detail = (
        f"Relative difference of predictions under two policies at gamma_z = 0.6, minus {TWICE:g} times that at "
        f"gamma_z = 0: {interval(future)} and {interval(none)}. With gamma_z = 0, one predictor and the norm the bonus "
        f"is RND's up to {max(gaps):.1e} of its size."
    )
    return Evidence(parts, depends, detail)


CLAIMS = (
    Claim(
        "rcgvf.C1",
        "It improves exploration on a diabolical combination lock of 100 steps.",
        "mean farthest column 61, 94, 100, 100 after 5, 10, 15, 20 million frames (second-hand, row not named)",
        _lock,
        EXPLORES,
        budget=LOCK,
    ),
    Claim(
        "rcgvf.C2",
        "It clearly beats earlier methods on partly observed grid worlds where counts of visited places are not given.",
        "values unknown",
        _without_counts,
        WITHOUT_COUNTS,
        budget=GRIDS,
    ),
    Claim(
        "rcgvf.C3",
        "With a view all round, for the bonus only, it competes with methods that are given the counts.",
        "values unknown",
        _with_counts,
        WITH_COUNTS,
        budget=GRIDS,
    ),
    Claim(
        "rcgvf.C4",
        "Bonuses on single observations fade too early where many situations look alike; predictions of sums over "
        "time avoid it.",
        "argued in the text",
        _aliasing,
        ALIASING,
        budget=PROBES,
    ),
    Claim(
        "rcgvf.C5",
        "It generalises RND, its predictions depend on the policy, and it encourages varied behaviour.",
        "from the workshop version; values unknown",
        _general,
        GENERALISES,
        budget=PROBES,
    ),
)
