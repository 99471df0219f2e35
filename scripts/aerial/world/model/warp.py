"""Ego-motion compensation: a grid resampled in the coordinates of another pose.

A cell with centre c takes the class of the source cell that contains

    R c + t,

R and t from the coordinates of the target to those of the source. In a level grid (anchor level) z is absolute: R is
the yaw alone and t has no z. Example: the vehicle flies 2 m forward; with cells of 1 m, the cell at x takes the class
of the source cell at x + 2, and the two foremost layers are unknown.
"""

from __future__ import annotations

import torch

from scripts.aerial.world.model.turns import composed, level_of, matrix_of, product
from scripts.aerial.world.options import WorldGridOptions


def relative(steps: torch.Tensor, tilt: torch.Tensor, grid: WorldGridOptions) -> tuple[torch.Tensor, torch.Tensor]:
    """R [n, count, 3, 3] and t [n, count, 3] from the coordinates after each of the motions to those before the first.

    Args:
        steps: motions [n, count, 6], metres and radians.
        tilt: orientation without yaw of the frame that they start from, quaternion x y z w [n, 4].
    """
    turns, places = composed(steps, tilt)
    first = matrix_of(tilt)[:, None]
    if grid.anchor == "ego":
        return first.transpose(-1, -2) @ turns, (first.transpose(-1, -2) @ places[..., None])[..., 0]
    # z is absolute in a level grid: only x and y move, only the yaw turns. The first frame's own yaw is 0.
    flat = torch.tensor([1.0, 1.0, 0.0], dtype=places.dtype, device=places.device)
    return level_of(turns), places * flat


def past(motion: torch.Tensor, tilt: torch.Tensor, grid: WorldGridOptions) -> tuple[torch.Tensor, torch.Tensor]:
    """Orientations [n, frames, 3, 3] and positions [n, frames, 3] of history frames, in level coordinates of the last.

    Args:
        motion: of each frame in the coordinates of the one before, [n, frames, 13], as `poses.features` gives it.
        tilt: orientation without yaw of the last frame, quaternion x y z w [n, 4].
    """
    turn, place = tilt, torch.zeros_like(tilt[:, :3])
    turns, places = [matrix_of(turn)], [place]
    back = motion.new_tensor([-1.0, -1.0, -1.0, 1.0])
    for at in range(motion.shape[1] - 1, 0, -1):
        turn = product(turn, motion[:, at, 3:7] * back)
        place = place - (matrix_of(turn) @ motion[:, at, :3, None])[..., 0] * grid.voxel[0]
        turns.insert(0, matrix_of(turn))
        places.insert(0, place)
    return torch.stack(turns, 1), torch.stack(places, 1)


def seen_from(
    turn: torch.Tensor, place: torch.Tensor, turns: torch.Tensor, places: torch.Tensor, grid: WorldGridOptions
) -> tuple[torch.Tensor, torch.Tensor]:
    """R [n, frames, 3, 3] and t [n, frames, 3] from grid coordinates at one pose to those at several source poses.

    Args:
        turn, place: the target pose, [n, 3, 3] and [n, 3].
        turns, places: the source poses, [n, frames, 3, 3] and [n, frames, 3].
    """
    away = place[:, None] - places
    if grid.anchor == "level":
        turn, turns = level_of(turn), level_of(turns)
        away = away * away.new_tensor([1.0, 1.0, 0.0])
    back = turns.transpose(-1, -2)
    return back @ turn[:, None], (back @ away[..., None])[..., 0]


def carried(
    grids: torch.Tensor, rotation: torch.Tensor, shift: torch.Tensor, grid: WorldGridOptions, free: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Grids [n, x, y, z] resampled: each cell takes the class of the cell that contains its moved centre.

    Args:
        rotation, shift: R [n, 3, 3] and t [n, 3] in metres, from the target's coordinates to those of ``grids``.

    Returns:
        Class numbers [n, x, y, z], free outside the source grid, and which cells are inside, bool [n, x, y, z].
    """
    # Axis by axis: a table of all centres would be 58 MB of constants in an exported full grid.
    rotation, centres = rotation.float(), shift.float()[:, None, None, None]
    for axis, (start, side, count) in enumerate(zip(grid.range[:3], grid.voxel, grid.shape, strict=True)):
        sides = [1, 1, 1, 1, 1]
        sides[axis + 1] = count
        along = start + side * (torch.arange(count, device=shift.device, dtype=torch.float32) + 0.5)
        centres = centres + along.reshape(sides) * rotation[:, None, None, None, :, axis]
    x, y, z = grid.shape
    low, voxel, last = (
        torch.tensor(values, device=grids.device)
        for values in (grid.range[:3], grid.voxel, [x - 1.0, y - 1.0, z - 1.0])
    )
    cells = torch.floor((centres - low) / voxel)
    known = ((cells >= 0) & (cells <= last)).all(-1)
    inside = torch.minimum(cells.clamp(min=0), last).long()
    indices = (inside[..., 0] * y + inside[..., 1]) * z + inside[..., 2]
    shown = torch.gather(grids.long().flatten(1), 1, indices.flatten(1)).reshape(grids.shape)
    # A number, not a tensor of them: in an exported graph that would be a constant as large as the grid.
    return torch.where(known, shown, free), known
