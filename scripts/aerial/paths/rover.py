"""A rover's path: along streets where they are known, else over free ground."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from scripts.aerial.options import AerialSessionOptions
from scripts.aerial.paths.room import Room
from scripts.aerial.paths.steer import NoWay, Path, towards
from scripts.aerial.paths.streets import Streets, route

AHEAD = 5.0  # metres along the route that it steers towards
SIDES = [math.radians(step * side) for step in range(0, 181, 15) for side in ((1, -1) if 0 < step < 180 else (1,))]


def drive(
    room: Room,
    streets: Streets | None,
    options: AerialSessionOptions,
    ground: tuple[int, ...],
    dice: np.random.Generator,
) -> Path:
    """A path from a start of its own. Where something is in the way it turns on the spot, then drives on.

    Raises:
        NoWay: the start has no room or no ground, or no heading leads on.
    """
    start, wish = on_streets(streets, options, dice) if streets else on_ground(room, options, dice)
    place = standing(room, np.array([*start, room.scene.mesh.bounds[1, 2] + 1]), options, ground)
    if place is None or not room.open(place):
        raise NoWay
    yaw, most = wish(place, 0.0), math.radians(options.turn) * options.dt
    places, yaws, turned = [place], [yaw], 0
    for _ in range(1, options.frames):
        heading = free_heading(room, place, wish(place, yaw), options, ground)
        yaw = towards(yaw, heading[0], most)
        after = ahead(room, place, yaw, options, ground)
        turned += heading[1] or after is None
        place = place if after is None else after
        places.append(place)
        yaws.append(yaw)
    positions = np.array(places)
    return Path(positions, on_slope(room, positions, np.array(yaws), ground), 0, turned, {"yaw": math.degrees(yaws[0])})


def standing(
    room: Room, above: np.ndarray, options: AerialSessionOptions, ground: tuple[int, ...]
) -> np.ndarray | None:
    """The pose's place over the first ground below a place; None where none is."""
    floor = room.scene.below(above[None], ground)[0]
    return None if np.isnan(floor) else np.array([above[0], above[1], floor + options.rover.height])


def ahead(
    room: Room, place: np.ndarray, yaw: float, options: AerialSessionOptions, ground: tuple[int, ...]
) -> np.ndarray | None:
    """The place a step further on along a heading, on the ground; None where the way is not free."""
    length = options.rover.speed * options.dt
    over = place + length * np.array([math.cos(yaw), math.sin(yaw), 1.0])  # it climbs 45 degrees at most
    end = standing(room, over, options, ground)
    if end is None or abs(end[2] - place[2]) > length or not room.way(place, end):
        return None
    return end


def free_heading(
    room: Room, place: np.ndarray, wanted: float, options: AerialSessionOptions, ground: tuple[int, ...]
) -> tuple[float, bool]:
    """The free heading nearest to one, and whether that had to be turned away.

    Raises:
        NoWay: none is free.
    """
    for side in SIDES:
        if ahead(room, place, wanted + side, options, ground) is not None:
            return wanted + side, side != 0
    raise NoWay


Wish = Callable[[np.ndarray, float], float]


def on_streets(streets: Streets, options: AerialSessionOptions, dice: np.random.Generator) -> tuple[np.ndarray, Wish]:
    """A start on a street, and the heading along a route from there."""
    length = 1.5 * options.frames * options.dt * options.rover.speed + 10 * AHEAD
    points = route(streets, length, dice)
    at = [0]

    def wish(place: np.ndarray, yaw: float) -> float:
        while at[0] < len(points) - 1 and np.linalg.norm(points[at[0]] - place[:2]) < AHEAD:
            at[0] += 1
        return math.atan2(points[at[0]][1] - place[1], points[at[0]][0] - place[0])

    return points[0], wish


def on_ground(room: Room, options: AerialSessionOptions, dice: np.random.Generator) -> tuple[np.ndarray, Wish]:
    """A start near something built, and a heading that wanders, back to the start where the area ends."""
    start, spread = room.anchor(dice), math.radians(options.rover.wander) * math.sqrt(options.dt)
    first = [dice.uniform(0, 2 * math.pi)]

    def wish(place: np.ndarray, yaw: float) -> float:
        if first:
            return first.pop()
        if not room.within(place):
            return math.atan2(start[1] - place[1], start[0] - place[0])
        return yaw + dice.normal(0, spread)

    return start, wish


def on_slope(room: Room, positions: np.ndarray, yaws: np.ndarray, ground: tuple[int, ...]) -> np.ndarray:
    """float64 [n, 4]: quaternions of a body that stands on the ground half a metre around it."""
    from scipy.spatial.transform import Rotation

    ahead_, left = (np.column_stack([np.cos(at), np.sin(at), 0 * at]) for at in (yaws, yaws + math.pi / 2))
    axes = []
    for along in (ahead_, left):
        ends = [room.scene.below(positions + sign * 0.5 * along, ground) for sign in (1, -1)]
        rise = np.nan_to_num(ends[0] - ends[1])
        rise = np.where(np.abs(rise) < 1, rise, 0)  # an edge, not a slope
        axes.append(along + rise[:, None] * [0, 0, 1])
    up = np.cross(axes[0], axes[1])
    x = axes[0] / np.linalg.norm(axes[0], axis=1, keepdims=True)
    z = up / np.linalg.norm(up, axis=1, keepdims=True)
    return Rotation.from_matrix(np.stack([x, np.cross(z, x), z], axis=-1)).as_quat()
