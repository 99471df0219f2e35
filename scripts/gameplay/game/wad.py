"""Maps as the game reads them: a WAD that holds the objects' classes and one map as text (UDMF).

The engine builds what else it needs (nodes, block map) when it loads such a map.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from scripts.gameplay.game.plan import CELL, SOLID

MAP = "MAP01"
START = 1  # the number of the player's start
WALL = 160  # height of rooms in map units

Edge = tuple[int, int]


class Look(NamedTuple):
    """A room's textures and its light in 0..255."""

    wall: str
    floor: str
    ceiling: str
    light: int


class Placed(NamedTuple):
    """An object on a map: its number, place and direction in degrees (0: east, 90: north)."""

    number: int
    x: float
    y: float
    angle: int = 0


def wad_of(rooms: np.ndarray, looks: list[Look], things: list[Placed], classes: str, player: str) -> bytes:
    """The bytes of a WAD with one map, its objects' classes, and the name of the player's."""
    lumps = {
        "DECORATE": classes,
        "ZMAPINFO": f'gameinfo {{ playerclasses = "{player}" }}\n',
        MAP: "",
        "TEXTMAP": textmap(rooms, looks, things),
        "ENDMAP": "",
    }
    body, directory, head = b"", b"", 12
    for name, text in lumps.items():
        data = text.encode("ascii")
        directory += struct.pack("<ii8s", head + len(body), len(data), name.encode("ascii"))
        body += data
    return struct.pack("<4sii", b"PWAD", len(lumps), head + len(body)) + body + directory


def textmap(rooms: np.ndarray, looks: list[Look], things: list[Placed]) -> str:
    """A map as text: a sector for each room, a line wherever a room ends."""
    corners: dict[Edge, int] = {}
    lines, sides = [], []
    for first, second, front, back in _borders(rooms):
        ends = [corners.setdefault(corner, len(corners)) for corner in (first, second)]
        wall = f' texturemiddle = "{looks[front].wall}"; offsetx = {_along(first, second)};' if back == SOLID else ""
        fields = f"v1 = {ends[0]}; v2 = {ends[1]}; sidefront = {len(sides)};"
        sides.append(f"sidedef {{ sector = {front};{wall} }}")
        if back == SOLID:
            fields += " blocking = true;"
        else:
            fields += f" sideback = {len(sides)}; twosided = true;"
            sides.append(f"sidedef {{ sector = {back}; }}")
        lines.append(f"linedef {{ {fields} }}")
    vertices = [f"vertex {{ x = {column * CELL}; y = {row * CELL}; }}" for column, row in corners]
    parts = ['namespace = "zdoom";', *vertices, *lines, *sides, *map(_sector, looks), *map(_thing, things)]
    return "\n".join(parts) + "\n"


def _borders(rooms: np.ndarray) -> Iterator[tuple[Edge, Edge, int, int]]:
    """Each border between cells as its ends (column, row), the room on its right and what is on its left.

    Ends follow each other so that the room lies to the right, as the game wants it.
    """
    padded = np.pad(rooms, 1, constant_values=SOLID)
    for row, column in np.argwhere(rooms != SOLID).tolist():
        own = int(rooms[row, column])
        for ends, (down, right) in _around(row, column):
            other = int(padded[row + 1 + down, column + 1 + right])
            if other == SOLID or other > own:  # a border between two rooms is drawn once
                yield *ends, own, other


def _around(row: int, column: int) -> Iterable[tuple[tuple[Edge, Edge], Edge]]:
    """A cell's four borders clockwise, each with the step (rows, columns) to the cell beyond it."""
    left, right, low, high = column, column + 1, row, row + 1
    yield ((left, low), (left, high)), (0, -1)
    yield ((left, high), (right, high)), (1, 0)
    yield ((right, high), (right, low)), (0, 1)
    yield ((right, low), (left, low)), (-1, 0)


def _along(first: Edge, second: Edge) -> int:
    """Where a wall's texture begins, so that it runs on from cell to cell."""
    (column, row), (next_column, next_row) = first, second
    return CELL * (column * (next_column - column) + row * (next_row - row)) % 1024


def _sector(look: Look) -> str:
    return (
        f'sector {{ heightfloor = 0; heightceiling = {WALL}; texturefloor = "{look.floor}";'
        f' textureceiling = "{look.ceiling}"; lightlevel = {look.light}; }}'
    )


def _thing(thing: Placed) -> str:
    skills = " ".join(f"skill{level} = true;" for level in range(1, 6))
    place = f"x = {thing.x}; y = {thing.y}; angle = {thing.angle}; type = {thing.number};"
    return f"thing {{ {place} {skills} single = true; }}"
