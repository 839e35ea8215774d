"""What is true of the environments, exactly (2211.02222): values, distances and best ways, written out or searched.

A small flute has few patterns, so all of them are listed and their values iterated. In a maze values follow from
distances. How soon all buttons can be on is found by breadth-first search.
"""

import math
from typing import NamedTuple

import torch

from tutorlib.envs.tensors import pick
from tutorlib.lab.errors import bad_argument, checked
from tutorlib.papers.mbrl.maze import MazeState, ProcMaze
from tutorlib.papers.mbrl.problem import (
    LARGEST_SIZE,
    MOVES,
    ButtonGrid,
    ButtonState,
    FluteState,
    PanFlute,
    at_cell,
    moved,
)
from tutorlib.shapes import Bool, Float, Int, Tensor

LARGEST = 2**16
"""patterns of a flute whose values are iterated"""


@checked(minimum={"pipes": 2}, maximum={"pipes": LARGEST_SIZE})
def flute_patterns(pipes: int, device: torch.device | None = None) -> Float[Tensor, "patterns cells"]:
    """Return all observations of a flute, the pattern of number s being the digits of s, the last cell the highest."""
    cells = pipes * (pipes + 1) // 2
    if 2**cells > LARGEST:
        raise bad_argument("pipes", pipes, f"at most {LARGEST} patterns, not {2**cells}")
    number = torch.arange(2**cells, device=device)
    return (number[:, None] >> torch.arange(cells, device=device) & 1).float()


def pattern_number(observation: Tensor) -> Int[Tensor, "*batch"]:
    """Return the number of each pattern that a flute shows."""
    place = torch.arange(observation.shape[-1], device=observation.device)
    return ((observation > 0.5).long() << place).sum(dim=-1)


class FluteTable(NamedTuple):
    """A flute written out: what follows each pattern under each action, without and with the event."""

    quiet: Int[Tensor, "patterns actions"]
    event: Int[Tensor, "patterns actions"]
    reward: Float[Tensor, "patterns"]


def flute_table(env: PanFlute, device: torch.device | None = None) -> FluteTable:
    """Return all transitions of a flute of at most 5 pipes; raises ``UsageError`` for more."""
    every = env.with_cells(flute_patterns(env.pipes, device))
    state = FluteState(every.cells.unsqueeze(1))
    action = torch.arange(env.pipes, device=device).expand(len(every.cells), -1)
    after, reward, _ = env.transition(state, action, torch.ones(1, 1, device=device))  # 1 is above every chance
    end = torch.eye(env.pipes, dtype=torch.bool, device=device)
    quiet, sounds = (pattern_number(env.observe(FluteState(cells))) for cells in (after.cells, after.cells | end))
    return FluteTable(quiet, sounds, reward[:, 0].double())


def flute_values(
    env: PanFlute, gamma: float = 0.9, device: torch.device | None = None
) -> Float[Tensor, "patterns actions"]:
    """Return q* of all patterns of a flute of at most 5 pipes, by value iteration to 1e-10."""
    if not 0 < gamma < 1:
        raise bad_argument("gamma", gamma, "a number between 0 and 1")
    table, p = flute_table(env, device), env.event
    q = table.reward[:, None].expand(-1, env.pipes)
    for _ in range(math.ceil(math.log(1e-10 * (1 - gamma)) / math.log(gamma))):
        v = q.amax(dim=-1)
        q = table.reward[:, None] + gamma * ((1 - p) * v[table.quiet] + p * v[table.event])
    return q


def flute_reachable(env: PanFlute, device: torch.device | None = None) -> Bool[Tensor, "patterns"]:
    """Return which patterns of a flute of at most 5 pipes some history of actions and events leads to."""
    table = flute_table(env, device)
    reached = torch.arange(len(table.reward), device=device) == 0
    for _ in range(env.pipes):  # what is older has left all pipes
        after = [table.quiet[reached]] + ([table.event[reached]] if env.event > 0 else [])
        reached = reached.index_fill(0, torch.cat(after).flatten(), True)
    return reached


