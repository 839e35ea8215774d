"""Every paper tier: what it sets beside what is known, and that a run of it goes through, measuring included.

All configurations are made. Of each kind of run one goes through to its end with nothing computed (``lab.dry``): one
step of training, and the meta-tests at the paper's sizes on its sets. Cut are batches, numbers of test sequences, and
how often a loop over time repeats what it does (``CUT``); no size of a network, an input or a data set is.
"""

import jaxtyping
import pytest
import torch
from paper_tiers import BY_METHOD, NOT_IN_THE_PAPER, PAIRS, SOURCES, TABLES, TESTS, TOGETHER, Row
from papers_tiny import EXPERIMENTS, leaves

from tutorlib.data import load_images
from tutorlib.data.images import files_of
from tutorlib.lab.dry import Rehearsal, rehearse
from tutorlib.lab.experiment import Experiment, Trial, override
from tutorlib.papers.gpicl import measures as gpicl
from tutorlib.papers.symla import experiments as symla
from tutorlib.papers.vsml import measures as vsml
from tutorlib.papers.vsml.problem import images

TIERS = {name: e.tiers["paper"] for name, e in EXPERIMENTS.items() if "paper" in e.tiers}
FEWEST = 5


def test_every_experiment_has_a_paper_tier_or_a_reason_to_have_none():
    assert EXPERIMENTS.keys() - TIERS.keys() == NOT_IN_THE_PAPER.keys()
    assert TIERS.keys() == TABLES.keys()


def test_every_row_says_where_it_is_known_from_and_nothing_is_made_up():
    for name, table in TABLES.items():
        for field, row in table.items():
            assert row.source in SOURCES, (name, field)
            assert (row.value is None) == (row.source == "unknown" or row == Row("ours")), (name, field)


@pytest.mark.parametrize("name", TIERS)
def test_a_paper_tier_is_what_is_known(name):
    configs, table = [leaves(c) for c in TIERS[name].configs], TABLES[name]
    assert configs[0].keys() == table.keys() - {"seeds"}, "each field has a row"
    for field, row in table.items():
        if row.value is not None and field != "seeds":
            expected = row.value if isinstance(row.value, set) else {row.value}
            assert {c[field] for c in configs} == expected, field


@pytest.mark.parametrize("name", TOGETHER)
def test_what_belongs_together_stands_together(name):
    fields, rows = TOGETHER[name]
    configs = [leaves(c) for c in TIERS[name].configs]
    assert {tuple(c[field] for field in fields) for c in configs if c.get("method") != "ppo"} == rows


@pytest.mark.parametrize("name", TIERS)
def test_a_paper_tier_has_the_papers_seeds_and_five_at_least(name):
    seeds, row = TIERS[name].seeds, TABLES[name]["seeds"]
    assert len(set(seeds)) == len(seeds) == row.value >= FEWEST


def test_each_agent_has_the_rate_and_the_temperature_of_its_world():
    found = {}
    for c in TIERS["mbrl.online"].configs:
        found.setdefault((c.agent, c.environment), {})[c.steps] = (c.lr, c.temperature)
    assert {key: (own[1_000_000], own[100_000]) for key, own in found.items()} == PAIRS


@pytest.mark.parametrize("name", ["rcgvf.minigrid", "rcgvf.privileged", "rcgvf.rooms"])
def test_each_method_has_its_released_settings_and_all_have_equal_frames(name):
    for c in TIERS[name].configs:
        assert {field: getattr(c, field) for field in BY_METHOD[c.method]} == BY_METHOD[c.method]
    for task in {c.task for c in TIERS[name].configs}:
        assert len({c.updates * c.frames for c in TIERS[name].configs if c.task == task}) == 1
    assert {c.task for c in TIERS["rcgvf.rooms"].configs}.isdisjoint(c.task for c in TIERS["rcgvf.minigrid"].configs)


# Runs

CUT = {
    "gpicl": {"batch": 2},
    "gpicl.references": {"length": 12},
    "gpicl.table-references": {"batch": 2, "length": 12},
    "vsml": {"sequences": 2},
    "vsml.cloning": {"length": 6, "streams": 3, "batch": 16},
    "rcgvf": {"num_envs": 4, "num_steps": 4, "horizon": 100, "minibatch_size": 8, "update_epochs": 1, "levels": 4},
    "rcgvf.dissipation": {"learner.num_envs": 4, "learner.num_steps": 4, "learner.minibatch_size": 8},
    "symla": {"length": 4, "pairs": 2, "lifetimes": 2},
    "mbrl.sets": {"models": 2},
    "mbrl.ensemble": {"members": 2, "pairs": 16},
    "gogepo": {"horizon": 4},
    "metagenrl": {"agents": 2, "test_agents": 1, "batch": 2, "capacity": 200},
}
SHORT = 3


def cut(name: str, config):
    """Return a configuration with a small batch and short loops over time."""
    own = dict(CUT.get(name, CUT.get(name.partition(".")[0], {})))
    if getattr(config, "architecture", "") in ("lstm", "outer-product"):
        own["length"] = SHORT
    if hasattr(config, "streams") and hasattr(config.streams, "length"):
        own["streams.length"] = config.streams.length if config.streams.length < 10 else SHORT  # few shots are whole
    known = leaves(config)
    return override(config, {field: value for field, value in own.items() if field in known})


