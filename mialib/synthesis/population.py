"""Shadow data from what is known of the population: its marginals, or records that are noisy (§V-C)."""

from dataclasses import dataclass, replace

import numpy as np

from mialib.base.seeding import children
from mialib.datasets.dataset import Dataset
from mialib.synthesis.model_based import query_function

CHUNK = 4096  # records that are labelled, or made noisy, at once


@dataclass(frozen=True, eq=False)
class Marginals:
    """Which values each feature takes, and how often: statistics-based synthesis (§V-C).

    Parameters
    ----------
    shape : tuple of int
        Of a record.
    values : sequence of ndarray
        The values of each feature, in the order of the flattened record.
    probability : sequence of ndarray of float
        Their probabilities, which sum to one; a ValueError if they do not, or a feature has no table.
    """

    shape: tuple[int, ...]
    values: tuple[np.ndarray, ...]
    probability: tuple[np.ndarray, ...]

    def __post_init__(self):
        n = int(np.prod(self.shape))
        if not len(self.values) == len(self.probability) == n:
            raise ValueError(
                f"there are tables for {len(self.values)} and {len(self.probability)} features, "
                f"but a record of shape {self.shape} has {n}"
            )
        for i, (values, p) in enumerate(zip(self.values, self.probability, strict=True)):
            if len(values) != len(p) or np.min(p, initial=0) < 0 or not np.isclose(np.sum(p), 1):
                raise ValueError(f"the table of feature {i} must have a probability for each value, summing to 1")

    @classmethod
    def from_records(cls, x):
        """Return the marginals of a population's records, shape (n, ...)."""
        columns = np.asarray(x).reshape(len(x), -1).T
        values, counts = zip(*(np.unique(column, return_counts=True) for column in columns), strict=True)
        return cls(np.shape(x)[1:], values, tuple(count / len(x) for count in counts))

    def sample(self, n, seed=0):
        """Return n records, ndarray of shape (n, *shape), with each feature drawn independently."""
        rng = np.random.default_rng(seed)
        columns = [
            np.asarray(values)[np.searchsorted(np.cumsum(p)[:-1], rng.random(n), side="right")]
            for values, p in zip(self.values, self.probability, strict=True)
        ]
        return np.stack(columns, axis=1).reshape(n, *self.shape)


def labelled(x, target, n_classes, provenance):
    """Return records, shape (n, ...), as a `Dataset` with the classes that the target gives them, one query each."""
    ask = query_function(target)
    y = [ask(x[i : i + CHUNK]).argmax(axis=1) for i in range(0, len(x), CHUNK)]
    return Dataset(x, np.concatenate(y), n_classes, provenance)


@dataclass(frozen=True)
class Replace:
    """Noise that replaces a share of a record's features, chosen anew for each, by random values (Fig. 8).

    A binary feature keeps its value half the time, so half as many change as with `Flip`.
    """

    share: float

    def __post_init__(self):
        if not 0 <= self.share <= 1:
            raise ValueError(f"share is {self.share}; it must lie between 0 and 1")

    def changed(self, format, rows, chosen, rng):
        """Return rows with their chosen features drawn anew from the values of the format."""
        return format.changed(rows, chosen, rng.random(np.count_nonzero(chosen)), anew=True)


class Flip(Replace):
    """Noise that flips a share of a record's features, which must be binary (§V-C)."""

    def changed(self, format, rows, chosen, rng):
        """Return rows with their chosen features flipped."""
        if format.resampled:
            raise ValueError("only binary features can be flipped; give Replace for integers and reals")
        return format.changed(rows, chosen)


def noisy(data, format, noise, seed=0):
    """Return a `Dataset` with noise, `Flip` or `Replace`, on every record; classes stay (§V-C, Fig. 8).

    A ValueError says if the noise does not suit the format, or the format is not the data's.
    """
    if data.x.shape[1:] != format.shape:
        raise ValueError(f"the format has shape {format.shape}, but records have shape {data.x.shape[1:]}")
    d, n_chosen = format.n_features, round(noise.share * format.n_features)
    rows = data.x.reshape(len(data), d).astype(format.dtype)
    for i, chunk_seed in enumerate(children(seed, -(-len(rows) // CHUNK))):
        rng, part = np.random.default_rng(chunk_seed), slice(i * CHUNK, (i + 1) * CHUNK)
        chosen = rng.permuted(np.tile(np.arange(d) < n_chosen, (len(rows[part]), 1)), axis=1)
        rows[part] = noise.changed(format, rows[part], chosen, rng)
    provenance = replace(data.provenance, source=f"{data.provenance.source}, with noise: {noise}")
    return Dataset(format.records(rows), data.y, data.n_classes, provenance)
