"""What the learned objective is held against: advantages by hand, and an LSTM that is set to compute them (1910.04098).

Off-policy REINFORCE with GAE descends along A_t times the distance of the action from the policy's. DDPG ascends the
critic itself and needs no line of its own: it is the policy step with all weight on that term.
"""

import math

import torch

from tutorlib.lab.errors import bad_argument
from tutorlib.papers.metagenrl.model import INPUTS, Objective, Seen, distance, standardised, standardised_values
from tutorlib.shapes import Float, Tensor


def gae(seen: Seen, gamma: float, lam: float, bonus: float = 0.0) -> Float[Tensor, "nets batch time"]:
    """Return A_t = delta_t + gamma lam A_{t+1}, where delta_t = r_t + gamma (1 - d_t) V_{t+1} - V_t.

    A window lies in one episode, so a terminal can only be its last step, and nothing comes after it. ``bonus`` is paid
    at terminals. Padding has no advantage, and gives none.
    """
    delta = seen.reward + bonus * seen.done + gamma * (1 - seen.done) * seen.following - seen.value
    delta = delta * seen.mask
    a, advantages = torch.zeros_like(delta[..., 0]), []
    for t in reversed(range(delta.shape[-1])):
        a = delta[..., t] + gamma * lam * a
        advantages.append(a)
    return torch.stack(advantages[::-1], dim=-1)


def gae_objective(
    pi: Float[Tensor, "nets batch time actions"],
    seen: Seen,
    gamma: float,
    lam: float,
    bonus: float = 0.0,
    scaled: bool = False,
) -> Float[Tensor, "nets batch time"]:
    """Return A_t times the mean of (a_t - pi_t)^2 over actions, whose gradient by pi_t is -2 A_t (a_t - pi_t) / D.

    ``scaled``: whether the advantages are standardised over the batch first.
    """
    a = gae(seen, gamma, lam, bonus)
    return (standardised(a, seen.mask) if scaled else a) * distance(pi, seen)


def gae_by_hand(
    objective: Objective, seen: Seen, gamma: float, lam: float, small: float = 1e-4
) -> Float[Tensor, "nets parameters"]:
    """Return alpha with which the structured objective standardises GAE's advantages of these windows.

    Its LSTM has one unit in use: the candidate is ``small`` times delta_t, where a tanh is a line; the input and output
    gates stand open; the forget gate's sigmoid is gamma lam. The inputs of delta come standardised, so its weights undo
    that with the moments of these windows. For windows without terminals. Raises ``UsageError`` for another form than a
    structured one that reads everything, without hidden layers.
    """
    o = objective
    if o.kind != "structured" or o.other_layers or o.head_layers or o.inputs != INPUTS:
        raise bad_argument("objective", o, "structured, with other_layers=0, head_layers=0 and all inputs in order")
    x, nets = seen.reward, len(seen.reward)

    def line(raw: Tensor, scaled: Tensor) -> tuple[Tensor, Tensor]:
        """Return slope and place of raw = slope scaled + place, from two steps in which they differ."""
        raw, scaled = raw.flatten(1), scaled.flatten(1)
        low, high = scaled.argmin(dim=1, keepdim=True), scaled.argmax(dim=1, keepdim=True)
        slope = (raw.gather(1, high) - raw.gather(1, low)) / (scaled.gather(1, high) - scaled.gather(1, low))
        return slope.squeeze(1), (raw.gather(1, low) - slope * scaled.gather(1, low)).squeeze(1)

    value, _ = standardised_values(seen)
    (r_slope, r_place), (v_slope, v_place) = line(x, standardised(x, seen.mask)), line(seen.value, value)
    w = x.new_zeros(nets, len(o.inputs), o.summary)
    w[:, :, 0] = torch.stack([r_slope, torch.zeros_like(r_slope), gamma * v_slope, -v_slope], dim=-1)
    b = x.new_zeros(nets, o.summary)
    b[:, 0] = r_place + (gamma - 1) * v_place
    w_x, w_h = x.new_zeros(nets, o.summary, 4, o.memory), x.new_zeros(nets, o.memory, 4, o.memory)
    w_x[:, 0, 1, 0] = small
    gates = x.new_zeros(nets, 4, o.memory)
    wide = 40.0  # a sigmoid of it is 1
    gates[:, 0], gates[:, 3] = wide, wide
    gates[:, 2] = math.log(gamma * lam / (1 - gamma * lam)) - 1
    head = x.new_zeros(nets, o.memory + 1)
    head[:, 0] = 1 / small
    return torch.cat([part.flatten(1) for part in (w, b, w_x, w_h, gates, head)], dim=-1)


__all__ = ["gae", "gae_by_hand", "gae_objective"]
