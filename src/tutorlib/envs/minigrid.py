"""MiniGrid as tensors: rooms, doors, keys, balls and boxes, seen through a 7 x 7 window.

The rules are those of the package ``minigrid`` with its seven actions, and levels can be taken from it one by one
(``import_level``). An episode ends with success at a goal, or once the level's target is carried; without success in
lava or at the time limit. Success in step t pays 1 - 0.9 t / max_steps, everything else 0.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from tutorlib.envs.minigrid_levels import (
    BALL,
    BOX,
    CLOSED,
    COLOUR,
    DOOR,
    EMPTY,
    FLOOR,
    GOAL,
    HIDDEN,
    HIDDEN_COLOUR,
    KEY,
    LAVA,
    LOCKED,
    OPEN,
    STATE,
    Levels,
    colour_of,
    import_level,
    import_levels,
    join_levels,
    pack,
    state_of,
    thing_of,
    unpack,
)
from tutorlib.envs.minigrid_view import VIEW, forward, look, look_around, row_table
from tutorlib.envs.protocol import expect_last
from tutorlib.envs.tensors import as_integer
from tutorlib.lab.errors import bad_argument, expect_fields
from tutorlib.shapes import Bool, Float, Int, Tensor

LEFT, RIGHT, FORWARD, PICKUP, DROP, TOGGLE, DONE = range(7)
"""Actions. ``DONE`` does nothing."""


class MiniGridState(NamedTuple):
    """Where everything is, and for how long the episode has been running."""

    cells: Tensor
    """int16 ``[*batch, H, W]``: what is in each cell, packed (``minigrid_levels.pack``)"""
    visits: Tensor
    """int16 ``[*batch, H, W]``: times of this episode, the present one included, at which the agent was there"""
    position: Int[Tensor, "*batch 2"]
    """of the agent, (x, y)"""
    direction: Int[Tensor, "*batch"]
    """right, down, left, up"""
    hand: Tensor
    """int16 ``[*batch]``: the packed cell that is carried; an empty one where nothing is"""
    level: Int[Tensor, "*batch"]
    """number of the level in the bank"""
    t: Int[Tensor, "*batch"]
    """steps of this episode so far"""

    @property
    def grid(self) -> Tensor:
        """uint8 ``[*batch, H, W, 3]``: MiniGrid's encoding of the world."""
        return unpack(self.cells)[..., :3]

    @property
    def contents(self) -> Tensor:
        """uint8 ``[*batch, H, W, 2]``: object and colour of what boxes hide."""
        return unpack(self.cells)[..., 3:]


def react(cell: Tensor, hand: Tensor, action: Int[Tensor, "*batch"]) -> tuple[Tensor, Tensor]:
    """Return what pickup, drop and toggle make of the cell in front and of the hand, packed, int16 ``[*batch]``.

    Keys, balls and boxes can be picked up with an empty hand, and dropped on an empty cell. A toggle opens and closes
    doors, opens locked ones if the hand holds a key of their colour (which it keeps), and replaces a box by what it
    hides.
    """
    thing, state, free_hand = thing_of(cell), state_of(cell), hand == EMPTY

    takes = (action == PICKUP) & free_hand & ((thing == KEY) | (thing == BALL) | (thing == BOX))
    puts = (action == DROP) & ~free_hand & (thing == EMPTY)
    unpacks = (action == TOGGLE) & (thing == BOX)
    key = (thing_of(hand) == KEY) & (colour_of(hand) == colour_of(cell))
    turns = (action == TOGGLE) & (thing == DOOR) & ((state != LOCKED) | key)

    turned = cell + (torch.where(state == OPEN, CLOSED, OPEN) - state << STATE)
    hidden = EMPTY + (cell >> HIDDEN & 7) + (cell >> HIDDEN_COLOUR << COLOUR)
    after = torch.where(turns, turned, torch.where(unpacks, hidden, cell))
    after = torch.where(puts, hand, torch.where(takes, EMPTY, after)).to(cell.dtype)
    return after, torch.where(takes, cell, torch.where(puts, EMPTY, hand))


