"""What a foretold frame has to beat before it means anything.

copy_last          the last grid, and its pose, for ever.
ego_warped         the last grid carried along by the pose of constant velocity (the last motion goes on); what it did
                   not show is free.
history_warped     the same, and what the last grid does not reach as the newest grid before it that does shows it.
ego_warped_true    as ego_warped, with the true future poses, which no one is told: what a perfect pose is worth.
ground_only        the ground cells of ego_warped alone, without a pose.
constant_velocity  the pose of constant velocity alone; it says nothing of occupancy, and ego_warped has the same pose.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scripts.aerial.world.dataset import Row
from scripts.aerial.world.options import WorldDataOptions
from scripts.aerial.world.poses import constant_velocity, motions, tilt

NAMES = ("copy_last", "ego_warped", "history_warped", "ego_warped_true", "ground_only", "constant_velocity")


@dataclass(frozen=True)
class Said:
    """An answer: class numbers [future, x, y, z] and poses [future, 13]; None where nothing is said."""

    grids: np.ndarray | None
    poses: np.ndarray | None


def answers(grids: np.ndarray, row: Row, options: WorldDataOptions) -> dict[str, Said]:
    """What each baseline says of a window, from its history grids uint8 [history, x, y, z]."""
    history, last = row.poses[: options.history], grids[-1]
    still = np.repeat(history[-1:], options.future, axis=0)
    going = constant_velocity(history, options.future, row.dt)
    warped = warp_to(last, history[-1], going, options)
    filled = fill_from_before(grids, np.concatenate([history, going]), options)
    true = warp_to(last, history[-1], row.poses[options.history :], options)
    ground = np.where(np.isin(warped, options.classes.ground), warped, options.classes.free).astype(np.uint8)
    return {
        "copy_last": Said(np.repeat(last[None], options.future, axis=0), still),
        "ego_warped": Said(warped, going),
        "history_warped": Said(filled, going),
        "ego_warped_true": Said(true, None),
        "ground_only": Said(ground, None),
        "constant_velocity": Said(None, going),
    }


def warp_to(last: np.ndarray, pose: np.ndarray, future: np.ndarray, options: WorldDataOptions) -> np.ndarray:
    """The grid [x, y, z] seen from each later pose, uint8 [poses, x, y, z]; free where it does not reach."""
    return shown_at(last, pose, future, options)[0]


def fill_from_before(grids: np.ndarray, poses: np.ndarray, options: WorldDataOptions) -> np.ndarray:
    """The newest of the grids [history, x, y, z] that reaches a cell, seen from each later pose."""
    history = len(grids)
    result = np.full((len(poses) - history, *grids.shape[1:]), options.classes.free, np.uint8)
    for at, grid in enumerate(grids):
        seen, known = (part[history - 1 - at :] for part in shown_at(grid, poses[at], poses[at + 1 :], options))
        result = np.where(known, seen, result)
    return result


def shown_at(
    grid: np.ndarray, pose: np.ndarray, future: np.ndarray, options: WorldDataOptions
) -> tuple[np.ndarray, np.ndarray]:
    """The grid [x, y, z] seen from each later pose, uint8 [poses, x, y, z], and where it reaches, bool."""
    import torch

    from scripts.aerial.world.model.warp import carried, relative

    steps = torch.from_numpy(motions(np.concatenate([pose[None], future])).astype(np.float32))[None]
    turns, shifts = relative(steps, torch.from_numpy(tilt(pose))[None], options.grid)
    many = torch.from_numpy(np.repeat(grid[None], len(future), axis=0))
    seen, known = carried(many, turns[0], shifts[0], options.grid, options.classes.free)
    return seen.numpy().astype(np.uint8), known.numpy()
