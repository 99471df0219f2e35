"""Time that runs backwards: which of several stamps, in the order in which they were written, are out of order."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

import numpy as np


def in_order(stamps: Sequence[int]) -> np.ndarray:
    """Whether each stamp belongs to the longest series that never falls, bool [stamps].

    So one wild stamp is out of order by itself, and does not put all that follow it out of order.
    """
    values = np.asarray(stamps, np.int64)
    if len(values) < 2 or bool((np.diff(values) >= 0).all()):
        return np.ones(len(values), bool)
    return _longest(values.tolist())


def _longest(values: list[int]) -> np.ndarray:
    """The longest non-falling subsequence by patience sorting, n log n."""
    tops: list[int] = []  # the least last value of a series of each length
    ends: list[int] = []  # where that value stands
    before: list[int] = []
    for at, value in enumerate(values):
        length = bisect_right(tops, value)
        before.append(ends[length - 1] if length else -1)
        tops[length : length + 1] = [value]
        ends[length : length + 1] = [at]
    chosen = np.zeros(len(values), bool)
    at = ends[-1]
    while at >= 0:
        chosen[at] = True
        at = before[at]
    return chosen


def runs(chosen: np.ndarray) -> Iterator[tuple[int, int]]:
    """First and last place of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], chosen, [False])).astype(np.int8)))
    yield from zip(edges[::2].tolist(), (edges[1::2] - 1).tolist(), strict=True)
