import numpy as np
import pytest

from mialib import metrics
from mialib.attack.answers import Answers, Inference
from mialib.attack.thresholds import (
    ENOUGH,
    ClassThresholdAttack,
    GapAttack,
    ThresholdAttack,
    best_threshold,
    confidence,
    modified_entropy,
    negative_loss,
)


def answers(rng, n=400, confidence_in=4.0):
    """Return answers in three classes; members are answered with more confidence in the true class."""
    labels, member = rng.integers(0, 3, n), np.arange(n) < n // 2
    logits = rng.normal(size=(n, 3))
    logits[np.arange(n), labels] += np.where(member, confidence_in, 1.0)
    vectors = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Answers(labels, vectors.astype(np.float32), member)


def test_the_gap_attack_is_its_formula(rng):
    target = answers(rng)
    found = GapAttack().fit(None).infer(target)
    expected = target.train_accuracy / (target.train_accuracy + target.test_accuracy)
    assert metrics.precision(found.member, found.inferred) == pytest.approx(expected, abs=1e-12)
    assert metrics.recall(found.member, found.inferred) == pytest.approx(target.train_accuracy)
    assert metrics.accuracy(found.member, found.inferred) == pytest.approx(
        0.5 + (target.train_accuracy - target.test_accuracy) / 2
    )


def test_scores_by_hand():
    vectors, labels = np.array([[0.2, 0.8], [0.6, 0.4], [1, 0]], np.float32), np.array([1, 1, 1])
    np.testing.assert_allclose(confidence(labels, vectors), [0.8, 0.6, 1], rtol=1e-6)
    np.testing.assert_allclose(negative_loss(labels, vectors), np.log([0.8, 0.4, 1e-12]), rtol=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_no_threshold_is_better_than_the_best(seed):
    rng = np.random.default_rng(seed)
    member, score = rng.random(30) < 0.4, rng.integers(0, 8, 30).astype(float)
    member[:2] = True, False

    def gain(threshold):
        return np.mean(score[member] > threshold) - np.mean(score[~member] > threshold)

    found = best_threshold(member, score)
    assert gain(found) == pytest.approx(max(gain(t) for t in np.arange(-0.5, 9)))
    assert not np.isin(found, score[score < score.max()])


def test_a_threshold_leaves_out_what_is_not_judged_and_takes_infinite_scores():
    member, score = np.array([True, True, False, False]), np.array([np.inf, np.nan, 1.0, -np.inf])
    assert 1 < best_threshold(member, score) < np.inf
    with pytest.raises(ValueError, match="needs both members and non-members"):
        best_threshold(member[:2], score[:2])


def test_a_threshold_that_is_to_infer_nobody_infers_nobody():
    """Notices the fault of records at the threshold that count as above it."""
    member, score = np.array([False, True, False, True]), np.array([0.9, 0.4, 0.8, 0.3])
    found = Inference.above(best_threshold(member, score), Answers(np.zeros(4, int), np.eye(4), member), score)
    assert not found.inferred.any()


@pytest.mark.parametrize("statistic", [confidence, negative_loss])
def test_a_threshold_comes_from_the_shadows(rng, statistic):
    shadows, target = answers(rng, 4000), answers(rng, 2000)
    attack = ThresholdAttack(statistic).fit(shadows)
    found = attack.infer(target)
    assert attack.threshold_ == best_threshold(shadows.member, statistic(shadows.labels, shadows.vectors))
    assert metrics.accuracy(found.member, found.inferred) > 0.65
    without = ThresholdAttack(statistic).fit(answers(rng, 4000, confidence_in=1.0)).infer(answers(rng, 4000, 1.0))
    assert metrics.roc_auc(without.member, without.score) == pytest.approx(0.5, abs=0.04)


def test_numbers_are_those_of_the_judged():
    member = np.array([True, True, True, False, False, False])
    target = Answers(np.arange(6), np.eye(6), member)
    numbers = Inference.above(0.6, target, np.array([0.9, 0.8, np.nan, 0.7, 0.1, np.nan])).numbers()
    assert numbers["precision"] == pytest.approx(2 / 3)
    assert numbers["recall"] == pytest.approx(2 / 3)
    assert numbers["AUC"] == 1
    assert numbers["recall at 1 % false positives"] == 1
    assert set(numbers) >= {"accuracy", "recall at 0.1 % false positives"}


def test_modified_entropy_by_hand():
    """Song and Mittal, Eq. 8: small for a right and certain answer, large for a wrong and certain one."""
    vectors, labels = np.array([[0.7, 0.2, 0.1], [0.7, 0.2, 0.1], [1, 0, 0]]), np.array([0, 1, 0])
    first = 0.3 * np.log(0.7) + 0.2 * np.log(0.8) + 0.1 * np.log(0.9)
    second = 0.8 * np.log(0.2) + 0.7 * np.log(0.3) + 0.1 * np.log(0.9)
    np.testing.assert_allclose(modified_entropy(labels, vectors), [first, second, 0], atol=1e-9)


def test_each_class_has_the_threshold_of_its_own_records(rng):
    """One class is answered with more confidence, in and out, than the other in: one threshold finds half as much."""
    member, labels = np.arange(400) % 2 == 0, np.arange(400) // 2 % 2
    right = np.where(labels == 1, 0.9, 0.6) + 0.05 * member + rng.normal(0, 0.005, 400)
    vectors = np.where(np.arange(2) == labels[:, None], right[:, None], 1 - right[:, None])
    target = Answers(labels, vectors, member)
    by_class = ClassThresholdAttack().fit(target).infer(target)
    one = ThresholdAttack(modified_entropy).fit(target).infer(target)
    assert by_class.accuracy > 0.99
    assert one.accuracy < 0.8
    for c in (0, 1):
        own = target.rows(labels == c)
        expected = best_threshold(own.member, modified_entropy(own.labels, own.vectors))
        assert ClassThresholdAttack().fit(target).thresholds_[c] == expected


def test_a_class_with_few_records_takes_the_threshold_of_all(rng):
    target = answers(rng)
    few = np.flatnonzero(target.labels != 2)
    some = np.flatnonzero((target.labels == 2) & target.member)[: ENOUGH - 1]
    target = target.rows(np.sort(np.r_[few, some]))
    attack = ClassThresholdAttack().fit(target)
    assert attack.thresholds_[2] == best_threshold(target.member, modified_entropy(target.labels, target.vectors))
    assert attack.thresholds_[0] != attack.thresholds_[2]
