"""Pairs of sets that share much, found exactly among many without comparing all with all.

Prefix filtering (Chaudhuri, Ganti and Kaushik 2006, "A Primitive Operator for Similarity Joins in Data Cleaning") with
the shorter index of Xiao et al. 2008 ("Efficient Similarity Joins for Near Duplicate Detection"): elements are sorted
from rare to common and sets from small to large. A set of n elements that shares similarity t with one of its size or
more shares an element of its first ``n - ceil(2t/(1+t)·n) + 1`` with the first ``m - ceil(t·m) + 1`` of the other's m.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any

import numpy as np

BLOCK = 1 << 22  # numbers held at a time while candidates are made and counted
LARGEST = 1 << 62  # codes stay below
HASH_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that it has an inverse
INVERSE = np.uint64(pow(int(HASH_BASE), -1, 1 << 64))
ROUNDING = 1e-9  # 0.7 * 10 must not become more than 7


@dataclass(frozen=True)
class Sets:
    """Sets of numbers, row after row; in each row from rare to common, the rows from small to large.

    Attributes:
        elements: [elements of all rows].
        ends: [rows + 1], where each row begins and the last one ends.
        order: [rows], the place of each row in what the sets were made from.
    """

    elements: np.ndarray
    ends: np.ndarray
    order: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """[rows]"""
        return np.diff(self.ends)


def runs_of(texts: Sequence[Sequence[str]], width: int) -> Sets:
    """The sets of runs of ``width`` words; a shorter text's words are one run, an empty text has none."""
    flat, lengths, kinds_of_words = _numbered_words(texts)
    runs = np.where(lengths > 0, np.maximum(lengths - width + 1, 1), 0)
    rows = np.repeat(np.arange(len(texts)), runs)
    ends = np.cumsum(lengths)
    places = np.arange(len(rows)) + (ends - lengths - np.cumsum(runs) + runs)[rows]
    flat = np.concatenate([flat, np.zeros(width, np.int64)])
    codes, kinds, base = np.zeros(len(rows), np.int64), 1, kinds_of_words + 1
    for shift in range(width):
        if kinds * base > LARGEST:
            codes, kinds = _numbered(codes)
        # Behind the end of a short text stands 0, which is no word.
        codes = codes * base + np.where(places + shift < ends[rows], flat[places + shift], 0)
        kinds *= base
    return sets_of(rows, _numbered(codes)[0], len(texts))


def _numbered_words(texts: Sequence[Sequence[str]]) -> tuple[np.ndarray, np.ndarray, int]:
    """The words of all texts as numbers from 1, how many words each text has, and how many different ones there are."""
    words = {word: number for number, word in enumerate(dict.fromkeys(chain.from_iterable(texts)), 1)}
    flat = np.fromiter(map(words.__getitem__, chain.from_iterable(texts)), np.int64)
    return flat, np.fromiter(map(len, texts), np.int64, len(texts)), len(words)


def _numbered(codes: np.ndarray) -> tuple[np.ndarray, int]:
    """Equal codes as equal numbers from 0, and how many there are."""
    kinds, numbers = np.unique(codes, return_inverse=True)
    return numbers, len(kinds)


def sets_of(rows: np.ndarray, codes: np.ndarray, count: int) -> Sets:
    """The sets in which ``codes[i]`` stands in row ``rows[i]``, once or more often."""
    kinds = int(codes.max(initial=0)) + 1
    rows, codes = np.divmod(_once(rows * kinds + codes), kinds)
    sizes = np.bincount(rows, minlength=count)
    order = np.argsort(sizes, kind="stable")
    place, rarity = np.empty(count, np.int64), np.empty(kinds, np.int64)
    place[order] = np.arange(count)
    rarity[np.argsort(np.bincount(codes, minlength=kinds), kind="stable")] = np.arange(kinds)
    elements = np.sort(place[rows] * kinds + rarity[codes]) % kinds
    return Sets(elements, np.concatenate([[0], np.cumsum(sizes[order])]), order)


