"""What RC-GVF is compared with on the lock: RND and NovelD, whose bonus is the error on one observation.

Both train one predictor V towards Z(o_t) itself, which is RC-GVF with gamma_z = 0 and K = 1, without disagreement. PPO,
the third one, has no bonus. ``algorithm.train`` runs all of them.
"""

import torch

from tutorlib.shapes import Bool, Float, Tensor


def novelty(z: Float[Tensor, "*batch d"], v: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch"]:
    """Return n(o) = ||Z(o) - V(o)||_2, which is RND's bonus (Burda et al. 2019)."""
    return (z - v).norm(dim=-1)


def noveld_bonus(
    n: Float[Tensor, "seeds times envs"], ended: Bool[Tensor, "seeds time envs"], alpha: float
) -> Float[Tensor, "seeds time envs"]:
    """Return NovelD's bonus max(n(o_{t+1}) - alpha n(o_t), 0), from the novelty of T + 1 observations.

    After an episode's last step the next observation belongs to another episode, so that step gets none. The released
    code trains NovelD's predictor on targets that are shifted in time, except for the first environment; here each
    observation has its own. It can also divide by episodic counts, which the agent could not know, and which are left
    out here.
    """
    return torch.where(ended, 0.0, (n[:, 1:] - alpha * n[:, :-1]).clamp(min=0))
