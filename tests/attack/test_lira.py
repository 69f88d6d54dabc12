from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from mialib import metrics
from mialib.attack import lira
from mialib.attack.answers import Answers
from mialib.attack.comparisons import all_attacks, short_columns
from mialib.attack.experiment import Experiment, run
from mialib.attack.lira import Gaussians, logit_confidence, own_variance, shared_variance
from mialib.attack.thresholds import best_threshold, confidence, negative_loss
from mialib.datasets.splits import TargetHalves, split, target_halves
from mialib.models.stack import NN
from mialib.models.training import Recipe
from mialib.platforms.mitigations import LabelOnly

OVERFITTED = Experiment(100, 16, Recipe(NN((32,)), epochs=200, batch_size=20), seed=3)


@pytest.fixture
def gaussian(rng):
    """Records of very different difficulty; a model's confidence is Gaussian, 1.5 deviations higher if it knows one."""
    k, n, gap, deviation = 400, 4000, 1.5, 0.7
    out_mean = rng.normal(0, 5, n)

    def confidence(in_):
        return out_mean + gap * deviation * in_ + rng.normal(0, deviation, in_.shape)

    in_ = np.tile([[True], [False]], (k // 2, n))
    member = np.arange(n) < n // 2
    return confidence(member), confidence(in_), in_, member, gap


@pytest.mark.parametrize("score", [lira.online_score, lira.offline_score])
@pytest.mark.parametrize("variance", [own_variance, shared_variance])
def test_the_roc_is_the_closed_form(gaussian, score, variance):
    """Two Gaussians `gap` apart: TPR = Φ(Φ⁻¹(FPR) + gap), AUC = Φ(gap/√2)."""
    observed, confidence, in_, member, gap = gaussian
    found = score(observed, confidence, in_, variance)
    assert metrics.roc_auc(member, found) == pytest.approx(norm.cdf(gap / np.sqrt(2)), abs=0.02)
    for fpr in (0.01, 0.05, 0.2):
        expected = norm.cdf(norm.ppf(fpr) + gap)
        slope = norm.pdf(norm.ppf(fpr) + gap) / norm.pdf(norm.ppf(fpr))
        noise = 4 * (np.sqrt(expected / 2000) + slope * np.sqrt(fpr / 2000))
        assert metrics.tpr_at_fpr(member, found, fpr) == pytest.approx(expected, abs=noise)
    assert metrics.roc_auc(member, observed) < 0.65  # one threshold for all records does not see it


def test_the_online_score_is_the_log_likelihood_ratio(rng):
    confidence, in_ = rng.normal(size=(8, 5)), np.tile([[True], [False]], (4, 5))
    observed = rng.normal(size=5)
    own = lira.online_score(observed, confidence, in_, own_variance)
    fits = [(confidence[i::2].mean(axis=0), confidence[i::2].std(axis=0, ddof=1)) for i in (0, 1)]
    expected = norm.logpdf(observed, *fits[0]) - norm.logpdf(observed, *fits[1])
    np.testing.assert_allclose(own, expected)
    pooled = np.sqrt(confidence[1::2].var(axis=0, ddof=1).mean())
    offline = lira.offline_score(observed, confidence, in_, shared_variance)
    np.testing.assert_allclose(offline, (observed - confidence[1::2].mean(axis=0)) / pooled)
    np.testing.assert_allclose(norm.cdf(offline), 1 - norm.sf(observed, fits[1][0], pooled))


def test_a_record_without_shadows_of_a_kind_is_not_judged(rng):
    confidence, in_ = rng.normal(size=(6, 3)), np.tile([[True], [False]], (3, 3))
    in_[:, 0] = True
    assert np.isnan(lira.online_score(np.zeros(3), confidence, in_, shared_variance)).tolist() == [True, False, False]
    in_[:, 1] = [True] * 5 + [False]  # one shadow model without it has no variance of its own, but shares one
    assert np.isnan(lira.offline_score(np.zeros(3), confidence, in_, shared_variance)).tolist() == [True, False, False]


def test_the_offline_threshold_holds_each_shadow_against_the_others_alone(rng):
    """Notices the fault of a shadow model that is among the models it is held against."""
    in_ = np.array([[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0]], bool)
    confidence = rng.normal(size=(4, 4)) + 2 * in_
    scores = []
    for i in range(4):
        out = [confidence[[j for j in range(4) if j != i and not in_[j, record]], record] for record in range(4)]
        squares = sum(((of - of.mean()) ** 2).sum() for of in out)
        deviation = np.sqrt(squares / sum(len(of) - 1 for of in out))
        scores.append([(confidence[i, record] - of.mean()) / deviation for record, of in enumerate(out)])
    expected = best_threshold(in_.ravel(), np.ravel(scores))
    assert lira.offline_threshold(confidence, in_, shared_variance) == pytest.approx(expected)


def test_offline_lira_infers_what_lies_above_the_shadows_threshold(rng):
    """Notices the fault of a threshold of 0, above which half of the non-members lie."""
    vectors, own = (rng.dirichlet(np.ones(2), (4, n)) for n in (60, 80))
    labels, in_ = np.zeros(60, int), rng.random((4, 60)) < 0.5
    target = Answers(np.zeros(80, int), rng.dirichlet(np.ones(2), 80), np.arange(80) < 40)
    found = lira.Evidence(labels, vectors, in_, own).infer(target)
    threshold = lira.offline_threshold(logit_confidence(labels, vectors), in_, shared_variance)
    np.testing.assert_array_equal(found.inferred, found.score > threshold)
    assert (found.inferred != (found.score > 0)).any()


def test_all_that_offline_lira_goes_by_is_seen_through_a_filter(rng):
    """Notices the fault of answers about the target's own records that are left unfiltered."""
    plain = lira.Evidence(np.zeros(5, int), rng.random((3, 5, 2)), rng.random((3, 5)) < 0.5, rng.random((3, 7, 2)))
    behind = plain.behind(LabelOnly())
    np.testing.assert_array_equal(behind.vectors, LabelOnly()(plain.vectors))
    np.testing.assert_array_equal(behind.own, LabelOnly()(plain.own))


def test_few_shadows_share_a_variance():
    assert lira.variance_for(63) == shared_variance
    assert lira.variance_for(64) == own_variance


def test_the_logit_is_stable_and_by_hand():
    vectors = np.array([[[0.2, 0.5, 0.3], [1, 0, 0], [0, 1, 0]]], np.float32)
    found = logit_confidence(np.array([1, 0, 0]), vectors)
    np.testing.assert_allclose(found, [[np.log(0.5 / 0.5), np.log(1e12), -np.log(1e12)]], atol=1e-6)


def test_equal_confidences_do_not_divide_by_zero():
    flat = Gaussians.fit(np.ones((4, 2)), np.ones((4, 2), bool), own_variance)
    assert np.isfinite(flat.deviation(np.array([1.0, 2.0]))).all()


def test_halves_hold_each_record_in_half_of_the_shadows():
    parts = split(600, 100, 1)
    halves = target_halves(parts, 6, 2)
    own = np.concatenate([parts.target_in, parts.target_out])
    assert (halves.in_.shape, halves.out.shape) == ((6, 100), (6, 100))
    for in_, out in zip(halves.in_, halves.out, strict=True):
        np.testing.assert_array_equal(np.sort(np.concatenate([in_, out])), np.sort(own))
    assert (np.unique(halves.in_, return_counts=True)[1] == 3).all()
    assert not np.intersect1d(halves.in_, parts.pool).size
    shares = [np.isin(in_, parts.target_in).mean() for in_ in halves.in_]
    assert 0.3 < min(shares) <= max(shares) < 0.7
    np.testing.assert_array_equal(target_halves(parts, 2, 2).in_, halves.in_[:2])


def test_halves_that_are_none_are_refused():
    with pytest.raises(ValueError, match="needs an even number"):
        target_halves(split(40, 10, 1), 3, 0)
    with pytest.raises(ValueError, match="in for half of the shadow models"):
        TargetHalves(np.array([[1, 2], [1, 3]]), np.array([[3, 4], [2, 4]]))
    with pytest.raises(ValueError, match="in for half of the shadow models"):  # 1 is in for three of four
        TargetHalves(np.array([[1], [1], [1], [2]]), np.array([[2], [2], [2], [1]]))
    with pytest.raises(ValueError, match="share 1 records"):
        TargetHalves(np.array([[1, 2], [3, 4]]), np.array([[2, 4], [1, 3]]))
    groups = np.arange(40) // 2
    with pytest.raises(ValueError, match="take offline LiRA"):
        target_halves(split(40, 5, 1, groups), 2, 0)


def test_both_kinds_find_the_members_of_an_overfitted_target(data):
    result = run(OVERFITTED, data)
    for found in (lira.offline(result), lira.online(OVERFITTED, data)):
        np.testing.assert_array_equal(found.member, result.target.member)
        assert found.auc.low > 0.6
        assert metrics.accuracy(found.member, found.inferred) > 0.58


def test_online_lira_infers_what_is_likelier_in_than_out_by_shadows_of_its_own(data):
    """Notices two faults: another threshold than 0, and shadow models that have the seeds of offline LiRA's."""
    seeds = []

    class Watched:
        def train(self, data, index, given, *rest):
            seeds.extend(tuple(seed.generate_state(4)) for seed in given)
            return OVERFITTED.recipe.train(data, index, given, *rest)

    watched = replace(OVERFITTED, n_shadow=4, recipe=Watched())
    run(watched, data)
    found = lira.online(watched, data)
    np.testing.assert_array_equal(found.inferred, found.score > 0)
    assert np.any((found.score > 0) & (found.score < 0.5))
    assert len(set(seeds)) == 1 + 4 + 4  # the target, asked by both, and the shadow models of each


def test_an_untrained_target_leaks_nothing(data):
    untrained = replace(OVERFITTED, recipe=replace(OVERFITTED.recipe, epochs=0))
    for found in (lira.offline(run(untrained, data)), lira.online(untrained, data)):
        auc = metrics.roc_auc(*found.ranked, level=0.999)
        assert auc.low <= 0.5 <= auc.high


def test_two_shadows_are_too_few_for_offline(data):
    with pytest.raises(ValueError, match="needs at least 3"):
        lira.offline(run(replace(OVERFITTED, n_shadow=2), data))


def test_offline_shadows_know_none_of_the_targets_records(data):
    """The score is that of shadows asked about the target's records, all of them out."""
    result = run(replace(OVERFITTED, n_shadow=4), data)
    own = np.concatenate([result.split.target_in, result.split.target_out])
    assert not np.intersect1d(own, result.shadow_sets.in_).size
    found = lira.offline(result)

    vectors = result.models().models(slice(1, None)).predict_proba(data.x[own])
    shadow = logit_confidence(data.y[own], vectors)
    deviation = np.sqrt(shadow.var(axis=0, ddof=1).mean())
    observed = logit_confidence(result.target.labels, result.target.vectors)
    np.testing.assert_allclose(found.score, (observed - shadow.mean(axis=0)) / deviation, rtol=1e-4, atol=1e-4)


def test_rivals_are_what_each_attack_says_alone(data):
    result = run(OVERFITTED, data)
    found = all_attacks(result)
    assert list(found) == [
        "gap attack",
        "confidence threshold",
        "loss threshold",
        "shadow attack",
        "LiRA, offline",
        "LiRA, online",
    ]
    assert metrics.precision(result.target.member, found["shadow attack"].inferred) == result.inference.precision
    np.testing.assert_array_equal(found["LiRA, offline"].score, lira.offline(result).score)
    np.testing.assert_array_equal(found["LiRA, online"].inferred, lira.online(OVERFITTED, data).inferred)
    gap = result.target.train_accuracy / (result.target.train_accuracy + result.target.test_accuracy)
    assert metrics.precision(result.target.member, found["gap attack"].inferred) == pytest.approx(gap)


def test_a_rivals_threshold_comes_from_the_shadows_and_not_from_the_target(data):
    """Notices the fault of a threshold that is fitted on the target itself; halved answers tell the two apart."""
    result = run(OVERFITTED, data)
    halved = result.against(replace(result.target, vectors=result.target.vectors / 2))
    attacks = all_attacks(halved)
    for name, statistic in (("confidence threshold", confidence), ("loss threshold", negative_loss)):
        found, shadows = attacks[name], halved.shadows
        of_shadows = best_threshold(shadows.member, statistic(shadows.labels, shadows.vectors))
        np.testing.assert_array_equal(found.inferred, found.score > of_shadows)
        assert (found.inferred != (found.score > best_threshold(found.member, found.score))).any()


def test_a_table_has_an_attack_a_row(data):
    measured = {name: one.numbers() for name, one in all_attacks(run(OVERFITTED, data)).items()}
    shown = short_columns(measured)
    assert list(shown)[:2] == ["precision", "recall"]
    assert shown["recall, 1 % FPR"]["gap attack"] == measured["gap attack"]["recall at 1 % false positives"]


def test_clipped_odds_are_those_of_clipped_probabilities():
    vectors = np.array([[1.0, 0.0], [0.995, 0.005], [0.7, 0.3], [0.0, 1.0]])
    found = lira.clipped(logit_confidence(np.zeros(4, int), vectors), 0.01)
    p = np.clip(vectors[:, 0], 0.01, 0.99)
    np.testing.assert_allclose(found, np.log(p / (1 - p)))
