"""Texts that must not lie on both sides of a split: equal ones, and near duplicates.

Two texts are near duplicates where the Jaccard similarity of their sets of word 5-grams (or shorter runs) reaches a
threshold; `scripts.lib.similar` finds all such pairs without comparing all with all. In a short text one exchanged word
breaks most runs, so `one_word_pairs` finds the texts that are one word apart.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from scripts.lib.similar import one_word_apart, runs_of, similar

WIDTH = 5
WORDS = re.compile(r"\w+")
BLANKED = {code: " " for code in range(128) if not WORDS.match(chr(code))}


class Pair(NamedTuple):
    """Two texts by their keys, the smaller first, and their similarity, 0 to 1."""

    first: str
    second: str
    similarity: float


def words(text: str) -> list[str]:
    """The words of a text in lower case; punctuation and blanks do not count."""
    low = text.lower()
    # The same words, but faster: whatever separates them becomes blanks.
    return low.translate(BLANKED).split() if low.isascii() else WORDS.findall(low)


def shingles(text: str, width: int = WIDTH) -> frozenset[tuple[str, ...]]:
    """The set of runs of ``width`` words; a shorter text has one run, all its words."""
    wordlist = words(text)
    if len(wordlist) <= width:
        return frozenset([tuple(wordlist)] if wordlist else [])
    return frozenset(tuple(wordlist[start : start + width]) for start in range(len(wordlist) - width + 1))


def jaccard(first: Collection, second: Collection) -> float:
    """Shared elements over all elements of two sets; 0 for two empty ones."""
    shared = len(set(first) & set(second))
    return shared / max(1, len(first) + len(second) - shared)


def repeats(contents: Mapping[str, Hashable]) -> dict[str, str]:
    """For each key whose content an earlier key has: the first key with that content.

    >>> repeats({"a": "x", "b": "y", "c": "x"})
    {'c': 'a'}
    """
    first: dict[Hashable, str] = {}
    return {key: same for key, content in contents.items() if (same := first.setdefault(content, key)) != key}


def exact_pairs(texts: Mapping[str, str]) -> list[Pair]:
    """Pairs of texts with the same words; of several equal ones each is paired with the first."""
    same = repeats({key: tuple(words(texts[key])) for key in sorted(texts)})
    return [Pair(first, key, 1.0) for key, first in same.items()]


def near_pairs(
    texts: Mapping[str, str | Sequence[str]],
    threshold: float,
    width: int = WIDTH,
    sides: Mapping[str, str] | None = None,
) -> list[Pair]:
    """All pairs of texts whose similarity is ``threshold`` or more, sorted; exact.

    Args:
        texts: strings, or sequences of words, by key.
        sides: the split of each key; given, only pairs across splits are searched, which takes much less time.
    """
    keys = sorted(texts)
    wordlists = (texts[key] for key in keys)
    sets = runs_of([words(text) if isinstance(text, str) else text for text in wordlists], width)
    first, second, shares = similar(sets, threshold, sides and _side_numbers(keys, sides))
    low, high = np.minimum(first, second).tolist(), np.maximum(first, second).tolist()
    return sorted(Pair(keys[a], keys[b], share) for a, b, share in zip(low, high, shares.tolist(), strict=True))


def one_word_pairs(
    texts: Mapping[str, Sequence[str]], least: int, sides: Mapping[str, str] | None = None
) -> list[Pair]:
    """Sorted pairs of different texts that are one word apart: exchanged, added or left out. Takes linear time.

    Of several texts that differ at the same place each is paired with the first only. That is enough to join them, or
    to notice that they do not all lie on one side. The similarity is the share of words in common.

    Args:
        texts: the words of each text, by key.
        least: texts of fewer words are left out.
        sides: the split of each key; given, only pairs across splits are returned.
    """
    keys = [key for key in sorted(texts) if len(texts[key]) >= least]
    pairs = sorted(one_word_apart([texts[key] for key in keys], sides and _side_numbers(keys, sides)))
    named = [(keys[first], keys[second]) for first, second in pairs]
    return [Pair(first, second, 1 - 1 / max(len(texts[first]), len(texts[second]))) for first, second in named]


def _side_numbers(keys: Sequence[str], sides: Mapping[str, str]) -> np.ndarray:
    """A number for the split of each key, int64 [keys]."""
    return np.unique([sides[key] for key in keys], return_inverse=True)[1]


def clusters(keys: Iterable[str], pairs: Iterable[Sequence]) -> dict[str, str]:
    """The cluster of each key, named after its smallest member: keys joined by pairs, directly or through others."""
    ordered = sorted(set(keys))
    number = {key: place for place, key in enumerate(ordered)}
    edges = np.array([(number[pair[0]], number[pair[1]]) for pair in pairs], np.int64).reshape(-1, 2)
    if not len(edges):
        return dict(zip(ordered, ordered, strict=True))
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    graph = csr_matrix((np.ones(len(edges), np.int8), edges.T), shape=(len(ordered), len(ordered)))
    _, labels = connected_components(graph, directed=False)
    _, smallest = np.unique(labels, return_index=True)
    return {key: ordered[place] for key, place in zip(ordered, smallest[labels].tolist(), strict=True)}
