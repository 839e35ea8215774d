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
ARS, MODES = "not below ARS by more than 10", "follows commands better than weight regression, two modes"

COMMANDS = Terms(
    FIXED,
    {FOLLOWS: 0.8, NEAR: 0.2},
    (
        "The sweep after the last episode, without noise; commands between the 5 % and the 95 % quantile of the "
        "returns that the run had seen. Correlation, and the mean distance as a share of the range from -100 to 100.",
    ),
    SEEDS,
)
"""C1"""
BETTER = Terms(
    FIXED,
    {RISES: 0.0, EXPLORES: 0.0},
    (
        "Means over the last tenth of the steps, less those of the same seed with noise alone: its generator starts "
        "from the same numbers, and is never trained.",
    ),
    SEEDS,
)
"""C2"""
SCALES = Terms(
    FIXED,
    {DEEP: 0.0},
    (
        "Return for the best command, without noise, over the last tenth of the steps; who never reaches the flag "
        "gets 0 or less.",
        "A plain network of the same hidden layers that writes all weights would have 17 million numbers.",
    ),
    SEEDS,
)
"""C3"""
COMPETES = Terms(
    FIXED,
    {ARS: -10.0, IN_SMALL["pend"]: -10.0, IN_SMALL["point"]: -12.0, IN_SMALL["cartup"]: -15.0},
    (
        "Return for the best command less that of ARS with equal steps and the same policies, of the same seed.",
        "Made precise on 2026-12-01, before either study was run: both are means over the last tenth of the steps, "
        "without noise. ARS has four pairs of directions, of which two count; its rate and its noise are chosen on the "
        "tuning seeds, by the return of the last tenth. In small worlds seeds 0 to 9, 960 episodes each, and the rates "
        "of GoGePo are not chosen on seeds but fixed before.",
    ),
    SEEDS,
    TUNING,
    tuple(
        Change(FIXED, ADDED, part, None, bar)
        for part, bar in zip(IN_SMALL.values(), (-10.0, -12.0, -15.0), strict=True)
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
