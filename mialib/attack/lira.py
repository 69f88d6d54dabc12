"""The likelihood ratio attack (Carlini et al. 2022): does the target answer like a model that knows a record.

One shadow model says little about one record; many say how confident models are that were trained on it (in) and that
were not (out). *Online* LiRA needs shadow models of both kinds for each record, which the paper's attacker does not
have; *offline* LiRA makes do with those that do not know it (§V-C).
"""

from dataclasses import dataclass

import numpy as np

from mialib.attack.answers import LEAST

MANY = 64
"""Shadow models from which a record has a variance of its own, as in Carlini et al.'s code."""


def own_variance(squares, freedom):
    """Return a variance for each record from sums of squares about the mean and their degrees of freedom."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(freedom > 0, squares / freedom, np.nan)


def shared_variance(squares, freedom):
    """Return one variance for all records, which few shadow models can tell; as `own_variance`."""
    total = freedom[freedom > 0].sum()
    return np.full(len(squares), squares[freedom > 0].sum() / total if total else np.nan)


def variance_for(n_shadow):
    """Return the choice of variance that a number of shadow models can tell."""
    return own_variance if n_shadow >= MANY else shared_variance


def logit_confidence(labels, vectors):
    """Return log p/(1 - p) of the true class's probability, shape (..., n), which is nearly Gaussian over models."""
    true = np.asarray(labels)[:, None] == np.arange(vectors.shape[-1])
    p = np.asarray(vectors, np.float64)
    right, wrong = np.sum(p * true, axis=-1), np.sum(p * ~true, axis=-1)
    return np.log(np.maximum(right, LEAST)) - np.log(np.maximum(wrong, LEAST))


def clipped(confidence, least):
    """Return `logit_confidence` as if no probability were below `least`, or above one minus it.

    A forest answers 0 and 1 exactly; the log odds of these, however large they are taken, drown all others.
    """
    bound = np.log(1 - least) - np.log(least)
    return np.clip(confidence, -bound, bound)


@dataclass(frozen=True, eq=False)
class Gaussians:
    """A Gaussian for each record: mean and variance of shape (n,), NaN where there is no shadow model to learn from."""

    mean: np.ndarray
    variance: np.ndarray

    @classmethod
    def fit(cls, confidence, used, variance):
        """Fit a Gaussian to each record from the confidence of k shadow models, shape (k, n).

        `used`, of the same shape, says which of them to learn from; `variance` is `own_variance` or `shared_variance`.
        """
        count = used.sum(axis=0)
        with np.errstate(invalid="ignore"):
            mean = np.where(used, confidence, 0).sum(axis=0) / count
        squares = np.where(used, (confidence - mean) ** 2, 0).sum(axis=0)
        found = variance(squares, count - 1)
        return cls(mean, np.where(count > 0, np.maximum(found, LEAST), np.nan))

    def deviation(self, confidence):
        """Return how many standard deviations a confidence lies above the mean."""
        return (confidence - self.mean) / np.sqrt(self.variance)

    def log_density(self, confidence):
        """Return the logarithm of the density."""
        return -(self.deviation(confidence) ** 2 + np.log(2 * np.pi * self.variance)) / 2


def online_score(observed, confidence, in_, variance):
    """Return the logarithm of the likelihood ratio, in against out, ndarray of float64, shape (n,).

    Above 0 a record is likelier in than out; NaN where all its shadow models are of one kind. `observed` is the
    target's `logit_confidence`, shape (n,), `confidence` the k shadow models', shape (k, n); `in_`, of the same shape,
    says which of them were trained on which record; `variance` is `own_variance` or `shared_variance`.
    """
    of_in, of_out = (Gaussians.fit(confidence, used, variance) for used in (in_, ~in_))
    return of_in.log_density(observed) - of_out.log_density(observed)


def offline_score(observed, confidence, in_, variance):
    """Return how far the target's confidence lies above that of shadow models that do not know the record, shape (n,).

    In standard deviations: the normal distribution turns it into one minus the p-value of being out. The arguments are
    those of `online_score`.
    """
    return Gaussians.fit(confidence, ~in_, variance).deviation(observed)
