"""What the paper's own code computes, number by number: environments, losses, gradients, steps, rollouts."""

import math

import pytest
import torch

from tutorlib.nn import no_moments
from tutorlib.papers.mbrl.algorithm import (
    Experience,
    Transitions,
    adamw_step,
    as_replayed,
    dqn_loss,
    dream,
    latent_loss,
    simple_loss,
)
from tutorlib.papers.mbrl.maze import MazeState, ProcMaze
from tutorlib.papers.mbrl.model import MLP, LatentModel, SimpleModel
from tutorlib.papers.mbrl.problem import ButtonGrid, ButtonState, FluteState, OpenGrid, OpenState, PanFlute

HALF_LOG_2_PI = math.log(2 * math.pi) / 2
"""the constant of a normal law, which the paper's code counts"""
BITS, ACTIONS = 36, 5

WORLDS = {
    "flute4": (PanFlute(4), FluteState),
    "buttons4": (ButtonGrid(4, 3), ButtonState),
    "maze3": (ProcMaze(3), MazeState),
    "maze4": (ProcMaze(4), MazeState),
    "open4": (OpenGrid(4), OpenState),
}
MODELS = {
    "simple": SimpleModel(BITS, ACTIONS, hidden=12, official_bernoulli_logit=True),
    "categorical": LatentModel(BITS, ACTIONS, latents=4, classes=5, hidden=12),
}


def close(found, expected):
    assert found.dtype == torch.double
    torch.testing.assert_close(found, expected.to(found).view_as(found), rtol=0, atol=1e-9)


def tensors(arrays):
    """Return arrays as tensors: small integers as whole numbers, all else as it is."""
    found = {name: torch.from_numpy(array) for name, array in arrays.items()}
    return {name: x.long() if x.dtype == torch.int8 else x for name, x in found.items()}


# Environments


def state_of(kind, g, prefix):
    """Return the recorded state of a world; fields named like those of bits are bits."""
    parts = {name: g[f"{prefix}_{name}"] for name in kind._fields}
    return kind(**{name: x.bool() if name in ("cells", "on", "wall") else x for name, x in parts.items()})


@pytest.mark.parametrize("name", WORLDS)
def test_worlds_are_the_papers(golden, name):
    env, kind = WORLDS[name]
    g = {key.removeprefix(f"{name}_"): x for key, x in tensors(golden("rl/mbrl_env")).items() if key.startswith(name)}
    state, following = state_of(kind, g, "state"), state_of(kind, g, "next")
    assert torch.equal(env.observe(state).long(), g["observation"])
    assert torch.equal(env.observe(following).long(), g["next_observation"])
    u = torch.full((*g["action"].shape, env.step_noise), 0.5, dtype=torch.double)
    u[..., 0] = g["event_uniform"]
    after, reward, done = env.transition(state, g["action"], u)
    assert torch.equal(reward.long(), g["reward"])
    assert torch.equal(done.long(), g["terminal"])
    placed = (g["reward"] if name == "buttons4" else torch.zeros_like(g["reward"])).bool()
    for mine, theirs in zip(after, following, strict=True):
        assert torch.equal(mine[~placed], theirs[~placed])
    if name == "buttons4":  # a new layout is a new draw, but all are off
        assert placed.any()
        assert not after.on[placed].any()
        assert not following.on[placed].any()


# Learning


def batch_of(g, suffix=""):
    """Return the recorded real transitions, of one seed."""
    o, action, reward, following, done = (
        g[f"{name}{suffix}"][None] for name in ("o", "action", "reward", "next", "terminal")
    )
    return Experience(o.double(), action, reward.double(), following.double(), done, ())


def stepped(loss, theta, moments, step, rate):
    """Return the gradient of ``loss`` at theta, and theta and its moments after a step of the optimiser."""
    theta = theta.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(theta).sum(), theta)
    return gradient, *adamw_step(theta.detach(), moments, gradient, step, rate)


def test_replay_learns_as_the_papers(golden):
    g = tensors(golden("rl/mbrl_er"))
    net = MLP(BITS, ACTIONS, hidden=12)
    q, target_params = g["q"][None], g["copy"][None]
    moments = no_moments(q)
    for step in range(3):
        b = as_replayed(batch_of(g, f"_{step}"))
        close(dqn_loss(net, q, target_params, b, 0.9), g[f"loss_{step}"])
        gradient, q, moments = stepped(
            lambda theta, b=b: dqn_loss(net, theta, target_params, b, 0.9), q, moments, step, 5e-5
        )
        close(gradient, g[f"gradient_{step}"])
        close(q, g[f"q_after_{step}"])


def uniforms_of(law, phi):
    """Return uniforms by which ``draw`` makes ``phi`` of a law over classes: the middle of the chosen class."""
    p = law.logits.softmax(-1)
    hot = phi.view(p.shape)
    return ((p.cumsum(-1) - p / 2) * hot).sum(-1)


def loss_of(model, g):
    """Return the loss of a model on the recorded batch, as a function of its parameters."""
    b = batch_of(g)
    if isinstance(model, SimpleModel):
        return lambda theta: simple_loss(model, theta, b)
    u = uniforms_of(model.encode(g["model"][None], b.o), g["phi_of_the_loss"][None])
    return lambda theta: latent_loss(model, theta, b, u)


def noise_of(model, g):
    """Return the uniforms of the recorded rollout, ``[1, length, batch, noise]``."""
    if isinstance(model, SimpleModel):
        return g["rollout_uniform"].transpose(0, 1)[None]
    theta = g["model_after"][None]
    a = torch.nn.functional.one_hot(g["rollout_action"], ACTIONS).double()
    laws = [model.predict(theta, g["rollout_x"][None, :, k], a[None, :, k]).next for k in range(10)]
    return torch.stack([uniforms_of(law, g["rollout_next"][None, :, k]) for k, law in enumerate(laws)], dim=1)


@pytest.mark.parametrize("name", MODELS)
def test_models_learn_and_dream_as_the_papers(golden, name):
    g, model = tensors(golden(f"rl/mbrl_{name}")), MODELS[name]
    loss, theta = loss_of(model, g), g["model"][None]
    close(loss(theta) + HALF_LOG_2_PI, g["model_loss"])
    gradient, theta, _ = stepped(loss, theta, no_moments(theta), 0, 2e-4)
    close(gradient, g["model_gradient"])
    close(theta, g["model_after"])

    def scripted(x, u):
        return u.long()  # the luck of acting is the action itself

    chance = g["rollout_action"].T[None].double()
    found = dream(model, theta, scripted, g["rollout_x"][None, :, 0].double(), chance, noise_of(model, g), True)
    fields = ("x", "action", "reward", "next", "continues", "weight")
    rollout = Transitions(*(g[f"rollout_{field}"].transpose(0, 1).flatten(0, 1)[None] for field in fields))
    for mine, theirs in zip(found, rollout, strict=True):
        close(mine.double(), theirs)

    net = MLP(model.inputs, ACTIONS, hidden=12)
    q, target_params = g["q"][None], g["copy"][None]
    close(dqn_loss(net, q, target_params, found, 0.9), g["q_loss"])
    gradient, q, _ = stepped(lambda theta: dqn_loss(net, theta, target_params, found, 0.9), q, no_moments(q), 0, 2e-4)
    close(gradient, g["q_gradient"])
    close(q, g["q_after"])
