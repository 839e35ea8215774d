"""Random levels of three families of MiniGrid, drawn from the same distributions as the package's.

``key_corridor``: a ball behind a locked door, its key in another room. ``multi_room``: a chain of rooms with closed
doors and a goal in the last one. ``obstructed_maze``: a ball behind one of two locked doors, whose keys may be hidden
in boxes and whose doorways may be blocked by other balls. They run once, on the CPU, before any training.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeVar

import torch

from tutorlib.envs.minigrid_levels import (
    BALL,
    BLUE,
    BOX,
    CLOSED,
    DOOR,
    EMPTY,
    GOAL,
    GREEN,
    GREY,
    KEY,
    LOCKED,
    NOTHING,
    WALL,
    Levels,
    join_levels,
)
from tutorlib.lab.dry import rehearsal
from tutorlib.lab.errors import bad_argument, checked

T = TypeVar("T")
Cell = tuple[int, int]
BRICK = (WALL, GREY, 0, EMPTY, 0)
AHEAD = ((1, 0), (0, 1), (-1, 0), (0, -1))
COLOURS = 6


class _Plan:
    """A level in the making: its cells ``[y][x]``, and the generator that it draws from."""

    def __init__(self, width: int, height: int, generator: torch.Generator) -> None:
        self.cells: list[list[tuple[int, ...]]] = [[NOTHING] * width for _ in range(height)]
        self.generator = generator

    def roll(self, low: int, high: int) -> int:
        """Return a whole number from ``low`` to ``high``, both included."""
        return int(torch.randint(low, high + 1, (), generator=self.generator))

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of ``choices``."""
        return choices[self.roll(0, len(choices) - 1)]

    def put(self, where: Cell, thing: int, colour: int, state: int = 0, hidden: tuple[int, int] = (EMPTY, 0)) -> None:
        """Put a thing into a cell."""
        self.cells[where[1]][where[0]] = (thing, colour, state, *hidden)

    def wall(self, left: int, top: int, width: int, height: int) -> None:
        """Build the four walls of a room."""
        for x in range(left, left + width):
            for y in range(top, top + height):
                if x in (left, left + width - 1) or y in (top, top + height - 1):
                    self.cells[y][x] = BRICK

    def empty(self, left: int, top: int, width: int, height: int) -> Cell:
        """Return an empty cell of a room."""
        inside = [(x, y) for x in range(left, left + width) for y in range(top, top + height)]
        return self.pick([(x, y) for x, y in inside if self.cells[y][x] == NOTHING])

    def level(self, position: Cell, direction: int, target: tuple[int, int] = (0, 0)) -> Levels:
        """Return the level, as a bank of one."""
        cells = torch.tensor([self.cells], dtype=torch.uint8)
        numbers = torch.tensor([position]), torch.tensor([direction])
        return Levels(cells, *numbers, torch.tensor([target], dtype=torch.uint8))


class _Rooms(_Plan):
    """Three columns of square rooms that share their walls; a wall has one place for a door, drawn at first."""

    def __init__(self, size: int, rows: int, generator: torch.Generator) -> None:
        self.pace, self.size = size - 1, size  # a wall belongs to two rooms
        super().__init__(3 * self.pace + 1, rows * self.pace + 1, generator)
        self.place: dict[tuple[Cell, Cell], Cell] = {}
        for j in range(rows):
            for i in range(3):
                left, top = i * self.pace, j * self.pace
                self.wall(left, top, size, size)
                if i < 2:
                    self._join((i, j), (i + 1, j), (left + self.pace, self.roll(top + 1, top + size - 2)))
                if j < rows - 1:
                    self._join((i, j), (i, j + 1), (self.roll(left + 1, left + size - 2), top + self.pace))

    def _join(self, one: Cell, other: Cell, place: Cell) -> None:
        self.place[one, other] = self.place[other, one] = place

    def spot(self, i: int, j: int) -> Cell:
        """Return an empty cell of room (i, j)."""
        return self.empty(i * self.pace, j * self.pace, self.size, self.size)

    def agent(self, i: int, j: int) -> tuple[Cell, int]:
        """Return a place for the agent in room (i, j), and a direction in which nothing or a wall is next."""
        while True:
            (x, y), direction = self.spot(i, j), self.roll(0, 3)
            front = self.cells[y + AHEAD[direction][1]][x + AHEAD[direction][0]]
            if front in (NOTHING, BRICK):
                return (x, y), direction


def _bank(number: int, make: Callable[[], Levels]) -> Levels:
    if rehearsal():  # all have one shape
        return join_levels([make()] * number)
    return join_levels([make() for _ in range(number)])


def _expect_at_least(name: str, value: int, low: int) -> None:
    if not isinstance(value, int) or value < low:
        raise bad_argument(name, value, f"a whole number from {low}")


