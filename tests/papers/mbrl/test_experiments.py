"""Experiments: what a run returns, tiers that ship, and that a study compares like with like."""

import json
import math
from dataclasses import replace

import pytest
import torch

from tutorlib.lab import Context, Trial, UsageError, recorded, run_sweep
from tutorlib.lab.batching import shared
from tutorlib.papers.mbrl import experiments, measures, version_space
from tutorlib.papers.mbrl.algorithm import AGENTS, TUNED, Config
from tutorlib.papers.mbrl.ensemble import Ensemble
from tutorlib.papers.mbrl.measures import DREAMT, Sets, histogram, run_online, run_sets
from tutorlib.papers.mbrl.offline import GROUPS, Offline
from tutorlib.papers.mbrl.problem import PanFlute

STUDIES = [e for e in experiments.EXPERIMENTS if "study" in e.tiers]


@pytest.fixture(autouse=True)
def few_mazes(monkeypatch):
    monkeypatch.setattr("tutorlib.papers.mbrl.config.MAZES", 5)


def tiny(config, **own):
    if isinstance(config, Sets):
        return replace(config, bits=2, models=3, transitions=4, **own)
    if isinstance(config, Ensemble):
        few = {"pairs": 5, "members": 3, "updates": 6, "target_period": 3, "num_evals": 3}
        return replace(config, pipes=2, **few, hidden=8, layers=1, **own)
    small = {"batch": 4, "hidden": 8, "layers": 1}
    starts = {"starts": 4} if config.starts else {}
    if isinstance(config, Offline):
        small |= {"length": min(config.length, 2), "model_hidden": min(config.model_hidden, 8)}
        return replace(
            config, pipes=2, transitions=20, updates=6, target_period=3, num_evals=3, **small, **starts, **own
        )
    looks = {"eval_every": 6, "eval_episodes": 2, "eval_length": 5, "capacity": 20}
    few = {"length": 2, "updates": 2}
    return replace(config, size=2, steps=12, learning_starts=8, **small, **starts, **looks, **few, **own)


@pytest.mark.parametrize("experiment", experiments.EXPERIMENTS, ids=lambda e: e.name)
def test_each_run_returns_finite_numbers(experiment):
    configs = [tiny(c) for tier in experiment.tiers.values() for c in tier.configs]
    for config in {
        shared(c, experiment.varies or ()): c for c in configs
    }.values():  # one of those that differ in rates alone, whatever the tier
        (found,) = experiment.run([Trial(config, 0)], Context())
        assert json.dumps(found, allow_nan=False)


def numbers(metrics):
    """The numbers of metrics, nested as they are, as a list of tensors."""
    parts = []
    for value in metrics.values():
        parts += numbers(value) if isinstance(value, dict) else [torch.tensor(value, dtype=torch.double)]
    return parts


def layout(metrics):
    """The names of metrics, nested as they are."""
    return {name: layout(value) if isinstance(value, dict) else None for name, value in metrics.items()}


@pytest.mark.parametrize("experiment", STUDIES, ids=lambda e: e.name)
def test_a_run_reports_what_shipped_records_hold(experiment):
    shipped = {}
    for record in recorded(experiment.name, withdrawn=True):
        assert shipped.setdefault(record.config.get("agent"), layout(record.metrics)) == layout(record.metrics)
    configs = {getattr(c, "agent", None): tiny(c) for c in experiment.tiers["study"].configs}
    assert configs.keys() == shipped.keys()
    for agent, config in configs.items():
        (found,) = experiment.run([Trial(config, 0)], Context())
        assert layout(found) == shipped[agent]


@pytest.mark.parametrize("experiment", experiments.EXPERIMENTS, ids=lambda e: e.name)
def test_a_run_is_a_function_of_its_seed_also_beside_others(experiment):
    config = tiny(experiment.tiers["live"].configs[0])
    alone = [experiment.run([Trial(config, seed)], Context())[0] for seed in (0, 0, 1)]
    assert alone[0] == alone[1] != alone[2]
    if experiment.varies is not None:
        together = experiment.run([Trial(config, seed) for seed in (0, 1)], Context())
        for one, other in zip((alone[0], alone[2]), together, strict=True):
            assert layout(one) == layout(other)
            for value, beside in zip(numbers(one), numbers(other), strict=True):
                assert (beside - value).abs().max() < 0.02


# Sets


