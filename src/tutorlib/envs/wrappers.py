"""Environments made of other environments: the same world behind other observations, actions or rewards.

A wrapper is an environment itself, so wrappers nest. What it draws for a lifetime comes from the last entries of the
start noise; the first ones belong to the environment inside. No wrapper takes noise of its own in a step.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F

from tutorlib.envs.protocol import Environment, check_action, check_noise, expect_last
from tutorlib.envs.tensors import as_permutation, pick, reorder
from tutorlib.lab.errors import MOST, MOST_SIZE, bad_argument, expect_fields
from tutorlib.shapes import Bool, Float, Int, Tensor


@dataclass(frozen=True)
class Wrapper:
    """The environment inside, unchanged: what the wrappers below have in common."""

    env: Environment
    """the environment inside"""

    def __post_init__(self) -> None:
        expect_fields(self)

    @property
    def observations(self) -> int:
        """O, as inside."""
        return self.env.observations

    @property
    def actions(self) -> int:
        """The number of actions, as inside."""
        return self.env.actions

    @property
    def start_noise(self) -> int:
        """As inside."""
        return self.env.start_noise

    @property
    def step_noise(self) -> int:
        """As inside."""
        return self.env.step_noise

    def start(self, u: Float[Tensor, "*batch start_noise"]) -> Any:
        """Return the state inside."""
        return self.env.start(u)

    def observe(self, state: Any) -> Float[Tensor, "*batch observations"]:
        """Return what is seen inside."""
        return self.env.observe(state)

    def step(
        self, state: Any, action: Int[Tensor, "*#batch"], u: Float[Tensor, "*#batch step_noise"]
    ) -> tuple[Any, Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return the step inside."""
        return self.env.step(state, action, u)

    def _split(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Return the start noise of the environment inside, and that of the wrapper."""
        expect_last("u", u, self.start_noise)
        inside = self.env.start_noise
        return u[..., :inside], u[..., inside:]


class OrderState(NamedTuple):
    """The state inside, and the orders in which its observations and actions are shown."""

    inner: Any
    observation: Int[Tensor, "*batch observations"]
    """entry i of what is shown is entry ``observation[i]`` inside"""
    action: Int[Tensor, "*batch actions"]
    """action a is action ``action[a]`` inside"""
    wait: Int[Tensor, "*batch"]
    """steps until these orders hold; before, all is as inside"""

    def in_force(self, order: Int[Tensor, "*batch n"]) -> Int[Tensor, "*batch n"]:
        """Return ``order``, or the identity where it does not hold yet."""
        identity = torch.arange(order.shape[-1], device=order.device)
        return torch.where(self.wait.unsqueeze(-1) > 0, identity, order)

    @property
    def p(self) -> Float[Tensor, "*batch actions"]:
        """Success probabilities of the actions as shown, where the environment inside is a Bernoulli bandit."""
        return reorder(self.inner.p, self.in_force(self.action))


@dataclass(frozen=True)
class _InOrder(Wrapper):
    """Shows observations and actions in the order that the state holds."""

    def _holds(self, state: OrderState, order: Tensor) -> Tensor:
        """Return the order that holds now."""
        return order

    def observe(self, state: OrderState) -> Float[Tensor, "*batch observations"]:
        """Return what is seen inside, in the order that holds."""
        return reorder(self.env.observe(state.inner), self._holds(state, state.observation))

    def step(
        self, state: OrderState, action: Int[Tensor, "*#batch"], u: Float[Tensor, "*#batch step_noise"]
    ) -> tuple[OrderState, Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return the step inside, under the action that ``action`` stands for."""
        inside = pick(self._holds(state, state.action), action)
        inner, reward, ended = self.env.step(state.inner, inside, u)
        return state._replace(inner=inner, wait=(state.wait - 1).clamp(min=0)), reward, ended


@dataclass(frozen=True)
class Permuted(_InOrder):
    """Observations, actions or both in a random order, drawn for each lifetime."""

    shuffle_observations: bool = True
    """whether the observation's entries are permuted"""
    shuffle_actions: bool = True
    """whether actions are permuted"""
    at: int = 0
    """lifetime step from which the permutations hold; until then all is as inside"""

    def __post_init__(self) -> None:
        expect_fields(self, maximum={"at": MOST})
        if not (self.shuffle_observations or self.shuffle_actions):
            raise bad_argument("shuffle_actions", False, "True, or shuffle_observations=True")

    @property
    def start_noise(self) -> int:
        """As inside, and a uniform for each entry and each action that is permuted."""
        entries, actions = self.shuffle_observations * self.observations, self.shuffle_actions * self.actions
        return self.env.start_noise + entries + actions

    def _holds(self, state: OrderState, order: Tensor) -> Tensor:
        """Return the order that holds now; where it always does, there is nothing to decide."""
        return state.in_force(order) if self.at else order

    def start(self, u: Float[Tensor, "*batch start_noise"]) -> OrderState:
        """Return the state inside with the permutations of each lifetime."""
        inside, noise = self._split(u)
        batch = u.shape[:-1]
        observation, action = (
            torch.arange(n, device=u.device).expand(*batch, -1) for n in (self.observations, self.actions)
        )
        if self.shuffle_observations:
            observation = as_permutation(noise[..., : self.observations])
        if self.shuffle_actions:
            action = as_permutation(noise[..., -self.actions :])
        return OrderState(self.env.start(inside), observation, action, torch.full(batch, self.at, device=u.device))


def _expect_order(name: str, order: tuple[int, ...] | None, n: int) -> None:
    if order is not None and sorted(order) != list(range(n)):
        raise bad_argument(name, order, f"a permutation of 0..{n - 1}")


@dataclass(frozen=True)
class Reordered(_InOrder):
    """Observations and actions in one given order, the same in all lifetimes."""

    observation_order: tuple[int, ...] | None = None
    """entry i of what is shown is entry ``observation_order[i]`` inside; None: as inside"""
    action_order: tuple[int, ...] | None = None
    """action a is action ``action_order[a]`` inside; None: as inside"""

    def __post_init__(self) -> None:
        expect_fields(self)
        _expect_order("observation_order", self.observation_order, self.observations)
        _expect_order("action_order", self.action_order, self.actions)

    def start(self, u: Float[Tensor, "*batch start_noise"]) -> OrderState:
        """Return the state inside with the given orders."""
        inside, _ = self._split(u)
        batch = u.shape[:-1]
        orders = (self.observation_order or range(self.observations), self.action_order or range(self.actions))
        # Made here, once in a lifetime, because a copy to a GPU in every step would be slow.
        observation, action = (torch.tensor(tuple(order), device=u.device).expand(*batch, -1) for order in orders)
        wait = torch.zeros(batch, dtype=torch.long, device=u.device)
        return OrderState(self.env.start(inside), observation, action, wait)


@dataclass(frozen=True)
class Duplicated(Wrapper):
    """The whole observation several times, one copy after the other."""

    copies: int = 2
    """how often it is shown"""

    def __post_init__(self) -> None:
        expect_fields(self, sizes=("copies",))

    @property
    def observations(self) -> int:
        """O: as many as inside for each copy."""
        return self.copies * self.env.observations

    def observe(self, state: Any) -> Float[Tensor, "*batch observations"]:
        """Return the copies of what is seen inside."""
        return torch.cat(self.copies * [self.env.observe(state)], dim=-1)


@dataclass(frozen=True)
class Padded(Wrapper):
    """Zeros after the observation."""

    zeros: int = 1
    """how many"""

    def __post_init__(self) -> None:
        expect_fields(self, maximum={"zeros": MOST_SIZE})

    @property
    def observations(self) -> int:
        """O: as many as inside, and the zeros."""
        return self.env.observations + self.zeros

    def observe(self, state: Any) -> Float[Tensor, "*batch observations"]:
        """Return what is seen inside, then zeros."""
        return F.pad(self.env.observe(state), (0, self.zeros))


class ProjectedState(NamedTuple):
    """The state inside, and the matrix of the lifetime."""

    inner: Any
    matrix: Float[Tensor, "*batch observations observations"]


@dataclass(frozen=True)
class Projected(Wrapper):
    """Observations multiplied by a random orthogonal matrix, drawn for each lifetime."""

    @property
    def start_noise(self) -> int:
        """As inside, and a uniform for each entry of the matrix."""
        return self.env.start_noise + self.observations**2

    def start(self, u: Float[Tensor, "*batch start_noise"]) -> ProjectedState:
        """Return the state inside with a matrix uniform over rotations and reflections."""
        inside, noise = self._split(u)
        normal = torch.special.ndtri(noise).unflatten(-1, (self.observations, self.observations))
        q, r = torch.linalg.qr(normal)
        # QR leaves the signs open; with those of r's diagonal q is uniform (Mezzadri 2007).
        sign = torch.where(r.diagonal(dim1=-2, dim2=-1) < 0, -1.0, 1.0).to(q.dtype)
        return ProjectedState(self.env.start(inside), q * sign.unsqueeze(-2))

    def observe(self, state: ProjectedState) -> Float[Tensor, "*batch observations"]:
        """Return the product of the matrix and what is seen inside."""
        return (state.matrix @ self.env.observe(state.inner).unsqueeze(-1)).squeeze(-1)

    def step(
        self, state: ProjectedState, action: Int[Tensor, "*#batch"], u: Float[Tensor, "*#batch step_noise"]
    ) -> tuple[ProjectedState, Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return the step inside."""
        inner, reward, ended = self.env.step(state.inner, action, u)
        return state._replace(inner=inner), reward, ended


class SignState(NamedTuple):
    """The state inside, and the signs of the lifetime."""

    inner: Any
    sign: Float[Tensor, "*batch observations"]
    """1 or -1 for each entry"""


@dataclass(frozen=True)
class SignFlipped(Wrapper):
    """Each entry of the observation with a random sign, drawn for each lifetime."""

    @property
    def start_noise(self) -> int:
        """As inside, and a uniform for each entry."""
        return self.env.start_noise + self.observations

    def start(self, u: Float[Tensor, "*batch start_noise"]) -> SignState:
        """Return the state inside with the signs of each lifetime."""
        inside, noise = self._split(u)
        return SignState(self.env.start(inside), torch.where(noise < 0.5, -1.0, 1.0).to(u.dtype))

    def observe(self, state: SignState) -> Float[Tensor, "*batch observations"]:
        """Return what is seen inside, with the signs."""
        return state.sign * self.env.observe(state.inner)

    def step(
        self, state: SignState, action: Int[Tensor, "*#batch"], u: Float[Tensor, "*#batch step_noise"]
    ) -> tuple[SignState, Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return the step inside."""
        inner, reward, ended = self.env.step(state.inner, action, u)
        return state._replace(inner=inner), reward, ended


@dataclass(frozen=True)
class Rewarded(Wrapper):
    """Rewards r become scale r + shift: 2 and -1 centre rewards of 0 and 1, -1 and 0 swap good and bad."""

    scale: float = 1.0
    """what a reward is multiplied by"""
    shift: float = 0.0
    """what is added in every step"""

    def __post_init__(self) -> None:
        expect_fields(self)

    def step(
        self, state: Any, action: Int[Tensor, "*#batch"], u: Float[Tensor, "*#batch step_noise"]
    ) -> tuple[Any, Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return the step inside with the other reward."""
        inner, reward, ended = self.env.step(state, action, u)
        return inner, self.scale * reward + self.shift, ended


@dataclass(frozen=True)
class Checked(Wrapper):
    """Refuses actions that do not exist, and noise that is not uniform in (0, 1).

    For a few steps by hand: it reads values in each call, so on a GPU every call waits for the one before.
    """

    def start(self, u: Float[Tensor, "*batch start_noise"]) -> Any:
        """Return the state inside; raise ``UsageError`` for noise that cannot be used."""
        check_noise("u", u, self.start_noise)
        return self.env.start(u)

    def step(
        self, state: Any, action: Tensor, u: Float[Tensor, "*#batch step_noise"]
    ) -> tuple[Any, Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return the step inside; raise ``UsageError`` for an action or noise that cannot be used."""
        check_action(self, action)
        check_noise("u", u, self.step_noise)
        return self.env.step(state, action, u)


__all__ = [
    "Checked",
    "Duplicated",
    "OrderState",
    "Padded",
    "Permuted",
    "Projected",
    "ProjectedState",
    "Reordered",
    "Rewarded",
    "SignFlipped",
    "SignState",
    "Wrapper",
]
