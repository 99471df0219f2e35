"""Velocities of a path by finite differences."""

from __future__ import annotations

import numpy as np


def velocities(positions: np.ndarray, turns: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """Velocities and angular velocities, both in the world's frame: metres and radians a second.

    Central differences inside, one-sided ones at both ends, 0 for a single frame. The angular velocity between two
    frames is the rotation vector that, in world axes, takes the body from the one orientation to the other, over time.

    Args:
        positions: float64 [n, 3].
        turns: float64 [n, 4], unit quaternions x y z w, body to world.
        dt: seconds between frames.

    Returns:
        Two arrays, float64 [n, 3].
    """
    from scipy.spatial.transform import Rotation

    count = len(positions)
    if count < 2:
        return np.zeros((count, 3)), np.zeros((count, 3))
    after, before = np.minimum(np.arange(count) + 1, count - 1), np.maximum(np.arange(count) - 1, 0)
    seconds = ((after - before) * dt)[:, None]
    body = Rotation.from_quat(turns)
    angular = (body[after] * body[before].inv()).as_rotvec() / seconds
    return (positions[after] - positions[before]) / seconds, angular
