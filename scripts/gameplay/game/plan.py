"""The floor plan of a map: a grid of cells that belong to a room or are solid."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

CELL = 64  # map units a side
SOLID = -1
SAMPLE = 8.0  # map units between two samples along a line

Point = tuple[float, float]  # x (east) and y (north) in map units


@dataclass(frozen=True)
class Plan:
    """``rooms``, int8 [rows, columns], holds each cell's room, or `SOLID`; x grows with columns, y with rows."""

    rooms: np.ndarray

    def solid(self, points: np.ndarray) -> np.ndarray:
        """Whether each of the points [n, 2] lies in a solid cell or off the plan, bool [n]."""
        columns, rows = np.floor(points / CELL).astype(int).T
        inside = (rows >= 0) & (columns >= 0) & (rows < self.rooms.shape[0]) & (columns < self.rooms.shape[1])
        result = np.ones(len(points), bool)
        result[inside] = self.rooms[rows[inside], columns[inside]] == SOLID
        return result

    def free_around(self, point: Point, radius: float) -> bool:
        """Whether a square of this half side around the point touches nothing solid."""
        left, low = (int((middle - radius) // CELL) for middle in point)
        right, high = (int((middle + radius) // CELL) for middle in point)
        return min(left, low) >= 0 and bool((self.rooms[low : high + 1, left : right + 1] != SOLID).all())

    def clear(self, start: Point, end: Point, offset: float = 0.0) -> bool:
        """Whether the line from start to end, moved ``offset`` units to its left, meets nothing solid."""
        return not self.solid(line(start, end, offset)).any()

    def next_cell(self, start: Point, end: Point) -> Point:
        """The middle of the next cell on a shortest way from start to end; ``end`` if there is no way.

        A breadth-first search from the end: each cell it reaches points to the next one towards the end.
        """
        origin, goal = ((int(point[1] // CELL), int(point[0] // CELL)) for point in (start, end))
        ahead, towards = deque([goal]), {goal: goal}
        while ahead and origin not in towards:
            row, column = ahead.popleft()
            for cell in ((row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)):
                if cell not in towards and self.rooms[cell] != SOLID:
                    towards[cell] = row, column
                    ahead.append(cell)
        row, column = towards.get(origin, goal)
        return end if (row, column) == goal else ((column + 0.5) * CELL, (row + 0.5) * CELL)


def line(start: Point, end: Point, offset: float = 0.0) -> np.ndarray:
    """Points [n, 2] along a line, moved ``offset`` units to the left of its direction."""
    way = np.subtract(end, start)
    length = max(float(np.hypot(*way)), 1e-6)
    left = np.array([-way[1], way[0]]) / length
    shares = np.linspace(0.0, 1.0, int(length / SAMPLE) + 2)[:, None]
    return np.asarray(start) + offset * left + shares * way


def plan_of(rng: np.random.Generator) -> Plan:
    """One to three rooms in a row, joined by openings, with posts (single solid cells) in them.

    A room has up to five posts that touch neither its walls nor each other. An opening is three to five cells wide.
    """
    count = int(rng.choice([1, 2, 3], p=[0.5, 0.35, 0.15]))
    # Fewer rooms are larger, so that ways to a goal are about as long on every map.
    shortest, longest = {1: (9, 13), 2: (7, 11), 3: (6, 9)}[count]
    sizes = [tuple(int(side) for side in rng.integers(shortest, longest, 2)) for _ in range(count)]
    height = max(depth for _, depth in sizes) + 2
    rooms = np.full((height, sum(width + 1 for width, _ in sizes) + 1), SOLID, np.int8)
    column, before = 1, None
    for number, (width, depth) in enumerate(sizes):
        bottom = int(rng.integers(1, min(4, height - depth)))  # so that it shares at least four rows with the last room
        room = rooms[bottom : bottom + depth, column : column + width]
        room[:] = number
        for _ in range(int(rng.integers(1, 6))):
            y, x = (int(rng.integers(2, side - 2)) for side in room.shape)
            if (room[y - 1 : y + 2, x - 1 : x + 2] != SOLID).all():
                room[y, x] = SOLID
        if before is not None:
            low, high = max(bottom, before[0]), min(bottom + depth, before[1])
            wide = min(int(rng.integers(3, 6)), high - low)
            first = int(rng.integers(low, high - wide + 1))
            rooms[first : first + wide, column - 1] = rooms[first, column - 2]
        before, column = (bottom, bottom + depth), column + width + 1
    return Plan(rooms)
