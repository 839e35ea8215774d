"""The diabolical combination lock (Misra et al. 2019, 1911.05815), as RC-GVF (2211.10282) explores it."""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch
import torch.nn.functional as F

from tutorlib.envs.protocol import expect_last
from tutorlib.envs.tensors import as_integer, one_hot, pick
from tutorlib.lab.errors import bad_argument, checked, expect_fields
from tutorlib.shapes import Bool, Float, Int, Tensor

GOOD, DEAD = 2, 2
"""rows 0 and 1 are good, row 2 is dead"""


@checked(minimum={"n": 1}, maximum={"n": 16_384})
@cache
def hadamard(n: int, dtype: torch.dtype, device: torch.device) -> Float[Tensor, "{n} {n}"]:
    """Return Sylvester's matrix of entries 1 and -1, whose square is n times the identity; n is a power of 2.

    It is kept, because an environment asks for it in every step: do not write into it.
    """
    matrix = torch.ones(1, 1, dtype=dtype, device=device)
    while len(matrix) < n:
        matrix = torch.cat([torch.cat([matrix, matrix], dim=1), torch.cat([matrix, -matrix], dim=1)])
    if len(matrix) != n:
        raise bad_argument("n", n, "a power of 2")
    return matrix


class LockState(NamedTuple):
    """Where the agent is, and what it takes to go on."""

    table: Int[Tensor, "*batch 2 horizon"]
    """a*, the one action that goes on, for each good row and column; it stays for the lifetime"""
    row: Int[Tensor, "*batch"]
    """0 or 1: good; 2: dead"""
    column: Int[Tensor, "*batch"]
    """steps of this episode so far"""
    noise: Float[Tensor, "*batch entries"]
    """standard normal numbers, the noise of the observation"""

    @property
    def good_column(self) -> Int[Tensor, "*batch"]:
        """The column of an agent in a good row, and -1 where it is dead."""
        return torch.where(self.row < GOOD, self.column, -1)


@dataclass(frozen=True)
class Lock:
    """Find the one action in each of two rows and H columns that leads on; any other one is death until the end.

    After a right action the next row is 0 or 1 at random, so no fixed sequence of actions opens the lock. Every episode
    lasts exactly H steps. A right action costs 1 / (H - 1), the last step pays the prize, 10, in a good row and 0 in
    the dead one, and all else pays 0: the best return is 9, and to die at once pays more than to die late.

    Seen are one-hot row and column with noise, padded with zeros to a power of 2 and mixed by a Hadamard matrix.
    """

    horizon: int = 100
    """H, columns, and steps of an episode"""
    actions: int = 10
    """how many, one of which is right"""
    noise: float = 0.1
    """standard deviation of the noise of each entry, before they are mixed"""
    prize: float = 10.0
    """for a good row at the end"""

    def __post_init__(self) -> None:
        expect_fields(self, sizes=("horizon", "actions"), minimum={"horizon": 2, "actions": 2}, not_negative=("noise",))

    @property
    def entries(self) -> int:
        """Entries of an observation before padding: three rows, and columns 0 to H."""
        return self.horizon + 4

    @property
    def observations(self) -> int:
        """O: the next power of 2, 128 for H = 100."""
        return 1 << (self.entries - 1).bit_length()

    @property
    def table_noise(self) -> int:
        """How many of the first uniforms of ``start`` make the table: with the same ones, it is the same lock."""
        return 2 * self.horizon

    @property
    def start_noise(self) -> int:
        """Uniforms for the table, then for the first row, then for the noise of the observation."""
        return self.table_noise + self.step_noise

    @property
    def step_noise(self) -> int:
        """One uniform for the row, and one for each entry's noise."""
        return 1 + self.entries

    def start(self, u: Float[Tensor, "*batch start_noise"]) -> LockState:
        """Return a lock, and the agent in column 0 of one of its good rows."""
        expect_last("u", u, self.start_noise)
        first, rest = u[..., : self.table_noise], u[..., self.table_noise :]
        table = as_integer(first, self.actions).unflatten(-1, (2, self.horizon))
        row = as_integer(rest[..., 0], GOOD)
        return LockState(table, row, torch.zeros_like(row), torch.special.ndtri(rest[..., 1:]))

    def observe(self, state: LockState) -> Float[Tensor, "*batch observations"]:
        """Return one-hot row and column with noise, mixed."""
        place = torch.cat([one_hot(state.row, 3), one_hot(state.column, self.horizon + 1)], dim=-1)
        seen = F.pad(place + self.noise * state.noise, (0, self.observations - self.entries))
        return seen @ hadamard(self.observations, seen.dtype, seen.device)

    def step(
        self, state: LockState, action: Int[Tensor, "*#batch"], u: Float[Tensor, "*#batch step_noise"]
    ) -> tuple[LockState, Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return the place after the action, the reward, and whether the episode ended."""
        expect_last("u", u, self.step_noise)
        good = state.row < GOOD
        right = pick(state.table.flatten(-2), state.row.clamp(max=GOOD - 1) * self.horizon + state.column)
        on = good & (action == right)
        fresh = as_integer(u[..., 0], GOOD)  # the next row; where the episode ends, the first row of the next one
        column = (state.column + 1).expand_as(on)
        ended = column >= self.horizon
        cost = on.to(u.dtype) / (1 - self.horizon)
        reward = torch.where(ended, self.prize * on.to(u.dtype), cost)
        row = torch.where(on | ended, fresh, DEAD)
        noise = torch.special.ndtri(u[..., 1:]).expand(*row.shape, -1)
        return LockState(state.table, row, torch.where(ended, 0, column), noise), reward, ended


__all__ = ["Lock", "LockState", "hadamard"]
