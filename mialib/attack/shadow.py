"""The paper's attack: from shadow models' prediction vectors to a membership probability (§V-D, §VI-E)."""

import warnings
from dataclasses import dataclass

import numpy as np
import torch

from mialib.attack.answers import Attack, Inference
from mialib.base.seeding import child, children
from mialib.models.stack import NN, ReLU
from mialib.models.training import Recipe, fit_blocks

ATTACK_RECIPE = Recipe(NN((64,), ReLU()), steps=600, learning_rate=5e-3)
"""The paper's attack model: 64 ReLU units and softmax (§VI-E); how long and fast it learns is ours."""

POOLED_RECIPE = Recipe(NN((64,), ReLU()), steps=6000)
"""One attack model for all classes, ten times as long in training as one class's."""

BLOCK = 50
"""Attack models that train as one stack: they are small."""

ENOUGH = 10
"""Answers about members, and about non-members, from which a class has an attack model of its own."""


@dataclass(frozen=True)
class Stretch:
    """What prediction vectors go through on their way into an attack model, as the shadows' are distributed.

    A filter such as a high temperature leaves differences of a thousandth, from which no network learns in the time
    that it has. Vectors whose inputs all span less than 1 are stretched until the widest does; others stay.

    Parameters
    ----------
    lowest : ndarray of float32, shape (classes,)
    factor : float
    """

    lowest: np.ndarray
    factor: float

    @classmethod
    def of(cls, vectors):
        """Return what brings shadows' vectors, shape (n, classes), to a span of 1; the same in all inputs."""
        lowest = vectors.min(axis=0)
        span = float((vectors.max(axis=0) - lowest).max())
        return cls(lowest, 1 / span) if 0 < span < 1 else cls(np.zeros_like(lowest), 1.0)

    def __call__(self, vectors):
        """Return stretched vectors, float32, shape (n, classes)."""
        return ((vectors - self.lowest) * self.factor).astype(np.float32)


class ClassAttack(Attack):
    """One attack model for each true class, all trained together (§V-D).

    Parameters
    ----------
    recipe : Recipe
        Of ``steps`` rather than ``epochs``, since classes differ in size.
    seed : int or SeedSequence

    Attributes
    ----------
    stack_ : DenseStack
        The attack models, one for each entry of `classes_`.
    stretch_ : Stretch
        How their inputs are scaled.
    classes_ : ndarray of int
        True classes that have an attack model.
    missing_ : ndarray of int
        Classes without one, for want of shadow records in or out.
    """

    def __init__(self, recipe=ATTACK_RECIPE, seed=0):
        self.recipe, self.seed = recipe, seed

    def fit(self, shadows, n_jobs=-1):
        """Train the attack models.

        Parameters
        ----------
        shadows : Answers
        n_jobs : int
            Blocks of attack models trained at the same time, as for joblib.

        Returns
        -------
        self

        Warns
        -----
        UserWarning
            If a class has shadow records of one kind only, or none; `predict_proba` is NaN there.

        Raises
        ------
        ValueError
            If there is no class with both.
        """
        n_classes = shadows.vectors.shape[1]
        rows = [np.flatnonzero(shadows.labels == c) for c in range(n_classes)]
        both = np.array([len(np.unique(shadows.member[r])) == 2 for r in rows])
        self.classes_, self.missing_ = np.flatnonzero(both), np.flatnonzero(~both)
        if not len(self.classes_):
            raise ValueError("no class has shadow records both in and out; an attack model needs both")
        if len(self.missing_):
            warnings.warn(
                f"classes {', '.join(map(str, self.missing_))} have no shadow records in, or none out; "
                "membership is not inferred there",
                stacklevel=2,
            )
        seeds = children(self.seed, n_classes)
        of_class = ([each[c] for c in self.classes_] for each in (rows, seeds))
        self.stretch_ = Stretch.of(shadows.vectors)
        self.stack_ = _fit_models(self.recipe, self.stretch_(shadows.vectors), shadows.member, *of_class, n_jobs)
        return self

    @property
    def n_parameters(self):
        """Numbers that the attack models hold together (int)."""
        return self.stack_.n_models * self.stack_.n_parameters

    def predict_proba(self, labels, vectors):
        """Return the membership probability of records.

        Parameters
        ----------
        labels : ndarray of int, shape (n,)
            True classes.
        vectors : ndarray of float32, shape (n, classes)
            The target's prediction vectors.

        Returns
        -------
        ndarray of float64, shape (n,)
            NaN for a record whose class is in `missing_`.
        """
        labels, seen = np.asarray(labels), self.stretch_(vectors)
        probability = np.full(len(labels), np.nan)
        for model, c in enumerate(self.classes_):
            rows = np.flatnonzero(labels == c)
            probability[rows] = self.stack_.models(slice(model, model + 1)).predict_proba(seen[rows])[0, :, 1]
        return probability


