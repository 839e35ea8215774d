"""Made-up records of GPICL, for the tests of its figures and its claims."""

import dataclasses
from dataclasses import replace

from tutorlib.lab.experiment import plain
from tutorlib.lab.records import Record
from tutorlib.papers.gpicl import analysis, experiments
from tutorlib.papers.gpicl.algorithm import Config


def with_metrics(record: Record, **metrics) -> Record:
    """Return ``record`` with other metrics; of those that hold others, the rest stays."""
    old = record.metrics
    new = {name: {**old.get(name, {}), **m} if isinstance(m, dict) else m for name, m in metrics.items()}
    return dataclasses.replace(record, metrics={**old, **new})


def made_up(config: Config, seed: int, **metrics) -> Record:
    return Record("gpicl.made-up", "study", plain(config), seed, metrics, 1.0, {"device": "none"})


def by_size(axis: int) -> list[Record]:
    """Runs whose accuracy follows their state size (0) or their number of parameters (1)."""
    configs = list(experiments.STATE.tiers["study"].configs)
    blank = [made_up(c, seed) for c in configs for seed in range(5)]
    return [with_metrics(r, unseen={"last": 1e-7 * analysis.sizes(r)[axis] + 1e-9 * r.seed}) for r in blank]


def plateau(exponent: float, slow: float, small: float = 1.1) -> list[Record]:
    """Plateaus of 1000 (B/32)^-exponent steps, ``slow`` times as long with an epsilon of 1e-3, ``small`` with 1e-5."""
    c = Config(bias=0.9)
    runs = [(replace(c, batch=b), 1000 * (b / 32) ** -exponent) for b in (16, 32, 64, 128, 256)]
    runs += [(replace(c, eps=1e-3), 1000 * slow), (replace(c, eps=1e-5), 1000 * small)]
    others = {"evals": {"steps": [4000]}, "unseen": {"last": 0.8}}
    return [made_up(c, s, exit=round(n + s), **others) for c, n in runs for s in range(5)]


def ten(dataset: str, seed: int, value: float, **changes) -> Record:
    names = [*experiments.FOREIGN, *other_sets()]
    reached = value + 0.001 * seed
    metrics = {n: {"last": reached, "curve": [reached] * 64} for n in names}
    return made_up(replace(experiments.TEN, dataset=dataset, **changes), seed, **metrics)


def other_sets() -> tuple[str, ...]:
    return ("random", "omniglot", "wine", "breast-cancer", "iris")


def references_of_the_table(value: float) -> list[Record]:
    def row(seed: int) -> dict:
        return {n: {"last": value + 0.001 * seed} for n in (*experiments.FOREIGN, *other_sets())}

    return [made_up(experiments.TEN, s, **{learner: row(s) for learner in analysis.LEARNERS}) for s in range(5)]
