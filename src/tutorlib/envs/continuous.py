"""Environments whose actions are numbers: MountainCarContinuous-v0 with the dynamics and rewards of Gymnasium.

They are what ``protocol`` says of environments, but for their actions: in place of whole numbers ``[*batch]`` they take
numbers ``[*batch, action_size]``, each from ``-action_limit`` to ``action_limit``. ``step`` begins the next episode by
itself; ``advance`` and ``renew`` are its two halves, for those who play one episode.
"""

from dataclasses import dataclass

import torch

from tutorlib.envs.classic import FASTEST, LEFT, RIGHT, SLOPE, ControlState
from tutorlib.envs.control import Episodes
from tutorlib.envs.protocol import expect_last
from tutorlib.lab.errors import checked, expect_fields
from tutorlib.shapes import Bool, Float, Tensor

POWER, FLAG, PRIZE, PRICE = 0.0015, 0.45, 100.0, 0.1


@checked()
def continuous_mountaincar_dynamics(
    state: Float[Tensor, "*#batch 2"], action: Float[Tensor, "*#batch 1"]
) -> Float[Tensor, "*batch 2"]:
    """Return (position, velocity) after a step under a push of 0.0015 times the action, which is cut at -1 and 1.

    The wall on the left stops the car.
    """
    position, velocity = state.unbind(dim=-1)
    velocity = velocity + POWER * action.squeeze(-1).clamp(-1, 1) - SLOPE * (3 * position).cos()
    velocity = velocity.clamp(-FASTEST, FASTEST)
    position = (position + velocity).clamp(LEFT, RIGHT)
    velocity = velocity.masked_fill((position <= LEFT) & (velocity < 0), 0.0)
    return torch.stack([position, velocity], dim=-1)


@checked()
def continuous_mountaincar_reaches(state: Float[Tensor, "*batch 2"]) -> Bool[Tensor, "*batch"]:
    """Return whether the car is at the flag, position >= .45, and does not roll back."""
    return (state[..., 0] >= FLAG) & (state[..., 1] >= 0)


@dataclass(frozen=True)
class MountainCarContinuous(Episodes):
    """Drive to the flag, for 100, and pay 0.1 a^2 for each action, as in Gymnasium's MountainCarContinuous-v0.

    What lies outside of -1 and 1 pushes no more, and is paid all the same.
    """

    horizon: int = 999
    """steps after which an episode ends in any case"""

    def __post_init__(self) -> None:
        expect_fields(self, counts=("horizon",))

    @property
    def observations(self) -> int:
        """O = 2: position and velocity, as they are."""
        return 2

    @property
    def action_size(self) -> int:
        """A = 1: the push."""
        return 1

    @property
    def start_noise(self) -> int:
        """One uniform for the first position."""
        return 1

    def _first(self, u: Tensor) -> Tensor:
        """Return rest at a position uniform in (-.6, -.4)."""
        return torch.cat([0.2 * u - 0.6, torch.zeros_like(u)], dim=-1)

    def observe(self, state: ControlState) -> Float[Tensor, "*batch 2"]:
        """Return (position, velocity), from (-1.2, -.07) to (.6, .07)."""
        return state.x

    def advance(
        self, state: ControlState, action: Float[Tensor, "*#batch action_size"]
    ) -> tuple[ControlState, Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return the next state of the same episode, the reward, and whether the episode ended with this step."""
        expect_last("action", action, self.action_size)
        x, t = continuous_mountaincar_dynamics(state.x, action), state.t + 1
        reached = continuous_mountaincar_reaches(x)
        reward = PRIZE * reached.to(x.dtype) - PRICE * action.squeeze(-1).square()
        return ControlState(x, t.expand(reached.shape)), reward, reached | (t >= self.horizon)


__all__ = ["MountainCarContinuous", "continuous_mountaincar_dynamics", "continuous_mountaincar_reaches"]