class PooledAttack(Attack):
    """One attack model for all classes, which sees the true class next to the prediction vector.

    The paper does not do this: its attack models are one per class (§V-D). It does not need shadow records of every
    class, and grows more slowly with their number.

    Parameters
    ----------
    recipe : Recipe
    seed : int or SeedSequence
    """

    def __init__(self, recipe=POOLED_RECIPE, seed=0):
        self.recipe, self.seed = recipe, seed

    def fit(self, shadows, n_jobs=-1):
        """Train the attack model on shadow models' `Answers`; return self."""
        self.stretch_ = Stretch.of(shadows.vectors)
        x = _with_class(shadows.labels, self.stretch_(shadows.vectors))
        self.stack_ = _fit_models(self.recipe, x, shadows.member, [np.arange(len(x))], children(self.seed, 1), n_jobs)
        return self

    @property
    def n_parameters(self):
        """Numbers that the attack model holds (int)."""
        return self.stack_.n_parameters

    def predict_proba(self, labels, vectors):
        """Return the membership probability of records, as `ClassAttack.predict_proba`."""
        return self.stack_.predict_proba(_with_class(labels, self.stretch_(vectors)))[0, :, 1].astype(np.float64)


def _fit_models(recipe, x, member, index, seeds, n_jobs):
    blocks = fit_blocks(recipe, x, member.astype(np.int64), 2, index, seeds, BLOCK, n_jobs)
    parameters = np.concatenate([rows for _, rows in sorted(blocks, key=lambda block: block[0][0])])
    return recipe.architecture.stack(0, x.shape[1:], 2).with_parameters(torch.from_numpy(parameters))


def _with_class(labels, vectors):
    n_classes = vectors.shape[1]
    return np.concatenate([vectors, np.eye(n_classes, dtype=np.float32)[labels]], axis=1)


class LearnedAttack(Attack):
    """The paper's attack models, one per class, or one for all where a class has too few answers; from a seed."""

    def __init__(self, seed):
        self.seed = seed

    def fit(self, shadows):
        """Learn from `Answers`, of which as many in as out are taken; return self."""
        sides = [np.flatnonzero(shadows.member == side) for side in (True, False)]
        rng, few = np.random.default_rng(child(self.seed, 0)), min(map(len, sides))
        shadows = shadows.rows(np.concatenate([rng.permutation(side)[:few] for side in sides]))
        counts = [
            np.count_nonzero(shadows.member[shadows.labels == c] == side)
            for c in np.unique(shadows.labels)
            for side in (True, False)
        ]
        own = min(counts) >= ENOUGH and len(counts) == 2 * shadows.vectors.shape[1]
        kind = ClassAttack if own else PooledAttack
        self.attack_ = kind(ATTACK_RECIPE, child(self.seed, 1)).fit(shadows)
        return self

    def predict_proba(self, labels, vectors):
        """Return the membership probability of records, as `ClassAttack.predict_proba`."""
        return self.attack_.predict_proba(labels, vectors)


def halves(answers, seed):
    """Return 0 or 1 for each record of `Answers`: two random halves with as many of each class, in and out, in each."""
    half = np.empty(len(answers.member), np.int64)
    order = np.random.default_rng(seed).permutation(len(half))
    order = order[np.lexsort((answers.labels[order], answers.member[order]))]
    for side in (True, False):
        of_side = order[answers.member[order] == side]
        half[of_side] = np.arange(len(of_side)) % 2
    return half


def infer_from_own(attack, target, half):
    """Return what an attack without shadow models says about a target's records, an `Inference`.

    It learns from one of the `halves` of the target's own `Answers` and is tried on the other, and the other way round.
    """
    score, inferred = np.empty(len(half)), np.empty(len(half), bool)
    for of in (0, 1):
        found = attack.fit(target.rows(half != of)).infer(target.rows(half == of))
        score[half == of], inferred[half == of] = found.score, found.inferred
    return Inference(target.member, score, inferred, target.labels)
