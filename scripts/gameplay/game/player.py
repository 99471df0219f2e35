"""A scripted player. It chooses keys from the game's state, but only by what a picture and the goal show.

It turns left until the goal's object is in the picture, walks towards it with small turns, sidesteps obstacles,
releases the keys in time to slide to a stop, and stands still. Nothing outside the picture decides where it goes; only
small slips (a late reaction, a pause, a jump on the way) are random.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from scripts.gameplay.game.arena import Arena, Thing
from scripts.gameplay.game.catalogue import BY_NAME
from scripts.gameplay.game.plan import Point
from scripts.gameplay.keys import NONE, Held
from scripts.gameplay.options import GamePlayerOptions

SLIDE = 9.67  # map units of slide after the keys are released, per unit a tic of speed: friction leaves 0.906 a tic
SPARE = 8.0  # map units: released at full pace, it stops at least this far within reach
SLOW = 1.5  # units a tic
CALM = 64.0  # map units before reach within which no slip begins
CIRCLE = 36  # slots of searching after which it has turned around once
AIM = 7.0  # degrees that it does not correct: a turn of one slot is 10 to 14
ASIDE = 30.0  # degrees from which it turns without walking
AHEAD = 140.0  # map units ahead within which it avoids obstacles
SHOULDER, BERTH = 24.0, 34.0  # half the width of the way that it needs between walls, and beside objects
CLOSE = 90.0  # map units from which a wrong object ahead makes it step back
NARROW = 0.012  # of the picture's width: an object narrower than this does not count as in view
PAUSE = frozenset({NONE})
# Keys beside the others, slot by slot; a look up is taken back two slots later, when the slot is as long again.
FIDGETS = tuple(
    tuple(frozenset(keys.split()) for keys in slots)
    for slots in (["space"], ["c", "c", "c"], ["enter"], ["up", "", "down"], ["down", "", "up"])
)


class ScriptedPlayer:
    """Chooses the keys of a slot by `keys`; ``done`` once it has stood still at the goal for long enough."""

    def __init__(self, options: GamePlayerOptions, seed: int) -> None:
        self._options, self._rng = options, np.random.default_rng(seed)
        self._mode, self._meaning = "", frozenset[str]()
        self._late = self._searched = 0
        self._fidgets = itertools.islice(itertools.cycle(FIDGETS), int(self._rng.integers(len(FIDGETS))), None)
        self._slips: Iterator[Held] = iter(())
        self.begin()

    def begin(self) -> None:
        """Starts on the arena's current goal."""
        self._stand = self._between(self._options.stand)

    def done(self, arena: Arena) -> bool:
        """Whether it has stood still at the goal for long enough."""
        return arena.at_goal and arena.still >= self._stand

    def keys(self, arena: Arena) -> Held:
        """The keys for the next slot: those for the goal, late when the scene has changed, and now and then a slip."""
        mode, wanted = decide(arena)
        self._searched = self._searched + 1 if mode == "search" else 0
        if self._searched > CIRCLE:  # the object is behind a corner
            here, there = (arena.player.x, arena.player.y), (arena.target.x, arena.target.y)
            wanted = _towards(arena, arena.map.plan.next_cell(here, there), set())
        if mode != self._mode:
            # The end of the way does not come as a surprise, so the player is not late for it.
            self._late = self._between(self._options.lag) if self._mode and mode != "stand" else 0
            self._mode = mode
        if self._late:
            self._late -= 1
        else:
            self._meaning = wanted
        slip = next(self._slips, None)
        if slip is not None:
            return frozenset() if slip == PAUSE else self._meaning | slip
        if self._meaning == {"w"} and arena.target.distance > arena.options.reach + CALM:
            chance = self._rng.random() - self._options.pause
            if chance < 0:
                self._slips = itertools.repeat(PAUSE, self._between((1, 3)))
            else:
                self._slips = iter(next(self._fidgets) if chance < self._options.fidget else ())
        return self._meaning

    def _between(self, bounds: tuple[int, int]) -> int:
        return int(self._rng.integers(bounds[0], bounds[1] + 1))


def decide(arena: Arena) -> tuple[str, Held]:
    """What the player does (stand, search or walk), and its keys, from the game's state."""
    target = arena.target
    if target.taken or (not arena.task.pickup and in_view(arena, target) and _arrives(arena, target)):
        return "stand", frozenset()
    if not in_view(arena, target):
        near = any(not thing.taken and thing.distance < CLOSE and in_view(arena, thing) for thing in arena.objects)
        return "search", frozenset({"left", "s"} if near else {"left"})
    return "walk", _towards(arena, (target.x, target.y), _sidestep(arena, target))


def _towards(arena: Arena, place: Point, beside: set[str]) -> Held:
    off = bearing(arena, place)
    turn = {"left"} if off > AIM else {"right"} if off < -AIM else set()
    return frozenset(turn if abs(off) > ASIDE else {"w"} | turn | beside)


def in_view(arena: Arena, thing: Thing) -> bool:
    """Whether enough of an object is in the picture, by the width of its box."""
    return thing.box is not None and thing.box[2] - thing.box[0] >= NARROW * arena.picture.shape[1]


def bearing(arena: Arena, place: Point) -> float:
    """Degrees from the player's direction to a place, positive to the left, within ±180."""
    body = arena.player
    direction = math.degrees(math.atan2(place[1] - body.y, place[0] - body.x))
    return (direction - body.angle + 180) % 360 - 180


def _arrives(arena: Arena, target: Thing) -> bool:
    """Whether the player would stop well within reach of the object if it released the keys now."""
    body, margin = arena.player, arena.options.slide + SPARE
    near = arena.options.reach - margin
    way = target.x - body.x, target.y - body.y
    speed = (way[0] * body.velocity_x + way[1] * body.velocity_y) / max(target.distance, 1.0)
    # A slow player may stop closer to the limit: otherwise it would take one more step after it has stopped.
    return target.distance - SLIDE * speed <= (near if speed > SLOW else near + margin / 2)


def _sidestep(arena: Arena, target: Thing) -> set[str]:
    """The key that leads past an obstacle between the player and the object: a, d, or none."""
    body = arena.player.x, arena.player.y
    reach = min(AHEAD, target.distance)
    share = reach / max(target.distance, 1.0)
    end = body[0] + share * (target.x - body[0]), body[1] + share * (target.y - body[1])
    way = end[0] - body[0], end[1] - body[1]
    length = max(math.hypot(*way), 1e-6)
    for thing in arena.objects:
        if not thing.taken and thing.name != target.name:
            # The object in the way's coordinates, by dot and cross product: how far ahead, and how far to the left.
            beside = thing.x - body[0], thing.y - body[1]
            ahead = (way[0] * beside[0] + way[1] * beside[1]) / length
            left = (way[0] * beside[1] - way[1] * beside[0]) / length
            if 0 < ahead < reach and abs(left) < BY_NAME[thing.name].radius + BERTH:
                return {"d"} if left >= 0 else {"a"}
    left, right = (not arena.map.plan.clear(body, end, offset) for offset in (SHOULDER, -SHOULDER))
    return {"d"} if left and not right else {"a"} if right and not left else set()
