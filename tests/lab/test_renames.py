"""Old names load, are found again, and can still be set."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from tutorlib.lab import Context, Experiment, Metrics, Tier, Trial, recorded, renames, run_sweep
from tutorlib.lab.errors import UsageError
from tutorlib.lab.experiment import checkpoint_for, trial_key
from tutorlib.lab.records import NoRecordsError, load, record_path, table
from tutorlib.papers import experiments


@dataclass(frozen=True)
class Before:
    length: int = 3
    rate: float = 0.5


@dataclass(frozen=True)
class Inner:
    lr: float = 0.25


@dataclass(frozen=True)
class Now:
    length: int = 3
    lr: float = 0.5
    inner: Inner = field(default_factory=Inner)


@dataclass(frozen=True)
class Flat:
    length: int = 3
    lr: float = 0.5


@pytest.fixture
def names(monkeypatch):
    monkeypatch.setitem(renames.FIELDS, "bowl", {"rate": "lr"})
    monkeypatch.setitem(renames.FIELDS, "bowl.walk", {"length": "width"})
    monkeypatch.setitem(renames.METRICS, "bowl", ((r"(.+)_(first|last)", r"\1/\2"), ("cost", "loss")))


def run(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    return [{"seen": {"last": trial.config.lr}, "loss": 1.0} for trial in trials]


def experiment(name="bowl.descent", config=None):
    return Experiment(name, "t", "f", run, {"live": Tier((config or Flat(),), (0,))})


def test_a_file_of_old_names_is_read_under_todays(names, tmp_path):
    config = {"length": 3, "rate": 0.5, "inner": {"rate": 0.25}}
    old = {"format": 1, "experiment": "bowl.descent", "tier": "live", "config": config, "seed": 0, "seconds": 1.0}
    old["metrics"] = {"seen_last": 0.5, "seen_first": 2, "cost": 1.0, "sgd_0.1_last": 3, "curve": [1, 2]}
    old["provenance"] = {"device": "none"}
    (tmp_path / "a.json").write_text(json.dumps(old))
    record = load(tmp_path / "a.json")
    assert record.config == {"length": 3, "lr": 0.5, "inner": {"lr": 0.25}}
    metrics = {"seen": {"last": 0.5, "first": 2}, "loss": 1.0, "sgd_0.1": {"last": 3}, "curve": [1, 2]}
    assert record.metrics == metrics
    assert table([record])["seen.last"].tolist() == [0.5]
    assert renames.todays_metrics("bowl.descent", metrics) == metrics
    old["experiment"] = "bowl.walk"  # has names of its own
    (tmp_path / "a.json").write_text(json.dumps(old))
    assert load(tmp_path / "a.json").config == {"width": 3, "rate": 0.5, "inner": {"rate": 0.25}}


def test_a_new_name_moves_no_file(names, tmp_path):
    before = trial_key("cup.descent", [Trial(Before(), 0)])
    assert trial_key("cup.descent", [Trial(Flat(), 0)]) != before  # no rename there
    monkey = Trial(Flat(), 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(renames.FIELDS, "bowl")
        written = record_path(tmp_path, "bowl.descent", Trial(Before(), 0))
        kept = checkpoint_for(tmp_path, "bowl.descent", [Trial(Before(), 0)])
        kept.save({"step": 1})
    assert record_path(tmp_path, "bowl.descent", monkey) == written
    assert checkpoint_for(tmp_path, "bowl.descent", [monkey]).load() == {"step": 1}


def test_a_sweep_takes_an_old_record_as_done(names, tmp_path):
    folder = tmp_path / "bowl.descent" / "live"
    run_sweep(experiment(), "live", results=tmp_path)
    (path,) = folder.glob("[!.]*.json")
    content = json.loads(path.read_text())
    content["config"] = {"length": 3, "rate": 0.5}
    content["metrics"] = {"seen_last": 9.0, "cost": 7.0}
    path.write_text(json.dumps(content))
    (record,) = run_sweep(experiment(), "live", results=tmp_path)
    assert record.metrics == {"seen": {"last": 9.0}, "loss": 7.0}


@dataclass(frozen=True)
class More:
    length: int = 3
    rate: float = 0.5
    wide: bool = False


def test_a_field_that_came_while_a_study_ran_moves_no_file(tmp_path, monkeypatch):
    folder = tmp_path / "cup.walk" / "live"

    def walk(config):
        return Experiment("cup.walk", "t", "f", lambda trials, context: [{"loss": 2.0} for _ in trials],
                          {"live": Tier((config,), (0,))})  # fmt: skip

    run_sweep(walk(Before()), "live", results=tmp_path, jobs=1)
    (path,) = folder.glob("[!.]*.json")
    assert record_path(folder, "cup.walk", Trial(More(), 0)) != path
    monkeypatch.setitem(renames.ADDED, "cup.walk", {"wide": False})
    assert record_path(folder, "cup.walk", Trial(More(), 0)) == path
    assert load(path).config == {"length": 3, "rate": 0.5, "wide": False}
    path.write_text(path.read_text().replace("2.0", "7.0"))
    (record,) = run_sweep(walk(More()), "live", results=tmp_path, jobs=1)
    assert record.metrics == {"loss": 7.0}, "it counts as done"
    (record,) = run_sweep(walk(More(wide=True)), "live", results=tmp_path, jobs=1)
    assert record.config["wide"] is True
    assert record.metrics == {"loss": 2.0}, "another value is another trial"


def test_an_old_command_still_runs(names):
    (trial,) = experiment().trials("live", overrides={"rate": "0.1"})
    assert trial.config == Flat(lr=0.1)
    (trial,) = experiment(config=Now()).trials("live", overrides={"inner.rate": "0.1"})
    assert trial.config.inner.lr == 0.1
    with pytest.raises(UsageError, match="under one name"):
        experiment().trials("live", overrides={"rate": "0.1", "lr": "0.2"})


@pytest.mark.parametrize("name", sorted(experiments()))
def test_a_table_has_one_new_name_for_each_old_one_and_all_shipped_records_have_todays(name):
    fields = renames.FIELDS.get(name, renames.FIELDS.get(name.partition(".")[0], {}))
    assert len({*fields.values()}) == len(fields)
    assert not {*fields} & {*fields.values()}
    with suppress(NoRecordsError):  # then there is nothing to hold
        shipped = recorded(name, withdrawn=True, diverged=True)
        assert shipped
        for record in shipped:
            assert not {*fields} & {*record.config}
            assert renames.todays_metrics(name, record.metrics) == record.metrics
