"""The bonuses of the recurrent agent (2211.10282): what each method makes of a rollout, and what its network learns.

``methods.TABLE`` says which function serves which method. ``judge_*`` look at a rollout before any learning from it;
``*_states`` unroll a network with a memory over segments; ``*_objective`` is the loss of a minibatch, one for each
seed. ``phi`` are the weights of what learns beside the actor-critic: RC-GVF's or RND's predictor, or AGAC's adversary.
"""

from collections.abc import Callable

import torch
from einops import rearrange

from tutorlib.envs.tensors import one_hot
from tutorlib.papers.rcgvf import memory as nets
from tutorlib.papers.rcgvf.baselines import kl, surprise
from tutorlib.papers.rcgvf.bonus import rcgvf_curiosity
from tutorlib.papers.rcgvf.config import Hyper
from tutorlib.papers.rcgvf.recurrent_config import Config
from tutorlib.papers.rcgvf.recurrent_data import Batch, Curiosity, Rollout, State
from tutorlib.shapes import Bool, Float, Tensor


def one_step_before(
    first: Float[Tensor, "seeds envs n"],
    x: Float[Tensor, "seeds time envs n"],
    is_first: Bool[Tensor, "seeds times envs"],
) -> Float[Tensor, "seeds times envs n"]:
    """Return x of the step before for T + 1 times, ``first`` before step 0, and zeros where an episode begins.

    The released code has no zeros there: its predictors go on reading the last step of the episode before.
    """
    return torch.cat([first.unsqueeze(1), x], dim=1) * (~is_first).unsqueeze(-1)


def actions_before(state: State, past: Rollout) -> Float[Tensor, "seeds times envs 7"]:
    """Return the action before each step, one-hot."""
    return one_step_before(state.last_actions, one_hot(past.actions, nets.ACTIONS), past.is_first)


def root_counts(past: Rollout) -> Float[Tensor, "seeds time envs"]:
    """Return sqrt(N_ep): how often the agent has been where it is in this episode, which it could not know."""
    return past.visits.to(past.v.dtype).sqrt()


def paid_for_counts(c: Config, past: Rollout) -> Float[Tensor, "seeds time envs"]:
    """Return beta_counts / sqrt(N_ep), all that PPO and AGAC are paid besides; 0 without counts."""
    return c.beta_counts / root_counts(past) if c.counts else torch.zeros_like(past.r)


def _no_pseudo_rewards(past: Rollout) -> Float[Tensor, "seeds times envs 0"]:
    return past.v.new_zeros(*past.look.shape[:3], 0)


# PPO: nothing but counts.


def judge_ppo(c: Config, h: Hyper, state: State, past: Rollout) -> Curiosity:
    """Return what PPO is paid for counts."""
    z, nothing = _no_pseudo_rewards(past), torch.zeros_like(past.r)
    return Curiosity(
        reward=paid_for_counts(c, past),
        more_advantage=nothing,
        more_value=nothing,
        g=z[:, :-1].unsqueeze(-2),
        memory=_no_memory(c, state),
        last_actions=actions_before(state, past),
        last_pseudo_rewards=z,
    )


def _no_memory(c: Config, state: State) -> Float[Tensor, "seeds times envs entries"]:
    """Return the empty memory of a network that has none, for each time."""
    return state.bonus_memory.unsqueeze(1).expand(-1, c.num_steps + 1, -1, -1)


# RC-GVF: predictors of history, whose K heads are paid for where they are wrong and disagree.


def judge_rcgvf(c: Config, h: Hyper, state: State, past: Rollout) -> Curiosity:
    """Return beta R^i of RC-GVF, from predictions made online: each from what was remembered when it was made."""
    layers = c.predictor.network.layers(state.phi)
    z = nets.see_all(c.z.layers(state.zeta)["convolutions"], past.look)  # rcgvf-idea-z, [seeds, times, envs, d]
    last_actions = actions_before(state, past)
    last_pseudo_rewards = one_step_before(state.last_pseudo_rewards, z[:, :-1], past.is_first)
    x = c.predictor.lstm_inputs(layers, past.look, last_actions, last_pseudo_rewards)
    hidden, memories = nets.unroll(layers["lstm"], x, past.is_first, state.bonus_memory)
    v = c.predictor.predictions(layers, hidden)  # [seeds, heads, times, envs, d]
    judged = rcgvf_curiosity(h, z, v, past.done)
    nothing = torch.zeros_like(past.r)
    return Curiosity(
        reward=h.beta.view(-1, 1, 1) * (judged.bonus / (root_counts(past) if c.counts else 1.0)),
        more_advantage=nothing,
        more_value=nothing,
        g=rearrange(judged.g, "s k t p d -> s t p k d"),
        # The one step more, at o_T, is taken again as the first of the next rollout.
        memory=memories[:, :-1],
        last_actions=last_actions,
        last_pseudo_rewards=last_pseudo_rewards,
    )


