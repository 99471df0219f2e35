"""What must not lie on both sides of a split: equal texts, and nearly equal ones.

Nearness is the Jaccard similarity of the texts' sets of word 5-grams, or of shorter runs. The pairs above a threshold
are found exactly (`scripts.lib.similar`). In a short text one exchanged word breaks most runs: `one_word_pairs` finds
what is one word apart.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
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
    # The same words, sooner: what separates them becomes blanks.
    return low.translate(BLANKED).split() if low.isascii() else WORDS.findall(low)


def shingles(text: str, width: int = WIDTH) -> frozenset[tuple[str, ...]]:
    """The set of runs of ``width`` words; of a shorter text all its words as one run."""
    found = words(text)
    if len(found) <= width:
        return frozenset([tuple(found)] if found else [])
    return frozenset(tuple(found[start : start + width]) for start in range(len(found) - width + 1))


def jaccard(first: Collection, second: Collection) -> float:
    """Shared elements over all elements of two sets; 0 for two empty ones."""
    shared = len(set(first) & set(second))
    return shared / max(1, len(first) + len(second) - shared)


def near_pairs(
    texts: Mapping[str, str | Sequence[str]],
    threshold: float,
    width: int = WIDTH,
    sides: Mapping[str, str] | None = None,
) -> list[Pair]:
    """All pairs of texts whose similarity is ``threshold`` or more, sorted; exact, without comparing all with all.

    A text is given as such, or as its words. With ``sides`` only pairs whose texts lie on different ones: what a proof
    looks for, and much less to compare.
    """
    keys = sorted(texts)
    found = (texts[key] for key in keys)
    sets = runs_of([words(text) if isinstance(text, str) else text for text in found], width)
    one, other, shares = similar(sets, threshold, sides and _numbers(keys, sides))
    low, high = np.minimum(one, other).tolist(), np.maximum(one, other).tolist()
    return sorted(Pair(keys[a], keys[b], share) for a, b, share in zip(low, high, shares.tolist(), strict=True))


def _numbers(keys: Sequence[str], sides: Mapping[str, str]) -> np.ndarray:
    """A number for the side of each key."""
    known: dict[str, int] = {}
    return np.array([known.setdefault(sides[key], len(known)) for key in keys], np.int64)


def one_word_pairs(
    texts: Mapping[str, Sequence[str]], least: int, sides: Mapping[str, str] | None = None
) -> list[Pair]:
    """Sorted pairs of different texts, given as words, that are one word apart: exchanged, added or left out. Linear.

    Of several that differ in the same place each is paired with the first only, which is enough to join them, or to
    notice that they do not all lie on one side. Texts of fewer words than ``least`` are passed over. The similarity is
    the share of words in common. With ``sides`` only pairs whose texts lie on different ones.
    """
    keys = [key for key in sorted(texts) if len(texts[key]) >= least]
    known = [texts[key] for key in keys]
    pairs = sorted(one_word_apart(known, sides and _numbers(keys, sides)))
    found = ((one, other, max(len(known[one]), len(known[other]))) for one, other in pairs)
    return [Pair(keys[one], keys[other], 1 - 1 / most) for one, other, most in found]


def exact_pairs(texts: Mapping[str, str]) -> list[Pair]:
    """Pairs of texts with the same words; of several equal ones each is paired with the first."""
    first: dict[tuple[str, ...], str] = {}
    pairs = []
    for key in sorted(texts):
        same = first.setdefault(tuple(words(texts[key])), key)
        if same != key:
            pairs.append(Pair(same, key, 1.0))
    return pairs


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


def across(pairs: Iterable[Pair], sides: Mapping[str, str]) -> list[Pair]:
    """The pairs whose two texts lie in different splits."""
    return [pair for pair in pairs if sides[pair.first] != sides[pair.second]]
