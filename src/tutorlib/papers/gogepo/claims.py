"""The claims of GoGePo, judged over the recorded runs at the paper's own setting, and in small worlds.

Each check compares one number per seed with a bar of ``terms``, which was fixed before the runs.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from types import MappingProxyType
from typing import Any

from tutorlib.lab import Claim, Evidence, Record, interval, recorded
from tutorlib.lab.reading import field_of
from tutorlib.lab.records import NoRecordsError
from tutorlib.lab.verdicts import IN_PART, Part, alive, below, combine, exceeds, fact, lowest, untested
from tutorlib.nn import parameter_count
from tutorlib.papers.gogepo import terms
from tutorlib.papers.gogepo.analysis import METHODS, answered, correlation, error, following, late, leads, missing
from tutorlib.papers.gogepo.config import Config

BUDGET = (
    "MountainCarContinuous with the paper's sizes and rates: 100,000 steps, a policy of 66,817 weights, 20 seeds. The "
    "paper's other worlds are not run here."
)
SMALL_BUDGET = (
    "Three small worlds, policies of 32 units a layer, 960 episodes, 10 seeds; MountainCarContinuous with the paper's "
    "sizes beside them, where it is recorded."
)
UNKNOWN = "unknown"
MUCH_SMALLER = 10
"""a plain generator has more numbers than ours by so much at least"""
BETWEEN = (10.0, 80.0)
"""returns that hardly an episode of MountainCarContinuous has: it pays 100 at the flag, and takes a little for force"""
HALF = 0.5
"""of the commands for these: if fewer are answered with such a return, it is said against the claim"""
SWITCH = sqrt(3) / 2
"""correlation of commands, evenly spaced, with a step in their middle"""
SMALL_LINES: Mapping[str, str] = MappingProxyType({"GoGePo": "gogepo", "ARS": "ars", "noise alone": "noise"})
"""Methods of ``gogepo.worlds`` that C4 compares, by the name that a reader knows."""


def _of(records: Iterable[Record], seeds: Sequence[int], **fields: Any) -> list[Record]:
    """Return the records with these fields and of these seeds, in order of seed; none where there are none yet."""
    line = (r for r in records if all(field_of(r, name) == value for name, value in fields.items()))
    return sorted((r for r in line if r.seed in seeds), key=lambda r: r.seed)


def _lines() -> dict[str, list[Record]]:
    """Return the runs at the paper's size that count, by the name of their line."""
    records = recorded("gogepo.mountaincar", "paper")
    return {name: _of(records, terms.RUN, **fields) for name, fields in METHODS.items()}


def _not_yet(bars: Iterable[str], lack: str, others: Mapping[str, Part] = MappingProxyType({})) -> Evidence:
    """Return that nothing is judged while runs are missing, or one could stop where a bar happens to be passed."""
    return Evidence({name: untested(lack) for name in bars} | dict(others), detail=f"Not judged yet: {lack}.")


def _alive(ours: list[Record], noise: list[Record]) -> tuple[str, ...]:
    """Return whether generated policies beat deep policies at random, in the last tenth of the steps."""
    random = [late(record, "returns") for record in noise]
    return alive({"GoGePo": [late(record, "greedy") for record in ours]}, random)


def _capped(parts: Mapping[str, Part]) -> str:
    """Return what parts say together; where runs were ended early, no more than "in part"."""
    return combine(parts) if terms.STOPPED is None else lowest([combine(parts), IN_PART])


def _commands() -> Evidence:
    """C1: a single generator produces policies that achieve any return seen during training."""
    lines = _lines()
    if lack := missing(lines, terms.RUN):
        return _not_yet(terms.COMMANDS.bars, lack)
    ours, noise = lines.values()
    live = _alive(ours, noise)
    follows, errors = [correlation(record) for record in ours], [error(record) for record in ours]
    parts = {
        terms.FOLLOWS: exceeds(follows, terms.COMMANDS.bars[terms.FOLLOWS], alive=live),
        terms.NEAR: below(errors, terms.COMMANDS.bars[terms.NEAR], alive=live),
    }
    before = [correlation(record) for record in noise]
    detail = (
        f"Correlation of commanded and achieved return {interval(follows)}, distance {interval(errors)} of the range; "
        f"of a generator that was never trained {interval(before)}."
    )
    return Evidence(parts, terms.FOLLOWS, detail, _switch(ours), _capped(parts))


