"""What Q and the models are trained on, and by which optimiser (2211.02222)."""

import torch
import torch.nn.functional as F

from tutorlib.envs.tensors import one_hot, pick
from tutorlib.nn import Moments, adam_step
from tutorlib.papers.mbrl.model import MLP, LatentModel, SimpleModel, draw, kl, stop_gradient
from tutorlib.papers.mbrl.rollouts import Transitions
from tutorlib.rl import Experience, dqn_targets, td_loss
from tutorlib.shapes import Float, Tensor

# Q


def dqn_loss(
    net: MLP,
    theta: Float[Tensor, "seeds parameters"],
    target_params: Float[Tensor, "seeds parameters"],
    b: Transitions,
    gamma: float,
) -> Float[Tensor, "seeds"]:
    """Return the mean of w (Q(x, a) - [r + gamma c max_a' Q^-(x', a')])^2 over the batch of each seed."""
    with torch.no_grad():
        target = dqn_targets(b.reward, b.not_done, net(target_params, b.next), gamma)
    return td_loss(pick(net(theta, b.x), b.action), target, b.weight)  # mbrl-method-dqn


def as_replayed(b: Experience) -> Transitions:
    """Return real transitions as Q learns from them: c = 1 - terminal, w = 1."""
    return Transitions(b.o, b.action, b.reward, b.next, 1.0 - b.done.to(b.reward.dtype), torch.ones_like(b.reward))


# The model


def bits_loss(
    logits: Float[Tensor, "seeds batch observations"], o: Float[Tensor, "seeds batch observations"]
) -> Float[Tensor, "seeds batch"]:
    """Return -log p(o) of independent Bernoulli bits: sum_i BCE(o_i, sigmoid(l_i))."""
    return F.binary_cross_entropy_with_logits(logits, o, reduction="none").sum(dim=-1)  # mbrl-idea-bits


def outcome_loss(
    reward: Float[Tensor, "seeds batch"], not_done: Float[Tensor, "seeds batch"], b: Experience
) -> Float[Tensor, "seeds batch"]:
    """Return L_rew + L_term: (r - mu)^2 / 2, that is -log N(r; mu, 1) but for a constant, and BCE(1 - terminal)."""
    on = 1.0 - b.done.to(reward.dtype)
    l_term = F.binary_cross_entropy_with_logits(not_done, on, reduction="none")
    return (b.reward - reward).square() / 2 + l_term


def simple_loss(model: SimpleModel, theta: Float[Tensor, "seeds parameters"], b: Experience) -> Float[Tensor, "seeds"]:
    """Return L_next + L_rew + L_term, the mean over the batch; after a terminal step there is no next observation."""
    p = model.predict(theta, b.o, one_hot(b.action, model.actions))
    l_next = bits_loss(p.next, b.next) * ~b.done
    return (l_next + outcome_loss(p.reward, p.not_done, b)).mean(dim=-1)  # mbrl-method-simple


def latent_loss(
    model: LatentModel,
    theta: Float[Tensor, "seeds parameters"],
    b: Experience,
    u: Float[Tensor, "seeds batch latents"],
) -> Float[Tensor, "seeds"]:
    """Return L_recon + .8 KL(sg q || p) + .2 KL(q || sg p) + L_rew + L_term, the mean over the batch.

    q = q(.|o') is what the encoder says of the next observation, p = p(.|phi, a) what the transition expected; the
    weights train p four times as fast as q. As in the paper's code L_recon is of the current observation and dropped at
    terminal steps, where the KL is not.
    """
    phi = draw(model.encode(theta, b.o), u)
    prediction = model.predict(theta, phi, one_hot(b.action, model.actions))
    q, p = model.encode(theta, b.next), prediction.next
    l_recon = bits_loss(model.decode(theta, phi), b.o) * ~b.done
    # mbrl-method-latent
    l_next = l_recon + 0.8 * kl(stop_gradient(q), p) + 0.2 * kl(q, stop_gradient(p))
    return (l_next + outcome_loss(prediction.reward, prediction.not_done, b)).mean(dim=-1)


# The optimiser


def adamw_step(
    theta: Float[Tensor, "seeds parameters"],
    moments: Moments,
    g: Float[Tensor, "seeds parameters"],
    step: int | Float[Tensor, ""],
    lr: float | Float[Tensor, "seeds 1"],
    beta1: float = 0.9,
    beta2: float = 0.99,
    epsilon: float = 1e-5,
    decay: float = 1e-6,
) -> tuple[Float[Tensor, "seeds parameters"], Moments]:
    """Return theta after one step of Adam and of a decay that the rate does not multiply; defaults are the paper's."""
    after, moments = adam_step(theta, moments, g, step, lr, beta1, beta2, epsilon)
    return after - decay * theta, moments


__all__ = [
    "adamw_step",
    "as_replayed",
    "bits_loss",
    "dqn_loss",
    "latent_loss",
    "outcome_loss",
    "simple_loss",
]
