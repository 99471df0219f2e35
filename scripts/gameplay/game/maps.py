"""Seeded maps: rooms, their look, the objects that goals name, and where the player starts.

Maps come in sets (`SETS`). The random generator of a map is seeded with its set and its number, so that no map or start
place of one set is in another, and a map is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from scripts.gameplay.game.catalogue import BY_NAME, PLAYER, Kind, definitions, goal_of, number_of
from scripts.gameplay.game.plan import CELL, SOLID, Plan, Point, line, plan_of
from scripts.gameplay.game.wad import START, Look, Placed, wad_of

MapSet = Literal["train", "test"]
SETS = get_args(MapSet)
# From Freedoom 2; none has the colour of an object.
WALLS = (
    *("STARTAN3", "BROWN1", "GRAY1", "GRAYBIG", "CEMENT3", "STONE2", "STONE4", "ROCK4", "TANROCK2", "TEKGREN2"),
    *("STARGR2", "STARBR2", "SHAWN2", "SILVER1", "SPACEW2", "AQBRIK01", "BIGBRIK1", "BIGBRIK2"),
)
FLOORS = (
    *("FLOOR0_1", "FLOOR0_3", "FLOOR3_3", "FLOOR4_1", "FLOOR4_8", "FLOOR5_2", "FLOOR5_4", "FLOOR7_1", "FLAT1"),
    *("FLAT5_4", "FLAT18", "FLAT19", "FLAT8", "CEIL1_1", "MFLR8_1", "RROCK09", "RROCK16", "MFLR8_3"),
)
CEILINGS = ("F_SKY1", "CEIL3_5", "CEIL5_1", "CEIL5_2", "CEIL1_2", "FLAT1")
NEAR, FAR = 288.0, 800.0  # map units from the start to an object
APART = 176.0  # map units between two objects, at least
ROOM = 72.0  # free units around an object and the start: a player can walk past
BODY = 34.0  # half of what an object hides of one behind it, in map units
SIGHT = 12.0  # half the width of what must be seen of an object, in map units
TRIES = 200


@dataclass(frozen=True)
class GameMap:
    """A map: its plan, each room's look, the objects by name with their places, and the start."""

    set: MapSet
    number: int
    plan: Plan
    looks: list[Look]
    objects: dict[str, Point]
    start: Point
    angle: int

    @property
    def name(self) -> str:
        """Set and number, as objects.jsonl has them."""
        return f"{self.set}/{self.number}"

    def goals(self, texts: Sequence[str]) -> list[str]:
        """Those of the goals whose object stands on this map."""
        return [text for text in texts if goal_of(text).kind.name in self.objects]

    def wad(self, pace: float) -> bytes:
        """The map in the game's format, for a player of this pace."""
        things = [Placed(number_of(BY_NAME[name]), *place) for name, place in self.objects.items()]
        start = Placed(START, *self.start, angle=self.angle)
        return wad_of(self.plan.rooms, self.looks, [start, *things], definitions(pace), PLAYER)


def map_of(maps: MapSet, number: int, goals: Sequence[str]) -> GameMap:
    """The map of this number, with three or four objects that the goals name (fewer where they name fewer).

    Every object can be seen from the start by turning; another object or a post may stand close to the way.
    """
    rng = np.random.default_rng([SETS.index(maps), number])
    named = {goal_of(text).kind.name: goal_of(text).kind for text in goals}
    kinds = [named[name] for name in sorted(named)]
    while True:
        plan = plan_of(rng)
        looks = []
        for _ in range(int(plan.rooms.max()) + 1):
            wall, floor, ceiling = (str(rng.choice(names)) for names in (WALLS, FLOORS, CEILINGS))
            looks.append(Look(wall, floor, ceiling, int(rng.integers(11, 16)) * 16))
        count = min(int(rng.integers(3, 5)), len(kinds))
        chosen = [kinds[index] for index in rng.choice(len(kinds), count, replace=False)]
        start = _free_place(rng, plan)
        places = _places(rng, plan, start, chosen)
        if places is not None:
            return GameMap(maps, number, plan, looks, places, start, int(rng.integers(0, 24)) * 15)


def _free_place(rng: np.random.Generator, plan: Plan) -> Point:
    """A place with room around it, on a grid of 8 map units."""
    cells = np.argwhere(plan.rooms != SOLID)
    while True:
        row, column = cells[rng.integers(len(cells))]
        x, y = (int(cell) * CELL + int(rng.integers(0, CELL // 8)) * 8.0 for cell in (column, row))
        if plan.free_around((x, y), ROOM):
            return x, y


def _places(rng: np.random.Generator, plan: Plan, start: Point, kinds: list[Kind]) -> dict[str, Point] | None:
    """Places for the objects, each seen from the start and apart from the others; None if none are found."""
    places: dict[str, Point] = {}
    for kind in kinds:
        for _ in range(TRIES):
            place = _free_place(rng, plan)
            others = list(places.values())
            apart = all(np.hypot(*np.subtract(place, other)) >= APART for other in others)
            if apart and NEAR <= np.hypot(*np.subtract(place, start)) <= FAR and seen(plan, start, place, others):
                places[kind.name] = place
                break
        else:
            return None
    # A later object may hide an earlier one.
    for place in places.values():
        if not seen(plan, start, place, [other for other in places.values() if other != place]):
            return None
    return places


def seen(plan: Plan, start: Point, place: Point, others: Sequence[Point]) -> bool:
    """Whether an object at a place is seen from the start: neither a wall nor one of the others hides its middle."""
    if not all(plan.clear(start, place, offset) for offset in (-SIGHT, SIGHT)):
        return False
    way = line(start, place)[:, None, :]
    return not others or float(np.hypot(*np.moveaxis(way - np.asarray(others), -1, 0)).min()) > BODY
