"""Trained models: each from the cache if it is there, else trained in blocks and kept."""

import numpy as np
import torch

from mialib.cache import ModelCache, model_key
from mialib.progress import progress
from mialib.training import Recipe, default_device, fit_blocks


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
