"""How well membership was inferred (§VI-D): precision, recall, ROC, each with the one interval of its quantity.

Everywhere, `member` is an array of bool (True: the record was in the training set), `inferred` what the attack says,
`score` what it goes by, larger for likelier members. An interval speaks of the choice of records for one target and
one set of shadow models, not of training these again.
"""

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import beta, binom, norm, rankdata, t

BASELINE = 0.5
"""Accuracy and precision of random guessing, where members and non-members are equally many (§VI-D)."""

LEVEL = 0.95
"""Of every interval."""


class Estimate(float):
    """A measured number with its confidence interval: a float that knows how far it can be trusted.

    Parameters
    ----------
    value : float
        NaN where the quantity is not defined.
    low, high : float
        Ends of the interval; NaN where there is none.
    """

    def __new__(cls, value, low=np.nan, high=np.nan):
        """Return the number with its interval."""
        self = super().__new__(cls, value)
        self.low, self.high = float(low), float(high)
        return self

    def __getnewargs__(self):
        return float(self), self.low, self.high

    def __str__(self):
        value = f"{float(self):.3f}"
        return value if np.isnan(self.low) else f"{value} [{self.low:.3f}, {self.high:.3f}]"

    def __repr__(self):
        return f"Estimate({float(self)!r}, {self.low!r}, {self.high!r})"


UNDEFINED = Estimate(np.nan)


def share(n_hits, n, level=LEVEL):
    """Return a share as an `Estimate` with the exact interval of Clopper and Pearson; NaN if `n` is 0."""
    if n == 0:
        return UNDEFINED
    tail = (1 - level) / 2
    low = beta.ppf(tail, n_hits, n - n_hits + 1) if n_hits else 0
    high = beta.ppf(1 - tail, n_hits + 1, n - n_hits) if n_hits < n else 1
    return Estimate(n_hits / n, low, high)


def share_of(hits):
    """Return the share of hits, an array of bool, as an `Estimate`."""
    return share(np.count_nonzero(hits), len(hits))


def precision(member, inferred):
    """Return the share of records inferred as members that are members (§VI-D); NaN if none is."""
    return share_of(np.asarray(member)[np.asarray(inferred, bool)])


def recall(member, inferred):
    """Return the share of members that are inferred as members (§VI-D); NaN without members."""
    return share_of(np.asarray(inferred)[np.asarray(member, bool)])


def accuracy(member, inferred):
    """Return the share of records whose membership is inferred correctly; `BASELINE` is guessing."""
    return share_of(np.asarray(member, bool) == np.asarray(inferred, bool))


def balanced_accuracy(member, inferred, level=LEVEL):
    """Return the accuracy of an inference if members and non-members were equally many; NaN without either.

    It is (1 + recall - false positive rate) / 2; the interval combines the exact ones of the two rates as Newcombe's
    (1998, method 10) does Wilson's.
    """
    sides = [(np.count_nonzero(inferred & side), np.count_nonzero(side)) for side in (member, ~member)]
    if not all(n for _, n in sides):
        return UNDEFINED
    p, q = (share(*side, level) for side in sides)
    below, above = np.hypot(p - p.low, q.high - q), np.hypot(p.high - p, q - q.low)
    return Estimate((1 + p - q) / 2, (1 + p - q - below) / 2, (1 + p - q + above) / 2)


def roc(member, score):
    """Return the ROC curve: false and true positive rates from (0, 0) to (1, 1), a point for each distinct score.

    A ValueError says if a score is not finite.
    """
    member, score = np.asarray(member, bool), np.asarray(score)
    n_undefined = np.count_nonzero(~np.isfinite(score))
    if n_undefined:
        raise ValueError(
            f"{n_undefined} membership probabilities are not finite; leave those records out and say how many"
        )
    order = np.argsort(-score, kind="stable")
    last = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    true, false = np.cumsum(member[order])[last], np.cumsum(~member[order])[last]
    with np.errstate(invalid="ignore"):
        return np.append(0, false / false[-1]), np.append(0, true / true[-1])


