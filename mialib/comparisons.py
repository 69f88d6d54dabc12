"""Results beside each other: what the chapters on data sets and platforms show."""

import time

import numpy as np

from mialib import metrics


def summary(results):
    """Return the numbers of Tables I and II for each result.

    Parameters
    ----------
    results : dict of str to Result

    Returns
    -------
    dict of str to dict of str to float
        Name of the result to train and test accuracy of the target, then precision, recall and AUC
        of the attack, and precision of the gap attack.
    """
    return {
        name: {
            "train accuracy": result.target.train_accuracy,
            "test accuracy": result.target.test_accuracy,
            "precision": result.precision,
            "recall": result.recall,
            "median precision": float(metrics.quantiles(result.per_class(metrics.precision), (0.5,))[0]),
            "AUC": result.auc,
            "gap attack precision": metrics.gap_precision(result.target.train_accuracy, result.target.test_accuracy),
        }
        for name, result in results.items()
    }


def named(numbers):
    """Return ``{"precision, name": value}`` for a summary, as claims and prose take numbers."""
    return {f"{quantity}, {name}": value for name, row in numbers.items() for quantity, value in row.items()}


def compare_attacks(result, attacks):
    """Train attack models on a result's shadows, and try them on its target.

    Parameters
    ----------
    result : Result
    attacks : dict of str to attack
        Such as `mialib.attack.ClassAttack` and `mialib.attack.PooledAttack`.

    Returns
    -------
    dict of str to dict of str to float
        Name of the attack to its accuracy and AUC, the seconds that training took, and the number of
        parameters of its models.
    """
    rows = {}
    for name, attack in attacks.items():
        started = time.perf_counter()
        attack.fit(result.shadows)
        seconds = time.perf_counter() - started
        probability = attack.predict_proba(result.target.labels, result.target.vectors)
        judged = ~np.isnan(probability)
        rows[name] = {
            "accuracy": metrics.accuracy(result.target.member, probability > 0.5),
            "AUC": metrics.roc_auc(result.target.member[judged], probability[judged]),
            "seconds": seconds,
            "parameters": attack.n_parameters,
        }
    return rows


def share_above(result, precision):
    """Return the share of classes in which the attack is more precise than this (float); see Fig. 6."""
    return float(np.mean(result.per_class(metrics.precision) > precision))
