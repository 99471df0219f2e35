"""Goals that an agent was trained on, and what to say of one that it was not."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from scripts.lib.leakage import words


def nearest_goal(goal: str, known: Iterable[str]) -> str:
    """The known goal most like it, by words that they share, then by letters.

    Raises:
        ValueError: none is known.
    """
    given = set(words(goal))

    def likeness(other: str) -> tuple[float, float, str]:
        there = set(words(other))
        shared = len(given & there) / max(1, len(given | there))
        return shared, difflib.SequenceMatcher(None, goal.lower(), other.lower()).ratio(), other

    return max(known, key=likeness)


def warning_of(goal: str, known: Iterable[str]) -> str | None:
    """A sentence where the goal is none of those known; None where it is, or where none are known."""
    goals = list(known)
    if not goals or goal in goals:
        return None
    nearest = nearest_goal(goal, goals)
    return f"warning: the agent was not trained on {goal!r}; the nearest goal that it knows is {nearest!r}."
