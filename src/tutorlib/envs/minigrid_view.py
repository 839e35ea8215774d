"""What an agent sees in MiniGrid: the 7 x 7 cells before it, less those behind walls and doors that are not open.

View cell (i, j) is column i from the left and row j from the far end; the agent stands in (3, 6) and looks at row 0.
"""

import torch

from tutorlib.envs.minigrid_levels import COLOUR, DOOR, GREY, OPEN, WALL, colour_of, state_of, thing_of
from tutorlib.lab.errors import checked
from tutorlib.shapes import Bool, Int, Tensor

VIEW = 7
"""Cells of a side of the view."""
ROWS = 2**VIEW
"""How many rows of seven bits there are."""
GREY_WALL = WALL + (GREY << COLOUR)
"""The packed cell that is seen outside the grid."""


def forward(direction: Int[Tensor, "*batch"]) -> tuple[Int[Tensor, "*batch"], Int[Tensor, "*batch"]]:
    """Return f = (x, y), the step ahead: (1, 0), (0, 1), (-1, 0), (0, -1) for directions 0 to 3."""
    return (direction == 0).long() - (direction == 2).long(), (direction == 1).long() - (direction == 3).long()


def view_cells(
    position: Int[Tensor, "*#batch 2"], direction: Int[Tensor, "*#batch"]
) -> tuple[Int[Tensor, "*batch 7 7"], Int[Tensor, "*batch 7 7"]]:
    """Return x and y of the cell in the world that view cell (i, j) shows: position + f (6 - j) + r (i - 3).

    r = (-f_y, f_x) points to the agent's right. Cells may lie outside the grid.
    """
    f_x, f_y = (part[..., None, None] for part in forward(direction))
    x, y = (part[..., None, None] for part in position.unbind(dim=-1))
    count = torch.arange(VIEW, device=position.device)
    right, ahead = (count - VIEW // 2).unsqueeze(-1), VIEW - 1 - count
    return (x - f_y * right) + f_x * ahead, (y + f_x * right) + f_y * ahead


@checked()
def row_table(device: torch.device | str) -> Int[Tensor, "16384"]:
    """Return what every possible row of a view shows, so that a row costs one look-up.

    Entry ``seen + 128 clear`` is for a row in which the rows nearer to the agent have shown the cells ``seen``, and
    light passes the cells ``clear``; bit i of a number stands for column i. The entry is ``seen + 128 above``: all
    cells seen in this row, and those that it shows in the row above.
    """
    code, bit = torch.arange(ROWS**2, device=device), 2 ** torch.arange(VIEW, device=device)
    seen = [code % ROWS // 2**i % 2 == 1 for i in range(VIEW)]
    clear = [code // ROWS // 2**i % 2 == 1 for i in range(VIEW)]
    above = [torch.zeros_like(cell) for cell in seen]
    # A cell that is seen and clear shows its neighbour, the cell above that, and the cell above itself: first from
    # left to right, then back. What only the way back has seen shows nothing to its right.
    for i in range(VIEW - 1):
        passes = seen[i] & clear[i]
        seen[i + 1], above[i + 1], above[i] = seen[i + 1] | passes, above[i + 1] | passes, above[i] | passes
    for i in range(VIEW - 1, 0, -1):
        passes = seen[i] & clear[i]
        seen[i - 1], above[i - 1], above[i] = seen[i - 1] | passes, above[i - 1] | passes, above[i] | passes
    return (torch.stack(seen, dim=-1) * bit).sum(dim=-1) + ROWS * (torch.stack(above, dim=-1) * bit).sum(dim=-1)


def visible(clear: Bool[Tensor, "*batch 7 7"], rows: Int[Tensor, "16384"]) -> Bool[Tensor, "*batch 7 7"]:
    """Return which view cells (i, j) are seen where light passes the cells ``clear``; ``rows`` is ``row_table``.

    Light starts in the agent's cell and goes up row by row.
    """
    clear_row = torch.stack([clear[..., i, :].long() << i for i in range(VIEW)]).sum(dim=0)
    above, seen = torch.full_like(clear_row[..., 0], 2 ** (VIEW // 2)), []
    for j in range(VIEW - 1, -1, -1):
        row = look_up(rows, above + ROWS * clear_row[..., j])
        seen.append(row & (ROWS - 1))
        above = row >> VIEW
    column = torch.arange(VIEW, device=clear.device).unsqueeze(-1)
    return (torch.stack(seen[::-1], dim=-1).unsqueeze(-2) >> column) & 1 == 1


def look_up(table: Tensor, index: Int[Tensor, "*batch"]) -> Tensor:
    """Return ``table[index]`` for a table of one axis; on a CPU this is several times as fast as indexing."""
    return table.index_select(0, index.reshape(-1)).reshape(index.shape)


def look(
    cells: Tensor,
    position: Int[Tensor, "*batch 2"],
    directions: Int[Tensor, "*batch views"],
    hand: Tensor,
    rows: Int[Tensor, "16384"],
) -> Tensor:
    """Return the views uint8 ``[*batch, views, 7, 7, 3]`` into several directions from one position.

    ``cells`` int16 ``[*batch, H, W]``, packed, is the world; outside it there are grey walls. The agent's own cell
    shows ``hand`` int16 ``[*batch]``, what it carries. Cells that are not seen are (0, 0, 0). ``rows`` is
    ``row_table``.
    """
    height, width = cells.shape[-2:]
    x, y = view_cells(position.unsqueeze(-2), directions)
    inside_x, inside_y = x.clamp(0, width - 1), y.clamp(0, height - 1)
    batch = position.shape[:-1]
    world = torch.arange(batch.numel(), device=cells.device).reshape((*batch, 1, 1, 1))
    cell = look_up(cells.reshape(-1), (world * height + inside_y) * width + inside_x)
    cell = torch.where((x != inside_x) | (y != inside_y), GREY_WALL, cell)
    thing = thing_of(cell)
    view = cell * visible((thing != WALL) & ((thing != DOOR) | (state_of(cell) == OPEN)), rows)
    view[..., VIEW // 2, VIEW - 1] = hand.unsqueeze(-1)
    return torch.stack([thing_of(view), colour_of(view), state_of(view)], dim=-1).to(torch.uint8)


def look_around(cells: Tensor, position: Int[Tensor, "*batch 2"], hand: Tensor, rows: Int[Tensor, "16384"]) -> Tensor:
    """Return the views to the left, up, right and down of the map as one image, uint8 ``[*batch, 7, 7, 12]``.

    Channel 4 c + k is channel c of view k, so the image does not depend on where the agent looks (RC-GVF 2211.10282).
    """
    turns = (torch.arange(4, device=position.device) + 2) % 4
    views = look(cells, position, turns.expand(*position.shape[:-1], 4), hand, rows)
    return views.movedim(-4, -1).flatten(-2)


__all__ = ["ROWS", "VIEW", "forward", "look", "look_around", "row_table", "view_cells", "visible"]
