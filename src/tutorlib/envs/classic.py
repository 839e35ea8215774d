"""Classic control with the dynamics of Gymnasium: CartPole-v1, Acrobot-v1 and MountainCar-v0.

The physics are functions from state and action to the next state, in the precision of the state. Rewards are made for
lifetimes of fixed length, in which episodes follow each other by themselves. There Gymnasium's rewards of CartPole
(1 in every step) and MountainCar (-1 in every step) would be the same number whatever the agent does, so here
CartPole pays -1 for a failure and else 0, and MountainCar pays 0 instead of -1 in the step that reaches the goal, as
Acrobot does. Reaching the time limit ends an episode without a reward of its own.

Observations are scaled to about 1 by fixed constants, because SymLA's shared weights read all entries alike.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch

from tutorlib.envs.protocol import expect_last
from tutorlib.lab.errors import checked, expect_fields
from tutorlib.shapes import Bool, Float, Int, Tensor


class ControlState(NamedTuple):
    """Where the system is, and for how long the episode has been running."""

    x: Float[Tensor, "*batch n"]
    """position and velocity, n numbers"""
    t: Int[Tensor, "*batch"]
    """steps of this episode so far"""


def _begin(x: Tensor) -> ControlState:
    """Return the first state of an episode at ``x``."""
    return ControlState(x, torch.zeros(x.shape[:-1], dtype=torch.long, device=x.device))


def _go_on(x: Tensor, t: Tensor, ended: Tensor, first: Tensor) -> ControlState:
    """Return ``x`` at time ``t``, or ``first`` at time 0 where an episode ended."""
    return ControlState(torch.where(ended.unsqueeze(-1), first, x), torch.where(ended, 0, t))


# CartPole: a pole on a cart that is pushed left or right.

GRAVITY, CART, POLE, HALF_LENGTH, PUSH, TAU = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
TRACK, TILT = 2.4, 12 * 2 * math.pi / 360


@checked()
def cartpole_dynamics(state: Float[Tensor, "*#batch 4"], action: Int[Tensor, "*#batch"]) -> Float[Tensor, "*batch 4"]:
    """Return (x, x', θ, θ') after 0.02 s of explicit Euler: positions move with the velocities of before.

    Action 0 pushes the cart left, 1 right, both with 10 N.
    """
    _, x_dot, theta, theta_dot = state.unbind(dim=-1)
    force = (2 * action - 1).to(state.dtype) * PUSH
    sin, cos = theta.sin(), theta.cos()
    mass = CART + POLE
    # Where the pole does not turn, this is the cart's acceleration.
    tmp = (force + POLE * HALF_LENGTH * theta_dot.square() * sin) / mass
    theta_acc = (GRAVITY * sin - cos * tmp) / (HALF_LENGTH * (4 / 3 - POLE * cos.square() / mass))
    x_acc = tmp - POLE * HALF_LENGTH * theta_acc * cos / mass
    rate = torch.stack([x_dot.expand_as(x_acc), x_acc, theta_dot.expand_as(x_acc), theta_acc], dim=-1)
    return state + TAU * rate


@checked()
def cartpole_fails(state: Float[Tensor, "*batch 4"]) -> Bool[Tensor, "*batch"]:
    """Return whether the cart has left the track, ``|x| > 2.4``, or the pole tilts by more than 12 degrees."""
    return (state[..., 0].abs() > TRACK) | (state[..., 2].abs() > TILT)


@dataclass(frozen=True)
class CartPole:
    """Keep the pole up: -1 at a failure, 0 else, so the reward of a lifetime is minus its number of failures."""

    episode: int = 500
    """steps after which an episode ends in any case"""

    def __post_init__(self) -> None:
        expect_fields(self, counts=("episode",))

    @property
    def observations(self) -> int:
        """O = 4: position and velocity of cart and pole."""
        return 4

    @property
    def actions(self) -> int:
        """Left and right."""
        return 2

    @property
    def start_noise(self) -> int:
        """One uniform for each entry of the first state."""
        return 4

    @property
    def step_noise(self) -> int:
        """The same for the next episode's first state."""
        return 4

    def start(self, u: Float[Tensor, "*batch start_noise"]) -> ControlState:
        """Return a first state, entries uniform in (-.05, .05)."""
        expect_last("u", u, self.start_noise)
        return _begin(0.1 * u - 0.05)

    def observe(self, state: ControlState) -> Float[Tensor, "*batch 4"]:
        """Return (x / 2.4, x' / 2, θ / .21, θ' / 2)."""
        x, x_dot, theta, theta_dot = state.x.unbind(dim=-1)
        return torch.stack([x / 2.4, x_dot / 2, theta / 0.21, theta_dot / 2], dim=-1)

    def step(
        self, state: ControlState, action: Int[Tensor, "*#batch"], u: Float[Tensor, "*#batch step_noise"]
    ) -> tuple[ControlState, Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return the next state, -1 for a failure, and whether the episode ended."""
        expect_last("u", u, self.step_noise)
        x, t = cartpole_dynamics(state.x, action), state.t + 1
        failed = cartpole_fails(x)
        ended = failed | (t >= self.episode)
        return _go_on(x, t, ended, 0.1 * u - 0.05), -failed.to(x.dtype), ended


# Acrobot: two links, a motor in the joint between them. Lengths, masses and moments of inertia are 1.

COM, SECONDS = 0.5, 0.2  # where a link's centre of mass is; time of a step
SPIN_1, SPIN_2 = 4 * math.pi, 9 * math.pi  # fastest turns


@checked()
def acrobot_derivative(state: Float[Tensor, "*batch 4"], torque: Float[Tensor, "*#batch"]) -> Float[Tensor, "*batch 4"]:
    """Return the derivative of (θ1, θ2, θ1', θ2'), the equations of Sutton and Barto's book.

    θ1 is 0 where the first link hangs down; θ2 is the angle of the second link relative to the first.
    """
    theta1, theta2, w1, w2 = state.unbind(dim=-1)
    sin2, cos2 = theta2.sin(), theta2.cos()
    # cos(θ - π/2) = sin θ, the lever of a link's weight.
    d1 = COM**2 + (1 + COM**2 + 2 * COM * cos2) + 2
    d2 = COM**2 + COM * cos2 + 1
    phi2 = COM * GRAVITY * (theta1 + theta2).sin()
    phi1 = -COM * w2.square() * sin2 - 2 * COM * w2 * w1 * sin2 + (COM + 1) * GRAVITY * theta1.sin() + phi2
    acc2 = (torque + d2 / d1 * phi1 - COM * w1.square() * sin2 - phi2) / (COM**2 + 1 - d2.square() / d1)
    acc1 = -(d2 * acc2 + phi1) / d1
    return torch.stack([w1, w2, acc1, acc2], dim=-1)


@checked()
def acrobot_dynamics(state: Float[Tensor, "*#batch 4"], action: Int[Tensor, "*#batch"]) -> Float[Tensor, "*batch 4"]:
    """Return (θ1, θ2, θ1', θ2') after 0.2 s, one Runge-Kutta step of order 4.

    Actions 0, 1, 2 are torques -1, 0, 1. Angles are wrapped to [-π, π], and turns are cut at 4π and 9π a second.
    """
    torque = (action - 1).to(state.dtype)
    y = state.expand(*torch.broadcast_shapes(state.shape[:-1], action.shape), 4)
    k1 = acrobot_derivative(y, torque)
    k2 = acrobot_derivative(y + SECONDS / 2 * k1, torque)
    k3 = acrobot_derivative(y + SECONDS / 2 * k2, torque)
    k4 = acrobot_derivative(y + SECONDS * k3, torque)
    theta1, theta2, w1, w2 = (y + SECONDS / 6 * (k1 + 2 * k2 + 2 * k3 + k4)).unbind(dim=-1)
    return torch.stack([_wrap(theta1), _wrap(theta2), w1.clamp(-SPIN_1, SPIN_1), w2.clamp(-SPIN_2, SPIN_2)], dim=-1)


def _wrap(angle: Tensor) -> Tensor:
    """Return the same angle in [-π, π]; one that lies there stays as it is, to the last digit."""
    return angle - 2 * math.pi * (angle / (2 * math.pi)).round()


@checked()
def acrobot_reaches(state: Float[Tensor, "*batch 4"]) -> Bool[Tensor, "*batch"]:
    """Return whether the tip is more than one link above the upper joint, -cos θ1 - cos(θ1 + θ2) > 1."""
    theta1, theta2 = state[..., 0], state[..., 1]
    return -theta1.cos() - (theta1 + theta2).cos() > 1.0


@dataclass(frozen=True)
class Acrobot:
    """Swing the tip up: -1 in each step, 0 in the one that reaches the goal."""

    episode: int = 500
    """steps after which an episode ends in any case"""

    def __post_init__(self) -> None:
        expect_fields(self, counts=("episode",))

    @property
    def observations(self) -> int:
        """O = 6: cosine and sine of the two angles, and the two velocities."""
        return 6

    @property
    def actions(self) -> int:
        """Torques -1, 0 and 1."""
        return 3

    @property
    def start_noise(self) -> int:
        """One uniform for each entry of the first state."""
        return 4

    @property
    def step_noise(self) -> int:
        """The same for the next episode's first state."""
        return 4

    def start(self, u: Float[Tensor, "*batch start_noise"]) -> ControlState:
        """Return a first state, entries uniform in (-.1, .1)."""
        expect_last("u", u, self.start_noise)
        return _begin(0.2 * u - 0.1)

    def observe(self, state: ControlState) -> Float[Tensor, "*batch 6"]:
        """Return (cos θ1, sin θ1, cos θ2, sin θ2, θ1' / 4π, θ2' / 9π)."""
        theta1, theta2, w1, w2 = state.x.unbind(dim=-1)
        return torch.stack([theta1.cos(), theta1.sin(), theta2.cos(), theta2.sin(), w1 / SPIN_1, w2 / SPIN_2], dim=-1)

    def step(
        self, state: ControlState, action: Int[Tensor, "*#batch"], u: Float[Tensor, "*#batch step_noise"]
    ) -> tuple[ControlState, Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return the next state, the reward, and whether the episode ended."""
        expect_last("u", u, self.step_noise)
        x, t = acrobot_dynamics(state.x, action), state.t + 1
        reached = acrobot_reaches(x)
        ended = reached | (t >= self.episode)
        return _go_on(x, t, ended, 0.2 * u - 0.1), reached.to(x.dtype) - 1, ended


# MountainCar: a car in a valley, too weak to drive up the hill at once.

LEFT, RIGHT, GOAL, FASTEST, FORCE, SLOPE = -1.2, 0.6, 0.5, 0.07, 0.001, 0.0025


@checked()
def mountaincar_dynamics(
    state: Float[Tensor, "*#batch 2"], action: Int[Tensor, "*#batch"]
) -> Float[Tensor, "*batch 2"]:
    """Return (position, velocity) after a step; actions 0, 1, 2 push left, not at all and right.

    The wall on the left stops the car.
    """
    position, velocity = state.unbind(dim=-1)
    velocity = velocity + (action - 1).to(state.dtype) * FORCE - SLOPE * (3 * position).cos()
    velocity = velocity.clamp(-FASTEST, FASTEST)
    position = (position + velocity).clamp(LEFT, RIGHT)
    velocity = velocity.masked_fill((position <= LEFT) & (velocity < 0), 0.0)
    return torch.stack([position, velocity], dim=-1)


@checked()
def mountaincar_reaches(state: Float[Tensor, "*batch 2"]) -> Bool[Tensor, "*batch"]:
    """Return whether the car is at the flag, position >= .5, and does not roll back."""
    return (state[..., 0] >= GOAL) & (state[..., 1] >= 0)


@checked()
def mountaincar_energy(state: Float[Tensor, "*batch 2"]) -> Float[Tensor, "*batch"]:
    """Return the car's energy, 0 for rest at the bottom and 1 for rest at the flag.

    Without a push, v' = -.0025 cos 3p keeps v^2 / 2 + .0025 sin(3p) / 3, up to what a step of finite length changes.
    """
    position, velocity = state.unbind(dim=-1)
    flag = SLOPE / 3 * (math.sin(3 * GOAL) + 1)
    return (velocity.square() / 2 + SLOPE / 3 * ((3 * position).sin() + 1)) / flag


@dataclass(frozen=True)
class MountainCar:
    """Drive to the flag: -1 in each step, 0 in the one that reaches the goal."""

    episode: int = 200
    """steps after which an episode ends in any case"""
    shaped: float = 0.0
    """a bonus of so much for the energy gained in a step, in units of ``mountaincar_energy``; not in Gymnasium. Within
    an episode it sums up to the energy at the end less that at the start. 0 is off"""

    def __post_init__(self) -> None:
        expect_fields(self, counts=("episode",))

    @property
    def observations(self) -> int:
        """O = 2: position and velocity."""
        return 2

    @property
    def actions(self) -> int:
        """Left, nothing, right."""
        return 3

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
        return _begin(self._first(u))

    def observe(self, state: ControlState) -> Float[Tensor, "*batch 2"]:
        """Return position and velocity, both scaled to [-1, 1]."""
        position, velocity = state.x.unbind(dim=-1)
        middle, half = (RIGHT + LEFT) / 2, (RIGHT - LEFT) / 2
        return torch.stack([(position - middle) / half, velocity / FASTEST], dim=-1)

    def step(
        self, state: ControlState, action: Int[Tensor, "*#batch"], u: Float[Tensor, "*#batch step_noise"]
    ) -> tuple[ControlState, Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return the next state, the reward, and whether the episode ended."""
        expect_last("u", u, self.step_noise)
        x, t = mountaincar_dynamics(state.x, action), state.t + 1
        reached = mountaincar_reaches(x)
        ended = reached | (t >= self.episode)
        reward = reached.to(x.dtype) - 1
        if self.shaped:
            reward = reward + self.shaped * (mountaincar_energy(x) - mountaincar_energy(state.x))
        return _go_on(x, t, ended, self._first(u)), reward, ended


__all__ = [
    "Acrobot",
    "CartPole",
    "ControlState",
    "MountainCar",
    "acrobot_derivative",
    "acrobot_dynamics",
    "acrobot_reaches",
    "cartpole_dynamics",
    "cartpole_fails",
    "mountaincar_dynamics",
    "mountaincar_energy",
    "mountaincar_reaches",
]
