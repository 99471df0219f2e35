"""Time that runs backwards: which of several stamps, in the order in which they were written, are out of order."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

import numpy as np


def in_order(stamps: Sequence[int]) -> np.ndarray:
    """Whether each stamp belongs to the longest subsequence that never falls, bool [stamps].

    One wrong stamp is therefore out of order by itself, and does not put all stamps after it out of order: of
    1, 9, 2, 3, 4 only the 9 is. The subsequence is found by patience sorting in O(n log n): for each length, keep the
    smallest last value of any subsequence of that length; each value extends the longest one whose last value is not
    larger (Fredman, On computing the length of longest increasing subsequences, 1975).
    """
    values = np.asarray(stamps, np.int64)
    chosen = np.ones(len(values), bool)
    if bool((np.diff(values) >= 0).all()):
        return chosen
    chosen[:] = False
    tops: list[int] = []  # the smallest last value for each length
    ends: list[int] = []  # the place of that value
    before: list[int] = []  # for each place the place before it in its subsequence, -1 for none
    for at, value in enumerate(values.tolist()):
        length = bisect_right(tops, value)
        before.append(ends[length - 1] if length else -1)
        tops[length : length + 1] = [value]
        ends[length : length + 1] = [at]
    at = ends[-1]
    while at >= 0:
        chosen[at] = True
        at = before[at]
    return chosen


def runs(chosen: np.ndarray) -> Iterator[tuple[int, int]]:
    """First and last place of each run of True in a bool [n]."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], chosen, [False])).astype(np.int8)))
    yield from zip(edges[::2].tolist(), (edges[1::2] - 1).tolist(), strict=True)
