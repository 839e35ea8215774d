"""How many operations a step of each algorithm asks a GPU for, and in how many graphs: counted without a GPU.

    python benchmarks/launches.py [--only vsml.learn] [--tiers study paper]

One trial of the last configuration of a tier takes one step, on a device that is not there (``lab.dry``): as it is, and
in the form that is compiled, in which each call of a compiled step is one CUDA graph. Operations of a graph are counted
before a compiler fuses them. Prints the rows of the table in ``benchmarks/README.md``.
"""

import argparse

from tutorlib import papers
from tutorlib.lab import Experiment, Trial
from tutorlib.lab.dry import rehearse
from tutorlib.lab.errors import TutorlibError
from tutorlib.lab.experiment import override

ALGORITHMS = (
    "gpicl.phases", "vsml.learn", "vsml.cloning", "symla.bandits", "rcgvf.lock", "rcgvf.minigrid", "mbrl.online",
    "mbrl.offline",
)  # fmt: skip
"""one experiment of each algorithm"""


SHORTER = {"vsml.learn": {"streams.length": 50}, "vsml.cloning": {"length": 50}, "symla.bandits": {"length": 20}}
"""what is cut, since each operation of a lifetime is gone through one by one: a row is for so many examples or pulls"""


def rows(experiment: Experiment, tier: str) -> list[str]:
    """Return a row for each loop: experiment, tier, loop, launches; compiled, graphs, operations in them, launches."""
    trial = Trial(override(experiment.tier(tier).configs[-1], SHORTER.get(experiment.name, {})), 0)
    forms = [rehearse(experiment, [trial], compile).loops for compile in (False, True)]
    found = []
    for eager, compiled in zip(*forms, strict=True):
        launches = compiled.launches - compiled.captured + compiled.graphs
        numbers = (eager.launches, compiled.graphs, compiled.captured, launches)
        cut = "".join(f", {field}={value}" for field, value in SHORTER.get(experiment.name, {}).items())
        cells = (f"`{experiment.name}`{cut}", tier, eager.title, *(f"{number:,}" for number in numbers))
        found.append(f"| {' | '.join(cells)} |")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=sorted(papers.experiments()), nargs="+", default=ALGORITHMS)
    parser.add_argument("--tiers", choices=("live", "study", "paper"), nargs="+", default=("study", "paper"))
    arguments = parser.parse_args()
    for name in arguments.only:
        experiment = papers.experiments()[name]
        for tier in arguments.tiers:
            if tier in experiment.tiers:
                try:
                    print(*rows(experiment, tier), sep="\n", flush=True)
                except TutorlibError as error:
                    print(f"| `{name}` | {tier} | {error} | | | | |", flush=True)


if __name__ == "__main__":
    main()
