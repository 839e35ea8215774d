"""Seeds that test and seeds that tune are apart, in all that is shipped and all that can be run."""

from pathlib import Path

import pytest

from tutorlib import papers
from tutorlib.envs import BernoulliBandit
from tutorlib.lab import TEST_SEEDS, TUNING_SEEDS, Experiment, Record, Tier, UsageError, grid, tuned
from tutorlib.lab.errors import RecordError
from tutorlib.lab.records import load_published, publish, recorded
from tutorlib.lab.tiers import seeds_of

SHIPPED = sorted((Path(papers.__file__).parent).glob("*/recorded/*-*.json"))


def test_no_seed_is_in_both_ranges():
    assert not set(TEST_SEEDS) & set(TUNING_SEEDS)
    assert seeds_of("tuning") == TUNING_SEEDS
    assert {seeds_of(tier) for tier in ("live", "study", "paper")} == {TEST_SEEDS}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parts[-3]}/{path.stem}")
def test_each_shipped_record_has_a_seed_of_its_tiers_range(path: Path):
    found = load_published(path)
    assert {r.tier for r in found} == {path.stem.rpartition("-")[2]}
    assert not {r.seed for r in found} - set(seeds_of(found[0].tier))
    assert not any("/" in str(value) for r in found for value in r.provenance.values()), "a path of some machine"


def test_each_tier_that_can_be_run_has_seeds_of_its_range():
    assert SHIPPED
    for name, experiment in papers.experiments().items():
        for tier, own in experiment.tiers.items():
            assert not set(own.seeds) - set(seeds_of(tier)), f"{name}, {tier}"


@pytest.mark.parametrize(("tier", "seed"), [("study", 1000), ("live", 1999), ("tuning", 0), ("tuning", 2000)])
def test_an_experiment_whose_tier_has_other_seeds_is_refused(tier: str, seed: int):
    with pytest.raises(UsageError, match=rf"^tiers\['{tier}'\].seeds={seed}: expected seeds of t"):
        Experiment("a.b", "t", "f", lambda trials, context: [], {tier: Tier((BernoulliBandit(),), (seed,))})


def record(seed: int, score: float, tier: str = "tuning", **config) -> Record:
    return Record("paper.study", tier, config, seed, {"score": score}, 1.0, {"device": "CPU"})


def test_shipped_records_of_tuning_seeds_are_no_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tutorlib.lab.records.files", lambda package: tmp_path)
    folder = tmp_path / "paper" / "recorded"
    folder.mkdir(parents=True)
    publish([record(1000, 0.5, "study", lr=0.1)], folder / "study-study.json")
    with pytest.raises(RecordError, match="seed=1000: expected a seed from 0 to 999"):
        recorded("paper.study")
    publish([record(1000, 0.5, lr=0.1)], folder / "study-tuning.json")
    assert [r.seed for r in recorded("paper.study", "tuning")] == [1000]


def runs(scores: dict[float, float], seeds=range(1000, 1003), **config) -> list[Record]:
    return [record(seed, own + 0.001 * seed, lr=lr, **config) for lr, own in scores.items() for seed in seeds]


def mean(records) -> float:
    return sum(r.metrics["score"] for r in records) / len(records)


def test_the_best_value_is_chosen_on_tuning_seeds():
    own = runs({0.1: 0.5, 0.01: 0.8, 0.001: 0.6})
    assert tuned(own, mean, over=("lr",)) == {"lr": 0.01}
    assert tuned(own, lambda found: -mean(found), over=("lr",), ends={"lr": (0.1,)}) == {"lr": 0.1}
    assert tuned(own[::-1], mean, over=("lr",)) == {"lr": 0.01}


def test_test_seeds_choose_nothing():
    with pytest.raises(UsageError, match="^records=2: expected seeds of tuning, from 1000 to 1999$"):
        tuned([*runs({0.1: 0.5, 0.01: 0.8, 0.001: 0.6}), record(2, 0.5, lr=0.01)], mean, over=("lr",))


@pytest.mark.parametrize("best", [0.1, 0.001])
def test_a_best_value_at_an_edge_is_refused_unless_it_is_a_natural_end(best: float):
    own = runs({0.1: 0.5, 0.01: 0.6, 0.001: 0.5} | {best: 0.9})
    with pytest.raises(UsageError, match=f"^lr={best}: expected a best value inside the range that was tried, 0.001"):
        tuned(own, mean, over=("lr",))
    assert tuned(own, mean, over=("lr",), ends={"lr": (best,)}) == {"lr": best}


def test_a_single_value_is_not_tuned():
    with pytest.raises(UsageError, match="^lr=0.1: expected a best value inside the range"):
        tuned(runs({0.1: 0.5}), mean, over=("lr",))


def test_edges_are_those_among_choices_that_are_otherwise_the_same():
    """Of the two wider rates none was tried with the better beta."""
    own = [
        *runs({0.1: 0.1, 0.01: 0.2, 0.001: 0.1, 0.0001: 0.1}, beta=1.0, kind="a"),
        *runs({0.01: 0.3, 0.001: 0.9}, beta=2.0, kind="a"),
        *runs({0.01: 0.1, 0.001: 0.1}, beta=3.0, kind="a"),
    ]
    with pytest.raises(UsageError, match="^lr=0.001: expected a best value inside the range that was tried, 0.001"):
        tuned(own, mean, over=("lr", "beta"))
    own += runs({0.0001: 0.1}, beta=2.0, kind="a")
    assert tuned(own, mean, over=("lr", "beta")) == {"lr": 0.001, "beta": 2.0}


def test_what_is_no_number_has_no_edge():
    own = [*runs({0.1: 0.5}, kind="a"), *runs({0.1: 0.9}, kind="b")]
    assert tuned(own, mean, over=("kind",)) == {"kind": "b"}


def test_each_choice_has_the_same_seeds():
    own = runs({0.1: 0.5, 0.01: 0.8, 0.001: 0.6})
    for other in (own[1:], [*own, own[0]]):
        with pytest.raises(UsageError, match="the same seeds for each choice, each once"):
            tuned(other, mean, over=("lr",))
    with pytest.raises(UsageError, match="at least one"):
        tuned([], mean, over=("lr",))
    with pytest.raises(UsageError, match="at least one"):
        tuned(own, mean, over=())


def test_a_grid_of_a_tuning_tier_is_run_as_one():
    one = Experiment(
        "a.b",
        "t",
        "f",
        lambda trials, context: [],
        {"tuning": Tier(grid(BernoulliBandit(), arms=(2, 3)), (1000, 1001))},
    )
    assert {trial.seed for trial in one.trials("tuning")} == {1000, 1001}
