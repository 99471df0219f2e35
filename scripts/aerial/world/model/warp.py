"""Carrying a grid along: what a frame shows, seen from another pose."""

from __future__ import annotations

import torch

from scripts.aerial.world.model.turns import composed, level_of, matrix_of, product
from scripts.aerial.world.options import WorldGridOptions


def relative(steps: torch.Tensor, tilt: torch.Tensor, grid: WorldGridOptions) -> tuple[torch.Tensor, torch.Tensor]:
    """From grid coordinates after motions to those before: rotations [n, count, 3, 3], shifts in metres [n, count, 3].

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
    """How history frames lie in the last one's level coordinates: [n, frames, 3, 3], and metres [n, frames, 3].

    Args:
        motion: each frame seen from the one before it, [n, frames, 13], as `poses.features` has it.
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
    """From grid coordinates at one pose to those at others: rotations [n, frames, 3, 3], metres [n, frames, 3].

    Args:
        turn, place: the one, [n, 3, 3] and [n, 3].
        turns, places: the others, [n, frames, 3, 3] and [n, frames, 3].
    """
    away = place[:, None] - places
    if grid.anchor == "level":
        turn, turns = level_of(turn), level_of(turns)
        away = away * away.new_tensor([1.0, 1.0, 0.0])
    back = turns.transpose(-1, -2)
    return back @ turn[:, None], (back @ away[..., None])[..., 0]


def spots(rotation: torch.Tensor, shift: torch.Tensor, grid: WorldGridOptions) -> torch.Tensor:
    """Where the middle of every cell lies after a rotation [n, 3, 3] and a shift [n, 3], metres, [n, x, y, z, 3].

    Axis by axis: a table of all middles would be 58 MB of constants in an exported full grid.
    """
    found = shift[:, None, None, None]
    for at, (low, voxel, count) in enumerate(zip(grid.range[:3], grid.voxel, grid.shape, strict=True)):
        sides = [1, 1, 1, 1, 1]
        sides[at + 1] = count
        middles = low + voxel * (torch.arange(count, device=shift.device, dtype=torch.float32) + 0.5)
        found = found + middles.reshape(sides) * rotation[:, None, None, None, :, at]
    return found


def carried(
    grids: torch.Tensor, rotation: torch.Tensor, shift: torch.Tensor, grid: WorldGridOptions, free: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Grids [n, x, y, z] seen from elsewhere: each cell takes the class of the cell where its middle was.

    Args:
        rotation, shift: [n, 3, 3] and [n, 3], from coordinates there to those of ``grids``.

    Returns:
        Class numbers [n, x, y, z], free where nothing is known, and what is known, bool [n, x, y, z].
    """
    x, y, z = grid.shape
    low, voxel, last = (
        torch.tensor(values, device=grids.device)
        for values in (grid.range[:3], grid.voxel, [x - 1.0, y - 1.0, z - 1.0])
    )
    cells = torch.floor((spots(rotation.float(), shift.float(), grid) - low) / voxel)
    known = ((cells >= 0) & (cells <= last)).all(-1)
    near = torch.minimum(cells.clamp(min=0), last).long()
    places = (near[..., 0] * y + near[..., 1]) * z + near[..., 2]
    seen = torch.gather(grids.long().flatten(1), 1, places.flatten(1)).reshape(grids.shape)
    # A number, not a tensor of them: in an exported graph that would be a constant as large as the grid.
    return torch.where(known, seen, free), known
