"""How an agent acts in its environment, and how good its greedy policy is (2211.02222)."""

from collections.abc import Sequence
from typing import Any

import torch

from tutorlib.papers.mbrl.learner import Learner, Setting, Shapes, dealt, phi_noise, phi_size, read, uniforms
from tutorlib.rl import Experience, softmax_action
from tutorlib.shapes import Float, Tensor


def act_shapes(setting: Setting) -> Shapes:
    """Return the shapes of the noise of one step in the environment: phi, the action, what follows."""
    return (1, phi_size(setting)), (1,), (1, setting.env.step_noise)


def act(
    setting: Setting, learner: Learner, state: Any, o: Float[Tensor, "seeds 1 observations"], u: Tensor
) -> tuple[Experience, Any, Tensor]:
    """Return the transition of one step in the environment, and the state and observation to go on from.

    Where the episode ended these are the first of the next one; ``u``: uniforms of ``act_shapes``.
    """
    c, env = setting.config, setting.env
    phi, chance, noise = dealt(u, act_shapes(setting))
    with torch.no_grad():
        a = softmax_action(setting.net(learner.q, read(setting, learner, o, phi)), setting.temperature, chance)
    after, r, done = env.transition(state, a, noise)
    seen = env.observe(after)
    b = Experience(o, a, r, seen, done, state if c.agent == "perfect" else ())
    if not c.episodic:
        return b, after, seen
    state = env.renewed(after, done, noise)
    return b, state, seen if c.official_stale_observation else env.observe(state)


@torch.no_grad()
def evaluate(setting: Setting, learner: Learner, generators: Sequence[torch.Generator]) -> Float[Tensor, "seeds"]:
    """Return how good the greedy policy is, the mean over fresh episodes of at most ``eval_length`` steps.

    With episodes: the undiscounted return until the end. Without: the reward of a step.
    """
    c, env, device = setting.config, setting.env, learner.q.device
    state = env.start(uniforms(generators, (c.eval_episodes, env.start_noise), device))
    total: Tensor = torch.zeros(len(generators), c.eval_episodes, device=device)
    alive = torch.ones_like(total)
    for _ in range(c.eval_length):  # all episodes side by side, and none begins anew
        o = env.observe(state)
        x = read(setting, learner, o, phi_noise(setting, c.eval_episodes, generators, device))
        a = setting.net(learner.q, x).argmax(dim=-1)
        u = uniforms(generators, (c.eval_episodes, env.step_noise), device)
        state, reward, done = env.transition(state, a, u)
        total = total + alive * reward  # the reward of the step that ends an episode counts
        alive = alive * ~done
    return (total if c.episodic else total / c.eval_length).mean(dim=-1)


__all__ = ["act", "act_shapes", "evaluate"]
