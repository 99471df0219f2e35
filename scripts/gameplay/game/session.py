"""A recording session of the scripted player: maps and goals one after the other, and a shot for each slot."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Generator, Iterator
from typing import Any, NamedTuple

import numpy as np

from scripts.gameplay.game.arena import Arena, Thing
from scripts.gameplay.game.catalogue import goal_of
from scripts.gameplay.game.episode import LIMIT
from scripts.gameplay.game.maps import map_of, seen
from scripts.gameplay.game.player import ScriptedPlayer
from scripts.gameplay.keys import Held
from scripts.gameplay.options import GameGenerateOptions

EPOCH = 1_767_225_600_000  # 1 January 2026 in ms: the first recording begins then, the others an hour apart
HOUR = 3_600_000
SLOT = 100  # ms
BREAK = 3_000  # ms between two maps, as if the recording had been stopped and started
EACH = 3  # with save: changes, a frame is saved each third slot at least
RECORDINGS, MAPS = 10_000, 10_000  # of a seed, and map numbers of a recording


class Shot(NamedTuple):
    """A frame: its stamp in ms, the picture [h, w, 3] in RGB order, the keys held from then on, the game's state."""

    stamp: int
    picture: np.ndarray
    keys: Held
    row: dict[str, Any]


def shots(options: GameGenerateOptions, number: int, used: Counter[str]) -> Iterator[Shot]:
    """The frames of a recording; ``used`` counts each goal's slots, and goes on from recording to recording.

    Raises:
        UserError: the engine does not run.
    """
    rng = np.random.default_rng([options.seed, number])
    player = ScriptedPlayer(options.player, int(rng.integers(1 << 31)))
    start, last, since = EPOCH + number * HOUR, None, 0
    with contextlib.closing(_slots(options, number, used, player)) as slots:
        for shot in itertools.islice(slots, options.frames):
            since = since + 1 if last == shot.keys else EACH
            last = shot.keys
            stamp = start + shot.stamp + int(rng.integers(0, options.jitter_ms + 1))
            if options.save == "every" or since == EACH:
                since = 0
                yield shot._replace(stamp=stamp, row={"stamp": stamp, **shot.row})


def _slots(options: GameGenerateOptions, number: int, used: Counter[str], player: ScriptedPlayer) -> Generator[Shot]:
    """Slots without end; stamps count from the beginning of the recording.

    Each map holds the goal with the fewest slots so far, and no map is played twice.
    """
    clock = 0
    first = (options.seed * RECORDINGS + number) * MAPS
    for game in range(first, first + MAPS):
        rarest = min(options.goals, key=lambda goal: used[goal])
        if rarest not in map_of("train", game, options.goals).goals(options.goals):
            continue
        with Arena(options, game) as arena:
            for turn in range(options.goals_per_map):
                goal = next_goal(arena, used, fresh=turn == 0)
                if goal is None:
                    break
                arena.aim(goal)
                player.begin()
                while not player.done(arena) and arena.slot < LIMIT:
                    keys = player.keys(arena)
                    used[goal] += 1
                    yield Shot(clock, arena.picture, keys, row_of(arena))
                    arena.step(keys)
                    clock += SLOT
        clock += BREAK


def next_goal(arena: Arena, used: Counter[str], *, fresh: bool) -> str | None:
    """The goal with the fewest slots so far of those whose object is there and can be seen; None if none is left.

    On a ``fresh`` map every object can be seen by turning; later the next object is another than the last one's.
    """
    there = {thing.name: (thing.x, thing.y) for thing in arena.objects if not thing.taken}
    here = arena.player.x, arena.player.y
    possible = []
    for goal in arena.goals:
        name = goal_of(goal).kind.name
        others = [place for other, place in there.items() if other != name]
        other_than_last = name != arena.task.kind.name
        if name in there and (fresh or (other_than_last and seen(arena.map.plan, here, there[name], others))):
            possible.append(goal)
    return min(possible, key=lambda goal: used[goal], default=None)


def row_of(arena: Arena) -> dict[str, Any]:
    """The state that a frame shows, as a row of objects.jsonl."""

    def row(thing: Thing) -> dict[str, Any]:
        return {"name": thing.name, "x": thing.x, "y": thing.y, "distance": thing.distance, "box": thing.box}

    body = arena.player
    return {
        "map": arena.map.name,
        "goal": arena.goal,
        "reached": arena.at_goal,
        "player": {"x": body.x, "y": body.y, "angle": body.angle, "pitch": body.pitch},
        "target": row(arena.target),
        "objects": [row(thing) for thing in arena.objects if thing.box is not None],
    }
