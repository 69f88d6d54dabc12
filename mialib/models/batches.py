"""Records on the device that trains, and batches of them for all models of a stack at once."""

import math
from dataclasses import dataclass

import numpy as np
import scipy.sparse
import torch

from mialib.datasets.features import PackedRecords, as_features, is_binary, unit
from mialib.models.kernels import aligned

SPARSE = 0.15
"""Share of ones up to which binary records are multiplied by their ones alone."""


def is_sparse(x):
    """Return whether records are binary with few ones, so that a batch is best kept as their positions."""
    n_ones = x.n_ones if isinstance(x, PackedRecords) else np.count_nonzero(x)
    return n_ones <= SPARSE * math.prod(x.shape) and is_binary(x)


@dataclass
class DenseBatch:
    """A batch for each of M models, a Tensor of float32, shape (M, n, features)."""

    x: torch.Tensor

    def times(self, weights, biases, products):
        """Return ``x @ weights + biases``, shape (M, n, units)."""
        return products.affine(self.x, weights, biases)

    def write_gradient(self, delta, out, products):
        """Write the gradient of the weights, ``x.T @ delta``, into `out`, shape (M, features, units)."""
        products.write(self.x.transpose(1, 2), delta, out)


class DenseRecords:
    """Records, an ndarray of shape (n, ...), as one tensor, of bytes if they were; a batch is made float."""

    def __init__(self, x, device):
        self.device, self._unit = device, unit(x)
        x = np.asarray(as_features(x))
        x = x if x.dtype == np.uint8 else x.astype(np.float32, copy=False)
        self._x = torch.from_numpy(x if x.flags.writeable else x.copy()).to(device)

    @staticmethod
    def bytes_of(x):
        """Return the bytes that records, an ndarray of shape (n, ...) or packed, take on the device (int)."""
        return math.prod(x.shape) * min(x.dtype.itemsize, torch.float32.itemsize)

    def batches(self, rows):
        """Yield a `DenseBatch` for every step, which holds until the next; rows are int64, shape (steps, M, n)."""
        n_steps, *shape = rows.shape
        rows = torch.from_numpy(rows).to(self.device).view(n_steps, -1)
        gathered = self._x.new_empty(rows.shape[1], self._x.shape[1])
        features = gathered if gathered.is_floating_point() else gathered.float()
        for row in rows:
            torch.index_select(self._x, 0, row, out=gathered)
            if features is not gathered:
                features.copy_(gathered)
                if self._unit != 1:
                    features.mul_(self._unit)
            yield DenseBatch(aligned(features.view(*shape, -1)))


@dataclass
class SparseBatch:
    """A batch of binary records for each of M models, as the positions of their ones.

    Both products are sums of whole rows: a record's of its features' weights, a feature's of the deltas of the records
    that have it. Sums are float32, whatever products are. Of purchases, 3 % ones of 600 features, a model-epoch takes
    31 to 38 ms so, and 82 to 93 by dense products.

    Parameters
    ----------
    features, feature_starts : Tensor of int32
        Positions of ones, record after record, in weights laid out as in `DenseStack.parameters`; where each record
        begins.
    records, record_starts : Tensor of int32
        The records that have a feature, feature after feature and model after model; where each feature begins.
    """

    features: torch.Tensor
    feature_starts: torch.Tensor
    records: torch.Tensor
    record_starts: torch.Tensor

    def times(self, weights, biases, products):
        """Return ``x @ weights + biases``, shape (M, n, units)."""
        n_models, _, n_units = weights.shape
        n_rows = (weights.stride(0) * (n_models - 1)) // n_units + weights.shape[1]
        table = weights.as_strided((n_rows, n_units), (n_units, 1))
        return aligned(_sums(table, self.features, self.feature_starts).view(n_models, -1, n_units)).add_(biases)

    def write_gradient(self, delta, out, products):
        """Write the gradient of the weights, ``x.T @ delta``, into `out`, shape (M, features, units)."""
        out.copy_(_sums(delta.reshape(-1, delta.shape[2]), self.records, self.record_starts).view_as(out))


def _sums(table, rows, starts):
    return torch.embedding_bag(table, rows, starts)[0]


def _csr(x):
    """Return binary records, an ndarray of uint8, as a sparse matrix; scipy takes twice the time from bytes."""
    ones, starts = np.flatnonzero(x.view(bool)), np.zeros(len(x) + 1, np.int32)
    np.cumsum(np.count_nonzero(x, axis=1), out=starts[1:])
    features = (ones % x.shape[1]).astype(np.int32)
    return scipy.sparse.csr_array((np.ones(len(ones), np.int8), features, starts), shape=x.shape)


class SparseRecords:
    """Binary records, uint8 or packed, of shape (n, features), as the positions of their ones, on the CPU.

    `stride` is the distance of two models' weights, in rows of the first layer's weights.
    """

    def __init__(self, x, stride):
        self._x = x.csr() if isinstance(x, PackedRecords) else _csr(x)
        self._stride = stride

    def batches(self, rows):
        """Yield a `SparseBatch` for every step; rows are int64, shape (steps, M, n)."""
        n_steps, n_models, n = rows.shape
        n_features = self._x.shape[1]
        chosen = self._x[rows.ravel()]
        starts, features = chosen.indptr.astype(np.int32), chosen.indices.astype(np.int32)
        model = np.arange(n_steps * n_models, dtype=np.int32)
        ones_of_model = np.diff(starts[::n])
        column = features + np.repeat(model * np.int32(n_features), ones_of_model)
        shape = (rows.size, n_steps * n_models * n_features)
        by_feature = scipy.sparse.csr_array((chosen.data, column, starts), shape).tocsc()

        first_of_step = starts[:: n_models * n]
        ones_of_step = np.diff(first_of_step)
        step = np.arange(n_steps, dtype=np.int32)
        in_weights = features + np.repeat(model % n_models * np.int32(self._stride), ones_of_model)
        in_batch = by_feature.indices - np.repeat(step * np.int32(n_models * n), ones_of_step)
        feature_starts = starts[:-1].reshape(n_steps, -1) - first_of_step[:-1, None]
        record_starts = by_feature.indptr[:-1].reshape(n_steps, -1) - first_of_step[:-1, None]
        yield from map(
            SparseBatch,
            torch.from_numpy(in_weights).split(ones_of_step.tolist()),
            torch.from_numpy(feature_starts).unbind(),
            torch.from_numpy(in_batch).split(ones_of_step.tolist()),
            torch.from_numpy(record_starts).unbind(),
        )
