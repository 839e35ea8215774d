import io
import os
import pty
import re

import pytest

from tutorlib.lab import progress
from tutorlib.lab.progress import Bar, Lines, Progress, Silent, progress_for


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress.time, "monotonic", clock.monotonic)
    return clock


def test_every_kind_is_a_progress():
    for kind in (Silent(), Lines(io.StringIO()), Bar(io.StringIO())):
        assert isinstance(kind, Progress)
        assert isinstance(kind.inner(), Progress)


def test_lines_come_at_each_tenth_with_the_time_left(clock: Clock):
    out = io.StringIO()
    lines = Lines(out)
    lines.start(40, "trials")
    for _ in range(40):
        clock.now += 2.0
        lines.advance()
    lines.close()
    expected = [f"trials: {done}/40, {2 * (40 - done)} s left" for done in range(4, 41, 4)]
    assert out.getvalue().splitlines() == expected


def test_at_most_one_line_a_second_and_always_the_last(clock: Clock):
    out = io.StringIO()
    lines = Lines(out)
    lines.start(100, "steps")
    for _ in range(100):
        clock.now += 0.04
        lines.advance()
    done = [int(line.split(": ")[1].split("/")[0]) for line in out.getvalue().splitlines()]
    assert done[-1] == 100
    assert len(done) == 4


def test_what_was_done_before_is_no_speed(clock: Clock):
    out = io.StringIO()
    lines = Lines(out)
    lines.start(100, "trials", 90)
    clock.now += 30.0
    lines.advance(3)
    assert out.getvalue().splitlines() == ["trials: 90/100, done before"]
    clock.now += 70.0
    lines.advance(7, "a note")
    assert out.getvalue().splitlines()[1:] == ["trials: 100/100, 0 s left; a note"]
    out.truncate(0)
    lines.start(100, "trials", 85)
    clock.now += 30.0
    lines.advance(5)
    assert out.getvalue().splitlines()[-1] == "trials: 90/100, 60 s left"


def test_lines_of_the_steps_within_a_cell_are_rare(clock: Clock):
    out = io.StringIO()
    inner = Lines(out).inner()
    inner.start(50, "steps")
    for _ in range(50):
        clock.now += 1.0
        inner.advance()
    assert [line.split(",")[0] for line in out.getvalue().splitlines()] == [
        f"steps: {n}/50" for n in (10, 20, 30, 40, 50)
    ]
    out.truncate(0)
    inner.start(50, "steps")
    inner.advance(50)
    assert "steps" not in out.getvalue()


def test_nothing_to_do_is_no_division_by_zero(clock: Clock):
    out = io.StringIO()
    for kind in (Lines(out), Bar(out)):
        kind.start(0, "trials")
        kind.advance(0)
        kind.close()


def test_a_bar_shows_the_count_and_the_time_left():
    out = io.StringIO()
    bar = Bar(out)
    bar.advance()  # before the start: no matter
    bar.start(4, "trials", 2)
    assert bar.bar.initial == 2
    bar.bar.start_t -= 10.0
    bar.bar.last_print_t -= 10.0
    bar.advance(1, "a note")
    shown = out.getvalue().split("\r")[-1]
    assert re.search(r"trials:\s+75%.*3/4 \[00:10<00:10.*a note", shown)
    bar.close()
    bar.close()
    assert out.getvalue().endswith("\n")


def test_a_second_start_takes_the_place_of_the_first():
    out = io.StringIO()
    bar = Bar(out)
    bar.start(4, "one")
    bar.start(4, "two")
    bar.close()
    assert "two" in out.getvalue().split("\n")[1]


def test_a_bar_on_a_terminal_and_lines_elsewhere(monkeypatch: pytest.MonkeyPatch):
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        assert isinstance(progress_for(terminal), Bar)
    os.close(ours)
    assert isinstance(progress_for(io.StringIO()), Lines)
    stream = io.StringIO()
    monkeypatch.setattr(progress.sys, "stderr", stream)
    assert progress_for().stream is stream