def maze_distances(wall: Bool[Tensor, "*batch cells"], goal: Int[Tensor, "*batch"]) -> Int[Tensor, "*batch cells"]:
    """Return how many moves each cell is from the goal; the number of cells where no way leads there."""
    cells = wall.shape[-1]
    target = _targets(math.isqrt(cells), wall.device)
    distance = torch.where(at_cell(goal, math.isqrt(cells)), 0, cells).expand(wall.shape)
    for _ in range(cells):
        distance = torch.where(wall, cells, torch.minimum(distance, 1 + distance[..., target].amin(dim=-1)))
    return distance


def maze_values(
    wall: Bool[Tensor, "*batch cells"], goal: Int[Tensor, "*batch"], event: float, gamma: float = 0.9
) -> Float[Tensor, "*batch cells"]:
    """Return v* with the agent in each cell: -1 on the goal, minus infinity where no way leads there.

    v(s) = -1 + gamma ((1 - event) max_a v(s after a) + event v(goal)). Value iteration from minus infinity knows all
    cells at distance d after d rounds, also for gamma = 1.
    """
    if not 0 < gamma <= 1:
        raise bad_argument("gamma", gamma, "a number above 0, at most 1")
    if not 0 <= event < 1:
        raise bad_argument("event", event, "a probability below 1")
    cells = wall.shape[-1]
    here, target = at_cell(goal, math.isqrt(cells)), _targets(math.isqrt(cells), wall.device)
    never = torch.full(wall.shape, -math.inf, dtype=torch.double, device=wall.device)
    v = never.masked_fill(here, -1.0)
    for _ in range(cells):
        best = v[..., target].amax(dim=-1)
        v = torch.where(wall, never, -1 + gamma * ((1 - event) * best - event)).masked_fill(here, -1.0)
    return v


def maze_action_values(env: ProcMaze, state: MazeState, gamma: float = 0.9) -> Float[Tensor, "*batch actions"]:
    """Return q* of each action in ``state``, whose agent must have a way to the goal."""
    v = maze_values(state.wall, state.goal, env.event, gamma)
    action = torch.arange(MOVES, device=state.agent.device)
    target = moved(state.agent.unsqueeze(-1), action, env.size)
    agent = torch.where(state.wall.gather(-1, target), state.agent.unsqueeze(-1), target)
    q = -1 + gamma * ((1 - env.event) * v.gather(-1, agent) - env.event)
    return q.masked_fill((state.agent == state.goal).unsqueeze(-1), -1.0)


def button_steps(env: ButtonGrid, state: ButtonState) -> Int[Tensor, "*batch"]:
    """Return in how many steps all buttons can be on, without the event: breadth-first search over cells and buttons.

    It reads values to see when to stop, so on a GPU the program waits. What cannot be reached is 2^m n^2 steps away.
    """
    cells, masks = env.size**2, 2**env.buttons
    device, batch = state.agent.device, state.agent.shape
    cell = torch.arange(cells, device=device).expand(*batch, masks, cells).unsqueeze(-1)
    mask = torch.arange(masks, device=device)
    bit = torch.arange(env.buttons, device=device)
    on = (mask[:, None] >> bit & 1).bool()
    target = moved(cell, torch.arange(MOVES, device=device), env.size)
    button = state.button[..., None, None, None, :]
    entered = (target.unsqueeze(-1) == button) & (target != cell).unsqueeze(-1)
    after = ((on[:, None, None] ^ entered).long() << bit).sum(dim=-1)
    following = (after * cells + target).flatten(-3, -2).flatten(-2)
    far = masks * cells
    done = (torch.arange(far, device=device) // cells == masks - 1).expand(*batch, far)
    steps = torch.where(done, 0, far)
    while True:
        nearer = 1 + steps.gather(-1, following).unflatten(-1, (far, MOVES)).amin(dim=-1)
        better = torch.minimum(steps, nearer)
        if torch.equal(better, steps):
            break
        steps = better
    now = (state.on.long() << bit).sum(dim=-1) * cells + state.agent
    return pick(steps, now)


def _targets(size: int, device: torch.device) -> Tensor:
    """Return where each move from each cell leads, as if there were no walls."""
    return moved(torch.arange(size**2, device=device)[:, None], torch.arange(MOVES, device=device), size)


__all__ = [
    "FluteTable",
    "button_steps",
    "flute_patterns",
    "flute_reachable",
    "flute_table",
    "flute_values",
    "maze_action_values",
    "maze_distances",
    "maze_values",
    "pattern_number",
]
