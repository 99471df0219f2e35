"""Voxelization: the ego grid around a pose, filled from a scene.

Idea: the pose gives an affine map from world to cells, ``cell = matrix @ point + offset``. The scene's tree
(`scripts.aerial.kernels.tree`) finds the triangles near the grid; each writes its class into the cells that it touches,
exactly, by the separating axis test, and closed shells are filled column by column (`scripts.aerial.kernels.cells`).
Where classes meet in a cell, the highest number is written.

With R the pose's rotation (by yaw, or in full), t its position and s the cell size,

    matrix = diag(1 / s) R^T,    offset = -matrix t - low / s

with low the least corner of the grid's range, metres.

Example: a pose at (100, 50, 30) looks along the world's +y (yaw 90 degrees); cells of 0.4 m begin at x = y = -40 m.
What lies at (100, 54.2) in the world has x = 4.2 m and y = 0 in the grid and falls into the cells (110, 100, ...).
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from scripts.aerial.kernels import cells as kernel
from scripts.aerial.kernels.tree import touching
from scripts.aerial.mesh import level_distances
from scripts.aerial.options import FREE, AerialGridOptions, AerialMeshOptions, AerialVoxelOptions
from scripts.aerial.poses import Pose
from scripts.aerial.scene import Scene
from scripts.lib.cli import UserError


class Frame(NamedTuple):
    """The cells around a pose.

    Attributes:
        grid: uint8 [x, y, z], class numbers; 0 is free.
        counts: int64 [256], cells of each class.
        left_out: columns of closed shells that were not filled: a line along them met the shell an odd number of times.
    """

    grid: np.ndarray
    counts: np.ndarray
    left_out: int = 0

    @property
    def occupied(self) -> int:
        """Cells that are not free."""
        return int(self.counts[FREE + 1 :].sum())


def to_cells(pose: Pose, options: AerialGridOptions) -> tuple[np.ndarray, np.ndarray]:
    """float64 [3, 3] and [3]: ``matrix @ point + offset`` takes a point of the world, metres, to cells."""
    position, axes = pose.position.copy(), pose.rotation
    if options.heights == "absolute":
        position[2] = options.datum
    if options.rotation == "yaw":
        cos, sin = np.cos(pose.yaw), np.sin(pose.yaw)
        axes = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    size = np.array(options.voxel)
    matrix = axes.T / size[:, None]
    return matrix, -matrix @ position - np.array(options.range[:3]) / size


def occupancy(scene: Scene, pose: Pose, options: AerialVoxelOptions, solid: frozenset[int] = frozenset()) -> Frame:
    """The grid around a pose; a cell holds the highest class of the triangles that touch it.

    Exact: a cell is occupied if and only if its box, `tolerance` larger on each side, and a triangle meet.

    Args:
        solid: class numbers whose closed shells are filled, from `solid_numbers`.
    """
    grid = np.zeros(options.grid.shape, np.uint8)
    counts = np.zeros(256, np.int64)
    counts[FREE] = grid.size
    matrix, shift = to_cells(pose, options.grid)
    offset = shift + matrix @ scene.origin
    grown = options.tolerance / np.array(options.grid.voxel)
    near = touching(scene.bounds, scene.links, scene.boxes, box_around(matrix, offset, grid.shape, grown))
    kernel.fill_surfaces(scene.corners, scene.classes, near, matrix, offset, grown, grid, counts)
    left_out = fill_solids(scene, matrix, offset, solid, grid, counts) if solid else 0
    return Frame(grid, counts, left_out)


def box_around(
    matrix: np.ndarray, offset: np.ndarray, shape: tuple[int, ...], grown: np.ndarray, deep: float = 0.0
) -> np.ndarray:
    """float64 [6]: bounds of the grid, ``deep`` cells higher and lower, relative to the scene's origin, metres."""
    low, high = -grown - [0, 0, deep], np.array(shape) + grown + [0, 0, deep]
    ends = np.array(list(itertools.product(*zip(low, high, strict=True))))  # the grid's eight corners
    points = np.linalg.solve(matrix, (ends - offset).T).T
    return np.concatenate([points.min(axis=0) - 1e-6, points.max(axis=0) + 1e-6])


def fill_solids(
    scene: Scene, matrix: np.ndarray, offset: np.ndarray, solid: frozenset[int], grid: np.ndarray, counts: np.ndarray
) -> int:
    """Fills cells whose middle lies inside a closed shell of the classes ``solid``; returns the columns left out."""
    deep = float(np.abs(matrix[2]) @ np.abs(scene.bounds[0]).reshape(2, 3).max(axis=0) + abs(offset[2]))
    near = touching(scene.bounds, scene.links, scene.boxes, box_around(matrix, offset, grid.shape, np.zeros(3), deep))
    near = near[np.isin(scene.classes[near], list(solid)) & (scene.shells[near] >= 0)]
    crossings = kernel.column_crossings(scene.corners, near, matrix, offset, np.array(grid.shape))
    columns, rows = crossings[:, :2].astype(np.int64).T
    shells, heights = scene.shells[rows], crossings[:, 2]
    order = np.lexsort((heights, shells, columns))
    numbers = scene.classes[rows[order]]
    return kernel.fill_between(columns[order], shells[order], numbers, heights[order], grid, counts)


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
    """Refuses poses that lie far from the mesh.

    Raises:
        UserError: every pose is further away than `max_distance_km`.
    """
    low, high = scene.mesh.bounds[:, :2]
    places = np.array([pose.position[:2] for pose in poses])
    away = level_distances(scene.mesh.bounds, places) / 1000
    nearest = int(away.argmin())
    if away[nearest] > options.max_distance_km:
        raise UserError(
            f"poses and mesh lie {away[nearest]:,.0f} km apart at least (frame {poses[nearest].frame}: "
            f"{places[nearest][0]:.0f}, {places[nearest][1]:.0f}; mesh x {low[0]:.0f} to {high[0]:.0f}, y {low[1]:.0f} "
            f"to {high[1]:.0f}), more than voxels.max_distance_km {options.max_distance_km:g}; give both in the same "
            "coordinate system."
        )