def similar(sets: Sets, threshold: float, sides: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All pairs of Jaccard similarity ``threshold`` or more: [pairs] of one place, of the other, and similarities.

    Args:
        sides: a number for each place; given, only pairs of places with different numbers are looked for.
    """
    from scipy.sparse import csr_matrix

    shape = (len(sets.order), int(sets.elements.max(initial=0)) + 1)
    table = csr_matrix((np.ones(len(sets.elements), np.int32), sets.elements, sets.ends), shape=shape)
    found = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
    side = None if sides is None else sides[sets.order]
    for one, other in _candidates(sets, threshold):
        if side is not None:
            across = side[one] != side[other]
            one, other = one[across], other[across]
        shared = _shared(table, one, other)
        share = shared / (sets.sizes[one] + sets.sizes[other] - shared)
        near = share >= threshold
        found.append((sets.order[one[near]], sets.order[other[near]], share[near]))
    one, other, share = (np.concatenate(part) for part in zip(*found, strict=True))
    return one, other, share


def _shared(table: Any, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How many elements the two rows of each pair share."""
    sizes = np.diff(table.indptr)
    blocks = np.cumsum(sizes[one] + sizes[other]) // BLOCK
    counts = [table[one[part]].multiply(table[other[part]]).sum(axis=1) for part in _stretches(blocks)]
    return np.concatenate([np.asarray(part, np.int64).ravel() for part in counts] or [one])


def _candidates(sets: Sets, threshold: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows that share an element of their first ones and are alike in size, the later row first, in blocks."""
    sizes, count = sets.sizes, len(sets.order)
    rows, elements = _heads(sets, 2 * threshold / (1 + threshold))
    index = np.sort(elements * count + rows)
    rows, elements = _heads(sets, threshold)
    smallest = np.searchsorted(sizes, np.ceil(threshold * sizes - ROUNDING))
    low = np.searchsorted(index, elements * count + smallest[rows])
    hits = np.searchsorted(index, elements * count + rows) - low
    # All hits of a row are in one block, so that no pair is given twice.
    blocks = np.cumsum(np.bincount(rows, hits, count)).astype(np.int64)[rows] // BLOCK
    for part in _stretches(blocks):
        hit = hits[part]
        places = np.repeat(low[part] - (np.cumsum(hit) - hit), hit) + np.arange(hit.sum())
        pairs = _once(np.repeat(rows[part], hit) * count + index[places] % count)
        yield pairs // count, pairs % count


def _heads(sets: Sets, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows and elements of the first ``n - ceil(share·n) + 1`` elements of every row of n."""
    sizes = sets.sizes
    kept = np.where(sizes > 0, sizes - np.ceil(share * sizes - ROUNDING).astype(np.int64) + 1, 0)
    rows = np.repeat(np.arange(len(kept)), kept)
    return rows, sets.elements[np.arange(len(rows)) + (sets.ends[:-1] - np.cumsum(kept) + kept)[rows]]


def one_word_apart(texts: Sequence[Sequence[str]], sides: np.ndarray | None = None) -> set[tuple[int, int]]:
    """Places of texts, the smaller first, that are one word apart: exchanged, added or left out. Linear.

    Of several that differ in the same place each is paired with the first only. Texts without one word are found by a
    polynomial hash of random numbers for words, modulo 2^64; what it brings together is compared word by word. With
    ``sides`` only pairs of different numbers are given.
    """
    flat, lengths, kinds = _numbered_words(texts)
    rows, ends = np.repeat(np.arange(len(texts)), lengths), np.cumsum(lengths)
    starts = ends - lengths
    places = np.arange(len(flat)) - starts[rows]
    powers = np.full(lengths.max(initial=0) + 1, HASH_BASE).cumprod() * INVERSE
    terms = np.random.default_rng(0).integers(0, 1 << 64, kinds + 1, np.uint64)[flat] * powers[places]
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms)])
    whole = sums[ends] - sums[starts]
    before = sums[:-1] - sums[starts][rows]
    after = whole[rows] - before - terms
    exchanged = _with_first(before + after + powers[places] * HASH_BASE, rows, places)
    found = np.concatenate([exchanged, _shorter(whole, before + after * INVERSE, rows, places)])
    return _really(texts, found if sides is None else found[sides[found[:, 0]] != sides[found[:, 1]]])


def _with_first(codes: np.ndarray, rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    """[pairs, 3]: the first row of each code, each other row of it, and the place in the latter."""
    # Not stable, which takes five times as long: the smallest place of equal codes comes first all the same.
    order = np.argsort(codes)
    start = np.flatnonzero(np.diff(codes[order], prepend=~codes[order][:1]))
    first = np.repeat(np.minimum.reduceat(order, start), np.diff(np.append(start, len(order))))
    other = first != order
    return np.stack([rows[first[other]], rows[order[other]], places[order[other]]], axis=1)


def _shorter(whole: np.ndarray, codes: np.ndarray, rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    """[pairs, 3]: a row whose whole text has the code that another's has without a word, that row and that place."""
    known, first = np.unique(whole, return_index=True)
    order = np.argsort(codes)  # a search for rising codes finds what it needs in the cache
    codes = codes[order]
    at = np.minimum(np.searchsorted(known, codes), len(known) - 1)
    same = known[at] == codes if len(known) else np.zeros(len(codes), bool)
    return np.stack([first[at[same]], rows[order[same]], places[order[same]]], axis=1)


def _really(texts: Sequence[Sequence[str]], found: np.ndarray) -> set[tuple[int, int]]:
    """The pairs that are the same without the word at that place, in the other too where it is as long."""
    pairs = set()
    for one, other, at in found.tolist():
        first, second = texts[one], texts[other]
        rest = first[at + 1 :] if len(first) == len(second) else first[at:]
        if first[:at] == second[:at] and rest == second[at + 1 :]:
            pairs.add((min(one, other), max(one, other)))
    return pairs


def _once(numbers: np.ndarray) -> np.ndarray:
    """Each of the numbers (0 or more) once, sorted; `np.unique` hashes first, which takes five times as long here."""
    ranked = np.sort(numbers)
    return ranked[np.diff(ranked, prepend=-1) > 0]


def _stretches(numbers: np.ndarray) -> Iterator[slice]:
    """The stretches of equal numbers."""
    for start, stop in pairwise([*np.flatnonzero(np.diff(numbers, prepend=-1)), len(numbers)]):
        yield slice(start, stop)
