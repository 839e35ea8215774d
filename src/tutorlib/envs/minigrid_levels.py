"""Levels of MiniGrid as tensors: how a cell is written down, a bank of levels, and their import from the package.

A cell is five bytes: object, colour and state as MiniGrid encodes them, then object and colour of what a box hides.
While a level is played, the five are packed into one number (``pack``), so that a cell is one look-up.
Cells are ``[y, x]`` with y growing downwards; positions are (x, y), and directions 0 to 3 are right, down, left, up.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch

from tutorlib.lab.errors import bad_argument, checked
from tutorlib.shapes import Int, Tensor

UNSEEN, EMPTY, WALL, FLOOR, DOOR, KEY, BALL, BOX, GOAL, LAVA = range(10)
"""Objects. ``EMPTY`` also stands for a hand that holds nothing and a box that hides nothing."""
RED, GREEN, BLUE, PURPLE, YELLOW, GREY = range(6)
"""Colours."""
OPEN, CLOSED, LOCKED = range(3)
"""States of a door; whatever is no door has state 0."""
NOTHING = (EMPTY, 0, 0, EMPTY, 0)
"""The five bytes of an empty cell."""
CARRIED = (KEY, BALL, BOX)
"""What can be picked up."""

COLOUR, STATE, HIDDEN, HIDDEN_COLOUR = 4, 7, 9, 12
"""The bits of a packed cell at which its parts begin; the object begins at bit 0."""

AT_GOAL = ("MiniGridEnv.step",)
PICKED_UP = ("KeyCorridorEnv.step", "ObstructedMazeEnv.step", "UnlockPickupEnv.step", "BlockedUnlockPickupEnv.step")
"""The package's rules of success that are known here, by the function that holds them."""


class Levels(NamedTuple):
    """A bank of levels of one size."""

    cells: Tensor
    """uint8 [levels, H, W, 5]: object, colour, state, hidden object, its colour"""
    position: Int[Tensor, "levels 2"]
    """where the agent begins, (x, y)"""
    direction: Int[Tensor, "levels"]
    """where it looks at first: right, down, left, up"""
    target: Tensor
    """uint8 [levels, 2]: object and colour that end the episode with success once carried; (0, 0) where only a goal
    does"""

    def to(self, device: torch.device | str) -> "Levels":
        """Return the levels on another device."""
        return Levels(*(part.to(device) for part in self))


@checked()
def join_levels(parts: Sequence[Levels]) -> Levels:
    """Return one bank with the levels of all ``parts``; raise ``UsageError`` if they differ in size."""
    if not parts:
        raise bad_argument("parts", parts, "at least one bank of levels")
    sizes = {tuple(part.cells.shape[1:3]) for part in parts}
    if len(sizes) > 1:
        raise bad_argument("parts", sorted(sizes), "levels of one height and width")
    return Levels(*(torch.cat(same) for same in zip(*parts, strict=True)))


def pack(cells: Tensor) -> Tensor:
    """Return cells as one number each: uint8 ``[..., 5]`` to int16 ``[...]``; an empty cell is ``EMPTY``.

    What a box hides is counted from ``EMPTY``, so it takes three bits, and all five parts take 15.
    """
    thing, colour, state, hidden, hidden_colour = cells.to(torch.int16).unbind(dim=-1)
    shown = thing + (colour << COLOUR) + (state << STATE)
    return shown + (hidden - EMPTY << HIDDEN) + (hidden_colour << HIDDEN_COLOUR)


def thing_of(packed: Tensor) -> Tensor:
    """Return the objects of packed cells."""
    return packed & 15


def colour_of(packed: Tensor) -> Tensor:
    """Return the colours of packed cells."""
    return packed >> COLOUR & 7


def state_of(packed: Tensor) -> Tensor:
    """Return the states of packed cells."""
    return packed >> STATE & 3


def unpack(packed: Tensor) -> Tensor:
    """Return the five bytes of packed cells: int16 ``[...]`` to uint8 ``[..., 5]``."""
    hidden = (packed >> HIDDEN & 7) + EMPTY, packed >> HIDDEN_COLOUR & 7
    return torch.stack([thing_of(packed), colour_of(packed), state_of(packed), *hidden], dim=-1).to(torch.uint8)


def _bytes_of(thing: Any) -> tuple[int, ...]:
    """Return the five bytes of an object of the package, or of None."""
    if thing is None:
        return NOTHING
    if thing.contains is None:
        return (*thing.encode(), EMPTY, 0)
    hidden, colour, _ = thing.contains.encode()
    if hidden not in CARRIED or thing.contains.contains is not None:
        raise bad_argument("env", type(thing.contains).__name__, "boxes that hide a key, a ball or an empty box")
    return (*thing.encode(), hidden, colour)


def import_level(env: Any) -> Levels:
    """Return the level that an environment of the package ``minigrid`` has just been reset to, as a bank of one.

    Raises ``UsageError`` where the rules here would not be the package's: another rule of success than those in
    ``AT_GOAL`` and ``PICKED_UP``, another view than 7 x 7 with occlusion, an episode that has begun, a box in a box
    that hides something, or a target that another object is the twin of.
    """
    inner = env.unwrapped
    rule = type(inner).step.__qualname__
    if rule not in AT_GOAL + PICKED_UP:
        raise bad_argument("env", rule, f"a rule of success in {', '.join(AT_GOAL + PICKED_UP)}")
    if inner.see_through_walls or inner.agent_view_size != 7:
        view = f"agent_view_size {inner.agent_view_size}, see_through_walls {inner.see_through_walls}"
        raise bad_argument("env", view, "a view of 7 x 7 cells that walls block")
    if getattr(inner, "step_count", None) != 0:
        raise bad_argument("env", getattr(inner, "step_count", None), "an environment that has just been reset")
    height, width = inner.grid.height, inner.grid.width
    cells = torch.tensor([_bytes_of(thing) for thing in inner.grid.grid], dtype=torch.uint8).view(1, height, width, 5)
    target = torch.zeros(1, 2, dtype=torch.uint8)
    if rule in PICKED_UP:
        target = torch.tensor([inner.obj.encode()[:2]], dtype=torch.uint8)
        twins = sum(int((part == target).all(dim=-1).sum()) for part in (cells[..., :2], cells[..., 3:]))
        if twins != 1:
            raise bad_argument("env", f"{twins} like the target", "one object of the target's kind and colour")
    position = torch.tensor([[int(inner.agent_pos[0]), int(inner.agent_pos[1])]])
    return Levels(cells, position, torch.tensor([int(inner.agent_dir)]), target)


def import_levels(env: Any, seeds: Iterable[int]) -> Levels:
    """Return the levels that ``env`` of the package ``minigrid`` makes from ``seeds``, in their order."""
    parts = []
    for seed in seeds:
        env.reset(seed=seed)
        parts.append(import_level(env))
    return join_levels(parts)


__all__ = [
    "AT_GOAL",
    "BALL",
    "BLUE",
    "BOX",
    "CARRIED",
    "CLOSED",
    "COLOUR",
    "DOOR",
    "EMPTY",
    "FLOOR",
    "GOAL",
    "GREEN",
    "GREY",
    "HIDDEN",
    "HIDDEN_COLOUR",
    "KEY",
    "LAVA",
    "LOCKED",
    "NOTHING",
    "OPEN",
    "PICKED_UP",
    "PURPLE",
    "RED",
    "STATE",
    "UNSEEN",
    "WALL",
    "YELLOW",
    "Levels",
    "colour_of",
    "import_level",
    "import_levels",
    "join_levels",
    "pack",
    "state_of",
    "thing_of",
    "unpack",
]
