"""Rivers and roads as short straight pieces of smooth curves, and the distance of grid points from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PIECES = 4  # a curve


@dataclass(frozen=True)
class Curves:
    """Straight pieces.

    Attributes:
        ends: [n, 2, 2 + values] row, column (in the grid's steps) and values at both ends of each piece.
        low, high: [n, 2] corners of each piece's bounding box.
    """

    ends: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def near(self, top: float, left: float, bottom: float, right: float) -> np.ndarray:
        """The pieces [m, 2, 2 + values] whose bounding box meets a rectangle."""
        below, above = (self.low <= (bottom, right)), (self.high >= (top, left))
        return self.ends[below[:, 0] & below[:, 1] & above[:, 0] & above[:, 1]]


def through(nodes: np.ndarray, before: np.ndarray, middle: np.ndarray, after: np.ndarray) -> Curves:
    """Curves from halfway to the node before, past the middle one, to halfway to the one after.

    Args:
        nodes: [n, 2 + values]; rows, columns and values of all nodes.
        before, middle, after: indices into them, one of each a curve; a curve begins at a node that is given twice.
    """
    start, control, end = (nodes[before] + nodes[middle]) / 2, nodes[middle], (nodes[middle] + nodes[after]) / 2
    t = np.linspace(0, 1, PIECES + 1)[:, None, None]  # a quadratic Bézier curve
    points = start * ((1 - t) * (1 - t)) + control * (2 * t * (1 - t)) + end * (t * t)
    pieces = np.stack([points[:-1], points[1:]], axis=2)
    ends = pieces.reshape(-1, 2, nodes.shape[1])
    return Curves(ends, np.minimum(ends[:, 0, :2], ends[:, 1, :2]), np.maximum(ends[:, 0, :2], ends[:, 1, :2]))


def nearest(pieces: np.ndarray, top: int, left: int, side: int, reach: float, inset: int | None = None) -> np.ndarray:
    """The distance of each grid point to the nearest piece, and its values there, float32 [1 + values, side, side].

    Args:
        pieces: [n, 2, 2 + values] as of `Curves.near`.
        top, left, side: the grid of side × side points, a step apart.
        reach: steps; a point that is further from all pieces gets an infinite distance and zeros.
        inset: which of the values is subtracted from the distance before pieces are compared (a river's half width).
    """
    values = pieces.shape[2] - 2
    result = np.zeros((1 + values, side, side), np.float32)
    result[0] = np.inf
    for piece in pieces - np.array([top, left] + [0] * values):
        (first_row, first_column), (last_row, last_column) = np.sort(piece[:, :2], axis=0).tolist()
        row, column = max(int(first_row - reach), 0), max(int(first_column - reach), 0)
        window = result[:, row : max(int(last_row + reach) + 2, 0), column : max(int(last_column + reach) + 2, 0)]
        if window.size:
            _improve(window, piece, (row, column), reach, inset)
    return result


def _improve(window: np.ndarray, piece: np.ndarray, corner: tuple[int, int], reach: float, inset: int | None) -> None:
    """Writes distance and values of a piece into a window, from ``corner`` on, where it is nearer than all before."""
    rows = np.arange(window.shape[1], dtype=np.float32)[:, None] + np.float32(corner[0] - piece[0, 0])
    columns = np.arange(window.shape[2], dtype=np.float32)[None] + np.float32(corner[1] - piece[0, 1])
    down, right = (piece[1, :2] - piece[0, :2]).astype(np.float32)
    length = np.maximum(down * down + right * right, np.float32(1e-6))
    along = np.minimum(np.maximum(rows * (down / length) + columns * (right / length), 0), 1)
    rows, columns = rows - along * down, columns - along * right
    distance = np.sqrt(rows * rows + columns * columns)
    within = distance <= reach
    ends = piece[:, 2:].astype(np.float32)
    if inset is not None:
        distance -= ends[0, inset] + along * (ends[1, inset] - ends[0, inset])
    closer = within & (distance < window[0])
    np.copyto(window[0], distance, where=closer)
    for number, (start, end) in enumerate(ends.T, 1):
        np.copyto(window[number], start + along * (end - start), where=closer)
