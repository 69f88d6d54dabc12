import copy
import math
import pickle

import numpy as np
import pytest
from scipy.stats import nhypergeom, norm
from sklearn import metrics as sk

from mialib import metrics


@pytest.fixture
def scored(rng):
    member = np.repeat([True, False], 150)
    probability = np.round(np.clip(rng.normal(0.5 + 0.1 * member, 0.2), 0, 1), 2)  # rounded: ties
    return member, probability


def test_counts_by_hand():
    member = np.array([1, 1, 1, 0, 0, 0, 0, 0], bool)
    inferred = np.array([1, 1, 0, 1, 0, 0, 0, 0], bool)
    assert metrics.precision(member, inferred) == 2 / 3
    assert metrics.recall(member, inferred) == 2 / 3
    assert metrics.accuracy(member, inferred) == 6 / 8


def test_equal_to_scikit_learn_with_ties(scored):
    member, score = scored
    inferred = score > 0.5
    assert metrics.precision(member, inferred) == pytest.approx(sk.precision_score(member, inferred))
    assert metrics.recall(member, inferred) == pytest.approx(sk.recall_score(member, inferred))
    assert metrics.accuracy(member, inferred) == pytest.approx(sk.accuracy_score(member, inferred))
    assert metrics.roc_auc(member, score) == pytest.approx(sk.roc_auc_score(member, score))
    fpr, tpr, _ = sk.roc_curve(member, score, drop_intermediate=False)
    np.testing.assert_allclose(np.array(metrics.roc(member, score)), [fpr, tpr])


def test_undefined_is_nan_not_a_guess():
    assert np.isnan(metrics.precision([True, False], [False, False]))
    assert np.isnan(metrics.recall([False, False], [True, False]))


def test_recall_at_few_false_positives():
    member = np.array([1, 1, 0, 1, 0, 0], bool)
    probability = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    assert metrics.tpr_at_fpr(member, probability, 0.0) == pytest.approx(2 / 3)
    assert metrics.tpr_at_fpr(member, probability, 1 / 3) == 1
    tied = [True, True, False, False], np.array([0.9, 0.5, 0.5, 0.1])
    assert metrics.tpr_at_fpr(*tied, 0.25) == 0.5  # what a threshold reaches, not a point between two of them


def test_true_class_probability_and_entropy():
    vectors = np.array([[0.25, 0.25, 0.25, 0.25], [1, 0, 0, 0], [0.5, 0.5, 0, 0]])
    np.testing.assert_allclose(metrics.true_class_probability(np.array([0, 1, 1]), vectors), [0.25, 0, 0.5])
    np.testing.assert_allclose(metrics.normalised_entropy(vectors), [1, 0, 0.5])


def test_per_class():
    labels = np.array([0, 0, 2, 2])
    member = np.array([1, 0, 1, 0], bool)
    inferred = np.array([1, 1, 1, 0], bool)
    np.testing.assert_array_equal(metrics.per_class(metrics.precision, labels, member, inferred, 3), [0.5, np.nan, 1])


def test_cdf_leaves_out_the_undefined():
    value, fraction = metrics.cdf([0.3, np.nan, 0.1, 0.2, 0.4])
    np.testing.assert_array_equal(value, [0.1, 0.2, 0.3, 0.4])
    np.testing.assert_array_equal(fraction, [0.25, 0.5, 0.75, 1])


def test_the_median_of_an_even_number_is_the_lower_as_in_the_paper():
    np.testing.assert_array_equal(metrics.quantiles([0.4, 0.1, 0.2, 0.3], (0.5, 0.75)), [0.2, 0.3])
    assert np.isnan(metrics.quantiles([np.nan], (0.5,))).all()


def test_probabilities_that_are_not_numbers_are_refused():
    with pytest.raises(ValueError, match="1 membership probabilities are not finite"):
        metrics.roc_auc([True, False], np.array([0.5, np.nan]))


