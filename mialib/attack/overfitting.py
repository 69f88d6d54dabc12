"""Overfitting and leakage over many targets and classes (§VIII, Figures 10 to 12)."""

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.ensemble import RandomForestClassifier

from mialib import metrics
from mialib.attack.experiment import run_each
from mialib.models.stack import NN
from mialib.models.training import Recipe
from mialib.platforms.estimators import Classifier

NEEDED, MANY = 3, 10
"""Pairs from which a rank correlation says anything, and from which its interval does."""


def run_sets(experiment, ways, sets, cache=None):
    """Run an experiment for each way of training on each data set; results by both, for `overview`.

    `ways` names platforms; `sets` names data sets, each a pair with the size of the target's training set.
    """
    return {
        (way, name): result
        for name, (data, size) in sets.items()
        for way, result in run_each(replace(experiment, size=size), ways, data, cache).items()
    }


def ladders(widths, epochs, leaf_sizes=(32, 16, 8, 4, 2, 1)):
    """Return models of several types that overfit ever more, for `mialib.run_each`, by model type and setting.

    Softmax regression and networks of some widths (hidden units) train longer, leaves of a forest hold fewer records.
    """
    networks = {"softmax regression": ()} | {f"NN, {width} units": (width,) for width in widths}
    forests = {n: Classifier(RandomForestClassifier(100, min_samples_leaf=n)) for n in leaf_sizes}
    return {
        **{(name, f"{n} epochs"): Recipe(NN(units), n) for name, units in networks.items() for n in epochs},
        **{("forest", f"leaf size {n}"): forest for n, forest in forests.items()},
    }


def of_model(results, model, start=""):
    """Return the results of one model type whose setting starts so, by the rest of the setting's name."""
    return {s.removeprefix(start): result for (m, s), result in results.items() if m == model and s.startswith(start)}


def by_class(results):
    """Return what Figure 11 shows of each class of a target, a DataFrame.

    Columns: ``model``, the name of the result, and ``setting``, the class; the attack's precision in the class (NaN
    where no record is inferred), the class's share of the training data, and the gap between train and test accuracy.
    All three are NaN for a class that has no member of the target, or no non-member.
    """
    rows = []
    for name, result in results.items():
        target, right = result.target, result.target.right
        for c in range(result.data.n_classes):
            of_class = target.labels == c
            members, others = of_class & target.member, of_class & ~target.member
            of_one = (float("nan"),) * 3
            if members.any() and others.any():
                precision = float(result.inference.rows(of_class).precision)
                gap = float(right[members].mean() - right[others].mean())
                of_one = (precision, float(members.sum() / target.member.sum()), gap)
            rows.append((name, str(c), *of_one))
    columns = ["model", "setting", "precision in the class", "share of training data", "accuracy gap"]
    return pd.DataFrame(rows, columns=columns)


def class_correlations(classes):
    """Return how precision goes with the gap, and with the share, over all classes of `by_class`, by name.

    All models pooled, as Figure 11 shows them; and the mean over models, each by itself, since pooled the differences
    between models count as well. The latter is NaN if a model has no correlation to speak of.
    """
    precision, found = "precision in the class", {}
    for x in ("accuracy gap", "share of training data"):
        name = f"rank correlation in classes, precision and {x}"
        each = [_spearman(of[[x, precision]].dropna().to_numpy()) for _, of in classes.groupby("model", sort=False)]
        found[name] = rank_correlation(classes[x], classes[precision])
        found[f"{name}, one model"] = float(np.mean(each))
    return found


def class_arrays(classes):
    """Return the columns of `by_class` of each model, as `mialib.book.chapter.Chapter.keep` takes them."""
    columns = ("precision in the class", "share of training data", "accuracy gap")
    return {f"{c}, {name}": of[c].tolist() for name, of in classes.groupby("model", sort=False) for c in columns}


def class_spreads(results):
    """Return how far classes differ in precision, the quartiles' distance, of each result, and how it changes, by name.

    `results` are named from the least to the most; the last of the numbers is what the last has above the first.
    """
    spreads = {}
    for name, result in results.items():
        low, high = metrics.quantiles(result.per_class(metrics.precision), (0.25, 0.75))
        spreads[name] = float(high - low)
    first, *_, last = spreads.values()
    named = {f"spread between classes, {name}": spread for name, spread in spreads.items()}
    return named | {"spread between classes, most minus fewest records": last - first}


def certainty(answers):
    """Return how much surer members are answered than non-members (Figure 12), differences of means by name.

    `answers` are targets' by name.
    """
    found = {}
    for name, of in answers.items():
        probability = metrics.true_class_probability(of.labels, of.vectors)
        for what, value in (("probability", probability), ("entropy", metrics.normalised_entropy(of.vectors))):
            difference = float(value[of.member].mean() - value[~of.member].mean())
            found[f"{what}, members minus non-members, {name}"] = difference
    return found


