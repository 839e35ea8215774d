"""How many operations a step of each algorithm asks a GPU for, and in how many graphs: counted without a GPU.

    python benchmarks/launches.py [--only vsml.learn] [--tiers study paper]

One trial takes one step, on a device that is not there (``lab.dry``): as it is, and
in the form that is compiled, in which each call of a compiled step is one CUDA graph. Operations of a graph are counted
before a compiler fuses them. Prints the rows of the table in ``benchmarks/README.md``.
"""

import argparse

from tutorlib import papers
from tutorlib.lab import Experiment, Trial
from tutorlib.lab.dry import rehearse
from tutorlib.lab.experiment import override

ALGORITHMS: tuple[tuple[str, dict[str, str]], ...] = (
    ("gpicl.phases", {}),
    ("vsml.learn", {"estimator": "bptt"}),
    ("vsml.learn", {"estimator": "es"}),
    ("vsml.cloning", {}),
    ("symla.bandits", {"agent": "symla"}),
    ("rcgvf.lock", {"method": "rcgvf"}),
    ("rcgvf.minigrid", {"method": "rcgvf"}),
    ("mbrl.online", {"agent": "er"}),
    ("mbrl.online", {"agent": "simple"}),
)
"""of each, an experiment, and which of its configurations: the first of a tier with these fields"""
SHORTER = {"vsml.learn": {"streams.length": 10}, "vsml.cloning": {"length": 10}, "symla.bandits": {"length": 10}}
"""what is cut, since each operation of a lifetime is gone through one by one: a row is for so many examples or pulls"""


def rows(experiment: Experiment, tier: str, which: dict[str, str]) -> list[str]:
    """Return a row for each loop: what, tier; launches as it is; graphs, operations in them, and launches, compiled."""
    config = next(
        config
        for config in experiment.tier(tier).configs
        if all(getattr(config, field) == which[field] for field in which)
    )
    shorter = SHORTER.get(experiment.name, {})
    trial = Trial(override(config, shorter), 0)
    words = "".join(f", {field}={value}" for field, value in (which | shorter).items())
    forms = [rehearse(experiment, [trial], compile).loops for compile in (False, True)]
    rows = []
    for eager, compiled in zip(*forms, strict=True):
        launches = compiled.launches - compiled.captured + compiled.graphs
        numbers = (eager.launches, compiled.graphs, compiled.captured, launches)
        cells = (f"`{experiment.name}`{words}", tier, *(f"{number:,}" for number in numbers))
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=sorted({name for name, _ in ALGORITHMS}))
    parser.add_argument("--tiers", choices=("live", "study", "paper"), nargs="+", default=("study", "paper"))
    arguments = parser.parse_args()
    for name, which in ALGORITHMS:
        experiment = papers.experiments()[name]
        for tier in arguments.tiers:
            if arguments.only in (None, name) and tier in experiment.tiers:
                print(*rows(experiment, tier, which), sep="\n", flush=True)


if __name__ == "__main__":
    main()
