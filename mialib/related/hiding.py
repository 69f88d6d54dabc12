"""Training that hides data in a model (Song, Ristenpart and Shmatikov 2017)."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from mialib.base.machine import one_thread
from mialib.base.seeding import child
from mialib.base.validate import check_integer
from mialib.datasets.features import pixels
from mialib.models.stack import Stack
from mialib.models.training import default_device, fit_stack
from mialib.related import encodings

RECOVERED = 20 / 255
"""Largest mean absolute pixel error of an image that counts as recovered, as in the original."""


def parameters_of(stack):
    """Return the parameters of each model of a stack, without what only fills up its buffer, shape (M, P)."""
    return stack.parameters[:, : stack.n_parameters].cpu().numpy()


def fit_hiding(recipe, data, index, seeds, term, secrets, device=None):
    """Train a stack as `mialib.models.training.fit_stack` does, with a term more in the loss.

    ``term(parameters, secrets)`` is of Tensors of shape (M, s), the first parameters of each model and one value or bit
    for each of these, and is summed over models; `secrets` is an ndarray. A ValueError says if there are more values
    than parameters, a FloatingPointError that a parameter is no longer finite at the end.
    """
    device, n = device or default_device(), secrets.shape[1]
    encodings.check_room(n, recipe.architecture.stack(0, data.x.shape[1:], data.n_classes).n_parameters, "parameters")
    secrets = torch.from_numpy(secrets.astype(np.float32)).to(device)

    def penalty(parameters, gradient):
        used = parameters[:, :n].detach().requires_grad_()
        with torch.enable_grad():
            gradient[:, :n] += torch.autograd.grad(term(used, secrets), used)[0]

    with one_thread():
        return fit_stack(recipe, data.x, data.y, data.n_classes, index, seeds, device, penalty)


@dataclass(frozen=True, eq=False)
class Hidden:
    """A model with images hidden in it, and what is read back.

    Parameters
    ----------
    stack : Stack
        Of one model.
    true, read : ndarray of float32, shape (n, height, width)
        The images hidden, and what they are read as; pixels, 0 to 1.
    mean : ndarray of float32, shape (height, width)
        Of the `n_corpus` images that the model was trained on.
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
    """Train a model, hide as many of its training images in it as it carries, and read them back, as `Hidden`.

    `rows` are those of its training records; `seed`, a SeedSequence, draws which are hidden, without colour. A
    ValueError says if the model does not carry a single image, or the encoding more than it can.
    """
    corpus = np.random.default_rng(child(seed, 2)).permutation(_grey(pixels(data.x[rows])))
    n_parameters = recipe.architecture.stack(0, data.x.shape[1:], data.n_classes).n_parameters
    n = min(len(corpus), encoding.images(n_parameters, corpus[0].size))
    if n < 1:
        raise ValueError(f"{encoding} carries no image of {corpus[0].size} pixels in this model; take a larger model")
    true = corpus[:n]
    stack = encoding.fit(recipe, data, rows, seed, encoding.secret(true), cache)
    return Hidden(stack, true, encoding.read(stack, true.shape, data), corpus.mean(axis=0), len(corpus))


def _grey(x):
    if x.ndim in (3, 4):
        return x.mean(axis=3) if x.ndim == 4 else x
    shape = x.shape[1:]
    raise ValueError(f"records have the shape {shape}; only images, (height, width) or with channels, are hidden")


class Encoding:
    """A way to hide images in a model: by default as one value per pixel in one parameter each.

    Each has a ``term(parameters, secret)`` in the loss, of Tensors of shape (M, n), summed over models, or a `fit` of
    its own; and ``_decode(stack, n, data)``, which returns the first bits or values hidden. `needs` says what the
    malicious trainer and the reader must have, `depth` the bits per pixel; None where values are hidden.
    """

    needs = "parameters, and the training code"
    depth = None

    def images(self, n_parameters, n_pixels):
        """Return how many images of a size a model carries."""
        return n_parameters // (n_pixels * (self.depth or 1))

    def secret(self, images):
        """Return images as bits, or as values where there is no `depth`, shape (n,)."""
        return encodings.bits_of(images, self.depth) if self.depth else images.ravel()

    def read(self, stack, shape, data):
        """Return the images of a shape, (n, height, width), that a model holds."""
        found = self._decode(stack, int(np.prod(shape)) * (self.depth or 1), data)
        return encodings.pixels_of(found, self.depth, shape) if self.depth else found.reshape(shape)

    def fit(self, recipe, data, rows, seed, secret, cache=None):
        """Return a stack of one model that hides a secret."""
        return fit_hiding(recipe, data, rows[None], [seed], self.term, secret[None])


