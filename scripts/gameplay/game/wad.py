"""Maps in the game's format: a WAD with the objects' classes and one map as text.

The map is UDMF (Universal Doom Map Format 1.1, namespace zdoom); the engine builds the rest (nodes, block map) when it
loads the map. A WAD is a header ("PWAD", number of lumps, offset of the directory), the lumps' bytes, and a directory
with the offset, the size and the name of each lump.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

from scripts.gameplay.game.plan import CELL, SOLID

MAP = "MAP01"
START = 1  # the number of the player's start
WALL = 160  # height of rooms in map units
# A cell's four borders, clockwise: both corners as (column, row), and the step (rows, columns) to the cell beyond. The
# cell lies to the right of each border, as UDMF wants it.
BORDERS = (
    ((0, 0), (0, 1), (0, -1)),
    ((0, 1), (1, 1), (1, 0)),
    ((1, 1), (1, 0), (0, 1)),
    ((1, 0), (0, 0), (-1, 0)),
)


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
    """The bytes of a WAD with one map, its objects' classes, and the name of the player's class."""
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
    """A map as text: a sector for each room, a line at each border of a room; ``rooms`` is int8 [rows, columns]."""
    corners: dict[tuple[int, int], int] = {}
    parts, sides = [], []
    padded = np.pad(rooms, 1, constant_values=SOLID).tolist()
    for row, column in np.argwhere(rooms != SOLID).tolist():
        for (left, low), (right, high), (rows, columns) in BORDERS:
            front, back = padded[row + 1][column + 1], padded[row + 1 + rows][column + 1 + columns]
            if back != SOLID and back <= front:  # a border between two rooms is drawn once
                continue
            x, y = column + left, row + low
            ends = [corners.setdefault(end, len(corners)) for end in ((x, y), (column + right, row + high))]
            fields = f"v1 = {ends[0]}; v2 = {ends[1]}; sidefront = {len(sides)};"
            if back == SOLID:
                along = CELL * (x * (right - left) + y * (high - low)) % 1024  # the texture runs on from cell to cell
                wall = f' texturemiddle = "{looks[front].wall}"; offsetx = {along};'
                sides.append(f"sidedef {{ sector = {front};{wall} }}")
                fields += " blocking = true;"
            else:
                fields += f" sideback = {len(sides) + 1}; twosided = true;"
                sides += [f"sidedef {{ sector = {front}; }}", f"sidedef {{ sector = {back}; }}"]
            parts.append(f"linedef {{ {fields} }}")
    parts += sides
    for look in looks:
        textures = f'texturefloor = "{look.floor}"; textureceiling = "{look.ceiling}"; lightlevel = {look.light};'
        parts.append(f"sector {{ heightfloor = 0; heightceiling = {WALL}; {textures} }}")
    skills = " ".join(f"skill{level} = true;" for level in range(1, 6))
    for thing in things:
        place = f"x = {thing.x}; y = {thing.y}; angle = {thing.angle}; type = {thing.number};"
        parts.append(f"thing {{ {place} {skills} single = true; }}")
    vertices = [f"vertex {{ x = {column * CELL}; y = {row * CELL}; }}" for column, row in corners]
    return "\n".join(['namespace = "zdoom";', *vertices, *parts]) + "\n"
