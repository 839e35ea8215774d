"""Predictors under a policy that never changes: the mixed policy, what they learn, and runs side by side."""

from dataclasses import replace

import pytest
import torch

from tutorlib.lab import Context, Trial, UsageError
from tutorlib.lab.errors import NonFiniteError
from tutorlib.papers.rcgvf.algorithm import draw_noise, initial_state
from tutorlib.papers.rcgvf.config import Config
from tutorlib.papers.rcgvf.fading import Fading, fade, first_predictions, mixed_policy, scaled, walk
from tutorlib.papers.rcgvf.model import predict, run

SMALL = Config(
    horizon=5, actions=4, num_envs=20, num_steps=10, updates=6, minibatch_size=50, update_epochs=2, d=6, hidden_z=8,
    hidden=8, width=4,
    num_evals=2, lr=5e-3,
)  # fmt: skip
CPU = torch.device("cpu")


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_mixed_policy_knows_the_right_action_in_its_share_of_steps():
    e = initial_state(SMALL, [0, 1], CPU).e
    p = mixed_policy(SMALL, 0.5, e).exp()
    assert torch.allclose(p.sum(-1), torch.ones(2, 20))
    for s in range(2):
        for n in range(20):
            best = int(e.table[s, n, int(e.row[s, n]), int(e.column[s, n])])
            assert float(p[s, n, best]) == pytest.approx(0.5 + 0.5 / 4)
            assert float(p[s, n, best - 1]) == pytest.approx(0.5 / 4)


def test_predictors_that_diverge_stop_and_say_so():
    fast = replace(SMALL, lr=1e30, updates=2, num_evals=1)
    with pytest.raises(NonFiniteError, match=r"^\w+ of step 2 of 2 is not finite \(seed 7\): .* than 1e\+30 may help$"):
        fade([Trial(Fading(fast), 7)], Context())


def test_a_walk_is_the_mixed_policy_in_the_lock():
    c = replace(SMALL, num_envs=200)
    state = initial_state(c, [0], CPU)
    past, after = walk(c, 0.6, state.e, draw_noise(c, [0], 0, CPU))
    again = state.e
    went = stays = 0
    noise = draw_noise(c, [0], 0, CPU)
    for t in range(c.num_steps):
        assert torch.allclose(past.o[:, t], c.env.observe(again))
        assert torch.equal(past.columns[:, t], again.good_column)
        log_p = mixed_policy(c, 0.6, again)
        chosen = log_p.gather(-1, past.actions[:, t].unsqueeze(-1)).squeeze(-1)
        assert torch.allclose(past.log_pi[:, t], chosen)
        good = again.row < 2
        again, r, done = c.env.step(again, past.actions[:, t], noise.step[:, t])
        assert torch.equal(past.r[:, t], r)
        assert torch.equal(past.done[:, t], done)
        went, stays = went + int((good & (r != 0)).sum()), stays + int(good.sum())
    assert torch.equal(after.row, again.row)
    assert went / stays == pytest.approx(0.6 + 0.4 / 4, abs=0.05)
    assert past.done[:, 4].all()
    assert not past.done[:, 5].any()
    assert (past.v == 0).all()


def test_the_scale_of_z():
    state = initial_state(SMALL, [0, 1], CPU)
    o = normal(2, 7, SMALL.env.observations)
    plain, larger = (run(SMALL.z.layers(s.zeta), o) for s in (state, scaled(SMALL, state, 3.0)))
    assert torch.allclose(larger, 3 * plain, rtol=1e-4, atol=1e-5)


def test_predictors_side_by_side_are_the_predictors_one_by_one():
    configs = [Fading(SMALL), Fading(replace(SMALL, gamma_z=0.9)), Fading(replace(SMALL, gamma_z=0.0, beta=3.0))]
    trials = [Trial(config, seed) for config, seed in zip(configs, (0, 1, 0), strict=True)]
    together = fade(trials, Context())
    assert together.log.bonus.shape == (6, 3)
    for i, trial in enumerate(trials):
        alone = fade([trial], Context())
        for name in ("bonus", "error", "disagreement"):
            assert torch.allclose(getattr(together.log, name)[:, i], getattr(alone.log, name)[:, 0], rtol=1e-4)
        assert torch.equal(together.log.visits[:, i], alone.log.visits[:, 0])
        assert len(alone.evals) == 2
        assert torch.allclose(together.evals[1][i], alone.evals[1][0], atol=1e-5)


def test_predictors_learn_what_the_policy_shows():
    found = fade([Trial(Fading(replace(SMALL, updates=24)), 0)], Context()).log
    assert found.error[-5:].mean() < 0.7 * found.error[0]
    assert found.bonus[-5:].mean() < 0.3 * found.bonus[0]
    again = fade([Trial(Fading(SMALL, right=0.9), 0)], Context()).log
    assert again.visits.sum(0)[0, -1] > 2 * found.visits[: SMALL.updates].sum(0)[0, -1]


def test_without_a_future_one_head_and_the_norm_are_rnd():
    small = replace(SMALL, method="rnd", layers=1, heads=1)
    rnd = fade([Trial(Fading(small), 2)], Context())
    same = fade([Trial(Fading(replace(small, method="rcgvf", bonus="norm", gamma_z=0.0)), 2)], Context())
    assert torch.allclose(rnd.log.bonus, same.log.bonus, rtol=1e-4)


def test_first_predictions_are_those_of_the_first_column():
    c = replace(SMALL, noise=0.0)
    state = initial_state(c, [0, 1], CPU)
    found = first_predictions(c, state)
    for s in range(2):
        place = int((state.e.row[s] == 0).nonzero()[0])
        o = c.env.observe(state.e)[s : s + 1, place : place + 1]
        v = predict(c.predictor, 2, state.phi[s : s + 1], o)
        assert torch.allclose(found[s], v[0, :, 0].mean(dim=0), atol=1e-5)
    noisy = first_predictions(SMALL, state)
    assert torch.allclose(noisy, found), "seen without noise"


def test_cells_of_another_shape_are_refused():
    for other in (Fading(SMALL, right=0.4), Fading(SMALL, scale=2.0), Fading(replace(SMALL, d=5))):
        with pytest.raises(UsageError, match="expected trials that differ in learner.beta"):
            fade([Trial(Fading(SMALL), 0), Trial(other, 0)], Context())


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"learner": SMALL, "right": 1.0}, "right=1.0: expected a number from 0, below 1"),
        ({"learner": SMALL, "scale": 0.0}, "scale=0.0: expected a positive number"),
        ({"learner": replace(SMALL, method="ppo")}, "learner.method='ppo'"),
    ],
)
def test_bad_input_is_named(own, message):
    with pytest.raises(UsageError, match=message):
        Fading(**own)
