"""An attack that learns from what there is: shadow models' answers, or half of the audited model's own."""

import numpy as np

from mialib.attack import ATTACK_RECIPE, Answers, ClassAttack, PooledAttack
from mialib.baselines import Inference
from mialib.seeding import child, children

ENOUGH = 10
"""Answers about members, and about non-members, from which a class has an attack model of its own."""


class LearnedAttack:
    """The paper's attack models, one a class (§V-D), or one for all where a class has too few answers.

    Parameters
    ----------
    seed : int or SeedSequence
    """

    def __init__(self, seed):
        self.seed = seed

    def fit(self, shadows):
        """Learn from answers of known membership, as many in as out; see `mialib.attack.ClassAttack.fit`."""
        shadows = _as_many(shadows, child(self.seed, 0))
        counts = [
            np.count_nonzero(shadows.member[shadows.labels == c] == side)
            for c in np.unique(shadows.labels)
            for side in (True, False)
        ]
        own = min(counts) >= ENOUGH and len(counts) == 2 * shadows.vectors.shape[1]
        self.attack_ = (
            ClassAttack(seed=child(self.seed, 1)) if own else PooledAttack(ATTACK_RECIPE, child(self.seed, 1))
        )
        self.attack_.fit(shadows)
        return self

    def infer(self, answers):
        """Return what the attack says about records; see `mialib.baselines.ThresholdAttack.infer`."""
        return Inference.above(0.5, answers.member, self.attack_.predict_proba(answers.labels, answers.vectors))


def _as_many(answers, seed):
    rng = np.random.default_rng(seed)
    sides = [np.flatnonzero(answers.member == side) for side in (True, False)]
    rows = np.concatenate([rng.permutation(side)[: min(map(len, sides))] for side in sides])
    return _take(answers, rows)


def _take(answers, rows):
    return Answers(answers.labels[rows], answers.vectors[rows], answers.member[rows])


def inferred_by(attack, target, shadows, seed):
    """Return what an attack says about a target's records.

    Without shadow models it learns from one half of the target's own answers and is tried on the other, and the other
    way round.

    Parameters
    ----------
    attack : LearnedAttack, ThresholdAttack or GapAttack
    target : Answers
    shadows : Answers or None
    seed : int or SeedSequence

    Returns
    -------
    Inference
    """
    if shadows is not None:
        return attack.fit(shadows).infer(target)
    fold = np.empty(len(target.member), int)
    for side, s in zip((True, False), children(seed, 2), strict=True):
        rows = np.flatnonzero(target.member == side)
        fold[np.random.default_rng(s).permutation(rows)] = np.arange(len(rows)) % 2
    score, inferred = np.empty(len(fold)), np.empty(len(fold), bool)
    for half in (0, 1):
        found = attack.fit(_take(target, fold != half)).infer(_take(target, fold == half))
        score[fold == half], inferred[fold == half] = found.score, found.inferred
    return Inference(target.member, score, inferred)
