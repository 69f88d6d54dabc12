"""What a model's owner can do about membership inference (§IX): filters of answers, and other training.

`Filtered` puts a filter of `mialib.filters` in front of any platform; the models behind it are the same, from the
same cache. Other training is another `Recipe`: `with_l2`, `with_dropout`; see `mialib.private` for
differential privacy.
"""

from dataclasses import dataclass, field, replace

from mialib.attack import ClassAttack
from mialib.experiment import query_target
from mialib.filters import Filter, LabelOnly, Rounding, Temperature, TopK
from mialib.seeding import child
from mialib.trained import train_models


@dataclass(frozen=True)
class Filtered:
    """A platform whose models answer through a filter, the target and an attacker's shadows alike (§IX).

    Parameters
    ----------
    platform : Recipe or platform
        Models are trained by it, or found in the cache, as if there were no filter.
    filter : Filter
    """

    platform: object
    filter: Filter

    def train(self, data, index, seeds, cache=None, n_jobs=-1):
        """Train M models; see `mialib.platforms.Platform.train`."""
        return FilteredModels(train_models(self.platform, data, index, seeds, cache, n_jobs), self.filter)


@dataclass(frozen=True, eq=False)
class FilteredModels:
    """Models that are seen through a filter, and in no other way.

    Parameters
    ----------
    inside : Models
    filter : Filter
    """

    inside: object = field(repr=False)
    filter: Filter

    def predict_proba(self, x, index=None):
        """Return what a client gets to see; see `mialib.platforms.Models.predict_proba`."""
        return self.filter.answers(self.inside, x, index)

    def models(self, which):
        """Return some of the models, a slice."""
        return FilteredModels(self.inside.models(which), self.filter)


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


def with_l2(recipe, weight):
    """Return a recipe with the paper's penalty, λ · Σθ² on all parameters (§IX).

    Parameters
    ----------
    recipe : Recipe
    weight : float
        λ. The optimisers count λ/2, so theirs is twice this.
    """
    return replace(recipe, optimiser=replace(recipe.optimiser, l2=2 * weight))


def with_dropout(recipe, share):
    """Return a recipe in which a share of the hidden units sits out each update.

    Not in the paper's Table III; the talk names it beside L2.
    """
    return replace(recipe, architecture=replace(recipe.architecture, dropout=share))


def table_iii(recipe, l2=(1e-4, 5e-4, 1e-3, 5e-3, 1e-2), dropout=()):
    """Return the rows of the paper's Table III around one recipe (§IX).

    Parameters
    ----------
    recipe : Recipe
    l2 : sequence of float
        Weights λ of the penalty.
    dropout : sequence of float
        Shares of units; not in the paper's table.

    Returns
    -------
    dict of str to Recipe or platform
        The name in the table to how target and shadows are trained and answer.
    """
    filters = (TopK(3), TopK(1), LabelOnly(), Rounding(3), Rounding(1), Temperature(5), Temperature(20))
    return (
        {"none": recipe}
        | {str(each): Filtered(recipe, each) for each in filters}
        | {f"L2 {weight:.0e}".replace("e-0", "e-"): with_l2(recipe, weight) for weight in l2}
        | {f"dropout {share:g}": with_dropout(recipe, share) for share in dropout}
    )
