"""One seed in; every random choice has a stream of its own, spawned from it."""

import numpy as np


def child(seed, i):
    """Return child `i` of a seed: the same one each time, unlike `SeedSequence.spawn`.

    Parameters
    ----------
    seed : int or SeedSequence
    i : int

    Returns
    -------
    SeedSequence
    """
    if not isinstance(seed, np.random.SeedSequence):
        seed = np.random.SeedSequence(seed)
    return np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, i))


def children(seed, n):
    """Return the first `n` children of a seed, a list of SeedSequence."""
    return [child(seed, i) for i in range(n)]
