"""Grid worlds. Cells are numbered row by row; walls stop a move."""

from dataclasses import dataclass
from typing import NamedTuple

import torch

from tutorlib.envs.protocol import expect_last
from tutorlib.envs.tensors import as_integer, one_hot
from tutorlib.lab.errors import expect_fields
from tutorlib.shapes import Bool, Float, Int, Tensor

VIEWS = ("planes", "relative")
LARGEST = 1_000
"""The largest side of a grid."""


def move(cell: Int[Tensor, "*#batch"], action: Int[Tensor, "*#batch"], size: int) -> Int[Tensor, "*batch"]:
    """Return the cell after a move in a ``size`` x ``size`` grid: 0 up, 1 down, 2 left, 3 right, any other none."""
    row, column = cell // size, cell % size
    row = row + (action == 1).long() - (action == 0).long()
    column = column + (action == 3).long() - (action == 2).long()
    return row.clamp(0, size - 1) * size + column.clamp(0, size - 1)


def other_cell(u: Float[Tensor, "*#batch"], cells: int, *taken: Int[Tensor, "*#batch"]) -> Int[Tensor, "*batch"]:
    """Return a cell that is not ``taken`` (one cell or two different ones), uniform where ``u`` is uniform."""
    free = as_integer(u, cells - len(taken))
    if len(taken) == 2:
        first, second = torch.minimum(*taken), torch.maximum(*taken)
        free = free + (free >= first)
        return free + (free >= second)
    return free + (free >= taken[0])


class HeartState(NamedTuple):
    """Where everything is, and for how long the episode has been running."""

    agent: Int[Tensor, "*batch"]
    heart: Int[Tensor, "*batch"]
    trap: Int[Tensor, "*batch"]
    t: Int[Tensor, "*batch"]
    """steps of this episode so far"""