@pytest.mark.parametrize("quantity", [metrics.precision, metrics.recall, metrics.accuracy])
def test_the_interval_of_a_share_covers_the_truth_as_often_as_it_says(quantity):
    """An attack right for 70 % of members and of others: of 1,000 exact intervals, at least 95 % hold it."""
    rng, member = np.random.default_rng(5), np.repeat([True, False], 60)
    found = [quantity(member, member ^ (rng.random(120) > 0.7)) for _ in range(1000)]
    assert 0.945 <= np.mean([one.low <= 0.7 <= one.high for one in found]) < 0.999


def test_the_recall_at_few_false_positives_has_the_interval_of_a_share():
    member = np.repeat([True, False], 1000)
    none = metrics.tpr_at_fpr(member, np.where(member, 0.0, 1.0), 0.001)
    assert (none, none.low) == (0, 0)
    assert none.high == pytest.approx(metrics.share(0, 1000).high)  # no certainty from zeros
    assert none.high > 0.003


def test_an_estimate_is_its_number_and_keeps_its_interval():
    found = metrics.Estimate(0.75, 0.5, 0.875)
    assert found == 0.75
    assert f"{found:.1%}" == "75.0%"
    assert found - 0.25 == 0.5
    assert str(found) == "0.750 [0.500, 0.875]"
    assert str(metrics.Estimate(0.75)) == "0.750"
    again = pickle.loads(pickle.dumps(found))
    assert (again, again.low, again.high) == (0.75, 0.5, 0.875)
    assert (copy.deepcopy(found).high, type(copy.copy(found))) == (0.875, metrics.Estimate)


def test_shares_by_the_textbook():
    found = metrics.share(5, 5)
    assert (found, found.high) == (1, 1)
    assert found.low == pytest.approx(0.025 ** (1 / 5))  # Clopper and Pearson for all of n
    assert metrics.share(0, 5).high == pytest.approx(1 - 0.025 ** (1 / 5))
    assert np.isnan(metrics.share(0, 0))


@pytest.mark.parametrize("level", [0.95, 0.998])
def test_a_balanced_accuracy_combines_the_exact_intervals_of_its_rates(level):
    """Newcombe 1998, method 10, with the intervals of Clopper and Pearson: 56/70 against 48/80."""
    member = np.arange(150) < 70
    inferred = np.concatenate([np.arange(70) < 56, np.arange(80) < 48])
    found = metrics.balanced_accuracy(member, inferred, level)
    p, q = metrics.share(56, 70, level), metrics.share(48, 80, level)
    assert 2 * found - 1 == pytest.approx(0.2)
    assert 2 * found.low - 1 == pytest.approx(0.2 - math.hypot(p - p.low, q.high - q))
    assert 2 * found.high - 1 == pytest.approx(0.2 + math.hypot(p.high - p, q - q.low))


@pytest.mark.parametrize(("n", "rates"), [(10, (0.5, 0.5)), (200, (0.03, 0.03)), (200, (0.3, 0.2)), (50, (1.0, 0.9))])
def test_the_interval_of_a_balanced_accuracy_covers(n, rates):
    rng, member = np.random.default_rng(5), np.arange(2 * n) < n
    truth, found = (1 + rates[0] - rates[1]) / 2, []
    for _ in range(1000):
        found.append(metrics.balanced_accuracy(member, rng.random(2 * n) < np.where(member, *rates), 0.9))
    assert np.mean([e.low > truth for e in found]) <= 0.05 + 0.02
    assert np.mean([e.high < truth for e in found]) <= 0.05 + 0.02


