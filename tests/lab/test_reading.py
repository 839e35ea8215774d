"""Records read back: which are wanted, what they were run with, and which of them are of one seed."""

from dataclasses import asdict, dataclass, field

import pytest
import torch

from tutorlib.lab import Record, UsageError, config_of, differences, paired, rounded, select
from tutorlib.lab.errors import RecordError
from tutorlib.lab.reading import field_of


@dataclass(frozen=True)
class Inner:
    length: int = 5
    sizes: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class Config:
    width: int = 8
    inner: Inner = field(default_factory=Inner)
    later: str = "as it was"


def record(seed: int, score: float = 0.0, **config: object) -> Record:
    fields = asdict(Config()) | config
    return Record("paper.study", "study", fields, seed, {"score": score}, 1.0, {"device": "CPU"})


RECORDS = [record(1), record(0), record(0, width=16), record(2, inner={"length": 7, "sizes": [1, 2]})]


def test_records_are_selected_by_fields_in_order_of_seed():
    assert select(RECORDS, width=8) == [RECORDS[1], RECORDS[0], RECORDS[3]]
    assert select(RECORDS, width=8, length=5) == [RECORDS[1], RECORDS[0]]
    assert select(RECORDS, length=7) == [RECORDS[3]]
    assert len(select(RECORDS)) == 4


def test_what_selects_nothing_is_refused():
    with pytest.raises(UsageError, match=r"^fields=\{'width': 9\}: expected the values of some of the 4 records"):
        select(RECORDS, width=9)
    with pytest.raises(UsageError, match="^name='widht': expected a field of one configuration of paper.study"):
        select(RECORDS, widht=8)


def test_a_field_that_two_configurations_inside_have_is_refused():
    twice = record(0, other={"length": 3})
    with pytest.raises(UsageError, match="^name='length': expected a field of one"):
        field_of(twice, "length")


def test_a_configuration_comes_back_as_what_it_was():
    filed = record(0, inner={"length": 7, "sizes": [3, 4]})
    del filed.config["later"]  # written before there was such a choice
    assert config_of(filed, Config) == Config(inner=Inner(7, (3, 4)))


def test_the_configuration_of_something_else_is_refused():
    with pytest.raises(RecordError, match="expected the fields of Inner"):
        config_of(record(0), Inner)


def test_pairs_are_of_one_seed():
    ours, theirs = [record(2, 5.0), record(1, 3.0)], [record(1, 1.0), record(2, 1.5)]
    assert [(a.seed, b.seed) for a, b in paired(ours, theirs)] == [(1, 1), (2, 2)]
    assert differences(ours, theirs, lambda r: r.metrics["score"]) == [2.0, 3.5]


@pytest.mark.parametrize("seeds", [(1,), (1, 3), (1, 2, 2), ()])
def test_other_seeds_are_refused(seeds: tuple[int, ...]):
    ours = [record(seed) for seed in (1, 2)]
    with pytest.raises(UsageError, match=r"^theirs=.*: expected the seeds \[1, 2\], each once"):
        paired(ours, [record(seed) for seed in seeds])
    if len(set(seeds)) < len(seeds):
        with pytest.raises(UsageError, match="each once"):
            paired([record(seed) for seed in seeds], [record(seed) for seed in seeds])


def test_numbers_are_rounded_to_significant_digits():
    assert rounded(torch.tensor([[0.123456, 123456.0], [-1e-9, 0.0]], dtype=torch.float64), 3) == [
        [0.123, 123000.0],
        [-1e-9, 0.0],
    ]
    assert rounded(torch.tensor(2.0)) == 2.0
    assert rounded(torch.tensor(2.0 / 3, dtype=torch.float64)) == 0.66667
