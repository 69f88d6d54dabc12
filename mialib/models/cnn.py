"""The paper's convolutional network, as a stack (§VI-B, Fig. 4)."""

import itertools
import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812

from mialib.models.batches import DenseBatch, DenseRecords
from mialib.models.kernels import BFloat16, Float32, aligned, fastest_products
from mialib.models.stack import ReLU, Stack, Tanh, check_dropout, cross_entropy_delta, dense_backward, dense_forward

SMALLEST = 2.0**-126
"""The smallest normal number of float32 and of bfloat16."""


@dataclass(frozen=True)
class CNN:
    """Two convolutions, each with max pooling, one hidden layer and a softmax output (§VI-B).

    The paper does not give the filters; ours are those of a replication that reached its precisions.

    Parameters
    ----------
    filters : tuple of (int, int)
        Number of filters and their width, one pair per convolution; no padding. Each is followed by 2 x 2 max pooling.
    hidden : tuple of int
        Units in each fully connected hidden layer.
    activation : Tanh or ReLU
    products : Float32 or BFloat16
        In what the convolutions and matrix products of training are computed; by default in bfloat16 where the
        processor multiplies it. On CIFAR-10, over five seeds, this moved accuracies and attack by less than a seed
        does (``benchmarks/README.md``). Prediction vectors are computed in float32 always.
    dropout : float
        Share of the units of fully connected hidden layers that sit out each update.

    Raises
    ------
    ValueError
        If `dropout` is not a share below 1.
    """

    filters: tuple[tuple[int, int], ...] = ((32, 5), (32, 3))
    hidden: tuple[int, ...] = (128,)
    activation: Tanh | ReLU = Tanh()
    products: Float32 | BFloat16 = field(default_factory=fastest_products)
    dropout: float = 0.0

    models_a_block: ClassVar[int] = 1
    """Models that train as one stack on a CPU."""

    def __post_init__(self):
        check_dropout(self.dropout)

    def stack(self, n_models, shape, n_classes, device="cpu"):
        """Return a `ConvStack` of `n_models` models for images of a shape, all parameters zero."""
        return ConvStack(self, n_models, shape, n_classes, device)