def _switch(ours: Sequence[Record]) -> tuple[str, ...]:
    """Return what speaks against a dial: that it has hardly a position between those with the flag and without it."""
    shares = [share for share in (answered(record, *BETWEEN) for record in ours) if share is not None]
    if len(shares) < 2 or interval(shares).high >= HALF:
        return ()
    low, high = BETWEEN
    return (
        f"Of commands from {low:g} to {high:g}, a share of {interval(shares)} earns something from {low:g} to "
        f"{high:g}. A switch with two positions, thrown in the middle, has a correlation of {SWITCH:.3f}.",
    )


def _better() -> Evidence:
    """C2: exploration in parameter space and generalisation over commands find better policies."""
    lines = _lines()
    if lack := missing(lines, terms.RUN):
        return _not_yet(terms.BETTER.bars, lack)
    ours, noise = lines.values()
    live = _alive(ours, noise)
    greedy, noisy = leads(ours, "greedy", noise, "greedy"), leads(ours, "returns", noise, "returns")
    parts = {
        terms.RISES: exceeds(greedy, terms.BETTER.bars[terms.RISES], alive=live),
        terms.EXPLORES: exceeds(noisy, terms.BETTER.bars[terms.EXPLORES], alive=live),
    }
    mean = {name: interval([late(r, "greedy") for r in line]) for name, line in (("ours", ours), ("untrained", noise))}
    detail = (
        f"Without noise the trained generator's best command gets {mean['ours']}, the untrained one's "
        f"{mean['untrained']}."
    )
    kept = interval([late(record, "champion") for record in noise])
    against = (f"The best of the policies at random, kept, gets {kept}.",)
    return Evidence(parts, terms.RISES, detail, against, _capped(parts))


def _scales() -> Evidence:
    """C3: hypernetworks with shared weights, and fingerprints, scale to deep policies."""
    c = Config()
    plain = parameter_count([(1, c.net_width), (c.net_width, c.net_width), (c.net_width, c.policy.size)])
    small = {terms.SMALL: fact(plain > MUCH_SMALLER * c.generator.size)}
    lines = _lines()
    if lack := missing(lines, terms.RUN):
        return _not_yet(terms.SCALES.bars, lack, small)
    ours, noise = lines.values()
    reached = [late(record, "greedy") for record in ours]
    parts = {
        terms.DEEP: exceeds(reached, terms.SCALES.bars[terms.DEEP], alive=_alive(ours, noise)),
        **small,
    }
    detail = (
        f"A generator of {c.generator.size:,} numbers writes {c.policy.size:,} weights; a plain one would have "
        f"{plain:,}. Its best command gets {interval(reached)}."
    )
    return Evidence(parts, terms.DEEP, detail, verdict=_capped(parts))


def _beside_search(lines: Mapping[str, list[Record]], seeds: Sequence[int], bar: float) -> tuple[Part, str]:
    """Return whether GoGePo is not below ARS by more than a margin, and both returns in words."""
    if lack := missing(lines, seeds):
        return untested(lack), ""
    ours, search, noise = lines.values()
    returns = {name: [late(r, "greedy") for r in line] for name, line in (("GoGePo", ours), ("ARS", search))}
    live = alive(returns, [late(record, "returns") for record in noise])
    words = f"GoGePo gets {interval(returns['GoGePo'])}, ARS {interval(returns['ARS'])}"
    return exceeds(leads(ours, "greedy", search, "greedy"), bar, alive=live), words