def roc_auc(member, score, level=LEVEL):
    """Return the area under the ROC curve: 0.5 is guessing, 1 tells every member apart; NaN if there is but one side.

    The interval is Newcombe's (2006, method 5), which holds for few records too.
    """
    fpr, tpr = roc(member, score)
    n_members = np.count_nonzero(member)
    return area(float(np.sum(np.diff(fpr) * (tpr[1:] + tpr[:-1]) / 2)), n_members, len(member) - n_members, level)


def area(found, m, n, level=LEVEL):
    """Return an area under a ROC curve, over m members and n non-members, with Newcombe's interval."""
    if not (m and n):
        return UNDEFINED
    z = norm.ppf((1 + level) / 2)

    def excess(a):
        half = (m + n) / 2 - 1
        variance = a * (1 - a) * (1 + half * (1 - a) / (2 - a) + half * a / (1 + a)) / (m * n)
        return abs(a - found) - z * np.sqrt(variance)

    low = brentq(excess, 0, found * (1 - 1e-9)) if found > 0 else 0
    high = brentq(excess, found + (1 - found) * 1e-9, 1) if found < 1 else 1
    return Estimate(found, low, high)


def roc_auc_widest(member, score, level=LEVEL):
    """Return the area under the ROC curve with the wider, at each end, of the intervals of Newcombe and of DeLong.

    Newcombe's assumes how scores are spread, which a leak of few records need not obey; DeLong's (1988) assumes
    nothing, and has no width where scores do not overlap.
    """
    member, score = np.asarray(member, bool), np.asarray(score)
    found = roc_auc(member, score, level)
    m, n = np.count_nonzero(member), np.count_nonzero(~member)
    if min(m, n) < 2:
        return found
    ranks = rankdata(score)
    of_in = (ranks[member] - rankdata(score[member])) / n
    of_out = 1 - (ranks[~member] - rankdata(score[~member])) / m
    half = norm.ppf((1 + level) / 2) * np.sqrt(of_in.var(ddof=1) / m + of_out.var(ddof=1) / n)
    return Estimate(found, max(0, min(found.low, found - half)), min(1, max(found.high, found + half)))


def tpr_of_few(member, score, fpr, level=LEVEL, n_grid=200):
    """Return the recall at a false positive rate, with an interval that knows that the threshold was found, too.

    The threshold is the score that a share `fpr` of the non-members exceeds; how many of all would exceed it has a beta
    distribution. The low end is above `fpr` where so many members are unlikely to exceed it by chance: the exact test
    of membership drawn at random (negative hypergeometric), turned into a bound by taking a member to be found c times
    as often as a non-member. The high end is the exact one (Clopper and Pearson) at a threshold low enough to be
    exceeded by more than `fpr` of all non-members. NaN where there are fewer than ``1 / fpr`` non-members.
    """
    member, score = np.asarray(member, bool), np.asarray(score)
    inside, outside = score[member], np.sort(score[~member])[::-1]
    m, n, tail = len(inside), len(outside), (1 - level) / 2
    k = int(fpr * n * (1 + 1e-12))
    if not m or not 1 <= k < n:
        return UNDEFINED
    hits = np.count_nonzero(inside > outside[k])
    # nodes of even steps in the logit of the probability, so that both of its tails are seen
    nodes = np.linspace(-30, 30, n_grid)
    exceeded = np.where(nodes < 0, beta.ppf(expit(nodes), k + 1, n - k), beta.isf(expit(-nodes), k + 1, n - k))
    weights = expit(nodes) * expit(-nodes) * (nodes[1] - nodes[0])

    def excess(ratio):
        return weights @ binom.sf(hits - 1, m, np.minimum(1, np.exp(ratio) * exceeded)) - tail

    low = min(fpr * np.exp(brentq(excess, -30, 30)), hits / m) if hits else 0.0
    ranks = np.arange(n)
    above = ranks[beta.cdf(fpr, ranks + 1, n - ranks) <= tail / 2]
    high = share(np.count_nonzero(inside > outside[above[0]]), m, 1 - tail).high if len(above) else 1.0
    return Estimate(hits / m, low, max(high, hits / m))


