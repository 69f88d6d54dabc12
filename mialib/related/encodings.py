"""Bits and pixels as parameters and classes of a model, and back (Song, Ristenpart, Shmatikov 2017)."""

import numpy as np

from mialib.base.validate import check_integer

_MANTISSA = {np.dtype(np.float16): 10, np.dtype(np.float32): 23, np.dtype(np.float64): 52}


def fits(needed, room, what):
    """Check that a model has room for the data.

    Raises
    ------
    ValueError
        If not.
    """
    if needed > room:
        raise ValueError(f"the data need {needed:,} {what}, but the model carries {room:,}; hide fewer records")


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
    check_integer("depth", depth, 1)
    if depth > 16:
        raise ValueError(f"depth is {depth}; a pixel has at most 16 bits")


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
    fits(len(bits), words.size * n_low, "bits")
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
    fits(n_bits, words.size * n_low, "bits")
    return _low_bits(words[: -(-n_bits // n_low)], n_low).ravel()[:n_bits].astype(np.uint8)


def _places(words, n_low):
    return np.arange(n_low - 1, -1, -1, dtype=words.dtype)


def _low_bits(words, n_low):
    return words[:, None] >> _places(words, n_low) & words.dtype.type(1)


def _words(parameters, n_low):
    check_integer("n_low", n_low, 1)
    if parameters.dtype not in _MANTISSA:
        raise ValueError(f"parameters are {parameters.dtype}; they must be float16, float32 or float64")
    if n_low > _MANTISSA[parameters.dtype]:
        raise ValueError(
            f"n_low is {n_low}, but the mantissa of {parameters.dtype} has {_MANTISSA[parameters.dtype]} bits; "
            "more would change a parameter's sign or order of magnitude"
        )
    return np.ascontiguousarray(parameters).view(f"u{parameters.dtype.itemsize}")


def read_values(parameters, shape, tail=0.05):
    """Return pixels from the first parameters, one each, scaled from their range to 0..1 (§4.2 of the original).

    Parameters
    ----------
    parameters : ndarray of float, shape (P,)
    shape : tuple of int
    tail : float
        Share of parameters at each end that are cut off at black and white. The original scales
        from the least to the largest (0), which a few stray parameters can spoil.

    Returns
    -------
    ndarray of float32

    Raises
    ------
    ValueError
        If there are more pixels than parameters.
    """
    n = int(np.prod(shape))
    fits(n, parameters.size, "parameters")
    low, high = np.quantile(parameters[:n], [tail, 1 - tail])
    return np.clip((parameters[:n] - low) / (high - low or 1), 0, 1).astype(np.float32).reshape(shape)


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
    fits(n_bits, parameters.size, "parameters")
    return (parameters[:n_bits] > 0).astype(np.uint8)


def bits_a_class(n_classes):
    """Return the whole bits that one class can carry: 3 for 10 classes."""
    return n_classes.bit_length() - 1


def classes_of(bits, n_classes):
    """Return classes that carry bits (§5 of the original).

    Parameters
    ----------
    bits : ndarray of 0 and 1, shape (n,)
    n_classes : int

    Returns
    -------
    ndarray of int64, shape (n / `bits_a_class`, rounded up,)

    Raises
    ------
    ValueError
        If there is only one class, which carries nothing.
    """
    check_integer("n_classes", n_classes, 2)
    places = np.arange(bits_a_class(n_classes))[::-1]
    padded = np.zeros((-(-len(bits) // len(places)), len(places)), np.int64)
    padded.ravel()[: len(bits)] = bits
    return padded @ (1 << places)


def bits_of_classes(classes, n_bits, n_classes):
    """Return the bits that classes carry, ndarray of uint8, shape (n_bits,); a class that carries none reads as 0."""
    places = np.arange(bits_a_class(n_classes))[::-1]
    fits(n_bits, len(classes) * len(places), "bits")
    classes = np.where(classes < 1 << len(places), classes, 0)
    return (classes[:, None] >> places & 1).ravel()[:n_bits].astype(np.uint8)
