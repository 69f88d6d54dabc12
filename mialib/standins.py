"""Generated records of a data set's shape, for where the real ones cannot be reached.

A stand-in lets a chapter run offline. It never confirms a claim of the paper.
"""

import numpy as np


def binary_records(n_records, n_features, n_classes, rate, spread, separation, seed=0):
    """Generate sparse binary records in classes, such as check-ins or purchases.

    Every feature has a popularity, every class shifts it, and a record's features are then drawn
    independently.

    Parameters
    ----------
    n_records, n_features, n_classes : int
    rate : float
        Log-odds of the median feature.
    spread : float
        Standard deviation of the features' popularity, in log-odds.
    separation : float
        Standard deviation of a class's shift of a feature, in log-odds. The larger, the easier
        the classes are told apart: this is what a stand-in is calibrated by.
    seed : int

    Returns
    -------
    x : ndarray of uint8, shape (n_records, n_features)
        0 or 1.
    y : ndarray of int64, shape (n_records,)
        Classes of uneven size, 0 to ``n_classes - 1``.
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    popularity = rng.normal(rate, spread, n_features)
    shift = rng.normal(0, separation, (n_classes, n_features))
    share = rng.dirichlet(np.full(n_classes, 15.0))
    y = rng.choice(n_classes, n_records, p=share)
    odds = np.exp(popularity + shift)
    x = rng.random((n_records, n_features)) < (odds / (1 + odds))[y]
    return x.astype(np.uint8), y.astype(np.int64)
