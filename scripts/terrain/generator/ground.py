"""The ground of one tile and the water on it, from the world, with a margin of its neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scripts.terrain.generator.curves import Curves, nearest
from scripts.terrain.generator.noise import noise, smooth, spline
from scripts.terrain.generator.world import CELL_STEPS, DRY, STEP, TILE_STEPS, World
from scripts.terrain.geometry import GRID, fill_between_vertices

MARGIN = 32  # grid points around the tile: 67 yards, from which shadows still fall into it
SIDE = GRID + 2 * MARGIN
RIVER_REACH, ROAD_REACH = 26.0, 16.0  # steps
DETAIL = ((52, 9.0), (26, 5.0), (13, 2.3), (6.5, 0.9))  # wavelength in steps, height in yards where it is most broken
PLAIN = 0.12  # share of that on a plain
INNER = slice(MARGIN, MARGIN + GRID)


@dataclass(frozen=True)
class Ground:
    """A tile with its margin; fields are [321, 321] on grid points.

    Attributes:
        heights: float64, yards, to the hundredth.
        surface: float32, height of the water's plane, also a little beyond its edge; else `DRY`.
        water: bool.
        river: float32, steps to the edge of the nearest river, negative inside; inf far away.
        ocean: bool, where the surface is the sea's.
        road: float32, steps to the middle of the nearest road; inf far away.
        town: float32, 1 in the middle of a town, 0 outside.
        rough, moisture, warmth, shore: float32, see `World`.
        origin: row and column in steps of the first point.
    """

    heights: np.ndarray
    surface: np.ndarray
    water: np.ndarray
    river: np.ndarray
    ocean: np.ndarray
    road: np.ndarray
    town: np.ndarray
    rough: np.ndarray
    moisture: np.ndarray
    warmth: np.ndarray
    shore: np.ndarray
    origin: tuple[int, int]


def ground_of(world: World, x: int, y: int) -> Ground:
    """The ground of tile (x, y). A point that tiles share is the same in each of them."""
    top, left = y * TILE_STEPS - MARGIN, x * TILE_STEPS - MARGIN
    rows, columns = np.arange(top, top + SIDE), np.arange(left, left + SIDE)
    places = rows / CELL_STEPS - 0.5, columns / CELL_STEPS - 0.5
    rough, moisture, warmth, shore = (spline(field, *places) for field in world.climate)
    cells = np.ix_((rows // CELL_STEPS).clip(0, 511), (columns // CELL_STEPS).clip(0, 511))
    level, ocean = world.level[cells].astype(np.float32), world.ocean[cells]
    river = _near(world.rivers, rows, columns, RIVER_REACH, inset=1)
    road = _near(world.roads, rows, columns, ROAD_REACH)[0]
    coarse, town = _with_towns(world, spline(world.ground, *places), rows, columns)
    calm = np.maximum(np.maximum(town, 0.8 * smooth(road, 9, 2)), 0.9 * smooth(river[0], 20, 2))
    level_ground = np.where(level > DRY, 0.3 + 0.7 * smooth(np.abs(coarse - level), 0, 12), 1)
    detail = np.zeros(rough.shape, np.float32)  # below the size of a cell: waves on plains, sharp ridges in mountains
    amplitude = np.float32(PLAIN) + np.float32(1 - PLAIN) * rough
    for octave, (wavelength, yards) in enumerate(DETAIL):
        wave = noise(world.seed, 51 + octave, rows, columns, wavelength)
        ridge = np.float32(0.7) - np.float32(1.6) * np.abs(wave)
        detail += np.float32(yards) * amplitude * (wave + rough * (ridge - wave))
    heights = coarse + detail * (1 - calm) * level_ground
    heights = np.clip(_carved(heights, river, level), *world.bounds).astype(np.float64)
    heights = fill_between_vertices(np.rint(heights * 100) / 100)
    flows = (river[0] < 0) & (heights < river[1])
    surface = np.maximum(level, np.where(river[0] < 4, river[1], DRY).astype(np.float32))
    water = (heights < level) | flows
    surface = np.where(flows & (heights >= level), river[1], surface)
    return Ground(heights, surface, water, river[0], ocean, road, town, rough, moisture, warmth, shore, (top, left))


def _near(curves: Curves, rows: np.ndarray, columns: np.ndarray, reach: float, inset: int | None = None) -> np.ndarray:
    """Distance and values of the nearest curve, as `nearest` gives them, float32 [1 + values, 321, 321]."""
    far = reach + 20  # more than half the width of any river
    pieces = curves.near(rows[0] - far, columns[0] - far, rows[-1] + far, columns[-1] + far)
    return nearest(pieces, rows[0], columns[0], len(rows), reach, inset)


def _with_towns(
    world: World, coarse: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The coarse ground, levelled under towns, and each point's share in a town: 1 in its middle, 0 outside."""
    town = np.zeros(coarse.shape, np.float32)
    for row, column, height, radius in world.towns:
        away = 2 * radius + 1
        if rows[0] - away < row < rows[-1] + away and columns[0] - away < column < columns[-1] + away:
            down, right = (rows - row)[:, None] / radius, (columns - column)[None] / radius
            within = smooth(np.sqrt(down * down + right * right), 1.9, 0.8).astype(np.float32)
            coarse = coarse + within * np.float32(0.75) * (np.float32(height) - coarse)
            town = np.maximum(town, within)
    return coarse, town


def _carved(heights: np.ndarray, river: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Heights with a bed in the river, and with gentle banks beside it.

    Under standing water there are no banks, so that a river does not build a dam into its lake.
    """
    edge, surface, half, depth = river
    out = np.minimum(np.maximum(edge, 0), RIVER_REACH) * np.float32(STEP)
    banked = np.minimum(heights, surface + 0.5 + 0.55 * out)
    banked = np.where(heights < level, banked, np.maximum(banked, surface + 0.35 - 0.5 * out))
    across = np.clip(-edge / np.maximum(half, 0.1), 0, 1)
    bed = surface - depth * (0.25 + 0.75 * across)
    far = smooth(np.minimum(edge, RIVER_REACH), RIVER_REACH * 0.3, RIVER_REACH * 0.8)
    return np.where(edge < 0, np.minimum(heights, bed), banked + far * (heights - banked))
