"""A city's triangles with their classes, and the faults of the files that they come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

SHOWN = 20  # line numbers of a fault in its JSON


class Fault(NamedTuple):
    """An error in a file, or in some of its lines."""

    file: str
    kind: str
    message: str
    lines: tuple[int, ...] = ()
    """numbered from 1; empty where the whole file is meant"""

    @property
    def count(self) -> int:
        """How many lines have it; 1 for a whole file."""
        return max(1, len(self.lines))

    @property
    def place(self) -> str:
        """``city.obj, line 7``."""
        return f"{self.file}, line {self.lines[0]}" if self.lines else self.file

    def to_json(self) -> dict[str, Any]:
        """As quarantine.jsonl and ``--json`` hold it."""
        return {
            "file": self.file,
            "kind": self.kind,
            "message": self.message,
            "count": self.count,
            "lines": list(self.lines[:SHOWN]),
        }


class Mesh(NamedTuple):
    """Triangles in world coordinates, metres, z up.

    Attributes:
        vertices: float64 [n, 3], exactly as the files give them: float32 holds 37,036 m only to 4 mm.
        triangles: int64 [m, 3], rows of ``vertices``.
        classes: uint8 [m], class numbers.
        files: int32 [m], which of ``names`` a triangle is from.
        names: files.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    classes: np.ndarray
    files: np.ndarray
    names: tuple[str, ...]

    @property
    def bounds(self) -> np.ndarray:
        """float64 [2, 3]: least and greatest x, y, z of the triangles' vertices, metres; NaN without triangles."""
        if not len(self.triangles):
            return np.full((2, 3), np.nan)
        is_used = np.zeros(len(self.vertices), bool)
        is_used[self.triangles.reshape(-1)] = True
        used = self.vertices[is_used]
        return np.stack([used.min(axis=0), used.max(axis=0)])


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """Several meshes as one; no vertex is merged or moved."""
    triangles, files, vertices, names = [], [], 0, 0
    for mesh in meshes:
        triangles.append(mesh.triangles + vertices)
        files.append(mesh.files + names)
        vertices, names = vertices + len(mesh.vertices), names + len(mesh.names)
    return Mesh(
        vertices=np.concatenate([mesh.vertices for mesh in meshes]),
        triangles=np.concatenate(triangles),
        classes=np.concatenate([mesh.classes for mesh in meshes]),
        files=np.concatenate(files),
        names=tuple(name for mesh in meshes for name in mesh.names),
    )


def area_vectors(mesh: Mesh) -> np.ndarray:
    """float64 [m, 3]: (b - a) × (c - a) of each triangle, along its normal and as long as twice its area, m²."""
    a, b, c = (mesh.vertices[mesh.triangles[:, corner]] for corner in range(3))
    return np.cross(b - a, c - a)


def doubled_areas(mesh: Mesh) -> np.ndarray:
    """float64 [m]: twice the area of each triangle, m²."""
    return np.linalg.norm(area_vectors(mesh), axis=1)


def level_distances(bounds: np.ndarray, points: np.ndarray) -> np.ndarray:
    """float64 [n]: metres in x and y from points [n, 2] to a box, bounds [2, 3]; 0 inside it."""
    low, high = bounds[:, :2]
    return np.linalg.norm(np.maximum(0, np.maximum(low - points, points - high)), axis=1)


def closed_shells(mesh: Mesh) -> np.ndarray:
    """int64 [m]: for each triangle the number of the closed shell that it is part of, -1 for none.

    Vertices with equal coordinates count as one. Triangles that share an edge are connected: the shells are the
    connected components of the graph of triangles and edges. A shell is closed if each of its edges has an even number
    of triangles.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(mesh.triangles)
    _, merged = np.unique(mesh.vertices, axis=0, return_inverse=True)
    corners = merged.reshape(-1)[mesh.triangles]
    sound = (corners != np.roll(corners, 1, axis=1)).all(axis=1)  # a triangle with two equal corners closes nothing
    ends = np.sort(np.stack([corners, np.roll(corners, -1, axis=1)], axis=-1), axis=-1)[sound].reshape(-1, 2)
    owners = np.repeat(np.flatnonzero(sound), 3)
    _, edge = np.unique(ends, axis=0, return_inverse=True)
    edge = edge.reshape(-1)
    edges = int(edge.max(initial=-1)) + 1
    links = coo_array((np.ones(len(edge)), (owners, count + edge)), shape=(count + edges, count + edges))
    _, part = connected_components(links, directed=False)
    odd = np.bincount(edge, minlength=edges) % 2 == 1
    open_parts = np.unique(part[count:][odd])
    return np.where(sound & ~np.isin(part[:count], open_parts), part[:count], -1)
