"""No trial of a paper tier needs more memory than a GPU of 80 GB has: one step of each shape, with nothing computed.

Configurations that differ in fields without a size (``ALIKE``) ask the same. Of those that differ in sizes (``SIZES``)
only those are traced that no other is as large as, in every one of them. What a loop over time asks for grows in a line
with its length (``TIMES``). So it is traced at two short lengths, and the line through them says what it asks at its
own; or at one, where it is enough to know that twice as long a loop asks at most twice as much.
"""

import jaxtyping
import pytest
from papers_tiny import EXPERIMENTS, leaves

from tutorlib.lab.dry import GB, rehearse
from tutorlib.lab.experiment import Trial, override
from tutorlib.lab.plan import MEMORY

ALIKE = {
    "lr", "eps", "bias", "forget_bias", "input_bias", "max_grad_norm", "temperature", "eval_every", "target_period",
    "predictor_lr", "beta", "gamma_z", "lambda_z", "ent_coef", "beta_counts", "adversary", "anneal", "family",
    "learner.beta", "learner.gamma_z", "learner.lambda_z", "learner.predictor_lr", "official_bernoulli_logit",
    "official_stale_observation", "updates",
}  # fmt: skip
"""Fields that are one number, choose among operations of one size, or repeat what gives back the memory it took."""
SIZES = {
    "width", "head_dim", "layers", "batch", "length", "tasks", "hidden", "size", "sequences", "streams.classes",
    "streams.length", "streams.kinds", "streams.shown", "learner.hidden", "learner.layers", "task", "steps",
    "bits", "more", "pipes", "transitions", "starts", "model_hidden",
}  # fmt: skip
"""Fields with which what is asked for can only grow."""
CELLS = {"KeyCorridorS4R3": 100, "ObstructedMaze-2Dlhb": 100, "MultiRoom-N7-S8": 625, "MultiRoom-N10-S10": 625}
"""of the worlds of MiniGrid, at most so many"""
TIMES = {
    "vsml": ("streams.length", 20, 40),
    "symla": ("length", 10),
    "mbrl.offline": ("transitions", 60),
    "gogepo": ("horizon", 5, 10),
    "rcgvf.lock": ("num_steps", 25),
    "rcgvf.ablations": ("num_steps", 25),
    "rcgvf.minigrid": ("num_steps", 16),
    "rcgvf.privileged": ("num_steps", 16),
    "rcgvf.rooms": ("num_steps", 16),
}
"""By paper, or by experiment: the field that is the length of a loop over time, or of data; two short ones, or one."""


def large(name, value):
    return CELLS[value] if name == "task" else len(value) if isinstance(value, tuple) else value


def largest(configs):
    """Return the configurations whose sizes no other one has that is alike in all else; of equals the first."""
    kinds = {}
    for config in configs:
        own = leaves(config)
        kind = tuple((name, str(value)) for name, value in own.items() if name not in ALIKE | SIZES)
        sizes = [large(name, value) for name, value in own.items() if name in SIZES]
        others = kinds.setdefault(kind, [])
        if not any(all(a <= b for a, b in zip(sizes, other, strict=True)) for other, _ in others):
            others[:] = [
                (other, kept) for other, kept in others if not all(a >= b for a, b in zip(sizes, other, strict=True))
            ]
            others.append((sizes, config))
    return [config for others in kinds.values() for _, config in others]


def traced():
    """Return what is traced: an experiment's name and a configuration, each way to run and shape once."""
    by_run = {}
    for name, e in EXPERIMENTS.items():
        if "paper" in e.tiers and not e.cpu_only:
            for config in e.tiers["paper"].configs:
                by_run.setdefault((e.run, type(config)), {}).setdefault(config, name)
    return [(names[config], config) for names in by_run.values() for config in largest(list(names))]


TRACED = traced()


def peak(name, config, **changes):
    """Return the bytes that one trial asks of a GPU at the worst time of a step or a look, compiled as there."""
    jaxtyping.config.update("jaxtyping_disable", True)  # checks of shapes take most of the time
    try:
        found = rehearse(EXPERIMENTS[name], [Trial(override(config, changes), 0)], compile=True)
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
    # Without a loop, the most of all that was done.
    return max((loop.peak for loop in found.loops), default=found.ledger.peak)


def asked(name, config):
    """Return the bytes of one trial, of its whole loop over time those that short ones tell, or more."""
    field, *short = TIMES.get(name, TIMES.get(name.partition(".")[0], ("",)))
    whole = leaves(config).get(field, 0)
    once = {"update_epochs": 1} if hasattr(config, "update_epochs") else {}  # each epoch gives back what it took
    if whole <= max(short, default=0) or not field:
        return peak(name, config, **once)
    found = [peak(name, config, **once, **{field: length}) for length in short]
    if len(short) == 1:
        return found[0] * whole / short[0]
    return found[0] + (whole - short[0]) * (found[1] - found[0]) / (short[1] - short[0])


def test_what_a_longer_loop_asks_lies_on_the_line_through_two_short_ones(monkeypatch):
    monkeypatch.setitem(TIMES, "vsml", ("streams.length", 10, 20))
    config = override(EXPERIMENTS["vsml.learn"].tiers["paper"].configs[1], {"streams.length": 30})
    whole = peak("vsml.learn", config)
    assert asked("vsml.learn", config) == pytest.approx(whole, rel=1e-3)
    assert whole > 1.01 * peak("vsml.learn", override(config, {"streams.length": 20}))


def test_a_longer_loop_asks_no_more_than_its_share():
    config = override(EXPERIMENTS["symla.bandits"].tiers["paper"].configs[0], {"length": 30})
    assert peak("symla.bandits", config) < asked("symla.bandits", config)


def test_every_paper_tier_takes_part():
    met = {(EXPERIMENTS[name].run, type(config)) for name, config in TRACED}
    for name, e in EXPERIMENTS.items():
        for config in e.tiers["paper"].configs if "paper" in e.tiers and not e.cpu_only else ():
            assert (e.run, type(config)) in met, name


@pytest.mark.parametrize(("name", "config"), TRACED, ids=[f"{name}-{i}" for i, (name, _) in enumerate(TRACED)])
def test_no_trial_of_a_paper_tier_needs_more_than_80_gb(name, config):
    assert asked(name, config) <= MEMORY == 80 * GB