@dataclass(frozen=True)
class HeartGrid:
    """A heart pays 1 and a trap -1; both lie in the grid, and which one pays is not to be seen (SymLA 2109.10781).

    Agent, heart and trap begin in different random cells. Whoever enters the cell of an item gets its reward, and the
    item comes back in another empty cell. The paper's layout is unknown; this one was chosen here.
    """

    size: int = 5
    """cells of a side"""
    swapped: bool = False
    """whether hearts pay -1 and traps 1"""
    episode: int | None = None
    """steps after which all three are placed anew; None: never"""
    view: str = "planes"
    """planes: one-hot cells of agent, heart and trap, 3 size^2 entries; relative: one-hot offsets of row and column
    from the agent to each item, 4 (2 size - 1) entries"""

    def __post_init__(self) -> None:
        expect_fields(
            self, minimum={"size": 2}, maximum={"size": LARGEST}, counts=("episode",), choices={"view": VIEWS}
        )

    @property
    def observations(self) -> int:
        """O: 75 (planes) or 36 (relative) at size 5."""
        return 3 * self.size**2 if self.view == "planes" else 4 * (2 * self.size - 1)

    @property
    def actions(self) -> int:
        """Up, down, left, right."""
        return 4

    @property
    def start_noise(self) -> int:
        """One uniform for each of agent, heart and trap."""
        return 3

    @property
    def step_noise(self) -> int:
        """One uniform for an item that comes back, or three where episodes end."""
        return 1 if self.episode is None else 3

    def start(self, u: Float[Tensor, "*batch start_noise"]) -> HeartState:
        """Return agent, heart and trap in three different cells."""
        expect_last("u", u, self.start_noise)
        cells = self.size**2
        agent = as_integer(u[..., 0], cells)
        heart = other_cell(u[..., 1], cells, agent)
        return HeartState(agent, heart, other_cell(u[..., 2], cells, agent, heart), torch.zeros_like(agent))

    def observe(self, state: HeartState) -> Float[Tensor, "*batch observations"]:
        """Return the view of the grid."""
        if self.view == "planes":
            return torch.cat([one_hot(cell, self.size**2) for cell in state[:3]], dim=-1)
        wide, last = 2 * self.size - 1, self.size - 1  # offsets go from -last to last
        seen = []
        for item in (state.heart, state.trap):
            seen.append(one_hot(item // self.size - state.agent // self.size + last, wide))
            seen.append(one_hot(item % self.size - state.agent % self.size + last, wide))
        return torch.cat(seen, dim=-1)

    def step(
        self, state: HeartState, action: Int[Tensor, "*#batch"], u: Float[Tensor, "*#batch step_noise"]
    ) -> tuple[HeartState, Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return the grid after the move, the reward, and whether the episode ended."""
        expect_last("u", u, self.step_noise)
        agent, t = move(state.agent, action, self.size), state.t + 1
        on_heart, on_trap = agent == state.heart, agent == state.trap
        reward = on_heart.float() - on_trap.float()
        cells = self.size**2
        heart = torch.where(on_heart, other_cell(u[..., 0], cells, agent, state.trap), state.heart)
        trap = torch.where(on_trap, other_cell(u[..., 0], cells, agent, state.heart), state.trap)
        after = HeartState(agent, heart, trap, t.expand_as(agent))
        ended = torch.zeros_like(on_heart)
        if self.episode is not None:
            ended = after.t >= self.episode
            after = HeartState(*(torch.where(ended, new, old) for new, old in zip(self.start(u), after, strict=True)))
        return after, -reward if self.swapped else reward, ended


class RoomState(NamedTuple):
    """Where the agent is, where the goal is, and for how long the episode has been running."""

    agent: Int[Tensor, "*batch"]
    goal: Int[Tensor, "*batch"]
    t: Int[Tensor, "*batch"]
    """steps of this episode so far"""


@dataclass(frozen=True)
class DarkRoom:
    """Find a goal that cannot be seen: 1 in each step that ends on it, 0 else.

    The goal stays for the lifetime, and each episode begins in the middle cell, so what was found in one episode is of
    use in the next. Chosen here; not confirmed in SymLA's paper.
    """

    size: int = 5
    """cells of a side"""
    episode: int = 20
    """steps of an episode"""

    def __post_init__(self) -> None:
        expect_fields(self, minimum={"size": 2}, maximum={"size": LARGEST}, counts=("episode",))

    @property
    def observations(self) -> int:
        """O: one entry for each cell."""
        return self.size**2

    @property
    def actions(self) -> int:
        """Up, down, left, right, stay."""
        return 5

    @property
    def start_noise(self) -> int:
        """One uniform for the goal."""
        return 1

    @property
    def step_noise(self) -> int:
        """Nothing is random in a step."""
        return 0

    @property
    def middle(self) -> int:
        """The cell in which episodes begin."""
        return self.size // 2 * self.size + self.size // 2

    def start(self, u: Float[Tensor, "*batch start_noise"]) -> RoomState:
        """Return the agent in the middle, and a goal in any other cell."""
        expect_last("u", u, self.start_noise)
        agent = torch.full(u.shape[:-1], self.middle, device=u.device)
        return RoomState(agent, other_cell(u[..., 0], self.size**2, agent), torch.zeros_like(agent))

    def observe(self, state: RoomState) -> Float[Tensor, "*batch observations"]:
        """Return the agent's cell, one-hot."""
        return one_hot(state.agent, self.size**2)

    def step(
        self, state: RoomState, action: Int[Tensor, "*#batch"], u: Float[Tensor, "*#batch step_noise"]
    ) -> tuple[RoomState, Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return the room after the move, 1 on the goal, and whether the episode ended."""
        expect_last("u", u, self.step_noise)
        agent = move(state.agent, action, self.size)
        t = (state.t + 1).expand_as(agent)
        ended = t >= self.episode
        after = RoomState(torch.where(ended, self.middle, agent), state.goal, torch.where(ended, 0, t))
        return after, (agent == state.goal).float(), ended


__all__ = ["DarkRoom", "HeartGrid", "HeartState", "RoomState", "move", "other_cell"]
