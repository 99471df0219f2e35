"""A drone's paths: survey, orbit and random walk."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scripts.aerial.options import AerialSessionOptions
from scripts.aerial.paths.room import Room
from scripts.aerial.paths.steer import NoWay, Path, step, towards, yaw_turns


class Flight(NamedTuple):
    """What a drone has in mind.

    Attributes:
        start: float64 [3].
        speed: metres a second.
        aim: the place it would fly to next, from where it is and the frame's number.
        look: the place that it looks at; None: ahead.
        drawn: what was drawn for it, by name.
    """

    start: np.ndarray
    speed: float
    aim: Callable[[np.ndarray, int], np.ndarray]
    look: np.ndarray | None
    drawn: dict[str, float]


Plan = Callable[[Room, AerialSessionOptions, tuple[int, ...], np.random.Generator], Flight]


def survey(room: Room, options: AerialSessionOptions, ground: tuple[int, ...], dice: np.random.Generator) -> Flight:
    """Lines to and fro over the area, from a place near something built."""
    own, anchor = options.survey, room.anchor(dice)
    turn, spacing = dice.uniform(0, 2 * math.pi), dice.uniform(*own.spacing)
    height = room.floor(anchor, ground) + dice.uniform(*own.height)
    corners = lines_over(room.sides, anchor, turn, spacing)
    at = [0]

    def aim(place: np.ndarray, number: int) -> np.ndarray:
        if np.linalg.norm(corners[at[0]] - place[:2]) <= own.speed * options.dt:
            at[0] = (at[0] + 1) % len(corners)
        return np.array([*corners[at[0]], height])

    drawn = {"turn": math.degrees(turn), "spacing": spacing, "height": height}
    return Flight(np.array([*anchor, height]), own.speed, aim, None, drawn)


def lines_over(sides: np.ndarray, anchor: np.ndarray, turn: float, spacing: float) -> np.ndarray:
    """float64 [n, 2]: the ends of parallel lines inside an area, one line after the other, to and fro.

    The first line passes through the anchor; after the last one on its side come those on the other.

    Args:
        sides: [n, 3], of `Room.sides`.
        anchor: [2], in the area.
        turn: radians, the lines' heading.
        spacing: metres.
    """
    along, across = np.array([math.cos(turn), math.sin(turn)]), np.array([-math.sin(turn), math.cos(turn)])
    found: list[np.ndarray] = []
    for way in (1, -1):
        number = 0 if way == 1 else -1
        while (ends := clipped(sides, anchor + number * spacing * across, along)) is not None:
            found += [ends[1], ends[0]] if len(found) // 2 % 2 == 0 else [ends[0], ends[1]]
            number += way
    return np.array(found) if found else anchor[None]


def clipped(sides: np.ndarray, place: np.ndarray, along: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Where a line enters and leaves a convex area; None where it passes by."""
    slope, room = sides[:, :2] @ along, -(sides[:, :2] @ place + sides[:, 2])
    level = np.abs(slope) < 1e-12
    if (room[level] < -1e-9).any():
        return None
    cuts = room[~level] / slope[~level]
    first, last = cuts[slope[~level] < 0].max(), cuts[slope[~level] > 0].min()
    return (place + first * along, place + last * along) if first <= last else None


def orbit(room: Room, options: AerialSessionOptions, ground: tuple[int, ...], dice: np.random.Generator) -> Flight:
    """Round and round a place above what is built."""
    own, middle = options.orbit, room.anchor(dice)
    radius, start = dice.uniform(*own.radius), dice.uniform(0, 2 * math.pi)
    pulls = (middle + share * (room.centre - middle) for share in np.linspace(0, 1, 11))
    middle = next((one for one in pulls if room.depth(one) >= radius), room.centre)  # the circle lies above the area
    side = 1 if dice.random() < 0.5 else -1
    floor = room.floor(middle, ground)
    height = floor + dice.uniform(*own.height)
    pace = side * own.speed * options.dt / radius

    def at(angle: float) -> np.ndarray:
        return np.array([middle[0] + radius * math.cos(angle), middle[1] + radius * math.sin(angle), height])

    drawn = {"radius": radius, "height": height, "side": side, "x": middle[0], "y": middle[1]}
    look = np.array([*middle, floor])
    return Flight(at(start), own.speed, lambda place, number: at(start + pace * number), look, drawn)


