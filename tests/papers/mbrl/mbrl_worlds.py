"""Made-up records of all studies of model-based generalisation: a world in which its claims are true, and others."""

from tutorlib.lab.experiment import plain
from tutorlib.lab.records import Record
from tutorlib.papers.mbrl import experiments, measures
from tutorlib.papers.mbrl.offline import GROUPS, Offline

NAMES = ("sets", "offline", "ensemble", "ablations", "dreams", "online", "bugs")
BY_NAME = {e.name: e for e in experiments.EXPERIMENTS}


def made_up(value, names=NAMES, seeds=range(5)) -> dict[str, list[Record]]:
    """Return records of all studies; ``value(study, config, name)`` is what is found, times a little by seed."""
    return {
        f"mbrl.{name}": [
            Record(f"mbrl.{name}", "study", plain(c), s, METRICS[name](name, c, s, value), 2.0, {"device": "none"})
            for c in BY_NAME[f"mbrl.{name}"].tiers["study"].configs
            for s in seeds
        ]
        for name in names
    }


def factor(seed):
    return 1 + 0.01 * seed


def _sets(name, c, seed, value):
    n = c.transitions + 1
    ratio = value(name, c, "ratio") * factor(seed)
    based = [max(1.0, 100 / 2**t) for t in range(n)]
    free = [b * (ratio if t else 1) for t, b in enumerate(based)]
    return {
        "class": {"models": c.family.models, "values": 100}, "models": based, "based": based, "free": free,
        "violations": value(name, c, "violations"),
        "example": {"models": [100 + t for t in range(n)], "based": [4] * n, "free": [8] * n, "value": 5.5},
        "histogram": {
            "based": [[4, *19 * [0]]] * n,
            "free": [[6, *18 * [0], 2], *(n - 1) * [[4, 4, *18 * [0]]]],
        },
        "high": 10.0,
    }  # fmt: skip


def _offline(name, c, seed, value):
    evals = {"updates": [c.updates // c.num_evals * (i + 1) for i in range(c.num_evals)], "rmse": {}}
    patterns = {}
    for group in GROUPS:
        final = value(name, c, f"rmse_{group}") * factor(seed)
        evals["rmse"][group] = [final * (c.num_evals - i) for i in range(c.num_evals)]
        patterns[group] = 0 if group == "unseen" and c.transitions == 3000 and seed == 0 else 10
        if c.agent == "simple" and group in GROUPS[2:]:
            evals.setdefault("missed", {})[group] = [0.1 * (c.num_evals - i) * factor(seed) for i in range(c.num_evals)]
    evals["rate"] = [value(name, c, "rate") * factor(seed)] * c.num_evals
    return {"evals": evals, "patterns": patterns}


def _dreams(name, c, seed, value):
    steps, cells = measures.DREAMT, c.env.observations
    metrics = _offline(name, c, seed, value)
    metrics |= {
        "actions": [c.pipes - 1 - t % c.pipes for t in range(steps)],
        "truth": [[(t + i) % 2 for i in range(cells)] for t in range(steps + 1)],
    }
    metrics["evals"] |= {
        "probability": [
            [[(look + 10 * t + i) / 200 for i in range(cells)] for t in range(steps)] for look in range(c.num_evals)
        ],
        "dreamt": [
            [[(t + i + look) % 2 for i in range(cells)] for t in range(steps + 1)] for look in range(c.num_evals)
        ],
        "official": [[[0] * cells] * (steps + 1)] * c.num_evals,
    }
    return metrics


def _ensemble(name, c, seed, value):
    looks = c.num_evals
    spread = value(name, c, "spread") * factor(seed) ** (2 if c.agent == "er" else 1)
    fit = value(name, c, "fit")
    both = {
        metric: {"seen": looks * [size * spread], "unseen": looks * [spread]}
        for metric, size in (("spread", value(name, c, "seen")), ("shape", 0.3), ("error", 2.0))
    }
    return {
        "evals": {
            "updates": [c.updates // looks * (i + 1) for i in range(looks)],
            "residual": looks * [fit * [0.01] + (c.members - fit) * [0.07]],
            "fit": looks * [fit], **both, "rate": looks * [value(name, c, "rate")],
        },
    }  # fmt: skip


def _online(name, c, seed, value):
    """Evaluations before the first update are 50: whoever counts them is seen."""
    score = value(name, c, "score") + 0.001 * seed
    steps = [c.eval_every * (i + 1) for i in range(c.steps // c.eval_every)]
    before = sum(step <= c.learning_starts for step in steps)
    count = len(steps) - before
    return {
        "evals": {
            "steps": steps,
            "score": before * [50.0] + [score + 0.01 * (i - (count - 1) / 2) for i in range(count)],
        },
        "score": score, "last": score + 0.04,
        "updates": (c.steps - c.learning_starts) * c.updates, "transitions": value(name, c, "transitions"),
    }  # fmt: skip


METRICS = {
    "sets": _sets, "offline": _offline, "ensemble": _ensemble, "ablations": _offline, "dreams": _dreams,
    "online": _online, "bugs": _online,
}  # fmt: skip


def good(study, c, name):
    """A world in which every claim is true."""
    if study == "sets":
        return 0 if name == "violations" else {(2, 0): 2.0, (2, 1): 1.4, (2, 2): 1.0}.get((c.bits, c.more), 6.0)
    if study == "ensemble":
        spread = {"er": 0.6, "simple": 0.2, "perfect": 0.01}[c.agent]
        return {"spread": spread, "seen": 0.2 if c.agent == "er" else 0.5, "fit": 5, "rate": 0.3}[name]
    if isinstance(c, Offline):
        if name == "rate":
            return {"er": 0.1, "simple": 0.28, "perfect": 0.27}[c.agent]
        if c.agent == "er":
            return {"rmse_seen": 1.2, "rmse_beyond": 6.0}.get(name, 4.0)
        return 3.0 if c.length == 1 else {"simple": 1.0, "perfect": 0.5}[c.agent]
    if name == "transitions":
        return 640_000
    best = {"er": 0.0, "simple": 0.5, "gaussian": 0.4, "categorical": 0.45, "perfect": 0.9}[c.agent]
    return best - (10 if c.environment == "maze" else 0)


def bad(study, c, name):
    """A world in which none is: models narrow nothing, and replay is as good as they are."""
    if study == "sets":
        return 0 if name == "violations" else 1.0
    if study == "ensemble":
        return {"spread": 0.3 if c.agent == "simple" else 0.2, "seen": 0.5, "fit": 6, "rate": 0.3}[name]
    if isinstance(c, Offline):
        return 0.1 if name == "rate" else 1.0
    return 640_000 if name == "transitions" else -0.2 if c.agent == "simple" else 0.0
