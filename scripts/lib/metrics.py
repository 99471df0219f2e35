"""Scores that say how sure they are: ratios of counts, with a bootstrap that resamples whole groups.

Every rate here is a ratio of two sums over cases: precision = hits / written, recall = hits / due,
F1 = 2 hits / (written + due). A case belongs to a group (a conversation); cases of a group resemble each other, so
groups are what is drawn again, never single cases. 0/0 is undefined and is None, neither a perfect score nor a bad one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Counts = Mapping[str, np.ndarray]  # of each case, [cases]


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


def divide(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """``top / bottom`` [draws], NaN where the denominator is 0."""
    return np.divide(top, bottom, out=np.full(top.shape, math.nan), where=bottom != 0)


@dataclass(frozen=True)
class Formula:
    """A score as a function of sums of counts over cases.

    Example: ``Formula(("hits", "written"), lambda totals: divide(*totals))`` is precision.

    Attributes:
        terms: names of the counts that are summed.
        value: from totals [terms, draws] to scores [draws], NaN where the score is undefined.
        cases: the count whose sum is stated as ``n``; the number of cases where none is named.
    """

    terms: tuple[str, ...]
    value: Callable[[np.ndarray], np.ndarray]
    cases: str = ""


def ratio_of(top: str, bottom: str, cases: str = "") -> Formula:
    """One count over another."""
    return Formula((top, bottom), lambda totals: divide(totals[0], totals[1]), cases)


def f1_of(hits: str, written: str, due: str, cases: str = "") -> Formula:
    """F1 as a ratio: ``2 hits / (written + due)``, which equals the harmonic mean of precision and recall.

    It is 0 where something was due and nothing written, and undefined only where neither was.
    """
    return Formula((hits, written, due), lambda totals: divide(2 * totals[0], totals[1] + totals[2]), cases)


def root_of(squares: str, ones: str) -> Formula:
    """The root of a mean of squares."""
    return Formula((squares, ones), lambda totals: np.sqrt(divide(totals[0], totals[1])))


def estimate(formula: Formula, counts: Counts, groups: Sequence[Hashable], options: Bootstrap) -> Estimate:
    """A score with its interval.

    Args:
        counts: by name, each [cases].
        groups: the group of each case.
    """
    n = round(float(counts[formula.cases].sum())) if formula.cases else len(groups)
    return _estimated([counts[term] for term in formula.terms], formula.value, groups, options, n)


def difference(
    formula: Formula, ours: Counts, theirs: Counts, groups: Sequence[Hashable], options: Bootstrap
) -> Estimate:
    """Ours minus theirs over the same cases; ``n`` is cases.

    Both are computed from the same drawn groups, so what makes a group hard for both cancels out.
    """
    terms = [side[term] for side in (ours, theirs) for term in formula.terms]
    half = len(formula.terms)
    return _estimated(
        terms, lambda totals: formula.value(totals[:half]) - formula.value(totals[half:]), groups, options, len(groups)
    )


def _estimated(
    terms: Sequence[np.ndarray],
    value: Callable[[np.ndarray], np.ndarray],
    groups: Sequence[Hashable],
    options: Bootstrap,
    n: int,
) -> Estimate:
    """The value of a function of sums, with the percentiles of its resamples."""
    sums = [group_sums(values, groups) for values in terms]
    whole = float(value(np.array([[part.sum()] for part in sums]))[0])
    if math.isnan(whole):
        return Estimate(None, None, None, n)
    if len(sums[0]) < 2:
        return Estimate(whole, None, None, n)
    return Estimate(whole, *_interval(value(_resampled(sums, options)), options.confidence), n)


def shown(value: float | None, digits: int = 3) -> str:
    """A number for a table; an undefined one is "n/a"."""
    return "n/a" if value is None else f"{value:.{digits}f}"


def shown_estimate(estimate: dict[str, Any], digits: int = 3) -> str:
    """An estimate's JSON for a table: ``0.512 [0.401, 0.618]``."""
    text = shown(estimate["value"], digits)
    if estimate["value"] is None or estimate["low"] is None:
        return text
    return f"{text} [{shown(estimate['low'], digits)}, {shown(estimate['high'], digits)}]"
