"""The attacks of an audit on a regressor, which go by its residuals: what a record has, minus what the model says."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.stats import norm

from mialib import metrics
from mialib.attack import lira, rmia
from mialib.attack.answers import LEAST, Answers
from mialib.auditing.panel import Case

RESIDUAL = "residual"

SMALLEST = 1e-4
"""Of the mean |residual|: smaller ones count as this where a logarithm is taken (a deep tree's are 0)."""


@dataclass(frozen=True, eq=False)
class Values(Answers):
    """What regressors answer about records of known membership.

    Parameters
    ----------
    labels : ndarray of float64, shape (n,)
        True values.
    vectors : ndarray of float64, shape (n,)
        The answers.
    member : ndarray of bool, shape (n,)
        True: in, False: out.
    """

    # a regressor classifies nothing: whatever is compared with these is false
    train_accuracy = test_accuracy = metrics.UNDEFINED

    @property
    def residual(self):
        """True values minus answers (ndarray of float64, shape (n,))."""
        return self.labels - self.vectors

    @property
    def train_error(self):
        """Mean absolute error on members (Estimate)."""
        return metrics.mean(np.abs(self.residual[self.member]))

    @property
    def test_error(self):
        """Mean absolute error on non-members (Estimate)."""
        return metrics.mean(np.abs(self.residual[~self.member]))

    def rows(self, which):
        """Return the answers about some of the records, an index of any kind."""
        return Values(self.labels[which], self.vectors[which], self.member[which])


class ResidualCase(Case):
    """What the attacks on a regressor have to go by: `target` is `Values`, shadow models answer with values.

    The units of the labels change nothing: residuals are counted in the target's mean |residual|. LiRA takes residuals
    with their signs, which are nearly Gaussian over models. By AUC, with eight shadow models, that reaches 0.83 on a
    forest, 0.73 on boosted trees and 0.78 on boosted histograms; by log |residual| it is 0.79, 0.63 and 0.83.
    """

    @cached_property
    def unit(self):
        """What residuals are counted in (float)."""
        return float(np.abs(self.target.residual).mean()) or 1.0

    def residual(self, vectors):
        """Return the residuals of answers, of shape (n,) or (k, n), in the target's mean |residual|."""
        return (self.target.labels - vectors) / self.unit

    def odds(self, vectors):
        """Return how near answers are, -log |residual|, shape (n,) or (k, n): what log odds are of classes."""
        return -np.log(np.maximum(np.abs(self.residual(vectors)), SMALLEST))

    def _without_shadows(self):
        attacks = {RESIDUAL: lambda: self._threshold(-np.abs(self.residual(self.target.vectors)))}
        if self.features is not None:
            attacks["quantile regression"] = self._quantiles
        return attacks

    def _with_shadows(self):
        """Return LiRA and RMIA; what the paper's attack models learn of a value, the residual has already."""
        attacks = super()._with_shadows()
        return {name: attack for name, attack in attacks.items() if not name.startswith("shadow attack")}

    def _lira(self, shadows, which):
        of, in_ = self.residual(shadows.vectors[which]), shadows.in_[which]
        score = lira.online_score if in_.any() else nearer_than_out
        return score(self.residual(self.target.vectors), of, in_, lira.variance_for(len(in_)))

    def _rmia(self, shadows, which):
        """Return RMIA's score; how likely a value is, is told by a Laplace distribution about the answer."""
        likely, of = (np.exp(-np.abs(self.residual(v))) for v in (self.target.vectors, shadows.vectors[which]))
        return rmia.score(likely, of, shadows.in_[which])


def nearer_than_out(observed, residual, in_, variance):
    """Return how unlikely a model that does not know the record comes as near to its value, shape (n,).

    Offline LiRA of a quantity that is extreme at 0 instead of at one end: minus the logarithm of the probability that a
    Gaussian residual, fitted to the shadow models that do not know the record, is no larger than the target's. The
    arguments are those of `mialib.attack.lira.online_score`, with residuals for confidence.
    """
    out = lira.Gaussians.fit(residual, ~in_, variance)
    away, mean, deviation = np.abs(observed), np.abs(out.mean), np.sqrt(out.variance)
    above, below = norm.logcdf((away - mean) / deviation), norm.logcdf((-away - mean) / deviation)
    # the logarithm of a difference, exact where both are tiny
    return -above - np.log(np.maximum(-np.expm1(below - above), LEAST))
