import numpy as np
import pytest
from scipy.stats import norm

from mialib import metrics
from mialib.metrics import Estimate


def test_shares_by_the_textbook():
    found = metrics.share(5, 5)
    assert (found.value, found.high) == (1, 1)
    assert found.low == pytest.approx(0.025 ** (1 / 5))  # Clopper and Pearson for all of n
    assert metrics.share(0, 5).high == pytest.approx(1 - 0.025 ** (1 / 5))
    assert np.isnan(metrics.share(0, 0).value)


def test_newcombes_own_example():
    """Newcombe 1998, table II, method 10, example a: 56/70 against 48/80 gives 0.0524 to 0.3339."""
    member = np.arange(150) < 70
    inferred = np.concatenate([np.arange(70) < 56, np.arange(80) < 48])
    found = metrics.balanced_accuracy(member, inferred)
    assert 2 * found.value - 1 == pytest.approx(0.2)
    assert (2 * found.low - 1, 2 * found.high - 1) == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_precision_and_recall_are_those_of_metrics(rng):
    member, inferred = rng.random(50) < 0.3, rng.random(50) < 0.6
    assert metrics.precision_estimate(member, inferred).value == pytest.approx(metrics.precision(member, inferred))
    assert metrics.recall_estimate(member, inferred).value == pytest.approx(metrics.recall(member, inferred))


@pytest.mark.parametrize("n", [5, 40])
@pytest.mark.parametrize("gap", [0.0, 1.0, 2.5])
def test_the_interval_of_the_area_covers(n, gap):
    """Of 400 samples from two Gaussians with a known area, at least 92 % of the intervals hold it."""
    rng, area = np.random.default_rng(1), norm.cdf(gap / np.sqrt(2))
    member = np.arange(2 * n) < n
    found = [metrics.auc_estimate(member, rng.normal(size=2 * n) + gap * member) for _ in range(400)]
    covered = np.mean([estimate.low <= area <= estimate.high for estimate in found])
    assert covered > 0.92
    assert np.mean([estimate.high - estimate.low for estimate in found]) < (0.75 if n == 5 else 0.3)


def test_perfect_separation_of_few_records_is_no_certainty():
    member = np.arange(10) < 5
    found = metrics.auc_estimate(member, member.astype(float))
    assert (found.value, found.high) == (1, 1)
    assert 0.4 < found.low < 0.8
    reverse = metrics.auc_estimate(member, -member.astype(float))
    assert (reverse.low, reverse.high) == (pytest.approx(0), pytest.approx(1 - found.low))
    assert np.isnan(metrics.auc_estimate(member[:5], np.zeros(5)).value)
    assert np.isnan(metrics.balanced_accuracy(member[:5], member[:5]).value)


def test_the_median_has_an_interval_of_order_statistics():
    values = np.append(np.arange(1.0, 101.0), np.nan)
    found = metrics.median(values)
    assert (found.value, found.low, found.high) == (50, 40, 61)  # the textbook's ranks for 100
    assert metrics.median(np.array([0.3])) == Estimate(0.3, 0.3, 0.3)
    assert np.isnan(metrics.median(np.array([np.nan])).value)


def test_the_interval_of_a_median_covers_it():
    rng = np.random.default_rng(1)
    found = [metrics.median(rng.random(61)) for _ in range(400)]
    assert 0.94 < np.mean([one.low <= 0.5 <= one.high for one in found]) < 0.99
