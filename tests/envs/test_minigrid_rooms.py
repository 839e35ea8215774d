"""Random levels of MiniGrid: what each must be like, and averages beside those of the package ``minigrid``."""

import gymnasium
import minigrid  # noqa: F401  registers the package's environments
import pytest
import torch

from tutorlib.envs.minigrid import MiniGrid
from tutorlib.envs.minigrid_levels import (
    BALL,
    BLUE,
    BOX,
    CLOSED,
    DOOR,
    EMPTY,
    GOAL,
    GREEN,
    KEY,
    LOCKED,
    WALL,
    import_levels,
)
from tutorlib.envs.minigrid_rooms import TASKS, key_corridor, multi_room, obstructed_maze
from tutorlib.lab import UsageError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def reached(cells, start, passes_locked):
    """Return the cells that can be walked to from ``start``; things that can be carried are no hindrance."""
    found, new = {start}, [start]
    while new:
        x, y = new.pop()
        for there in ((x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)):
            if there in found or not (0 <= there[1] < len(cells) and 0 <= there[0] < len(cells[0])):
                continue
            thing, _, state = cells[there[1]][there[0]][:3]
            if thing == WALL or (thing == DOOR and state == LOCKED and not passes_locked):
                continue
            found.add(there)
            new.append(there)
    return found


def places(cells, *first):
    """Return the cells (x, y) whose bytes begin with ``first``."""
    return [(x, y) for y, row in enumerate(cells) for x, cell in enumerate(row) if tuple(cell[: len(first)]) == first]


def each(levels):
    for cells, position, _, target in zip(*levels, strict=True):
        start = tuple(position.tolist())
        cells = cells.tolist()
        assert cells[start[1]][start[0]] == [EMPTY, 0, 0, EMPTY, 0]
        yield cells, start, tuple(target.tolist())


@pytest.mark.parametrize(("size", "rows"), [(3, 3), (4, 3), (5, 1)])
def test_a_corridor_has_its_key_outside_and_its_ball_inside_of_the_locked_room(size, rows):
    levels = key_corridor(12, seeded(), size, rows)
    assert levels.cells.shape == (12, rows * (size - 1) + 1, 3 * (size - 1) + 1, 5)
    for cells, start, target in each(levels):
        (door,) = [(x, y) for x, y in places(cells, DOOR) if cells[y][x][2] == LOCKED]
        (key,) = places(cells, KEY)
        assert cells[key[1]][key[0]][1] == cells[door[1]][door[0]][1]
        rooms = {(x, y) for x in range(1, len(cells[0]), size - 1) for y in range(1, len(cells), size - 1)}
        assert rooms <= reached(cells, start, True)
        (ball,) = places(cells, *target)
        assert target[0] == BALL
        assert key in reached(cells, start, False)
        assert ball not in reached(cells, start, False)
        assert ball in reached(cells, start, True)


@pytest.mark.parametrize("boxes", [False, True])
@pytest.mark.parametrize("balls", [False, True])
def test_a_maze_has_two_keys_in_the_agents_room(boxes, balls):
    levels = obstructed_maze(12, seeded(), boxes, balls)
    for (cells, start, target), direction in zip(each(levels), levels.direction.tolist(), strict=True):
        dx, dy = ((1, 0), (0, 1), (-1, 0), (0, -1))[direction]
        assert cells[start[1] + dy][start[0] + dx][0] in (EMPTY, WALL), "nothing is before the agent at first"
        near, far = reached(cells, start, False), reached(cells, start, True)
        assert target == (BALL, BLUE)
        (ball,) = places(cells, BALL, BLUE)
        assert ball in far - near
        locked = sorted(cells[y][x][1] for x, y in places(cells, DOOR) if cells[y][x][2] == LOCKED)
        hidden = [(x, y) for x, y in places(cells, BOX) if cells[y][x][3] == KEY]
        colours = [cells[y][x][4] for x, y in hidden] if boxes else [cells[y][x][1] for x, y in places(cells, KEY)]
        assert sorted(colours) == locked
        assert len(set(locked)) == 2
        assert set(hidden if boxes else places(cells, KEY)) < near
        assert len(places(cells, BALL, GREEN)) == 2 * balls
        for x, y in places(cells, BALL, GREEN):
            assert DOOR in (cells[y - 1][x][0], cells[y + 1][x][0])


def test_a_chain_has_a_door_between_any_two_rooms():
    for rooms, size in ((1, 4), (4, 5), (6, 10)):
        for cells, start, target in each(multi_room(6, seeded(), rooms, size)):
            assert target == (0, 0)
            (goal,) = places(cells, GOAL, GREEN)
            doors = places(cells, DOOR)
            assert len(doors) == rooms - 1
            assert all(cells[y][x][2] == CLOSED for x, y in doors)
            assert {goal, *doors} <= reached(cells, start, False)
            for x, y in doors:  # all are needed: a wall in place of one shuts the goal off
                kept, cells[y][x] = cells[y][x], [WALL, 0, 0, EMPTY, 0]
                assert goal not in reached(cells, start, False)
                cells[y][x] = kept


