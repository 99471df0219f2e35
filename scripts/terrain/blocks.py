"""Splits of a map: whole blocks of tiles go to one split, with a gap of tiles between splits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from scripts.lib.split import SPLITS, Group, split_groups
from scripts.terrain.options import TerrainCurateOptions

ORDER = ("test", "val", "train")  # a tile near a border is dropped from the later of two splits


class Place(NamedTuple):
    """Where a tile lies."""

    map: str
    x: int
    y: int


def block_of(place: Place, side: int) -> str:
    """The block a tile belongs to, fixed by its coordinates: ``Azeroth/8_12``."""
    return f"{place.map}/{place.x // side}_{place.y // side}"


def split_tiles(places: Mapping[str, Place], options: TerrainCurateOptions) -> tuple[dict[str, str], list[str]]:
    """The split of each tile by name, and the tiles of the gap, which are in none.

    Raises:
        UserError: fewer than three blocks.
    """
    blocks = {name: block_of(place, options.block) for name, place in places.items()}
    groups = {block: Group(block, block.rsplit("/", 1)[0]) for block in set(blocks.values())}
    sides = split_groups(groups, options.val_share, options.test_share, options.seed)
    found = {name: sides[block] for name, block in sorted(blocks.items())}
    gap = in_gap(places, found, options.gap)
    return {name: side for name, side in found.items() if name not in gap}, sorted(gap)


def in_gap(places: Mapping[str, Place], sides: Mapping[str, str], gap: int) -> set[str]:
    """Tiles that lie within ``gap`` tiles of one of an earlier side (of test, then val) that is itself kept."""
    dropped: set[str] = set()
    for later, side in enumerate(ORDER[1:], start=1):
        near = {
            spot
            for name, place in places.items()
            if sides[name] in ORDER[:later] and name not in dropped
            for spot in around(place, gap)
        }
        dropped |= {name for name, place in places.items() if sides[name] == side and place in near}
    return dropped


def around(place: Place, reach: int) -> list[Place]:
    """The places within ``reach`` tiles, diagonals included."""
    steps = range(-reach, reach + 1)
    return [Place(place.map, place.x + right, place.y + down) for right in steps for down in steps]


def bordering(places: Mapping[str, Place], sides: Mapping[str, str], gap: int) -> list[tuple[str, str]]:
    """Pairs of tiles of different splits that lie within ``gap`` tiles: empty, or the split leaks."""
    at = defaultdict(list)
    for name, side in sides.items():
        at[places[name]].append((name, side))
    return sorted(
        (name, other)
        for name, side in sides.items()
        for spot in around(places[name], gap)
        for other, other_side in at.get(spot, [])
        if SPLITS.index(side) < SPLITS.index(other_side)
    )
