"""Free space: where a vehicle can be, and whether it can move from one point to another."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import ConvexHull, QhullError, cKDTree

if TYPE_CHECKING:
    from scripts.aerial.scene import Scene


@dataclass(frozen=True)
class Room:
    """A scene for a vehicle of a size.

    Attributes:
        radius: metres; no surface comes nearer to the vehicle's position.
        built: number of the class near which paths start.
    """

    scene: Scene
    radius: float
    built: int

    @cached_property
    def middles(self) -> np.ndarray:
        """float64 [n, 3]: middles of the built triangles; of all triangles where none are built."""
        mesh = self.scene.mesh
        chosen = mesh.triangles[mesh.classes == self.built]
        return mesh.vertices[chosen if len(chosen) else mesh.triangles].mean(axis=1)

    @cached_property
    def sides(self) -> np.ndarray:
        """float64 [n, 3]: sides a, b, c of the convex hull of what is built, in x and y; a x + b y + c <= 0 inside."""
        spots = self.middles[:, :2]
        try:
            return ConvexHull(spots).equations
        except QhullError:  # all on one line, or fewer than three
            low, high = spots.min(axis=0) - 1, spots.max(axis=0) + 1
            return np.array([[-1, 0, low[0]], [1, 0, -high[0]], [0, -1, low[1]], [0, 1, -high[1]]])

    @cached_property
    def centre(self) -> np.ndarray:
        """float64 [2]: the middle of what is built."""
        return self.middles[:, :2].mean(axis=0)

    @cached_property
    def _built_spots(self) -> cKDTree:
        """Middles and corners of the built triangles, x and y."""
        mesh = self.scene.mesh
        chosen = np.unique(mesh.triangles[mesh.classes == self.built])
        return cKDTree(np.concatenate([self.middles[:, :2], mesh.vertices[chosen, :2]]))

    def bare(self, places: np.ndarray, reach: float) -> float:
        """Share of points [n, 3] that have no corner or middle of a built triangle within ``reach`` metres in x, y."""
        distances, _ = self._built_spots.query(places[:, :2], distance_upper_bound=reach)
        return float(np.isinf(distances).mean())

    def depth(self, place: np.ndarray) -> float:
        """Metres in x, y from a point inside the hull to its nearest side; negative outside."""
        return -float((self.sides[:, :2] @ place[:2] + self.sides[:, 2]).max())

    def within(self, place: np.ndarray) -> bool:
        """Whether a point lies inside the hull, seen from above."""
        return self.depth(place) >= 0

    def anchor(self, rng: np.random.Generator) -> np.ndarray:
        """float64 [2]: a random x, y inside the hull, about 15 m from something built."""
        built = self.middles[rng.integers(len(self.middles)), :2]
        near = built + rng.normal(0, 15, 2)
        return near if self.within(near) else built

    def floor(self, place: np.ndarray, ground: tuple[int, ...] = ()) -> float:
        """Height of the ground at x, y: of the classes ``ground`` where there are any, else the mesh's lowest."""
        low, high = self.scene.mesh.bounds[:, 2]
        height = self.scene.below([[*place[:2], high + 1]], ground)[0] if ground else np.nan
        return float(low if np.isnan(height) else height)

    def open(self, place: np.ndarray) -> bool:
        """Whether the vehicle has room at a point."""
        return bool(self.scene.free(place[None], self.radius)[0])

    def way(self, start: np.ndarray, end: np.ndarray) -> bool:
        """Whether it has room all along the line from a point with room to another.

        Never true where it has not: points are tested along the line, and if a sphere larger by half their distance is
        free at each, one of the vehicle's radius is free at all points between them.
        """
        length = float(np.linalg.norm(end - start))
        grown = self.radius * 1.1  # a tenth more allows points that are a fifth of the radius apart
        parts = max(1, int(np.ceil(length / (2 * (grown - self.radius)))))
        shares = np.linspace(0, 1, parts + 1)[:, None]
        return bool((self.scene.distance(start + shares * (end - start), grown) > grown).all())
