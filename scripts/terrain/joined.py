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
    """One height field in yards; where no tile lies, the mean height of the map.

    Along a border both tiles are moved to their mean, all of the way at the border and none at the tile's middle, first
    across, then along: corners of four tiles meet as well.
    """
    closed = _closed(_closed(dict(placed), (1, 0)), (0, 1))
    points = len(next(iter(closed.values()))) - 1
    left, top = (min(at) for at in zip(*closed, strict=True))
    whole = np.full(pixels_of(closed), np.mean([field.mean() for field in closed.values()]))
    for (x, y), field in closed.items():
        row, column = (y - top) * points, (x - left) * points
        whole[row : row + points + 1, column : column + points + 1] = field
    return whole


def _closed(placed: dict[tuple[int, int], np.ndarray], step: tuple[int, int]) -> dict[tuple[int, int], np.ndarray]:
    """The tiles with the borders across one direction closed: (1, 0) eastwards, (0, 1) southwards."""
    fields = {at: field.copy() for at, field in placed.items()}
    points = len(next(iter(fields.values())))
    fade = np.clip(1 - np.arange(points) / (points // 2), 0, 1)
    for (x, y), field in placed.items():
        after = placed.get((x + step[0], y + step[1]))
        if after is None:
            continue
        own, other = (field[:, -1], after[:, 0]) if step[0] else (field[-1], after[0])
        half = (other - own) / 2
        here, there = fields[x, y], fields[x + step[0], y + step[1]]
        if step[0]:
            here += half[:, None] * fade[::-1]
            there -= half[:, None] * fade
        else:
            here += fade[::-1, None] * half
            there -= fade[:, None] * half
    return fields
