"""Renders a scene for a camera: depth, triangle and class of every pixel.

The result is that of a ray through each pixel, but much faster: an image of 1600 × 900 would need 1.4 million rays.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from scripts.aerial.kernels.view import draw
from scripts.aerial.options import FREE
from scripts.aerial.poses import Pose
from scripts.aerial.scene import Scene

NEAR = 0.05  # metres


class Camera(NamedTuple):
    """A pinhole camera.

    Attributes:
        width, height: pixels.
        across: horizontal field of view, radians.
        pitch: radians by which it looks down, relative to the body.
    """

    width: int
    height: int
    across: float
    pitch: float = 0.0

    @property
    def focal(self) -> float:
        """Focal length, pixels."""
        return self.width / 2 / math.tan(self.across / 2)


class View(NamedTuple):
    """The pixels of an image.

    Attributes:
        depths: float64 [height, width], metres along the camera's axis; infinity where there is no triangle.
        triangles: int64 [height, width], rows of the mesh's triangles; -1 where there is none.
        classes: uint8 [height, width], class numbers; 0 where there is none.
    """

    depths: np.ndarray
    triangles: np.ndarray
    classes: np.ndarray


def camera_axes(pose: Pose, camera: Camera) -> np.ndarray:
    """float64 [3, 3]: a camera's directions right, down and ahead, in the world, on a body (x ahead, z up)."""
    cos, sin = math.cos(camera.pitch), math.sin(camera.pitch)
    body = np.array([[0.0, -1.0, 0.0], [-sin, 0.0, -cos], [cos, 0.0, -sin]])
    return body @ pose.rotation.T


def view(scene: Scene, pose: Pose, camera: Camera) -> View:
    """The image of a camera at a pose; triangles are visible from both sides."""
    depths = np.full((camera.height, camera.width), np.inf)
    rows = np.full(depths.shape, -1, np.int64)
    draw(scene.corners, pose.position - scene.origin, camera_axes(pose, camera), camera.focal, NEAR, depths, rows)
    seen = rows >= 0
    classes = np.where(seen, scene.classes[rows], FREE).astype(np.uint8)
    return View(depths, np.where(seen, scene.rows[rows], -1), classes)
