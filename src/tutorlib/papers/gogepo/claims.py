"""The claims of GoGePo, judged over the recorded runs at the paper's own setting, and in small worlds.

Each check compares one number per seed with a bar of ``terms``, which was fixed before the runs.
"""

from tutorlib.lab import Claim, Evidence, Record, interval, recorded, select
from tutorlib.lab.records import NoRecordsError
from tutorlib.lab.verdicts import Part, alive, below, exceeds, fact, untested
from tutorlib.nn import parameter_count
from tutorlib.papers.gogepo import terms
from tutorlib.papers.gogepo.analysis import METHODS, correlation, error, following, late, leads
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


def _line(name: str) -> list[Record]:
    return select(recorded("gogepo.mountaincar", "paper"), **METHODS[name])


def _alive(ours: list[Record], noise: list[Record]) -> tuple[str, ...]:
    """Return whether generated policies beat deep policies at random, in the last tenth of the steps."""
    random = [late(record, "returns") for record in noise]
    return alive({"GoGePo": [late(record, "greedy") for record in ours]}, random)


def _commands() -> Evidence:
    """C1: a single generator produces policies that achieve any return seen during training."""
    ours, noise = _line("GoGePo"), _line("noise alone")
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
    return Evidence(parts, terms.FOLLOWS, detail)


def _better() -> Evidence:
    """C2: exploration in parameter space and generalisation over commands find better policies."""
    ours, noise = _line("GoGePo"), _line("noise alone")
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
    return Evidence(parts, terms.RISES, detail, (f"The best of the policies at random, kept, gets {kept}.",))


def _scales() -> Evidence:
    """C3: hypernetworks with shared weights, and fingerprints, scale to deep policies."""
    ours, noise = _line("GoGePo"), _line("noise alone")
    reached = [late(record, "greedy") for record in ours]
    c = Config()
    plain = parameter_count([(1, c.net_width), (c.net_width, c.net_width), (c.net_width, c.policy.size)])
    parts = {
        terms.DEEP: exceeds(reached, terms.SCALES.bars[terms.DEEP], alive=_alive(ours, noise)),
        terms.SMALL: fact(plain > MUCH_SMALLER * c.generator.size),
    }
    detail = (
        f"A generator of {c.generator.size:,} numbers writes {c.policy.size:,} weights; a plain one would have "
        f"{plain:,}. Its best command gets {interval(reached)}."
    )
    return Evidence(parts, terms.DEEP, detail)


def _beside_search(ours: list[Record], search: list[Record], noise: list[Record], bar: float) -> tuple[Part, str]:
    """Return whether GoGePo is not below ARS by more than a margin, and both returns in words."""
    returns = {name: [late(r, "greedy") for r in line] for name, line in (("GoGePo", ours), ("ARS", search))}
    live = alive(returns, [late(record, "returns") for record in noise])
    words = f"GoGePo gets {interval(returns['GoGePo'])}, ARS {interval(returns['ARS'])}"
    return exceeds(leads(ours, "greedy", search, "greedy"), bar, alive=live), words


def _competes() -> Evidence:
    """C4: competitive on continuous control."""
    small = recorded("gogepo.worlds")
    parts, words, against = {}, [], []
    try:
        part, said = _beside_search(
            _line("GoGePo"),
            select(recorded("gogepo.ars", "paper")),
            _line("noise alone"),
            terms.COMPETES.bars[terms.ARS],
        )
        words.append(f"MountainCarContinuous: {said}.")
    except NoRecordsError:
        part = untested("random search at the paper's size is not recorded")
    parts[terms.ARS] = part
    for world, name in terms.IN_SMALL.items():
        ours, search, noise = (select(small, method=each, environment=world) for each in ("gogepo", "ars", "noise"))
        parts[name], said = _beside_search(ours, search, noise, terms.COMPETES.bars[name])
        words.append(f"{world}: {said}.")
        lead = interval(leads(ours, "greedy", search, "greedy"))
        if lead.high < 0:
            against.append(f"In {world} ARS is better: GoGePo's lead is {lead}.")
    return Evidence(parts, terms.IN_SMALL["pend"], " ".join(words), tuple(against))


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
