"""Models that remember too much: training data hidden in a model by who trains it (Song et al. 2017).

Three encodings need the model's parameters to be read (white box): low bits, correlated values and
signs. Capacity abuse needs nothing but answers (black box).
"""

from dataclasses import dataclass, replace

import numpy as np
import torch

from mialib.checks import whole
from mialib.datasets import Dataset, array_sha256
from mialib.seeding import child, children
from mialib.training import _Shuffled, default_device

RECOVERED = 20 / 255
"""Largest mean absolute pixel error of an image that counts as recovered, as in the original."""

_MANTISSA = {np.dtype(np.float16): 10, np.dtype(np.float32): 23, np.dtype(np.float64): 52}


def _fits(needed, room, what):
    if needed > room:
        raise ValueError(f"the data need {needed:,} {what}, but the model carries {room:,}; hide fewer records")


def grey(x):
    """Return images, pixels of 0 to 1, without their colours (ndarray of float32, shape (n, height, width))."""
    return x.mean(axis=3) if x.ndim == 4 else x


def bits_of(x, depth):
    """Return pixels as bits.

    Parameters
    ----------
    x : ndarray of float
        Pixels, 0 to 1.
    depth : int
        Bits a pixel, 1 to 16: pixels are rounded to so many grey values.

    Returns
    -------
    ndarray of uint8, shape (x.size * depth,)
        0 or 1, of each pixel the most significant first.
    """
    _check_depth(depth)
    levels = np.rint(np.ravel(x) * (2**depth - 1)).astype(np.uint32)
    return (levels[:, None] >> np.arange(depth - 1, -1, -1, dtype=np.uint32) & 1).astype(np.uint8).ravel()


def pixels_of(bits, depth, shape):
    """Return pixels from their bits: the reverse of `bits_of`, but for its rounding.

    Parameters
    ----------
    bits : ndarray of 0 and 1
        ``prod(shape) * depth`` of them.
    depth : int
    shape : tuple of int

    Returns
    -------
    ndarray of float32
        Pixels, 0 to 1.
    """
    _check_depth(depth)
    values = np.asarray(bits, np.uint32).reshape(-1, depth) @ (1 << np.arange(depth - 1, -1, -1, dtype=np.uint32))
    return (values / (2**depth - 1)).astype(np.float32).reshape(shape)


def _check_depth(depth):
    whole("depth", depth, 1)
    if depth > 16:
        raise ValueError(f"depth is {depth}; a pixel has at most 16 bits")


def parameters_of(stack):
    """Return the parameters of each model of a stack, ndarray of float32, shape (M, parameters): none that is idle."""
    n = sum(weights[0].numel() + biases[0].numel() for weights, biases in stack.layers(stack.parameters))
    return stack.parameters[:, :n].cpu().numpy()


def with_parameters_of(stack, parameters):
    """Return a stack of the same architecture with other parameters, shape (M, parameters)."""
    flat = stack.parameters.new_zeros(len(parameters), stack.parameters.shape[1])
    flat[:, : parameters.shape[1]] = torch.from_numpy(parameters)
    return stack.with_parameters(flat)


def write_low_bits(parameters, bits, n_low):
    """Hide bits in the least significant bits of parameters (§4.1 of the original).

    Parameters
    ----------
    parameters : ndarray of float16, float32 or float64, shape (P,)
    bits : ndarray of 0 and 1, shape (n,)
    n_low : int
        Bits of a parameter that are overwritten; only its mantissa may be, so that it stays
        finite and keeps its sign and order of magnitude.

    Returns
    -------
    ndarray, shape (P,)
        Of the same dtype. Parameters that are not needed stay as they were.

    Raises
    ------
    ValueError
        If there are too many bits, or `n_low` is not within the mantissa.
    """
    words = _words(parameters, n_low)
    _fits(len(bits), words.size * n_low, "bits")
    low = _low_bits(words, n_low)
    low.ravel()[: len(bits)] = bits
    low = np.bitwise_or.reduce(low << _places(words, n_low), axis=1)
    return (words >> n_low << n_low | low).view(parameters.dtype)


