"""Small problems of continuous control: a point, a pendulum, a cart with a pole, an arm of two links.

They are toys in place of simulators of robots, as batches of tensors. Actions are ``[*batch, A]``, cut to [-1, 1].
Episodes end after ``horizon`` steps and never before. Every constant is a field, for papers differ in them; a first
state is drawn around a centre, evenly up to a spread (``uniform``) or with that standard deviation (``normal``). Angles
are 0 where a pendulum or a pole stands upright. Velocities move first, and places with the new velocities.

``step`` begins the next episode by itself, as everywhere; ``advance`` and ``renew`` are its two halves, for those who
must see the last state of an episode.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch

from tutorlib.envs.classic import ControlState
from tutorlib.envs.protocol import expect_last
from tutorlib.lab.errors import bad_argument, expect_fields
from tutorlib.shapes import Bool, Float, Tensor

LAWS = ("uniform", "normal")
"""Evenly within the spread on both sides of the centre, or normal with the spread as standard deviation."""
FORMS = ("sum", "product")
"""of the reward of ``CartUp``"""


def _drawn(u: Tensor, centre: float, spread: float, law: str) -> Tensor:
    """Return numbers around ``centre``, from uniforms in (0, 1)."""
    off = (2 * u - 1).clamp(min=2**-24 - 1)  # generators draw 0, too, for which a normal number would be endless
    return centre + spread * (off if law == "uniform" else math.sqrt(2) * torch.erfinv(off))


class Episodes(ABC):
    """What environments with continuous actions share: first states, ``step`` from its two halves, actions up to 1."""

    horizon: int

    @property
    @abstractmethod
    def start_noise(self) -> int:
        """Uniforms of a first state."""

    @property
    def step_noise(self) -> int:
        """The same, for the next episode's first state."""
        return self.start_noise

    @property
    @abstractmethod
    def action_size(self) -> int:
        """A, entries of an action."""

    @property
    def action_limit(self) -> float:
        """The largest action; what lies beyond moves nothing more."""
        return 1.0

    @abstractmethod
    def _first(self, u: Tensor) -> Tensor:
        """Return the numbers of a first state."""

    @abstractmethod
    def advance(
        self, state: ControlState, action: Float[Tensor, "*#batch actions"]
    ) -> tuple[ControlState, Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return the next state of the same episode, the reward, and whether the episode ended with this step."""

    def finished(self, state: ControlState) -> bool:
        """Return whether it is known, without asking a tensor, that all these episodes have ended; here it is not."""
        return False

    def start(self, u: Float[Tensor, "*batch start_noise"]) -> ControlState:
        """Return a first state; raise ``UsageError`` unless ``u`` has ``start_noise`` entries last."""
        expect_last("u", u, self.start_noise)
        return ControlState(self._first(u), torch.zeros(u.shape[:-1], dtype=torch.long, device=u.device))

    def renew(
        self, state: ControlState, ended: Bool[Tensor, "*batch"], u: Float[Tensor, "*#batch step_noise"]
    ) -> ControlState:
        """Return ``state``, or a first state where the episode ended."""
        expect_last("u", u, self.step_noise)
        x = torch.where(ended.unsqueeze(-1), self._first(u), state.x)
        return ControlState(x, torch.where(ended, 0, state.t))

    def step(
        self, state: ControlState, action: Float[Tensor, "*#batch actions"], u: Float[Tensor, "*#batch step_noise"]
    ) -> tuple[ControlState, Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return the next state, the reward, and whether the episode ended; raise ``UsageError`` for wrong sizes."""
        after, reward, ended = self.advance(state, action)
        return self.renew(after, ended, u), reward, ended


class _Control(Episodes):
    """Episodes of a fixed length, with actions that are cut to [-1, 1]."""

    @abstractmethod
    def _moved(self, x: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
        """Return the numbers of the next state, and the reward."""

    def advance(
        self, state: ControlState, action: Float[Tensor, "*#batch actions"]
    ) -> tuple[ControlState, Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return the next state of the same episode, the reward, and whether the episode ended with this step.

        Raises ``UsageError`` unless ``action`` has ``action_size`` entries last.
        """
        expect_last("action", action, self.action_size)
        x, reward = self._moved(state.x, action.clamp(-1, 1))
        t = (state.t + 1).expand(x.shape[:-1])
        return ControlState(x, t), reward, t >= self.horizon


def _expect(env: Any, **rules: Any) -> None:
    """Check the fields of an environment."""
    choices = {name: LAWS for name in type(env).__dataclass_fields__ if name.endswith("law")}
    if hasattr(env, "form"):
        choices["form"] = FORMS
    expect_fields(env, counts=("horizon",), choices=choices, **rules)


@dataclass(frozen=True)
class Point(_Control):
    """Push a point with friction to a goal in the plane. A = 2, O = 4: place and velocity."""

    horizon: int = 50
    """steps of an episode"""
    goal: tuple[float, float] = (0.5, -0.5)
    centre: tuple[float, float] = (0.0, 0.0)
    """of first places"""
    spread: float = 2.0
    law: str = "uniform"
    """of first places, one of ``LAWS``"""
    drag: float = 0.9
    """share of the velocity that stays"""
    push: float = 0.1
    """velocity that an action of 1 adds"""
    dt: float = 0.2
    """time of a step"""
    bound: float = 3.0
    """places lie within it on both axes"""
    reward_at_goal: float = 1.0
    """less the distance to the goal is the reward"""

    def __post_init__(self) -> None:
        for name in ("goal", "centre"):
            if not isinstance(getattr(self, name), tuple) or len(getattr(self, name)) != 2:
                raise bad_argument(name, getattr(self, name), "a place, two numbers")
        _expect(self, positive=("dt", "bound"), not_negative=("spread", "push"), shares=("drag",))

    @property
    def observations(self) -> int:
        """O = 4."""
        return 4

    @property
    def action_size(self) -> int:
        """A = 2, along the two axes."""
        return 2

    @property
    def start_noise(self) -> int:
        """Two uniforms, of the first place."""
        return 2

    def _first(self, u: Tensor) -> Tensor:
        place = [_drawn(u[..., i], self.centre[i], self.spread, self.law) for i in range(2)]
        return torch.stack([*place, *(torch.zeros_like(p) for p in place)], dim=-1)

    def observe(self, state: ControlState) -> Float[Tensor, "*batch 4"]:
        """Return place and velocity."""
        return state.x

    def _moved(self, x: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
        v = self.drag * x[..., 2:] + self.push * a
        p = (x[..., :2] + self.dt * v).clamp(-self.bound, self.bound)
        far = torch.hypot(p[..., 0] - self.goal[0], p[..., 1] - self.goal[1])
        return torch.cat([p, v], dim=-1), self.reward_at_goal - far


@dataclass(frozen=True)
class Pend(_Control):
    """Swing a pendulum up and keep it there. A = 1, O = 3: cosine, sine and velocity of the angle."""

    horizon: int = 100
    """steps of an episode"""
    gravity: float = 10.0
    """acceleration of a pendulum that lies level, in rad/s^2"""
    torque: float = 9.0
    """acceleration by an action of 1"""
    dt: float = 0.05
    """seconds of a step"""
    max_speed: float = 8.0
    """of turning, in rad/s"""
    speed_cost: float = 0.005
    """times the squared velocity is taken from the reward"""
    action_cost: float = 0.0
    """times the squared action is, too"""
    angle: float = 0.0
    """centre of first angles"""
    angle_spread: float = math.pi
    angle_law: str = "uniform"
    """of first angles, one of ``LAWS``"""
    speed_spread: float = 1.0
    speed_law: str = "normal"
    """of first velocities, around 0"""

    def __post_init__(self) -> None:
        _expect(
            self,
            positive=("dt", "max_speed"),
            not_negative=("gravity", "torque", "speed_cost", "action_cost", "angle_spread", "speed_spread"),
        )

    @property
    def observations(self) -> int:
        """O = 3."""
        return 3

    @property
    def action_size(self) -> int:
        """A = 1, a torque."""
        return 1

    @property
    def start_noise(self) -> int:
        """Two uniforms, of first angle and velocity."""
        return 2

    def _first(self, u: Tensor) -> Tensor:
        angle = _drawn(u[..., 0], self.angle, self.angle_spread, self.angle_law)
        return torch.stack([angle, _drawn(u[..., 1], 0.0, self.speed_spread, self.speed_law)], dim=-1)

    def observe(self, state: ControlState) -> Float[Tensor, "*batch 3"]:
        """Return cosine and sine of the angle, and the velocity / 4."""
        angle, speed = state.x.unbind(dim=-1)
        return torch.stack([angle.cos(), angle.sin(), speed / 4], dim=-1)

    def _moved(self, x: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
        angle, speed = x.unbind(dim=-1)
        a = a[..., 0]
        speed = speed + self.dt * (self.gravity * angle.sin() + self.torque * a)
        speed = speed.clamp(-self.max_speed, self.max_speed)
        angle = angle + self.dt * speed
        reward = (1 + angle.cos()) / 2 - self.speed_cost * speed.square() - self.action_cost * a.square()
        return torch.stack([angle, speed], dim=-1), reward


@dataclass(frozen=True)
class CartUp(_Control):
    """Swing a pole up by pushing the cart that it stands on. A = 1, O = 5: place and velocity of the cart, cosine, sine
    and velocity of the angle.
    """

    horizon: int = 100
    """steps of an episode"""
    force: float = 15.0
    """of an action of 1, in N"""
    gravity: float = 9.8
    cart: float = 1.0
    """mass in kg"""
    pole: float = 0.1
    """mass in kg"""
    half_length: float = 0.5
    """of the pole, in m"""
    dt: float = 0.04
    """seconds of a step"""
    track: float = 2.4
    """the cart stays within it on both sides"""
    rebound: float = 0.5
    """share of the velocity with which the cart comes back from an end"""
    max_spin: float = 12.0
    """of the pole, in rad/s; may be infinite"""
    track_cost: float = 0.1
    """c, of being far from the middle"""
    form: str = "sum"
    """of the reward, with y = (1 + cos) / 2 and z = x / track: y - c z^2 (sum), or y (1 - c z^2) (product)"""
    angle: float = 0.0
    """centre of first angles"""
    angle_spread: float = math.pi
    angle_law: str = "uniform"
    """of first angles, one of ``LAWS``"""
    spread: float = 0.1
    law: str = "normal"
    """of first places and velocities, around 0"""

    def __post_init__(self) -> None:
        _expect(
            self,
            positive=("cart", "pole", "half_length", "dt", "track", "max_spin"),
            not_negative=("force", "gravity", "track_cost", "angle_spread", "spread"),
            shares=("rebound",),
            endless=("max_spin",),
        )

    @property
    def observations(self) -> int:
        """O = 5."""
        return 5

    @property
    def action_size(self) -> int:
        """A = 1, a push."""
        return 1

    @property
    def start_noise(self) -> int:
        """Four uniforms, of place, velocity, angle and its velocity."""
        return 4

    def _first(self, u: Tensor) -> Tensor:
        x, v, w = (_drawn(u[..., i], 0.0, self.spread, self.law) for i in (0, 1, 3))
        angle = _drawn(u[..., 2], self.angle, self.angle_spread, self.angle_law)
        return torch.stack([x.clamp(-self.track, self.track), v, angle, w], dim=-1)

    def observe(self, state: ControlState) -> Float[Tensor, "*batch 5"]:
        """Return (x / track, x' / 3, cos, sin, angle' / 5)."""
        x, v, angle, w = state.x.unbind(dim=-1)
        return torch.stack([x / self.track, v / 3, angle.cos(), angle.sin(), w / 5], dim=-1)

    def _moved(self, x: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
        place, v, angle, w = x.unbind(dim=-1)
        sin, cos = angle.sin(), angle.cos()
        mass, lever = self.cart + self.pole, self.pole * self.half_length
        # Where the pole does not turn, this is the cart's acceleration (Barto, Sutton and Anderson 1983).
        tmp = (self.force * a[..., 0] + lever * w.square() * sin) / mass
        turn = (self.gravity * sin - cos * tmp) / (self.half_length * (4 / 3 - self.pole * cos.square() / mass))
        v = v + self.dt * (tmp - lever * turn * cos / mass)
        w = (w + self.dt * turn).clamp(-self.max_spin, self.max_spin)
        place = place + self.dt * v
        v = torch.where(place.abs() > self.track, -self.rebound * v, v)
        place = place.clamp(-self.track, self.track)
        angle = angle + self.dt * w
        up, far = (1 + angle.cos()) / 2, self.track_cost * (place / self.track).square()
        reward = up - far if self.form == "sum" else up * (1 - far)
        return torch.stack([place, v, angle, w], dim=-1), reward


@dataclass(frozen=True)
class Reach(_Control):
    """Bring the tip of an arm of two links of length 1 to a goal that each episode draws. A = 2, O = 6: cosines and
    sines of the joints, and the goal as seen from the tip.
    """

    horizon: int = 50
    """steps of an episode"""
    turn: float = 0.2
    """rad by which an action of 1 turns a joint"""
    nearest: float = 0.3
    farthest: float = 1.7
    """distances of goals from the shoulder lie evenly between the two"""
    reward_at_goal: float = 1.0
    """less the distance of the tip from the goal is the reward"""

    def __post_init__(self) -> None:
        _expect(self, not_negative=("turn", "nearest", "farthest"))
        if self.farthest < self.nearest:
            raise bad_argument("farthest", self.farthest, f"at least nearest={self.nearest}")

    @property
    def observations(self) -> int:
        """O = 6."""
        return 6

    @property
    def action_size(self) -> int:
        """A = 2, the joints."""
        return 2

    @property
    def start_noise(self) -> int:
        """Four uniforms, of the joints and of the goal's distance and direction."""
        return 4

    def _first(self, u: Tensor) -> Tensor:
        first, second, direction = (_drawn(u[..., i], 0.0, math.pi, "uniform") for i in (0, 1, 3))
        far = self.nearest + (self.farthest - self.nearest) * u[..., 2]
        return torch.stack([first, second, far * direction.cos(), far * direction.sin()], dim=-1)

    @staticmethod
    def _missing(x: Tensor) -> tuple[Tensor, Tensor]:
        """Return how far the goal is from the tip, along both axes; the second joint turns relative to the first."""
        first, second, goal_x, goal_y = x.unbind(dim=-1)
        both = first + second
        return goal_x - first.cos() - both.cos(), goal_y - first.sin() - both.sin()

    def observe(self, state: ControlState) -> Float[Tensor, "*batch 6"]:
        """Return the joints' cosines, their sines, and the goal less the tip."""
        joints = state.x[..., :2]
        return torch.cat([joints.cos(), joints.sin(), torch.stack(self._missing(state.x), dim=-1)], dim=-1)

    def _moved(self, x: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
        joints = x[..., :2] + self.turn * a
        x = torch.cat([joints, x[..., 2:].expand_as(joints)], dim=-1)
        return x, self.reward_at_goal - torch.hypot(*self._missing(x))


__all__ = ["LAWS", "CartUp", "Pend", "Point", "Reach"]
