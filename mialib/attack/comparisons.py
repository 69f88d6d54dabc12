"""Results and attacks beside each other: what the chapters on data sets, platforms and mitigations show."""

import time
from dataclasses import replace

import numpy as np

from mialib import metrics
from mialib.attack import lira
from mialib.attack.answers import Inference
from mialib.attack.experiment import run
from mialib.attack.thresholds import Confidence, GapAttack, Loss, ThresholdAttack
from mialib.base.seeding import children
from mialib.platforms.private import ACCOUNTANTS, accuracy_bound, exchanged


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
        "train accuracy": metrics.share_of(target.right[member]),
        "test accuracy": metrics.share_of(target.right[~member]),
        "precision": metrics.precision_estimate(member, result.inferred),
        "recall": metrics.recall_estimate(member, result.inferred),
        "median precision": metrics.median(result.per_class(metrics.precision)),
        "AUC": metrics.auc_estimate(member[judged], result.probability[judged]),
        "gap attack precision": metrics.precision_estimate(member, target.right),
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
        Such as `mialib.attack.shadow.ClassAttack` and `mialib.attack.shadow.PooledAttack`.

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
            "accuracy": metrics.share_of(result.target.member == (probability > 0.5)),
            "AUC": metrics.auc_estimate(result.target.member[judged], probability[judged]),
            "seconds": seconds,
            "parameters": attack.n_parameters,
        }
    return rows


def share_above(result, precision):
    """Return the share of classes in which the attack is more precise than this (Estimate); see Fig. 6."""
    return metrics.share_of(result.per_class(metrics.precision) > precision)


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
    return {"test accuracy": metrics.share_of(result.target.right[~member])} | {
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
        Behind `mialib.platforms.mitigations.LabelOnly`, for the answer to be the wrong class alone.
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


SHORT = {
    "precision": "precision",
    "recall": "recall",
    "accuracy": "accuracy",
    "recall at 1 % false positives": "recall, 1 % FPR",
    "recall at 0.1 % false positives": "recall, 0.1 % FPR",
}
"""Headings of a table that fits a page."""


def columns(rows):
    """Return numbers as `mialib.book.tables.numbers_table` takes them, an attack a row.

    Parameters
    ----------
    rows : dict of str to dict of str to Estimate
        By attack, then by the name of the number.

    Returns
    -------
    dict of str to dict of str to Estimate
    """
    return {short: {attack: row[name] for attack, row in rows.items()} for name, short in SHORT.items()}


def all_attacks(result, cache=None, n_jobs=-1):
    """Return what each attack says about a result's target.

    Parameters
    ----------
    result : Result
        All attacks but online LiRA learn from its shadow models; that one trains as many others, on halves of the
        target's records.
    cache : ModelCache, optional
    n_jobs : int

    Returns
    -------
    dict of str to Inference
    """
    simple = {
        "gap attack": GapAttack(),
        "confidence threshold": ThresholdAttack(Confidence()),
        "loss threshold": ThresholdAttack(Loss()),
    }
    return {
        **{name: attack.fit(result.shadows).infer(result.target) for name, attack in simple.items()},
        "shadow attack": Inference(result.target.member, result.probability, result.inferred),
        "LiRA, offline": lira.offline(result, cache),
        "LiRA, online": lira.online(result.experiment, result.data, cache, n_jobs=n_jobs),
    }


def precision_by_budget(result, budgets, seed):
    """Return the attack's precision among the records that a budget reaches, half of them members.

    Shadow models are the attacker's own, so a query is spent on nothing but a record to be judged.

    Parameters
    ----------
    result : Result
    budgets : sequence of int
        Numbers of queries; what exceeds the records is left out.
    seed : int or SeedSequence
        Which records are asked about; a larger budget asks about those of a smaller one as well.

    Returns
    -------
    dict of int to Estimate
        With exact intervals, since some budgets are small.
    """
    half = result.experiment.size
    order = np.random.default_rng(seed).permutation(half)
    found = {}
    for budget in budgets:
        if budget <= 2 * half:
            rows = np.concatenate([order[: budget // 2], half + order[: budget // 2]])
            found[budget] = metrics.precision_estimate(result.target.member[rows], result.inferred[rows])
    return found


def first_above(line, level):
    """Return the smallest budget from which on every interval lies above a level, NaN if there is none.

    Parameters
    ----------
    line : dict of int to Estimate
        From `precision_by_budget`.
    level : float

    Returns
    -------
    float
    """
    enough = float("nan")
    for budget in sorted(line, reverse=True):
        if not line[budget].low > level:
            break
        enough = float(budget)
    return enough


def promised_and_measured(results, seed=0):
    """Return what privacy promises of attacks, and what an attack found, for results of `DPSGD`.

    Parameters
    ----------
    results : dict of str to Result
    seed : int or SeedSequence

    Returns
    -------
    dict of str to dict of str to float or Estimate
        Name to noise multiplier, ε by each accountant, accuracies of the target, accuracy of the
        attack, and the bounds on it for one record added or removed, and for one exchanged.
    """
    return {name: _promise(result, seed) for name, result in results.items()}


def _promise(result, seed):
    recipe, n = result.experiment.recipe, result.experiment.size
    estimates = attack_estimates(result, seed)
    return {
        "noise multiplier": recipe.noise_multiplier(n),
        **{f"epsilon, {accountant}": recipe.spent(n, accountant) for accountant in ACCOUNTANTS},
        "train accuracy": result.target.train_accuracy,
        "test accuracy": estimates["test accuracy"],
        "attack accuracy": estimates["attack accuracy"],
        "bound": accuracy_bound(recipe.epsilon, recipe.delta),
        "bound, exchanged": accuracy_bound(*exchanged(recipe.epsilon, recipe.delta)),
    }
