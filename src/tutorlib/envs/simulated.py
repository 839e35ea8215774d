"""Environments of Gymnasium whose actions are numbers, such as MuJoCo's robots, behind the interface of ``control``.

A batch of them is as many environments on the CPU, one after the other, so they are slow, and a state is good for one
step: the environments themselves move on. They need the extra ``control``, without which an error names it.
"""

import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tutorlib.envs.classic import ControlState
from tutorlib.envs.control import Episodes
from tutorlib.envs.protocol import expect_last
from tutorlib.lab.errors import TutorlibError, bad_argument, expect_fields, install_line
from tutorlib.shapes import Bool, Float, Tensor

if TYPE_CHECKING or find_spec("gymnasium"):
    import gymnasium
    from gymnasium import spaces
else:
    gymnasium = None

SEEDS = 2**31
"""an episode's first state is drawn with one of so many seeds"""


class _Worlds:
    """Environments of one kind that are stepped together."""

    def __init__(self, name: str, count: int) -> None:
        self.each = [_made(name) for _ in range(count)]
        self.over = np.zeros(count, dtype=bool)

    def reset(self, seeds: np.ndarray) -> np.ndarray:
        self.over[:] = False
        return np.stack([env.reset(seed=int(seed))[0] for env, seed in zip(self.each, seeds, strict=True)])

    def step(self, actions: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return observations, rewards and ends; an environment whose episode is over stays as it was, for 0."""
        seen, rewards = seen.copy(), np.zeros(len(self.each))
        for i, env in enumerate(self.each):
            if not self.over[i]:
                seen[i], rewards[i], terminated, truncated, _ = env.step(actions[i])
                self.over[i] = terminated or truncated
        return seen, rewards, self.over.copy()


_KEPT: dict[tuple[str, int], _Worlds] = {}
"""Those that were made, by name and number: to make one takes as long as many steps of it."""


def _made(name: str) -> Any:
    if gymnasium is None:
        raise TutorlibError(f"{name} needs Gymnasium and its simulators, the extra control: {install_line('control')}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that there are newer versions
            env = gymnasium.make(name, disable_env_checker=True)
    except (gymnasium.error.DependencyNotInstalled, ImportError):
        raise TutorlibError(
            f"{name} needs a simulator that is not installed, of the extra control: {install_line('control')}"
        ) from None
    except gymnasium.error.Error as error:
        raise bad_argument("name", name, f"an environment that Gymnasium has ({error})") from None
    for space in ("observation_space", "action_space"):
        box = getattr(env, space)
        if not isinstance(box, spaces.Box) or len(box.shape) != 1:
            raise bad_argument("name", name, f"an environment whose {space} is a Box of one axis, not {box}")
    return env


def _worlds(name: str, count: int) -> _Worlds:
    if (name, count) not in _KEPT:
        _KEPT[name, count] = _Worlds(name, count)
    return _KEPT[name, count]


# As operations of their own, of which torch knows the shapes, so that a dry run needs no simulator.


@torch.library.custom_op("tutorlib::reset_worlds", mutates_args=())
def _reset(name: str, u: Tensor, observations: int) -> Tensor:
    seeds = (u.double().flatten() * SEEDS).long().numpy()
    seen = _worlds(name, len(seeds)).reset(seeds)
    return torch.from_numpy(seen).to(u.dtype).view(*u.shape[:-1], observations)


@_reset.register_fake
def _(name: str, u: Tensor, observations: int) -> Tensor:
    return u.new_empty(*u.shape[:-1], observations)


@torch.library.custom_op("tutorlib::step_worlds", mutates_args=())
def _step(name: str, action: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    flat = x.flatten(0, -2).numpy()
    actions = action.expand(*x.shape[:-1], -1).flatten(0, -2).numpy()
    seen, rewards, over = _worlds(name, len(flat)).step(actions, flat)
    of = x.shape[:-1]
    return (
        torch.from_numpy(seen).to(x.dtype).view(x.shape), torch.from_numpy(rewards).to(x.dtype).view(of),
        torch.from_numpy(over).view(of),
    )  # fmt: skip


@_step.register_fake
def _(name: str, action: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(x), x.new_empty(x.shape[:-1]), x.new_empty(x.shape[:-1], dtype=torch.bool)


@dataclass(frozen=True)
class Simulated(Episodes):
    """Episodes of an environment of Gymnasium, in 32-bit floats, on the CPU.

    Its sizes are fields, so that they are known without the simulator; they are compared with those of the environment
    before the first episode. Raises ``TutorlibError`` then if the extra ``control`` is not installed, and
    ``UsageError`` for sizes that are others, for spaces that are not boxes, and for actions beyond the limit.
    """

    name: str
    """such as InvertedPendulum-v5"""
    observations: int
    """O"""
    actions: int
    """A"""
    limit: float = 1.0
    """the largest action, of all entries"""
    horizon: int = 1000
    """steps after which an episode ends in any case; the environment's own limit holds, too"""

    def __post_init__(self) -> None:
        expect_fields(self, counts=("horizon",), sizes=("observations", "actions"), positive=("limit",))

    @property
    def start_noise(self) -> int:
        """One uniform, from which a seed is made."""
        return 1

    @property
    def action_size(self) -> int:
        """A."""
        return self.actions

    @property
    def action_limit(self) -> float:
        """The largest action."""
        return self.limit

    def _first(self, u: Tensor) -> Tensor:
        if u.device.type == "cpu" and not isinstance(u, torch._subclasses.FakeTensor):
            self._expect_sizes(_worlds(self.name, u[..., 0].numel()).each[0])
        return _reset(self.name, u, self.observations)

    def _expect_sizes(self, env: Any) -> None:
        space = env.action_space
        known = {"observations": env.observation_space.shape[0], "actions": space.shape[0],
                 "limit": float(space.high.max())}  # fmt: skip
        for field, value in known.items():
            if getattr(self, field) != value:
                raise bad_argument(field, getattr(self, field), f"{value:g}, as {self.name} has it")
        if not (space.high == known["limit"]).all() or not (space.low == -known["limit"]).all():
            raise bad_argument("name", self.name, "an environment with one limit for all actions and directions")

    def finished(self, state: ControlState) -> bool:
        """Return whether all these episodes have ended: their environments stand on the host, and know it."""
        worlds = _KEPT.get((self.name, state.t.numel()))
        return worlds is not None and bool(worlds.over.all())

    def observe(self, state: ControlState) -> Float[Tensor, "*batch observations"]:
        """Return the observation."""
        return state.x

    def advance(
        self, state: ControlState, action: Float[Tensor, "*#batch actions"]
    ) -> tuple[ControlState, Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return the next state of the same episode, the reward, and whether the episode ended with this step.

        An episode that ended before stays where it was. Raises ``UsageError`` for actions beyond the limit.
        """
        expect_last("action", action, self.actions)
        if action.device.type == "cpu" and not isinstance(action, torch._subclasses.FakeTensor):
            most = float(action.abs().max())
            if not most <= self.limit * (1 + 1e-6):
                raise bad_argument("action", most, f"numbers from {-self.limit:g} to {self.limit:g}")
        x, reward, over = _step(self.name, action, state.x)
        t = (state.t + 1).expand(over.shape)
        return ControlState(x, t), reward, over | (t >= self.horizon)


__all__ = ["Simulated"]
