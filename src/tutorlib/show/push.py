"""Data of the ``push_explorer`` module: a learned objective under a microscope, computed on the page.

A window of steps lies on a stage. The reader drags its rewards, values and actions, and sees at each step how a learned
objective would push the policy, beside GAE and the slope of a critic. The other windows of the batch stay as they were
recorded: rewards, values and advantages are standardised over all of them. The objective is the ``structured`` one of
``tutorlib.papers.metagenrl.model``. The module itself is ``push_explorer.mjs``; ``push_data`` is the only description
of what it reads.
"""

import base64
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, TypedDict

import numpy as np
from matplotlib.figure import Figure

from tutorlib.lab.errors import UsageError, bad_argument, checked, choose
from tutorlib.show.style import BLACK, BLUE, GREEN, GREY, VERMILLION, fit_title, style

PUSHES = (("learned", "learned objective", GREEN), ("gae", "GAE", BLUE), ("slope", "critic's slope", VERMILLION))
"""What pushes a policy, in the order of the page: name, label and colour."""
MOST_WINDOWS, MOST_STEPS = 64, 20


class Sizes(TypedDict):
    """Sizes of a structured objective that reads everything and has no hidden layer after its LSTM."""

    hidden: int
    other_layers: int
    summary: int
    memory: int


@checked()
def push_data(
    *,
    title: str,
    alpha: Any,
    sizes: Sizes,
    discounts: Sequence[float],
    rewards: Any,
    values: Any,
    actions: Any,
    policy: Any,
    slopes: Any,
    spreads: Sequence[float],
    reward_range: Sequence[float],
    value_range: Sequence[float],
    start: Mapping[str, Any],
    note: str = "",
) -> dict[str, Any]:
    """Return the data of the ``push_explorer`` module, checked.

    Arrays are nested lists or NumPy arrays.

    Args:
        title: heading of the figure.
        alpha: the objective's weights in the order of ``Objective``, along one axis. They are kept as float32.
        sizes: the sizes that ``alpha`` has.
        discounts: gamma and lambda of GAE.
        rewards: of all windows of the batch, [windows, steps]; the first window is on the stage.
        values: V of each step and of the state after the last one, [windows, steps + 1].
        actions: what was done in the first window, from -1 to 1, [steps].
        policy: what the policy would do there, [steps].
        slopes: of the critic by the action there, [steps].
        spreads: root mean square of the pushes of each of ``PUSHES`` over the batch; arrows are drawn relative to it.
        reward_range, value_range: how far a reader may drag.
        start: the change that the stage opens with: ``row`` (reward, value or action), ``step`` (from 0) and
            ``number``, what stands there instead.
        note: what a reader must know, such as where the window comes from.

    Raises:
        UsageError: if a size or a number does not fit; the message names the entry.
    """
    for name in Sizes.__annotations__:
        if not 0 <= sizes[name] <= 64 or (name != "other_layers" and sizes[name] == 0):  # type: ignore[literal-required]
            raise bad_argument(f"sizes {name}", sizes[name], "a whole number up to 64")  # type: ignore[literal-required]
    r = _array("rewards", rewards, (None, None))
    windows, steps = r.shape
    if not 1 <= windows <= MOST_WINDOWS or not 2 <= steps <= MOST_STEPS:
        raise bad_argument("rewards", r.shape, f"up to {MOST_WINDOWS} windows of 2 to {MOST_STEPS} steps")
    v = _array("values", values, (windows, steps + 1))
    of_steps = {
        name: _array(name, given, (steps,))
        for name, given in (("actions", actions), ("policy", policy), ("slopes", slopes))
    }
    for name in ("actions", "policy"):
        if np.abs(of_steps[name]).max() > 1:
            raise bad_argument(name, float(np.abs(of_steps[name]).max()), "numbers from -1 to 1")
    keep = _array("discounts", discounts, (2,))
    if keep.min() < 0 or keep.max() > 1:
        raise bad_argument("discounts", keep.tolist(), "gamma and lambda, from 0 to 1")
    rms = _array("spreads", spreads, (len(PUSHES),))
    if rms.min() <= 0:
        raise bad_argument("spreads", rms.tolist(), "positive numbers")
    ranges = {}
    for name, given, shown in (("reward_range", reward_range, r[0]), ("value_range", value_range, v[0])):
        low, high = _array(name, given, (2,)).tolist()
        if not low < high or shown.min() < low or shown.max() > high:
            raise bad_argument(name, [low, high], "two numbers, in order, with all of the first window between them")
        ranges[name] = [low, high]
    every = {"reward": ranges["reward_range"], "value": ranges["value_range"], "action": [-1.0, 1.0]}
    return {
        "title": title,
        "note": note,
        "start": _start(start, every, steps),
        "alpha": _alpha(alpha, sizes),
        "sizes": dict(sizes),
        "discounts": keep.tolist(),
        "rewards": r.tolist(),
        "values": v.tolist(),
        **{name: given.tolist() for name, given in of_steps.items()},
        "spreads": rms.tolist(),
        "ranges": every,
        "pushes": [[name, label] for name, label, _ in PUSHES],
    }


