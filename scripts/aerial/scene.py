"""A city that can be asked: what does a ray hit, is there room for a sphere, how high is the ground.

All places are world coordinates, float64, metres. A scene is built once from a mesh and never changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from scripts.aerial.kernels import tree as kernel
from scripts.aerial.mesh import Mesh, closed_shells
from scripts.aerial.options import FREE
from scripts.lib.cli import UserError


class Hits(NamedTuple):
    """What rays meet.

    Attributes:
        distances: float64 [n], metres; infinity where nothing is met.
        triangles: int64 [n], rows of the mesh's triangles; -1 where nothing is met.
        classes: uint8 [n], class numbers; 0 where nothing is met.
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
        """float64 [triangles, 3]: unit normals of the mesh's triangles, by the right-hand rule; 0 where no area is."""
        a, b, c = (self.mesh.vertices[self.mesh.triangles[:, corner]] for corner in range(3))
        found = np.cross(b - a, c - a)
        length = np.linalg.norm(found, axis=1, keepdims=True)
        return np.divide(found, length, out=np.zeros_like(found), where=length > 0)

    def cast(self, origins: ArrayLike, directions: ArrayLike, limit: float = np.inf) -> Hits:
        """The first triangle that each ray meets, from either side, nearer than ``limit`` metres.

        Args:
            origins: [n, 3], or [3] for all rays.
            directions: [n, 3], of any length but 0.

        Raises:
            ValueError: a direction has no length, or a number is not finite.
        """
        along = np.asarray(directions, np.float64).reshape(-1, 3)
        length = np.linalg.norm(along, axis=1, keepdims=True)
        if not (np.isfinite(length).all() and (length > 0).all()):
            raise ValueError("a ray's direction must be finite and not 0")
        return self._cast(self._points(origins, len(along)), along / length, limit, np.ones(len(self.rows), bool))

    def _cast(self, points: np.ndarray, along: np.ndarray, limit: float, wanted: np.ndarray) -> Hits:
        distances, found = np.empty(len(points)), np.empty(len(points), np.int64)
        limits = np.full(len(points), limit, np.float64)
        tree = (self.corners, self.bounds, self.links, wanted)
        kernel.first_hits(*tree, points, np.ascontiguousarray(along), limits, distances, found)
        met = found >= 0
        classes = np.where(met, self.classes[found], FREE).astype(np.uint8)
        return Hits(distances, np.where(met, self.rows[found], -1), classes)

    def distance(self, points: ArrayLike, limit: float = np.inf) -> np.ndarray:
        """float64 [n]: metres from points [n, 3] to the nearest surface; infinity beyond ``limit``."""
        places = self._points(points)
        distances, found = np.empty(len(places)), np.empty(len(places), np.int64)
        limits = np.full(len(places), min(limit, 1e150), np.float64)  # its square must be finite
        kernel.nearest(self.corners, self.bounds, self.links, places, limits, distances, found)
        return distances

    def inside(self, points: ArrayLike) -> np.ndarray:
        """bool [n]: whether points [n, 3] lie inside a closed shell, such as a building with a floor."""
        places = self._points(points)
        found = np.empty(len(places), bool)
        kernel.inside_any(self.corners, self.boxes, self.bounds, self.links, self.shells, places, found)
        return found

    def free(self, points: ArrayLike, radius: float) -> np.ndarray:
        """bool [n]: whether a sphere around each point [n, 3] touches no surface and lies inside no closed shell.

        A point under open ground counts as free: ask `below` whether there is ground.
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
        hits = self._cast(places, down, np.inf, wanted)
        heights = places[:, 2] + self.origin[2] - hits.distances
        return np.where(np.isfinite(heights), heights, np.nan)

    def _points(self, points: ArrayLike, count: int | None = None) -> np.ndarray:
        """Places relative to the origin, [count, 3]."""
        places = np.asarray(points, np.float64).reshape(-1, 3) - self.origin
        if not np.isfinite(places).all():
            raise ValueError("a point is not finite")
        return np.ascontiguousarray(places if count is None else np.broadcast_to(places, (count, 3)))


def scene_of(mesh: Mesh) -> Scene:
    """The scene of a mesh; takes about a second for a million triangles.

    Raises:
        UserError: the mesh has no triangle.
    """
    if not len(mesh.triangles):
        raise UserError(f"{', '.join(mesh.names) or 'mesh'}: no triangle to build a scene from; check the mesh first.")
    origin = np.round(mesh.bounds.mean(axis=0))
    corners = (mesh.vertices - origin)[mesh.triangles].reshape(-1, 9)
    order, bounds, links = kernel.build(kernel.triangle_bounds(corners))
    corners = np.ascontiguousarray(corners[order])
    boxes = kernel.triangle_bounds(corners)
    return Scene(mesh, origin, corners, order, mesh.classes[order], boxes, bounds, links)
