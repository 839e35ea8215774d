"""RC-GVF on the lock against loops; runs side by side, cut and gone on with, and refused."""

import math
from dataclasses import replace

import pytest
import torch

from tutorlib.envs.lock import Lock
from tutorlib.lab import Checkpoint, Context, Trial, UsageError
from tutorlib.lab.errors import NonFiniteError
from tutorlib.papers.rcgvf.algorithm import (
    Batch,
    curiosity,
    draw_noise,
    farthest,
    greedy_returns,
    hyper,
    initial_state,
    look_back,
    policy_objective,
    predictor_objective,
    rollout,
    shuffled,
    train,
    update,
)
from tutorlib.papers.rcgvf.bonus import dis, err, intrinsic, targets
from tutorlib.papers.rcgvf.config import Config
from tutorlib.papers.rcgvf.model import policy_and_value, predict, run

SMALL = Config(
    horizon=5, actions=3, num_envs=6, num_steps=8, updates=4, minibatch_size=16, update_epochs=2, d=6, hidden_z=8,
    hidden=8, width=16,
    num_evals=2, lr=5e-3, max_grad_norm=0.1,
)  # fmt: skip
CPU = torch.device("cpu")


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def example(c=SMALL, seeds=(0, 1)):
    """Return hyper-parameters, a state, its first rollout and what is to be learned from it."""
    h, state = hyper([Trial(c, seed) for seed in seeds], CPU), initial_state(c, seeds, CPU)
    past, e = rollout(c, state.theta, state.e, draw_noise(c, seeds, 0, CPU))
    return h, state, past, e, *look_back(c, h, state, past)


def test_a_rollout_is_the_policy_in_the_lock():
    c = SMALL
    _, state, past, after, *_ = example()
    noise = draw_noise(c, (0, 1), 0, CPU)
    for s in range(2):
        e = state.e
        for t in range(c.num_steps):
            o = c.env.observe(e)
            assert torch.allclose(o[s], past.o[s, t])
            logits, v = policy_and_value(c.actor_critic.layers(state.theta), o)
            assert torch.allclose(v[s], past.v[s, t], atol=1e-5)
            a = (logits + noise.gumbel[:, t]).argmax(-1)
            for p in range(c.num_envs):
                assert int(a[s, p]) == int(past.actions[s, t, p])
                expected = logits[s, p].log_softmax(-1)[int(a[s, p])]
                assert float(past.log_pi[s, t, p]) == pytest.approx(float(expected), abs=1e-5)
                dead = int(e.row[s, p]) == 2
                assert int(past.columns[s, t, p]) == (-1 if dead else int(e.column[s, p]))
            e, r, done = c.env.step(e, a, noise.step[:, t])
            assert torch.equal(r[s], past.r[s, t])
            assert torch.equal(done[s], past.done[s, t])
        assert torch.allclose(c.env.observe(e)[s], past.o[s, -1])
        assert torch.equal(e.row, after.row)
    assert past.done.any()
    assert torch.equal(state.e.table, state.e.table[:, :1].expand_as(state.e.table)), "one lock for a seed"
    assert not torch.equal(state.e.table[0], state.e.table[1])


