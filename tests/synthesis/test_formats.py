import numpy as np
import pytest

from mialib.synthesis.formats import Binary, Format, Integers, Reals

MIXED = Format((2, 3), (Binary(), Integers(-3, 3), Reals(0, 1), Binary(), Integers(17, 90), Reals(-1, 0)))


@pytest.mark.parametrize(
    ("feature", "values", "dtype"),
    [
        (Binary(), [0, 1], np.uint8),
        (Integers(0, 255), range(256), np.uint8),
        (Integers(-2, 2), range(-2, 3), np.int32),
    ],
)
def test_random_features_take_every_value_equally_often(rng, feature, values, dtype):
    rows = Format((50,), feature).drawn(rng.random((2000, 50)))
    assert rows.dtype == dtype
    found, counts = np.unique(rows, return_counts=True)
    np.testing.assert_array_equal(found, list(values))
    expected = rows.size / len(values)
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected)).all()


def test_random_reals_are_uniform(rng):
    rows = Format((50,), Reals(-2, 3)).drawn(rng.random((2000, 50)))
    assert rows.dtype == np.float32
    assert -2 <= rows.min() < -1.99
    assert 2.99 < rows.max() <= 3
    assert np.histogram(rows, 5, (-2, 3))[0] == pytest.approx(np.full(5, 20000), rel=0.05)


def test_changing_binary_features_flips_the_chosen_ones_alone(rng):
    rows, chosen = rng.integers(0, 2, (9, 40)).astype(np.uint8), rng.random((9, 40)) < 0.3
    changed = Format((40,)).changed(rows, chosen)
    np.testing.assert_array_equal(changed != rows, chosen)
    assert changed.dtype == np.uint8


def test_replacing_binary_features_keeps_half_of_them(rng):
    rows, chosen = np.zeros((500, 40), np.uint8), np.ones((500, 40), bool)
    replaced = Format((40,)).changed(rows, chosen, rng.random(20000), anew=True)
    assert replaced.mean() == pytest.approx(0.5, abs=0.02)


def test_each_feature_of_a_mixed_record_keeps_to_its_own_values(rng):
    rows = MIXED.drawn(rng.random((3000, 6)))
    assert rows.dtype == np.float32
    assert MIXED.records(rows).shape == (3000, 2, 3)
    chosen = rng.random(rows.shape) < 0.5
    changed = MIXED.changed(rows, chosen, rng.random(np.count_nonzero(chosen)))
    for values in (rows, changed):
        np.testing.assert_array_equal(np.unique(values[:, [0, 3]]), [0, 1])
        np.testing.assert_array_equal(np.unique(values[:, 1]), np.arange(-3, 4))
        np.testing.assert_array_equal(np.unique(values[:, 4]), np.arange(17, 91))
        assert 0 <= values[:, 2].min() < values[:, 2].max() <= 1
        assert -1 <= values[:, 5].min() < values[:, 5].max() <= 0
    np.testing.assert_array_equal(changed[~chosen], rows[~chosen])
    np.testing.assert_array_equal((changed != rows)[:, [0, 3]], chosen[:, [0, 3]])
    assert (changed != rows)[:, [2, 5]][chosen[:, [2, 5]]].all()


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: Format((2, 0)), r"a record of shape \(2, 0\) has no features"),
        (lambda: Format((3,), (Binary(),)), "1 features are given for records of shape"),
        (lambda: Integers(3, 2), "a feature runs from 3 to 2"),
        (lambda: Reals(1, 0), "a feature runs from 1 to 0"),
    ],
)
def test_impossible_formats_get_one_clear_sentence(made, message):
    with pytest.raises(ValueError, match=message):
        made()
