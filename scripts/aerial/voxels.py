"""A scene into the cells around a pose."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scripts.aerial.kernels import cells as kernel
from scripts.aerial.kernels.tree import touching
from scripts.aerial.options import FREE, AerialGridOptions, AerialMeshOptions, AerialVoxelOptions
from scripts.aerial.poses import Pose
from scripts.aerial.scene import Scene
from scripts.lib.cli import UserError


class Frame(NamedTuple):
    """The cells around a pose.

    Attributes:
        grid: uint8 [x, y, z], class numbers; 0 is free.
        counts: int64 [256], cells of each class.
        left_out: columns of closed shells that a line through their middle met an odd number of times: not filled.
    """

    grid: np.ndarray
    counts: np.ndarray
    left_out: int = 0

    @property
    def occupied(self) -> int:
        """Cells that are not free."""
        return int(self.counts[FREE + 1 :].sum())


def ego_frame(pose: Pose, options: AerialGridOptions) -> tuple[np.ndarray, np.ndarray]:
    """Where the grid's zero lies in the world, float64 [3], and its axes, [3, 3]: column i is axis i, in the world."""
    place = pose.position.copy()
    if options.heights == "absolute":
        place[2] = options.datum
    if options.rotation == "full":
        return place, pose.rotation
    cos, sin = np.cos(pose.yaw), np.sin(pose.yaw)
    return place, np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])


def to_cells(pose: Pose, options: AerialGridOptions) -> tuple[np.ndarray, np.ndarray]:
    """What takes a place of the world p to cells: ``matrix @ p + offset``; first turned, later cropped."""
    place, axes = ego_frame(pose, options)
    size = np.array(options.voxel)
    matrix = axes.T / size[:, None]
    return matrix, -matrix @ place - np.array(options.range[:3]) / size


def occupancy(scene: Scene, pose: Pose, options: AerialVoxelOptions, solid: frozenset[int] = frozenset()) -> Frame:
    """The cells around a pose that triangles touch, each with the highest class of those that do.

    Exact: a cell is occupied if and only if the separating axis test finds that its box, `tolerance` larger on each
    side, and a triangle meet.

    Args:
        solid: class numbers whose closed shells are filled, `solid_numbers` of the options.
    """
    grid = np.zeros(options.grid.shape, np.uint8)
    counts = np.zeros(256, np.int64)
    counts[FREE] = grid.size
    world, shift = to_cells(pose, options.grid)
    offset = shift + world @ scene.origin
    grown = options.tolerance / np.array(options.grid.voxel)
    near = touching(scene.bounds, scene.links, scene.boxes, box_around(world, offset, grid.shape, grown))
    kernel.fill_surfaces(scene.corners, scene.classes, near, world, offset, grown, grid, counts)
    left_out = fill_solids(scene, world, offset, solid, grid, counts) if solid else 0
    return Frame(grid, counts, left_out)


def box_around(
    matrix: np.ndarray, offset: np.ndarray, shape: tuple[int, ...], grown: np.ndarray, deep: float = 0.0
) -> np.ndarray:
    """Bounds [6] of the grid in the coordinates of the scene's index; ``deep`` cells more below and above."""
    low, high = -grown - [0, 0, deep], np.array(shape) + grown + [0, 0, deep]
    ends = np.array([[(low, high)[bit >> axis & 1][axis] for axis in range(3)] for bit in range(8)])
    places = np.linalg.solve(matrix, (ends - offset).T).T
    return np.concatenate([places.min(axis=0) - 1e-6, places.max(axis=0) + 1e-6])


def fill_solids(
    scene: Scene, matrix: np.ndarray, offset: np.ndarray, solid: frozenset[int], grid: np.ndarray, counts: np.ndarray
) -> int:
    """Fills cells whose middle lies inside a closed shell of the classes; how many columns could not be told."""
    deep = float(np.abs(matrix[2]) @ np.abs(scene.bounds[0]).reshape(2, 3).max(axis=0) + abs(offset[2]))
    near = touching(scene.bounds, scene.links, scene.boxes, box_around(matrix, offset, grid.shape, np.zeros(3), deep))
    near = near[np.isin(scene.classes[near], list(solid)) & (scene.shells[near] >= 0)]
    columns, rows, heights = kernel.column_crossings(scene.corners, near, matrix, offset, np.array(grid.shape))
    shells, numbers = scene.shells[rows], scene.classes[rows]
    order = np.lexsort((heights, shells, columns))
    return kernel.fill_between(columns[order], shells[order], numbers[order], heights[order], grid, counts)


def solid_numbers(meshes: AerialMeshOptions, options: AerialVoxelOptions) -> frozenset[int]:
    """Class numbers of the classes that are filled.

    Raises:
        UserError: a class is unknown.
    """
    unknown = [name for name in options.solid if name not in meshes.classes]
    if unknown:
        raise UserError(f"voxels.solid: {unknown[0]!r} is none of the classes {', '.join(meshes.classes)}.")
    return frozenset(meshes.classes[name].number for name in options.solid)


def check_reach(scene: Scene, poses: list[Pose], options: AerialVoxelOptions) -> None:
    """Refuses poses that lie nowhere near the mesh.

    Raises:
        UserError: every pose is further away than `max_distance_km`.
    """
    low, high = scene.mesh.bounds[:, :2]
    places = np.array([pose.position[:2] for pose in poses])
    away = np.linalg.norm(np.maximum(0, np.maximum(low - places, places - high)), axis=1) / 1000
    nearest = int(away.argmin())
    if away[nearest] > options.max_distance_km:
        raise UserError(
            f"poses and mesh lie {away[nearest]:,.0f} km apart at least (frame {poses[nearest].frame}: "
            f"{places[nearest][0]:.0f}, {places[nearest][1]:.0f}; mesh x {low[0]:.0f} to {high[0]:.0f}, y {low[1]:.0f} "
            f"to {high[1]:.0f}), more than voxels.max_distance_km {options.max_distance_km:g}; give both in the same "
            "coordinate system."
        )
