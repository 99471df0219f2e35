"""A step towards where one wants to go, turned away from what is in the way."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np

from scripts.aerial.paths.room import Room


class Path(NamedTuple):
    """Where a vehicle is and how it is turned, frame by frame.

    Attributes:
        positions: float64 [frames, 3], world.
        turns: float64 [frames, 4], x y z w.
        starts: starts that were given up.
        steps: steps that were turned away from something.
        drawn: what the session drew for itself, by name.
    """

    positions: np.ndarray
    turns: np.ndarray
    starts: int
    steps: int
    drawn: dict[str, float]


class NoWay(Exception):
    """From here no step leads on."""


def detours() -> list[tuple[float, float]]:
    """Turns (sideways, up) in radians, the smallest first; of equals up comes before down."""
    sides = [math.radians(step * side) for step in range(0, 181, 20) for side in ((1, -1) if 0 < step < 180 else (1,))]
    climbs = [math.radians(step) for step in (0, 30, 60, 85, -30, -60)]
    found = [(side, up) for up, side in itertools.product(climbs, sides)]
    return sorted(found, key=lambda one: (round(-math.cos(one[0]) * math.cos(one[1]), 6), one[1] < 0))


DETOURS = detours()


def step(room: Room, place: np.ndarray, wish: np.ndarray) -> tuple[np.ndarray, bool]:
    """The place after a step of ``wish`` [3] metres, and whether it had to be turned away.

    Raises:
        NoWay: no direction is free.
    """
    length, level = float(np.linalg.norm(wish)), math.hypot(wish[0], wish[1])
    heading, rise = math.atan2(wish[1], wish[0]), math.atan2(wish[2], level)
    for side, up in DETOURS:
        climb = float(np.clip(rise + up, -math.pi / 2, math.pi / 2))
        yaw = heading + side
        ahead = [math.cos(yaw) * math.cos(climb), math.sin(yaw) * math.cos(climb), math.sin(climb)]
        end = place + length * np.array(ahead)
        if room.way(place, end):
            return end, (side, up) != (0.0, 0.0)
    raise NoWay


def towards(yaw: float, wanted: float, most: float) -> float:
    """A heading turned towards another by at most ``most``, radians, the short way."""
    return yaw + float(np.clip(math.remainder(wanted - yaw, 2 * math.pi), -most, most))


def yaw_turns(yaws: np.ndarray, rolls: np.ndarray | float = 0.0, pitches: np.ndarray | float = 0.0) -> np.ndarray:
    """float64 [n, 4]: quaternions x y z w of yaw, then pitch (nose down), then roll, radians."""
    from scipy.spatial.transform import Rotation

    angles = np.stack(np.broadcast_arrays(yaws, pitches, rolls), axis=-1)
    return Rotation.from_euler("ZYX", angles).as_quat()
