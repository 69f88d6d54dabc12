"""How the shadow models of an audit are trained: as the audited model was, as far as that is known."""

from dataclasses import dataclass

import joblib
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone

from mialib.batches import as_features
from mialib.experiment import train_models
from mialib.provenance import Provenance
from mialib.records import Dataset, array_sha256
from mialib.training import Recipe


@dataclass(frozen=True, eq=False)
class Refit:
    """Train copies of an estimator of scikit-learn, with its settings and without what it has learned.

    Parameters
    ----------
    estimator : estimator with ``fit`` and ``predict_proba``
    """

    estimator: BaseEstimator

    def fit(self, x, y, seed):
        """Return a fitted copy."""
        state = int(np.random.default_rng(seed).integers(2**31))
        names = [name for name in self.estimator.get_params() if name.split("__")[-1] == "random_state"]
        return clone(self.estimator).set_params(**dict.fromkeys(names, state)).fit(x, y)

    def answers(self, x, y, n_classes, in_, asked, seeds):
        """Train a model for each row of `in_`, and ask it.

        Parameters
        ----------
        x : DataFrame or ndarray
            Records.
        y : ndarray of int64
            Their classes, 0 to ``n_classes - 1``.
        n_classes : int
        in_, asked : ndarray of int, shape (k, n) and (k, m)
            The records that each model is trained on, and asked about.
        seeds : sequence of k SeedSequence

        Returns
        -------
        ndarray of float32, shape (k, m, n_classes)
            A class without training records has probability 0.
        """
        jobs = (
            joblib.delayed(self._fit_and_ask)(_rows(x, i), y[i], n_classes, _rows(x, a), s)
            for i, a, s in zip(in_, asked, seeds, strict=True)
        )
        return np.stack(joblib.Parallel(-1)(jobs))

    def _fit_and_ask(self, x, y, n_classes, asked, seed):
        fitted = self.fit(x, y, seed)
        vectors = np.zeros((len(asked), n_classes), np.float32)
        vectors[:, fitted.classes_] = fitted.predict_proba(asked)
        return vectors

    def __str__(self):
        return f"copies of the model's own kind, {type(_last(self.estimator)).__name__}, with its settings"


@dataclass(frozen=True)
class Networks:
    """Train networks of this package.

    Parameters
    ----------
    recipe : Recipe
    known : bool
        Whether the audited model is known to be such a network.
    """

    recipe: Recipe
    known: bool = False

    def answers(self, x, y, n_classes, in_, asked, seeds):
        """Train a model for each row of `in_`, and ask it; see `Refit.answers`."""
        x = as_features(numeric(x))
        data = Dataset(x, y, n_classes, Provenance("audited", "sample", "the user's", "the user's", array_sha256(x)))
        return train_models(self.recipe, data, in_, seeds).predict_proba(x, asked)

    def __str__(self):
        return f"networks with hidden layers of {self.recipe.architecture.hidden}, {self.recipe.length}"


def numeric(x):
    """Return records as an array of numbers.

    Raises
    ------
    ValueError
        If a column is text.
    """
    if not isinstance(x, pd.DataFrame):
        return np.asarray(x)
    text = [str(name) for name in x.columns if not pd.api.types.is_numeric_dtype(x[name])]
    if text:
        raise ValueError(f"column {text[0]!r} is text; this kind of model takes numbers only: encode it first")
    return x.to_numpy(np.float32)


def _rows(x, rows):
    return x.iloc[rows] if isinstance(x, pd.DataFrame) else x[rows]


def _last(estimator):
    return estimator[-1] if hasattr(estimator, "steps") else estimator