def certainty_arrays(answers, n_bins=10):
    """Return the histograms of Figure 12 for `mialib.book.chapter.Chapter.keep`: shares of members and non-members.

    Of each target, by name, over bins of the probability of the true class and of the normalised entropy.
    """
    arrays = {}
    for name, of in answers.items():
        probability = metrics.true_class_probability(of.labels, of.vectors)
        for what, value in (("probability", probability), ("entropy", metrics.normalised_entropy(of.vectors))):
            for side, rows in (("members", of.member), ("non-members", ~of.member)):
                arrays[f"{what}, {side}, {name}"] = metrics.histogram(value[rows], n_bins).tolist()
    return arrays


def overview(results):
    """Return the gap and the attack of each run, for figures and rank correlations, a DataFrame.

    `results` are named by model type and setting; that of ``("local NN", "adult")`` has the row ``"local NN, adult"``.
    """
    runs = pd.DataFrame(
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
    return runs.set_index(runs["model"] + ", " + runs["setting"])


def run_arrays(runs):
    """Return gap, precision and AUC of each model type of `overview`, for `mialib.book.chapter.Chapter.keep`."""
    columns = ("accuracy gap", "precision", "AUC")
    return {f"{c}, runs of {name}": of[c].tolist() for name, of in runs.groupby("model", sort=False) for c in columns}


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
    rows = np.stack([rng.integers(0, len(pairs), len(pairs)) for _ in range(n_resamples)])
    low, high = np.nanquantile(_spearman(pairs[rows]), [(1 - level) / 2, (1 + level) / 2])
    return metrics.Estimate(_spearman(pairs), low, high)


def _spearman(pairs):
    """Return the rank correlation of pairs, (..., n, 2), of all resamples at once; by scipy it takes 0.4 ms each."""
    ranks = rankdata(pairs, axis=-2)
    ranks -= ranks.mean(axis=-2, keepdims=True)
    with np.errstate(invalid="ignore"):  # NaN, where a resample is constant
        return ranks.prod(axis=-1).sum(axis=-1) / np.sqrt((ranks**2).sum(axis=-2).prod(axis=-1))


def correlations(parts, seed=0):
    """Return how AUC goes with the gap and with test accuracy in parts of all runs, each a DataFrame of `overview`.

    By part: the number of its runs, and both as `rank_correlation` gives them.
    """
    of = ("accuracy gap", "test accuracy")
    return {
        name: {"runs": len(runs), **{f"AUC and {x}": rank_correlation(runs[x], runs["AUC"], seed) for x in of}}
        for name, runs in parts.items()
    }


def hold_gap(runs, tolerance):
    """Return the runs of `overview` whose gap is the median one, give or take a tolerance, by AUC; and two numbers.

    These are the gap, and by how much the AUC of these runs differs.
    """
    gap = runs["accuracy gap"].median()
    near = runs[(runs["accuracy gap"] - gap).abs() <= tolerance].sort_values("AUC")
    apart = float(near["AUC"].max() - near["AUC"].min())
    numbers = {"gap held fixed": float(gap), "AUC at one gap, largest minus smallest": apart}
    return near[["accuracy gap", "train accuracy", "AUC"]], numbers


def leaks_more(runs, model, other, tolerance):
    """Return in what share of pairs at one gap a model type leaks more than another, by AUC (float).

    Pairs are of a run of each in `overview` whose gaps differ by no more than a tolerance. A half if neither leaks
    more; NaN if there is no pair.
    """
    of_model, of_other = (runs[runs["model"] == name] for name in (model, other))
    apart = {x: of_model[x].to_numpy()[:, None] - of_other[x].to_numpy() for x in ("accuracy gap", "AUC")}
    leads = apart["AUC"][np.abs(apart["accuracy gap"]) <= tolerance]
    return float(np.mean((leads > 0) + (leads == 0) / 2)) if len(leads) else float("nan")


def discordances(runs):
    """Return the share of pairs of runs of `overview` in which the one with the larger gap leaks less, by AUC.

    One share is of pairs of one model type, one of pairs in one setting. 0 if the gap orders them all, 0.5 if it says
    nothing; pairs that are equal in either are left out, NaN if none remains.
    """
    pairs = {"model": "pairs of one model type", "setting": "pairs of model types in one setting"}
    return {f"larger gap leaks less, {name}": _discordance(runs, by) for by, name in pairs.items()}


def _discordance(runs, by):
    signs = []
    for _, group in runs.groupby(by, sort=False):
        gap, leak = (group[column].to_numpy() for column in ("accuracy gap", "AUC"))
        i, j = np.triu_indices(len(group), 1)
        signs.append(np.sign(gap[i] - gap[j]) * np.sign(leak[i] - leak[j]))
    signs = np.concatenate(signs)
    decided = signs[(signs != 0) & ~np.isnan(signs)]
    return float(np.mean(decided < 0)) if len(decided) else float("nan")
