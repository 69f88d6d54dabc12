import numpy as np
import pytest
from scipy.stats import norm

from mialib import metrics
from mialib.attack import lira
from mialib.attack.lira import Gaussians, logit_confidence, own_variance, shared_variance


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


def test_a_shared_variance_counts_each_shadow_model_and_not_each_record(rng):
    """Records of which few shadow models speak weigh less: squares and degrees of freedom are summed first."""
    confidence, in_ = rng.normal(size=(6, 2)), np.zeros((6, 2), bool)
    in_[:4, 1] = True  # the second record is out for two models only
    squares = [((of - of.mean()) ** 2).sum() for of in (confidence[:, 0], confidence[4:, 1])]
    found = lira.offline_score(np.zeros(2), confidence, in_, shared_variance)
    means = np.array([confidence[:, 0].mean(), confidence[4:, 1].mean()])
    np.testing.assert_allclose(found, -means / np.sqrt(sum(squares) / (5 + 1)))


def test_a_record_without_shadows_of_a_kind_is_not_judged(rng):
    confidence, in_ = rng.normal(size=(6, 3)), np.tile([[True], [False]], (3, 3))
    in_[:, 0] = True
    assert np.isnan(lira.online_score(np.zeros(3), confidence, in_, shared_variance)).tolist() == [True, False, False]
    in_[:, 1] = [True] * 5 + [False]  # one shadow model without it has no variance of its own, but shares one
    assert np.isnan(lira.offline_score(np.zeros(3), confidence, in_, shared_variance)).tolist() == [True, False, False]


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


def test_clipped_odds_are_those_of_clipped_probabilities():
    vectors = np.array([[1.0, 0.0], [0.995, 0.005], [0.7, 0.3], [0.0, 1.0]])
    found = lira.clipped(logit_confidence(np.zeros(4, int), vectors), 0.01)
    p = np.clip(vectors[:, 0], 0.01, 0.99)
    np.testing.assert_allclose(found, np.log(p / (1 - p)))
