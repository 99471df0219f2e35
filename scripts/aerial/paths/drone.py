"""A drone's paths: survey, orbit and random walk."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from scripts.aerial.paths.room import Room
from scripts.aerial.paths.steer import NoWay, Path, step, towards

if TYPE_CHECKING:
    from scripts.aerial.options import AerialSessionOptions


class Flight(NamedTuple):
    """A flight as it is meant, before obstacles turn it away.

    Attributes:
        start: float64 [3].
        speed: metres a second.
        aim: from position [3] and frame number to the next target [3].
        look: float64 [3], the point that it looks at; None: ahead.
        drawn: what was drawn at random for it, by name.
    """

    start: np.ndarray
    speed: float
    aim: Callable[[np.ndarray, int], np.ndarray]
    look: np.ndarray | None
    drawn: dict[str, float]


def survey(room: Room, options: AerialSessionOptions, ground: tuple[int, ...], rng: np.random.Generator) -> Flight:
    """Parallel lines to and fro over the area; the first passes near something built."""
    settings, anchor = options.survey, room.anchor(rng)
    turn, spacing = rng.uniform(0, 2 * math.pi), rng.uniform(*settings.spacing)
    height = room.floor(anchor, ground) + rng.uniform(*settings.height)
    corners = lines_over(room.sides, anchor, turn, spacing)
    at = 0

    def aim(place: np.ndarray, number: int) -> np.ndarray:
        nonlocal at
        if np.linalg.norm(corners[at] - place[:2]) <= settings.speed * options.dt:
            at = (at + 1) % len(corners)
        return np.array([*corners[at], height])

    drawn = {"turn": math.degrees(turn), "spacing": spacing, "height": height}
    return Flight(np.array([*anchor, height]), settings.speed, aim, None, drawn)


def lines_over(sides: np.ndarray, anchor: np.ndarray, turn: float, spacing: float) -> np.ndarray:
    """float64 [n, 2]: the ends of parallel lines inside a convex area, line by line, to and fro.

    The first line passes through the anchor; after the last line on one side of it come those on the other side.

    Args:
        sides: [n, 3], of `Room.sides`.
        anchor: [2], in the area.
        turn: radians, the lines' heading.
        spacing: metres.
    """
    along, across = np.array([math.cos(turn), math.sin(turn)]), np.array([-math.sin(turn), math.cos(turn)])
    corners: list[np.ndarray] = []
    for number, way in ((0, 1), (-1, -1)):
        while (ends := clipped(sides, anchor + number * spacing * across, along)) is not None:
            corners += ends[::-1] if len(corners) % 4 == 0 else ends
            number += way
    return np.array(corners) if corners else anchor[None]


def clipped(sides: np.ndarray, place: np.ndarray, along: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Where the line through ``place`` along a direction enters and leaves a convex area; None where it misses it."""
    slope, inside = sides[:, :2] @ along, -(sides[:, :2] @ place + sides[:, 2])
    parallel = np.abs(slope) < 1e-12
    if (inside[parallel] < -1e-9).any():
        return None
    cuts = inside[~parallel] / slope[~parallel]
    first, last = cuts[slope[~parallel] < 0].max(), cuts[slope[~parallel] > 0].min()
    return (place + first * along, place + last * along) if first <= last else None


def orbit(room: Room, options: AerialSessionOptions, ground: tuple[int, ...], rng: np.random.Generator) -> Flight:
    """Circles around a point above what is built; the drone looks inwards."""
    settings, middle = options.orbit, room.anchor(rng)
    radius, start = rng.uniform(*settings.radius), rng.uniform(0, 2 * math.pi)
    # The middle moves towards the centre until the circle lies above the area.
    pulled = (middle + share * (room.centre - middle) for share in np.linspace(0, 1, 11))
    middle = next((point for point in pulled if room.depth(point) >= radius), room.centre)
    side = 1 if rng.random() < 0.5 else -1
    floor = room.floor(middle, ground)
    height = floor + rng.uniform(*settings.height)
    pace = side * settings.speed * options.dt / radius  # radians a frame

    def at(angle: float) -> np.ndarray:
        return np.array([middle[0] + radius * math.cos(angle), middle[1] + radius * math.sin(angle), height])

    drawn = {"radius": radius, "height": height, "side": side, "x": middle[0], "y": middle[1]}
    look = np.array([*middle, floor])
    return Flight(at(start), settings.speed, lambda place, number: at(start + pace * number), look, drawn)


