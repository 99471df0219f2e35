"""Rebuilt tiles as one map: each was rebuilt alone, so that neighbours disagree along the border they share."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Placed = Mapping[tuple[int, int], np.ndarray]  # (x, y) to height field [n, n]


def pixels_of(placed: Placed) -> tuple[int, int]:
    """Rows and columns of the joined map; neighbours share their border points."""
    points = len(next(iter(placed.values()))) - 1
    wide, high = (max(at) - min(at) + 1 for at in zip(*placed, strict=True))
    return high * points + 1, wide * points + 1


def join(placed: Placed) -> np.ndarray:
    """One height field in yards, float32; where no tile lies, the mean height of the map.

    Every border point becomes the mean of the tiles that share it, two along an edge and up to four at a corner. A tile
    moves all of the way at its edges and not at all at its middle: the four edges are blended as a Coons patch is
    (Coons 1967, "Surfaces for Computer-Aided Design of Space Forms"), so that they do not add up at the corners.
    """
    points = len(next(iter(placed.values()))) - 1
    left, top = (min(at) for at in zip(*placed, strict=True))
    whole = np.full(pixels_of(placed), np.mean([field.mean() for field in placed.values()]), np.float32)
    for (x, y), field in placed.items():
        row, column = (y - top) * points, (x - left) * points
        whole[row : row + points + 1, column : column + points + 1] = field + _move(placed, x, y)
    return whole


def _move(placed: Placed, x: int, y: int) -> np.ndarray:
    """How far each point of a tile moves, [n, n]."""
    field = placed[x, y]
    near = np.clip(1 - np.arange(len(field)) / (len(field) // 2), 0, 1)
    far = near[::-1]
    (nw, ne), (sw, se) = ([_corner(placed, x, y, south, east) for east in (0, 1)] for south in (0, 1))

    def edge(own: np.ndarray, other: np.ndarray | None, first: float, last: float) -> np.ndarray:
        half = np.zeros(len(own)) if other is None else (other - own) / 2
        return half + near * (first - half[0]) + far * (last - half[-1])

    def beside(at: tuple[int, int], line: tuple[int | slice, int | slice]) -> np.ndarray | None:
        return placed[at][line] if at in placed else None

    all_ = slice(None)
    north = edge(field[0], beside((x, y - 1), (-1, all_)), nw, ne)
    south = edge(field[-1], beside((x, y + 1), (0, all_)), sw, se)
    west = edge(field[:, 0], beside((x - 1, y), (all_, -1)), nw, sw)
    east = edge(field[:, -1], beside((x + 1, y), (all_, 0)), ne, se)
    fade = np.stack([near, far])
    corners = fade.T @ np.array([[nw, ne], [sw, se]]) @ fade
    return fade.T @ np.stack([north, south]) + np.stack([west, east]).T @ fade - corners


def _corner(placed: Placed, x: int, y: int, south: int, east: int) -> float:
    """How far a tile's corner is from the mean of all tiles that share it."""
    # Of the tile to the north-west of a corner it is the last point (-1), of the one to the south-east the first (0).
    steps = [(row, column) for row in (-1, 0) for column in (-1, 0)]
    tiles = {at: placed.get((x + east + at[1], y + south + at[0])) for at in steps}
    shared = [field[at] for at, field in tiles.items() if field is not None]
    return float(np.mean(shared) - placed[x, y][-south, -east])
