"""Data and picture of the push explorer: what is kept, and what is refused."""

import base64
from itertools import product

import matplotlib as mpl
import numpy as np
import pytest
from pushing import POLICY, REWARDS, SIZES, STEPS, VALUES, advantages_by_library, alpha_of, fake_push

from tutorlib.lab import UsageError
from tutorlib.show.faults import faults
from tutorlib.show.push import PUSHES, push_data, push_picture

mpl.use("agg")


def test_the_data_hold_what_was_given():
    data = push_data(**fake_push())
    assert np.allclose(np.frombuffer(base64.b64decode(data["alpha"]), "<f4"), alpha_of(SIZES))
    assert (data["rewards"], data["values"], data["policy"]) == (REWARDS.tolist(), VALUES.tolist(), POLICY.tolist())
    assert data["ranges"] == {"reward": [-2, 2], "value": [-3, 3], "action": [-1, 1]}
    assert data["start"] == {"row": "reward", "step": 3, "number": 2.0}
    assert [name for name, _ in data["pushes"]] == [name for name, _, _ in PUSHES]


BAD = {
    "alpha": ([1.0] * 7, "alpha has shape"),
    "sizes": (SIZES | {"memory": 0}, "sizes memory"),
    "discounts": ((0.9, 1.1), "discounts"),
    "rewards": ([[1.0] * STEPS, [1.0] * (STEPS - 1)], "rewards"),
    "values": (VALUES[:, :-1].tolist(), "values has shape"),
    "actions": ([1.5] * STEPS, "actions"),
    "policy": ([float("nan")] * STEPS, "policy"),
    "slopes": ([0.0] * (STEPS + 1), "slopes has shape"),
    "spreads": ([1.0, 0.0, 1.0], "spreads"),
    "reward_range": ((0.0, 0.1), "reward_range"),
    "value_range": ((3.0, -3.0), "value_range"),
    "start": ({"row": "pay", "step": 1, "number": 1.0}, "start row"),
}


@pytest.mark.parametrize(("name", "given", "words"), [(name, *rest) for name, rest in BAD.items()])
def test_what_does_not_fit_is_refused(name, given, words):
    with pytest.raises(UsageError, match=words):
        push_data(**fake_push(**{name: given}))


@pytest.mark.parametrize(("step", "number"), [(STEPS, 1.0), (-1, 1.0), (1.5, 1.0), (True, 1.0), (1, 2.5), (1, None)])
def test_a_start_that_cannot_be_is_refused(step, number):
    with pytest.raises(UsageError, match="start (step|number)"):
        push_data(**fake_push(start={"row": "reward", "step": step, "number": number}))


def test_the_picture_shows_credit_before_and_after():
    data = push_data(**fake_push())
    rewards = REWARDS[0].tolist()
    then = [*rewards[:3], 2.0, *rewards[4:]]
    pairs = [advantages_by_library(r, VALUES[0].tolist()) for r in (rewards, then)]
    figure = push_picture(data, [pair[0] for pair in pairs], [pair[1] for pair in pairs])
    assert faults(figure) == []
    top, _, credit, low = figure.axes
    assert [bar.get_height() for bar in top.patches] == then
    heights = [bar.get_height() for bar in credit.patches]
    assert heights == pytest.approx([*pairs[1][0], *pairs[1][1]])
    lines = [line.get_ydata()[0] for line in credit.lines]
    assert lines == pytest.approx([*pairs[0][0], *pairs[0][1]])
    away = 2 * (np.array(data["actions"]) - np.array(data["policy"]))
    for i, push in enumerate((away * pairs[1][0], away * pairs[1][1], np.array(data["slopes"]))):
        expected = np.clip(push / data["spreads"][i], -2.6, 2.6) * 0.3
        assert pytest.approx(expected) == low.collections[i].V


@pytest.mark.parametrize("which", [0, 1])
def test_a_picture_of_other_advantages_is_refused(which):
    both = [np.zeros((2, STEPS)), np.zeros((2, STEPS))]
    both[which] = np.zeros((1, STEPS))
    with pytest.raises(UsageError, match=("learned", "gae")[which]):
        push_picture(push_data(**fake_push()), *both)


def test_as_many_sizes_as_the_library_has():
    for layers, memory in product((0, 1, 3), (1, 8)):
        sizes = SIZES | {"other_layers": layers, "memory": memory}
        push_data(**fake_push(sizes=sizes, alpha=alpha_of(sizes).tolist()))
