"""The claims of RC-GVF, judged over the recorded studies.

Each check reads shipped records and compares one number per seed with a bar that was fixed before the study ran. No
study has seeds of its own for tuning. So no weight of RC-GVF is chosen: each has a part of its own. The methods that it
is compared with have the weight that is best for them on these very seeds, which is kind to them.

In MiniGrid two things come first. Where actions at random often succeed no bonus is needed, and bonuses are not
compared. And weights must bracket the strength that the released code pays with; else the comparison is of another
method than the paper's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from tutorlib.envs.lock import Lock
from tutorlib.lab import Claim, Evidence, Record, Terms, interval, recorded, select, withdrawals
from tutorlib.lab.records import NoRecordsError, WithdrawnError
from tutorlib.lab.verdicts import (
    HOLDS,
    INCONCLUSIVE,
    Part,
    alive,
    below,
    combine,
    exceeds,
    lowest,
    unasked,
    untested,
)
from tutorlib.papers.rcgvf import analysis
from tutorlib.papers.rcgvf.analysis import by_weight, differences, explored, farthest, weight_of
from tutorlib.papers.rcgvf.terms import (
    AHEAD,
    ALIASING,
    BLIND,
    EQUAL,
    EXPLORES,
    FADED,
    GENERALISES,
    PRECONDITION,
    SEES,
    STUCK,
    TASKS,
    TWICE,
    WITH_COUNTS,
    WITHOUT_COUNTS,
    WORLDS,
    at,
)
from tutorlib.papers.rcgvf.untrained import random_farthest

LOCK = "20 columns, 1.2e5 frames, networks half as wide; the paper: 100 columns, 2e7."
GRIDS = (
    "Adam's rate 1e-3, the released one is 2e-4; three weights for each method, a factor of 5 apart, which bracket "
    "what the released code pays for NovelD alone; the paper: larger tasks, 3e7 frames and more."
)
PROBES = "A predictor of a fixed policy in a world of our own; no run of the paper's size."


LUCK: Mapping[str, float] = MappingProxyType({"KeyCorridorS3R1": 1 / 17, "MultiRoom-N3-S6": 0.0})
"""share of episodes that actions at random end with success (``untrained.random_play``)"""
NEEDED = 0.01
"""where that share is larger, no bonus is needed"""
MATCHING: Mapping[str, float] = MappingProxyType(
    {
        "RND": 7.4e-4,
        "NovelD": 1.5e-2,
        "AGAC": 5e-5,
        "RC-GVF": 0.107,
        "PPO + counts": 0.1,
        "NovelD + counts": 1.5e-2,
        "AGAC + counts": 1e-3,
        "RC-GVF, panorama": 0.107,
    }
)
"""Weights with which networks of d = 64 that have learned nothing pay as much as the released ones of d = 128 with the
released weights (``untrained.matching_weight``); for counts and AGAC, which have no Z, the released weights."""


def _horizon() -> tuple[str, bool]:
    """Return in words what RC-GVF does in the lock without a future, and whether that speaks against the claim."""
    try:
        lock = recorded("rcgvf.lock")
        parts = analysis.parts(lock, recorded("rcgvf.ablations"))
    except NoRecordsError:
        return "Without a future (discount 0): not yet studied.", False
    none = parts["no future"]
    ours = by_weight(select(lock, **analysis.METHODS["RC-GVF"]))
    gaps = {weight: interval(differences(runs, none)) for weight, runs in ours.items()}
    ahead = [f"{weight:g}" for weight, gap in gaps.items() if gap.low > 0]
    if len(ahead) == len(gaps):
        conclusion = "so a part of the gain comes from the future"
    else:
        conclusion = f"so the gain is shown to come from the future with {len(ahead)} of {len(gaps)} weights"
    words = (
        f"In the lock, with the same product and no future (discount 0), it comes to {interval(farthest(none))} at the "
        f"best of its weights. RC-GVF comes farther than that by "
        f"{'; '.join(f'{gap} with weight {weight:g}' for weight, gap in gaps.items())}: {conclusion}. "
        f"RND with as large a predictor: {interval(farthest(parts['RND, large']))}."
    )
    tried = {
        label: select(recorded("rcgvf.ablations"), **analysis.PARTS[label]) for label in ("no future", "RND, large")
    }
    words += _at_edges(tried, parts)
    return words, len(ahead) < len(gaps)


def _at_edges(tried: Mapping[str, Sequence[Record]], best: Mapping[str, Sequence[Record]]) -> str:
    """Return which of these have their best weight at an end of those that were tried, as a sentence after others."""
    edges = []
    for label, records in tried.items():
        weights, chosen = list(by_weight(records)), weight_of(best[label][0])
        if chosen in (weights[0], weights[-1]):
            edges.append(f"{label} ({chosen:g} of {', '.join(f'{w:g}' for w in weights)})")
    return (
        f" At an end of the weights that were tried, so that another may be better: {'; '.join(edges)}."
        if edges
        else ""
    )


def _told(detail: str) -> tuple[str, tuple[str, ...]]:
    """Return ``detail`` with what the horizon does, and what speaks against the claim."""
    words, against = _horizon()
    return (detail, (words,)) if against else (f"{detail} {words}", ())


def _lock() -> Evidence:
    """C1: farther than without a bonus, with RND's and with NovelD's."""
    records = recorded("rcgvf.lock")
    groups = analysis.methods(records)
    ours = by_weight(select(records, **analysis.METHODS["RC-GVF"]))
    by_chance = _farthest_by_chance(records[0])
    parts = {}
    for weight, runs in ours.items():
        for other in ("RND", "NovelD"):
            live = alive({"RC-GVF": farthest(runs), other: farthest(groups[other])}, by_chance)
            gaps = differences(runs, groups[other])
            parts[at(f"ahead of {other}", weight)] = exceeds(gaps, AHEAD, -AHEAD, alive=live)
    parts[PRECONDITION] = below(farthest(groups["PPO"]), STUCK)
    said = [f"{label} {interval(farthest(groups[label]))}" for label in ("PPO", "RND", "NovelD")]
    said += [f"RC-GVF with weight {weight:g} {interval(farthest(runs))}" for weight, runs in ours.items()]
    tried = {label: select(records, **analysis.METHODS[label]) for label in ("RND", "NovelD")}
    detail, against = _told(f"How many columns farther. Farthest column: {'; '.join(said)}.{_at_edges(tried, groups)}")
    best = weight_of(analysis.at_best([r for runs in ours.values() for r in runs], explored)[0])
    return Evidence(parts, at("ahead of RND", best), detail, against, _verdict(parts))


def _farthest_by_chance(record: Record) -> float:
    """Return how far actions at random come in the lock of a record, in as many episodes as it has."""
    c = record.config
    lock = Lock(c["horizon"], c["actions"])
    return random_farthest(lock, c["updates"] * c["num_envs"] * c["num_steps"] // c["horizon"])


def _verdict(parts: Mapping[str, Part]) -> str:
    """Return what parts say; what is asked since 2026-12-01, that a learner beats random, can only lower it."""
    return lowest([combine(parts), unasked(parts)])


def _no_bonus_needed(study: str) -> str:
    """Return why bonuses are not compared in the world of ``study``; empty if they are."""
    task = TASKS[study]
    if LUCK[task] <= NEEDED:
        return ""
    return f"no bonus is needed in {task}, where actions at random end 1 episode in {1 / LUCK[task]:.0f} with success"


def _off(label: str, weights: Sequence[float]) -> str:
    """Return how many times the released strength weights have; empty if they bracket it, or there is no bonus."""
    known = MATCHING.get(label)
    if known is None or min(weights) < known < max(weights):
        return ""
    low, high = (float(f"{end(weights) / known:.2g}") for end in (min, max))
    return f"{label} {low:g} to {high:g}"


def _grid(
    study: str, which: Mapping[str, Mapping[str, Any]], ours: str, words: str, terms: Terms, side: float
) -> tuple[dict[str, Part], str]:
    """Compare the mean return of ``ours``, at each weight, with that of each other method at its best.

    Of a world in which no bonus is needed, and of withdrawn records, parts are not tested; the second value says why.
    """
    bars = {name: bar for name, bar in terms.bars.items() if name.startswith(words)}
    if why := _no_bonus_needed(study):
        gone = "".join(f" Its records are withdrawn, too: {entry.reason}" for entry in withdrawals(f"rcgvf.{study}"))
        return {name: untested(why) for name in bars}, f"Not tested: {why}.{gone}"
    gone = ""
    try:
        records = recorded(f"rcgvf.{study}")
    except WithdrawnError as error:
        gone, records = str(error), recorded(f"rcgvf.{study}", withdrawn=True)
    runs_of = {label: by_weight(select(records, **fields)) for label, fields in which.items()}
    off = {label: _off(label, list(weights)) for label, weights in runs_of.items()}
    missed = "; ".join(filter(None, off.values()))
    paid = f"before learning bonuses are so many times those of the released code: {missed}."
    if gone:
        return {name: untested("its records are withdrawn") for name in bars}, (
            f"{TASKS[study]}: not tested until it is recorded again. {gone} With the weights that were tried it would "
            f"not be tested either: {paid}"
        )
    groups = analysis.grid_methods(records, which)
    parts = {}
    for weight, runs in runs_of[ours].items():
        for other in groups:
            if other == ours:
                continue
            name = at(f"{words} {other}", weight)
            if why := off[ours] or off[other]:
                parts[name] = untested(f"before learning, times the released strength: {why}")
            else:
                gaps = analysis.return_differences(runs, groups[other])
                # A success pays at most 1, so actions at random have at most this mean return.
                pair = {ours: runs, other: groups[other]}
                live = alive({k: analysis.mean_return(v) for k, v in pair.items()}, LUCK[TASKS[study]])
                parts[name] = exceeds(gaps, bars[name], side * bars[name], alive=live)
    c = records[0].config
    each = [f"{label} {interval(analysis.mean_return(runs))}" for label, runs in groups.items() if label != ours]
    each += [f"{ours} with weight {w:g} {interval(analysis.mean_return(runs))}" for w, runs in runs_of[ours].items()]
    frames = c["updates"] * c["num_envs"] * c["num_steps"]
    said = f"{c['task']}, {frames / 1e5:.1f}e5 frames, mean return over the whole course: {'; '.join(each)}."
    return parts, f"{said} Note that {paid}" if missed else said


def _evidence(parts: Mapping[str, Part], words: str) -> Evidence:
    """Return the evidence beside the part whose interval is lowest; without any interval the words alone."""
    measured = {name: around.value for name, part in parts.items() if (around := part.interval)}
    if not measured:
        return Evidence(detail=words)
    return Evidence(parts, min(measured, key=lambda n: measured[n]), words, verdict=_verdict(parts))


def _without_counts() -> Evidence:
    """C2: in two grid worlds, against methods that know no counts. Both count."""
    parts: dict[str, Part] = {}
    said = []
    for study, world in WORLDS.items():
        judged, words = _grid(study, analysis.BLIND, "RC-GVF", f"{world}: ahead of", WITHOUT_COUNTS, -1.0)
        parts |= judged
        said.append(words)
    return _evidence(parts, " ".join(said))


def _with_counts() -> Evidence:
    """C3: with a panorama, against methods that know counts."""
    return _evidence(*_grid("privileged", analysis.PRIVILEGED, "RC-GVF, panorama", "not behind", WITH_COUNTS, 1.0))


def _aliasing() -> Evidence:
    """C4: a bonus on single observations fades where nobody was."""
    groups = analysis.maze_groups(recorded("rcgvf.aliasing"))
    rnd, ours, short, forgetful = (
        groups[label] for label in ("RND", "memory, discount 0.9", "memory, no future", "no memory, discount 0.9")
    )
    blind, faded, sees, keeps, lasts, more = ALIASING.bars
    unit = "networks"
    parts = {
        blind: below([abs(share - 0.5) for share in analysis.unseen_share(rnd)], BLIND, unit=unit, alive=_learned(rnd)),
        faded: below(analysis.kept(rnd), FADED, unit=unit, alive=_learned(rnd)),
        sees: exceeds(analysis.unseen_share(ours), SEES, unit=unit, alive=_learned(ours)),
        keeps: exceeds(_more(ours, rnd), 0.0, unit=unit, alive=_learned(ours, rnd)),
        lasts: exceeds(_more(ours, short), 0.0, unit=unit, alive=_learned(ours, short)),
        more: exceeds(_sees_more(ours, short), BLIND, -BLIND, unit=unit, alive=_learned(ours, short)),
        "the paper's grid worlds": untested("two corridors of our own"),
    }
    against: tuple[str, ...] = ()
    if parts[more].verdict != HOLDS:
        if parts[sees].verdict == HOLDS:
            parts[sees] = replace(parts[sees], verdict=INCONCLUSIVE, why="memory without a future sees it, too")
        against = (
            f"Memory without a future (discount 0) sees the difference, too: of what both corridors pay it pays the "
            f"share {interval(analysis.unseen_share(short), unit)} in the one that was never entered, RC-GVF "
            f"{interval(analysis.unseen_share(ours), unit)}. Of the bonus before learning a future keeps more by "
            f"{interval(_more(ours, short), unit)}.",
        )
    detail, of_lock = _told(
        f"Share of the bonus of two corridors that look alike which is paid in the one that was never entered (RND "
        f"{interval(analysis.unseen_share(rnd))}). What is kept there of the bonus before learning: {_kept(ours)}, RND "
        f"{_kept(rnd)}. In parts: memory without a future {_share_and_kept(short)}; a future without memory "
        f"{_share_and_kept(forgetful)}."
    )
    return Evidence(parts, lasts, detail, against + of_lock, _verdict(parts))


def _learned(*predictors: Sequence[Record]) -> tuple[str, ...]:
    """Return predictors that have learned: in the corridor where they walked the bonus fell. None if one has not."""
    live = alive({str(place): analysis.lost(runs) for place, runs in enumerate(predictors)}, 0.0, unit="networks")
    return live if len(live) == len(predictors) else ()


def _sees_more(records: Sequence[Record], others: Sequence[Record]) -> list[float]:
    shares = (analysis.unseen_share(runs) for runs in (records, others))
    return [a - b for a, b in zip(*shares, strict=True)]


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
        f"Relative difference of predictions under two policies at a discount of 0.6, minus {TWICE:g} times that at "
        f"discount 0: {interval(future)} and {interval(none)}. With discount 0, one predictor and the norm the bonus "
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
