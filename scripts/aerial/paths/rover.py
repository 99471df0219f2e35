"""A rover's path: along streets where they are known, else over free ground."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from scripts.aerial.paths.room import Room
from scripts.aerial.paths.steer import NoWay, Path, towards, turns_by
from scripts.aerial.paths.streets import Streets, route

if TYPE_CHECKING:
    from scripts.aerial.options import AerialSessionOptions

AHEAD = 5.0  # metres along the route to the point that it steers towards
SIDES = turns_by(15)

Wish = Callable[[np.ndarray, float], float]
"""From position [3] and heading to the heading that the rover would take if nothing were in the way, radians."""


def drive(
    room: Room,
    streets: Streets | None,
    options: AerialSessionOptions,
    ground: tuple[int, ...],
    rng: np.random.Generator,
) -> Path:
    """A path from a random start. At an obstacle the rover turns on the spot, then drives on.

    Raises:
        NoWay: the start is not free or has no ground, or no heading leads on.
    """
    start, wish = on_streets(streets, options, rng) if streets else on_ground(room, options, rng)
    place = standing(room, np.array([*start, room.scene.mesh.bounds[1, 2] + 1]), options, ground)
    if place is None or not room.open(place):
        raise NoWay
    yaw, most = wish(place, 0.0), math.radians(options.turn) * options.dt
    places, yaws, turned = [place], [yaw], 0
    for _ in range(1, options.frames):
        wanted = wish(place, yaw)
        free = (side for side in SIDES if ahead(room, place, wanted + side, options, ground) is not None)
        side = next(free, None)
        if side is None:
            raise NoWay
        yaw = towards(yaw, wanted + side, most)
        after = ahead(room, place, yaw, options, ground)
        turned += side != 0 or after is None
        place = place if after is None else after
        places.append(place)
        yaws.append(yaw)
    positions = np.array(places)
    return Path(positions, on_slope(room, positions, np.array(yaws), ground), 0, turned, {"yaw": math.degrees(yaws[0])})


def standing(
    room: Room, above: np.ndarray, options: AerialSessionOptions, ground: tuple[int, ...]
) -> np.ndarray | None:
    """float64 [3]: the pose's position on the first ground below a point; None where there is none."""
    floor = room.scene.below(above[None], ground)[0]
    return None if np.isnan(floor) else np.array([above[0], above[1], floor + options.rover.height])


def ahead(
    room: Room, place: np.ndarray, yaw: float, options: AerialSessionOptions, ground: tuple[int, ...]
) -> np.ndarray | None:
    """float64 [3]: the position a step further on along a heading; None where the way is not free."""
    length = options.rover.speed * options.dt
    over = place + length * np.array([math.cos(yaw), math.sin(yaw), 1.0])  # the rover climbs 45 degrees at most
    end = standing(room, over, options, ground)
    if end is None or abs(end[2] - place[2]) > length or not room.way(place, end):
        return None
    return end


def on_streets(streets: Streets, options: AerialSessionOptions, rng: np.random.Generator) -> tuple[np.ndarray, Wish]:
    """A start x, y on a street, and the heading along a route from there."""
    length = 1.5 * options.frames * options.dt * options.rover.speed + 10 * AHEAD
    points = route(streets, length, rng)
    at = 0

    def wish(place: np.ndarray, yaw: float) -> float:
        nonlocal at
        while at < len(points) - 1 and np.linalg.norm(points[at] - place[:2]) < AHEAD:
            at += 1
        return math.atan2(points[at][1] - place[1], points[at][0] - place[0])

    return points[0], wish


def on_ground(room: Room, options: AerialSessionOptions, rng: np.random.Generator) -> tuple[np.ndarray, Wish]:
    """A start x, y near something built, and a random heading; back towards the start where the area ends."""
    start, spread = room.anchor(rng), math.radians(options.rover.wander) * math.sqrt(options.dt)
    first = [rng.uniform(0, 2 * math.pi)]

    def wish(place: np.ndarray, yaw: float) -> float:
        if first:
            return first.pop()
        if not room.within(place):
            return math.atan2(start[1] - place[1], start[0] - place[0])
        return yaw + rng.normal(0, spread)

    return start, wish


def on_slope(room: Room, positions: np.ndarray, yaws: np.ndarray, ground: tuple[int, ...]) -> np.ndarray:
    """float64 [n, 4]: quaternions x y z w of a body that is level with the ground half a metre around it."""
    from scipy.spatial.transform import Rotation

    axes = []
    for angles in (yaws, yaws + math.pi / 2):  # ahead and left
        along = np.column_stack([np.cos(angles), np.sin(angles), 0 * angles])
        ends = [room.scene.below(positions + sign * 0.5 * along, ground) for sign in (1, -1)]
        rise = np.nan_to_num(ends[0] - ends[1])
        rise = np.where(np.abs(rise) < 1, rise, 0)  # more is an edge, not a slope
        axes.append(along + rise[:, None] * [0, 0, 1])
    up = np.cross(axes[0], axes[1])
    x = axes[0] / np.linalg.norm(axes[0], axis=1, keepdims=True)
    z = up / np.linalg.norm(up, axis=1, keepdims=True)
    return Rotation.from_matrix(np.stack([x, np.cross(z, x), z], axis=-1)).as_quat()
