"""Adam on a flat parameter vector, or on a stack of them, as a pure function; and clipping by the norm before it."""

import math
from typing import NamedTuple

import torch

from tutorlib.lab.errors import MOST, checked
from tutorlib.shapes import Float, Tensor


class Moments(NamedTuple):
    """The running means of the gradient (m) and of its square (v)."""

    m: Float[Tensor, "*runs parameters"]
    v: Float[Tensor, "*runs parameters"]


@checked()
def no_moments(theta: Float[Tensor, "*runs parameters"]) -> Moments:
    """Return the moments before the first step."""
    return Moments(torch.zeros_like(theta), torch.zeros_like(theta))


@checked(positive=("max_norm",))
def clip_by_norm(g: Float[Tensor, "*runs parameters"], max_norm: float) -> Float[Tensor, "*runs parameters"]:
    """Return the gradients, each scaled down to norm ``max_norm`` where its own norm is larger."""
    return g * (max_norm / g.norm(dim=-1, keepdim=True)).clamp(max=1.0)


@checked(maximum={"step": MOST}, shares=("beta1", "beta2"), not_negative=("eps",))
def adam_step(
    theta: Float[Tensor, "*runs parameters"],
    moments: Moments,
    g: Float[Tensor, "*runs parameters"],
    step: int | Float[Tensor, ""] | Float[Tensor, "*runs 1"],
    lr: float | Float[Tensor, "*runs 1"],
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float | Float[Tensor, "*runs 1"] = 1e-8,
) -> tuple[Float[Tensor, "*runs parameters"], Moments]:
    """Return theta and the moments after step number ``step``, counted from 0 (Kingma and Ba 2015, Algorithm 1).

    Runs that began at different times have a number each. In a compiled step its number is a tensor of float64, or one
    for each run: a whole number would be compiled anew in each step.
    """
    m = beta1 * moments.m + (1 - beta1) * g
    v = beta2 * moments.v + (1 - beta2) * g.square()
    if isinstance(step, Tensor) and step.dim():
        m_hat, v_hat = (x / -(math.log(b) * (step + 1)).expm1() if b else x for x, b in ((m, beta1), (v, beta2)))
    elif isinstance(step, Tensor) and torch.compiler.is_compiling():
        m_hat, v_hat = m * _correction(beta1, step), v * _correction(beta2, step)
    else:
        m_hat = m / (1 - beta1 ** (step + 1))
        v_hat = v / (1 - beta2 ** (step + 1))
    return theta - lr * m_hat / (v_hat.sqrt() + eps), Moments(m, v)


def _correction(beta: float, step: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """Return 1 / (1 - beta^(step + 1)) in a form that a compiler works out once.

    It would inline a power, and take it anew for every few entries of theta: half of the time of Adam. An exponential
    that is used twice counts as too heavy for that.
    """
    return 1 / (1 - (math.log(beta) * (step + 1)).exp()) if beta else torch.ones_like(step)


@checked(maximum={"step": MOST}, not_negative=("lr",), positive=("eps",), shares=("beta1", "beta2"))
def adam_(
    theta: Float[Tensor, "*runs parameters"],
    moments: Moments,
    g: Float[Tensor, "*runs parameters"],
    step: int,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
) -> None:
    """Do in place what ``adam_step`` returns, for a loop that owns ``theta`` and ``moments``.

    It is the kernel of ``torch.optim.Adam(fused=True)``: one pass over memory, where a chain of operations writes eight
    vectors of the size of theta.
    """
    torch._fused_adam_(
        [theta],
        [g],
        [moments.m],
        [moments.v],
        [],
        [torch.full((), step + 1.0, device=theta.device)],
        lr=lr,
        beta1=beta1,
        beta2=beta2,
        weight_decay=0.0,
        eps=eps,
        amsgrad=False,
        maximize=False,
    )
