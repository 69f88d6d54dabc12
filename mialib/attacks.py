"""Attacks whose target or shadow models are not those of `mialib.experiment.run`.

The shadow models may know other records than the target's kind, synthetic or noisy ones; the
target may stand already, behind a service.
"""

import numpy as np

from mialib.attack import query
from mialib.experiment import attacked, query_target
from mialib.seeding import children
from mialib.splits import shadow_sets, split
from mialib.trained import train_models


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
