"""Agents with memory in MiniGrid: rollouts against a walk step by step, bonuses against loops, runs side by side."""

import math
from dataclasses import replace

import pytest
import torch

from tutorlib.lab import Context, Trial, UsageError
from tutorlib.lab.errors import NonFiniteError
from tutorlib.papers.rcgvf import memory as nets
from tutorlib.papers.rcgvf import recurrent as m
from tutorlib.papers.rcgvf import recurrent_config
from tutorlib.papers.rcgvf.bonus import dis, err, targets
from tutorlib.papers.rcgvf.passes import segments
from tutorlib.papers.rcgvf.recurrent_config import TASKS, Config
from tutorlib.rl import advantages

CPU = torch.device("cpu")
SMALL = Config(
    task="MultiRoom-N2-S4", levels=6, num_envs=3, num_steps=8, updates=4, minibatch_size=12, bptt=4, update_epochs=2,
    d=8, num_evals=2,
    lr=5e-3, beta=1.0,
)  # fmt: skip
EVERY = (
    SMALL,
    replace(SMALL, panorama=True),
    replace(SMALL, method="rnd"),
    replace(SMALL, method="noveld", counts=True),
    replace(SMALL, method="agac", counts=True, beta_counts=0.1, adversary=0.5, panorama=True),
    replace(SMALL, method="ppo", counts=True, beta_counts=0.1),
    replace(SMALL, d=5, width=8),
)


@pytest.fixture(autouse=True)
def short_lives(monkeypatch):
    """Let episodes end within a rollout, so that what happens at their ends is seen."""
    task = TASKS["MultiRoom-N2-S4"]
    monkeypatch.setattr(recurrent_config, "TASKS", {**TASKS, "MultiRoom-N2-S4": task._replace(max_steps=5)})


def began(c, seeds=(0,), updates=1):
    """Return environment, hyper-parameters, the state after some updates, and the next update's noise."""
    env, h = c.env(CPU), m.hyper([Trial(c, seed) for seed in seeds], CPU)
    state = m.initial_state(c, env, seeds, CPU)
    for number in range(updates):
        state, _ = m.update(c, env, h, state, m.draw_noise(c, seeds, number, CPU), number)
    return env, h, state, m.draw_noise(c, seeds, updates, CPU)


def name_of(c):
    return f"{c.method}{'-panorama' * c.panorama}{'-width' * bool(c.width)}"


def test_a_rollout_is_a_walk_step_by_step():
    env, _, state, noise = began(SMALL)
    past, e_after, fresh_after, _ = m.rollout(SMALL, env, state, noise)
    layers = nets.actor_critic().layers(state.theta)
    e, memory, is_first = state.e, state.memory, state.is_first
    for t in range(SMALL.num_steps):
        assert torch.equal(past.image[:, t], env.image(e))
        assert torch.equal(past.visits[:, t], env.count(e))
        assert torch.equal(past.is_first[:, t], is_first)
        memory = torch.where(is_first.unsqueeze(-1), 0.0, memory)
        memory = nets.lstm_step(layers["lstm"], nets.features(layers["convolutions"], env.image(e)), memory)
        logits, v = nets.logits_of(layers, memory[..., :64]), nets.values_of(layers, memory[..., :64])
        assert torch.allclose(past.logits[:, t], logits, atol=1e-5)
        assert torch.allclose(past.v[:, t], v, atol=1e-5)
        a = (logits + noise.gumbel[:, t]).argmax(dim=-1)
        assert torch.equal(past.actions[:, t], a)
        e, r, is_first = env.step(e, a, noise.step[:, t])
        assert torch.equal(past.r[:, t], r)
        assert torch.equal(past.done[:, t], is_first)
    assert torch.equal(e_after.cells, e.cells)
    assert torch.equal(fresh_after, is_first)
    assert past.done.any()
    assert not past.done.all()


