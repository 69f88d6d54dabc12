"""The attacks of an audit, each with bounds that hold whatever it learned from."""

import time
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import numpy as np
import pandas as pd

from mialib import metrics
from mialib.attack import lira, rmia
from mialib.attack.answers import Answers, Inference
from mialib.attack.quantiles import QuantileAttack
from mialib.attack.shadow import LearnedAttack, halves, infer_from_own
from mialib.attack.thresholds import (
    ClassThresholdAttack,
    GapAttack,
    best_threshold,
    confidence,
    negative_loss,
)
from mialib.auditing.shadows import HALVES
from mialib.base.seeding import child

GAP, HALF = "gap attack", "attack learned from half of the records"
WITHOUT_SHADOWS = (GAP, "confidence", "loss", "modified entropy", HALF, "quantile regression")
BY_SHADOWS = {HALVES: ("shadow attack, in and out", "LiRA, online", "RMIA, online")}
BY_POOL = ("shadow attack", "LiRA, offline", "RMIA, offline")
ATTACKS = (*WITHOUT_SHADOWS, *BY_SHADOWS[HALVES], *BY_POOL)
"""All that an audit may try; each has its share of the error whether it is tried or not, so that one attack more never
weakens what another has found."""

LEAST_CLIP = 0.01
"""Probabilities of 0 and 1 count as at most this far from them, for LiRA (Carlini et al.'s ratio needs finite odds)."""


@dataclass(frozen=True, eq=False)
class Said:
    """What one attack says, and how far its numbers can be trusted.

    Parameters
    ----------
    inference : Inference
    half : ndarray of int, shape (n,), optional
        The two halves of the records, where the scores of one were learned from membership in the other.
    decided : ndarray of int, shape (n,), optional
        The same, where the threshold was.
    per_seed : list of Inference
        What the attack says by the shadow models of each seed alone.
    seconds : float
        That it took, besides the training of shadow models.
    """

    inference: Inference
    half: np.ndarray | None = None
    decided: np.ndarray | None = None
    per_seed: list = field(default_factory=list)
    seconds: float = 0.0

    def accuracy(self, level=metrics.LEVEL):
        """Return the balanced accuracy (Estimate)."""
        return _over(self.decided, self.inference, lambda of: metrics.balanced_accuracy(of.member, of.inferred, level))

    def auc(self, level=metrics.LEVEL):
        """Return the area under the ROC curve over the records that are judged (Estimate)."""
        return _over(self.half, self.inference, lambda of: metrics.roc_auc_widest(*of.ranked, level))

    def tpr(self, fpr, level=metrics.LEVEL):
        """Return the recall at a false positive rate (Estimate); NaN where there are too few non-members for it."""
        return _over(self.half, self.inference, lambda of: metrics.tpr_of_few(*of.ranked, fpr, level))

    def rows(self, which):
        """Return what it says about some of the records."""
        of_half, of_decided = (None if each is None else each[which] for each in (self.half, self.decided))
        return Said(self.inference.rows(which), of_half, of_decided)

    def by_person(self, persons):
        """Return what it says about persons: the mean score of each one's records, and what most of these say."""
        _, first, back = np.unique(persons, return_index=True, return_inverse=True)
        one = [None if each is None else each[first] for each in (self.half, self.decided)]
        per_seed = [_by_person(of, first, back) for of in self.per_seed]
        return Said(_by_person(self.inference, first, back), *one, per_seed, self.seconds)

    def between_seeds(self):
        """Return balanced accuracy and AUC between seeds, with Student's interval, or None where there is one seed."""
        if len(self.per_seed) < 2:
            return None
        accuracies = [metrics.balanced_accuracy(of.member, of.inferred) for of in self.per_seed]
        return {"accuracy": metrics.mean(accuracies), "AUC": metrics.mean([of.auc for of in self.per_seed])}


def _by_person(inference, first, back):
    """Return an inference about persons, whose records are `back`, and of each the `first`."""
    judged = inference.judged
    n = np.maximum(np.bincount(back, judged), 1)
    score = np.bincount(back, np.where(judged, inference.score, 0)) / n
    score[np.bincount(back, judged) == 0] = np.nan
    return Inference(inference.member[first], score, np.bincount(back, inference.inferred) / n > 0.5)


def halves_of(target, persons, seed):
    """Return `halves` of a target's answers; where persons are given, all records of one are in the same half."""
    if persons is None:
        return halves(target, seed)
    _, first, back = np.unique(persons, return_index=True, return_inverse=True)
    return halves(target.rows(first), seed)[back]


def _over(half, inference, statistic):
    """Return a statistic of all records, or the mean of its halves: of values, and of both ends.

    What is learned from one half and tried on the other, and the other way round, succeeds twice or fails twice. The
    mean of ends holds however much the two have in common.
    """
    if half is None:
        return statistic(inference)
    both = [statistic(inference.rows(half == of)) for of in (0, 1)]
    value, low, high = (float(np.mean(ends)) for ends in zip(*((e, e.low, e.high) for e in both), strict=True))
    return metrics.Estimate(value, low, high)


