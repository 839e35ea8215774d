"""MetaGenRL: the steps of critics, policies and the objective that they share, as pure functions (1910.04098).

Every tensor is ``[nets, ...]``, one entry for each agent of every run. An agent has a policy phi, two critics theta,
and a copy of its run's alpha, so the gradients of alpha come out for each agent alone and can be cut one by one.
"""

from functools import partial

import torch
from torch.func import grad, vjp

from tutorlib.nn import clip_by_norm, slope
from tutorlib.papers.metagenrl.baselines import gae_objective
from tutorlib.papers.metagenrl.config import Config, Setting, setting_of
from tutorlib.papers.metagenrl.model import Seen, last_of
from tutorlib.rl.td3 import masked_mean, smoothed_action, td3_targets, twin_loss
from tutorlib.rl.windows import Windows
from tutorlib.shapes import Float, Tensor


def act(setting: Setting, phi: Float[Tensor, "nets parameters"], o: Tensor) -> Tensor:
    """Return pi_phi(o), 0 for actions that an agent's environment does not have."""
    return setting.ac.act(phi, o) * _beside(setting.used, o)


def _beside(used: Float[Tensor, "nets actions"], x: Tensor) -> Tensor:
    """Return ``used`` with axes of 1 between its own, to meet x ``[nets, ..., anything]``."""
    return used.reshape(len(used), *(1 for _ in x.shape[1:-1]), -1)


def look(
    setting: Setting, phi: Float[Tensor, "nets parameters"], theta: Float[Tensor, "nets critics"], w: Windows
) -> Seen:
    """Return what the objective reads of windows: V_t = Q1(s_t, pi(s_t)), through which no gradient flows."""
    phi, theta = phi.detach(), theta.detach()
    last = last_of(w.mask)
    end = (w.next * last.unsqueeze(-1)).sum(dim=2, keepdim=True)
    o = torch.cat([w.o, end], dim=2)
    values = setting.ac.q(theta, o, act(setting, phi, o))
    value = values[..., :-1]
    following = last * values[..., -1:] + (1 - last) * torch.cat([value[..., 1:], values[..., -1:]], dim=-1)
    return Seen(w.action, w.reward, w.done, value, following, w.mask, setting.used)


# The critic


def critic_gradient(
    setting: Setting,
    theta: Float[Tensor, "nets critics"],
    target_phi: Float[Tensor, "nets parameters"],
    target_theta: Float[Tensor, "nets critics"],
    w: Windows,
    noise: Float[Tensor, "nets batch time actions"],
) -> Float[Tensor, "nets critics"]:
    """Return the gradient of TD3's loss; ``noise`` is normal, on the targets' actions."""
    c, ac = setting.config, setting.ac
    a = smoothed_action(act(setting, target_phi, w.next), c.target_noise * noise, c.noise_clip, c.limit)
    a = a * _beside(setting.used, a)
    y = td3_targets(w.reward, w.done, ac.both(target_theta, w.next, a), c.gamma, c.terminal_bonus).detach()
    return slope(lambda theta: twin_loss(ac.both(theta, w.o, w.action), y, w.mask), theta)


# The policy


def learned_loss(
    setting: Setting, phi: Float[Tensor, "nets parameters"], alpha: Float[Tensor, "nets weights"], seen: Seen, o: Tensor
) -> Float[Tensor, "nets"]:
    """Return the mean of L_alpha(tau, pi_phi, V) over all places of the windows, whose observations are ``o``."""
    # metagenrl-idea-objective, as a mean
    return (setting.objective(alpha, act(setting, phi, o), seen) * seen.mask).flatten(1).mean(dim=1)


