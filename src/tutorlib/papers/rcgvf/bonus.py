"""The bonus of RC-GVF (2211.10282): what its predictors learn, how wrong they are, how much they disagree, and R^i.

Z turns each observation into d pseudo-rewards z_t = Z(o_t). The K predictors V^(k) learn their discounted sums under
the present policy, d general value functions. Axes: ``seeds heads time envs d``; ``times`` are T + 1, with o_T.

Names such as rcgvf-idea-reward are labels of equations in ``notebooks/rcgvf``.
"""

from typing import NamedTuple

import torch
from einops import rearrange

from tutorlib.lab.errors import choose
from tutorlib.papers.rcgvf.config import BONUSES, Hyper
from tutorlib.rl import lambda_returns
from tutorlib.shapes import Bool, Float, Tensor


class Curiosity(NamedTuple):
    """What the predictors make of a rollout."""

    g: Float[Tensor, "seeds heads time envs d"]
    """their targets"""
    bonus: Float[Tensor, "seeds time envs"]
    """R^i"""
    error: Float[Tensor, "seeds time envs"]
    """sum_j err_j"""
    disagreement: Float[Tensor, "seeds time envs"]
    """sum_j dis_j; 0 if K = 1"""


def targets(
    z: Float[Tensor, "seeds time envs d"],
    v: Float[Tensor, "seeds heads time envs d"],
    last: Float[Tensor, "seeds heads envs d"],
    done: Bool[Tensor, "seeds time envs"],
    gamma_z: Float[Tensor, "seeds"],
    lambda_z: Float[Tensor, "seeds"],
) -> Float[Tensor, "seeds heads time envs d"]:
    """Return G^(k)_t = z_t + gamma_z m_{t+1} (lambda_z G^(k)_{t+1} + (1 - lambda_z) V^(k)_{t+1}), G^(k)_T = V^(k)_T.

    Every head stands on its own values, ``last`` being those of o_T; this keeps heads different.
    """
    # The recursion goes along the first axis. z and m are those of all heads, gamma_z and lambda_z those of a seed.
    g = lambda_returns(  # rcgvf-idea-recursion
        rearrange(z, "s t p d -> t s 1 p d"),
        rearrange(v, "s k t p d -> t s k p d"),
        last,
        rearrange(done, "s t p -> t s 1 p 1"),
        gamma_z.view(-1, 1, 1, 1),
        lambda_z.view(-1, 1, 1, 1),
    )
    return rearrange(g, "t s k p d -> s k t p d")


def err(
    g: Float[Tensor, "seeds heads *batch d"], v: Float[Tensor, "seeds heads *batch d"]
) -> Float[Tensor, "seeds *batch d"]:
    """Return err_j = (1/K) sum_k (G^(k)_j - V^(k)_j)^2.

    It has a floor: the chance in G, which no predictor can learn (rcgvf-idea-decomposition).
    """
    return (g - v).square().mean(dim=1)  # rcgvf-idea-reward, err


def dis(v: Float[Tensor, "seeds heads *batch d"]) -> Float[Tensor, "seeds *batch d"]:
    """Return dis_j = Var_k V^(k)_j with 1/(K - 1), which is (V^(1) - V^(2))^2 / 2 for K = 2; 0 if K = 1.

    It has no floor: heads learn from the same data, so chance in the targets moves them alike (rcgvf-idea-linear).
    """
    if v.shape[1] < 2:
        return torch.zeros_like(v[:, 0])
    # Written out, since ``var`` along an axis that is not the last takes as long as all the products of a prediction.
    return (v - v.mean(dim=1, keepdim=True)).square().sum(dim=1) / (v.shape[1] - 1)  # rcgvf-idea-var


def intrinsic(
    bonus: str, e: Float[Tensor, "seeds *batch d"], u: Float[Tensor, "seeds *batch d"]
) -> Float[Tensor, "seeds *batch"]:
    """Return R^i from the errors e and the disagreement u: sum_j u_j e_j, or another one of ``BONUSES``.

    The product falls where either does: nothing is paid for noise once heads agree, nor for disagreement about what is
    predicted well.
    """
    if choose("bonus", bonus, BONUSES) == "product":
        return (u * e).sum(dim=-1)  # rcgvf-idea-reward
    if bonus == "std":
        return (u.sqrt() * e).sum(dim=-1)  # an option of the released code
    if bonus == "norm":
        return e.sum(dim=-1).sqrt()  # rcgvf-idea-rnd, if gamma_z = 0 and K = 1
    return (e if bonus == "error" else u).sum(dim=-1)


def rcgvf_curiosity(
    h: Hyper,
    z: Float[Tensor, "seeds times envs d"],
    v: Float[Tensor, "seeds heads times envs d"],
    done: Bool[Tensor, "seeds time envs"],
    bonus: str = "product",
    alpha: float = 0.0,
) -> Curiosity:
    """Return targets and R^i of RC-GVF, from z and V of the T + 1 observations of a rollout.

    V is what predictors said while acting, before any learning from the rollout. ``alpha`` is NovelD's, unused here.
    """
    now = v[:, :, :-1]  # V(o_0) to V(o_{T-1}); o_T only ends the targets
    g = targets(z[:, :-1], now, v[:, :, -1], done, h.gamma_z, h.lambda_z)
    e, u = err(g, now), dis(now)
    return Curiosity(g, intrinsic(bonus, e, u), e.sum(dim=-1), u.sum(dim=-1))


__all__ = ["Curiosity", "dis", "err", "intrinsic", "rcgvf_curiosity", "targets"]