@dataclass(frozen=True)
class LowBits(Encoding):
    """Least significant bits of the parameters, overwritten once the model is trained (§4.1 of the original).

    Parameters
    ----------
    n_low, depth : int
        Bits per parameter, of the 23 of its mantissa, and bits per pixel.
    """

    n_low: int = 16
    depth: int = 8

    needs = "parameters, and to change them after training"

    def images(self, n_parameters, n_pixels):
        """Return how many images of a size a model carries."""
        return n_parameters * self.n_low // (n_pixels * self.depth)

    def fit(self, recipe, data, rows, seed, secret, cache=None):
        """Train a model, then overwrite its low bits."""
        stack = recipe.train(data, rows[None], [seed], cache)
        written = encodings.write_low_bits(parameters_of(stack)[0], secret, self.n_low)
        parameters = stack.parameters.clone()
        parameters[0, : len(written)] = torch.from_numpy(written)
        return stack.with_parameters(parameters)

    def _decode(self, stack, n, data):
        return encodings.read_low_bits(parameters_of(stack)[0], n, self.n_low)


@dataclass(frozen=True)
class CorrelatedValues(Encoding):
    """Parameters drawn to pixels: minus their correlation is added to the loss (§4.2 of the original).

    The original adds the absolute correlation, and tries both signs when it reads; here it is positive.

    Parameters
    ----------
    weight : float
        Of the term, λc.
    tail : float
        As for `mialib.related.encodings.read_values`.
    """

    weight: float = 10.0
    tail: float = 0.05

    def term(self, parameters, values):
        """Return minus the correlation, weighted."""
        a, b = (t - t.mean(dim=1, keepdim=True) for t in (parameters, values))
        return -self.weight * torch.nn.functional.cosine_similarity(a, b, dim=1, eps=1e-12).sum()

    def _decode(self, stack, n, data):
        return encodings.read_values(parameters_of(stack)[0], (n,), self.tail)


@dataclass(frozen=True)
class Signs(Encoding):
    """Signs of the parameters: the mean size of those with the wrong one is added to the loss (§4.3 of the original).

    Parameters
    ----------
    weight : float
        Of the term, λs.
    depth : int
        Bits per pixel.
    """

    weight: float = 200.0
    depth: int = 4

    def term(self, parameters, bits):
        """Return the mean size of parameters with the wrong sign, weighted."""
        return self.weight * torch.relu(parameters * (1 - 2 * bits)).mean(dim=1).sum()

    def _decode(self, stack, n, data):
        return encodings.read_signs(parameters_of(stack)[0], n)


@dataclass(frozen=True)
class CapacityAbuse(Encoding):
    """Synthetic training records whose classes carry bits (§5 of the original).

    A reader who knows the seed generates the records again, asks the model, and reads the bits off its answers. Here
    they are noise; how many a model memorises is not known beforehand.

    Parameters
    ----------
    n_images, depth : int
        Images hidden, and bits per pixel.
    seed : int
        Of the synthetic records.
    """

    n_images: int
    depth: int = 4
    seed: int = 0

    needs = "answers, and records added to training"

    def __post_init__(self):
        check_integer("n_images", self.n_images, 1)

    def images(self, n_parameters, n_pixels):
        """Return how many images are hidden, whatever the model."""
        return self.n_images

    def _synthetic(self, n_bits, data):
        """Return the synthetic records that carry so many bits."""
        n = -(-n_bits // encodings.bits_per_class(data.n_classes))
        return np.random.default_rng(self.seed).random((n, *data.x.shape[1:]), np.float32)

    def fit(self, recipe, data, rows, seed, secret, cache=None):
        """Train a model on its records and the synthetic ones."""
        x = np.concatenate([pixels(data.x[rows]), self._synthetic(len(secret), data)])
        both = replace(data, x=x, y=np.concatenate([data.y[rows], encodings.classes_of(secret, data.n_classes)]))
        return recipe.train(both, np.arange(len(both))[None], [seed], cache)

    def _decode(self, stack, n, data):
        classes = stack.predict_proba(self._synthetic(n, data))[0].argmax(axis=1)
        return encodings.bits_of_classes(classes, n, data.n_classes)
