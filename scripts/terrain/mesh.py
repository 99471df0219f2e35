"""A height field as a Wavefront OBJ mesh (x east, y up, z south, yards), two triangles a square."""

from __future__ import annotations

import numpy as np

MOST_SIDE = 129  # vertices a side; the answer's cells hold no finer detail


def obj_text(field: np.ndarray, spacing: float) -> str:
    """The mesh of heights [n, n] in yards, ``spacing`` yards apart, thinned to at most 129 vertices a side."""
    thin = max(1, (len(field) - 1) // (MOST_SIDE - 1))
    heights, spacing = field[::thin, ::thin], spacing * thin
    rows, columns = np.indices(heights.shape)
    vertices = np.stack([columns * spacing, heights, rows * spacing], axis=-1).reshape(-1, 3)
    lines = ["# x east, y up, z south, in yards", *(f"v {x:.3f} {y:.3f} {z:.3f}" for x, y, z in vertices.tolist())]
    return "\n".join([*lines, *(f"f {a} {b} {c}" for a, b, c in triangles(*heights.shape).tolist())]) + "\n"


def triangles(rows: int, columns: int) -> np.ndarray:
    """[2 · squares, 3]: vertices of each triangle, from 1, anticlockwise seen from above."""
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1) + 1
    upper = np.stack([corner, corner + columns, corner + 1], axis=-1)
    lower = np.stack([corner + 1, corner + columns, corner + columns + 1], axis=-1)
    return np.concatenate([upper, lower])
