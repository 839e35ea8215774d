"""What Q learns from: transitions that a learned model imagines, or that the environment would make (2211.02222)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from tutorlib.envs.tensors import one_hot
from tutorlib.papers.mbrl.model import LatentModel, SimpleModel
from tutorlib.papers.mbrl.problem import Simulator
from tutorlib.shapes import Float, Int, Tensor


class Transitions(NamedTuple):
    """What Q learns from: real or imagined transitions (x, a, r, x', c, w)."""

    x: Float[Tensor, "seeds batch inputs"]
    """what Q reads: an observation, or a latent state phi"""
    action: Int[Tensor, "seeds batch"]
    reward: Float[Tensor, "seeds batch"]
    next: Float[Tensor, "seeds batch inputs"]
    not_done: Float[Tensor, "seeds batch"]
    """c, probability that the episode goes on"""
    weight: Float[Tensor, "seeds batch"]
    """w, probability that it went on until here"""


Policy = Callable[[Tensor, Tensor], Tensor]
"""actions, from x and a uniform for each"""


def dream(
    model: SimpleModel | LatentModel,
    theta: Float[Tensor, "seeds parameters"],
    policy: Policy,
    x: Float[Tensor, "seeds batch inputs"],
    chance: Float[Tensor, "seeds length batch"],
    u: Float[Tensor, "seeds length batch noise"],
    episodic: bool,
) -> Transitions:
    """Return what the learned model imagines from ``x`` on: L steps, one after the other in the batch axis.

    At step k: a_k ~ policy at x_k by ``chance``; r_k is the mean; c_k the probability to go on; x_{k+1} is sampled by
    ``u``; w_1 = 1, and w_{k+1} = w_k c_k if there are episodes, else 1.
    """
    go_on, length = model.transition(theta), chance.shape[1]
    xs, actions = [x], []
    for k in range(length):
        actions.append(policy(xs[-1], chance[:, k]))
        xs.append(go_on(xs[-1], one_hot(actions[-1], model.actions), u[:, k]))
    x, following, action = torch.cat(xs[:-1], dim=1), torch.cat(xs[1:], dim=1), torch.cat(actions, dim=1)
    # What does not decide how the dream goes on is asked once, of all steps together.
    reward, c = model.outcome(theta, x, one_hot(action, model.actions))
    w = torch.ones_like(c)
    if episodic:
        steps = c.unflatten(1, (length, -1))  # mbrl-method-weights, w_{k+1} = w_k c_k
        w = torch.cat([torch.ones_like(steps[:, :1]), steps[:, :-1].cumprod(dim=1)], dim=1).flatten(1, 2)
    return Transitions(x, action, reward, following, c, w)


def simulate(
    env: Simulator,
    policy: Policy,
    state: Any,
    chance: Float[Tensor, "seeds length batch"],
    u: Float[Tensor, "seeds length batch noise"],
) -> Transitions:
    """Return what the perfect model, the environment itself, says from the true ``state`` on; w = 0 after an end."""
    x, w, steps = env.observe(state), torch.ones_like(chance[:, 0]), []
    for k in range(chance.shape[1]):
        a = policy(x, chance[:, k])
        state, r, done = env.transition(state, a, u[:, k])
        following, c = env.observe(state), 1.0 - done.to(chance.dtype)
        steps.append(Transitions(x, a, r, following, c, w))
        x, w = following, w * c  # mbrl-method-weights
    return Transitions(*(torch.cat(part, dim=1) for part in zip(*steps, strict=True)))


__all__ = ["Policy", "Transitions", "dream", "simulate"]
