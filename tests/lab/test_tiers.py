from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tutorlib.lab import TIERS, UsageError, grid, pick_tier
from tutorlib.lab.tiers import parse_seeds, seeds_text


@dataclass(frozen=True)
class Config:
    width: int = 1
    rate: float = 0.1
    name: str = "a"


def test_a_grid_has_every_combination_with_the_last_axis_fastest():
    found = grid(Config(name="b"), width=(1, 2), rate=(0.1, 0.2, 0.3))
    assert [(c.width, c.rate) for c in found] == [(1, 0.1), (1, 0.2), (1, 0.3), (2, 0.1), (2, 0.2), (2, 0.3)]
    assert {c.name for c in found} == {"b"}
    assert grid(Config()) == (Config(),)
    assert grid(Config(), width=()) == ()


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("1", (0,)),
        ("3", (0, 1, 2)),
        ("4,7", (4, 7)),
        ("7,4", (7, 4)),
        ("2-5", (2, 3, 4, 5)),
        ("7-7", (7,)),
        ("0-1,5", (0, 1, 5)),
        ("1,5-6,3", (1, 5, 6, 3)),
        ("4,4,3-5", (4, 3, 5)),
        (" 1, 2 ", (1, 2)),
        (" 2 ", (0, 1)),
        ("10000", tuple(range(10_000))),
    ],
)
def test_seeds(text: str, seeds: tuple[int, ...]):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "5-2", "1,5-2", "1-2-3", "3,", ",3", "a", "1.5", "1e3", "²", "٣", "--", "1-", "9" * 5000]
)
def test_what_names_no_seeds_is_refused(text: str):
    with pytest.raises(UsageError, match=r"^seeds=.*: expected how many \(3\), a list \(4,7\) or a range \(2-5\)$"):
        parse_seeds(text)


@pytest.mark.parametrize("text", ["10001", "20240101", "0-99999999", "1,2-20000"])
def test_too_many_seeds_are_refused(text: str):
    with pytest.raises(UsageError, match=f"seeds='{text}': expected at most 10000 seeds"):
        parse_seeds(text)


@given(
    st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=6, unique=True)
    | st.lists(st.integers(0, 9), min_size=1, max_size=10, unique=True)
)
def test_seeds_as_text_are_read_again(seeds: list[int]):
    assert parse_seeds(seeds_text(seeds)) == tuple(seeds)


def test_the_tier_is_the_named_one_else_that_of_the_environment_else_live(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("TUTORLIB_TIER", raising=False)
    assert pick_tier() == "live"
    monkeypatch.setenv("TUTORLIB_TIER", "")
    assert pick_tier() == "live"
    monkeypatch.setenv("TUTORLIB_TIER", "paper")
    assert pick_tier() == "paper"
    for name in TIERS:
        assert pick_tier(name) == name


def test_an_unknown_tier_is_refused_with_the_name_of_its_source(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(
        UsageError, match="^tier='studdy': expected one of live, tuning, study, paper .did you mean 'study'"
    ):
        pick_tier("studdy")
    monkeypatch.setenv("TUTORLIB_TIER", "big")
    with pytest.raises(UsageError, match="^TUTORLIB_TIER='big': expected one of live, tuning, study, paper$"):
        pick_tier()