def _array(name: str, given: Any, shape: tuple[int | None, ...]) -> np.ndarray:
    """Return an array of finite numbers; None in ``shape`` stands for any length."""
    try:
        numbers = np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        raise bad_argument(name, given, "numbers") from None
    fits = numbers.ndim == len(shape) and all(w in (None, n) for w, n in zip(shape, numbers.shape, strict=True))
    if not fits:
        raise UsageError(f"{name} has shape {numbers.shape}: expected {tuple(n or 'any' for n in shape)}")
    if not np.isfinite(numbers).all():
        raise bad_argument(name, float(numbers[~np.isfinite(numbers)][0]), "finite numbers")
    return numbers


def _start(start: Mapping[str, Any], ranges: Mapping[str, list[float]], steps: int) -> dict[str, Any]:
    """Return the change that the stage opens with."""
    row = choose("start row", str(start.get("row")), ranges)
    step, number = start.get("step"), _array("start number", start.get("number"), ()).item()
    if isinstance(step, bool) or not isinstance(step, int) or not 0 <= step < steps:
        raise bad_argument("start step", step, f"a whole number from 0 to {steps - 1}")
    if not ranges[row][0] <= number <= ranges[row][1]:
        raise bad_argument("start number", number, f"a number from {ranges[row][0]:g} to {ranges[row][1]:g}")
    return {"row": row, "step": step, "number": number}


def _alpha(alpha: Any, sizes: Sizes) -> str:
    """Return alpha as float32 numbers, the lowest byte first, in base 64."""
    widths = [4, *sizes["other_layers"] * [sizes["hidden"]], sizes["summary"]]
    layers = sum((n + 1) * m for n, m in pairwise(widths))
    memory = sizes["memory"]
    size = layers + (sizes["summary"] + memory + 1) * 4 * memory + memory + 1
    numbers = _array("alpha", alpha, (None,)).astype("<f4")
    if len(numbers) != size:
        raise UsageError(f"alpha has shape {numbers.shape}: expected ({size},) for these sizes")
    return base64.b64encode(numbers.tobytes()).decode("ascii")


@checked()
def push_picture(data: Mapping[str, Any], learned: Any, gae: Any) -> Figure:
    """Return the stage as it opens, as a picture, for where no script runs.

    Args:
        data: what ``push_data`` returned.
        learned: the learned advantages of the first window's steps, before the change and after it, [2, steps].
        gae: GAE's, standardised over the batch, [2, steps].

    Raises:
        UsageError: if one of both has another shape.
    """
    actions, policy = np.asarray(data["actions"]), np.asarray(data["policy"])
    steps = len(actions)
    credits_ = [_array("learned", learned, (2, steps)), _array("gae", gae, (2, steps))]
    away = 2 * (actions - policy)
    pushes = [*(both[1] * away for both in credits_), np.asarray(data["slopes"])]
    at = np.arange(1, steps + 1)
    start = data["start"]
    now = {name: list(data[f"{name}s"][0]) for name in ("reward", "value")} | {"action": list(actions)}
    now[start["row"]][start["step"]] = start["number"]
    with style():
        figure = Figure(figsize=(6.4, 6.4), layout="constrained")
        top, middle, credit, low = figure.subplots(4, 1, sharex=True, height_ratios=(1, 1, 1.2, 2.2))
        top.bar(at, now["reward"], width=0.5, color=GREY)
        top.set(ylabel="reward", ylim=data["ranges"]["reward"])
        middle.plot(np.arange(1, steps + 2), now["value"], "o-", color=GREY, markersize=4)
        middle.set(ylabel="value", ylim=data["ranges"]["value"])
        for (before, after), (_, _, colour), x in zip(credits_, PUSHES, (at - 0.17, at + 0.17), strict=False):
            credit.bar(x, after, width=0.3, color=colour)
            credit.plot(np.stack([x - 0.15, x + 0.15]), np.stack([before, before]), color=BLACK, linewidth=1.2)
        credit.set(ylabel="credit")
        for i, ((_, label, colour), push, rms) in enumerate(zip(PUSHES, pushes, data["spreads"], strict=True)):
            length = np.clip(push / rms, -MOST_LENGTH, MOST_LENGTH) * UNIT
            x = at + (-0.17, 0.17, 0.31)[i]
            low.quiver(x, policy, 0 * length, length, color=colour, label=label, angles="xy", scale_units="xy", scale=1,
                       width=0.006)  # fmt: skip
        low.scatter(at, policy, s=26, facecolors="white", edgecolors="black", zorder=3, label="policy")
        low.scatter(at, now["action"], s=20, color="black", zorder=3, label="action")
        low.set(ylabel="action and push", xlabel="step (lines: credit before)", ylim=(-1.5, 1.5), xticks=at)
        fit_title(top, str(data["title"]))
        figure.legend(*low.get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure


UNIT, MOST_LENGTH = 0.3, 2.6
"""Length of an arrow of one spread, on the axis of actions, and the longest arrow in spreads; as on the page."""
