"""The attack: from shadow models' prediction vectors to a membership probability (§V-D, §VI-E)."""

import warnings
from dataclasses import dataclass

import numpy as np
import torch

from mialib.models import NN, ReLU
from mialib.seeding import children
from mialib.training import Recipe, Steps, fit_blocks

ATTACK_RECIPE = Recipe(NN((64,), ReLU()), Steps(600), learning_rate=5e-3)
"""The paper's attack model: 64 ReLU units and softmax (§VI-E); how long and fast it learns is ours."""

POOLED_RECIPE = Recipe(NN((64,), ReLU()), Steps(6000))
"""One attack model for all classes, ten times as long in training as one class's."""

BLOCK = 10
"""Attack models that train as one stack: they are small."""


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
    stack : Stack, or what a platform of `mialib.platforms` trained
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


class ClassAttack:
    """One attack model for each true class, all trained together (§V-D).

    Parameters
    ----------
    recipe : Recipe
        `Steps` rather than `Epochs`, since classes differ in size.
    seed : int or SeedSequence

    Attributes
    ----------
    stack_ : DenseStack
        The attack models, one for each entry of `classes_`.
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
        blocks = fit_blocks(
            self.recipe,
            shadows.vectors,
            shadows.member.astype(np.int64),
            2,
            [rows[c] for c in self.classes_],
            [seeds[c] for c in self.classes_],
            BLOCK,
            n_jobs,
        )
        parameters = np.concatenate([parameters for _, parameters in sorted(blocks, key=lambda block: block[0][0])])
        stack = self.recipe.architecture.stack(0, (n_classes,), 2)
        self.stack_ = stack.with_parameters(torch.from_numpy(parameters))
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
        labels = np.asarray(labels)
        probability = np.full(len(labels), np.nan)
        for model, c in enumerate(self.classes_):
            rows = np.flatnonzero(labels == c)
            probability[rows] = self.stack_.models(slice(model, model + 1)).predict_proba(vectors[rows])[0, :, 1]
        return probability


class PooledAttack:
    """One attack model for all classes, which sees the true class beside the prediction vector.

    What the paper does not do: its attack models are one a class (§V-D). It needs no shadow
    records of every class, and does not grow with their number as fast.

    Parameters
    ----------
    recipe : Recipe
    seed : int or SeedSequence

    Attributes
    ----------
    stack_ : DenseStack
        Of one attack model.
    """

    def __init__(self, recipe=POOLED_RECIPE, seed=0):
        self.recipe, self.seed = recipe, seed

    def fit(self, shadows, n_jobs=-1):
        """Train the attack model; see `ClassAttack.fit`."""
        x = _with_class(shadows.labels, shadows.vectors)
        member, rows = shadows.member.astype(np.int64), [np.arange(len(x))]
        ((_, parameters),) = fit_blocks(self.recipe, x, member, 2, rows, children(self.seed, 1), 1, n_jobs)
        stack = self.recipe.architecture.stack(0, x.shape[1:], 2)
        self.stack_ = stack.with_parameters(torch.from_numpy(parameters))
        return self

    @property
    def n_parameters(self):
        """Numbers that the attack model holds (int)."""
        return self.stack_.n_parameters

    def predict_proba(self, labels, vectors):
        """Return the membership probability of records; see `ClassAttack.predict_proba`."""
        return self.stack_.predict_proba(_with_class(labels, vectors))[0, :, 1].astype(np.float64)


def _with_class(labels, vectors):
    n_classes = vectors.shape[1]
    return np.concatenate([vectors, np.eye(n_classes, dtype=np.float32)[labels]], axis=1)
