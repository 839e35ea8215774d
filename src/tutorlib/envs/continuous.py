"""Environments whose actions are numbers: MountainCarContinuous-v0 with the dynamics and rewards of Gymnasium.

They are what ``protocol`` says of environments, but for their actions: in place of whole numbers ``[*batch]`` they take
numbers ``[*batch, action_size]``, each from ``-action_limit`` to ``action_limit``. ``step`` begins the next episode by
itself; ``advance`` and ``renew`` are its two halves, for those who play one episode.
"""

from dataclasses import dataclass

import torch

from tutorlib.envs.classic import FASTEST, LEFT, RIGHT, SLOPE, ControlState
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
class MountainCarContinuous:
    """Drive to the flag, for 100, and pay 0.1 a^2 for each action, as in Gymnasium's MountainCarContinuous-v0."""

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
    def action_limit(self) -> float:
        """What lies outside of -1 and 1 pushes no more, and is paid all the same."""
        return 1.0

    @property
    def start_noise(self) -> int:
        """One uniform for the first position."""
        return 1

    @property
    def step_noise(self) -> int:
        """The same for the next episode's first position."""
        return 1

    def _first(self, u: Tensor) -> Tensor:
        """Return rest at a position uniform in (-.6, -.4)."""
        return torch.cat([0.2 * u - 0.6, torch.zeros_like(u)], dim=-1)

    def start(self, u: Float[Tensor, "*batch start_noise"]) -> ControlState:
        """Return a first state: at rest, at a position uniform in (-.6, -.4)."""
        expect_last("u", u, self.start_noise)
        return ControlState(self._first(u), torch.zeros(u.shape[:-1], dtype=torch.long, device=u.device))

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

    def renew(
        self, state: ControlState, ended: Bool[Tensor, "*batch"], u: Float[Tensor, "*#batch step_noise"]
    ) -> ControlState:
        """Return ``state``, or the first one of the next episode where one ended."""
        expect_last("u", u, self.step_noise)
        return ControlState(torch.where(ended.unsqueeze(-1), self._first(u), state.x), torch.where(ended, 0, state.t))

    def step(
        self,
        state: ControlState,
        action: Float[Tensor, "*#batch action_size"],
        u: Float[Tensor, "*#batch step_noise"],
    ) -> tuple[ControlState, Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return what ``renew`` makes of what ``advance`` returns, the reward, and whether an episode ended."""
        after, reward, ended = self.advance(state, action)
        return self.renew(after, ended, u), reward, ended


__all__ = ["MountainCarContinuous", "continuous_mountaincar_dynamics", "continuous_mountaincar_reaches"]
