"""What an attacker knows of a record without having seen one: its shape and the values of its features."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Reals:
    """A feature that is a real number, from `low` up to `high`; a change draws it anew (Algorithm 1)."""

    low: float
    high: float

    def __post_init__(self):
        if not self.low <= self.high:
            raise ValueError(f"a feature runs from {self.low} to {self.high}; low must not exceed high")


class Integers(Reals):
    """A feature that is a whole number, from `low` up to `high`; a change draws it anew (Algorithm 1)."""


@dataclass(frozen=True)
class Binary(Integers):
    """A feature that is 0 or 1; a change flips it (Algorithm 1)."""

    low: int = 0
    high: int = 1


@dataclass(frozen=True)
class Format:
    """The shape of a record and the values that its features can take (the attacker's knowledge in the talk).

    Inside, records are rows of features, shape (n, `n_features`); `records` gives them their shape.

    Parameters
    ----------
    shape : tuple of int
    features : Binary, Integers or Reals, or a tuple of them
        One for all features, or one for each, in the order of the flattened record; a ValueError if there are none,
        or another number of them.
    """

    shape: tuple[int, ...]
    features: Reals | tuple[Reals, ...] = Binary()

    def __post_init__(self):
        if not self.n_features:
            raise ValueError(f"a record of shape {self.shape} has no features; it needs at least one")
        if isinstance(self.features, tuple) and len(self.features) != self.n_features:
            raise ValueError(
                f"{len(self.features)} features are given for records of shape {self.shape}; "
                f"give one for all, or {self.n_features}"
            )

    @property
    def n_features(self):
        """Number of features (int)."""
        return math.prod(self.shape)

    @cached_property
    def _table(self):
        """For each feature its lowest value, the width of its range, and whether it is whole and binary (4 arrays)."""
        features = self.features if isinstance(self.features, tuple) else (self.features,)
        whole, binary = ([isinstance(feature, kind) for feature in features] for kind in (Integers, Binary))
        low, high = np.array([(feature.low, feature.high) for feature in features]).T
        return [np.broadcast_to(column, self.n_features) for column in (low, high - low + whole, whole, binary)]

    @cached_property
    def dtype(self):
        """Of the records: uint8 or int32, float32 as soon as one feature is real (dtype)."""
        low, width, whole, _ = self._table
        if not whole.all():
            return np.dtype(np.float32)
        return np.dtype(np.uint8 if low.min() >= 0 and (low + width).max() <= 256 else np.int32)

    @cached_property
    def resampled(self):
        """Whether changing some feature takes a random number (bool)."""
        return not self._table[3].all()

    def records(self, rows):
        """Return rows of features as records, ndarray of shape (n, *shape)."""
        return rows.reshape(len(rows), *self.shape)

    def drawn(self, u):
        """Return random rows, RANDRECORD() of Algorithm 1, from numbers uniform in 0..1, shape (n, n_features)."""
        return self._draw(slice(None), u).astype(self.dtype)

    def changed(self, rows, chosen, u=None, anew=False):
        """Return rows with their chosen features (a mask) changed: flipped if binary and not `anew`, or drawn anew.

        `u` holds numbers uniform in 0..1, one for each chosen feature, row after row; none if no feature is drawn.
        """
        if not (self.resampled or anew):
            return rows ^ chosen
        rows, at = rows.copy(), np.flatnonzero(chosen)
        features = at % self.n_features
        values = self._draw(features, u)
        if not anew:
            values = np.where(self._table[3][features], 1 - rows.ravel()[at], values)
        rows.ravel()[at] = values
        return rows

    def _draw(self, features, u):
        low, width, whole, _ = (column[features] for column in self._table)
        values = low + u * width
        return np.floor(values, out=values, where=whole)
