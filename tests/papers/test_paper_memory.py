"""A run at a paper's sizes fits on a GPU of 80 GB. GPICL, VSML and MBRL have tests of their own, by parts of a run."""

import jaxtyping
import pytest
from papers_tiny import EXPERIMENTS

from tutorlib.lab import Trial
from tutorlib.lab.dry import GB, rehearse

LIMIT = 80 * GB


@pytest.mark.parametrize("name", ["symla.bandits", "rcgvf.lock"])
def test_a_run_at_the_papers_sizes_fits_on_a_device(name: str) -> None:
    jaxtyping.config.update("jaxtyping_disable", True)  # checks of shapes take most of the time
    try:
        experiment = EXPERIMENTS[name]
        loops = rehearse(experiment, [Trial(experiment.tier("paper").configs[-1], 0)]).loops
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
    assert loops
    for loop in loops:
        assert 10**6 < loop.peak <= LIMIT, loop.title