def test_delongs_interval_is_his_and_the_wider_one_is_taken():
    """Variance of placement values, by hand: a leak of few records spreads wider than Newcombe's model has it."""
    rng = np.random.default_rng(2)
    member = np.arange(400) < 200
    score = rng.normal(size=400)
    score[:60] += 8
    score[60:120] -= 8
    found, newcombe = metrics.roc_auc_widest(member, score), metrics.roc_auc(member, score)
    placed_in = [np.mean((s > score[~member]) + 0.5 * (s == score[~member])) for s in score[member]]
    placed_out = [np.mean((s < score[member]) + 0.5 * (s == score[member])) for s in score[~member]]
    half = 1.959964 * np.sqrt(np.var(placed_in, ddof=1) / 200 + np.var(placed_out, ddof=1) / 200)
    assert found == newcombe
    assert (found.low, found.high) == pytest.approx((found - half, found + half), rel=1e-5)
    assert found.low < newcombe.low
    apart = metrics.roc_auc_widest(member, member.astype(float))
    assert apart.low == metrics.roc_auc(member, member.astype(float)).low < 1


@pytest.mark.parametrize("spread", ["alike", "few far away"])
def test_the_wider_interval_of_an_area_covers(spread):
    """Members of which few are far above and few far below: the area stays at a half, its variance does not."""
    rng, member, missed = np.random.default_rng(6), np.arange(200) < 100, [0, 0]
    for _ in range(600):
        score = rng.normal(size=200)
        if spread == "few far away":
            score[:100] += rng.choice([-9, 0, 9], 100, p=[0.3, 0.4, 0.3])
        found = metrics.roc_auc_widest(member, score, 0.9)
        missed[0] += found.low > 0.5
        missed[1] += found.high < 0.5
    assert max(missed) / 600 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 600)


def test_the_recall_of_few_false_positives_is_an_exact_test():
    """Membership drawn at random: members above the k-th best non-member are negative hypergeometric."""
    m, n, k = 200, 300, 3
    for hits in (6, 12, 25):
        chance = nhypergeom.sf(hits - 1, m + n, m, k + 1)
        score = np.r_[np.full(hits, 5.0), np.zeros(m - hits), np.full(k, 9.0), 1.0, np.zeros(n - k - 1)]
        member = np.arange(m + n) < m
        for tail in (0.5 * chance, 2 * chance):
            if tail < 0.5:
                found = metrics.tpr_of_few(member, score, 0.01, 1 - 2 * tail)
                assert found == hits / m
                assert (found.low > 0.01) == (tail > chance)
    assert np.isnan(metrics.tpr_of_few(member, score, 0.001))


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_the_interval_of_the_recall_of_few_false_positives_covers(shift):
    rng, member, missed = np.random.default_rng(7), np.arange(800) < 400, [0, 0]
    truth = norm.sf(norm.isf(0.01) - shift)
    for _ in range(400):
        found = metrics.tpr_of_few(member, rng.normal(size=800) + shift * member, 0.01, 0.9)
        missed[0] += found.low > truth
        missed[1] += found.high < truth
    assert max(missed) / 400 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


@pytest.mark.parametrize("n", [5, 40])
@pytest.mark.parametrize("gap", [0.0, 1.0, 2.5])
def test_the_interval_of_the_area_covers(n, gap):
    """Of 400 samples from two Gaussians with a known area, at least 92 % of the intervals hold it."""
    rng, area = np.random.default_rng(1), norm.cdf(gap / np.sqrt(2))
    member = np.arange(2 * n) < n
    found = [metrics.roc_auc(member, rng.normal(size=2 * n) + gap * member) for _ in range(400)]
    covered = np.mean([estimate.low <= area <= estimate.high for estimate in found])
    assert covered > 0.92
    assert np.mean([estimate.high - estimate.low for estimate in found]) < (0.75 if n == 5 else 0.3)


@pytest.mark.parametrize(("m", "n", "found"), [(5, 40, 0.7), (30, 30, 0.95), (200, 50, 0.5)])
def test_the_interval_of_an_area_is_newcombes(m, n, found):
    """Newcombe 2006, method 5: Hanley and McNeil's variance at the end of the interval, both sizes their mean."""
    estimate = metrics.area(found, m, n)
    for end in (estimate.low, estimate.high):
        q1, q2 = end / (2 - end), 2 * end**2 / (1 + end)
        size = (m + n) / 2
        variance = (end * (1 - end) + (size - 1) * (q1 - end**2 + q2 - end**2)) / (m * n)
        assert abs(end - found) == pytest.approx(1.959964 * np.sqrt(variance), rel=1e-5)
    assert estimate.low < found < estimate.high


