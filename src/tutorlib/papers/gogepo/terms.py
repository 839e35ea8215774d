"""What the claims of GoGePo are judged by: the parts of each claim and their bars, fixed before the studies ran."""

from collections.abc import Mapping
from types import MappingProxyType

from tutorlib.lab import Change, Terms

FIXED = "2026-12-01"
SEEDS = tuple(range(20))
FEW = tuple(range(10))
"""of the studies in small worlds"""
TUNING = (1000, 1001, 1002)
"""seeds on which the rates of these studies, and those of baselines, are chosen"""

FOLLOWS, NEAR = "achieved follows commanded", "achieved is near commanded"
RISES, EXPLORES = "learning raises the best command's return", "learning raises the noisy policies' return"
DEEP, SMALL = "policies of 66,817 weights reach the flag", "the generator is smaller than a plain one, 10 times"
IN_SMALL: Mapping[str, str] = MappingProxyType(
    {
        world: f"not below ARS by more than a tenth of the range, {words}"
        for world, words in (("pend", "a pendulum"), ("point", "a point"), ("cartup", "a pole on a cart"))
    }
)
"""Parts, by the small world."""
ADDED = "Small worlds stand beside the one of the paper; the study in them had not been run."
STOPPED: tuple[str, int] | None = None
"""Where the runs at the paper's size are ended before all ``SEEDS`` are there: the day on which that is decided, and
how many seeds, from 0 on, count. This one line lists a ``Change`` for each part that rests on them, and caps the
verdicts."""
RUN = SEEDS if STOPPED is None else SEEDS[: STOPPED[1]]
"""seeds that both lines at the paper's size must have before anything is judged by them"""


def fewer(bars: Mapping[str, float], stopped: tuple[str, int] | None = STOPPED) -> tuple[Change, ...]:
    """Return what is listed for each of ``bars`` where runs were ended early: the bar stays, and a claim cannot hold.

    No runs are ended by what they show, but a reader cannot know that; so fewer seeds can only lower a verdict.
    """
    if stopped is None:
        return ()
    day, count = stopped
    reason = (
        f"Of {len(SEEDS)} seeds {count} were run, for want of time. The bar stays; the claim holds in part at most."
    )
    return tuple(Change(day, reason, part, bar, bar) for part, bar in bars.items())


ARS, MODES = "not below ARS by more than 10", "follows commands better than weight regression, two modes"

TO_FOLLOW: Mapping[str, float] = MappingProxyType({FOLLOWS: 0.8, NEAR: 0.2})
TO_RISE: Mapping[str, float] = MappingProxyType({RISES: 0.0, EXPLORES: 0.0})
TO_REACH: Mapping[str, float] = MappingProxyType({DEEP: 0.0})
TO_COMPETE: Mapping[str, float] = MappingProxyType(
    {ARS: -10.0, IN_SMALL["pend"]: -10.0, IN_SMALL["point"]: -12.0, IN_SMALL["cartup"]: -15.0}
)

COMMANDS = Terms(
    FIXED,
    TO_FOLLOW,
    (
        "The sweep after the last episode, without noise; commands between the 5 % and the 95 % quantile of the "
        "returns that the run had seen. Correlation, and the mean distance as a share of the range from -100 to 100.",
    ),
    SEEDS,
    changes=fewer(TO_FOLLOW),
)
"""C1"""
BETTER = Terms(
    FIXED,
    TO_RISE,
    (
        "Means over the last tenth of the steps, less those of the same seed with noise alone: its generator starts "
        "from the same numbers, and is never trained.",
    ),
    SEEDS,
    changes=fewer(TO_RISE),
)
"""C2"""
SCALES = Terms(
    FIXED,
    TO_REACH,
    (
        "Return for the best command, without noise, over the last tenth of the steps; who never reaches the flag "
        "gets 0 or less.",
        "A plain network of the same hidden layers that writes all weights would have 17 million numbers.",
    ),
    SEEDS,
    changes=fewer(TO_REACH),
)
"""C3"""
COMPETES = Terms(
    FIXED,
    TO_COMPETE,
    (
        "Return for the best command less that of ARS with equal steps and the same policies, of the same seed.",
        "Made precise on 2026-12-01, before either study was run: both are means over the last tenth of the steps, "
        "without noise. ARS has four pairs of directions, of which two count; its rate and its noise are chosen on the "
        "tuning seeds, by the return of the last tenth. In small worlds seeds 0 to 9, 960 episodes each, and the rates "
        "of GoGePo are not chosen on seeds but fixed before. At the paper's size seeds 0 to 19.",
    ),
    FEW,
    TUNING,
    (
        *(Change(FIXED, ADDED, part, None, TO_COMPETE[part]) for part in IN_SMALL.values()),
        *fewer({ARS: TO_COMPETE[ARS]}),
    ),
)
"""C4"""
MULTIMODAL = Terms(
    FIXED,
    {MODES: 0.0},
    (
        "Correlations of commanded and achieved return, both trained on the same buffers, joined of two runs each.",
        "Made precise on 2026-12-01, before the study was run: the pendulum of the small worlds, seeds 0 to 9; 960 "
        "policies of each of the two runs, with returns measured anew, over 4 episodes, while observations are "
        "normalised by both runs' statistics; 1,200 steps of the evaluator and of each generator, which begin alike "
        "and see the same batches, drawn evenly; 21 commands, evenly between the 5 % and the 95 % quantile of the "
        "buffer's returns, 8 episodes each. Both rates are chosen on the tuning seeds, by that correlation. One that "
        "gives the same return for all commands has correlation 0.",
    ),
    FEW,
    TUNING,
)
"""C5"""
