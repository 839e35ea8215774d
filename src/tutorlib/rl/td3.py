"""The parts of DDPG (Lillicrap et al. 2016) and TD3 (Fujimoto et al. 2018): deterministic policies and twin critics.

A leading axis holds independent agents, ``nets``: each has its own parameters, its own batch of any number of axes, and
its own mean. Parameters are flat vectors; those of an agent's two critics stand one after the other in one of them.
"""

from dataclasses import dataclass, field

import torch

from tutorlib.lab.errors import bad_argument, checked, expect_fields
from tutorlib.nn.normed import ACTIVATIONS, NormedMLP
from tutorlib.shapes import Float, Tensor


@dataclass(frozen=True)
class ActorCritic:
    """A policy pi(o) in [-limit, limit] for each action, and two critics Q(o, a), as functions of flat parameters."""

    observations: int
    """O, entries of an observation"""
    actions: int
    """A, entries of an action"""
    hidden: int = 350
    layers: int = 2
    """hidden layers of each network"""
    activation: str = "relu"
    """of hidden layers: relu or tanh"""
    normed: bool = True
    """whether hidden layers are normalised after the activation"""
    epsilon: float = 1e-12
    """added to a variance there"""
    limit: float = 1.0
    """the largest action"""
    constant_mean: bool = False
    """see ``nn.NormedMLP``"""
    policy: NormedMLP = field(init=False, repr=False, compare=False)
    critic: NormedMLP = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        expect_fields(
            self,
            sizes=("observations", "actions", "hidden", "layers"),
            choices={"activation": tuple(ACTIVATIONS)},
            positive=("limit", "epsilon"),
        )
        shape = (self.hidden, self.layers, self.activation, self.normed, True, self.epsilon, self.constant_mean)
        object.__setattr__(self, "policy", NormedMLP(self.observations, self.actions, *shape))
        object.__setattr__(self, "critic", NormedMLP(self.observations + self.actions, 1, *shape))

    def before_limit(
        self, phi: Float[Tensor, "nets parameters"], o: Float[Tensor, "nets *batch observations"]
    ) -> Float[Tensor, "nets *batch actions"]:
        """Return what the policy's last layer says, of which a tanh makes actions."""
        return self.policy(phi, o)

    def act(
        self, phi: Float[Tensor, "nets parameters"], o: Float[Tensor, "nets *batch observations"]
    ) -> Float[Tensor, "nets *batch actions"]:
        """Return pi(o) = limit tanh(...). Raises ``UsageError`` if a shape does not fit."""
        return self.limit * self.policy(phi, o).tanh()

    def q(
        self,
        theta: Float[Tensor, "nets parameters"],
        o: Float[Tensor, "nets *batch observations"],
        a: Float[Tensor, "nets *batch actions"],
    ) -> Float[Tensor, "nets *batch"]:
        """Return Q1(o, a), the first critic's. Raises ``UsageError`` if a shape does not fit."""
        first = theta[:, : self.critic.parameters]
        return self.critic(first, torch.cat([o, a], dim=-1)).squeeze(-1)

    def both(
        self,
        theta: Float[Tensor, "nets parameters"],
        o: Float[Tensor, "nets *batch observations"],
        a: Float[Tensor, "nets *batch actions"],
    ) -> Float[Tensor, "nets 2 *batch"]:
        """Return Q1(o, a) and Q2(o, a). Raises ``UsageError`` if a shape does not fit."""
        if theta.shape[-1] != 2 * self.critic.parameters:
            raise bad_argument("theta", theta, f"{2 * self.critic.parameters} parameters in the last axis")
        x = torch.cat([o, a], dim=-1).repeat_interleave(2, dim=0)
        return self.critic(theta.reshape(-1, self.critic.parameters), x).squeeze(-1).unflatten(0, (-1, 2))


@checked(not_negative=("clip",), positive=("limit",))
def smoothed_action(
    action: Float[Tensor, "nets *batch actions"],
    noise: Float[Tensor, "nets *batch actions"],
    clip: float,
    limit: float = 1.0,
) -> Float[Tensor, "nets *batch actions"]:
    """Return a + clip(noise, -clip, clip), cut to [-limit, limit]: the action that a target is taken at."""
    return (action + noise.clamp(-clip, clip)).clamp(-limit, limit)


@checked(shares=("gamma",))
def td3_targets(
    reward: Float[Tensor, "nets *batch"],
    done: Float[Tensor, "nets *batch"],
    following: Float[Tensor, "nets 2 *batch"],
    gamma: float,
    bonus: float = 0.0,
) -> Float[Tensor, "nets *batch"]:
    """Return r + gamma (1 - done) min(Q1^-, Q2^-), from what both critics' copies say of the next observation.

    ``bonus`` is paid at terminals. Raises ``UsageError`` for ``gamma`` outside [0, 1].
    """
    return reward + bonus * done + gamma * (1 - done) * following.amin(dim=1)


@checked()
def twin_loss(
    q: Float[Tensor, "nets 2 *batch"], target: Float[Tensor, "nets *batch"], mask: Float[Tensor, "nets *batch"]
) -> Float[Tensor, "nets"]:
    """Return each agent's mean of (Q1 - y)^2 + (Q2 - y)^2 over entries of weight ``mask``; 0 if there are none."""
    error = (q - target.unsqueeze(1)).square().sum(dim=1)
    return masked_mean(error, mask)


@checked()
def masked_mean(x: Float[Tensor, "nets *batch"], mask: Float[Tensor, "nets *batch"]) -> Float[Tensor, "nets"]:
    """Return each agent's mean of x over the entries of weight ``mask``, 1 or 0; 0 if there are none."""
    return (x * mask).flatten(1).sum(dim=1) / mask.flatten(1).sum(dim=1).clamp(min=1)


@checked(shares=("keep",))
def polyak(
    target: Float[Tensor, "*nets parameters"], params: Float[Tensor, "*nets parameters"], keep: float
) -> Float[Tensor, "*nets parameters"]:
    """Return keep target + (1 - keep) params: a copy that follows slowly."""
    return keep * target + (1 - keep) * params


__all__ = ["ActorCritic", "masked_mean", "polyak", "smoothed_action", "td3_targets", "twin_loss"]
