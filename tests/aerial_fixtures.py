"""City meshes written out by hand, and slow ways to the same answers, for tests of the aerial system."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from scripts.aerial.mesh import Mesh

EAST, NORTH = -8234.0, -37036.0  # of the fixtures, as large as a national grid's

BOX_FACES = ("1 4 3 2", "5 6 7 8", "1 2 6 5", "2 3 7 6", "3 4 8 7", "4 1 5 8")  # outwards


def box_obj(low: Sequence[float], high: Sequence[float], faces: Sequence[str] = BOX_FACES) -> str:
    """The text of a closed box, six faces of four corners."""
    (x0, y0, z0), (x1, y1, z1) = low, high
    corners = [(x0, y0, z0), (x1, y0, z0), (x1, y1, z0), (x0, y1, z0)]
    corners += [(x0, y0, z1), (x1, y0, z1), (x1, y1, z1), (x0, y1, z1)]
    lines = [f"v {EAST + x:.3f} {NORTH + y:.3f} {z:.3f}" for x, y, z in corners]
    return "\n".join([*lines, *(f"f {face}" for face in faces)]) + "\n"


def write(path: Path, text: str | bytes) -> Path:
    """Writes a file as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def soup(triangles: np.ndarray, classes: int | np.ndarray = 3) -> Mesh:
    """A mesh of triangles [n, 3, 3] that share no vertex."""
    count = len(triangles)
    numbers = np.broadcast_to(np.asarray(classes, np.uint8), count)
    rows = np.arange(3 * count).reshape(-1, 3)
    return Mesh(triangles.reshape(-1, 3), rows, numbers, np.zeros(count, np.int32), ("soup",))


def random_triangles(count: int, seed: int, spread: float = 30.0) -> np.ndarray:
    """Triangles [n, 3, 3] around the fixtures' origin: small and large, needles, level and upright ones, specks."""
    dice = np.random.default_rng(seed)
    size = 10 ** dice.uniform(-1, 1.6, (count, 1, 1))
    found = dice.uniform(-spread, spread, (count, 1, 3)) + size * dice.normal(size=(count, 3, 3))
    found[::7, 2] = found[::7, 1] + 1e-3 * dice.normal(size=found[::7, 2].shape)
    found[1::7, :, 2] = found[1::7, :1, 2]
    found[2::7, :, 0] = found[2::7, :1, 0]
    found[3::49, 2] = found[3::49, 1]  # lines
    found[4::49] = found[4::49, :1]  # points
    return found + np.array([EAST, NORTH, 20.0])


def overlaps(triangle: np.ndarray, low: np.ndarray, size: np.ndarray, shape: Sequence[int], grow: float) -> np.ndarray:
    """bool [shape]: the separating axis test of a triangle [3, 3] and every cell of a grid, all thirteen axes.

    Akenine-Möller, Fast 3D triangle-box overlap testing, 2001; cells are ``grow`` larger on each side.
    """
    middles = [low[axis] + (np.arange(shape[axis]) + 0.5) * size[axis] for axis in range(3)]
    half = size / 2 + grow
    edges = np.roll(triangle, -1, axis=0) - triangle
    unit = np.eye(3)
    axes = [*unit, np.cross(edges[0], edges[1]), *(np.cross(a, edge) for a in unit for edge in edges)]
    apart = np.zeros(tuple(shape), bool)
    for axis in axes:
        if not np.any(axis):
            continue
        at = middles[0][:, None, None] * axis[0] + middles[1][:, None] * axis[1] + middles[2] * axis[2]
        shadow, radius = triangle @ axis, np.abs(axis) @ half
        apart |= (at + radius < shadow.min()) | (at - radius > shadow.max())
    return ~apart


def first_hit(triangles: np.ndarray, origin: np.ndarray, direction: np.ndarray) -> float:
    """Distance along a ray of unit length to the nearest of triangles [n, 3, 3], each solved as a linear system."""
    best = np.inf
    for a, b, c in triangles:
        system = np.stack([b - a, c - a, -direction], axis=1)
        if abs(np.linalg.det(system)) < 1e-12:
            continue
        u, v, distance = np.linalg.solve(system, origin - a)
        if u >= 0 and v >= 0 and u + v <= 1 and 0 <= distance < best:
            best = distance
    return best
