"""A script: torch traces the steps of tiny runs as whole graphs, and what they leave is beside what eager ones leave.

It is a process of its own, for while tests run every call checks its shapes, which no graph can hold.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from papers_compiled import traced
from test_experiments import FULL, TINY

from tutorlib.lab import Context, Trial, compiling, experiment
from tutorlib.papers.metagenrl.training import train

CALLS = {"acted", "critics_learnt", "policies_learnt", "objective_learnt"}

if __name__ == "__main__":
    compiling.captures = experiment.captures = lambda device: True
    faults = {}
    for name, config in {"structured": TINY, "full": FULL}.items():

        def run(context: Context, config: object = config) -> object:
            return train([Trial(config, 3), Trial(config, 4)], context).state

        seen = traced(run)
        # Population and fresh agents have graphs of their own; before the change of policies, in it and after it too.
        most = {"acted": 2, "critics_learnt": 2, "policies_learnt": 4, "objective_learnt": 1}
        if not (seen["whole"] and seen["graphs"].keys() == CALLS and seen["distance"] < 1e-2):
            faults[name] = seen
        if any(count > most[step] for step, count in seen["graphs"].items()):
            faults[name] = seen
    print(json.dumps(faults))
