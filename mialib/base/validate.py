"""Bad input gets one sentence: what was wrong, and what would be right."""

from numbers import Integral

import numpy as np

TOLERANCE = 1e-3
"""By how much the sum of a prediction vector may miss one: services and files round."""


def check_integer(name, value, least):
    """Check that a parameter is a whole number.

    Parameters
    ----------
    name : str
        As the caller knows it.
    value : object
    least : int
        Smallest allowed.

    Raises
    ------
    ValueError
        If it is no whole number, or smaller than `least`.
    """
    if not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} is {value!r}; it must be a whole number of at least {least}")


def check_vectors(vectors, complete=True, hint=""):
    """Return prediction vectors, shape (n, classes), as float32; a ValueError if they are not finite probabilities.

    Each must sum to one if they are `complete`, unlike those of a model that leaves classes out; `hint` says what else
    may be wrong, at the end of the sentence.
    """
    with np.errstate(over="ignore"):
        vectors = np.asarray(vectors, np.float32)
    bad = ~np.isfinite(vectors).all(axis=1)
    if bad.any():
        raise ValueError(
            f"{bad.sum()} prediction vectors hold NaN or infinity (the first is that of record {bad.argmax() + 1}); "
            "leave those records out, or correct them"
        )
    sums = vectors.sum(axis=1, dtype=np.float64)
    off = np.abs(sums - 1)
    if vectors.min() < 0 or vectors.max() > 1 + TOLERANCE or (complete and off.max() > TOLERANCE):
        worst = off.argmax()
        raise ValueError(
            f"prediction vectors are no probabilities that sum to one (that of record {worst + 1} sums to "
            f"{sums[worst]:.4g}, values go from {vectors.min():.4g} to {vectors.max():.4g}){hint}"
        )
    return vectors
