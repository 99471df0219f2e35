"""Ratios with intervals: undefined stays undefined, groups are what is resampled, differences are paired."""

import numpy as np
import pytest

from scripts.lib import metrics
from scripts.lib.metrics import Bootstrap, Estimate, difference, estimate, f1_of, group_sums, ratio_of, root_of

OPTIONS = Bootstrap(resamples=1000, confidence=0.95, seed=1)
RATIO = ratio_of("hits", "cases", "cases")


def ratio_estimate(hits, cases, groups, options) -> Estimate:
    """The estimate of a ratio whose ``n`` is its denominator."""
    return estimate(RATIO, {"hits": np.asarray(hits), "cases": np.asarray(cases)}, groups, options)


def difference_estimate(ours, theirs, groups, options) -> Estimate:
    """The estimate of a difference of two ratios, each given as numerator and denominator."""
    sides = [{"hits": top, "cases": bottom} for top, bottom in (ours, theirs)]
    return difference(RATIO, *sides, groups, options)


def test_group_sums_follow_sorted_groups():
    assert group_sums([1, 2, 3, 4], ["b", "a", "b", "a"]).tolist() == [6, 4]


def test_f1_equals_the_harmonic_mean():
    formula = f1_of("hits", "written", "due")
    precision, recall = 3 / 5, 3 / 4
    value = formula.value(np.array([[3.0], [5.0], [4.0]]))
    assert value[0] == pytest.approx(2 * precision * recall / (precision + recall))
    assert formula.value(np.array([[0.0], [0.0], [4.0]]))[0] == 0
    assert np.isnan(formula.value(np.zeros((3, 1)))[0])


def test_the_root_of_a_mean_of_squares_has_the_roots_of_its_bounds():
    squares, ones = np.array([1.0, 9.0, 4.0, 16.0]), np.ones(4)
    counts = {"squares": squares, "ones": ones}
    root = estimate(root_of("squares", "ones"), counts, range(4), OPTIONS)
    mean = estimate(ratio_of("squares", "ones"), counts, range(4), OPTIONS)
    assert (root.value, root.n) == (pytest.approx(7.5**0.5), 4)
    # Percentiles fall between two resamples, so that bounds agree up to the interpolation between them.
    assert (root.low, root.high) == (pytest.approx(mean.low**0.5, rel=0.01), pytest.approx(mean.high**0.5, rel=0.01))


def test_zero_over_zero_is_undefined_and_shown_so():
    estimate = ratio_estimate([0, 0], [0, 0], ["a", "b"], OPTIONS)
    assert (estimate.value, estimate.low, estimate.high, estimate.n) == (None, None, None, 0)
    assert metrics.shown_estimate(estimate.to_json()) == "n/a"


def test_one_group_has_a_value_but_no_interval():
    estimate = ratio_estimate([1, 0], [1, 1], ["a", "a"], OPTIONS)
    assert (estimate.value, estimate.low, estimate.high) == (0.5, None, None)


def test_interval_holds_the_value_and_is_the_same_each_time():
    rng = np.random.default_rng(3)
    hits = rng.integers(0, 2, 60)
    groups = [index // 3 for index in range(60)]
    first = ratio_estimate(hits, np.ones(60), groups, OPTIONS)
    assert first.low < first.value < first.high
    assert first == ratio_estimate(hits, np.ones(60), groups, OPTIONS)


def test_resampling_groups_is_wider_than_resampling_cases_that_repeat_each_other():
    hits = np.repeat([0, 1] * 5, 10)  # ten cases a group, all alike: ten facts, not a hundred
    grouped = ratio_estimate(hits, np.ones(100), np.repeat(np.arange(10), 10), OPTIONS)
    single = ratio_estimate(hits, np.ones(100), np.arange(100), OPTIONS)
    assert grouped.high - grouped.low > 2 * (single.high - single.low)


def test_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(11)
    covered = 0
    for _ in range(100):
        hits = rng.random(80) < 0.3
        estimate = ratio_estimate(hits, np.ones(80), np.arange(80), Bootstrap(300, 0.9, 5))
        covered += estimate.low <= 0.3 <= estimate.high
    assert 80 <= covered <= 98


def test_paired_difference_cancels_what_makes_a_group_hard():
    rng = np.random.default_rng(5)
    hard = rng.random(40) < 0.5
    ours = (np.where(hard, 0.0, 10.0) + 1.0, np.full(40, 20.0))
    theirs = (np.where(hard, 0.0, 10.0), np.full(40, 20.0))
    paired = difference_estimate(ours, theirs, range(40), OPTIONS)
    alone = ratio_estimate(*ours, range(40), OPTIONS)
    assert paired.value == pytest.approx(0.05)
    assert paired.high - paired.low < 1e-9 < alone.high - alone.low


def test_difference_with_an_undefined_side_is_undefined():
    nothing = (np.zeros(3), np.zeros(3))
    assert difference_estimate(nothing, (np.ones(3), np.ones(3)), range(3), OPTIONS).value is None
