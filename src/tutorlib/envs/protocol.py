"""What an environment is: pure functions of tensors, with the randomness handed in.

An environment is a frozen dataclass without any memory of its own. What changes is in a state, a NamedTuple of tensors
``[*batch, ...]``; what is random is made from uniforms that the caller drew. So a batch of environments is one tensor,
a lifetime can be lived again from its noise, and the two members of an antithetic pair can meet the same luck.

A lifetime may hold many episodes. ``start`` draws what stays for the lifetime (the success probabilities of arms, a
goal, a permutation) and begins the first episode. ``step`` begins the next one by itself where an episode ends.

The ``*batch`` axes of state, action and noise broadcast: with states and actions ``[members, lifetimes]``, noise
``[lifetimes, n]`` is shared by all members. Nothing here waits for a device: sizes are checked in every call, values
only in ``check_action``, ``check_noise`` and the wrapper ``Checked``.
"""

from typing import Any, Protocol, runtime_checkable

import torch

from tutorlib.lab.errors import MOST, bad_argument, checked
from tutorlib.shapes import Bool, Float, Int, Tensor


class _Batch(Protocol):
    """What all batches of environments have."""

    @property
    def observations(self) -> int:
        """O, entries of an observation."""

    @property
    def start_noise(self) -> int:
        """How many uniforms in (0, 1) ``start`` takes for each lifetime."""

    @property
    def step_noise(self) -> int:
        """How many uniforms in (0, 1) ``step`` takes for each step."""

    def start(self, u: Float[Tensor, "*batch start_noise"]) -> Any:
        """Return the state at the start of a lifetime, on the device of ``u``."""

    def observe(self, state: Any) -> Float[Tensor, "*batch observations"]:
        """Return what the agent sees."""


@runtime_checkable
class Environment(_Batch, Protocol):
    """A batch of environments with discrete actions."""

    @property
    def actions(self) -> int:
        """The number of actions."""

    def step(
        self, state: Any, action: Int[Tensor, "*#batch"], u: Float[Tensor, "*#batch step_noise"]
    ) -> tuple[Any, Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return the next state, the reward, and whether an episode ended with this step.

        Where it ended, the state is already the first one of the next episode.
        """


@runtime_checkable
class ControlEnvironment(_Batch, Protocol):
    """A batch of environments with continuous actions ``[*batch, action_size]`` in [-1, 1]."""

    @property
    def horizon(self) -> int:
        """Steps after which an episode ends in any case."""

    @property
    def action_size(self) -> int:
        """A, entries of an action."""

    @property
    def action_limit(self) -> float:
        """The largest useful action."""

    def advance(
        self, state: Any, action: Float[Tensor, "*#batch actions"]
    ) -> tuple[Any, Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return the next state of the same episode, the reward, and whether the episode ended with this step."""

    def renew(self, state: Any, ended: Bool[Tensor, "*batch"], u: Float[Tensor, "*#batch step_noise"]) -> Any:
        """Return ``state``, or the first one of the next episode where one ended."""

    def step(
        self, state: Any, action: Float[Tensor, "*#batch actions"], u: Float[Tensor, "*#batch step_noise"]
    ) -> tuple[Any, Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return what ``renew`` makes of what ``advance`` returns, the reward, and whether an episode ended."""


def expect_last(name: str, tensor: Tensor, size: int) -> None:
    """Raise ``UsageError`` unless the last axis of ``tensor`` has length ``size``; this never waits for a device."""
    if tensor.dim() == 0 or tensor.shape[-1] != size:
        raise bad_argument(name, tuple(tensor.shape), f"a shape that ends with {size}")


@checked()
def check_action(env: Environment | ControlEnvironment, action: Tensor) -> None:
    """Raise ``UsageError`` unless ``action`` holds actions of ``env``: whole numbers, or entries in [-1, 1].

    This reads values, so on a GPU the program waits. ``step`` therefore leaves it to the caller.
    """
    if isinstance(env, ControlEnvironment):
        expect_last("action", action, env.action_size)
        if not action.is_floating_point():
            raise bad_argument("action", action.dtype, "a floating-point type")
        beyond = action[~(action.abs() <= 1)]  # a number that is not finite is outside, too
        if len(beyond):
            raise bad_argument("action", float(beyond[0]), "entries from -1 to 1")
        return
    if action.is_floating_point() or action.is_complex() or action.dtype == torch.bool:
        raise bad_argument("action", action.dtype, "an integer type")
    outside = action[(action < 0) | (action >= env.actions)]
    if len(outside):
        raise bad_argument("action", int(outside[0]), f"0 to {env.actions - 1}")


@checked(maximum={"size": MOST})
def check_noise(name: str, u: Tensor, size: int) -> None:
    """Raise ``UsageError`` unless ``u`` holds ``size`` uniforms in (0, 1) for each entry of the batch.

    This reads values, so on a GPU the program waits.
    """
    expect_last(name, u, size)
    if not u.is_floating_point():
        raise bad_argument(name, u.dtype, "a floating-point type")
    outside = u[~((u > 0) & (u < 1))]  # a number that is not finite is outside, too
    if len(outside):
        raise bad_argument(name, float(outside[0]), "uniforms in (0, 1)")


__all__ = ["ControlEnvironment", "Environment", "check_action", "check_noise", "expect_last"]