def policy_gradient(
    setting: Setting,
    phi: Float[Tensor, "nets parameters"],
    theta: Float[Tensor, "nets critics"],
    alpha: Float[Tensor, "nets weights"],
    weights: Float[Tensor, "nets 3"],
    w: Windows,
    terms: tuple[bool, bool, bool] = (True, True, True),
) -> Float[Tensor, "nets parameters"]:
    """Return the gradient of the policy's loss, cut to its norm: of the learned objective, of -Q1 (which is DDPG) and
    of off-policy REINFORCE with GAE, by their ``weights``.

    ``terms``: which of the three are computed at all.
    """
    c, ac, seen = setting.config, setting.ac, look(setting, phi, theta, w)
    theta, used = theta.detach(), _beside(setting.used, w.action)

    def loss(phi: Tensor) -> Tensor:
        z = ac.before_limit(phi, w.o)
        pi = c.limit * z.tanh() * used
        total = c.penalty * masked_mean((z.square() * used).sum(dim=-1) / used.sum(dim=-1), w.mask)
        parts = (
            lambda: setting.objective(alpha, pi, seen),
            lambda: -ac.q(theta, w.o, pi),
            lambda: gae_objective(pi, seen, c.gamma, c.gae_lambda, c.terminal_bonus, c.scaled_advantages),
        )
        for i, part in enumerate(parts):
            if terms[i]:
                total = total + weights[:, i] * (part() * w.mask).flatten(1).mean(dim=1)
        return total

    return clip_by_norm(slope(loss, phi), c.max_grad_norm)


# The objective


def _scaled(setting: Setting, g: Float[Tensor, "nets parameters"]) -> Float[Tensor, "nets parameters"]:
    """Return the inner step, eta times the gradient in one of the forms of ``config.SCALES``."""
    c = setting.config
    if c.inner_scale == "raw":
        return c.inner_lr * g
    # The norm of a gradient of zeros has no slope: a little under the root gives it one.
    norm = (g.square().sum(dim=-1, keepdim=True) + 1e-24).sqrt()
    return c.inner_lr * (g / norm if c.inner_scale == "normalised" else g / norm.clamp(min=1.0))


def _split(setting: Setting, w: Windows) -> list[Windows]:
    """Return the windows of each inner step, and those that are left for the evaluation alone."""
    b = setting.config.batch
    return [Windows(*parts) for parts in zip(*(part.split(b, dim=1) for part in w), strict=True)]


def inner_gradient(
    setting: Setting,
    alpha: Float[Tensor, "nets weights"],
    phi: Float[Tensor, "nets parameters"],
    theta: Float[Tensor, "nets critics"],
    w: Windows,
) -> Float[Tensor, "nets parameters"]:
    """Return the gradient by phi of the SUM of L_alpha over the windows."""
    seen = look(setting, phi, theta, w)

    def total(phi: Tensor) -> Tensor:
        return (setting.objective(alpha, act(setting, phi, w.o), seen) * seen.mask).sum()

    return grad(total)(phi)


def updated(
    setting: Setting,
    alpha: Float[Tensor, "nets weights"],
    phi: Float[Tensor, "nets parameters"],
    theta: Float[Tensor, "nets critics"],
    w: Windows,
) -> Float[Tensor, "nets parameters"]:
    """Return phi' after K inner steps, phi' = phi - eta grad_phi L_alpha, each on a batch of its own of ``w``."""
    for part in _split(setting, w)[: setting.config.inner_steps]:
        phi = phi - _scaled(setting, inner_gradient(setting, alpha, phi, theta, part))  # metagenrl-idea-objective
    return phi


def future_value(
    setting: Setting,
    alpha: Float[Tensor, "nets weights"],
    phi: Float[Tensor, "nets parameters"],
    theta: Float[Tensor, "nets critics"],
    w: Windows,
) -> Float[Tensor, "nets batch time"]:
    """Return Q1(s, pi_phi'(s)) of all windows: what the critic says of the policy after the inner steps."""
    return setting.ac.q(theta, w.o, act(setting, updated(setting, alpha, phi, theta, w), w.o))


def _valued(setting: Setting, phi: Tensor, theta: Tensor, w: Windows, scale: Tensor) -> Float[Tensor, "nets"]:
    """Return minus the mean of Q1(s, pi_phi(s)), in units of ``scale``."""
    return -masked_mean(setting.ac.q(theta, w.o, act(setting, phi, w.o)), w.mask) / scale


