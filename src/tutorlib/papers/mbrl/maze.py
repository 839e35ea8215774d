"""ProcMaze, the paper's mazes that are new in each episode, and how they are made (2211.02222).

Mazes are carved many at once, on the device of the uniforms, and no value is read: each takes as many looks at its
stack as the longest could.
"""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from tutorlib.envs.protocol import expect_last
from tutorlib.envs.tensors import as_integer, pick
from tutorlib.lab.errors import bad_argument, checked, expect_fields
from tutorlib.papers.mbrl.problem import LARGEST_SIZE, MOVES, at_cell, moved, rare, seen
from tutorlib.shapes import Bool, Float, Int, Tensor


class MazeState(NamedTuple):
    """Where everything is."""

    agent: Int[Tensor, "*batch"]
    goal: Int[Tensor, "*batch"]
    wall: Bool[Tensor, "*batch cells"]


def maze_noise(size: int) -> int:
    """Return how many uniforms ``carve`` takes: one for the first cell, and one for each look at the stack."""
    return 1 + 2 * size**2


def carve(u: Float[Tensor, "*batch noise"], size: int) -> Bool[Tensor, "*batch cells"]:
    """Return the walls of mazes made by randomised depth-first search, many at once.

    All is wall. A random first cell is opened and put on a stack. Then, until the stack is empty: take the top cell; if
    it has neighbours inside the grid that are wall and touch no open cell but this one, put it back, open one of them
    at random, and put that on top. Each look at the stack opens a cell or takes one off for good, so 2 size^2 looks
    suffice; a maze whose stack is empty waits for the others.
    """
    expect_last("u", u, maze_noise(size))
    batch, u = u.shape[:-1], u.reshape(-1, u.shape[-1])
    # A frame of two cells that are never inside: neighbours of neighbours need no other care.
    wide = size + 4
    cell = torch.arange(wide**2, device=u.device)
    inside = (cell // wide >= 2) & (cell // wide < size + 2) & (cell % wide >= 2) & (cell % wide < size + 2)
    way = torch.arange(1, MOVES, device=u.device)
    beside = wide * ((way == 3).long() - (way == 1).long()) + (way == 4).long() - (way == 2).long()

    first = as_integer(u[:, 0], size**2)
    first = (first // size + 2) * wide + first % size + 2
    open_ = first[:, None] == cell
    stack = first[:, None].repeat(1, size**2 + 1)
    top = torch.ones_like(first)
    for t in range(1, u.shape[1]):
        waits = top == 0
        current = pick(stack, (top - 1).clamp(min=0))
        neighbour = current[:, None] + beside
        touches = open_.gather(1, (neighbour[:, :, None] + beside).flatten(1)).view(-1, 4, 4).sum(dim=-1)
        fits = inside[neighbour] & ~open_.gather(1, neighbour) & (touches == 1) & ~waits[:, None]
        count = fits.sum(dim=-1)
        which = (u[:, t] * count).long()
        chosen = (neighbour * (fits & (fits.cumsum(dim=-1) == which[:, None] + 1))).sum(dim=-1)
        goes_on = count > 0
        open_ = open_ | ((chosen[:, None] == cell) & goes_on[:, None])
        # The current cell stays below the new one. Where nothing fits, the entry lies above the top and is never read.
        stack.scatter_(1, top[:, None], torch.where(goes_on, chosen, first)[:, None])
        top = torch.where(goes_on, top + 1, (top - 1).clamp(min=0))
    return ~open_.view(-1, wide, wide)[:, 2:-2, 2:-2].reshape(*batch, size**2)


@checked(counts=("mazes",), minimum={"size": 2}, maximum={"size": LARGEST_SIZE})
def maze_bank(size: int, mazes: int, generator: torch.Generator) -> Bool[Tensor, "mazes cells"]:
    """Return the walls of ``mazes`` random mazes, for ``ProcMaze(size, bank)``."""
    return carve(torch.rand(mazes, maze_noise(size), generator=generator, device=generator.device), size)


def open_cell(u: Float[Tensor, "*batch"], wall: Bool[Tensor, "*batch cells"]) -> Int[Tensor, "*batch"]:
    """Return a cell without wall, uniform where ``u`` is uniform."""
    which = (u * (~wall).sum(dim=-1)).long().unsqueeze(-1)
    here = ~wall & ((~wall).cumsum(dim=-1) == which + 1)
    return (here * torch.arange(wall.shape[-1], device=wall.device)).sum(dim=-1)


@dataclass(frozen=True)
class ProcMaze:
    """Find the goal in a maze that is new in each episode: -1 in each step.

    A goal at distance d is worth -(d + 1): the episode ends with the step that the agent begins on the goal. A state
    shows all of the maze, so it looks different in each episode, but the law of each cell needs its neighbours alone.
    """

    size: int = 4
    """n, cells of a side"""
    mazes: Bool[Tensor, "mazes cells"] | None = field(default=None, compare=False, repr=False)
    """walls of mazes to choose from, on the device of the uniforms; None: each step carves new ones, which is slow"""
    chance: float | None = None
    """that the agent is put onto the goal after a step; None: .1 / ((n + 1) ceil(n / 2) - n mod 2)"""

    def __post_init__(self) -> None:
        expect_fields(self, minimum={"size": 2}, maximum={"size": LARGEST_SIZE}, shares=("chance",))
        if self.mazes is not None and self.mazes.shape[1] != self.size**2:
            raise bad_argument("mazes", tuple(self.mazes.shape), f"walls of shape (mazes, {self.size**2})")

    @property
    def observations(self) -> int:
        """D = 4 n^2: agent, goal, wall, and no wall, for each cell; where the agent stands there is none."""
        return 4 * self.size**2

    @property
    def actions(self) -> int:
        """Stay, up, left, down, right."""
        return MOVES

    @property
    def start_noise(self) -> int:
        """One uniform for the agent, one for the goal, and one to choose a maze or all those that carve it."""
        return 2 + (maze_noise(self.size) if self.mazes is None else 1)

    @property
    def step_noise(self) -> int:
        """One uniform for the event, and those of a new episode."""
        return 1 + self.start_noise

    @property
    def event(self) -> float:
        """Probability that the agent is put onto the goal: 1/70, 1/100, 1/170, 1/210 for n = 3, 4, 5, 6."""
        n = self.size
        return 0.1 / ((n + 1) * math.ceil(n / 2) - n % 2) if self.chance is None else self.chance

    def start(self, u: Float[Tensor, "*batch start_noise"]) -> MazeState:
        """Return a maze with agent and goal in random open cells; it may be the same one."""
        expect_last("u", u, self.start_noise)
        if self.mazes is None:
            wall = carve(u[..., 2:], self.size)
        else:
            wall = self.mazes[as_integer(u[..., 2], len(self.mazes))]
        return MazeState(open_cell(u[..., 0], wall), open_cell(u[..., 1], wall), wall)

    def observe(self, state: MazeState) -> Float[Tensor, "*batch observations"]:
        """Return the grid's four channels."""
        agent, goal = at_cell(state.agent, self.size), at_cell(state.goal, self.size)
        return seen([agent, goal, state.wall, ~state.wall])

    def transition(
        self, state: MazeState, action: Int[Tensor, "*#batch"], u: Float[Tensor, "*#batch noise"]
    ) -> tuple[MazeState, Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return the next state of the same maze, the reward -1, and whether this step ends the episode."""
        target = moved(state.agent, action, self.size)
        agent = torch.where(pick(state.wall, target), state.agent, target)
        agent = torch.where(rare(u, self.event), state.goal, agent)
        done = (state.agent == state.goal).expand(agent.shape)  # before the move
        return state._replace(agent=agent), -torch.ones_like(agent, dtype=u.dtype), done

    def renewed(
        self, after: MazeState, done: Bool[Tensor, "*batch"], u: Float[Tensor, "*#batch step_noise"]
    ) -> MazeState:
        """Return ``after``, or the first state of a new maze where the episode ended."""
        new = self.start(u[..., 1:])
        return MazeState(
            torch.where(done, new.agent, after.agent),
            torch.where(done, new.goal, after.goal),
            torch.where(done.unsqueeze(-1), new.wall, after.wall),
        )

    def step(
        self, state: MazeState, action: Int[Tensor, "*#batch"], u: Float[Tensor, "*#batch step_noise"]
    ) -> tuple[MazeState, Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return the next state, which is the first one of a new maze where the episode ended."""
        expect_last("u", u, self.step_noise)
        after, reward, done = self.transition(state, action, u)
        return self.renewed(after, done, u), reward, done


__all__ = ["MazeState", "ProcMaze", "carve", "maze_bank", "maze_noise", "open_cell"]
