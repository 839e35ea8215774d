"""Made-up records of SymLA's studies: what they would hold in a world where a score is given by a function."""

from tutorlib.lab.experiment import plain
from tutorlib.lab.records import Record
from tutorlib.papers.symla import experiments, problem

NAMES = ("bandits", "biased", "exchanged", "contextual", "cartpole", "grid", "references")
BY_NAME = {e.name: e for e in experiments.EXPERIMENTS}


def made_up(value, names=NAMES, seeds=range(5)) -> dict[str, list[Record]]:
    """Return records of all studies; ``value(config, test, part)`` is the score of a step, plus a little by seed."""
    found = {}
    for name in names:
        found[f"symla.{name}"] = [
            Record(f"symla.{name}", "study", plain(c), s, _metrics(name, c, s, value), 2.0 + s, {"device": "none"})
            for c in BY_NAME[f"symla.{name}"].tiers["study"].configs
            for s in (seeds if name != "exchanged" else range(5, 5 + 2 * len(seeds)))
        ]
    return found


def _metrics(name, c, seed, value):
    tests = problem.tests(c.environment, int(c.sizes), c.length, c.agent == "symla" or name == "references")
    labels = list(tests)
    if name == "references":
        labels = [f"random {t}" for t in tests] + [f"{p} {t}" for p in ("thompson", "ucb") for t in tests]
    metrics = {"evals": {"steps": [10, 20], "reward": [0.1, 0.2], "score": [0.5, 0.9]}}
    for label in labels:
        # The seed moves every score alike: differences are then exact.
        found = {part: value(c, label, part) * (1 + 0.001 * seed) for part in ("mean", "first", "last")}
        found["curve"] = [found["mean"]] * 10
        if label.endswith("cartpole"):  # a life of its own, in quarters
            found["curve"] = [found[part] for part in ("first", "mean", "mean", "last") for _ in range(5)]
        if name == "references":
            player, _, test = label.partition(" ")
            metrics.setdefault(player, {})[test] = found
        else:
            metrics[label] = found
    if c.environment == "cartpole" and name != "references":
        metrics["orders"] = {"names": ["0123/01", "1023/01"], "mean": [0.01, 0.02 + 0.001 * seed]}
    return metrics


def good(c, label, part):
    """A world in which every claim is true."""
    ours, fits = c.agent == "symla", label in ("standard", c.family)
    if label.endswith("cartpole") or c.environment == "cartpole":
        if label.startswith("random"):
            return 0.045
        if label == "cartpole":
            return 0.02 if part == "last" else 0.03
        return 0.01 if ours else (0.002 if fits or c.permuted != "none" else 0.05)
    if c.environment == "bandit":
        best = 0.02 if ours or fits or label == "biased" else 0.3
        return 0.2 if label.split()[0] in ("random", "thompson", "ucb") else best
    if c.environment == "contextual-bandit":
        return 0.95 if ours or fits else 0.34
    if label.startswith("random"):
        return 0.0
    return 0.2 if ours or fits else -0.2


def bad(c, label, part):
    """A world in which none is: nobody learns, and shuffling makes no difference to anyone."""
    if c.environment == "cartpole" or label.endswith("cartpole"):
        return 0.045
    if c.environment == "bandit":
        return 0.25 if label.startswith("random") or c.agent == "symla" else 0.1
    return 0.49 if c.environment == "contextual-bandit" else -0.01 if c.agent == "symla" else 0.01
