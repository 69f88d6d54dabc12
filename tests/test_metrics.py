import numpy as np
import pytest
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
    assert metrics.base_rate(member) == 3 / 8


def test_equal_to_scikit_learn_with_ties_and_weights(scored, rng):
    member, probability = scored
    inferred, weight = probability > 0.5, rng.integers(0, 4, len(member)).astype(float)
    for w in (None, weight):
        assert metrics.precision(member, inferred, w) == pytest.approx(
            sk.precision_score(member, inferred, sample_weight=w)
        )
        assert metrics.recall(member, inferred, w) == pytest.approx(sk.recall_score(member, inferred, sample_weight=w))
        assert metrics.accuracy(member, inferred, w) == pytest.approx(
            sk.accuracy_score(member, inferred, sample_weight=w)
        )
        assert metrics.roc_auc(member, probability, w) == pytest.approx(
            sk.roc_auc_score(member, probability, sample_weight=w)
        )
    fpr, tpr, _ = sk.roc_curve(member, probability, drop_intermediate=False)
    np.testing.assert_allclose(np.array(metrics.roc(member, probability)), [fpr, tpr])


def test_undefined_is_nan_not_a_guess():
    assert np.isnan(metrics.precision([True, False], [False, False]))
    assert np.isnan(metrics.recall([False, False], [True, False]))


def test_recall_at_few_false_positives():
    member = np.array([1, 1, 0, 1, 0, 0], bool)
    probability = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    assert metrics.tpr_at_fpr(member, probability, 0.0) == pytest.approx(2 / 3)
    assert metrics.tpr_at_fpr(member, probability, 1 / 3) == 1


def test_gap_precision_is_its_formula():
    assert metrics.gap_precision(1.0, 0.673) == pytest.approx(0.598, abs=5e-4)  # Table II, Location
    assert np.isnan(metrics.gap_precision(0.0, 0.0))


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


def test_the_interval_covers_the_truth_as_often_as_it_says(rng):
    """200 samples of a known accuracy of 0.7: a 90 % interval misses about 20 times."""
    member = np.repeat([True, False], 100)
    missed = 0
    for i in range(200):
        inferred = member ^ (rng.random(200) > 0.7)
        found = metrics.estimate(metrics.accuracy, member, inferred, seed=i, n_resamples=200, level=0.9)
        missed += not found.low <= 0.7 <= found.high
    assert 8 <= missed <= 38


def test_the_interval_of_precision_and_auc_is_that_of_the_usual_bootstrap(scored, rng):
    member, probability = scored
    inferred = probability > 0.5
    by_hand = []
    for _ in range(2000):
        rows = np.concatenate([rng.choice(150, 150), 150 + rng.choice(150, 150)])
        by_hand.append(
            (sk.precision_score(member[rows], inferred[rows]), sk.roc_auc_score(member[rows], probability[rows]))
        )
    expected = np.quantile(by_hand, [0.025, 0.975], axis=0).T
    for statistic, scores, (low, high) in (
        (metrics.precision, inferred, expected[0]),
        (metrics.roc_auc, probability, expected[1]),
    ):
        found = metrics.estimate(statistic, member, scores, seed=0, n_resamples=2000)
        assert found.value == pytest.approx(statistic(member, scores))
        assert (found.low, found.high) == pytest.approx((low, high), abs=0.01)


def test_probabilities_that_are_not_numbers_are_refused():
    with pytest.raises(ValueError, match="1 membership probabilities are not finite"):
        metrics.roc_auc([True, False], np.array([0.5, np.nan]))
