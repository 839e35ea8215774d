"""The objective beside a plain re-write, what it cannot see, and the LSTM that is GAE."""

import math
from dataclasses import replace

import pytest
import torch

from tutorlib.lab import UsageError
from tutorlib.papers.metagenrl.baselines import gae, gae_by_hand, gae_objective
from tutorlib.papers.metagenrl.model import (
    Objective,
    Seen,
    distance,
    last_of,
    read_backwards,
    standardised,
    standardised_values,
)
from tutorlib.rl import advantages

FULL = Objective(hidden=6, action_layers=2, other_layers=1, summary=4, memory=5, head_layers=1)
STRUCTURED = replace(FULL, kind="structured")


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def seen_of(nets=2, batch=3, time=6, actions=2, lengths=None, terminal=False, seed=0):
    """Return windows; those with ``lengths`` below ``time`` are padded."""
    steps = torch.tensor(lengths or nets * [batch * [time]])
    mask = (torch.arange(time) < steps.unsqueeze(-1)).double()
    value, more = drawn(nets, batch, time, seed=seed + 3), drawn(nets, batch, time, seed=seed + 4)
    following = torch.where(last_of(mask).bool(), more, torch.cat([value[..., 1:], more[..., -1:]], dim=-1))
    done = last_of(mask) if terminal else torch.zeros_like(mask)
    return Seen(
        drawn(nets, batch, time, actions, seed=seed + 1) * mask.unsqueeze(-1),
        drawn(nets, batch, time, seed=seed + 2) * mask, done, value * mask, following * mask, mask,
        torch.ones(nets, actions, dtype=torch.double),
    )  # fmt: skip


def alpha_of(objective, nets=2, seed=7):
    return 0.7 * drawn(nets, objective.parameters, seed=seed)


PI = drawn(2, 3, 6, 2, seed=9)


# A plain re-write of one window


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def plain_lstm(xs, w_x, w_h, b, units):
    """One window, entry by entry, from its last step to its first."""
    h, c, out = [0.0] * units, [0.0] * units, []
    for x in reversed(xs):
        z = [
            sum(v * w_x[k][j] for k, v in enumerate(x)) + sum(v * w_h[k][j] for k, v in enumerate(h)) + b[j]
            for j in range(4 * units)
        ]
        i, g, f, o = (z[n * units : (n + 1) * units] for n in range(4))
        c = [sigmoid(f[j] + 1) * c[j] + sigmoid(i[j]) * math.tanh(g[j]) for j in range(units)]
        h = [sigmoid(o[j]) * math.tanh(c[j]) for j in range(units)]
        out.append(h)
    return out[::-1]


def test_the_lstm_reads_backwards_and_skips_padding():
    w_x, w_h, b = drawn(2, 3, 8), drawn(2, 2, 8, seed=1), drawn(2, 8, seed=2)
    x = drawn(2, 4, 5, 3, seed=3)
    lengths = [[5, 5, 3, 1], [2, 4, 5, 5]]
    mask = (torch.arange(5) < torch.tensor(lengths).unsqueeze(-1)).double()
    y = read_backwards(x, w_x, w_h, b, mask)
    for n in range(2):
        for i, steps in enumerate(lengths[n]):
            expected = plain_lstm(x[n, i, :steps].tolist(), w_x[n].tolist(), w_h[n].tolist(), b[n].tolist(), 2)
            torch.testing.assert_close(y[n, i, :steps], torch.tensor(expected, dtype=torch.double))
            assert (y[n, i, steps:] == 0).all()


def test_padding_as_in_the_papers_code_hides_the_first_steps():
    """Its reversed window begins with padding, and ends after as many steps as the window has."""
    seen = seen_of(lengths=[[6, 6, 6], [6, 2, 6]])
    alpha = alpha_of(FULL)
    right, theirs = (replace(FULL, official_padding=on)(alpha, PI, seen) for on in (False, True))
    same = torch.ones(2, 3, dtype=torch.bool)
    same[1, 1] = False
    torch.testing.assert_close(right[same], theirs[same])
    assert (right[1, 1, :2] - theirs[1, 1, :2]).abs().min() > 1e-6
    flat = seen._replace(reward=seen.reward + 10 * seen.mask * (torch.arange(6) == 1))
    moved = replace(FULL, official_padding=True)(alpha, PI, flat)
    assert not torch.equal(moved[0], theirs[0])


