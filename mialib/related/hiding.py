"""Training that hides data in a model (Song, Ristenpart and Shmatikov 2017)."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch

from mialib.base.machine import one_thread
from mialib.base.seeding import child, children
from mialib.base.validate import check_integer
from mialib.datasets.features import pixels
from mialib.models.stack import Stack
from mialib.models.training import _Shuffled, default_device, train_models
from mialib.related.encodings import (
    bits_a_class,
    bits_of,
    bits_of_classes,
    classes_of,
    fits,
    pixels_of,
    read_low_bits,
    read_signs,
    read_values,
    write_low_bits,
)


def parameters_of(stack):
    """Return the parameters of each model of a stack, without what only fills up its buffer, shape (M, P)."""
    n = sum(weights[0].numel() + biases[0].numel() for weights, biases in stack.layers(stack.parameters))
    return stack.parameters[:, :n].cpu().numpy()


def fit_hiding(recipe, data, index, seeds, term, secrets, device=None):
    """Train a stack as `mialib.models.training.fit_stack` does, with a term more in the loss.

    Parameters
    ----------
    recipe : Recipe
    data : Dataset
    index : ndarray of int, shape (M, n)
        The records of each model.
    seeds : sequence of M SeedSequence
    term : callable
        Of the first parameters of each model and of its secret, Tensors of shape (M, s).
    secrets : ndarray, shape (M, s)
        What each model hides, one value or bit a parameter.
    device : torch.device, optional

    Returns
    -------
    DenseStack or ConvStack

    Raises
    ------
    ValueError
        If there are more values than parameters.
    FloatingPointError
        If a parameter is no longer finite at the end.
    """
    device = device or default_device()
    stack = recipe.architecture.stack(len(index), data.x.shape[1:], data.n_classes, device)
    n = secrets.shape[1]
    fits(n, parameters_of(stack).shape[1], "parameters")
    streams = [[np.random.default_rng(s) for s in children(seed, 2)] for seed in seeds]
    stack.initialise([first for first, _ in streams])
    shuffled = [_Shuffled(rows, order) for rows, (_, order) in zip(index, streams, strict=True)]
    records, secrets = stack.records(data.x), torch.from_numpy(secrets.astype(np.float32)).to(device)
    parameters, gradient = stack.parameters, torch.zeros_like(stack.parameters)
    gradients = stack.layers(gradient)
    parameters.grad = gradient
    adam = torch.optim.Adam([parameters], recipe.learning_rate, fused=True)
    with one_thread():
        for step in range(recipe.length.steps(index.shape[1], recipe.batch_size)):
            rows = np.stack([s.take(recipe.batch_size) for s in shuffled])
            (batch,) = records.batches(rows[None])
            with torch.no_grad():
                stack.write_gradient(batch, torch.from_numpy(data.y[rows][..., None]).to(device), gradients)
            used = parameters[:, :n].detach().requires_grad_()
            gradient[:, :n] += torch.autograd.grad(term(used, secrets), used)[0]
            adam.param_groups[0]["lr"] = recipe.learning_rate / (1 + step * recipe.decay)
            adam.step()
    parameters.grad = None
    if not torch.isfinite(parameters).all():
        raise FloatingPointError(f"training diverged; try a learning_rate below {recipe.learning_rate}")
    return stack


RECOVERED = 20 / 255
"""Largest mean absolute pixel error of an image that counts as recovered, as in the original."""


@dataclass(frozen=True, eq=False)
class Hidden:
    """A model with images hidden in it, and what is read back.

    Parameters
    ----------
    stack : DenseStack or ConvStack
        Of one model.
    true, read : ndarray of float32, shape (n, height, width)
        The images hidden, and what they are read as; pixels, 0 to 1.
    mean : ndarray of float32, shape (height, width)
        Of all images that the model was trained on.
    n_corpus : int
        How many these are.
    """

    stack: Stack
    true: np.ndarray
    read: np.ndarray
    mean: np.ndarray
    n_corpus: int

    @property
    def error(self):
        """Mean absolute pixel error of each image, 0 to 1 (ndarray of float64, shape (n,))."""
        return np.abs(self.true.astype(np.float64) - self.read).mean(axis=(1, 2))

    @property
    def guess(self):
        """The error of reading every image as the mean of the corpus, to hold `error` against."""
        return np.abs(self.true.astype(np.float64) - self.mean).mean(axis=(1, 2))

    @property
    def recovered_images(self):
        """Whether each image is read with an error of at most `RECOVERED` (ndarray of bool, shape (n,))."""
        return self.error <= RECOVERED

    @property
    def recovered(self):
        """Share of the corpus that is recovered (float)."""
        return np.count_nonzero(self.recovered_images) / self.n_corpus


def hide(encoding, recipe, data, rows, seed, cache=None):
    """Train a model, hide as many of its training images in it as it carries, and read them back.

    Parameters
    ----------
    encoding : LowBits, CorrelatedValues, Signs or CapacityAbuse
    recipe : Recipe
    data : Dataset
        Of images.
    rows : ndarray of int, shape (n,)
        The training records; some, drawn from the seed, are hidden, without colour.
    seed : SeedSequence
    cache : ModelCache, optional

    Returns
    -------
    Hidden

    Raises
    ------
    ValueError
        If the model does not carry a single image, or the encoding more than it can.
    """
    corpus = np.random.default_rng(child(seed, 2)).permutation(grey(pixels(data.x[rows])))
    empty = recipe.architecture.stack(1, data.x.shape[1:], data.n_classes)
    n = min(len(corpus), encoding.images(parameters_of(empty).size, corpus[0].size))
    if n < 1:
        raise ValueError(f"{encoding} carries no image of {corpus[0].size} pixels in this model; take a larger model")
    true = corpus[:n]
    stack = encoding.fit(recipe, data, rows, seed, true, cache)
    return Hidden(stack, true, encoding.read(stack, true.shape, data), corpus.mean(axis=0), len(corpus))


def grey(x):
    """Return images without their colours, shape (n, height, width).

    Raises
    ------
    ValueError
        If records are not images.
    """
    if x.ndim not in (3, 4):
        raise ValueError(
            f"records have the shape {x.shape[1:]}; only images, (height, width) or with channels, are hidden"
        )
    return x.mean(axis=3) if x.ndim == 4 else x


@dataclass(frozen=True)
class LowBits:
    """Least significant bits of the parameters, overwritten once the model is trained (§4.1 of the original).

    Parameters
    ----------
    n_low : int
        Bits a parameter, of the 23 of its mantissa.
    depth : int
        Bits a pixel.
    """

    n_low: int = 16
    depth: int = 8

    needs: ClassVar[str] = "parameters, and to change them after training"
    """What the malicious trainer and the reader must have."""

    def images(self, n_parameters, n_pixels):
        """Return how many images of a size a model carries."""
        return n_parameters * self.n_low // (n_pixels * self.depth)

    def fit(self, recipe, data, rows, seed, secret, cache=None):
        """Return a stack of one model with images hidden in it."""
        stack = train_models(recipe, data, rows[None], [seed], cache)
        written = write_low_bits(parameters_of(stack)[0], bits_of(secret, self.depth), self.n_low)
        parameters = stack.parameters.clone()
        parameters[0, : len(written)] = torch.from_numpy(written)
        return stack.with_parameters(parameters)

    def read(self, stack, shape, data):
        """Return the images of a shape, (n, height, width), that a model holds."""
        bits = read_low_bits(parameters_of(stack)[0], int(np.prod(shape)) * self.depth, self.n_low)
        return pixels_of(bits, self.depth, shape)


@dataclass(frozen=True)
class CorrelatedValues:
    """Parameters drawn to pixels: minus their correlation is added to the loss (§4.2 of the original).

    The original adds the absolute correlation, and tries both signs when it reads; here it is
    positive.

    Parameters
    ----------
    weight : float
        Of the term, λc.
    tail : float
        As for `mialib.related.encodings.read_values`.
    """

    weight: float = 10.0
    tail: float = 0.05

    needs: ClassVar[str] = "parameters, and the training code"
    """What the malicious trainer and the reader must have."""

    def images(self, n_parameters, n_pixels):
        """Return how many images of a size a model carries."""
        return n_parameters // n_pixels

    def term(self, parameters, values):
        """Return the term in the loss, of Tensors of float32, shape (M, n), summed over models."""
        a, b = (t - t.mean(dim=1, keepdim=True) for t in (parameters, values))
        return -self.weight * torch.nn.functional.cosine_similarity(a, b, dim=1, eps=1e-12).sum()

    def fit(self, recipe, data, rows, seed, secret, cache=None):
        """Return a stack of one model with images hidden in it."""
        return fit_hiding(recipe, data, rows[None], [seed], self.term, secret.reshape(1, -1))

    def read(self, stack, shape, data):
        """Return the images of a shape, (n, height, width), that a model holds."""
        return read_values(parameters_of(stack)[0], shape, self.tail)


@dataclass(frozen=True)
class Signs:
    """Signs of the parameters: the mean size of those with the wrong one is added to the loss (§4.3 of the original).

    Parameters
    ----------
    weight : float
        Of the term, λs.
    depth : int
        Bits a pixel.
    """

    weight: float = 200.0
    depth: int = 4

    needs: ClassVar[str] = "parameters, and the training code"
    """What the malicious trainer and the reader must have."""

    def images(self, n_parameters, n_pixels):
        """Return how many images of a size a model carries."""
        return n_parameters // (n_pixels * self.depth)

    def term(self, parameters, bits):
        """Return the term in the loss, of Tensors of float32, shape (M, n), summed over models."""
        return self.weight * torch.relu(parameters * (1 - 2 * bits)).mean(dim=1).sum()

    def fit(self, recipe, data, rows, seed, secret, cache=None):
        """Return a stack of one model with images hidden in it."""
        return fit_hiding(recipe, data, rows[None], [seed], self.term, bits_of(secret, self.depth)[None])

    def read(self, stack, shape, data):
        """Return the images of a shape, (n, height, width), that a model holds."""
        bits = read_signs(parameters_of(stack)[0], int(np.prod(shape)) * self.depth)
        return pixels_of(bits, self.depth, shape)


@dataclass(frozen=True)
class CapacityAbuse:
    """Synthetic training records whose classes carry bits (§5 of the original).

    Who knows the seed generates the records again, asks the model, and reads the bits off its
    answers. Here they are noise; how many a model learns by heart is not known beforehand.

    Parameters
    ----------
    n_images : int
    depth : int
        Bits a pixel.
    seed : int
        Of the synthetic records.
    """

    n_images: int
    depth: int = 4
    seed: int = 0

    needs: ClassVar[str] = "answers, and records added to training"
    """What the malicious trainer and the reader must have."""

    def __post_init__(self):
        check_integer("n_images", self.n_images, 1)

    def images(self, n_parameters, n_pixels):
        """Return how many images are hidden, whatever the model."""
        return self.n_images

    def synthetic(self, n_bits, data):
        """Return the synthetic records that carry so many bits, float32, pixels of 0 to 1."""
        n = -(-n_bits // bits_a_class(data.n_classes))
        return np.random.default_rng(self.seed).random((n, *data.x.shape[1:]), np.float32)

    def fit(self, recipe, data, rows, seed, secret, cache=None):
        """Return a stack of one model with images hidden in it."""
        bits = bits_of(secret, self.depth)
        added = classes_of(bits, data.n_classes)
        x = np.concatenate([pixels(data.x[rows]), self.synthetic(len(bits), data)])
        both = replace(data, x=x, y=np.concatenate([data.y[rows], added]))
        return train_models(recipe, both, np.arange(len(both))[None], [seed], cache)

    def read(self, stack, shape, data):
        """Return the images of a shape, (n, height, width), that a model holds."""
        n_bits = int(np.prod(shape)) * self.depth
        classes = stack.predict_proba(self.synthetic(n_bits, data))[0].argmax(axis=1)
        return pixels_of(bits_of_classes(classes, n_bits, data.n_classes), self.depth, shape)
