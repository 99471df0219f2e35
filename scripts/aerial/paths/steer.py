"""A step towards a target, turned away from obstacles."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np

from scripts.aerial.paths.room import Room


class Path(NamedTuple):
    """Position and orientation of a vehicle, frame by frame.

    Attributes:
        positions: float64 [frames, 3], world.
        turns: float64 [frames, 4], quaternions x y z w.
        starts: starts that were given up.
        steps: steps that were turned away from an obstacle.
        drawn: what was drawn at random for the session, by name.
    """

    positions: np.ndarray
    turns: np.ndarray
    starts: int
    steps: int
    drawn: dict[str, float]


class NoWay(Exception):
    """No step leads on from here."""


def turns_by(degrees: int) -> list[float]:
    """Turns in radians, the smallest first: 0, left and right by so many degrees, by twice as many, up to 180."""
    return [
        math.radians(angle * side)
        for angle in range(0, 181, degrees)
        for side in ((1, -1) if 0 < angle < 180 else (1,))
    ]


DETOURS = sorted(
    [(side, math.radians(up)) for up, side in itertools.product((0, 30, 60, 85, -30, -60), turns_by(20))],
    key=lambda turn: (round(-math.cos(turn[0]) * math.cos(turn[1]), 6), turn[1] < 0),
)
"""Turns (sideways, up) in radians, the smallest first; of equal ones, up comes before down."""


def step(room: Room, position: np.ndarray, wish: np.ndarray) -> tuple[np.ndarray, bool]:
    """The position after a step of ``wish`` [3] metres, and whether it had to be turned away.

    Raises:
        NoWay: no direction is free.
    """
    length, level = float(np.linalg.norm(wish)), math.hypot(wish[0], wish[1])
    heading, rise = math.atan2(wish[1], wish[0]), math.atan2(wish[2], level)
    for side, up in DETOURS:
        climb = float(np.clip(rise + up, -math.pi / 2, math.pi / 2))
        yaw = heading + side
        ahead = [math.cos(yaw) * math.cos(climb), math.sin(yaw) * math.cos(climb), math.sin(climb)]
        end = position + length * np.array(ahead)
        if room.way(position, end):
            return end, (side, up) != (0.0, 0.0)
    raise NoWay


def towards(yaw: float, wanted: float, most: float) -> float:
    """A heading turned towards another by at most ``most``, radians, the short way."""
    return yaw + float(np.clip(math.remainder(wanted - yaw, 2 * math.pi), -most, most))
