"""The cover of a tile's ground: grass, forest floor, sand, rock, snow and so on, as soft shares of each pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scripts.terrain.generator.ground import INNER, MARGIN, Ground
from scripts.terrain.generator.noise import noise, smooth
from scripts.terrain.generator.relief import FLOOR
from scripts.terrain.generator.world import STEP

PIXELS = 256  # a side; a pixel lies between four grid points
MATERIALS = ("grass", "drygrass", "heath", "leaves", "scree", "rock", "snow", "sand", "gravel", "cobble", "dirt")
ROAD_HALF = 2.8  # yards
SNOW_LINE = 310.0  # yards, where warmth is 0


@dataclass(frozen=True)
class Cover:
    """A tile's cover; fields are float32 [256, 256] on pixels unless said otherwise.

    Attributes:
        shares: [11, 256, 256], of `MATERIALS`; they sum to 1.
        heights, slope: yards, and yards a yard.
        depth: yards of water; 0 on land.
        forest: [321, 321] on the grid points of `Ground`: how dense trees are, 0 to 1.
    """

    shares: np.ndarray
    heights: np.ndarray
    slope: np.ndarray
    depth: np.ndarray
    forest: np.ndarray


def pixels(field: np.ndarray) -> np.ndarray:
    """A field [..., 321, 321] on grid points, or [..., 257, 257], as float32 means of four on the tile's pixels."""
    if field.shape[-1] != PIXELS + 1:
        field = field[..., INNER, INNER]
    top, bottom = field[..., :-1, :], field[..., 1:, :]
    return ((top[..., :-1] + top[..., 1:] + bottom[..., :-1] + bottom[..., 1:]) / 4).astype(np.float32)


def slopes(heights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Yards a yard to the south and to the east, float32, at each point of a grid of heights."""
    down, right = np.gradient(heights.astype(np.float32), np.float32(STEP))
    return down, right


def cover_of(seed: int, ground: Ground) -> Cover:
    """The cover of a tile: materials in layers, each of which hides a part of what lies below it."""
    rows, columns = (origin + np.arange(len(ground.heights)) for origin in ground.origin)
    heights, wet = pixels(ground.heights), pixels(ground.water.astype(np.float32)) > 0.5
    down, right = slopes(ground.heights)
    steep = np.sqrt(down * down + right * right)
    # Trees stand in patches, but not on steep, high or wet ground, on roads and in towns.
    patches = ground.moisture + 0.75 * noise(seed, 63, rows, columns, 70) + 0.3 * noise(seed, 64, rows, columns, 22)
    trees = smooth(patches, -0.35, 0.5) * smooth(ground.heights, 250, 150) * smooth(steep, 0.95, 0.55)
    clear = smooth(np.minimum(ground.road, 12), 3, 7) * smooth(ground.town, 0.5, 0.05)
    dry = ~ground.water & (ground.heights > ground.surface + 1.2)
    trees = (trees * clear * dry).astype(np.float32)
    slope, forest = pixels(steep), pixels(trees)
    tile_rows, tile_columns = rows[MARGIN : MARGIN + PIXELS], columns[MARGIN : MARGIN + PIXELS]
    ragged = noise(seed, 61, tile_rows, tile_columns, 9) + 0.5 * noise(seed, 62, tile_rows, tile_columns, 4)
    moisture, warmth, town = pixels(ground.moisture), pixels(ground.warmth), pixels(ground.town)
    road, river = pixels(np.minimum(ground.road, 30)) * STEP, pixels(np.minimum(ground.river, 30)) * STEP
    above = heights - pixels(np.maximum(ground.surface, FLOOR - 100))
    shore = smooth(pixels(ground.shore), 0.04, 0.4)
    cold = heights + 30 * ragged - 70 * warmth
    layers = {  # from the lowest up, how much of what lies below each covers, 0 to 1
        "drygrass": smooth(0.45 * warmth - moisture + 0.25 * ragged, -0.1, 0.7),
        "leaves": 0.85 * smooth(forest + 0.1 * ragged, 0.25, 0.8),
        "heath": smooth(cold, 120, 220),
        "scree": 0.9 * smooth(slope + 0.12 * ragged, 0.5, 0.8) * smooth(heights, 20, 120),
        "rock": smooth(slope + 0.15 * ragged, 0.72, 1.05),
        "snow": smooth(cold - 130 * np.maximum(slope - 0.55, 0), SNOW_LINE, SNOW_LINE + 60) * smooth(slope, 1.7, 1.2),
        "sand": shore * smooth(above + 0.7 * ragged, 3.2, 1.4) * smooth(heights, 190, 120),
        "gravel": np.maximum(smooth(river + ragged, 4.0, 1.0), shore * smooth(above, 0, -6)),
        "cobble": 0.9 * smooth(town + 0.15 * ragged, 0.75, 0.95) * smooth(above, 0.2, 1),
        "dirt": smooth(road + 0.5 * ragged, ROAD_HALF + 0.9, ROAD_HALF - 0.7) * smooth(above, -0.2, 0.4),
    }
    shares = np.zeros((len(MATERIALS), PIXELS, PIXELS), np.float32)
    left = np.ones((PIXELS, PIXELS), np.float32)
    for name, share in reversed(layers.items()):
        shares[MATERIALS.index(name)] = left * share.astype(np.float32)
        left -= shares[MATERIALS.index(name)]
    shares[0] = left
    depth = np.where(wet, np.maximum(pixels(ground.surface) - heights, 0.05), 0).astype(np.float32)
    return Cover(shares, heights, slope, depth, trees)
