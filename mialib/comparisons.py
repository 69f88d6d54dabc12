"""Results beside each other: what the chapters on data sets and platforms show."""

import time
from dataclasses import replace

import numpy as np

from mialib import intervals, metrics
from mialib.experiment import run
from mialib.seeding import children


def summary(results):
    """Return the numbers of Tables I and II for each result.

    Parameters
    ----------
    results : dict of str to Result

    Returns
    -------
    dict of str to dict of str to Estimate
        Name of the result to train and test accuracy of the target, then precision, recall and AUC
        of the attack, and precision of the gap attack.
    """
    return {name: _summary(result) for name, result in results.items()}


def _summary(result):
    target, member, judged = result.target, result.target.member, result.judged
    return {
        "train accuracy": intervals.of(target.right[member]),
        "test accuracy": intervals.of(target.right[~member]),
        "precision": intervals.precision(member, result.inferred),
        "recall": intervals.recall(member, result.inferred),
        "median precision": intervals.median(result.per_class(metrics.precision)),
        "AUC": intervals.roc_auc(member[judged], result.probability[judged]),
        "gap attack precision": intervals.precision(member, target.right),
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
    dict of str to dict of str to Estimate or float
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
            "accuracy": intervals.of(result.target.member == (probability > 0.5)),
            "AUC": intervals.roc_auc(result.target.member[judged], probability[judged]),
            "seconds": seconds,
            "parameters": attack.n_parameters,
        }
    return rows


def share_above(result, precision):
    """Return the share of classes in which the attack is more precise than this (Estimate); see Fig. 6."""
    return intervals.of(result.per_class(metrics.precision) > precision)


RESAMPLES = 300
"""Of the bootstrap, where many results stand in one table."""


def run_each(experiment, ways, data, cache=None):
    """Run one experiment for each way in which target and shadows are trained and answer.

    Parameters
    ----------
    experiment : Experiment
    ways : dict of str to Recipe or platform
    data : Dataset
    cache : ModelCache, optional

    Returns
    -------
    dict of str to Result
    """
    return {name: run(replace(experiment, recipe=way), data, cache) for name, way in ways.items()}


def attack_estimates(result, seed=0, n_resamples=RESAMPLES):
    """Return what Table III gives of a result, with 95 % confidence intervals.

    Parameters
    ----------
    result : Result
    seed : int or SeedSequence
    n_resamples : int

    Returns
    -------
    dict of str to Estimate
        Test accuracy of the target; accuracy, precision and recall of the attack.
    """
    member, inferred, seeds = result.target.member, result.inferred, children(seed, 3)
    statistics = {"attack accuracy": metrics.accuracy, "precision": metrics.precision, "recall": metrics.recall}
    return {"test accuracy": intervals.of(result.target.right[~member])} | {
        name: metrics.estimate(statistic, member, inferred, s, n_resamples)
        for s, (name, statistic) in zip(seeds, statistics.items(), strict=True)
    }


def estimates_of_each(results, seed=0):
    """Return `attack_estimates` of each of several results, by their names."""
    return {name: attack_estimates(result, seed) for name, result in results.items()}


def gap_accuracy(result):
    """Return the accuracy of the gap attack: call a record a member if the target is right on it (float)."""
    return 0.5 + (result.target.train_accuracy - result.target.test_accuracy) / 2


def auc_of_mislabelled(result, seed=0, n_shuffles=200):
    """Return how well members and non-members of one class that the target mislabels are told apart (§IX).

    Only records of which the target names a wrong class count, and only pairs of the same true
    class: neither how often a class is mislabelled nor how often members are can help.

    Parameters
    ----------
    result : Result
        Behind `mialib.filters.LabelOnly`, for the answer to be the wrong class alone.
    seed : int or SeedSequence
    n_shuffles : int
        Of membership, inside each class, for the range of chance.

    Returns
    -------
    auc : float
        Area under the ROC curve over those pairs; NaN if there is none.
    chance : Estimate
        Mean and 95 % range of the same with membership shuffled.
    """
    wrong = ~result.target.right & result.judged
    labels, member = result.target.labels[wrong], result.target.member[wrong]
    probability, rng = result.probability[wrong], np.random.default_rng(seed)
    classes = [np.flatnonzero(labels == c) for c in np.unique(labels)]
    classes = [rows for rows in classes if 0 < member[rows].sum() < len(rows)]

    def of(memberships):
        pairs = [m.sum() * (~m).sum() for m in memberships]
        areas = [metrics.roc_auc(m, probability[rows]) for m, rows in zip(memberships, classes, strict=True)]
        return float(np.average(areas, weights=pairs)) if areas else float("nan")

    true = [member[rows] for rows in classes]
    shuffled = [of([rng.permutation(m) for m in true]) for _ in range(n_shuffles)]
    low, high = np.quantile(shuffled, [0.025, 0.975])
    return of(true), metrics.Estimate(float(np.mean(shuffled)), float(low), float(high))


def utility_and_leakage(rows):
    """Return the points of a figure of utility against leakage, by kind of mitigation.

    Parameters
    ----------
    rows : dict of str to dict of str to Estimate
        Mitigation to what `attack_estimates` returns.

    Returns
    -------
    dict of str to dict of str to (float, Estimate)
        Kind to its mitigations: test accuracy of the target, accuracy of the attack.
    """
    kinds = {"L2": "L2 penalty", "dropout": "dropout", "DP-SGD": "DP-SGD", "none": "none"}
    series = {}
    for name, row in rows.items():
        kind = next((kind for start, kind in kinds.items() if name.startswith(start)), "filter")
        series.setdefault(kind, {})[name] = row["test accuracy"].value, row["attack accuracy"]
    return series


def against_none(rows, suffix):
    """Return what each mitigation changes, as ``{"attack accuracy, L2 1e-3 minus none, Purchase": float}``.

    Parameters
    ----------
    rows : dict of str to dict of str to Estimate
        Mitigation, among them ``none``, to what `attack_estimates` returns.
    suffix : str
    """
    return {
        f"{quantity}, {name} minus none, {suffix}": row[quantity].value - rows["none"][quantity].value
        for name, row in rows.items()
        for quantity in ("test accuracy", "attack accuracy")
    }
