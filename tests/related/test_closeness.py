import numpy as np
import pytest

from mialib.related import reconstructions


def test_distances_and_correlations_by_hand(rng):
    a, b = rng.random((3, 4, 5)), rng.random((2, 4, 5))
    by_hand = [[np.sqrt(((p - q) ** 2).mean()) for q in b] for p in a]
    np.testing.assert_allclose(reconstructions.distances(a, b), by_hand)
    np.testing.assert_allclose(
        reconstructions.correlations(a, b), [[np.corrcoef(p.ravel(), q.ravel())[0, 1] for q in b] for p in a]
    )
    np.testing.assert_array_equal(reconstructions.correlations(np.ones((1, 4, 5)), b), 0)
    y = np.array([1, 0, 1])
    np.testing.assert_allclose(
        reconstructions.distance_to_class(b, a, y), reconstructions.distances(a, b)[np.arange(3), y], rtol=1e-6
    )


def test_closeness_tells_an_average_from_a_copy(rng):
    y = np.repeat([0, 1], 40)
    x = (rng.normal(size=(80, 6)) + 3 * np.eye(2, 6)[y]).astype(np.float32)
    members, held_out = (x[::2], y[::2]), (x[1::2], y[1::2])
    means = reconstructions.closeness(reconstructions.class_means(*members, 2), np.arange(2), members, held_out)
    copies = reconstructions.closeness(x[:4:2], y[:4:2], members, held_out)
    np.testing.assert_allclose(means["distance to the class mean"], 0, atol=1e-6)
    np.testing.assert_allclose(means["correlation with the class mean"], 1)
    assert (means["distance to the nearest training record"] > 0.2).all()
    assert (means["nearest mean is its own"] == 1).all()
    np.testing.assert_allclose(copies["distance to the nearest training record"], 0, atol=1e-6)
    assert (copies["distance to the nearest held-out record"] > 0.1).all()
    assert (copies["nearest record is a training record"] == 1).all()
    others = reconstructions.closeness(x[1:4:2], y[1:4:2], members, held_out)
    assert (others["nearest record is a training record"] == 0).all()


def test_as_many_held_out_records_are_looked_at_as_members_and_not_always_the_first():
    members = np.array([[0.0], [9.0]]), np.array([0, 0])
    held_out = np.array([[5.0], [6.0], [1.0]]), np.array([0, 0, 0])
    point = np.array([[1.0]]), np.array([0])
    rows = [reconstructions.closeness(*point, members, held_out, seed).iloc[0] for seed in range(20)]
    assert {row["distance to the nearest training record"] for row in rows} == {1}
    assert {row["distance to the nearest held-out record"] for row in rows} == {0, 4}  # 4 where the third is left out
    again = reconstructions.closeness(*point, members, held_out, 3).iloc[0]
    assert again.equals(rows[3])


def test_the_nearest_record_is_of_the_class():
    x, y = np.array([[0.0], [2.0], [5.0]]), np.array([0, 1, 1])
    np.testing.assert_array_equal(reconstructions.nearest(np.array([[0.5], [3.0]]), (1, 1), x, y), [[2], [2]])


def test_a_class_without_records_has_no_mean():
    with pytest.raises(ValueError, match="classes 1 have no records"):
        reconstructions.class_means(np.ones((2, 3)), np.array([0, 2]), 3)