def test_what_is_learned_is_the_plain_advantage_of_both_rewards():
    c = SMALL
    h, state, past, _, batch, log = example()
    o = past.o.flatten(1, 2)
    z = run(c.z.layers(state.zeta), o).unflatten(1, (9, 6))
    v = predict(c.predictor, 2, state.phi, o).unflatten(2, (9, 6))
    found = curiosity(c, h, z, v, past.done)
    g = targets(z[:, :-1], v[:, :, :-1], v[:, :, -1], past.done, h.gamma_z, h.lambda_z)
    bonus = intrinsic("product", err(g, v[:, :, :-1]), dis(v[:, :, :-1]))
    assert torch.allclose(found.bonus, bonus)
    assert (bonus > 0).all()
    for s in range(2):
        for p in range(c.num_envs):
            a = 0.0
            for t in reversed(range(c.num_steps)):
                m = 0.0 if past.done[s, t, p] else 1.0
                r = float(past.r[s, t, p]) + 20 * float(bonus[s, t, p])
                delta = r + 0.99 * m * float(past.v[s, t + 1, p]) - float(past.v[s, t, p])
                a = delta + 0.99 * 0.95 * m * a
                n = t * c.num_envs + p
                assert float(batch.advantage[s, n]) == pytest.approx(a, rel=1e-3, abs=1e-4)
                assert float(batch.returns[s, n]) == pytest.approx(a + float(past.v[s, t, p]), rel=1e-3, abs=1e-4)
                assert torch.equal(batch.o[s, n], past.o[s, t, p])
                assert int(batch.actions[s, n]) == int(past.actions[s, t, p])
                assert torch.allclose(batch.g[s, n], g[s, :, t, p], atol=1e-6)
        assert float(log.returns[s]) == pytest.approx(5 * float(past.r[s].mean()), abs=1e-6)
        assert float(log.bonus[s]) == pytest.approx(float(bonus[s].mean()), rel=1e-5)
        assert float(log.error[s]) == pytest.approx(float(err(g, v[:, :, :-1])[s].sum(-1).mean()), rel=1e-5)
        assert float(log.disagreement[s]) == pytest.approx(float(dis(v[:, :, :-1])[s].sum(-1).mean()), rel=1e-5)
        counts = [int((past.columns[s] == column).sum()) for column in range(5)]
        assert log.visits[s].tolist() == counts
        assert counts[0] == 12, "8 steps hold two first steps of episodes of 5"


def test_objectives_are_the_plain_sums():
    c = SMALL
    _, state, _, _, batch, _ = example()
    part = Batch(*(x[:, 5:21] for x in batch))
    theta, phi = state.theta + 0.05 * normal(*state.theta.shape), state.phi + 0.1
    found, predicted = policy_objective(c, theta, part), predictor_objective(c, phi, part)
    logits, v = policy_and_value(c.actor_critic.layers(theta), part.o)
    every = predict(c.predictor, 2, phi, part.o)
    outside = 0
    for s in range(2):
        policy = value = h = squares = 0.0
        for n in range(16):
            log_pi = logits[s, n].log_softmax(-1).tolist()
            ratio = math.exp(log_pi[int(part.actions[s, n])] - float(part.log_pi[s, n]))
            a, before, target = float(part.advantage[s, n]), float(part.v[s, n]), float(part.returns[s, n])
            outside += abs(ratio - 1) > 0.2
            policy -= min(ratio * a, min(max(ratio, 0.8), 1.2) * a) / 16
            near = before + min(max(float(v[s, n]) - before, -0.2), 0.2)
            value += max((float(v[s, n]) - target) ** 2, (near - target) ** 2) / 16
            h -= sum(math.exp(x) * x for x in log_pi) / 16
            squares += sum(float((every[s, k, n] - part.g[s, n, k]).square().mean()) for k in range(2)) / 32
        assert float(found[s]) == pytest.approx(policy - 0.01 * h + 0.5 * value, rel=1e-3)
        assert float(predicted[s]) == pytest.approx(squares, rel=1e-4)
    assert outside


def test_the_policy_has_not_changed_before_the_first_step():
    _, state, _, _, batch, _ = example()
    logits, v = policy_and_value(SMALL.actor_critic.layers(state.theta), batch.o)
    log_pi = logits.log_softmax(-1).gather(-1, batch.actions.unsqueeze(-1)).squeeze(-1)
    assert torch.allclose(log_pi, batch.log_pi, atol=1e-5)
    assert torch.allclose(v, batch.v, atol=1e-5)


def test_a_pass_goes_through_every_frame_once_in_the_seeds_own_order():
    order = draw_noise(SMALL, (0, 1), 0, CPU).order
    x = torch.stack([torch.arange(48), 100 + torch.arange(48)])
    found = shuffled(x, order[:, 1])
    assert torch.equal(found.sort(dim=1).values, x)
    assert torch.equal(found[1] - 100, order[1, 1])
    assert not torch.equal(found[0], found[1] - 100)
    assert not torch.equal(order[:, 0], order[:, 1])
    deep = normal(2, 48, 2, 3)
    assert torch.equal(shuffled(deep, order[:, 0])[1, 7], deep[1, order[1, 0, 7]])


