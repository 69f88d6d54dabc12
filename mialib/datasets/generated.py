"""Generated records of a data set's shape, for where the real ones cannot be reached.

A stand-in lets a chapter run offline. It never confirms a claim of the paper.
"""

import numpy as np

from mialib.base.seeding import children


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
    y, chunks = binary_chunks(n_records, n_features, n_classes, rate, spread, separation, seed)
    return np.concatenate(list(chunks)), y


def binary_chunks(n_records, n_features, n_classes, rate, spread, separation, seed=0):
    """Generate the records of `binary_records` part by part, for where all of them take too much memory.

    Returns
    -------
    y : ndarray of int64, shape (n_records,)
    chunks : iterator of ndarray of uint8, shape (some, n_features)
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    popularity = rng.normal(rate, spread, n_features)
    shift = rng.normal(0, separation, (n_classes, n_features))
    share = rng.dirichlet(np.full(n_classes, 15.0))
    y = rng.choice(n_classes, n_records, p=share).astype(np.int64)
    odds = np.exp(popularity + shift)
    p = odds / (1 + odds)
    parts = np.split(y, range(1000, n_records, 1000))
    return y, ((rng.random((len(part), n_features)) < p[part]).astype(np.uint8) for part in parts)


def images(n_records, n_classes, separation, seed=0):
    """Generate colour images of 32 x 32 pixels: soft blotches, some of the class, some of the image alone.

    All arithmetic is on whole numbers, so that every machine generates the same bytes.

    Parameters
    ----------
    n_records, n_classes : int
    separation : int
        Share of the class in its images, in hundredths of the image's own part: what the
        stand-in is calibrated by.
    seed : int

    Returns
    -------
    x : ndarray of uint8, shape (n_records, 32, 32, 3)
        Pixels, 0 to 255.
    y : ndarray of int64, shape (n_records,)
        Classes of even size on average, 0 to ``n_classes - 1``.
    """
    of_classes, of_images = children(seed, 2)
    template = _blotches(np.random.default_rng(of_classes), n_classes)
    x, y, chunk = np.empty((n_records, 32, 32, 3), np.uint8), np.empty(n_records, np.int64), 1000
    for i, chunk_seed in enumerate(children(of_images, -(-n_records // chunk))):
        rng, rows = np.random.default_rng(chunk_seed), slice(i * chunk, (i + 1) * chunk)
        y[rows] = classes = rng.integers(0, n_classes, chunk)[: len(y[rows])]
        pixels = 128 + _blotches(rng, chunk)[: len(classes)] + template[classes] * separation // 100
        x[rows] = np.clip(pixels, 0, 255)
    return x, y


def _blotches(rng, n):
    """Return n sums of smooth random fields, coarse and fine, shape (n, 32, 32, 3), int32, mean 0."""
    total = np.zeros((n, 32, 32, 3), np.int32)
    for cells, height in ((2, 80), (4, 60), (8, 40)):
        field = rng.integers(-height, height + 1, (n, cells + 1, cells + 1, 3), dtype=np.int32)
        total += _smooth(_smooth(field, 1), 2) * cells**2 // 1024
    return total


def _smooth(field, axis):
    """Interpolate an axis of cells + 1 points to 32 points, times 32 / cells."""
    field = np.moveaxis(field, axis, 1)
    step = 32 // (field.shape[1] - 1)
    weight = np.arange(step, dtype=np.int32).reshape(1, 1, step, *[1] * (field.ndim - 2))
    between = field[:, :-1, None] * (step - weight) + field[:, 1:, None] * weight
    return np.moveaxis(between.reshape(len(field), 32, *field.shape[2:]), 1, axis)
