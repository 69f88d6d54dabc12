"""What models answer about records of known membership, and what an attack infers from it."""

from dataclasses import dataclass

import numpy as np

from mialib import metrics
from mialib.base.seeding import children

LEAST = 1e-12
"""Probabilities count as no smaller than this where a logarithm is taken."""


@dataclass(frozen=True, eq=False)
class Inference:
    """What an attack says about records whose membership is known.

    Parameters
    ----------
    member : ndarray of bool, shape (n,)
    score : ndarray of float64, shape (n,)
        Larger for likelier members; NaN for a record that is not judged.
    inferred : ndarray of bool, shape (n,)
        The records inferred as members.
    """

    member: np.ndarray
    score: np.ndarray
    inferred: np.ndarray

    @classmethod
    def above(cls, threshold, member, score):
        """Return the inference that calls records of a larger score than this members."""
        return cls(member, score, score > threshold)

    @property
    def judged(self):
        """The records that have a score (ndarray of bool)."""
        return ~np.isnan(self.score)

    def numbers(self, seed):
        """Return precision, recall, accuracy, AUC and recall at few false positives by name, each an `Estimate`.

        Parameters
        ----------
        seed : int or SeedSequence
            Of the bootstrap.

        Returns
        -------
        dict of str to Estimate
        """
        seeds = children(seed, 5)
        member, score = self.member[self.judged], _finite(self.score[self.judged])
        return {
            "precision": metrics.estimate(metrics.precision, self.member, self.inferred, seeds[0]),
            "recall": metrics.estimate(metrics.recall, self.member, self.inferred, seeds[1]),
            "accuracy": metrics.estimate(metrics.accuracy, self.member, self.inferred, seeds[2]),
            "AUC": metrics.estimate(metrics.roc_auc, member, score, seeds[3]),
            "recall at 1 % false positives": metrics.estimate(_recall_at(0.01), member, score, seeds[4]),
            "recall at 0.1 % false positives": metrics.estimate(_recall_at(0.001), member, score, seeds[4]),
        }


def _recall_at(fpr):
    return lambda member, score, weight=None: metrics.tpr_at_fpr(member, score, fpr, weight)


def _finite(score):
    return np.nan_to_num(score, posinf=np.finfo(np.float64).max, neginf=np.finfo(np.float64).min)


@dataclass(frozen=True, eq=False)
class Answers:
    """What models answer about records of known membership (§V-D).

    From shadow models it is what attack models learn from; from a target, what they are tried on.

    Parameters
    ----------
    labels : ndarray of int64, shape (n,)
        True classes.
    vectors : ndarray of float32, shape (n, classes)
        Prediction vectors.
    member : ndarray of bool, shape (n,)
        True: in, False: out.
    """

    labels: np.ndarray
    vectors: np.ndarray
    member: np.ndarray

    @property
    def train_accuracy(self):
        """Share of members whose class is predicted rightly (float)."""
        return self._accuracy(self.member)

    @property
    def test_accuracy(self):
        """Share of non-members whose class is predicted rightly (float)."""
        return self._accuracy(~self.member)

    @property
    def right(self):
        """The records whose class is predicted rightly (ndarray of bool)."""
        return self.vectors.argmax(axis=1) == self.labels

    def _accuracy(self, rows):
        return float(np.mean(self.right[rows]))


def query(stack, data, in_, out):
    """Ask models about their members and as many non-members.

    Parameters
    ----------
    stack : Stack, or what a platform of `mialib.platforms.closed` trained
        Of k models.
    data : Dataset
    in_, out : ndarray of int, shape (k, n)
        Records of each model.

    Returns
    -------
    Answers
        Of ``2 * k * n`` records, all members first.
    """
    rows = np.concatenate([in_, out], axis=None)
    of_models = stack.predict_proba(data.x, np.concatenate([in_, out], axis=1))
    vectors = np.concatenate(np.split(of_models, [in_.shape[1]], axis=1), axis=None).reshape(len(rows), -1)
    return Answers(data.y[rows], vectors, np.repeat([True, False], in_.size))
