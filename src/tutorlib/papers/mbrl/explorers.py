"""Explorers of model-based generalisation: records in, interactive figures out."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tutorlib.lab import Record, interval, select
from tutorlib.lab.errors import bad_argument
from tutorlib.papers.mbrl.analysis import AGENTS, class_label, classes, evals, last, transition_counts
from tutorlib.papers.mbrl.figures import dream_picture
from tutorlib.papers.mbrl.offline import GROUPS, best_rate
from tutorlib.show.curves import Line, Number, curves_data, curves_picture
from tutorlib.show.explorer import Explorer
from tutorlib.show.grid import grid_data
from tutorlib.show.style import png

GROUP_WORDS = dict(
    zip(
        GROUPS,
        (
            "all",
            "those that are ever reached",
            "those of the data",
            "others that are reached",
            "those never reached",
        ),
        strict=True,
    )
)
ROWS = ("truth", "dream", "probability", "dream, logit as probability")
"""what the dream viewer can show"""


def _expect(records: Sequence[Record], experiment: str) -> None:
    """Raise ``UsageError`` unless there are records, all of ``experiment``."""
    names = sorted({r.experiment for r in records})
    if names != [experiment]:
        raise bad_argument("records", names, f"records of {experiment}")


def version_space_explorer(records: Sequence[Record]) -> Explorer:
    """Return the explorer of ``mbrl.sets``: class of models and number of transitions -> what stays possible.

    The chart is of one true model, the example of the first seed; ratios are means over all seeds and true models.
    Raises ``UsageError`` if the records are of another experiment.
    """
    _expect(records, "mbrl.sets")
    groups = {class_label(*c): select(records, bits=c[0], more=c[1]) for c in classes(records)}
    first = [runs[0].metrics for runs in groups.values()]
    counts = len(first[0]["free"])
    bins, high = len(first[0]["histogram"]["free"][0]), first[0]["high"]

    def shares(name: str) -> list[list[list[float]]]:
        """Return which share of a set lies in each part of the axis: [class][transitions][part]."""
        rows = [np.array(metrics["histogram"][name], float) for metrics in first]
        return [(row / row.sum(axis=1, keepdims=True)).tolist() for row in rows]

    based, free = shares("based"), shares("free")
    lines: list[Line] = [
        {"label": "model-based", "values": based},
        {"label": "model-free", "values": free},
        {"label": "before any data", "values": [rows[0] for rows in free], "over": ["models"], "thin": True},
    ]
    ratios = [
        [interval([r.metrics["free"][n] / r.metrics["based"][n] for r in runs]).value for n in range(counts)]
        for runs in groups.values()
    ]
    numbers: list[Number] = [
        {"name": name, "label": label, "values": [metrics["example"][name] for metrics in first]}
        for name, label in (
            ("models", "models that agree"),
            ("based", "value functions left, model-based"),
            ("free", "value functions left, model-free"),
        )
    ]
    numbers.append({"name": "ratio", "label": "model-free over model-based, mean of many models", "values": ratios})
    many = sum(r.config["models"] for r in next(iter(groups.values())))
    data = curves_data(
        title="Which values are still possible",
        choosers=[
            {"name": "models", "label": "class of models", "values": list(groups)},
            {"name": "transitions", "label": "transitions seen", "values": list(range(counts))},
        ],
        x={"label": "value of the first action in the state of all zeros", "low": 0.0, "high": high},
        y={"label": "share of the value functions left", "low": 0.0, "high": 1.0},
        positions=[(i + 0.5) * high / bins for i in range(bins)],
        lines=lines,
        numbers=numbers,
        marks=[
            {"label": "truth", "x": [metrics["example"]["value"] for metrics in first], "over": ["models"]},
        ],
        start={"transitions": min(4, counts - 1)},
        note=(
            f"One true model of each class and one course of transitions; the ratio is of mean sizes of {many} true "
            f"models. Factored: each bit reads itself and the action alone; extra: so many more bits are read; "
            f"tabular: each bit reads all. Model-based: value functions of the models that agree with all transitions. "
            f"Model-free: value functions that obey the Bellman equation at each of them."
        ),
    )
    label = "What transitions leave of a class of value functions, by a model and by the Bellman equation alone"
    return Explorer("curves_explorer", data, label, png(curves_picture(data)))


def offline_explorer(records: Sequence[Record]) -> Explorer:
    """Return the explorer of ``mbrl.offline``: transitions and group of patterns -> error of Q over updates.

    Lines are medians over seeds. Raises ``UsageError`` if the records are of another experiment.
    """
    _expect(records, "mbrl.offline")
    agents = [agent for agent in AGENTS if any(r.config["agent"] == agent for r in records)]
    ks, updates = transition_counts(records), records[0].metrics["evals"]["updates"]
    runs = {(agent, k): select(records, agent=agent, transitions=k) for agent in agents for k in ks}

    def median(agent: str, k: int, group: str) -> list[float] | None:
        chosen = runs[agent, k]
        if not all(r.metrics["patterns"][group] for r in chosen):
            return None  # some seed has no such pattern
        return np.median(evals(chosen, "rmse", group), axis=0).tolist()

    values = {agent: [[median(agent, k, group) for group in GROUPS] for k in ks] for agent in agents}
    every = [v for rows in values.values() for row in rows for curve in row if curve for v in curve]
    pipes, seeds = records[0].config["pipes"], len({r.seed for r in records})
    numbers: list[Number] = [
        {"name": agent, "label": f"{AGENTS[agent]}, reward of a step",
         "values": [float(np.median(last(runs[agent, k], "rate"))) for k in ks],
         "over": ["transitions"]}
        for agent in agents
    ]  # fmt: skip
    numbers.append({"name": "best", "label": "best player", "values": best_rate(pipes), "over": []})
    data = curves_data(
        title="What Q becomes of a few random transitions",
        choosers=[
            {"name": "transitions", "label": "random transitions", "values": ks},
            {"name": "group", "label": "patterns", "values": list(GROUP_WORDS.values()), "kind": "buttons"},
        ],
        x={"label": "update", "low": 0, "high": updates[-1]},
        y={"label": "error of Q", "low": 10 ** math.floor(math.log10(min(every))),
           "high": 10 ** math.ceil(math.log10(max(every) * 1.01)), "log": True},
        positions=updates,
        lines=[{"label": AGENTS[agent], "values": rows} for agent, rows in values.items()],
        numbers=numbers,
        start={"transitions": min(1, len(ks) - 1)},
        note=(
            f"A flute of {pipes} pipes; all its patterns can be listed, so Q is held against the exact q*: root of the "
            f"mean squared error, medians of {seeds} seeds. Errors that rise with updates are divergence, and "
            f"not what data leave open. Greedy policies after the last update."
        ),
    )  # fmt: skip
    label = "Error of Q over updates on the same few transitions: replay, a learned and a perfect model"
    return Explorer("curves_explorer", data, label, png(curves_picture(data)))


def cell_names(pipes: int) -> list[str]:
    """Return the cells of a flute in words, in the order of its observations."""
    return [f"pipe {i}, cell {j}" for i in range(pipes) for j in range(i + 1)]


def dream_explorer(record: Record) -> Explorer:
    """Return the viewer of ``mbrl.dreams``: a true course of patterns beside what the model imagines, over updates.

    Raises ``UsageError`` if the record is of another experiment.
    """
    _expect([record], "mbrl.dreams")
    truth, actions, pipes = record.metrics["truth"], record.metrics["actions"], record.config["pipes"]
    measured = record.metrics["evals"]
    updates = measured["updates"]
    names, steps = cell_names(pipes), range(len(actions) + 1)

    def at(row: str, place: int, cell: int, step: int) -> float | None:
        if row == "truth":
            return float(truth[step][cell])
        if row == "probability":
            return measured["probability"][place][step - 1][cell] if step else None
        return float(measured["dreamt" if row == "dream" else "official"][place][step][cell])

    def course(cell: int, step: int) -> list[float] | None:
        """Return the probability of one cell after one step, over the evaluations."""
        return [probability[step - 1][cell] for probability in measured["probability"]] if step else None

    def nested(value: Any) -> list:
        """Return value(row, place, cell, step) nested as [row][place][cell][step]."""
        cells, times = range(len(names)), range(len(updates))
        return [
            [[[value(row, place, cell, step) for step in steps] for cell in cells] for place in times] for row in ROWS
        ]

    data = grid_data(
        title="A tune as it is, and as the model dreams it",
        x={"label": "step", "values": [str(step) for step in steps]},
        y={"label": "cell", "values": names},
        slider={"label": "update", "values": updates},
        toggle={"label": "shown", "values": ROWS},
        metrics=[{"name": "on", "label": "cell is on", "low": 0.0, "high": 1.0}],
        values={"on": nested(at)},
        chart={
            "x": "update",
            "y": "probability",
            "low": 0.0,
            "high": 1.0,
            "positions": updates,
            "curves": [
                {"label": "the model's", "values": nested(lambda row, place, cell, step: course(cell, step))},
            ],
            "references": [],
        },
        start={"step": len(updates) - 1, "toggle": 1},
        note=(
            f"A flute of {pipes} pipes whose best tune is played from empty pipes: {', '.join(map(str, actions))} are "
            f"pressed, one in each step. Nothing sounds by itself here. The "
            f"model learned from {record.config['transitions']} random transitions. A dream goes on from its own "
            f"samples, with the same luck at all updates. The last row of buttons samples with logits for "
            f"probabilities, as the paper's code does. Chart: the probability that the chosen cell is on after the "
            f"chosen step."
        ),
        decimals=2,
    )  # fmt: skip
    label = "Cells of a flute, step by step: what is true and what a learned model imagines, while it learns"
    return Explorer("grid_explorer", data, label, png(dream_picture(record)))
