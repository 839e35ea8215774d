"""The losses of PPO (Schulman et al. 2017), one number for each seed.

A leading axis holds independent runs, ``*seeds``: each has its own mean over its minibatch. So runs that learn side by
side learn what each would learn alone, if each one's gradient is cut by its own norm (``nn.clip_by_norm``).
"""

import torch

from tutorlib.lab.errors import checked
from tutorlib.shapes import Float, Tensor


@checked(positive=("clip_coef",))
def policy_loss(
    ratio: Float[Tensor, "*seeds batch"], advantage: Float[Tensor, "*seeds batch"], clip_coef: float
) -> Float[Tensor, "*seeds"]:
    """Return -E min(ratio A, clip(ratio, 1 - clip_coef, 1 + clip_coef) A), where ratio = pi(a | h) / pi_old(a | h)."""
    return -torch.minimum(ratio * advantage, ratio.clamp(1 - clip_coef, 1 + clip_coef) * advantage).mean(dim=-1)


@checked(positive=("clip_coef",))
def value_loss(
    v: Float[Tensor, "*seeds batch"],
    v_old: Float[Tensor, "*seeds batch"],
    returns: Float[Tensor, "*seeds batch"],
    clip_coef: float,
) -> Float[Tensor, "*seeds"]:
    """Return E max((V - G)^2, (V_old + clip(V - V_old, -clip_coef, clip_coef) - G)^2).

    The larger of the two: a value that has come closer to its return by more than ``clip_coef`` gains nothing from
    going on.
    """
    near = v_old + (v - v_old).clamp(-clip_coef, clip_coef)
    return torch.maximum((v - returns).square(), (near - returns).square()).mean(dim=-1)


@checked()
def entropy(log_pi: Float[Tensor, "*seeds batch actions"]) -> Float[Tensor, "*seeds"]:
    """Return the policy's mean entropy in nats, from the log-probabilities of all actions."""
    return -(log_pi.exp() * log_pi).sum(dim=-1).mean(dim=-1)


__all__ = ["entropy", "policy_loss", "value_loss"]