def test_runs_side_by_side_are_the_runs_one_by_one():
    c = replace(SMALL, updates=14, lr=1e-3, minibatch_size=24, update_epochs=1)
    trials = [
        Trial(c, 0),
        Trial(replace(c, beta=200.0, gamma_z=0.9), 1),
        Trial(replace(c, gamma_z=0.0, lambda_z=0.5), 0),
    ]
    together = train(trials, Context(), evaluate=lambda state, done: state.theta.norm(dim=-1))
    for i, trial in enumerate(trials):
        alone = train([trial], Context(), evaluate=lambda state, done: state.theta.norm(dim=-1))
        for name in ("theta", "phi"):
            assert torch.allclose(getattr(together.state, name)[i], getattr(alone.state, name)[0], atol=1e-5)
        assert torch.equal(together.log.visits[:, i], alone.log.visits[:, 0])
        for name in ("returns", "bonus", "error", "disagreement"):
            assert torch.allclose(getattr(together.log, name)[:, i], getattr(alone.log, name)[:, 0], atol=1e-5)
        assert torch.allclose(torch.stack(together.evals)[:, i], torch.stack(alone.evals)[:, 0], atol=1e-4)
    start = initial_state(SMALL, [0, 1, 0], CPU)
    assert torch.equal(start.zeta, together.state.zeta), "Z is never trained"
    assert (start.theta - together.state.theta).abs().max() > 0.01
    assert not torch.allclose(together.state.theta[0], together.state.theta[2], atol=1e-3)


def test_predictors_learn_and_disagreement_falls():
    log = train([Trial(replace(SMALL, updates=24, beta=0.0), 0)], Context()).log
    assert log.error[-5:].mean() < 0.5 * log.error[:2].mean()
    assert log.disagreement[-5:].mean() < 0.5 * log.disagreement[:2].mean()
    assert log.bonus[-5:].mean() < 0.25 * log.bonus[:2].mean()


def test_rates_fall_to_zero():
    c = replace(SMALL, anneal=48.0 * 2)  # frames of two updates
    h, before = hyper([Trial(c, 0)], CPU), initial_state(c, [0], CPU)
    moved = {"theta": [], "phi": []}
    for number in range(3):
        after, _ = update(c, h, before, draw_noise(c, [0], number, CPU), number)
        for name, lengths in moved.items():
            lengths.append(float((getattr(after, name) - getattr(before, name)).norm()))
        before = after
    for name, lengths in moved.items():  # the policy's, and the predictors'
        assert lengths[0] > lengths[1] > 0, name
        assert lengths[2] == 0, name


def test_noise_is_new_in_every_update_and_for_every_seed():
    first, again, second = (draw_noise(SMALL, (0, 1), number, CPU) for number in (3, 3, 4))
    for name in first._fields:
        one, same, other = (getattr(noise, name) for noise in (first, again, second))
        assert torch.equal(one, same), name
        assert not torch.isclose(one.double(), other.double()).all(dim=-1).any(), f"{name} of the next update"
        assert not torch.equal(one[0], one[1]), f"{name} of the other seed"


@pytest.mark.parametrize("wrong", [float("inf"), float("nan")])
def test_rewards_that_are_not_finite_stop_training(monkeypatch, tmp_path, wrong):
    step, calls = Lock.step, []

    def broken(self, state, action, u):
        after, reward, done = step(self, state, action, u)
        calls.append(1)
        bad = torch.zeros_like(reward)
        bad[1] = wrong if len(calls) == 2 * SMALL.num_steps + 1 else 0.0  # in the third update, of the second seed
        return after, reward + bad, done

    monkeypatch.setattr(Lock, "step", broken)
    checkpoint = Checkpoint(tmp_path / "run.ckpt", "name")
    with pytest.raises(NonFiniteError, match=r"returns of step 3 of 4 is not finite \(seed 7\)"):
        train([Trial(SMALL, 0), Trial(SMALL, 7)], Context(checkpoint=checkpoint))
    assert checkpoint.of_run(1).load()["step"] == 2


