"""What the tests of the contract over all papers share: a tiny tier of each experiment, and what is met in its loops.

A paper that is registered takes part at once, at the sizes of its live tier. ``TINY`` makes them smaller, where that is
too long: operations are the same, and fewer.
"""

import json
from collections.abc import Iterator
from dataclasses import is_dataclass
from functools import reduce
from operator import getitem
from typing import Any, NamedTuple

from torch.utils import _pytree as pytree

from tutorlib import papers
from tutorlib.lab.batching import side_by_side
from tutorlib.lab.experiment import Experiment, Trial, override, plain

EXPERIMENTS = papers.experiments()
ACTING = {
    "environment": "maze", "size": 2, "steps": 12, "warm_up": 4, "batch": 4, "length": 2, "updates": 2, "capacity": 10,
    "copy_every": 2, "hidden": 8, "layers": 1, "eval_every": 6, "eval_episodes": 2, "eval_length": 5,
}  # fmt: skip
LOCK = {
    "horizon": 5, "actions": 3, "envs": 4, "steps": 4, "updates": 4, "looks": 2, "minibatch": 8, "d": 4, "hidden_z": 6,
    "hidden": 8, "width": 8,
}  # fmt: skip
COMMANDED = {
    "steps": 30, "episodes": 4, "horizon": 12, "width": 8, "block": 4, "embedding": 2, "net_width": 8, "states": 3,
    "batch": 3, "evaluator_steps": 2, "generator_steps": 2, "eval_episodes": 2, "sweep_every": 2, "sweep_commands": 3,
    "sweep_episodes": 2,
}  # fmt: skip
OBJECTIVE = {
    "agents": 4, "steps": 108, "test_agents": 2, "test_steps": 106, "num_evals": 2, "hidden": 6, "batch": 3,
    "window": 5, "objective_hidden": 4, "summary": 3, "memory": 4, "copies": 2, "hold": 100, "anneal": 4,
    "meta_starts": 100, "random_steps": 50, "reset_every": 101, "meta_lr": 2e-5,
}  # fmt: skip
"""The rate is a small one: Adam makes as large a step of a gradient that is nearly zero, and sums round otherwise in
a batch."""
TINY: dict[str, dict[str, Any]] = {
    "gpicl": {
        "steps": 4, "evaluations": 2, "warmup": 2, "width": 8, "layers": 1, "heads": 2, "head_dim": 4, "batch": 3,
        "length": 12,
    },
    "vsml": {"steps": 4, "looks": 2, "sequences": 2, "streams.length": 3, "streams.classes": 3},
    "vsml.special": {},
    "vsml.cloning": {"steps": 4, "looks": 2, "batch": 8, "hidden": 8},
    "symla": {"family": "independent", "length": 4, "pairs": 2, "lifetimes": 3, "generations": 4, "looks": 2},
    "rcgvf": LOCK,
    "rcgvf.dissipation": {f"learner.{name}": value for name, value in LOCK.items()},
    "rcgvf.aliasing": {"walks": 4, "looks": 2},
    "rcgvf.tdlambda": {},
    "mbrl.sets": {"bits": 2, "more": 0, "models": 3, "transitions": 4},
    "mbrl.ensemble": {
        "pipes": 2, "pairs": 5, "members": 2, "updates": 6, "target_period": 3, "num_evals": 3, "hidden": 8,
        "layers": 1,
    },
    "mbrl.online": ACTING,
    "mbrl.bugs": ACTING,
    "mbrl": {
        "pipes": 2, "transitions": 20, "updates": 6, "copy_every": 3, "looks": 3, "batch": 4, "length": 2, "starts": 4,
        "hidden": 8, "layers": 1,
    },
    "metagenrl": OBJECTIVE,
    "metagenrl.evolved": {f"base.{name}": value for name, value in OBJECTIVE.items()} | {
        "base.num_evals": 1, "base.random_steps": 10, "pairs": 1, "life": 104, "generations": 2,
    },
    "metagenrl.ppo": {f"base.{name}": value for name, value in OBJECTIVE.items()} | {
        "base.test_steps": 100, "rollout": 25, "update_epochs": 1, "minibatches": 2, "lr": 1e-4,
    },
    "metagenrl.left-out": OBJECTIVE | {"agents": 3},
    "metagenrl.population": OBJECTIVE | {"agents": 2},
    "gogepo": COMMANDED,
    "gogepo.dial": COMMANDED | {"policies": 2, "episodes": 8, "steps": 100},
    "gogepo.worlds": {f"base.{name}": value for name, value in COMMANDED.items()} | {
        "base.steps": 400, "base.episodes": 32, "base.sweep_every": 8, "base.policies": 2, "points": 3,
    },
    "gogepo.modes": {f"base.{name}": value for name, value in COMMANDED.items()} | {
        "base.steps": 200, "base.episodes": 16, "base.sweep_every": 8, "base.policies": 2, "rounds": 4, "each": 2,
        "measured": 1, "commands": 3, "episodes": 2,
    },
    "gogepo.ars": {f"base.{name}": COMMANDED[name] for name in ("steps", "horizon", "width", "block")} | {
        "base.steps": 100, "pairs": 2, "top": 1, "iterations": 4,
    },
} | {
    f"rcgvf.{name}": {
        "task": "MultiRoom-N2-S4", "levels": 2, "envs": 2, "steps": 2, "updates": 4, "looks": 2, "minibatch": 4,
        "epochs": 1, "bptt": 2, "d": 4,
    }
    for name in ("minigrid", "privileged", "rooms")
}  # fmt: skip
"""By paper, or by experiment where one differs: fields that make it tiny."""


