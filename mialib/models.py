"""The paper's models, as stacks: M models of one architecture that train side by side (§VI-B).

Every parameter has a leading model axis, so one batched product does the work of M. All
parameters of a model lie in one row of one buffer, and so do its gradients, which are written
by hand: an optimiser then sees a single tensor.
"""

import math
from copy import copy
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch


@dataclass(frozen=True)
class Tanh:
    """Hyperbolic tangent, the activation of the paper's target models (§VI-B)."""

    def forward_(self, z):
        """Replace `z` by its activation."""
        return z.tanh_()

    def backward_(self, gradient, a):
        """Multiply `gradient` by the derivative at activation `a`."""
        return gradient.addcmul_(gradient * a, a, value=-1)


@dataclass(frozen=True)
class ReLU:
    """Rectified linear unit, the activation of the paper's attack models (§VI-E)."""

    def forward_(self, z):
        """Replace `z` by its activation."""
        return z.relu_()

    def backward_(self, gradient, a):
        """Multiply `gradient` by the derivative at activation `a`."""
        return gradient.masked_fill_(a <= 0, 0)


@dataclass(frozen=True)
class NN:
    """Fully connected network with a softmax output (§VI-B).

    Parameters
    ----------
    hidden : tuple of int
        Units in each hidden layer; ``()`` is softmax regression.
    activation : Tanh or ReLU
    """

    hidden: tuple[int, ...] = (128,)
    activation: Tanh | ReLU = Tanh()

    def stack(self, n_models, n_features, n_classes, device="cpu"):
        """Return a `DenseStack` of `n_models` models whose parameters are all zero."""
        return DenseStack(self, n_models, n_features, n_classes, device)


class DenseStack:
    """M fully connected networks of one architecture.

    Parameters
    ----------
    architecture : NN
    n_models, n_features, n_classes : int
    device : str or torch.device

    Attributes
    ----------
    parameters : Tensor of float32, shape (M, P)
        One model a row. P is rounded up to whole cache lines, so that a model's arithmetic is
        the same to the last bit wherever in a stack it stands.
    """

    def __init__(self, architecture, n_models, n_features, n_classes, device="cpu"):
        self.architecture = architecture
        self.n_models, self.n_features, self.n_classes = n_models, n_features, n_classes
        self.device = torch.device(device)
        widths = (n_features, *architecture.hidden, n_classes)
        self._shapes = list(pairwise(widths))
        n_parameters = sum((fan_in + 1) * fan_out for fan_in, fan_out in self._shapes)
        self.parameters = torch.zeros(n_models, -(-n_parameters // 64) * 64, device=self.device)
        self._layers = self.layers(self.parameters)

    def layers(self, flat):
        """Return (weights (M, in, out), biases (M, 1, out)) of each layer, views into `flat`."""
        views, start = [], 0
        for fan_in, fan_out in self._shapes:
            middle, end = start + fan_in * fan_out, start + (fan_in + 1) * fan_out
            views.append((flat[:, start:middle].view(-1, fan_in, fan_out), flat[:, None, middle:end]))
            start = end
        return views

    def models(self, which):
        """Return some of the models, a slice, as a stack that shares their parameters."""
        return self.with_parameters(self.parameters[which])

    def with_parameters(self, parameters):
        """Return a stack of the same architecture over other parameters, a Tensor of shape (M, P)."""
        stack = copy(self)
        stack.parameters, stack.n_models = parameters, len(parameters)
        stack._layers = stack.layers(parameters)
        return stack

    def initialise(self, generators):
        """Draw every parameter from ±1/sqrt(fan in), Torch7's rule; one numpy Generator a model."""
        for m, rng in enumerate(generators):
            for (fan_in, fan_out), (weights, biases) in zip(self._shapes, self._layers, strict=True):
                drawn = rng.uniform(-1, 1, (fan_in + 1, fan_out)).astype(np.float32) / np.sqrt(np.float32(fan_in))
                drawn = torch.from_numpy(drawn).to(self.device)
                weights[m].copy_(drawn[:-1])
                biases[m].copy_(drawn[-1:])

    def activations(self, x):
        """Return [x, hidden activations..., logits] for records `x` of shape (M, n, features)."""
        *hidden, last = self._layers
        values = [x]
        for weights, biases in hidden:
            values.append(self.architecture.activation.forward_(torch.baddbmm(biases, values[-1], weights)))
        values.append(torch.baddbmm(last[1], values[-1], last[0]))
        return values

    def write_gradient(self, x, y, flat):
        """Write the gradient of each model's mean cross-entropy into `flat`.

        Parameters
        ----------
        x : Tensor of float32, shape (M, n, features)
        y : Tensor of int64, shape (M, n)
        flat : Tensor of float32, like `parameters`
        """
        values = self.activations(x)
        delta = torch.softmax(values.pop(), dim=2)
        delta.scatter_add_(2, y[:, :, None], torch.full((1, 1, 1), -1.0, device=self.device).expand(*y.shape, 1))
        delta /= y.shape[1]
        gradients = self.layers(flat)
        for i in reversed(range(len(gradients))):
            weights, biases = gradients[i]
            torch.bmm(values[i].transpose(1, 2), delta, out=weights)
            torch.sum(delta, dim=1, keepdim=True, out=biases)
            if i:
                delta = torch.bmm(delta, self._layers[i][0].transpose(1, 2))
                delta = self.architecture.activation.backward_(delta, values[i])

    def predict_proba(self, x, index=None, batch_size=4096):
        """Return every model's prediction vectors.

        Parameters
        ----------
        x : array_like, shape (n, ...)
            Records; features are flattened.
        index : ndarray of int, shape (M, k), optional
            Rows of `x` that each model is asked for; by default all models are asked for all.
        batch_size : int
            Records a step.

        Returns
        -------
        ndarray of float32, shape (M, k or n, classes)
            Each vector sums to one.
        """
        x = as_features(x)
        n = len(x) if index is None else index.shape[1]
        vectors = np.empty((self.n_models, n, self.n_classes), np.float32)
        for start in range(0, n, batch_size):
            rows = slice(start, start + batch_size)
            if index is None:
                batch = torch.from_numpy(x[rows]).to(self.device).float().expand(self.n_models, -1, -1)
            else:
                batch = torch.from_numpy(x[index[:, rows]]).to(self.device).float()
            vectors[:, rows] = torch.softmax(self.activations(batch)[-1], dim=2).cpu().numpy()
        return vectors


def as_features(x):
    """Return records as one flat row of features each, shape (n, features)."""
    x = np.asarray(x)
    return x.reshape(len(x), math.prod(x.shape[1:]))
