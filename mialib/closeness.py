"""How near images are to records and to the averages of classes, in pixels or in features."""

import numpy as np
import pandas as pd
from sklearn.metrics import pairwise_distances

from mialib.batches import as_features


def class_means(x, y, n_classes):
    """Return the mean of each class (ndarray of float32, shape (n_classes, ...)).

    Raises
    ------
    ValueError
        If a class has no records.
    """
    if missing := sorted(set(range(n_classes)) - set(y)):
        raise ValueError(f"classes {', '.join(map(str, missing))} have no records; a mean needs at least one of each")
    return np.stack([x[y == c].mean(axis=0, dtype=np.float64) for c in range(n_classes)]).astype(np.float32)


def distances(a, b):
    """Return the root mean square difference of each of `a` from each of `b`.

    Parameters
    ----------
    a, b : ndarray, shape (n, ...) and (m, ...)
        Images, with pixels of 0 to 1, or features.

    Returns
    -------
    ndarray of float64, shape (n, m)
        A pixel or feature, in the unit of `a`.
    """
    a, b = as_features(a).astype(np.float64), as_features(b).astype(np.float64)
    return pairwise_distances(a, b) / np.sqrt(a.shape[1])


def distance_to_class(points, x, y):
    """Return how far each record is from the point of its class: small would speak for a member.

    Parameters
    ----------
    points : ndarray, shape (classes, ...)
        Reconstructions or class means, or their features.
    x : ndarray, shape (n, ...)
        Records, or their features.
    y : ndarray of int, shape (n,)
        True classes.

    Returns
    -------
    ndarray of float64, shape (n,)
        Root mean square difference.
    """
    return np.sqrt(np.mean(np.square(as_features(points)[y] - as_features(x)), axis=1, dtype=np.float64))


def correlations(a, b):
    """Return the correlation over pixels or features of each of `a` with each of `b`.

    Parameters
    ----------
    a, b : ndarray, shape (n, ...) and (m, ...)

    Returns
    -------
    ndarray of float64, shape (n, m)
        0 for an image of one grey value, which is like none.
    """
    a, b = (as_features(x).astype(np.float64) for x in (a, b))
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    lengths = np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))
    return np.divide(a @ b.T, lengths, out=np.zeros_like(lengths), where=lengths > 1e-9)


def nearest(points, labels, x, y):
    """Return the record of its class that is nearest to each point, an ndarray of the shape of `points`."""
    rows = [np.flatnonzero(y == c) for c in labels]
    return np.stack([x[r[distances(p[None], x[r]).argmin()]] for p, r in zip(points, rows, strict=True)])


def closeness(points, labels, members, held_out):
    """Say of each point whether it is an average of its class, or near a record.

    Parameters
    ----------
    points : ndarray, shape (n, ...)
        Reconstructions, or other images to hold beside them; or features of these.
    labels : ndarray of int, shape (n,)
        Their classes.
    members, held_out : tuple of ndarray
        Records, or their features, and their true classes: those that the model was trained on, and
        others. In a class, as many of one are looked at as of the other.

    Returns
    -------
    DataFrame
        One row a point: root mean square difference from the mean of the members of the class,
        from the nearest of its members and from its nearest held-out record; whether the member is
        nearer; correlation with that mean over pixels; and whether, of all classes' means, it
        correlates most with its own.
    """
    means = class_means(*members, int(max(members[1].max(), labels.max())) + 1)
    likeness = correlations(points, means)
    rows = []
    for i, c in enumerate(labels):
        of_class = [x[y == c] for x, y in (members, held_out)]
        n = min(map(len, of_class))
        member, other = (distances(points[i : i + 1], x[:n]).min(initial=np.inf) for x in of_class)
        rows.append(
            {
                "distance to the class mean": distances(points[i : i + 1], means[c : c + 1]).item(),
                "distance to the nearest training record": member,
                "distance to the nearest held-out record": other,
                "nearest record is a training record": float(member < other),
                "correlation with the class mean": likeness[i, c],
                "nearest mean is its own": float(likeness[i].argmax() == c),
            }
        )
    return pd.DataFrame(rows)
