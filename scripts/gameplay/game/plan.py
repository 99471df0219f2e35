"""The floor plan of a map: a grid of cells that belong to a room or are solid."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

CELL = 64  # map units a side
SOLID = -1
SAMPLE = 8.0  # map units between two looks along a line

Point = tuple[float, float]  # x (east) and y (north) in map units


@dataclass(frozen=True)
class Plan:
    """``rooms`` [rows, columns] holds each cell's room, or `SOLID`; x grows with columns, y with rows."""

    rooms: np.ndarray

    def solid(self, points: np.ndarray) -> np.ndarray:
        """Whether each of the points [n, 2] lies in a solid cell or off the plan."""
        columns, rows = np.floor(points / CELL).astype(int).T
        inside = (rows >= 0) & (columns >= 0) & (rows < self.rooms.shape[0]) & (columns < self.rooms.shape[1])
        result = np.ones(len(points), bool)
        result[inside] = self.rooms[rows[inside], columns[inside]] == SOLID
        return result

    def free_around(self, point: Point, radius: float) -> bool:
        """Whether a square of this half side around the point touches nothing solid."""
        left, low = (int((middle - radius) // CELL) for middle in point)
        right, high = (int((middle + radius) // CELL) for middle in point)
        if min(left, low) < 0:
            return False
        return bool((self.rooms[low : high + 1, left : right + 1] != SOLID).all())

    def clear(self, start: Point, end: Point, offset: float = 0.0) -> bool:
        """Whether the line from start to end, moved ``offset`` units to its left, meets nothing solid."""
        return not self.solid(line(start, end, offset)).any()

    def next_cell(self, start: Point, end: Point) -> Point:
        """The middle of the cell to walk to next from start, on a shortest way to end; ``end`` where there is none."""
        origin, goal = ((int(point[1] // CELL), int(point[0] // CELL)) for point in (start, end))
        ahead, towards = deque([goal]), {goal: goal}
        while ahead and origin not in towards:
            row, column = ahead.popleft()
            for cell in ((row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)):
                if cell not in towards and self.rooms[cell] != SOLID:
                    towards[cell] = row, column
                    ahead.append(cell)
        if towards.get(origin, goal) == goal:
            return end
        row, column = towards[origin]
        return (column + 0.5) * CELL, (row + 0.5) * CELL


def line(start: Point, end: Point, offset: float = 0.0) -> np.ndarray:
    """Points [n, 2] along a line, moved ``offset`` units to the left of its direction."""
    way = np.subtract(end, start)
    length = max(float(np.hypot(*way)), 1e-6)
    left = np.array([-way[1], way[0]]) / length
    shares = np.linspace(0.0, 1.0, int(length / SAMPLE) + 2)[:, None]
    return np.asarray(start) + offset * left + shares * way


def plan_of(rng: np.random.Generator) -> Plan:
    """One to three rooms in a row, joined by openings, with posts (single solid cells) in them."""
    count = int(rng.choice([1, 2, 3], p=[0.5, 0.35, 0.15]))
    # Fewer rooms are larger, so that ways to a goal are about as long on every map.
    low, high = {1: (9, 13), 2: (7, 11), 3: (6, 9)}[count]
    sizes = [tuple(int(side) for side in rng.integers(low, high, 2)) for _ in range(count)]
    height = max(size[1] for size in sizes) + 2
    rooms = np.full((height, sum(width + 1 for width, _ in sizes) + 1), SOLID, np.int8)
    column, before = 1, None
    for number, (width, depth) in enumerate(sizes):
        bottom = int(rng.integers(1, min(4, height - depth)))  # at least four rows are shared with the room before
        rooms[bottom : bottom + depth, column : column + width] = number
        _posts(rng, rooms[bottom : bottom + depth, column : column + width])
        if before is not None:
            _opening(rng, rooms, column - 1, (max(bottom, before[0]), min(bottom + depth, before[1])))
        before, column = (bottom, bottom + depth), column + width + 1
    return Plan(rooms)


def _posts(rng: np.random.Generator, room: np.ndarray) -> None:
    """Makes up to five cells solid that touch neither the walls nor each other."""
    for _ in range(int(rng.integers(1, 6))):
        row, column = (int(rng.integers(2, side - 2)) for side in room.shape)
        if (room[row - 1 : row + 2, column - 1 : column + 2] != SOLID).all():
            room[row, column] = SOLID


def _opening(rng: np.random.Generator, rooms: np.ndarray, column: int, shared: tuple[int, int]) -> None:
    """Opens a wall for three to five cells of the rows that the rooms on both sides share."""
    width = min(int(rng.integers(3, 6)), shared[1] - shared[0])
    first = int(rng.integers(shared[0], shared[1] - width + 1))
    rooms[first : first + width, column] = rooms[first, column - 1]
