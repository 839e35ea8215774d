"""What the claims of GoGePo are judged by: the parts of each claim and their bars, fixed before the studies ran."""

from tutorlib.lab import Terms

FIXED = "2026-12-01"
SEEDS = tuple(range(20))

FOLLOWS, NEAR = "achieved follows commanded", "achieved is near commanded"
RISES, EXPLORES = "learning raises the best command's return", "learning raises the noisy policies' return"
DEEP, SMALL = "policies of 66,817 weights reach the flag", "the generator is smaller than a plain one, 10 times"
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
    {ARS: -10.0},
    ("Return for the best command less that of ARS with equal steps and the same policies, of the same seed.",),
    SEEDS,
)
"""C4"""
MULTIMODAL = Terms(
    FIXED,
    {MODES: 0.0},
    ("Correlations of commanded and achieved return, both trained on the same buffers, joined of two runs each.",),
    SEEDS,
)
"""C5"""