def numbers(levels):
    """Return what is averaged: how many of which things there are, where they are, and where the agent is."""
    thing, colour, state, hidden = levels.cells[..., :4].long().unbind(dim=-1)
    height, width = thing.shape[1:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    columns = [levels.position[:, 0], levels.position[:, 1], *(levels.direction == d for d in range(4))]
    is_target = (levels.cells[..., :2] == levels.target[:, None, None]).all(dim=-1)
    masks = [thing == kind for kind in (WALL, KEY, BALL, BOX, GOAL)]
    masks += [(thing == DOOR) & (state == kind) for kind in (CLOSED, LOCKED)]
    for mask in (*masks, is_target, hidden == KEY, (thing == DOOR) & (colour == 0)):
        columns += [(mask * weight).sum(dim=(1, 2)) for weight in (torch.ones_like(x), x, y, x * y)]
    return torch.stack([column.double() for column in columns], dim=-1)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("KeyCorridorS3R3-v0", lambda n: key_corridor(n, seeded(1))),
        ("MultiRoom-N4-S5-v1", lambda n: multi_room(n, seeded(2))),
        ("ObstructedMaze-2Dl-v0", lambda n: obstructed_maze(n, seeded(3), boxes=False, balls=False)),
        ("ObstructedMaze-2Dlhb-v1", lambda n: obstructed_maze(n, seeded(4))),
    ],
)
def test_averages_are_the_packages(name, make):
    n = 200
    theirs, ours = import_levels(gymnasium.make(f"MiniGrid-{name}"), range(n)), make(n)
    assert theirs.cells.shape == ours.cells.shape
    a, b = numbers(theirs), numbers(ours)
    scatter = (a.var(dim=0) / n + b.var(dim=0) / n).sqrt()
    far = (a.mean(dim=0) - b.mean(dim=0)).abs()
    assert torch.equal(a[:, scatter == 0], b[:, scatter == 0])
    assert (far <= 4 * scatter).all(), (far / scatter).nan_to_num().topk(3)
    assert (scatter > 0).sum() > 15


def rooms_of(levels):
    """Return how many rooms a chain has: one more than it has doors."""
    return {1 + int((cells[..., 0] == DOOR).sum()) for cells in levels.cells}


def test_four_rooms_are_the_packages_second_version():
    assert rooms_of(multi_room(5, seeded())) == {4}
    theirs = {v: gymnasium.registry[f"MiniGrid-MultiRoom-N4-S5-v{v}"].kwargs["minNumRooms"] for v in (0, 1)}
    assert theirs == {0: 6, 1: 4}
    assert TASKS["MultiRoom-N4-S5"].version == 1
    assert {name for name, task in TASKS.items() if task.version} == {"MultiRoom-N4-S5", "ObstructedMaze-2Dlhb"}


@pytest.mark.parametrize("name", ["2Dl", "2Dlh", "2Dlhb"])
def test_the_mazes_target_is_always_in_the_upper_corner(name):
    task = TASKS[f"ObstructedMaze-{name}"]
    theirs = import_levels(gymnasium.make(f"MiniGrid-ObstructedMaze-{name}-v{task.version}"), range(20))
    for levels in (theirs, task.levels(20, seeded())):
        _, y, x = ((levels.cells[..., 0] == BALL) & (levels.cells[..., 1] == BLUE)).nonzero().T
        assert len(x) == 20
        assert (x > 10).all()  # rooms have sides of 6 and share their walls: the third column, the first row
        assert (y < 5).all()


def test_levels_depend_on_the_generator_alone_and_can_be_played():
    for make in (key_corridor, multi_room, obstructed_maze):
        one, same, other = make(3, seeded(5)), make(3, seeded(5)), make(3, seeded(6))
        assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
        assert not torch.equal(one.cells, other.cells)
        env = MiniGrid(one, 50)
        assert env.observe(env.begin(torch.arange(3))).shape == (3, 147)


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(UsageError, match="number=0: expected a whole number from 1"):
        key_corridor(0, seeded())
    with pytest.raises(UsageError, match="size=2: expected a whole number from 3"):
        key_corridor(1, seeded(), size=2)
    with pytest.raises(UsageError, match="rows=0: expected a whole number from 1"):
        key_corridor(1, seeded(), rows=0)
    with pytest.raises(UsageError, match="rooms=0: expected a whole number from 1"):
        multi_room(1, seeded(), rooms=0)
    with pytest.raises(UsageError, match="size=3: expected a whole number from 4"):
        multi_room(1, seeded(), size=3)
    with pytest.raises(UsageError, match="width=6: expected a whole number from 7"):
        multi_room(1, seeded(), width=6)
