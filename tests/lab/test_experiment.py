import json
import re
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Union

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tutorlib.lab import Context, Experiment, Tier, Trial, UsageError, grid
from tutorlib.lab.errors import CheckpointError, choose
from tutorlib.lab.experiment import checkpoint_for, filled, override, plain, trial_key


@dataclass(frozen=True)
class Config:
    width: int = 4
    rate: float = 0.1
    tasks: int | str = "inf"
    name: str = "a"
    deep: bool = False
    limit: Union[float, str] = 1.0  # noqa: UP007 - the old way to write it means the same
    sizes: tuple[int, ...] = (1, 2)

    def __post_init__(self) -> None:
        if self.width < 1:
            raise UsageError(f"width={self.width}: expected a positive number")


number = st.floats(allow_nan=False, allow_infinity=False)
configs = st.builds(
    Config,
    width=st.integers(1, 2**62),
    rate=number | st.integers(-(2**50), 2**50),
    tasks=st.integers() | st.sampled_from(["inf", "none", "1.5"]),
    name=st.text(max_size=5),
    deep=st.booleans(),
    limit=number | st.sampled_from(["none", "all"]),
)


def experiment(*configs: Config, name: str = "paper.study", seeds: tuple[int, ...] = (0, 1)) -> Experiment:
    def run(trials, context):
        return [{"width": trial.config.width} for trial in trials]

    return Experiment(name, "title", "Fig. 1", run, {"live": Tier(configs or (Config(),), seeds)})


# Keys.


@given(configs, configs, st.integers(0, 3), st.integers(0, 3), st.data())
def test_keys_are_equal_exactly_if_the_cells_are(a: Config, b: Config, seed: int, other: int, data: st.DataObject):
    names = [f.name for f in fields(Config)]
    taken = data.draw(st.sets(st.sampled_from(names)))  # or two configurations would hardly ever agree in a field
    b = replace(b, **{name: getattr(a, name) for name in taken})
    one, two = [Trial(a, seed)], [Trial(b, other)]
    assert (trial_key("x", one) == trial_key("x", two)) == (one == two)
    assert (json.dumps(plain(a), sort_keys=True) == json.dumps(plain(b), sort_keys=True)) == (a == b)


def test_a_key_is_that_of_the_name_the_cells_and_their_order():
    a, b = Trial(Config(), 0), Trial(Config(), 1)
    keys = [trial_key(name, trials) for name in ("x", "y") for trials in ([a], [b], [a, b], [b, a], [])]
    assert len(set(keys)) == len(keys)
    assert all(re.fullmatch("[0-9a-f]{16}", key) for key in keys)


def test_keys_do_not_change_between_versions_of_the_library():
    """Or finished trials would be computed again after an update."""
    assert trial_key("gpicl.phases", [Trial(Config(), 3)]) == "7036b4d6aefb4624"


def test_one_and_one_point_zero_are_one_rate():
    assert trial_key("x", [Trial(Config(rate=1), 0)]) == trial_key("x", [Trial(Config(rate=1.0), 0)])
    assert trial_key("x", [Trial(Config(rate=-0.0), 0)]) == trial_key("x", [Trial(Config(rate=0.0), 0)])
    assert plain(Config(rate=1)) == asdict(Config(rate=1.0))


def test_a_checkpoint_belongs_to_its_cells(tmp_path: Path):
    a, b = Trial(Config(), 0), Trial(Config(), 1)
    mine = checkpoint_for(tmp_path, "x", [a])
    mine.save({"step": 1})
    assert checkpoint_for(tmp_path, "x", [a]).load() == {"step": 1}
    other = checkpoint_for(tmp_path, "x", [b])
    assert other.load() is None
    mine.path.rename(other.path)
    with pytest.raises(CheckpointError, match="expected the state of configuration"):
        other.load()


# Overrides.


def as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@given(configs, configs)
def test_an_override_in_text_is_that_of_the_value(base: Config, wanted: Config):
    values = {f.name: getattr(wanted, f.name) for f in fields(Config) if f.name != "sizes"}
    assert override(base, values) == wanted
    found = override(base, {name: as_text(value) for name, value in values.items()})
    assert found == wanted
    for name in ("width", "tasks", "name", "deep"):
        assert type(getattr(found, name)) is type(getattr(wanted, name))
    assert type(found.rate) is float


@dataclass(frozen=True)
class Outer:
    inner: Config = Config()
    steps: int = 3


def test_an_override_reaches_a_configuration_inside_another():
    changed = override(Outer(), {"inner.width": "7", "inner.rate": 2, "steps": "5"})
    assert changed == Outer(Config(width=7, rate=2.0), steps=5)
    with pytest.raises(UsageError, match=re.escape("set='widht': expected one of width, rate")):
        override(Outer(), {"inner.widht": 7})
    with pytest.raises(UsageError, match=re.escape("set='steps.width': expected one of inner, steps")):
        override(Outer(), {"steps.width": 7})
    with pytest.raises(UsageError, match="width=0: expected a positive number"):
        override(Outer(), {"inner.width": "0"})


def test_equal_configurations_inside_others_are_kept_under_one_name():
    one, other = Outer(Config(rate=1)), Outer(Config(rate=1.0))
    assert trial_key("x", [Trial(one, 0)]) == trial_key("x", [Trial(other, 0)])
    assert plain(one)["inner"]["rate"] == 1.0
    assert type(plain(one)["inner"]["rate"]) is float


