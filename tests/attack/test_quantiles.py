import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.stats import spearmanr

from mialib import metrics
from mialib.attack.quantiles import HIGH, MIDDLE, WIDEST, QuantileAttack


def linear_quantile(x, y, q):
    """Return the coefficients of a linear quantile regression, by the linear program that defines it."""
    n, columns = len(y), np.c_[np.ones(len(x)), x]
    k = columns.shape[1]
    cost = np.r_[np.zeros(2 * k), np.full(n, q), np.full(n, 1 - q)]
    equal = np.c_[columns, -columns, np.eye(n), -np.eye(n)]
    found = linprog(cost, A_eq=equal, b_eq=y, bounds=(0, None)).x
    return found[:k] - found[k : 2 * k]


def test_it_ranks_as_quantile_regression_by_definition_does(rng):
    """Confidence is linear in a feature, and spreads with another: a linear program knows the same quantiles."""
    x = rng.random((900, 2))
    confidence = 6 * x[:, 0] + (0.3 + x[:, 1]) * rng.normal(size=900)
    attack = QuantileAttack(0).fit(x[:600], confidence[:600])
    found = attack.score(x[600:], confidence[600:])
    columns = np.c_[np.ones(300), x[600:]]
    middle, high = (columns @ linear_quantile(x[:600], confidence[:600], q) for q in (MIDDLE, HIGH))
    expected = (confidence[600:] - middle) / (high - middle)
    assert spearmanr(found, expected).statistic > 0.85
    assert np.mean(found > 1) == pytest.approx(1 - HIGH, abs=0.06)
    assert np.mean(found > 0) == pytest.approx(0.5, abs=0.1)


def test_what_is_unusual_for_its_features_is_found(rng):
    """Members are more confident than others like them, and easy non-members more confident than all."""
    x = rng.random((1200, 3))
    member = np.arange(1200) < 400
    confidence = 8 * x[:, 0] + rng.normal(size=1200) * 0.5 + 1.5 * member
    judged = np.arange(1200) < 800
    attack = QuantileAttack(1).fit(x[~judged], confidence[~judged])
    found = metrics.roc_auc(member[judged], attack.score(x[judged], confidence[judged]))
    assert found.low > metrics.roc_auc(member[judged], confidence[judged]).high
    assert found > 0.9


def test_wide_records_are_summed(rng):
    x, confidence = rng.random((60, 300)), rng.random(60)
    attack = QuantileAttack(0).fit(x, confidence)
    assert attack.quantiles_[0].n_features_in_ == WIDEST
    np.testing.assert_array_equal(
        attack.score(x, confidence), QuantileAttack(0).fit(x, confidence).score(x, confidence)
    )