KIND = (
    "architecture", "dataset", "optimizer", "positions", "projection", "learner", "estimator", "loss_type",
    "streams.classes", "method", "task", "agent", "environment",
)  # fmt: skip
"""Fields by which runs do other operations."""


def kinds():
    """Return configurations, with their experiments, so that each way to run has met each value of these fields."""
    met, found = set(), []
    for name, tier in TIERS.items():
        for config in tier.configs:
            own = leaves(config)
            pairs = {(EXPERIMENTS[name].run, field, own.get(field)) for field in KIND}
            if pairs - met:
                found.append((name, config))
            met |= pairs
    return found


KINDS = kinds()


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Cut the numbers of test sequences, and loops over time of meta-tests."""
    monkeypatch.setattr(gpicl, "OFFICIAL_SEQUENCES", 4)
    monkeypatch.setattr(gpicl, "EVAL_SEQUENCES", 2)
    monkeypatch.setattr(gpicl, "MAML_STEPS", 1)
    monkeypatch.setattr(gpicl, "SGD_RATES", (0.1,))
    monkeypatch.setattr(vsml, "PAPER_SEQUENCES", 2)
    monkeypatch.setattr(vsml, "ONE_SHOT_SEQUENCES", 2)
    monkeypatch.setattr(symla, "LIFETIMES", 2)
    monkeypatch.setattr(symla, "FEW", 2)
    monkeypatch.setattr(symla, "POLE_LIFE", SHORT)
    monkeypatch.setattr("tutorlib.papers.vsml.descent.SGD_RATES", (0.01,))
    monkeypatch.setattr("tutorlib.papers.vsml.descent.ADAM_RATES", (0.001,))
    whole = vsml.probabilities

    def beginning(run, theta, x, y, seed):
        p = whole(run, theta, x[:, :SHORT], y[:, :SHORT], seed)
        return torch.cat([p, p[:, -1:].expand(-1, x.shape[1] - p.shape[1], -1)], dim=1)

    monkeypatch.setattr(vsml, "probabilities", beginning)
    monkeypatch.setattr("tutorlib.papers.mbrl.config.MAZES", 5)
    for measures in (
        "gpicl.measures",
        "vsml.measures",
        "symla.experiments",
        "rcgvf.experiments",
        "mbrl.measures",
        "gogepo.experiments",
        "metagenrl.experiments",
    ):
        # Thousands of numbers that mean nothing would be rounded one by one.
        stand_in = [0.0] if measures.startswith("symla") else 0.0
        monkeypatch.setattr(f"tutorlib.papers.{measures}.rounded", lambda values, digits=5, own=stand_in: own)


def gone_through(name: str, config) -> Rehearsal:
    jaxtyping.config.update("jaxtyping_disable", True)  # checks of shapes take most of the time
    try:
        return rehearse(EXPERIMENTS[name], [Trial(cut(name, config), 0)], through=True)
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.filterwarnings("ignore:cov")  # of one number that stands for many
@pytest.mark.parametrize(("name", "config"), KINDS, ids=[f"{name}-{i}" for i, (name, _) in enumerate(KINDS)])
def test_a_run_of_a_paper_tier_goes_through(name, config):
    found = gone_through(name, config)
    for loop in found.loops:
        assert not loop.elsewhere, f"{loop.title}: on the host, or copied from it, in a step"
    (metrics,) = found.metrics
    assert metrics
    assert {file for part in EXPERIMENTS[name].data(config) for file in map(str, files_of(*part.split("/")))} == (
        found.files.keys()
    ), "the files that a run is said to read are those that it reads"
    if name in TESTS and config == TIERS[name].configs[0]:
        assert TESTS[name][1] <= metrics.keys()


@pytest.mark.parametrize(
    ("name", "part"),
    [("mnist", "test"), ("kmnist", "test"), ("omniglot", "background_small1"), ("omniglot", "background_small2")],
)
def test_a_dry_run_shows_data_of_the_true_shapes(name, part, real_files):
    """Of Fashion-MNIST a part is shared alone."""
    shapes = []

    def run(trials, context):
        found = load_images(name, part)
        shapes.append((tuple(found.images.shape), found.images.dtype, tuple(found.labels.shape), found.classes))
        return [{}]

    rehearse(Experiment("tiny.data", "t", "f", run, {}), [Trial(TIERS["gpicl.phases"].configs[0], 0)], through=True)
    run([], None)
    assert shapes[0] == shapes[1]


def test_what_vsml_draws_from_has_the_true_shape_in_a_dry_run(real_files):
    shapes = []

    def run(trials, context):
        found = images("mnist", "official-test", 28, "unfiltered", torch.device("cpu"))
        shapes.append((found.x.shape, found.of_class.shape[0], found.counts.shape))
        return [{}]

    rehearse(Experiment("tiny.data", "t", "f", run, {}), [Trial(TIERS["gpicl.phases"].configs[0], 0)], through=True)
    run([], None)
    assert shapes[0] == shapes[1] == ((10_000, 784), 10, (10,))
    assert images("mnist", "official-test", 28, "unfiltered", torch.device("cpu")).x.isfinite().all(), "none is kept"
