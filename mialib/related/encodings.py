"""Bits and pixels as parameters and classes of a model, and back (Song, Ristenpart and Shmatikov 2017).

Pixels are floats, 0 to 1; bits are arrays of 0 and 1. What does not fit is a ValueError.
"""

import numpy as np

from mialib.base.validate import check_integer


def check_room(needed, room, what):
    """Raise a ValueError if a model has no room for the data."""
    if needed > room:
        raise ValueError(f"the data need {needed:,} {what}, but the model carries {room:,}; hide fewer records")


def _split(words, width):
    """Return the last bits of integers, shape (n, width), the most significant first."""
    return words[:, None] >> np.arange(width - 1, -1, -1, dtype=words.dtype) & 1


def _join(bits, width, dtype):
    """Return the integers whose last bits these are."""
    bits = np.asarray(bits, dtype).reshape(-1, width)
    return np.bitwise_or.reduce(bits << np.arange(width - 1, -1, -1, dtype=dtype), axis=1)


def bits_of(x, depth):
    """Return pixels, rounded to 2**depth grey values, as bits; ndarray of uint8, shape (x.size * depth,)."""
    _check_depth(depth)
    levels = np.rint(np.ravel(x) * (2**depth - 1)).astype(np.uint32)
    return _split(levels, depth).astype(np.uint8).ravel()


def pixels_of(bits, depth, shape):
    """Return pixels from their bits: the reverse of `bits_of`, but for its rounding; ndarray of float32."""
    _check_depth(depth)
    return (_join(bits, depth, np.uint32) / (2**depth - 1)).astype(np.float32).reshape(shape)


def _check_depth(depth):
    check_integer("depth", depth, 1)
    if depth > 16:
        raise ValueError(f"depth is {depth}; a pixel has at most 16 bits")


def write_low_bits(parameters, bits, n_low):
    """Return parameters with bits in their `n_low` least significant ones (§4.1 of the original).

    Only the mantissa of these, float16 to float64, may be overwritten, so that each stays finite and keeps its sign and
    order of magnitude. Those that are not needed stay as they were.
    """
    words = _words(parameters, n_low)
    check_room(len(bits), words.size * n_low, "bits")
    low = _split(words, n_low)
    low.ravel()[: len(bits)] = bits
    return (words >> n_low << n_low | _join(low, n_low, words.dtype)).view(parameters.dtype)


def read_low_bits(parameters, n_bits, n_low):
    """Return the first bits that `write_low_bits` hid, ndarray of uint8, shape (n_bits,)."""
    words = _words(parameters, n_low)
    check_room(n_bits, words.size * n_low, "bits")
    return _split(words[: -(-n_bits // n_low)], n_low).ravel()[:n_bits].astype(np.uint8)


def _words(parameters, n_low):
    check_integer("n_low", n_low, 1)
    dtype = parameters.dtype
    if dtype not in (np.float16, np.float32, np.float64):
        raise ValueError(f"parameters are {dtype}; they must be float16, float32 or float64")
    if n_low > (most := np.finfo(dtype).nmant):
        raise ValueError(
            f"n_low is {n_low}, but the mantissa of {dtype} has {most} bits; "
            "more would change a parameter's sign or order of magnitude"
        )
    return np.ascontiguousarray(parameters).view(f"u{dtype.itemsize}")


def read_values(parameters, shape, tail=0.05):
    """Return pixels from the first parameters, one each, scaled from their range to 0..1 (§4.2 of the original).

    `tail` is the share of parameters at each end that are cut off at black and white. The original scales from the
    least to the largest (0), which a few stray parameters can spoil.
    """
    n = int(np.prod(shape))
    check_room(n, parameters.size, "parameters")
    low, high = np.quantile(parameters[:n], [tail, 1 - tail])
    return np.clip((parameters[:n] - low) / (high - low or 1), 0, 1).astype(np.float32).reshape(shape)


def read_signs(parameters, n_bits):
    """Return the signs of the first parameters as bits, uint8, 1 for positive (§4.3 of the original)."""
    check_room(n_bits, parameters.size, "parameters")
    return (parameters[:n_bits] > 0).astype(np.uint8)


def bits_per_class(n_classes):
    """Return the whole bits that one class can carry: 3 for 10 classes."""
    return n_classes.bit_length() - 1


def classes_of(bits, n_classes):
    """Return the classes, int64, that carry bits, `bits_per_class` each (§5 of the original); one class has none."""
    check_integer("n_classes", n_classes, 2)
    width = bits_per_class(n_classes)
    return _join(np.pad(bits, (0, -len(bits) % width)), width, np.int64)


def bits_of_classes(classes, n_bits, n_classes):
    """Return the bits that classes carry, ndarray of uint8, shape (n_bits,); a class that carries none reads as 0."""
    width = bits_per_class(n_classes)
    check_room(n_bits, len(classes) * width, "bits")
    return _split(np.where(classes < 1 << width, classes, 0), width).ravel()[:n_bits].astype(np.uint8)
