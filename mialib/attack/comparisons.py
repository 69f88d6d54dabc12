"""Results and attacks compared: what the chapters on data sets, platforms and mitigations show."""

import time
from dataclasses import replace

import numpy as np
from scipy.stats import mode, rankdata

from mialib import metrics
from mialib.attack.experiment import query_target, train_target
from mialib.platforms.private import accuracy_bound, epsilon_found, exchanged
from mialib.synthesis.formats import Format
from mialib.synthesis.model_based import synthesize
from mialib.synthesis.search import Queries


def summary(results):
    """Return the numbers of Tables I and II for each of some results, a dict of dict of Estimate.

    Train and test accuracy of the target, then precision, recall and AUC of the attack, and precision of the gap
    attack.
    """
    return {
        name: {
            "train accuracy": result.target.train_accuracy,
            "test accuracy": result.target.test_accuracy,
            "precision": result.inference.precision,
            "recall": result.inference.recall,
            "median precision": metrics.median(result.per_class(metrics.precision)),
            "AUC": result.inference.auc,
            "gap attack precision": metrics.precision(result.target.member, result.target.right),
        }
        for name, result in results.items()
    }


def percentiles(results):
    """Return what Figures 5 and 7 show of each of some results besides the median, a dict of dict of Estimate.

    The precision that three quarters and nine tenths of the classes do not exceed, and the median recall.
    """
    rows = {}
    for name, result in results.items():
        precision = result.per_class(metrics.precision)
        rows[name] = {
            f"precision of {below:.0%} of classes".replace("%", " %"): metrics.quantile(precision, below)
            for below in (0.75, 0.9)
        } | {"median recall": metrics.median(result.per_class(metrics.recall))}
    return rows


def of_classes(results):
    """Return precision and recall of each class, arrays by name, as `mialib.Chapter.keep` takes them for figures."""
    return {
        f"{statistic.__name__}, {name}, by class": result.per_class(statistic)
        for name, result in results.items()
        for statistic in (metrics.precision, metrics.recall)
    }


def lead_left(precision, of):
    """Return which part of another precision's lead over guessing this one has; NaN if the other has no lead."""
    lead = of - metrics.BASELINE
    return float((precision - metrics.BASELINE) / lead) if lead > 0 else float("nan")


def nearness(experiment, ways, data, paper, cache=None):
    """Return how near a target comes to one of the paper's, for each way of training it, a dict of rows.

    `paper` has ``train accuracy`` and ``test accuracy`` of the paper's target. A row has both of ours, which is trained
    alone and not attacked, and how far the two together lie from the paper's.
    """
    rows = {}
    for name, way in ways.items():
        target = query_target(replace(experiment, recipe=way), data, cache)
        found = {"train accuracy": target.train_accuracy, "test accuracy": target.test_accuracy}
        away = float(np.hypot(*(found[quantity] - paper[quantity] for quantity in found)))
        rows[name] = found | {"distance from the paper's": away}
    return rows


def named(rows, suffix=None):
    """Return ``{"precision, row": value}`` for a dict of rows, as claims and prose take numbers.

    With a suffix the names are ``"precision, row, suffix"``.
    """
    end = f", {suffix}" if suffix else ""
    return {f"{quantity}, {row}{end}": value for row, of_row in rows.items() for quantity, value in of_row.items()}


def prefixed(rows):
    """Return ``{"row, precision": value}`` for a dict of rows: `named`, with the row's name first."""
    return {f"{row}, {quantity}": value for row, of_row in rows.items() for quantity, value in of_row.items()}


def accuracy_gained(better, result):
    """Return how much more accurate one attack is than another on the same target's records (Estimate).

    The interval is of the mean difference over the records, of which most are judged alike.
    """
    right = [of.inference.inferred == of.inference.member for of in (better, result)]
    return metrics.mean(right[0].astype(float) - right[1])


