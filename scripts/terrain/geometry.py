"""Coordinates of a map: tiles, chunks, vertices and objects, in yards.

A map has 64 × 64 tiles of 533.33333 yards, x to the east and y to the south. A tile has 16 × 16 chunks, a chunk 145
vertices: 9 × 9 outer ones, and 8 × 8 inner ones in the middles between them. On the tile's grid of 257 × 257 an outer
vertex (row, column) of a chunk stands at twice its row and column, an inner one half a step further.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from scripts.terrain.places import MAP_TILES

TILE = 533.0 + 1 / 3  # yards a side
CHUNKS = 16  # a side of a tile
CHUNK = TILE / CHUNKS  # yards a side
CORNER = MAP_TILES / 2 * TILE  # from the map's middle, the world's origin, to its edges, yards
OUTER, INNER = 9, 8  # vertices a side of a chunk
VERTICES = OUTER * OUTER + INNER * INNER  # 145
GRID = 2 * CHUNKS * INNER + 1  # 257 grid points a side of a tile


def stitch(heights: np.ndarray, interleaved: bool = True) -> np.ndarray:
    """A tile's height field, float64 [257, 257], from the heights [256, 145] of its chunks, in their unit.

    Vertices that chunks share are averaged. A grid point without a vertex lies halfway on an edge of the ground's
    triangles, between two outer vertices, and gets their mean.
    """
    places, count = _grid_counts(interleaved)
    return fill_between_vertices((np.bincount(places, heights.reshape(-1), GRID * GRID) / count).reshape(GRID, GRID))


def fill_between_vertices(field: np.ndarray) -> np.ndarray:
    """Sets the grid points without a vertex, in place: each lies halfway on an edge between two outer vertices."""
    field[::2, 1::2] = (field[::2, :-2:2] + field[::2, 2::2]) / 2
    field[1::2, ::2] = (field[:-2:2, ::2] + field[2::2, ::2]) / 2
    return field


def unstitch(field: np.ndarray, interleaved: bool = True) -> np.ndarray:
    """The heights [256, 145] of the chunks' vertices in a height field [257, 257]."""
    return field[_grid_places(interleaved)]


@cache
def _grid_counts(interleaved: bool) -> tuple[np.ndarray, np.ndarray]:
    """The flat grid place of each vertex of a tile, and the vertices at each place [257²], at least 1."""
    rows, columns = _grid_places(interleaved)
    places = (rows * GRID + columns).reshape(-1)
    return places, np.maximum(np.bincount(places, minlength=GRID * GRID), 1)


@cache
def _grid_places(interleaved: bool) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns, each [256, 145], of all vertices of a tile on its grid; chunk = 16 · row + column.

    Args:
        interleaved: a chunk has rows of 9, 8, 9, ... 9 vertices; else 81 outer ones come first, then 64 inner ones.
    """
    outer = [(2 * row, 2 * column) for row in range(OUTER) for column in range(OUTER)]
    inner = [(2 * row + 1, 2 * column + 1) for row in range(INNER) for column in range(INNER)]
    places = np.array(sorted(outer + inner) if interleaved else outer + inner)
    corners = np.arange(CHUNKS) * 2 * INNER
    rows = np.repeat(corners, CHUNKS)[:, None] + places[:, 0]
    columns = np.tile(corners, CHUNKS)[:, None] + places[:, 1]
    return rows, columns


def to_world(placement: np.ndarray) -> np.ndarray:
    """World coordinates [..., 3] (x north, y west, z up) of placements [..., 3] (x east, y up, z south), in yards."""
    x, y, z = np.moveaxis(np.asarray(placement, np.float64), -1, 0)
    return np.stack([CORNER - z, CORNER - x, y], axis=-1)


def to_placement(world: np.ndarray) -> np.ndarray:
    """The inverse of `to_world`."""
    x, y, z = np.moveaxis(np.asarray(world, np.float64), -1, 0)
    return np.stack([CORNER - y, z, CORNER - x], axis=-1)


def within_tile(placement: np.ndarray, x: int, y: int) -> np.ndarray:
    """[..., 2]: row and column of placements in tile (x, y), from 0 at its north-west corner to 1 at the opposite."""
    placement = np.asarray(placement, np.float64)
    return np.stack([placement[..., 2] / TILE - y, placement[..., 0] / TILE - x], axis=-1)
