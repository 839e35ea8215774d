"""What a computation asks of a device: the ledger, rehearsals and plans."""

from dataclasses import dataclass

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from tutorlib.lab import Context, Experiment, Tier, UsageError
from tutorlib.lab.dry import Ledger, rehearsal, rehearse
from tutorlib.lab.loop import repeat
from tutorlib.lab.plan import LAUNCH, REPLAYED, plan, text_of


def test_bytes_are_counted_while_a_tensor_or_a_view_of_it_lives():
    with FakeTensorMode():
        x = torch.empty(1000, device="meta")
        with Ledger() as ledger:
            y = x * 2  # 4000 bytes, and 8000 once there are two
            z = (y + 1)[:10]
            assert (ledger.in_use, ledger.peak) == (8000, 8000), "a view holds all of what it looks at"
            del y
            assert ledger.in_use == 4000
            del z
            assert ledger.in_use == 0
            x.view(10, 100).t()
            assert (ledger.in_use, ledger.largest, ledger.peak) == (0, 4000, 8000)
            torch.empty(500, 3, dtype=torch.float64, device="meta")
    assert (ledger.largest, ledger.largest_shape) == (12_000, (500, 3))
    assert ledger.peak == 12_000
    assert not ledger.elsewhere


def test_what_a_gradient_keeps_is_counted():
    with FakeTensorMode():
        x = torch.empty(1000, device="meta", requires_grad=True)
        with Ledger() as ledger:
            y = x
            for _ in range(5):
                y = y.sin().cos()  # each keeps what it read for the way back, the first x itself
            assert ledger.in_use == 10 * 4000, "what was kept, and y"
            y.sum().backward()


def test_a_tensor_of_the_host_is_named():
    with FakeTensorMode():
        x = torch.empty(3, device="meta")
        with Ledger() as ledger:
            x + 1.0
            assert not ledger.elsewhere
            torch.tensor([1.0, 2.0], device="meta")
            assert ledger.elsewhere == ["torch.tensor"], "a copy from the host"
            ledger.elsewhere.clear()
            with pytest.raises(RuntimeError, match="device"):
                x + torch.ones(3)
            assert ledger.elsewhere == ["aten.ones.default"], "which device it is on"
            with pytest.raises(DataDependentOutputException):
                x.sum().item()


@dataclass(frozen=True)
class Descending:
    """Squares are made small."""

    kind: str = "good"
    steps: int = 100


def run(trials, context: Context):
    c = trials[0].config
    x = torch.stack([torch.rand(1000, generator=torch.Generator().manual_seed(trial.seed)) for trial in trials])
    if float(x.sum()) > 1e9:  # reads a value before the loop, on the CPU, which a run may
        raise AssertionError
    x = x[x[:, 0] < 2.0].to(context.device)

    def step(x, number):
        if c.kind == "waits" and float(x.sum()) > 0:
            return x, x.sum(dim=1)
        if c.kind == "mixes":
            return x + torch.ones(1000), x.sum(dim=1)
        if c.kind == "copies":
            x = x * torch.tensor([0.5], device=context.device)
        return x - 0.1 * x, x.sum(dim=1)

    def look(x, done):
        return x.mean(dim=1).cpu()

    course = repeat(
        step, x, c.steps, context, title="squares", seeds=[trial.seed for trial in trials], eval_every=10, evaluate=look
    )
    assert course.log.shape == (c.steps, len(trials))
    assert len(course.evals) == c.steps // 10
    values = course.state.sum(dim=1).tolist()
    if rehearsal():
        raise AssertionError("a dry run is over where a result is read")
    return [{"sum": value} for value in values]


def squares(kind="good", seeds=(0, 1), **more):
    tiers = {"live": Tier((Descending(kind),), seeds=seeds)}
    return Experiment("tiny.squares", "t", "f", run, tiers, varies=(), **more)


def test_one_step_and_one_look_are_taken():
    found = rehearse(squares(), squares().trials("live"))
    (loop,) = found.loops
    assert (loop.title, loop.steps, loop.launches, loop.look_launches) == ("squares", 100, 3, 2)
    assert loop.largest == 2 * 1000 * 4
    assert loop.peak == 3 * 2 * 1000 * 4, "the state before and after, and what is between"
    assert not loop.elsewhere
    assert rehearsal() is None
    assert torch.rand(2, generator=torch.Generator().manual_seed(0)).sum().item() > 0, "all is for real again"


