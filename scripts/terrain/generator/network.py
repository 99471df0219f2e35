"""Towns on flat ground by the water, and the roads between them."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra, minimum_spanning_tree

from scripts.terrain.generator.drainage import grid_edges
from scripts.terrain.generator.noise import hashed, smooth
from scripts.terrain.generator.relief import CELL, CELLS, SIDE

BLOCK = 3 * CELLS  # cells a side of the squares that get a town at most
MARGIN = 4  # cells of a square's edge that stay free
EXTRA_ROADS = 0.35  # share of the roads outside the spanning tree that are built too


def towns(seed: int, ground: np.ndarray, water: np.ndarray, slope: np.ndarray, near_water: np.ndarray) -> np.ndarray:
    """Cells [n, 2] of towns: in each square the best cell, if it is good enough.

    Args:
        ground, slope: [512, 512] in yards, and yards a yard.
        water, near_water: bool [512, 512].
    """
    cells = np.arange(SIDE)
    suitability = hashed(seed, 21, cells[:, None], cells[None]) * 0.4 + 0.5 * near_water - 9 * slope
    suitability -= smooth(ground, 60, 220) + 1.5 * uniform_filter(water.astype(float), 7)
    inside = (cells % BLOCK >= MARGIN) & (cells % BLOCK < BLOCK - MARGIN) & (cells < SIDE // BLOCK * BLOCK)
    suitability = np.where(water | ~(inside[:, None] & inside[None]), -9.0, suitability)
    count = -(-SIDE // BLOCK)
    padded = np.full((count * BLOCK, count * BLOCK), -9.0)
    padded[:SIDE, :SIDE] = suitability
    squares = padded.reshape(count, BLOCK, count, BLOCK).swapaxes(1, 2).reshape(count * count, -1)
    best = squares.argmax(axis=1)
    good = np.flatnonzero(squares.max(axis=1) > 0.25)
    return np.stack([good // count * BLOCK + best[good] // BLOCK, good % count * BLOCK + best[good] % BLOCK], axis=1)


def road_edges(places: np.ndarray, ground: np.ndarray, water: np.ndarray, river: np.ndarray) -> np.ndarray:
    """Pairs [n, 2] of neighbouring cells (flat indices) that roads join.

    One run of Dijkstra's algorithm from all towns gives each cell its nearest town and the cheapest path there. Where
    the areas of two towns touch at the least cost, their paths join to a road.
    """
    first, second, step = grid_edges(SIDE)
    ground, water, river = ground.ravel(), water.ravel(), river.ravel()
    distance = np.where(step > 1, np.sqrt(2.0), 1.0)
    grade = (ground[first] - ground[second]) / (distance * CELL)
    crossing = 6.0 * (river[first] | river[second]) + 60.0 * (water[first] | water[second])
    cost = distance * (1 + 90 * grade * grade + crossing)
    graph = coo_array((np.append(cost, cost), (np.append(first, second), np.append(second, first)))).tocsr()
    sources = places[:, 0] * SIDE + places[:, 1]
    reach, before, owner = dijkstra(graph, indices=sources, min_only=True, return_predecessors=True)
    town = np.full(SIDE * SIDE, -1)
    town[sources] = np.arange(len(sources))
    town = town[np.maximum(owner, 0)]
    total = reach[first] + cost + reach[second]
    chosen = _chosen(town[first], town[second], total, len(sources))
    pairs = [np.stack([first[chosen], second[chosen]], axis=1)]
    cells = np.unique(pairs[0])
    while len(cells := cells[before[cells] >= 0]):  # back to both towns
        pairs.append(np.stack([cells, before[cells]], axis=1))
        cells = np.unique(before[cells])
    return np.unique(np.sort(np.concatenate(pairs).astype(np.int64), axis=1), axis=0)


def _chosen(town: np.ndarray, neighbour: np.ndarray, total: np.ndarray, count: int) -> np.ndarray:
    """Edges at which the paths of two towns join: those of the cheapest tree of towns, and some more cheap ones."""
    low, high = np.minimum(town, neighbour), np.maximum(town, neighbour)
    between = np.flatnonzero((low != high) & (low >= 0) & (total < 400))
    order = between[np.lexsort((between, total[between]))]
    _, begin = np.unique(low[order] * count + high[order], return_index=True)
    best = order[np.sort(begin)]
    tree = minimum_spanning_tree(coo_array((total[best], (low[best], high[best])), shape=(count, count)).tocsr())
    needed = np.zeros((count, count), bool)
    needed[tree.nonzero()] = True
    spare = best[~needed[low[best], high[best]]]
    return np.append(best[needed[low[best], high[best]]], spare[: int(len(spare) * EXTRA_ROADS)])
