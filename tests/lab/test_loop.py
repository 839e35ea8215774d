"""The loop of all algorithms, on runs whose course can be written down."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from tutorlib.lab import Checkpoint, Context, UsageError, loop
from tutorlib.lab.errors import CheckpointError, NonFiniteError
from tutorlib.lab.loop import repeat

FACTORS = (1.5, 0.5, 1e8)  # by which each of three runs grows in a step; the third is infinite after five


class Inner(NamedTuple):
    squares: Tensor
    count: int


class State(NamedTuple):
    x: Tensor
    inner: Inner


class Log(NamedTuple):
    mean: Tensor
    whole: Tensor


def begin(runs: int = 3) -> State:
    return State(torch.ones(runs, 2), Inner(torch.ones(runs), 0))


def grow(state: State, number: int) -> tuple[State, Log]:
    x = state.x * torch.tensor(FACTORS[: len(state.x)]).unsqueeze(1) + number
    return State(x, Inner(state.inner.squares + 1, state.inner.count + 1)), Log(x.mean(dim=1), x)


def evaluate(state: State, done: int) -> Tensor:
    return state.x.sum(dim=1) + done


class Killed(BaseException):
    pass


def killed_at(step: int, inner: Callable[[State, int], Any] = grow) -> Callable[[State, int], Any]:
    def dying(state: State, number: int) -> Any:
        if number == step:
            raise Killed
        return inner(state, number)

    return dying


def run(
    step: Callable[..., Any] = grow, runs: int = 2, steps: int = 12, context: Context | None = None, **options: Any
):
    options = {"title": "growing", "seeds": [7, 8, 9][:runs], "eval_every": 3, "evaluate": evaluate} | options
    options = {"log": Log} | options
    return repeat(step, begin(runs), steps, context or Context(), **options)


def same(one: loop.Course, two: loop.Course) -> bool:
    parts = ((*c.state[:1], *c.state.inner, *c.log, *c.evals) for c in (one, two))
    return all(torch.equal(torch.as_tensor(a), torch.as_tensor(b)) for a, b in zip(*parts, strict=True))


def keeping(folder: Path, **options: Any) -> Context:
    """A context that keeps the state after every step."""
    return Context(checkpoint=Checkpoint(folder / "a.ckpt", "f", ["k7", "k8", "k9"]), save_every=0.0, **options)


def test_states_logs_and_looks_are_those_of_the_steps_one_by_one():
    course = run()
    state, logs, looks = begin(2), [], []
    for number in range(12):
        state, log = grow(state, number)
        logs.append(log)
        looks += [evaluate(state, number + 1)] if number % 3 == 2 else []
    assert torch.equal(course.state.x, state.x)
    assert course.state.inner.count == 12
    assert torch.equal(course.log.mean, torch.stack([log.mean for log in logs]))
    assert torch.equal(course.log.whole, torch.stack([log.whole for log in logs]))
    assert torch.equal(torch.stack(course.evals), torch.stack(looks))


def test_a_log_of_one_tensor_and_no_look():
    course = run(lambda s, n: (s, s.x.sum(dim=1)), log=Tensor, evaluate=None, eval_every=None, steps=4)
    assert course.log.tolist() == [[2.0, 2.0]] * 4
    assert course.evals == []


@pytest.mark.parametrize("at", range(1, 12))
def test_a_run_that_was_killed_anywhere_goes_on_as_if_it_had_not_been(tmp_path: Path, at: int):
    with pytest.raises(Killed):
        run(killed_at(at), context=keeping(tmp_path))
    taken: list[int] = []

    def counting(state: State, number: int) -> Any:
        taken.append(number)
        return grow(state, number)

    assert same(run(counting, context=keeping(tmp_path)), run())
    assert taken == list(range(at, 12)), "no step twice"


def test_states_are_kept_by_time_and_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    clock = [0.0]
    monkeypatch.setattr(loop.time, "monotonic", lambda: clock[0])
    saved: list[int] = []
    monkeypatch.setattr(Checkpoint, "save", lambda self, state: saved.append(state["step"]))

    def slow(state: State, number: int) -> Any:
        clock[0] += 4.0
        return grow(state, number)

    context = Context(checkpoint=Checkpoint(tmp_path / "a.ckpt", "f"), save_every=10.0)
    run(slow, steps=8, eval_every=1, context=context)
    assert saved == [3, 6, 8]


class Noted:
    """Progress that notes what it is told."""

    def __init__(self) -> None:
        self.begun: tuple[int, str, int] = (0, "", 0)
        self.done = 0

    def start(self, total: int, what: str, done: int = 0) -> None:
        self.begun = total, what, done

    def advance(self, n: int = 1, note: str = "") -> None:
        self.done += n

    def close(self) -> None:
        pass

    def inner(self) -> "Noted":
        return self


def test_progress_does_not_count_what_was_done_before_as_speed(tmp_path: Path):
    with pytest.raises(Killed):
        run(killed_at(5), context=keeping(tmp_path))
    noted = Noted()
    run(context=keeping(tmp_path, progress=noted))
    assert noted.begun == (12, "growing", 5)
    assert noted.done == 7


def test_a_run_that_diverges_is_noted_and_the_others_end_as_if_it_had_not_been(tmp_path: Path):
    diverged: dict[int, int] = {}
    course = run(runs=3, context=keeping(tmp_path, diverged=diverged))
    alone = run(runs=2)
    assert diverged == {2: 5}, "1e8 to the fifth is beyond what a float holds"
    assert torch.equal(course.state.x[:2], alone.state.x)
    assert torch.equal(course.log.whole[:, :2], alone.log.whole)
    assert torch.equal(torch.stack(course.evals)[:, :2], torch.stack(alone.evals))
    assert course.state.x.isfinite().all()
    assert course.log.whole.isfinite().all()
    last = Checkpoint(tmp_path / "k9.last", "k9").load()
    assert last is not None
    assert last["step"] == 4, "the state before, since every step is kept here"
    assert last["state"][0].shape == (1, 2)
    assert (last["state"][0] > 1e31).all()


@pytest.mark.parametrize("at", [3, 5, 7, 11])
def test_what_diverged_is_still_known_after_a_kill(tmp_path: Path, at: int):
    with pytest.raises(Killed):
        run(killed_at(at), runs=3, context=keeping(tmp_path, diverged={}))
    diverged: dict[int, int] = {}
    course = run(runs=3, context=keeping(tmp_path, diverged=diverged))
    assert diverged == {2: 5}
    assert torch.equal(course.state.x[:2], run(runs=2).state.x)


def test_what_diverged_is_still_known_when_all_is_done(tmp_path: Path):
    run(runs=3, context=keeping(tmp_path, diverged={}))
    diverged: dict[int, int] = {}
    run(runs=3, context=keeping(tmp_path, diverged=diverged))
    assert diverged == {2: 5}


def test_what_diverges_is_an_error_where_nobody_takes_notes():
    wrong = r"^mean of step 5 of 12 is not finite \(seed 9\): expected finite numbers; .*, a smaller lr may help$"
    with pytest.raises(NonFiniteError, match=wrong):
        run(runs=3)


def test_if_no_run_is_left_that_is_an_error_too():
    diverged: dict[int, int] = {}
    with pytest.raises(NonFiniteError, match=r"mean of step 1 of 12 .*seed 7.*, fewer may help$"):
        run(lambda s, n: grow(State(s.x / n, s.inner), n), context=Context(diverged=diverged), advice="fewer may help")
    assert diverged == {0: 1, 1: 1}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_state_is_looked_at_and_not_its_log_alone(value: float):
    def step(state: State, number: int) -> Any:
        squares = state.inner.squares.clone()
        squares[1] = value if number == 4 else 0.0
        return State(state.x, Inner(squares, 0)), Log(state.x[:, 0], state.x)

    with pytest.raises(NonFiniteError, match=r"^inner.squares after step 5 of 12 is not finite \(seed 8\)"):
        run(step, eval_every=1)


def test_generators_go_on_where_they_were(tmp_path: Path):
    def drawing(generator: torch.Generator) -> Callable[[State, int], Any]:
        def step(state: State, number: int) -> Any:
            return grow(State(state.x + torch.rand(2, 2, generator=generator), state.inner), number)

        return step

    def go(kill: int | None, context: Context) -> loop.Course:
        generator = torch.Generator().manual_seed(3)
        step = drawing(generator)
        return run(step if kill is None else killed_at(kill, step), context=context, generators=[generator])

    with pytest.raises(Killed):
        go(7, keeping(tmp_path))
    assert same(go(None, keeping(tmp_path)), go(None, Context()))


def test_a_generators_state_does_not_move_to_another_kind_of_device(tmp_path: Path):
    context = keeping(tmp_path)
    generator = torch.Generator()
    run(context=context, generators=[generator])
    saved = context.checkpoint.load() if context.checkpoint else None
    assert saved is not None
    context.checkpoint.save(saved | {"device": "cuda"})
    wrong = "expected a run that began on cpu, found one of cuda, whose random numbers go on there alone"
    with pytest.raises(CheckpointError, match=wrong):
        run(context=context, generators=[generator])
    context.checkpoint.save(saved | {"device": "cuda", "generators": []})
    assert same(run(context=context), run()), "where luck is a function of the step, a state moves"


@pytest.mark.parametrize("change", [{"steps": 6}, {"runs": 3}, {"eval_every": 2}, {"log": Tensor}])
def test_what_another_loop_kept_is_refused(tmp_path: Path, change: dict[str, Any]):
    run(context=keeping(tmp_path))
    with pytest.raises(CheckpointError, match="expected a state that this run can go on from"):
        run(context=keeping(tmp_path), **change)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"steps": 0}, "^steps=0: expected"),
        ({"steps": 1.5}, "^steps=1.5: expected"),
        ({"eval_every": 0}, "^eval_every=0: expected"),
        ({"seeds": []}, r"^seeds=\[\]: expected at least one run"),
    ],
)
def test_numbers_that_are_none_are_refused(change: dict[str, Any], wrong: str):
    with pytest.raises(UsageError, match=wrong):
        run(**change)
