"""Explorers hold the records that they show."""

from dataclasses import replace

import numpy as np
import pytest
from rcgvf_worlds import good, made_up

from tutorlib.lab import UsageError
from tutorlib.papers.rcgvf import analysis, explorers, figures
from tutorlib.show.packing import unpack
from tutorlib.show.style import NAMES


@pytest.fixture(scope="module")
def records():
    return made_up(good)


def test_the_fading_explorer_holds_the_records(records):
    runs = records["rcgvf.dissipation"]
    data = explorers.fading_explorer(runs).data
    gamma, view = data["choosers"]
    assert gamma["values"] == ["0", "0.3", "0.6", "0.9"]
    assert len(view["values"]) == 2
    assert [line["label"] for line in data["lines"]] == ["error", "disagreement", "product", "RND"]
    assert data["positions"] == list(range(1, 81))
    assert data["start"] == {"gamma": 2, "view": 0}
    for line, name in zip(data["lines"], ("error", "disagreement", "bonus"), strict=False):
        for g, value in enumerate((0.0, 0.3, 0.6, 0.9)):
            curve = analysis.curve(analysis.fading(runs, value), name)
            shown = 10 ** np.array(unpack(line["values"])[g])
            assert shown[0] == pytest.approx(curve, rel=1e-3)
            assert shown[1] == pytest.approx(curve / curve[0], rel=1e-3)
    rnd = 10 ** np.array(unpack(data["lines"][3]["values"]))
    assert rnd[0] == pytest.approx(1.02 / np.arange(1, 81), rel=1e-3)
    assert data["numbers"][2]["values"] == pytest.approx([80.0] * 4)
    lowest = min(analysis.curve(analysis.fading(runs, 0.0), "bonus"))
    assert data["y"]["low"] <= lowest / 1.0
    assert "50%" in data["note"]
    assert not any("_" in words for words in (gamma["label"], data["title"], data["note"], data["y"]["label"]))
    for wrong in ([], records["rcgvf.lock"]):
        with pytest.raises(UsageError, match="records="):
            explorers.fading_explorer(wrong)


def test_the_replay_of_the_lock_holds_the_records(records):
    def reached(seed):
        return [[1.0, (place + 1 + seed) / 10, *18 * [0.0]] for place in range(4)]

    groups = analysis.methods(records["rcgvf.lock"])
    groups["RND"] = [
        replace(r, metrics={"evals": r.metrics["evals"] | {"reached": reached(r.seed)}}) for r in groups["RND"]
    ]
    data = explorers.lock_explorer(groups).data
    frames, seed = data["choosers"]
    assert frames["values"] == ["1", "2", "3", "4"]
    assert seed["values"] == ["mean of 5", *(f"seed {s}" for s in range(5))]
    assert data["positions"] == list(range(20))
    assert [line["label"] for line in data["lines"]] == list(groups)
    assert [line["colour"] for line in data["lines"]] == [NAMES[figures.colour_of(label)] for label in groups]
    shown = unpack(data["lines"][1]["values"])  # [frames][seed][column]
    for look in range(4):
        assert 10 ** shown[look][0][1] == pytest.approx((look + 3) / 10, rel=1e-3)
        for s in range(5):
            assert 10 ** shown[look][1 + s][1] == pytest.approx((look + 1 + s) / 10, rel=1e-3)
            assert shown[look][1 + s][2:] == [None] * 18
    numbers = {number["name"]: number["values"] for number in data["numbers"]}
    assert [row[0] for row in numbers["far3"]] == pytest.approx([3.9, 7.4, 10.9, 14.4])
    assert numbers["far3"][3][1:] == pytest.approx([14, 15, 14, 15, 14])
    assert numbers["greedy0"][0][1:] == pytest.approx([-0.2 + 0.01 * s for s in range(5)])
    assert "RC-GVF: 100" in data["note"]
    assert "PPO" not in data["note"]
    assert "chosen on these very seeds" in data["note"]


def test_the_replay_refuses_other_records(records):
    groups = analysis.methods(records["rcgvf.lock"])
    for wrong in ({}, {"parts": records["rcgvf.ablations"]}):
        with pytest.raises(UsageError, match="groups="):
            explorers.lock_explorer(wrong)
    with pytest.raises(UsageError, match="seeds="):
        explorers.lock_explorer(groups | {"PPO": groups["PPO"][:3]})
