"""Names that have changed, and fields that came, since results were recorded: old files load, and are found again.

A file keeps the names that it was written with; readers see today's. What a result or a checkpoint is filed under is a
hash of the first names, so that a new name moves no file. A recorded command with old names still runs.
"""

import re
from collections.abc import Mapping
from typing import Any

FIELDS: dict[str, dict[str, str]] = {
    "gpicl": {"rate": "lr", "clip": "max_grad_norm", "evaluations": "num_evals"},
    "symla": {"rate": "lr", "looks": "num_evals"},
    "vsml": {"rate": "lr", "clip": "max_grad_norm", "looks": "num_evals"},
    "rcgvf": {
        "rate": "lr",
        "predictor_rate": "predictor_lr",
        "envs": "num_envs",
        "steps": "num_steps",
        "minibatch": "minibatch_size",
        "epochs": "update_epochs",
        "lam": "gae_lambda",
        "clip": "clip_coef",
        "entropy": "ent_coef",
        "value": "vf_coef",
        "largest": "max_grad_norm",
        "looks": "num_evals",
    },
    "rcgvf.tdlambda": {},
    "mbrl": {
        "rate": "lr",
        "model_rate": "model_lr",
        "look_every": "eval_every",
        "look_episodes": "eval_episodes",
        "look_length": "eval_length",
        "looks": "num_evals",
        "copy_every": "target_period",
        "warm_up": "learning_starts",
    },
}
"""By paper, or by experiment where one differs: the first name of a field of a configuration, and today's."""

ADDED: dict[str, dict[str, Any]] = {"gogepo.mountaincar": {"policies": 1, "normalised": False}}
"""By experiment: fields that its configuration has got while a study was under way, and the values that stand for what
was done before. Results and checkpoints with these values have the names that they had without the fields, so that the
study goes on; files without them are read as if they had them."""

_EVALS = "frames|farthest|greedy|returns|bonus|error|disagreement|reached|episodes|success"
_ONLINE = (("looks", "evals/steps"), ("look_score", "evals/score"))
METRICS: dict[str, tuple[tuple[str, str], ...]] = {
    "gpicl": (
        ("looks", "evals/steps"),
        ("look_(.+)", r"evals/\1"),
        ("game_(.+)", r"games/\1"),
        ("own_(.+)", r"permuted/\1"),
        ("(.+)_(first|last|curve)", r"\1/\2"),
    ),
    "gpicl.table-references": (("((?:sgd_[0-9.]+)|[^_]+)_(.+)_last", r"\1/\2/last"),),
    "symla": (
        ("looks", "evals/steps"),
        ("look_(.+)", r"evals/\1"),
        ("orders", "orders/names"),
        ("order_(.+)", r"orders/\1"),
        ("(.+)_(mean|error|first|last|curve)", r"\1/\2"),
    ),
    "symla.references": (("(random|thompson|ucb) (.+)_(.+)", r"\1/\2/\3"),),
    "vsml": (
        ("look_(.+)", r"evals/\1"),
        ("trace", "trace/probabilities"),
        ("trace_labels", "trace/labels"),
        ("before", "one_shot/before"),
        ("after_(.+)", r"one_shot/\1"),
        (r"(.+)_(\d+_\d+|curve)", r"\1/\2"),
    ),
    "vsml.references": (
        (r"(\w+_[\d.]+)_trace", r"\1/trace/probabilities"),
        (r"(\w+_[\d.]+)_before", r"\1/one_shot/before"),
        (r"(\w+_[\d.]+)_after_(.+)", r"\1/one_shot/\2"),
        (r"([a-z]+_[\d.]+)_(.+)_(\d+_\d+|curve)", r"\1/\2/\3"),
    ),
    "vsml.cloning": (
        ("looks", "evals/steps"),
        ("look_(.+)", r"evals/\1"),
        ("(rmse|size)_(.)", r"\1/\2"),
        ("(.+)_(shallow|deep)_(clone|exact)_(.+)", r"\1/\2/\3/\4"),
        ("(.+)_(shallow|deep)_(.+)", r"\1/\2/\3"),
    ),
    "vsml.special": (("(.+)_gap", r"gap/\1"),),
    "mbrl": (
        ("looks", "evals/updates"),
        ("rate|probability|dreamt|official", r"evals/\g<0>"),
        ("(rmse|missed)_(.+)", r"evals/\1/\2"),
        ("patterns_(.+)", r"patterns/\1"),
    ),
    "mbrl.bugs": _ONLINE,
    "mbrl.online": _ONLINE,
    "mbrl.sets": (("(class|example|histogram)_(.+)", r"\1/\2"),),
    "rcgvf": ((_EVALS, r"evals/\g<0>"),),
    "rcgvf.aliasing": (
        ("looks", "evals/walks"),
        ("(visited|unvisited)_end", r"evals/\1/end"),
        ("visited|unvisited", r"evals/\g<0>/cell"),
    ),
    "rcgvf.dissipation": (("looks", "evals/updates"), ("first", "evals/first")),
    "rcgvf.tdlambda": (),
}
"""By paper, or by experiment: a pattern that all of an old metric's name matches, and its place today, such as
``unseen/last`` for one inside another."""


def _fields(experiment: str) -> dict[str, str]:
    return FIELDS.get(experiment, FIELDS.get(experiment.partition(".")[0], {}))


def _renamed(config: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {
        names.get(name, name): _renamed(value, names) if isinstance(value, Mapping) else value
        for name, value in config.items()
    }


def todays_fields(experiment: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record's ``config`` under the names that fields have today."""
    return {**ADDED.get(experiment, {}), **_renamed(config, _fields(experiment))}


def first_fields(experiment: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``config`` under the names that fields had first, without those added since that change nothing."""
    added = ADDED.get(experiment, {})
    kept = {name: value for name, value in config.items() if name not in added or value != added[name]}
    return _renamed(kept, {new: old for old, new in _fields(experiment).items()})


def todays_path(experiment: str, name: str) -> str:
    """Return today's name of a field, which may lie in a configuration inside, such as ``streams.length``."""
    names = _fields(experiment)
    return ".".join(names.get(part, part) for part in name.split("."))


def todays_metrics(experiment: str, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record's ``metrics`` where they lie today."""
    result: dict[str, Any] = {}
    for name, value in metrics.items():
        *way, inside = [name] if isinstance(value, Mapping) else _way(experiment, name)
        place = result
        for outer in way:
            place = place.setdefault(outer, {})
        place[inside] = value
    return result


def _way(experiment: str, name: str) -> list[str]:
    for pattern, place in METRICS.get(experiment, METRICS.get(experiment.partition(".")[0], ())):
        if match := re.fullmatch(pattern, name):
            return match.expand(place).split("/")
    return [name]
