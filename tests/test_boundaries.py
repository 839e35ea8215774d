"""No bad argument ends in a raw error: each public name, and each field of each configuration, is tried."""

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import boundaries
import pytest
from boundaries import ALLOWED, EXCEPTIONS, OPEN, UNREAD, good_calls, public, settings

Trial = tuple[str, str, str, str, str]
"""name, argument, what was given, outcome, error in words"""


@pytest.fixture(scope="module")
def outcomes() -> dict[str, list[Trial]]:
    """What became of all trials, in a process without the checks that the tests switch on."""
    script = Path(boundaries.__file__)
    done = subprocess.run(
        [sys.executable, str(script)], env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def by_name(trials: list[Trial]) -> dict[str, list[Trial]]:
    found = defaultdict(list)
    for trial in trials:
        found[trial[0]].append(trial)
    return found


def test_every_public_name_is_tried_or_excepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TUTORLIB_DATA", "TUTORLIB_CACHE"):
        monkeypatch.setenv(name, "")  # the good calls set them
    tried = good_calls(tmp_path)
    names = public()
    assert not set(tried) - set(names)
    assert [name for name in names if name not in tried and not boundaries.excepted(name)] == []
    known = set(names) | {name.rpartition(".")[0] for name in names}
    assert set(EXCEPTIONS) <= known, "an exception for what is not there"
    assert {name for name, _ in OPEN} <= set(tried)


def test_good_calls_are_taken(outcomes: dict[str, list[Trial]]) -> None:
    assert [t for t in outcomes["functions"] if t[2] == "good" and t[3] != "fine" and t[0] not in UNREAD] == []


def test_no_function_answers_with_a_raw_error(outcomes: dict[str, list[Trial]]) -> None:
    raw = [
        trial
        for trial in outcomes["functions"]
        if trial[3] in ("raw", "slow") and trial[:2] not in map(tuple, OPEN) and trial[2] not in ALLOWED
    ]
    assert raw == []
    assert len(outcomes["functions"]) > 5000


def test_each_exception_is_needed(outcomes: dict[str, list[Trial]]) -> None:
    left = [trial for trial in outcomes["functions"] if trial[3] in ("raw", "slow")]
    assert {tuple(trial[:2]) for trial in left} >= set(OPEN)
    assert {trial[2] for trial in left} >= set(ALLOWED)


def test_no_configuration_answers_with_a_raw_error(outcomes: dict[str, list[Trial]]) -> None:
    assert [trial for trial in outcomes["settings"] if trial[3] not in ("fine", "refused")] == []
    assert len(outcomes["settings"]) > 4000


def named(trial: Trial) -> bool:
    """Whether the refusal begins with the field that was spoilt, or speaks of it."""
    return re.search(rf"(?<![\w.]){re.escape(trial[1])}\b", trial[4]) is not None


def test_a_refused_field_is_named(outcomes: dict[str, list[Trial]]) -> None:
    assert [trial for trial in outcomes["settings"] if trial[3] == "refused" and not named(trial)] == []


WRONG = {
    int: ("None", "''", "'x'", "()", "[]", "{}", "1.5", "True", "nan", "inf", "-inf", "object()", "a tensor"),
    float: ("None", "''", "'x'", "()", "[]", "{}", "True", "nan", "-inf", "object()", "a tensor"),
    bool: ("None", "''", "'x'", "()", "[]", "0", "1.5", "nan", "object()", "a tensor"),
    str: ("None", "()", "[]", "0", "1.5", "True", "nan", "object()", "a tensor"),
    tuple: ("None", "''", "'x'", "[]", "0", "1.5", "True", "nan", "object()", "a tensor", "of object()", "of None"),
}
"""What no field of a kind takes."""
TAKES_MORE = {("papers.gpicl.algorithm.Config", "tasks"): "a number or the text 'inf'"}


def test_what_is_of_another_kind_is_never_taken(outcomes: dict[str, list[Trial]]) -> None:
    configs = settings()
    taken = []
    for name, field, given, outcome, _ in outcomes["settings"]:
        kind = type(getattr(configs[name], field))
        if outcome == "fine" and given in WRONG.get(kind, ()) and (name, field) not in TAKES_MORE:
            taken.append((name, field, given))
    # A field that may be None, or left out, says so in its annotation.
    assert [t for t in taken if not (t[2] == "None" and "None" in str(_annotation(configs[t[0]], t[1])))] == []


def _annotation(config: Any, field: str) -> Any:
    return type(config).__dataclass_fields__[field].type