@pytest.mark.parametrize("objective", [FULL, STRUCTURED], ids=["full", "structured"])
def test_a_padded_window_says_what_it_says_without_padding(objective):
    """Whatever stands in the padding, and however long it is."""
    lengths = [[6, 4, 2], [1, 6, 5]]
    seen, alpha = seen_of(lengths=lengths), alpha_of(objective)
    y = objective(alpha, PI, seen)
    noise = 1 - seen.mask
    full_of = Seen(
        seen.action + 5 * noise.unsqueeze(-1), seen.reward + 7 * noise, seen.done + noise, seen.value - 3 * noise,
        seen.following + 2 * noise, seen.mask, seen.used,
    )  # fmt: skip
    again = objective(alpha, PI + noise.unsqueeze(-1), full_of)
    torch.testing.assert_close(y * seen.mask, again * seen.mask)
    assert ((y * seen.mask)[seen.mask.bool()] != 0).all()


def test_standardised_inputs():
    seen = seen_of(lengths=[[6, 4, 2], [1, 6, 5]])
    r = standardised(seen.reward, seen.mask)
    v, following = standardised_values(seen)
    for n in range(2):
        rewards = [float(seen.reward[n, i, t]) for i in range(3) for t in range(6) if seen.mask[n, i, t]]
        values = [float(seen.value[n, i, t]) for i in range(3) for t in range(6) if seen.mask[n, i, t]]
        values += [float(seen.following[n, i, int(seen.mask[n, i].sum()) - 1]) for i in range(3)]
        for numbers, raw, ours in (
            (rewards, seen.reward, r),
            (values, seen.value, v),
            (values, seen.following, following),
        ):
            mean = sum(numbers) / len(numbers)
            sd = math.sqrt(sum((x - mean) ** 2 for x in numbers) / len(numbers) + 1e-8)
            torch.testing.assert_close(ours[n], (raw[n] - mean) / sd * seen.mask[n])


# What the objective can and cannot see


@pytest.mark.parametrize("objective", [FULL, STRUCTURED], ids=["full", "structured"])
def test_the_order_of_actions_is_nothing_to_it(objective):
    seen, alpha = seen_of(actions=3), alpha_of(objective)
    pi, order = drawn(2, 3, 6, 3, seed=9), [2, 0, 1]
    y = objective(alpha, pi, seen)
    torch.testing.assert_close(objective(alpha, pi[..., order], seen._replace(action=seen.action[..., order])), y)
    assert not torch.allclose(objective(alpha, pi[..., order], seen), y), "their pairs are"


@pytest.mark.parametrize("objective", [FULL, STRUCTURED], ids=["full", "structured"])
def test_an_action_of_padding_is_none(objective):
    """Two actions and a third that is not there are two actions, in what is said and in its slope."""
    seen, alpha = seen_of(), alpha_of(objective)
    padded = seen._replace(
        action=torch.cat([seen.action, torch.zeros_like(seen.action[..., :1])], dim=-1),
        used=torch.tensor([[1.0, 1.0, 0.0]], dtype=torch.double).expand(2, -1),
    )
    pi = torch.cat([PI, torch.zeros_like(PI[..., :1])], dim=-1)
    torch.testing.assert_close(objective(alpha, pi, padded), objective(alpha, PI, seen))
    slope = torch.func.grad(lambda p: objective(alpha, p, padded).sum())(pi)
    torch.testing.assert_close(slope[..., :2], torch.func.grad(lambda p: objective(alpha, p, seen).sum())(PI))


@pytest.mark.parametrize("objective", [FULL, STRUCTURED], ids=["full", "structured"])
def test_what_it_says_of_a_step_depends_on_no_earlier_policys_action(objective):
    seen, alpha = seen_of(), alpha_of(objective)
    pi = PI.clone()
    pi[:, :, 2] += 0.5
    far = (objective(alpha, pi, seen) - objective(alpha, PI, seen)).abs().amax(dim=(0, 1))
    assert (far[3:] == 0).all(), "later steps do not look back"
    assert far[2] > 1e-6
    assert (far[:2] > 1e-9).all() == (objective.kind == "full")


