"""What a grid costs: its speed beside the unfactorised form, and the memory of a whole lifetime's gradient."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "grid.py"


def run(*arguments: str) -> str:
    return subprocess.run(
        [sys.executable, str(BENCHMARK), *arguments], check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.serial
def test_the_factorised_tick_is_one_and_a_half_times_as_fast_as_the_plain_one_at_784x10() -> None:
    out = run("--sizes", "MNIST", "--rounds", "7")
    (ratio,) = re.findall(r"MNIST.*: factorised .* ([\d.]+)x unfactorised", out)
    assert float(ratio) >= 1.5, out


@pytest.mark.serial
def test_a_lifetime_of_500_examples_at_784x10_needs_less_than_one_and_a_half_gigabytes() -> None:
    out = run("--lifetime", "500", "10")
    (peak,) = re.findall(r"peak ([\d.]+) GB", out)
    assert 0.3 < float(peak) < 1.5, out