class ConvStack(Stack):
    """M convolutional networks, a `CNN` each, for images of a shape, (height, width) or (height, width, channels).

    The convolutions of the models follow each other, on a CPU in parts of a batch that its cache holds; what is behind
    them is stacked. Images keep their channels last. The activation is taken after pooling: it is monotone, so nothing
    changes but a quarter of the values need it. A ValueError says if records are not images, or too small for the
    filters.
    """

    records_a_step = 256

    def __init__(self, architecture, n_models, shape, n_classes, device="cpu"):
        if len(shape) not in (2, 3):
            raise ValueError(f"a CNN needs images, (height, width) or (height, width, channels); records are {shape}")
        self.shape = (*shape, 1)[:3]
        height, width, channels = self.shape
        shapes, self._places = [], []
        for n_filters, size in architecture.filters:
            shapes.append((size * size * channels, n_filters))
            self._places.append((height - size + 1) * (width - size + 1))
            height, width, channels = (height - size + 1) // 2, (width - size + 1) // 2, n_filters
        if min(height, width) < 1:
            raise ValueError(f"images of {shape[0]} x {shape[1]} are too small for filters {architecture.filters}")
        self._pooled = (height, width, channels)
        self._images_a_part = 100 if torch.device(device).type == "cpu" else 1_000_000
        widths = (math.prod(self._pooled), *architecture.hidden, n_classes)
        super().__init__(architecture, shapes + list(pairwise(widths)), n_models, n_classes, device)

    def records(self, x):
        """Return records, an ndarray of shape (n, ...), in the form that this stack trains on."""
        return DenseRecords(x, self.device)

    @property
    def n_features(self):
        """Numbers of one image (int)."""
        return math.prod(self.shape)

    def _filters(self, layers, m):
        """Return each convolution's weights (out, in, size, size) and biases of model m, views."""
        for (n_filters, size), (weights, biases) in zip(self.architecture.filters, layers, strict=False):
            yield weights[m].view(size, size, -1, n_filters).permute(3, 2, 0, 1), biases[m, 0]

    def _dense(self, layers):
        return layers[len(self.architecture.filters) :]

    def _convolve(self, images, m, products):
        """Return the features of model m's images, and what the gradient needs of each part of them."""
        images = images.view(-1, *self.shape).permute(0, 3, 1, 2).to(products.dtype)
        filters = [(w.to(products.dtype), b.to(products.dtype)) for w, b in self._filters(self._layers, m)]
        features, seen = [], []
        for part in images.split(self._images_a_part):
            steps = []
            for weights, biases in filters:
                pooled, ahead = max_pool(F.conv2d(part, weights, biases))
                value = self.architecture.activation.forward_(pooled.float())
                steps.append((part, ahead, value))
                part = value.permute(0, 3, 1, 2).to(products.dtype)
            features.append(value.flatten(1))
            seen.append(steps)
        return torch.cat(features), seen

    def logits(self, batch):
        """Return what the softmax is taken of, a Tensor of shape (M, n, classes)."""
        features = torch.stack([self._convolve(batch.x[m], m, Float32())[0] for m in range(self.n_models)])
        dense = self._dense(self._layers)
        return dense_forward(self.architecture.activation, Float32(), dense, DenseBatch(features))[1]

    def write_gradient(self, batch, y, gradients):
        """Write the gradient of each model's mean cross-entropy, as `DenseStack.write_gradient`."""
        activation, products = self.architecture.activation, self.architecture.products
        dense = self._dense(self._layers)
        features, seen = zip(*(self._convolve(batch.x[m], m, products) for m in range(self.n_models)), strict=True)
        features = DenseBatch(aligned(torch.stack(features)))
        hidden, logits = dense_forward(activation, products, dense, features, self.dropout)
        delta = cross_entropy_delta(logits, y)
        written = self._dense(gradients)
        delta = dense_backward(activation, products, dense, features, hidden, delta, written, self.dropout)
        delta = products.multiply(delta, dense[0][0].transpose(1, 2)).view(self.n_models, -1, *self._pooled)
        for m in range(self.n_models):
            self._write_filter_gradients(delta[m], seen[m], m, gradients)

    def _write_filter_gradients(self, delta, seen, m, gradients):
        dtype = self.architecture.products.dtype
        filters = [weights.to(dtype) for weights, _ in self._filters(self._layers, m)]
        written = list(self._filters(gradients, m))
        for tensor in itertools.chain.from_iterable(written):
            tensor.zero_()
        for of_part, steps in zip(delta.split(self._images_a_part), seen, strict=True):
            for i in reversed(range(len(steps))):
                part, ahead, value = steps[i]
                of_part = self.architecture.activation.backward_(of_part, value)
                written[i][1].add_(of_part.sum(dim=(0, 1, 2)))
                of_part = max_pool_backward(of_part.to(dtype), *ahead)
                of_part, of_filters, _ = torch.ops.aten.convolution_backward(
                    of_part, part, filters[i], None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1, [i > 0, True, False]
                )
                written[i][0].add_(of_filters)
                if i:
                    of_part = of_part.permute(0, 2, 3, 1).float()


def max_pool(z):
    """Return the largest of every 2 x 2 values, and what `max_pool_backward` needs, written over `z`.

    `z` is of shape (n, filters, height, width), channels last; an odd last row or column is left out. Pooled values are
    of shape (n, height // 2, width // 2, filters). Upper values of `z`, and left ones of its rows, are overwritten
    with how much they are larger than the lower, or right, ones. In halves, first of rows and then of columns: on one
    core, 8.8 ms for 100 images of 28 x 28 in 32 filters, forward and back, against 9.4 by torch's own.
    """
    if torch.is_grad_enabled():  # nothing may be overwritten that autograd keeps
        return F.max_pool2d(z, 2).permute(0, 2, 3, 1), None
    z = z.permute(0, 2, 3, 1)
    height, width = z.shape[1] // 2 * 2, z.shape[2] // 2 * 2
    z[:, height:] = 0
    z[:, :, width:] = 0
    upper, lower = z[:, 0:height:2, :width], z[:, 1:height:2, :width]
    rows = torch.maximum(upper, lower)
    left, right = rows[:, :, 0::2], rows[:, :, 1::2]
    pooled = torch.maximum(left, right)
    left -= right
    upper -= lower
    return pooled, (z, rows)


def max_pool_backward(delta, z, rows):
    """Return the gradient for `z` of `max_pool`, in its place; of equal values the upper left one gets it."""
    height, width = z.shape[1] // 2 * 2, rows.shape[2]
    _share(delta, rows[:, :, 0::2], rows[:, :, 1::2])
    _share(rows, z[:, 0:height:2, :width], z[:, 1:height:2, :width])
    return z.permute(0, 3, 1, 2)


def _share(delta, ahead, behind):
    """Replace `ahead` by `delta` where it is not negative and by 0 elsewhere, and `behind` by the rest."""
    torch.ops.aten.threshold_backward.grad_input(delta, ahead, -SMALLEST, grad_input=ahead)
    torch.sub(delta, ahead, out=behind)
