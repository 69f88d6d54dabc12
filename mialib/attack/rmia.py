"""The relative membership inference attack (Zarifzadeh, Liu, Shokri 2024): few shadow models go a long way.

How much likelier is the record's class by the target than by models in general? LiRA needs a distribution of each
record; this needs one mean, which two shadow models can give.
"""

import numpy as np

from mialib.attack.answers import LEAST

OFFLINE = 0.3
"""How much of its probability a record has without being a member, where no shadow model knows it (their Appendix)."""


def ratio(observed, probability, in_, offline=OFFLINE):
    """Return the probability of each record's true class, by the target against models in general (their Eq. 5).

    Parameters
    ----------
    observed : ndarray, shape (n,)
        The target's probability of the true class.
    probability : ndarray, shape (k, n)
        That of k shadow models.
    in_ : ndarray of bool, shape (k, n)
        Which of them were trained on which record.
    offline : float
        For a record that no shadow model knows, the mean is taken for ``((1 + offline) * mean + 1 - offline) / 2``.

    Returns
    -------
    ndarray of float64, shape (n,)
        Of a record that some shadow models know and others do not, the means of both kinds count alike. NaN where all
        its shadow models know it.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        known, unknown = (np.where(of, probability, 0).sum(axis=0) / of.sum(axis=0) for of in (in_, ~in_))
    general = np.where(np.isnan(known), ((1 + offline) * unknown + 1 - offline) / 2, (known + unknown) / 2)
    return np.asarray(observed, np.float64) / np.maximum(general, LEAST)


def score(observed, probability, in_, population=slice(None), gamma=1.0, offline=OFFLINE):
    """Return the share of a population that each record dominates: whose `ratio` is `gamma` times as small, or smaller.

    ndarray of float64, shape (n,), larger for likelier members; NaN where the ratio is. `population` is an index of the
    records that stand for it, all of them by default. The other arguments are those of `ratio`.
    """
    found = ratio(observed, probability, in_, offline)
    others = np.sort(found[population])
    others = others[~np.isnan(others)]
    share = np.searchsorted(others, found / gamma, side="right") / max(len(others), 1)
    return np.where(np.isnan(found), np.nan, share)
