"""One seed in; every random choice has a stream of its own, spawned from it."""

import numpy as np


def child(seed, i):
    """Return child `i` of a seed, an int or SeedSequence: the same one each time, unlike `SeedSequence.spawn`."""
    if not isinstance(seed, np.random.SeedSequence):
        seed = np.random.SeedSequence(seed)
    return np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, i))


def children(seed, n):
    """Return the first `n` children of a seed, a list of SeedSequence."""
    return [child(seed, i) for i in range(n)]


EXPERIMENT = ("split", "shadow sets", "target", "shadows", "attack", "numbers", "halves", "online shadows")
"""The random choices of an experiment; a new one goes to the end, so that the others stay as they are."""


def stream(seed, name):
    """Return the SeedSequence of one random choice of an experiment, by its name in `EXPERIMENT`."""
    return child(seed, EXPERIMENT.index(name))
