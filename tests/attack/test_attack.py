import warnings

import numpy as np
import pytest

from mialib import metrics
from mialib.attack.answers import Answers, Attack
from mialib.attack.shadow import ATTACK_RECIPE, ClassAttack, PooledAttack, Stretch, halves, infer_from_own
from mialib.platforms.mitigations import Temperature


def answers(rng, n, n_classes=3, signal=0.0):
    """Answers whose true class gets more probability for members, by `signal` in log-odds."""
    labels, member = rng.integers(0, n_classes, n), rng.random(n) < 0.5
    logits = rng.normal(size=(n, n_classes))
    logits[np.arange(n), labels] += signal * member
    vectors = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Answers(labels, vectors.astype(np.float32), member)


def auc_of(attack, target):
    return attack.infer(target).auc


def test_membership_drawn_at_random_is_not_inferred(rng):
    """Null calibration: the 95 % interval of the AUC covers 0.5, and a signal is found by the same code."""
    attack = ClassAttack(seed=1).fit(answers(rng, 6000))
    null = auc_of(attack, answers(rng, 2000))
    assert null.low <= 0.5 <= null.high
    assert null.high - null.low < 0.06
    signal = auc_of(ClassAttack(seed=1).fit(answers(rng, 6000, signal=2.0)), answers(rng, 2000, signal=2.0))
    assert signal.low > 0.7


def test_the_attack_comes_near_the_best_possible(rng):
    """Two Gaussians in log-odds: the likelihood ratio's AUC is known; two classes make it exact."""
    shadows, target = (answers(rng, n, n_classes=2, signal=2.0) for n in (20000, 4000))
    own = metrics.true_class_probability(target.labels, target.vectors)
    best = metrics.roc_auc(target.member, own)  # monotone in the likelihood ratio
    assert auc_of(ClassAttack().fit(shadows), target) == pytest.approx(best, abs=0.01)


def test_each_class_has_its_own_attack_model(rng):
    """In class 0 members are answered surely, in class 1 unsurely: one model for both would fail."""

    def made(n):
        labels, member = rng.integers(0, 2, n), rng.random(n) < 0.5
        own = np.where(member == (labels == 0), 0.9, 0.6) + rng.normal(0, 0.02, n)
        vectors = np.where(labels[:, None] == np.arange(2), own[:, None], 1 - own[:, None])
        return Answers(labels, vectors.astype(np.float32), member)

    target = made(500)
    assert auc_of(ClassAttack().fit(made(2000)), target) > 0.99


def test_a_class_with_one_kind_of_record_is_reported(rng):
    shadows = answers(rng, 900, signal=2.0)
    keep = (shadows.labels != 1) | shadows.member
    shadows = Answers(shadows.labels[keep], shadows.vectors[keep], shadows.member[keep])
    with pytest.warns(UserWarning, match="classes 1 have no shadow records in, or none out"):
        attack = ClassAttack().fit(shadows)
    np.testing.assert_array_equal(attack.missing_, [1])
    target = answers(rng, 300, signal=2.0)
    probability = attack.predict_proba(target.labels, target.vectors)
    np.testing.assert_array_equal(np.isnan(probability), target.labels == 1)
    assert ((probability >= 0) & (probability <= 1))[target.labels != 1].all()


def test_no_class_with_both_kinds_is_an_error(rng):
    shadows = answers(rng, 100)
    with pytest.raises(ValueError, match="no class has shadow records both in and out"):
        ClassAttack().fit(Answers(shadows.labels, shadows.vectors, np.ones(100, bool)))


def test_same_seed_same_attack(rng):
    shadows, target = answers(rng, 600, signal=1.0), answers(rng, 50, signal=1.0)
    first, again, other = (
        ClassAttack(seed=s).fit(shadows).predict_proba(target.labels, target.vectors) for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_accuracy_of_members_and_others():
    vectors = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]], np.float32)
    found = Answers(np.array([0, 1, 1, 0]), vectors, np.array([True, True, False, False]))
    assert (found.train_accuracy, found.test_accuracy) == (1.0, 0.5)


def test_answers_at_a_high_temperature_are_stretched_and_others_stay():
    rng = np.random.default_rng(0)
    plain = rng.dirichlet(np.full(4, 0.1), 500).astype(np.float32)
    flat = Temperature(50)(plain)
    stretch = Stretch.of(flat)
    seen = stretch(flat)
    assert np.isclose((seen.max(axis=0) - seen.min(axis=0)).max(), 1)
    assert np.allclose(seen.min(axis=0), 0)
    assert np.allclose(np.diff(seen, axis=1) / np.diff(flat - flat.min(axis=0), axis=1), stretch.factor, rtol=1e-3)
    assert np.allclose(Stretch.of(plain)(plain), plain, atol=0.02)
    assert np.array_equal(Stretch.of(3 * plain)(plain), plain)
    assert np.array_equal(Stretch.of(plain[:1])(plain), plain)


@pytest.mark.parametrize("attack", [ClassAttack(), PooledAttack()])
def test_what_a_high_temperature_hides_from_the_eye_it_does_not_hide_from_the_attack(attack):
    rng = np.random.default_rng(1)
    member = np.repeat([True, False], 400)
    sure = np.where(member, 0.95, 0.6) + rng.uniform(-0.03, 0.03, 800)
    vectors = np.stack([sure, 1 - sure], axis=1).astype(np.float32)
    shadows = Answers(np.zeros(800, int), Temperature(500)(vectors), member)
    assert np.ptp(shadows.vectors[:, 0]) < 0.01
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert attack.fit(shadows, n_jobs=1).infer(shadows).accuracy > 0.99


@pytest.mark.parametrize("attack", [ClassAttack(), PooledAttack(ATTACK_RECIPE)])
def test_what_is_said_of_a_record_does_not_hang_on_the_others(rng, attack):
    """Notices the fault of a target's answers that are stretched by their own range and not by the shadows'."""
    shadows, target = answers(rng, 600, signal=2.0), answers(rng, 200, signal=2.0)
    hot = Temperature(50)
    shadows, target = (Answers(of.labels, hot(of.vectors), of.member) for of in (shadows, target))
    attack.fit(shadows, n_jobs=1)
    some = np.flatnonzero(target.vectors.max(axis=1) < np.median(target.vectors.max(axis=1)))
    together = attack.predict_proba(target.labels, target.vectors)[some]
    np.testing.assert_allclose(attack.predict_proba(target.labels[some], target.vectors[some]), together, atol=1e-5)


def test_without_shadows_no_record_is_judged_by_what_was_learned_from_it(rng):
    """Notices the fault of an attack that is tried on the half from which it learned: this one knows it by heart."""

    class ByHeart(Attack):
        def fit(self, shadows):
            self.known = set(shadows.vectors[:, 0].tolist())
            return self

        def score(self, labels, vectors):
            return np.array([float(value in self.known) for value in vectors[:, 0].tolist()])

    target = answers(rng, 301)
    assert ByHeart().fit(target).infer(target).inferred.all()
    np.testing.assert_array_equal(infer_from_own(ByHeart(), target, halves(target, 0)).score, 0)


def test_halves_hold_as_many_of_each_class_in_and_out(rng):
    target = answers(rng, 403)
    half = halves(target, 3)
    for c in np.unique(target.labels):
        for side in (True, False):
            counts = np.bincount(half[(target.labels == c) & (target.member == side)], minlength=2)
            assert abs(counts[0] - counts[1]) <= 1
    assert (half != halves(target, 4)).any()
    np.testing.assert_array_equal(half, halves(target, 3))
