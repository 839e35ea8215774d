"""The environments of the paper (2211.02222): many combinations, but each part of the state has a law of its own.

PanFlute, ButtonGrid and ProcMaze (in ``maze``) are the paper's; OpenGrid, without combinations, is a control. They are
environments of ``tutorlib.envs``, and each also has ``transition``, the step without the reset that follows an
episode's end: replay stores what it returns, and a perfect model is nothing but ``transition`` from stored states.

What pays, and what ends an episode, is looked at before the agent moves: a maze ends one step after its goal was
reached. Rare events (the agent is at the goal, all buttons are on, all pipes sound) happen by themselves, so reward is
met even by an agent that does nothing clever. They belong to the environment.

Actions in grids are 0 stay, 1 up, 2 left, 3 down, 4 right; cells are numbered row by row. Observations hold ones and
zeros; a grid shows its channels cell by cell, the channel fastest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch

from tutorlib.envs.protocol import Environment, expect_last
from tutorlib.envs.tensors import as_integer, one_hot
from tutorlib.lab.errors import bad_argument, expect_fields
from tutorlib.shapes import Bool, Float, Int, Tensor

MOVES = 5
"""stay, up, left, down, right"""


@runtime_checkable
class Simulator(Environment, Protocol):
    """An environment that can also be left at the end of an episode."""

    def transition(
        self, state: Any, action: Int[Tensor, "*#batch"], u: Float[Tensor, "*#batch noise"]
    ) -> tuple[Any, Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return what follows the state, the reward, and whether that ends the episode; nothing begins anew."""

    def renewed(self, after: Any, done: Bool[Tensor, "*batch"], u: Float[Tensor, "*#batch step_noise"]) -> Any:
        """Return what ``transition`` returned, or the first state of a new episode where it was terminal.

        ``u`` is the noise of the same step, so that ``step`` is ``transition`` and then this.
        """


def moved(cell: Int[Tensor, "*#batch"], action: Int[Tensor, "*#batch"], size: int) -> Int[Tensor, "*batch"]:
    """Return the cell after an action in a ``size`` x ``size`` grid; the border stops it."""
    row, column = cell // size, cell % size
    row = row + (action == 3).long() - (action == 1).long()
    column = column + (action == 4).long() - (action == 2).long()
    return row.clamp(0, size - 1) * size + column.clamp(0, size - 1)


def distinct_cells(u: Float[Tensor, "*batch n"], cells: int) -> Int[Tensor, "*batch n"]:
    """Return ``n`` different cells, every ordered choice alike where ``u`` is uniform."""
    chosen: list[Tensor] = []
    for j in range(u.shape[-1]):
        cell = as_integer(u[..., j], cells - j)  # the how-many-th of the cells that are left
        for taken in torch.stack(chosen, dim=-1).sort(dim=-1).values.unbind(dim=-1) if chosen else ():
            cell = cell + (cell >= taken)
        chosen.append(cell)
    return torch.stack(chosen, dim=-1)


def seen(channels: Sequence[Tensor]) -> Float[Tensor, "*batch observations"]:
    """Return channels, each a mask over all cells, as one observation: cell by cell, the channel fastest."""
    return torch.stack(torch.broadcast_tensors(*channels), dim=-1).flatten(-2).float()


def at_cell(cell: Tensor, size: int) -> Tensor:
    """Return the mask over the cells of a grid that holds ``cell`` alone."""
    return cell.unsqueeze(-1) == torch.arange(size**2, device=cell.device)


def rare(u: Float[Tensor, "*batch noise"], chance: float) -> Bool[Tensor, "*batch"]:
    """Return where the event of a step happens: the first of its uniforms says so."""
    return u[..., 0] < chance


LARGEST_SIZE = 20
"""The largest side of a grid and the most pipes: observations and the walks that make mazes grow with the square."""


class FluteState(NamedTuple):
    """What is in the pipes."""

    cells: Bool[Tensor, "*batch pipes pipes"]
    """row i is pipe i, its first i + 1 entries from the mouth to the end; no others are ever set"""


