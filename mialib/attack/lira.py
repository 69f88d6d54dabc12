"""The likelihood ratio attack (Carlini et al. 2022): does the target answer like a model that knows a record.

One shadow model says little about one record; many say how confident models are that were trained on it (in) and that
were not (out). *Online* LiRA needs shadow models of both kinds for each of the target's own records, which the paper's
attacker does not have: `target_halves` draws them, apart from all other shadow sets. *Offline* LiRA asks the paper's
shadow models (§V-C), to which all of the target's records are out.
"""

from dataclasses import dataclass, replace

import numpy as np

from mialib.attack.answers import LEAST, Inference
from mialib.attack.experiment import query_target
from mialib.attack.thresholds import best_threshold
from mialib.base.seeding import children, stream
from mialib.datasets.splits import target_halves

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


def offline_threshold(confidence, in_, variance):
    """Return the threshold that tells shadow models' own members apart best, each held against the others."""
    others = [np.arange(len(in_)) != i for i in range(len(in_))]
    scores = [
        offline_score(own, confidence[rest], in_[rest], variance) for own, rest in zip(confidence, others, strict=True)
    ]
    return best_threshold(in_.ravel(), np.concatenate(scores))


@dataclass(frozen=True, eq=False)
class Evidence:
    """What offline LiRA goes by: what k shadow models say about records that some of them know, and about the target's.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
        True classes of records that some shadow models know.
    vectors : ndarray of float32, shape (k, n, classes)
        Every shadow model's prediction vectors for them.
    in_ : ndarray of bool, shape (k, n)
        Which of them each model was trained on.
    own : ndarray of float32, shape (k, m, classes)
        Their prediction vectors for the target's records, which none was trained on.
    """

    labels: np.ndarray
    vectors: np.ndarray
    in_: np.ndarray
    own: np.ndarray

    def __post_init__(self):
        if len(self.in_) < 3:
            raise ValueError(
                f"offline LiRA has {len(self.in_)} shadow models; it needs at least 3, to hold one against others"
            )

    def behind(self, kind):
        """Return what there is to go by if models answer through an output filter."""
        return replace(self, vectors=kind(self.vectors), own=kind(self.own))

    def infer(self, target, variance=None):
        """Return what offline LiRA says about the records of a target's `Answers`, an `Inference`."""
        variance = variance or variance_for(len(self.in_))
        known, own = _confidences(self.labels, self.vectors), _confidences(target.labels, self.own)
        observed = logit_confidence(target.labels, target.vectors)
        score = offline_score(observed, own, np.zeros(own.shape, bool), variance)
        return Inference.above(offline_threshold(known, self.in_, variance), target, score)


def offline(result, cache=None, variance=None):
    """Attack a result's target by offline LiRA, through the same shadow models, three or more; return an `Inference`.

    They are asked about the target's records, and about each other's.
    """
    n_shadow, data, sets = result.experiment.n_shadow, result.data, result.shadow_sets
    own = np.concatenate([result.split.target_in, result.split.target_out])
    known = np.unique(np.concatenate([sets.in_, sets.out], axis=None))
    shadows = result.models(cache).models(slice(1, None))
    vectors = shadows.predict_proba(data.x, np.tile(np.concatenate([known, own]), (n_shadow, 1)))
    in_ = np.stack([np.isin(known, rows) for rows in sets.in_])
    evidence = Evidence(data.y[known], vectors[:, : len(known)], in_, vectors[:, len(known) :])
    return evidence.infer(result.target, variance)


def online(experiment, data, cache=None, variance=None, n_jobs=-1):
    """Attack an experiment's target by online LiRA; return an `Inference`.

    Its shadow models are trained on halves of the target's own records: an even number, so that each record is in for
    half of them.
    """
    parts = experiment.split(data)
    halves = target_halves(parts, experiment.n_shadow, stream(experiment.seed, "halves"))
    seeds = children(stream(experiment.seed, "online shadows"), experiment.n_shadow)
    shadows = experiment.recipe.train(data, halves.in_, seeds, cache, n_jobs)
    own = np.concatenate([parts.target_in, parts.target_out])
    target = query_target(experiment, data, cache)
    score = online_score(
        logit_confidence(target.labels, target.vectors),
        _confidences(target.labels, shadows.predict_proba(data.x, np.tile(own, (experiment.n_shadow, 1)))),
        np.stack([np.isin(own, rows) for rows in halves.in_]),
        variance or variance_for(experiment.n_shadow),
    )
    return Inference.above(0.0, target, score)


def _confidences(labels, vectors):
    """Return every model's confidence, shape (k, n), one model at a time."""
    return np.stack([logit_confidence(labels, of_model) for of_model in vectors])
