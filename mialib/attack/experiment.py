"""The whole path: split, target and shadow models, prediction vectors, attack, numbers."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from mialib import metrics
from mialib.attack.answers import Answers, Inference, query
from mialib.attack.shadow import ATTACK_RECIPE, ClassAttack
from mialib.base.seeding import children, stream
from mialib.base.validate import check_integer
from mialib.datasets.dataset import Dataset
from mialib.datasets.splits import OwnOut, ShadowSets, SharedOut, Split, shadow_sets, split
from mialib.models.training import Recipe


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
        How the target is trained, and its shadows alike: as a local network, or by a platform of `mialib.platforms`.
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

    def split(self, data):
        """Return the target's records and the attacker's, a `Split`; a ValueError says if there are too few."""
        return split(len(data), self.size, stream(self.seed, "split"), data.groups)


@dataclass(frozen=True, eq=False)
class Result:
    """What an attack on a target found.

    Parameters
    ----------
    experiment : Experiment
    data : Dataset
        Of the target.
    split : Split
    shadow_sets : ShadowSets
    target : Answers
        The target's, about its members and then as many non-members; ``2 * size`` records.
    shadows : Answers
        What the attack models learned from.
    attack : ClassAttack
    inference : Inference
        What the attack models say about the target's records; NaN where a class has no attack model.
    """

    experiment: Experiment
    data: Dataset
    split: Split
    shadow_sets: ShadowSets
    target: Answers
    shadows: Answers
    attack: ClassAttack
    inference: Inference

    def per_class(self, statistic):
        """Return a statistic of `mialib.metrics` for each true class, ndarray of float64, shape (classes,)."""
        return self.inference.per_class(statistic, self.data.n_classes)

    def against(self, target, cache=None):
        """Return what the same attack models find in another target, which their shadows know nothing of.

        Parameters
        ----------
        target : platform, Models or Answers
            A platform, such as `Filtered`, trains it on the same records from the same seed; models are asked about
            these; answers are taken as they are.
        cache : ModelCache, optional

        Returns
        -------
        Result
            Its `experiment` has the platform as its recipe.
        """
        experiment = self.experiment
        if hasattr(target, "train"):
            experiment = replace(experiment, recipe=target)
        if not isinstance(target, Answers):
            target = _ask_target(experiment, self.data, self.split, target, cache)
        return replace(self, experiment=experiment, target=target, inference=self.attack.infer(target))

    def models(self, cache=None):
        """Return the models, the target first, then its shadows: from the cache if they are still there."""
        return _train_all(self.experiment, self.data, self.split, self.shadow_sets, cache)

    def numbers(self):
        """Return every number of the attack by name: `Estimate`, or float for the base rate, a baseline or a count.

        Accuracies of target and shadows; attack precision, recall, accuracy, AUC and recall at few false positives;
        with them the baseline, the base rate and the gap attack.
        """
        return {
            "target train accuracy": self.target.train_accuracy,
            "target test accuracy": self.target.test_accuracy,
            "shadow train accuracy": self.shadows.train_accuracy,
            "shadow test accuracy": self.shadows.test_accuracy,
            **self.inference.numbers(),
            "baseline": metrics.BASELINE,
            "base rate": float(np.mean(self.target.member)),
            "gap attack precision": metrics.precision(self.target.member, self.target.right),
            "records not judged": int(np.count_nonzero(~self.inference.judged)),
        }


def run(experiment, data, shadow_data=None, target=None, cache=None, n_jobs=-1):
    """Train a target and its shadow models, attack the target, and return what was found.

    Parameters
    ----------
    experiment : Experiment
    data : Dataset
        Of the target, and of the shadow models.
    shadow_data : Dataset, optional
        Other records for the shadow models, synthetic or noisy ones, from all of which their sets are drawn (§V-C).
    target : platform or Models, optional
        Another target than one trained by the experiment's recipe: a platform that trains it, of which the shadow
        models know nothing, or a model that stands already, such as one behind HTTP; it must have been trained on the
        target's members.
    cache : ModelCache, optional
        Where trained models are kept; by default the user's.
    n_jobs : int
        Blocks of models trained at the same time, as for joblib; no number depends on it.

    Returns
    -------
    Result
        Its `shadow_sets` are rows of `shadow_data`, if that is given.

    Raises
    ------
    ValueError
        If the data do not carry the experiment's sizes, or `shadow_data` has other classes or features.
    """
    parts = experiment.split(data)
    of_shadows, pool = data, parts.pool
    if shadow_data is not None:
        _check_alike(data, shadow_data)
        of_shadows, pool = shadow_data, np.arange(len(shadow_data))
    sets_seed = stream(experiment.seed, "shadow sets")
    sets = shadow_sets(pool, experiment.n_shadow, experiment.size, sets_seed, experiment.out, of_shadows.groups)
    if shadow_data is None and target is None:
        models = _train_all(experiment, data, parts, sets, cache, n_jobs)
        target, shadow_models = models.models(slice(0, 1)), models.models(slice(1, None))
    else:
        seeds = children(stream(experiment.seed, "shadows"), experiment.n_shadow)
        shadow_models = experiment.recipe.train(of_shadows, sets.in_, seeds, cache, n_jobs)
    answers = _ask_target(experiment, data, parts, target or experiment.recipe, cache)
    shadows = query(shadow_models, of_shadows, sets.in_, sets.out)
    attack = ClassAttack(experiment.attack, stream(experiment.seed, "attack")).fit(shadows, n_jobs)
    return Result(experiment, data, parts, sets, answers, shadows, attack, attack.infer(answers))


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
    return {name: run(replace(experiment, recipe=way), data, cache=cache) for name, way in ways.items()}


def run_all(experiments, data, cache=None, n_jobs=-1):
    """Run experiments and return their numbers, a DataFrame with a row for each; a ValueError says if there are none.

    Columns ``size``, ``n_shadow``, ``out`` (own or shared), ``seed``, ``accuracy``, ``precision``, ``recall``, ``AUC``,
    ``train accuracy`` and ``test accuracy`` of the target.
    """
    experiments = list(experiments)
    if not experiments:
        raise ValueError("there are no experiments to run; give at least one")
    results = [run(experiment, data, cache=cache, n_jobs=n_jobs) for experiment in experiments]
    return pd.DataFrame(
        {
            "size": result.experiment.size,
            "n_shadow": result.experiment.n_shadow,
            "out": str(result.experiment.out),
            "seed": result.experiment.seed,
            "accuracy": result.inference.accuracy,
            "precision": result.inference.precision,
            "recall": result.inference.recall,
            "AUC": result.inference.auc,
            "train accuracy": result.target.train_accuracy,
            "test accuracy": result.target.test_accuracy,
        }
        for result in results
    )


def train_target(experiment, data, cache=None):
    """Return the target of ``run(experiment, data)``, trained alone: its `Split`, and models of which it is the one."""
    parts = experiment.split(data)
    return parts, _train_target(experiment, data, parts, experiment.recipe, cache)


def query_target(experiment, data, cache=None):
    """Return ``run(experiment, data).target``, the `Answers` of the target trained alone."""
    parts = experiment.split(data)
    return _ask_target(experiment, data, parts, experiment.recipe, cache)


def _train_target(experiment, data, parts, platform, cache):
    return platform.train(data, parts.target_in[None], [stream(experiment.seed, "target")], cache)


def _ask_target(experiment, data, parts, target, cache):
    if hasattr(target, "train"):
        target = _train_target(experiment, data, parts, target, cache)
    return query(target, data, parts.target_in[None], parts.target_out[None])


def _train_all(experiment, data, parts, sets, cache, n_jobs=-1):
    in_ = np.concatenate([parts.target_in[None], sets.in_])
    seeds = children(stream(experiment.seed, "shadows"), experiment.n_shadow)
    return experiment.recipe.train(data, in_, [stream(experiment.seed, "target"), *seeds], cache, n_jobs)


def _check_alike(data, shadow_data):
    if (shadow_data.n_classes, shadow_data.x.shape[1:]) != (data.n_classes, data.x.shape[1:]):
        raise ValueError(
            f"the shadows' records are of shape {shadow_data.x.shape[1:]} in {shadow_data.n_classes} classes, "
            f"the target's {data.x.shape[1:]} in {data.n_classes}; both must agree"
        )