def test_what_is_left_out_is_not_read():
    seen = seen_of()
    for name, other in (
        ("reward", seen._replace(reward=drawn(2, 3, 6, seed=20))),
        ("following", seen._replace(following=drawn(2, 3, 6, seed=20))),
        ("value", seen._replace(value=drawn(2, 3, 6, seed=20))),
    ):
        left = tuple(i for i in FULL.inputs if i != name and not (name == "value" and i == "following"))
        left = tuple(i for i in left if not (name == "following" and i == "value"))
        without = replace(FULL, inputs=left)
        alpha = alpha_of(without)
        assert torch.equal(without(alpha, PI, other), without(alpha, PI, seen)), name
        assert not torch.allclose(FULL(alpha_of(FULL), PI, other), FULL(alpha_of(FULL), PI, seen)), name


def test_the_bound():
    objective, alpha, seen = replace(FULL, bound=0.5), alpha_of(FULL), seen_of()
    assert objective(alpha, PI, seen).abs().max() <= 0.5
    free = FULL(alpha, PI, seen)
    torch.testing.assert_close(objective(alpha, PI, seen), 0.5 * (1000 * (free / 1000).atanh() / 0.5).tanh())
    assert free.abs().max() > 0.5


def test_numbers_of_weights():
    assert Objective().parameters == 15_497
    assert Objective(inputs=("reward", "following", "value")).parameters == 15_497 - 32
    generator = torch.Generator().manual_seed(0)
    for objective in (FULL, STRUCTURED):
        alpha = objective.initial_parameters(3, generator)
        assert alpha.shape == (3, objective.parameters)
        y = objective(alpha[:2].double(), PI, seen_of())
        assert y.shape == (2, 3, 6)
    with pytest.raises(UsageError, match="alpha=.*: expected 15497 parameters"):
        Objective()(torch.zeros(2, 3, dtype=torch.double), PI, seen_of())
    with pytest.raises(UsageError, match="inputs="):
        Objective(inputs=("reward", "reward"))
    with pytest.raises(UsageError, match=r"kind='whole': expected one of full, structured"):
        Objective(kind="whole")


# GAE


def test_advantages_are_those_of_a_rollout():
    seen = seen_of(terminal=True)
    theirs = advantages(
        seen.reward.movedim(-1, 0), seen.value.movedim(-1, 0), seen.following[..., -1], seen.done.movedim(-1, 0) > 0,
        0.9, 0.8,
    )  # fmt: skip
    torch.testing.assert_close(gae(seen, 0.9, 0.8), theirs.movedim(0, -1))


def test_padding_gives_no_advantage():
    seen = seen_of(lengths=[[6, 4, 2], [1, 6, 5]])
    whole = gae(seen, 0.9, 0.8)
    assert ((whole == 0) == (seen.mask == 0)).all()
    short = Seen(*(x[1:, 2:, :5] for x in seen[:6]), seen.used[1:])
    torch.testing.assert_close(gae(short, 0.9, 0.8)[0, 0], whole[1, 2, :5])


def test_the_slope_of_gaes_objective_by_the_action():
    seen = seen_of()
    slope = torch.func.grad(lambda p: gae_objective(p, seen, 0.9, 0.8).sum())(PI)
    a = gae(seen, 0.9, 0.8).unsqueeze(-1)
    torch.testing.assert_close(slope, -2 * a * (seen.action - PI) / 2)
    scaled = standardised(gae(seen, 0.9, 0.8), seen.mask) * distance(PI, seen)
    torch.testing.assert_close(gae_objective(PI, seen, 0.9, 0.8, scaled=True), scaled)


def test_an_lstm_set_by_hand_is_gae():
    objective = Objective("structured", summary=3, memory=4, other_layers=0, head_layers=0)
    seen = seen_of(batch=4, time=8)
    pi = drawn(2, 4, 8, 2, seed=5)
    alpha = gae_by_hand(objective, seen, 0.9, 0.8)
    expected = standardised(gae(seen, 0.9, 0.8), seen.mask) * distance(pi, seen)
    torch.testing.assert_close(objective(alpha, pi, seen), expected, rtol=1e-5, atol=1e-6)
    other = standardised(gae(seen, 0.9, 0.7), seen.mask) * distance(pi, seen)
    assert (objective(alpha, pi, seen) - other).abs().max() > 0.01
    with pytest.raises(UsageError, match="objective=.*: expected structured, with other_layers=0"):
        gae_by_hand(STRUCTURED, seen, 0.9, 0.8)
