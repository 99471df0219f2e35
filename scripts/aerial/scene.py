"""Geometric queries on a city: the first hit of a ray, free space for a sphere, the height of the ground.

All points are world coordinates, float64, metres. A scene is built once from a mesh and never changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from scripts.aerial.kernels import tree as kernel
from scripts.aerial.mesh import Mesh, area_vectors, closed_shells
from scripts.aerial.options import FREE
from scripts.lib.cli import UserError


class Hits(NamedTuple):
    """The first triangle that each ray meets.

    Attributes:
        distances: float64 [n], metres; infinity where there is none.
        triangles: int64 [n], rows of the mesh's triangles; -1 where there is none.
        classes: uint8 [n], class numbers; 0 where there is none.
    """

    distances: np.ndarray
    triangles: np.ndarray
    classes: np.ndarray


@dataclass(frozen=True)
class Scene:
    """A mesh with an index over its triangles; made by `scene_of`.

    Attributes:
        mesh: as it was read.
        origin: float64 [3]; what follows is relative to it, so that numbers are small.
        corners: float64 [m, 9], three corners a triangle, in the order of the index's leaves.
        rows: int64 [m], which triangle of the mesh each is.
        classes: uint8 [m].
        boxes: float64 [m, 6], each triangle's bounds.
        bounds, links: the tree, see `scripts.aerial.kernels.tree`.
    """

    mesh: Mesh
    origin: np.ndarray
    corners: np.ndarray
    rows: np.ndarray
    classes: np.ndarray
    boxes: np.ndarray
    bounds: np.ndarray
    links: np.ndarray

    @cached_property
    def shells(self) -> np.ndarray:
        """int64 [m]: for each triangle its closed shell, -1 for none."""
        return closed_shells(self.mesh)[self.rows]

    @cached_property
    def normals(self) -> np.ndarray:
        """float64 [triangles, 3]: unit normals of the mesh's triangles, by the right-hand rule; 0 without area."""
        area = area_vectors(self.mesh)
        length = np.linalg.norm(area, axis=1, keepdims=True)
        return np.divide(area, length, out=np.zeros_like(area), where=length > 0)

    def cast(self, origins: ArrayLike, directions: ArrayLike, limit: float = np.inf) -> Hits:
        """The first triangle that each ray meets, from either side, nearer than ``limit`` metres.

        Args:
            origins: [n, 3], or [3] for all rays.
            directions: [n, 3], of any length but 0.

        Raises:
            ValueError: a direction has no length, or a number is not finite.
        """
        rays = np.asarray(directions, np.float64).reshape(-1, 3)
        length = np.linalg.norm(rays, axis=1, keepdims=True)
        if not (np.isfinite(length).all() and (length > 0).all()):
            raise ValueError("a ray's direction must be finite and not 0")
        points = np.ascontiguousarray(np.broadcast_to(self._points(origins), rays.shape))
        return self._cast(points, rays / length, limit, np.ones(len(self.rows), bool))

    def _cast(self, points: np.ndarray, directions: np.ndarray, limit: float, wanted: np.ndarray) -> Hits:
        """The same for points relative to the origin and directions of unit length; ``wanted``, bool [m], count."""
        distances, rows = np.empty(len(points)), np.empty(len(points), np.int64)
        tree = (self.corners, self.bounds, self.links, wanted)
        kernel.first_hits(*tree, points, np.ascontiguousarray(directions), float(limit), distances, rows)
        met = rows >= 0
        classes = np.where(met, self.classes[rows], FREE).astype(np.uint8)
        return Hits(distances, np.where(met, self.rows[rows], -1), classes)

    def distance(self, points: ArrayLike, limit: float = np.inf) -> np.ndarray:
        """float64 [n]: metres from points [n, 3] to the nearest surface; infinity beyond ``limit``."""
        places = self._points(points)
        distances = np.empty(len(places))
        limit = min(float(limit), 1e150)  # its square must be finite
        kernel.nearest(self.corners, self.bounds, self.links, places, limit, distances)
        return distances

    def inside(self, points: ArrayLike) -> np.ndarray:
        """bool [n]: whether points [n, 3] lie inside a closed shell, such as a building with a floor."""
        places = self._points(points)
        inside = np.empty(len(places), bool)
        kernel.inside_any(self.corners, self.boxes, self.bounds, self.links, self.shells, places, inside)
        return inside

    def free(self, points: ArrayLike, radius: float) -> np.ndarray:
        """bool [n]: whether a sphere around each point [n, 3] touches no surface and lies inside no closed shell.

        A point under open ground counts as free: `below` gives the height of the ground.
        """
        return (self.distance(points, radius) > radius) & ~self.inside(points)

    def below(self, points: ArrayLike, classes: tuple[int, ...] | None = None) -> np.ndarray:
        """float64 [n]: height of the first surface straight below points [n, 3]; NaN where there is none.

        Args:
            classes: only surfaces of these class numbers, such as ground; None: of any.
        """
        places = self._points(points)
        wanted = np.ones(len(self.rows), bool) if classes is None else np.isin(self.classes, classes)
        down = np.tile([0.0, 0.0, -1.0], (len(places), 1))
        heights = places[:, 2] + self.origin[2] - self._cast(places, down, np.inf, wanted).distances
        return np.where(np.isfinite(heights), heights, np.nan)

    def _points(self, points: ArrayLike) -> np.ndarray:
        """float64 [n, 3]: points relative to the origin.

        Raises:
            ValueError: a coordinate is NaN or infinite.
        """
        places = np.ascontiguousarray(points, np.float64).reshape(-1, 3) - self.origin
        if not np.isfinite(places).all():
            raise ValueError("a point is not finite")
        return places


def scene_of(mesh: Mesh) -> Scene:
    """The scene of a mesh; takes about a second for a million triangles.

    Raises:
        UserError: the mesh has no triangle.
    """
    if not len(mesh.triangles):
        raise UserError(f"{', '.join(mesh.names) or 'mesh'}: no triangle to build a scene from; check the mesh first.")
    origin = np.round(mesh.bounds.mean(axis=0))
    points = (mesh.vertices - origin)[mesh.triangles]
    a, b, c = points.swapaxes(0, 1)
    boxes = np.concatenate([np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)], axis=1)
    order, bounds, links = kernel.build(boxes)
    return Scene(mesh, origin, points[order].reshape(-1, 9), order, mesh.classes[order], boxes[order], bounds, links)
