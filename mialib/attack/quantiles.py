"""The attack by quantile regression (Bertran et al. 2023): how confident a model is about a record like this one.

No shadow model is needed: from non-members alone a regression learns which confidence is usual for which features, and
a record above that is called a member.
"""

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

MIDDLE, HIGH = 0.5, 0.9
"""The quantiles that are learned; their distance is the scale of a record's confidence."""

WIDEST = 64
"""Features from which the regression learns; of more, this many random sums of them (Johnson and Lindenstrauss)."""


class QuantileAttack:
    """Say how far a record's confidence lies above the median of non-members like it, in units of their spread.

    Bertran et al. learn the quantile at each false positive rate, or a Gaussian of which all quantiles follow; this
    learns two and takes the others from their distance.

    Parameters
    ----------
    seed : int

    Attributes
    ----------
    quantiles_ : list of HistGradientBoostingRegressor
    """

    def __init__(self, seed=0):
        self.seed = seed

    def fit(self, x, confidence):
        """Learn from non-members: features, float of shape (n, f), and confidence, shape (n,); return self."""
        rng = np.random.default_rng(self.seed)
        wide = x.shape[1] > WIDEST
        self.sums_ = rng.normal(size=(x.shape[1], WIDEST)) / np.sqrt(WIDEST) if wide else None
        state, seen = int(rng.integers(2**31)), self._seen(x)
        quantiles = [
            HistGradientBoostingRegressor(loss="quantile", quantile=q, max_iter=50, random_state=state)
            for q in (MIDDLE, HIGH)
        ]
        with threadpool_limits(1):  # its threads wait for each other longer than they work
            self.quantiles_ = [of.fit(seen, confidence) for of in quantiles]
        return self

    def score(self, x, confidence):
        """Return the score of records, ndarray of float64, shape (n,), larger for likelier members."""
        seen = self._seen(x)
        with threadpool_limits(1):
            middle, high = (of.predict(seen) for of in self.quantiles_)
        spread = np.maximum(high - middle, 1e-6 + 1e-3 * np.std(confidence))
        return (confidence - middle) / spread

    def _seen(self, x):
        return x if self.sums_ is None else x @ self.sums_
