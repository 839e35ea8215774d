"""What the plain re-writes of the grids share: moves, mazes, and how to read an observation."""

import torch

from tutorlib.papers.mbrl.maze import maze_bank

WAYS = [(0, 0), (-1, 0), (0, -1), (1, 0), (0, 1)]  # stay, up, left, down, right


def walk(cell, action, size):
    row, column = cell // size + WAYS[action][0], cell % size + WAYS[action][1]
    return row * size + column if 0 <= row < size and 0 <= column < size else cell


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def bank(size, mazes, seed=0):
    return maze_bank(size, mazes, torch.Generator().manual_seed(seed))


def seen_of(observation, channels):
    """Return the cells in which each channel shows a one; the channel is fastest."""
    planes = observation.view(-1, channels)
    assert set(observation.unique().tolist()) <= {0.0, 1.0}
    return [planes[:, c].nonzero().flatten().tolist() for c in range(channels)]
