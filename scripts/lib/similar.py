"""Pairs of similar texts among many, found exactly without comparing all with all.

Near duplicates. A text is the set of its runs of words. Two sets A and B are similar where their Jaccard similarity
|A ∩ B| / |A ∪ B| is at least t.

Idea: sort the elements of every set from rare to common, and the sets from small to large. If two sets share many
elements, they share one of their rarest. So only pairs that share an element of a short prefix are compared:

    m >= n elements, similarity >= t   =>   the first  m - ceil(t·m) + 1             elements of the larger set and
                                            the first  n - ceil(2t/(1+t)·n) + 1      elements of the smaller one
                                            have one in common, and n >= t·m

Source: prefix filtering, Chaudhuri, Ganti and Kaushik 2006, "A Primitive Operator for Similarity Joins in Data
Cleaning"; the shorter prefix of the smaller set, Xiao et al. 2008, "Efficient Similarity Joins for Near Duplicate
Detection" (PPJoin).

Example, t = 0.7: two sets of 10 elements each. ceil(0.7·10) = 7, ceil(1.4/1.7·10) = 9: one of the 4 rarest elements of
the one is among the 2 rarest of the other, or their similarity is below 0.7.

Shapes: the elements of all sets stand in one array, row after row, as in a sparse matrix (`Sets`); a pair is two row
numbers. All steps are array operations over all rows at once, in blocks of at most `BLOCK` numbers.

Texts that are one word apart. Idea: two texts that differ at one place are equal without the word at that place. Each
text of n words has n texts of n - 1 words; equal ones are found by a hash, and the words are compared to be sure. The
hash is a polynomial, so that the n hashes of a text follow from its prefix sums in linear time (Karp and Rabin 1987):

    h(w_0 ... w_n-1) = sum of r(w_i)·b^i, modulo 2^64
    without word k:    sum over i < k of r(w_i)·b^i  +  b^-1 · sum over i > k of r(w_i)·b^i

with a random number r(w) for each word, and an odd b, which has an inverse modulo 2^64. Example: "set a mark" and "set
the mark" both become "set # mark" with the word at place 1 exchanged for a mark of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np

BLOCK = 1 << 22  # numbers held at a time while candidates are made and counted
LARGEST = 1 << 62  # codes stay below
HASH_BASE = np.uint64(0x9E3779B97F4A7C15)  # b
INVERSE = np.uint64(pow(int(HASH_BASE), -1, 1 << 64))  # b^-1
ROUNDING = 1e-9  # 0.7 * 10 must not become more than 7


@dataclass(frozen=True)
class Sets:
    """Sets of numbers, row after row; in each row from rare to common, the rows from small to large.

    Attributes:
        elements: int64 [elements of all rows].
        ends: int64 [rows + 1], where each row begins and the last one ends.
        order: int64 [rows], the place of each row in what the sets were made from.
    """

    elements: np.ndarray
    ends: np.ndarray
    order: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """int64 [rows]"""
        return np.diff(self.ends)


def runs_of(texts: Sequence[Sequence[str]], width: int) -> Sets:
    """The sets of runs of ``width`` words; a shorter text has one run, all its words, and an empty text none."""
    flat, lengths, vocabulary = _numbered_words(texts)
    runs = np.where(lengths > 0, np.maximum(lengths - width + 1, 1), 0)
    rows = np.repeat(np.arange(len(texts)), runs)
    ends = np.cumsum(lengths)
    starts = np.arange(len(rows)) + (ends - lengths - np.cumsum(runs) + runs)[rows]
    flat = np.concatenate([flat, np.zeros(width, np.int64)])
    # A run's code is its words as the digits of a number; 0, which is no word, stands behind the end of a short text.
    codes, kinds, base = np.zeros(len(rows), np.int64), 1, vocabulary + 1
    for shift in range(width):
        if kinds * base > LARGEST:
            distinct, codes = np.unique(codes, return_inverse=True)
            kinds = len(distinct)
        codes = codes * base + np.where(starts + shift < ends[rows], flat[starts + shift], 0)
        kinds *= base
    return _sets_of(rows, np.unique(codes, return_inverse=True)[1], len(texts))


def _numbered_words(texts: Sequence[Sequence[str]]) -> tuple[np.ndarray, np.ndarray, int]:
    """The words of all texts as numbers from 1, [words]; the number of words of each text, [texts]; different words."""
    numbers = {word: number for number, word in enumerate(dict.fromkeys(chain.from_iterable(texts)), 1)}
    flat = np.fromiter(map(numbers.__getitem__, chain.from_iterable(texts)), np.int64)
    return flat, np.fromiter(map(len, texts), np.int64, len(texts)), len(numbers)


def _sets_of(rows: np.ndarray, codes: np.ndarray, count: int) -> Sets:
    """``count`` sets; row ``rows[i]`` has the element ``codes[i]``, once or more often."""
    kinds = int(codes.max(initial=0)) + 1
    rows, codes = np.divmod(_distinct(rows * kinds + codes), kinds)
    sizes = np.bincount(rows, minlength=count)
    order = np.argsort(sizes, kind="stable")
    place, rarity = np.empty(count, np.int64), np.empty(kinds, np.int64)
    place[order] = np.arange(count)
    rarity[np.argsort(np.bincount(codes, minlength=kinds), kind="stable")] = np.arange(kinds)
    elements = np.sort(place[rows] * kinds + rarity[codes]) % kinds
    return Sets(elements, np.concatenate([[0], np.cumsum(sizes[order])]), order)


def similar(sets: Sets, threshold: float, sides: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All pairs of Jaccard similarity ``threshold`` or more.

    Args:
        sides: int [rows], a number for each text; given, only pairs of different numbers are searched.

    Returns:
        Places of the first texts, of the second texts, and similarities, [pairs] each.
    """
    from scipy.sparse import csr_matrix

    sizes = sets.sizes
    shape = (len(sizes), int(sets.elements.max(initial=0)) + 1)
    table = csr_matrix((np.ones(len(sets.elements), np.int32), sets.elements, sets.ends), shape=shape)
    pairs = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
    for larger, smaller in _candidates(sets, threshold):
        if sides is not None:
            across = sides[sets.order[larger]] != sides[sets.order[smaller]]
            larger, smaller = larger[across], smaller[across]
        for part in _stretches(np.cumsum(sizes[larger] + sizes[smaller]) // BLOCK):
            first, second = larger[part], smaller[part]
            shared = np.asarray(table[first].multiply(table[second]).sum(axis=1), np.int64).ravel()
            similarity = shared / (sizes[first] + sizes[second] - shared)
            near = similarity >= threshold
            pairs.append((sets.order[first[near]], sets.order[second[near]], similarity[near]))
    first, second, similarity = (np.concatenate(column) for column in zip(*pairs, strict=True))
    return first, second, similarity


def _candidates(sets: Sets, threshold: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows [pairs] and [pairs] whose prefixes share an element and whose sizes fit, the larger row first, in blocks."""
    sizes, count = sets.sizes, len(sets.order)
    rows, elements = _prefixes(sets, 2 * threshold / (1 + threshold))
    index = np.sort(elements * count + rows)
    rows, elements = _prefixes(sets, threshold)
    smallest = np.searchsorted(sizes, np.ceil(threshold * sizes - ROUNDING))
    low = np.searchsorted(index, elements * count + smallest[rows])
    hits = np.searchsorted(index, elements * count + rows) - low
    # All hits of a row are in one block, so that no pair comes twice.
    blocks = np.cumsum(np.bincount(rows, hits, count)).astype(np.int64)[rows] // BLOCK
    for part in _stretches(blocks):
        hit = hits[part]
        places = np.repeat(low[part] - (np.cumsum(hit) - hit), hit) + np.arange(hit.sum())
        pairs = _distinct(np.repeat(rows[part], hit) * count + index[places] % count)
        yield pairs // count, pairs % count


def _prefixes(sets: Sets, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows and elements of the first ``n - ceil(share·n) + 1`` elements of every row of n."""
    sizes = sets.sizes
    kept = np.where(sizes > 0, sizes - np.ceil(share * sizes - ROUNDING).astype(np.int64) + 1, 0)
    rows = np.repeat(np.arange(len(kept)), kept)
    return rows, sets.elements[np.arange(len(rows)) + (sets.ends[:-1] - np.cumsum(kept) + kept)[rows]]


def one_word_apart(texts: Sequence[Sequence[str]], sides: np.ndarray | None = None) -> set[tuple[int, int]]:
    """Places of texts, the smaller first, that are one word apart: exchanged, added or left out. Takes linear time.

    Of several texts that differ at the same place each is paired with the first only.

    Args:
        sides: int [texts]; given, only pairs of different numbers are returned.
    """
    flat, lengths, vocabulary = _numbered_words(texts)
    rows, ends = np.repeat(np.arange(len(texts)), lengths), np.cumsum(lengths)
    starts = ends - lengths
    places = np.arange(len(flat)) - starts[rows]
    powers = np.full(lengths.max(initial=0) + 1, HASH_BASE).cumprod() * INVERSE
    terms = np.random.default_rng(0).integers(0, 1 << 64, vocabulary + 1, np.uint64)[flat] * powers[places]
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms)])
    whole = sums[ends] - sums[starts]
    before = sums[:-1] - sums[starts][rows]
    after = whole[rows] - before - terms

    # Exchanged: equal with a mark at the place. Each text with the first one of that code.
    codes = before + after + powers[places] * HASH_BASE
    # Not a stable sort, which takes five times as long: the smallest place of equal codes is taken all the same.
    order = np.argsort(codes)
    begins = np.flatnonzero(np.diff(codes[order], prepend=~codes[order][:1]))
    first = np.repeat(np.minimum.reduceat(order, begins), np.diff(np.append(begins, len(order))))
    exchanged = np.stack([rows[first], rows[order], places[order]], axis=1)[first != order]

    # Added or left out: a whole text that equals another one without a word.
    known, row_of = np.unique(whole, return_index=True)
    codes = before + after * INVERSE
    order = np.argsort(codes)  # a search for rising codes finds what it needs in the cache
    at = np.minimum(np.searchsorted(known, codes[order]), len(known) - 1)
    same = known[at] == codes[order] if len(known) else np.zeros(len(codes), bool)
    shorter = np.stack([row_of[at[same]], rows[order[same]], places[order[same]]], axis=1)

    hits = np.concatenate([exchanged, shorter])
    return _confirmed(texts, hits if sides is None else hits[sides[hits[:, 0]] != sides[hits[:, 1]]])


def _confirmed(texts: Sequence[Sequence[str]], hits: np.ndarray) -> set[tuple[int, int]]:
    """The pairs of [hits, 3] (row, row, place) that are equal without the word at that place; codes can collide."""
    pairs = set()
    for row, other, at in hits.tolist():
        first, second = texts[row], texts[other]
        rest = first[at + 1 :] if len(first) == len(second) else first[at:]
        if first[:at] == second[:at] and rest == second[at + 1 :]:
            pairs.add((min(row, other), max(row, other)))
    return pairs


def _distinct(numbers: np.ndarray) -> np.ndarray:
    """Each of the numbers (0 or more) once, sorted; `np.unique` hashes first, which takes five times as long here."""
    ranked = np.sort(numbers)
    return ranked[np.diff(ranked, prepend=-1) > 0]


def _stretches(numbers: np.ndarray) -> Iterator[slice]:
    """The stretches of equal numbers."""
    for start, stop in pairwise([*np.flatnonzero(np.diff(numbers, prepend=-1)), len(numbers)]):
        yield slice(start, stop)
