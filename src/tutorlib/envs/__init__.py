"""Batched environments as pure functions of tensors: bandits, classic control, grid worlds, locks, wrappers."""

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from tutorlib.envs.bandits import (
    FAMILIES,
    BanditState,
    BernoulliBandit,
    ContextState,
    ContextualBandit,
    expected_regret,
)
from tutorlib.envs.classic import (
    Acrobot,
    CartPole,
    ControlState,
    MountainCar,
    acrobot_dynamics,
    cartpole_dynamics,
    mountaincar_dynamics,
)
from tutorlib.envs.continuous import MountainCarContinuous, continuous_mountaincar_dynamics
from tutorlib.envs.control import CartUp, Pend, Point, Reach
from tutorlib.envs.grids import DarkRoom, HeartGrid, HeartState, RoomState
from tutorlib.envs.lock import Lock, LockState
from tutorlib.envs.minigrid import Levels, MiniGrid, MiniGridState
from tutorlib.envs.minigrid_rooms import key_corridor, multi_room, obstructed_maze
from tutorlib.envs.protocol import ControlEnvironment, Environment, check_action, check_noise
from tutorlib.envs.wrappers import (
    Checked,
    Duplicated,
    OrderState,
    Padded,
    Permuted,
    Projected,
    ProjectedState,
    Reordered,
    Rewarded,
    SignFlipped,
    SignState,
    Wrapper,
)
from tutorlib.lab.errors import checked, choose

BY_NAME: Mapping[str, type] = MappingProxyType(
    {
        "bandit": BernoulliBandit,
        "contextual-bandit": ContextualBandit,
        "cartpole": CartPole,
        "acrobot": Acrobot,
        "mountaincar": MountainCar,
        "heart-grid": HeartGrid,
        "dark-room": DarkRoom,
        "minigrid": MiniGrid,
        "lock": Lock,
    }
)
"""Every environment with discrete actions that is no wrapper."""

CONTROL: Mapping[str, type] = MappingProxyType(
    {"point": Point, "pend": Pend, "cartup": CartUp, "reach": Reach, "mountaincar-continuous": MountainCarContinuous}
)
"""Every environment with continuous actions."""


@checked()
def environment(name: str, **options: Any) -> Environment:
    """Return the environment with discrete actions called ``name`` with the given fields.

    Raises ``UsageError`` for a name, a field or a value that cannot be used.
    """
    return _made(BY_NAME, name, options)


@checked()
def control_environment(name: str, **options: Any) -> ControlEnvironment:
    """Return the environment with continuous actions called ``name`` with the given fields.

    Raises ``UsageError`` for a name, a field or a value that cannot be used.
    """
    return _made(CONTROL, name, options)


def _made(known: Mapping[str, type], name: str, options: Mapping[str, Any]) -> Any:
    cls = known[choose("name", name, known)]
    for option in options:
        choose("option", option, [field.name for field in fields(cls) if field.init])
    return cls(**options)


__all__ = [
    "BY_NAME",
    "CONTROL",
    "FAMILIES",
    "Acrobot",
    "BanditState",
    "BernoulliBandit",
    "CartPole",
    "CartUp",
    "Checked",
    "ContextState",
    "ContextualBandit",
    "ControlEnvironment",
    "ControlState",
    "DarkRoom",
    "Duplicated",
    "Environment",
    "HeartGrid",
    "HeartState",
    "Levels",
    "Lock",
    "LockState",
    "MiniGrid",
    "MiniGridState",
    "MountainCar",
    "MountainCarContinuous",
    "OrderState",
    "Padded",
    "Pend",
    "Permuted",
    "Point",
    "Projected",
    "ProjectedState",
    "Reach",
    "Reordered",
    "Rewarded",
    "RoomState",
    "SignFlipped",
    "SignState",
    "Wrapper",
    "acrobot_dynamics",
    "cartpole_dynamics",
    "check_action",
    "check_noise",
    "continuous_mountaincar_dynamics",
    "control_environment",
    "environment",
    "expected_regret",
    "key_corridor",
    "mountaincar_dynamics",
    "multi_room",
    "obstructed_maze",
]