class Kind(NamedTuple):
    """Runs that do the same operations, and how many of them go side by side."""

    experiment: Experiment
    config: Any
    runs: int

    @property
    def choices(self) -> str:
        """What its configuration chooses, as text."""
        return json.dumps(choices(self.config))

    @property
    def name(self) -> str:
        """A short name: the experiment, and the words that its configuration chooses."""
        words = [f"{word:d}" if type(word) is bool else word for word in pytree.tree_leaves(json.loads(self.choices))]
        return "-".join([self.experiment.name, *words])

    def trials(self) -> list[Trial]:
        """Return runs side by side, with seeds of their own, and other numbers in all fields that may differ."""
        own = plain(self.config)
        varies = self.experiment.varies or ()
        found = [(name, reduce(getitem, name.split("."), own)) for name in varies]
        other = override(self.config, {name: value / 2 or 0.25 for name, value in found if type(value) is float})
        return [Trial(config, seed) for seed, config in enumerate((self.config, other)[: self.runs])]


def tiny(experiment: Experiment, tier: str = "live") -> list[Any]:
    """Return the configurations of a tier, made tiny."""
    overrides = TINY.get(experiment.name, TINY.get(experiment.name.partition(".")[0], {}))
    return list(dict.fromkeys(trial.config for trial in experiment.trials(tier, [0], overrides)))


def choices(config: Any) -> dict[str, Any]:
    """Return what a configuration chooses by name, or by yes and no: methods, agents, learners."""
    parts = {name: getattr(config, name) for name in plain(config)}
    inside = {name: choices(value) for name, value in parts.items() if is_dataclass(value)}
    return {name: value for name, value in parts.items() if type(value) in (str, bool)} | inside


def kinds(*tiers: str) -> Iterator[Kind]:
    """Yield each experiment's last live configuration, and what else is chosen in ``tiers``, once for each ``run``."""
    met = set()
    for e in EXPERIMENTS.values():
        configs = tiny(e)[-1:] + [c for tier in tiers if tier in e.tiers for c in tiny(e, tier)]
        for place, config in enumerate(configs):
            own = e.run, json.dumps(choices(config))
            if place == 0 or own not in met:
                beside = e.varies is not None and len(side_by_side(e, [Trial(config, 0), Trial(config, 1)])) == 1
                yield Kind(e, config, 2 if beside else 1)
            met.add(own)


def leaves(config: Any) -> dict[str, Any]:
    """Return the fields of a configuration, those of one inside by their path."""
    found = {}
    for name in plain(config):
        value = getattr(config, name)
        inside = (
            {f"{name}.{below}": own for below, own in leaves(value).items()}
            if hasattr(value, "__dataclass_fields__")
            else {}
        )
        found |= inside or {name: value}
    return found
