"""The calls that every notebook makes: its start, its printed numbers, and its verdicts."""

import os
import random
import re
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

import tutorlib
from tutorlib.lab.errors import UsageError
from tutorlib.show import notebook
from tutorlib.show.style import STYLE


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A CPU at the live tier, and all that ``begin`` changes as it was before."""
    for name in ("TUTORLIB_TIER", "CUBLAS_WORKSPACE_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TUTORLIB_DEVICE", "cpu")
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with mpl.rc_context(), np.printoptions(), pd.option_context("display.float_format", None):
        yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)
    torch.set_printoptions(profile="default")
    os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)


def test_begin_prints_one_line(state: None, capsys: pytest.CaptureFixture[str]) -> None:
    notebook.begin()
    assert capsys.readouterr().out == f"tutorlib {tutorlib.__version__} · cpu · tier live\n"


def test_begin_names_the_tier(state: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUTORLIB_TIER", "study")
    notebook.begin()
    assert capsys.readouterr().out.endswith("tier study\n")
    monkeypatch.setenv("TUTORLIB_TIER", "lively")
    with pytest.raises(UsageError, match="TUTORLIB_TIER='lively'"):
        notebook.begin()


def test_in_a_notebook_figures_have_twice_the_pixels(state: None, monkeypatch: pytest.MonkeyPatch) -> None:
    said = []
    shell = SimpleNamespace(run_line_magic=lambda *words: said.append(words), kernel=None)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    notebook.begin()
    assert said == [("config", "InlineBackend.figure_format = 'retina'")]
    del shell.kernel
    notebook.begin()
    assert len(said) == 1, "a shell of IPython has no pictures"


def test_faults_of_open_figures_are_told_where_outputs_are_stored(
    state: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    figure = plt.figure()
    figure.text(0.1, 0.1, "gamma_z")
    told = ["what shows figures"]
    events = SimpleNamespace(callbacks={"post_execute": told})
    shell = SimpleNamespace(run_line_magic=lambda *_: None, kernel=None, events=events)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.delenv("TUTORLIB_EXPLORER", raising=False)
    notebook.begin()
    assert len(told) == 1, "a reader may draw what they like"
    monkeypatch.setenv("TUTORLIB_EXPLORER", "static")
    notebook.begin()
    assert told == [notebook.complain, "what shows figures"]
    capsys.readouterr()
    notebook.complain()
    plt.close(figure)
    assert capsys.readouterr().err == "figure: 'gamma_z' shows raw notation\n"


def test_the_same_seed_draws_the_same_numbers_and_another_seed_others(state: None) -> None:
    def draw(seed: int) -> list[float]:
        generator = notebook.begin(seed=seed)
        ours = torch.rand(3, generator=generator).tolist()
        return [*ours, torch.rand(()).item(), random.random(), float(np.random.rand())]  # noqa: NPY002

    first = draw(0)
    assert draw(0) == first
    assert all(a != b for a, b in zip(first, draw(1), strict=True))


def test_begin_repeats_itself_to_the_last_bit(state: None) -> None:
    notebook.begin()
    assert torch.get_num_threads() == 1
    assert torch.are_deterministic_algorithms_enabled()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_begin_gives_figures_and_tables_the_look_of_the_book(state: None) -> None:
    notebook.begin()
    assert {name: mpl.rcParams[name] for name in ("figure.dpi", "axes.grid", "image.cmap")} == {
        name: STYLE[name] for name in ("figure.dpi", "axes.grid", "image.cmap")
    }
    table = pd.DataFrame({"accuracy": [0.123456, 0.85]})
    assert re.findall(r"0\.\d+", table.to_string()) == ["0.123", "0.850"]
    assert str(torch.tensor(0.123456)) == "tensor(0.123)"
    assert str(np.array([0.123456])) == "[0.123]"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.85, "0.850"),
        (-0.12345, "-0.123"),
        (3.0, "3.00"),
        (12.345, "12.3"),
        (99.96, "100"),
        (999.6, "1,000"),
        (1234.5, "1,230"),
        (999_999.0, "1.00e+06"),
        (0.000012, "1.20e-05"),
        (0.0, "0"),
        (-0.0, "0"),
        (123456, "123,456"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (torch.tensor(0.5), "0.500"),
        (torch.tensor([7]), "7"),
        (np.float32(0.1), "0.100"),
        (np.int64(1024), "1,024"),
    ],
)
def test_number(value: object, text: str) -> None:
    assert notebook.number(value) == text


def test_number_with_other_digits() -> None:
    assert notebook.number(0.123456, digits=2) == "0.12"
    assert notebook.number(1234.5, digits=5) == "1234.5"


def test_a_check_that_holds_prints_its_statement(capsys: pytest.CaptureFixture[str]) -> None:
    notebook.check("accuracy exceeds 0.75", torch.tensor(0.8617) > 0.75)
    assert capsys.readouterr().out == "PASS: accuracy exceeds 0.75\n"


@pytest.mark.parametrize(
    ("measured", "shown"),
    [
        ({"accuracy": 0.8617}, "accuracy 0.862"),
        ({"value": np.float64(-0.0)}, "0"),
        ({"last_losses": torch.tensor([1.23456, 2.0])}, "last losses [1.23, 2.00]"),
        ({"exits": (1, 2), "seeds": 12345}, "exits [1, 2], seeds 12,345"),
        ({"steps": range(9)}, "steps [0, 1, 2, 3, 4, 5, 6, 7, ...]"),
        ({"steps": range(8)}, "steps [0, 1, 2, 3, 4, 5, 6, 7]"),
        ({"by": {"a": 0.12345, "b": None}}, "by {a: 0.123, b: None}"),
    ],
)
def test_a_check_shows_what_was_measured(measured: dict, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    notebook.check("it holds", True, **measured)
    assert capsys.readouterr().out == f"PASS: it holds · measured: {shown}\n"


def test_a_check_that_does_not_hold_says_the_numbers_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(AssertionError, match=re.escape("exceeds 0.75 (accuracy=0.7412345, seeds=2)")):
        notebook.check("accuracy exceeds 0.75", 0.7412345 > 0.75, accuracy=0.7412345, seeds=2)
    with pytest.raises(AssertionError, match=r"does not hold: two is one$"):
        notebook.check("two is one", np.bool_(False))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("holds", [0.3, torch.tensor(0.3), 1, "yes", None])
def test_a_check_refuses_what_is_no_truth_value(holds: object) -> None:
    with pytest.raises(UsageError, match="holds="):
        notebook.check("accuracy exceeds 0.75", holds)


def test_near_prints_the_expected_number_and_its_tolerance(capsys: pytest.CaptureFixture[str]) -> None:
    notebook.near("the accuracy", torch.tensor(0.862), 0.85, 0.03)
    assert capsys.readouterr().out == "PASS: the accuracy is 0.85 ± 0.03 · measured: 0.862\n"


@pytest.mark.parametrize("value", [0.8801, 0.8199, float("nan")])
def test_near_refuses_what_is_far(value: float) -> None:
    with pytest.raises(AssertionError, match=f"value={value}"):
        notebook.near("the accuracy", value, 0.85, 0.03)


@pytest.mark.parametrize("tolerance", [0.0, -1.0, float("nan"), float("inf")])
def test_near_needs_a_tolerance(tolerance: float) -> None:
    with pytest.raises(UsageError, match="tolerance="):
        notebook.near("the accuracy", 0.85, 0.85, tolerance)
