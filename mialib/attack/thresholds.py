"""Attacks without attack models: the gap attack, and a threshold on confidence or loss.

What the shadow attack (§V) must beat. Thresholds are chosen from the shadow models' answers, never from the target's.
"""

import numpy as np

from mialib import metrics
from mialib.attack.answers import LEAST, Attack, finite

ENOUGH = 10
"""Answers about members, and about non-members, from which a class has a threshold of its own."""


def confidence(labels, vectors):
    """Return the largest entry of each prediction vector; the true class is not needed (ML-Leaks' third attacker)."""
    return vectors.max(axis=1).astype(np.float64)


def negative_loss(labels, vectors):
    """Return the cross-entropy of the true class, negated so that members score higher (Yeom et al. 2018)."""
    return np.log(np.maximum(metrics.true_class_probability(labels, vectors).astype(np.float64), LEAST))


def modified_entropy(labels, vectors):
    """Return the entropy of prediction vectors, modified to know the true class, and negated (Song and Mittal 2021).

    -(1 - p) log p - Σ q log(1 - q), with p the true class's probability and q the others'; members score higher.
    """
    p = np.asarray(vectors, np.float64)
    true = np.asarray(labels)[:, None] == np.arange(p.shape[1])
    certain, doubted = np.log(np.maximum(p, LEAST)), np.log(np.maximum(1 - p, LEAST))
    return np.where(true, (1 - p) * certain, p * doubted).sum(axis=1)


def best_threshold(member, score):
    """Return the threshold of the highest accuracy, members and non-members counting alike (float).

    It lies halfway between two scores, so that it holds for scores near by; the highest of those that are equally
    good, which infers the fewest members. Records that are NaN are left out. A ValueError says if there are not both
    members and non-members.
    """
    judged = ~np.isnan(score)
    member, score = np.asarray(member, bool)[judged], finite(score[judged])
    if member.all() or not member.any():
        raise ValueError("a threshold needs both members and non-members to choose from; give answers about both")
    fpr, tpr = metrics.roc(member, score)
    values = np.unique(score)[::-1]
    best = int(np.argmax(tpr - fpr))
    if best == 0:
        return float(values[0])
    below = values[best] if best < len(values) else values[-1] - 2
    return float(values[best - 1] / 2 + below / 2)


class ThresholdAttack(Attack):
    """Call a record a member if its score is above a threshold, which shadow models' answers decide.

    Parameters
    ----------
    statistic : callable
        `confidence`, `negative_loss`, or any other function of labels and prediction vectors that is larger for
        likelier members.

    Attributes
    ----------
    threshold_ : float
    """

    def __init__(self, statistic=negative_loss):
        self.statistic = statistic

    def fit(self, shadows):
        """Choose the threshold from shadow models' `Answers`; return self."""
        self.threshold_ = best_threshold(shadows.member, self.score(shadows.labels, shadows.vectors))
        return self

    def score(self, labels, vectors):
        """Return the statistic of each record, ndarray of float64, shape (n,)."""
        return self.statistic(labels, vectors)


class ClassThresholdAttack(Attack):
    """Call a record a member if its score is above the threshold of its true class (Song and Mittal 2021).

    Parameters
    ----------
    statistic : callable
        As for `ThresholdAttack`.

    Attributes
    ----------
    thresholds_ : ndarray of float64, shape (classes,)
        Where a class has fewer than `ENOUGH` members or non-members to learn from, that of all classes.
    """

    threshold_ = 0.0

    def __init__(self, statistic=modified_entropy):
        self.statistic = statistic

    def fit(self, shadows):
        """Choose the thresholds from `Answers`; return self."""
        score = self.statistic(shadows.labels, shadows.vectors)
        self.thresholds_ = np.full(shadows.vectors.shape[1], best_threshold(shadows.member, score))
        for c in range(len(self.thresholds_)):
            member, of_class = (values[shadows.labels == c] for values in (shadows.member, score))
            if min(np.count_nonzero(member), np.count_nonzero(~member)) >= ENOUGH:
                self.thresholds_[c] = best_threshold(member, of_class)
        return self

    def score(self, labels, vectors):
        """Return by how much the statistic of each record exceeds its class's threshold, float64 of shape (n,)."""
        return self.statistic(labels, vectors) - self.thresholds_[labels]


class GapAttack(Attack):
    """Call a record a member if the target classifies it correctly; nothing is learned (the paper's baseline)."""

    def fit(self, shadows):
        """Return self; shadow models have nothing to say here."""
        return self

    def score(self, labels, vectors):
        """Return 1 for each record that is classified correctly, else 0."""
        return (vectors.argmax(axis=1) == labels).astype(np.float64)
