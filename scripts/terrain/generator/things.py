"""The objects on a tile: trees and rocks, houses in towns, bridges, caves."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from scripts.terrain.generator.cover import Cover, pixels
from scripts.terrain.generator.ground import INNER, MARGIN, Ground
from scripts.terrain.generator.layers import by_chunk
from scripts.terrain.generator.noise import hashed
from scripts.terrain.generator.world import STEP, TILE_STEPS, World

# kind: variants, radius in yards, height in yards
KINDS = {
    "pine": (3, 3.0, 14.0),
    "oak": (3, 4.4, 11.0),
    "bush": (2, 1.8, 2.5),
    "rock": (2, 2.2, 2.0),
    "house": (3, 6.0, 9.0),
    "inn": (1, 9.0, 13.0),
    "bridge": (1, 12.0, 4.0),
    "cave": (1, 9.0, 10.0),
}
BUILDINGS = ("house", "inn", "bridge", "cave")
TREE_SPACING, HOUSE_SPACING = 7, 9  # steps
CAVES = 0.015  # share of steep chunks
CAVE_SHAPES = (0b0000_0110_0110_0000, 0b0000_0000_0110_0110, 0b0110_0110_0000_0000, 0b0000_0100_0110_0000)


@dataclass(frozen=True)
class Thing:
    """An object: its kind and variant (from 0), row and column in the map's steps, height in yards, turn in degrees.

    ``number`` is unique in the map; a thing has the same number in the margin of a neighbouring tile.
    """

    kind: str
    variant: int
    row: float
    column: float
    height: float
    turn: float
    scale: float
    number: int


def things_of(world: World, ground: Ground, cover: Cover) -> list[Thing]:
    """The things on a tile and its margin, from north to south."""
    things = [*_plants(world.seed, ground, cover), *_houses(world, ground), *_bridges(ground)]
    return sorted(things, key=lambda thing: (thing.row, thing.column))


def _candidates(seed: int, channel: int, ground: Ground, spacing: int) -> dict[str, np.ndarray]:
    """One place in each square of the margin's and the tile's steps, all [n], and draws ``a`` to ``d`` in 0..1."""
    (top, left), side = ground.origin, len(ground.heights)
    rows = np.arange(top // spacing + 1, (top + side - 1) // spacing)
    columns = np.arange(left // spacing + 1, (left + side - 1) // spacing)
    rows, columns = (axis.ravel() for axis in np.meshgrid(rows, columns, indexing="ij"))
    down, right, *draws = (hashed(seed, channel + number, rows, columns) for number in range(6))
    places = {"row": (rows + 0.15 + 0.7 * down) * spacing, "column": (columns + 0.15 + 0.7 * right) * spacing}
    inside = np.rint(places["row"]).astype(int) - top, np.rint(places["column"]).astype(int) - left
    numbers = {"number": (channel << 22) + rows * 2400 + columns, "at_row": inside[0], "at_column": inside[1]}
    return {**places, **numbers, **dict(zip("abcd", draws, strict=True))}


def _plants(seed: int, ground: Ground, cover: Cover) -> list[Thing]:
    spots = _candidates(seed, 70, ground, TREE_SPACING)
    at = spots["at_row"], spots["at_column"]
    forest, heights, chance = cover.forest[at], ground.heights[at], spots["a"]
    land = ~ground.water[at] & (ground.road[at] > 3) & (ground.town[at] < 0.6)
    tree = land & (chance < 0.85 * forest)
    lone = land & ~tree & (chance > 0.985 + 0.01 * (heights > 200))
    cold = heights / 140 - ground.warmth[at] + 0.8 * (spots["b"] - 0.5)
    kind = np.where(cold > 0.65, "pine", "oak")
    kind = np.where(lone, np.where(ground.rough[at] > 0.3, "rock", np.where(spots["b"] < 0.4, "oak", "bush")), kind)
    return [_thing(str(kind[i]), spots, i, heights[i]) for i in np.flatnonzero(tree | lone)]


def _thing(kind: str, spots: dict[str, np.ndarray], i: int, height: float) -> Thing:
    return Thing(
        kind,
        int(spots["c"][i] * KINDS[kind][0]),
        float(spots["row"][i]),
        float(spots["column"][i]),
        float(height),
        round(float(spots["d"][i]) * 360, 1),
        round(0.75 + 0.5 * float(spots["b"][i]), 3),
        int(spots["number"][i]),
    )


def _houses(world: World, ground: Ground) -> list[Thing]:
    if not (ground.town > 0.5).any():
        return []
    spots = _candidates(world.seed, 80, ground, HOUSE_SPACING)
    at = spots["at_row"], spots["at_column"]
    inside = np.clip(np.stack(at) + 2, 0, len(ground.heights) - 1), np.clip(np.stack(at) - 2, 0, None)
    grade = np.abs(ground.heights[tuple(inside[0])] - ground.heights[tuple(inside[1])])
    free = (ground.road[at] > 4.5) & (ground.heights[at] > ground.surface[at] + 1) & (grade < 5)
    built = np.flatnonzero(free & (spots["a"] < 0.8 * ground.town[at] - 0.1) & (ground.town[at] > 0.5))
    return [_thing("inn" if spots["b"][i] < 0.12 else "house", spots, i, ground.heights[at][i]) for i in built]


def _bridges(ground: Ground) -> list[Thing]:
    """A bridge where a road crosses a river within the tile."""
    crossing = ground.water & (ground.river < 0) & (ground.road < 1.5)
    _, _, boxes, middles = cv2.connectedComponentsWithStats(crossing[INNER, INNER].astype(np.uint8))
    result = []
    for (left, top, width, height, area), (column, row) in zip(boxes[1:].tolist(), middles[1:].tolist(), strict=True):
        if area >= 4:
            row, column = row + MARGIN, column + MARGIN
            number = (90 << 22) + (ground.origin[0] + top) * 20000 + ground.origin[1] + left
            place = ground.origin[0] + row, ground.origin[1] + column
            surface = float(ground.surface[round(row), round(column)]) + 1.5
            result.append(Thing("bridge", 0, *place, surface, 90.0 * (height > width), 1.0, number))
    return result


def caves_of(seed: int, ground: Ground, cover: Cover) -> tuple[np.ndarray, list[Thing]]:
    """Hole masks [256] of the tile's chunks (bit = column + 4 · row), and the mouths of the caves behind them."""
    first_row, first_column = ((origin + MARGIN) // 16 for origin in ground.origin)
    rows, columns = first_row + np.arange(256) // 16, first_column + np.arange(256) % 16
    fields = cover.slope, pixels(ground.heights)
    steep, high = (np.sort(by_chunk(field).reshape(256, -1), axis=1)[:, 128] for field in fields)  # medians
    chosen = (hashed(seed, 91, rows, columns) < CAVES) & (steep > 0.6) & (high > 70)
    shape = (hashed(seed, 92, rows, columns) * len(CAVE_SHAPES)).astype(int)
    masks = np.where(chosen, np.array(CAVE_SHAPES)[shape], 0)
    caves = []
    for i in np.flatnonzero(chosen):
        bits = np.flatnonzero(masks[i] >> np.arange(16) & 1)
        row = float(rows[i] * 16 + 4 * (bits // 4 + 0.5).mean())
        column = float(columns[i] * 16 + 4 * (bits % 4 + 0.5).mean())
        height = ground.heights[round(row) - ground.origin[0], round(column) - ground.origin[1]]
        number = (95 << 22) + int(rows[i]) * 1024 + int(columns[i])
        caves.append(Thing("cave", 0, row, column, float(height), 0.0, 1.0, number))
    return masks, caves


def within(ground: Ground, things: list[Thing]) -> list[Thing]:
    """The things that stand on the tile itself: a border belongs to the tile south or east of it."""
    top, left = ground.origin[0] + MARGIN, ground.origin[1] + MARGIN
    return [t for t in things if top <= t.row < top + TILE_STEPS and left <= t.column < left + TILE_STEPS]


def radius_steps(thing: Thing) -> float:
    """Half a thing's width in steps."""
    return KINDS[thing.kind][1] * thing.scale / STEP