def walk(room: Room, options: AerialSessionOptions, ground: tuple[int, ...], dice: np.random.Generator) -> Flight:
    """Ahead, with a heading and a height that wander; back towards the start where the area ends."""
    own, anchor = options.walk, room.anchor(dice)
    spread = math.radians(own.wander) * math.sqrt(options.dt)
    length = own.speed * options.dt
    state = {"yaw": dice.uniform(0, 2 * math.pi), "height": dice.uniform(*own.height)}
    start = np.array([*anchor, room.floor(anchor, ground) + state["height"]])

    def aim(place: np.ndarray, number: int) -> np.ndarray:
        state["yaw"] += dice.normal(0, spread)
        state["height"] = float(np.clip(state["height"] + dice.normal(0, 0.3 * length), *own.height))
        ahead = place[:2] + 10 * length * np.array([math.cos(state["yaw"]), math.sin(state["yaw"])])
        if not room.within(ahead):
            state["yaw"] = math.atan2(anchor[1] - place[1], anchor[0] - place[0])
            ahead = place[:2] + 10 * length * np.array([math.cos(state["yaw"]), math.sin(state["yaw"])])
        return np.array([*ahead, room.floor(place, ground) + state["height"]])

    return Flight(start, own.speed, aim, None, {"height": state["height"], "yaw": math.degrees(state["yaw"])})


PLANS: dict[str, Plan] = {"survey": survey, "orbit": orbit, "walk": walk}


def fly(
    room: Room, kind: str, options: AerialSessionOptions, ground: tuple[int, ...], dice: np.random.Generator
) -> Path:
    """A path of a kind from a start of its own.

    Raises:
        NoWay: the start has no room, or no step leads on.
    """
    flight = PLANS[kind](room, options, ground, dice)
    if not room.open(flight.start):
        raise NoWay
    positions, turned = [flight.start], 0
    for number in range(1, options.frames):
        wish = flight.aim(positions[-1], number) - positions[-1]
        longest = flight.speed * options.dt
        place, away = step(room, positions[-1], wish * min(1.0, longest / max(np.linalg.norm(wish), 1e-9)))
        positions.append(place)
        turned += away
    places = np.array(positions)
    return Path(places, attitudes(places, flight.look, options, dice), 0, turned, flight.drawn)


def attitudes(
    places: np.ndarray, look: np.ndarray | None, options: AerialSessionOptions, dice: np.random.Generator
) -> np.ndarray:
    """float64 [n, 4]: the heading follows the flight, or what is looked at; roll and pitch sway in long waves."""
    seconds = np.arange(len(places)) * options.dt
    yaws = headings(places, look, math.radians(options.turn) * options.dt)
    waves = [
        math.radians(options.sway) * np.sin(2 * math.pi * (seconds / dice.uniform(5, 11) + dice.random()))
        for _ in range(2)
    ]
    return yaw_turns(yaws, *waves)


def headings(places: np.ndarray, look: np.ndarray | None, most: float) -> np.ndarray:
    """float64 [n]: yaw of each frame; where nothing moves it stays."""
    ahead = np.diff(places[:, :2], axis=0, append=places[-1:, :2]) if look is None else look[:2] - places[:, :2]
    moving = np.linalg.norm(ahead, axis=1) > 1e-6
    wanted = np.arctan2(ahead[:, 1], ahead[:, 0])
    yaw = float(wanted[np.argmax(moving)]) if moving.any() else 0.0
    found = []
    for angle, moves in zip(wanted.tolist(), moving.tolist(), strict=True):
        yaw = towards(yaw, angle, most) if moves else yaw
        found.append(yaw)
    return np.array(found)
