"""A game in progress: one seeded map, one goal, and a step for each slot of 100 ms."""

from __future__ import annotations

import math
from collections.abc import Iterable
from types import TracebackType
from typing import NamedTuple

import numpy as np

from scripts.gameplay.game.catalogue import BY_NAME, Goal, goal_of
from scripts.gameplay.game.engine import Box, Engine
from scripts.gameplay.game.maps import SETS, MapSet, map_of
from scripts.gameplay.options import GameOptions
from scripts.lib.cli import UserError

TICS = (3, 4)  # of the engine's 35 a second, slot by slot in turn: a slot lasts 100 ms on average
STILL = 4.0  # map units: a player who moves less in a slot, without a key, stands still
STOOD = 5  # slots of standing still at the wrong object that count as having gone there
SEEDS = 1 << 31  # the engine takes seeds below this


class Thing(NamedTuple):
    """An object: its place and distance in map units, its box on the picture if it is in view, whether it was taken.

    ``box`` is left, top, right, bottom in pixels, right and bottom beyond the last.
    """

    name: str
    x: float
    y: float
    distance: float
    box: Box | None
    taken: bool


class Body(NamedTuple):
    """The player: place in map units, direction in degrees (0: east, 90: north), gaze (down: positive), units a tic."""

    x: float
    y: float
    angle: float
    pitch: float
    velocity_x: float
    velocity_y: float


class Arena:
    """A map that is played, in a ``with`` block. The same options, map and steps give the same pictures.

    Set on entry and after each step: ``picture`` (uint8 [h, w, 3] in RGB order), ``player``, ``objects`` (all of the
    map), ``slot`` (slots since the goal was set), ``still`` (slots for which the player has stood still without a key),
    ``reached_after`` (slots until the goal was reached, or None) and ``wrong`` (the object that was taken, or stood
    at, before that, or None).
    """

    picture: np.ndarray
    player: Body
    objects: list[Thing]

    def __init__(
        self, options: GameOptions, number: int, goal: str | None = None, maps: MapSet = "train", *, sight: bool = True
    ) -> None:
        """Makes the map; ``goal`` is one of `goals` (default: the first); ``sight=False``: faster, without boxes.

        Raises:
            UserError: the goal is not one of this map.
        """
        self.options, self.map, self._sight = options, map_of(maps, number, options.goals), sight
        self.goals = self.map.goals(options.goals)
        self._engine: Engine | None = None
        self._played = 0
        self.aim(goal or self.goals[0])

    def aim(self, goal: str) -> None:
        """Sets another goal; what was reached, and slots, count from here.

        Raises:
            UserError: the goal is not one of this map.
        """
        if goal not in self.goals:
            raise UserError(f"map {self.map.name} has no goal {goal!r}; its goals are {', '.join(self.goals)}.")
        self.goal = goal
        self.task: Goal = goal_of(goal)
        self.slot = self.still = 0
        self.reached_after: int | None = None
        self.wrong: str | None = None

    def __enter__(self) -> Arena:
        """Starts the engine.

        Raises:
            UserError: ViZDoom is missing, or does not start.
        """
        seed = (self.map.number * len(SETS) + SETS.index(self.map.set)) % SEEDS
        self._engine = Engine(self.options, self.map.wad(self.options.pace), seed, sight=self._sight)
        self._look(self._engine)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def step(self, keys: Iterable[str]) -> None:
        """Plays a slot of 100 ms with these keys held down.

        Raises:
            UserError: the engine has stopped.
        """
        if self._engine is None:
            raise RuntimeError("an arena is played inside its with block")
        down, before = frozenset(keys), self.player
        taken = {thing.name for thing in self.objects if thing.taken}
        self._engine.advance(down, TICS[self._played % len(TICS)])
        self._played += 1
        self.slot += 1
        self._look(self._engine)
        moved = math.hypot(self.player.x - before.x, self.player.y - before.y)
        self.still = self.still + 1 if not down and moved < STILL else 0
        if self.at_goal and not self.reached:
            self.reached_after = self.slot
        for thing in self.objects if self.wrong is None and not self.reached else ():
            stood_at = not thing.taken and self.still >= STOOD and thing.distance <= self.options.reach
            if thing.name != self.task.kind.name and (stood_at or (thing.taken and thing.name not in taken)):
                self.wrong = thing.name
                break

    @property
    def target(self) -> Thing:
        """The object that the goal names."""
        return next(thing for thing in self.objects if thing.name == self.task.kind.name)

    @property
    def at_goal(self) -> bool:
        """Whether the player is within reach of the goal's object, or has picked it up."""
        target = self.target
        return target.taken or (not self.task.pickup and target.distance <= self.options.reach)

    @property
    def reached(self) -> bool:
        """Whether the goal was reached since it was set."""
        return self.reached_after is not None

    def _look(self, engine: Engine) -> None:
        """Reads the engine's state."""
        state = engine.state()
        self.picture, self.player, self.objects = state.picture, Body(*state.variables), []
        for name, (x, y) in self.map.objects.items():
            actor = BY_NAME[name].actor
            distance = round(math.hypot(x - self.player.x, y - self.player.y), 1)
            self.objects.append(Thing(name, x, y, distance, state.boxes.get(actor), actor not in state.present))
