"""How well membership was inferred (§VI-D): precision, recall, ROC, and how sure these numbers are.

Everywhere, `member` is a boolean array (True: the record was in the training set), `inferred`
what the attack says, `probability` its membership probability. A statistic takes a weight for
each record, so that the bootstrap is the same statistic under resampled weights.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom, binomtest, norm

BASELINE = 0.5
"""Accuracy and precision of guessing, where members and non-members are equally many (§VI-D)."""


@dataclass(frozen=True)
class Estimate:
    """A measured number with its confidence interval.

    Parameters
    ----------
    value, low, high : float
        NaN where the number is not defined.
    """

    value: float
    low: float
    high: float

    def __str__(self):
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"

    def __float__(self):
        return float(self.value)

    def __sub__(self, other):
        """Return the difference of the values, a float: it has no interval."""
        return float(self.value - float(other))

    def __rsub__(self, other):
        return float(float(other) - self.value)


def base_rate(member, weight=None):
    """Return the share of members: the precision of calling every record a member."""
    return _share(member, weight)


def precision(member, inferred, weight=None):
    """Return the share of records inferred as members that are members (§VI-D); NaN if none is."""
    return _share(member, _weight(member, weight) * np.asarray(inferred))


def recall(member, inferred, weight=None):
    """Return the share of members that are inferred as members (§VI-D); NaN without members."""
    return _share(inferred, _weight(member, weight) * np.asarray(member))


def accuracy(member, inferred, weight=None):
    """Return the share of records whose membership is inferred rightly; `BASELINE` is guessing."""
    return _share(np.asarray(member) == np.asarray(inferred), weight)


def gap_precision(train_accuracy, test_accuracy):
    """Return the precision of the gap attack: call a record a member if the target is right on it.

    Parameters
    ----------
    train_accuracy, test_accuracy : float
        Of the target; with as many members as non-members the precision is
        train / (train + test), NaN where both are 0.
    """
    right = train_accuracy + test_accuracy
    return train_accuracy / right if right else float("nan")


def true_class_probability(labels, vectors):
    """Return the probability that each prediction vector gives to the true class (Fig. 12).

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
    vectors : ndarray of float, shape (n, classes)

    Returns
    -------
    ndarray of float, shape (n,)
    """
    return vectors[np.arange(len(labels)), labels]


def normalised_entropy(vectors):
    """Return the uncertainty of prediction vectors, -1/log(C) Σ p log p (§VIII, Fig. 12).

    Parameters
    ----------
    vectors : ndarray of float, shape (n, C)

    Returns
    -------
    ndarray of float64, shape (n,)
        0 for a certain answer, 1 for a uniform one.
    """
    p = np.asarray(vectors, np.float64)
    return -np.sum(p * np.log(np.where(p > 0, p, 1)), axis=1) / np.log(p.shape[1])


def roc(member, probability, weight=None):
    """Return the ROC curve.

    Returns
    -------
    fpr, tpr : ndarray of float
        From (0, 0) to (1, 1), a point for each distinct probability.
    """
    member, probability = np.asarray(member, bool), np.asarray(probability)
    _check_finite(probability)
    order = np.argsort(-probability, kind="stable")
    weight = _weight(member, weight)[order]
    last = np.append(np.flatnonzero(np.diff(probability[order])), len(order) - 1)
    true, false = np.cumsum(weight * member[order])[last], np.cumsum(weight * ~member[order])[last]
    with np.errstate(invalid="ignore"):
        return np.append(0, false / false[-1]), np.append(0, true / true[-1])


def roc_auc(member, probability, weight=None):
    """Return the area under the ROC curve: 0.5 is guessing, 1 tells every member apart."""
    fpr, tpr = roc(member, probability, weight)
    return float(np.sum(np.diff(fpr) * (tpr[1:] + tpr[:-1]) / 2))


def tpr_at_fpr(member, probability, fpr, weight=None):
    """Return the largest recall that some threshold reaches with at most this false positive rate."""
    false, true = roc(member, probability, weight)
    return float(true[false <= fpr].max())


def per_class(statistic, labels, member, inferred, n_classes):
    """Return a statistic for each true class, as most figures of the paper show it.

    Parameters
    ----------
    statistic : callable
        `precision`, `recall`, `accuracy`, or any other of ``(member, inferred)``.
    labels : ndarray of int, shape (n,)
        True classes.
    member, inferred : ndarray, shape (n,)
    n_classes : int

    Returns
    -------
    ndarray of float64, shape (n_classes,)
        NaN for a class in which the statistic is not defined.
    """
    labels, member, inferred = np.asarray(labels), np.asarray(member), np.asarray(inferred)
    rows = [labels == c for c in range(n_classes)]
    return np.array([statistic(member[r], inferred[r]) if r.any() else np.nan for r in rows])


def cdf(values):
    """Return the empirical distribution of values: what Figures 4 to 9 draw.

    Returns
    -------
    value : ndarray of float64
        Sorted; undefined (NaN) values are left out.
    fraction : ndarray of float64
        Share of values up to this one.
    """
    values = np.sort(np.asarray(values, np.float64))
    values = values[~np.isnan(values)]
    return values, np.arange(1, len(values) + 1) / len(values)


def quantiles(values, levels=(0.1, 0.25, 0.5, 0.75, 0.9)):
    """Return quantiles as the paper reads them off a CDF: the smallest value that a share reaches.

    For an even number of classes the median is thus the lower of the middle two (Fig. 4).

    Returns
    -------
    ndarray of float64, one for each level
        NaN if no value is defined.
    """
    values, _ = cdf(values)
    if not len(values):
        return np.full(len(levels), np.nan)
    return np.quantile(values, levels, method="inverted_cdf")


def estimate(statistic, member, scores, seed, n_resamples=1000, level=0.95):
    """Return a statistic with its bootstrap confidence interval.

    Records are drawn again with replacement, members and non-members apart, so the base rate
    stays. The interval speaks of the choice of records for one target and one set of shadow
    models, not of training these again.

    Parameters
    ----------
    statistic : callable
        One of this module that takes ``(member, scores, weight)``.
    member : ndarray of bool, shape (n,)
    scores : ndarray, shape (n,)
        `inferred` or `probability`, as the statistic wants.
    seed : int or SeedSequence
    n_resamples : int
    level : float
        Share of resamples inside the interval.

    Returns
    -------
    Estimate
    """
    member, scores = np.asarray(member, bool), np.asarray(scores)
    order = np.argsort(-scores.astype(np.float64), kind="stable")
    member, scores = member[order], scores[order]
    rng = np.random.default_rng(seed)
    weight, values = np.empty(len(member)), np.empty(n_resamples)
    for i in range(n_resamples):
        for side in (member, ~member):
            n = np.count_nonzero(side)
            weight[side] = np.bincount(rng.integers(0, n, n), minlength=n) if n else 0
        values[i] = statistic(member, scores, weight)
    defined = values[~np.isnan(values)]
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2]) if len(defined) else (np.nan, np.nan)
    return Estimate(float(statistic(member, scores)), float(low), float(high))


def _weight(member, weight):
    return np.ones(len(member)) if weight is None else weight


def _share(hit, weight):
    hit = np.asarray(hit)
    weight = _weight(hit, weight)
    total = weight.sum()
    return float((weight * hit).sum() / total) if total else float("nan")


def _check_finite(probability):
    n_undefined = np.count_nonzero(~np.isfinite(probability))
    if n_undefined:
        raise ValueError(
            f"{n_undefined} membership probabilities are not finite; leave those records out and say how many"
        )


UNKNOWN = Estimate(float("nan"), float("nan"), float("nan"))


def share(n_hits, n, level=0.95):
    """Return a share with the exact interval of Clopper and Pearson.

    Parameters
    ----------
    n_hits, n : int
    level : float

    Returns
    -------
    Estimate
        NaN if `n` is 0.
    """
    if n == 0:
        return UNKNOWN
    interval = binomtest(int(n_hits), int(n)).proportion_ci(level, "exact")
    return Estimate(float(n_hits / n), float(interval.low), float(interval.high))


def share_of(hits):
    """Return the share of hits, an ndarray of bool, as an `Estimate`."""
    return share(np.count_nonzero(hits), len(hits))


def median(values, level=0.95):
    """Return the median as the paper reads it off a CDF, with an interval from order statistics.

    Parameters
    ----------
    values : ndarray of float64
        Of classes; NaN ones are left out.
    level : float

    Returns
    -------
    Estimate
        The classes are taken for a sample of many like them. NaN if no value is defined.
    """
    ordered, _ = cdf(values)
    if not len(ordered):
        return UNKNOWN
    low, high = binom.ppf([(1 - level) / 2, (1 + level) / 2], len(ordered), 0.5).astype(int)
    ends = ordered[max(0, low - 1)], ordered[min(high, len(ordered) - 1)]
    return Estimate(float(quantiles(ordered, (0.5,))[0]), *map(float, ends))


def precision_estimate(member, inferred):
    """Return the precision of an inference as an `Estimate`; NaN if no record is inferred as a member."""
    return share(np.count_nonzero(member & inferred), np.count_nonzero(inferred))


def recall_estimate(member, inferred):
    """Return the recall of an inference as an `Estimate`; NaN without members."""
    return share(np.count_nonzero(member & inferred), np.count_nonzero(member))


def balanced_accuracy(member, inferred, level=0.95):
    """Return the accuracy of an inference if members and non-members were equally many.

    It is (1 + recall - false positive rate) / 2; the interval of the difference is Newcombe's (1998, method 10).

    Returns
    -------
    Estimate
        NaN without members, or without non-members.
    """
    sides = [(np.count_nonzero(inferred & side), np.count_nonzero(side)) for side in (member, ~member)]
    if not all(n for _, n in sides):
        return UNKNOWN
    (p, n), (q, m) = ((hits / n, n) for hits, n in sides)
    (p_low, p_high), (q_low, q_high) = _wilson(p, n, level), _wilson(q, m, level)
    below, above = np.hypot(p - p_low, q_high - q), np.hypot(p_high - p, q - q_low)
    return Estimate((1 + p - q) / 2, (1 + p - q - below) / 2, (1 + p - q + above) / 2)


def _wilson(p, n, level):
    z = norm.ppf((1 + level) / 2)
    centre, width = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return (centre - width) / (1 + z**2 / n), (centre + width) / (1 + z**2 / n)


def auc_estimate(member, score, level=0.95):
    """Return the area under the ROC curve with Newcombe's interval (2006, method 5), for few records too.

    Returns
    -------
    Estimate
        NaN without members, or without non-members.
    """
    m, n = np.count_nonzero(member), np.count_nonzero(~member)
    return area(roc_auc(member, score), m, n, level) if m and n else UNKNOWN


def area(found, m, n, level=0.95):
    """Return an area under a ROC curve, over m members and n non-members, with Newcombe's interval."""
    z = norm.ppf((1 + level) / 2)

    def excess(a):
        half = (m + n) / 2 - 1
        variance = a * (1 - a) * (1 + half * (1 - a) / (2 - a) + half * a / (1 + a)) / (m * n)
        return abs(a - found) - z * np.sqrt(variance)

    low = brentq(excess, 0, found * (1 - 1e-9)) if found > 0 else 0
    high = brentq(excess, found + (1 - found) * 1e-9, 1) if found < 1 else 1
    return Estimate(found, float(low), float(high))