def _competes() -> Evidence:
    """C4: competitive on continuous control."""
    small = recorded("gogepo.worlds")
    parts, words, against = {}, [], []
    try:
        search = _of(recorded("gogepo.ars", "paper"), terms.RUN)
        ours, noise = _lines().values()
        part, said = _beside_search(
            {"GoGePo": ours, "ARS": search, "noise alone": noise}, terms.RUN, terms.COMPETES.bars[terms.ARS]
        )
        words += [f"MountainCarContinuous: {said}."] if said else []
    except NoRecordsError:
        part = untested("random search at the paper's size is not recorded")
    parts[terms.ARS] = part
    for world, name in terms.IN_SMALL.items():
        lines = {label: _of(small, terms.FEW, method=each, environment=world) for label, each in SMALL_LINES.items()}
        parts[name], said = _beside_search(lines, terms.FEW, terms.COMPETES.bars[name])
        if not said:
            continue
        words.append(f"{world}: {said}.")
        lead = interval(leads(lines["GoGePo"], "greedy", lines["ARS"], "greedy"))
        if lead.high < 0:
            against.append(f"In {world} ARS is better: GoGePo's lead is {lead}.")
    return Evidence(parts, terms.IN_SMALL["pend"], " ".join(words), tuple(against), _capped(parts))


def _modes() -> Evidence:
    """C5: the evaluator's loss avoids the trouble of regression with many right answers."""
    records = recorded("gogepo.modes")
    follows = {
        (mode, name): [following(record, mode, name) for record in records]
        for mode in ("one", "two")
        for name in ("evaluator", "regression", "untrained")
    }
    live = alive({name: follows["two", name] for name in ("evaluator", "regression")}, follows["two", "untrained"])
    lead = {
        mode: [a - b for a, b in zip(follows[mode, "evaluator"], follows[mode, "regression"], strict=True)]
        for mode in ("one", "two")
    }
    parts = {terms.MODES: exceeds(lead["two"], terms.MULTIMODAL.bars[terms.MODES], alive=live)}
    apart = interval([record.metrics["apart"] for record in records])
    said = {key: interval(values) for key, values in follows.items()}
    detail = (
        f"Two modes: correlation {said['two', 'evaluator']} by the evaluator's loss, "
        f"{said['two', 'regression']} by regression. "
        f"One mode: {said['one', 'evaluator']} and {said['one', 'regression']}. The modes are {apart} deviations apart."
    )
    growth = interval([two - one for one, two in zip(lead["one"], lead["two"], strict=True)])
    against = (f"From one mode to two the lead changes by {growth}.",) if growth.low <= 0 else ()
    return Evidence(parts, terms.MODES, detail, against)


CLAIMS = (
    Claim(
        "gogepo.C1",
        "One generator produces policies that earn any return seen in training.",
        UNKNOWN,
        _commands,
        terms.COMMANDS,
        "the paper's own",
        BUDGET,
    ),
    Claim(
        "gogepo.C2",
        "Noise on weights, together with generalising over commands, finds better and better policies.",
        "on Swimmer, the colours of a figure run from about -140 to 340",
        _better,
        terms.BETTER,
        "the paper's own",
        BUDGET,
    ),
    Claim(
        "gogepo.C3",
        "Shared blocks and probing states make it work for deep policies.",
        "67 to 70 thousand weights, from a generator of about half a million",
        _scales,
        terms.SCALES,
        "the paper's own",
        BUDGET,
    ),
    Claim(
        "gogepo.C4",
        "It competes with known methods on continuous control.",
        UNKNOWN,
        _competes,
        terms.COMPETES,
        "reduced",
        SMALL_BUDGET,
    ),
    Claim(
        "gogepo.C5",
        "The evaluator's loss avoids the trouble with many right answers.",
        UNKNOWN,
        _modes,
        terms.MULTIMODAL,
        "reduced",
        "A pendulum, policies of 32 units a layer, buffers of 960 policies of each run, 10 seeds.",
    ),
)
