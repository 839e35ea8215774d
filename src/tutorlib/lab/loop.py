"""The loop that all algorithms share: steps and looks, a log, checkpoints by time, and runs that diverge.

An algorithm gives a pure function from a state and the number of a step to the next state and a log. A state is a
NamedTuple of tensors, NamedTuples and whole numbers; its tensors have a first axis of runs, which learn side by side
and do not touch. What is random is a function of (seed, step), or comes from generators that are kept with the state:
so a run that was killed goes on bit by bit as if it had not been.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from tutorlib.lab.checkpoint import Rows
from tutorlib.lab.errors import CheckpointError, NonFiniteError, bad_argument, checked
from tutorlib.lab.experiment import Context, Dry

Step = Callable[[Any, int], tuple[Any, Any]]
"""A state and the number of a step, from 0, in; the state after it and what is to be logged of it out."""
Evaluate = Callable[[Any, int], Tensor]
"""A state and the number of steps before it in; what was seen out."""


class Course(NamedTuple):
    """What a loop leaves."""

    state: Any
    """after the last step"""
    log: Any
    """what the steps logged, with a first axis of steps"""
    evals: list[Tensor]
    """what ``evaluate`` returned, each time"""


@checked(counts=("steps", "eval_every"))
def repeat(
    step: Step,
    state: Any,
    steps: int,
    context: Context,
    *,
    title: str,
    seeds: Sequence[int],
    eval_every: int | None = None,
    evaluate: Evaluate | None = None,
    log: Any = Tensor,
    generators: Sequence[torch.Generator] = (),
    advice: str = "a smaller lr may help",
) -> Course:
    """Take ``steps`` steps from ``state``, and look after each ``eval_every`` of them (at the end, if it is None).

    ``seeds``: those of the runs on the first axis of every tensor of the state and the log. ``log``: what a step logs,
    ``Tensor`` or a NamedTuple of tensors. ``generators``: those that ``step`` draws from, if its luck is no function
    of its number.

    The state is kept in the context's checkpoint at the end, and whenever ``context.save_every`` seconds have gone by,
    and is taken up from there. At every look, and before anything is kept, state and log are checked. A run that is not
    finite is set back to its last finite state, noted in ``context.diverged``, and the others go on; without such
    notes, or if no run is left, that is a ``NonFiniteError`` with ``advice``. Raises ``CheckpointError`` for a kept
    state that this loop cannot go on from, and ``UsageError`` for a number that is none.
    """
    watch = _Watch(steps, seeds, context, advice)
    leaves, shape = pytree.tree_flatten(state)
    every = eval_every or steps
    kept = _Log(log)
    if context.dry is not None:
        return _rehearsed(step, state, steps, context.dry, title, every, evaluate, kept)
    evals: list[Tensor] = []
    begin = 0
    if context.checkpoint and (saved := _resumed(context, leaves, steps, every if evaluate else 0, kept, generators)):
        state, begin, evals = pytree.tree_unflatten(saved["state"], shape), saved["step"], saved["looks"]
        kept.past, watch.gone = tuple(saved["log"]), saved["diverged"]
        watch.note()
    good, last = (state, begin), time.monotonic()
    context.progress.start(steps, title, begin)
    for number in range(begin, steps):
        state, row = step(state, number)
        kept.add(row)
        done = number + 1
        due = context.checkpoint is not None and (done == steps or time.monotonic() - last >= context.save_every)
        if due or done % every == 0 or done == steps:
            state = watch.checked(*good, state, kept, done)
            good = state, done
            if evaluate and done % every == 0:
                evals.append(evaluate(state, done))
        if due and context.checkpoint:
            context.checkpoint.save(
                {
                    "step": done,
                    "state": pytree.tree_leaves(state),
                    "log": list(kept.past),
                    "looks": evals,
                    "diverged": watch.gone,
                    "generators": [generator.get_state() for generator in generators],
                    "device": context.device.type,
                }
            )
            last = time.monotonic()
        context.progress.advance()
    context.progress.close()
    return Course(state, kept.whole(), evals)


def _rehearsed(
    step: Step, state: Any, steps: int, dry: Dry, title: str, every: int, evaluate: Evaluate | None, log: "_Log"
) -> Course:
    """Return what stands for a course, after the step in the middle, which is like most, and one look."""
    state, row = dry.step(title, steps, lambda: step(state, steps // 2))
    evals = [dry.look(lambda: evaluate(state, steps))] * (steps // every) if evaluate else []
    log.add(row)
    log.accept([column.expand(steps, *column.shape[1:]) for column in log.recent()])
    return Course(state, log.whole(), evals)


class _Log:
    """What the steps logged: stacked up to the last check, and the rows since."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self.names: tuple[str, ...] = getattr(kind, "_fields", ("loss",))
        self.past: tuple[Tensor, ...] = ()
        self.rows: list[tuple[Tensor, ...]] = []

    def add(self, row: Any) -> None:
        self.rows.append(tuple(row) if isinstance(row, tuple) else (row,))

    def recent(self) -> tuple[Tensor, ...]:
        """Return the rows since the last check, stacked."""
        return tuple(torch.stack(column) for column in zip(*self.rows, strict=True))

    def accept(self, recent: Sequence[Tensor]) -> None:
        """Put ``recent`` in place of the rows since the last check."""
        pairs = zip(self.past, recent, strict=True) if self.past else ()
        self.past = tuple(torch.cat(pair) for pair in pairs) or tuple(recent)
        self.rows = []

    def whole(self) -> Any:
        return self.past[0] if self.kind is Tensor else self.kind(*self.past)


