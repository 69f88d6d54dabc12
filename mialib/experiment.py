"""The whole path: split, target and shadow models, prediction vectors, attack, numbers."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from mialib import metrics
from mialib.attack import ATTACK_RECIPE, Answers, ClassAttack, query
from mialib.cache import ModelCache, model_key
from mialib.checks import whole
from mialib.progress import progress
from mialib.records import Dataset
from mialib.seeding import child, children
from mialib.splits import OwnOut, ShadowSets, SharedOut, Split, shadow_sets, split
from mialib.training import Recipe, default_device, fit_blocks


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
        `mialib.platforms`.
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
        whole("size", self.size, 1)
        whole("n_shadow", self.n_shadow, 1)
        whole("seed", self.seed, 0)


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
        """Return every number of the attack by name: `Estimate` where it has an interval, else float.

        Returns
        -------
        dict
            Accuracies of target and shadows; attack precision, recall, accuracy, AUC and recall
            at 1 % false positives; beside them the baseline, base rate and the gap attack.
        """
        seeds = children(child(self.experiment.seed, 5), 5)
        member, judged = self.target.member, self.judged
        return {
            "target train accuracy": self.target.train_accuracy,
            "target test accuracy": self.target.test_accuracy,
            "shadow train accuracy": self.shadows.train_accuracy,
            "shadow test accuracy": self.shadows.test_accuracy,
            "precision": metrics.estimate(metrics.precision, member, self.inferred, seeds[0]),
            "recall": metrics.estimate(metrics.recall, member, self.inferred, seeds[1]),
            "accuracy": metrics.estimate(metrics.accuracy, member, self.inferred, seeds[2]),
            "AUC": metrics.estimate(metrics.roc_auc, member[judged], self.probability[judged], seeds[3]),
            "recall at 1 % false positives": metrics.estimate(
                _recall_at_one_percent, member[judged], self.probability[judged], seeds[4]
            ),
            "baseline": metrics.BASELINE,
            "base rate": metrics.base_rate(member),
            "gap attack precision": metrics.gap_precision(self.target.train_accuracy, self.target.test_accuracy),
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
    split_seed, sets_seed, _, _, attack_seed = children(experiment.seed, 5)
    parts = split(len(data), experiment.size, split_seed, data.groups)
    sets = shadow_sets(parts.pool, experiment.n_shadow, experiment.size, sets_seed, experiment.out, data.groups)
    stack = _target_and_shadows(experiment, data, parts, sets, cache, n_jobs)
    target = query(stack.models(slice(0, 1)), data, parts.target_in[None], parts.target_out[None])
    shadows = query(stack.models(slice(1, None)), data, sets.in_, sets.out)
    attack = ClassAttack(experiment.attack, attack_seed).fit(shadows, n_jobs)
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
    split_seed, sets_seed, _, shadow_seed, attack_seed = children(experiment.seed, 5)
    parts, n = split(len(data), experiment.size, split_seed, data.groups), experiment.n_shadow
    pool, groups = np.arange(len(shadow_data)), shadow_data.groups
    sets = shadow_sets(pool, n, experiment.size, sets_seed, experiment.out, groups)
    stack = train_models(experiment.recipe, shadow_data, sets.in_, children(shadow_seed, n), cache, n_jobs)
    target, shadows = query_target(experiment, data, cache), query(stack, shadow_data, sets.in_, sets.out)
    attack = ClassAttack(experiment.attack, attack_seed).fit(shadows, n_jobs)
    probability = attack.predict_proba(target.labels, target.vectors)
    return Result(experiment, data, parts, sets, target, shadows, probability)


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
    split_seed, sets_seed, _, shadow_seed, attack_seed = children(experiment.seed, 5)
    parts, n = split(len(data), experiment.size, split_seed, data.groups), experiment.n_shadow
    sets = shadow_sets(parts.pool, n, experiment.size, sets_seed, experiment.out, data.groups)
    answers = query(target, data, parts.target_in[None], parts.target_out[None])
    stack = train_models(experiment.recipe, data, sets.in_, children(shadow_seed, n), cache, n_jobs)
    shadows = query(stack, data, sets.in_, sets.out)
    attack = ClassAttack(experiment.attack, attack_seed).fit(shadows, n_jobs)
    return Result(
        experiment, data, parts, sets, answers, shadows, attack.predict_proba(answers.labels, answers.vectors)
    )


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


def train_models(recipe, data, index, seeds, cache=None, n_jobs=-1):
    """Return trained models, each from the cache if it is there, else trained in blocks and kept.

    Parameters
    ----------
    recipe : Recipe or platform
    data : Dataset
    index : ndarray of int, shape (M, n)
        The records of each model.
    seeds : sequence of M SeedSequence
    cache : ModelCache, optional
    n_jobs : int

    Returns
    -------
    Stack
        Of M models, or what a platform returns. An interrupted call leaves the blocks that were finished in the cache.
    """
    if not isinstance(recipe, Recipe):
        return recipe.train(data, index, seeds, cache, n_jobs)
    cache = cache or ModelCache()
    device = default_device()
    keys = [model_key(recipe, data.fingerprint, rows, seed, device) for rows, seed in zip(index, seeds, strict=True)]
    found = {key: cache.get(key) for key in keys}
    missing = [i for i, key in enumerate(keys) if found[key] is None]
    block_size = recipe.architecture.models_a_block if device.type == "cpu" else max(1, len(missing))
    blocks = fit_blocks(
        recipe, data.x, data.y, data.n_classes, index[missing], [seeds[i] for i in missing], block_size, n_jobs
    )
    with progress(len(missing), "training", "model", f"{recipe.length} each") as bar:
        for positions, parameters in blocks:
            for position, row in zip(positions, parameters, strict=True):
                key = keys[missing[position]]
                cache.put(key, row)
                found[key] = row
            bar.update(len(positions))
    stack = recipe.architecture.stack(0, data.x.shape[1:], data.n_classes, device)
    return stack.with_parameters(torch.from_numpy(np.stack([found[key] for key in keys])).to(device))


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
