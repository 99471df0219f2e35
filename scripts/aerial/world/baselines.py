"""What a foretold frame has to beat before it means anything.

copy_last          the last grid, and its pose, for ever.
ego_warped         the last grid carried along by the pose of constant velocity (the last motion goes on); what it did
                   not show is free.
ego_warped_true    the same with the true future poses, which no one is told: what a perfect pose would be worth.
ground_only        the ground cells of ego_warped alone, without a pose.
constant_velocity  the pose of constant velocity alone; it says nothing of occupancy, and ego_warped has the same pose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scripts.aerial.world.dataset import Row
from scripts.aerial.world.poses import constant_velocity, motions, tilt
from scripts.lib.options.aerial_world import WorldDataOptions

WORDS = {
    "copy_last": "the last grid and its pose, for ever",
    "ego_warped": "the last grid carried along as if the last motion went on",
    "ego_warped_true": "the last grid carried along by the true future poses, which no one is told",
    "ground_only": "the ground of ego_warped and nothing on it",
    "constant_velocity": "the last motion goes on; says nothing of occupancy",
}


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
    true = warp_to(last, history[-1], row.poses[options.history :], options)
    ground = np.where(np.isin(warped, options.classes.ground), warped, options.classes.free).astype(np.uint8)
    return {
        "copy_last": Said(np.repeat(last[None], options.future, axis=0), still),
        "ego_warped": Said(warped, going),
        "ego_warped_true": Said(true, None),
        "ground_only": Said(ground, None),
        "constant_velocity": Said(None, going),
    }


def warp_to(last: np.ndarray, pose: np.ndarray, future: np.ndarray, options: WorldDataOptions) -> np.ndarray:
    """The grid [x, y, z] seen from each later pose, uint8 [poses, x, y, z]."""
    import torch

    from scripts.aerial.world.model.warp import carried, relative

    steps = torch.from_numpy(motions(np.concatenate([pose[None], future])).astype(np.float32))[None]
    turns, shifts = relative(steps, torch.from_numpy(tilt(pose))[None], options.grid)
    many = torch.from_numpy(np.repeat(last[None], len(future), axis=0))
    seen, _ = carried(many, turns[0], shifts[0], options.grid, options.classes.free)
    return seen.numpy().astype(np.uint8)


def names() -> Sequence[str]:
    """All of them."""
    return tuple(WORDS)
