"""Explorers of VSML: records in, interactive figures out."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tutorlib.lab import Record
from tutorlib.lab.errors import bad_argument
from tutorlib.papers.vsml.measures import ESCAPE
from tutorlib.show.curves import curves_data, curves_picture
from tutorlib.show.explorer import Explorer
from tutorlib.show.style import png


def plateau_explorer(records: Sequence[Record]) -> Explorer:
    """Return the explorer of ``vsml.plateau``: gate biases, learning rate, horizon and classes to the meta-loss.

    The escape is the median over seeds of the first look off the plateau; a run that stays on it counts as later than
    all others. Raises ``UsageError`` if the records are of another experiment, or a combination is missing.
    """
    if not records or any(r.experiment != "vsml.plateau" for r in records):
        raise bad_argument("records", sorted({r.experiment for r in records}), "records of vsml.plateau")
    groups: dict[tuple, list[Record]] = {}
    for record in records:
        groups.setdefault(_knobs(record), []).append(record)
    biases, lrs, lengths, classes = (sorted({key[i] for key in groups}) for i in range(4))
    c = records[0].config
    every = c["steps"] // c["num_evals"]
    steps = [every * (i + 1) for i in range(c["num_evals"])]

    def nested(value: Any) -> list:
        """Return value(runs) nested as [bias][lr][length][classes]."""
        return [[[[value(groups[f, r, t, b]) for b in classes] for t in lengths] for r in lrs] for f in biases]

    try:
        losses = nested(lambda runs: np.array([r.metrics["evals"]["loss"] for r in runs]))
    except KeyError as error:
        raise bad_argument("records", error.args[0], "runs for every combination of the knobs") from None

    def over(value: Any) -> list:
        return [[[[value(cell) for cell in row] for row in plane] for plane in block] for block in losses]

    seeds = len(next(iter(groups.values())))
    escapes = nested(lambda runs: _median([r.metrics["escape"] for r in runs]))
    left = nested(lambda runs: f"{sum(r.metrics['escape'] > 0 for r in runs)} of {len(runs)}")
    data = curves_data(
        title="How long the plateau lasts",
        choosers=[
            {"name": "bias", "label": "gate biases (forget, input)", "kind": "buttons",
             "values": [", ".join(f"{b:+g}".replace("-", "−") if b else "0" for b in pair) for pair in biases]},
            {"name": "rate", "label": "learning rate", "values": lrs},
            {"name": "length", "label": "horizon: examples in a lifetime", "values": lengths},
            {"name": "classes", "label": "classes", "kind": "buttons", "values": classes},
        ],
        x={"label": "meta-steps", "low": 0, "high": steps[-1]},
        y={"label": "meta-loss (nats)", "low": 0.0, "high": math.ceil(10 * math.log(max(classes))) / 10 + 0.1},
        positions=steps,
        lines=[
            {"label": "mean of seeds", "values": over(lambda cell: cell.mean(axis=0).tolist())},
            {"label": "lowest", "values": over(lambda cell: cell.min(axis=0).tolist()), "thin": True},
            {"label": "highest", "values": over(lambda cell: cell.max(axis=0).tolist()), "thin": True},
            {"label": "guessing", "over": ["classes"], "thin": True,
             "values": [[math.log(b)] * len(steps) for b in classes]},
        ],
        marks=[{"label": "escape", "x": escapes}],
        numbers=[
            {"name": "escape", "label": "escape (median step)",
             "values": [[[["none within the run" if e is None else e for e in row] for row in plane] for plane in block]
                        for block in escapes]},
            {"name": "left", "label": "runs that left the plateau", "values": left},
            {"name": "loss", "label": "last meta-loss, mean", "values": over(lambda cell: float(cell[:, -1].mean()))},
        ],
        start={"rate": len(lrs) // 2, "length": len(lengths) - 1, "classes": len(classes) - 1},
        note=(
            f"Recorded meta-training by BPTT on prototype tasks of 8 inputs, {c['sequences']} lifetimes in a step, "
            f"{seeds} seeds (the paper's code: 784 inputs, 10 classes, 500 examples, 128 lifetimes, gate biases +5 "
            f"and −5). A run has escaped at the first look whose mean loss is below {ESCAPE:g} of that of guessing."
        ),
    )  # fmt: skip
    return Explorer("curves_explorer", data, "Length of the plateau against gate biases, learning rate, horizon and "
                    "classes", png(curves_picture(data)))  # fmt: skip


def _knobs(record: Record) -> tuple:
    c = record.config
    return (c["forget_bias"], c["input_bias"]), c["lr"], c["streams"]["length"], c["streams"]["classes"]


def _median(escapes: Sequence[int]) -> int | None:
    """Return the median of the escapes, none (0) being later than all; None if that is the median."""
    ordered = sorted(escapes, key=lambda e: e or math.inf)
    return ordered[len(ordered) // 2] or None
