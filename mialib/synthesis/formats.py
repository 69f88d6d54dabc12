"""What an attacker knows of a record without having seen one: its shape and the values of its features."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np


@dataclass(frozen=True)
class Binary:
    """A feature that is 0 or 1; a change flips it (Algorithm 1)."""

    dtype: ClassVar = np.dtype(np.uint8)
    resampled: ClassVar = False
    """Whether a change draws a new value, for which it needs a random number."""

    def drawn(self, u):
        """Return a value for each number of `u`, uniform in 0..1."""
        return u >= 0.5

    def changed(self, values, u):
        """Return the other value."""
        return 1 - values


@dataclass(frozen=True)
class Integers:
    """A feature that is a whole number, `low` to `high`; a change draws it anew (Algorithm 1).

    Raises
    ------
    ValueError
        If `high` is below `low`.
    """

    low: int
    high: int
    resampled: ClassVar = True

    def __post_init__(self):
        _ordered(self)

    @property
    def dtype(self):
        """The smallest of uint8 and int32 that holds the values (dtype)."""
        return np.dtype(np.uint8 if self.low >= 0 and self.high <= 255 else np.int32)

    def drawn(self, u):
        """Return a value for each number of `u`, uniform in 0..1."""
        return np.floor(self.low + u * (self.high - self.low + 1))

    def changed(self, values, u):
        """Return new values, drawn with `u`."""
        return self.drawn(u)


@dataclass(frozen=True)
class Reals:
    """A feature that is a real number, `low` to `high`; a change draws it anew (Algorithm 1).

    Raises
    ------
    ValueError
        If `high` is below `low`.
    """

    low: float
    high: float
    dtype: ClassVar = np.dtype(np.float32)
    resampled: ClassVar = True

    def __post_init__(self):
        _ordered(self)

    def drawn(self, u):
        """Return a value for each number of `u`, uniform in 0..1."""
        return self.low + u * (self.high - self.low)

    def changed(self, values, u):
        """Return new values, drawn with `u`."""
        return self.drawn(u)


def _ordered(feature):
    if not feature.low <= feature.high:
        raise ValueError(f"a feature runs from {feature.low} to {feature.high}; low must not exceed high")


@dataclass(frozen=True)
class Format:
    """The shape of a record and the values that its features can take (the attacker's knowledge in the talk).

    Inside, records are rows of features, shape (n, `n_features`); `records` gives them their shape.

    Parameters
    ----------
    shape : tuple of int
    features : Binary, Integers or Reals, or a tuple of them
        One for all features, or one for each, in the order of the flattened record.

    Raises
    ------
    ValueError
        If there are no features, or as many are not given as the shape has.
    """

    shape: tuple[int, ...]
    features: Binary | Integers | Reals | tuple[Binary | Integers | Reals, ...] = Binary()

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
    def kinds(self):
        """The different features there are (tuple of Binary, Integers or Reals)."""
        return tuple(dict.fromkeys(self.features)) if isinstance(self.features, tuple) else (self.features,)

    @cached_property
    def _kind_of(self):
        return np.array([self.kinds.index(feature) for feature in self.features])

    @cached_property
    def dtype(self):
        """Of the records: uint8 or int32, float32 as soon as one feature is real (dtype)."""
        dtypes = {kind.dtype for kind in self.kinds}
        return Reals.dtype if Reals.dtype in dtypes else np.result_type(*dtypes)

    @cached_property
    def resampled(self):
        """Whether changing some feature takes a random number (bool)."""
        return any(kind.resampled for kind in self.kinds)

    def records(self, rows):
        """Return rows of features as records, ndarray of shape (n, *shape)."""
        return rows.reshape(len(rows), *self.shape)

    def drawn(self, u):
        """Return random records, RANDRECORD() of Algorithm 1.

        Parameters
        ----------
        u : ndarray of float64, shape (n, n_features)
            Uniform in 0..1.

        Returns
        -------
        ndarray of `dtype`, shape (n, n_features)
        """
        rows = np.empty(u.shape, self.dtype)
        rows[...] = self._by_kind(np.arange(self.n_features), lambda kind, at: kind.drawn(u[:, at]), u)
        return rows

    def changed(self, rows, chosen, u=None):
        """Return records with their chosen features changed: flipped if binary, else drawn anew.

        Parameters
        ----------
        rows : ndarray of `dtype`, shape (n, n_features)
        chosen : ndarray of bool, shape (n, n_features)
        u : ndarray of float64, 1-D
            Uniform in 0..1, one for each chosen feature, record after record; not needed where no
            feature is `resampled`.

        Returns
        -------
        ndarray of `dtype`, shape (n, n_features)
        """
        if not self.resampled:
            return rows ^ chosen
        return self._set(rows, chosen, lambda kind, values, at: kind.changed(values, u[at]))

    def replaced(self, rows, chosen, u):
        """Return records with their chosen features drawn anew, binary ones too; as `changed` else."""
        return self._set(rows, chosen, lambda kind, values, at: kind.drawn(u[at]))

    def _set(self, rows, chosen, new_values):
        rows = rows.copy()
        position = np.flatnonzero(chosen)
        values = rows.ravel()[position]
        rows.ravel()[position] = self._by_kind(
            position % self.n_features, lambda kind, at: new_values(kind, values[at], at), values
        )
        return rows

    def _by_kind(self, features, value, like):
        """Return ``value(kind, which)`` put together over kinds, `which` being the features of a kind."""
        if len(self.kinds) == 1:
            return value(self.kinds[0], slice(None))
        out = np.empty(like.shape)
        kind_of = self._kind_of[features]
        for i, kind in enumerate(self.kinds):
            which = np.flatnonzero(kind_of == i)
            out[..., which] = value(kind, which)
        return out
