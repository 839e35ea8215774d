"""What the recurrent agent hands from step to step: its state, its noise, rollouts, what to learn from, and logs.

Axes: ``seeds``, then ``time envs`` of T steps, or ``times envs`` of T + 1 with o_T; ``entries`` are those of a memory.
"""

from typing import NamedTuple

from tutorlib.envs.minigrid import MiniGridState
from tutorlib.nn import Moments
from tutorlib.shapes import Bool, Float, Int, Tensor


class State(NamedTuple):
    """All that changes while runs learn, and Z, which does not. PPO has networks of no weights beside its own."""

    e: MiniGridState
    """the environments, ``[seeds, envs]``"""
    is_first: Bool[Tensor, "seeds envs"]
    """whether an episode begins with the next step"""
    memory: Float[Tensor, "seeds envs 128"]
    """of the actor-critic"""
    bonus_memory: Float[Tensor, "seeds envs entries"]
    """of predictors or adversary"""
    last_actions: Float[Tensor, "seeds envs 7"]
    """the action before, one-hot; zeros before the first update"""
    last_pseudo_rewards: Float[Tensor, "seeds envs d"]
    """z of the step before; zeros before the first update; d = 0 for methods that do not read them"""
    theta: Float[Tensor, "seeds parameters"]
    """actor-critic"""
    theta_moments: Moments
    phi: Float[Tensor, "seeds weights"]
    """predictors or adversary"""
    phi_moments: Moments
    zeta: Float[Tensor, "seeds fixed"]
    """Z"""


class Noise(NamedTuple):
    """All that is random in an update."""

    gumbel: Float[Tensor, "seeds time envs 7"]
    """added to logits: the largest sum is then a sample of their softmax"""
    step: Float[Tensor, "seeds time envs 1"]
    """the environments'"""
    order: Int[Tensor, "seeds epochs segments"]
    """in which the passes go through segments of ``bptt`` frames"""


class Rollout(NamedTuple):
    """What happened in T steps; ``times`` includes o_T."""

    image: Tensor
    """uint8 [seeds, times, envs, 7, 7, 3], what the policy saw"""
    look: Tensor
    """uint8 [seeds, times, envs, 7, 7, channels], what the bonus sees"""
    is_first: Bool[Tensor, "seeds times envs"]
    memory: Float[Tensor, "seeds times envs 128"]
    """before each step"""
    logits: Float[Tensor, "seeds time envs 7"]
    actions: Int[Tensor, "seeds time envs"]
    v: Float[Tensor, "seeds times envs"]
    r: Float[Tensor, "seeds time envs"]
    done: Bool[Tensor, "seeds time envs"]
    visits: Int[Tensor, "seeds time envs"]
    """N_ep, the present visit included"""


class Curiosity(NamedTuple):
    """What predictors or adversary make of a rollout."""

    reward: Float[Tensor, "seeds time envs"]
    """beta R^i, and what is paid for counts"""
    more_advantage: Float[Tensor, "seeds time envs"]
    """AGAC's c (log pi - log pi_adv) of the action taken"""
    more_value: Float[Tensor, "seeds time envs"]
    """AGAC's c KL(pi || pi_adv)"""
    g: Float[Tensor, "seeds time envs heads d"]
    """targets of the predictors"""
    memory: Float[Tensor, "seeds times envs entries"]
    """of predictors or adversary, before each step"""
    last_actions: Float[Tensor, "seeds times envs 7"]
    """the action before each step, one-hot; zeros where an episode begins"""
    last_pseudo_rewards: Float[Tensor, "seeds times envs d"]
    """z before each step; zeros where an episode begins; d = 0 for methods that do not read them"""


class Batch(NamedTuple):
    """What is to be learned from: ``frames`` of a rollout, time by envs, or of n segments, n by ``bptt``.

    Memories, of which there is one for each of ``starts``, stand before each frame, or before each segment.
    """

    image: Tensor
    """uint8 ``[seeds, *frames, 7, 7, 3]``"""
    look: Tensor
    """uint8 ``[seeds, *frames, 7, 7, channels]``"""
    is_first: Bool[Tensor, "seeds *frames"]
    memory: Float[Tensor, "seeds *starts 128"]
    """of the actor-critic"""
    actions: Int[Tensor, "seeds *frames"]
    logits: Float[Tensor, "seeds *frames 7"]
    """before learning"""
    v: Float[Tensor, "seeds *frames"]
    """before learning; for AGAC V + c KL(pi || pi_adv)"""
    advantage: Float[Tensor, "seeds *frames"]
    returns: Float[Tensor, "seeds *frames"]
    """v + A"""
    g: Float[Tensor, "seeds *frames heads d"]
    bonus_memory: Float[Tensor, "seeds *starts entries"]
    """of predictors or adversary"""
    last_actions: Float[Tensor, "seeds *frames 7"]
    last_pseudo_rewards: Float[Tensor, "seeds *frames d"]


class Log(NamedTuple):
    """What is kept of each update, with ``*updates`` none or one axis."""

    episodes: Float[Tensor, "*updates seeds"]
    """how many ended"""
    successes: Float[Tensor, "*updates seeds"]
    """how many of them with success"""
    returns: Float[Tensor, "*updates seeds"]
    """sum of their returns: reward comes with the end alone"""
    bonus: Float[Tensor, "*updates seeds"]
    """mean of what is paid besides, before it is cut"""


__all__ = ["Batch", "Curiosity", "Log", "Noise", "Rollout", "State"]