def tpr_at_fpr(member, score, fpr):
    """Return the largest recall that some threshold reaches with at most this false positive rate.

    The interval is that of a share of members, for the threshold as it was found.
    """
    false, true = roc(member, score)
    n_members = np.count_nonzero(member)
    return share(round(n_members * float(true[false <= fpr].max())), n_members) if n_members else UNDEFINED


FPR_GRID = np.logspace(-3, 0, 31)
"""False positive rates at which curves of several targets can be compared, ten for each power of ten."""


def roc_on_grid(member, score):
    """Return the largest recall with at most each false positive rate of `FPR_GRID`, ndarray of float64."""
    false, true = roc(member, score)
    return true[np.searchsorted(false, FPR_GRID * (1 + 1e-12), side="right") - 1]


def median(values, level=LEVEL):
    """Return the median of classes, a `quantile`. Of fewer than six it has no interval."""
    return quantile(values, 0.5, level)


def quantile(values, below, level=LEVEL):
    """Return a quantile of classes as the paper reads it off a CDF, with an interval from order statistics.

    Classes that are NaN are left out; the others are taken for a sample of many like them. There is no interval where
    not even the least and the largest of them hold the quantile between them as often as an interval must.
    """
    ordered, _ = cdf(values)
    found = quantiles(ordered, (below,))[0]
    if not len(ordered):
        return Estimate(found)
    low, high = binom.ppf([(1 - level) / 2, (1 + level) / 2], len(ordered), below).astype(int)
    if low == 0 or high == len(ordered):
        return Estimate(found)
    return Estimate(found, ordered[low - 1], ordered[high])


def mean(values, level=LEVEL):
    """Return the mean of what several targets gave, as an `Estimate` with Student's interval; one value has none."""
    values = np.asarray(values, np.float64)
    if len(values) < 2:
        return Estimate(values.mean() if len(values) else np.nan)
    half = t.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return Estimate(values.mean(), values.mean() - half, values.mean() + half)


def true_class_probability(labels, vectors):
    """Return the probability that each prediction vector, a row of (n, classes), gives to the true class (Fig. 12)."""
    return vectors[np.arange(len(labels)), labels]


def histogram(values, n_bins=20):
    """Return the share of values, each from 0 to 1, in bins of one width (ndarray of float64)."""
    return np.histogram(values, np.linspace(0, 1, n_bins + 1))[0] / len(values)


def normalised_entropy(vectors):
    """Return the uncertainty of prediction vectors, -1/log(C) Σ p log p (§VIII, Fig. 12), float64 of shape (n,).

    0 for a certain answer, 1 for a uniform one.
    """
    p = np.asarray(vectors, np.float64)
    return -np.sum(p * np.log(np.where(p > 0, p, 1)), axis=1) / np.log(p.shape[1])


def per_class(statistic, labels, member, inferred, n_classes):
    """Return a statistic, such as `precision`, for each true class, as most figures of the paper show it.

    float64 of shape (n_classes,); NaN for a class in which the statistic is not defined.
    """
    labels, member, inferred = np.asarray(labels), np.asarray(member), np.asarray(inferred)
    rows = [labels == c for c in range(n_classes)]
    return np.array([statistic(member[r], inferred[r]) if r.any() else np.nan for r in rows], np.float64)


def cdf(values):
    """Return the empirical distribution of values, what Figures 4 to 9 draw: sorted values, and the share up to each.

    Undefined (NaN) values are left out.
    """
    values = np.sort(np.asarray(values, np.float64))
    values = values[~np.isnan(values)]
    return values, np.arange(1, len(values) + 1) / len(values)


def quantiles(values, levels=(0.1, 0.25, 0.5, 0.75, 0.9)):
    """Return quantiles as the paper reads them off a CDF: the smallest value that a share reaches; NaN of no values.

    For an even number of classes the median is thus the lower of the middle two (Fig. 4).
    """
    values, _ = cdf(values)
    if not len(values):
        return np.full(len(levels), np.nan)
    return np.quantile(values, levels, method="inverted_cdf")
