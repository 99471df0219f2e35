"""Where a map's tiles lie, and into which shard each belongs: light, because every plan asks."""

from __future__ import annotations

import math

MAP_TILES = 64  # a side of a map
SHARD = 8  # tiles a side of a shard


def shard_of(x: int, y: int) -> str:
    """The shard that a tile belongs to, whatever other tiles there are: ``4_3``."""
    return f"{x // SHARD}_{y // SHARD}"


def block(tiles: int) -> list[tuple[int, int]]:
    """Places (x, y) of so many tiles around a map's middle, row by row; only the last row may be short."""
    columns = math.isqrt(tiles - 1) + 1
    rows = -(-tiles // columns)
    left, top = MAP_TILES // 2 - columns // 2, MAP_TILES // 2 - rows // 2
    return [(left + index % columns, top + index // columns) for index in range(tiles)]