def test_a_step_that_copies_is_told_and_one_that_waits_or_mixes_fails():
    experiment = squares("copies")
    assert rehearse(experiment, experiment.trials("live")).loops[0].elsewhere[0] == "torch.tensor"
    with pytest.raises(DataDependentOutputException):
        rehearse(squares("waits"), squares("waits").trials("live"))
    with pytest.raises(RuntimeError, match="device"):
        rehearse(squares("mixes"), squares("mixes").trials("live"))


def test_a_plan_says_what_a_sweep_would_ask():
    plans = plan(squares(), seeds=range(5), batch=2)
    assert [(own.times, own.trials) for own in plans.batches] == [(2, 2), (1, 1)]
    assert plans.batches[0].seconds == pytest.approx(100 * 3 * LAUNCH)
    assert plans.hours == pytest.approx(3 * 100 * 3 * LAUNCH / 3600)
    assert "nothing was computed" in text_of(plans)


def test_a_large_batch_is_planned_from_two_small_ones(monkeypatch):
    experiment, taken = squares(seeds=tuple(range(20))), []
    (whole,) = rehearse(experiment, experiment.trials("live")).loops
    monkeypatch.setattr(
        "tutorlib.lab.plan.rehearse",
        lambda e, trials, compile: taken.append(len(trials)) or rehearse(e, trials, compile),
    )
    (own,) = plan(experiment).batches
    assert (own.trials, taken) == (20, [8, 16])
    assert own.loops == (whole,)


def test_a_batch_that_does_not_fit_is_halved(monkeypatch):
    monkeypatch.setattr("tutorlib.lab.plan.MEMORY", 3 * 1000 * 4 + 4)
    (own,) = plan(squares(seeds=(0, 1, 2, 3))).batches
    assert (own.times, own.trials) == (4, 1)


def shrunk(x):
    return x - 0.1 * x


def in_graphs(trials, context):
    step = context.compiled(shrunk)

    def learn(x, number):
        return step(step(x)), x.sum(dim=1)

    x = torch.zeros(len(trials), 1000, device=context.device)
    repeat(learn, x, 10, context, title="graphs", seeds=[trial.seed for trial in trials])
    return [{}] * len(trials)


def test_graphs_are_counted_and_what_is_inside_of_them():
    experiment = Experiment("tiny.graphs", "t", "f", in_graphs, {"live": Tier((Descending(),), seeds=(0,))}, varies=())
    (eager,) = rehearse(experiment, experiment.trials("live")).loops
    assert (eager.launches, eager.graphs, eager.captured) == (5, 0, 0)
    (loop,) = rehearse(experiment, experiment.trials("live"), compile=True).loops
    assert (loop.launches, loop.graphs, loop.captured) == (7, 2, 4), "two copies are made of what leaves the graphs"
    plans = plan(experiment)
    assert plans.batches[0].seconds == pytest.approx(10 * (5 * LAUNCH + 4 * REPLAYED))
    assert plan(experiment, compile=False).batches[0].seconds == pytest.approx(10 * 5 * LAUNCH)
    assert "a graph is one launch, of 2 operations on average" in text_of(plans)
    assert "compiled" not in text_of(plan(experiment, compile=False))


@pytest.mark.parametrize(("kind", "words"), [("waits", "cannot run on a GPU"), ("copies", "not on the device")])
def test_a_plan_says_what_is_wrong(kind, words):
    (own,) = plan(squares(kind)).batches
    assert words in own.trouble
    assert words in text_of(plan(squares(kind)))


def test_what_computes_on_the_cpu_is_not_rehearsed():
    (own,) = plan(squares("waits", cpu_only=True)).batches
    assert (own.trouble, own.loops, own.seconds) == ("computes on the CPU", (), 0)


def test_an_operation_that_a_dry_run_does_not_know_is_named():
    def run(trials, context):
        torch.unique_consecutive(torch.ones(3, device=context.device))

    experiment = Experiment("paper.unknown", "t", "f", run, {"live": Tier((Descending(),), (0,))})
    with pytest.raises(UsageError, match="operation='aten.unique_consecutive'"):
        rehearse(experiment, experiment.trials("live"))
