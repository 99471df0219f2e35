"""A simulated lidar: the points that it measures in a scene."""

from __future__ import annotations

import numpy as np

from scripts.aerial.options import LidarOptions
from scripts.aerial.poses import Pose
from scripts.aerial.scene import Scene


def beam_directions(options: LidarOptions, vehicle: str) -> np.ndarray:
    """float64 [beams * azimuths, 3]: unit directions in the body's frame, beam by beam from the lowest."""
    low, high = options.drone if vehicle == "drone" else options.rover
    up = np.radians(np.linspace(low, high, options.beams))[:, None]
    around = (2 * np.pi * np.arange(options.azimuths) / options.azimuths)[None]
    parts = np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up) + 0 * around
    return np.stack(parts, axis=-1).reshape(-1, 3)


def measure(scene: Scene, pose: Pose, directions: np.ndarray, options: LidarOptions) -> np.ndarray:
    """The points that the rays hit, in the body's frame (x ahead, y left, z up; it rolls and pitches with the body).

    Args:
        directions: float64 [n, 3], from `beam_directions`.

    Returns:
        float32 [hits, 4]: x y z in metres, and the intensity, 0 to 1: the cosine of the angle between the ray and the
        surface's normal, over 1 + (distance / `half`)².
    """
    rays = directions @ pose.rotation.T
    hits = scene.cast(pose.position, rays, options.range)
    met = hits.triangles >= 0
    distances = hits.distances[met]
    cosine = np.abs((rays[met] * scene.normals[hits.triangles[met]]).sum(axis=1))
    intensity = np.clip(cosine, 0, 1) / (1 + (distances / options.half) ** 2)
    return np.column_stack([directions[met] * distances[:, None], intensity]).astype(np.float32)
