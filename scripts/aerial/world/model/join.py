"""History fusion: the decoder's logits of a predicted frame, corrected by what the history grids show of its cells.

Moved by the ego motion, a cell of the predicted frame overlaps several cells of each history frame, and different ones
in each. The last grid alone, sampled at the cell's centre, is wrong by up to half a cell at anything thin; all frames
together locate it inside their cells. So each cell is sampled at 4 points (8 if the grid tilts), a quarter of a cell
from its centre, and frame f shows class c in the fraction

    evidence(cell, f, c) = points of the cell at which grid f has class c / points of the cell.

The fractions of a frame add up to less than 1 where points are outside its grid. A small 3D convolution corrects the
decoder, and a learnt weight for each horizon adds the last history frame directly:

    logits = decoder + w[horizon] * evidence(last frame) + conv([decoder, evidence of all frames], horizon).

At the start w = 4 and the convolution is 0: the last frame is copied. Example: the vehicle moved half a cell towards a
wall one cell thick. Both cells that the wall now overlaps have evidence 0.5 for "building" and 0.5 for "free".
"""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from scripts.aerial.world.model.warp import carried
from scripts.aerial.world.options import WorldGridOptions

QUARTER = 0.25  # of a cell, from its centre to a sampled point


def evidence(
    grids: torch.Tensor, rotation: torch.Tensor, shift: torch.Tensor, grid: WorldGridOptions, free: int, classes: int
) -> torch.Tensor:
    """The fraction of each cell that every history grid shows as each class, [n, x, y, z, frames * classes].

    Args:
        grids: [n, frames, x, y, z].
        rotation, shift: of each frame, [n, frames, 3, 3] and [n, frames, 3] metres, as `warp.seen_from` gives them.
    """
    n, frames, *shape = grids.shape
    # A level grid stays level: points above one another would be in the same cell.
    heights = [0.0] if grid.anchor == "level" else [-QUARTER, QUARTER]
    offsets = list(itertools.product((-QUARTER, QUARTER), (-QUARTER, QUARTER), heights))
    points = torch.tensor(np.multiply(offsets, grid.voxel), dtype=torch.float32, device=grids.device)
    count = len(points)
    turns = rotation.float()[:, :, None].expand(n, frames, count, 3, 3).reshape(-1, 3, 3)
    shifts = (shift.float()[:, :, None] + points @ rotation.float().transpose(-1, -2)).reshape(-1, 3)
    repeated = grids[:, :, None].expand(n, frames, count, *shape).reshape(-1, *shape)
    shown, known = carried(repeated, turns, shifts, grid, free)
    marked = torch.where(known, shown, classes).reshape(n, frames, count, *shape)
    # Class by class: one_hot would take 64 bits for each.
    fractions = [(marked == number).float().mean(2) for number in range(classes)]
    return torch.stack(fractions, -1).permute(0, 2, 3, 4, 1, 5).flatten(-2)


class Join(nn.Module):
    """Class logits from the decoder's logits and the evidence of the history.

    ``trust`` is the weight w of the last frame; ``enter`` and ``leave`` are the convolutions into and out of the hidden
    width, ``level`` and ``upright`` the horizontal and the vertical one between them.
    """

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
        """Class logits [n, x, y, z, classes] from the decoder's and ``shown`` [n, x, y, z, history * classes]."""
        shown = shown.to(logits.dtype)
        hidden = self.enter(torch.cat([logits, shown], -1).permute(0, 4, 1, 2, 3))
        hidden = F.gelu(hidden + self.horizon.weight[horizon][:, None, None, None])
        hidden = F.gelu(self.level(F.gelu(self.upright(hidden))))
        return logits + self.trust[horizon] * shown[..., -self.classes :] + self.leave(hidden).permute(0, 2, 3, 4, 1)
