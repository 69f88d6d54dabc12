"""Attacks without attack models: the gap attack, and a threshold on confidence or loss.

What the shadow attack (§V) must beat. Thresholds are chosen from the shadow models' answers, never from the target's.
"""

from dataclasses import dataclass

import numpy as np

from mialib import metrics
from mialib.attack.answers import LEAST, Inference, _finite


@dataclass(frozen=True)
class Confidence:
    """The largest entry of the prediction vector; the true class is not needed (ML-Leaks' third attacker)."""

    def __call__(self, labels, vectors):
        """Return the score of each record, ndarray of float64, shape (n,)."""
        return vectors.max(axis=1).astype(np.float64)


@dataclass(frozen=True)
class Loss:
    """The cross-entropy of the true class, negated so that members score higher (Yeom et al. 2018)."""

    def __call__(self, labels, vectors):
        """Return the score of each record, ndarray of float64, shape (n,)."""
        return np.log(np.maximum(metrics.true_class_probability(labels, vectors).astype(np.float64), LEAST))


def best_threshold(member, score):
    """Return the threshold of the highest accuracy, members and non-members counting alike.

    It lies halfway between two scores, so that it holds for scores near by; the highest of those that are equally
    good, which infers the fewest members.

    Parameters
    ----------
    member : ndarray of bool, shape (n,)
    score : ndarray of float64, shape (n,)
        Records that are NaN are left out.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If there are not both members and non-members.
    """
    judged = ~np.isnan(score)
    member, score = np.asarray(member, bool)[judged], _finite(score[judged])
    if member.all() or not member.any():
        raise ValueError("a threshold needs both members and non-members to choose from; give answers about both")
    fpr, tpr = metrics.roc(member, score)
    values = np.unique(score)[::-1]
    best = int(np.argmax(tpr - fpr))
    if best == 0:
        return float(values[0])
    below = values[best] if best < len(values) else values[-1] - 2
    return float(values[best - 1] / 2 + below / 2)


class ThresholdAttack:
    """Call a record a member if its score is above a threshold, which shadow models' answers decide.

    Parameters
    ----------
    statistic : Confidence or Loss

    Attributes
    ----------
    threshold_ : float
    """

    def __init__(self, statistic=Loss()):
        self.statistic = statistic

    def fit(self, shadows):
        """Choose the threshold.

        Parameters
        ----------
        shadows : Answers

        Returns
        -------
        self
        """
        self.threshold_ = best_threshold(shadows.member, self.statistic(shadows.labels, shadows.vectors))
        return self

    def infer(self, answers):
        """Return what the attack says about records.

        Parameters
        ----------
        answers : Answers
            The target's.

        Returns
        -------
        Inference
        """
        return Inference.above(self.threshold_, answers.member, self.statistic(answers.labels, answers.vectors))


class GapAttack:
    """Call a record a member if the target classifies it rightly; nothing is learned."""

    def fit(self, shadows):
        """Return self; shadow models have nothing to say here."""
        return self

    def infer(self, answers):
        """Return what the attack says about records; see `ThresholdAttack.infer`."""
        return Inference(answers.member, answers.right.astype(np.float64), answers.right)
