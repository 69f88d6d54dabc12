"""The paper's convolutional network, as a stack (§VI-B, Fig. 4)."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812

from mialib.batches import DenseBatch, DenseRecords
from mialib.models import ReLU, Stack, Tanh, cross_entropy_delta, dense_backward, dense_forward
from mialib.products import BFloat16, Float32


@dataclass(frozen=True)
class CNN:
    """Two convolutions, each with max pooling, one hidden layer and a softmax output (§VI-B).

    The paper does not give the filters; ours are those of a replication that reached its
    precisions.

    Parameters
    ----------
    filters : tuple of (int, int)
        Number of filters and their width, a convolution each; no padding. Each is followed by
        max pooling, 2 x 2.
    hidden : tuple of int
        Units in each fully connected hidden layer.
    activation : Tanh or ReLU
    products : Float32 or BFloat16
        In what the convolutions and matrix products of training are computed.
    """

    filters: tuple[tuple[int, int], ...] = ((32, 5), (32, 3))
    hidden: tuple[int, ...] = (128,)
    activation: Tanh | ReLU = Tanh()
    products: Float32 | BFloat16 = Float32()

    models_a_block: ClassVar[int] = 1
    """Models that train as one stack on a CPU."""

    def stack(self, n_models, shape, n_classes, device="cpu"):
        """Return a `ConvStack` of `n_models` models for images of a shape, all parameters zero."""
        return ConvStack(self, n_models, shape, n_classes, device)


class ConvStack(Stack):
    """M convolutional networks of one architecture.

    The convolutions of the models follow each other, on a CPU in parts of a batch that its cache
    holds; what is behind them is stacked. Images keep their channels last. The activation is
    taken after pooling: it is monotone, so nothing changes but a quarter of the values need it.

    Parameters
    ----------
    architecture : CNN
    n_models : int
    shape : tuple of int
        Of an image: (height, width) or (height, width, channels).
    n_classes : int
    device : str or torch.device

    Raises
    ------
    ValueError
        If records are not images, or too small for the filters.
    """

    records_a_step = 256

    def __init__(self, architecture, n_models, shape, n_classes, device="cpu"):
        if len(shape) not in (2, 3):
            raise ValueError(f"a CNN needs images, (height, width) or (height, width, channels); records are {shape}")
        self.shape = (*shape, 1)[:3]
        height, width, channels = self.shape
        shapes = []
        for n_filters, size in architecture.filters:
            shapes.append((size * size * channels, n_filters))
            height, width, channels = (height - size + 1) // 2, (width - size + 1) // 2, n_filters
        if min(height, width) < 1:
            raise ValueError(f"images of {shape[0]} x {shape[1]} are too small for filters {architecture.filters}")
        self._pooled = (height, width, channels)
        self._images_a_part = 50 if torch.device(device).type == "cpu" else 1_000_000
        widths = (math.prod(self._pooled), *architecture.hidden, n_classes)
        super().__init__(architecture, shapes + list(pairwise(widths)), n_models, n_classes, device)

    def records(self, x):
        """Return records, an ndarray of shape (n, ...), in the form that this stack trains on fastest."""
        return DenseRecords(x, self.device)

    def _filters(self, layers, m):
        """Return each convolution's weights (out, in, size, size) and biases of model m, views."""
        for (n_filters, size), (weights, biases) in zip(self.architecture.filters, layers, strict=False):
            yield weights[m].view(size, size, -1, n_filters).permute(3, 2, 0, 1), biases[m, 0]

    def _dense(self, layers):
        return layers[len(self.architecture.filters) :]

    def _convolve(self, images, m, products):
        """Return, for each convolution of model m, its parts: images, shape, what is kept, and where from."""
        seen, images = [], images.view(-1, *self.shape).permute(0, 3, 1, 2)
        for weights, biases in self._filters(self._layers, m):
            weights, biases = weights.to(products.dtype), biases.to(products.dtype)
            parts = []
            for part in images.to(products.dtype).split(self._images_a_part):
                convolved = F.conv2d(part, weights, biases)
                pooled, places = F.max_pool2d(convolved, 2, return_indices=True)
                parts.append((part, convolved.shape, self.architecture.activation.forward_(pooled.float()), places))
            images = torch.cat([kept for _, _, kept, _ in parts])
            seen.append(parts)
        return seen, images.permute(0, 2, 3, 1).flatten(1)

    def logits(self, batch):
        """Return what the softmax is taken of, a Tensor of shape (M, n, classes)."""
        features = torch.stack([self._convolve(batch.x[m], m, Float32())[1] for m in range(self.n_models)])
        dense = self._dense(self._layers)
        return dense_forward(self.architecture.activation, Float32(), dense, DenseBatch(features))[1]

    def write_gradient(self, batch, y, gradients):
        """Write the gradient of each model's mean cross-entropy.

        Parameters
        ----------
        batch : DenseBatch
            Of n images for each model.
        y : Tensor of int64, shape (M, n, 1)
            True classes.
        gradients : list
            Views into the gradient's buffer, from `layers`.
        """
        activation, products = self.architecture.activation, self.architecture.products
        dense = self._dense(self._layers)
        seen, features = zip(*(self._convolve(batch.x[m], m, products) for m in range(self.n_models)), strict=True)
        features = DenseBatch(torch.stack(features))
        hidden, logits = dense_forward(activation, products, dense, features)
        delta = cross_entropy_delta(logits, y)
        delta = dense_backward(activation, products, dense, features, hidden, delta, self._dense(gradients))
        delta = products.multiply(delta, dense[0][0].transpose(1, 2)).view(self.n_models, -1, *self._pooled)
        for m in range(self.n_models):
            self._write_filter_gradients(delta[m].permute(0, 3, 1, 2), seen[m], m, gradients)

    def _write_filter_gradients(self, delta, seen, m, gradients):
        dtype, one, none = self.architecture.products.dtype, [1, 1], [0, 0]
        filters = [weights.to(dtype) for weights, _ in self._filters(self._layers, m)]
        written = list(self._filters(gradients, m))
        for i in reversed(range(len(seen))):
            of_images = []
            for tensor in written[i]:
                tensor.zero_()
            for of_part, (part, shape, kept, places) in zip(delta.split(self._images_a_part), seen[i], strict=True):
                of_part = self.architecture.activation.backward_(of_part, kept).to(dtype)
                like = torch.empty(shape, dtype=dtype, device=delta.device, memory_format=torch.channels_last)
                of_part = torch.ops.aten.max_pool2d_with_indices_backward(
                    of_part, like, [2, 2], [2, 2], none, one, False, places
                )
                of_part, weights, biases = torch.ops.aten.convolution_backward(
                    of_part, part, filters[i], [shape[1]], one, none, one, False, none, 1, [i > 0, True, True]
                )
                written[i][0].add_(weights)
                written[i][1].add_(biases)
                of_images.append(of_part)
            if i:
                delta = torch.cat(of_images).float()
