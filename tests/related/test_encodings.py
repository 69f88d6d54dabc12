import numpy as np
import pytest

from mialib.related import encodings

SIZES = (1, 7, 64, 1000)
MANTISSA = {np.float16: 10, np.float32: 23, np.float64: 52}
WIDTHS = [(dtype, n_low) for dtype, most in MANTISSA.items() for n_low in (1, 3, most // 2, most)]


def drawn(rng, dtype, size):
    """Parameters of every order of magnitude, with zeros and both signs."""
    values = (rng.normal(size=size) * 10.0 ** rng.integers(-6, 3, size)).astype(dtype)
    values[rng.random(size) < 0.05] = 0
    return values


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("dtype", "n_low"), WIDTHS)
def test_low_bits_written_are_low_bits_read(dtype, n_low, size, rng):
    parameters = drawn(rng, dtype, size)
    room = size * n_low
    for n_bits in {0, 1, room // 3, room - 1, room}:
        bits = rng.integers(0, 2, n_bits).astype(np.uint8)
        written = encodings.write_low_bits(parameters, bits, n_low)
        assert written.dtype == dtype
        np.testing.assert_array_equal(encodings.read_low_bits(written, n_bits, n_low), bits)


@pytest.mark.parametrize(("dtype", "n_low"), WIDTHS)
def test_low_bits_change_nothing_else(dtype, n_low, rng):
    parameters = drawn(rng, dtype, 500)
    before = parameters.copy()
    written = encodings.write_low_bits(parameters, np.ones(100 * n_low + 1, np.uint8), n_low)
    np.testing.assert_array_equal(parameters, before)
    np.testing.assert_array_equal(written[101:], parameters[101:])
    assert np.isfinite(written).all()
    np.testing.assert_array_equal(np.signbit(written), np.signbit(parameters))
    normal = np.abs(parameters) >= np.finfo(dtype).smallest_normal
    np.testing.assert_array_equal(np.frexp(written[normal])[1], np.frexp(parameters[normal])[1])
    shift = np.abs(written - parameters)[normal] / np.abs(parameters[normal]).astype(np.float64)
    assert shift.max() < 2.0 ** (n_low - MANTISSA[dtype])


@pytest.mark.parametrize(
    ("parameters", "n_bits", "n_low", "message"),
    [
        (np.zeros(10, np.float32), 81, 8, "the data need 81 bits, but the model carries 80; hide fewer records"),
        (np.zeros(10, np.float32), 8, 24, "n_low is 24, but the mantissa of float32 has 23 bits"),
        (np.zeros(10, np.float16), 8, 11, "n_low is 11, but the mantissa of float16 has 10 bits"),
        (np.zeros(10, np.float32), 8, 0, "n_low is 0; it must be a whole number of at least 1"),
        (np.zeros(10, np.int64), 8, 4, "parameters are int64; they must be float16, float32 or float64"),
    ],
)
def test_what_does_not_fit_is_one_clear_sentence(parameters, n_bits, n_low, message):
    with pytest.raises(ValueError, match=message):
        encodings.write_low_bits(parameters, np.zeros(n_bits, np.uint8), n_low)
    with pytest.raises(ValueError, match=message):
        encodings.read_low_bits(parameters, n_bits, n_low)


def test_too_many_values_signs_and_classes():
    with pytest.raises(ValueError, match="the data need 12 parameters, but the model carries 10"):
        encodings.read_values(np.zeros(10), (3, 4))
    with pytest.raises(ValueError, match="the data need 11 parameters, but the model carries 10"):
        encodings.read_signs(np.zeros(10), 11)
    with pytest.raises(ValueError, match="the data need 7 bits, but the model carries 6"):
        encodings.bits_of_classes(np.zeros(2, int), 7, 10)
    with pytest.raises(ValueError, match="n_classes is 1"):
        encodings.classes_of(np.ones(3), 1)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pixels_come_back_from_their_bits(depth, dtype, rng):
    levels = rng.integers(0, 2**depth, (3, 5, 4))
    x = (levels / (2**depth - 1)).astype(dtype)
    bits = encodings.bits_of(x, depth)
    assert bits.shape == (60 * depth,)
    assert set(bits) <= {0, 1}
    np.testing.assert_allclose(encodings.pixels_of(bits, depth, x.shape), x, atol=1e-6)
    any_pixels = rng.random((2, 3, 3))
    error = np.abs(encodings.pixels_of(encodings.bits_of(any_pixels, depth), depth, any_pixels.shape) - any_pixels)
    assert error.max() <= 0.5 / (2**depth - 1) + 1e-6


def test_the_first_bit_of_a_pixel_is_the_most_significant():
    np.testing.assert_array_equal(
        encodings.bits_of(np.array([1.0, 0.0, 8 / 15]), 4), [1, 1, 1, 1, 0, 0, 0, 0, 1, 0, 0, 0]
    )


@pytest.mark.parametrize("depth", [0, 17, 2.5])
def test_a_depth_that_no_pixel_has(depth):
    with pytest.raises(ValueError, match="depth is"):
        encodings.bits_of(np.zeros(3), depth)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("n_classes", [2, 3, 4, 10, 100, 256])
def test_bits_come_back_from_the_classes_that_carry_them(size, n_classes, rng):
    bits = rng.integers(0, 2, size).astype(np.uint8)
    classes = encodings.classes_of(bits, n_classes)
    assert len(classes) == -(-size // encodings.bits_per_class(n_classes))
    assert 0 <= classes.min() <= classes.max() < n_classes
    np.testing.assert_array_equal(encodings.bits_of_classes(classes, size, n_classes), bits)


def test_a_class_that_carries_no_bits_reads_as_0():
    np.testing.assert_array_equal(encodings.bits_of_classes(np.array([9, 5]), 6, 10), [0, 0, 0, 1, 0, 1])


@pytest.mark.parametrize("dtype", MANTISSA)
@pytest.mark.parametrize("size", SIZES)
def test_signs_come_back(dtype, size, rng):
    bits = rng.integers(0, 2, size).astype(np.uint8)
    parameters = (2.0 * bits - 1) * rng.uniform(0.1, 2, size)
    np.testing.assert_array_equal(encodings.read_signs(parameters.astype(dtype), size), bits)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [0.01, 3.0])
def test_perfectly_correlated_values_come_back(dtype, scale, rng):
    x = rng.random((4, 5, 5))
    x.flat[:2] = 0, 1
    parameters = np.append(scale * x.ravel() - 0.3, [99.0]).astype(dtype)
    np.testing.assert_allclose(encodings.read_values(parameters, x.shape, tail=0), x, atol=1e-4)


def test_tails_are_cut_off():
    parameters = np.concatenate([[-50.0], np.linspace(0, 1, 98), [40.0]])
    values = encodings.read_values(parameters, (100,), tail=0.02)
    assert (values[0], values[-1]) == (0, 1)
    np.testing.assert_allclose(values[1:-1], np.linspace(0, 1, 98), atol=0.02)
    assert encodings.read_values(np.ones(9), (3, 3)).max() == 0
