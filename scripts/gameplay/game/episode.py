"""Episodes: a map and a goal, and how a player did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from scripts.gameplay.game.arena import Arena
from scripts.gameplay.game.maps import MapSet, map_of
from scripts.gameplay.keys import Held
from scripts.gameplay.options import GameOptions

SECOND = 10  # slots
LIMIT = 300  # slots: half a minute, three times what a slow player needs

Policy = Callable[[Arena], Held]


class Episode(NamedTuple):
    """A map of a set, and one of its goals."""

    maps: MapSet
    number: int
    goal: str


class Outcome(NamedTuple):
    """How an episode went.

    Attributes:
        steps: slots until the goal was reached; None if it was not.
        stood: whether the player then stood still there for a second.
        wrong: the object that it took, or stood still at, before that.
    """

    episode: Episode
    steps: int | None
    stood: bool
    wrong: str | None
    slots: int

    @property
    def success(self) -> bool:
        """Whether the goal was reached."""
        return self.steps is not None

    @property
    def words(self) -> str:
        """How it went, in words."""
        if self.steps is not None:
            return f"reached after {self.steps / SECOND:.1f} s" + (", and stood still there" if self.stood else "")
        return f"not reached in {self.slots / SECOND:.0f} s" + (f"; went to the {self.wrong}" if self.wrong else "")


def episodes(options: GameOptions, maps: MapSet, count: int, first: int = 0) -> list[Episode]:
    """Episodes on ``count`` maps from number ``first`` on, one a map; goals take turns as far as the maps hold them."""
    result: list[Episode] = []
    used: Counter[str] = Counter()
    for number in range(first, first + count):
        goals = map_of(maps, number, options.goals).goals(options.goals)
        goal = min(goals, key=lambda text: used[text])
        used[goal] += 1
        result.append(Episode(maps, number, goal))
    return result


def play(options: GameOptions, episode: Episode, policy: Policy, limit: int = LIMIT, *, sight: bool = True) -> Outcome:
    """Plays until the player has stood still at the goal for a second, or for ``limit`` slots.

    Raises:
        UserError: the engine does not run, or the map has no such goal.
    """
    with Arena(options, episode.number, episode.goal, episode.maps, sight=sight) as arena:
        stood = False
        while arena.slot < limit and not stood:
            arena.step(policy(arena))
            stood = arena.at_goal and arena.still >= SECOND
        return Outcome(episode, arena.reached_after, stood, arena.wrong, arena.slot)