@dataclass(frozen=True)
class PanFlute:
    """Pipe i is i + 1 cells long; a press runs down its pipe, one cell in each step, and all ends together pay 1.

    So pipes n - 1, n - 2, ..., 0 must be pressed in this order. Each pipe is a shift register: the law of each cell
    needs one cell and the action. Yet the states are patterns over all pipes. It never ends.
    """

    pipes: int = 5
    """n, also the number of actions: action i presses pipe i"""
    chance: float | None = None
    """that all ends sound by themselves after a step; None: 1 / n^2"""

    def __post_init__(self) -> None:
        expect_fields(self, minimum={"pipes": 2}, maximum={"pipes": LARGEST_SIZE}, shares=("chance",))

    @property
    def observations(self) -> int:
        """D = n (n + 1) / 2: the cells of pipe 0, then of pipe 1, ..."""
        return self.pipes * (self.pipes + 1) // 2

    @property
    def actions(self) -> int:
        """One for each pipe."""
        return self.pipes

    @property
    def start_noise(self) -> int:
        """It begins empty."""
        return 0

    @property
    def step_noise(self) -> int:
        """One uniform for the event."""
        return 1

    @property
    def event(self) -> float:
        """Probability that all ends sound by themselves."""
        return 1 / self.pipes**2 if self.chance is None else self.chance

    def start(self, u: Float[Tensor, "*batch start_noise"]) -> FluteState:
        """Return empty pipes."""
        expect_last("u", u, 0)
        n = self.pipes
        return FluteState(torch.zeros(*u.shape[:-1], n, n, dtype=torch.bool, device=u.device))

    def observe(self, state: FluteState) -> Float[Tensor, "*batch observations"]:
        """Return all cells, pipe by pipe."""
        row, column = torch.tril_indices(self.pipes, self.pipes, device=state.cells.device)
        return state.cells[..., row, column].float()

    def with_cells(self, observation: Tensor) -> FluteState:
        """Return the state that shows ``observation``: nothing is hidden."""
        expect_last("observation", observation, self.observations)
        row, column = torch.tril_indices(self.pipes, self.pipes, device=observation.device)
        cells = torch.zeros(
            *observation.shape[:-1], self.pipes, self.pipes, dtype=torch.bool, device=observation.device
        )
        cells[..., row, column] = observation > 0.5
        return FluteState(cells)

    def transition(
        self, state: FluteState, action: Int[Tensor, "*#batch"], u: Float[Tensor, "*#batch noise"]
    ) -> tuple[FluteState, Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return the next state, the reward, and False: there are no episodes."""
        n, cells = self.pipes, state.cells
        pays = cells.diagonal(dim1=-2, dim2=-1).all(dim=-1)  # before the shift
        batch = torch.broadcast_shapes(pays.shape, action.shape, u.shape[:-1])
        pipe = torch.arange(n, device=cells.device)
        pressed = (pipe == action.unsqueeze(-1)).expand(*batch, n)
        shifted = torch.cat([pressed.unsqueeze(-1), cells[..., :-1].expand(*batch, n, n - 1)], dim=-1)
        inside, end = pipe <= pipe[:, None], pipe == pipe[:, None]
        after = (shifted & inside) | (end & rare(u, self.event)[..., None, None])
        pays = pays.expand(batch)
        return FluteState(after), pays.float(), torch.zeros_like(pays)

    def renewed(self, after: FluteState, done: Bool[Tensor, "*batch"], u: Tensor) -> FluteState:
        """Return ``after``: there are no episodes."""
        return after

    def step(
        self, state: FluteState, action: Int[Tensor, "*#batch"], u: Float[Tensor, "*#batch step_noise"]
    ) -> tuple[FluteState, Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return the same as ``transition``."""
        expect_last("u", u, self.step_noise)
        return self.transition(state, action, u)


class ButtonState(NamedTuple):
    """Where everything is, and what is on."""

    agent: Int[Tensor, "*batch"]
    button: Int[Tensor, "*batch buttons"]
    """different cells"""
    on: Bool[Tensor, "*batch buttons"]


@dataclass(frozen=True)
class ButtonGrid:
    """Whoever enters a button's cell toggles it; all buttons on pays 1, and then everything is placed anew.

    It never ends: the new layout is part of the step.
    """

    size: int = 10
    """n, cells of a side"""
    buttons: int = 3
    """m"""
    chance: float | None = None
    """that all buttons go on by themselves after a step; None: 1 / (10 n^2)"""

    def __post_init__(self) -> None:
        expect_fields(
            self, minimum={"size": 2}, maximum={"size": LARGEST_SIZE}, counts=("buttons",), shares=("chance",)
        )
        if self.buttons > self.size**2:
            raise bad_argument("buttons", self.buttons, f"at most one in each of {self.size**2} cells")

    @property
    def observations(self) -> int:
        """D = 3 n^2: agent, button that is on, button that is off, for each cell."""
        return 3 * self.size**2

    @property
    def actions(self) -> int:
        """Stay, up, left, down, right."""
        return MOVES

    @property
    def start_noise(self) -> int:
        """One uniform for the agent, and one for each button."""
        return 1 + self.buttons

    @property
    def step_noise(self) -> int:
        """One uniform for the event, and those of a new layout."""
        return 1 + self.start_noise

    @property
    def event(self) -> float:
        """Probability that all buttons go on by themselves."""
        return 0.1 / self.size**2 if self.chance is None else self.chance

    def start(self, u: Float[Tensor, "*batch start_noise"]) -> ButtonState:
        """Return an agent anywhere and buttons in different cells, all off."""
        expect_last("u", u, self.start_noise)
        button = distinct_cells(u[..., 1:], self.size**2)
        return ButtonState(as_integer(u[..., 0], self.size**2), button, torch.zeros_like(button, dtype=torch.bool))

    def observe(self, state: ButtonState) -> Float[Tensor, "*batch observations"]:
        """Return the grid's three channels."""
        here = at_cell(state.button, self.size)
        on = (here & state.on.unsqueeze(-1)).any(dim=-2)
        off = (here & ~state.on.unsqueeze(-1)).any(dim=-2)
        return seen([at_cell(state.agent, self.size), on, off])

    def transition(
        self, state: ButtonState, action: Int[Tensor, "*#batch"], u: Float[Tensor, "*#batch step_noise"]
    ) -> tuple[ButtonState, Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return the next state, the reward, and False: there are no episodes."""
        expect_last("u", u, self.step_noise)
        success = state.on.all(dim=-1)  # before the move
        agent = moved(state.agent, action, self.size)
        entered = (agent.unsqueeze(-1) == state.button) & (agent != state.agent).unsqueeze(-1)
        on = (state.on ^ entered) | rare(u, self.event).unsqueeze(-1)
        new = self.start(u[..., 1:])
        success = success.expand(on.shape[:-1])
        again = success.unsqueeze(-1)
        after = ButtonState(
            torch.where(success, new.agent, agent),
            torch.where(again, new.button, state.button),
            torch.where(again, new.on, on),
        )
        return after, success.float(), torch.zeros_like(success)

    def renewed(self, after: ButtonState, done: Bool[Tensor, "*batch"], u: Tensor) -> ButtonState:
        """Return ``after``: there are no episodes."""
        return after

    def step(
        self, state: ButtonState, action: Int[Tensor, "*#batch"], u: Float[Tensor, "*#batch step_noise"]
    ) -> tuple[ButtonState, Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return the same as ``transition``."""
        return self.transition(state, action, u)


class OpenState(NamedTuple):
    """Where the agent is."""

    agent: Int[Tensor, "*batch"]


@dataclass(frozen=True)
class OpenGrid:
    """A grid without walls, the goal always in the corner below on the right: -1 in each step, as many states as cells.

    An episode begins in any cell, as in the paper's code; it may be the goal.
    """

    size: int = 10
    """n, cells of a side"""
    chance: float | None = None
    """that the agent is put onto the goal after a step; None: .1 / n"""

    def __post_init__(self) -> None:
        expect_fields(self, minimum={"size": 2}, maximum={"size": LARGEST_SIZE}, shares=("chance",))

    @property
    def observations(self) -> int:
        """D = n^2: the agent."""
        return self.size**2

    @property
    def actions(self) -> int:
        """Stay, up, left, down, right."""
        return MOVES

    @property
    def start_noise(self) -> int:
        """One uniform for the agent."""
        return 1

    @property
    def step_noise(self) -> int:
        """One uniform for the event, one for a new episode."""
        return 2

    @property
    def event(self) -> float:
        """Probability that the agent is put onto the goal."""
        return 0.1 / self.size if self.chance is None else self.chance

    @property
    def goal(self) -> int:
        """The last cell."""
        return self.size**2 - 1

    def start(self, u: Float[Tensor, "*batch start_noise"]) -> OpenState:
        """Return an agent anywhere."""
        expect_last("u", u, 1)
        return OpenState(as_integer(u[..., 0], self.size**2))

    def observe(self, state: OpenState) -> Float[Tensor, "*batch observations"]:
        """Return the agent's cell, one-hot."""
        return one_hot(state.agent, self.size**2)

    def transition(
        self, state: OpenState, action: Int[Tensor, "*#batch"], u: Float[Tensor, "*#batch noise"]
    ) -> tuple[OpenState, Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return the next state, the reward -1, and whether this step ends the episode."""
        agent = torch.where(rare(u, self.event), self.goal, moved(state.agent, action, self.size))
        done = (state.agent == self.goal).expand(agent.shape)  # before the move
        return OpenState(agent), -torch.ones_like(agent, dtype=u.dtype), done

    def renewed(
        self, after: OpenState, done: Bool[Tensor, "*batch"], u: Float[Tensor, "*#batch step_noise"]
    ) -> OpenState:
        """Return ``after``, or the first state of a new episode where one ended."""
        return OpenState(torch.where(done, self.start(u[..., 1:]).agent, after.agent))

    def step(
        self, state: OpenState, action: Int[Tensor, "*#batch"], u: Float[Tensor, "*#batch step_noise"]
    ) -> tuple[OpenState, Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return the next state, which is the first one of a new episode where one ended."""
        expect_last("u", u, self.step_noise)
        after, reward, done = self.transition(state, action, u)
        return self.renewed(after, done, u), reward, done


__all__ = [
    "ButtonGrid",
    "ButtonState",
    "FluteState",
    "OpenGrid",
    "OpenState",
    "PanFlute",
    "Simulator",
    "at_cell",
    "distinct_cells",
    "moved",
    "rare",
    "seen",
]
