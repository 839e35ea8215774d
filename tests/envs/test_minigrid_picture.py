"""Pictures of MiniGrid: whatever differs looks different, and the agent points where it looks."""

import itertools

import numpy as np
import pytest

from tutorlib.envs.minigrid_levels import BALL, BOX, CLOSED, DOOR, EMPTY, FLOOR, GOAL, KEY, LAVA, LOCKED, OPEN, WALL
from tutorlib.envs.minigrid_picture import COLOURS, LIGHT, agent_shape, cell_picture, picture
from tutorlib.lab import UsageError

STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))


@pytest.mark.parametrize("pixels", [8, 24])
def test_whatever_differs_looks_different(pixels):
    coloured = itertools.product((FLOOR, KEY, BALL, BOX), range(6), (0,))
    doors = itertools.product((DOOR,), range(6), (OPEN, CLOSED, LOCKED))
    # A goal and a wall fill their cells: they differ by colour, green and grey.
    every = [(EMPTY, 0, 0), (WALL, 5, 0), (GOAL, 1, 0), (LAVA, 0, 0), *coloured, *doors]
    pictures = {cell: cell_picture(*cell, pixels) for cell in every}
    for (one, a), (other, b) in itertools.combinations(pictures.items(), 2):
        assert a.shape == (pixels, pixels, 3)
        assert abs(a - b).max() > 30, (one, other)


def test_colours_are_what_they_are_called():
    for colour, paint in COLOURS.items():
        red, green, blue = cell_picture(WALL, colour, 0, 8)[4, 4]
        assert (red, green, blue) == paint
        assert (red > max(green, blue)) == (colour in (0, 3, 4)), "red, purple and yellow"
        assert (green > max(red, blue)) == (colour == 1)
        assert (blue > max(red, green)) == (colour == 2)


@pytest.mark.parametrize("direction", range(4))
def test_the_agent_points_where_it_looks(direction):
    shape, (dx, dy) = agent_shape(direction, 24), STEPS[direction]
    at = (np.arange(24) + 0.5) / 24 - 0.5
    ahead = dx * at[None, :] + dy * at[:, None]
    aside = abs(dy * at[None, :] - dx * at[:, None])
    assert 0.2 < shape.mean() < 0.35
    assert (aside * (shape > 0.5))[ahead > 0.25].max() < (aside * (shape > 0.5))[ahead < -0.25].max() - 0.1
    assert shape[(ahead > 0.2) & (aside > 0.2)].max() == 0
    assert shape[(abs(ahead) < 0.1) & (aside < 0.05)].min() == 1


def test_a_picture_is_its_cells_the_agent_and_the_light():
    rng = np.random.default_rng(0)
    things = [(EMPTY, 0, 0), (WALL, 5, 0), (DOOR, 3, LOCKED), (KEY, 4, 0), (BALL, 2, 0)]
    grid = np.array([[things[i] for i in row] for row in rng.integers(5, size=(3, 4))], dtype=np.uint8)
    grid[1, 2] = things[0]
    seen = rng.random((3, 4)) < 0.5
    found = picture(grid, seen, (2, 1), 3, 16)
    assert (found.shape, found.dtype) == ((48, 64, 3), np.uint8)
    for y, x in itertools.product(range(3), range(4)):
        expected = cell_picture(*(int(part) for part in grid[y, x]), 16)
        if (x, y) == (2, 1):
            covered = agent_shape(3, 16)[..., None]
            expected = covered * 255 + (1 - covered) * expected
        if seen[y, x]:
            expected = (1 - LIGHT) * expected + LIGHT * 255
        assert np.allclose(found[16 * y : 16 * y + 16, 16 * x : 16 * x + 16], expected, atol=0.51)


@pytest.mark.parametrize("pixels", [7, 0, -8])
def test_cells_that_are_too_small_are_refused(pixels):
    with pytest.raises(UsageError, match=f"pixels={pixels}: expected a whole number from 8"):
        picture(np.ones((1, 1, 3), dtype=np.uint8), np.ones((1, 1), dtype=bool), (0, 0), 0, pixels)