def _gain_scale(setting: Setting, phi: Tensor, theta: Tensor, w: Windows) -> Float[Tensor, "nets"]:
    """Return what gains are measured in: 1, or the critic's standard deviation over the windows."""
    if not setting.config.scaled_gain:
        return torch.ones_like(w.reward[:, 0, 0])
    q = setting.ac.q(theta, w.o, act(setting, phi, w.o))
    off = (q - masked_mean(q, w.mask)[:, None, None]).square()
    return (masked_mean(off, w.mask) + 1e-8).sqrt().detach()


def meta_loss(
    setting: Setting,
    alpha: Float[Tensor, "nets weights"],
    phi: Float[Tensor, "nets parameters"],
    theta: Float[Tensor, "nets critics"],
    w: Windows,
) -> Float[Tensor, "nets"]:
    """Return each agent's -E Q1(s, pi_phi'(s)), the loss of alpha."""
    after = updated(setting, alpha, phi, theta, w)
    return _valued(setting, after, theta, w, _gain_scale(setting, phi, theta, w))  # metagenrl-idea-meta


def meta_gradient(
    setting: Setting,
    alpha: Float[Tensor, "nets weights"],
    phi: Float[Tensor, "nets parameters"],
    theta: Float[Tensor, "nets critics"],
    w: Windows,
    form: str = "exact",
) -> tuple[Float[Tensor, "nets weights"], Float[Tensor, "nets"]]:
    """Return the second-order gradient by each agent's alpha of its ``meta_loss``, and that loss.

    ``exact`` differentiates through the inner steps. ``product`` is the same for one step, and differentiates no policy
    twice: with v = grad_phi' of the loss and u_t = (d pi_phi(s_t) / d phi) v, how the actions move along v, it is
    -eta grad_alpha sum_t <d L_alpha / d pi_t, u_t>.
    """
    if form == "exact":

        def loss(alpha: Tensor) -> tuple[Tensor, Tensor]:
            losses = meta_loss(setting, alpha, phi, theta, w)
            return losses.sum(), losses

        return grad(loss, has_aux=True)(alpha)
    first = _split(setting, w)[0]
    seen, scale = look(setting, phi, theta, first), _gain_scale(setting, phi, theta, w)
    step, back, *_ = vjp(partial(_scaled, setting), inner_gradient(setting, alpha, phi, theta, first))

    def value(phi: Tensor) -> tuple[Tensor, Tensor]:
        losses = _valued(setting, phi, theta, w, scale)
        return losses.sum(), losses

    v, losses = grad(value, has_aux=True)(phi - step)
    (v,) = back(v)  # eta, and what normalising the step turns it by
    z, dz = setting.ac.policy.moved(phi, v, first.o)
    used, limit = _beside(setting.used, z), setting.config.limit
    pi, u = limit * z.tanh() * used, limit * (1 - z.tanh().square()) * dz * used

    def aligned(alpha: Tensor) -> Tensor:
        push = grad(lambda pi: (setting.objective(alpha, pi, seen) * seen.mask).sum())(pi)
        return -(push * u).sum()  # metagenrl-idea-product

    return grad(aligned)(alpha), losses


def alignment(
    setting: Setting,
    alpha: Float[Tensor, "nets weights"],
    phi: Float[Tensor, "nets parameters"],
    theta: Float[Tensor, "nets critics"],
    w: Windows,
) -> Float[Tensor, "nets"]:
    """Return the mean cosine of -d L_alpha / d pi and d Q1 / d a over each agent's steps, where D = 1 their signs'."""
    seen, pi = look(setting, phi, theta, w), act(setting, phi, w.o)
    push = -grad(lambda pi: (setting.objective(alpha, pi, seen) * seen.mask).sum())(pi)
    rise = grad(lambda pi: setting.ac.q(theta, w.o, pi).sum())(pi) * _beside(setting.used, pi)
    cosine = (push * rise).sum(dim=-1) / (push.norm(dim=-1) * rise.norm(dim=-1)).clamp(min=1e-30)
    return masked_mean(cosine, w.mask)


__all__ = [
    "Config",
    "Setting",
    "act",
    "alignment",
    "critic_gradient",
    "future_value",
    "inner_gradient",
    "learned_loss",
    "look",
    "meta_gradient",
    "meta_loss",
    "policy_gradient",
    "setting_of",
    "updated",
]
