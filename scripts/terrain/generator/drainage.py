"""The drainage of a grid of cells: the path of each cell's water to the sea over the lowest passes.

Idea: weigh the edge between two neighbouring cells by the higher of the two, and break ties by the steeper edge. In the
minimum spanning tree of that graph the path between two cells has the lowest possible maximum (a minimax path: Hu 1961,
"The Maximum Capacity Route Problem"), so the path to the sea goes down the steepest slope, and leaves a hollow over its
lowest rim. Example, heights in a row with the sea at the left: in 0 5 2 3 the cell of 2 drains over 5, the cell of 3
through 2. Shapes: heights [n, n] become receivers and depths [n²], by flat index.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

STEPS = ((0, 1), (1, 0), (1, 1), (1, -1))  # to half of the eight neighbours; edges go both ways
STEEP = 1 << 22  # levels of slope


@dataclass(frozen=True)
class Drainage:
    """The drainage of a square grid; cells by their flat index.

    Attributes:
        receiver: [n] the cell into which each cell drains; an outlet's is itself.
        levels: arrays of cells, outlets first, then the cells that drain into those, and so on.
    """

    receiver: np.ndarray
    levels: list[np.ndarray]

    def highest_on_the_way(self, values: np.ndarray) -> np.ndarray:
        """[n]: the maximum of values [n] over each cell and all cells downstream of it."""
        result, jump = values.copy(), self.receiver
        for _ in range(max(1, len(self.levels).bit_length())):
            result = np.maximum(result, result[jump])
            jump = jump[jump]
        return result

    def area(self) -> np.ndarray:
        """[n]: how many cells drain through each cell, itself included."""
        total = np.ones(len(self.receiver))
        for cells in reversed(self.levels[1:]):
            np.add.at(total, self.receiver[cells], total[cells])
        return total


def grid_edges(side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each pair of neighbouring cells once: both flat indices, and the pair's place in `STEPS`."""
    index = np.arange(side * side).reshape(side, side)
    first, second, step = [], [], []
    for number, (down, right) in enumerate(STEPS):
        here = index[: side - down, max(0, -right) : side - max(0, right)]
        there = index[down:, max(0, right) : side + min(0, right)]
        first.append(here.ravel())
        second.append(there.ravel())
        step.append(np.full(here.size, number))
    return np.concatenate(first), np.concatenate(second), np.concatenate(step)


def drain(heights: np.ndarray, sea: np.ndarray) -> Drainage:
    """The drainage of a height field [n, n] into its sea, bool [n, n], which includes the whole edge.

    The tree's root is an extra node behind all cells of the sea. Edges within the sea are left out.
    """
    size, heights = heights.size, np.where(sea, heights.min() - 1, heights).ravel()
    first, second, step = grid_edges(len(sea))
    inland = ~(sea.ravel()[first] & sea.ravel()[second])
    first, second, step = first[inland], second[inland], step[inland]
    outlets, cells = np.flatnonzero(sea), np.arange(size)
    weights = np.append(_weights(heights, first, second, step), (outlets + 1) / (2 * size))
    rows, columns = np.append(first, np.full(len(outlets), size)), np.append(second, outlets)
    graph = coo_array((weights, (rows, columns)), shape=(size + 1, size + 1)).tocsr()
    order, before = breadth_first_order(minimum_spanning_tree(graph), size, directed=False)
    receiver = np.where(before[:size] == size, cells, before[:size]).astype(np.int64)
    depth, jump = (receiver != cells).astype(np.int64), receiver
    while depth[jump].any():  # pointer jumping: each round doubles the length of the path that is counted
        depth, jump = depth + depth[jump], jump[jump]
    return Drainage(receiver, np.split(order[1:], np.flatnonzero(np.diff(depth[order[1:]])) + 1))


def _weights(heights: np.ndarray, first: np.ndarray, second: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Different whole numbers from 1, so that the tree is unique: by the higher cell, then slope, then direction."""
    rank = np.empty(len(heights), np.int64)
    rank[np.argsort(heights, kind="stable")] = np.arange(len(heights))
    slope = np.abs(heights[first] - heights[second]) / np.where(step > 1, np.sqrt(2.0), 1.0)
    gentle = ((STEEP - 1) * (1 - slope / slope.max())).astype(np.int64)
    turned = 4 * (rank[first] > rank[second]) + step
    return ((np.maximum(rank[first], rank[second]) * STEEP + gentle) * 8 + turned + 1).astype(np.float64)
