"""When steps are compiled, how, and that what leaves a CUDA graph is its caller's."""

from typing import NamedTuple

import pytest
import torch
from replays import replays
from torch import Tensor

from tutorlib.lab import Context
from tutorlib.lab.compiling import Choice, choose_compile, compile_step, release
from tutorlib.lab.loop import repeat

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("device", "asked", "triton", "compiles", "word"),
    [
        (CPU, None, True, False, "on a CPU"),
        (CPU, True, True, True, "as asked"),
        (CUDA, None, True, True, "a few launches"),
        (CUDA, None, False, False, "Triton"),
        (CUDA, False, True, False, "as asked"),
        (CUDA, True, False, True, "as asked"),
    ],
)
def test_steps_are_compiled_on_a_gpu_and_where_that_is_asked(monkeypatch, device, asked, triton, compiles, word):
    monkeypatch.setattr("tutorlib.lab.compiling.find_spec", lambda name: name if triton else None)
    found = choose_compile(device, asked)
    assert isinstance(found, Choice)
    assert found.compile is compiles
    assert word in found.reason


class State(NamedTuple):
    x: Tensor
    total: Tensor


def twice(state: State, number: Tensor) -> tuple[State, Tensor]:
    x = 2 * state.x + number
    return State(x, state.total + x), x.sum(dim=1)


def test_on_a_gpu_a_step_is_a_cuda_graph_and_on_a_cpu_it_is_not(monkeypatch):
    asked = {}

    def compile(step, **how):
        asked[how["options"].get("triton.cudagraphs")] = how
        return step

    monkeypatch.setattr(torch, "compile", compile)
    on_cpu, on_gpu = compile_step(twice, CPU), compile_step(twice, CUDA)
    state = State(torch.ones(2, 3), torch.zeros(2, 3))
    for step in (on_cpu, on_gpu):
        assert step(state, torch.ones(()))[1].tolist() == [9, 9]
    assert asked.keys() == {None, True}
    for how in asked.values():
        assert (how["fullgraph"], how["dynamic"]) == (True, False)
        assert "mode" not in how, "torch takes options or a mode"
        assert torch._inductor.list_mode_options("reduce-overhead") == {"triton.cudagraphs": True}


def course(context: Context):
    learn, act = context.compiled(twice), context.compiled(twice)

    def step(state: State, number: int):
        counted = torch.full((), float(number))
        state, row = learn(state, counted)
        state, _ = act(state, counted)
        return state, row

    start = State(torch.ones(2, 3), torch.zeros(2, 3))
    return repeat(
        step, start, 6, context, title="t", seeds=[0, 1], eval_every=2, evaluate=lambda state, done: state.total
    )


def test_states_logs_and_looks_outlive_the_next_replay():
    plain = course(Context())
    with replays() as graphs:
        found = course(Context(compile=True))
    assert graphs.names == ["twice"] * 12
    assert torch.equal(found.log, plain.log)
    assert all(torch.equal(*pair) for pair in zip(found.evals, plain.evals, strict=True))
    assert all(torch.equal(*pair) for pair in zip(found.state, plain.state, strict=True))


def draws(x):
    return x + torch.rand(2)


def changes(x):
    return x.add_(1)


def copies(x):
    return x + torch.tensor([1.0, 2.0])


def reads(x):
    return x * float(x.sum())


@pytest.mark.parametrize(
    ("step", "says"),
    [(draws, "draws"), (changes, "changes an argument"), (copies, "copies from the host"), (reads, "reads a value")],
)
def test_what_stands_for_graphs_refuses_what_they_cannot_hold(step, says):
    with replays(), pytest.raises(AssertionError, match=says):
        Context(compile=True).compiled(step)(torch.ones(2))


def test_a_context_notes_what_was_compiled(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda step, **how: step)
    eager, compiled = Context(), Context(compile=True)
    eager.compiled(twice), compiled.compiled(twice)
    assert (eager.steps_compiled, compiled.steps_compiled) == ([], ["twice"])
    assert not Context(compile=True).graphs
    assert Context(CUDA, compile=True).graphs
    assert not Context(CUDA).graphs


def test_memory_of_graphs_is_given_back_on_a_gpu(monkeypatch):
    asked = []
    monkeypatch.setattr(torch.compiler, "reset", lambda: asked.append("graphs"))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: asked.append("cache"))
    release(CPU)
    assert not asked
    release(CUDA)
    assert asked == ["graphs", "cache"]