def test_sets_are_those_of_the_version_spaces():
    c = Sets(bits=2, more=1, models=6, transitions=5)
    (found,) = run_sets([Trial(c, 3)], Context())
    h = version_space.BitModels((2, 1)).hypotheses()
    true, data = measures.drawn(h, c, torch.Generator().manual_seed(3))
    sizes = version_space.sizes(h, data)
    assert found["free"] == pytest.approx(sizes.free.double().mean(dim=0).tolist(), rel=1e-4)
    assert found["based"] == pytest.approx(sizes.based.double().mean(dim=0).tolist(), rel=1e-4)
    assert found["models"][0] == found["class"]["models"] == 4096
    assert found["free"][0] == found["class"]["values"] == len(h.values)
    assert found["violations"] == 0
    at = next((i for i, m in enumerate(true) if h.values[h.which[m], 0, 0] > 0), 0)
    assert found["example"]["value"] == pytest.approx(float(h.values[h.which[true[at]], 0, 0]), rel=1e-4)
    assert found["example"]["based"] == sizes.based[at].tolist()
    for name in ("based", "free"):
        assert [sum(row) for row in found["histogram"][name]] == found["example"][name]
    assert torch.equal(data.reward, (data.state == 3).double()), "the data are the true models'"


def test_a_histogram_counts_ends_too():
    values = torch.tensor([0.0, 0.49, 0.5, 9.99, 10.0, 7.0], dtype=torch.double)
    mask = torch.tensor([True, True, True, True, True, False])
    assert histogram(values, mask, 10.0) == [2, 1, *17 * [0], 2]
    assert sum(histogram(values, ~mask, 10.0)) == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sets(more=3), "more=3: expected 0 to 2 for 2 bits"),
        (lambda: Sets(models=0), "models=0"),
        (lambda: Sets(bits=0), "bits=0"),
        (
            lambda: run_online([Trial(experiments.MAZE, 0), Trial(experiments.FLUTE, 0)], Context()),
            "trials=.*: expected trials that differ in lr, temperature, seed alone",
        ),
        (
            lambda: measures.run_offline([Trial(Offline(), 0), Trial(Offline(transitions=33), 0)], Context()),
            "trials=.*: expected trials that differ in seed alone",
        ),
        (lambda: measures.run_dreams([Trial(Offline(agent="er"), 0)], Context()), "agent='er'"),
    ],
)
def test_what_cannot_be_run(make, message):
    with pytest.raises(UsageError, match=message):
        make()


# The example and its dreams


def test_the_example_says_how_many_patterns_there_are():
    (found,) = measures.run_offline([Trial(tiny(Offline()), 0)], Context())
    assert found["evals"]["updates"] == [2, 4, 6]
    count = {group: found["patterns"][group] for group in GROUPS}
    assert count["all"] == 8
    assert count["seen"] + count["unseen"] == count["reachable"] == 8 - count["beyond"]
    squares = {group: count[group] * found["evals"]["rmse"][group][-1] ** 2 for group in GROUPS}
    assert squares["all"] == pytest.approx(squares["reachable"] + squares["beyond"], rel=1e-3)
    assert squares["reachable"] == pytest.approx(squares["seen"] + squares["unseen"], rel=1e-3)


