"""A simulated camera image of a scene: light by the surfaces' normals, colour by class, sky and haze."""

from __future__ import annotations

import numpy as np

from scripts.aerial.options import CameraOptions
from scripts.aerial.poses import Pose
from scripts.aerial.scene import Scene
from scripts.aerial.view import Camera, camera_axes, view

SUN = np.array([0.48, 0.36, 0.80])  # direction towards the sun, world
NAMED = {"ground": (122, 120, 112), "tree": (84, 126, 62), "building": (204, 186, 160)}
OTHERS = [(170, 120, 110), (110, 130, 165), (160, 150, 90), (130, 110, 150)]
HORIZON, ZENITH = np.array([206, 216, 226.0]), np.array([96, 146, 206.0])


def class_colours(numbers: dict[str, int]) -> np.ndarray:
    """uint8 [256, 3]: colours by class number, red first; free cells are white."""
    table = np.full((256, 3), 255, np.uint8)
    for name, number in numbers.items():
        table[number] = NAMED.get(name, OTHERS[number % len(OTHERS)])
    return table


def camera_of(options: CameraOptions, vehicle: str) -> Camera:
    """The camera on a drone or a rover."""
    pitch = options.drone_pitch if vehicle == "drone" else options.rover_pitch
    return Camera(options.width, options.height, float(np.radians(options.across)), float(np.radians(pitch)))


def lit(scene: Scene, pose: Pose, colours: np.ndarray) -> np.ndarray:
    """float32 [triangles, 3]: the colour of each triangle in sun and sky light, on the side that faces the camera."""
    normals = scene.normals
    first = scene.mesh.vertices[scene.mesh.triangles[:, 0]]
    away = ((pose.position - first) * normals).sum(axis=1) < 0
    facing = np.where(away[:, None], -normals, normals)
    sun = np.maximum(0, facing @ (SUN / np.linalg.norm(SUN)))
    light = 0.60 * sun + 0.42 + 0.10 * facing[:, 2]  # more light comes from the sky than from below
    return (colours[scene.mesh.classes] * light[:, None]).astype(np.float32)


def sky(pose: Pose, camera: Camera) -> np.ndarray:
    """float32 [height, width, 3]: the sky along each pixel's ray, paler near the horizon."""
    up = camera_axes(pose, camera)[:, 2].astype(np.float32)
    x = ((np.arange(camera.width, dtype=np.float32) + 0.5) - camera.width / 2) / np.float32(camera.focal)
    y = ((np.arange(camera.height, dtype=np.float32) + 0.5) - camera.height / 2)[:, None] / np.float32(camera.focal)
    rise = (x * up[0] + (y * up[1] + up[2])) / np.sqrt(x * x + (y * y + 1))
    share = np.sqrt(np.maximum(rise, 0))[..., None]
    return HORIZON.astype(np.float32) + share * (ZENITH - HORIZON).astype(np.float32)


def photograph(scene: Scene, pose: Pose, camera: Camera, colours: np.ndarray, haze: float) -> np.ndarray:
    """A picture, uint8 [height, width, 3], red first.

    Args:
        colours: uint8 [256, 3], of `class_colours`.
        haze: metres at which haze leaves 1 / e of a surface's colour; the rest is that of the sky behind it.
    """
    seen = view(scene, pose, camera)
    picture = sky(pose, camera)
    clear = np.exp(seen.depths.astype(np.float32) / np.float32(-haze))[..., None]  # 0 where nothing is
    picture += (lit(scene, pose, colours)[seen.triangles] - picture) * clear
    return (np.clip(picture, 0, 255) + np.float32(0.5)).astype(np.uint8)
