"""The score of a tile for a curated set, and the choice of tiles by score."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from scripts.terrain.options import PickOptions, WorthOptions
from scripts.terrain.tile import CHUNK_COUNT, Tile


class Riches(NamedTuple):
    """The features of a tile that its score is made of.

    Attributes:
        relief: standard deviation of its heights, yards.
        layers: texture layers of a chunk, on average.
        blended: share of chunks with an alpha map.
        names: different names of objects.
        holes: chunks with a hole.
    """

    relief: float
    textures: int
    layers: float
    blended: float
    objects: int
    names: int
    liquid_types: int
    shadows: bool
    holes: int


def riches(tile: Tile) -> Riches:
    """The features of a tile."""
    holed = tile.holes.reshape(16, 4, 16, 4).any(axis=(1, 3))
    return Riches(
        relief=rms(tile.field - tile.field.mean()),
        textures=len(tile.textures),
        layers=float(tile.layers.mean()),
        blended=int(tile.blended.sum()) / CHUNK_COUNT,
        objects=len(tile.objects),
        names=len({thing.name for thing in tile.objects}),
        liquid_types=len({liquid.type for liquid in tile.liquids}),
        shadows=tile.shadows,
        holes=int(holed.sum()),
    )


def rms(field: np.ndarray) -> float:
    """The root of the mean square."""
    return float(np.sqrt(np.vdot(field, field) / field.size))


def worth(has: Riches, weights: WorthOptions) -> float:
    """A tile's score: the weighted sum of its features, each up to its limit."""
    liquid = weights.liquids + min(weights.liquid_types_most, weights.liquid_types * has.liquid_types)
    return (
        min(weights.relief_most, weights.relief * has.relief)
        + min(weights.textures_most, weights.textures * has.textures)
        + min(weights.layers_most, weights.layers * has.layers)
        + weights.blended * has.blended
        + min(weights.objects_most, weights.objects * has.objects)
        + min(weights.names_most, weights.names * has.names)
        + (liquid if has.liquid_types else 0.0)
        + weights.shadows * has.shadows
        + min(weights.holes_most, weights.holes * has.holes)
    )


def pick(tiles: Mapping[str, Mapping[str, Any]], options: PickOptions, seed: int) -> dict[str, str]:
    """The tiles that are kept, by name, and why: ``best``, ``liquid``, ``objects``, ``holes``, ``drawn`` or ``all``.

    Args:
        tiles: name to ``{"worth": float, "riches": {...}}``.
    """
    names = sorted(tiles)
    if options.count is None or options.count >= len(names):
        return dict.fromkeys(names, "all")
    kept: dict[str, str] = {}

    def take(reason: str, share: float, ranked: Sequence[str]) -> None:
        free = [name for name in ranked if name not in kept]
        kept.update(dict.fromkeys(free[: round(share * options.count)], reason))

    def most(key: str) -> list[str]:
        has = [name for name in names if tiles[name]["riches"][key]]
        return sorted(has, key=lambda name: (-tiles[name]["riches"][key], name))

    take("best", options.best, sorted(names, key=lambda name: (-tiles[name]["worth"], name)))
    take("liquid", options.liquid, most("liquid_types"))
    take("objects", options.objects, most("objects"))
    take("holes", options.holes, most("holes"))
    rest = [name for name in names if name not in kept]
    drawn = random.Random(seed).sample(rest, min(len(rest), options.count - len(kept)))
    kept.update(dict.fromkeys(drawn, "drawn"))
    return {name: kept[name] for name in sorted(kept)}
