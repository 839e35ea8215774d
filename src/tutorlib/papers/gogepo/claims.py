"""The claims of GoGePo, judged over the recorded runs at the paper's own setting.

Each check compares one number per seed with a bar of ``terms``, which was fixed before the runs.
"""

from tutorlib.lab import Claim, Evidence, Record, interval, recorded, select
from tutorlib.lab.verdicts import alive, below, exceeds, fact
from tutorlib.nn import parameter_count
from tutorlib.papers.gogepo import terms
from tutorlib.papers.gogepo.analysis import METHODS, correlation, error, late, leads
from tutorlib.papers.gogepo.config import Config

BUDGET = (
    "MountainCarContinuous with the paper's sizes and rates: 100,000 steps, a policy of 66,817 weights, 20 seeds. The "
    "paper's other worlds are not run here."
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
        terms=terms.COMPETES,
        budget="ARS with the same policies; not yet run.",
    ),
    Claim(
        "gogepo.C5",
        "The evaluator's loss avoids the trouble with many right answers.",
        UNKNOWN,
        terms=terms.MULTIMODAL,
        budget="Weight regression on the same buffers; not yet run.",
    ),
)
