"""No bad argument ends in a raw error: each public name, and each field of each configuration, is tried."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import boundaries
import pytest
from boundaries import ALLOWED, EXCEPTIONS, OPEN, UNREAD, excepted

Trial = tuple[str, str, str, str, str]
"""name, argument, what was given, outcome, error in words"""


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Any]:
    """What became of all trials, in a process without the checks that the tests switch on."""
    script = Path(boundaries.__file__)
    done = subprocess.run(
        [sys.executable, str(script)], env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_every_public_name_is_tried_or_excepted(outcomes: dict[str, Any]) -> None:
    names, tried = outcomes["public"], {trial[0] for trial in outcomes["functions"]}
    assert [name for name in names if name not in tried and not excepted(name)] == []
    assert tried.isdisjoint(EXCEPTIONS)
    known = {*names, *(name.rpartition(".")[0] for name in names)}
    assert set(EXCEPTIONS) <= known, "an exception for what is not there"


def test_good_calls_are_taken(outcomes: dict[str, Any]) -> None:
    assert [t for t in outcomes["functions"] if t[2] == "good" and t[3] != "fine" and t[0] not in UNREAD] == []


def test_no_function_answers_with_a_raw_error(outcomes: dict[str, Any]) -> None:
    raw = [
        trial
        for trial in outcomes["functions"]
        if trial[3] in ("raw", "slow") and tuple(trial[:2]) not in OPEN and trial[2] not in ALLOWED
    ]
    assert raw == []
    assert len(outcomes["functions"]) > 5000


def test_each_exception_is_needed(outcomes: dict[str, Any]) -> None:
    left = [trial for trial in outcomes["functions"] if trial[3] in ("raw", "slow")]
    assert {tuple(trial[:2]) for trial in left} >= set(OPEN)
    assert {trial[2] for trial in left} >= set(ALLOWED)


def test_no_configuration_answers_with_a_raw_error(outcomes: dict[str, Any]) -> None:
    assert [trial for trial in outcomes["settings"] if trial[3] not in ("fine", "refused")] == []
    assert len(outcomes["settings"]) > 4000


def named(trial: Trial) -> bool:
    """Whether the refusal speaks of the field that was spoilt, or of another tensor whose axes no longer agree."""
    if " where " in trial[4] and (trial[2] == "a tensor" or trial[2].startswith("axis ")):
        return True
    return re.search(rf"(?<![\w.]){re.escape(trial[1])}\b", trial[4]) is not None


def test_a_refused_field_is_named(outcomes: dict[str, Any]) -> None:
    assert [trial for trial in outcomes["settings"] if trial[3] == "refused" and not named(trial)] == []


WRONG = {
    "int": ("None", "''", "'x'", "()", "[]", "{}", "1.5", "True", "nan", "inf", "-inf", "object()", "a tensor"),
    "float": ("None", "''", "'x'", "()", "[]", "{}", "True", "nan", "-inf", "object()", "a tensor"),
    "bool": ("None", "''", "'x'", "()", "[]", "0", "1.5", "nan", "object()", "a tensor"),
    "str": ("None", "()", "[]", "0", "1.5", "True", "nan", "object()", "a tensor"),
    "tuple": ("None", "''", "'x'", "[]", "0", "1.5", "True", "nan", "object()", "a tensor", "of object()", "of None"),
}
"""What no field of a kind takes."""


def test_what_is_of_another_kind_is_never_taken(outcomes: dict[str, Any]) -> None:
    taken = []
    for name, field, given, outcome, _ in outcomes["settings"]:
        kind, optional, _ = outcomes["kinds"][f"{name} {field}"].partition(" may be None")
        if outcome == "fine" and given in WRONG.get(kind, ()) and not (given == "None" and optional):
            taken.append((name, field, given))
    assert taken == []
