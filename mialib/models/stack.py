"""The paper's models, as stacks: M models of one architecture that train side by side (§VI-B).

Every parameter has a leading model axis, so one batched product does the work of M. All
parameters of a model lie in one row of one buffer, and so do its gradients, which are written
by hand: an optimiser then sees a single tensor.
"""

import itertools
import math
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import ClassVar

import numpy as np
import torch

from mialib.datasets.features import as_features, unit
from mialib.models.batches import DenseBatch, DenseRecords, SparseRecords, is_sparse
from mialib.models.kernels import BFloat16, Float32, aligned, filled_up


class Dropout:
    """Leaves out hidden units at random while a stack trains, and scales the others up.

    `share` is the probability that a unit is left out of an update; at 0 nothing happens. There is a numpy Generator
    for each model, so that no number depends on which models train together.
    """

    def __init__(self, share=0.0, generators=()):
        self._share, self._generators = share, generators
        self._kept = []

    def forward(self, hidden):
        """Return a layer's activations, shape (M, n, units), 0 where a unit sits out."""
        if not self._share:
            return hidden
        shape = hidden.shape[1:]
        kept = np.stack([rng.random(shape, np.float32) >= self._share for rng in self._generators])
        kept = torch.from_numpy(kept).to(hidden.device)
        self._kept.append(kept)
        return aligned((hidden * kept).mul_(1 / (1 - self._share)))

    def backward_(self, gradient):
        """Turn the gradient for what `forward` last returned into that for what it took; layers come in reverse."""
        return gradient.mul_(self._kept.pop()).mul_(1 / (1 - self._share)) if self._share else gradient


def check_dropout(share):
    """Raise a ValueError if the share of units that sit out is not at least 0 and below 1."""
    if not 0 <= share < 1:
        raise ValueError(f"dropout is {share}; it must be at least 0 and below 1")


MINUS_ONE = torch.tensor(-1.0)
NO_DROPOUT = Dropout()
FEATURES_A_STEP = 2**26
"""Features, of all models' records, that `Stack.predict_proba` holds at once."""


@dataclass(frozen=True)
class Tanh:
    """Hyperbolic tangent, the activation of the paper's target models (§VI-B)."""

    def forward_(self, z):
        """Replace `z` by its activation, as 2 · sigmoid(2z) - 1: a third of the time of tanh on a CPU."""
        filled_up(z).mul_(2).sigmoid_().mul_(2).sub_(1)
        return z

    def forward(self, z):
        """Return the activation of `z`, for autograd to follow."""
        return torch.tanh(z)

    def backward_(self, gradient, a):
        """Multiply `gradient` by the derivative at activation `a`."""
        whole = filled_up(gradient)
        torch.ops.aten.tanh_backward.grad_input(whole, filled_up(a), grad_input=whole)
        return gradient


@dataclass(frozen=True)
class ReLU:
    """Rectified linear unit, the activation of the paper's attack models (§VI-E)."""

    def forward_(self, z):
        """Replace `z` by its activation."""
        return z.relu_()

    def forward(self, z):
        """Return the activation of `z`, for autograd to follow."""
        return torch.relu(z)

    def backward_(self, gradient, a):
        """Multiply `gradient` by the derivative at activation `a`."""
        return gradient.masked_fill_(a <= 0, 0)


@dataclass(frozen=True)
class OutOfPlace:
    """An activation, `Tanh` or `ReLU`, that autograd can follow, since it overwrites nothing."""

    activation: Tanh | ReLU

    def forward_(self, z):
        """Return the activation of `z`; despite the name, which the stacks call, `z` stays."""
        return self.activation.forward(z)


@dataclass(frozen=True)
class NN:
    """Fully connected network with a softmax output (§VI-B).

    Parameters
    ----------
    hidden : tuple of int
        Units in each hidden layer; ``()`` is softmax regression.
    activation : Tanh or ReLU
    products : Float32 or BFloat16
        In what the matrix products of training are computed.
    dropout : float
        Share of the hidden units that sit out each update.

    Raises
    ------
    ValueError
        If `dropout` is not a share below 1.
    """

    hidden: tuple[int, ...] = (128,)
    activation: Tanh | ReLU = Tanh()
    products: Float32 | BFloat16 = Float32()
    dropout: float = 0.0

    models_a_block: ClassVar[int] = 5
    """Models that train as one stack on a CPU, about as many as its cache holds."""

    def __post_init__(self):
        check_dropout(self.dropout)

    def stack(self, n_models, shape, n_classes, device="cpu"):
        """Return a `DenseStack` of `n_models` models for records of a shape, all parameters zero."""
        return DenseStack(self, n_models, shape, n_classes, device)