def walk(room: Room, options: AerialSessionOptions, ground: tuple[int, ...], rng: np.random.Generator) -> Flight:
    """Ahead, with a random walk of heading and height; back towards the start where the area ends."""
    settings, anchor = options.walk, room.anchor(rng)
    spread = math.radians(settings.wander) * math.sqrt(options.dt)
    length = settings.speed * options.dt
    yaw, height = rng.uniform(0, 2 * math.pi), rng.uniform(*settings.height)
    drawn = {"height": height, "yaw": math.degrees(yaw)}
    start = np.array([*anchor, room.floor(anchor, ground) + height])

    def aim(place: np.ndarray, number: int) -> np.ndarray:
        nonlocal yaw, height
        yaw += rng.normal(0, spread)
        height = float(np.clip(height + rng.normal(0, 0.3 * length), *settings.height))
        ahead = place[:2] + 10 * length * np.array([math.cos(yaw), math.sin(yaw)])
        if not room.within(ahead):
            yaw = math.atan2(anchor[1] - place[1], anchor[0] - place[0])
            ahead = place[:2] + 10 * length * np.array([math.cos(yaw), math.sin(yaw)])
        return np.array([*ahead, room.floor(place, ground) + height])

    return Flight(start, settings.speed, aim, None, drawn)


PLANS = {"survey": survey, "orbit": orbit, "walk": walk}


def fly(
    room: Room, kind: str, options: AerialSessionOptions, ground: tuple[int, ...], rng: np.random.Generator
) -> Path:
    """A path of a kind from a random start.

    Raises:
        NoWay: the start is not free, or no step leads on.
    """
    flight = PLANS[kind](room, options, ground, rng)
    if not room.open(flight.start):
        raise NoWay
    longest = flight.speed * options.dt
    positions, turned = [flight.start], 0
    for number in range(1, options.frames):
        wish = flight.aim(positions[-1], number) - positions[-1]
        place, away = step(room, positions[-1], wish * min(1.0, longest / max(np.linalg.norm(wish), 1e-9)))
        positions.append(place)
        turned += away
    places = np.array(positions)
    return Path(places, attitudes(places, flight.look, options, rng), 0, turned, flight.drawn)


def attitudes(
    places: np.ndarray, look: np.ndarray | None, options: AerialSessionOptions, rng: np.random.Generator
) -> np.ndarray:
    """float64 [n, 4]: quaternions x y z w along a path of positions [n, 3].

    The heading follows the flight, or the point looked at, and stays where neither has a direction; it turns by at most
    `turn` degrees a second. Roll and pitch sway in long waves.
    """
    from scipy.spatial.transform import Rotation

    ahead = np.diff(places[:, :2], axis=0, append=places[-1:, :2]) if look is None else look[:2] - places[:, :2]
    moving = np.linalg.norm(ahead, axis=1) > 1e-6
    wanted = np.arctan2(ahead[:, 1], ahead[:, 0])
    yaw, most = float(wanted[np.argmax(moving)]) if moving.any() else 0.0, math.radians(options.turn) * options.dt
    yaws = []
    for angle, moves in zip(wanted.tolist(), moving.tolist(), strict=True):
        yaw = towards(yaw, angle, most) if moves else yaw
        yaws.append(yaw)
    seconds = np.arange(len(places)) * options.dt
    rolls, pitches = (
        math.radians(options.sway) * np.sin(2 * math.pi * (seconds / rng.uniform(5, 11) + rng.random()))
        for _ in range(2)
    )
    return Rotation.from_euler("ZYX", np.stack([yaws, pitches, rolls], axis=-1)).as_quat()  # yaw, then pitch, then roll