@dataclass(frozen=True, eq=False)
class Case:
    """What the attacks have to go by.

    Parameters
    ----------
    target : Answers
        The audited model's, about members and non-members.
    half : ndarray of int, shape (n,)
        `mialib.attack.shadow.halves` of them.
    shadows : sequence of Shadows
    features : ndarray of float, shape (n, f), optional
        Of the records, as numbers.
    seed : int or SeedSequence
    """

    target: Answers
    half: np.ndarray
    shadows: tuple = ()
    features: np.ndarray | None = None
    seed: int = 0

    @cached_property
    def least(self):
        """Where odds are clipped: half of the smallest doubt that any model shows, or `LEAST_CLIP`."""
        asked = [self.target.vectors, *(of.vectors for of in self.shadows if of.vectors is not None)]
        return min([LEAST_CLIP, *(_smallest(vectors) / 2 for vectors in asked)])

    def odds(self, vectors):
        """Return the clipped log odds of the true class, shape (n,) or (k, n)."""
        if vectors.ndim == 3:
            return np.stack([self.odds(of_model) for of_model in vectors])
        return lira.clipped(lira.logit_confidence(self.target.labels, vectors), self.least)

    def run(self, names=None):
        """Return what each attack says that can be tried, or those of some names, a dict of str to `Said`."""
        attacks, said = self._without_shadows() | self._with_shadows(), {}
        for name in (name for name in attacks if names is None or name in names):
            started = time.perf_counter()
            if found := attacks[name]():
                said[name] = replace(found, seconds=time.perf_counter() - started)
        return said

    def _without_shadows(self):
        attacks = {
            GAP: lambda: Said(GapAttack().infer(self.target)),
            "confidence": lambda: self._threshold(confidence(self.target.labels, self.target.vectors)),
            "loss": lambda: self._threshold(negative_loss(self.target.labels, self.target.vectors)),
            "modified entropy": lambda: self._learned(ClassThresholdAttack()),
            HALF: lambda: self._learned(LearnedAttack(child(self.seed, 0))),
        }
        if self.features is not None:
            attacks["quantile regression"] = self._quantiles
        return attacks

    def _with_shadows(self):
        attacks = {}
        for of in self.shadows:
            names_of = BY_SHADOWS.get(of.source, BY_POOL)[: 1 if of.vectors is None else 3]
            attacks |= {name: partial(self._by_shadows, of, i) for i, name in enumerate(names_of)}
        return attacks

    def _threshold(self, score, per_seed=()):
        """Return an attack by a score that knows nothing of membership; only the threshold is learned from a half.

        None where a half has no score of a member, or of a non-member.
        """
        labels, member = self.target.labels, self.target.member
        judged = ~np.isnan(score)
        if len(np.unique(2 * self.half[judged] + member[judged])) < 4:
            return None
        inferred = np.zeros(len(member), bool)
        for of in (0, 1):
            threshold = best_threshold(member[self.half != of], score[self.half != of])
            inferred[self.half == of] = score[self.half == of] > threshold
        each = [said.inference for of_seed in per_seed if (said := self._threshold(of_seed))]
        return Said(Inference(member, score, inferred, labels), None, self.half, each)

    def _learned(self, attack):
        return Said(infer_from_own(attack, self.target, self.half), self.half, self.half)

    def _quantiles(self):
        """Return the attack by quantile regression, learned from the non-members of the other half.

        So is its threshold, from that half's own scores: those that the first half taught would bring its membership
        back to it.
        """
        odds, member = self.odds(self.target.vectors), self.target.member
        score, inferred = np.empty(len(member)), np.zeros(len(member), bool)
        for of in (0, 1):
            learn, judge = self.half != of, self.half == of
            attack = QuantileAttack(int(np.random.default_rng(child(self.seed, 1)).integers(2**31)))
            attack.fit(self.features[learn & ~member], odds[learn & ~member])
            threshold = best_threshold(member[learn], attack.score(self.features[learn], odds[learn]))
            score[judge] = attack.score(self.features[judge], odds[judge])
            inferred[judge] = score[judge] > threshold
        return Said(Inference(member, score, inferred, self.target.labels), self.half, self.half)

    def _by_shadows(self, shadows, i):
        """Return attack `i` of a source: the paper's, LiRA, RMIA."""
        if i == 0:
            learned = [LearnedAttack(child(self.seed, 2)).fit(answers) for answers in shadows.learned]
            found = [attack.infer(self.target) for attack in learned]
            score = np.mean([of.score for of in found], axis=0)
            mean = Inference.above(0.5, self.target, score)
            return Said(mean, per_seed=found if len(found) > 1 else [])
        scored = self._lira if i == 1 else self._rmia
        repetitions = [shadows.repetition == r for r in np.unique(shadows.repetition)]
        each = [scored(shadows, of) for of in repetitions] if len(repetitions) > 1 else []
        return self._threshold(scored(shadows, slice(None)), each)

    def _lira(self, shadows, which):
        of, in_ = self.odds(shadows.vectors[which]), shadows.in_[which]
        score, variance = (lira.online_score if in_.any() else lira.offline_score), lira.variance_for(len(in_))
        return score(self.odds(self.target.vectors), of, in_, variance)

    def _rmia(self, shadows, which):
        labels = self.target.labels
        observed = metrics.true_class_probability(labels, self.target.vectors)
        of = np.stack([metrics.true_class_probability(labels, each) for each in shadows.vectors[which]])
        return rmia.score(observed, of, shadows.in_[which])


def _smallest(vectors):
    """Return the smallest difference of a probability from 0 or 1 that is not 0; 1 where there is none."""
    flat = vectors.reshape(-1)
    away = np.minimum(flat, 1 - flat)
    return float(away[away > 0].min(initial=1.0))


def as_columns(x):
    """Return records as numbers, float64 of shape (n, f): text by number, dates by time, what is missing as 0."""
    x = pd.DataFrame(x) if isinstance(x, np.ndarray) and x.dtype.kind in "OUT" else x
    if isinstance(x, pd.DataFrame):
        x = x.apply(_numbered).to_numpy(np.float64)
    return np.nan_to_num(np.asarray(x, np.float64).reshape(len(x), -1))


def _numbered(column):
    if pd.api.types.is_datetime64_any_dtype(column):
        return column.astype(np.int64)
    return column if pd.api.types.is_numeric_dtype(column) else pd.factorize(column)[0]
