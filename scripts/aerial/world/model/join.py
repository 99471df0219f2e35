"""Joining what the decoder says of a cell with what the history grids, carried along, show there and around it.

A cell of a foretold frame lies across several cells of each history frame, in each of them otherwise. The last grid
alone, taken at the cell's middle, is off by up to half a cell wherever something thin stands; the frames together tell
where inside their cells it is.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from scripts.aerial.world.model.warp import carried
from scripts.aerial.world.options import WorldGridOptions

QUARTER = 0.25  # of a cell: the places looked at lie so far from its middle, along x, y and, where it turns, z


def evidence(
    grids: torch.Tensor, rotation: torch.Tensor, shift: torch.Tensor, grid: WorldGridOptions, free: int, classes: int
) -> torch.Tensor:
    """How much of each cell every history grid shows as which class, [n, x, y, z, frames · classes].

    A frame's shares add up to how much of the cell it shows at all.

    Args:
        grids: [n, frames, x, y, z].
        rotation, shift: of each frame, [n, frames, 3, 3] and [n, frames, 3], as `seen_from` gives them.
    """
    n, frames, *shape = grids.shape
    spots = torch.tensor(within(grid), dtype=torch.float32, device=grids.device)
    many = len(spots)
    turns = rotation.float()[:, :, None].expand(n, frames, many, 3, 3).reshape(-1, 3, 3)
    places = (shift.float()[:, :, None] + spots @ rotation.float().transpose(-1, -2)).reshape(-1, 3)
    repeated = grids[:, :, None].expand(n, frames, many, *shape).reshape(-1, *shape)
    seen, known = carried(repeated, turns, places, grid, free)
    marked = torch.where(known, seen, classes).reshape(n, frames, many, *shape)
    shares = [(marked == number).float().mean(2) for number in range(classes)]  # one_hot would be in 64 bits
    return torch.stack(shares, -1).permute(0, 2, 3, 4, 1, 5).flatten(-2)


def within(grid: WorldGridOptions) -> list[list[float]]:
    """Places inside a cell, metres from its middle; of a level grid none above another, for its cells stay level."""
    heights = [0.0] if grid.anchor == "level" else [-QUARTER, QUARTER]
    spots = [[x, y, z] for x in (-QUARTER, QUARTER) for y in (-QUARTER, QUARTER) for z in heights]
    return [[share * side for share, side in zip(spot, grid.voxel, strict=True)] for spot in spots]


class Join(nn.Module):
    """Class logits from the decoder's and the evidence; at first it trusts what the last grid shows."""

    def __init__(self, classes: int, history: int, future: int, width: int) -> None:
        super().__init__()
        self.classes = classes
        self.trust = nn.Parameter(torch.full((future, 1), 4.0))
        self.horizon = nn.Embedding(future, width)
        self.enter = nn.Conv3d((1 + history) * classes, width, (3, 3, 1), padding=(1, 1, 0))
        self.upright = nn.Conv3d(width, width, (1, 1, 3), padding=(0, 0, 1))
        self.level = nn.Conv3d(width, width, (3, 3, 1), padding=(1, 1, 0))
        self.leave = nn.Conv3d(width, classes, 1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]

    def forward(self, logits: torch.Tensor, shown: torch.Tensor, horizon: int) -> torch.Tensor:
        """Class logits [n, x, y, z, classes] from the decoder's and ``shown`` [n, x, y, z, history · classes]."""
        shown = shown.to(logits.dtype)
        hidden = self.enter(torch.cat([logits, shown], -1).permute(0, 4, 1, 2, 3))
        hidden = F.gelu(hidden + self.horizon.weight[horizon][:, None, None, None])
        hidden = F.gelu(self.level(F.gelu(self.upright(hidden))))
        return logits + self.trust[horizon] * shown[..., -self.classes :] + self.leave(hidden).permute(0, 2, 3, 4, 1)
