"""Scores that say how sure they are: ratios of counts, with a bootstrap that resamples whole groups.

Every rate here is a ratio of two sums over cases: precision = hits / written, recall = hits / due,
F1 = 2 hits / (written + due). A case belongs to a group (a conversation); cases of a group resemble each other, so
groups are what is drawn again, never single cases. 0/0 is undefined and is None, neither a perfect score nor a bad one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """A value with its interval.

    Attributes:
        value: None where it is undefined.
        low, high: bounds of the interval; None where there is none (undefined, or fewer than two groups).
        n: how many cases it is made of.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int

    def to_json(self, digits: int = 6) -> dict[str, Any]:
        """Plain JSON, rounded: the last bits of a sum are no result."""
        bounds = {"value": self.value, "low": self.low, "high": self.high}
        return {key: None if x is None else round(x, digits) for key, x in bounds.items()} | {"n": self.n}


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are made: percentile bootstrap over groups (Efron and Tibshirani 1993, chapter 13).

    Attributes:
        resamples: how many.
        confidence: between 0 and 1.
        seed: equal seeds draw the same groups, whichever variant is scored.
    """

    resamples: int = 2000
    confidence: float = 0.95
    seed: int = 7


def ratio(numerator: float, denominator: float) -> float | None:
    """``numerator / denominator``; None where the denominator is 0."""
    return None if denominator == 0 else numerator / denominator


def f1_parts(hits: np.ndarray, written: np.ndarray, due: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """F1 as a ratio: ``2 hits`` over ``written + due``, which equals the harmonic mean of precision and recall.

    It is 0 where something was due and nothing written, and undefined only where neither was.
    """
    return 2 * hits, written + due


def group_sums(values: Sequence[float] | np.ndarray, groups: Sequence[Hashable]) -> np.ndarray:
    """Sums of ``values`` [cases] for each group, float64 [groups], in the groups' sorted order."""
    _, positions = np.unique(np.asarray([str(group) for group in groups]), return_inverse=True)
    return np.bincount(positions, weights=np.asarray(values, dtype=np.float64))


def _resampled(sums: Sequence[np.ndarray], options: Bootstrap) -> np.ndarray:
    """Totals of group sums under resampling, float64 [len(sums), resamples]; the sums stay paired by group."""
    from scipy.stats import bootstrap

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
    return outcome.bootstrap_distribution


def _interval(distribution: np.ndarray, confidence: float) -> tuple[float | None, float | None]:
    """Percentiles of the resamples in which the value was defined."""
    defined = distribution[np.isfinite(distribution)]
    if not defined.size:
        return None, None
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)


def _divide(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.full(top.shape, math.nan), where=bottom != 0)


def ratio_estimate(
    numerator: Sequence[float] | np.ndarray,
    denominator: Sequence[float] | np.ndarray,
    groups: Sequence[Hashable],
    options: Bootstrap,
    n: int | None = None,
) -> Estimate:
    """A ratio of two sums over cases, with its interval.

    Args:
        numerator, denominator: one number a case, [cases].
        groups: the group of each case.
        options: the bootstrap's.
        n: the number of cases to state; by default the denominator's sum.
    """
    tops, bottoms = group_sums(numerator, groups), group_sums(denominator, groups)
    count = round(bottoms.sum()) if n is None else n
    value = ratio(float(tops.sum()), float(bottoms.sum()))
    if value is None or len(tops) < 2:
        return Estimate(value, None, None, count)
    low, high = _interval(_divide(*_resampled([tops, bottoms], options)), options.confidence)
    return Estimate(value, low, high, count)


def estimate_of(
    counts: Sequence[np.ndarray],
    statistic: Callable[[np.ndarray], np.ndarray],
    groups: Sequence[Hashable],
    options: Bootstrap,
) -> Estimate:
    """Any statistic of sums over cases, with its interval; ``n`` is cases.

    Args:
        counts: of each sum its terms, [cases].
        statistic: from totals [sums, draws] to values [draws], NaN where it is undefined.
    """
    sums = [group_sums(values, groups) for values in counts]
    value = float(statistic(np.array([[part.sum()] for part in sums]))[0])
    if math.isnan(value):
        return Estimate(None, None, None, len(groups))
    if len(sums[0]) < 2:
        return Estimate(value, None, None, len(groups))
    low, high = _interval(statistic(_resampled(sums, options)), options.confidence)
    return Estimate(value, low, high, len(groups))


def difference_estimate(
    ours: tuple[np.ndarray, np.ndarray],
    theirs: tuple[np.ndarray, np.ndarray],
    groups: Sequence[Hashable],
    options: Bootstrap,
) -> Estimate:
    """Ours minus theirs, both ratios (numerator and denominator, each [cases]) over the same cases.

    Both are computed from the same drawn groups, so what makes a group hard for both cancels out. ``n`` is cases.
    """
    sums = [group_sums(values, groups) for values in (*ours, *theirs)]
    totals = [float(part.sum()) for part in sums]
    first, second = ratio(totals[0], totals[1]), ratio(totals[2], totals[3])
    if first is None or second is None:
        return Estimate(None, None, None, len(groups))
    if len(sums[0]) < 2:
        return Estimate(first - second, None, None, len(groups))
    drawn = _resampled(sums, options)
    low, high = _interval(_divide(drawn[0], drawn[1]) - _divide(drawn[2], drawn[3]), options.confidence)
    return Estimate(first - second, low, high, len(groups))


def shown(value: float | None, digits: int = 3) -> str:
    """A number for a table; an undefined one is "n/a"."""
    return "n/a" if value is None else f"{value:.{digits}f}"


def shown_estimate(estimate: dict[str, Any], digits: int = 3) -> str:
    """An estimate's JSON for a table: ``0.512 [0.401, 0.618]``."""
    text = shown(estimate["value"], digits)
    if estimate["value"] is None or estimate["low"] is None:
        return text
    return f"{text} [{shown(estimate['low'], digits)}, {shown(estimate['high'], digits)}]"