def read_low_bits(parameters, n_bits, n_low):
    """Return the first bits hidden by `write_low_bits`, ndarray of uint8, shape (n_bits,).

    Raises
    ------
    ValueError
        As for `write_low_bits`.
    """
    words = _words(parameters, n_low)
    _fits(n_bits, words.size * n_low, "bits")
    return _low_bits(words[: -(-n_bits // n_low)], n_low).ravel()[:n_bits].astype(np.uint8)


def _places(words, n_low):
    return np.arange(n_low - 1, -1, -1, dtype=words.dtype)


def _low_bits(words, n_low):
    return words[:, None] >> _places(words, n_low) & words.dtype.type(1)


def _words(parameters, n_low):
    whole("n_low", n_low, 1)
    if parameters.dtype not in _MANTISSA:
        raise ValueError(f"parameters are {parameters.dtype}; they must be float16, float32 or float64")
    if n_low > _MANTISSA[parameters.dtype]:
        raise ValueError(
            f"n_low is {n_low}, but the mantissa of {parameters.dtype} has {_MANTISSA[parameters.dtype]} bits; "
            "more would change a parameter's sign or order of magnitude"
        )
    return np.ascontiguousarray(parameters).view(f"u{parameters.dtype.itemsize}")


def read_values(parameters, shape):
    """Return pixels from the first parameters, one each, scaled from their range to 0..1 (§4.2 of the original).

    Parameters
    ----------
    parameters : ndarray of float, shape (P,)
    shape : tuple of int

    Returns
    -------
    ndarray of float32

    Raises
    ------
    ValueError
        If there are more pixels than parameters.
    """
    n = int(np.prod(shape))
    _fits(n, parameters.size, "parameters")
    low, high = parameters[:n].min(), parameters[:n].max()
    return ((parameters[:n] - low) / (high - low or 1)).astype(np.float32).reshape(shape)


def read_signs(parameters, n_bits):
    """Return the signs of the first parameters as bits, 1 for positive (§4.3 of the original).

    Returns
    -------
    ndarray of uint8, shape (n_bits,)

    Raises
    ------
    ValueError
        If there are more bits than parameters.
    """
    _fits(n_bits, parameters.size, "parameters")
    return (parameters[:n_bits] > 0).astype(np.uint8)


@dataclass(frozen=True)
class CorrelatedValues:
    """Parameters are drawn to values: minus their correlation is added to the loss (§4.2 of the original).

    The original adds the absolute correlation, and tries both signs when it reads; here it is
    positive.

    Parameters
    ----------
    weight : float
        Of the term, λc.
    """

    weight: float = 1.0

    def term(self, parameters, secret):
        """Return the term, summed over models.

        Parameters
        ----------
        parameters : Tensor of float32, shape (M, n)
        secret : Tensor of float32, shape (M, n)
            Values such as pixels.
        """
        a, b = (t - t.mean(dim=1, keepdim=True) for t in (parameters, secret))
        return -self.weight * torch.nn.functional.cosine_similarity(a, b, dim=1, eps=1e-12).sum()


@dataclass(frozen=True)
class Signs:
    """Parameters are drawn to signs: the mean size of those with the wrong one is added to the loss (§4.3).

    Parameters
    ----------
    weight : float
        Of the term, λs.
    """

    weight: float = 50.0

    def term(self, parameters, secret):
        """Return the term, summed over models.

        Parameters
        ----------
        parameters : Tensor of float32, shape (M, n)
        secret : Tensor of float32, shape (M, n)
            Bits, 0 or 1.
        """
        return self.weight * torch.relu(parameters * (1 - 2 * secret)).mean(dim=1).sum()


def fit_hiding(recipe, data, index, seeds, encoding, secrets, device=None):
    """Train a stack as `mialib.training.fit_stack` does, with an encoding's term in the loss.

    Parameters
    ----------
    recipe : Recipe
    data : Dataset
    index : ndarray of int, shape (M, n)
        The records of each model.
    seeds : sequence of M SeedSequence
    encoding : CorrelatedValues or Signs
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
    """
    device = device or default_device()
    stack = recipe.architecture.stack(len(index), data.x.shape[1:], data.n_classes, device)
    _fits(secrets.shape[1], parameters_of(stack).shape[1], "parameters")
    streams = [[np.random.default_rng(s) for s in children(seed, 2)] for seed in seeds]
    stack.initialise([first for first, _ in streams])
    shuffled = [_Shuffled(rows, order) for rows, (_, order) in zip(index, streams, strict=True)]
    records, secrets = stack.records(data.x), torch.from_numpy(secrets.astype(np.float32)).to(device)

    parameters = stack.parameters
    parameters.grad = torch.zeros_like(parameters)
    gradients = stack.layers(parameters.grad)
    adam = torch.optim.Adam([parameters], recipe.learning_rate, fused=True)
    for step in range(recipe.length.steps(index.shape[1], recipe.batch_size)):
        rows = np.stack([s.take(recipe.batch_size) for s in shuffled])[None]
        (batch,) = records.batches(rows)
        with torch.no_grad():
            stack.write_gradient(batch, torch.from_numpy(data.y[rows[0], None]).to(device), gradients)
        used = parameters[:, : secrets.shape[1]].detach().requires_grad_()
        (gradient,) = torch.autograd.grad(encoding.term(used, secrets), used)
        parameters.grad[:, : secrets.shape[1]] += gradient
        adam.param_groups[0]["lr"] = recipe.learning_rate / (1 + step * recipe.decay)
        adam.step()
    parameters.grad = None
    return stack


@dataclass(frozen=True, eq=False)
class Abuse:
    """Capacity abuse: synthetic records whose classes carry bits (§5 of the original).

    Anyone who knows the seed can generate the records again, ask the model, and read the bits off
    its answers.

    Parameters
    ----------
    shape : tuple of int
        Of a record.
    n_classes : int
        A record carries the whole bits of its class, 3 for 10 classes.
    seed : int or SeedSequence
    """

    shape: tuple[int, ...]
    n_classes: int
    seed: int = 0

    @property
    def bits_a_record(self):
        """Bits that the class of a synthetic record carries (int)."""
        return self.n_classes.bit_length() - 1

    def records(self, n_bits):
        """Return the synthetic records that carry so many bits: noise, pixels of 0 to 1, as float32."""
        n = -(-n_bits // self.bits_a_record)
        return np.random.default_rng(self.seed).random((n, *self.shape), np.float32)

    def classes(self, bits):
        """Return the class of each synthetic record, ndarray of int64."""
        padded = np.zeros((-(-len(bits) // self.bits_a_record), self.bits_a_record), np.int64)
        padded.ravel()[: len(bits)] = bits
        return padded @ (1 << np.arange(self.bits_a_record)[::-1])

    def read(self, classes, n_bits):
        """Return the bits from the classes that a model answers, ndarray of uint8; a class that carries none is 0."""
        classes = np.where(classes < 1 << self.bits_a_record, classes, 0)
        bits = classes[:, None] >> np.arange(self.bits_a_record)[::-1] & 1
        return bits.ravel()[:n_bits].astype(np.uint8)

    def added_to(self, data, bits):
        """Return data with the synthetic records behind their own, pixels of 0 to 1 (Dataset)."""
        x, y = self.records(len(bits)), self.classes(bits)
        x = np.concatenate([data.x, x]), np.concatenate([data.y, y])
        return replace(data, x=x[0], y=x[1])


def recovered(true, read):
    """Return which images count as recovered: mean absolute pixel error of at most `RECOVERED`.

    Parameters
    ----------
    true, read : ndarray, shape (n, ...)
        Pixels, 0 to 1.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    return pixel_error(true, read) <= RECOVERED


def pixel_error(true, read):
    """Return the mean absolute pixel error of each image, ndarray of float64, shape (n,); 0 to 1."""
    difference = np.abs(true.astype(np.float64) - read)
    return difference.mean(axis=tuple(range(1, difference.ndim)))
