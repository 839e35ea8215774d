"""What runs side by side: what they share, what differs, and what is refused."""

from dataclasses import dataclass, field

import pytest
import torch

from tutorlib.lab import Trial, UsageError
from tutorlib.lab.batching import column, common, shared


@dataclass(frozen=True)
class Inner:
    length: int = 5
    noise: float = 0.1


@dataclass(frozen=True)
class Config:
    width: int = 8
    rate: float = 0.1
    inner: Inner = field(default_factory=Inner)


@dataclass(frozen=True)
class Other:
    """Another kind of configuration, though of the same fields."""

    width: int = 8
    rate: float = 0.1
    inner: Inner = field(default_factory=Inner)


def test_configurations_share_all_but_what_varies():
    assert shared(Config(), ["rate"]) == shared(Config(rate=3.0), ["rate"])
    assert shared(Config(rate=1), []) == shared(Config(rate=1.0), [])
    assert shared(Config(), ["rate"]) != shared(Config(width=16), ["rate"])
    assert shared(Config(), ["inner.noise"]) == shared(Config(inner=Inner(noise=2.0)), ["inner.noise"])
    assert shared(Config(), ["inner.noise"]) != shared(Config(inner=Inner(length=6)), ["inner.noise"])


@pytest.mark.parametrize(
    ("other", "wrong"),
    [
        (Config(width=16), "^trials='width=8 and width=16': expected trials that differ in rate, seed alone"),
        (Config(inner=Inner(6)), "^trials=.*inner=.*expected trials that differ in rate, seed alone"),
        (Other(), "^trials='a Config and a Other': expected trials that differ in rate, seed alone"),
    ],
)
def test_cells_that_differ_in_more_are_refused(other: object, wrong: str):
    trials = [Trial(Config(), 0), Trial(Config(rate=3.0), 1)]
    assert common(trials, ["rate"]) == Config()
    with pytest.raises(UsageError, match=wrong):
        common([*trials, Trial(other, 0)], ["rate"])


def test_no_cells_are_refused():
    with pytest.raises(UsageError, match="^trials=0: expected at least one trial"):
        common([])


def test_a_field_that_is_not_there_is_named():
    with pytest.raises(UsageError, match="^varies='rates': expected .*rate"):
        shared(Config(), ["rates"])
    with pytest.raises(UsageError, match="^varies='noises': expected .*noise"):
        shared(Config(), ["inner.noises"])


def test_a_column_has_an_entry_for_each_run():
    trials = [Trial(Config(rate=rate), seed) for seed, rate in enumerate((0.5, 0.25, 2.0))]
    found = column(trials, "rate", torch.device("cpu"))
    assert found.tolist() == [0.5, 0.25, 2.0]
    assert found.dtype == torch.float32
    whole = column(trials, lambda config: 3 * config.width, torch.device("cpu"), torch.int64)
    assert whole.tolist() == [24, 24, 24]
    assert whole.dtype == torch.int64
