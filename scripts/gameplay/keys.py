"""The keys of a game, and the words that name the keys held together: ``left+w``, or ``none``."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

KEYS = ("a", "c", "d", "down", "enter", "left", "right", "s", "space", "up", "w")
CAMERA = frozenset({"down", "left", "right", "up"})  # keys that turn the view
MOVEMENT = frozenset({"a", "d", "s", "w"})  # keys that move the player
NONE = "none"
MOST = 5  # a recorder writes at most this many keys

Held = frozenset[str]


def word_of(keys: Iterable[str]) -> str:
    """The word for keys held together, sorted and joined by ``+``."""
    return "+".join(sorted(keys)) or NONE


def keys_of(word: str) -> Held:
    """The keys that a word names; the inverse of `word_of`.

    Raises:
        ValueError: a key is unknown or stands twice.
    """
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
    """Known keys as an integer with one bit for each key, in the order of `KEYS`; 0: no key is held."""
    return sum(1 << KEYS.index(key) for key in set(keys))


@cache
def word_of_code(code: int) -> str:
    """The word for the keys of a code."""
    return word_of(key for bit, key in enumerate(KEYS) if code >> bit & 1)
