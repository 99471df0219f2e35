"""The relief of the whole map on a coarse grid: uplifted land, eroded by rivers, with hollows for lakes."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_opening, correlate1d, label, map_coordinates, minimum_filter, zoom

from scripts.terrain.generator.drainage import Drainage, drain
from scripts.terrain.generator.noise import hashed, noise, octaves, smooth
from scripts.terrain.geometry import MAP_TILES, TILE

CELLS = 8  # a side of a tile
SIDE = MAP_TILES * CELLS  # 512 cells a side of the map
CELL = TILE / CELLS  # yards
STEEPEST = 1.0  # yards of height a yard, between two cells
FLOOR, CEILING = -70.0, 680.0  # yards; no ground lies beyond
EROSION_ROUNDS = 10
AROUND = np.ones((3, 3), bool)
LAKE_DEPTH, LAKE_CELLS = 4.0, 6  # the least of a hollow that stays a lake
DEEPEST = 18.0  # yards of a lake; rivers cut the outlets of deeper ones


def land_and_lift(seed: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Two fields [side, side]: how far land stands from the coast (below 0: sea), and how fast it rises, 0 to 1.

    The map's middle, where exports begin, is on land and not far from the coast.
    """
    cells = side / MAP_TILES
    places = np.arange(side)
    edge = np.minimum(places, places[::-1]) / cells
    border = 2.2 * smooth(np.minimum(edge[:, None], edge[None]), 5, 0)
    middle = np.abs(places / cells - MAP_TILES / 2) / (MAP_TILES / 4)
    inland = smooth(np.maximum(middle[:, None], middle[None]), 1, 0.15)
    land = octaves(seed, 1, places, places, 13 * cells, 6)
    land += 0.65 - border + (0.05 - land[side // 2, side // 2]) * inland
    ridge = 1 - np.abs(noise(seed, 2, places, places, 5 * cells) + 0.35 * noise(seed, 3, places, places, 2 * cells))
    ranges = smooth(ridge, 0.3, 1.0) * smooth(noise(seed, 4, places, places, 5 * cells), -0.5, 0.6)
    hills = smooth(octaves(seed, 5, places, places, 3 * cells, 3), -0.3, 1.3)
    lift = (0.04 + 0.28 * hills + 0.95 * ranges) * smooth(land, -0.05, 0.5)
    return land.astype(np.float64), lift.astype(np.float64)


def eroded(heights: np.ndarray, lift: np.ndarray, sea: np.ndarray, cell: float, rounds: int) -> np.ndarray:
    """Ground on which uplift and river erosion are in balance, yards [n, n].

    Idea: under the stream power law a river's slope in balance is lift · hardness / sqrt(drained area) (Whipple and
    Tucker 1999, "Dynamics of the stream-power river incision model"). Each round drains the ground of the round before
    and sums these slopes, at most `STEEPEST`, from the sea upwards. Example: where four times the area drains, the
    river is half as steep.

    Args:
        heights, lift: [n, n]; heights in yards, lift from 0 to 1.
        sea: bool [n, n].
        cell: yards.
    """
    hardness = 0.55 + 0.9 * hashed(lift.size, 11, np.arange(lift.size), 0)
    rise = lift.ravel() * hardness
    for _ in range(rounds):
        heights = heights.reshape(lift.shape)
        crept = np.where(sea, heights, 0.6 * heights + 0.4 * blurred(heights))  # which also rounds ridges off
        heights = _slipped(crept, STEEPEST * cell)
        drainage = drain(heights, sea)
        heights = heights.ravel()
        area = drainage.area() * (cell / 133) ** 2
        slope = np.minimum(STEEPEST * 0.9, 1.6 * rise / np.sqrt(area + 0.6))
        for cells in drainage.levels[1:]:
            heights[cells] = heights[drainage.receiver[cells]] + slope[cells] * cell
    return heights.reshape(lift.shape)


def blurred(field: np.ndarray, rounds: int = 1) -> np.ndarray:
    """A field [n, n] under so many rounds of the binomial filter 1-2-1 along both axes."""
    kernel = np.array([0.25, 0.5, 0.25])
    for _ in range(rounds):
        field = correlate1d(correlate1d(field, kernel, 0, mode="nearest"), kernel, 1, mode="nearest")
    return field


def _slipped(heights: np.ndarray, step: float) -> np.ndarray:
    """Heights with cliffs lowered to ``step`` above their lowest neighbour, within six cells of each cliff."""
    for _ in range(6):
        heights = np.minimum(heights, minimum_filter(heights, footprint=AROUND) + step)
    return heights


def coarse_relief(seed: int) -> np.ndarray:
    """Ground [512, 512] in yards before water is laid on it, with hollows where lakes may stand."""
    half = SIDE // 2
    land, lift = land_and_lift(seed, half)
    sea = land < 0
    heights = np.where(sea, 0, 60 * land + 10 * noise(seed, 6, np.arange(half), np.arange(half), 5))
    heights = eroded(heights, lift, sea, 2 * CELL, EROSION_ROUNDS)
    land, lift = land_and_lift(seed, SIDE)
    sea, fine = land < 0, zoom(heights, 2, order=1, mode="nearest", grid_mode=True)
    fine = eroded(np.where(sea, 0, np.maximum(fine, 0.5)), lift, sea, CELL, 2)
    places = np.arange(SIDE)
    # Heights from a little beside, so that valleys bend where the grid's eight directions would keep them straight.
    down, right = (octaves(seed, channel, places, places, 9, 2) * 1.1 for channel in (12, 13))
    warped = map_coordinates(fine, [places[:, None] + down, places[None] + right], order=1, mode="nearest")
    fine = _slipped(warped, STEEPEST * CELL)
    fine += (2 + lift * 14) * octaves(seed, 7, places, places, 7, 2)
    above = np.maximum(fine - 300, 0)  # flattened: 480 yards for 600, and none above 750
    flattened = np.minimum(fine, 300) + above / (1 + above / 450)
    shape = octaves(seed, 8, places, places, 1.7 * CELLS, 3) + 0.5 * noise(seed, 9, places, places, 9 * CELLS)
    hollows = np.where(sea, 0, 34 * smooth(shape, 0.55, 1.5) * smooth(lift, 0.5, 0.12))
    return np.clip(np.where(sea, 90 * land / (1 - land), flattened + 1.5) - hollows, FLOOR + 15, CEILING - 40)


def lay_water(ground: np.ndarray) -> tuple[np.ndarray, np.ndarray, Drainage]:
    """Ground without puddles, the water level over it, each [512, 512], and how it drains.

    The level is the ground's own height where it is dry. Hollows too small or too narrow for a lake are filled.
    """
    edge = np.ones(ground.shape, bool)
    edge[1:-1, 1:-1] = False
    parts, _ = label(ground <= 0, structure=AROUND)
    sea = np.isin(parts, np.unique(parts[edge & (parts > 0)])) | edge
    drainage, lowest = drain(ground, sea), ground.ravel().copy()
    for cells in reversed(drainage.levels[1:]):  # upstream first: the lowest ground that drains through each cell
        np.minimum.at(lowest, drainage.receiver[cells], lowest[cells])
    ground = np.minimum(ground, np.maximum(lowest + DEEPEST, 1.0).reshape(ground.shape))
    drainage = drain(ground, sea)
    level = drainage.highest_on_the_way(np.where(sea, 0, ground).ravel()).reshape(ground.shape)
    flooded = (level > ground) & ~sea
    lakes, count = label(binary_opening(flooded, np.ones((2, 2))), structure=AROUND)
    deepest, cells = np.zeros(count + 1), np.bincount(lakes.ravel())
    np.maximum.at(deepest, lakes.ravel(), (level - ground).ravel())
    kept = ((deepest >= LAKE_DEPTH) & (cells >= LAKE_CELLS))[lakes] & (lakes > 0)
    return np.where(flooded & ~kept, level, ground), level, drainage