def rcgvf_states(c: Config, phi: Float[Tensor, "seeds weights"], b: Batch) -> tuple[Tensor, Tensor]:
    """Return what ``memory.unroll_segments`` does for RC-GVF's predictor."""
    layers = c.predictor.network.layers(phi)
    x = c.predictor.lstm_inputs(layers, b.look, b.last_actions, b.last_pseudo_rewards)
    return nets.unroll_segments(layers["lstm"], x, b.is_first, b.bonus_memory)


def rcgvf_objective(c: Config, phi: Float[Tensor, "seeds weights"], b: Batch) -> Float[Tensor, "seeds"]:
    """Return (1/K) sum_k of the mean of (V^(k)_j - G^(k)_j)^2 over frames and j."""
    v = c.predictor.predictions(c.predictor.network.layers(phi), rcgvf_states(c, phi, b)[0])
    return (rearrange(v, "s k n l d -> s n l k d") - b.g).square().mean(dim=(1, 2, 3, 4))


def last_pseudo_rewards(c: Config, state: State, past: Rollout) -> Float[Tensor, "seeds envs d"]:
    """Return z of a rollout's last step, which the predictor reads at the first step of the next one.

    That is Z(o_{T-1}), of the observation in which the last action was chosen; o_T is the next rollout's first.
    """
    return nets.see_all(c.z.layers(state.zeta)["convolutions"], past.look[:, -2])


# RND and NovelD: a predictor of Z(o) itself, without memory.


def judge_by_novelty(curiosity: Callable[..., tuple], c: Config, h: Hyper, state: State, past: Rollout) -> Curiosity:
    """Return beta R^i of RND or NovelD, whose ``curiosity`` stands in ``baselines``."""
    z, v = (nets.see_all(c.z.layers(weights)["convolutions"], past.look) for weights in (state.zeta, state.phi))
    g, bonus, *_ = curiosity(h, z, v.unsqueeze(1), past.done, alpha=c.alpha)
    nothing = torch.zeros_like(past.r)
    return Curiosity(
        reward=h.beta.view(-1, 1, 1) * (bonus / (root_counts(past) if c.counts else 1.0)),
        more_advantage=nothing,
        more_value=nothing,
        g=rearrange(g, "s one t p d -> s t p one d"),
        memory=_no_memory(c, state),
        last_actions=actions_before(state, past),
        last_pseudo_rewards=_no_pseudo_rewards(past),
    )


def novelty_objective(c: Config, phi: Float[Tensor, "seeds weights"], b: Batch) -> Float[Tensor, "seeds"]:
    """Return the mean of (V_j(o) - Z_j(o))^2 over frames and j."""
    v = nets.see_all(c.z.layers(phi)["convolutions"], b.look)
    return (v - b.g.squeeze(-2)).square().mean(dim=(1, 2, 3))


# AGAC: an adversary that imitates the policy.


def judge_agac(c: Config, h: Hyper, state: State, past: Rollout) -> Curiosity:
    """Return what AGAC is paid for counts, and what it adds to advantages and values."""
    layers, look, is_first = nets.adversary(c.channels).layers(state.phi), past.look[:, :-1], past.is_first[:, :-1]
    x = nets.features(layers["convolutions"], look)
    hidden, memory = nets.unroll(layers["lstm"], x, is_first, state.bonus_memory)
    log_pi, log_adversary = past.logits.log_softmax(-1), nets.logits_of(layers, hidden).log_softmax(-1)
    advantage, value = surprise(log_pi, log_adversary, past.actions)
    z = _no_pseudo_rewards(past)
    return Curiosity(
        reward=paid_for_counts(c, past),
        more_advantage=c.adversary * advantage,
        more_value=c.adversary * value,
        g=z[:, :-1].unsqueeze(-2),
        memory=memory,
        last_actions=actions_before(state, past),
        last_pseudo_rewards=z,
    )


def agac_states(c: Config, phi: Float[Tensor, "seeds weights"], b: Batch) -> tuple[Tensor, Tensor]:
    """Return what ``memory.unroll_segments`` does for the adversary."""
    layers = nets.adversary(c.channels).layers(phi)
    return nets.unroll_segments(
        layers["lstm"], nets.features(layers["convolutions"], b.look), b.is_first, b.bonus_memory
    )


def agac_objective(c: Config, phi: Float[Tensor, "seeds weights"], b: Batch) -> Float[Tensor, "seeds"]:
    """Return E KL(pi || pi_adv), with the policy as it was in the rollout."""
    layers = nets.adversary(c.channels).layers(phi)
    log_adversary = nets.logits_of(layers, agac_states(c, phi, b)[0]).log_softmax(-1)
    return kl(b.logits.log_softmax(-1), log_adversary).mean(dim=(1, 2))


__all__ = [
    "actions_before",
    "agac_objective",
    "agac_states",
    "judge_agac",
    "judge_by_novelty",
    "judge_ppo",
    "judge_rcgvf",
    "last_pseudo_rewards",
    "novelty_objective",
    "one_step_before",
    "paid_for_counts",
    "rcgvf_objective",
    "rcgvf_states",
    "root_counts",
]
