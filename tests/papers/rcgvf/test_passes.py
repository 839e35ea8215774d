"""The released code's passes, which leave out frames, beside loops that go from frame to frame."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from tutorlib.lab import Trial, UsageError
from tutorlib.papers.rcgvf import algorithm, methods, passes, recurrent
from tutorlib.papers.rcgvf import memory as nets

CPU = torch.device("cpu")
LOCK = algorithm.Config(
    horizon=5, actions=3, num_envs=3, num_steps=7, updates=1, minibatch_size=7, update_epochs=3, d=4,
    hidden_z=4, hidden=5, width=5,
    num_evals=1, lr=1e-2, passes="released",
)  # fmt: skip
GRID = recurrent.Config(
    task="MultiRoom-N2-S4", levels=4, num_envs=3, num_steps=12, updates=1, minibatch_size=12, bptt=4, update_epochs=3,
    d=8, num_evals=1,
    lr=1e-2, beta=1.0, passes="released",
)  # fmt: skip


def minibatches(parts, size):
    return [parts[i : i + size] for i in range(0, len(parts), size)]


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("method", ["rcgvf", "ppo"])
def test_in_the_lock_every_second_pass_is_without_last_steps(method, number):
    c = replace(LOCK, method=method)
    h, state = algorithm.hyper([Trial(c, 0)], CPU), algorithm.initial_state(c, [0], CPU)
    noise = algorithm.draw_noise(c, [0], number, CPU)
    past, _ = algorithm.rollout(c, state.theta, state.e, noise)
    batch, _ = algorithm.look_back(c, h, state, past)
    theta, theta_moments, phi, phi_moments = state.theta, state.theta_moments, state.phi, state.phi_moments
    step, rate = number * (3 + 3 + 3), c.lr * (1 - number * 21 / c.anneal)  # 21 frames, or 18, seven at a time
    used = []
    for epoch in range(3):
        frames = noise.order[0, epoch].tolist()
        if (3 * number + epoch) % 2:
            frames = [n for n in frames if n // c.num_envs != c.num_steps - 1]
        used.append(len(frames))
        for own in minibatches(frames, 7):
            b = algorithm.Batch(*(x[:, own] for x in batch))
            f = partial(algorithm.policy_objective, c, b=b)
            theta, theta_moments = algorithm.descend(f, theta, theta_moments, step, rate, c.max_grad_norm)
            if method != "ppo":
                f = partial(algorithm.predictor_objective, c, b=b)
                phi, phi_moments = algorithm.descend(f, phi, phi_moments, step, rate * c.predictor_lr, c.max_grad_norm)
            step += 1
    assert used == ([21, 18, 21] if number == 0 else [18, 21, 18])
    found, _ = algorithm.update(c, h, state, noise, number)
    assert torch.allclose(found.theta, theta, atol=1e-6)
    assert torch.allclose(found.phi, phi, atol=1e-6)
    whole, _ = algorithm.update(replace(c, passes="whole"), h, state, noise, number)
    assert not torch.allclose(whole.theta, theta, atol=1e-4)


def remembered(c, theta, phi, b):
    """Return the memories after each frame of segments but the last, of actor-critic and bonus, step by step."""
    layers, found = nets.actor_critic().layers(theta), []
    own = methods.TABLE[c.method].network(c).layers(phi) if methods.TABLE[c.method].states else None
    memory, other = b.memory, b.bonus_memory
    for i in range(c.bptt - 1):
        keep = (~b.is_first[:, :, i]).unsqueeze(-1)
        memory = nets.lstm_step(layers["lstm"], nets.features(layers["convolutions"], b.image[:, :, i]), memory * keep)
        if c.method == "agac":
            other = nets.lstm_step(own["lstm"], nets.features(own["convolutions"], b.look[:, :, i]), other * keep)
        elif c.method == "rcgvf":
            x = c.predictor.lstm_inputs(own, b.look[:, :, i], b.last_actions[:, :, i], b.last_pseudo_rewards[:, :, i])
            other = nets.lstm_step(own["lstm"], x, other * keep)
        found.append((memory.detach(), other.detach()))
    return found


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("method", ["rcgvf", "agac", "rnd"])
def test_in_minigrid_every_second_pass_has_shifted_segments_and_newer_memories(method, number):
    c = replace(GRID, method=method, adversary=0.5 * (method == "agac"))
    env, h = c.env(CPU), recurrent.hyper([Trial(c, 0)], CPU)
    state = recurrent.initial_state(c, env, [0], CPU)
    noise = recurrent.draw_noise(c, [0], number, CPU)
    past, *_ = recurrent.rollout(c, env, state, noise)
    frames, _, _ = recurrent.look_back(c, h, state, past)
    memory, other = frames.memory.clone(), frames.bonus_memory.clone()
    theta, theta_moments, phi, phi_moments = state.theta, state.theta_moments, state.phi, state.phi_moments
    # Nine segments of a whole pass, six of a shifted one, three at a time; the first update has one shifted pass.
    step, rate = number * (3 + 2 + 3), c.lr * (1 - number * c.frames / c.anneal)
    for epoch in range(3):
        starts = [(4 * (k // 3), k % 3) for k in noise.order[0, epoch].tolist()]
        if (3 * number + epoch) % 2:
            starts = [(t + 2, p) for t, p in starts if t + 4 < c.num_steps]
        for own in minibatches(starts, 3):
            parts = {
                name: torch.stack([x[:, t : t + 4, p] for t, p in own], dim=1) for name, x in frames._asdict().items()
            }
            parts["memory"] = torch.stack([memory[:, t, p] for t, p in own], dim=1)
            parts["bonus_memory"] = torch.stack([other[:, t, p] for t, p in own], dim=1)
            b = recurrent.Batch(**parts)
            for i, (one, two) in enumerate(remembered(c, theta, phi, b)):
                for j, (t, p) in enumerate(own):
                    memory[:, t + i + 1, p], other[:, t + i + 1, p] = one[:, j], two[:, j]
            f = partial(recurrent.policy_objective, c, b=b)
            theta, theta_moments = algorithm.descend(f, theta, theta_moments, step, rate, c.max_grad_norm)
            f = partial(recurrent.bonus_objective, c, b=b)
            phi, phi_moments = algorithm.descend(f, phi, phi_moments, step, rate * c.predictor_lr, c.max_grad_norm)
            step += 1
    found, _ = recurrent.update(c, env, h, state, noise, number)
    assert torch.allclose(found.theta, theta, atol=1e-5)
    assert torch.allclose(found.phi, phi, atol=1e-5)
    whole, _ = recurrent.update(replace(c, passes="whole"), env, h, state, noise, number)
    assert not torch.allclose(whole.theta, theta, atol=1e-4)


def test_the_steps_of_earlier_passes_are_counted():
    # Whole passes have 20 frames, four at a time; those that leave out one of each of four environments have 16.
    assert [passes.steps_before("released", n, 20, 4, 4) for n in range(5)] == [0, 5, 9, 14, 18]
    assert [passes.steps_before("whole", n, 20, 4, 4) for n in range(3)] == [0, 5, 10]
    assert passes.steps_before("released", 2, 20, 3, 10) == 4  # 17 frames are two minibatches, too


@pytest.mark.parametrize("config", [LOCK, GRID], ids=["lock", "minigrid"])
def test_bad_passes_are_named(config):
    with pytest.raises(UsageError, match="passes='release'.*did you mean 'released'"):
        replace(config, passes="release")
    short = {"num_steps": 1, "minibatch_size": 3} if config is LOCK else {"num_steps": 4}
    with pytest.raises(UsageError, match="num_steps=.: expected more than"):
        replace(config, **short)
    assert replace(config, **short, passes="whole").num_steps == short["num_steps"]
