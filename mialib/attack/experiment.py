"""The whole path: split, target and shadow models, prediction vectors, attack, numbers."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from mialib import metrics
from mialib.attack.answers import Answers, query
from mialib.attack.shadow import ATTACK_RECIPE, ClassAttack
from mialib.base.seeding import child, children
from mialib.base.validate import check_integer
from mialib.datasets.dataset import Dataset
from mialib.datasets.splits import OwnOut, ShadowSets, SharedOut, Split, shadow_sets, split
from mialib.models.training import Recipe, train_models


def attack_unaware(result, defended, cache=None, n_jobs=-1):
    """Attack defended targets through shadow models that are not: the attacker does not know of the mitigation.

    Parameters
    ----------
    result : Result
        Of the same experiment without a mitigation, from whose shadows the attack models learn.
    defended : dict of str to Recipe or platform
        Name to how the target is trained and answers, such as `Filtered`.
    cache : ModelCache, optional
    n_jobs : int

    Returns
    -------
    dict of str to Result
        The `experiment` of each is that of its target.
    """
    experiments = {name: replace(result.experiment, recipe=recipe) for name, recipe in defended.items()}
    answers = {name: query_target(experiment, result.data, cache) for name, experiment in experiments.items()}
    attacked = attack_answers(result, answers, n_jobs)
    return {name: replace(attacked[name], experiment=experiments[name]) for name in experiments}


def attack_answers(result, answers, n_jobs=-1):
    """Try the attack models of a result on other answers than its target's.

    Parameters
    ----------
    result : Result
    answers : dict of str to Answers
    n_jobs : int

    Returns
    -------
    dict of str to Result
        With these answers in the place of the target's.
    """
    attack = ClassAttack(result.experiment.attack, child(result.experiment.seed, 4)).fit(result.shadows, n_jobs)
    return {
        name: replace(result, target=target, probability=attack.predict_proba(target.labels, target.vectors))
        for name, target in answers.items()
    }


@dataclass(frozen=True)
class Experiment:
    """Everything that decides an attack's outcome, except the records (§VI).

    Parameters
    ----------
    size : int
        Records in the target's training set, in its out set, and in both sets of each shadow.
    n_shadow : int
        Number of shadow models, k in the paper.
    recipe : Recipe or platform
        How the target is trained, and its shadows alike: as a local network, or by a platform of
        `mialib.platforms.closed`.
    attack : Recipe
        How the attack models are trained.
    out : OwnOut or SharedOut
        Where the shadows' out records come from.
    seed : int

    Raises
    ------
    ValueError
        If a count or the seed is not a whole number, or too small.
    """

    size: int
    n_shadow: int = 20
    recipe: Recipe = Recipe()
    attack: Recipe = ATTACK_RECIPE
    out: OwnOut | SharedOut = OwnOut()
    seed: int = 0

    def __post_init__(self):
        check_integer("size", self.size, 1)
        check_integer("n_shadow", self.n_shadow, 1)
        check_integer("seed", self.seed, 0)


@dataclass(frozen=True, eq=False)
class Result:
    """What an attack on a target found.

    Parameters
    ----------
    experiment : Experiment
    data : Dataset
    split : Split
    shadow_sets : ShadowSets
    target : Answers
        The target's, about its members and then as many non-members; ``2 * size`` records.
    shadows : Answers
        What the attack models learned from.
    probability : ndarray of float64, shape (2 * size,)
        Membership probability of the target's records; NaN where a class has no attack model.
    """

    experiment: Experiment
    data: Dataset
    split: Split
    shadow_sets: ShadowSets
    target: Answers
    shadows: Answers
    probability: np.ndarray

    @property
    def judged(self):
        """The records for which there is a membership probability (ndarray of bool)."""
        return ~np.isnan(self.probability)

    @property
    def inferred(self):
        """The records inferred as members; never one that was not judged (ndarray of bool)."""
        return self.probability > 0.5

    @property
    def precision(self):
        """Share of the records inferred as members that are members (float)."""
        return metrics.precision(self.target.member, self.inferred)

    @property
    def recall(self):
        """Share of the members that are inferred as members (float)."""
        return metrics.recall(self.target.member, self.inferred)

    @property
    def auc(self):
        """Area under the ROC curve over the records that were judged (float)."""
        return metrics.roc_auc(self.target.member[self.judged], self.probability[self.judged])

    def per_class(self, statistic):
        """Return a statistic of `mialib.metrics` for each true class, shape (classes,)."""
        return metrics.per_class(statistic, self.target.labels, self.target.member, self.inferred, self.data.n_classes)

    def numbers(self):
        """Return every number of the attack by name: `Estimate`, or float for the base rate, a baseline or a count.

        Returns
        -------
        dict
            Accuracies of target and shadows; attack precision, recall, accuracy, AUC and recall
            at 1 % false positives; beside them the baseline, base rate and the gap attack.
        """
        seeds = children(child(self.experiment.seed, 5), 5)
        member, judged = self.target.member, self.judged
        return {
            "target train accuracy": metrics.share_of(self.target.right[member]),
            "target test accuracy": metrics.share_of(self.target.right[~member]),
            "shadow train accuracy": metrics.share_of(self.shadows.right[self.shadows.member]),
            "shadow test accuracy": metrics.share_of(self.shadows.right[~self.shadows.member]),
            "precision": metrics.estimate(metrics.precision, member, self.inferred, seeds[0]),
            "recall": metrics.estimate(metrics.recall, member, self.inferred, seeds[1]),
            "accuracy": metrics.estimate(metrics.accuracy, member, self.inferred, seeds[2]),
            "AUC": metrics.estimate(metrics.roc_auc, member[judged], self.probability[judged], seeds[3]),
            "recall at 1 % false positives": metrics.estimate(
                _recall_at_one_percent, member[judged], self.probability[judged], seeds[4]
            ),
            "baseline": metrics.BASELINE,
            "base rate": metrics.base_rate(member),
            "gap attack precision": metrics.precision_estimate(member, self.target.right),
            "records not judged": int(np.count_nonzero(~judged)),
        }


def _recall_at_one_percent(member, probability, weight=None):
    return metrics.tpr_at_fpr(member, probability, 0.01, weight)


def run(experiment, data, cache=None, n_jobs=-1):
    """Train a target and its shadow models, attack the target, and return what was found.

    Parameters
    ----------
    experiment : Experiment
    data : Dataset
    cache : ModelCache, optional
        Where trained models are kept; by default the user's.
    n_jobs : int
        Blocks of models trained at the same time, as for joblib; no number depends on it.

    Returns
    -------
    Result

    Raises
    ------
    ValueError
        If the data do not carry the experiment's sizes.
    """
    split_seed, sets_seed = children(experiment.seed, 2)
    parts = split(len(data), experiment.size, split_seed, data.groups)
    sets = shadow_sets(parts.pool, experiment.n_shadow, experiment.size, sets_seed, experiment.out, data.groups)
    stack = _target_and_shadows(experiment, data, parts, sets, cache, n_jobs)
    target = query(stack.models(slice(0, 1)), data, parts.target_in[None], parts.target_out[None])
    shadows = query(stack.models(slice(1, None)), data, sets.in_, sets.out)
    return attacked(experiment, data, parts, sets, target, shadows, n_jobs)


def attacked(experiment, data, parts, sets, target, shadows, n_jobs=-1):
    """Have attack models learn from the shadows' answers, and return what they find in the target's.

    Parameters
    ----------
    experiment : Experiment
    data : Dataset
    parts : Split
    sets : ShadowSets
    target, shadows : Answers
    n_jobs : int

    Returns
    -------
    Result
    """
    attack = ClassAttack(experiment.attack, child(experiment.seed, 4)).fit(shadows, n_jobs)
    probability = attack.predict_proba(target.labels, target.vectors)
    return Result(experiment, data, parts, sets, target, shadows, probability)


def sweep(experiments, data, cache=None, n_jobs=-1):
    """Run experiments and return their numbers, one row each.

    Parameters
    ----------
    experiments : iterable of Experiment
    data : Dataset
    cache : ModelCache, optional
    n_jobs : int

    Returns
    -------
    DataFrame
        Columns ``size``, ``n_shadow``, ``out`` (own or shared), ``seed``, ``precision``,
        ``recall``, ``AUC``, ``train accuracy`` and ``test accuracy`` of the target.

    Raises
    ------
    ValueError
        If there are no experiments, or the data do not carry one.
    """
    experiments, rows = list(experiments), []
    if not experiments:
        raise ValueError("there are no experiments to run; give at least one")
    for experiment in experiments:
        result = run(experiment, data, cache, n_jobs)
        rows.append(
            {
                "size": experiment.size,
                "n_shadow": experiment.n_shadow,
                "out": str(experiment.out),
                "seed": experiment.seed,
                "precision": result.precision,
                "recall": result.recall,
                "AUC": result.auc,
                "train accuracy": result.target.train_accuracy,
                "test accuracy": result.target.test_accuracy,
            }
        )
    return pd.DataFrame(rows)


def train_target(experiment, data, cache=None):
    """Train the target of an experiment alone.

    Parameters
    ----------
    experiment : Experiment
    data : Dataset
    cache : ModelCache, optional

    Returns
    -------
    parts : Split
    stack : Stack
        Of one model, the target of ``run(experiment, data)``.
    """
    split_seed, _, target_seed = children(experiment.seed, 3)
    parts = split(len(data), experiment.size, split_seed, data.groups)
    return parts, train_models(experiment.recipe, data, parts.target_in[None], [target_seed], cache)


def query_target(experiment, data, cache=None):
    """Train the target of an experiment alone, and ask it about its members and non-members.

    Parameters
    ----------
    experiment : Experiment
    data : Dataset
    cache : ModelCache, optional

    Returns
    -------
    Answers
        The same as ``run(experiment, data).target``.
    """
    parts, stack = train_target(experiment, data, cache)
    return query(stack, data, parts.target_in[None], parts.target_out[None])


def models(result, cache=None):
    """Return the models of a result, from the cache if they are still there.

    Parameters
    ----------
    result : Result
    cache : ModelCache, optional

    Returns
    -------
    DenseStack or ConvStack
        The target first, then its shadow models.
    """
    return _target_and_shadows(result.experiment, result.data, result.split, result.shadow_sets, cache)


def _target_and_shadows(experiment, data, parts, sets, cache, n_jobs=-1):
    _, _, target_seed, shadow_seed = children(experiment.seed, 4)
    in_ = np.concatenate([parts.target_in[None], sets.in_])
    seeds = [target_seed, *children(shadow_seed, experiment.n_shadow)]
    return train_models(experiment.recipe, data, in_, seeds, cache, n_jobs)


def attack_with(experiment, data, shadow_data, cache=None, n_jobs=-1):
    """Attack a target through shadow models that know other records than its own: synthetic or noisy ones (§V-C).

    Parameters
    ----------
    experiment : Experiment
    data : Dataset
        Of the target, which is that of ``run(experiment, data)``.
    shadow_data : Dataset
        From all of which the shadows' sets are drawn.
    cache : ModelCache, optional
    n_jobs : int

    Returns
    -------
    Result
        Its `shadow_sets` are rows of `shadow_data`.

    Raises
    ------
    ValueError
        If `shadow_data` has other classes or features, or fewer than ``2 * size`` records.
    """
    if (shadow_data.n_classes, shadow_data.x.shape[1:]) != (data.n_classes, data.x.shape[1:]):
        raise ValueError(
            f"the shadows' records are of shape {shadow_data.x.shape[1:]} in {shadow_data.n_classes} classes, "
            f"the target's {data.x.shape[1:]} in {data.n_classes}; both must agree"
        )
    split_seed, sets_seed, _, shadow_seed = children(experiment.seed, 4)
    parts, n = split(len(data), experiment.size, split_seed, data.groups), experiment.n_shadow
    pool, groups = np.arange(len(shadow_data)), shadow_data.groups
    sets = shadow_sets(pool, n, experiment.size, sets_seed, experiment.out, groups)
    stack = train_models(experiment.recipe, shadow_data, sets.in_, children(shadow_seed, n), cache, n_jobs)
    target, shadows = query_target(experiment, data, cache), query(stack, shadow_data, sets.in_, sets.out)
    return attacked(experiment, data, parts, sets, target, shadows, n_jobs)


def attack_model(experiment, data, target, cache=None, n_jobs=-1):
    """Attack a model that stands already, such as one behind HTTP, through the shadow models of ``run``.

    Parameters
    ----------
    experiment : Experiment
        Its `recipe` is that of the shadow models.
    data : Dataset
        Split as by ``run``: the model must have been trained on the target's members.
    target : Models
        Of one model; asked once about each of the target's records.
    cache : ModelCache, optional
    n_jobs : int

    Returns
    -------
    Result
        That of ``run(experiment, data)``, if the model is the experiment's own target.
    """
    split_seed, sets_seed, _, shadow_seed = children(experiment.seed, 4)
    parts, n = split(len(data), experiment.size, split_seed, data.groups), experiment.n_shadow
    sets = shadow_sets(parts.pool, n, experiment.size, sets_seed, experiment.out, data.groups)
    answers = query(target, data, parts.target_in[None], parts.target_out[None])
    stack = train_models(experiment.recipe, data, sets.in_, children(shadow_seed, n), cache, n_jobs)
    shadows = query(stack, data, sets.in_, sets.out)
    return attacked(experiment, data, parts, sets, answers, shadows, n_jobs)