def test_an_override_leaves_the_rest():
    base = Config(name="b", sizes=(3,))
    assert override(base, {}) == base
    assert override(base, {"rate": "2"}) == replace(base, rate=2.0)
    assert override(base, {"rate": 2}).rate == 2.0
    assert type(override(base, {"rate": 2}).rate) is float
    assert override(base, {"tasks": "16"}).tasks == 16
    assert override(replace(base, tasks=16), {"tasks": "inf"}).tasks == "inf"
    assert override(base, {"name": "5"}).name == "5"
    assert override(base, {"sizes": (4, 5)}).sizes == (4, 5)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("width", "inf", "width='inf': expected a whole number"),
        ("width", "1.5", "width='1.5': expected a whole number"),
        ("width", 1.5, "width=1.5: expected a whole number"),
        ("width", True, "width=True: expected a whole number"),
        ("width", "", "width='': expected a whole number"),
        ("width", None, "width=None: expected a whole number"),
        ("width", "0", "width=0: expected a positive number"),
        ("rate", "fast", "rate='fast': expected a number"),
        ("rate", [1], "rate=[1]: expected a number"),
        ("deep", "yes", "deep='yes': expected true or false"),
        ("deep", 1, "deep=1: expected true or false"),
        ("name", 5, "name=5: expected text"),
        ("tasks", 1.5, "tasks=1.5: expected a whole number or text"),
        ("sizes", "1,2", "sizes='1,2': expected tuple[int, ...]"),
        (
            "widht",
            "3",
            "set='widht': expected one of width, rate, tasks, name, deep, limit, sizes (did you mean 'width'?)",
        ),
    ],
)
def test_an_override_that_does_not_fit_is_refused(name: str, value: Any, says: str):
    with pytest.raises(UsageError, match=f"^{re.escape(says)}$"):
        override(Config(), {name: value})


# Cells.


def test_the_cells_of_a_tier():
    study = experiment(*grid(Config(), width=(1, 2)), seeds=(0, 5))
    assert [(c.config.width, c.seed) for c in study.trials("live")] == [(1, 0), (1, 5), (2, 0), (2, 5)]
    assert [c.seed for c in study.trials("live", seeds=[7])] == [7, 7]
    assert len(study.trials("live", overrides={"rate": "0.5"})) == 4


def test_no_cell_is_there_twice():
    study = experiment(*grid(Config(), width=(1, 2)))
    assert len(study.trials("live", overrides={"width": "3"})) == 2
    assert [c.seed for c in study.trials("live", seeds=(1, 1, 0), overrides={"width": 3})] == [1, 0]


@pytest.mark.parametrize("seeds", [[], [-1], [0, 2**63], [True]])
def test_seeds_that_cannot_be_used_are_refused(seeds: list):
    with pytest.raises(UsageError, match=r"^seeds="):
        experiment().trials("live", seeds=seeds)


def test_a_tier_that_an_experiment_has_not_is_refused():
    with pytest.raises(UsageError, match="^tier='study': expected one of live$"):
        experiment().trials("study")


def test_a_context_needs_nothing():
    context = Context()
    assert context.device.type == "cpu"
    assert context.checkpoint is None
    context.progress.start(3, "nothing")
    context.progress.advance()
    context.progress.close()


def test_the_nearest_choice_is_named():
    assert choose("tier", "live", iter(["live", "study"])) == "live"
    with pytest.raises(UsageError, match=r"^tier='lvie': expected one of live, study \(did you mean 'live'\?\)$"):
        choose("tier", "lvie", ["live", "study"])
    with pytest.raises(UsageError, match="^tier='x': expected one of live, study$"):
        choose("tier", "x", ["live", "study"])


def double(x: int, by: int = 2) -> int:
    return by * x


def test_a_step_is_compiled_only_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch, "compile", lambda step, fullgraph, **how: lambda x: (fullgraph, step, step(x)))
    assert Context().compiled(double) is double
    _, step, found = Context(compile=True).compiled(double)(3)
    whole, other, _ = Context(compile=True).compiled(double)(3)
    assert (whole, found) == (True, 6)
    assert (
        step.__code__ is not other.__code__
    )  # else the second run would share the first one's graphs, and their limit


BY = 2


def scaled(x: torch.Tensor, by: int) -> torch.Tensor:
    return BY * by * x if torch.is_grad_enabled() else 0 * x


def test_a_compiled_step_looks_again_at_arguments_and_modes_but_not_at_modules(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    step, x = Context(compile=True).compiled(scaled), torch.ones(1)
    assert step(x, 3) == 6
    assert step(x, 5) == 10
    assert step(torch.ones(2), 3).tolist() == [6, 6]
    with torch.no_grad():
        assert step(x, 3) == 0
    monkeypatch.setitem(globals(), "BY", 100)
    assert step(x, 3) == 6, "looked at a constant of a module in each call"
    assert Context(compile=True).compiled(scaled)(x, 3) == 300  # another run does


def test_a_record_without_a_later_field_is_of_its_default() -> None:
    @dataclass(frozen=True)
    class Inner:
        length: int = 3
        added: tuple[int, ...] = field(default_factory=lambda: (1, 2))

    @dataclass(frozen=True)
    class Outer:
        given: int
        inner: Inner = field(default_factory=Inner)
        new: str = "as before"

    old = {"given": 7, "inner": {"length": 5}}
    assert filled(old, Outer(1)) == {"given": 7, "inner": {"length": 5, "added": (1, 2)}, "new": "as before"}
    assert old == {"given": 7, "inner": {"length": 5}}
    assert filled({"inner": {}, "new": "now"}, Outer(1)) == {"inner": {"length": 3, "added": (1, 2)}, "new": "now"}