@pytest.mark.parametrize("c", EVERY, ids=name_of)
def test_before_learning_segments_give_what_the_rollout_gave(c):
    env, h, state, noise = began(c)
    past, *_ = m.rollout(c, env, state, noise)
    frames, _, found = m.look_back(c, h, state, past)
    batch = m.segmented(c, frames)
    layers, hidden = nets.actor_critic().layers(state.theta), m.policy_states(state.theta, batch)[0]
    logits, v = nets.logits_of(layers, hidden), nets.values_of(layers, hidden)
    assert torch.allclose(logits, batch.logits, atol=1e-5)
    assert torch.allclose(v, batch.v - segments(found.more_value, c.bptt), atol=1e-5)
    assert batch.actions.shape == (1, 6, 4)
    assert torch.equal(batch.actions[:, 0], past.actions[:, :4, 0])
    assert torch.equal(batch.actions[:, 3], past.actions[:, 4:, 0])
    # With nothing learned yet the ratio is 1: the loss is that of the advantages, values and entropy alone.
    loss = m.policy_objective(c, state.theta, batch)
    log_pi = batch.logits.log_softmax(-1)
    value = (v - batch.returns).square().mean(dim=(1, 2))
    expected = -batch.advantage.mean(dim=(1, 2)) + c.vf_coef * value
    expected = expected + c.ent_coef * (log_pi.exp() * log_pi).sum(-1).mean(dim=(1, 2))
    assert torch.allclose(loss, expected, atol=1e-5)
    if c.method == "rcgvf":
        v = c.predictor.predictions(c.predictor.network.layers(state.phi), m.bonus_states(c, state.phi, batch)[0])
        error = (v.permute(0, 2, 3, 1, 4) - batch.g).square().mean(dim=(1, 2, 3, 4))
        assert torch.allclose(m.bonus_objective(c, state.phi, batch), error, atol=1e-5)
    assert found.reward.shape == past.r.shape


def online_predictions(c, state, past):
    """Return RC-GVF's predictions [heads, times, envs, d] and z, step by step, as an agent would make them."""
    layers, z_layers = c.predictor.network.layers(state.phi), c.z.layers(state.zeta)
    memory, action, last_z = state.bonus_memory, state.last_actions, state.last_pseudo_rewards
    v, z = [], []
    for t in range(c.num_steps + 1):
        keep = (~past.is_first[:, t]).float().unsqueeze(-1)
        look = past.look[:, t].float()
        x = c.predictor.lstm_inputs(layers, look, action * keep, last_z * keep)
        memory = nets.lstm_step(layers["lstm"], x, memory * keep)
        v.append(c.predictor.predictions(layers, memory[..., : c.d]))
        z.append(nets.see(z_layers["convolutions"], look))
        last_z = z[-1]
        if t < c.num_steps:
            action = torch.nn.functional.one_hot(past.actions[:, t], 7).float()
    return torch.stack(v, dim=2), torch.stack(z, dim=1)


@pytest.mark.parametrize(("panorama", "counts"), [(False, False), (True, False), (False, True)])
def test_the_bonus_of_rcgvf_is_that_of_predictions_made_online(panorama, counts):
    c = replace(SMALL, panorama=panorama, counts=counts)
    env, h, state, noise = began(c)
    past, *_ = m.rollout(c, env, state, noise)
    assert state.last_pseudo_rewards.abs().max() > 0
    v, z = online_predictions(c, state, past)
    g = targets(z[:, :-1], v[:, :, :-1], v[:, :, -1], past.done, h.gamma_z, h.lambda_z)
    expected = (err(g, v[:, :, :-1]) * dis(v[:, :, :-1])).sum(dim=-1)
    if counts:
        assert past.visits.max() > 1
        expected = expected / past.visits.sqrt()
    found = m.curiosity(c, h, state, past)
    assert torch.allclose(found.reward, expected, rtol=1e-3, atol=1e-7)
    assert torch.allclose(found.g, g.permute(0, 2, 3, 1, 4), atol=1e-4)


def test_two_short_rollouts_predict_what_a_long_one_does():
    env, h, state, noise = began(SMALL)
    double = replace(SMALL, num_steps=16, minibatch_size=12)
    long = m.Noise(noise.gumbel.repeat(1, 2, 1, 1), noise.step.repeat(1, 2, 1, 1), noise.order)
    past, *_ = m.rollout(double, env, state, long)
    whole = m.curiosity(double, h, state, past)
    state_, parts = state, []
    for _ in range(2):
        half, e, is_first, memory = m.rollout(SMALL, env, state_, noise)
        found = m.curiosity(SMALL, h, state_, half)
        parts.append(found)
        state_ = state_._replace(
            e=e, is_first=is_first, memory=memory, bonus_memory=found.memory[:, -1],
            last_actions=torch.nn.functional.one_hot(half.actions[:, -1], 7).float(),
            last_pseudo_rewards=m.last_pseudo_rewards(SMALL, state_, half),
        )  # fmt: skip
    for name in ("memory", "last_actions", "last_pseudo_rewards"):
        both = torch.cat([getattr(p, name)[:, :-1] for p in parts], dim=1)
        assert torch.allclose(both, getattr(whole, name)[:, :-1], atol=1e-5), name