def compare_attacks(result, attacks):
    """Train attacks, a dict by name, on a result's shadows, try them on its target, and return a dict of rows.

    A row holds accuracy and AUC (Estimate), the seconds that training took, and the number of parameters.
    """
    rows = {}
    for name, attack in attacks.items():
        started = time.perf_counter()
        attack.fit(result.shadows)
        seconds, found = time.perf_counter() - started, attack.infer(result.target)
        rows[name] = {
            "accuracy": found.accuracy,
            "AUC": found.auc,
            "seconds": seconds,
            "parameters": attack.n_parameters,
        }
    return rows


def share_above(result, precision):
    """Return the share of classes in which the attack is more precise than this (Estimate); see Fig. 6."""
    return metrics.share_of(result.per_class(metrics.precision) > precision)


def attack_estimates(result):
    """Return what Table III gives of a result, a dict of str to Estimate.

    Test accuracy of the target; accuracy, precision and recall of the attack.
    """
    inference = result.inference
    return {
        "test accuracy": result.target.test_accuracy,
        "attack accuracy": inference.accuracy,
        "precision": inference.precision,
        "recall": inference.recall,
    }


def estimates_of_each(results):
    """Return the `attack_estimates` of each of some results, a dict of str to dict."""
    return {name: attack_estimates(result) for name, result in results.items()}


def gap_accuracy(result):
    """Return the accuracy of the gap attack, which calls a record a member if it is classified correctly (Estimate)."""
    return metrics.accuracy(result.target.member, result.target.right)


def auc_of_mislabelled(result, seed=0, n_shuffles=200):
    """Return how well members and non-members of one class that the target mislabels are told apart (§IX).

    Only records of which the target names a wrong class count, and only pairs of the same true class: neither how often
    a class is mislabelled nor how often members are can help. The target is behind `LabelOnly`, for the answer to be
    the wrong class alone. Returns two Estimates: the area under the ROC curve over those pairs (NaN if there is none),
    its interval as wide as chance is, and chance: mean and 95 % range of the same with membership shuffled inside each
    class.
    """
    found = result.inference.rows(~result.target.right & result.inference.judged)
    rng, classes = np.random.default_rng(seed), []
    for c in np.unique(found.groups):
        member, score = (values[found.groups == c] for values in (found.member, found.score))
        if 0 < member.sum() < len(member):
            classes.append((member, rankdata(score)))

    def area(classes):
        above, pairs = 0.0, 0
        for member, ranks in classes:
            k = member.sum()
            above += ranks[member].sum() - k * (k + 1) / 2
            pairs += k * (len(member) - k)
        return float(above / pairs) if pairs else float("nan")

    shuffled = [area([(rng.permutation(member), ranks) for member, ranks in classes]) for _ in range(n_shuffles)]
    chance, found = metrics.Estimate(np.mean(shuffled), *np.quantile(shuffled, [0.025, 0.975])), area(classes)
    return metrics.Estimate(found, found - (chance.high - chance), found + (chance - chance.low)), chance


def label_leakage(result, seed=0):
    """Return what a bare label betrays: whether it is right, and which wrong one it is (§IX).

    For a result behind `LabelOnly`: accuracies of the target, of the attack and of the gap attack, and what
    `auc_of_mislabelled` returns, by name.
    """
    auc, chance = auc_of_mislabelled(result, seed)
    return {
        "target train accuracy": result.target.train_accuracy,
        "target test accuracy": result.target.test_accuracy,
        "attack accuracy": result.inference.accuracy,
        "gap attack accuracy": gap_accuracy(result),
        "AUC among the mislabelled": auc,
        "the same by chance": chance,
    }


def against_none(rows, suffix):
    """Return what each mitigation changes, as ``{"attack accuracy, L2 1e-3 minus none, Purchase": float}``.

    `rows` are `attack_estimates` by mitigation, among them ``none``.
    """
    return {
        f"{quantity}, {name} minus none, {suffix}": row[quantity] - rows["none"][quantity]
        for name, row in rows.items()
        for quantity in ("test accuracy", "attack accuracy")
    }


