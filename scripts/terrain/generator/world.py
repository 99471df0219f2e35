"""The whole map of a seed: everything larger than a tile. Each tile is made from it independently.

Coordinates are in steps, the distance between a tile's grid points: 256 a tile, 32 a cell of the coarse grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.ndimage import binary_dilation, maximum_filter, minimum_filter, spline_filter

from scripts.terrain.generator.curves import Curves, through
from scripts.terrain.generator.drainage import Drainage
from scripts.terrain.generator.network import road_edges, towns
from scripts.terrain.generator.noise import hashed, noise, octaves, smooth
from scripts.terrain.generator.relief import AROUND, CELL, CELLS, SIDE, blurred, coarse_relief, lay_water
from scripts.terrain.geometry import GRID, TILE

TILE_STEPS = GRID - 1
STEP = TILE / TILE_STEPS  # yards
CELL_STEPS = TILE_STEPS // CELLS
RIVER_AREA = 70  # cells that drain through a cell with a river
BANK = 1.2  # yards from the coarse ground down to a river
DRY = -1000.0  # a water level where no lake or sea is


@dataclass(frozen=True)
class World:
    """A map; fields are float64 [512, 512] on the cells' middles.

    Attributes:
        ground: spline coefficients of the ground's height, yards.
        bounds: lowest and highest ground, yards.
        climate: [4] fields: how broken the ground is, 0 to 1; moisture, about -1 to 1; warmth, apart from height, about
            -1 to 1; and 1 on lakes and sea, 0 elsewhere.
        level: height of lakes and sea, yards, on their cells and the banks around; else `DRY`.
        ocean: where that water is the sea.
        rivers: pieces with height of the surface (yards), half the width (steps) and depth (yards).
        roads: pieces without values.
        towns: [n, 4] row and column (steps), height (yards), radius (steps).
    """

    seed: int
    ground: np.ndarray
    bounds: tuple[float, float]
    climate: np.ndarray
    level: np.ndarray
    ocean: np.ndarray
    rivers: Curves
    roads: Curves
    towns: np.ndarray


@lru_cache(maxsize=2)
def world_of(seed: int) -> World:
    """The map of a seed; takes about three seconds."""
    ground, level, drainage = lay_water(coarse_relief(seed))
    water = level > ground
    ground, banked = _banks(ground, level, water)
    area = drainage.area().reshape(SIDE, SIDE)
    river = (area >= RIVER_AREA) & ~water
    slope = _slope(ground)
    near_water = binary_dilation(water | (area >= 3 * RIVER_AREA), AROUND, iterations=2)
    places = towns(seed, ground, water, slope, near_water)
    cells = np.arange(SIDE)
    rough = blurred(smooth(slope, 0.04, 0.6), 2)
    moisture = octaves(seed, 31, cells, cells, 5 * CELLS, 3) + 0.5 * blurred(near_water.astype(float), 3)
    warmth = noise(seed, 33, cells, cells, 14 * CELLS)
    radius = (40 + 55 * hashed(seed, 22, places[:, 0], places[:, 1])) / STEP
    return World(
        seed=seed,
        ground=spline_filter(ground, order=3, mode="mirror"),
        bounds=(float(np.floor(ground.min())) - 10, float(np.ceil(ground.max())) + 30),
        climate=np.stack([rough, moisture, warmth, water]),
        level=banked,
        ocean=(banked == 0),
        rivers=_rivers(seed, drainage, ground, level, water, area),
        roads=_roads(seed, road_edges(places, ground, water, river), places),
        towns=np.column_stack([(places + 0.5) * CELL_STEPS, ground[places[:, 0], places[:, 1]], radius]),
    )


def _banks(ground: np.ndarray, level: np.ndarray, water: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ground that rises at the water's edge, and the water level on water and the cells around it."""
    high = maximum_filter(np.where(water, level, DRY), footprint=AROUND)
    low = minimum_filter(np.where(water, level, -DRY), footprint=AROUND)
    reached = np.where(high <= ground + 1e-9, high, np.where(low <= ground + 1e-9, low, DRY))
    shore = ~water & (reached > DRY)
    return np.where(shore, np.maximum(ground, high + 1.5), ground), np.where(water, level, reached)


def _slope(ground: np.ndarray) -> np.ndarray:
    down, right = np.gradient(ground, CELL)
    return np.sqrt(down * down + right * right)


def _nodes(seed: int, channel: int, wander: np.ndarray) -> np.ndarray:
    """[512², 2]: rows and columns in steps of all cells, each up to ``wander`` of a cell away from its middle."""
    cells = np.arange(SIDE)
    rows = cells[:, None] + 0.5 + wander * (2 * hashed(seed, channel, cells[:, None], cells[None]) - 1)
    columns = cells[None] + 0.5 + wander * (2 * hashed(seed, channel + 1, cells[:, None], cells[None]) - 1)
    return np.stack([rows.ravel(), columns.ravel()], axis=1) * CELL_STEPS


def _rivers(
    seed: int, drainage: Drainage, ground: np.ndarray, level: np.ndarray, water: np.ndarray, area: np.ndarray
) -> Curves:
    wander = 0.38 * (1 - smooth(_slope(ground), 0.03, 0.25))  # on a slope a river keeps to its valley
    wet, root = water.ravel(), np.sqrt(area.ravel())
    surface = drainage.highest_on_the_way(np.where(wet, level.ravel(), level.ravel() - BANK))
    nodes = np.column_stack([_nodes(seed, 41, wander), surface, (2.2 + 0.2 * root) / STEP, 1.2 + 0.07 * root])
    flows = (area.ravel() >= RIVER_AREA) & ~wet
    above = np.flatnonzero((area.ravel() >= RIVER_AREA) & (flows | flows[drainage.receiver]))
    middle = drainage.receiver[above]
    after = np.where(wet[middle], middle, drainage.receiver[middle])
    fed = np.isin(np.flatnonzero(flows), middle)
    springs = np.flatnonzero(flows)[~fed]
    return through(
        nodes, np.append(above, springs), np.append(middle, springs), np.append(after, drainage.receiver[springs])
    )


def _roads(seed: int, edges: np.ndarray, places: np.ndarray) -> Curves:
    """Curves of the road edges, straightened out where the grid makes them turn."""
    nodes = _nodes(seed, 43, np.full((SIDE, SIDE), 0.2))
    both = np.concatenate([edges, edges[:, ::-1]])
    degree = np.bincount(both[:, 0], minlength=len(nodes))
    free = degree > 1
    free[places[:, 0] * SIDE + places[:, 1]] = False
    for _ in range(3):
        total = np.zeros_like(nodes)
        np.add.at(total, both[:, 0], nodes[both[:, 1]])
        mean = total / np.maximum(degree, 1)[:, None]
        nodes = np.where(free[:, None], (nodes + mean) / 2, nodes)
    both = both[np.lexsort((both[:, 1], both[:, 0]))]
    passed = np.flatnonzero((degree[both[:-1, 0]] == 2) & (both[:-1, 0] == both[1:, 0]))
    ends = both[degree[both[:, 0]] != 2]
    before, after = np.append(both[passed, 1], ends[:, 0]), np.append(both[passed + 1, 1], ends[:, 1])
    return through(nodes, before, np.append(both[passed, 0], ends[:, 0]), after)
