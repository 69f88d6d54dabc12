"""What models answer about records of known membership, and what an attack infers from it."""

from dataclasses import dataclass, replace

import numpy as np

from mialib import metrics

LEAST = 1e-12
"""Probabilities count as no smaller than this where a logarithm is taken."""


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
    def right(self):
        """The records whose class is predicted correctly (ndarray of bool, shape (n,))."""
        return self.vectors.argmax(axis=1) == self.labels

    @property
    def train_accuracy(self):
        """Share of members whose class is predicted correctly (Estimate)."""
        return metrics.share_of(self.right[self.member])

    @property
    def test_accuracy(self):
        """Share of non-members whose class is predicted correctly (Estimate)."""
        return metrics.share_of(self.right[~self.member])

    @property
    def accuracy_gap(self):
        """Train accuracy minus test accuracy (float)."""
        return self.train_accuracy - self.test_accuracy

    def rows(self, which):
        """Return the answers about some of the records, an index of any kind."""
        return Answers(self.labels[which], self.vectors[which], self.member[which])


def query(models, data, in_, out):
    """Ask k models about their members and as many non-members, rows of `data` of shape (k, n).

    Returns `Answers` of ``2 * k * n`` records, all members first.
    """
    rows = np.concatenate([in_, out], axis=None)
    of_models = models.predict_proba(data.x, np.concatenate([in_, out], axis=1))
    vectors = np.concatenate(np.split(of_models, [in_.shape[1]], axis=1), axis=None).reshape(len(rows), -1)
    return Answers(data.y[rows], vectors, np.repeat([True, False], in_.size))


@dataclass(frozen=True, eq=False)
class Inference:
    """What an attack says about records whose membership is known.

    Parameters
    ----------
    member : ndarray of bool, shape (n,)
    score : ndarray of float64, shape (n,)
        Larger for likelier members, such as a membership probability; NaN for a record that is not judged.
    inferred : ndarray of bool, shape (n,)
        The records inferred as members; never one that is not judged.
    groups : ndarray of int, shape (n,), optional
        True class of each record.
    """

    member: np.ndarray
    score: np.ndarray
    inferred: np.ndarray
    groups: np.ndarray | None = None

    @classmethod
    def above(cls, threshold, answers, score):
        """Return the inference that calls records of a larger score than this members."""
        return cls(answers.member, score, score > threshold, answers.labels)

    def rows(self, which):
        """Return what is said about some of the records, an index of any kind."""
        groups = None if self.groups is None else self.groups[which]
        return replace(
            self, member=self.member[which], score=self.score[which], inferred=self.inferred[which], groups=groups
        )

    @property
    def judged(self):
        """The records that have a score (ndarray of bool)."""
        return ~np.isnan(self.score)

    @property
    def precision(self):
        """Share of the records inferred as members that are members (Estimate)."""
        return metrics.precision(self.member, self.inferred)

    @property
    def recall(self):
        """Share of the members that are inferred as members (Estimate)."""
        return metrics.recall(self.member, self.inferred)

    @property
    def accuracy(self):
        """Share of the records whose membership is inferred correctly (Estimate)."""
        return metrics.accuracy(self.member, self.inferred)

    @property
    def auc(self):
        """Area under the ROC curve over the records that are judged (Estimate)."""
        return metrics.roc_auc(*self.ranked)

    @property
    def ranked(self):
        """Membership and finite scores of the records that are judged, of which a ROC curve is drawn."""
        return self.member[self.judged], finite(self.score[self.judged])

    def tpr_at_fpr(self, fpr):
        """Return the largest recall with at most this false positive rate, over the records that are judged."""
        return metrics.tpr_at_fpr(*self.ranked, fpr)

    def per_class(self, statistic, n_classes):
        """Return a statistic of `mialib.metrics` for each true class, ndarray of float64, shape (n_classes,)."""
        return metrics.per_class(statistic, self.groups, self.member, self.inferred, n_classes)

    def numbers(self):
        """Return precision, recall, accuracy, AUC and recall at few false positives by name, each an `Estimate`."""
        return {
            "precision": self.precision,
            "recall": self.recall,
            "accuracy": self.accuracy,
            "AUC": self.auc,
            "recall at 1 % false positives": self.tpr_at_fpr(0.01),
            "recall at 0.1 % false positives": self.tpr_at_fpr(0.001),
        }


def finite(score):
    """Return scores with the largest numbers instead of infinities."""
    return np.nan_to_num(score, posinf=np.finfo(np.float64).max, neginf=np.finfo(np.float64).min)


class Attack:
    """What attacks share: each learns from shadow models' answers by ``fit``, and infers from a target's."""

    threshold_ = 0.5

    def score(self, labels, vectors):
        """Return the score of each record, ndarray of float64, shape (n,); see `Inference`."""
        return self.predict_proba(labels, vectors)

    def infer(self, answers):
        """Return what the attack says about the records of `Answers`, an `Inference`."""
        return Inference.above(self.threshold_, answers, self.score(answers.labels, answers.vectors))