def gained_by_knowing(rows, unaware):
    """Return by how much more an attacker infers who knows of a mitigation, by name (dict of float).

    `rows` and `unaware` are `attack_estimates` by mitigation, of an attacker who knows and of one who does not.
    """
    return {
        f"{quantity} that knowing adds, {row}": rows[row][quantity] - value
        for row, of_row in unaware.items()
        for quantity, value in of_row.items()
        if quantity in ("attack accuracy", "recall")
    }


def precision_by_budget(result, budgets, seed):
    """Return the attack's precision among the records that a budget of queries reaches, half of them members.

    Shadow models are the attacker's own, so a query is spent on nothing but a record to be judged. Which records, the
    seed decides; a larger budget asks about those of a smaller one as well. An Estimate by budget; those beyond the
    records are left out.
    """
    half = result.experiment.size
    order, found = np.random.default_rng(seed).permutation(half), {}
    for budget in budgets:
        if budget <= 2 * half:
            rows = np.concatenate([order[: budget // 2], half + order[: budget // 2]])
            found[budget] = result.inference.rows(rows).precision
    return found


def first_above(line, level):
    """Return the smallest budget of `precision_by_budget` from which on every interval lies above a level, or NaN."""
    enough = float("nan")
    for budget in sorted(line, reverse=True):
        if not line[budget].low > level:
            break
        enough = float(budget)
    return enough


def promised_and_measured(results):
    """Return what privacy promises of attacks, and what an attack found, for results of `DPSGD`, a dict of rows.

    A row holds accuracies of the target, the accuracy of the attack, and the bounds on it for one record added or
    removed, and for one exchanged; then the ε that training spends, and that which the attack proves at least.
    """
    privacy = {name: (of.experiment.recipe.epsilon, of.experiment.recipe.delta) for name, of in results.items()}
    return {
        name: {
            "train accuracy": float(result.target.train_accuracy),
            "test accuracy": result.target.test_accuracy,
            "attack accuracy": result.inference.accuracy,
            "bound": accuracy_bound(*privacy[name]),
            "bound, exchanged": accuracy_bound(*exchanged(*privacy[name])),
            "epsilon promised": privacy[name][0],
            "epsilon found": epsilon_found(result.target.member, result.inference.inferred, privacy[name][1]),
        }
        for name, result in results.items()
    }


def with_paper(found, paper):
    """Return what Figures 8 and 9 compare, rows of a table: numbers of results by name, with the paper's by name.

    `paper` has precision and recall of some of them, as `mialib.book.ledger.paper_table` gives them.
    """
    rows = {}
    for name, of in found.items():
        row, printed = {}, paper.get(name, {})
        for quantity in ("precision", "recall"):
            row |= {f"paper's {quantity}": printed.get(quantity), quantity: of[quantity]}
        rows[name] = row | {more: of[more] for more in ("AUC", "shadow test accuracy", "records not judged")}
    return rows


def synthesis_costs(experiment, sets, n_searches, search, seed=0):
    """Return what searches for records of targets of several data sets cost, each as `Synthesis.cost` gives it, by set.

    `search` is meant for Purchase: its k_max keeps its share of 600 binary features.
    """
    costs = {}
    for name, data in sets.items():
        _, target = train_target(experiment, data)
        n_features, classes = data.x.shape[1], np.arange(n_searches) % data.n_classes
        scaled = replace(search, k_max=max(search.k_min, search.k_max * n_features // 600))
        made = synthesize(target, classes, Format((n_features,)), scaled, Queries(n_jobs=-1), seed)
        costs[name] = made.cost()
    return costs


def vote(models, data):
    """Return the share of models that name each record's class, and the class that most of them name."""
    named = models.predict_proba(data.x).argmax(axis=2)
    return np.mean(named == data.y, axis=0), mode(named, axis=0).mode
