"""Pictures of MiniGrid from above: walls, doors, things and the agent, and in a lighter shade what the agent sees."""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np

from tutorlib.envs.minigrid_levels import (
    BALL,
    BLUE,
    BOX,
    CLOSED,
    DOOR,
    FLOOR,
    GOAL,
    GREEN,
    GREY,
    KEY,
    LAVA,
    LOCKED,
    PURPLE,
    RED,
    WALL,
    YELLOW,
)
from tutorlib.lab.errors import bad_argument, checked

Colour = tuple[int, int, int]
COLOURS: Mapping[int, Colour] = MappingProxyType(
    {
        RED: (213, 94, 0),
        GREEN: (0, 158, 115),
        BLUE: (0, 114, 178),
        PURPLE: (204, 121, 167),
        YELLOW: (240, 228, 66),
        GREY: (118, 118, 118),
    }
)
"""Okabe and Ito's, which readers with any common colour blindness can tell apart."""
GROUND, LINE, AGENT = (20, 20, 20), (60, 60, 60), (255, 255, 255)
LIGHT = 0.25
"""How far the colours of a cell that is seen go towards white."""
FINE = 3
"""Points of a pixel's side, over which the edges of shapes are averaged."""


def _points(pixels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of the points of a cell, from 0 to 1, right and downwards."""
    at = (np.arange(pixels * FINE) + 0.5) / (pixels * FINE)
    return at[None, :].repeat(len(at), axis=0), at[:, None].repeat(len(at), axis=1)


def _smooth(points: np.ndarray, pixels: int) -> np.ndarray:
    """Return the mean over each pixel's points, of an array ``[points, points, ...]``."""
    return points.reshape(pixels, FINE, pixels, FINE, *points.shape[2:]).mean(axis=(1, 3))


@checked(maximum={"thing": 10, "colour": 5, "state": 2, "pixels": 512})
@cache
def cell_picture(thing: int, colour: int, state: int, pixels: int) -> np.ndarray:
    """Return the picture of a cell in the dark, float [pixels, pixels, 3]; it is kept, so do not write into it."""
    x, y = _points(pixels)
    picture = np.empty((*x.shape, 3))
    picture[:] = GROUND
    picture[(x < 0.04) | (y < 0.04)] = LINE
    paint = np.array(COLOURS[colour])

    def square(half: float) -> np.ndarray:
        return np.maximum(abs(x - 0.5), abs(y - 0.5)) <= half

    def disc(at_x: float, at_y: float, radius: float) -> np.ndarray:
        return (x - at_x) ** 2 + (y - at_y) ** 2 <= radius**2

    if thing in (WALL, GOAL):
        picture[:] = paint
    elif thing == FLOOR:
        picture[square(0.46)] = paint / 2
    elif thing == LAVA:
        picture[:] = (230, 159, 0)
        for height in (0.3, 0.5, 0.7):
            picture[abs(y - height - 0.06 * np.sin(4 * np.pi * x)) < 0.04] = GROUND
    elif thing == DOOR:  # open: a frame; closed: a leaf with a handle; locked: a full leaf with a keyhole
        picture[square(0.5) & ~square(0.4)] = paint
        if state == CLOSED:
            picture[square(0.32) & ~square(0.24)] = paint
            picture[disc(0.68, 0.5, 0.08)] = paint
        elif state == LOCKED:
            picture[square(0.32)] = paint
            picture[disc(0.5, 0.42, 0.1) | ((abs(x - 0.5) < 0.04) & (y > 0.42) & (y < 0.68))] = GROUND
    elif thing == KEY:
        shaft = (abs(x - 0.5) < 0.05) & (y > 0.3) & (y < 0.88)
        teeth = (x > 0.5) & (x < 0.7) & ((abs(y - 0.66) < 0.04) | (abs(y - 0.82) < 0.04))
        picture[(disc(0.5, 0.27, 0.17) & ~disc(0.5, 0.27, 0.08)) | (shaft & ~disc(0.5, 0.27, 0.08)) | teeth] = paint
    elif thing == BALL:
        picture[disc(0.5, 0.5, 0.31)] = paint
    elif thing == BOX:
        picture[(square(0.38) & ~square(0.29)) | (square(0.38) & (abs(y - 0.5) < 0.05))] = paint
    return _smooth(picture, pixels)


@checked(maximum={"direction": 3, "pixels": 512})
@cache
def agent_shape(direction: int, pixels: int) -> np.ndarray:
    """Return how much of each pixel the agent covers: a triangle whose tip shows where it looks."""
    x, y = _points(pixels)
    right = (x > 0.14) & (abs(y - 0.5) < 0.36 * (0.88 - x) / 0.74)
    return _smooth(np.rot90(right.astype(float), -direction), pixels)  # clockwise


def check_pixels(pixels: Any) -> None:
    """Raise ``UsageError`` unless cells of this side can be drawn."""
    if not isinstance(pixels, int) or pixels < 8:
        raise bad_argument("pixels", pixels, "a whole number from 8")


@checked(maximum={"direction": 3})
def picture(
    grid: np.ndarray, seen: np.ndarray, position: tuple[int, int], direction: int, pixels: int = 24
) -> np.ndarray:
    """Return a picture, uint8 ``[H * pixels, W * pixels, 3]``.

    ``grid`` ``[H, W, 3]`` holds object, colour and state of each cell, ``seen`` ``[H, W]`` which of them the agent
    sees, and ``position`` is its (x, y). What it carries and what boxes hide is not shown.
    """
    check_pixels(pixels)
    if grid.ndim != 3 or grid.shape[2] != 3 or not grid.size:
        raise bad_argument("grid", grid.shape, "a shape (H, W, 3)")
    if seen.shape != grid.shape[:2] or seen.dtype != bool:
        raise bad_argument("seen", (seen.shape, str(seen.dtype)), f"truth values of shape {grid.shape[:2]}")
    if not (0 <= position[0] < grid.shape[1] and 0 <= position[1] < grid.shape[0]):
        raise bad_argument("position", position, f"a cell of the {grid.shape[1]} x {grid.shape[0]} ones")
    (height, width), (x, y) = seen.shape, position
    cells = np.stack([[cell_picture(*cell, pixels) for cell in row] for row in grid.tolist()])
    shape = agent_shape(direction, pixels)[..., None]
    cells[y, x] = shape * AGENT + (1 - shape) * cells[y, x]
    cells[seen] += LIGHT * (255 - cells[seen])
    return cells.swapaxes(1, 2).reshape(height * pixels, width * pixels, 3).round().astype(np.uint8)


__all__ = ["COLOURS", "LIGHT", "agent_shape", "cell_picture", "check_pixels", "picture"]
