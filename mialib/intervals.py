"""Confidence intervals that hold for few records: an audit may have ten."""

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom, binomtest, norm

from mialib import metrics
from mialib.metrics import Estimate

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


def of(hits):
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
    ordered, _ = metrics.cdf(values)
    if not len(ordered):
        return UNKNOWN
    low, high = binom.ppf([(1 - level) / 2, (1 + level) / 2], len(ordered), 0.5).astype(int)
    ends = ordered[max(0, low - 1)], ordered[min(high, len(ordered) - 1)]
    return Estimate(float(metrics.quantiles(ordered, (0.5,))[0]), *map(float, ends))


def precision(member, inferred):
    """Return the precision of an inference as an `Estimate`; NaN if no record is inferred as a member."""
    return share(np.count_nonzero(member & inferred), np.count_nonzero(inferred))


def recall(member, inferred):
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


def roc_auc(member, score, level=0.95):
    """Return the area under the ROC curve with Newcombe's interval (2006, method 5), for few records too.

    Returns
    -------
    Estimate
        NaN without members, or without non-members.
    """
    m, n = np.count_nonzero(member), np.count_nonzero(~member)
    return area(metrics.roc_auc(member, score), m, n, level) if m and n else UNKNOWN


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
