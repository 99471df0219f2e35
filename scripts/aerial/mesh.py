"""A city's triangles with their classes, and what was wrong with the files that they come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

SHOWN = 20  # lines of a fault that its JSON names


class Fault(NamedTuple):
    """What is wrong with a file, or with some of its lines."""

    file: str
    kind: str
    message: str
    lines: tuple[int, ...] = ()
    """from 1; of what was set aside all, empty where the whole file is meant"""

    @property
    def count(self) -> int:
        """How many lines it concerns; 1 where it is the file."""
        return max(1, len(self.lines))

    @property
    def place(self) -> str:
        """``city.obj, line 7``."""
        return f"{self.file}, line {self.lines[0]}" if self.lines else self.file

    def to_json(self) -> dict[str, Any]:
        """As quarantine.jsonl and ``--json`` hold it."""
        some = {"count": self.count, "lines": list(self.lines[:SHOWN])}
        return {"file": self.file, "kind": self.kind, "message": self.message, **some}


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
        """float64 [2, 3]: least and greatest x, y, z of the triangles' vertices, metres; NaN for a mesh without."""
        if not len(self.triangles):
            return np.full((2, 3), np.nan)
        kept = np.zeros(len(self.vertices), bool)
        kept[self.triangles.reshape(-1)] = True
        used = self.vertices[kept]
        return np.stack([used.min(axis=0), used.max(axis=0)])


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """Several meshes as one; every vertex stays where it is."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    names = np.cumsum([0, *(len(mesh.names) for mesh in meshes)])
    return Mesh(
        vertices=np.concatenate([mesh.vertices for mesh in meshes]).reshape(-1, 3),
        triangles=np.concatenate([mesh.triangles + start for mesh, start in zip(meshes, starts, strict=False)]),
        classes=np.concatenate([mesh.classes for mesh in meshes]),
        files=np.concatenate([mesh.files + first for mesh, first in zip(meshes, names, strict=False)]).astype(np.int32),
        names=tuple(name for mesh in meshes for name in mesh.names),
    )


def doubled_areas(mesh: Mesh) -> np.ndarray:
    """float64 [m]: twice the area of each triangle, m²."""
    a, b, c = (mesh.vertices[mesh.triangles[:, corner]] for corner in range(3))
    return np.linalg.norm(np.cross(b - a, c - a), axis=1)


def closed_shells(mesh: Mesh) -> np.ndarray:
    """int64 [m]: for each triangle the number of the closed shell that it is part of, -1 for none.

    Vertices at the same place are one. Triangles that share an edge belong together; a shell is closed where each edge
    is shared by an even number of triangles.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(mesh.triangles)
    _, place = np.unique(mesh.vertices, axis=0, return_inverse=True)
    corners = place.reshape(-1)[mesh.triangles]
    sound = (corners != np.roll(corners, 1, axis=1)).all(axis=1)  # a triangle that is a line closes nothing
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
