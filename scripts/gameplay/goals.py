"""The goals that an agent was trained on, and a warning for any other goal."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from scripts.lib.leakage import words


def nearest_goal(goal: str, known: Iterable[str]) -> str:
    """The known goal most similar to this one: by the Jaccard index of their words, then by their letters.

    Raises:
        ValueError: no goal is known.
    """
    given = set(words(goal))

    def similarity(other: str) -> tuple[float, float, str]:
        other_words = set(words(other))
        shared = len(given & other_words) / max(1, len(given | other_words))
        return shared, difflib.SequenceMatcher(None, goal.lower(), other.lower()).ratio(), other

    return max(known, key=similarity)


def warning_of(goal: str, known: Iterable[str]) -> str | None:
    """A warning if the goal is not a known one; None if it is, or if no goals are known."""
    goals = list(known)
    if not goals or goal in goals:
        return None
    nearest = nearest_goal(goal, goals)
    return f"warning: the agent was not trained on {goal!r}; the nearest goal that it knows is {nearest!r}."
