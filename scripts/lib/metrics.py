"""Scores with confidence intervals: ratios of sums, with a cluster bootstrap.

Every rate is a ratio of two sums over cases: precision = hits / written, recall = hits / due,
F1 = 2 hits / (written + due). A case belongs to a group, such as a conversation. Cases of one group are correlated, so
the bootstrap resamples whole groups, not single cases. 0/0 is undefined: its value is None, not 0 or 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """A value with its interval.

    Attributes:
        value: None if it is undefined.
        low, high: bounds of the interval; None if the value is undefined or there are fewer than two groups.
        n: number of cases.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int

    def to_json(self, digits: int = 6) -> dict[str, Any]:
        """As JSON, rounded, because the last bits of a sum depend on the machine."""
        bounds = {"value": self.value, "low": self.low, "high": self.high}
        return {key: None if x is None else round(x, digits) for key, x in bounds.items()} | {"n": self.n}


@dataclass(frozen=True)
class Bootstrap:
    """Options of the percentile bootstrap over groups (Efron and Tibshirani 1993, chapter 13).

    Attributes:
        resamples: number of resamples.
        confidence: confidence level, between 0 and 1.
        seed: equal seeds draw equal groups for every variant.
    """

    resamples: int = 2000
    confidence: float = 0.95
    seed: int = 7


def ratio(numerator: float, denominator: float) -> float | None:
    """``numerator / denominator``; None if the denominator is 0."""
    return None if denominator == 0 else numerator / denominator


def f1_parts(hits: np.ndarray, written: np.ndarray, due: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """F1 as a ratio: ``2 hits`` over ``written + due``, which equals the harmonic mean of precision and recall.

    F1 is 0 if something was due and nothing was written, and undefined only if both are 0. All arrays are [cases].
    """
    return 2 * hits, written + due


def group_sums(values: Sequence[float] | np.ndarray, groups: Sequence[Hashable]) -> np.ndarray:
    """Sums of ``values`` [cases] by group, float64 [groups], in the sorted order of the groups."""
    _, positions = np.unique(np.asarray([str(group) for group in groups]), return_inverse=True)
    return np.bincount(positions, weights=np.asarray(values, dtype=np.float64))


def _divide(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.full(top.shape, math.nan), where=bottom != 0)


def estimate_of(
    counts: Sequence[Sequence[float] | np.ndarray],
    statistic: Callable[[np.ndarray], np.ndarray],
    groups: Sequence[Hashable],
    options: Bootstrap,
) -> Estimate:
    """Any statistic of sums over cases, with its interval; ``n`` is the number of cases.

    Args:
        counts: the terms of each sum, [cases].
        statistic: from totals [sums, draws] to values [draws], NaN where undefined.
        groups: the group of each case.
        options: the bootstrap's options.
    """
    from scipy.stats import bootstrap

    sums = [group_sums(values, groups) for values in counts]
    value = float(statistic(np.array([[part.sum()] for part in sums]))[0])
    if math.isnan(value) or len(sums[0]) < 2:
        return Estimate(None if math.isnan(value) else value, None, None, len(groups))
    outcome = bootstrap(
        tuple(sums),
        lambda *drawn, axis: np.stack([part.sum(axis=axis) for part in drawn]),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=options.resamples,
        confidence_level=options.confidence,
        rng=np.random.default_rng(options.seed),
    )
    values = statistic(outcome.bootstrap_distribution)
    defined = values[np.isfinite(values)]  # the resamples in which the value is defined
    if not defined.size:
        return Estimate(value, None, None, len(groups))
    tail = (1 - options.confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Estimate(value, float(low), float(high), len(groups))


def ratio_estimate(
    numerator: Sequence[float] | np.ndarray,
    denominator: Sequence[float] | np.ndarray,
    groups: Sequence[Hashable],
    options: Bootstrap,
    n: int | None = None,
) -> Estimate:
    """A ratio of two sums over cases, with its interval.

    Args:
        numerator, denominator: one number per case, [cases].
        groups: the group of each case.
        options: the bootstrap's options.
        n: the number of cases to report; by default the denominator's sum.
    """
    estimate = estimate_of([numerator, denominator], lambda totals: _divide(*totals), groups, options)
    return replace(estimate, n=round(float(np.sum(denominator))) if n is None else n)


def difference_estimate(
    ours: tuple[np.ndarray, np.ndarray],
    theirs: tuple[np.ndarray, np.ndarray],
    groups: Sequence[Hashable],
    options: Bootstrap,
) -> Estimate:
    """Ours minus theirs, both ratios (numerator and denominator, each [cases]) over the same cases.

    Both are computed from the same resampled groups, so that the difficulty of a group cancels out. ``n`` is the number
    of cases.
    """

    def difference(totals: np.ndarray) -> np.ndarray:
        return _divide(totals[0], totals[1]) - _divide(totals[2], totals[3])

    return estimate_of([*ours, *theirs], difference, groups, options)


def shown(value: float | None, digits: int = 3) -> str:
    """A number for a table; "n/a" if it is undefined."""
    return "n/a" if value is None else f"{value:.{digits}f}"


def shown_estimate(estimate: dict[str, Any], digits: int = 3) -> str:
    """An estimate (as JSON) for a table: ``0.512 [0.401, 0.618]``."""
    text = shown(estimate["value"], digits)
    if estimate["value"] is None or estimate["low"] is None:
        return text
    return f"{text} [{shown(estimate['low'], digits)}, {shown(estimate['high'], digits)}]"