def test_the_next_rollout_reads_the_pseudo_rewards_in_which_the_last_action_was_chosen():
    env, _, state, noise = began(SMALL)
    past, *_ = m.rollout(SMALL, env, state, noise)
    images = torch.randint(0, 11, past.look.shape, generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    found = m.last_pseudo_rewards(SMALL, state, past._replace(look=images))  # all images differ
    z = nets.see_all(SMALL.z.layers(state.zeta)["convolutions"], images)
    assert torch.allclose(found, z[:, -2], atol=1e-5), "of o_{T-1}"
    assert (found - z[:, -1]).abs().max() > 0.1, "not of o_T"


def test_noise_is_new_in_every_update_and_for_every_seed():
    for c in (SMALL, replace(SMALL, renew=2)):
        first, again, second = (m.draw_noise(c, (0, 1), number, CPU) for number in (3, 3, 4))
        for name in first._fields:
            one, same, other = (getattr(noise, name) for noise in (first, again, second))
            assert torch.equal(one, same), name
            assert not torch.isclose(one.double(), other.double()).all(dim=-1).all(), f"{name} of the next update"
            assert not torch.equal(one[0], one[1]), f"{name} of the other seed"


def test_bonuses_of_one_observation_are_the_plain_ones():
    for method in ("rnd", "noveld"):
        for counts in (False, True):
            c = replace(SMALL, method=method, counts=counts, beta=2.0)
            env, h, state, noise = began(c)
            past, *_ = m.rollout(c, env, state, noise)
            look = past.look.float()
            gap = nets.see_all(c.z.layers(state.zeta)["convolutions"], look) - nets.see_all(
                c.z.layers(state.phi)["convolutions"], look
            )
            n = gap.square().sum(-1).sqrt()
            found = m.curiosity(c, h, state, past).reward
            for t in range(c.num_steps):
                for p in range(c.num_envs):
                    expected = n[0, t, p].item()
                    if method == "noveld":
                        more = n[0, t + 1, p].item() - 0.5 * expected
                        expected = 0.0 if past.done[0, t, p] else max(more, 0.0)
                    expected /= math.sqrt(past.visits[0, t, p].item()) if counts else 1.0
                    assert found[0, t, p].item() == pytest.approx(2 * expected, rel=1e-4, abs=1e-6)


def test_counts_pay_and_the_adversary_adds_to_advantages_and_values():
    c = replace(SMALL, method="agac", counts=True, beta_counts=0.3, adversary=0.5)
    env, h, state, noise = began(c)
    past, *_ = m.rollout(c, env, state, noise)
    found = m.curiosity(c, h, state, past)
    assert torch.allclose(found.reward, 0.3 / past.visits.float().sqrt())
    layers = nets.adversary().layers(state.phi)
    hidden, _ = nets.unroll(
        layers["lstm"],
        nets.features(layers["convolutions"], past.look[:, :-1]),
        past.is_first[:, :-1],
        state.bonus_memory,
    )
    p, q = past.logits.softmax(-1), nets.logits_of(layers, hidden).softmax(-1)
    gap = (p / q).log()
    assert torch.allclose(found.more_value, 0.5 * (p * gap).sum(-1), atol=1e-5)
    assert torch.allclose(found.more_advantage, 0.5 * gap.gather(-1, past.actions.unsqueeze(-1))[..., 0], atol=1e-5)
    frames, _, _ = m.look_back(c, h, state, past)
    t = [x.transpose(0, 1) for x in ((past.r + found.reward).clamp(-1, 1), past.v[:, :-1], past.done)]
    a = advantages(t[0], t[1], past.v[:, -1], t[2], c.gamma, c.gae_lambda).transpose(0, 1)
    assert torch.allclose(frames.advantage, a + found.more_advantage)
    assert torch.allclose(frames.v, past.v[:, :-1] + found.more_value)
    assert torch.allclose(frames.returns, frames.v + frames.advantage)
    kl = (p * gap).sum(-1).mean(dim=(1, 2))
    assert torch.allclose(m.bonus_objective(c, state.phi, m.segmented(c, frames)), kl, atol=1e-5)
    plain = replace(SMALL, method="ppo")
    env, h, state, noise = began(plain)
    past, *_ = m.rollout(plain, env, state, noise)
    assert not m.curiosity(plain, h, state, past).reward.any()


def test_rewards_are_cut():
    c = replace(SMALL, method="rnd", beta=1e4)
    env, h, state, noise = began(c)
    past, *_ = m.rollout(c, env, state, noise)
    frames, log, found = m.look_back(c, h, state, past)
    assert found.reward.min() > 1
    t = [x.transpose(0, 1) for x in (torch.ones_like(past.r), past.v[:, :-1], past.done)]
    a = advantages(t[0], t[1], past.v[:, -1], t[2], c.gamma, c.gae_lambda).transpose(0, 1)
    assert torch.allclose(frames.advantage, a)
    assert torch.allclose(log.bonus, found.reward.mean(dim=(1, 2)))
    assert log.episodes.item() == past.done.sum()
    assert log.returns.item() == pytest.approx(past.r.sum().item())


def test_gradients_go_back_through_a_segment_and_no_further():
    env, h, state, noise = began(SMALL)
    past, *_ = m.rollout(SMALL, env, state, noise)
    batch = m.segmented(SMALL, m.look_back(SMALL, h, state, past)[0])
    layers = nets.actor_critic().layers(state.theta)
    x = nets.features(layers["convolutions"], batch.image).detach().requires_grad_()
    still = torch.zeros_like(batch.is_first)
    hidden, _ = nets.unroll_segments(layers["lstm"], x, still, batch.memory)
    (g,) = torch.autograd.grad(hidden[:, :, -1].sum(), x)
    assert (g.abs().amax(dim=-1) > 0).all()
    begins = still.clone()
    begins[:, :, 2] = True  # an episode that begins at the third frame knows nothing of the two before
    (g,) = torch.autograd.grad(nets.unroll_segments(layers["lstm"], x, begins, batch.memory)[0][:, :, -1].sum(), x)
    assert not g[:, :, :2].any()
    assert (g[:, :, 2:].abs().amax(dim=-1) > 0).all()


def test_the_policy_never_sees_the_panorama():
    env, _, state, noise = began(SMALL)
    plain, *_ = m.rollout(SMALL, env, state, noise)
    around, *_ = m.rollout(replace(SMALL, panorama=True), env, state, noise)
    assert torch.equal(plain.logits, around.logits)
    assert torch.equal(plain.look, plain.image)
    assert torch.equal(around.look[:, 0], env.panorama(state.e))


@pytest.mark.parametrize("c", [EVERY[0], EVERY[4]], ids=name_of)
def test_what_predictors_remember_goes_on_in_the_next_rollout(c):
    env, h, state, noise = began(c)
    past, *_ = m.rollout(c, env, state, noise)
    remembered = m.curiosity(c, h, state, past).memory[:, -1]
    assert remembered.abs().max() > 0
    after, _ = m.update(c, env, h, state, noise, 0)
    assert torch.equal(after.bonus_memory, remembered)
    assert torch.equal(m.curiosity(c, h, after, past).memory[:, 0], remembered)


def test_a_run_that_is_not_finite_stops():
    with pytest.raises(NonFiniteError, match="seed 7"):
        m.train([Trial(replace(SMALL, lr=1e30), 7)], Context())


def test_rates_fall_for_both_networks():
    env, h, state, noise = began(SMALL)
    over = replace(SMALL, anneal=1.0)
    after, _ = m.update(over, env, h, state, noise, 1)
    assert torch.equal(after.theta, state.theta)
    assert torch.equal(after.phi, state.phi)


@pytest.mark.parametrize(("own", "words"), [
    ({"method": "rcgv"}, "did you mean 'rcgvf'"),
    ({"task": "MultiRoom-N2-S5"}, "did you mean 'MultiRoom-N"),
    ({"num_steps": 10, "minibatch_size": 10}, "bptt=4: expected a divisor of num_steps=10"),
    ({"minibatch_size": 14}, "minibatch_size=14"),
    ({"minibatch_size": 5}, "minibatch_size=5"),
    ({"heads": 1}, "heads=1: expected at least 2"),
    ({"gamma_z": 1.5}, "gamma_z=1.5"),
    ({"beta": -1.0}, "beta=-1.0"),
    ({"levels": 0}, "levels=0"),
    ({"lr": math.inf}, "lr=inf"),
    ({"anneal": 0.0}, "anneal=0.0"),
    ({"num_evals": 3}, "num_evals=3: expected a divisor of updates=4"),
    ({"d": 6}, "d=6"),
    ({"width": 6}, "width=6: expected a multiple of 4"),
    ({"renew": -1}, "renew=-1"),
])  # fmt: skip
def test_bad_input_is_named(own, words):
    with pytest.raises(UsageError, match=words):
        replace(SMALL, **own)


def test_the_released_settings():
    assert m.settings("rcgvf").updates * m.settings("rcgvf").frames == pytest.approx(3e7, rel=1e-3)
    assert m.settings("ppo").updates * m.settings("ppo").frames == pytest.approx(9e7, rel=1e-3)
    assert (m.settings("agac").adversary, m.settings("agac").beta_counts) == (5e-5, 1e-3)
    assert m.settings("noveld").counts
    with pytest.raises(UsageError, match="method"):
        m.settings("ride")