def _resumed(
    context: Context,
    leaves: list[Any],
    steps: int,
    eval_every: int,
    log: _Log,
    generators: Sequence[torch.Generator],
) -> dict[str, Any] | None:
    """Return what the checkpoint keeps, if this loop can go on from it, and set the generators; None if it is new."""
    assert context.checkpoint is not None
    saved = context.checkpoint.load(context.device)
    if saved is None:
        return None
    # A generator's state is that of one kind of device. All else moves.
    if generators and (before := saved.get("device")) != context.device.type:
        raise CheckpointError(
            f"checkpoint={str(context.checkpoint.path)!r}: expected a run that began on {context.device.type}, found "
            f"one of {before}, whose random numbers go on there alone; resume it there, or delete it and start again"
        )

    def like(step: int) -> dict[str, Any]:
        return {
            "state": leaves,
            "log": [Rows(step)] * len(log.names),
            "looks": Rows(step // eval_every if eval_every else 0),
            "diverged": dict,
            "generators": [generator.get_state() for generator in generators],
            "device": str,
        }

    saved = context.checkpoint.resume(context.device, "step", range(1, steps + 1), like)
    assert saved is not None
    for generator, state in zip(generators, saved["generators"], strict=True):
        generator.set_state(state.cpu())
    return saved


class _Watch:
    """Looks whether runs are finite, and sets back those that are not."""

    def __init__(self, steps: int, seeds: Sequence[int], context: Context, advice: str) -> None:
        if not seeds:
            raise bad_argument("seeds", list(seeds), "at least one run")
        self.steps, self.seeds, self.context, self.advice = steps, seeds, context, advice
        self.gone: dict[int, int] = {}
        """the place of each run that diverged, and the step by which it had"""

    def note(self) -> None:
        """Tell the context."""
        if self.context.diverged is not None:
            self.context.diverged.update(self.gone)

    def checked(self, good: Any, before: int, state: Any, log: _Log, done: int) -> Any:
        """Return ``state`` with the runs that are not finite as they were in ``good``, ``before`` steps from the start.

        The log since then is taken in.
        """
        recent = log.recent()
        parts = [(_name(path), leaf) for path, leaf in pytree.tree_flatten_with_path(state)[0]]
        numbers = [x for x in (*recent, *(leaf for _, leaf in parts)) if _is_real(x)]
        if not self.gone and bool(torch.stack([x.isfinite().all() for x in numbers]).all()):  # waits for a GPU once
            log.accept(recent)
            return state
        bad: dict[int, str] = {}
        first: dict[int, int] = {}
        for name, part in parts:
            for run in _broken(part, 0):
                bad.setdefault(run, f"{name} after step {done}")
        for name, column in zip(log.names, recent, strict=True):
            for run in _broken(column, 1):
                fine = column[:, run].reshape(len(column), -1).isfinite().all(dim=1)
                at = done - len(column) + int((~fine).nonzero()[0]) + 1
                if at < first.get(run, done + 1):
                    bad[run], first[run] = f"{name} of step {at}", at
        new = [run for run in bad if run not in self.gone]
        self.gone |= {run: first.get(run, done) for run in sorted(new)}
        if self.context.checkpoint:
            for run in new:
                leaves = [x[run : run + 1].clone() if isinstance(x, Tensor) else x for x in pytree.tree_leaves(good)]
                self.context.checkpoint.of_run(run).save({"step": before, "state": leaves})
        if new and (self.context.diverged is None or len(self.gone) == len(self.seeds)):
            self.note()
            raise NonFiniteError(
                f"{bad[new[0]]} of {self.steps} is not finite (seed {self.seeds[new[0]]}): expected finite numbers; "
                f"the last finite state is kept, {self.advice}"
            )
        self.note()
        if bad:
            state = self._set_back(state, good, sorted(bad))
        if self.gone:  # what such a run logs is nothing that anybody reads
            recent = tuple(self._blank(column) for column in recent)
        log.accept(recent)
        return state

    def _set_back(self, state: Any, good: Any, runs: list[int]) -> Any:
        def restored(new: Any, old: Any) -> Any:
            if not isinstance(new, Tensor):
                return new
            new = new.clone()
            new[runs] = old[runs]
            return new

        return pytree.tree_map(restored, state, good)

    def _blank(self, column: Tensor) -> Tensor:
        column = column.clone()
        column[:, sorted(self.gone)] = 0
        return column


def _is_real(x: Any) -> bool:
    return isinstance(x, Tensor) and x.is_floating_point()


def _broken(part: Any, axis: int) -> list[int]:
    """Return the runs, which lie along ``axis`` of ``part``, with an infinity or a NaN in it."""
    if not _is_real(part):
        return []
    runs = (~part.isfinite()).movedim(axis, 0)
    return runs.reshape(len(runs), -1).any(dim=1).nonzero().flatten().tolist()


def _name(path: tuple[Any, ...]) -> str:
    """Return how a sentence names a tensor of the state, such as ``theta`` or ``moments.second``."""
    return ".".join(str(getattr(key, "name", getattr(key, "idx", key))) for key in path) or "state"


__all__ = ["Course", "Evaluate", "Step", "repeat"]
