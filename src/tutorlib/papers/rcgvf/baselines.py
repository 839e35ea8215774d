"""What RC-GVF is compared with: the bonuses of RND and NovelD, and what AGAC adds to advantages and values.

RND and NovelD train one predictor V towards Z(o_t) itself, which is RC-GVF with gamma_z = 0 and K = 1, without
disagreement. AGAC's adversary imitates the policy, which is paid for what the adversary does not expect. PPO has no
bonus. ``methods.TABLE`` has all of them.
"""

import torch

from tutorlib.papers.rcgvf.bonus import Curiosity
from tutorlib.papers.rcgvf.config import Hyper
from tutorlib.shapes import Bool, Float, Int, Tensor


def novelty(z: Float[Tensor, "*batch d"], v: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch"]:
    """Return n(o) = ||Z(o) - V(o)||_2, which is RND's bonus (Burda et al. 2019)."""
    return (z - v).norm(dim=-1)  # rcgvf-idea-rnd


def noveld_bonus(
    n: Float[Tensor, "seeds times envs"], done: Bool[Tensor, "seeds time envs"], alpha: float
) -> Float[Tensor, "seeds time envs"]:
    """Return NovelD's bonus max(n(o_{t+1}) - alpha n(o_t), 0), from the novelty of T + 1 observations.

    After an episode's last step the next observation belongs to another episode, so that step gets none. The released
    code trains NovelD's predictor on targets that are shifted in time, except for the first environment; here each
    observation has its own. It can also divide by episodic counts, which the agent could not know
    (``recurrent_bonuses``).
    """
    return torch.where(done, 0.0, (n[:, 1:] - alpha * n[:, :-1]).clamp(min=0))


def rnd_curiosity(
    h: Hyper,
    z: Float[Tensor, "seeds times envs d"],
    v: Float[Tensor, "seeds one times envs d"],
    done: Bool[Tensor, "seeds time envs"],
    bonus: str = "norm",
    alpha: float = 0.0,
) -> Curiosity:
    """Return targets, which are z, and RND's bonus; the arguments are those of ``bonus.rcgvf_curiosity``."""
    n = novelty(z, v[:, 0])
    return _of_novelty(z, n, n[:, :-1])


def noveld_curiosity(
    h: Hyper,
    z: Float[Tensor, "seeds times envs d"],
    v: Float[Tensor, "seeds one times envs d"],
    done: Bool[Tensor, "seeds time envs"],
    bonus: str = "norm",
    alpha: float = 0.5,
) -> Curiosity:
    """Return targets, which are z, and NovelD's bonus; the arguments are those of ``bonus.rcgvf_curiosity``."""
    n = novelty(z, v[:, 0])
    return _of_novelty(z, n, noveld_bonus(n, done, alpha))


def _of_novelty(
    z: Float[Tensor, "seeds times envs d"],
    n: Float[Tensor, "seeds times envs"],
    bonus: Float[Tensor, "seeds time envs"],
) -> Curiosity:
    return Curiosity(z[:, None, :-1], bonus, n[:, :-1].square(), torch.zeros_like(bonus))


def surprise(
    log_pi: Float[Tensor, "*batch actions"],
    log_adversary: Float[Tensor, "*batch actions"],
    actions: Int[Tensor, "*batch"],
) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
    """Return log pi(a) - log pi_adv(a) of the actions taken, and its mean over the policy, KL(pi || pi_adv)."""
    gap = log_pi - log_adversary
    return gap.gather(-1, actions.unsqueeze(-1)).squeeze(-1), kl(log_pi, log_adversary)


def kl(
    log_pi: Float[Tensor, "*batch actions"], log_adversary: Float[Tensor, "*batch actions"]
) -> Float[Tensor, "*batch"]:
    """Return KL(pi || pi_adv), which is also what AGAC's adversary makes small."""
    return (log_pi.exp() * (log_pi - log_adversary)).sum(dim=-1)


__all__ = ["kl", "noveld_bonus", "noveld_curiosity", "novelty", "rnd_curiosity", "surprise"]