def test_a_dream_has_the_right_shapes_and_the_truth():
    config = tiny(Offline())
    (found,) = measures.run_dreams([Trial(config, 0)], Context())
    assert found["actions"] == [1, 0] * (DREAMT // 2)
    env = PanFlute(2, chance=0.0)
    state = env.start(torch.zeros(0))
    for a, before in zip(found["actions"], found["truth"], strict=False):
        assert env.observe(state).int().tolist() == before
        state, _, _ = env.transition(state, torch.tensor(a), torch.ones(1))
    assert env.observe(state).int().tolist() == found["truth"][-1]
    for name, steps in (("probability", DREAMT), ("dreamt", DREAMT + 1), ("official", DREAMT + 1)):
        assert [len(own) for own in found["evals"][name]] == [steps] * 3
        assert all(len(step) == 3 for own in found["evals"][name] for step in own)
    (plainly,) = measures.run_offline([Trial(config, 0)], Context())
    for name, value in plainly["evals"].items():
        assert found["evals"][name] == value, "dreaming changes nothing"
    assert found["patterns"] == plainly["patterns"]


# Agents that act


def test_scores_are_means_of_the_course():
    (found,) = run_online([Trial(replace(tiny(experiments.LITTLE_FLUTE), steps=24), 0)], Context())
    course = found["evals"]["score"]
    assert found["evals"]["steps"] == [6, 12, 18, 24]
    assert found["score"] == pytest.approx(sum(course) / 4, abs=2e-5)
    assert found["last"] == pytest.approx(course[-1], abs=2e-5)
    assert found["updates"] == 16 * 2
    assert found["transitions"] == 16 * 2 * 4 * 2


def test_cells_of_a_batch_may_differ_in_rate_and_temperature():
    config = tiny(replace(experiments.FLUTE, agent="er"))
    trials = [Trial(replace(config, lr=rate, temperature=t), 0) for rate, t in ((1e-3, 0.1), (1e-1, 2.0))]
    assert len({shared(trial.config, measures.ONLINE_VARIES) for trial in trials}) == 1
    with pytest.raises(UsageError, match="trials='gamma=.* and gamma=0.5': expected trials that differ in lr, temper"):
        run_online([trials[0], Trial(replace(config, gamma=0.5), 0)], Context())
    together = run_online(trials, Context())
    for trial, found in zip(trials, together, strict=True):
        (alone,) = run_online([trial], Context())
        assert alone["evals"]["score"] == pytest.approx(found["evals"]["score"], abs=1e-3)


def test_agents_of_a_study_differ_in_nothing_else():
    """Much and little data: as many updates, of as many transitions, and a target as old."""
    configs = experiments.ONLINE.tiers["study"].configs
    assert len({(c.environment, c.updates, c.agent) for c in configs}) == len(configs) == 20
    for c in configs:
        assert (c.steps - c.learning_starts) * c.updates == 2000
        assert c.target_period * c.updates == 100
        assert c.steps % c.eval_every == 0
        assert c.steps // c.eval_every == 10
        assert c.transitions == 320
    for base in {(c.environment, c.updates) for c in configs}:
        own = [replace(c, agent="er") for c in configs if (c.environment, c.updates) == base]
        assert len(own) == 5
        assert len(set(own)) == 1


def test_ensembles_of_a_study_differ_in_agent_and_period_alone():
    configs = experiments.ENSEMBLE.tiers["study"].configs
    assert {(c.agent, c.target_period) for c in configs} == {
        *((agent, period) for agent in ("er", "simple") for period in (25, 50, 100)), ("perfect", 25),
    }  # fmt: skip
    assert len({replace(c, agent="er", target_period=1) for c in configs}) == 1
    assert experiments.ENSEMBLE.tiers["study"].seeds == tuple(range(10))


def test_an_ensemble_reports_each_member_and_what_those_that_fit_are():
    config = tiny(Ensemble("simple", tolerance=100.0))
    (found,) = measures.run_ensemble([Trial(config, 0)], Context())
    evals = found["evals"]
    assert evals["updates"] == [2, 4, 6]
    assert [len(row) for row in evals["residual"]] == [3, 3, 3]
    assert evals["fit"] == [3, 3, 3]
    assert evals["spread"].keys() == evals["missed"].keys() == {"seen", "unseen"}
    assert min(evals["spread"]["unseen"]) > 0
    (none,) = measures.run_ensemble([Trial(replace(config, tolerance=1e-6), 0)], Context())
    assert none["evals"]["fit"] == [0, 0, 0]
    assert none["evals"]["residual"] == evals["residual"]
    assert none["evals"]["spread"] == {"seen": [0, 0, 0], "unseen": [0, 0, 0]}


def test_ablations_leave_the_number_of_transitions_alone():
    for c in experiments.ABLATIONS.tiers["study"].configs:
        assert c.online.transitions == 320
        assert c.batch == 32
    for c in experiments.BUGS.tiers["study"].configs:
        assert c.official_stale_observation or c.official_bernoulli_logit
        without = replace(c, official_stale_observation=False, official_bernoulli_logit=False)
        assert without in experiments.ONLINE.tiers["study"].configs


def test_the_papers_settings_are_the_papers():
    configs = experiments.ONLINE.tiers["paper"].configs
    assert len(configs) == 5 * 3 * 2
    assert {c.agent for c in configs} == set(AGENTS)
    for c in configs:
        assert c.steps * c.updates == 1_000_000
        assert (c.lr, c.temperature) == TUNED[c.agent, c.environment][c.updates > 1]
        assert (c.hidden, c.layers, c.model_lr, c.capacity, c.target_period * c.updates) == (200, 3, 2e-4, 100_000, 100)
    assert experiments.paper_config("simple", "maze", False) == Config()


def test_cells_run_in_a_sweep(tmp_path):
    """Records are written, read back the same, and one by one the same as as a batch."""
    overrides = {"pipes": 2, "transitions": 20, "updates": 6, "num_evals": 3, "hidden": 8, "layers": 1, "batch": 4}
    run = {
        engine: run_sweep(
            experiments.OFFLINE, "live", seeds=(0, 1), overrides=overrides, engine=engine, jobs=1,
            results=tmp_path / engine,
        )
        for engine in ("local", "vmapped")
    }  # fmt: skip
    for one, other in zip(run["local"], run["vmapped"], strict=True):
        assert one.config == other.config
        assert one.metrics["evals"]["rmse"]["all"] == pytest.approx(other.metrics["evals"]["rmse"]["all"], abs=1e-3)
        assert math.isfinite(one.metrics["evals"]["rate"][-1])


# Records


def test_studies_have_five_seeds():
    for experiment in STUDIES:
        assert len(experiment.tiers["study"].seeds) >= 5 or experiment.name == "mbrl.dreams"


@pytest.mark.parametrize("name", ["mbrl.online", "mbrl.bugs"])
def test_of_the_maze_nothing_counts(name):
    """Its observation was another one; what was recorded of the flute stands."""
    every, standing = recorded(name, withdrawn=True), recorded(name)
    assert standing == [r for r in every if r.config["environment"] == "flute"]
    assert 0 < len(standing) < len(every)
