"""The loop around updates: it takes up a checkpoint, steps, looks, refuses what is not finite, and keeps the state.

Nothing here is of the paper; both agents use it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from tutorlib.lab import Cell, Context
from tutorlib.lab.checkpoint import Rows
from tutorlib.lab.errors import NonFiniteError
from tutorlib.lab.finite import expect_finite
from tutorlib.shapes import Tensor


def repeat(
    c: Any,
    context: Context,
    title: str,
    state: Any,
    step: Callable[[Any, int], tuple[Any, Any]],
    kind: Any,
    refuse: Callable[[Any, Any], None],
    look: Callable[[Any], Tensor] | None = None,
) -> tuple[Any, Any, list[Tensor]]:
    """Return the state after all updates, the logs with a first axis of updates, and what ``look`` returned.

    ``step(state, number)`` returns the state after an update, and its log, of type ``kind``. At every look
    ``refuse(log, state)`` may raise; then the state is kept in the context's checkpoint, from which it is taken up.
    """
    begin, every = 0, c.updates // c.looks
    logs: list[Any] = []
    looks: list[Tensor] = []

    def like(update: int) -> dict[str, Any]:
        logged, looked = [Rows(update)] * len(kind._fields), Rows(update // every if look else 0)
        return {"state": pack(state), "log": logged, "looks": looked}

    points = range(every, c.updates + 1, every)
    if context.checkpoint and (saved := context.checkpoint.resume(context.device, "update", points, like)):
        state, begin, looks = unpack(saved["state"], state), saved["update"], saved["looks"]
        logs = [kind(*row) for row in zip(*saved["log"], strict=True)]
    context.progress.start(c.updates, title)
    context.progress.advance(begin)
    for number in range(begin, c.updates):
        state, log = step(state, number)
        logs.append(log)
        if (number + 1) % every == 0:
            refuse(stack_logs(logs), state)
            expect_finite(state._asdict(), f"after update {number + 1} of {c.updates}")
            if look:
                looks.append(look(state))
            if context.checkpoint:
                kept = {"state": pack(state), "update": number + 1, "log": list(stack_logs(logs)), "looks": looks}
                context.checkpoint.save(kept)
            context.progress.advance(every)
    context.progress.close()
    return state, stack_logs(logs), looks


def stack_logs(logs: list[Any]) -> Any:
    """Return logs of one kind as one, with a first axis of updates."""
    return type(logs[0])(*(torch.stack(part) for part in zip(*logs, strict=True)))


def pack(state: tuple) -> list:
    """Return a state as lists of tensors, for a checkpoint holds no tuples of ours."""
    return [list(part) if isinstance(part, tuple) else part for part in state]


def unpack(parts: list, like: Any) -> Any:
    """Return a state of the kind of ``like`` from its lists of tensors."""
    entries = (unpack(part, kind) if isinstance(kind, tuple) else part for part, kind in zip(parts, like, strict=True))
    return type(like)(*entries)


def refuse_non_finite(cells: Sequence[Cell], means: Mapping[str, str], log: Any, state: Any) -> None:
    """Raise ``NonFiniteError`` for the first mean of the log, or else for weights, that are not finite.

    ``means``: fields of the log, and what the sentence calls them.
    """
    for name, what in means.items():
        bad = (~getattr(log, name).isfinite()).nonzero()
        if len(bad):
            number, i = bad[0].tolist()
            raise NonFiniteError(
                f"{what} of update {number + 1} (seed {cells[i].seed}): expected finite numbers, found a mean of "
                f"{getattr(log, name)[number, i].item()}; the last finite checkpoint is kept"
            )
    for name in ("theta", "phi"):
        bad = (~getattr(state, name).isfinite().all(dim=-1)).nonzero()
        if len(bad):
            raise NonFiniteError(
                f"{name} of seed {cells[int(bad[0])].seed} after update {len(log.bonus)}: expected finite numbers; "
                f"the last finite checkpoint is kept, a smaller rate than {cells[0].config.rate} may help"
            )


__all__ = ["pack", "refuse_non_finite", "repeat", "stack_logs", "unpack"]
