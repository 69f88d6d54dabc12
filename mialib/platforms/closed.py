"""Where models are trained (§VI-C): a platform takes records, answers queries, and shows nothing else.

A `mialib.models.training.Recipe`, the paper's local network, stands wherever a platform can. The paper's
services, Amazon ML and the Google Prediction API, are closed: here are stand-ins for them (`GOOGLE`
says how the latter's is chosen), and `Classifier`, which makes a platform of any classifier of scikit-learn. A model
that answers over HTTP is `mialib.service.client.Remote`: it can be asked, but trains nothing.
"""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

from mialib.base.validate import check_integer
from mialib.datasets.dataset import Dataset
from mialib.datasets.features import PackedRecords, is_binary, scaled
from mialib.models.stack import NN
from mialib.models.training import SGD, Recipe
from mialib.platforms.estimators import Classifier


class Models(Protocol):
    """M trained models: all that a platform lets a client have."""

    def predict_proba(self, x, index=None):
        """Return prediction vectors, ndarray of float32, shape (M, k or n, classes), about `x`, shape (n, ...).

        `index`, shape (M, k), has the rows of `x` that each model is asked for; by default all models are asked for
        all.
        """

    def models(self, which):
        """Return some of the models, a slice."""


class Platform(Protocol):
    """A service that trains models, as `Recipe.train` does."""

    def train(self, data, index, seeds, cache=None, n_jobs=-1):
        """Return M `Models`, trained on rows of `data`: `index`, shape (M, n)."""


@dataclass(frozen=True)
class AmazonLike:
    """A stand-in for Amazon ML: softmax regression by stochastic gradient descent (§VI-C).

    Amazon's guide names the algorithm, multinomial logistic regression by SGD, and the settings
    that a client has: passes and regularisation. The rest is assumed:

    - the learning rate, "auto-selected based on your data", is one divided by the mean squared
      length of the data's records, and constant;
    - an update takes 10 records, where Amazon's takes one;
    - features that are not binary become one of 10 bins, cut at quantiles of the model's own
      training records (Amazon's suggested recipe bins as well; how finely, it does not say).

    Models of binary records train as one stack, others one by one, since each has its own bins.

    Parameters
    ----------
    max_passes : int
        Passes over the training records; all of them are made.
    l2 : float
        Weight λ of the penalty λ/2 · Σθ².
    """

    max_passes: int = 10
    l2: float = 1e-6

    def __post_init__(self):
        check_integer("max_passes", self.max_passes, 1)
        SGD(self.l2)

    def recipe(self, x):
        """Return how models of binary records are trained."""
        n_ones = x.n_ones if isinstance(x, PackedRecords) else np.count_nonzero(x)
        return Recipe(
            NN(()), self.max_passes, batch_size=10, learning_rate=len(x) / n_ones, decay=0, optimiser=SGD(self.l2)
        )

    def train(self, data, index, seeds, cache=None, n_jobs=-1):
        """Return M models; the arguments are those of `Recipe.train`."""
        if is_binary(data.x):
            return self.recipe(data.x).train(data, index, seeds, cache, n_jobs)
        return _Each([self._binned(data, *one, cache, n_jobs) for one in zip(index, seeds, strict=True)])

    def _binned(self, data, rows, seed, cache, n_jobs):
        bins = QuantileBins.from_records(scaled(data.x[rows]))
        binned = Dataset(bins(data.x[rows]), data.y[rows], data.n_classes, data.provenance)
        all_rows = np.arange(len(rows))[None]
        return _Binned(bins, self.recipe(binned.x).train(binned, all_rows, [seed], cache, n_jobs))


AMAZON_DEFAULT = AmazonLike(10, 1e-6)
AMAZON_LONG = AmazonLike(100, 1e-4)
"""The paper's two settings of Amazon ML (§VI-C): (10, 1e-6), its default, and (100, 1e-4)."""


@dataclass(frozen=True, eq=False)
class QuantileBins:
    """Makes each feature one-hot: in which bin, between quantiles, does it lie.

    `edges` is float32, shape (features, bins - 1), sorted; a value on an edge lies above it.
    """

    edges: np.ndarray

    @classmethod
    def from_records(cls, x, n_bins=10):
        """Return the bins that cut records into `n_bins` parts of even size, feature by feature."""
        levels = np.arange(1, n_bins) / n_bins
        return cls(np.quantile(x, levels, axis=0, method="inverted_cdf").T.astype(np.float32))

    def __call__(self, x):
        """Return the records' bins, ndarray of uint8, shape (n, features * bins), 0 or 1."""
        x = scaled(x)
        n_bins = self.edges.shape[1] + 1
        of_bin = np.zeros((len(x), len(self.edges), n_bins), np.uint8)
        for i, edges in enumerate(self.edges):
            of_bin[np.arange(len(x)), i, np.searchsorted(edges, x[:, i], side="right")] = 1
        return of_bin.reshape(len(x), -1)


@dataclass(frozen=True, eq=False)
class _Binned:
    """One model whose records are binned before they are asked about."""

    bins: QuantileBins
    stack: object

    def predict_proba(self, x, index=None):
        return self.stack.predict_proba(self.bins(x if index is None else x[index[0]]))


@dataclass(frozen=True, eq=False)
class _Each:
    """Models that are asked one by one."""

    each: list

    def predict_proba(self, x, index=None):
        rows = [None] * len(self.each) if index is None else index[:, None]
        return np.concatenate([model.predict_proba(x, r) for model, r in zip(self.each, rows, strict=True)])

    def models(self, which):
        return _Each(self.each[which])


@dataclass(frozen=True)
class BlackBox:
    """A platform, by its name, of which the attack sees nothing but that it trains models and answers queries."""

    name: str
    _inside: object = field(repr=False)

    def train(self, data, index, seeds, cache=None, n_jobs=-1):
        """Return M models; the arguments are those of `Recipe.train`."""
        return _Queries(self._inside.train(data, index, seeds, cache, n_jobs))


class _Queries:
    """The queries that models answer, and nothing else of them."""

    def __init__(self, models):
        self._models = models

    def predict_proba(self, x, index=None):
        return self._models.predict_proba(x, index)

    def models(self, which):
        return _Queries(self._models.models(which))


def forest(leaf_size=1):
    """Return a random forest that keeps so many records in a leaf, or more: the fewer, the more it memorises."""
    name = f"random forest, leaves of {leaf_size}"
    return BlackBox(name, Classifier(RandomForestClassifier(100, min_samples_leaf=leaf_size)))


GOOGLE_LIKE = {
    "boosted trees": BlackBox(
        "gradient-boosted trees",
        Classifier(
            HistGradientBoostingClassifier(
                max_iter=5, learning_rate=0.3, max_leaf_nodes=8, min_samples_leaf=5, l2_regularization=1.0, max_bins=16
            )
        ),
    ),
    "random forest": forest(),
    "wide network": BlackBox("wide network", Recipe(NN((1024,)), epochs=20)),
}
"""Candidates for Google's Prediction API, which has no settings, and whose family is not known (§VI-C)."""

GOOGLE = "random forest"
"""Which of the candidates stands for Google in every chapter.

At the paper's size, train and test accuracy of its target on 100 classes of purchases lie nearest to those of Table I.
What the attack finds has no say.
"""

SERVICES = {
    "Amazon (10, 1e-6)": AMAZON_DEFAULT,
    "Amazon (100, 1e-4)": AMAZON_LONG,
    "Google stand-in": GOOGLE_LIKE[GOOGLE],
}
"""The paper's services (§VI-C), one stand-in for each of its figures' names."""
