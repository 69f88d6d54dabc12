"""Any classifier of scikit-learn as a platform that trains models and answers queries."""

import hashlib
import inspect
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import joblib
import numpy as np
from sklearn.base import BaseEstimator, clone

from mialib.base.machine import progress
from mialib.datasets.dataset import array_sha256
from mialib.datasets.features import scaled
from mialib.models.cache import ModelCache, model_keys


def seeded(estimator, seed):
    """Return a copy of an estimator, not fitted, whose every ``random_state``, in pipelines too, is set from a seed."""
    state = int(np.random.default_rng(seed).integers(2**31))
    fresh = clone(estimator)
    names = [name for name in fresh.get_params() if name.split("__")[-1] == "random_state"]
    return fresh.set_params(**dict.fromkeys(names, state))


@dataclass(frozen=True, eq=False)
class Classifier:
    """A platform that trains any classifier of scikit-learn, or of a package that follows it.

    Parameters
    ----------
    classifier : estimator with ``fit`` and ``predict_proba``
        Not fitted; its ``random_state`` is set for each model.

    Raises
    ------
    TypeError
        If it is no classifier that gives prediction vectors.
    """

    classifier: BaseEstimator

    def __post_init__(self):
        if not hasattr(self.classifier, "predict_proba"):
            raise TypeError(
                f"{self.classifier!r} has no predict_proba; a platform needs a classifier that gives prediction vectors"
            )

    def train(self, data, index, seeds, cache=None, n_jobs=-1):
        """Return M models, each fitted when it is first asked; the arguments are those of `Recipe.train`.

        What is kept in the cache is not a fitted classifier (a forest of many classes is large)
        but its answers, under a key that holds the questions too.
        """
        return LazyModels(self.classifier, data, np.asarray(index), list(seeds), cache or ModelCache(), n_jobs)


@dataclass(frozen=True)
class _Asked:
    """What decides an answer, besides training records and seed."""

    classifier: str
    package: str
    records: str
    rows: str


class LazyModels:
    """M classifiers of one kind, each on its row of `index`, shape (M, n), and fitted when it is first asked."""

    def __init__(self, classifier, data, index, seeds, cache, n_jobs):
        self._classifier, self._data, self._index, self._seeds = classifier, data, index, seeds
        self._cache, self._n_jobs, self._fitted = cache, n_jobs, None

    def models(self, which):
        """Return some of the models, a slice."""
        return LazyModels(
            self._classifier, self._data, self._index[which], self._seeds[which], self._cache, self._n_jobs
        )

    def predict_proba(self, x, index=None):
        """Return every model's prediction vectors, as `Models.predict_proba`.

        A model that stands alone is kept after its first answer, since a target may be asked
        often; of more models each is fitted, asked and dropped.
        """
        rows = [slice(None)] * len(self._index) if index is None else list(index)
        keys = self._keys(x, index)
        vectors = [self._cache.get(key) for key in keys]
        missing = [m for m, found in enumerate(vectors) if found is None]
        if len(self._index) == 1 and missing:
            if self._fitted is None:
                self._fitted = _fit(*self._training(0))
            answers = [_answer(self._fitted, scaled(x[rows[0]]), self._data.n_classes)]
        else:
            jobs = (
                joblib.delayed(_fit_and_answer)(*self._training(m), scaled(x[rows[m]]), self._data.n_classes)
                for m in missing
            )
            answers = joblib.Parallel(self._n_jobs, return_as="generator")(jobs)
        for m, answer in zip(missing, progress("training", "model", answers, len(missing)), strict=True):
            self._cache.put(keys[m], answer)
            vectors[m] = answer
        return np.stack(vectors)

    def _training(self, m):
        rows = self._index[m]
        return seeded(self._classifier, self._seeds[m]), scaled(self._data.x[rows]), self._data.y[rows]

    def _keys(self, x, index):
        kind, package = type(self._classifier), _package(self._classifier)
        settings = joblib.hash(self._classifier.get_params(deep=False))
        records = self._data.fingerprint if x is self._data.x else array_sha256(x)
        questions = ["all"] * len(self._index) if index is None else [array_sha256(row) for row in index]
        keys = []
        for trained_on, seed, rows in zip(self._index, self._seeds, questions, strict=True):
            asked = _Asked(f"{kind.__module__}.{kind.__qualname__} {settings}", package, records, rows)
            keys += model_keys(asked, self._data.fingerprint, [trained_on], [seed])
        return keys


def _fit(classifier, x, y):
    return classifier.fit(x, y)


def _answer(fitted, x, n_classes):
    """Return prediction vectors; a class without training records has probability 0."""
    vectors = np.zeros((len(x), n_classes), np.float32)
    vectors[:, fitted.classes_] = fitted.predict_proba(x)
    return vectors


def _fit_and_answer(classifier, x, y, asked, n_classes):
    return _answer(_fit(classifier, x, y), asked, n_classes)


def _package(classifier):
    module = type(classifier).__module__.split(".")[0]
    name = {"sklearn": "scikit-learn"}.get(module, module)
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return f"{name} {hashlib.sha256(inspect.getsource(type(classifier)).encode()).hexdigest()}"
