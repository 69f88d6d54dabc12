"""Attacks without attack models: the gap attack, and a threshold on confidence or loss.

What the shadow attack (§V) must beat. Thresholds are chosen from the shadow models' answers, never from the target's.
"""

import numpy as np

from mialib import metrics
from mialib.attack.answers import LEAST, Attack, finite


def confidence(labels, vectors):
    """Return the largest entry of each prediction vector; the true class is not needed (ML-Leaks' third attacker)."""
    return vectors.max(axis=1).astype(np.float64)


def negative_loss(labels, vectors):
    """Return the cross-entropy of the true class, negated so that members score higher (Yeom et al. 2018)."""
    return np.log(np.maximum(metrics.true_class_probability(labels, vectors).astype(np.float64), LEAST))


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


class GapAttack(Attack):
    """Call a record a member if the target classifies it correctly; nothing is learned (the paper's baseline)."""

    def fit(self, shadows):
        """Return self; shadow models have nothing to say here."""
        return self

    def score(self, labels, vectors):
        """Return 1 for each record that is classified correctly, else 0."""
        return (vectors.argmax(axis=1) == labels).astype(np.float64)