@checked(sizes=("number",), minimum={"size": 3, "rows": 1}, maximum={"size": 25, "rows": 25})
def key_corridor(number: int, generator: torch.Generator, size: int = 3, rows: int = 3) -> Levels:
    """Return levels of KeyCorridor: ``rows`` rooms of side ``size`` left and right of a corridor.

    One room on the right is locked and holds a ball, the target; the key lies in a room on the left. All other rooms
    are joined by closed doors in random walls. The package allows 30 size^2 steps.
    """

    def make() -> Levels:
        plan = _Rooms(size, rows, generator)
        for j in range(1, rows):  # the middle rooms become one corridor
            for x in range(plan.pace + 1, 2 * plan.pace):
                plan.cells[j * plan.pace][x] = NOTHING
        joined = {frozenset({(1, j - 1), (1, j)}) for j in range(1, rows)}

        locked, colour, ball = plan.roll(0, rows - 1), plan.roll(0, COLOURS - 1), plan.roll(0, COLOURS - 1)
        plan.put(plan.place[(1, locked), (2, locked)], DOOR, colour, LOCKED)
        joined.add(frozenset({(1, locked), (2, locked)}))
        plan.put(plan.spot(2, locked), BALL, ball)
        plan.put(plan.spot(0, plan.roll(0, rows - 1)), KEY, colour)
        position, direction = plan.agent(1, rows // 2)

        rooms = [(i, j) for i in range(3) for j in range(rows)]
        while _reached((1, rows // 2), joined) < set(rooms):
            one, (dx, dy) = plan.pick(rooms), plan.pick(AHEAD)
            pair = frozenset({one, (one[0] + dx, one[1] + dy)})
            if (2, locked) in pair or pair in joined or not pair <= set(rooms):
                continue
            plan.put(plan.place[one, (one[0] + dx, one[1] + dy)], DOOR, plan.roll(0, COLOURS - 1), CLOSED)
            joined.add(pair)
        return plan.level(position, direction, (BALL, ball))

    return _bank(number, make)


def _reached(start: Cell, joined: set[frozenset[Cell]]) -> set[Cell]:
    """Return the rooms that can be reached from ``start`` through walls that are ``joined``."""
    reached, new = {start}, [start]
    while new:
        room = new.pop()
        beyond = {other for pair in joined if room in pair for other in pair} - reached
        reached |= beyond
        new += beyond
    return reached


@checked(sizes=("number",))
def obstructed_maze(number: int, generator: torch.Generator, boxes: bool = True, balls: bool = True) -> Levels:
    """Return levels of ObstructedMaze with two locked doors: 2Dl, with ``boxes`` 2Dlh, with ``balls`` too 2Dlhb.

    The agent is in the room in the middle of the right side. A closed door leads to the centre, locked ones up and
    down; the target, a blue ball, is always behind the upper one. ``boxes``: grey boxes hide the keys. ``balls``: a
    green ball lies before each locked door. Keys are placed last, so no ball covers one (the package's v1; in its v0
    one may). The package allows 576 steps.
    """

    def make() -> Levels:
        plan = _Rooms(6, 3, generator)
        side, colours = (2, 1), torch.randperm(COLOURS, generator=generator)[:3].tolist()
        plan.put(plan.place[side, (1, 1)], DOOR, colours[0], CLOSED)
        for corner, colour, inwards in (((2, 0), colours[1], 1), ((2, 2), colours[2], -1)):
            x, y = plan.place[side, corner]
            plan.put((x, y), DOOR, colour, LOCKED)
            if balls:
                plan.put((x, y + inwards), BALL, GREEN)
        for colour in colours[1:]:
            if boxes:
                plan.put(plan.spot(*side), BOX, GREY, hidden=(KEY, colour))
            else:
                plan.put(plan.spot(*side), KEY, colour)
        plan.put(plan.spot(2, 0), BALL, BLUE)
        return plan.level(*plan.agent(*side), (BALL, BLUE))

    return _bank(number, make)


@checked(
    sizes=("number",), minimum={"rooms": 1, "size": 4, "width": 5}, maximum={"rooms": 25, "size": 25, "width": 100}
)
def multi_room(number: int, generator: torch.Generator, rooms: int = 4, size: int = 5, width: int = 25) -> Levels:
    """Return levels of MultiRoom: a chain of ``rooms`` rooms of sides 4 to ``size`` in a square of side ``width``.

    By default those of the package's MultiRoom-N4-S5-v1 (its v0 has six rooms).

    A closed door leads from each room to the next, of another colour than the door before; the agent begins in the
    first room, and the goal is in the last. The package allows 20 steps for each room.
    """
    _expect_at_least("width", width, size + 2)

    def make() -> Levels:
        plan = _Plan(width, width, generator)
        chain: list[_Room] = []
        while len(chain) < rooms:
            chain = _chain(plan, rooms, size)
        colour = -1
        for number, room in enumerate(chain):
            plan.wall(*room.box)
            if number:
                colour = plan.pick([other for other in range(COLOURS) if other != colour])
                plan.put(room.door, DOOR, colour, CLOSED)
        x, y = plan.empty(*chain[0].box)
        plan.cells[y][x] = BRICK  # keeps the agent's place free of the goal
        plan.put(plan.empty(*chain[-1].box), GOAL, GREEN)
        plan.cells[y][x] = NOTHING
        return plan.level((x, y), plan.roll(0, 3))

    return _bank(number, make)


class _Room(NamedTuple):
    box: tuple[int, int, int, int]
    """left, top, width, height"""
    door: Cell
    """where one comes in"""


def _chain(plan: _Plan, rooms: int, size: int) -> list[_Room]:
    """Return a chain of ``rooms`` rooms, or of fewer where eight tries found no place for the next one."""
    side = len(plan.cells)
    corner = plan.roll(0, side - 3), plan.roll(0, side - 3)
    first = _Room((*corner, plan.roll(4, size), plan.roll(4, size)), corner)
    entry, chain = 2, [first] if _fits(first, [], side) else []  # walls are 0 right, 1 down, 2 left, 3 up
    while 0 < len(chain) < rooms:
        for _ in range(8):
            out = plan.pick([wall for wall in range(4) if wall != entry])
            room = _next_room(plan, chain[-1], out, size)
            if _fits(room, chain[:-1], side):
                chain.append(room)
                entry = (out + 2) % 4
                break
        else:
            break
    return chain


def _next_room(plan: _Plan, room: _Room, out: int, size: int) -> _Room:
    """Return a room of random size beyond a door at a random place of the wall ``out`` of ``room``."""
    left, top, width, height = room.box
    wide, high = plan.roll(4, size), plan.roll(4, size)
    if out in (0, 2):
        x, y = (left + width - 1 if out == 0 else left), top + plan.roll(1, height - 2)
        return _Room((x if out == 0 else x - wide + 1, y - plan.roll(1, high - 2), wide, high), (x, y))
    x, y = left + plan.roll(1, width - 2), (top + height - 1 if out == 1 else top)
    return _Room((x - plan.roll(1, wide - 2), y if out == 1 else y - high + 1, wide, high), (x, y))


def _fits(room: _Room, others: Sequence[_Room], side: int) -> bool:
    """Return whether a room lies in the square and apart from ``others``, by the package's own inequalities.

    They are not the same on all sides: the bottom row of the square stays free, and a room that lies left of another
    or above it must leave a gap of one cell.
    """
    left, top, width, height = room.box
    if left < 0 or top < 0 or left + width > side or top + height >= side:
        return False
    return all(left + width < x or x + w <= left or top + height < y or y + h <= top for (x, y, w, h), _ in others)


FAMILIES: Mapping[str, Callable[..., Levels]] = MappingProxyType(
    {"key_corridor": key_corridor, "multi_room": multi_room, "obstructed_maze": obstructed_maze}
)
"""The functions above by name."""


class Task(NamedTuple):
    """Levels of one family and size."""

    family: str
    """one of ``FAMILIES``"""
    options: Mapping[str, int | bool]
    """what its function is called with"""
    max_steps: int
    """of an episode, as in the package"""
    version: int = 0
    """of the package's environment whose levels these are"""

    def levels(self, number: int, generator: torch.Generator) -> Levels:
        """Return a bank of ``number`` levels."""
        return FAMILIES[self.family](number, generator, **self.options)


def _tasks() -> dict[str, Task]:
    tasks = {}
    for size, rows in ((3, 1), (3, 2), (3, 3), (4, 3), (5, 3), (6, 3)):
        tasks[f"KeyCorridorS{size}R{rows}"] = Task("key_corridor", {"size": size, "rows": rows}, 30 * size**2)
    for rooms, size in ((2, 4), (3, 6), (4, 5), (6, 10), (7, 8), (10, 10)):
        version = int(rooms == 4)  # the package's MultiRoom-N4-S5-v0 has six rooms
        tasks[f"MultiRoom-N{rooms}-S{size}"] = Task("multi_room", {"rooms": rooms, "size": size}, 20 * rooms, version)
    for name, boxes, balls in (("2Dl", False, False), ("2Dlh", True, False), ("2Dlhb", True, True)):
        version = int(balls)  # in the package's v0 a ball may lie on a key
        tasks[f"ObstructedMaze-{name}"] = Task("obstructed_maze", {"boxes": boxes, "balls": balls}, 576, version)
    return tasks


TASKS: Mapping[str, Task] = MappingProxyType(_tasks())
"""Tasks by the names that the package gives them, without the version: KeyCorridor with rooms of side S in R rows,
MultiRoom with N rooms of sides up to S (those of 3, 7 and 10 rooms are not in its list, and N6-S10 is its N6), and
ObstructedMaze with locked doors (l), keys hidden in boxes (h) and doorways blocked by balls (b).

Two have the levels of the package's v1: MultiRoom-N4-S5, whose v0 has six rooms in spite of its name, and
ObstructedMaze-2Dlhb."""


__all__ = ["FAMILIES", "TASKS", "Task", "key_corridor", "multi_room", "obstructed_maze"]
