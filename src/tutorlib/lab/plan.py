"""What a sweep would ask of a GPU: memory, launches and hours, found on any machine by dry runs (``lab.dry``)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

from tutorlib.lab.batching import shared, side_by_side
from tutorlib.lab.dry import GB, Asked, rehearse
from tutorlib.lab.errors import UsageError, checked, expect_fields
from tutorlib.lab.experiment import Experiment, Trial

LAUNCH = 6e-6
"""seconds that a GPU takes for an operation at least, when each is started from Python"""
REPLAYED = 2e-6
"""the same inside a CUDA graph, which the GPU starts by itself; what a compiler fuses is not taken off"""
RATE = 20e12
"""operations of matrix products in a second, float32 on a GPU of today: half of its peak"""
BANDWIDTH = 2e12
"""bytes in a second that a GPU of today reads and writes"""
FEW = 8
"""runs of the smaller of the two batches that are rehearsed for a plan: the numbers of larger ones lie on a line"""
MEMORY = 80 * GB
"""of the GPU for which a plan is made; a batch that does not fit is halved, as a sweep does"""


@dataclass(frozen=True)
class Plan:
    """What one batch of a sweep would ask of a GPU."""

    trials: int
    """side by side"""
    config: Any
    """that of the first of them"""
    loops: tuple[Asked, ...]
    """none where the run computes on the CPU"""
    times: int = 1
    """how many batches like this one there are"""
    trouble: str = ""
    """why this run cannot go on a GPU as it stands"""

    def __post_init__(self) -> None:
        expect_fields(self, counts=("trials", "times"))

    @property
    def seconds(self) -> float:
        """About how long one such batch takes on a GPU: its steps, each the slowest of three.

        max(launches, products / ``RATE``, bytes moved / ``BANDWIDTH``), where a launch takes ``LAUNCH``, and one inside
        a graph ``REPLAYED``. Looks, what is prepared before and measured after are not in it.
        """
        each = (loop.steps * max(_launching(loop), loop.flops / RATE, loop.moved / BANDWIDTH) for loop in self.loops)
        return sum(each, 0.0)

    @property
    def peak(self) -> int:
        """Bytes of memory."""
        return max((loop.peak for loop in self.loops), default=0)


def _launching(loop: Asked) -> float:
    return (loop.launches - loop.captured + loop.graphs) * LAUNCH + loop.captured * REPLAYED


class Plans(NamedTuple):
    """What a sweep would ask of a GPU."""

    batches: list[Plan]
    files: dict[str, str]
    """the files of data that it wants, and for each where it lies or how to get it"""

    @property
    def hours(self) -> float:
        """About how long it takes on one GPU, one batch after the other."""
        return sum((batch.times * batch.seconds for batch in self.batches), 0.0) / 3600


@checked(counts=("batch",))
def plan(
    experiment: Experiment,
    tier: str = "live",
    *,
    seeds: Sequence[int] | None = None,
    overrides: Mapping[str, Any] | None = None,
    batch: int | None = None,
    compile: bool | None = None,
) -> Plans:
    """Return what a sweep of ``tier`` on a GPU would ask of it; the arguments are those of ``run_sweep``.

    ``compile``: None is yes, as on a GPU; what is compiled is counted in graphs. Nothing is computed, and no data are
    read.
    """
    trials = experiment.trials(tier, seeds, overrides)
    files: dict[str, str] = {}
    alike: dict[Any, list[tuple[Trial, ...]]] = {}
    for group in side_by_side(experiment, trials, batch):  # batches of one shape are planned once
        alike.setdefault((len(group), shared(group[0].config, experiment.varies or ())), []).append(group)
    compiled = compile is not False
    batches = [_plan_of(experiment, same[0], len(same), files, compiled) for same in alike.values()]
    return Plans(batches, files)


def _plan_of(experiment: Experiment, trials: Sequence[Trial], times: int, files: dict[str, str], compile: bool) -> Plan:
    @cache
    def rehearsed(n: int) -> list[Asked]:
        rehearsal = rehearse(experiment, trials[:n], compile)
        files.update(rehearsal.files)
        return rehearsal.loops

    def planned(n: int, times: int) -> Plan:
        if n <= 2 * FEW:
            return Plan(n, trials[0].config, tuple(rehearsed(n)), times)
        pairs = zip(rehearsed(FEW), rehearsed(2 * FEW), strict=True)
        return Plan(n, trials[0].config, tuple(_of_batch(n, *pair) for pair in pairs), times)

    if experiment.cpu_only:
        return Plan(len(trials), trials[0].config, (), times, "computes on the CPU")
    try:
        result = planned(len(trials), times)
        while result.peak > MEMORY and result.trials > 1:
            result = planned(-(-result.trials // 2), 2 * result.times)
    except UsageError as error:
        return Plan(len(trials), trials[0].config, (), times, f"cannot run: {error}")
    except Exception as error:  # whatever torch raises where devices are mixed, or a step waits for a value
        reason = (str(error).strip().splitlines() or [""])[0]
        return Plan(len(trials), trials[0].config, (), times, f"cannot run on a GPU: {type(error).__name__}: {reason}")
    if not result.loops:
        return replace(result, trouble="has no loop")
    waits = sum(len(loop.elsewhere) for loop in result.loops)
    return replace(result, trouble=f"{waits} operations of a step are not on the device") if waits else result


def _of_batch(n: int, small: Asked, large: Asked) -> Asked:
    """Return what a batch of ``n`` asks of a GPU: each number grows by as much with each run."""
    sizes = {
        name: getattr(small, name) + round((n - FEW) * (getattr(large, name) - getattr(small, name)) / FEW)
        for name, value in vars(large).items() if isinstance(value, int) and name != "steps"
    }  # fmt: skip
    return replace(large, **sizes)


@checked()
def text_of(plans: Plans) -> str:
    """Return a table of ``plans`` in words, a line for each kind of batch, and under it the sum of hours."""
    form = "{:>8} {:>6} {:>9} {:>14} {:>11} {:>9} {:>9} {:>8}"
    heads = ("batches", "trials", "steps", "launches/step", "graphs/step", "largest", "peak", "hours")
    lines = [form.format(*heads)]
    for batch in plans.batches:
        for place, loop in enumerate(batch.loops):
            counts = (batch.times, batch.trials) if place == 0 else ("", "")
            hours = f"{batch.times * batch.seconds / 3600:.2g}" if place == 0 else ""
            sizes = (f"{size / GB:.3g} GB" for size in (loop.largest, loop.peak))
            asked = (f"{loop.launches - loop.captured + loop.graphs:,}", f"{loop.graphs:,}")
            lines.append(form.format(*counts, f"{loop.steps:,}", *asked, *sizes, hours))
        if not batch.loops:
            lines.append(f"{batch.times:>8} {batch.trials:>6}")
        if batch.trouble:
            lines[-1] += f"  {batch.trouble}"
    if graphs := sum(loop.graphs for batch in plans.batches for loop in batch.loops):
        inside = sum(loop.captured for batch in plans.batches for loop in batch.loops)
        lines.append(f"compiled: a graph is one launch, of {inside / graphs:,.0f} operations on average")
    lines += [f"data: {file}: {where}" for file, where in plans.files.items()]
    lines.append(f"about {plans.hours:.2g} hours on one GPU; nothing was computed")
    return "\n".join(lines)


__all__ = ["BANDWIDTH", "LAUNCH", "MEMORY", "RATE", "REPLAYED", "Plan", "Plans", "plan", "text_of"]
