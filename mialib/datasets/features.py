"""Features of records as models take them: packed bits, scales, and how dense they are."""

import math

import numpy as np
import scipy.sparse

CHUNK = 4096  # records that are unpacked at once
_ONES = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1, dtype=np.uint8)


class PackedRecords:
    """Binary records, packed: an array of uint8, shape (n, features), that takes an eighth of the memory.

    What is indexed comes out as an ordinary array; all of it is ``numpy.asarray(records)``.

    Parameters
    ----------
    bits : ndarray of uint8, shape (n, features / 8, rounded up)
        As from `numpy.packbits`.
    n_features : int
    """

    dtype, ndim = np.dtype(np.uint8), 2

    def __init__(self, bits, n_features):
        self.bits = np.ascontiguousarray(bits, np.uint8)
        self.shape = (len(bits), n_features)

    @classmethod
    def from_chunks(cls, chunks):
        """Pack records that come in chunks, ndarrays of 0 and 1 of shape (some, features)."""
        packed = [(np.packbits(chunk, axis=1), chunk.shape[1]) for chunk in chunks]
        return cls(np.concatenate([bits for bits, _ in packed]), packed[0][1])

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, rows):
        return np.unpackbits(self.bits[rows], axis=-1, count=self.shape[1])

    def __array__(self, dtype=None, copy=None):
        return self[:].astype(dtype or np.uint8, copy=False)

    @property
    def n_ones(self):
        """Number of ones in all records (int)."""
        return int(_ONES[self.bits].sum(dtype=np.int64))

    def csr(self):
        """Return the records as a scipy.sparse.csr_array of int8."""
        chunks = (self[start : start + CHUNK] for start in range(0, len(self), CHUNK))
        return scipy.sparse.vstack([scipy.sparse.csr_array(chunk.view(np.int8)) for chunk in chunks], format="csr")


def _array(x):
    return x if isinstance(x, PackedRecords) else np.asarray(x)


def as_features(x):
    """Return records as one flat row of features each, shape (n, features); packed ones as they are."""
    x = _array(x)
    return x if x.ndim == 2 else x.reshape(len(x), math.prod(x.shape[1:]))


def unit(x):
    """Return what a feature is multiplied by before a model sees it: 1/255 for pixels, uint8 of three axes or more."""
    x = _array(x)
    return 1 / 255 if x.dtype == np.uint8 and x.ndim > 2 else 1


def scaled(x):
    """Return records, an array, as models see them: a row of features each, pixels of 0 to 1."""
    return as_features(x) * np.float32(unit(x))


def is_binary(x):
    """Return whether every feature is 0 or 1, kept as a byte or a bit."""
    x = _array(x)
    return isinstance(x, PackedRecords) or (x.dtype == np.uint8 and x.ndim == 2 and x.max(initial=0) <= 1)


def pixels(x):
    """Return images as models see them, pixels of 0 to 1 (ndarray of float32)."""
    return np.asarray(x, np.float32) * np.float32(unit(x))