def _where(ended: Tensor, fresh: Tensor, old: Tensor) -> Tensor:
    """Return ``fresh`` where ``ended`` ``[*batch]``, for integers ``[*batch, ...]``.

    On a CPU products are several times as fast as ``torch.where`` with a condition that broadcasts.
    """
    ended = ended[(..., *(None,) * (old.dim() - ended.dim()))]
    return fresh * ended + old * ~ended


@dataclass(frozen=True, eq=False)
class MiniGrid:
    """Episodes in levels that are drawn from a bank, uniformly and anew at the start of each."""

    levels: Levels = field(repr=False)
    """the bank; the environment lives on its device"""
    max_steps: int
    """steps after which an episode ends in any case"""
    packed: Tensor = field(init=False, repr=False)
    """int16 ``[levels, H, W]``: the cells of the bank, packed"""
    rows: Tensor = field(init=False, repr=False)
    """what a row of the view shows (``minigrid_view.row_table``)"""

    def __post_init__(self) -> None:
        expect_fields(self, minimum={"max_steps": 1}, maximum={"max_steps": 2**15 - 2})
        if self.levels.cells.dim() != 4 or self.levels.cells.shape[-1] != 5 or not len(self.levels.cells):
            raise bad_argument("levels.cells", tuple(self.levels.cells.shape), "a shape (levels, H, W, 5)")
        object.__setattr__(self, "packed", pack(self.levels.cells))
        object.__setattr__(self, "rows", row_table(self.levels.cells.device))

    @property
    def observations(self) -> int:
        """O = 147: the image, flat."""
        return VIEW * VIEW * 3

    @property
    def actions(self) -> int:
        """Left, right, forward, pickup, drop, toggle, done."""
        return 7

    @property
    def start_noise(self) -> int:
        """One uniform for the level."""
        return 1

    @property
    def step_noise(self) -> int:
        """One uniform for the next level."""
        return 1

    def start(self, u: Float[Tensor, "*batch start_noise"]) -> MiniGridState:
        """Return the start of a level, each as likely as any other; raise ``UsageError`` on another device."""
        expect_last("u", u, self.start_noise)
        if u.device != self.packed.device:
            raise bad_argument("u", str(u.device), f"uniforms on {self.packed.device}, where the levels are")
        return self.begin(as_integer(u[..., 0], len(self.levels.cells)))

    def begin(self, level: Int[Tensor, "*batch"]) -> MiniGridState:
        """Return the start of the levels with these numbers."""
        parts = self.packed, self.levels.position, self.levels.direction
        cells, position, direction = (self._of_level(part, level) for part in parts)
        visits, hand = self._visit(torch.zeros_like(cells), position), torch.full_like(cells[..., 0, 0], EMPTY)
        return MiniGridState(cells, visits, position, direction, hand, level, torch.zeros_like(level))

    def _of_level(self, part: Tensor, level: Int[Tensor, "*batch"]) -> Tensor:
        """Return the entries of ``part`` ``[levels, ...]`` that belong to the levels with these numbers."""
        return part.index_select(0, level.reshape(-1)).reshape((*level.shape, *part.shape[1:]))

    def _visit(self, visits: Tensor, position: Tensor) -> Tensor:
        """Return the counts with one more at ``position``."""
        index = (position[..., 1] * visits.shape[-1] + position[..., 0]).unsqueeze(-1)
        flat = visits.flatten(-2)
        return flat.scatter(-1, index, flat.gather(-1, index) + 1).reshape(visits.shape)

    def image(self, state: MiniGridState) -> Tensor:
        """Return what the agent sees, uint8 ``[*batch, 7, 7, 3]``: object, colour and state of view cell (i, j)."""
        return look(state.cells, state.position, state.direction.unsqueeze(-1), state.hand, self.rows).squeeze(-4)

    def panorama(self, state: MiniGridState) -> Tensor:
        """Return what the agent would see to the left, up, right and down of the map, uint8 ``[*batch, 7, 7, 12]``.

        Channel 4 c + k is channel c of view k.
        """
        return look_around(state.cells, state.position, state.hand, self.rows)

    def count(self, state: MiniGridState) -> Int[Tensor, "*batch"]:
        """Return N_ep(x, y), how often in this episode the agent has been where it is, now included."""
        index = state.position[..., 1] * state.visits.shape[-1] + state.position[..., 0]
        return state.visits.flatten(-2).gather(-1, index.unsqueeze(-1)).squeeze(-1).long()

    def observe(self, state: MiniGridState) -> Float[Tensor, "*batch 147"]:
        """Return the image as numbers 0 to 9, flat and not scaled."""
        return self.image(state).flatten(-3).float()

    def advance(
        self, state: MiniGridState, action: Int[Tensor, "*#batch"]
    ) -> tuple[MiniGridState, Float[Tensor, "*batch"], Bool[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return the state after an action, the reward, and whether the episode terminated and was truncated.

        No next episode begins here, so the state is the last one of the episode where it ended.
        """
        batch = torch.broadcast_shapes(state.t.shape, action.shape)
        state = MiniGridState(*(part.expand((*batch, *part.shape[state.t.dim() :])) for part in state))
        height, width = state.cells.shape[-2:]

        ahead = state.position + torch.stack(forward(state.direction), dim=-1)
        x, y = ahead.unbind(dim=-1)
        turn = (action == RIGHT).long() - (action == LEFT).long()
        # Beyond the edge of the grid there is nothing to act on.
        action = torch.where((x >= 0) & (x < width) & (y >= 0) & (y < height), action, DONE)
        index = (y.clamp(0, height - 1) * width + x.clamp(0, width - 1)).unsqueeze(-1)
        flat = state.cells.flatten(-2)
        cell = flat.gather(-1, index).squeeze(-1)
        thing = thing_of(cell)

        after, hand = react(cell, state.hand, action)
        is_free = (thing == EMPTY) | (thing == FLOOR) | (thing == GOAL) | (thing == LAVA)
        goes = (action == FORWARD) & (is_free | ((thing == DOOR) & (state_of(cell) == OPEN)))
        position = torch.where(goes.unsqueeze(-1), ahead, state.position)
        following = MiniGridState(
            cells=flat.scatter(-1, index, after.unsqueeze(-1)).reshape(state.cells.shape),
            visits=self._visit(state.visits, position),
            position=position,
            direction=(state.direction + turn) % 4,
            hand=hand,
            level=state.level,
            t=state.t + 1,
        )

        target = self._of_level(self.levels.target, state.level)
        taken = (action == PICKUP) & (thing_of(hand) == target[..., 0]) & (colour_of(hand) == target[..., 1])
        success = taken | (goes & (thing == GOAL))
        # In float64, as Python computes it, so that both round to the same float32.
        reward = torch.where(success, 1 - 0.9 * (following.t.double() / self.max_steps), 0.0).float()
        return following, reward, success | (goes & (thing == LAVA)), following.t >= self.max_steps

    def step(
        self, state: MiniGridState, action: Int[Tensor, "*#batch"], u: Float[Tensor, "*#batch step_noise"]
    ) -> tuple[MiniGridState, Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return the next state, the reward, and whether the episode ended; then the next level has begun."""
        expect_last("u", u, self.step_noise)
        after, reward, terminated, truncated = self.advance(state, action)
        ended = terminated | truncated
        fresh = self.start(u)
        return MiniGridState(*(_where(ended, new, old) for new, old in zip(fresh, after, strict=True))), reward, ended


__all__ = [
    "DONE",
    "DROP",
    "FORWARD",
    "LEFT",
    "PICKUP",
    "RIGHT",
    "TOGGLE",
    "Levels",
    "MiniGrid",
    "MiniGridState",
    "import_level",
    "import_levels",
    "join_levels",
    "react",
]
