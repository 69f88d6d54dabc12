"""Overfitting and leakage over many targets and classes (§VIII, Figures 10 to 12)."""

import warnings

import numpy as np
import pandas as pd
from scipy.stats import ConstantInputWarning, spearmanr

from mialib import metrics

NEEDED, MANY = 3, 10
"""Pairs from which a rank correlation says anything, and from which its interval does."""


def by_class(result):
    """Return what Figures 10 and 11 show of each class that has members and non-members of the target, a DataFrame.

    Columns: the attack's precision (NaN where no record is inferred), the class's share of the training data, and the
    gap between train and test accuracy.
    """
    target, right, rows = result.target, result.target.right, []
    for c in range(result.data.n_classes):
        of_class = target.labels == c
        members, others = of_class & target.member, of_class & ~target.member
        if members.any() and others.any():
            precision = float(result.inference.rows(of_class).precision)
            share = members.sum() / target.member.sum()
            rows.append((precision, float(share), float(right[members].mean() - right[others].mean())))
    return pd.DataFrame(rows, columns=["precision", "share of training data", "accuracy gap"])


def overview(results):
    """Return the gap and the attack of each run, for figures and rank correlations, a DataFrame.

    Parameters
    ----------
    results : dict of (str, str) to Result
        Model type and setting, such as ``("local NN", "purchase, 10 classes")``.

    Returns
    -------
    DataFrame
        Columns ``model``, ``setting``, ``accuracy gap``, ``train accuracy`` and ``test accuracy`` of
        the target, ``precision``, ``accuracy`` and ``AUC`` of the attack.
    """
    return pd.DataFrame(
        {
            "model": model,
            "setting": setting,
            "accuracy gap": result.target.accuracy_gap,
            "train accuracy": result.target.train_accuracy,
            "test accuracy": result.target.test_accuracy,
            "precision": result.inference.precision,
            "accuracy": result.inference.accuracy,
            "AUC": result.inference.auc,
        }
        for (model, setting), result in results.items()
    )


def scatter_points(runs, x, y):
    """Return runs of `overview` as `mialib.plots.points.scatter` takes them: a series a model type."""
    return {
        model: {row["setting"]: (row[x], row[y]) for _, row in of_model.iterrows()}
        for model, of_model in runs.groupby("model", sort=False)
    }


def rank_correlation(x, y, seed=0, n_resamples=1000, level=0.95):
    """Return Spearman's rank correlation, an `Estimate`, with its bootstrap interval over the pairs.

    Fewer than ten have none. A pair with a value that is not defined is left out; a ValueError says if fewer than three
    are left.
    """
    pairs = np.column_stack([x, y]).astype(np.float64)
    pairs = pairs[~np.isnan(pairs).any(axis=1)]
    if len(pairs) < NEEDED:
        raise ValueError(f"{len(pairs)} pairs have no rank correlation to speak of; it takes at least {NEEDED}")
    if len(pairs) < MANY:
        return metrics.Estimate(_spearman(pairs))
    rng = np.random.default_rng(seed)
    values = np.array([_spearman(pairs[rng.integers(0, len(pairs), len(pairs))]) for _ in range(n_resamples)])
    low, high = np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2])
    return metrics.Estimate(_spearman(pairs), low, high)


def _spearman(pairs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantInputWarning)  # NaN, where a resample is constant
        return float(spearmanr(*pairs.T).statistic)


def near_gap(runs, gap, tolerance):
    """Return the runs of `overview` whose accuracy gap is a given one, give or take a tolerance, by AUC."""
    return runs[(runs["accuracy gap"] - gap).abs() <= tolerance].sort_values("AUC")


def discordance(runs, by, quantity="AUC"):
    """Return the share of pairs of runs in which the one with the larger gap leaks less (float).

    0 if the gap orders them all, 0.5 if it says nothing; pairs that are equal in either are left out, NaN if none
    remains.

    Parameters
    ----------
    runs : DataFrame
        Of `overview`.
    by : {"model", "setting"}
        Pairs are of runs that have this in common. With ``model`` the gap orders settings of one
        model type, with ``setting`` model types in one setting.
    quantity : str
    """
    signs = []
    for _, group in runs.groupby(by, sort=False):
        gap, leak = (group[column].to_numpy() for column in ("accuracy gap", quantity))
        i, j = np.triu_indices(len(group), 1)
        signs.append(np.sign(gap[i] - gap[j]) * np.sign(leak[i] - leak[j]))
    signs = np.concatenate(signs)
    decided = signs[(signs != 0) & ~np.isnan(signs)]
    return float(np.mean(decided < 0)) if len(decided) else float("nan")