def test_weights_that_are_not_finite_stop_training():
    c = replace(SMALL, lr=1e38, updates=2, num_evals=1, update_epochs=1, minibatch_size=48)
    with pytest.raises(NonFiniteError, match="expected finite numbers"):
        train([Trial(c, 0)], Context())


def test_the_farthest_column():
    visits = torch.tensor([[[4, 0, 0, 0], [4, 1, 0, 0]], [[4, 2, 1, 0], [4, 0, 0, 0]], [[4, 1, 0, 0], [4, 1, 1, 1]]])
    assert farthest(visits).tolist() == [[0, 1], [2, 1], [2, 3]]


def test_greedy_returns_of_a_policy_that_knows_and_of_one_that_does_not():
    c, state = SMALL, initial_state(SMALL, [0, 1], CPU)
    layers = c.actor_critic.layers(torch.zeros_like(state.theta))
    assert layers[-1][1].shape == (2, 1, 4)
    theta = torch.zeros_like(state.theta)
    theta[0, -4], theta[1, -3] = 1.0, 1.0  # biases: the first seed takes action 0, the second action 1
    table = torch.zeros_like(state.e.table)  # action 0 is right
    state = state._replace(theta=theta, e=state.e._replace(table=table))
    assert greedy_returns(c, state, [0, 1]).tolist() == pytest.approx([9.0, 0.0])
    with pytest.raises(UsageError, match="episodes=0"):
        greedy_returns(c, state, [0, 1], episodes=0)


def test_sampled_returns_are_those_of_the_policys_own_luck():
    # With two columns and two actions a policy of equal logits pays the cost of 1 in a half of all episodes and earns
    # the prize in a quarter. The most probable actions would be the same in all of them.
    c = Config(horizon=2, actions=2, d=4, hidden_z=4, hidden=4, width=4, prize=6.0, evaluation="sampled")
    state = initial_state(c, [0, 1], CPU)
    state = state._replace(theta=torch.zeros_like(state.theta))
    expected = -1 / 2 + 6 / 4
    assert greedy_returns(c, state, [0, 1], 4000).tolist() == pytest.approx([expected] * 2, abs=0.15)


def test_actor_and_critic_may_be_apart():
    c = replace(SMALL, shared=False)
    assert c.actor_critic.parameters == Config(shared=False, horizon=5, width=16, actions=3).actor_critic.parameters
    state = initial_state(c, [0, 1], CPU)
    o = normal(2, 4, c.env.observations)
    layers = c.actor_critic.layers(state.theta)
    logits, v = policy_and_value(layers, o, shared=False)
    for i, (found, entries) in enumerate(((logits, 3), (v.unsqueeze(-1), 1))):
        x = o
        for j, (w, b) in enumerate(layers[3 * i : 3 * i + 3]):
            x = x @ w + b if j == 0 else x.relu() @ w + b
        assert x.shape[-1] == entries
        assert torch.allclose(found, x, atol=1e-5)
    after, _ = update(c, hyper([Trial(c, 0), Trial(c, 1)], CPU), state, draw_noise(c, [0, 1], 0, CPU), 0)
    moved = (after.theta - state.theta).abs() > 0
    actors = c.actor_critic.actor.parameters
    assert moved[:, :actors].any() and moved[:, actors:].any()  # noqa: PT018


def test_cells_of_another_shape_are_refused():
    with pytest.raises(UsageError, match="trials='d=6 and d=7': expected trials that differ in beta, gamma_z, la"):
        train([Trial(SMALL, 0), Trial(replace(SMALL, d=7), 0)], Context())


def test_an_update_leaves_the_state_before_it_as_it_was():
    state, h = initial_state(SMALL, [0], CPU), hyper([Trial(SMALL, 0)], CPU)
    before = [part.clone() for part in (state.theta, *state.theta_moments, state.phi, *state.phi_moments)]
    after, _ = update(SMALL, h, state, draw_noise(SMALL, [0], 0, CPU), 0)
    now = (state.theta, *state.theta_moments, state.phi, *state.phi_moments)
    assert all(torch.equal(a, b) for a, b in zip(before, now, strict=True))
    assert not torch.equal(after.theta, state.theta)