class Stack:
    """M models of one architecture; `DenseStack` and `ConvStack` say which.

    Parameters
    ----------
    architecture : NN or CNN
    shapes : list of (int, int)
        Fan in and fan out of each layer.
    n_models, n_classes : int
    device : str or torch.device

    Attributes
    ----------
    parameters : Tensor of float32, shape (M, P)
        One model per row. P is rounded up to whole cache lines, so that a model's arithmetic is the same to the last
        bit wherever in a stack it stands, and to whole rows of the first layer's weights.
    """

    records_a_step = 4096
    """Records that `predict_proba` asks about at once."""

    _places = ()

    def __init__(self, architecture, shapes, n_models, n_classes, device):
        self.architecture, self._shapes = architecture, shapes
        self.n_models, self.n_classes = n_models, n_classes
        self.device = torch.device(device)
        whole = math.lcm(64, shapes[0][1])
        self.parameters = torch.zeros(n_models, -(-self.n_parameters // whole) * whole, device=self.device)
        self._layers = self.layers(self.parameters)
        self.dropout = NO_DROPOUT

    @property
    def n_features(self):
        """Numbers of one record (int)."""
        return self._shapes[0][0]

    @property
    def n_parameters(self):
        """Numbers that one model holds, without what its row is rounded up by (int)."""
        return sum((fan_in + 1) * fan_out for fan_in, fan_out in self._shapes)

    def layers(self, flat):
        """Return (weights (M, in, out), biases (M, 1, out)) of each layer, views into `flat`."""
        views, start = [], 0
        for fan_in, fan_out in self._shapes:
            middle, end = start + fan_in * fan_out, start + (fan_in + 1) * fan_out
            views.append((flat[:, start:middle].view(-1, fan_in, fan_out), flat[:, None, middle:end]))
            start = end
        return views

    @property
    def multiplications(self):
        """Multiplications for one record's prediction vector (int)."""
        return sum(fan_in * fan_out * n for (fan_in, fan_out), n in self._shapes_and_places())

    def _shapes_and_places(self):
        """Return each layer's shape, and at how many places of a record it is applied."""
        return itertools.zip_longest(self._shapes, self._places, fillvalue=1)

    def bytes_a_model(self, batch_size):
        """Return about how many bytes one model more takes while the stack trains, at least what it does take (int).

        Its parameters, their gradient and two moments; of each record of its batch the features, as they lie and as
        numbers, and of each layer the sums, their gradient, and one of them in the making.
        """
        of_record = 2 * self.n_features + 3 * sum(fan_out * n for (_, fan_out), n in self._shapes_and_places())
        return torch.float32.itemsize * (4 * self.parameters.shape[1] + batch_size * of_record)

    def models(self, which):
        """Return some of the models, a slice, as a stack that shares their parameters."""
        return self.with_parameters(self.parameters[which])

    def with_parameters(self, parameters):
        """Return a stack of the same architecture over other parameters, a Tensor of shape (M, P)."""
        stack = copy(self)
        stack.parameters, stack.n_models = parameters, len(parameters)
        stack._layers = stack.layers(parameters)
        return stack

    def followed(self):
        """Return a stack over the same parameters whose logits autograd can follow."""
        stack = copy(self)
        stack.architecture = replace(self.architecture, activation=OutOfPlace(self.architecture.activation))
        return stack

    @torch.no_grad()
    def features(self, x):
        """Return what every model's last hidden layer makes of records, ndarray of float32, shape (M, n, units).

        A ValueError says if the models have no hidden layer.
        """
        if not self.architecture.hidden:
            raise ValueError("softmax regression has no hidden layer; features need an architecture with hidden units")
        beheaded = copy(self)
        beheaded._layers = self._layers[:-1]
        batches = torch.from_numpy(as_features(x)).to(self.device).split(self.records_a_step)
        sums = [beheaded.logits(DenseBatch((b.float() * unit(x)).expand(self.n_models, -1, -1))) for b in batches]
        return self.architecture.activation.forward_(torch.cat(sums, dim=1)).cpu().numpy()

    def drop_out(self, generators):
        """Have hidden units sit out the updates to come, as the architecture says; one numpy Generator per model."""
        if self.architecture.dropout:
            self.dropout = Dropout(self.architecture.dropout, generators)

    def initialise(self, generators):
        """Draw every parameter from ±1/sqrt(fan in), Torch7's rule; one numpy Generator per model."""
        for m, rng in enumerate(generators):
            for (fan_in, fan_out), (weights, biases) in zip(self._shapes, self._layers, strict=True):
                drawn = rng.uniform(-1, 1, (fan_in + 1, fan_out)).astype(np.float32) / np.sqrt(np.float32(fan_in))
                drawn = torch.from_numpy(drawn).to(self.device)
                weights[m].copy_(drawn[:-1])
                biases[m].copy_(drawn[-1:])

    def predict_proba(self, x, index=None):
        """Return every model's prediction vectors, ndarray of float32, shape (M, k or n, classes).

        `x` are records of shape (n, ...); `index`, shape (M, k), has the rows of `x` that each model is asked for, by
        default all.
        """
        return self._answers(x, index, partial(torch.softmax, dim=2))

    def predict_logits(self, x, index=None):
        """Return what every model's softmax is taken of; as `predict_proba`, but for the sums."""
        return self._answers(x, index, lambda logits: logits)

    @torch.no_grad()
    def _answers(self, x, index, of_logits):
        scale, x = unit(x), as_features(x)
        n = len(x) if index is None else index.shape[1]
        answers = np.empty((self.n_models, n, self.n_classes), np.float32)
        step = max(1, min(self.records_a_step, FEATURES_A_STEP // max(1, self.n_models * x.shape[1])))
        for start in range(0, n, step):
            rows = slice(start, start + step)
            asked = x[rows] if index is None else x[index[:, rows]]
            batch = torch.from_numpy(asked).to(self.device).float()
            if scale != 1:
                batch = batch * scale
            answers[:, rows] = of_logits(self.logits(DenseBatch(batch.expand(self.n_models, -1, -1)))).cpu().numpy()
        return answers


class DenseStack(Stack):
    """M fully connected networks, an `NN` each, for records of a shape; their features are flattened."""

    def __init__(self, architecture, n_models, shape, n_classes, device="cpu"):
        widths = (math.prod(shape), *architecture.hidden, n_classes)
        super().__init__(architecture, list(pairwise(widths)), n_models, n_classes, device)

    def records(self, x):
        """Return records, an ndarray of shape (n, ...), in the form that this stack trains on fastest."""
        if self.device.type == "cpu" and is_sparse(x):
            return SparseRecords(x, self.parameters.shape[1] // self._shapes[0][1])
        return DenseRecords(x, self.device)

    def logits(self, batch):
        """Return what the softmax is taken of, a Tensor of shape (M, n, classes)."""
        return dense_forward(self.architecture.activation, Float32(), self._layers, batch)[1]

    def write_gradient(self, batch, y, gradients):
        """Write the gradient of each model's mean cross-entropy into `gradients`, views into its buffer from `layers`.

        `batch` has n records for each of M models, `y` their true classes, a Tensor of int64, shape (M, n, 1).
        """
        activation, products = self.architecture.activation, self.architecture.products
        hidden, logits = dense_forward(activation, products, self._layers, batch, self.dropout)
        delta = cross_entropy_delta(logits, y)
        dense_backward(activation, products, self._layers, batch, hidden, delta, gradients, self.dropout)


def dense_forward(activation, products, layers, batch, dropout=NO_DROPOUT):
    """Return the hidden layers, a list of (activations, what is left of them), and the logits of dense layers."""
    hidden, value = [], batch.times(*layers[0], products)
    for weights, biases in layers[1:]:
        value = activation.forward_(value)
        hidden.append((value, dropout.forward(value)))
        value = products.affine(hidden[-1][1], weights, biases)
    return hidden, value


def cross_entropy_delta(logits, y):
    """Return the gradient of the mean cross-entropy for the logits, shape (M, n, classes)."""
    delta = aligned(torch.softmax(logits, dim=2))
    delta.scatter_add_(2, y, MINUS_ONE.to(delta.device).expand(y.shape))
    return delta.div_(y.shape[1])


def dense_backward(activation, products, layers, batch, hidden, delta, gradients, dropout=NO_DROPOUT):
    """Write the gradients of fully connected layers, and return that of the first layer's sums, (M, n, units)."""
    for i in reversed(range(1, len(layers))):
        weights, biases = gradients[i]
        activations, left = hidden[i - 1]
        products.write(left.transpose(1, 2), delta, weights)
        torch.sum(delta, dim=1, keepdim=True, out=biases)
        delta = dropout.backward_(products.multiply(delta, layers[i][0].transpose(1, 2)))
        delta = activation.backward_(delta, activations)
    weights, biases = gradients[0]
    batch.write_gradient(delta, weights, products)
    torch.sum(delta, dim=1, keepdim=True, out=biases)
    return delta