def test_perfect_separation_of_few_records_is_no_certainty():
    member = np.arange(10) < 5
    found = metrics.roc_auc(member, member.astype(float))
    assert (found, found.high) == (1, 1)
    assert 0.4 < found.low < 0.8
    reverse = metrics.roc_auc(member, -member.astype(float))
    assert (reverse.low, reverse.high) == (pytest.approx(0), pytest.approx(1 - found.low))
    assert np.isnan(metrics.roc_auc(member[:5], np.zeros(5)))
    assert np.isnan(metrics.balanced_accuracy(member[:5], member[:5]))


def test_the_median_has_an_interval_of_order_statistics():
    values = np.append(np.arange(1.0, 101.0), np.nan)
    found = metrics.median(values)
    assert (found, found.low, found.high) == (50, 40, 61)  # the textbook's ranks for 100
    assert np.isnan(metrics.median(np.array([np.nan])))


@pytest.mark.parametrize("n", [6, 7, 10, 61])
def test_the_interval_of_a_median_covers_it(n):
    rng = np.random.default_rng(1)
    found = [metrics.median(rng.random(n)) for _ in range(1000)]
    assert 0.94 < np.mean([one.low <= 0.5 <= one.high for one in found]) < 0.999


def test_the_median_of_fewer_than_six_classes_has_no_interval():
    """Between the least and the largest of five it lies for 94 % of samples, of two for half of them."""
    for n in range(1, 6):
        found = metrics.median(np.append(np.arange(n), np.nan))
        assert (found, np.isnan([found.low, found.high]).all()) == ((n - 1) // 2, True)


def test_a_roc_curve_on_a_grid_is_read_at_each_of_its_rates(scored):
    member, score = scored
    found = metrics.roc_on_grid(member, score)
    assert found.shape == metrics.FPR_GRID.shape == (31,)
    for rate, recall in zip(metrics.FPR_GRID, found, strict=True):
        assert recall == pytest.approx(metrics.tpr_at_fpr(member, score, rate * (1 + 1e-9)))
    assert found[-1] == 1


def test_a_histogram_holds_shares_of_the_values():
    found = metrics.histogram(np.array([0, 0.24, 0.5, 1]), 4)
    assert found.tolist() == [0.5, 0, 0.25, 0.25]
    assert metrics.histogram(np.linspace(0, 1, 1001)).shape == (20,)


def test_a_quantile_has_an_interval_of_order_statistics():
    found = metrics.quantile(np.append(np.arange(1.0, 101.0), np.nan), 0.9)
    assert (found, found.low, found.high) == (90, 84, 96)  # of 100 coins that fall 9 in 10 times, 84 to 95 are heads
    for n in (1, 20, 36):  # all of 36 lie below the quantile for 2.3 % of samples, and of fewer more often
        found = metrics.quantile(np.arange(n), 0.9)
        assert np.isnan([found.low, found.high]).all() == (n < 36), n
    assert np.isnan(metrics.quantile([np.nan], 0.9))


def test_the_interval_of_a_quantile_covers_it():
    rng = np.random.default_rng(2)
    found = [metrics.quantile(rng.random(100), 0.75) for _ in range(1000)]
    assert 0.94 < np.mean([one.low <= 0.75 <= one.high for one in found]) < 0.99


def test_a_histogram_holds_shares():
    np.testing.assert_allclose(metrics.histogram([0, 0.2, 0.6, 1], 2), [0.5, 0.5])
    assert metrics.histogram(np.linspace(0, 1, 50)).sum() == pytest.approx(1)
