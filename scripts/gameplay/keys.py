"""The keys of a game, and the words that name what is held down at one time: ``left+w``, or ``none``."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

KEYS = ("a", "c", "d", "down", "enter", "left", "right", "s", "space", "up", "w")
CAMERA = frozenset({"down", "left", "right", "up"})  # keys that turn the view
MOVEMENT = frozenset({"a", "d", "s", "w"})  # keys that walk
NONE = "none"
MOST = 5  # keys that a recorder writes at most

Held = frozenset[str]


def word_of(keys: Iterable[str]) -> str:
    """The word for keys held down together, sorted and joined by ``+``."""
    return "+".join(sorted(keys)) or NONE


def keys_of(word: str) -> Held:
    """The keys that a word names; the inverse of `word_of`.

    Raises:
        ValueError: a key is unknown or stands twice.
    """
    if word == NONE:
        return frozenset()
    return held(word.split("+"))


def held(names: Iterable[str]) -> Held:
    """Keys by their names; ``none`` is no key.

    Raises:
        ValueError: a key is unknown, stands twice, or stands beside ``none``.
    """
    given = list(names)
    if given == [NONE]:
        return frozenset()
    unknown = next((name for name in given if name not in KEYS), None)
    if unknown is not None:
        raise ValueError(f"unknown key {unknown!r}; known are {', '.join(KEYS)}, and none alone")
    if len(set(given)) != len(given):
        raise ValueError(f"a key stands twice in {'+'.join(given)}")
    return frozenset(given)


def code_of(keys: Iterable[str]) -> int:
    """Known keys as a number with a bit for each, in the order of `KEYS`; 0 is none."""
    return sum(1 << KEYS.index(key) for key in set(keys))


@cache
def keys_of_code(code: int) -> Held:
    """The keys of a number; the inverse of `code_of`."""
    return frozenset(key for bit, key in enumerate(KEYS) if code >> bit & 1)


@cache
def word_of_code(code: int) -> str:
    """The word for the keys of a number."""
    return word_of(keys_of_code(code))
